# SPDX-License-Identifier: GPL-2.0-only
"""A socket for malformed requests, and their answers."""

import errno
import socket
import struct
from typing import NamedTuple

import nl

# Stands for the errno of a message that the kernel does not answer.
SILENT = 255


class Answer(NamedTuple):
    """The errno and the extack message of an answer."""

    error: int
    why: str

    def __str__(self):
        return f"{errno.errorcode.get(self.error, self.error)} {self.why!r}"


class FuzzSocket:
    """A netlink socket that reads the complete answer before the request returns."""

    def __init__(self, namespace):
        self.sock = nl.open_in(namespace)
        self.sock.setsockopt(nl.SOL_NETLINK, nl.NETLINK_EXT_ACK, 1)
        for option in (nl.SO_SNDBUFFORCE, nl.SO_RCVBUFFORCE):
            self.sock.setsockopt(socket.SOL_SOCKET, option, 1 << 22)
        self.sock.setblocking(False)
        self.sequence = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        """Sends a message; returns the answer, and the payloads that preceded it."""
        self.sock.send(data)
        found = []
        while True:
            # The kernel processes a request before sendmsg() returns, so an answer that is not
            # there yet does not come. Later parts of a dump are generated as the earlier ones are
            # read.
            try:
                got = self.sock.recv(1 << 20)
            except BlockingIOError:
                return Answer(SILENT, ""), found
            at = 0
            while at + 16 <= len(got):
                length, kind, flags = struct.unpack_from("=IHH", got, at)
                if kind in (nl.NLMSG_ERROR, nl.NLMSG_DONE):
                    return read_answer(got[at:at + length], kind, flags), found
                found.append(got[at + 16:at + length])
                at += (length + 3) & ~3

    def request(self, kind, flags, body):
        """Sends a request; returns the answer, and the payloads that preceded it."""
        self.sequence += 1
        flags |= nl.NLM_F_REQUEST | nl.NLM_F_ACK
        return self.send(struct.pack("=IHHII", 16 + len(body), kind, flags, self.sequence, 0)
                         + body)


def read_answer(data, kind, flags):
    """Returns the errno and the extack message of an answer."""
    error = -struct.unpack_from("=i", data, 16)[0] if len(data) >= 20 else 0
    if not flags & nl.NLM_F_ACK_TLVS:
        return Answer(error, "")
    at = 20
    if kind == nl.NLMSG_ERROR:
        inner = struct.unpack_from("=I", data, 20)[0]
        at += 16 if flags & nl.NLM_F_CAPPED else (inner + 3) & ~3
    text = nl.attrs(data[at:]).get(1, b"")
    return Answer(error, text.rstrip(b"\0").decode(errors="replace"))
