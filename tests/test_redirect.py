# SPDX-License-Identifier: GPL-2.0-only
"""BPF_REDIRECT: a program redirects its packet to egress or ingress of a device."""

import itertools
import json
import re
import socket

import pytest
from conftest import MODULE, batch, eventually, kernel_log, sh
from journal import JOURNAL
from sides import SIDE
from sockets import sysctl
from wires import Sender, Tun, echo

FAMILIES = pytest.mark.parametrize("family", [4, 6])
# Redirects to the device whose ifindex is the packet's mark.
TO_MARK = "encap bpf xmit obj lwt_xmit_to_mark.o section lwt_xmit"
# Bits of the mark: redirect to ingress; the program writes a MAC header.
INGRESS, HEADER = 0x10000, 0x20000
MAC_HEADER = bytes.fromhex("020000000077 020000000078")
PROTOCOL = {4: b"\x08\x00", 6: b"\x86\xdd"}
LOOP = {"rust": "lwtcls: a packet is redirected in a loop",
        "c": "bpf: recursion limit reached on datapath"}
WARNING = {"rust": "lwtcls: .* which only xmit can", "c": "Illegal redirect return code in prog"}
NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def fixture_numbers(monkeypatch):
    """Numbers packets from 0 in each scenario, so that both sides have the same numbers although
    one of them leaves scenarios out."""
    monkeypatch.setitem(globals(), "NUMBERS", itertools.count())


@pytest.fixture(name="tun")
def fixture_tun():
    """A device in a without a MAC header."""
    with Tun("a", "tun0") as made:
        yield made


@pytest.fixture(name="tap")
def fixture_tap():
    """A device in a with a MAC header."""
    with Tun("a", "tap0") as made:
        yield made


def redirected(wires, family, *lines, encap=TO_MARK):
    """Gives a a route to THIRD whose program redirects."""
    return wires.temporary_routes(
        "a", family, f"route add {wires.THIRD[family]} {encap} {wires.VIA['b'][family]}", *lines)


def send(wires, family, mark, namespace="a"):
    """Sends one packet to THIRD; returns its data. The sender gets no error, whatever happens."""
    data = f"packet {next(NUMBERS)}".encode()
    with Sender(namespace, family, mark) as sender:
        assert sender.send(wires.THIRD[family], data) == 0
        assert sender.pending() == 0
    return data


def is_only_packet(wires, family, found, data):
    """Returns whether this is the only packet found, and begins at its network header."""
    header, address = {4: (20, socket.AF_INET), 6: (40, socket.AF_INET6)}[family]
    return (len(found) == 1 and len(found[0]) == header + 8 + len(data)
            and found[0][0] >> 4 == family
            and found[0][header - (4 if family == 4 else 16):header]
            == socket.inet_pton(address, wires.THIRD[family]))


def counter(name, direction, what):
    """Returns a counter of a device in a."""
    return json.loads(sh(f"ip -n a -s -j link show {name}"))[0]["stats64"][direction][what]


def index(name):
    """Returns the ifindex of a device in a."""
    return json.loads(sh(f"ip -n a -j link show {name}"))[0]["ifindex"]


@FAMILIES
def test_device_without_mac_header_sends_packet(wires, tun, family):
    with redirected(wires, family):
        data = send(wires, family, tun.index)
        assert is_only_packet(wires, family, tun.sent(data), data)
        # The MAC header that the program writes is removed.
        data = send(wires, family, tun.index | HEADER)
        assert is_only_packet(wires, family, tun.sent(data), data)


@FAMILIES
def test_device_with_mac_header_needs_mac_header(wires, tap, family):
    with redirected(wires, family):
        data = send(wires, family, tap.index | HEADER)
        found = tap.sent(data)
        assert [each[:14] for each in found] == [MAC_HEADER + PROTOCOL[family]]
        assert is_only_packet(wires, family, [found[0][14:]], data)
        assert tap.sent(send(wires, family, tap.index)) == []


@FAMILIES
def test_device_counts_only_packets_with_mac_header(wires, family):
    batch("-n a", "link add d0 type dummy")
    # Without IPv6, nothing else sends packets on the device.
    sysctl("a", "ipv6/conf/d0/disable_ipv6", 1)
    batch("-n a", "link set d0 up")
    try:
        with redirected(wires, family):
            number = index("d0")
            data = send(wires, family, number | HEADER)
            header = 14 + (20 if family == 4 else 40) + 8
            assert counter("d0", "tx", "packets") == 1
            assert counter("d0", "tx", "bytes") == header + len(data)
            # Without a MAC header the packet reaches the device neither on egress nor on ingress.
            send(wires, family, number)
            send(wires, family, number | INGRESS)
            assert counter("d0", "tx", "packets") == 1
            assert counter("d0", "tx", "dropped") == counter("d0", "rx", "dropped") == 0
    finally:
        batch("-n a", "link del d0")


