# SPDX-License-Identifier: GPL-2.0-only
"""The per-CPU route cache of a tunnel state, which must have the route that a lookup would find."""

import contextlib
import errno
import itertools
import os
import random
import re
import socket
import struct
import time
from collections import Counter

import needs
import pytest
from conftest import INSTRUMENTED, batch, eventually, sh
from journal import JOURNAL
from nl import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_REPLACE,
    NLM_F_REQUEST,
    RTA_DST,
    RTA_GATEWAY,
    RTA_OIF,
    RTA_PRIORITY,
    RTM_NEWROUTE,
    attr,
    inside,
    open_in,
    rtmsg,
)
from sides import SIDE
from sockets import (
    IP_MTU_DISCOVER,
    IPV6_MTU_DISCOVER,
    PMTUDISC_DONT,
    checksum,
    counters,
    make_socket,
    sysctl,
)
from wires import IP_TRANSPARENT, IPV6_TCLASS, IPV6_TRANSPARENT, PORT, Sender, Wires

FAMILIES = pytest.mark.parametrize("family", [4, 6])
# Changes the destination from FIRST to OTHER, and returns BPF_LWT_REROUTE.
OTHER = "encap bpf xmit obj lwt_xmit_other.o section lwt_xmit"
# Sets the mark 7, and returns BPF_LWT_REROUTE.
MARK = "encap bpf xmit obj lwt_xmit_mark.o section lwt_xmit"
# The second packet of a flow fills the cache, and the third one hits it.
BURST = 4
ETH_P_IP, ETH_P_IPV6 = 0x800, 0x86dd
# Protocols that the kernel does not implement.
PROTOCOLS = 253, 254
# Seconds, longer than a jiffy, which is at most 10 ms.
TICK = 0.02


class Initial(Wires):
    """Wires whose namespace a is the initial one, where IPv6 routes are cached as well."""

    MAKE_A = "netns attach a 1"
    # The values that are set there, and those to restore. With automatic flow labels, IPv6 flows of
    # different sockets would differ only in their labels.
    SETTINGS = {"ipv6/auto_flowlabels": (0, 1), "ipv4/ip_forward": (1, 0),
                "ipv6/conf/all/forwarding": (1, 0), "ipv4/icmp_ratelimit": (0, 1000),
                "ipv6/icmp/ratelimit": (0, 1000)}

    def __init__(self):
        assert os.readlink("/proc/1/ns/net") == os.readlink("/proc/self/ns/net")
        super().__init__()
        for name, (value, _) in self.SETTINGS.items():
            sysctl("a", name, value)

    def close(self):
        try:
            # The initial namespace is not deleted, so this removes what a failed scenario has left.
            sh("ip -n a link del va; ip -n a link del wa; ip -n a nexthop flush; "
               "ip -n a xfrm policy flush; for each in 50 51; do ip -n a rule del pref $each; "
               "ip -6 -n a rule del pref $each; done", check=False)
            for name, (_, value) in self.SETTINGS.items():
                sysctl("a", name, value)
        finally:
            super().close()


@pytest.fixture(scope="module", name="wires")
def fixture_wires():
    """The network of this file, with the initial namespace as a."""
    with contextlib.closing(Initial()) as made:
        yield made


def burst(sender, address, data, count=BURST):
    """Sends packets without a pause, within one jiffy if the machine is fast."""
    for _ in range(count):
        sender.sendto(data, (address, PORT))


def alternate(wires, family, senders, rounds=20):
    """Alternates bursts of two flows on one route. Returns how many packets of each arrive where,
    and how many each has sent. A cache that compared too little of the flow would mix them up."""
    for _ in range(rounds):
        for data, (sender, address) in senders.items():
            burst(sender, address, data)
    found = {name: Counter(wires.receive_all(name, family)) for name in "bc"}
    return {name: dict(arrived) for name, arrived in found.items()}, rounds * BURST


