# SPDX-License-Identifier: GPL-2.0-only
"""Loading and unloading of the module."""

import contextlib
import errno
import os
import pathlib
import re
import threading

import needs
import nl
import pytest
from bpf_syscall import run_on
from conftest import (
    BUILD,
    KERNEL,
    MODULE,
    eventually,
    kernel_log,
    load_module,
    module_loaded,
    must_fail,
    program,
    sh,
)

NAME = MODULE.stem
TAKEN = pytest.mark.differs("slot or kind taken at `insmod`")
# The module takes over the slot of a kernel that has its own encapsulation.
OWN = needs.has("LWTUNNEL_BPF")
FREE = pytest.mark.lacks("LWTUNNEL_BPF")
TOOK_OVER = "lwtcls: encapsulation 'bpf' taken over from the kernel's own"
SLEEP_AT = BUILD / "tests/modules/lwtcls_sleep_at.ko"
SLOT = BUILD / "tests/modules/lwtcls_slot.ko"


@pytest.fixture(name="unloaded")
def fixture_unloaded():
    """Unloads the module for the scenario, and loads it again afterwards."""
    sh(f"rmmod {NAME}")
    yield
    for name in ("lwtcls", "cls_bpf", "lwtcls_slot", "lwtcls_sleep_at", "lwtcls_delay_at"):
        # The scenario's network is cleaned up asynchronously, and may hold the module until then.
        if module_loaded(name):
            eventually(lambda module=name: sh(f"rmmod {module}", check=False).returncode == 0)
    sh(f"insmod {MODULE}")


@contextlib.contextmanager
def module_log_lines():
    """Yields a list that holds the module's lines of the kernel log after the block."""
    before, said = len(kernel_log()), []
    yield said
    said += [line for line in kernel_log()[before:] if line.startswith("lwtcls: ")]


def route_is_refused(net):
    """Returns whether the kernel refuses the encapsulation `bpf` as not supported."""
    said = must_fail("ip -n a route add 10.1.0.1 "
                     "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit via 10.0.0.2 dev va")
    return "not supported" in said


@pytest.mark.only_here("log messages about a kind or slot in use")
@TAKEN
def test_kind_is_taken(unloaded, net):
    sh(f"insmod {KERNEL}/net/sched/cls_bpf.ko")
    with module_log_lines() as said:
        assert "Device or resource busy" in must_fail(f"insmod {MODULE}")
    assert not module_loaded()
    assert said == ["lwtcls: the classifier 'bpf' is taken: unload cls_bpf first"]
    # The failed load leaves nothing registered.
    assert OWN or route_is_refused(net)
    sh("rmmod cls_bpf")
    sh(f"insmod {MODULE}")


def is_classifier_only(said):
    """Returns whether the log says that only the classifier is registered, and why."""
    why = ("it is taken by something else than the kernel's own" if needs.has("KPROBES") else
           "it is taken, and the kernel does not tell where its table of them is")
    return said == [f"lwtcls: classifier only: no encapsulation 'bpf' for routes: {why}"]


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.only_here("log messages about a kind or slot in use")
@FREE
@TAKEN
@pytest.mark.without("KPROBES")
def test_slot_is_taken(unloaded, net):
    sh(f"insmod {SLOT}")
    with module_log_lines() as said:
        sh(f"insmod {MODULE}")
    assert is_classifier_only(said)
    # Only the classifier is registered.
    net.route(4)
    net.tc("qdisc add dev va clsact")
    net.tc("filter add dev va egress bpf da obj tc_shot.o sec tc")
    assert net.dropped()
    assert route_is_refused(net)
    net.tc("filter del dev va egress")
    eventually(lambda: sh("rmmod lwtcls", check=False).returncode == 0)

    # With cls_only=1 the module logs nothing.
    with module_log_lines() as said:
        sh(f"insmod {MODULE} cls_only=1")
    assert said == []
    net.tc("filter add dev va egress bpf da obj tc_shot.o sec tc")
    assert net.dropped()
    assert route_is_refused(net)


@pytest.mark.lacks("DYNAMIC_FTRACE_WITH_DIRECT_CALLS", "LWTUNNEL_BPF")
@pytest.mark.without("DYNAMIC_FTRACE_WITH_DIRECT_CALLS")
@pytest.mark.only_here("how the module attaches to the helper")
def test_kernel_without_direct_calls(unloaded, net):
    with module_log_lines() as said:
        sh(f"insmod {MODULE}")
    assert said == ["lwtcls: programs cannot push headers: cannot attach to bpf_lwt_push_encap() "
                    "through ftrace (error -95)"]
    with program("lwt_in", "lwt_in_reach_ip") as fd:
        assert run_on(fd, bytes(60))[0] == -errno.EINVAL
    net.encap("xmit", "drop", 4)
    assert net.dropped(4)


