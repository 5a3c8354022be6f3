# SPDX-License-Identifier: GPL-2.0-only
"""Coexistence with tracers: fentry and fexit programs, and kprobes, on the helper."""

import contextlib
import errno
import os

import pytest
from bpf_syscall import bpf
from conftest import MODULE, eventually, kernel_log, module_loaded, program, sh
from pins import Pins
from test_helper import HELPER_ATTACHMENT, WITHOUT_MODULE, module_log_since, run
from tracing import TRACING, mount

BPF_RAW_TRACEPOINT_OPEN = 17
HELPER = "bpf_lwt_xmit_push_encap"
# The kernel refuses BPF_PROG_TEST_RUN of these programs without IPv6.
pytestmark = [pytest.mark.ipv6, pytest.mark.needs("DEBUG_INFO_BTF"), pytest.mark.pushes]
PROGRAMS = pytest.mark.parametrize("name", ["enter", "leave"])


@pytest.fixture(scope="module", name="pins")
def fixture_pins():
    """A fentry and a fexit program for the helper."""
    with Pins("fentry_push") as made:
        yield made


@pytest.fixture(name="unloaded")
def fixture_unloaded():
    """Unloads the module for the scenario, and loads it again afterwards."""
    unload()
    yield
    unload()
    sh(f"insmod {MODULE}")


def unload():
    """Unloads the module if it is loaded."""
    if module_loaded():
        eventually(lambda: sh("rmmod lwtcls", check=False).returncode == 0)


class Attached:
    """A BPF program that is attached to its target function."""

    def __init__(self, pins, name):
        pins.update("calls", bytes(8), 0)
        pins.update("calls", bytes(8), 1)
        self.pins, self.key = pins, ("enter", "leave").index(name)
        self.fd, _ = bpf(BPF_RAW_TRACEPOINT_OPEN, "=QI12x", 0, pins.fds[name])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def calls(self):
        """Returns how often the program has run."""
        return self.pins.lookup("calls", "=Q", self.key)[0]


@HELPER_ATTACHMENT
@PROGRAMS
@pytest.mark.needs("BPF_JIT")
def test_fentry_on_helper_is_refused_while_module_is_loaded(pins, name):
    with program("lwt_xmit", "lwt_xmit_reach_ip") as fd:
        for _ in range(3):
            with pytest.raises(OSError) as refusal:
                Attached(pins, name)
            # The errno depends on the kernel's version.
            assert refusal.value.errno in (errno.EBUSY, errno.EINVAL)
            assert run(fd)[0] == 0


@HELPER_ATTACHMENT
@PROGRAMS
@pytest.mark.needs("BPF_JIT")
def test_module_loads_without_helper_if_fentry_is_attached(pins, unloaded, name):
    with program("lwt_xmit", "lwt_xmit_reach_ip") as fd:
        with Attached(pins, name) as attached:
            assert (run(fd)[0], attached.calls()) == (WITHOUT_MODULE, 1)
            before = len(kernel_log())
            sh(f"insmod {MODULE}")
            said = module_log_since(before)
            assert len(said) == 1 and "-16" in said[0]
            # The program stays attached, and the helper works as without the module.
            assert (run(fd)[0], attached.calls()) == (WITHOUT_MODULE, 2)
        # The module does not attach to the helper until it is loaded again.
        assert run(fd)[0] == WITHOUT_MODULE
        unload()
        sh(f"insmod {MODULE}")
        assert run(fd)[0] == 0


@HELPER_ATTACHMENT
@PROGRAMS
@pytest.mark.needs("BPF_JIT")
def test_fentry_on_helper_attaches_after_unload(pins, unloaded, name):
    with program("lwt_xmit", "lwt_xmit_reach_ip") as fd:
        for _ in range(3):
            sh(f"insmod {MODULE}")
            assert run(fd)[0] == 0
            unload()
            with Attached(pins, name) as attached:
                assert (run(fd)[0], attached.calls()) == (WITHOUT_MODULE, 1)


@contextlib.contextmanager
def kprobe(function, kind="p"):
    """Adds a kprobe event on a function; yields a function that returns its hits."""
    mount()
    write_kprobe_event(f"{kind}:lwtcls_scenario/probe {function}")
    enable = TRACING / "events/lwtcls_scenario/probe/enable"
    try:
        enable.write_text("1")
        yield lambda: sum(int(line.split()[1]) for line in
                          (TRACING / "kprobe_profile").read_text().splitlines()
                          if line.split()[0] == "probe")
        enable.write_text("0")
    finally:
        write_kprobe_event("-:lwtcls_scenario/probe")


def write_kprobe_event(line):
    """Adds or removes a kprobe event. Opening the file with O_TRUNC would remove all of them."""
    fd = os.open(TRACING / "kprobe_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, f"{line}\n".encode())
    finally:
        os.close(fd)


KINDS = pytest.mark.parametrize("kind", ["p", "r"])


@KINDS
def test_kprobe_on_helper(kind):
    with program("lwt_xmit", "lwt_xmit_reach_ip") as fd, kprobe(HELPER, kind) as hits:
        assert run(fd)[0] == 0
        # While the module answers in its place, the function does not return, so "r" may miss it.
        assert kind == "r" or hits() == 1
    with program("lwt_xmit", "lwt_xmit_reach_ip") as fd:
        assert run(fd)[0] == 0


@HELPER_ATTACHMENT
@KINDS
def test_module_reload_with_kprobe_on_helper(unloaded, kind):
    with program("lwt_xmit", "lwt_xmit_reach_ip") as fd, kprobe(HELPER, kind) as hits:
        for number in range(3):
            assert run(fd)[0] == WITHOUT_MODULE
            sh(f"insmod {MODULE}")
            assert run(fd)[0] == 0
            unload()
            assert kind == "r" or hits() == 2 * number + 2