SETTINGS = {
    "fwmark 3": lambda sender: sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 3),
    "dsfield 0x10": lambda sender: sender.socket.setsockopt(
        *((socket.IPPROTO_IP, socket.IP_TOS) if sender.family == 4
          else (socket.IPPROTO_IPV6, IPV6_TCLASS)), 0x10),
    "uidrange 1000-1000": lambda sender: os.fchown(sender.socket.fileno(), 1000, -1),
    "from": lambda sender: (
        sender.option(IP_TRANSPARENT, IPV6_TRANSPARENT, 1),
        sender.socket.bind(("192.0.2.7" if sender.family == 4 else "2001:db8::7", 0))),
}


@FAMILIES
@pytest.mark.parametrize("rule", SETTINGS)
def test_flows_split_by_rule_do_not_share_cache_entry(wires, family, rule):
    first, other, via = wires.FIRST[family], wires.OTHER[family], wires.VIA
    words = {4: "from 192.0.2.7", 6: "from 2001:db8::7"}[family] if rule == "from" else rule
    with wires.temporary_routes("a", family,
                                f"route add {first} {OTHER} {via['b'][family]}",
                                f"route add {other} {via['b'][family]}",
                                f"route add {other} {via['c'][family]} table 100",
                                f"rule add pref 50 {words} lookup 100"), \
            Sender("a", family) as plain, Sender("a", family) as ruled:
        SETTINGS[rule](ruled)
        found, each = alternate(wires, family, {b"plain": (plain.socket, first),
                                                b"ruled": (ruled.socket, first)})
        assert found == {"b": {b"plain": each}, "c": {b"ruled": each}}


@FAMILIES
def test_flows_to_different_addresses_do_not_share_cache_entry(wires, family):
    first, other, via = wires.FIRST[family], wires.OTHER[family], wires.VIA
    both = {4: "10.0.0.0/14", 6: "fd00::/14"}[family]
    with wires.temporary_routes("a", family,
                                f"route add {both} {MARK} {via['b'][family]}",
                                f"route add {first} {via['b'][family]} table 100",
                                f"route add {other} {via['c'][family]} table 100",
                                "rule add pref 50 fwmark 7 lookup 100"), \
            Sender("a", family) as sender:
        found, each = alternate(wires, family, {b"first": (sender.socket, first),
                                                b"other": (sender.socket, other)})
        assert found == {"b": {b"first": each}, "c": {b"other": each}}


@FAMILIES
def test_nonrepeating_flows_take_their_own_routes(wires, family):
    first, other, via = wires.FIRST[family], wires.OTHER[family], wires.VIA
    option = ((socket.IPPROTO_IP, socket.IP_TOS) if family == 4
              else (socket.IPPROTO_IPV6, IPV6_TCLASS))
    # An IPv4 rule compares three bits only.
    classes, rounds = (0x10, 0x04, 0x08, 0x14, 0x18), 40
    with wires.temporary_routes("a", family,
                                f"route add {first} {OTHER} {via['b'][family]}",
                                f"route add {other} {via['b'][family]}",
                                f"route add {other} {via['c'][family]} table 100",
                                "rule add pref 50 dsfield 0x10 lookup 100"), \
            Sender("a", family) as sender:
        # More changes of flow than make a CPU bypass its entry, and then a flow that repeats.
        for dsfield in (*classes * rounds, *(0x10,) * rounds, *(0x04,) * rounds):
            sender.socket.setsockopt(*option, dsfield)
            sender.socket.sendto(b"%#x" % dsfield, (first, PORT))
        assert Counter(wires.receive_all("c", family)) == {b"0x10": 2 * rounds}
        assert Counter(wires.receive_all("b", family)) == {
            b"0x4": 2 * rounds, **{b"%#x" % each: rounds for each in classes[2:]}}


