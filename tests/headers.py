# SPDX-License-Identifier: GPL-2.0-only
"""Headers to push, and the packet that they are pushed to."""

import socket
import struct
from typing import NamedTuple

from sockets import checksum
from wires import PORT

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


def ip_in_ip(family, inner, number=1, **fields):
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


def gue_variant_1(family, inner, number=3, **fields):
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
    "ipip": Kind(4, ip_in_ip, {4: "ipip1"}),
    "sit": Kind(4, ip_in_ip, {6: "sit1"}),
    "ip6ip6": Kind(6, ip_in_ip, {6: "in6"}),
    "ipip6": Kind(6, lambda *args, **fields: ip_in_ip(*args, number=2, **fields), {4: "in4"}),
    "gue": Kind(4, gue, {4: "ipip3", 6: "sit3"}),
    "gue6": Kind(6, gue, {4: "any3", 6: "any3"}),
    "direct": Kind(4, gue_variant_1, {4: "ipip3", 6: "sit3"}),
    "fou": Kind(4, fou, {4: "ipip3"}),
    "vxlan": Kind(4, vxlan, {4: "vx4", 6: "vx4"}),
    "vxlan6": Kind(6, vxlan, {4: "vx6", 6: "vx6"}),
}
