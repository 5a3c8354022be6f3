# SPDX-License-Identifier: GPL-2.0-only
"""The programs and loaders of samples/, used as their head comments say."""

import contextlib
import json
import pathlib
import re
import shlex
import socket
import struct
import time
from typing import NamedTuple

import pytest
from capture import Capture
from conftest import (
    BUILD,
    batch,
    eventually,
    expect_extack,
    iterations,
    modprobe,
    must_fail,
    programs,
    sh,
)
from headers import DOMAIN, GRE, UDP
from journal import JOURNAL
from needs import IP_FAMILIES, IPV6
from nl import inside
from sockets import IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO, counters, ping, sysctl
from wires import IPV6_TCLASS, Sender, carry, name_of

FAMILIES = pytest.mark.parametrize("family", [4, 6])
INNER = pytest.mark.parametrize("inner", [4, 6])
# The sender: a itself, or c, whose packets a forwards.
CLIENTS = pytest.mark.parametrize("client", ["a", "c"])
GSO = pytest.mark.by_chance("the segments of a connection depend on timing")
# Bytes that a connection has to carry before it sends the longest packets.
MUCH = 8 << 20
# The longest IP packet whose header can hold its length.
LONGEST = 65535
MTU = 1500
# Bytes of an IP and a UDP header.
HEADERS = {4: 28, 6: 48}
SOURCES = pathlib.Path(__file__).parents[1] / "samples"
IP_TOS = 1


def retransmitted(namespace):
    """Returns how many TCP segments a namespace has retransmitted."""
    return counters(namespace)["TcpRetransSegs"]


@pytest.fixture(name="tunnel")
def fixture_tunnel(wires):
    """A link that takes BIG TCP packets, and the far end of the sample's tunnel. TCP waits long for
    acknowledgments, so a retransmission means a loss."""
    batch("-n a", "link set va gso_max_size 180000 gso_ipv4_max_size 180000")
    batch("-n b", "link add g0 type gre local 10.0.0.2 remote 10.0.0.1", "link set g0 up")
    # The length of packets does not depend on how fast the machine is.
    sysctl("a", "ipv4/tcp_min_tso_segs", 100)
    sysctl("a", "ipv4/tcp_early_retrans", 0)
    sysctl("a", "ipv4/tcp_no_metrics_save", 1)
    sysctl("a", "ipv4/tcp_wmem", "4096 8000000 8000000")
    sysctl("b", "ipv4/tcp_rmem", "4096 8000000 8000000")
    yield wires
    batch("-n b", "link del g0")
    batch("-n a", "link set va gso_max_size 65536 gso_ipv4_max_size 65536")
    sysctl("a", "ipv4/tcp_min_tso_segs", 2)


@pytest.mark.pushes
@pytest.mark.parametrize("family", [4, 6])
def test_gre_encapsulates_big_tcp_packets(tunnel, family):
    service = tunnel.FIRST[family]

    def attempt():
        """Returns how many segments a connection retransmits, and the length of its longest
        packet."""
        before = retransmitted("a")
        with Capture("b", "vb", 4, "10.0.0.1", 64) as wire:
            assert carry(family, "a", "b", service, MUCH)
            return retransmitted("a") - before, max(length for _, length in wire.packets())

    # A guest that stalls may retransmit as well, but not in every attempt.
    attempts = []
    with tunnel.temporary_routes(
            "a", family, f"route add {service} encap bpf xmit obj lwt_xmit_gre.o section lwt_xmit "
                         f"headroom 24 {tunnel.VIA['b'][family]} rto_min 5s"):
        # The number of attempts depends on the machine.
        with JOURNAL.quiet():
            while len(attempts) < 3 and not any(count == 0 for count, _ in attempts):
                attempts.append(attempt())
    assert any(count == 0 and longest > LONGEST for count, longest in attempts), attempts


class Tunnel(NamedTuple):
    """The header that a program pushes, and a far end for it: the outer protocol, the UDP port or
    0, the headroom, the receiving device of each inner family, and the commands that add them."""

    protocol: int
    port: int
    headroom: int
    devices: dict
    made: tuple

    def of(self, packet):
        """Returns whether a packet was sent through the tunnel."""
        return packet[9] == self.protocol and (
            not self.port or struct.unpack_from("!H", packet, 22)[0] == self.port)


