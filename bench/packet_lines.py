# SPDX-License-Identifier: GPL-2.0-only
"""The lines of the table about packets."""

import needs
from attach import attached, clsact, encap, routes, runs_counted
from counting import measure_packets
from guest import PASSES, sh

DA = "prio {} handle 1 bpf da obj {}.o sec tc"


def classifier():
    """Measures the packet path of the classifier."""
    with clsact("ingress"):
        measure_packets("clsact, no filter", "no hook")
    for count in (1, 2, 11, 101):
        with clsact("ingress", *(f"prio 1 handle {number + 1} bpf da obj tc_unspec.o sec tc"
                                 for number in range(count))):
            measure_packets(f"ingress: {count} direct-action", "clsact, no filter")
    with clsact("ingress", DA.format(1, "tc_ok")):
        measure_packets("ingress: 1 direct-action that accepts", "clsact, no filter")
    with clsact("ingress", DA.format(1, "tc_ok")), runs_counted():
        measure_packets("ingress: 1 direct-action that accepts, counted", "clsact, no filter")
    with clsact("ingress", DA.format(1, "tc_shot")):
        measure_packets("ingress: 1 direct-action that drops", None, through=False)
    with clsact("ingress", DA.format(1, "bench_work_tc")):
        measure_packets("ingress: 1 direct-action of 200 instructions", "clsact, no filter")
    with clsact("ingress", "prio 1 handle 1 bpf obj tc_ok.o sec tc classid 1:1"):
        measure_packets("ingress: 1 that misses", "clsact, no filter")
    with clsact("ingress", "prio 1 handle 1 bpf obj tc_unspec.o sec tc action ok"):
        measure_packets("ingress: 1 that matches, with an action", "clsact, no filter")
    with clsact("ingress", "prio 1 handle 1 bpf bytecode '1,6 0 0 0' classid 1:1"):
        measure_packets("ingress: 1 classic that misses", "clsact, no filter")
    with clsact("egress"):
        measure_packets("clsact on egress, no filter", "no hook")
    with clsact("egress", DA.format(1, "tc_unspec")):
        measure_packets("egress: 1 direct-action", "clsact on egress, no filter")


def few():
    """Measures one line of each kind that this kernel has."""
    if needs.has("NET_CLS_ACT"):
        with clsact("ingress"):
            measure_packets("clsact, no filter", "no hook")
        with clsact("ingress", DA.format(1, "tc_ok")):
            measure_packets("ingress: 1 direct-action that accepts", "clsact, no filter")
    with encap("xmit", "lwt_xmit_ok"):
        measure_packets("xmit: OK", "no hook")
    if needs.CAN_PUSH:
        with encap("xmit", "bench_xmit_udp4"):
            measure_packets("xmit: push udp over IPv4, reroute", "no hook")


def tcx():
    """Measures the same programs on tcx, without a classifier. The lines are named like those of
    the classifier."""
    for count in (1, 2, 11):
        with attached("ingress", "tc_unspec", count):
            measure_packets(f"tcx/ingress: {count} direct-action", "no hook")
    with attached("ingress", "tc_ok"):
        measure_packets("tcx/ingress: 1 direct-action that accepts", "no hook")
    with attached("ingress", "tc_shot"):
        measure_packets("tcx/ingress: 1 direct-action that drops", None, through=False)
    with attached("ingress", "bench_work_tc"):
        measure_packets("tcx/ingress: 1 direct-action of 200 instructions", "no hook")
    with attached("egress", "tc_unspec"):
        measure_packets("tcx/egress: 1 direct-action", "no hook")


def encapsulation():
    """Measures the packet path of the encapsulation."""
    for hook in ("in", "out", "xmit"):
        with encap(hook, f"lwt_{hook}_ok"):
            measure_packets(f"{hook}: OK", "no hook")
        with encap(hook, f"lwt_{hook}_ok"), runs_counted():
            measure_packets(f"{hook}: OK, counted", "no hook")
        with encap(hook, f"lwt_{hook}_drop"):
            measure_packets(f"{hook}: DROP", None, through=False)
    with encap("xmit", "bench_work_lwt_xmit"):
        measure_packets("xmit: OK, 200 instructions", "no hook")
    with encap("xmit", "bench_redirect"):
        measure_packets("xmit: redirect", "no hook")
    for hook in ("in", "xmit"):
        for outer in (4, 6):
            for tunnel in ("ipip", "gre", "udp"):
                with encap(hook, f"bench_{hook}_{tunnel}{outer}"):
                    measure_packets(f"{hook}: push {tunnel} over IPv{outer}, reroute", "no hook")
    # All lookups return the same route, and each has another destination.
    with routes("10.10.0.0/16 via 10.2.0.2 dev d2", "fd0a::/112 via fd02::2 dev d2"):
        for hook in ("in", "xmit"):
            for outer in (4, 6):
                with encap(hook, f"bench_{hook}_each{outer}"):
                    measure_packets(
                        f"{hook}: push udp over IPv{outer}, each to another address, reroute",
                        "no hook")


def reroute():
    """Measures a reroute without a new header, selected by a rule. Runs last: once a rule was
    added, every lookup in the namespace checks rules, even after it is deleted."""
    base = "no hook, a rule for marks"
    sh("ip rule add fwmark 7 lookup 100 pref 50")
    sh("ip route add table 100 10.1.0.1 via 10.2.0.2 dev d2")
    for _ in range(PASSES):
        measure_packets(base, None)
        for hook in ("in", "xmit"):
            with encap(hook, f"lwt_{hook}_mark"):
                measure_packets(f"{hook}: reroute", base)