class LoadThread(threading.Thread):
    """Loads the module in a thread; `errno` is the result, None until then."""

    def __init__(self):
        super().__init__(daemon=True)
        self.errno = None

    def run(self):
        self.errno = load_module(MODULE)


@contextlib.contextmanager
def inserted(module, parameters):
    """Inserts a test module during the block, which may make callers of functions wait; yields a
    function that reads or writes a parameter of it."""
    name = module.stem

    def parameter(which, value=None):
        path = pathlib.Path(f"/sys/module/{name}/parameters/{which}")
        return path.read_text().strip() if value is None else path.write_text(value)

    sh(f"insmod {module} {parameters}")
    try:
        yield parameter
    finally:
        try:
            parameter("go", "1")
        finally:
            sh(f"rmmod {name}")


@contextlib.contextmanager
def loading(function):
    """Loads the module in a thread that sleeps in a call of a kernel function during the block."""
    thread = LoadThread()
    with inserted(SLEEP_AT, f"symbol={function} process={os.getpid()}") as sleep:
        thread.start()
        try:
            eventually(lambda: sleep("here") == "1")
            yield thread
        finally:
            # The thread may reach the function again.
            sleep("go", "1000")
            thread.join()


@pytest.mark.needs("NET_CLS_ACT", "DYNAMIC_FTRACE_WITH_ARGS")
@pytest.mark.only_here("requests while the module is being loaded")
@pytest.mark.parametrize("slot", ["as it is", pytest.param("taken", marks=FREE)])
def test_filter_added_during_module_load_stays(unloaded, net, slot):
    net.route(4)
    net.tc("qdisc add dev va clsact")
    if slot == "taken":
        sh(f"insmod {SLOT}")
    with program("classifier", "tc_shot") as fd, module_log_lines() as said:
        options = (nl.attr(nl.BPF_FD, fd) + nl.attr(nl.BPF_NAME, "shot")
                   + nl.attr(nl.BPF_FLAGS, nl.DIRECT))
        with loading("lwtunnel_encap_add_ops") as thread:
            # The classifier is registered already.
            assert nl.add_filter(net.ifindex, options) == (0, "")
            assert thread.errno is None
    assert thread.errno == 0
    assert is_classifier_only(said) if slot == "taken" else said == [TOOK_OVER] * OWN
    assert net.dropped()
    assert "is in use" in must_fail("rmmod lwtcls")
    net.tc("filter del dev va egress")
    assert net.ping()
    eventually(lambda: sh("rmmod lwtcls", check=False).returncode == 0)


@pytest.mark.only_here("cls_only")
@FREE
def test_cls_only_leaves_slot_free(unloaded, net):
    sh(f"insmod {MODULE} cls_only=1")
    assert route_is_refused(net)
    sh(f"insmod {SLOT} && rmmod lwtcls_slot")


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.only_here("the encapsulation of the C is part of the kernel")
@FREE
def test_requests_are_refused_without_module(unloaded, net):
    assert route_is_refused(net)
    net.tc("qdisc add dev va clsact")
    must_fail("tc -n a filter add dev va egress bpf da obj tc_ok.o sec tc")


@pytest.mark.only_here("the encapsulation of the C is part of the kernel")
@pytest.mark.parametrize("family", [4, 6])
def test_route_holds_reference_to_module(net, family):
    net.route(family, "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit")
    assert net.ping(family)
    assert "is in use" in must_fail("rmmod lwtcls")
    sh(f"ip -{family} -n a route del {net.service(family)}")
    eventually(lambda: sh("rmmod lwtcls", check=False).returncode == 0)
    assert not module_loaded()
    sh(f"insmod {MODULE}")


@pytest.mark.needs("NET_CLS_ACT")
def test_filter_holds_reference_to_module(net):
    net.tc("qdisc add dev va clsact")
    net.tc("filter add dev va egress bpf da obj tc_ok.o sec tc")
    assert "is in use" in must_fail(f"rmmod {NAME}")
    net.tc("filter del dev va egress")
    eventually(lambda: sh(f"rmmod {NAME}", check=False).returncode == 0)
    assert not module_loaded(NAME)
    sh(f"insmod {MODULE}")


@pytest.mark.needs("NET_CLS_ACT")
def test_unloading_waits_for_deleted_filters(net):
    net.tc("qdisc add dev va clsact")
    for _ in range(20):
        net.tc("filter add dev va egress prio 1 bpf da obj tc_ok.o sec tc")
    # rmmod runs before the grace period after which the filters are freed.
    sh(f"tc -n a qdisc del dev va clsact && rmmod {NAME}")
    assert not module_loaded(NAME)
    sh(f"insmod {MODULE}")


