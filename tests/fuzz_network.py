# SPDX-License-Identifier: GPL-2.0-only
"""The network that random packets go through.

Packets enter through devices whose other end this thread holds, and leave through devices that
queue none. All processing is therefore complete when the system call returns.
"""

import contextlib
import errno
import fcntl
import os
import socket
import struct

import nl
from conftest import batch, sh
from fuzz_packets import TARGETS, gso_packet, plain_packet
from sockets import sysctl

UDP_SEGMENT = 103
TUN = "tun0", "tap0"
# Device and gateway that the route with the program may use.
WAYS = (("d1", "8"), ("d1", "8"), ("d2", "9"), ("tun0", ""), ("tap0", "21"))
# Where filters are attached: devices and parents.
PLACES = (("tun0", nl.TC_H_CLSACT_INGRESS), ("d1", nl.TC_H_CLSACT_EGRESS), ("d1", 0x10000))


class Device:
    """A tun or tap device whose other end this process holds; it accepts GSO packets."""

    TUNSETIFF, NO_PI, VNET_HDR = 0x400454CA, 0x1000, 0x4000

    def __init__(self, namespace, name):
        with nl.inside(namespace):
            self.file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            kind = 2 if name.startswith("tap") else 1
            fcntl.ioctl(self.file, self.TUNSETIFF, struct.pack(
                "16sH22x", name.encode(), kind | self.NO_PI | self.VNET_HDR))

    def write(self, segments, frame):
        """Injects a packet as received by the device; returns the errno."""
        try:
            os.write(self.file, segments + frame)
        except OSError as error:
            return error.errno
        return 0

    def drain(self):
        """Reads and discards the packets that the device has sent."""
        with contextlib.suppress(BlockingIOError):
            while True:
                os.read(self.file, 1 << 17)


