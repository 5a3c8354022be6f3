# SPDX-License-Identifier: GPL-2.0-only
"""The module's callbacks have names that ftrace, kprobes and BTF show."""

import contextlib
import json
import os
import pathlib
import re

import pytest
from bpf_syscall import bpf
from conftest import sh
from pins import Pins
from test_probes import BPF_RAW_TRACEPOINT_OPEN, KINDS, kprobe
from tracing import TRACING, mount, traced

pytestmark = [
    pytest.mark.only_here("functions of the module"),
    pytest.mark.needs("FUNCTION_TRACER", "DEBUG_INFO_BTF_MODULES", "KPROBE_EVENTS"),
]
HEADER = pathlib.Path(__file__).parents[1] / "include/lwtcls_entries.h"
NAMES = set(re.findall(r"\b(lwtcls_(?!rust_)\w+)\(", HEADER.read_text()))
HOOKS = ("on_in", "on_out", "on_xmit", "on_tc")


@pytest.fixture(name="watched")
def fixture_watched():
    """Attaches a program to each hook; yields a function that returns a hook's calls and bytes."""
    with Pins("fentry_entries") as pins, contextlib.ExitStack() as attached:
        for name in HOOKS:
            fd, _ = bpf(BPF_RAW_TRACEPOINT_OPEN, "=QI12x", 0, pins.fds[name])
            attached.callback(os.close, fd)
        yield lambda name: pins.lookup("seen", "=QQ", HOOKS.index(name))


def test_callbacks_are_traceable():
    assert len(NAMES) == 21 and "lwtcls_bpf_xmit" in NAMES and "lwtcls_cls_bpf_change" in NAMES
    mount()
    listed = (TRACING / "available_filter_functions").read_text().splitlines()
    assert {f"{name} [lwtcls]" for name in NAMES} <= set(listed)


def test_callbacks_have_btf():
    told = json.loads(sh("bpftool -j btf dump file /sys/kernel/btf/lwtcls "
                         "-B /sys/kernel/btf/vmlinux"))["types"]
    assert {each["name"] for each in told if each["kind"] == "FUNC"} >= NAMES
    by_id = {each["id"]: each for each in told}
    xmit, = (each for each in told if (each["kind"], each["name"]) == ("FUNC", "lwtcls_bpf_xmit"))
    assert [each["name"] for each in by_id[xmit["type_id"]]["params"]] == ["skb"]


@pytest.mark.needs("BPF_JIT")
@pytest.mark.parametrize("hook, name", [("in", "on_in"), ("out", "on_out"), ("xmit", "on_xmit")])
def test_fentry_program_runs_for_each_packet_of_route(net, watched, hook, name):
    net.encap(hook, "ok", 4)
    assert net.ping(count=3)
    calls, size = watched(name)
    # 56 bytes of data, and the ICMP and IP headers.
    assert calls == 3 and size == 3 * (20 + 8 + 56)


@pytest.mark.needs("NET_CLS_ACT", "BPF_JIT")
def test_fentry_program_runs_for_each_packet_of_filter(net, watched):
    net.route(4)
    net.tc("qdisc add dev va clsact")
    net.tc("filter add dev va egress protocol ip prio 1 bpf da obj tc_ok.o sec tc")
    assert net.ping(count=3)
    calls, size = watched("on_tc")
    assert calls == 3 and size == 3 * (14 + 20 + 8 + 56)


@KINDS
def test_callbacks_have_kprobes(net, kind):
    net.encap("xmit", "ok", 4)
    with kprobe("lwtcls_bpf_xmit", kind) as hits:
        assert net.ping(count=3)
        assert hits() == 3


@pytest.mark.needs("NET_CLS_ACT")
def test_requests_are_traced(net):
    net.tc("qdisc add dev va clsact")
    with traced("lwtcls_*") as trace:
        net.tc("filter add dev va egress protocol ip prio 1 bpf da obj tc_ok.o sec tc")
        net.encap("xmit", "ok", 4)
        seen = re.findall(r"(lwtcls_\w+) <-(\w+)", trace())
    assert ("lwtcls_cls_bpf_change", "tc_new_tfilter") in seen
    assert ("lwtcls_bpf_build_state", "lwtunnel_build_state") in seen
    # Shims that are not inlined are functions, too.
    assert {name for name, _ in seen if not name.startswith("lwtcls_helper_")} <= NAMES
