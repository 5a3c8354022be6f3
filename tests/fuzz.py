# SPDX-License-Identifier: GPL-2.0-only
"""Hostile netlink messages, generated from a seed.

A message starts as a tree of attributes that the kernel accepts; most trees are then corrupted. The
answers do not influence later messages: two kernels that get the same seed get the same requests.
"""

import os
import random
import socket
import struct
from typing import NamedTuple

import nl
from fuzz_messages import Message, Node, attributes, encode
from fuzz_mutations import Mutator

DUMP_TERSE = 1
HTB_PARMS, HTB_INIT = 1, 2
MAGIC_BLOCK, BLOCK = 0xFFFFFFFF, 7
# Descriptor numbers of the files that requests refer to, above all others of this process.
FIRST_FD = 900
FDS = ("in", "out", "xmit", "xmit_other", "tc", "tc_other", "tc_realm", "map", "file")
CLOSED = 1 << 20
# All filters and routes are deleted after this many messages. This limits how long a message that
# one kernel accepts and another refuses affects later ones. With 1 there is no such effect, but
# nothing to replace either.
ROUND = int(os.environ.get("LWTCLS_ROUND", "250"))


class World(NamedTuple):
    """Interface indices that messages refer to: one device for filters, one for routes."""

    filters: int
    routes: int

    def fd(self, name):
        """Returns the descriptor number of a file, or a closed one."""
        return FIRST_FD + FDS.index(name) if name in FDS else CLOSED


def htb_class_parts(ifindex, minor):
    """Returns the header and the attributes of a class request."""
    # C: struct tc_htb_opt, 1 Gbit/s.
    rate = struct.pack("=BBHhHI", 0, 1, 0, 0, 0, 125000000)
    parms = Node(HTB_PARMS, rate + rate + struct.pack("=5I", 1600, 1600, 1600, 0, 0))
    return (struct.pack("=BxxxIIII", 0, ifindex, 0x10000 | minor, 0x10000, 0),
            [Node(nl.TCA_KIND, "htb"), Node(nl.TCA_OPTIONS, [parms])])


def htb(ifindex):
    """Returns the body of a request for the HTB qdisc."""
    # C: struct tc_htb_glob.
    init = Node(HTB_INIT, struct.pack("=5I", 3, 10, 0, 0, 0))
    return struct.pack("=BxxxIIII", 0, ifindex, 0x10000, 0xFFFFFFFF, 0) + encode(
        [Node(nl.TCA_KIND, "htb"), Node(nl.TCA_OPTIONS, [init])])


def htb_class(ifindex, minor):
    """Returns the body of a class request."""
    head, nodes = htb_class_parts(ifindex, minor)
    return head + encode(nodes)


def never_ends(options):
    """Returns whether two actions of a filter have the same index. If no action with that index
    exists yet, the kernel retries such a request for ever with RTNL held, whatever the
    classifier."""
    seen = []
    for _, action in attributes(dict(attributes(options)[0]).get(nl.BPF_ACT, b""))[0]:
        parms = dict(attributes(dict(attributes(action)[0]).get(nl.ACT_OPTIONS, b""))[0])
        index = parms.get(nl.GACT_PARMS, b"")[:4]
        seen += [index] if any(index) else []
    return len(set(seen)) < len(seen)