TUNNELS = {
    "gre": Tunnel(GRE, 0, 24, {4: "g0", 6: "g0"}, (
        "link add g0 type gre local 10.0.0.2 remote 10.0.0.1",)),
    "vxlan": Tunnel(UDP, 4789, 50, {4: "vx1", 6: "vx1"}, (
        "link add vx1 address 02:00:00:00:00:42 type vxlan id 42 local 10.0.0.2 dstport 4789",)),
    "geneve": Tunnel(UDP, 6081, 36, {4: "gnv1", 6: "gnv1"}, (
        "link add gnv1 type geneve id 42 remote 10.0.0.1 innerprotoinherit",)),
    "fou": Tunnel(UDP, 5555, 28, {4: "ipip1", 6: "sit1"}, (
        "fou add port 5555 gue",
        "link add ipip1 type ipip local 10.0.0.2 remote 10.0.0.1",
        "link add sit1 type sit local 10.0.0.2 remote 10.0.0.1")),
}
NEEDS = {"gre": "NET_IPGRE", "vxlan": "VXLAN", "geneve": "GENEVE", "fou": "NET_FOU"}
BY_UDP = [name for name, tunnel in TUNNELS.items() if tunnel.port]


def encapsulating(names=tuple(TUNNELS)):
    """Parametrizes a scenario with the samples that encapsulate, and their far ends."""
    return pytest.mark.parametrize("end", [
        pytest.param(name, marks=[pytest.mark.needs(NEEDS[name]), pytest.mark.pushes])
        for name in names], indirect=True)


class FarEnd:
    """A sample, and the far end of its tunnel in b. Only a's route with the sample leads to the
    service address of b; b and c reach each other through a."""

    def __init__(self, wires, name):
        self.wires, self.name, self.tunnel = wires, name, TUNNELS[name]

    def encap(self):
        """Returns the encapsulation of a route, as the sample's head comment has it."""
        return (f"encap bpf xmit obj lwt_xmit_{self.name}.o section lwt_xmit "
                f"headroom {self.tunnel.headroom}")

    @contextlib.contextmanager
    def route(self, family):
        """Adds the route with the sample to a, and a route through a to c; yields the address."""
        service = self.wires.THIRD[family]
        gateway = {4: "10.9.0.1", 6: "fd09::1"}[family]
        # Equal routes share one nexthop, whose MTU exceptions stay as long as one of the routes is
        # there. The metric makes this route unique.
        with (
            self.wires.temporary_routes(
                "c", family, f"route add {service} via {gateway} dev wc metric 7"),
            self.wires.temporary_routes(
                "a", family, f"route add {service} {self.encap()} {self.wires.VIA['b'][family]}"),
        ):
            yield service

    def received(self, family):
        """Returns how many packets the far end's device has received."""
        with inside("b"):
            lines = pathlib.Path("/proc/net/dev").read_text().splitlines()
        (found,) = [line for line in lines
                    if line.split(":")[0].strip() == self.tunnel.devices[family]]
        return int(found.split(":")[1].split()[1])

    @contextlib.contextmanager
    def tunnel_packets(self, device="vb"):
        """Yields a function that returns the tunnel's packets on a link of b, and their lengths."""
        with Capture("b", device, 4, "10.0.0.1", 128) as capture:
            yield lambda: [(packet, length) for packet, length in capture.packets()
                           if self.tunnel.of(packet)]


@pytest.fixture(name="end")
def fixture_end(wires, request):
    """A sample that encapsulates, and its far end."""
    made = FarEnd(wires, request.param)
    if made.name == "fou":
        # "ip fou" does not make the kernel load the module.
        modprobe("fou")
    devices = sorted({made.tunnel.devices[family] for family in IP_FAMILIES})
    lines = [line for line in made.tunnel.made if IPV6 or " type sit " not in line]
    batch("-n b", *lines, *(f"link set {device} up" for device in devices),
          f"addr add {wires.THIRD[4]}/32 dev lo", f"addr add {wires.THIRD[6]}/128 dev lo nodad")
    yield made
    batch("-n b", *(f"link del {device}" for device in devices),
          *(["fou del port 5555"] if made.name == "fou" else ()),
          f"addr del {wires.THIRD[4]}/32 dev lo", f"addr del {wires.THIRD[6]}/128 dev lo")


def is_fragment(packet):
    """Returns whether an IPv4 packet is a fragment."""
    return struct.unpack_from("!H", packet, 6)[0] & 0x3FFF != 0


