# SPDX-License-Identifier: GPL-2.0-only
"""BPF_LWT_REROUTE: a program has its packet routed again."""

import errno
import json
import os
import socket

import pytest
from conftest import batch, sh
from headers import packet
from sides import ours
from sockets import (
    IP_MTU_DISCOVER,
    IPV6_MTU_DISCOVER,
    PMTUDISC_DO,
    PMTUDISC_DONT,
    make_socket,
    sysctl,
)
from wires import IP_TRANSPARENT, IPV6_TCLASS, IPV6_TRANSPARENT, Sender, echo, name_of

FAMILIES = pytest.mark.parametrize("family", [4, 6])
# Changes the destination from FIRST to OTHER, and returns BPF_LWT_REROUTE.
OTHER = "encap bpf xmit obj lwt_xmit_other.o section lwt_xmit"
# Sets the mark 7, and returns BPF_LWT_REROUTE.
MARK = "encap bpf xmit obj lwt_xmit_mark.o section lwt_xmit"
MARK_IN = "encap bpf in obj lwt_in_mark.o section lwt_in"
UNREACHABLE = [("unreachable", "EHOSTUNREACH"), ("blackhole", "EINVAL"), ("prohibit", "EACCES")]
# How many programs run on one packet, one inside the other, before the kernel drops it.
NESTED = 9


def runs():
    """Returns how often the counting program has run."""
    maps = [m for m in json.loads(sh("bpftool -j map show")) if m["name"] == "counters"]
    assert len(maps) == 1
    values = json.loads(sh(f"bpftool -j map dump id {maps[0]['id']}"))
    return values[0]["formatted"]["value"]


@FAMILIES
def test_rewritten_packet_is_routed_by_new_destination(wires, family):
    first, other, via = wires.FIRST[family], wires.OTHER[family], wires.VIA
    with wires.temporary_routes("a", family,
                                f"route add {first} {OTHER} {via['b'][family]}",
                                f"route add {other} {via['c'][family]}"), \
            Sender("a", family) as sender:
        for size in (1, 1000):
            assert sender.send(first, b"x" * size) == 0
            assert wires.receive_all("c", family) == [b"x" * size]
        assert wires.receive_all("b", family) == []
        # The program changes UDP only; an echo request keeps its route.
        assert wires.ping(family, first)


@FAMILIES
def test_rules_select_new_route_by_socket_options(wires, family):
    first, other, via = wires.FIRST[family], wires.OTHER[family], wires.VIA
    settings = {
        None: lambda sender: None,
        "fwmark 3": lambda sender: sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 3),
        "dsfield 0x10": lambda sender: sender.setsockopt(
            *((socket.IPPROTO_IP, socket.IP_TOS) if family == 4
              else (socket.IPPROTO_IPV6, IPV6_TCLASS)), 0x10),
        # uidrange compares the owner of the socket's inode.
        "uidrange 1000-1000": lambda sender: os.fchown(sender.fileno(), 1000, -1),
    }
    with wires.temporary_routes("a", family,
                                f"route add {first} {OTHER} {via['b'][family]}",
                                f"route add {other} {via['b'][family]}",
                                f"route add {other} {via['c'][family]} table 100",
                                *(f"rule add pref 50 {rule} lookup 100"
                                  for rule in settings if rule)):
        for rule, apply in settings.items():
            with Sender("a", family) as sender:
                apply(sender.socket)
                assert sender.send(first) == 0
                assert wires.namespaces_reached(family) == ("c" if rule else "b"), rule


@FAMILIES
def test_bound_device_of_socket_selects_new_route(wires, family):
    first, other, via = wires.FIRST[family], wires.OTHER[family], wires.VIA
    with wires.temporary_routes("a", family,
                                f"route add {first} {OTHER} {via['c'][family]}",
                                f"route add {other} {via['b'][family]} metric 10",
                                f"route add {other} {via['c'][family]} metric 20"), \
            Sender("a", family) as sender:
        assert sender.send(first) == 0
        assert wires.namespaces_reached(family) == "b"
        sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wa")
        assert sender.send(first) == 0
        assert wires.namespaces_reached(family) == "c"


