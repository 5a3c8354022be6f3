# SPDX-License-Identifier: GPL-2.0-only
"""What concurrent operations share: the numbers of devices and networks, random filters and
encapsulations."""

import random
import struct

import nl
from test_refusals import bytecode, options, prog

UNSPEC, OK, SHOT, PIPE, GOTO_CHAIN = -1, 0, 2, 3, 0x20000000
# Each chain has up to four priorities, and each priority up to five filters. Filters of chain 0
# may jump to CHAIN.
PRIORITIES, HANDLES, CHAIN = range(1, 5), range(1, 6), 5
RETURN_ALL = struct.pack("=HBBI", 6, 0, 0, 0xFFFFFFFF)
# Interface indices; bpf/churn.c redirects to the first two.
SINK, FIRST_DUMMY, FIRST_VETH, FIRST_SHARED, LO = 9000, 10000, 20000, 30000, 1
# Network numbers of the devices that are created and deleted, by kind; each kind has one network
# per slot.
SLOTS = range(4)
DUMMIES, NAMESPACES, SHARED = 20, 21, 22


class Scene:
    """What the operations work with: programs by name, interface indices, the service addresses."""

    def __init__(self, seed, programs_, devices, services):
        self.seed, self.programs, self.devices = seed, programs_, devices
        self.services = services

    def random(self, *words):
        """Returns a random generator for one operation."""
        return random.Random("/".join(map(str, (self.seed, *words))))

    def filter(self, r, chain=0):
        """Returns the options of a random filter. A program that causes a drop counts it."""
        def act(verdict):
            return nl.attr(nl.BPF_ACT, nl.attr(1, nl.gact(verdict)))

        every = self.programs["tc_all"]
        classid = r.choice((b"", b"", b"", nl.attr(nl.BPF_CLASSID, 0x10002)))
        return r.choice((
            lambda: options(self.programs["tc_drop"], extra=classid),
            lambda: options(every),
            lambda: options(self.programs["tc_redirect"]),
            lambda: options(self.programs["tc_match"], 0, act(SHOT)),
            lambda: options(every, 0, act(r.choice((UNSPEC, UNSPEC, PIPE, OK)))),
            # Only filters outside the chain jump to it, so no packet loops.
            lambda: options(every, 0, act(UNSPEC if chain else GOTO_CHAIN | CHAIN)),
            lambda: bytecode(RETURN_ALL) + act(r.choice((UNSPEC, OK))),
        ))()

    def encap(self, r, **hooks):
        """Returns a random encapsulation, which may be empty: `hooks` maps each hook to the
        programs to choose from."""
        found = b""
        for hook, names in hooks.items():
            if name := r.choice((None, *names)):
                found += nl.attr({"in": nl.LWT_IN, "out": nl.LWT_OUT, "xmit": nl.LWT_XMIT}[hook],
                                 prog(self.programs[name], name))
        if not found:
            return b""
        return (nl.attr(nl.RTA_ENCAP_TYPE, struct.pack("=H", nl.ENCAP_BPF))
                + nl.attr(nl.RTA_ENCAP, found))
