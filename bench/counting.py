# SPDX-License-Identifier: GPL-2.0-only
"""Counts what a line of the table costs, and prints the line."""

import contextlib
import ctypes
import itertools
import json
import mmap
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from guest import PACKETS, ROUNDS, WHAT
from traffic import generator_thread, packets_sent, send_round

# Executable memory for the no-ops that mark windows for the plugin.
MARKS = mmap.mmap(-1, 1 << 16, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
WINDOWS = itertools.count(1)


def mark(number):
    """Executes a no-op that encodes a number (watch_marks() in bench/plugin.h). Does nothing if few
    lines are counted: that is done without the plugin, and on any architecture."""
    if WHAT == "few":
        return
    at = number * 16
    if not MARKS[at]:
        MARKS[at:at + 8] = struct.pack("<3sH2sc", b"\x0f\x1f\x80", number, b"\x77\x6c", b"\xc3")
    ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(MARKS, at)))()


@contextlib.contextmanager
def counting_window():
    """Marks a window: the plugin counts what is executed meanwhile under its number."""
    number = next(WINDOWS)
    mark(number)
    yield number
    mark(0)


def per_packet():
    """Returns instructions per packet by pktgen's clock, in the minimum of some rounds, and the
    windows of the rounds."""
    # The previous line's objects are freed asynchronously.
    time.sleep(0.5)
    counts, windows = [], []
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        for _ in range(ROUNDS):
            # The skb allocator has a per-CPU stock. If it is just empty, every packet costs a
            # refill and a flush; one more skb in use shifts that.
            near.send(b"x")
            with counting_window() as number:
                counts.append(send_round())
            windows.append(number)
    return min(counts), {"windows": windows, "of": PACKETS}


def by_perf():
    """Returns what perf counts in the generator's thread in one round, per packet, by event. Times
    are in nanoseconds. Events that the CPU does not support are left out."""
    with tempfile.NamedTemporaryFile("r") as found:
        # perf counts from before its command starts until that ends.
        command = ["perf", "stat", "-x,", "-o", found.name, "-p", generator_thread(),
                   "-e", os.environ["LWTCLS_EVENTS"], "cat"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as perf:
            perf.stdin.write(b"x")
            perf.stdin.flush()
            perf.stdout.read(1)
            send_round()
            perf.stdin.close()
        if perf.returncode:
            sys.exit(f"perf: status {perf.returncode}")
        rows = (text.split(",") for text in found if "," in text)
        return {row[2]: float(row[0]) * (1e6 if row[1] == "msec" else 1) / PACKETS
                for row in rows if row[0][0] != "<"}


def by_perf_often():
    """Returns the quartiles of what perf counts in some rounds, by event."""
    rounds = [by_perf() for _ in range(ROUNDS)]
    return {event: statistics.quantiles([each[event] for each in rounds], n=4)
            for event in rounds[0]}


def print_line(name, base, count, where, unit="packet"):
    """Prints one line: its count, and the name of its baseline."""
    found = {"name": name, "base": base, "count": count, "unit": unit, **where}
    print("RESULT " + json.dumps(found), flush=True)


def measure_packets(name, base, through=True):
    """Counts the packet path in its current configuration. `through` says whether the packets are
    forwarded; if the number of sent packets does not match, the benchmark stops."""
    before = packets_sent()
    if WHAT == "cycles":
        count, where = None, {"events": by_perf_often()}
    else:
        count, where = per_packet()
    went = packets_sent() - before
    if went != (PACKETS * ROUNDS if through else 0):
        sys.exit(f"{name}: {went} packets were sent")
    print_line(name, base, count, where)