@pytest.mark.needs("NET_VRF")
@FAMILIES
def test_reroute_lookup_uses_vrf_of_old_route(wires, family):
    batch("-n a", "link add red type vrf table 50", "link set red up",
          "link add ra type veth peer name rc netns c", "link set ra master red")
    try:
        wires.join("a", "ra", "c", "rc", 8)
        first, other = wires.FIRST[family], wires.OTHER[family]
        red = {4: "via 10.8.0.2 dev ra", 6: "via fd08::2 dev ra"}[family]
        # The main table's route to FIRST has a device of the VRF, and only the VRF's route to OTHER
        # reaches c.
        with wires.temporary_routes("a", family,
                                    f"route add {first} {OTHER} {red}",
                                    f"route add {other} {wires.VIA['b'][family]}",
                                    f"route add {first} {OTHER} {red} table 50",
                                    f"route add {other} {red} table 50"), \
                Sender("a", family) as sender:
            assert sender.send(first) == 0
            assert wires.namespaces_reached(family) == "c"
            sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"red")
            assert sender.send(first) == 0
            assert wires.namespaces_reached(family) == "c"
    finally:
        batch("-n a", "link del ra", "link del red")


@FAMILIES
def test_reroute_with_nonlocal_source(wires, family):
    first, other, via = wires.FIRST[family], wires.OTHER[family], wires.VIA
    source = {4: "192.0.2.7", 6: "2001:db8::7"}[family]
    with wires.temporary_routes("a", family,
                                f"route add {first} {OTHER} {via['b'][family]}",
                                f"route add {other} {via['c'][family]}"), \
            Sender("a", family) as sender:
        sender.option(IP_TRANSPARENT, IPV6_TRANSPARENT, 1)
        sender.socket.bind((source, 0))
        assert sender.send(first) == 0
        assert wires.namespaces_reached(family) == "c"


@FAMILIES
def test_mark_set_by_program_selects_new_route(wires, family):
    first, via = wires.FIRST[family], wires.VIA
    with wires.temporary_routes("a", family,
                                f"route add {first} {MARK} {via['b'][family]}",
                                f"route add {first} {via['c'][family]} table 100",
                                "rule add pref 50 fwmark 7 lookup 100"), \
            Sender("a", family) as sender:
        assert sender.send(first) == 0
        assert wires.namespaces_reached(family) == "c"
        # Each fragment is rerouted by itself.
        assert sender.send(first, b"y" * 5000) == 0
        assert wires.receive_all("c", family) == [b"y" * 5000]
        assert wires.receive_all("b", family) == []


@FAMILIES
def test_connection_takes_the_new_route_in_both_directions(wires, family):
    first, via = wires.FIRST[family], wires.VIA
    # a connects to c, and c to a: a's SYN-ACK belongs to a request socket, not to a full one.
    home = {4: "10.9.0.1", 6: "fd09::1"}[family]
    peer = {4: "10.9.0.2", 6: "fd09::2"}[family]
    with wires.temporary_routes("a", family,
                                f"route add {first} {MARK} {via['b'][family]}",
                                f"route add {peer} {MARK} {via['b'][family]}",
                                f"route add {first} {via['c'][family]} table 100",
                                f"route add {peer} {via['c'][family]} table 100",
                                "rule add pref 50 fwmark 7 lookup 100"):
        for client, server, address in (("a", "c", first), ("c", "a", home)):
            assert echo(family, client, server, address) == 300000


@FAMILIES
def test_new_route_may_be_local(wires, family):
    first, other = wires.FIRST[family], wires.OTHER[family]
    with wires.temporary_routes("a", family,
                                f"route add {first} {OTHER} {wires.VIA['b'][family]}",
                                f"route add local {other} dev lo table local"), \
            Sender("a", family) as sender:
        assert sender.send(first) == 0
        assert wires.namespaces_reached(family) == "a"


@FAMILIES
def test_sender_gets_errno_of_unreachable_new_route(wires, family):
    first, other = wires.FIRST[family], wires.OTHER[family]
    with wires.temporary_routes(
            "a", family, f"route add {first} {OTHER} {wires.VIA['b'][family]}"), \
            Sender("a", family) as sender:
        assert name_of(sender.send(first)) == "ENETUNREACH"
        for kind, told in UNREACHABLE:
            with wires.temporary_routes("a", family, f"route add {kind} {other}"):
                assert name_of(sender.send(first)) == told
        # Repeated failures exhaust nothing.
        for _ in range(100):
            assert sender.send(first) == errno.ENETUNREACH
        assert wires.namespaces_reached(family) == ""


@FAMILIES
def test_xmit_reroute_loop_terminates(wires, family):
    again = "encap bpf xmit obj lwt_xmit_again.o section lwt_xmit"
    first = wires.FIRST[family]
    with wires.temporary_routes(
            "a", family, f"route add {first} {again} {wires.VIA['b'][family]}"), \
            Sender("a", family) as sender:
        assert name_of(sender.send(first)) == "ENOBUFS"
        assert runs() == NESTED
        assert name_of(sender.send(first)) == "ENOBUFS"
        assert runs() == 2 * NESTED
        assert wires.namespaces_reached(family) == ""


