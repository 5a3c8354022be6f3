# SPDX-License-Identifier: GPL-2.0-only
"""Programs that redirect to peers and neighbours, clone, assign sockets and tail-call
(tests/bpf/tc_helpers.c)."""

import contextlib
import errno
import itertools
import os
import socket
import struct
from typing import NamedTuple

import nl
import pytest
from bpf_syscall import bpf
from conftest import batch, sh
from journal import JOURNAL, recorded
from pins import Pins
from sockets import make_socket
from wires import PORT, Sender, Tun

FAMILIES = pytest.mark.parametrize("family", [4, 6])
HOOKS = {"ingress": nl.TC_H_CLSACT_INGRESS, "egress": nl.TC_H_CLSACT_EGRESS}
BOTH = pytest.mark.parametrize("hook", HOOKS)
BPF_LINK_CREATE = 28
TCX = {"ingress": 46, "egress": 47}
TCX_NEXT, TCX_PASS, TCX_DROP = -1, 0, 2
BPF_F_INGRESS = 1
HOME = {4: "10.0.0.1", 6: "fd00::1"}
NEXTHOP = {4: "10.9.0.2", 6: "fd09::2"}
# Another address that no namespace has unless a scenario adds it.
FOURTH = {4: "10.5.0.1", 6: "fd05::1"}
DOMAIN = {4: socket.AF_INET, 6: socket.AF_INET6}


class Args(NamedTuple):
    """Arguments and results of the programs. C: struct args in tests/bpf/tc_helpers.c."""

    number: int = 0
    flags: int = 0
    nexthop: bytes = bytes(16)
    family: int = 0
    runs: int = 0
    answer: int = 0


class TcHelpers:
    """The programs, and their map of arguments and results."""

    LAYOUT = "=II16sIIq"

    def __init__(self, wires, pins):
        self.wires, self.pins, self.numbers = wires, pins, itertools.count()

    def set_args(self, number=0, flags=0, nexthop=bytes(16), family=0):
        """Sets the arguments of the programs."""
        args = Args(number & 0xFFFFFFFF, flags, nexthop.ljust(16, b"\0"), family)
        self.pins.update("args", struct.pack(self.LAYOUT, *args))

    @recorded
    def results(self):
        """Returns `runs` and `answer`, as the programs have left them."""
        args = Args(*self.pins.lookup("args", self.LAYOUT))
        return args.runs, args.answer

    def filter(self, hook, name, **fields):
        """Adds a filter with one of the programs to a hook of va."""
        self.pins.filter(index("va"), HOOKS[hook], name, **fields)

    def send(self, namespace, family, address, size=20, told=0):
        """Sends one packet, and returns its data."""
        data = f"packet {next(self.numbers)} ".encode().ljust(size, b"x")
        with Sender(namespace, family) as sender:
            assert sender.send(address, data) == told
        return data

    def send_through(self, hook, family):
        """Sends a packet to THIRD that passes the hook: from b, for a to forward, or from a."""
        return self.send("b" if hook == "ingress" else "a", family, self.wires.THIRD[family])


@pytest.fixture(scope="module", name="pins")
def fixture_pins():
    """The programs, loaded once."""
    with Pins("tc_helpers") as made:
        yield made


@pytest.fixture(scope="module", name="third")
def fixture_third(wires):
    """c has the address THIRD; a routes it through b, and b through a."""
    with contextlib.ExitStack() as stack:
        for family, third in wires.THIRD.items():
            for namespace, line in (("c", f"route add local {third} dev lo table local"),
                                    ("b", f"route add {third} via {HOME[family]}"),
                                    ("a", f"route add {third} {wires.VIA['b'][family]}")):
                stack.enter_context(wires.temporary_routes(namespace, family, line))
        yield


@pytest.fixture(name="helpers")
def fixture_helpers(wires, pins, third):
    """The programs and the network, with clsact on va."""
    wires.tc("qdisc add dev va clsact")
    yield TcHelpers(wires, pins)
    wires.tc("qdisc del dev va clsact")


def index(device, namespace="a"):
    """Returns the index of a device."""
    with nl.inside(namespace):
        return socket.if_nametoindex(device)


