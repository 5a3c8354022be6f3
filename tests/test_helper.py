# SPDX-License-Identifier: GPL-2.0-only
"""How programs reach the code that pushes headers: through the kernel's helper, which the module
implements."""

import contextlib
import errno
import hashlib
import json
import pathlib
import subprocess
import threading

import needs
import nl
import pytest
from bpf_syscall import run_on
from conftest import (
    BPF,
    BUILD,
    MODULE,
    eventually,
    iterations,
    kernel_log,
    load_module,
    module_loaded,
    must_fail,
    program,
    sh,
    unload_module,
)
from journal import recorded
from sockets import make_socket
from tracing import traced
from wires import PORT, Sender

pytestmark = pytest.mark.pushes
TRACER = BUILD / "tests/modules/lwtcls_tracer.ko"
STUCK = BUILD / "tests/modules/lwtcls_stuck.ko"
# 14 bytes of MAC header, 20 of IPv4, and 22 with the values from 0 on.
PACKET = bytes.fromhex("020000000002 020000000001 0800 4500002a00004000401126a10a0000010a000002"
                       ) + bytes(range(22))
HELPER_ATTACHMENT = pytest.mark.only_here("how the module attaches to the helper")
# The helper's result without the module: the built-in code for pushed headers belongs to the
# built-in encapsulation.
OWN = needs.has("LWTUNNEL_BPF")
WITHOUT_MODULE = 0 if OWN else -errno.EINVAL
# The helper's result for a segment routing header on an IPv4 packet.
SEG6_ANSWER = -errno.EBADMSG
# BPF_PROG_TEST_RUN refuses a program for xmit without IPv6.
RUNS_XMIT = pytest.mark.ipv6
TEST_RUN_HOOKS = pytest.mark.parametrize("hook", ["in", pytest.param("xmit", marks=RUNS_XMIT)])


@recorded
def run(fd, packet=PACKET, repeat=1):
    """Runs a program on a packet; returns its return value, signed, and the packet without its MAC
    header."""
    return run_on(fd, packet, repeat=repeat)


def module_log_since(before):
    """Returns the module's log lines since `before`, without those about the encapsulation's
    slot."""
    return [line for line in kernel_log()[before:]
            if line.startswith("lwtcls: ") and not line.startswith("lwtcls: encapsulation ")]


@pytest.fixture(name="unloaded")
def fixture_unloaded():
    """Unloads the module for a scenario."""
    eventually(lambda: sh("rmmod lwtcls", check=False).returncode == 0)
    yield
    if module_loaded("lwtcls_tracer"):
        sh("rmmod lwtcls_tracer")
    if module_loaded():
        eventually(lambda: sh("rmmod lwtcls", check=False).returncode == 0)
    sh(f"insmod {MODULE}")


def works_as_without_module(fd):
    """Returns whether the helper behaves as without the module."""
    answer, packet = run(fd)
    return answer == WITHOUT_MODULE and (OWN or packet == PACKET[14:])


@HELPER_ATTACHMENT
@TEST_RUN_HOOKS
def test_helper_works_for_program_loaded_before_module(unloaded, hook):
    path = BPF / f"lwt_{hook}_reach_ip.o"
    built = hashlib.sha256(path.read_bytes()).digest()
    with program(f"lwt_{hook}", path.stem) as fd:
        for _ in range(3):
            assert works_as_without_module(fd)
            sh(f"insmod {MODULE}")
            answer, packet = run(fd)
            assert answer == 0 and len(packet) == 20 + 42
            assert packet[:10] == bytes.fromhex("45000000000000004004")
            assert packet[20:] == PACKET[14:]
            sh("rmmod lwtcls")
        assert works_as_without_module(fd)
    assert hashlib.sha256(path.read_bytes()).digest() == built


@RUNS_XMIT
@HELPER_ATTACHMENT
def test_seg6_push_reaches_kernel_code(unloaded):
    with program("lwt_in", "lwt_in_reach_seg6") as fd:
        assert run(fd)[0] == SEG6_ANSWER
        sh(f"insmod {MODULE}")
        assert run(fd)[0] == SEG6_ANSWER


@RUNS_XMIT
def test_helper_works_while_it_is_traced():
    with program("lwt_in", "lwt_in_reach_ip") as ip, \
            program("lwt_in", "lwt_in_reach_seg6") as seg6, \
            program("lwt_xmit", "lwt_xmit_reach_ip") as xmit, \
            traced("bpf_lwt_*_push_encap") as trace:
        assert run(ip)[0] == 0 and run(seg6)[0] == SEG6_ANSWER and run(xmit)[0] == 0
        assert trace().count("bpf_lwt_in_push_encap <-") == 2
        assert trace().count("bpf_lwt_xmit_push_encap <-") == 1


