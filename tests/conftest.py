# SPDX-License-Identifier: GPL-2.0-only
"""Shared helpers and fixtures of the scenarios. They run as root, only in the guest."""

import contextlib
import ctypes
import functools
import json
import mmap
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time

import journal
import needs
import nl
import pytest
import sides
import syscalls
from journal import JOURNAL
from needs import IPV6
from sides import SIDE, Refused

pytest_plugins = ["network", "wires"]

BUILD = pathlib.Path(os.environ["LWTCLS_BUILD"])
KERNEL = pathlib.Path(os.environ["LWTCLS_KERNEL"])
BPF = BUILD / "bpf"
LIBC = ctypes.CDLL(None, use_errno=True)
BPF_PROG_GET_NEXT_ID = 11
SYSLOG_ACTION_READ_ALL, SYSLOG_ACTION_SIZE_BUFFER = 3, 10
MODULE = {"rust": BUILD / "lwtcls.ko", "c": KERNEL / "net/sched/cls_bpf.ko"}[SIDE]
# Timeout of a command in seconds. It is generous because a debug kernel is slow and the host may be
# busy.
COMMAND_TIMEOUT = 600
IPV6_ADDRESS = re.compile(r"\bfd\w\w::")
# A command without shell syntax: splitting it at spaces is enough.
PLAIN = re.compile(r"[\w./-]+( +[\w./:,@+=%-]+)* *")
# Lines with measurements of scenarios, printed at the end of the report.
MEASURED = []


# True on a debug kernel, which is several times slower and can inject allocation failures
# (failslab).
CHECKED = pathlib.Path("/sys/kernel/debug/failslab").exists()
# True on a kernel that checks memory accesses and so delays them: a debug kernel, or KCSAN.
INSTRUMENTED = CHECKED or pathlib.Path("/sys/kernel/debug/kcsan").exists()
collect_ignore = [] if CHECKED else ["test_faults.py"]
COMMAND_LINE = pathlib.Path("/proc/cmdline").read_text(encoding="utf-8").split()


def needs_other_command_line(file):
    """Returns whether a file of scenarios needs words that are not on the kernel's command line.
    The file's second line lists them after `# kernel: `."""
    with file.open(encoding="utf-8") as lines:
        next(lines)
        _, _, words = next(lines).partition("# kernel: ")
    return not set(words.split()) <= set(COMMAND_LINE)


collect_ignore += [file.name for file in pathlib.Path(__file__).parent.glob("test_*.py")
                   if needs_other_command_line(file)]
# Factor by which timeouts grow, and repetitions shrink, on a debug kernel.
SLOWER = 5 if CHECKED else 1


def iterations(number):
    """Returns how many times to repeat an operation: `number`, or fewer on a debug kernel, where
    each repetition is slower and checked more closely."""
    return number // SLOWER


which = functools.cache(shutil.which)


class CommandFailed(Refused):
    """A command exited with a status other than 0."""

    def __init__(self, command, result):
        super().__init__(f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}")
        self.returncode = result.returncode
        self.stderr = result.stderr


def sh(command, check=True, lines=""):
    """Runs a command as a user would type it, in the directory of the BPF objects. `lines` is its
    standard input."""
    # Starting a shell costs as much as the command, so it is left out if the command needs none.
    words = command.split() if PLAIN.fullmatch(command) else []
    if not (words and which(words[0])):
        words = ["sh", "-c", command]
    result = subprocess.run(words, cwd=BPF, text=True, capture_output=True, timeout=COMMAND_TIMEOUT,
                            check=False, input=lines)
    JOURNAL.note("sh", command=command, input=lines, status=result.returncode,
                 out=result.stdout, err=result.stderr)
    if check and result.returncode:
        raise CommandFailed(command, result)
    return result.stdout if check else result


def batch(options, *lines):
    """Runs lines of ip in one process: starting ip costs more than executing its lines. Lines with
    IPv6 addresses are left out if the kernel has no IPv6."""
    sh(f"ip {options} -batch -", lines="".join(
        f"{line}\n" for line in lines if IPV6 or not IPV6_ADDRESS.search(line)))


def tc_batch(*lines):
    """Runs lines of tc in one process, in namespace a."""
    text = "\n".join(lines)
    sh(f"tc -n a -batch - <<'EOF'\n{text}\nEOF")


def must_fail(command):
    """Runs a command that must fail, and returns its output."""
    result = sh(command, check=False)
    assert result.returncode != 0, f"accepted: {command}"
    return result.stdout + result.stderr


def expect_extack(message, command):
    """Runs a command that lwtcls must refuse with this extack message."""
    output = must_fail(command)
    assert SIDE == "c" or message.lower() in output.lower()


def eventually(what, seconds=30):
    """Waits until `what()` is true, for example until a grace period has ended."""
    deadline, mark = time.monotonic() + seconds * SLOWER, JOURNAL.mark()
    while not what():
        assert time.monotonic() < deadline, "did not come about"
        time.sleep(0.02)
        JOURNAL.forget(mark)


def program_ids():
    """Returns the ids of all BPF programs in the kernel. C: bpf(BPF_PROG_GET_NEXT_ID)."""
    found, attr = [0], ctypes.create_string_buffer(12)
    while True:
        struct.pack_into("=III", attr, 0, found[-1], 0, 0)
        if LIBC.syscall(syscalls.BPF, BPF_PROG_GET_NEXT_ID, attr, 12) < 0:
            return set(found[1:])
        found.append(struct.unpack_from("=III", attr)[1])


