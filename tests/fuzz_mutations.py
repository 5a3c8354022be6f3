# SPDX-License-Identifier: GPL-2.0-only
"""The corruptions of a netlink message."""

import struct

import nl
from fuzz_messages import Node, encode, walk

BOUNDARIES = (0, 1, 2, 3, 4, 7, 8, 255, 256, 257, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF,
              0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


class Mutator:
    """Corrupts trees of attributes at random."""

    def __init__(self, r):
        self.r = r

    def chance(self, percent):
        """Returns true with this probability."""
        return self.r.randrange(100) < percent

    def number(self):
        """Returns a number that is likely to be a corner case."""
        return self.r.choice(BOUNDARIES) if self.chance(60) else self.r.getrandbits(32)

    def corrupt(self, tree):
        """Corrupts one attribute of a tree."""
        places = list(walk(tree))
        if not places:
            return
        siblings, node = self.r.choice(places)
        at = next(i for i, each in enumerate(siblings) if each is node)
        self.r.choice((self.drop, self.double, self.lie, self.resize, self.retype, self.flag,
                       self.noise, self.bound, self.wrap, self.graft, self.flatten))(
                           siblings, at, node, places)

    def drop(self, siblings, at, *_):
        """Removes the attribute."""
        del siblings[at]

    def double(self, siblings, at, node, _):
        """Duplicates the attribute; a later corruption may change one of the two."""
        siblings.insert(self.r.randrange(len(siblings) + 1), node.copy())

    def lie(self, _siblings, _at, node, _places):
        """Makes the attribute's length wrong."""
        node.skew = self.r.choice((-8, -4, -3, -2, -1, 1, 2, 3, 4, 8, 1000, 0x8000))

    def resize(self, _siblings, _at, node, _places):
        """Changes the size of the payload."""
        data = encode(node.body) if isinstance(node.body, list) else node.body
        length = self.r.choice((0, 1, 2, 3, 4, 5, 7, 8, 12, len(data) + 1, len(data) + 4,
                                max(0, len(data) - 1), max(0, len(data) - 4), 300, 4000))
        node.body = (data + bytes(length))[:length]

    def retype(self, _siblings, _at, node, _places):
        """Changes the type."""
        node.kind = self.r.choice((*range(0, 14), 60, 0x3FFF, node.kind + 1))

    def flag(self, _siblings, _at, node, _places):
        """Toggles flags of the type."""
        node.kind ^= self.r.choice((nl.NLA_F_NESTED, nl.NLA_F_NESTED,
                                    nl.NLA_F_NET_BYTEORDER))

    def noise(self, _siblings, _at, node, _places):
        """Replaces the payload with random bytes."""
        data = encode(node.body) if isinstance(node.body, list) else node.body
        node.body = self.r.randbytes(len(data))

    def bound(self, _siblings, _at, node, _places):
        """Replaces the payload with a boundary value."""
        node.body = struct.pack(self.r.choice(("=I", "=I", "=H", "=Q")), 0)
        node.body = (self.number().to_bytes(8, "little"))[:len(node.body)]

    def wrap(self, siblings, at, node, _places):
        """Nests the attribute one level deeper."""
        siblings[at] = Node(node.kind, [node])

    def graft(self, siblings, at, _node, places):
        """Replaces the attribute with a copy of another attribute of the message."""
        siblings[at] = self.r.choice(places)[1].copy()

    def flatten(self, siblings, at, node, _places):
        """Replaces the attribute with its nested attributes."""
        if isinstance(node.body, list):
            siblings[at:at + 1] = node.body