class Maker(Mutator):
    """Generates one message."""

    def __init__(self, seed, number, world):
        # Each message has its own generator, so it can be reproduced without the ones before it.
        super().__init__(random.Random(f"{seed}/{number}"))
        self.world = world
        # Whether everything outside the options or the encapsulation is acceptable to the core.
        self.plain = True

    def name(self, label):
        """Returns a program's name, usually one that identifies the program."""
        if self.chance(85):
            return Node(nl.PROG_NAME, f"n-{label}")
        length = self.r.choice((0, 1, 2, 254, 255, 256, 257, 300, 4000))
        text = b"x" * length
        return Node(nl.PROG_NAME, self.r.choice(
            (text, text + b"\0", text[:length // 2] + b"\0" + text[length // 2:],
             b"ab\0" + text + b"\0", b"ab\0" + bytes(length), text.ljust(256, b"\0"),
             text + bytes(2))))

    def fd(self, *good):
        """Returns a label and a descriptor, usually of a suitable program."""
        label = self.r.choice(good if self.chance(85) else (*FDS, "closed"))
        return label, self.world.fd(label)

    def hook(self, kind, *good):
        """Returns the attribute of a route's hook, with a program."""
        label, fd = self.fd(*good)
        return Node(kind, [Node(nl.PROG_FD, fd), self.name(label)])

    def encap(self):
        """Returns the attributes of an encapsulation."""
        hooks = ((nl.LWT_IN, "in"), (nl.LWT_OUT, "out"), (nl.LWT_XMIT, "xmit", "xmit_other"))
        nodes = [self.hook(*each) for each in self.r.sample(hooks, self.r.choice((1, 1, 1, 2, 3)))]
        if self.chance(30):
            nodes.append(Node(nl.LWT_HEADROOM, self.r.choice((0, 20, 256))
                              if self.chance(70) else self.number()))
        return nodes

    def bytecode(self):
        """Returns classic bytecode and its length."""
        # A filter with 4096 instructions is accepted, but does not fit into a dump.
        count = self.r.choice((1, 1, 2, 3, 16, 3000)) if self.chance(90) else 4097
        # One program in twenty contains an invalid instruction.
        insns = struct.pack("=HBBI", 0x28, 0, 0, 12) * (count - 1) + struct.pack(
            "=HBBI", 6 if self.chance(95) else 0xFFFF, 0, 0, self.number())
        return [Node(nl.BPF_OPS_LEN, struct.pack("=H", count)), Node(nl.BPF_OPS, insns)]

    def actions(self):
        """Returns one or two gact actions."""
        def gact():
            parms = struct.pack("=IIiii", 0, 0, self.r.choice((0, 2, 3, -1, 99)), 0, 0)
            return [Node(nl.ACT_KIND, "gact"), Node(nl.ACT_OPTIONS, [Node(nl.GACT_PARMS, parms)])]

        return Node(nl.BPF_ACT, [Node(1 + i, gact()) for i in range(self.r.choice((1, 1, 2)))])

    def options(self):
        """Returns the attributes of a filter."""
        if self.chance(70):
            label, fd = self.fd("tc", "tc_other", "tc_realm")
            nodes = [Node(nl.BPF_FD, fd)]
            if self.chance(80):
                name = self.name(label)
                nodes.append(Node(nl.BPF_NAME, name.body))
        else:
            nodes = self.bytecode()
            if self.chance(5):
                nodes.append(Node(nl.BPF_FD, self.world.fd("tc")))
            if self.chance(5):
                nodes.append(Node(nl.BPF_NAME, "bytecode"))
        if self.chance(60):
            nodes.append(Node(nl.BPF_FLAGS, 1 if self.chance(90) else self.number()))
        if self.chance(20):
            nodes.append(Node(nl.BPF_FLAGS_GEN, self.r.choice((0, 1, 1, 2, 3, 4, 8))))
        if self.chance(20):
            nodes.append(Node(nl.BPF_CLASSID, self.r.choice((0x10001, 0x10002, 0, 0xFFFFFFFF))))
        if self.chance(15):
            nodes.append(self.actions())
        if self.chance(3):
            nodes.append(self.r.choice((Node(nl.BPF_TAG, bytes(8)), Node(nl.BPF_ID, 1),
                                        Node(nl.BPF_POLICE, bytes(60)))))
        self.r.shuffle(nodes)
        return nodes

    def filter(self):
        """Returns a filter request."""
        kind = self.r.choices((nl.RTM_NEWTFILTER, nl.RTM_DELTFILTER, nl.RTM_GETTFILTER),
                              (70, 15, 15))[0]
        ifindex, parent = self.r.choices(
            ((self.world.filters, nl.TC_H_CLSACT_EGRESS),
             (self.world.filters, nl.TC_H_CLSACT_INGRESS), (MAGIC_BLOCK, BLOCK),
             (self.world.routes, 0x10000), (self.world.routes, 0x10001), (self.world.routes, 0),
             (self.r.choice((0, 1, 0x7FFFFFFF)), self.number())), (40, 15, 20, 10, 5, 5, 5))[0]
        self.plain = ifindex in (*self.world, MAGIC_BLOCK)
        prio = self.r.choice((1, 1, 1, 2, 3)) if self.chance(92) else self.r.choice((0, 0xFFFF))
        protocol = 0x0300 if self.chance(92) else self.r.choice((0, 0x0008, 0xFFFF))
        handle = self.r.choice((0, 1, 1, 2, 3, 4)) if self.chance(92) else self.number()
        head = struct.pack("=BxxxIIII", 0, ifindex, handle, parent, prio << 16 | protocol)
        nodes = [Node(nl.TCA_KIND, "bpf")]
        if self.chance(10):
            nodes.append(Node(nl.TCA_CHAIN, self.r.choice((0, 1, 5, 0x0FFFFFFF, 0x10000000))))
        if kind == nl.RTM_NEWTFILTER:
            nodes.append(Node(nl.TCA_OPTIONS, self.options()))
            if self.chance(3):
                nodes.append(Node(nl.TCA_RATE, bytes(2)))
        flags = self.r.choice((nl.NLM_F_CREATE,) * 4 + (
            nl.NLM_F_CREATE | nl.NLM_F_REPLACE, nl.NLM_F_CREATE | nl.NLM_F_EXCL, 0,
            nl.NLM_F_REPLACE))
        if kind == nl.RTM_GETTFILTER:
            flags = nl.NLM_F_DUMP if self.chance(50) else 0
            if flags and self.chance(30):
                nodes.append(Node(nl.TCA_DUMP_FLAGS, struct.pack("=II", DUMP_TERSE, DUMP_TERSE)))
        return kind, flags, head, nodes, [node for node in nodes if node.kind == nl.TCA_OPTIONS]

    def class_(self):
        """Returns a class request; filters are bound to these classes."""
        kind = self.r.choice((nl.RTM_NEWTCLASS, nl.RTM_DELTCLASS))
        minor = self.r.choice((1, 2, 2, 3, 4))
        head, nodes = htb_class_parts(self.world.routes, minor)
        return kind, nl.NLM_F_CREATE if kind == nl.RTM_NEWTCLASS else 0, head, nodes, []

    def path(self, family, gateway, oif, encap_type, encap, what):
        """Returns the attributes of a route or nexthop that say where packets go."""
        nodes = [Node(oif, self.world.routes),
                 Node(gateway, socket.inet_pton(family, "10.8.0.2" if family == socket.AF_INET
                                                else "fd08::2"))]
        kind = nl.ENCAP_BPF if self.chance(95) else self.r.choice((0, 1, 4, 5, 8, 99, 0xFFFF))
        self.plain = kind == nl.ENCAP_BPF
        nodes.append(Node(encap_type, struct.pack("=H", kind)))
        nodes.append(Node(encap, what))
        return nodes

    def route(self):
        """Returns a route request."""
        kind = self.r.choices((nl.RTM_NEWROUTE, nl.RTM_DELROUTE, nl.RTM_GETROUTE), (75, 15, 10))[0]
        family = self.r.choice((socket.AF_INET, socket.AF_INET6))
        host = self.r.randrange(1, 5)
        target = f"10.1.0.{host}" if family == socket.AF_INET else f"fd01::{host}"
        length = 32 if family == socket.AF_INET else 128
        head = nl.rtmsg(family, length, 254, 4, 0, 1)
        nodes = [Node(nl.RTA_DST, socket.inet_pton(family, target))]
        encap = self.encap()
        if kind == nl.RTM_GETROUTE:
            head = nl.rtmsg(family, length)
            return kind, nl.NLM_F_DUMP if self.chance(60) else 0, head, nodes, []
        path = self.path(family, nl.RTA_GATEWAY, nl.RTA_OIF, nl.RTA_ENCAP_TYPE, nl.RTA_ENCAP, encap)
        if self.chance(15):
            hops = b"".join(self.hop(path[1:]) for _ in range(self.r.choice((1, 2))))
            nodes.append(Node(nl.RTA_MULTIPATH, hops))
            encap = []
        elif self.chance(8):
            nodes.append(Node(nl.RTA_NH_ID, self.r.randrange(1, 4)))
            encap = []
        elif kind == nl.RTM_NEWROUTE or self.chance(50):
            nodes += path
        if self.chance(10):
            nodes.append(Node(nl.RTA_PRIORITY, self.r.randrange(3)))
        flags = self.r.choice((nl.NLM_F_CREATE | nl.NLM_F_REPLACE,) * 4 + (
            nl.NLM_F_CREATE, nl.NLM_F_CREATE | nl.NLM_F_EXCL, nl.NLM_F_REPLACE,
            nl.NLM_F_CREATE | nl.NLM_F_APPEND))
        return (kind, flags if kind == nl.RTM_NEWROUTE else 0, head, nodes,
                [node for node in nodes if node.body is encap])

    def hop(self, nodes):
        """Returns one nexthop of a multipath route."""
        data = encode(nodes)
        length = 8 + len(data) if self.chance(95) else self.r.choice((0, 7, 8, 12, 0xFFFF))
        return struct.pack("=HBBI", length, 0, 0, self.world.routes) + data

    def nexthop(self):
        """Returns a nexthop request."""
        kind = self.r.choices((nl.RTM_NEWNEXTHOP, nl.RTM_DELNEXTHOP, nl.RTM_GETNEXTHOP),
                              (70, 15, 15))[0]
        family = self.r.choice((socket.AF_INET, socket.AF_INET6))
        new = kind == nl.RTM_NEWNEXTHOP
        head = struct.pack("=BBBxI", family if new else 0, 0, 4 if new else 0, 0)
        nodes, encap = [Node(nl.NHA_ID, self.r.randrange(1, 4))], self.encap()
        if new:
            nodes += self.path(family, nl.NHA_GATEWAY, nl.NHA_OIF, nl.NHA_ENCAP_TYPE,
                               nl.NHA_ENCAP, encap)
            nodes[-1].kind |= nl.NLA_F_NESTED
        return (kind, nl.NLM_F_CREATE | nl.NLM_F_REPLACE if new else 0, head, nodes,
                [node for node in nodes if node.body is encap])

    def message(self):
        """Returns the message."""
        make = self.r.choices((self.filter, self.route, self.nexthop, self.class_),
                              (50, 40, 8, 2))[0]
        kind, flags, head, nodes, inner = make()
        where = self.r.choices(("none", "inside", "anywhere"), (30, 55, 15))[0]
        if where == "inside" and not inner:
            where = "none"
        for _ in range(self.r.choice((1, 1, 1, 2, 3)) if where != "none" else 0):
            self.corrupt(inner[0].body if where == "inside" else nodes)
            if where == "inside" and not isinstance(inner[0].body, list):
                break
        message = Message(kind, flags, head, nodes,
                          self.plain and where != "anywhere" and bool(inner))
        if where == "anywhere":
            if self.chance(20):
                message = message._replace(flags=self.r.getrandbits(16) & ~0x2)
            if self.chance(20):
                size = len(message.body())
                message = message._replace(cut=self.r.randrange(1, min(size, 64) + 1),
                                           lies=self.chance(30))
        if kind == nl.RTM_NEWTFILTER and any(never_ends(payload) for _, payload in attributes(
                message.body()[len(head):])[0]):
            message = message._replace(nodes=nodes[:1], inner=False)
        return message


def message(seed, number, world):
    """Returns the message with this number. It does not depend on other messages."""
    return Maker(seed, number, world).message()
