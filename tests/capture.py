# SPDX-License-Identifier: GPL-2.0-only
"""The packets that a device receives."""

import contextlib
import socket

from headers import DOMAIN, ETHERTYPE
from journal import recorded
from nl import inside


class Capture:
    """Captures the IP packets that a device receives."""

    ROOM = 33

    def __init__(self, namespace, device, family, source, whole=2000):
        self.family, self.whole = family, whole
        at = slice(12, 16) if family == 4 else slice(8, 24)
        self.where, self.source = at, socket.inet_pton(DOMAIN[family], source)
        with inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
            self.socket.setsockopt(socket.SOL_SOCKET, self.ROOM, 1 << 23)
            self.socket.bind((device, ETHERTYPE[family]))
        self.socket.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @recorded
    def packets(self):
        """Returns the captured packets from this source address, each truncated to `whole` bytes,
        and their lengths."""
        found, room = [], bytearray(self.whole)
        with contextlib.suppress(BlockingIOError):
            while True:
                length = self.socket.recv_into(room, 0, socket.MSG_TRUNC)
                if room[self.where] == self.source:
                    found.append((bytes(room[:length]), length))
        return found
