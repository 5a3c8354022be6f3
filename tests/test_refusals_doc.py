# SPDX-License-Identifier: GPL-2.0-only
"""docs/refusals.md, row by row: the commands, and what they print."""

import contextlib
import errno
import os
import pathlib
import re
from typing import NamedTuple

import nl
import pytest
from conftest import KERNEL, MODULE, kernel_log, sh
from sides import SIDE
from test_load import fixture_unloaded  # noqa: F401
from test_offload import fixture_hw  # noqa: F401
from tracing import TRACING, mount

PAGE = pathlib.Path(__file__).parents[1] / "docs/refusals.md"
# Names on the page, and those of this network.
NAMES = {
    "eth0": "va", "tc.o": "tc_ok.o", "classifier.o": "classifier_ok.o", "in.o": "lwt_in_ok.o",
    "out.o": "lwt_out_ok.o", "xmit.o": "lwt_xmit_ok.o", "other.o": "lwt_xmit_drop.o",
    "/sys/fs/bpf": "/run/bpf", "lwtcls.ko": str(MODULE),
    "cls_bpf.ko": str(KERNEL / "net/sched/cls_bpf.ko"),
}
# Messages that the C code lacks, and their rows of docs/differences.md.
WARNINGS = {
    "the actions of a direct-action": "actions of a direct-action filter",
    "another filter with this program": "`replace` that adds a second filter with a program",
    "this qdisc drops packets": "direct action without a class on a qdisc that drops what has none",
}
# Errnos that insmod prints in its own words.
INSMOD = {errno.EINVAL: "Invalid parameters"}
# Lines with these prefixes report the kernel's answer; others are the tool's own.
LINE = re.compile(r"(?:Error|Warning|RTNETLINK answers): ")


class Row(NamedTuple):
    """A row of the page."""

    part: str
    typed: list
    said: list
    errno: int | None


def code_spans(cell):
    """Returns the code spans of a cell."""
    return re.findall(r"`([^`]+)`", cell)


def doc_rows():
    """Yields the rows of the page. Indented commands under a heading precede each of its rows."""
    part, before = "", []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            part, before = line.strip("# "), []
        elif line.startswith("    "):
            before.append(line.strip())
        elif line.startswith("| `"):
            _, typed, output, remedy, _ = line.split("|")
            assert remedy.strip(), line
            numbers = [each for each in code_spans(output) if each in vars(errno)]
            said = [each for each in code_spans(output) if each not in numbers]
            assert said, line
            granted = 0 if said[0].startswith("Warning: ") else None
            yield Row(part, [*before, *code_spans(typed)], said,
                      getattr(errno, numbers[0]) if numbers else granted)


def marks(row):
    """Yields the marks of a row: what its scenario needs, and how the C code differs."""
    if row.part == "Hardware":
        yield pytest.mark.needs("NETDEVSIM")
    # Without actions there is no clsact either, and no qdisc drops packets for a filter.
    if re.search("clsact|action|police", str(row.typed)) or "this qdisc drops" in row.said[0]:
        yield pytest.mark.needs("NET_CLS_ACT")
    if re.search(r"ip -6|fd\d\d::", str(row.typed)):
        yield pytest.mark.ipv6
    if "flower" in str(row.typed):
        yield pytest.mark.needs("NET_CLS_FLOWER")
    if "estimator" in str(row.typed):
        yield pytest.mark.beyond_c("`TCA_RATE` in a request without actions")
    for begin, difference in WARNINGS.items():
        if begin in row.said[0]:
            yield pytest.mark.differs(difference)
    if "encapsulation type not supported" in row.said[0]:
        yield pytest.mark.lacks("LWTUNNEL_BPF")


def parametrized(rows):
    """Parametrizes a scenario with rows, whose ids are the first lines that they print."""
    return pytest.mark.parametrize("row", [
        pytest.param(row, marks=[*marks(row)], id="-".join(re.findall(r"\w+", row.said[0]))[:50])
        for row in rows])


