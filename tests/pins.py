# SPDX-License-Identifier: GPL-2.0-only
"""A BPF object that is loaded once, with all of its programs and maps, for many scenarios."""

import ctypes
import os
import pathlib
import shutil
import struct

import nl
from bpf_syscall import BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, bpf
from conftest import BPF, sh

DIRECT_ACTION = nl.attr(nl.BPF_FLAGS, nl.DIRECT)


class Pins:
    """File descriptors of an object's programs and maps, by name."""

    def __init__(self, name):
        self.name, self.where = name, pathlib.Path(f"/run/bpf/{name}")
        self.where.mkdir()
        self.fds = {}
        try:
            sh(f"bpftool prog loadall {BPF}/{name}.o {self.where} pinmaps {self.where}")
            self.fds = {path.name: nl.open_pinned(str(path)) for path in self.where.iterdir()}
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the descriptors and removes the pins."""
        for fd in self.fds.values():
            os.close(fd)
        shutil.rmtree(self.where)

    def update(self, name, value, key=0):
        """Writes an element of a map."""
        index = ctypes.c_uint32(key)
        data = ctypes.create_string_buffer(value, len(value))
        bpf(BPF_MAP_UPDATE_ELEM, "=IIQQQ", self.fds[name], 0, ctypes.addressof(index),
            ctypes.addressof(data), 0)

    def lookup(self, name, layout, key=0):
        """Reads an element of a map."""
        index, data = ctypes.c_uint32(key), ctypes.create_string_buffer(struct.calcsize(layout))
        bpf(BPF_MAP_LOOKUP_ELEM, "=IIQQQ", self.fds[name], 0, ctypes.addressof(index),
            ctypes.addressof(data), 0)
        return struct.unpack(layout, data)

    def filter(self, index, parent, name, *, handle=1, prio=1, extra=b""):
        """Adds a direct-action filter with one of the programs to a device of namespace a."""
        options = (nl.attr(nl.BPF_FD, self.fds[name]) + nl.attr(nl.BPF_NAME, name)
                   + DIRECT_ACTION + extra)
        assert nl.add_filter(index, options, handle, prio=prio, parent=parent) == (0, "")

    def encap(self, hook, name):
        """Returns the words for ip that attach one of the programs to a hook of a route."""
        return f"encap bpf {hook} pinned {self.where}/{name}"