@FAMILIES
def test_flow_of_device_bound_socket_does_not_share_cache_entry(wires, family):
    first, other, via = wires.FIRST[family], wires.OTHER[family], wires.VIA
    with wires.temporary_routes("a", family,
                                f"route add {first} {OTHER} {via['c'][family]}",
                                f"route add {other} {via['b'][family]} metric 10",
                                f"route add {other} {via['c'][family]} metric 20"), \
            Sender("a", family) as plain, Sender("a", family) as bound:
        bound.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wa")
        found, each = alternate(wires, family, {b"plain": (plain.socket, first),
                                                b"bound": (bound.socket, first)})
        assert found == {"b": {b"plain": each}, "c": {b"bound": each}}


@FAMILIES
def test_flows_of_different_protocols_do_not_share_cache_entry(wires, family):
    first, via = wires.FIRST[family], wires.VIA
    rounds = 20
    with wires.temporary_routes("a", family,
                                f"route add {first} {MARK} {via['b'][family]}",
                                f"route add {first} {via['b'][family]} table 100",
                                f"route add {first} {via['c'][family]} table 101",
                                f"rule add pref 50 fwmark 7 ipproto {PROTOCOLS[0]} lookup 100",
                                f"rule add pref 51 fwmark 7 ipproto {PROTOCOLS[1]} lookup 101"):
        senders = [make_socket("a", family, socket.SOCK_RAW, number) for number in PROTOCOLS]
        receivers = {(name, number): make_socket(name, family, socket.SOCK_RAW, number)
                     for name, number in itertools.product("bc", PROTOCOLS)}
        for _ in range(rounds):
            for sender in senders:
                for _ in range(BURST):
                    sender.sendto(b"x", (first, 0))
        # Packets stay in order, so this waits for those above.
        wires.namespaces_reached(family)
        found = Counter()
        for who, receiver in receivers.items():
            receiver.setblocking(False)
            try:
                while receiver.recv(2048):
                    found[who] += 1
            except BlockingIOError:
                pass
        for made in [*senders, *receivers.values()]:
            made.close()
    assert found == {("b", PROTOCOLS[0]): rounds * BURST, ("c", PROTOCOLS[1]): rounds * BURST}


@FAMILIES
def test_first_packet_after_a_change_takes_the_new_route(wires, family):
    """The first packet after a route change takes the new route, even within the same jiffy."""
    first, other, via = wires.FIRST[family], wires.OTHER[family], wires.VIA
    domain, bits = (socket.AF_INET, 32) if family == 4 else (socket.AF_INET6, 128)
    with inside("a"):
        index = {name: socket.if_nametoindex(name + "a") for name in "vw"}
    # ip would take longer than a jiffy, so this process sends the requests itself.
    requests = {}
    for name, device in (("b", "v"), ("c", "w")):
        gateway = via[name][family].split()[1]
        body = rtmsg(domain, bits, 254, 4, 0, 1)
        body += attr(RTA_DST, socket.inet_pton(domain, other)) + attr(RTA_OIF, index[device])
        body += attr(RTA_GATEWAY, socket.inet_pton(domain, gateway)) + attr(RTA_PRIORITY, 10)
        flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE
        requests[name] = struct.pack("=IHHII", 16 + len(body), RTM_NEWROUTE, flags, 1, 0) + body
    durations = []
    with wires.temporary_routes("a", family,
                                f"route add {first} {OTHER} {via['b'][family]}",
                                f"route add {other} {via['b'][family]} metric 10"), \
            Sender("a", family) as sender, open_in("a") as netlink:
        for number in range(100):
            name = "cb"[number % 2]
            began = time.monotonic()
            burst(sender.socket, first, b"before")
            netlink.send(requests[name])
            assert struct.unpack_from("=i", netlink.recv(4096), 16) == (0,)
            sender.socket.sendto(name.encode(), (first, PORT))
            durations.append(time.monotonic() - began)
            if number % 10 == 9:
                found = {each: Counter(wires.receive_all(each, family)) for each in "bc"}
                assert [found["b"][b"b"], found["c"][b"c"]] == [5, 5], found
                assert found["b"][b"c"] == found["c"][b"b"] == 0, found
    # At least one change must fall within a jiffy, unless the kernel is too slow for that.
    print(f"burst, change and packet: at least {min(durations) * 1000:.1f} ms")
    assert min(durations) < 0.002 or INSTRUMENTED