@pytest.mark.ipv6
@FAMILIES
def test_headroom_is_expanded_for_new_device(wires, family):
    first, other = wires.FIRST[family], wires.OTHER[family]
    # Nested tunnels: no sender reserves headroom for all of their headers.
    ends = {"a": ("fd09::1", "fd09::2"), "c": ("fd09::2", "fd09::1")}
    inner = {"a": ("fd0a::1", "fd0a::2"), "c": ("fd0a::2", "fd0a::1")}
    try:
        for name, (local, remote) in ends.items():
            batch(f"-n {name}",
                  f"link add t1 type ip6tnl mode any local {local} remote {remote} encaplimit none",
                  "link set t1 up",
                  f"addr add {inner[name][0]}/64 dev t1 nodad",
                  f"link add t2 type ip6gre local {inner[name][0]} remote {inner[name][1]} "
                  "encaplimit none",
                  "link set t2 up")
        with wires.temporary_routes("a", family,
                                    f"route add {first} {OTHER} {wires.VIA['b'][family]}",
                                    f"route add {other} dev t2"), Sender("a", family) as sender:
            for size in (1, 900):
                assert sender.send(first, b"x" * size) == 0
                assert wires.receive_all("c", family) == [b"x" * size]
    finally:
        for name in ends:
            batch(f"-force -n {name}", "link del t2", "link del t1")


@FAMILIES
def test_mtu_of_new_route_applies(wires, family):
    first, other, via = wires.FIRST[family], wires.OTHER[family], wires.VIA
    batch("-n a", "link set wa mtu 1300")
    try:
        with wires.temporary_routes("a", family,
                                    f"route add {first} {OTHER} {via['b'][family]}",
                                    f"route add {other} {via['c'][family]}"), \
                Sender("a", family) as sender:
            sender.option(IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DONT)
            assert sender.send(first, b"x" * 1400) == 0
            assert wires.receive_all("c", family) == [b"x" * 1400]
            sender.option(IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO)
            assert name_of(sender.send(first, b"x" * 1400)) == "ENOBUFS"
            assert wires.namespaces_reached(family) == ""
    finally:
        batch("-n a", "link set wa mtu 1500")


@FAMILIES
def test_forwarded_packet_is_routed_by_new_destination(wires, family):
    third, other, via = wires.THIRD[family], wires.OTHER[family], wires.VIA
    gateway = {4: "via 10.0.0.1", 6: "via fd00::1"}[family]
    with wires.temporary_routes("b", family, f"route add {third} {gateway}"), \
            wires.temporary_routes("a", family,
                                   f"route add {third} {OTHER} {via['b'][family]}",
                                   f"route add {other} {via['c'][family]}"), \
            Sender("b", family) as sender:
        assert sender.send(third) == 0
        assert wires.namespaces_reached(family) == "c"


@FAMILIES
def test_forwarded_packet_is_dropped_if_new_route_is_unreachable(wires, family):
    third, other, via = wires.THIRD[family], wires.OTHER[family], wires.VIA
    gateway = {4: "via 10.0.0.1", 6: "via fd00::1"}[family]
    with wires.temporary_routes("b", family, f"route add {third} {gateway}"), \
            wires.temporary_routes("a", family,
                                   f"route add {third} {OTHER} {via['b'][family]}",
                                   f"route add unreachable {other}"), Sender("b", family) as sender:
        for _ in range(20):
            assert sender.send(third) == 0
        assert wires.namespaces_reached(family) == ""
        assert sender.pending() == 0


def arriving(wires, family, *lines):
    """Sends a packet from b to THIRD through a, where the program of its route sets the mark 7 and
    reroutes it; `lines` are further routes and rules of a. Returns where it arrives, and the ICMP
    error that b receives."""
    gateway = {4: "via 10.0.0.1", 6: "via fd00::1"}[family]
    third = wires.THIRD[family]
    with wires.temporary_routes("b", family, f"route add {third} {gateway}"), \
            wires.temporary_routes(
                "a", family, f"route add {third} {MARK_IN} {wires.VIA['c'][family]}", *lines), \
            Sender("b", family) as sender:
        assert sender.send(third) == 0
        return wires.namespaces_reached(family), name_of(sender.pending())


@FAMILIES
def test_arriving_packet_is_forwarded_by_the_new_route(wires, family):
    third = wires.THIRD[family]
    with wires.temporary_routes("c", family, f"route add local {third} dev lo table local"), \
            wires.temporary_routes("a", family, "rule add pref 50 fwmark 7 lookup 100"):
        assert arriving(
            wires, family, f"route add {third} {wires.VIA['c'][family]} table 100") == ("c", 0)