class PacketNetwork:
    """A namespace with the devices, routes, sockets and qdiscs that packets can meet."""

    def __init__(self):
        self.sockets, self.devices = {}, {}
        batch("", "netns add f")
        self.devices = {name: Device("f", name) for name in TUN}
        batch("-n f", "link set lo up", "link add d1 type dummy", "link add red type vrf table 50",
              "link set red up", "link add d2 type dummy", "link set d2 master red",
              "link add loop type ipip local 10.8.0.1 remote 10.1.0.1",
              "link set tap0 address 02:00:00:00:00:77",
              "addr add 10.20.0.1/24 dev tun0", "addr add fd20::1/64 dev tun0 nodad",
              "addr add 10.21.0.1/24 dev tap0", "addr add fd21::1/64 dev tap0 nodad",
              "addr add 10.8.0.1/24 dev d1", "addr add fd08::1/64 dev d1 nodad",
              "addr add 10.9.0.1/24 dev d2", "addr add fd09::1/64 dev d2 nodad",
              *(f"link set {name} up" for name in ("tun0", "tap0", "d1", "d2", "loop")),
              "neigh add 10.21.0.2 lladdr 02:00:00:00:00:78 dev tap0",
              "neigh add fd21::2 lladdr 02:00:00:00:00:78 dev tap0",
              "route add unreachable 10.3.0.1", "route add unreachable fd03::1",
              "route add blackhole 10.4.0.1", "route add blackhole fd04::1")
        for what in ("ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/conf/all/accept_local"):
            sysctl("f", what, 1)
        with nl.inside("f"):
            self.index = {name: socket.if_nametoindex(name)
                          for name in ("tun0", "tap0", "d1", "d2", "loop")}
            for family, domain in ((4, socket.AF_INET), (6, socket.AF_INET6)):
                self.sockets["raw", family] = socket.socket(domain, socket.SOCK_RAW,
                                                            socket.IPPROTO_RAW)
                self.sockets["udp", family] = socket.socket(domain, socket.SOCK_DGRAM)
        self.socket = nl.open_in("f")
        self.socket.settimeout(10)
        for name in ("tun0", "d1"):
            self.request(36, nl.NLM_F_CREATE, struct.pack(
                "=BxxxiIII", 0, self.index[name], 0xFFFF0000, 0xFFFFFFF1, 0)
                + nl.attr(nl.TCA_KIND, "clsact"))
        sh("tc -n f qdisc add dev d1 root handle 1: htb default 1 && "
           "tc -n f class add dev d1 parent 1: classid 1:1 htb rate 1gbit && "
           "tc -n f class add dev d1 parent 1: classid 1:2 htb rate 1gbit")

    def close(self):
        """Deletes everything."""
        self.socket.close()
        for each in self.sockets.values():
            each.close()
        for each in self.devices.values():
            os.close(each.file)
        batch("", "netns del f")

    def request(self, kind, flags, body):
        """Sends a netlink request; returns the errno."""
        flags |= nl.NLM_F_REQUEST | nl.NLM_F_ACK
        self.socket.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        return -struct.unpack_from("=i", self.socket.recv(65536), 16)[0]

    def route(self, r, family, hook, fd, number):
        """Replaces the route to the target by one with a program on a hook; returns the errno."""
        device, net = r.choice(WAYS)
        domain = socket.AF_INET if family == 4 else socket.AF_INET6
        body = nl.rtmsg(domain, 32 if family == 4 else 128, 254, 4,
                        0 if net else 253 * (family == 4), 1)
        body += nl.attr(nl.RTA_DST, socket.inet_pton(domain, TARGETS[family][0]))
        body += nl.attr(nl.RTA_OIF, self.index[device])
        if net:
            gateway = f"10.{net}.0.2" if family == 4 else f"fd{int(net):02}::2"
            body += nl.attr(nl.RTA_GATEWAY, socket.inet_pton(domain, gateway))
        body += nl.attr(nl.RTA_ENCAP_TYPE, struct.pack("=H", nl.ENCAP_BPF))
        encap = nl.attr({"in": nl.LWT_IN, "out": nl.LWT_OUT, "xmit": nl.LWT_XMIT}[hook],
                        nl.attr(nl.PROG_FD, fd) + nl.attr(nl.PROG_NAME, f"n-{number}"))
        if r.randrange(2):
            encap += nl.attr(nl.LWT_HEADROOM, r.choice((0, 20, 60, 256)))
        return self.request(nl.RTM_NEWROUTE, nl.NLM_F_CREATE | nl.NLM_F_REPLACE,
                            body + nl.attr(nl.RTA_ENCAP, encap))

    def filter(self, r, fd):
        """Adds a filter to a hook of a device; returns the errno."""
        where = r.choice(PLACES)
        options = nl.attr(nl.BPF_FD, fd)
        if r.randrange(3):
            options += nl.attr(nl.BPF_FLAGS, nl.DIRECT)
        if r.randrange(3) == 0:
            options += nl.attr(nl.BPF_CLASSID, r.choice((0x10001, 0x10002)))
        if r.randrange(3) == 0:
            options += nl.attr(nl.BPF_ACT, nl.attr(1, nl.gact(r.choice((0, 2, -1, 3)))))
        body = nl.tfilter(self.index[where[0]], r.randrange(3), options, parent=where[1])
        flags = r.choice((nl.NLM_F_CREATE, nl.NLM_F_CREATE | nl.NLM_F_REPLACE))
        return self.request(nl.RTM_NEWTFILTER, flags, body)

    def forget(self):
        """Deletes all filters."""
        for name, parent in PLACES:
            self.request(nl.RTM_DELTFILTER, 0, struct.pack(
                "=BxxxIIII", 0, self.index[name], 0, parent, 0))

    def send(self, r):
        """Sends a random packet in a random way; returns the errno."""
        made, family, segments = (gso_packet if r.randrange(3) == 0 else plain_packet)(r)
        how = r.choice(("tun0", "tun0", "tap0", "raw", "udp"))
        if how in self.devices:
            if how == "tap0":
                made = (bytes.fromhex("020000000077020000000078")
                        + (b"\x08\0" if family == 4 else b"\x86\xdd") + made)
                # On a tap, offsets count from the MAC header instead of the network header.
                flags, kind, head, size, start, at = struct.unpack("=BBHHHH", segments)
                segments = struct.pack("=BBHHHH", flags, kind, head + 14 * bool(kind), size,
                                       start + 14 * bool(kind), at)
            return self.devices[how].write(segments, made)
        target, sender = r.choice(TARGETS[family]), self.sockets[how, family]
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, r.randrange(3))
        if how == "udp":
            made = r.randbytes(r.choice((0, 100, 1300, 4000)))
            sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, r.choice((0, 0, 200, 1000)))
        try:
            sender.sendto(made[:1400] if how == "raw" else made, (target, 9 if how == "udp" else 0))
        except OSError as error:
            return error.errno
        return 0


def name_of(number):
    """Returns the name of an errno."""
    return errno.errorcode.get(number, number)