class Change:
    """A change to the configuration, with the commands that make it and those that undo it."""

    def __init__(self, name, there, gone):
        self.name, self.commands, self.there = name, {True: there, False: gone}, False

    def toggle(self):
        """Makes the change, or undoes it."""
        self.there = not self.there
        for command in self.commands[self.there]:
            if callable(command):
                command()
            else:
                sh(f"ip {command}")
        # What the kernel does not announce takes effect at the next jiffy.
        time.sleep(TICK)


def changes(wires, family, vrf):
    """Returns changes to what routes depend on, apart from the flow itself; with `vrf`, a VRF is
    among them."""
    other, via = wires.OTHER[family], wires.VIA
    ip, b, c = f"-{family} -n a", via["b"][family], via["c"][family]
    to_c = {4: "10.9.0.2", 6: "fd09::2"}[family]
    hops = f"nexthop {b} weight {{}} nexthop {c} weight {{}}"

    def wire(device, far, number, metric):
        """Returns a function that adds a device to a, and a route over it."""
        def add():
            sh(f"ip link add {device} netns a type veth peer name {device[0]}{far} netns {far}")
            wires.join("a", device, far, device[0] + far, number)
            gateway = {4: f"10.{number}.0.2", 6: f"fd0{number}::2"}[family]
            sh(f"ip {ip} route add {other} via {gateway} dev {device} metric {metric}")
        return add

    def end():
        sh("ip netns del t")
        eventually(lambda: sh("ip -n a link show dev ta", check=False).returncode)

    def hash_policy(value):
        return lambda: sysctl("a", f"ipv{family}/fib_multipath_hash_policy", value)

    def neighbour(how):
        return f"-n a neigh replace {to_c} lladdr 02:00:00:00:09:02 dev wa nud {how}"

    of_vrf = [Change("VRF", ["-n a link del ya", wire("ya", "c", 5, 2)],
                     ["-n a link set ya master red"])]
    return [
        Change("route", [f"{ip} route add {other} {c} metric 5"],
               [f"{ip} route del {other} {c} metric 5"]),
        Change("unreachable", [f"{ip} route add unreachable {other} metric 3"],
               [f"{ip} route del unreachable {other} metric 3"]),
        Change("fallback", [f"{ip} route del {other} {b} metric 10"],
               [f"{ip} route add {other} {b} metric 10"]),
        Change("rule", [f"{ip} rule add pref 50 to {other} lookup 100"],
               [f"{ip} rule del pref 50 to {other} lookup 100"]),
        Change("rule for a user", [f"{ip} rule add pref 51 uidrange 0-0 lookup 100"],
               [f"{ip} rule del pref 51 uidrange 0-0 lookup 100"]),
        Change("device", [wire("xa", "c", 7, 4)], ["-n a link del xa"]),
        *(of_vrf if vrf else ()),
        Change("moved device", ["-n b link del za", wire("za", "c", 6, 1)],
               ["-n a link set za netns b"]),
        Change("namespace", ["netns add t", wire("ta", "t", 4, 6)], [end]),
        Change("weights", [f"{ip} route replace {other} metric 9 {hops.format(1, 200)}"],
               [f"{ip} route replace {other} metric 9 {hops.format(200, 1)}"]),
        Change("hash", [hash_policy(1)], [hash_policy(0)]),
        Change("nexthop", [f"{ip} nexthop replace id 9 {c}"], [f"{ip} nexthop replace id 9 {b}"]),
        Change("route by nexthop", [f"{ip} route add {other} nhid 9 metric 7"],
               [f"{ip} route del {other} nhid 9 metric 7"]),
        Change("neighbour", [neighbour("failed")], [neighbour("permanent")]),
        Change("MTU", [f"{ip} route add {other} {b} metric 8 mtu 1280"],
               [f"{ip} route del {other} {b} metric 8 mtu 1280"]),
    ]