@FAMILIES
def test_arriving_packet_is_delivered_by_the_new_route(wires, family):
    with wires.temporary_routes("a", family, "rule add pref 50 fwmark 7 lookup 100"):
        assert arriving(
            wires, family, f"route add local {wires.THIRD[family]} dev lo table 100") == ("a", 0)


@FAMILIES
@pytest.mark.parametrize("kind, told", [("unreachable", "EHOSTUNREACH"), ("blackhole", 0)])
def test_arriving_packet_is_dropped_if_new_route_is_unreachable(wires, family, kind, told):
    with wires.temporary_routes("a", family, "rule add pref 50 fwmark 7 lookup 100"):
        # The IPv4 error route sends an ICMP error. For IPv6 nothing does, as with the C code.
        assert arriving(wires, family, f"route add {kind} {wires.THIRD[family]} table 100") == (
            "", told if family == 4 else 0)


@FAMILIES
def test_arriving_packet_without_a_new_route_is_dropped(wires, family):
    with wires.temporary_routes("a", family, "rule add pref 50 fwmark 7 unreachable"):
        assert arriving(wires, family) == ("", "ENETUNREACH" if family == 4 else 0)


def test_input_reroute_lookup_uses_device_of_old_route(wires):
    third = wires.THIRD[4]
    with wires.temporary_routes("a", 4, "rule add pref 50 fwmark 7 lookup 100"):
        local = f"route add local {third} dev lo table 100"
        assert arriving(wires, 4, local)[0] == "a"
        # The route back to the sender has another device, so the lookup fails.
        sysctl("a", "ipv4/conf/wa/rp_filter", 1)
        try:
            assert arriving(wires, 4, local) == ("", 0)
        finally:
            sysctl("a", "ipv4/conf/wa/rp_filter", 0)


@FAMILIES
def test_packet_for_this_host_is_delivered_by_the_new_route(wires, family):
    third, via = wires.THIRD[family], wires.VIA
    bits = 32 if family == 4 else 128
    with wires.temporary_routes("a", family, f"route add {third} {via['c'][family]}"), \
            wires.temporary_routes(
                "c", family, "rule add pref 100 lookup local",
                "rule add pref 50 fwmark 7 lookup 101",
                f"route add local {third}/{bits} {MARK_IN} dev lo table local"), \
            Sender("a", family) as sender:
        batch(f"-{family} -n c", "rule del pref 0")
        try:
            with wires.temporary_routes("c", family, f"route add local {third} dev lo table 101"):
                assert sender.send(third) == 0
                assert wires.namespaces_reached(family) == "c"
            with wires.temporary_routes("c", family, f"route add blackhole {third} table 101"):
                assert sender.send(third) == 0
                assert wires.namespaces_reached(family) == ""
        finally:
            batch(f"-{family} -n c", "rule add pref 0 lookup local")


@FAMILIES
def test_input_reroute_loop_terminates(wires, family):
    again = "encap bpf in obj lwt_in_again.o section lwt_in"
    third, via = wires.THIRD[family], wires.VIA
    with wires.temporary_routes("a", family, f"route add {third} {via['c'][family]}"), \
            wires.temporary_routes(
                "c", family, f"route add local {third} {again} dev lo table local"), \
            Sender("a", family) as sender:
        assert sender.send(third) == 0
        assert wires.namespaces_reached(family) == ""
        assert runs() == NESTED


@pytest.mark.pushes
@pytest.mark.beyond_c("IPv6 header without a source address for a packet of an IPv4 socket",
                      run=False)
def test_ipv6_without_source_on_ipv4_socket_fails(wires):
    encap = "encap bpf xmit obj lwt_xmit_push_unspec.o section lwt_xmit"
    with wires.temporary_routes(
            "a", 4, f"route add {wires.FIRST[4]} {encap} {wires.VIA['b'][4]}"), \
            Sender("a", 4) as sender:
        for _ in range(3):
            # With its fix, the C sends the packet.
            assert name_of(sender.send(wires.FIRST[4])) == ours("EINVAL")


@pytest.mark.ipv6
@pytest.mark.beyond_c("packet to be rerouted whose header does not lie in the linear data")
def test_packet_with_truncated_ip_header_is_dropped(wires):
    cut = "encap bpf xmit obj lwt_xmit_cut.o section lwt_xmit"
    first, via = wires.FIRST[6], wires.VIA
    # Only the packets of a socket that writes the IPv6 header itself can be cut so short.
    with wires.temporary_routes("a", 6,
                                f"route add {first} {cut} {via['b'][6]}",
                                f"route add {first} {via['c'][6]} table 100",
                                "rule add pref 50 fwmark 7 lookup 100"), \
            make_socket("a", 6, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw, \
            pytest.raises(OSError, match="Invalid argument"):
        raw.sendto(packet(6, "fd00::1", first), (first, 0))
