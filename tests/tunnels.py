# SPDX-License-Identifier: GPL-2.0-only
"""Headers to push, the program that pushes them, and a remote end that decapsulates with the
kernel's own tunnels."""

import contextlib
import ctypes
import errno
import os
import pathlib
import shutil
import socket
import struct
from typing import NamedTuple

import nl
from conftest import BPF, LIBC, SYS_BPF, batch, fetch, sh
from journal import observed
from nl import inside
from sockets import checksum
from wires import PORT, Wires

BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_PROG_TEST_RUN = 1, 2, 10
BPF_F_TEST_SKB_CHECKSUM_COMPLETE = 4
# Offset in struct __sk_buff.
GSO_SIZE = 176
IPIP, UDP, IPV6, GRE = 4, 17, 41, 47
PROTOCOL = {4: IPIP, 6: IPV6}
ETHERTYPE = {4: 0x0800, 6: 0x86DD}
DOMAIN = {4: socket.AF_INET, 6: socket.AF_INET6}
# UDP ports of the remote end.
VXLAN_PORT, GUE_PORT, FOU_PORT = 4789, 5555, 5556
VNI = {4: 42, 6: 43}
MAC = {4: "02:00:00:00:00:42", 6: "02:00:00:00:00:43"}
# Hop limits that tell pushed headers of GSO packets from others.
HOPS, GSO_HOPS = 64, 128


def bpf(command, layout, *values):
    """Calls bpf(2). Returns its result, and the attributes as the kernel left them."""
    attr = ctypes.create_string_buffer(struct.pack(layout, *values), 128)
    result = LIBC.syscall(SYS_BPF, command, attr, len(attr))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result, struct.unpack_from(layout, attr)


def run_on(fd, packet, *, repeat=1, flags=0, gso=0):
    """Runs a program on a packet with a MAC header that no device has received; with `gso`, on a
    GSO packet of that gso_size. Returns the program's return value, signed, and the resulting
    packet without its MAC header. C: bpf(BPF_PROG_TEST_RUN)."""
    given = ctypes.create_string_buffer(packet, len(packet))
    back = ctypes.create_string_buffer(len(packet) + 4096)
    # C: struct __sk_buff. It has no field for the gso_type.
    context = ctypes.create_string_buffer(192)
    struct.pack_into("=I", context, GSO_SIZE, gso)
    about = (len(context), 0, ctypes.addressof(context), 0) if gso else (0, 0, 0, 0)
    _, attr = bpf(BPF_PROG_TEST_RUN, "=IiIIQQIIIIQQIII", fd, 0, len(packet), len(back),
                  ctypes.addressof(given), ctypes.addressof(back), repeat, 0, *about, flags, 0, 0)
    return attr[1], back.raw[14:attr[3]]


def outer(family, number=1):
    """Returns source and destination of an outer header. No host has the source, so packets sent
    back by mistake are lost; its last digit selects a tunnel of the remote end."""
    return {4: (f"10.7.0.{number}", "10.9.0.2"), 6: (f"fd07::{number}", "fd09::2")}[family]


class Header(NamedTuple):
    """A header to push. `lengths` lists the offsets of length fields, each with the offset from
    which it counts. `sum` is the offset of a checksum field that holds the pseudo-header sum
    without the length, and the offset from which it counts."""

    data: bytes
    lengths: tuple = ()
    sum: tuple = (0, 0)

    def source(self):
        """Returns the source address."""
        if self.data[0] >> 4 == 4:
            return socket.inet_ntop(socket.AF_INET, self.data[12:16])
        return socket.inet_ntop(socket.AF_INET6, self.data[8:24])

    def packed(self):
        """C: struct order of the program."""
        places = (*self.lengths, (0, 0), (0, 0))[:2] + (self.sum,)
        return struct.pack("=Q6H264s4x", len(self.data), *(n for at in places for n in at),
                           self.data)

    def pushed(self, inner):
        """Returns the header as pushed before an inner packet, with its lengths filled in."""
        data = bytearray(self.data)
        for at, start in self.lengths:
            struct.pack_into("!H", data, at, len(data) + len(inner) - start)
        return bytes(data)