def test_repeated_load_and_unload(unloaded):
    for _ in range(5):
        sh(f"insmod {MODULE} && rmmod {NAME}")


@pytest.fixture(name="modprobe_calls")
def fixture_modprobe_calls(unloaded):
    """Yields a function that returns the names with which the kernel has called modprobe. Like
    modprobe, the helper loads our module for its aliases."""
    said, helper = pathlib.Path("/run/modprobe-calls"), pathlib.Path("/run/modprobe")
    setting = pathlib.Path("/proc/sys/kernel/modprobe")
    before = setting.read_text().strip()
    names = "|".join(re.escape(name).replace("_", "[_-]").replace(r"\-", "[_-]")
                     for name in sh(f"modinfo -F alias {MODULE}").split())
    helper.write_text(f"#!/bin/sh\nfor name; do :; done\necho $name >>{said}\n"
                      f"echo $name | grep -qxE '{names}' && exec insmod {MODULE}\n"
                      f"exec {before} \"$@\"\n")
    helper.chmod(0o755)
    said.write_text("")
    setting.write_text(str(helper))
    yield lambda: said.read_text().split()
    setting.write_text(before)


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.only_here("module aliases")
def test_adding_filter_autoloads_module(modprobe_calls, net):
    net.tc("qdisc add dev va clsact")
    assert not module_loaded()
    net.tc("filter add dev va egress bpf da obj tc_ok.o sec tc")
    assert module_loaded() and "net-cls-bpf" in modprobe_calls()


@pytest.mark.only_here("module aliases")
@FREE
@pytest.mark.parametrize("family", [4, 6])
def test_adding_route_autoloads_module(modprobe_calls, net, family):
    net.encap("xmit", "drop", family)
    assert module_loaded() and "rtnl-lwt-BPF" in modprobe_calls()
    assert net.dropped(family)


@pytest.mark.needs("X86_64")
@pytest.mark.only_here("only lwtcls is built by two compilers")
def test_percpu_accesses_use_gs():
    """All accesses to the kernel's per-CPU variables go through %gs to the copy of the current CPU,
    although another compiler than the kernel's may have compiled the shims."""
    places = {name: int(address, 16) for address, _, name, *_ in (
        line.split() for line in pathlib.Path("/proc/kallsyms").read_text().splitlines())}
    first, last = places["__per_cpu_start"], places["__per_cpu_end"]
    text, found, wrong = "", 0, []
    for line in sh(f"objdump -dr --no-show-raw-insn {MODULE}").splitlines():
        if not (named := re.search(r"\bR_X86_64_\w+\t([\w.]+)", line)):
            text = line
        elif first <= places.get(named[1], 0) < last and "(%rip)" in text and "lea" not in text:
            found += 1
            wrong += [text] * ("%gs:" not in text)
    assert found and not wrong


@pytest.mark.only_here("only lwtcls is built by two compilers")
def test_shims_are_inlined():
    """All C shims are inlined. If GCC built the kernel, a C function would lack the kernel's
    hardening (return thunks, retpolines, stack canary), whose options clang does not get. They are
    called if clang built the kernel and does not inline the kernel's own either, or where no clang
    is installed."""
    symbols = [line.split()[-2:] for line in sh(f"nm {BUILD}/rust/lwtcls.o").splitlines()]
    called = [name for kind, name in symbols if kind == "U" and name.startswith("lwtcls_helper_")]
    if needs.has("CC_IS_CLANG"):
        inlined = needs.has("RUST_INLINE_HELPERS")
    else:
        inlined = "lwtcls-clang=" not in (BUILD / ".arguments").read_text().split()
    assert bool(called) != inlined
    names = {name for kind, name in symbols if kind in "tTwW"}
    ours = {name for name in names
            if not name.startswith(("$", ".L", "__pfx_", "__cfi_", "__kcfi_typeid_", "asan.",
                                    "tsan."))}
    named = {name for name in ours if not name.startswith(("_R", "lwtcls_rust_"))}
    # On arm64 clang and rustc return a struct by another type, so this call is not inlined. It is
    # the kernel crate's, and not on the packet path.
    by_value = {"rust_helper_REFCOUNT_INIT"} if needs.has("ARM64") else set()
    assert named <= {"init_module", "cleanup_module", "lwtcls_push_encap_in",
                     "lwtcls_push_encap_xmit"} | by_value
    assert len(ours) > 50
