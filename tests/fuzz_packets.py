# SPDX-License-Identifier: GPL-2.0-only
"""Random packets, and random programs that modify them, generated from a seed alone.

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
from headers import KINDS, UDP, packet
from sockets import checksum, sysctl
from test_who import insn, load

PROGRAMS = {"in": 10, "out": 11, "xmit": 12, "tc": 3}
STORE_BYTES, CLONE_REDIRECT, SET_TUNNEL_KEY, REDIRECT, REALM = 9, 13, 21, 23, 24
CHANGE_TAIL, CHANGE_HEAD, PUSH, SET_TSTAMP, ENCAP_IP = 38, 43, 73, 192, 2
# Offsets in struct __sk_buff.
MARK, PRIORITY, TC_CLASSID, TSTAMP, TSTAMP_TYPE = 8, 32, 72, 152, 180
LOOPBACK = 1
BPF_OK, BPF_DROP, BPF_REDIRECT, BPF_REROUTE = 0, 2, 7, 128
UDP_SEGMENT = 103
TUN = "tun0", "tap0"
# Destinations of packets: through the route with the program, unreachable, and through other
# routes.
TARGETS = {4: ("10.1.0.1", "10.1.0.1", "10.1.0.1", "10.3.0.1", "10.4.0.1", "10.8.0.2", "10.8.0.1"),
           6: ("fd01::1", "fd01::1", "fd01::1", "fd03::1", "fd04::1", "fd08::2", "fd08::1")}
# Device and gateway that the route with the program may use.
WAYS = (("d1", "8"), ("d1", "8"), ("d2", "9"), ("tun0", ""), ("tap0", "21"))

# Where filters are attached: devices and parents.
PLACES = (("tun0", nl.TC_H_CLSACT_INGRESS), ("d1", nl.TC_H_CLSACT_EGRESS), ("d1", 0x10000))


class Program:
    """Generates a program. Its register r6 holds the context."""

    def __init__(self, r, hook, ground):
        self.r, self.hook, self.ground = r, hook, ground
        self.text = insn(0xbf, 0x16)
        self.said = []

    def call(self, number, *arguments):
        """Emits a helper call with the context and numbers; None stands for the bytes on the
        stack."""
        self.text += insn(0xbf, 0x61)
        for register, each in enumerate(arguments, 2):
            if each is None:
                self.text += insn(0xbf, 0xa0 | register) + insn(7, register, number=-self.room)
            else:
                self.text += insn(0xb7, register, number=each)
        self.text += number if isinstance(number, bytes) else insn(0x85, number=number)

    def stack(self, data):
        """Emits stores of bytes on the stack."""
        self.room = (len(data) + 7) & ~7
        data += bytes(self.room - len(data))
        for at in range(0, self.room, 4):
            self.text += insn(0x62, 10, at - self.room, struct.unpack_from("=i", data, at)[0])

    def push(self):
        """Pushes a header."""
        family = self.r.choice((4, 6))
        data = bytearray(self.r.choice([kind for kind in KINDS.values() if family in kind.devices]
                                       ).header(family).data)
        # Chooses an outer destination that has a route.
        there = 4 if data[0] >> 4 == 4 else 6
        if self.r.randrange(4):
            address = socket.inet_pton(socket.AF_INET if there == 4 else socket.AF_INET6,
                                       self.r.choice(TARGETS[there]))
            data[16 if there == 4 else 24:20 if there == 4 else 40] = address
        if self.r.randrange(6) == 0:
            data[self.r.randrange(len(data))] = self.r.randrange(256)
        if self.r.randrange(6) == 0:
            data += self.r.randbytes(self.r.randrange(1, 100))
        self.stack(bytes(data[:256]))
        self.call(PUSH, ENCAP_IP, None, len(data[:256]))

    def redirect(self):
        """Redirects to a device."""
        places, flags = (*self.ground.index.values(), 0, 99999), (0, 0, 0, 2, 8)
        if self.may_return:
            places, flags = (*places, LOOPBACK), (0, 0, 1, 1, 2, 8)
        self.text += insn(0xb7, 1, number=self.r.choice(places))
        self.text += insn(0xb7, 2, number=self.r.choice(flags))
        self.text += insn(0x85, number=REDIRECT)

    def head(self):
        """Adds a MAC header."""
        self.call(CHANGE_HEAD, self.r.choice((14, 14, 14, 1, 40, 200)), 0)
        self.stack(bytes.fromhex("020000000077020000000078") + self.r.choice(
            (b"\x08\0", b"\x86\xdd")))
        self.call(STORE_BYTES, 0, None, 14, 0)

    def tail(self):
        """Changes the length of the packet."""
        self.call(CHANGE_TAIL, self.r.choice((0, 1, 14, 20, 60, 2000)), 0)

    def bytes(self):
        """Overwrites bytes of the packet: a random one, or the destination address."""
        if self.r.randrange(2):
            at, data = self.r.choice((0, 1, 3, 6, 9, 10, 12, 20)), self.r.randbytes(1)
        else:
            family = self.r.choice((4, 6))
            at = 16 if family == 4 else 24
            data = socket.inet_pton(socket.AF_INET if family == 4 else socket.AF_INET6,
                                    self.r.choice(TARGETS[family]))
        self.stack(data)
        self.call(STORE_BYTES, at, None, len(data), 0)

    def tunnel_key(self):
        """Sets a tunnel key, which replaces the packet's dst."""
        self.stack(bytes(8))
        self.call(SET_TUNNEL_KEY, None, 8, 0)

    def clone(self):
        """Sends a clone."""
        # A filter on a qdisc must not send through the same qdisc: the kernel deadlocks there,
        # whatever the classifier.
        self.call(CLONE_REDIRECT, self.ground.index[self.r.choice(
            TUN if self.hook == "tc" else list(self.ground.index))], 0)

    def realm(self):
        """Reads the realm of the route."""
        self.call(REALM)

    def field(self):
        """Writes a field of struct __sk_buff."""
        places = (MARK, PRIORITY, TC_CLASSID) if self.hook == "tc" else (MARK, PRIORITY)
        self.text += insn(0xb7, 7, number=self.r.choice((0, 1, 3, 0x10002, 0x7FFFFFFF)))
        self.text += insn(0x63, 0x76, self.r.choice(places))

    def time(self):
        """Sets the packet's timestamp and its clock."""
        self.call(SET_TSTAMP, 1, 1)
        if self.r.randrange(2):
            self.text += insn(0xb7, 7) + insn(0x7b, 0x76, TSTAMP)
        if self.r.randrange(2):
            self.text += insn(0x71, 0x67, TSTAMP_TYPE)

    def end(self, code):
        """Emits the return of a verdict."""
        self.text += insn(0xb7, number=code) + insn(0x95)

    def make(self):
        """Loads the program and returns its descriptor."""
        r = self.r
        steps = {"in": [self.push], "out": [self.realm],
                 "xmit": [self.push, self.push, self.redirect, self.redirect, self.head, self.head,
                          self.tail, self.bytes, self.bytes, self.tunnel_key, self.clone,
                          self.field],
                 # None changes the packet's length: actions that follow would account GSO segments
                 # by the old length, which triggers a warning in the kernel, whatever the
                 # classifier.
                 "tc": [self.redirect, self.head, self.bytes, self.clone, self.realm,
                        self.field, self.field, self.time, self.tunnel_key]}[self.hook]
        chosen = [r.choice(steps) for _ in range(r.choice((0, 1, 1, 2, 2, 3)))]
        if self.hook == "xmit" and r.randrange(4) == 0:
            chosen = r.choice(([self.redirect], [self.head, self.redirect],
                               [self.head, self.field, self.redirect]))
        # A packet that loops back meets the same program again. Such a program must not keep it
        # alive for ever, nor multiply it.
        self.may_return = self.hook == "xmit" and not {self.push, self.bytes, self.clone} & {
            *chosen}
        for step in chosen:
            step()
        if self.hook == "tc":
            codes = (0, 1, 2, 3, 4, 7, 8, -1, 0x10002, 99)
        else:
            codes = (BPF_OK, BPF_OK, BPF_DROP, BPF_REDIRECT, BPF_REROUTE, BPF_REROUTE, 1, -1, 99)
        # A verdict of redirect usually follows a helper call that names the target.
        code = r.choice(codes)
        if self.redirect in chosen and r.randrange(3):
            code = BPF_REDIRECT
        elif self.push in chosen and r.randrange(3):
            code = BPF_REROUTE
        self.end(code)
        return load(PROGRAMS[self.hook], self.text)


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