@pytest.mark.needs("NET_CLS_ACT")
@FAMILIES
@pytest.mark.parametrize("kind", ["veth", "netkit"])
def test_redirect_peer(helpers, kind, family):
    wires, name = helpers.wires, "wa"
    if kind == "netkit":
        name = "nk0"
        batch("-n a", "link add nk0 type netkit mode l2 peer name nk1 netns c", "link set nk0 up")
        batch("-n c", "link set nk1 up")
    try:
        helpers.filter("ingress", "peer")
        helpers.set_args(index(name))
        before = received("c", "wc" if kind == "veth" else "nk1")
        data = helpers.send_through("ingress", family)
        # The peer counts it as received; it may also have received packets of IPv6 itself.
        assert received("c", "wc" if kind == "veth" else "nk1") > before
        assert helpers.results() == (1, 0)
        assert wires.receive_all("c", family) == [data]
    finally:
        if kind == "netkit":
            batch("-n a", "link del nk0")


def received(namespace, device):
    """Returns how many packets a device has received."""
    with nl.inside(namespace), open("/proc/net/dev", encoding="ascii") as lines:
        found = {name.strip(): numbers.split() for name, _, numbers in
                 (line.partition(":") for line in lines)}
    return int(found[device][1])


@pytest.mark.needs("NET_CLS_ACT")
@FAMILIES
def test_redirect_peer_without_peer_drops(helpers, family):
    helpers.filter("ingress", "peer")
    with Tun("a", "tap0") as tap:
        for number in (tap.index, 9999):
            helpers.set_args(number)
            helpers.send_through("ingress", family)
            assert helpers.results() == (1, 0)
        # On egress no peer would receive it.
        helpers.wires.tc("filter del dev va ingress")
        helpers.filter("egress", "peer")
        helpers.set_args(index("wa"))
        helpers.send_through("egress", family)
        assert helpers.results() == (1, 0)
        assert helpers.wires.namespaces_reached(family) == ""


@pytest.mark.needs("NET_CLS_ACT")
@BOTH
@FAMILIES
def test_redirect_neigh_uses_fib_nexthop(helpers, hook, family):
    third = helpers.wires.THIRD[family]
    way = helpers.wires.VIA["c"][family]
    helpers.filter(hook, "neigh")
    helpers.set_args(index("wa"))
    # The lookup is bound to the device, so the other route does not match.
    with helpers.wires.temporary_routes("a", family, f"route add {third} {way} table 100",
                                        "rule add pref 50 oif wa lookup 100"):
        data = helpers.send_through(hook, family)
        assert helpers.results() == (1, 0)
        assert helpers.wires.receive_all("c", family) == [data]
    helpers.set_args(9999)
    helpers.send_through(hook, family)
    assert helpers.results() == (1, 0)
    assert helpers.wires.namespaces_reached(family) == ""


@pytest.mark.needs("NET_CLS_ACT")
@BOTH
@FAMILIES
@pytest.mark.parametrize("of", [4, 6])
def test_redirect_neigh_uses_given_nexthop(helpers, hook, family, of):
    helpers.filter(hook, "neigh")
    helpers.set_args(index("wa"), family=DOMAIN[of],
                     nexthop=socket.inet_pton(DOMAIN[of], NEXTHOP[of]))
    data = helpers.send_through(hook, family)
    assert helpers.results() == (1, 0)
    # An IPv6 packet cannot use an IPv4 neighbour.
    arrives = not (family == 6 and of == 4)
    assert helpers.wires.receive_all("c", family) == [data] * arrives


@recorded
def count_received(tap, data):
    """Returns how many packets with these data the device has received, for any destination."""
    found = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            packet, where = tap.tap.recvfrom(65536)
            found += packet.endswith(data) and where[2] != socket.PACKET_OUTGOING
    return found


