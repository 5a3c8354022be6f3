# SPDX-License-Identifier: GPL-2.0-only
"""Random programs that modify packets, generated from a seed."""

import socket
import struct

from fuzz_network import TUN
from fuzz_packets import TARGETS
from headers import KINDS
from test_permissions import insn, load

PROGRAMS = {"in": 10, "out": 11, "xmit": 12, "tc": 3}
STORE_BYTES, CLONE_REDIRECT, SET_TUNNEL_KEY, REDIRECT, REALM = 9, 13, 21, 23, 24
CHANGE_TAIL, CHANGE_HEAD, PUSH, SET_TSTAMP, ENCAP_IP = 38, 43, 73, 192, 2
# Offsets in struct __sk_buff.
MARK, PRIORITY, TC_CLASSID, TSTAMP, TSTAMP_TYPE = 8, 32, 72, 152, 180
LOOPBACK = 1
BPF_OK, BPF_DROP, BPF_REDIRECT, BPF_REROUTE = 0, 2, 7, 128


class Program:
    """Generates a program. Its register r6 holds the context."""

    def __init__(self, r, hook, network):
        self.r, self.hook, self.network = r, hook, network
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
        places, flags = (*self.network.index.values(), 0, 99999), (0, 0, 0, 2, 8)
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
        self.call(CLONE_REDIRECT, self.network.index[self.r.choice(
            TUN if self.hook == "tc" else list(self.network.index))], 0)

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
