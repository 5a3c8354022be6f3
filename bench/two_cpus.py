# SPDX-License-Identifier: GPL-2.0-only
"""Packets on one CPU and on two, which share filters and routes."""

import sys
import time

from attach import encap
from counting import counting_window, print_line
from guest import sh, symbols
from traffic import PKTGEN, generator, packets_sent, pktgen


def scale(packets):
    """Sends the same packets on one CPU and on two, through the same filters and routes."""
    def run(name, expected):
        before, deadline = packets_sent(), time.monotonic() + 120
        pktgen("pgctrl", start="")
        # pktgen does not wait for threads that start late.
        while packets_sent() - before < expected and time.monotonic() < deadline:
            time.sleep(0.05)
        if packets_sent() - before != expected:
            sys.exit(f"{name}: {packets_sent() - before} packets were sent")

    def senders(name):
        for count in (1, 2):
            if count == 2:
                generator(1, "d4", 8, packets)
            run(name, count * packets)
            with counting_window() as number:
                run(name, count * packets)
            print_line(name, None, count, {"windows": [number], "of": count * packets}, "cpus")
        # The pktgen thread removes its devices asynchronously.
        pktgen("kpktgend_1", rem_device_all="")
        while (PKTGEN / "d4").exists():
            time.sleep(0.05)

    generator(0, "d1", 9, packets)
    sh("tc qdisc add dev d1 ingress_block 1 clsact && tc qdisc add dev d4 ingress_block 1 clsact")
    for count in (1, 2):
        sh(f"tc filter add block 1 prio 1 handle {count} bpf da obj tc_unspec.o sec tc")
        senders(f"ingress: {count} direct-action")
    sh("tc filter del block 1 prio 1")
    sh("tc filter add block 1 prio 1 handle 1 bpf obj tc_unspec.o sec tc action ok")
    senders("ingress: 1 that matches, with an action")
    sh("tc qdisc del dev d1 clsact && tc qdisc del dev d4 clsact")
    for hook in ("in", "out", "xmit"):
        with encap(hook, f"lwt_{hook}_ok"):
            senders(f"{hook}: OK")
    with encap("xmit", "bench_redirect"):
        senders("xmit: redirect")
    for hook in ("in", "xmit"):
        for outer in (4, 6):
            with encap(hook, f"bench_{hook}_udp{outer}"):
                senders(f"{hook}: push udp over IPv{outer}, reroute")
    symbols()