def ip(family, protocol, rest=b"", number=1, *, to=None, hops=HOPS, options=b"", **fields):
    """Returns an IP header followed by `rest`. Fields of IPv4: tos, id, flags; of IPv6: flow, and
    extension, which adds a destination options header with padding only."""
    source, target = (socket.inet_pton(DOMAIN[family], each) for each in outer(family, number))
    if to:
        target = socket.inet_pton(DOMAIN[family], to)
    if family == 4:
        data = struct.pack(
            "!BBHHHBBH4s4s", 0x45 + len(options) // 4, fields.get("tos", 0), 0,
            fields.get("id", 0), fields.get("flags", 0), hops, protocol, 0, source, target)
        return Header(data + options + rest, ((2, 0),))
    if fields.get("extension"):
        # PadN option, six bytes in all.
        rest = struct.pack("!BBBB4x", protocol, 0, 1, 4) + rest
        protocol = socket.IPPROTO_DSTOPTS
    data = struct.pack("!IHBB16s16s", 6 << 28 | fields.get("flow", 0), 0, protocol, hops, source,
                       target)
    return Header(data + rest, ((4, 40),))


def udp(family, port, rest=b"", number=1, *, check=False, options=b"", **fields):
    """Returns IP and UDP headers followed by `rest`. With `check`, the checksum field holds the
    pseudo-header sum, as in a GSO packet."""
    made = ip(family, UDP, struct.pack("!HHHH", 0xC000 + number, port, 0, 0) + rest, number,
              options=options, **fields)
    at = (20 if family == 4 else 40) + len(options) + 8 * fields.get("extension", False)
    data = made.data
    if check:
        addresses = data[12:20] if family == 4 else data[8:40]
        begun = checksum(addresses + struct.pack("!HH", 0, UDP)) ^ 0xFFFF
        data = data[:at + 6] + struct.pack("!H", begun) + data[at + 8:]
    return Header(data, (*made.lengths, (at + 4, at)), (at + 6, at) if check else (0, 0))


def gre(family, inner, number=1, *, check=False, **fields):
    """Returns IP and GRE headers."""
    rest = struct.pack("!HH", 0x8000 * check, ETHERTYPE[inner]) + bytes(4 * check)
    return ip(family, GRE, rest, number, **fields)


def plain(family, inner, number=1, **fields):
    """Returns the outer header of IP in IP."""
    return ip(family, PROTOCOL[inner], b"", number, **fields)


def vxlan(family, inner, number=1, **fields):
    """Returns IP, UDP, VXLAN and Ethernet headers."""
    mac = bytes.fromhex(MAC[family].replace(":", ""))
    rest = struct.pack("!II6s6sH", 0x08000000, VNI[family] << 8, mac, mac[:5] + b"\x99",
                       ETHERTYPE[inner])
    return udp(family, VXLAN_PORT, rest, number, **fields)


def gue(family, inner, number=3, **fields):
    """Returns IP, UDP and GUE headers."""
    return udp(family, GUE_PORT, struct.pack("!BBH", 0, PROTOCOL[inner], 0), number, **fields)


def direct(family, inner, number=3, **fields):
    """Returns IP and UDP headers for GUE variant 1, which has no GUE header: the first byte of the
    inner packet gives its IP version."""
    return udp(family, GUE_PORT, b"", number, **fields)


def fou(family, inner, number=3, **fields):
    """Returns IP and UDP headers for FOU, where the port gives the inner protocol."""
    return udp(family, FOU_PORT, b"", number, **fields)


def packet(family, source, target, data=b"packet"):
    """Returns a whole UDP packet with valid checksums."""
    addresses = b"".join(socket.inet_pton(DOMAIN[family], each) for each in (source, target))
    length = 8 + len(data)
    datagram = struct.pack("!HHHH", 1000, PORT, length, 0) + data
    check = checksum(addresses + struct.pack("!HH", length, UDP) + datagram) or 0xFFFF
    datagram = datagram[:6] + struct.pack("!H", check) + datagram[8:]
    if family == 6:
        return struct.pack("!IHBB", 0x65412345, length, UDP, 61) + addresses + datagram
    head = struct.pack("!BBHHHBBH", 0x45, 0x54, 20 + length, 0x4321, 0, 61, UDP, 0) + addresses
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + datagram


class Kind(NamedTuple):
    """A kind of tunnel: the outer family, the function that makes its header, and, for each inner
    family that it can carry, the remote end's device that receives the packets."""

    outer: int
    make: callable
    devices: dict

    def header(self, inner, **fields):
        """Returns the header for inner packets of a family."""
        return self.make(self.outer, inner, **fields)