@GSO
@encapsulating()
@CLIENTS
@INNER
def test_kernel_tunnel_device_decapsulates(end, client, inner):
    with end.route(inner) as service, end.tunnel_packets() as wire:
        before = end.received(inner)
        assert ping(client, inner, service)
        assert end.received(inner) == before + 1
        assert len(wire()) == 1
        # A forwarded connection learns the MTU from its first packets.
        assert carry(inner, client, "b", service, iterations(2 << 20))
        seen = wire()
        # On a slow machine TCP sends no more than two segments at a time.
        assert max(length for _, length in seen) > MTU
        assert not any(is_fragment(packet) for packet, _ in seen)
        assert end.received(inner) - before > len(seen)


@encapsulating()
@CLIENTS
@INNER
def test_headroom_lowers_mtu_of_route(end, client, inner):
    whole = b"w" * (MTU - end.tunnel.headroom - HEADERS[inner])
    with end.route(inner) as service, end.tunnel_packets() as wire, Sender(client, inner) as sender:
        sender.option(IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO)
        if client == "c":
            # c is behind a router, so an ICMP error tells it the MTU.
            assert sender.send(service, whole + b"x") == 0
            assert name_of(sender.pending()) == "EMSGSIZE"
        assert name_of(sender.send(service, whole + b"x")) == "EMSGSIZE"
        assert sender.send(service, whole) == 0
        assert end.wires.receive_all("b", inner) == [whole]
        ((packet, length),) = wire()
        assert length == MTU and not is_fragment(packet)


@encapsulating()
@INNER
def test_packets_without_headroom_are_fragmented_and_reassembled(end, inner):
    service, way = end.wires.THIRD[inner], end.wires.VIA["b"][inner]
    encap = end.encap().replace(f" headroom {end.tunnel.headroom}", "")
    sent = [bytes([65 + number]) * (MTU - HEADERS[inner]) for number in range(5)]
    with (
        end.wires.temporary_routes("a", inner, f"route add {service} {encap} {way}"),
        end.tunnel_packets() as wire,
        Sender("a", inner) as sender,
    ):
        for data in sent:
            assert sender.send(service, data) == 0
        assert end.wires.receive_all("b", inner) == sent
        # Only first fragments: others have no UDP header, by which wire() knows the tunnel.
        first = [packet for packet, _ in wire() if not packet[7] and packet[6] == 0x20]
        assert len(first) == 5
        # Reassembly goes by the IP ID, so packets must not all have the same.
        assert len({packet[4:6] for packet in first}) > 1


def ports(wire, inner, header):
    """Returns the outer source ports of UDP packets, by inner source port."""
    found = {}
    for packet, _ in wire():
        at = 20 + header + HEADERS[inner] - 8
        own = struct.unpack_from("!H", packet, at)[0]
        found.setdefault(own, []).append(struct.unpack_from("!H", packet, 20)[0])
    return found


@encapsulating(BY_UDP)
@CLIENTS
@INNER
def test_source_port_distinguishes_flows(end, client, inner):
    flows, header = 24, end.tunnel.headroom - 20
    with end.route(inner) as service, end.tunnel_packets() as wire, contextlib.ExitStack() as stack:
        senders = [stack.enter_context(Sender(client, inner)) for _ in range(flows)]
        for _ in range(3):
            for sender in senders:
                assert sender.send(service, b"flow") == 0
        assert end.wires.receive_all("b", inner) == [b"flow"] * 3 * flows
        found = ports(wire, inner, header)
        assert len(found) == flows
        # A flow keeps its port, and most flows have a port of their own.
        assert all(len(each) == 3 and len(set(each)) == 1 for each in found.values())
        assert all(each[0] >= 0xC000 for each in found.values())
        assert len({each[0] for each in found.values()}) > flows - 4


@pytest.mark.needs("NET_VRF")
@encapsulating()
@INNER
def test_outer_route_lookup_uses_vrf_of_route(end, inner):
    wires, service = end.wires, end.wires.THIRD[inner]
    batch("-n a", "link add red type vrf table 50", "link set red up",
          "link add ra type veth peer name rb netns b", "link set ra master red")
    try:
        wires.join("a", "ra", "b", "rb", 8)
        way = {4: "via 10.8.0.2 dev ra", 6: "via fd08::2 dev ra"}
        batch("-n a", f"route add 10.0.0.2 {way[4]} table 50")
        batch(f"-{inner} -n a", f"route add {service} {end.encap()} {way[inner]} table 50")
        with end.tunnel_packets("rb") as inside_red, \
                end.tunnel_packets("vb") as outside, Sender("a", inner) as sender:
            sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"red")
            assert sender.send(service, b"red") == 0
            assert wires.receive_all("b", inner) == [b"red"]
            assert len(inside_red()) == 1
            assert outside() == []
    finally:
        batch("-n a", "link del ra", "link del red")


