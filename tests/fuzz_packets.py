# SPDX-License-Identifier: GPL-2.0-only
"""Random packets, generated from a seed."""

import socket
import struct

from headers import UDP, packet
from sockets import checksum

# Destinations of packets: through the route with the program, unreachable, and through other
# routes.
TARGETS = {4: ("10.1.0.1", "10.1.0.1", "10.1.0.1", "10.3.0.1", "10.4.0.1", "10.8.0.2", "10.8.0.1"),
           6: ("fd01::1", "fd01::1", "fd01::1", "fd03::1", "fd04::1", "fd08::2", "fd08::1")}


def plain_packet(r):
    """Returns a packet that needs no segmentation, its family, and an empty virtio_net_hdr."""
    family = r.choice((4, 6))
    ends = ("10.20.0.5" if family == 4 else "fd20::5", r.choice(TARGETS[family]))
    data = bytearray(packet(family, *ends, r.randbytes(r.choice((0, 1, 30, 200, 1300)))))
    if r.randrange(4) == 0:
        data[r.randrange(min(len(data), 48))] = r.randrange(256)
        if family == 4 and r.randrange(2):
            data[10:12] = bytes(2)
            data[10:12] = struct.pack("!H", checksum(bytes(data[:20])))
    return bytes(data), family, bytes(10)


def gso_packet(r):
    """Returns a GSO packet, its family, and its header. C: struct virtio_net_hdr."""
    family, tcp = r.choice((4, 6)), r.randrange(3)
    source, target = ("10.20.0.5" if family == 4 else "fd20::5"), r.choice(TARGETS[family])
    domain = socket.AF_INET if family == 4 else socket.AF_INET6
    addresses = socket.inet_pton(domain, source) + socket.inet_pton(domain, target)
    size, data = r.choice((8, 20, 60, 100, 500, 1200)), r.randbytes(r.choice((1500, 3000, 9000)))
    protocol = socket.IPPROTO_TCP if tcp else UDP
    head = (struct.pack("!HHIIBBHHH", 1000, 9, 1, 1, 0x50, 0x10, 1000, 0, 0) if tcp
            else struct.pack("!HHHH", 1000, 9, 8 + len(data), 0))
    start, at = (20 if family == 4 else 40), (16 if tcp else 6)
    pseudo = checksum(addresses + struct.pack("!HH", len(head) + len(data), protocol)) ^ 0xFFFF
    head = head[:at] + struct.pack("!H", pseudo) + head[at + 2:]
    kind = (1 if family == 4 else 4) if tcp else 5
    segments = struct.pack("=BBHHHH", 1, kind, start + len(head), size, start, at)
    inner = head + data
    if family == 6:
        return struct.pack("!IHBB", 6 << 28, len(inner), protocol, 61) + addresses + inner, 6, \
            segments
    outer = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(inner), 1, 0, 61, protocol, 0) + addresses
    outer = outer[:10] + struct.pack("!H", checksum(outer)) + outer[12:]
    return outer + inner, 4, segments