@FAMILIES
@pytest.mark.parametrize("kind", ["tun", "tap"])
def test_device_receives_the_packet(wires, kind, family):
    third = wires.THIRD[family]
    with Tun("a", f"{kind}0") as dev, \
            redirected(wires, family,
                       f"rule add pref 10 iif {dev.name} lookup 102",
                       f"route add local {third} dev lo table 102"):
        # The packet has a local source address.
        sysctl("a", f"ipv4/conf/{dev.name}/accept_local", 1)
        data = send(wires, family, dev.index | INGRESS | HEADER)
        assert is_only_packet(wires, family, dev.received(data), data)
        assert wires.receive_all("a", family) == [data]
        data = send(wires, family, dev.index | INGRESS)
        # A packet without a MAC header is not received on a device that has one.
        if kind == "tun":
            assert is_only_packet(wires, family, dev.received(data), data)
        assert wires.receive_all("a", family) == ([data] if kind == "tun" else [])
        assert dev.received(data) == []
        assert dev.sent(data) == []


@FAMILIES
def test_redirect_to_tunnel_and_veth(wires, family):
    third = wires.THIRD[family]
    ends = {"a": "local 10.9.0.1 remote 10.9.0.2", "c": "local 10.9.0.2 remote 10.9.0.1"}
    for name, end in ends.items():
        batch(f"-n {name}", f"link add t1 type {'ipip' if family == 4 else 'sit'} {end}",
              "link set t1 up")
    batch("-n a", "link add pa type veth peer name pc netns c", "link set pa up")
    batch("-n c", f"link set pc address {Tun.ADDRESS}", "link set pc up")
    try:
        with redirected(wires, family), \
                wires.temporary_routes("c", family, f"route add local {third} dev lo table local"):
            data = send(wires, family, index("t1"))
            assert wires.receive_all("c", family) == [data]
            assert counter("t1", "tx", "packets") == 1
            data = send(wires, family, index("pa") | HEADER)
            assert wires.receive_all("c", family) == [data]
            # A TCP connection: its packets are GSO, and TCP keeps them until they are acknowledged.
            assert echo(family, "a", "c", third, mark=index("pa") | HEADER) == 300000
    finally:
        batch("-n a", "link del t1", "link del pa")
        batch("-n c", "link del t1")


@pytest.mark.needs("NET_CLS_ACT")
@FAMILIES
def test_forwarded_packet_is_redirected(wires, tun, tap, family):
    gateway = {4: "via 10.0.0.1", 6: "via fd00::1"}[family]
    # Packets received on the tap must not be forwarded again.
    with redirected(wires, family, "rule add pref 10 iif tap0 blackhole"), \
            wires.temporary_routes("b", family, f"route add {wires.THIRD[family]} {gateway}"):
        wires.tc("qdisc add dev va clsact")
        try:
            for dev, how in ((tun, 0), (tap, HEADER), (tap, HEADER | INGRESS)):
                wires.tc("filter del dev va ingress")
                wires.tc("filter add dev va ingress matchall "
                         f"action skbedit mark {dev.index | how}")
                data = send(wires, family, 0, "b")
                found = dev.received(data) if how & INGRESS else dev.sent(data)
                link = 14 if how == HEADER else 0
                assert is_only_packet(wires, family, [each[link:] for each in found], data)
        finally:
            wires.tc("qdisc del dev va clsact")


@pytest.mark.needs("NET_CLS_ACT")
@FAMILIES
@pytest.mark.beyond_c(
    "`BPF_REDIRECT` on xmit after a `bpf_redirect_neigh()` that a tc program did not use",
    # On the C code the result depends on what else the softirq has done.
    run=False)
def test_stale_redirect_neigh_state_is_ignored(wires, tun, family):
    gateway = {4: "via 10.0.0.1", 6: "via fd00::1"}[family]
    redirects = "encap bpf xmit obj lwt_xmit_redirect.o section lwt_xmit"
    with redirected(wires, family, encap=redirects), \
            wires.temporary_routes("b", family, f"route add {wires.THIRD[family]} {gateway}"):
        wires.tc("qdisc add dev va clsact")
        try:
            wires.tc("filter add dev va ingress prio 1 matchall "
                     f"action skbedit mark {tun.index} continue")
            wires.tc("filter add dev va ingress prio 2 bpf da obj tc_neigh_unused.o sec tc")
            data = send(wires, family, 0, "b")
            assert tun.sent(data) == []
        finally:
            wires.tc("qdisc del dev va clsact")