def maps(name):
    """Returns the IDs of the maps of an attached program, by name."""
    (found,) = [each for each in programs() if each["name"] == name]
    return {json.loads(sh(f"bpftool -j map show id {number}"))["name"]: number
            for number in found["map_ids"]}


def bpftool_bytes(data):
    """Returns bytes in bpftool's notation."""
    return "hex " + " ".join(f"{each:02x}" for each in data)


def key_of(family, address):
    """Returns the key of an address in the samples' maps."""
    data = socket.inet_pton(DOMAIN[family], address)
    return bpftool_bytes(data if family == 6 else bytes(10) + b"\xff\xff" + data)


@pytest.fixture(name="classes")
def fixture_classes(wires):
    """The network with htb classes on va, and the sample that classifies packets."""
    for line in (
        "qdisc add dev va root handle 1: htb default 20",
        "class add dev va parent 1: classid 1:10 htb rate 100mbit",
        "class add dev va parent 1: classid 1:20 htb rate 100mbit",
        "filter add dev va parent 1: bpf obj tc_classify.o sec tc",
    ):
        wires.tc(line)
    yield wires
    wires.tc("qdisc del dev va root")


def test_classifier_sorts_by_dscp_and_counts(classes):
    found, last = maps("classify"), IP_FAMILIES[-1]

    def counters(dscp):
        """Returns the packets and bytes of a DSCP, summed over all CPUs."""
        key = bpftool_bytes(struct.pack("=I", dscp))
        values = json.loads(sh(f"bpftool -j map lookup id {found['counters']} key {key}"))
        return tuple(sum(struct.unpack_from("=Q", bytes(int(byte, 0) for byte in each["value"]),
                                            at)[0] for each in values["values"]) for at in (0, 8))

    def has(classid):
        """Returns the packets of a class."""
        shown = classes.tc(f"-s class show dev va classid {classid}")
        return int(re.search(r"Sent \d+ bytes (\d+) pkt", shown)[1])

    def send(family, dscp, count):
        """Sends datagrams of 100 bytes with a DSCP."""
        with Sender("a", family) as sender:
            sender.option(IP_TOS, IPV6_TCLASS, dscp << 2)
            for _ in range(count):
                assert sender.send({4: "10.0.0.2", 6: "fd00::2"}[family], bytes(100)) == 0

    def assign(dscp, classid):
        """Assigns a class to a DSCP."""
        key, value = (bpftool_bytes(struct.pack("=I", each)) for each in (dscp, classid))
        sh(f"bpftool map update id {found['classes']} key {key} value {value}")

    # The command of the head comment.
    sh("bpftool map update name classes key 46 0 0 0 value hex 10 00 01 00")
    send(4, 46, 3)
    send(last, 46, 2)
    # With Ethernet, IP and UDP headers.
    assert counters(46) == (5, 5 * 14 + 3 * (28 + 100) + 2 * ({4: 28, 6: 48}[last] + 100))
    assert has("1:10") == 5
    # Other DSCPs go to the default class, and are counted.
    send(4, 10, 4)
    assert counters(10) == (4, 4 * (14 + 28 + 100))
    assert (has("1:10"), has("1:20") >= 4) == (5, True)
    assign(10, 0x10010)
    send(last, 10, 1)
    assert counters(10)[0] == 5
    assert has("1:10") == 6
    assign(46, 0)
    send(4, 46, 1)
    assert counters(46)[0] == 6
    assert has("1:10") == 6


@pytest.mark.needs("NET_CLS_ACT")
@GSO
@FAMILIES
def test_container_gets_packets_to_its_address(wires, family):
    address = wires.THIRD[family]
    with inside("a"):
        veth = socket.if_nametoindex("wa")
    prefix = {4: f"{address}/32 dev lo", 6: f"{address}/128 dev lo nodad"}[family]
    router = {4: "10.0.0.1", 6: "fd00::1"}[family]

    def arrives(data):
        """Returns whether a datagram of b arrives in c."""
        with Sender("b", family) as sender:
            assert sender.send(address, data) == 0
        return wires.receive_all("c", family) == [data]

    wires.tc("qdisc add dev va clsact")
    try:
        wires.tc("filter add dev va ingress bpf da obj tc_container.o sec tc")
        containers = maps("deliver")["containers"]
        # a itself has no route to this address.
        with wires.temporary_routes("c", family, f"addr add {prefix}"), \
                wires.temporary_routes("b", family, f"route add {address} via {router} dev vb"):
            assert not arrives(b"before")
            key = key_of(family, address)
            sh(f"bpftool map update id {containers} key {key} "
               f"value {bpftool_bytes(struct.pack('=I', veth))}")
            assert arrives(b"container")
            assert ping("b", family, address)
            assert carry(family, "b", "c", address, iterations(1 << 20))
            # Packets to other addresses pass.
            assert ping("b", family, router)
            sh(f"bpftool map delete id {containers} key {key}")
            assert not arrives(b"after")
    finally:
        wires.tc("qdisc del dev va clsact")