@pytest.mark.needs("NET_CLS_ACT")
@BOTH
@FAMILIES
def test_clone_redirect(helpers, hook, family):
    helpers.filter(hook, "clone")
    address, target = (HOME, "a") if hook == "ingress" else (
        {4: "10.0.0.2", 6: "fd00::2"}, "b")
    with Tun("a", "tap0") as tap:
        for number, flags, answer in ((tap.index, 0, 0), (tap.index, BPF_F_INGRESS, 0),
                                      (9999, 0, -errno.EINVAL), (tap.index, 8, -errno.EINVAL)):
            helpers.set_args(number, flags)
            data = helpers.send("b" if target == "a" else "a", family, address[family])
            assert (len(tap.sent(data)), count_received(tap, data)) == (
                answer == flags == 0, answer == 0 and flags == BPF_F_INGRESS)
            assert helpers.results() == (1, answer)
            assert helpers.wires.receive_all(target, family) == [data]


@pytest.mark.needs("NET_CLS_ACT")
@FAMILIES
def test_sk_assign(helpers, family):
    helpers.filter("ingress", "assign")
    with make_socket("a", family) as chosen:
        chosen.bind(("" if family == 4 else "::", PORT + 100))
        helpers.set_args(PORT + 100)
        data = helpers.send("b", family, HOME[family])
        assert chosen.recv(100) == data
        assert helpers.results() == (1, 0)
        assert helpers.wires.receive_all("a", family) == []
        # Without a socket, or with flags, the packet goes to its destination.
        for number, flags, answer in ((PORT + 200, 0, -12 if family == 4 else -36),
                                      (PORT + 100, 1, -errno.EINVAL)):
            helpers.set_args(number, flags)
            data = helpers.send("b", family, HOME[family])
            assert helpers.wires.receive_all("a", family) == [data]
            assert helpers.results() == (1, answer)


@pytest.mark.needs("NET_CLS_ACT")
@FAMILIES
def test_sk_assign_with_other_destination_address(helpers, family):
    third, wires = FOURTH[family], helpers.wires
    helpers.filter("ingress", "assign")
    with make_socket("a", family) as chosen, \
            wires.temporary_routes("b", family, f"route add {third} via {HOME[family]}"), \
            wires.temporary_routes("a", family, f"route add local {third} dev lo table local"):
        chosen.bind(("" if family == 4 else "::", PORT + 100))
        helpers.set_args(PORT + 100)
        data = helpers.send("b", family, third)
        assert chosen.recv(100) == data


@pytest.mark.needs("NET_CLS_ACT")
@FAMILIES
def test_sk_assign_on_egress_fails(helpers, family):
    helpers.filter("egress", "assign")
    with make_socket("a", family) as other:
        other.bind(("" if family == 4 else "::", PORT + 100))
        helpers.set_args(PORT + 100)
        data = helpers.send("a", family, {4: "10.0.0.2", 6: "fd00::2"}[family])
        assert helpers.results() == (1, -errno.EOPNOTSUPP)
        assert helpers.wires.receive_all("b", family) == [data]


class Link:
    """A tcx program on va, attached until it is closed."""

    def __init__(self, fd, hook):
        with nl.inside("a"):
            self.fd, _ = bpf(BPF_LINK_CREATE, "=IIIIII20x", fd, socket.if_nametoindex("va"),
                             TCX[hook], 0, 0, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)


@pytest.mark.needs("NET_CLS_ACT")
@BOTH
@FAMILIES
def test_tcx_program_runs_before_filters(helpers, hook, family):
    wires = helpers.wires
    source, target, address = ("b", "a", HOME[family]) if hook == "ingress" else (
        "a", "b", {4: "10.0.0.2", 6: "fd00::2"}[family])
    helpers.filter(hook, "after")
    with Link(helpers.pins.fds["first"], hook):
        # `runs` counts the tcx program in its lower half and the filter in its upper half. The tcx
        # program sets the mark.
        for verdict, runs, mark, arrives in ((TCX_NEXT, 0x10001, 7, True), (TCX_PASS, 1, 0, True),
                                             (TCX_DROP, 1, 0, False)):
            helpers.set_args(verdict)
            data = helpers.send(source, family, address,
                                told=0 if arrives or hook == "ingress" else errno.ENOBUFS)
            assert helpers.results() == (runs, mark)
            assert wires.receive_all(target, family) == [data] * arrives
    helpers.set_args(TCX_DROP)
    data = helpers.send(source, family, address)
    assert helpers.results() == (0x10000, 0)
    assert wires.receive_all(target, family) == [data]


