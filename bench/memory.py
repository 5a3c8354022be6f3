#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""memory.py SIDE BUILD KERNEL: measures the kernel memory of many filters and routes, in a guest
whose clock counts instructions. Prints one JSON object per line of the table.

memory.py report C RUST: prints the table from the logs of two guests.

LWTCLS_FILTERS, LWTCLS_ROUTES: how many.
"""

import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import time

# Requests per datagram.
STEP = 500
# The first and last of this many parts of the requests are reported.
PARTS = 10
FILTERS = int(os.environ.get("LWTCLS_FILTERS") or 100000)
ROUTES = int(os.environ.get("LWTCLS_ROUTES") or 1000000)
DEVICE, INDEX = "d1", 101


def sh(command, where="."):
    """Runs a command."""
    result = subprocess.run(command, shell=True, cwd=where, text=True, capture_output=True,
                            check=False)
    if result.returncode:
        sys.exit(f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}")


def allocated_bytes():
    """Returns the bytes in use by the slab and per-CPU allocators. A partly empty slab counts as a
    whole, so there have to be many objects."""
    found = dict(text.split(":") for text in
                 pathlib.Path("/proc/meminfo").read_text().splitlines())
    return sum(int(found[key].split()[0]) << 10 for key in ("Slab", "Percpu"))


def settled_bytes():
    """Returns the bytes in use once they are stable: objects are freed after grace periods."""
    last = allocated_bytes()
    while True:
        time.sleep(2)
        now = allocated_bytes()
        if abs(now - last) < 100_000:
            return now
        last = now


def instructions_at_ends(requests, kind, flags, bodies):
    """Sends requests; returns the median instructions per request in the first and in the last part
    of them."""
    costs = []
    for at in range(0, len(bodies), STEP):
        costs.append(requests.send(kind, flags, bodies[at:at + STEP]) * 1e9 / STEP)
        answers = requests.answers()
        if answers:
            sys.exit(f"refused: {answers[:1]}")
    part = max(len(costs) // PARTS, 1)
    return [sorted(some)[len(some) // 2] for some in (costs[:part], costs[-part:])]


class Bodies:
    """Requests that differ in a number, built when they are sent."""

    def __init__(self, count, make):
        self.count, self.make = count, make

    def __len__(self):
        return self.count

    def __getitem__(self, some):
        return [self.make(number) for number in range(*some.indices(self.count))]


def many(name, requests, count, add, delete):
    """Adds and deletes objects, and measures memory in between. `add` and `delete` are a message
    type, its flags, and a function that builds the body for a number."""
    before = settled_bytes()
    adding = instructions_at_ends(requests, *add[:2], Bodies(count, add[2]))
    there = settled_bytes()
    deleting = instructions_at_ends(requests, *delete[:2], Bodies(count, delete[2]))
    after = settled_bytes()
    print("RESULT " + json.dumps({
        "name": name, "count": count, "bytes": round((there - before) / count, 1),
        "left": round((after - before) / count, 1),
        "add": adding, "delete": deleting}), flush=True)


def measure():
    """Measures all lines of one side."""
    side, build, kernel = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    os.environ["LWTCLS_BUILD"], os.environ["LWTCLS_KERNEL"] = str(build), str(kernel)
    sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))
    import nl

    sh("mkdir -p /run/bpf && mount -t bpf bpf /run/bpf")
    sh(f"insmod {build / 'lwtcls.ko' if side == 'rust' else kernel / 'net/sched/cls_bpf.ko'}")
    sh(f"ip link add {DEVICE} index {INDEX} type dummy && ip link set {DEVICE} up && "
       f"tc qdisc add dev {DEVICE} clsact")
    programs = {"tc_unspec": "classifier", **{f"lwt_{hook}_ok": f"lwt_{hook}"
                                              for hook in ("in", "out", "xmit")}}
    for name, kind in programs.items():
        sh(f"bpftool prog load {name}.o /run/bpf/{name} type {kind}", build / "bpf")

    create = nl.NLM_F_CREATE | nl.NLM_F_EXCL
    options = nl.attr(nl.BPF_FD, nl.open_pinned("/run/bpf/tc_unspec")) \
        + nl.attr(nl.BPF_NAME, "tc_unspec.o:[tc]") + nl.attr(nl.BPF_FLAGS, nl.DIRECT)

    def tfilter(*options):
        parent = nl.TC_H_CLSACT_INGRESS
        return lambda number: nl.tfilter(INDEX, number + 1, *options, parent=parent)

    def routes(**hooks):
        encap = b"".join(
            nl.attr(getattr(nl, f"LWT_{hook.upper()}"),
                    nl.attr(nl.PROG_FD, nl.open_pinned(f"/run/bpf/lwt_{hook}_ok"))
                    + nl.attr(nl.PROG_NAME, f"lwt_{hook}_ok.o:[lwt_{hook}]"))
            for hook in hooks)
        tail = nl.attr(nl.RTA_OIF, INDEX)
        if encap:
            tail += nl.attr(nl.RTA_ENCAP_TYPE, struct.pack("=H", nl.ENCAP_BPF)) \
                + nl.attr(nl.RTA_ENCAP, encap)
        head = nl.rtmsg(socket.AF_INET6, 128, 254, 4, 0, 1)

        def body(number):
            address = struct.pack(">QQ", 0xfd05 << 48, number + 1)
            return head + nl.attr(nl.RTA_DST, address) + tail

        return (nl.RTM_NEWROUTE, create, body), (nl.RTM_DELROUTE, 0, body)

    with nl.Requests(None) as requests:
        many("filter", requests, FILTERS, (nl.RTM_NEWTFILTER, create, tfilter(options)),
             (nl.RTM_DELTFILTER, 0, tfilter()))
        many("IPv6 route without encapsulation", requests, ROUTES // 10, *routes())
        many("IPv6 route, xmit", requests, ROUTES // 10, *routes(xmit=1))
        many("IPv6 route, in, out and xmit", requests, ROUTES, *routes(**{"in": 1, "out": 1,
                                                                           "xmit": 1}))


def report(*logs):
    """Prints the table."""
    sides = [{found["name"]: found for found in (
        json.loads(text.removeprefix("RESULT "))
        for text in pathlib.Path(log).read_text().splitlines() if text.startswith("RESULT "))}
        for log in logs]
    plain = "IPv6 route without encapsulation"
    print(f"{'for each':36}{'bytes: C':>10}{'lwtcls':>8}{'ratio':>7}"
          f"{'add: C':>18}{'lwtcls':>16}{'delete: C':>16}{'lwtcls':>16}")
    for name, c in sides[0].items():
        rust = sides[1][name]
        # The baseline of a route is a route without encapsulation.
        base = [side[plain]["bytes"] if "route," in name else 0 for side in sides]
        of_c, ours = c["bytes"] - base[0], rust["bytes"] - base[1]

        def ends(pair):
            return f"{pair[0]:.0f} .. {pair[1]:.0f}"

        # Few objects may fit into slabs that are there.
        ratio = f"{ours / of_c:7.2f}" if of_c > 0 else f"{'-':>7}"
        print(f"{c['count']:>8} {name:27}{of_c:10.0f}{ours:8.0f}{ratio}"
              f"{ends(c['add']):>18}{ends(rust['add']):>16}"
              f"{ends(c['delete']):>16}{ends(rust['delete']):>16}")
        for side, found in (("C", c), ("lwtcls", rust)):
            print(f"{'':9}{side}: {found['bytes']:.0f} in all, {found['left']:.1f} left afterwards")


if __name__ == "__main__":
    if sys.argv[1] == "report":
        report(*sys.argv[2:])
    else:
        measure()