class Policer:
    """The policer on b's ingress. c's packets come through a."""

    TO = {4: "10.0.0.2", 6: "fd00::2"}
    FROM = {"a": {4: "10.0.0.1", 6: "fd00::1"}, "c": {4: "10.9.0.2", 6: "fd09::2"}}
    SIZE = 1000
    # As compiled for this file: bytes per second, and how many packets of SIZE fit into a burst,
    # whether or not their MAC header counts.
    RATE, BURST = 2000, 19

    def __init__(self, wires):
        self.wires, self.maps = wires, maps("police")

    def dropped(self, name, key):
        """Returns how many packets a bucket has dropped."""
        found = json.loads(sh(f"bpftool -j map lookup id {self.maps[name]} key {key}"))
        return struct.unpack_from("=Q", bytes(int(byte, 0) for byte in found["value"]), 24)[0]

    def send(self, client, family, count):
        """Sends packets without a pause; returns how many arrive, and checks that number against
        the limit."""
        start = time.monotonic()
        with Sender(client, family) as sender:
            for _ in range(count):
                assert sender.send(self.TO[family], bytes(self.SIZE)) == 0
        earned = (time.monotonic() - start) * self.RATE / self.SIZE
        passed = self.wires.receive_all("b", family).count(bytes(self.SIZE))
        assert min(count, self.BURST) <= passed <= self.BURST + earned + 1
        return passed


@pytest.fixture(name="policer")
def fixture_policer(wires, request):
    """The policer, compiled for this file. With a single bucket it polices IPv4 only, because the
    kernel may send IPv6 packets at any time."""
    wires.tc("qdisc add dev vb clsact", "b")
    protocol = "ip" if request.param == "one" else "all"
    wires.tc(f"filter add dev vb ingress protocol {protocol} bpf da "
             f"obj tc_police_{request.param}.o sec tc", "b")
    yield Policer(wires)
    wires.tc("qdisc del dev vb clsact", "b")


TIMING = pytest.mark.by_chance("on a slow machine the token bucket refills")


@pytest.mark.needs("NET_CLS_ACT")
@TIMING
@FAMILIES
@pytest.mark.parametrize("policer", ["slow"], indirect=True)
def test_policer_has_a_bucket_for_each_source(policer, family):
    key = key_of(family, policer.FROM["c"][family])
    passed = policer.send("c", family, 60)
    assert passed < 60
    assert policer.dropped("buckets", key) == 60 - passed
    # Other sources have buckets of their own.
    assert policer.send("a", family, 15) == 15
    assert policer.dropped("buckets", key_of(family, policer.FROM["a"][family])) == 0
    assert policer.dropped("others", bpftool_bytes(bytes(4))) == 0

    # The bucket fills up again.
    def passes():
        with Sender("c", family) as sender:
            assert sender.send(policer.TO[family], b"later".ljust(policer.SIZE)) == 0
        return policer.wires.receive_all("b", family) != []

    eventually(passes)


@pytest.mark.needs("NET_CLS_ACT")
@TIMING
@pytest.mark.parametrize("policer", ["one"], indirect=True)
def test_policer_shares_one_bucket_if_map_is_full(policer):
    # The first source gets the only bucket for a single source.
    assert policer.send("a", 4, 1) == 1
    passed = policer.send("c", 4, 60)
    assert passed < 60
    assert policer.dropped("others", bpftool_bytes(bytes(4))) == 60 - passed
    assert policer.dropped("buckets", key_of(4, policer.FROM["a"][4])) == 0


@pytest.mark.needs("NET_CLS_ACT")
def test_unmodified_policer_passes_gso_packets(wires):
    # A connection makes progress as long as a packet of 64 KB fits into a bucket.
    wires.tc("qdisc add dev vb clsact", "b")
    try:
        wires.tc("filter add dev vb ingress bpf da obj tc_police.o sec tc", "b")
        assert carry(4, "a", "b", "10.0.0.2", iterations(1 << 19))
    finally:
        wires.tc("qdisc del dev vb clsact", "b")


