# SPDX-License-Identifier: GPL-2.0-only
"""Netlink messages as trees of attributes, which need not be valid."""

import struct
from typing import NamedTuple

import nl

TYPE_MASK = 0x3FFF


class Node:
    """An attribute: bytes or nested attributes, and an error (`skew`) to add to its length."""

    def __init__(self, kind, body=b"", skew=0):
        if isinstance(body, int):
            body = struct.pack("=I", body & 0xFFFFFFFF)
        if isinstance(body, str):
            body = body.encode() + b"\0"
        self.kind, self.body, self.skew = kind, body, skew

    def copy(self):
        """Returns a copy of the attribute."""
        body = self.body
        return Node(self.kind, [each.copy() for each in body] if isinstance(body, list) else body,
                    self.skew)

    def encode(self):
        """Returns the encoded attribute, padded."""
        data = encode(self.body) if isinstance(self.body, list) else self.body
        length = (4 + len(data) + self.skew) & 0xFFFF
        data = struct.pack("=HH", length, self.kind & 0xFFFF) + data
        return data + bytes(-len(data) % 4)


def encode(nodes):
    """Returns the encoded attributes."""
    return b"".join(node.encode() for node in nodes)


def walk(nodes):
    """Yields each attribute of a tree with the list that contains it."""
    for node in nodes:
        yield nodes, node
        if isinstance(node.body, list):
            yield from walk(node.body)


class Message(NamedTuple):
    """A request. `inner`: at most the options or the encapsulation are corrupted, and nothing
    outside of them."""

    kind: int
    flags: int
    head: bytes
    nodes: list
    inner: bool
    # Bytes cut off at the end, and whether the header keeps the original length.
    cut: int = 0
    lies: bool = False

    def body(self):
        """Returns what follows the netlink header."""
        data = self.head + encode(self.nodes)
        return data[:len(data) - self.cut] if self.cut else data

    def packed(self, sequence):
        """Returns the encoded message, with its netlink header."""
        body = self.body()
        length = 16 + len(body) + (self.cut if self.lies else 0)
        flags = self.flags | nl.NLM_F_REQUEST | nl.NLM_F_ACK
        return struct.pack("=IHHII", length, self.kind, flags, sequence, 0) + body


def attributes(data):
    """Parses attributes: returns a list of (type, payload), and the number of bytes left over."""
    found, at = [], 0
    while len(data) - at >= 4:
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4 or length > len(data) - at:
            break
        found.append((kind & TYPE_MASK, data[at + 4:at + length]))
        at += (length + 3) & ~3
    return found, max(0, len(data) - at)