KINDS = {
    "gre": Kind(4, gre, {4: "gre1", 6: "gre1"}),
    "gre6": Kind(6, gre, {4: "six1", 6: "six1"}),
    "ipip": Kind(4, plain, {4: "ipip1"}),
    "sit": Kind(4, plain, {6: "sit1"}),
    "ip6ip6": Kind(6, plain, {6: "in6"}),
    "ipip6": Kind(6, lambda *args, **fields: plain(*args, number=2, **fields), {4: "in4"}),
    "gue": Kind(4, gue, {4: "ipip3", 6: "sit3"}),
    "gue6": Kind(6, gue, {4: "any3", 6: "any3"}),
    "direct": Kind(4, direct, {4: "ipip3", 6: "sit3"}),
    "fou": Kind(4, fou, {4: "ipip3"}),
    "vxlan": Kind(4, vxlan, {4: "vx4", 6: "vx4"}),
    "vxlan6": Kind(6, vxlan, {4: "vx6", 6: "vx6"}),
}


class Pusher:
    """The push program for both hooks, loaded once; it pushes the header that a map holds."""

    PINS = pathlib.Path("/run/bpf/push")

    def __init__(self):
        self.PINS.mkdir()
        sh(f"bpftool prog loadall {BPF}/push.o {self.PINS} pinmaps {self.PINS}")
        self.pins = {name: nl.pinned(f"{self.PINS}/{name}")
                     for name in ("push_in", "push_xmit", "orders", "seen")}

    def close(self):
        """Closes the descriptors and removes the pins."""
        for number in self.pins.values():
            os.close(number)
        shutil.rmtree(self.PINS)

    def element(self, command, name, key, value):
        """Reads or writes an element of a map; returns its bytes."""
        index = ctypes.c_uint32(key)
        data = ctypes.create_string_buffer(value, len(value))
        bpf(command, "=IIQQQ", self.pins[name], 0, ctypes.addressof(index),
            ctypes.addressof(data), 0)
        return data.raw

    def order(self, header, gso=None):
        """Sets the header to push, and the one for GSO packets."""
        for key, each in enumerate((header, gso or header)):
            self.element(BPF_MAP_UPDATE_ELEM, "orders", key, each.packed())
            self.element(BPF_MAP_UPDATE_ELEM, "seen", key, bytes(24))

    @contextlib.contextmanager
    def pushing(self, header, gso=None):
        """Has the program push a header, and possibly another one for GSO packets."""
        self.order(header, gso)
        try:
            yield
        finally:
            self.order(Header(b""))

    @observed
    def seen(self, gso=False):
        """Returns the packets since the last order, how many of them the helper refused, and the
        last errno."""
        data = self.element(BPF_MAP_LOOKUP_ELEM, "seen", int(gso), bytes(24))
        packets, refused, error = struct.unpack("=QQq", data)
        return packets, refused, errno.errorcode.get(-error, -error)

    @observed
    def run(self, hook, header, packet, flags=0, gso=0):
        """Runs the program as `run_on()` does. Returns the errno of the helper, and the resulting
        packet."""
        with self.pushing(header):
            _, back = run_on(self.pins[f"push_{hook}"], packet, flags=flags, gso=gso)
            return self.seen(gso > 0)[2], back


class Capture:
    """Captures the IP packets that a device receives."""

    ROOM = 33

    def __init__(self, namespace, device, family, source, whole=2000):
        self.family, self.whole = family, whole
        at = slice(12, 16) if family == 4 else slice(8, 24)
        self.where, self.source = at, socket.inet_pton(DOMAIN[family], source)
        with inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
            self.socket.setsockopt(socket.SOL_SOCKET, self.ROOM, 1 << 23)
            self.socket.bind((device, ETHERTYPE[family]))
        self.socket.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @observed
    def packets(self):
        """Returns the captured packets from this source address, each truncated to `whole` bytes,
        and their lengths."""
        found, room = [], bytearray(self.whole)
        with contextlib.suppress(BlockingIOError):
            while True:
                length = self.socket.recv_into(room, 0, socket.MSG_TRUNC)
                if room[self.where] == self.source:
                    found.append((bytes(room[:length]), length))
        return found