def whole(r):
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


def to_be_cut(r):
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


class Ground:
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
        self.asker = nl.open_in("f")
        self.asker.settimeout(10)
        for name in ("tun0", "d1"):
            self.ask(36, nl.NLM_F_CREATE, struct.pack(
                "=BxxxiIII", 0, self.index[name], 0xFFFF0000, 0xFFFFFFF1, 0)
                + nl.attr(nl.TCA_KIND, "clsact"))
        sh("tc -n f qdisc add dev d1 root handle 1: htb default 1 && "
           "tc -n f class add dev d1 parent 1: classid 1:1 htb rate 1gbit && "
           "tc -n f class add dev d1 parent 1: classid 1:2 htb rate 1gbit")

    def close(self):
        """Deletes everything."""
        self.asker.close()
        for each in self.sockets.values():
            each.close()
        for each in self.devices.values():
            os.close(each.file)
        batch("", "netns del f")

    def ask(self, kind, flags, body):
        """Sends a netlink request; returns the errno."""
        flags |= nl.NLM_F_REQUEST | nl.NLM_F_ACK
        self.asker.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        return -struct.unpack_from("=i", self.asker.recv(65536), 16)[0]

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
        return self.ask(nl.RTM_NEWROUTE, nl.NLM_F_CREATE | nl.NLM_F_REPLACE,
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
        return self.ask(nl.RTM_NEWTFILTER, flags, body)

    def forget(self):
        """Deletes all filters."""
        for name, parent in PLACES:
            self.ask(nl.RTM_DELTFILTER, 0, struct.pack(
                "=BxxxIIII", 0, self.index[name], 0, parent, 0))

    def send(self, r):
        """Sends a random packet in a random way; returns the errno."""
        made, family, segments = (to_be_cut if r.randrange(3) == 0 else whole)(r)
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