def lookup_without_cache(address, family):
    """Returns the peer of the device that an uncached lookup of the kernel finds; None if neither b
    nor c receives the packet."""
    source = {4: "10.0.0.1", 6: "fd00::1"}[family]
    question = f"ip -{family} -n a route get {address} from {source} ipproto udp uid 0"
    found = re.search(r" dev ([t-z])a", sh(f"{question} 2>&1 || true"))
    if not found or found[1] == "t":
        return None
    return found[1] + ("b" if found[1] == "v" else "c")


class ArrivalCapture:
    """Captures packets that arrive in a namespace, on any device."""

    def __init__(self, namespace, family):
        self.family = family
        with inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(
                {4: ETH_P_IP, 6: ETH_P_IPV6}[family]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def received(self, data):
        """Returns the device and the source address of each packet with that data."""
        source, udp = {4: (slice(12, 16), 20), 6: (slice(8, 24), 40)}[self.family]
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, (device, _, kind, *_) = self.socket.recvfrom(2048, socket.MSG_DONTWAIT)
                if kind == socket.PACKET_HOST and packet[udp + 8:] == data:
                    found.append((device, socket.inet_ntop(
                        {4: socket.AF_INET, 6: socket.AF_INET6}[self.family], packet[source])))
        return found


@FAMILIES
def test_cached_route_equals_lookup_after_random_changes(wires, family):
    first, other, via = wires.FIRST[family], wires.OTHER[family], wires.VIA
    b, c = via["b"][family], via["c"][family]
    ip = f"ip -{family} -n a"
    seed = int(os.environ.get("LWTCLS_SEED", "20261127"))
    chance, packets, turned, ways = random.Random(seed), 0, Counter(), Counter()
    vrf = needs.part("the VRF among the changes of routes", "NET_VRF")
    what = changes(wires, family, vrf)
    sh(f"{ip} nexthop add id 9 {b}")
    if family == 4:
        sysctl("a", "ipv4/fib_multipath_use_neigh", 1)
    with contextlib.ExitStack() as last, \
            wires.temporary_routes(
                "a", family,
                f"route add {first} {OTHER} {b}",
                f"route add {other} {b} metric 10",
                f"route add {other} {c} metric 20",
                f"route add {other} {c} table 100",
                f"route add {other} metric 9 nexthop {b} weight 200 nexthop {c}"), \
            ArrivalCapture("b", family) as capture_b, \
            ArrivalCapture("c", family) as capture_c, Sender("a", family) as sender:
        last.callback(sh, f"{ip} route flush {other}; {ip} nexthop del id 9; "
                      "ip -n a link del ya; ip -n b link del za; ip netns del t; "
                      "ip -n a link del red; ip -4 -n a rule del pref 1000; "
                      "ip -6 -n a rule del pref 1000", check=False)
        # The first toggles of "VRF" and "moved device" delete a device, which must exist.
        if vrf:
            batch("-n a", "link add red type vrf table 90", "link set red up")
        batch("-n a", "link add ya type dummy")
        batch("-n b", "link add za type dummy")
        try:
            for number in range(140):
                with contextlib.suppress(OSError):
                    burst(sender.socket, first, b"before")
                # At most two changes are active at a time, because most of them hide others.
                there = [change for change in what if change.there]
                change = chance.choice(there if len(there) > 1 else what)
                change.toggle()
                turned[change.name] += 1
                for _ in range(BURST):
                    with contextlib.suppress(OSError):
                        sender.socket.sendto(b"%d" % number, (first, PORT))
                expected = lookup_without_cache(other, family)
                arrived = [name for name in "bc" for data in wires.receive_all(name, family)
                           if data == b"%d" % number]
                captured = [each for capture in (capture_b, capture_c)
                            for each in capture.received(b"%d" % number)]
                JOURNAL.note("arrivals", words=[str(number)], got=captured)
                context = f"{change.name} {change.there}, number {number} of seed {seed}"
                source = {4: "10.0.0.1", 6: "fd00::1"}[family]
                assert captured == ([(expected, source)] * BURST if expected else []), context
                assert arrived == ([expected[1]] * BURST if expected else []), context
                packets += BURST
                ways[expected] += 1
        finally:
            for change in what:
                if change.there:
                    change.toggle()
            sysctl("a", "ipv4/fib_multipath_use_neigh", 0)
    JOURNAL.note("changes", got=packets)
    print(f"{packets} packets, differences 0; changes {dict(turned)}; ways {dict(ways)}")
    # The packets took all ways, and each change was made.
    assert min(ways["vb"], ways["wc"]) > 9 and len(turned) == len(what)
    assert min(ways["xc"], ways["yc"] if vrf else 1, ways["zc"]) > 0


@pytest.mark.ipv6
def test_xfrm_policy_applies_to_next_packet(wires):
    first, other, via = wires.FIRST[6], wires.OTHER[6], wires.VIA
    policy = f"dir out dst {other}/128 priority 1"
    with wires.temporary_routes("a", 6, f"route add {first} {OTHER} {via['b'][6]}",
                                f"route add {other} {via['b'][6]}"), Sender("a", 6) as sender:
        for _ in range(3):
            burst(sender.socket, first, b"before")
            sh(f"ip -n a xfrm policy add {policy} action block")
            try:
                assert [sender.send(first, b"blocked") for _ in range(BURST)] == \
                    [errno.EPERM] * BURST
            finally:
                sh(f"ip -n a xfrm policy del dir out dst {other}/128")
            burst(sender.socket, first, b"after")
            assert Counter(wires.receive_all("b", 6)) == {b"before": BURST, b"after": BURST}


@pytest.mark.differs("route of a packet that is rerouted on xmit")
def test_unannounced_change_takes_effect_next_jiffy(wires):
    """A sysctl that the kernel does not announce, ignore_routes_with_linkdown, takes effect at the
    next jiffy."""
    first, other, via = wires.FIRST[4], wires.OTHER[4], wires.VIA
    rounds, name = 50, "ipv4/conf/xa/ignore_routes_with_linkdown"
    sh("ip link add xa netns a type veth peer name xc netns c")
    wires.join("a", "xa", "c", "xc", 7)
    sh("ip -n c link set xc down")
    try:
        with wires.temporary_routes("a", 4, f"route add {first} {OTHER} {via['b'][4]}",
                                    f"route add {other} {via['b'][4]} metric 10",
                                    f"route add {other} via 10.7.0.2 dev xa metric 4"), \
                Sender("a", 4) as sender:
            eventually(lambda: "linkdown" in sh(f"ip -n a route show {other}"))
            for _ in range(rounds):
                sysctl("a", name, 0)
                time.sleep(TICK)
                burst(sender.socket, first, b"lost")
                sysctl("a", name, 1)
                sender.socket.sendto(b"soon", (first, PORT))
                time.sleep(TICK)
                sender.socket.sendto(b"later", (first, PORT))
            found = Counter(wires.receive_all("b", 4))
    finally:
        sh("ip -n a link del xa")
    soon = found.pop(b"soon", 0)
    assert found == {b"later": rounds}
    assert soon == rounds or SIDE == "rust"
    JOURNAL.note("at once", got=soon == rounds)


IPV6_XFRM_POLICY = 35


def blocking_policy(address):
    """Returns a struct xfrm_userpolicy_info that blocks packets to an address, without limits."""
    to = socket.inet_pton(socket.AF_INET6, address)
    selector = struct.pack("16s24xHBBB3xII", to, socket.AF_INET6, 128, 0, 0, 0, 0)
    limits = struct.pack("4Q", *[(1 << 64) - 1] * 4) + bytes(32 + 32)
    return selector + limits + struct.pack("IIBBBB", 1, 0, 1, 1, 0, 0) + bytes(4)


@pytest.mark.ipv6
def test_socket_xfrm_policy_applies_only_to_its_packets(wires):
    first, other, via = wires.FIRST[6], wires.OTHER[6], wires.VIA
    with wires.temporary_routes("a", 6, f"route add {first} {OTHER} {via['b'][6]}",
                                f"route add {other} {via['b'][6]}"), \
            Sender("a", 6) as free, Sender("a", 6) as blocked:
        blocked.socket.setsockopt(socket.IPPROTO_IPV6, IPV6_XFRM_POLICY,
                                  blocking_policy(other))
        refused = 0
        for _ in range(20):
            burst(free.socket, first, b"free")
            try:
                blocked.socket.sendto(b"blocked", (first, PORT))
            except PermissionError:
                refused += 1
        assert refused == 20
        assert Counter(wires.receive_all("b", 6)) == {b"free": 20 * BURST}


@FAMILIES
def test_cached_route_does_not_block_unregister(wires, family):
    """A device is unregistered without delay although the cached route uses it."""
    first, other = wires.FIRST[family], wires.OTHER[family]
    to_x = {4: "via 10.7.0.2 dev xa", 6: "via fd07::2 dev xa"}[family]
    with wires.temporary_routes(
            "a", family, f"route add {first} {OTHER} {wires.VIA['b'][family]}"), \
            Sender("a", family) as sender:
        for _ in range(5):
            sh("ip link add xa netns a type veth peer name xc netns c")
            wires.join("a", "xa", "c", "xc", 7)
            sh(f"ip -{family} -n a route add {other} {to_x}")
            burst(sender.socket, first, b"x")
            began = time.monotonic()
            sh("ip -n a link del xa")
            assert time.monotonic() - began < 10
            assert sender.send(first) != 0
            assert wires.receive_all("c", family) == [b"x"] * BURST


def fragments(namespace, family):
    """Returns how many fragments a namespace has made."""
    return counters(namespace)["IpFragCreates" if family == 4 else "Ip6FragCreates"]


def send_icmp_too_big(family, destination, port, mtu):
    """Has b send an ICMP error to a: a packet to `destination` exceeds `mtu`."""
    if family == 4:
        packet = struct.pack("!BBHHHBBH", 0x45, 0, 1328, 0, 0, 64, socket.IPPROTO_UDP, 0)
        packet += socket.inet_aton("10.0.0.1") + socket.inet_aton(destination)
        kind, to, head = socket.IPPROTO_ICMP, "10.0.0.1", struct.pack("!BBHHH", 3, 4, 0, 0, mtu)
    else:
        packet = struct.pack("!IHBB", 6 << 28, 1308, socket.IPPROTO_UDP, 64)
        packet += socket.inet_pton(socket.AF_INET6, "fd00::1")
        packet += socket.inet_pton(socket.AF_INET6, destination)
        kind, to, head = socket.IPPROTO_ICMPV6, "fd00::1", struct.pack("!BBHI", 2, 0, 0, mtu)
    message = head + packet + struct.pack("!HHHH", port, PORT, 1308, 0)
    if family == 4:
        message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    with make_socket("b", family, socket.SOCK_RAW, kind) as made:
        made.sendto(message, (to, 0))


@FAMILIES
def test_pmtu_exception_applies_to_next_packet(wires, family):
    """Once an ICMP error has added an MTU exception to the route, the next packet that exceeds it
    is fragmented."""
    first, other, via = wires.FIRST[family], wires.OTHER[family], wires.VIA
    with wires.temporary_routes("a", family, f"route add {first} {OTHER} {via['b'][family]}",
                                f"route add {other} {via['b'][family]}"), \
            Sender("a", family) as sender:
        sender.option(IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DONT)
        data = b"y" * 1300
        burst(sender.socket, first, data)
        assert fragments("a", family) == 0
        send_icmp_too_big(family, other, sender.socket.getsockname()[1],
                          mtu=1280 if family == 6 else 600)
        eventually(lambda: "mtu" in sh(f"ip -{family} -n a route get {other}"))
        # Clears the error that the socket has received as well.
        sender.pending()
        before = fragments("a", family)
        burst(sender.socket, first, data, 1)
        assert wires.receive_all("b", family) == [data] * (BURST + 1)
        assert fragments("a", family) > before
        sh(f"ip -{family} -n a route flush cache")