class Tunnels(Wires):
    """Wires in which c is the remote end of tunnels of all kinds. It has two service addresses.
    What b sends to one of them meets the program in a on input; what a itself sends to the other
    one meets it on xmit. Without a pushed header, a routes these packets to b, and they never reach
    c."""

    CLIENT = {"in": "b", "xmit": "a"}
    SERVICE = {"in": {4: "10.3.0.1", 6: "fd03::1"}, "xmit": {4: "10.4.0.1", 6: "fd04::1"}}
    MTU = 1400
    SEGMENTS = ("tso", "tx-udp-segmentation", "tx-sctp-segmentation")

    def __init__(self):
        super().__init__()
        self.state = "whole"
        # The network is deleted even if its setup fails.
        self.push = None
        try:
            self.push = Pusher()
            self.equip()
            self.lead()
        except BaseException:
            self.close()
            raise

    def close(self):
        super().close()
        if self.push:
            self.push.close()

    def equip(self):
        """Gives c its tunnels and addresses."""
        ends = [f"local {to} remote {source}" for source, to in
                (outer(family, number) for family in (4, 6) for number in (1, 2, 3))]
        four, six = ends[:3], ends[3:]
        devices = {
            "gre1": f"gre {four[0]}",
            "gre2": f"gre {four[1]} icsum",
            "ipip1": f"ipip {four[0]}",
            "ipip3": f"ipip {four[2]}",
            "sit1": f"sit {four[0]}",
            "sit3": f"sit {four[2]}",
            "six1": f"ip6gre {six[0]}",
            "six2": f"ip6gre {six[1]} icsum",
            "in6": f"ip6tnl mode ip6ip6 {six[0]}",
            "in4": f"ip6tnl mode ipip6 {six[1]}",
            "any3": f"ip6tnl mode any {six[2]}",
            "vx4": f"vxlan id {VNI[4]} local 10.9.0.2 dstport {VXLAN_PORT} nolearning",
            "vx6": f"vxlan id {VNI[6]} local fd09::2 dstport {VXLAN_PORT} nolearning "
                   "udp6zerocsumrx",
        }
        # "ip fou" does not load these modules on demand.
        fetch("fou")
        fetch("fou6")
        batch("-n c",
              *(f"link add {name} type {what}" for name, what in devices.items()),
              *(f"link set vx{family} address {address}" for family, address in MAC.items()),
              *(f"link set {name} up" for name in devices),
              *(f"addr add {addresses[4]}/32 dev lo" for addresses in self.SERVICE.values()),
              *(f"addr add {addresses[6]}/128 dev lo nodad" for addresses in self.SERVICE.values()),
              f"fou add port {GUE_PORT} gue",
              f"fou add port {FOU_PORT} ipproto {IPIP}")
        batch("-6 -n c", f"fou add port {GUE_PORT} gue")

    def lead(self):
        """Adds the routes through the program. They use pinned programs, because otherwise ip loads
        the object again for each route."""
        for family, gateway in ((4, "10.0.0.1"), (6, "fd00::1")):
            way = self.VIA["b"][family]
            batch(f"-{family} -n a",
                  f"route add {self.SERVICE['in'][family]} {self.encap('in')} {way}",
                  f"route add {self.SERVICE['xmit'][family]} {self.encap('xmit')} {way} "
                  f"mtu {self.MTU}")
            batch(f"-{family} -n b",
                  f"route add {self.SERVICE['in'][family]} via {gateway} mtu {self.MTU}")

    def encap(self, hook):
        """Returns the words for ip that attach the program to a route."""
        return f"encap bpf {hook} pinned {self.push.PINS}/push_{hook}"

    def shape(self, state):
        """Sets the offloads of a's link to c: GSO packets are sent as they are ("whole"); segmented
        in software ("cut"); segmented with checksums computed in software, so that the receiver
        verifies them ("bare"). The setting persists because changing it is slow."""
        if state == self.state:
            return
        off = {"whole": (), "cut": self.SEGMENTS, "bare": ("tx", *self.SEGMENTS)}[state]
        sh("ip netns exec a ethtool -K wa " + " ".join(
            f"{what} {'off' if what in off else 'on'}" for what in ("tx", *self.SEGMENTS)))
        self.state = state

    @observed
    def received(self, device):
        """Returns how many packets a device of c has received."""
        with inside("c"):
            lines = pathlib.Path("/proc/net/dev").read_text().splitlines()
        for line in lines:
            name, _, numbers = line.partition(":")
            if name.strip() == device:
                return int(numbers.split()[1])
        raise KeyError(device)