@pytest.mark.needs("NET_CLS_ACT")
@BOTH
def test_tcx_program_of_bpftool_and_filter_both_run(helpers, hook):
    helpers.filter(hook, "after")
    pinned = f"{helpers.pins.where}/first"
    sh(f"ip netns exec a bpftool net attach tcx_{hook} pinned {pinned} dev va")
    try:
        helpers.set_args(TCX_NEXT)
        source, target, address = ("b", "a", HOME[4]) if hook == "ingress" else (
            "a", "b", "10.0.0.2")
        data = helpers.send(source, 4, address)
        assert helpers.results() == (0x10001, 7)
        assert helpers.wires.receive_all(target, 4) == [data]
        with JOURNAL.quiet():
            shown = sh("ip netns exec a bpftool net show dev va")
        assert f"tcx/{hook} first" in shown
    finally:
        sh(f"ip netns exec a bpftool net detach tcx_{hook} dev va")


# The program to call, whether the caller passes a word in skb->cb, and whether the packet passes.
# No program has the number 2 or 99, so the tail call fails and the caller continues.
CALLS = [(0, 1, False), (1, 1, True), (1, 0, False), (2, 1, True), (2, 0, False), (99, 1, True)]


@pytest.mark.needs("NET_CLS_ACT")
@BOTH
@FAMILIES
def test_tail_call_from_filter(helpers, hook, family):
    helpers.filter(hook, "tc_call")
    for number, word, passes in CALLS:
        helpers.set_args(number, word)
        assert bool(helpers.wires.ping(family, helpers.wires.gateway(family), wait=0.4)) == passes
        assert helpers.results()[0] > 0


@FAMILIES
@pytest.mark.parametrize("hook", ["in", "out", "xmit"])
def test_tail_call_from_program_of_route(wires, pins, hook, family):
    helpers, third = TcHelpers(wires, pins), FOURTH[family]
    encap = pins.encap(hook, f"{hook}_call")
    here, there = ("", encap) if hook == "in" else (encap, "")
    with wires.temporary_routes(
            "c", family, f"route add local {third} {there} dev lo table local"), \
            wires.temporary_routes(
                "a", family, f"route add {third} {here} {wires.VIA['c'][family]}"):
        for number, word, passes in CALLS:
            helpers.set_args(number, word)
            with Sender("a", family) as sender:
                data = f"packet {number} {word}".encode()
                told = sender.send(third, data)
            assert told == (errno.EPERM if hook != "in" and not passes else 0)
            assert helpers.results() == (1, 0)
            assert wires.receive_all("c", family) == [data] * passes


@FAMILIES
@pytest.mark.beyond_c("tunnel key set on xmit, then rerouted, for a forwarded packet", run=False)
def test_forwarded_packet_with_a_tunnel_key_is_rerouted(wires, pins, family):
    third = FOURTH[family]
    with wires.temporary_routes("c", family, f"route add local {third} dev lo table local"), \
            wires.temporary_routes("b", family, f"route add {third} via {HOME[family]}"), \
            wires.temporary_routes("a", family,
                                   f"route add {third} {pins.encap('xmit', 'key_and_reroute')} "
                                   f"{wires.VIA['b'][family]}",
                                   f"route add {third} {wires.VIA['c'][family]} table 100",
                                   "rule add pref 50 fwmark 7 lookup 100"):
        data = TcHelpers(wires, pins).send("b", family, third)
        assert wires.receive_all("c", family) == [data]


@FAMILIES
def test_local_packet_with_a_tunnel_key_is_rerouted(wires, pins, family):
    third = FOURTH[family]
    with wires.temporary_routes("c", family, f"route add local {third} dev lo table local"), \
            wires.temporary_routes("a", family,
                                   f"route add {third} {pins.encap('xmit', 'key_and_reroute')} "
                                   f"{wires.VIA['b'][family]}",
                                   f"route add {third} {wires.VIA['c'][family]} table 100",
                                   "rule add pref 50 fwmark 7 lookup 100"):
        data = TcHelpers(wires, pins).send("a", family, third)
        assert wires.receive_all("c", family) == [data]