@RUNS_XMIT
@pytest.mark.needs("FUNCTION_GRAPH_TRACER")
def test_helper_works_while_its_returns_are_traced():
    with program("lwt_in", "lwt_in_reach_ip") as ip, \
            program("lwt_in", "lwt_in_reach_seg6") as seg6, \
            program("lwt_xmit", "lwt_xmit_reach_ip") as xmit, \
            traced("bpf_lwt_*_push_encap", "function_graph") as trace:
        assert run(ip)[0] == 0 and run(seg6)[0] == SEG6_ANSWER and run(xmit)[0] == 0
        assert trace().count("bpf_lwt_in_push_encap") == 2
        assert trace().count("bpf_lwt_xmit_push_encap") == 1


@pytest.mark.needs("KPROBES", "DYNAMIC_FTRACE_WITH_DIRECT_CALLS")
@HELPER_ATTACHMENT
@pytest.mark.parametrize("hook", ["in", "xmit"])
def test_entry_of_helper_cannot_be_probed(hook):
    """A probe of the entry's return would replace the return address that the entry drops."""
    delay = BUILD / "tests/modules/lwtcls_delay_at.ko"
    assert "Invalid" in must_fail(f"insmod {delay} symbol=lwtcls_push_encap_{hook}_entry")


@HELPER_ATTACHMENT
def test_module_reload_while_helper_is_traced(unloaded):
    with program("lwt_in", "lwt_in_reach_ip") as fd, traced("bpf_lwt_in_push_encap"):
        for _ in range(3):
            assert run(fd)[0] == WITHOUT_MODULE
            sh(f"insmod {MODULE}")
            assert run(fd)[0] == 0
            sh("rmmod lwtcls")


@pytest.mark.needs("DYNAMIC_FTRACE_WITH_ARGS")
@HELPER_ATTACHMENT
def test_module_loads_if_ftrace_attach_fails(unloaded):
    sh(f"insmod {TRACER}")
    before = len(kernel_log())
    sh(f"insmod {MODULE}")
    instead = "the kernel's own code pushes headers" if OWN else "programs cannot push headers"
    assert module_log_since(before) == [f"lwtcls: {instead}: cannot attach to bpf_lwt_push_encap() "
                                        "through ftrace (error -16)"]
    # The other function could be attached, but the helper must not work on one hook only.
    with program("lwt_in", "lwt_in_reach_ip") as fd:
        assert run(fd)[0] == WITHOUT_MODULE
    eventually(lambda: sh("rmmod lwtcls", check=False).returncode == 0)
    sh("rmmod lwtcls_tracer")


@pytest.mark.needs("KPROBES")
@RUNS_XMIT
@HELPER_ATTACHMENT
def test_rmmod_waits_until_ftrace_detaches(unloaded):
    with program("lwt_xmit", "lwt_xmit_reach_ip") as fd:
        sh(f"insmod {MODULE} && insmod {STUCK}")
        before = len(kernel_log())
        leaving = subprocess.Popen(["rmmod", "lwtcls"])
        try:
            refused_so_often = pathlib.Path("/sys/module/lwtcls_stuck/parameters/refused")
            eventually(lambda: int(refused_so_often.read_text()) >= 2)
            # The function still calls the module.
            assert leaving.poll() is None and module_loaded()
            assert run(fd)[0] == 0
        finally:
            sh("rmmod lwtcls_stuck")
            assert leaving.wait(60) == 0
        assert not module_loaded() and run(fd)[0] == WITHOUT_MODULE
    assert module_log_since(before) == [
        "lwtcls: ftrace does not detach from bpf_lwt_in_push_encap() "
        "(error -19): the module stays until it does"]


@pytest.mark.needs("DYNAMIC_FTRACE_WITH_ARGS")
@RUNS_XMIT
@HELPER_ATTACHMENT
def test_other_ipmodify_user_is_refused():
    assert "Device or resource busy" in must_fail(f"insmod {TRACER}")
    with program("lwt_xmit", "lwt_xmit_reach_ip") as fd:
        assert run(fd)[0] == 0


@contextlib.contextmanager
def gre(namespace):
    """A tunnel device in a namespace, for packets from a."""
    sh(f"ip -n {namespace} link add g0 type gre local 10.0.0.2 remote 10.0.0.1 && "
       f"ip -n {namespace} link set g0 up")
    try:
        yield
    finally:
        sh(f"ip -n {namespace} link del g0")


