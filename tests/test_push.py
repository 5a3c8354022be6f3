# SPDX-License-Identifier: GPL-2.0-only
"""bpf_lwt_push_encap(BPF_LWT_ENCAP_IP): a program pushes outer headers."""

import contextlib
import ctypes
import itertools
import os
import random
import socket
import struct

import nl
import pytest
from bpf_syscall import BPF_F_TEST_SKB_CHECKSUM_COMPLETE, run_on
from capture import Capture
from conftest import BPF, BUILD, batch, eventually, iterations, map_file, sh, unmap_file
from headers import ETHERTYPE, GRE, GSO_HOPS, KINDS, UDP, Header, gre, ip, outer, packet, udp
from journal import JOURNAL
from needs import IP_FAMILIES
from sockets import (
    IP_MTU_DISCOVER,
    IPV6_MTU_DISCOVER,
    PMTUDISC_DO,
    PMTUDISC_DONT,
    checksum,
    make_socket,
    ping,
    sysctl,
)
from test_helper import TEST_RUN_HOOKS
from tracing import events
from tunnels import Tunnels
from wires import Sender, carry, name_of

pytestmark = pytest.mark.pushes
FAMILIES = pytest.mark.parametrize("family", [4, 6])
INNER = pytest.mark.parametrize("inner", [4, 6])
HOOKS = pytest.mark.parametrize("hook", ["in", "xmit"])
BEYOND = pytest.mark.beyond_c
OTHER_FAMILY = "packet that gets a header of the other family"
# IPv4 packets on input that get an IPv6 header.
FOUR_IN_SIX = {"hook": ["in"], "inner": [4], "kind": ["gre6", "vxlan6"]}
# Rows of docs/differences.md that several scenarios show.
NOT_TCP = "`UDP_SEGMENT` and SCTP packets that are still to be segmented"
BEHIND = "what is behind outer IPv4 options or IPv6 extension headers"
NUMBERS = itertools.count()
# Bytes of a connection, enough for GSO packets.
MUCH = iterations(1 << 20)
UDP_SEGMENT, SCTP, MSG_EOR = 103, 132, 0x80
# Internal to the kernel: userspace has no name for it.
ENOTSUPP = 524
DONT_FRAGMENT = 0x4000
HOP_LIMIT = {4: 8, 6: 7}
NOPS = b"\1" * 8
# The clients' addresses.
HOME = {"a": {4: "10.0.0.1", 6: "fd00::1"}, "b": {4: "10.0.0.2", 6: "fd00::2"}}


def label(value):
    """Returns the ID of a parameter that consists of a header's fields."""
    return "+".join(sorted(value.keys() - {"number"})) if isinstance(value, dict) else None


@pytest.fixture(scope="module", name="tunnels")
def fixture_tunnels():
    """The network of this file. Each scenario removes what it adds."""
    with contextlib.closing(Tunnels()) as made:
        yield made


@pytest.fixture(autouse=True, name="link")
def fixture_link(tunnels, request):
    """Sets what a's link to c does with GSO packets; see Tunnels.set_offloads()."""
    state = getattr(request, "param", "whole")
    tunnels.set_offloads(state)
    return state


def datagram_arrives(tunnels, hook, family, size=20):
    """Returns whether a datagram arrives, and only once."""
    data = f"datagram {next(NUMBERS)} ".encode().ljust(size, b"x")
    with Sender(tunnels.CLIENT[hook], family) as sender:
        assert sender.send(tunnels.SERVICE[hook][family], data) == 0
    return tunnels.receive_all("c", family) == [data]


def stream_arrives(tunnels, hook, family, size=MUCH):
    """Returns whether all bytes of a connection arrive. It gives up when the helper refuses a GSO
    packet, which cannot arrive without the header."""
    return carry(family, tunnels.CLIENT[hook], "c", tunnels.SERVICE[hook][family], size,
                 lost=lambda: tunnels.push.seen(gso=True)[1] > 0)


@HOOKS
@pytest.mark.parametrize("kind, inner, fields", [
    *((kind, inner, {}) for kind in KINDS for inner in KINDS[kind].devices),
    *((kind, 4, {"options": NOPS}) for kind in ("gre", "ipip", "gue", "vxlan")),
    *((kind, 4, {"extension": True}) for kind in ("gre6", "ipip6", "gue6", "vxlan6")),
], ids=label)
def test_kernel_tunnel_decapsulates(tunnels, hook, kind, inner, fields):
    device = KINDS[kind].devices[inner]
    before = tunnels.received(device)
    with tunnels.push.pushing(KINDS[kind].header(inner, **fields)):
        assert ping(tunnels.CLIENT[hook], inner, tunnels.SERVICE[hook][inner])
        assert datagram_arrives(tunnels, hook, inner)
        assert tunnels.received(device) == before + 2
        # Fits into one segment.
        assert stream_arrives(tunnels, hook, inner, 1000)
        packets, refused, _ = tunnels.push.seen()
        assert refused == 0
        assert tunnels.received(device) == before + packets


