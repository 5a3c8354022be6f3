# SPDX-License-Identifier: GPL-2.0-only
"""The program that pushes a header."""

import contextlib
import ctypes
import errno
import os
import pathlib
import shutil
import struct

import nl
from bpf_syscall import BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, bpf, run_on
from conftest import BPF, sh
from headers import Header
from journal import recorded


class Pusher:
    """The push program for both hooks, loaded once; it pushes the header that a map holds."""

    PINS = pathlib.Path("/run/bpf/push")

    def __init__(self):
        self.PINS.mkdir()
        sh(f"bpftool prog loadall {BPF}/push.o {self.PINS} pinmaps {self.PINS}")
        self.pins = {name: nl.open_pinned(f"{self.PINS}/{name}")
                     for name in ("push_in", "push_xmit", "orders", "seen")}

    def close(self):
        """Closes the descriptors and removes the pins."""
        for number in self.pins.values():
            os.close(number)
        shutil.rmtree(self.PINS)

    def element(self, command, name, key, value):
        """Reads or writes an element of a map; returns its bytes."""
        index = ctypes.c_uint32(key)
        data = ctypes.create_string_buffer(value, len(value))
        bpf(command, "=IIQQQ", self.pins[name], 0, ctypes.addressof(index),
            ctypes.addressof(data), 0)
        return data.raw

    def order(self, header, gso=None):
        """Sets the header to push, and the one for GSO packets."""
        for key, each in enumerate((header, gso or header)):
            self.element(BPF_MAP_UPDATE_ELEM, "orders", key, each.packed())
            self.element(BPF_MAP_UPDATE_ELEM, "seen", key, bytes(24))

    @contextlib.contextmanager
    def pushing(self, header, gso=None):
        """Has the program push a header, and possibly another one for GSO packets."""
        self.order(header, gso)
        try:
            yield
        finally:
            self.order(Header(b""))

    @recorded
    def seen(self, gso=False):
        """Returns the packets since the last order, how many of them the helper refused, and the
        last errno."""
        data = self.element(BPF_MAP_LOOKUP_ELEM, "seen", int(gso), bytes(24))
        packets, refused, error = struct.unpack("=QQq", data)
        return packets, refused, errno.errorcode.get(-error, -error)

    @recorded
    def run(self, hook, header, packet, flags=0, gso=0):
        """Runs the program as `run_on()` does. Returns the errno of the helper, and the resulting
        packet."""
        with self.pushing(header):
            _, back = run_on(self.pins[f"push_{hook}"], packet, flags=flags, gso=gso)
            return self.seen(gso > 0)[2], back