LOADERS = {"C": [str(BUILD / "samples/attach")], "Python": ["python3", str(SOURCES / "attach.py")]}


def loader_command(language, line):
    """Returns the command that runs a loader in namespace a."""
    return shlex.join(["ip", "netns", "exec", "a", *LOADERS[language], *line.split()])


LANGUAGES = pytest.mark.parametrize("language", list(LOADERS))


# Python with pyroute2 takes 10 s to start in an emulated guest.
@pytest.mark.pushes
@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.differs("`LWT_BPF_XMIT_HEADROOM` of a route")
@LANGUAGES
@FAMILIES
@pytest.mark.parametrize("end", ["gre"], indirect=True)
def test_loader_adds_route(end, language, family):
    address = end.wires.THIRD[family]
    prefix = f"{address}/{ {4: 32, 6: 128}[family] }"
    sh(loader_command(language, f"route lwt_xmit_gre.o {prefix} va --headroom 24"))
    try:
        assert "encap bpf xmit gre" in sh(f"ip -{family} -n a route show {prefix}")
        before = end.received(family)
        assert ping("a", family, address)
        assert end.received(family) == before + 1
        with Sender("a", family) as sender:
            sender.option(IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO)
            size = MTU - 24 - HEADERS[family]
            assert sender.send(address, bytes(size)) == 0
            assert name_of(sender.send(address, bytes(size + 1))) == "EMSGSIZE"
        assert end.wires.receive_all("b", family) == [bytes(size)]
    finally:
        sh(f"ip -{family} -n a route flush {prefix}")


@LANGUAGES
def test_loader_replaces_a_route(wires, language):
    prefix, via = f"{wires.FIRST[4]}/32", wires.VIA["b"][4]
    batch("-n a", f"route add {prefix} {via}")
    try:
        assert ping("a", 4, wires.FIRST[4])
        sh(loader_command(language, f"route lwt_out_drop.o {prefix} va --via 10.0.0.2"))
        shown = sh(f"ip -n a route show {prefix}")
        assert "encap bpf out verdict" in shown and "via 10.0.0.2" in shown
        assert shown.count(wires.FIRST[4]) == 1
        assert not ping("a", 4, wires.FIRST[4])
    finally:
        sh(f"ip -n a route flush {prefix}")


@pytest.mark.needs("NET_CLS_ACT")
@LANGUAGES
def test_loader_adds_filter(wires, language):
    def attach(where, verdict):
        """Runs the loader, and checks the one filter that is there afterwards."""
        sh(loader_command(language, f"filter tc_{verdict}.o va {where}"))
        (shown,) = wires.filters(f"dev va {where}")
        assert (shown["pref"], shown["options"]["handle"]) == (1, "0x1")
        assert shown["options"]["bpf_name"].startswith("verdict")
        assert shown["options"]["direct-action"]

    try:
        attach("egress", "shot")
        assert not ping("a", 4, "10.0.0.2")
        attach("egress", "ok")
        assert ping("a", 4, "10.0.0.2")
        eventually(lambda: len(programs()) == 1)
        if language == "C":
            attach("ingress", "shot")
            assert not ping("a", 4, "10.0.0.2")
    finally:
        wires.tc("qdisc del dev va clsact")


@pytest.mark.differs("a refused request")
@LANGUAGES
def test_loader_prints_errors(wires, language):
    prefix = f"{wires.THIRD[4]}/32"
    wrong = [(f"route tc_ok.o {prefix} va", "verdict is no program for a route")]
    if language == "C":
        wrong += [
            (f"route lwt_xmit_gre.o {prefix} nowhere", "No such device"),
            (f"route lwt_xmit_gre.o {prefix}0 va", "no prefix length: 320"),
            (f"route lwt_xmit_gre.o {prefix} va --via fd00::2", "a gateway of another family"),
            (f"route nothing.o {prefix} va", "No such file"),
            ("filter tc_ok.o va sideways", "usage:"),
        ]
    for line, message in wrong:
        assert message in must_fail(loader_command(language, line))
    # The extack message.
    expect_extack("headroom is at most 256 bytes",
                  loader_command(language, f"route lwt_xmit_gre.o {prefix} va --headroom 300"))
    assert sh(f"ip -n a route show {prefix}") == ""
    eventually(lambda: programs() == [])