def programs():
    """Returns the loaded BPF programs of the types that networking attaches, as bpftool lists
    them."""
    kinds = ("lwt_in", "lwt_out", "lwt_xmit", "sched_cls")
    return [prog for prog in json.loads(sh("bpftool -j prog show")) if prog["type"] in kinds]


@contextlib.contextmanager
def program(kind, obj):
    """Yields the file descriptor of a loaded program, which holds the only reference to it."""
    path = f"/run/bpf/{obj}"
    sh(f"bpftool prog load {obj}.o {path} type {kind}")
    try:
        fd = nl.open_pinned(path)
    finally:
        os.unlink(path)
    try:
        yield fd
    finally:
        os.close(fd)


def map_file(fd, kind):
    """Maps a file and returns it as an object of a ctypes type. Python's mmap relies on the file's
    size, which is 0 for some files of the kernel."""
    LIBC.mmap.restype = ctypes.c_void_p
    place = LIBC.mmap(None, ctypes.c_size_t(ctypes.sizeof(kind)),
                      mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, ctypes.c_long(0))
    if place == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    return kind.from_address(place)


def unmap_file(what):
    """Unmaps an object that `map_file()` returned."""
    LIBC.munmap(ctypes.c_void_p(ctypes.addressof(what)), ctypes.c_size_t(ctypes.sizeof(what)))


def module_loaded(name="lwtcls"):
    """Returns whether a module is loaded."""
    return pathlib.Path(f"/sys/module/{name}").exists()


def load_module(path, parameters=""):
    """Loads a module and returns the errno. This is a system call because starting insmod costs as
    much as loading the module."""
    with open(path, "rb") as file:
        done = LIBC.syscall(syscalls.FINIT_MODULE, file.fileno(), parameters.encode(), 0)
        return ctypes.get_errno() if done else 0


def modprobe(name):
    """Loads a module of the kernel that is not loaded on demand. Does nothing if it is
    built in."""
    path = pathlib.Path("/proc/sys/kernel/modprobe").read_text(encoding="utf-8").strip()
    sh(f"{path} -q {name}", check=False)


def unload_module(name):
    """Unloads a module as soon as it is unused."""
    eventually(lambda: LIBC.syscall(syscalls.DELETE_MODULE, name.encode(), os.O_NONBLOCK) == 0, 60)


def kernel_log():
    """Returns the lines of the kernel log without timestamps."""
    text = ctypes.create_string_buffer(LIBC.klogctl(SYSLOG_ACTION_SIZE_BUFFER, None, 0))
    length = LIBC.klogctl(SYSLOG_ACTION_READ_ALL, text, len(text))
    if length < 0:
        raise OSError(ctypes.get_errno(), "klogctl")
    lines = text.raw[:length].decode(errors="replace").splitlines()
    return [line.split("] ", 1)[-1] for line in lines]


@pytest.fixture(scope="session", autouse=True)
def module():
    """Loads the module before the first scenario and unloads it after the last."""
    sh(f"insmod {MODULE}")
    yield
    sh(f"rmmod {MODULE.stem}")


@pytest.fixture(autouse=True)
def no_leaks():
    """Checks that a scenario leaves neither BPF programs nor references to the module behind."""
    before = program_ids()
    users = pathlib.Path(f"/sys/module/{MODULE.stem}/refcnt")
    used = users.read_text()
    yield
    eventually(lambda: program_ids() <= before)
    eventually(lambda: not users.exists() or int(users.read_text()) <= int(used))


def pytest_addoption(parser):
    """Adds --sample, which limits the number of scenarios of each file."""
    parser.addoption("--sample", type=int, metavar="N",
                     help="run N scenarios of each file, and those about what the kernel lacks")


def sample(items, number):
    """Returns `number` of the scenarios, evenly spaced from the first to the last, and those about
    options that this kernel lacks."""
    if number >= len(items):
        return items
    chosen = [items[at * (len(items) - 1) // max(number - 1, 1)] for at in range(number)]
    return [item for item in items if item in chosen or needs.is_about_missing(item)]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Deselects the scenarios that are not in the sample."""
    if not (number := config.getoption("sample")):
        return
    files = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    chosen = [item for each in files.values() for item in sample(each, number)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def pytest_configure(config):
    """Registers the plugins that apply to all scenarios."""
    for plugin in (needs, sides, journal):
        config.pluginmanager.register(plugin)


def pytest_terminal_summary(terminalreporter):
    """Prints the measurements, and one summary line that the host parses."""
    for line in MEASURED:
        terminalreporter.write_line(f"measured: {line}")
    stats = {key: len(value) for key, value in terminalreporter.stats.items() if key}
    bad = stats.get("failed", 0) + stats.get("error", 0)
    good, skipped = stats.get("passed", 0), stats.get("skipped", 0)
    if SIDE == "c":
        terminalreporter.write_line(f"beyond the C: {stats.get('xfailed', 0)} failed, as they must")
    terminalreporter.write_line(f"functional: {good} passed, {bad} failed, {skipped} skipped")