@FAMILIES
def test_redirect_to_missing_or_down_device_drops(wires, tun, family):
    with redirected(wires, family):
        for mark in (9999, 9999 | HEADER, 9999 | INGRESS):
            send(wires, family, mark)
        batch("-n a", "link set tun0 down")
        refused = counter("tun0", "rx", "dropped")
        seen = [send(wires, family, tun.index | how) for how in (0, INGRESS)]
        # A device that is down counts a packet that is redirected to its ingress.
        assert counter("tun0", "rx", "dropped") == refused + 1
        batch("-n a", "link set tun0 up")
        assert [tun.sent(data) + tun.received(data) for data in seen] == [[], []]
        assert wires.namespaces_reached(family) == ""


@FAMILIES
def test_redirect_without_target_drops(wires, tun, family):
    with redirected(wires, family):
        send(wires, family, tun.index)
    # The redirection of the previous packet is not used again.
    with redirected(wires, family, encap="encap bpf xmit obj lwt_xmit_redirect.o section lwt_xmit"):
        data = send(wires, family, tun.index)
        assert tun.sent(data) == []
        assert wires.namespaces_reached(family) == ""


@FAMILIES
def test_ingress_redirect_loop_ends_by_ttl(wires, tun, family):
    data = b"around"
    with redirected(wires, family), Sender("a", family, tun.index | INGRESS) as sender:
        sysctl("a", "ipv4/conf/tun0/accept_local", 1)
        sender.option(socket.IP_TTL, socket.IPV6_UNICAST_HOPS, 6)
        assert sender.send(wires.THIRD[family], data) == 0
        at = {4: 8, 6: 7}[family]
        assert [found[at] for found in tun.received(data)] == [6, 5, 4, 3, 2, 1]


@FAMILIES
def test_redirect_recursion_limit(wires, tun, family):
    late = "encap bpf xmit obj lwt_xmit_late.o section lwt_xmit"
    with redirected(wires, family, encap=late), Sender("a", family, tun.index) as sender:
        for priority, told in ((1, "arrives"), (0, "is dropped")):
            sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, priority)
            assert sender.send(wires.THIRD[family], told.encode()) == 0
        assert len(tun.sent(b"arrives")) == 1
        assert tun.sent(b"is dropped") == []


@FAMILIES
@pytest.mark.beyond_c("packet that is redirected in a loop")
def test_redirect_loop_is_logged_once(wires, tun, family):
    reload_module()
    late, earlier = "encap bpf xmit obj lwt_xmit_late.o section lwt_xmit", warnings(LOOP)
    with redirected(wires, family, encap=late):
        for _ in range(3):
            send(wires, family, tun.index)
    assert len(warnings(LOOP)) == len(earlier) + 1


@FAMILIES
def test_redirect_of_tunnel_packets_into_tunnel_terminates(wires, family):
    kind, local = {4: ("ipip", "10.0.0.1"), 6: ("ip6tnl mode any encaplimit none", "fd00::1")}[
        family]
    # The tunnel's remote address is the destination of the route with the program.
    batch("-n a", f"link add t1 type {kind} local {local} remote {wires.THIRD[family]}",
          "link set t1 up")
    try:
        with redirected(wires, family):
            number = index("t1")
            for _ in range(10):
                send(wires, family, number)
            assert wires.namespaces_reached(family) == ""
            # No packet gets through, and others still do.
            assert wires.ping(family, wires.gateway(family))
    finally:
        batch("-n a", "link del t1")


def warnings(of):
    """Returns the lines of the kernel log that begin with this side's message."""
    return [line for line in kernel_log() if re.match(of[SIDE], line)]


def reload_module():
    """Reloads lwtcls, which logs a message once per load. The C code logs it once per boot."""
    if SIDE == "rust":
        with JOURNAL.quiet():
            eventually(lambda: sh(f"rmmod {MODULE.stem}", check=False).returncode == 0)
            sh(f"insmod {MODULE}")


@FAMILIES
@pytest.mark.parametrize("hook", ["in", "out"])
def test_redirect_on_in_and_out_is_ignored_and_logged_once(wires, family, hook):
    third = wires.THIRD[family]
    encap = f"encap bpf {hook} obj lwt_{hook}_redirect.o section lwt_{hook}"
    here, there = (encap, "") if hook == "out" else ("", encap)
    reload_module()
    earlier = warnings(WARNING)
    with wires.temporary_routes(
            "a", family, f"route add {third} {here} {wires.VIA['c'][family]}"), \
            wires.temporary_routes(
                "c", family, f"route add local {third} {there} dev lo table local"):
        data = [send(wires, family, 0) for _ in range(2)]
        assert wires.receive_all("c", family) == data
    said = warnings(WARNING)
    if SIDE == "rust":
        assert len(said) == len(earlier) + 1
        assert f"lwt_{hook}_redirect.o:[lwt_{hook}]" in said[-1]
    else:
        assert len(said) == 1