@pytest.mark.parametrize("family", [4, 6])
def test_sample_sends_through_gre_tunnel(wires, family):
    # The route of the outer packet differs from that of the inner packet.
    via = "dev va" if family == 4 else "via fd00::2 dev va"
    with gre("b"), wires.temporary_routes(
            "a", family, f"route add {wires.FIRST[family]} encap bpf xmit obj lwt_xmit_gre.o "
                         f"section lwt_xmit headroom 24 {via}"), Sender("a", family) as sender:
        for size in (1, 1000):
            assert sender.send(wires.FIRST[family], b"x" * size) == 0
            assert wires.receive_all("b", family) == [b"x" * size]
        counters = json.loads(sh("ip -n b -j -s link show g0"))[0]["stats64"]["rx"]
        assert counters["packets"] == 2


@pytest.mark.beyond_c(
    "pushing on xmit for a packet whose route the program replaced by one without device",
    run=False)
def test_route_without_device_is_refused(wires):
    first = wires.FIRST[4]
    with wires.temporary_routes(
            "a", 4, f"route add {first} encap bpf xmit obj lwt_xmit_no_dev.o "
                    f"section lwt_xmit {wires.VIA['b'][4]}"), Sender("a", 4) as sender:
        sender.send(first)
        maps = [m for m in json.loads(sh("bpftool -j map show")) if m.get("name") == "answers"]
        values = json.loads(sh(f"bpftool -j map dump id {maps[0]['id']}"))
        assert values[0]["formatted"]["value"] == -errno.EINVAL
    assert wires.namespaces_reached(4) == ""


class Running(threading.Thread):
    """Calls the helper continuously, from programs that no route refers to."""

    def __init__(self, fds):
        super().__init__(daemon=True)
        self.fds, self.answers, self.stop = fds, set(), False

    def run(self):
        while not self.stop:
            for fd in self.fds:
                self.answers.add(run(fd, repeat=20)[0])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop = True
        self.join()


@RUNS_XMIT
@HELPER_ATTACHMENT
def test_module_reload_under_traffic(unloaded, wires):
    first, index = wires.FIRST[4], int(sh("ip netns exec a cat /sys/class/net/va/ifindex"))
    # Taking over the kernel's slot, and restoring it, waits for RCU-tasks grace periods.
    rounds = iterations(20 if OWN else 100)
    with program("lwt_in", "lwt_in_reach_ip") as ingress, \
            program("lwt_xmit", "lwt_xmit_reach_ip") as egress, \
            program("lwt_xmit", "lwt_xmit_ok") as passes, \
            Running([ingress, egress]) as running, Sender("a", 4) as sender:
        encap = nl.attr(nl.LWT_XMIT, nl.attr(nl.PROG_FD, passes) + nl.attr(nl.PROG_NAME, "n"))
        for number in range(rounds):
            assert load_module(MODULE) == 0
            assert nl.add_route(4, index, encap) == (0, "")
            assert sender.send(first, b"%d" % number) == 0
            assert nl.request("a", nl.RTM_DELROUTE, 0, nl.service_route_request(4))[0] == 0
            unload_module(MODULE.stem)
        assert wires.receive_all("b", 4) == [b"%d" % number for number in range(rounds)]
        assert {0, WITHOUT_MODULE} == running.answers


def test_route_changes_under_traffic(wires):
    first, server = wires.FIRST[4], wires.servers["b", 4]
    index = int(sh("ip netns exec a cat /sys/class/net/va/ifindex"))
    stop = threading.Event()

    def traffic(sock):
        # No socket has the port, and at times there is no route.
        while not stop.is_set():
            with contextlib.suppress(OSError):
                sock.sendto(b"background", (first, PORT + 1))

    with gre("b"), program("lwt_xmit", "lwt_xmit_gre") as pushes, \
            program("lwt_xmit", "lwt_xmit_ok") as passes, Sender("a", 4) as sender, \
            make_socket("a", 4) as background:
        thread = threading.Thread(target=traffic, args=(background,), daemon=True)
        thread.start()
        try:
            for number in range(iterations(1000)):
                for verb, fd in (("add", pushes), ("replace", passes)):
                    encap = nl.attr(nl.LWT_XMIT,
                                    nl.attr(nl.PROG_FD, fd) + nl.attr(nl.PROG_NAME, verb))
                    assert nl.add_route(4, index, encap) == (0, "")
                    data = f"{verb} {number}".encode()
                    assert sender.send(first, data) == 0
                    assert server.recv(100) == data
                assert nl.request("a", nl.RTM_DELROUTE, 0, nl.service_route_request(4))[0] == 0
        finally:
            stop.set()
            thread.join()
