# SPDX-License-Identifier: GPL-2.0-only
"""Filters on, routes through, and redirection to common kinds of devices."""

import itertools
import socket

import nl
import pytest
from conftest import batch, eventually, programs
from journal import JOURNAL
from test_lwt import counters
from wires import Sender, Tun

FAMILIES = pytest.mark.parametrize("family", [4, 6])
HEADER = 0x20000
PEER = {4: "10.8.0.2", 6: "fd08::2"}
NUMBERS = itertools.count()

# Commands that create a device x0 in a, connected to y0 in c, mostly by the veth pair pa and pc.
PAIR = "link add pa type veth peer name pc netns c"
SAME = ["link set pc name y0"]
KINDS = {
    "veth": ([PAIR, "link set pa name x0"], SAME),
    "vlan": ([PAIR, "link set pa up", "link add link pa name x0 type vlan id 5"],
             ["link set pc up", "link add link pc name y0 type vlan id 5"]),
    # Multicast snooping is off because the bridge would send packets of its own.
    "bridge": ([PAIR, "link add x0 type bridge mcast_snooping 0", "link set pa master x0",
                "link set pa up"], SAME),
    "macvlan": ([PAIR, "link set pa up", "link add link pa name x0 type macvlan mode private"],
                SAME),
    "bond": ([PAIR, "link add x0 type bond mode active-backup", "link set pa master x0"], SAME),
    "netkit": (["link add x0 type netkit mode l2 peer name y0 netns c"], []),
}


@pytest.fixture(scope="module", name="device", params=KINDS)
def fixture_device(wires, request):
    """Creates a device of each kind in turn in a, and its other end in c."""
    kind = request.param
    here, there = KINDS[kind]
    batch("-n a", *here)
    try:
        batch("-n c", *there)
        wires.join("a", "x0", "c", "y0", 8)
        # y0 gets the address that programs write into the MAC header. The change flushes its
        # neighbours, which are added again: otherwise other devices of a would answer for x0.
        batch("-n c", f"link set y0 address {Tun.ADDRESS}",
              *(f"neigh replace {address} lladdr 02:00:00:00:08:01 dev y0"
                for address in ("10.8.0.1", "fd08::1")))
        batch("-n a", *(f"neigh replace {address} lladdr {Tun.ADDRESS} dev x0"
                        for address in PEER.values()))
        eventually(lambda: wires.ping(4, PEER[4]))
        yield kind
    finally:
        batch("-force -n a", "link del x0",
              *([] if kind in ("veth", "netkit") else ["link del pa"]))


def filtered(wires, name):
    """Checks that filters on a device count and drop the packets to c and those from c."""
    wires.tc(f"qdisc add dev {name} clsact")
    try:
        for hook in ("ingress", "egress"):
            where = f"dev {name} {hook} protocol ip prio 1"
            wires.tc(f"filter add {where} handle 1 bpf da obj tc_count.o sec tc")
            assert wires.ping(4, PEER[4], count=3, size=100) == 3
            assert counters() == [3, 3 * (14 + 20 + 8 + 100)], hook
            wires.tc(f"filter replace {where} handle 1 bpf da obj tc_shot.o sec tc")
            assert wires.dropped(4, address=PEER[4])
            wires.tc(f"filter del {where}")
            assert wires.ping(4, PEER[4])
            eventually(lambda: not programs())
    finally:
        wires.tc(f"qdisc del dev {name} clsact")


@pytest.mark.needs("NET_CLS_ACT")
def test_filters_on_a_device(wires, device):
    filtered(wires, "x0")


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.parametrize("device", ["bridge", "macvlan", "bond"], indirect=True)
def test_filters_on_lower_device(wires, device):
    filtered(wires, "pa")


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.parametrize("device", ["vlan"], indirect=True)
@pytest.mark.parametrize("hook", ["ingress", "egress"])
def test_filters_on_lower_device_see_vlan_tags(wires, device, hook):
    wires.tc("qdisc add dev pa clsact")
    try:
        # The tag is in the skb's metadata, and its protocol is the one that filters match.
        wires.tc(f"filter add dev pa {hook} protocol 802.1q bpf da obj tc_count.o sec tc")
        wires.tc(f"filter add dev pa {hook} protocol ip bpf da obj tc_shot.o sec tc")
        assert wires.ping(4, PEER[4], count=3) == 3
        # Other senders have packets there too.
        with JOURNAL.quiet():
            assert counters()[0] >= 3
        wires.tc(f"filter add dev pa {hook} protocol 802.1q bpf da obj tc_shot.o sec tc")
        assert wires.dropped(4, address=PEER[4])
    finally:
        wires.tc("qdisc del dev pa clsact")


@FAMILIES
def test_packet_is_redirected_to_a_device(wires, device, family):
    third, to_mark = wires.THIRD[family], "encap bpf xmit obj lwt_xmit_to_mark.o section lwt_xmit"
    with nl.inside("a"):
        mark = socket.if_nametoindex("x0") | HEADER
    with wires.temporary_routes("c", family, f"route add local {third} dev lo table local"), \
            wires.temporary_routes(
                "a", family, f"route add {third} {to_mark} {wires.VIA['b'][family]}"), \
            Sender("a", family, mark) as sender:
        for size in (20, 1400):
            data = f"packet {next(NUMBERS)} ".encode().ljust(size, b"x")
            assert sender.send(third, data) == 0
            assert wires.receive_all("c", family) == [data]


@FAMILIES
@pytest.mark.parametrize("hook", ["in", "out", "xmit"])
def test_routes_through_device(wires, device, family, hook):
    third = wires.THIRD[family]
    encap = f"encap bpf {hook} obj lwt_{hook}_count.o section lwt_{hook}"
    here, there = ("", encap) if hook == "in" else (encap, "")
    with wires.temporary_routes(
            "c", family, f"route add local {third} {there} dev lo table local"), \
            wires.temporary_routes(
                "a", family, f"route add {third} {here} via {PEER[family]} dev x0"), \
            Sender("a", family) as sender:
        data = f"packet {next(NUMBERS)}".encode()
        assert sender.send(third, data) == 0
        assert wires.receive_all("c", family) == [data]
        assert counters() == [1, (20 if family == 4 else 40) + 8 + len(data)]