@pytest.fixture(scope="module", name="last_errno")
def fixture_last_errno():
    """Yields a function that returns the errno of the answer to the last request. ip and tc print
    the extack message in its place."""
    mount()
    instance = TRACING / "instances/refusals"

    def probe(line):
        # O_TRUNC would remove all probes, and Python's append mode seeks, which the file refuses.
        file = os.open(TRACING / "kprobe_events", os.O_WRONLY | os.O_APPEND)
        os.write(file, f"{line}\n".encode())
        os.close(file)

    def read():
        found = [-int(each) for each in
                 re.findall(r"errno=(-?\d+)", (instance / "trace").read_text())]
        (instance / "trace").write_text("")
        # Skips dumps, by which tools look up devices: their answer is still to come.
        return [each for each in found if each != errno.EINTR][-1]

    probe("r:refusals/answer rtnetlink_rcv_msg errno=$retval:s32")
    instance.mkdir()
    # Keeps events of different CPUs in order.
    (instance / "trace_clock").write_text("global")
    try:
        (instance / "events/refusals/answer/enable").write_text("1")
        yield read
        (instance / "events/refusals/answer/enable").write_text("0")
    finally:
        instance.rmdir()
        probe("-:refusals/answer")


@pytest.fixture(name="pins")
def fixture_pins():
    """Unpins the program afterwards."""
    yield
    pathlib.Path("/run/bpf/p").unlink(missing_ok=True)


def translated(command, names):
    """Returns a command of the page with the names of this network."""
    words = "|".join(map(re.escape, names))
    return re.sub(rf"(?<![\w.])({words})(?![\w.])", lambda found: names[found[1]], command)


def output_of(row, names=None):
    """Runs the commands of a row; returns the lines that the last one prints."""
    names = {**NAMES, **(names or {})}
    *before, last = (translated(command, names) for command in row.typed)
    with nl.inside("a"):
        for command in before:
            sh(command)
        result = sh(last, check=False)
    assert bool(result.returncode) != row.said[0].startswith("Warning: "), last
    return (result.stdout + result.stderr).splitlines()


ROWS = list(doc_rows())
REQUESTS = [row for row in ROWS if row.part not in ("The module", "Hardware")]


def check(row, lines, last_errno):
    """Checks the output and the errno against a row. The output of the C code is compared by
    scripts/check/differences.py."""
    if SIDE == "rust":
        assert [line for line in lines if LINE.match(line)] == [
            line for line in row.said if LINE.match(line)], lines
        assert set(row.said) <= set(lines), lines
    assert row.errno is None or last_errno() == row.errno


@pytest.mark.needs("KPROBE_EVENTS")
@pytest.mark.usefixtures("net", "pins")
@parametrized(REQUESTS)
def test_refusal_matches_doc(last_errno, row):
    check(row, output_of(row), last_errno)


@pytest.fixture(name="bare")
def fixture_bare(net, unloaded):
    """The network without the module; filters are removed afterwards."""
    yield
    sh("tc -n a qdisc del dev va clsact", check=False)


@pytest.mark.only_here("output of loading the module")
@pytest.mark.usefixtures("bare")
@parametrized(row for row in ROWS if row.part == "The module")
def test_module_refusal_matches_doc(row):
    mark = len(kernel_log())
    lines = output_of(row) + kernel_log()[mark:]
    for said in row.said:
        assert any(line.endswith(said) for line in lines), lines
    if row.errno and not LINE.match(row.said[0]):
        assert row.said[0] == INSMOD.get(row.errno, os.strerror(row.errno))


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.needs("KPROBE_EVENTS")
@pytest.mark.usefixtures("pins")
@parametrized(row for row in ROWS if row.part == "Hardware")
def test_offload_refusal_matches_doc(hw, last_errno, row):
    names = {f"eth{number}": str(hw.plug()) for number in (2, 3)}
    with contextlib.ExitStack() as stack:
        for name in ("va", names["eth3"]):
            stack.callback(sh, f"tc -n a qdisc del dev {name} clsact", check=False)
        check(row, output_of(row, names), last_errno)


def test_all_doc_rows_are_parsed():
    # doc_rows() must find all rows, because a row that it overlooks has no scenario.
    text = PAGE.read_text(encoding="utf-8")
    assert len(ROWS) == len([line for line in text.splitlines() if line.startswith("| ")
                             and not line.startswith("| what was typed")])
