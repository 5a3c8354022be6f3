#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""measure.py SIDE BUILD KERNEL count: counts instructions, in a guest whose clock counts them.

The guest's clock advances by one nanosecond per executed instruction, so elapsed time is an
instruction count. For requests that is the result. For packets it confirms what the QEMU plugin
counts by address. Prints one JSON object per line of the table. With "again" instead of "count",
the lines that take longest are left out.

measure.py SIDE BUILD KERNEL touch: the packet lines, with few packets each. The plugin of QEMU
determines what is counted.

measure.py SIDE BUILD KERNEL cycles: the packet lines, with LWTCLS_PACKETS packets each. perf counts
the events that LWTCLS_EVENTS names.

measure.py SIDE BUILD KERNEL few: three packet lines, without a plugin, for a kernel that may lack
parts of what the benchmark needs.

measure.py SIDE BUILD KERNEL scale PACKETS: sends on one CPU, and on two at once, also for a plugin.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))
os.environ.setdefault("LWTCLS_BUILD", sys.argv[2])
os.environ.setdefault("LWTCLS_KERNEL", sys.argv[3])

from counting import measure_packets  # noqa: E402
from guest import (  # noqa: E402
    BUILD,
    KERNEL,
    PASSES,
    SIDE,
    WHAT,
    disable_background_work,
    sh,
    symbols,
)
from packet_lines import classifier, encapsulation, few, reroute, tcx  # noqa: E402
from request_lines import control  # noqa: E402
from traffic import generator, network, send_round  # noqa: E402
from two_cpus import scale  # noqa: E402


def main():
    """Measures all lines, in the order of the table."""
    sh("mkdir -p /run/bpf && mount -t bpf bpf /run/bpf")
    module = BUILD / "lwtcls.ko" if SIDE == "rust" else KERNEL / "net/sched/cls_bpf.ko"
    sh(f"insmod {module}")
    disable_background_work()
    network()
    if WHAT == "scale":
        scale(int(sys.argv[5]))
        return
    generator()
    send_round()
    if WHAT == "few":
        measure_packets("no hook", None)
        few()
        return
    for _ in range(PASSES):
        measure_packets("no hook", None)
        classifier()
        encapsulation()
    if WHAT in ("count", "again"):
        tcx()
        control()
    reroute()
    symbols()


main()
