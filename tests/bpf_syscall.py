# SPDX-License-Identifier: GPL-2.0-only
"""bpf(2), for what bpftool cannot do."""

import ctypes
import os
import struct

import syscalls
from conftest import LIBC

BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_PROG_TEST_RUN = 1, 2, 10
BPF_F_TEST_SKB_CHECKSUM_COMPLETE = 4
# Offset in struct __sk_buff.
GSO_SIZE = 176


def bpf(command, layout, *values):
    """Calls bpf(2). Returns its result, and the attributes as the kernel left them."""
    attr = ctypes.create_string_buffer(struct.pack(layout, *values), 128)
    result = LIBC.syscall(syscalls.BPF, command, attr, len(attr))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result, struct.unpack_from(layout, attr)


def run_on(fd, packet, *, repeat=1, flags=0, gso=0):
    """Runs a program on a packet with a MAC header that no device has received; with `gso`, on a
    GSO packet of that gso_size. Returns the program's return value, signed, and the resulting
    packet without its MAC header. C: bpf(BPF_PROG_TEST_RUN)."""
    given = ctypes.create_string_buffer(packet, len(packet))
    back = ctypes.create_string_buffer(len(packet) + 4096)
    # C: struct __sk_buff. It has no field for the gso_type.
    context = ctypes.create_string_buffer(192)
    struct.pack_into("=I", context, GSO_SIZE, gso)
    about = (len(context), 0, ctypes.addressof(context), 0) if gso else (0, 0, 0, 0)
    _, attr = bpf(BPF_PROG_TEST_RUN, "=IiIIQQIIIIQQIII", fd, 0, len(packet), len(back),
                  ctypes.addressof(given), ctypes.addressof(back), repeat, 0, *about, flags, 0, 0)
    return attr[1], back.raw[14:attr[3]]