def send_and_capture(tunnels, hook, family, inner, make):
    """Sends a packet with known bytes, for which `make` returns the header. Returns the header, the
    packet, the packets on c's link, and how many datagrams c's socket has received."""
    client, service = tunnels.CLIENT[hook], tunnels.SERVICE[hook][inner]
    data = packet(inner, HOME[client][inner], service, f"data {next(NUMBERS)}".encode())
    header = make(data)
    with tunnels.push.pushing(header), Capture("c", "wc", family, outer(family)[0]) as wire, \
            make_socket(client, inner, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(data, (service, 0))
        # Packets stay in order, so this waits for the one above.
        arrived = len(tunnels.receive_all("c", inner))
        return header.pushed(data), data, [each[0] for each in wire.packets()], arrived


@HOOKS
@INNER
@BEYOND(OTHER_FAMILY, when=FOUR_IN_SIX)
@pytest.mark.parametrize("kind, options", [
    ("gre", b""), ("gre", NOPS), ("vxlan", b""), ("vxlan", NOPS), ("gre6", b""), ("vxlan6", b""),
], ids=["gre", "gre options", "vxlan", "vxlan options", "gre6", "vxlan6"])
def test_header_and_packet_bytes_are_unchanged(tunnels, hook, inner, kind, options):
    family = KINDS[kind].outer
    fields = {4: {"tos": 0x48, "id": 0x1234, "flags": DONT_FRAGMENT, "options": options},
              6: {"flow": 0x6812345}}[family]
    header, data, seen, arrived = send_and_capture(
        tunnels, hook, family, inner, lambda _: KINDS[kind].header(inner, **fields))
    head = bytearray(header)
    # On input the packet is forwarded.
    head[HOP_LIMIT[family]] -= hook == "in"
    if family == 4:
        # The helper fills in a checksum of 0.
        head[10:12] = struct.pack("!H", checksum(head[:20 + len(options)]))
    assert seen == [bytes(head) + data]
    assert arrived == 1


def with_options(data, options):
    """Returns an IPv4 packet with options, whose length must be a multiple of 4 bytes."""
    head = bytearray(data[:20] + options)
    head[0] += len(options) // 4
    head[2:4] = struct.pack("!H", len(data) + len(options))
    head[10:12] = bytes(2)
    head[10:12] = struct.pack("!H", checksum(head))
    return bytes(head) + data[20:]


@pytest.mark.parametrize("kind", [
    pytest.param("gre", marks=BEYOND("IP options of a packet that a header was pushed to")),
    pytest.param("gre6", marks=BEYOND(OTHER_FAMILY)),
])
def test_ip_options_offsets_are_reset_after_push(tunnels, kind):
    family, service = KINDS[kind].outer, tunnels.SERVICE["in"][4]
    # Record route (option 7), with space for two addresses, and the end of the options.
    data = with_options(packet(4, HOME["b"][4], service, b"record"),
                        bytes((7, 11, 4)) + bytes(8) + b"\0")
    header = KINDS[kind].header(4)
    with tunnels.push.pushing(header), Capture("c", "wc", family, outer(family)[0]) as wire, \
            make_socket("b", 4, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(data, (service, 0))
        eventually(lambda: tunnels.push.seen()[0])
        seen = [each[0] for each in wire.packets()]
    assert len(seen) == 1
    head = bytearray(header.pushed(data))
    head[HOP_LIMIT[family]] -= 1
    if family == 4:
        head[10:12] = struct.pack("!H", checksum(head[:20]))
    # One address is recorded on receipt. The rest is unchanged.
    recorded = seen[0][len(head) + 23:][:4]
    inner = data[:22] + bytes((8,)) + recorded + data[27:]
    assert seen[0] == bytes(head) + inner


@HOOKS
@INNER
@pytest.mark.parametrize("error", [0, 1], ids=["right", "wrong"])
def test_checksum_set_by_program_is_kept(tunnels, hook, inner, error):
    def make(data):
        head = bytearray(gre(4, inner).pushed(data))
        head[10:12] = struct.pack("!H", checksum(head[:20]) + error)
        return Header(bytes(head))

    header, data, seen, arrived = send_and_capture(tunnels, hook, 4, inner, make)
    head = bytearray(header)
    if hook == "in":
        head[8] -= 1
        check = struct.unpack_from("!H", head, 10)[0] + 0x100
        head[10:12] = struct.pack("!H", (check & 0xFFFF) + (check >> 16))
    assert seen == [bytes(head) + data]
    assert arrived == 1 - error


@pytest.fixture(name="trace")
def fixture_trace():
    """Yields a function that reads the events of packets that are handed to a device."""
    with events("net/net_dev_start_xmit") as told:
        yield told


@HOOKS
@INNER
@BEYOND(OTHER_FAMILY, when=FOUR_IN_SIX)
@pytest.mark.parametrize("kind, fields, at", [
    ("vxlan", {}, 34),
    ("gue", {"options": NOPS}, 42),
    ("vxlan6", {}, 54),
    pytest.param("gue6", {"extension": True}, 62, marks=BEYOND(BEHIND)),
], ids=label)
def test_outer_udp_transport_offset_is_set(tunnels, trace, hook, inner, kind, fields, at):
    with tunnels.push.pushing(KINDS[kind].header(inner, **fields)):
        assert datagram_arrives(tunnels, hook, inner)
    protocol = {4: "0x0800", 6: "0x86dd"}[KINDS[kind].outer]
    told = [line for line in trace()
            if " dev=wa " in line and f"protocol={protocol}" in line]
    # The last event is that of the final packet of receive_all(), which has no header.
    assert f"transport_offset_valid=1 transport_offset={at} " in told[0]


PROTOCOL_4 = "GSO packets in IP in IP (protocol 4)"
# Tunnels for GSO packets: kind, inner family, additional fields of the header, and the row of
# docs/differences.md if the C code differs.
GSO_TUNNELS = [
    ("gre", 4, {}, None),
    ("gre", 6, {}, None),
    ("gre", 4, {"number": 2, "check": True}, None),
    ("gre", 4, {"number": 2, "check": True, "options": NOPS}, BEHIND),
    ("gre6", 4, {}, None),
    ("gre6", 6, {"number": 2, "check": True}, None),
    ("gre6", 6, {"extension": True}, BEHIND),
    ("vxlan", 4, {}, None),
    ("vxlan", 6, {"check": True}, None),
    ("vxlan", 4, {"options": NOPS}, BEHIND),
    ("vxlan6", 4, {"check": True}, None),
    ("vxlan6", 6, {}, None),
    ("vxlan6", 4, {"check": True, "extension": True}, BEHIND),
    ("gue", 4, {}, None),
    ("gue", 4, {"check": True}, None),
    ("gue6", 6, {"check": True}, None),
    ("sit", 6, {}, None),
    ("ip6ip6", 6, {}, None),
    ("ipip", 4, {}, PROTOCOL_4),
    ("ipip6", 4, {}, PROTOCOL_4),
]


def gso_tunnels(beyond=None, **links):
    """Parametrizes a scenario with these tunnels and the state of the link: `links` says, for each
    state, which tunnels are run. `beyond` is a row of docs/differences.md that holds for all."""
    wanted = {
        "all": lambda fields: True,
        "plain": lambda fields: not fields,
        "check": lambda fields: "check" in fields and "options" not in fields,
        # The C code omits a checksum behind options, but that shows only in segments.
        "sure": lambda fields: "options" not in fields,
    }
    return pytest.mark.parametrize("link, kind, inner, fields", [
        pytest.param(link, kind, inner, fields, marks=[BEYOND(beyond or why)] * bool(beyond or why))
        for link, which in links.items() for kind, inner, fields, why in GSO_TUNNELS
        if wanted[which](fields)], ids=label, indirect=["link"])


@contextlib.contextmanager
def pushing_to_gso(tunnels, kind, inner, fields):
    """Gives GSO packets a header with another hop limit. Yields a function that returns these
    packets as c's link sees them, after it has checked that c's tunnel has received all packets:
    a connection would hide a loss."""
    family = KINDS[kind].outer
    gso = KINDS[kind].header(inner, hops=GSO_HOPS, **fields)
    # The far end has a second device, for GRE with checksums.
    device = KINDS[kind].devices[inner].replace("1", str(fields.get("number", 1)))
    before = tunnels.received(device)

    def seen():
        found = wire.packets()
        # For UDP sockets, such as those of GUE, the kernel segments GSO packets: there may be more.
        assert tunnels.received(device) - before >= len(found)
        return [each for each in found if each[0][HOP_LIMIT[family]] in (GSO_HOPS, GSO_HOPS - 1)]

    with tunnels.push.pushing(KINDS[kind].header(inner), gso), \
            Capture("c", "wc", family, gso.source(), 64) as wire:
        yield seen


def is_fragment(head):
    """Returns whether a packet is a fragment."""
    if head[0] >> 4 == 4:
        return struct.unpack_from("!H", head, 6)[0] & 0x3FFF != 0
    return head[6] == 44


@HOOKS
# run=False: on the C code the result depends on when the fragments are counted.
@BEYOND(OTHER_FAMILY, run=False, when=FOUR_IN_SIX)
# Whether the link computes the inner checksum matters only to an outer one, hence "check".
@gso_tunnels(whole="sure", cut="check", bare="all")
def test_tcp_gso_packets(tunnels, link, hook, kind, inner, fields):
    with pushing_to_gso(tunnels, kind, inner, fields) as wire:
        assert stream_arrives(tunnels, hook, inner)
        assert tunnels.push.seen()[1] == 0
        packets, refused, _ = tunnels.push.seen(gso=True)
        assert refused == 0
        assert packets > 10
        seen = wire()
        assert not any(is_fragment(head) for head, _ in seen)
        if link == "whole":
            # On a slow machine TCP sends no more than two segments at a time.
            assert max(length for _, length in seen) > tunnels.MTU
        else:
            # Segments are cut shorter by the header, so a packet is as long as one without it.
            assert len(seen) > 10
            assert max(length for _, length in seen) == tunnels.MTU


@HOOKS
@gso_tunnels(NOT_TCP, whole="plain", bare="all")
def test_udp_gso_keeps_datagram_boundaries(
        tunnels, link, hook, kind, inner, fields):
    data = random.Random(1).randbytes(20300)
    with pushing_to_gso(tunnels, kind, inner, fields) as wire, \
            Sender(tunnels.CLIENT[hook], inner) as sender:
        sender.socket.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
        assert sender.send(tunnels.SERVICE[hook][inner], data) == 0
        assert tunnels.push.seen(gso=True) == (1, 0, 0)
        assert tunnels.push.seen() == (0, 0, 0)
        assert tunnels.receive_all("c", inner) == [
            data[at:at + 1000] for at in range(0, 20300, 1000)]
        assert len(wire()) == (1 if link == "whole" else 21)


@HOOKS
@gso_tunnels(NOT_TCP, bare="plain")
def test_sctp_gso_packets(tunnels, link, hook, kind, inner, fields):
    messages = [random.Random(number).randbytes(100 + 7 * number) for number in range(150)]
    client, service = tunnels.CLIENT[hook], tunnels.SERVICE[hook][inner]
    got = []
    with pushing_to_gso(tunnels, kind, inner, fields) as wire, \
            make_socket("c", inner, socket.SOCK_STREAM, SCTP) as listener, \
            make_socket(client, inner, socket.SOCK_STREAM, SCTP) as connection:
        for each in (listener, connection):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Without this, SCTP announces all of the host's addresses to the peer.
        connection.bind((HOME[client][inner], 0))
        listener.bind((service, 7))
        listener.listen()
        connection.connect((service, 7))
        server, _ = listener.accept()
        with server:
            connection.setblocking(False)
            server.settimeout(0.1)
            left = list(messages)
            for _ in range(100):
                with contextlib.suppress(BlockingIOError):
                    while left:
                        connection.sendall(left[0])
                        left.pop(0)
                with contextlib.suppress(TimeoutError):
                    while len(got) < len(messages):
                        part, _, flags, _ = server.recvmsg(65536)
                        assert flags & MSG_EOR
                        got.append(part)
                assert tunnels.push.seen(gso=True)[1] == 0
                if len(got) == len(messages):
                    break
            assert got == messages
            assert len(wire()) > 0


@pytest.fixture(scope="class", name="gro")
def fixture_gro(tunnels):
    """Has a's GRO merge the segments that b sends, if a forwards them. va uses threaded NAPI,
    because b's process would poll each segment before it sends the next one. Everything runs on one
    CPU, so that all segments of a packet are queued before the thread runs. TCP sends at least 8
    segments, so that some have equal flags: GRO makes no list of others."""
    def segments(state, at_least):
        sh(f"ip netns exec b ethtool -K vb tso {state} tx-udp-segmentation {state}")
        sysctl("b", "ipv4/tcp_min_tso_segs", at_least)

    def joined(state):
        sh(f"ip netns exec a ethtool -K va gro {state} rx-udp-gro-forwarding {state}")

    def threaded(state):
        sh(f"ip netns exec a sh -c 'echo {state} >/sys/class/net/va/threaded'")

    segments("off", 8)
    joined("on")
    threaded(1)
    processors = os.sched_getaffinity(0)
    one = {min(processors)}
    with JOURNAL.quiet():
        os.sched_setaffinity(int(sh("pgrep ^napi/va-")), one)
    os.sched_setaffinity(0, one)
    yield
    os.sched_setaffinity(0, processors)
    threaded(0)
    joined("off")
    segments("on", 2)


@pytest.fixture(name="lists")
def fixture_lists(tunnels, request):
    """Has GRO keep the merged packets as a list, if the parameter says so."""
    if request.param:
        sh("ip netns exec a ethtool -K va rx-gro-list on")
    yield
    if request.param:
        sh("ip netns exec a ethtool -K va rx-gro-list off")


@pytest.mark.usefixtures("gro", "lists")
@pytest.mark.parametrize("lists", [False, True], ids=["", "lists"], indirect=True)
@pytest.mark.parametrize("link", ["bare"], indirect=True)
@pytest.mark.parametrize("kind, inner, fields", [
    row[:3] for row in GSO_TUNNELS if row[0] in ("gre", "vxlan6", "sit") and row[3] is None],
    ids=label)
class TestGroPackets:
    """GSO packets that GRO has merged on their way."""

    @BEYOND(OTHER_FAMILY, run=False, when={"inner": [4], "kind": ["gre6", "vxlan6"]})
    def test_tcp_gro_packets(self, tunnels, link, kind, inner, fields):
        with pushing_to_gso(tunnels, kind, inner, fields) as wire:
            assert stream_arrives(tunnels, "in", inner)
            assert tunnels.push.seen()[1] == 0
            packets, refused, _ = tunnels.push.seen(gso=True)
            assert (packets > 0, refused) == (True, 0)
            seen = wire()
            assert not any(is_fragment(head) for head, _ in seen)
            assert max(length for _, length in seen) <= tunnels.MTU

    @pytest.mark.beyond_c(NOT_TCP)
    def test_udp_gro_keeps_datagram_boundaries(
            self, tunnels, link, kind, inner, fields):
        data = random.Random(2).randbytes(20300)
        # GRO does not merge packets of a port that a itself has a socket for.
        address = (tunnels.SERVICE["in"][inner], 10)
        with pushing_to_gso(tunnels, kind, inner, fields), \
                make_socket("c", inner) as server, make_socket("b", inner) as client:
            server.bind(address)
            server.settimeout(1)
            client.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
            client.sendto(data, address)
            assert [server.recv(2000) for _ in range(21)] == [
                data[at:at + 1000] for at in range(0, 20300, 1000)]
            packets, refused, _ = tunnels.push.seen(gso=True)
            assert (packets > 0, refused) == (True, 0)


def refusals():
    """Returns headers that the helper refuses."""
    bad = [
        ("shorter than a header", b"\x45" + bytes(18)),
        ("longer than is allowed", b"\x45" + bytes(256)),
        ("IPv5", b"\x55" + bytes(39)),
        ("IPv0", bytes(40)),
        ("options cut short", b"\x46" + bytes(22)),
        ("IPv6 cut short", b"\x60" + bytes(38)),
        ("UDP cut short", ip(4, UDP, bytes(7)).data),
        ("UDP cut short after options", ip(4, UDP, bytes(7), options=NOPS).data),
        ("UDP in IPv6 cut short", ip(6, UDP, bytes(7)).data),
    ]
    found = [pytest.param(data, id=what) for what, data in bad]
    for words in (0, 4):
        found.append(pytest.param(bytes([0x40 + words]) + bytes(19), id=f"IPv4 of {words} words",
                                  marks=BEYOND(
                                      "outer IPv4 header with an IHL below 5")))
    return found


def packet_and_frame(inner):
    """Returns a packet, without and with a MAC header."""
    data = packet(inner, *{4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}[inner])
    return data, bytes(12) + struct.pack("!H", ETHERTYPE[inner]) + data


@TEST_RUN_HOOKS
@INNER
@pytest.mark.parametrize("header", refusals())
def test_header_is_refused(tunnels, hook, inner, header):
    data, with_mac = packet_and_frame(inner)
    assert tunnels.push.run(hook, Header(header), with_mac) == ("EINVAL", data)


@TEST_RUN_HOOKS
@INNER
@pytest.mark.parametrize("header", [
    pytest.param(ip(4, 253), id="IPv4 only"),
    pytest.param(ip(6, 59), id="IPv6 only"),
    pytest.param(ip(4, 253, bytes(236)), id="256 bytes"),
    pytest.param(ip(6, 253, bytes(216)), id="256 bytes of IPv6"),
    pytest.param(ip(4, 253, options=NOPS * 5), id="most options"),
    pytest.param(udp(4, 1), id="IPv4 and UDP only"),
    pytest.param(udp(6, 1), id="IPv6 and UDP only"),
])
def test_header_is_accepted(tunnels, hook, inner, header):
    data, with_mac = packet_and_frame(inner)
    error, back = tunnels.push.run(hook, header, with_mac)
    head = bytearray(header.pushed(data))
    if head[0] >> 4 == 4:
        head[10:12] = struct.pack("!H", checksum(head[:head[0] % 16 * 4]))
    assert (error, back) == (0, bytes(head) + data)


@HOOKS
@INNER
@FAMILIES
@pytest.mark.parametrize("protocol, rest, told", [
    pytest.param(50, b"", "EPROTONOSUPPORT", id="ESP"),
    pytest.param(GRE, b"", "EINVAL", id="no GRE"),
    pytest.param(GRE, bytes(3), "EINVAL", id="GRE cut short"),
])
def test_header_that_prevents_segmentation_is_refused(
        tunnels, hook, family, inner, protocol, rest, told):
    with tunnels.push.pushing(gre(family, inner), ip(family, protocol, rest)):
        assert not stream_arrives(tunnels, hook, inner, 20000)
        packets, refused, error = tunnels.push.seen(gso=True)
        assert packets == refused > 0
        assert error == told
        # Other packets still arrive.
        assert datagram_arrives(tunnels, hook, inner)


@TEST_RUN_HOOKS
@INNER
@FAMILIES
@pytest.mark.beyond_c("header that a program pushes, refused for what the packet is")
def test_refused_header_leaves_packet_unchanged(tunnels, hook, inner, family):
    data, with_mac = packet_and_frame(inner)
    assert tunnels.push.run(hook, gre(family, inner), with_mac, gso=10) == (ENOTSUPP, data)


@HOOKS
@INNER
@pytest.mark.beyond_c("TCP segments that a header would leave less than 8 bytes")
def test_header_that_makes_gso_size_too_small_is_refused(tunnels, hook, inner):
    client, service = tunnels.CLIENT[hook], tunnels.SERVICE[hook][inner]
    with tunnels.push.pushing(gre(4, inner), ip(4, GRE, bytes(200))), \
            make_socket("c", inner, socket.SOCK_STREAM) as listener, \
            make_socket(client, inner, socket.SOCK_STREAM) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 200)
        listener.bind((service, 7))
        listener.listen()
        connection.connect((service, 7))
        connection.sendall(bytes(2000))
        eventually(lambda: tunnels.push.seen(gso=True)[0] > 0)
        assert tunnels.push.seen(gso=True)[2] == "EMSGSIZE"


class Shared(ctypes.Structure):
    """C: struct shared, in bpf/shared_header.c."""

    _fields_ = [("header", ctypes.c_uint8 * 40), *(
        (name, ctypes.c_uint64) for name in ("four", "six", "torn", "refused"))]


@pytest.fixture(name="shared")
def fixture_shared():
    """A program that pushes a header from memory that this process maps: its fd, and the memory."""
    pins = "/run/bpf/shared"
    os.mkdir(pins)
    sh(f"bpftool prog loadall {BPF}/shared_header.o {pins} pinmaps {pins}")
    files = [nl.open_pinned(f"{pins}/{name}") for name in ("push", "shared")]
    sh(f"rm -r {pins}")
    memory = map_file(files[1], Shared)
    yield files[0], memory
    unmap_file(memory)
    for each in files:
        os.close(each)


@pytest.mark.needs("KPROBES")
@pytest.mark.beyond_c("pushed header that is changed in a map meanwhile")
def test_header_changed_during_push_is_pushed_as_checked(shared):
    fd, memory = shared
    memory.header[0] = 0x60
    _, with_mac = packet_and_frame(4)
    # Each packet needs headroom, which is added after the check of the header and before its copy.
    sh(f"insmod {BUILD}/tests/modules/lwtcls_user_write.ko process={os.getpid()} "
       f"at={ctypes.addressof(memory.header)}")
    try:
        run_on(fd, with_mac, repeat=20)
    finally:
        sh("rmmod lwtcls_user_write")
    assert min(memory.four, memory.six) > 0
    assert (memory.torn, memory.refused) == (0, 0)


@INNER
@pytest.mark.parametrize("header", [
    pytest.param(lambda inner: gre(6, inner), id="gre6"),
    pytest.param(lambda inner: KINDS["vxlan6"].header(inner), id="vxlan6"),
    pytest.param(lambda inner: gre(4, inner), id="gre",
                 marks=BEYOND("outer IPv4 checksum left 0")),
    pytest.param(lambda inner: KINDS["vxlan"].header(inner), id="vxlan",
                 marks=BEYOND("outer IPv4 checksum left 0")),
    pytest.param(lambda inner: with_ipv4_checksum(gre(4, inner), inner),
                 id="gre with its checksum"),
    pytest.param(lambda inner: ip(6, 253, bytes(3)), id="odd length",
                 marks=BEYOND("header of odd length")),
])
def test_checksum_complete_stays_valid(tunnels, inner, header):
    _, with_mac = packet_and_frame(inner)
    try:
        error, _ = tunnels.push.run(
            "in", header(inner), with_mac, BPF_F_TEST_SKB_CHECKSUM_COMPLETE)
    except OSError as refused:
        error = name_of(refused.errno)
    assert error == 0


def with_ipv4_checksum(header, inner):
    """Returns an IPv4 header with its checksum filled in."""
    head = bytearray(header.pushed(packet_and_frame(inner)[0]))
    head[10:12] = struct.pack("!H", checksum(head[:20]))
    return Header(bytes(head))


# Outer destinations without a route.
UNREACHABLE = {4: "10.99.0.1", 6: "fd99::1"}


@INNER
@FAMILIES
def test_sender_gets_errno_of_unreachable_outer_route(tunnels, inner, family):
    with tunnels.push.pushing(ip(family, GRE, to=UNREACHABLE[family])), \
            Sender("a", inner) as sender:
        for _ in range(20):
            assert name_of(sender.send(tunnels.SERVICE["xmit"][inner])) == "ENETUNREACH"
        for kind, told in (("unreachable", "EHOSTUNREACH"), ("prohibit", "EACCES")):
            with tunnels.temporary_routes("a", family, f"route add {kind} {UNREACHABLE[family]}"):
                assert name_of(sender.send(tunnels.SERVICE["xmit"][inner])) == told
        assert tunnels.receive_all("c", inner) == []


@INNER
@FAMILIES
def test_packet_is_dropped_if_outer_route_is_unreachable(tunnels, inner, family):
    with tunnels.push.pushing(ip(family, GRE, to=UNREACHABLE[family])), \
            Sender("b", inner) as sender:
        for _ in range(20):
            assert sender.send(tunnels.SERVICE["in"][inner]) == 0
        with tunnels.temporary_routes("a", family, f"route add unreachable {UNREACHABLE[family]}"):
            assert sender.send(tunnels.SERVICE["in"][inner]) == 0
        assert tunnels.push.seen() == (21, 0, 0)
        assert tunnels.receive_all("c", inner) == []
        assert sender.pending() == 0


@pytest.fixture(scope="module", name="red")
def fixture_red(tunnels):
    """A VRF in a, with its own links to b and c. It has a route to the outer destination, and the
    service's routes with the program; yields a's addresses on the link to b."""
    batch("-n a", "link add red type vrf table 50", "link set red up",
          "link add ra type veth peer name rc netns c", "link set ra master red",
          "link add qa type veth peer name qb netns b", "link set qa master red")
    tunnels.join("a", "ra", "c", "rc", 8)
    tunnels.join("a", "qa", "b", "qb", 6)
    for family, way in ((4, "via 10.8.0.2 dev ra"), (6, "via fd08::2 dev ra")):
        batch(f"-{family} -n a",
              f"route add {outer(family)[1]} {way} table 50",
              *(f"route add {tunnels.SERVICE[hook][family]} {tunnels.encap(hook)} {way} table 50"
                for hook in tunnels.CLIENT))
    yield {4: "10.6.0.1", 6: "fd06::1"}
    batch("-n a", "link del ra", "link del qa", "link del red")


@pytest.mark.needs("NET_VRF")
@HOOKS
@INNER
@FAMILIES
def test_outer_route_lookup_uses_vrf_of_packet(tunnels, red, hook, inner, family):
    service = tunnels.SERVICE[hook][inner]
    with contextlib.ExitStack() as stack:
        stack.enter_context(tunnels.push.pushing(gre(family, inner)))
        wire = stack.enter_context(Capture("c", "rc", family, outer(family)[0]))
        sender = stack.enter_context(Sender(tunnels.CLIENT[hook], inner))
        device = "red" if hook == "xmit" else "qb"
        sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        if hook == "in":
            stack.enter_context(tunnels.temporary_routes(
                "b", inner, f"route add {service} via {red[inner]} dev qb metric 2000"))
        assert sender.send(service, b"red") == 0
        assert tunnels.receive_all("c", inner) == [b"red"]
        assert len(wire.packets()) == 1


@pytest.fixture(scope="class", name="narrow")
def fixture_narrow():
    """Lowers the MTU of a's link to c below that of the route to the service."""
    batch("-n a", "link set wa mtu 1300")
    yield
    batch("-n a", "link set wa mtu 1500")


@pytest.mark.usefixtures("narrow")
class TestNarrowLink:
    """Packets that exceed the MTU of the link with the pushed header."""

    @HOOKS
    @INNER
    @pytest.mark.parametrize("family, flags", [(4, 0), (4, DONT_FRAGMENT), (6, 0)],
                             ids=["4", "4 DF", "6"])
    @pytest.mark.parametrize("discover", [PMTUDISC_DONT, PMTUDISC_DO], ids=["dont", "do"])
    def test_packet_is_fragmented_or_dropped(self, tunnels, hook, inner, family, flags, discover):
        data = f"long {next(NUMBERS)}".encode().ljust(1330, b"x")
        # A local sender may allow fragmentation (skb->ignore_df), whatever the outer header says.
        fits = family == 4 and not flags or hook == "xmit" and discover == PMTUDISC_DONT
        with tunnels.push.pushing(gre(family, inner, flags=flags)), \
                Capture("c", "wc", family, outer(family)[0]) as wire, \
                Sender(tunnels.CLIENT[hook], inner) as sender:
            sender.option(IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, discover)
            told = sender.send(tunnels.SERVICE[hook][inner], data)
            assert name_of(told) == ("ENOBUFS" if hook == "xmit" and not fits else 0)
            assert tunnels.receive_all("c", inner) == [data] * fits
            assert [is_fragment(head) for head, _ in wire.packets()] == [True] * 2 * fits


@HOOKS
@pytest.mark.parametrize("name, family, source, target", [
    ("gre", 4, "172.16.1.100", "172.16.16.100"),
    ("gre6", 6, "fb01::1", "fb10::1"),
    ("vxlan", 4, "172.16.5.100", "172.16.17.100"),
    ("vxlan6", 6, "fb05::1", "fb11::1"),
], ids=["gre", "gre6", "vxlan", "vxlan6"])
def test_programs_of_kernel_selftests(tunnels, hook, name, family, source, target):
    # The kernel's tests choose the addresses, and the inner family of VXLAN.
    kind = {"gre": "gre", "gre6": "ip6gre", "vxlan": "vxlan id 1 dstport 4789",
            "vxlan6": "vxlan id 1 dstport 4789 udp6zerocsumrx"}[name]
    bits = {4: 32, 6: 128}[family]
    own = f"encap bpf {hook} obj test_lwt_ip_encap.o section encap_{name}"
    end = "" if "vxlan" in name else f"remote {source}"
    batch("-n c", f"addr add {target}/{bits} dev lo",
          f"link add own type {kind} local {target} {end}", "link set own up")
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(tunnels.temporary_routes(
                "a", family, f"route add {target} {tunnels.VIA['c'][family]}"))
            for inner in IP_FAMILIES if "gre" in name else (family,):
                third = {4: "10.5.0.1", 6: "fd05::1"}[inner]
                address = {4: f"{third}/32 dev lo", 6: f"{third}/128 dev lo nodad"}[inner]
                stack.enter_context(tunnels.temporary_routes("c", inner, f"addr add {address}"))
                stack.enter_context(tunnels.temporary_routes(
                    "a", inner, f"route add {third} {own} {tunnels.VIA['b'][inner]} mtu 1400"))
                stack.enter_context(tunnels.temporary_routes(
                    "b", inner, f"route add {third} via {HOME['a'][inner]} mtu 1400"))
                before = tunnels.received("own")
                assert ping(tunnels.CLIENT[hook], inner, third)
                assert tunnels.received("own") == before + 1
                # The VXLAN frames of these programs are broadcast, which TCP ignores.
                if "gre" in name:
                    assert carry(inner, tunnels.CLIENT[hook], "c", third, 100000)
                    assert tunnels.received("own") > before + 4
    finally:
        batch("-n c", "link del own", f"addr del {target}/{bits} dev lo")
