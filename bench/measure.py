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

measure.py SIDE BUILD KERNEL scale PACKETS: sends on one CPU, and on two at once, also for a plugin.
"""

import contextlib
import ctypes
import itertools
import json
import mmap
import os
import pathlib
import random
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))
os.environ.setdefault("LWTCLS_BUILD", sys.argv[2])
os.environ.setdefault("LWTCLS_KERNEL", sys.argv[3])

import nl  # noqa: E402

SIDE, BUILD, KERNEL = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
WHAT = sys.argv[4]
BPF = BUILD / "bpf"
PKTGEN = pathlib.Path("/proc/net/pktgen")
PACKETS = {"touch": 500, "cycles": int(os.environ.get("LWTCLS_PACKETS", 0))}.get(WHAT, 40000)
# How often each line is counted. The minimum is used; for perf, the median.
ROUNDS = {"cycles": 9}.get(WHAT, 3)
# How often all lines are measured in turn: what disturbs all rounds of one pass is not in another.
PASSES = 3 if WHAT == "touch" else 1
ROUTE = "10.1.0.1 {encap} via 10.2.0.2 dev d2"
# Executable memory for the no-ops that mark windows for the plugin.
MARKS = mmap.mmap(-1, 1 << 16, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
WINDOWS = itertools.count(1)


def sh(command):
    """Runs a command in the directory of the BPF programs."""
    result = subprocess.run(command, shell=True, cwd=BPF, text=True, capture_output=True,
                            check=False)
    if result.returncode:
        sys.exit(f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def quiet():
    """Disables background work of some kernels: DAMON samples page accesses."""
    knob = pathlib.Path("/sys/module/damon_stat/parameters/enabled")
    if knob.exists():
        knob.write_text("N")


def network():
    """Sets up four dummy devices. The second sends what the first and the fourth receive. They have
    no IPv4 addresses: the kernel's address hash differs in each boot, and a collision costs
    instructions."""
    sh("insmod %s" % (KERNEL / "net/core/pktgen.ko"))
    lines = []
    for number in (1, 2, 3, 4):
        lines += [f"link add d{number} index {100 + number} type dummy",
                  f"link set d{number} address 02:00:00:00:00:0{number}",
                  f"addr add fd0{number}::1/64 dev d{number} nodad",
                  f"link set d{number} up"]
    lines += ["route add 10.2.0.0/24 dev d2",
              "neigh add 10.2.0.2 lladdr 02:00:00:00:00:22 dev d2 nud permanent",
              "neigh add fd02::2 lladdr 02:00:00:00:00:22 dev d2 nud permanent",
              "route add " + ROUTE.format(encap="")]
    text = "\n".join(lines)
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        pathlib.Path(f"/proc/sys/net/{name}").write_text("1")
    sh(f"ip -batch - <<'EOF'\n{text}\nEOF")


def pktgen(where, **lines):
    """Writes commands to pktgen."""
    for key, value in lines.items():
        (PKTGEN / where).write_text(f"{key} {value}".strip())


def generator(cpu=0, dev="d1", net=9, packets=PACKETS):
    """Configures pktgen: UDP over IPv4, 60 bytes with the MAC header, received on a device. Without
    timestamps, because the cost of reading the clock varies."""
    pktgen(f"kpktgend_{cpu}", add_device=dev)
    pktgen(dev, count=packets, pkt_size=60, delay=0, xmit_mode="netif_receive",
           dst_mac=f"02:00:00:00:00:0{dev[1]}", src_mac="02:00:00:00:00:11", dst="10.1.0.1",
           src_min=f"10.{net}.0.5", src_max=f"10.{net}.0.5", udp_src_min=9, udp_src_max=9,
           udp_dst_min=9, udp_dst_max=9, flag="NO_TIMESTAMP")


def ended():
    """Returns when pktgen began its last round, and the microseconds that it took; `None` if it has
    not ended."""
    text = (PKTGEN / "d1").read_text()
    began = re.search(r"started: (\d+)us", text)[1]
    took = re.search(r"^Result: OK: (\d+)\(c\d+\+d\d+\) .*\n.* errors: \d+", text, re.M)
    return began, took and int(took[1])


def once():
    """Sends one round and returns nanoseconds, which are instructions, per packet."""
    last, deadline = ended(), time.monotonic() + 120
    pktgen("pgctrl", start="")
    # pktgen does not wait for threads that start late.
    while (now := ended())[1] is None or now[0] == last[0]:
        if time.monotonic() > deadline:
            raise RuntimeError((PKTGEN / "d1").read_text())
        time.sleep(0.05)
    return now[1] * 1000 / PACKETS


def mark(number):
    """Executes a no-op that encodes a number (watch_marks() in bench/plugin.h)."""
    at = number * 16
    if not MARKS[at]:
        MARKS[at:at + 8] = struct.pack("<3sH2sc", b"\x0f\x1f\x80", number, b"\x77\x6c", b"\xc3")
    ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(MARKS, at)))()


@contextlib.contextmanager
def window():
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
            with window() as number:
                counts.append(once())
            windows.append(number)
    return min(counts), {"windows": windows, "of": PACKETS}


def generator_thread():
    """Returns the PID of the thread that generates the packets."""
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(FileNotFoundError):
            if comm.read_text() == "kpktgend_0\n":
                return comm.parent.name
    sys.exit("there is no kpktgend_0")


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
            once()
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


def sent():
    """Returns how many packets d2 and d3 have sent."""
    return sum(int(pathlib.Path(f"/sys/class/net/d{number}/statistics/tx_packets").read_text())
               for number in (2, 3))


def line(name, base, count, where, unit="packet"):
    """Prints one line: its count, and the name of its baseline."""
    found = {"name": name, "base": base, "count": count, "unit": unit, **where}
    print("RESULT " + json.dumps(found), flush=True)


def symbols():
    """Prints the symbols of modules, and those of the kernel if there is no System.map."""
    everything = not (KERNEL / "System.map").exists()
    for text in pathlib.Path("/proc/kallsyms").read_text().splitlines():
        if everything or text.endswith("]"):
            print("SYMBOL " + text, flush=True)


def packets(name, base, through=True):
    """Counts the packet path in its current configuration. `through` says whether the packets are
    forwarded; if the number of sent packets does not match, the benchmark stops."""
    before = sent()
    if WHAT == "cycles":
        count, where = None, {"events": by_perf_often()}
    else:
        count, where = per_packet()
    went = sent() - before
    if went != (PACKETS * ROUNDS if through else 0):
        sys.exit(f"{name}: {went} packets were sent")
    line(name, base, count, where)


@contextlib.contextmanager
def clsact(hook, *filters):
    """Adds filters on ingress of the receiving device, or on egress of the sending one."""
    dev = {"ingress": "d1", "egress": "d2"}[hook]
    sh(f"tc qdisc add dev {dev} clsact")
    text = "\n".join(f"filter add dev {dev} {hook} {filter_}" for filter_ in filters)
    sh(f"tc -batch - <<'EOF'\n{text}\nEOF")
    yield
    sh(f"tc qdisc del dev {dev} clsact")


@contextlib.contextmanager
def encap(hook, obj):
    """Attaches a program to a hook of the route."""
    sh("ip route replace " + ROUTE.format(
        encap=f"encap bpf {hook} obj {obj}.o section lwt_{hook}"))
    yield
    sh("ip route replace " + ROUTE.format(encap=""))


@contextlib.contextmanager
def routes(*some):
    """Adds routes."""
    for route in some:
        sh(f"ip route add {route}")
    yield
    for route in some:
        sh(f"ip route del {route}")


@contextlib.contextmanager
def runs_counted():
    """Enables bpf_stats: the kernel counts runs of programs, and lwtcls their verdicts."""
    knob = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    knob.write_text("1")
    try:
        yield
    finally:
        knob.write_text("0")


DA = "prio {} handle 1 bpf da obj {}.o sec tc"


def classifier():
    """Measures the packet path of the classifier."""
    with clsact("ingress"):
        packets("clsact, no filter", "no hook")
    for count in (1, 2, 11, 101):
        with clsact("ingress", *(f"prio 1 handle {number + 1} bpf da obj tc_unspec.o sec tc"
                                 for number in range(count))):
            packets(f"ingress: {count} direct-action", "clsact, no filter")
    with clsact("ingress", DA.format(1, "tc_ok")):
        packets("ingress: 1 direct-action that accepts", "clsact, no filter")
    with clsact("ingress", DA.format(1, "tc_ok")), runs_counted():
        packets("ingress: 1 direct-action that accepts, counted", "clsact, no filter")
    with clsact("ingress", DA.format(1, "tc_shot")):
        packets("ingress: 1 direct-action that drops", None, through=False)
    with clsact("ingress", DA.format(1, "bench_work_tc")):
        packets("ingress: 1 direct-action of 200 instructions", "clsact, no filter")
    with clsact("ingress", "prio 1 handle 1 bpf obj tc_ok.o sec tc classid 1:1"):
        packets("ingress: 1 that misses", "clsact, no filter")
    with clsact("ingress", "prio 1 handle 1 bpf obj tc_unspec.o sec tc action ok"):
        packets("ingress: 1 that matches, with an action", "clsact, no filter")
    with clsact("ingress", "prio 1 handle 1 bpf bytecode '1,6 0 0 0' classid 1:1"):
        packets("ingress: 1 classic that misses", "clsact, no filter")
    with clsact("egress"):
        packets("clsact on egress, no filter", "no hook")
    with clsact("egress", DA.format(1, "tc_unspec")):
        packets("egress: 1 direct-action", "clsact on egress, no filter")


@contextlib.contextmanager
def attached(hook, obj, count=1):
    """Attaches programs to a tcx hook of a device."""
    dev = {"ingress": "d1", "egress": "d2"}[hook]
    for number in range(count):
        path = f"/run/bpf/tcx{number}"
        sh(f"bpftool prog load {obj}.o {path} type classifier && "
           f"bpftool net attach tcx_{hook} pinned {path} dev {dev} && rm {path}")
    yield
    for _ in range(count):
        sh(f"bpftool net detach tcx_{hook} dev {dev}")


def tcx():
    """Measures the same programs on tcx, without a classifier. The lines are named like those of
    the classifier."""
    for count in (1, 2, 11):
        with attached("ingress", "tc_unspec", count):
            packets(f"tcx/ingress: {count} direct-action", "no hook")
    with attached("ingress", "tc_ok"):
        packets("tcx/ingress: 1 direct-action that accepts", "no hook")
    with attached("ingress", "tc_shot"):
        packets("tcx/ingress: 1 direct-action that drops", None, through=False)
    with attached("ingress", "bench_work_tc"):
        packets("tcx/ingress: 1 direct-action of 200 instructions", "no hook")
    with attached("egress", "tc_unspec"):
        packets("tcx/egress: 1 direct-action", "no hook")


def encapsulation():
    """Measures the packet path of the encapsulation."""
    for hook in ("in", "out", "xmit"):
        with encap(hook, f"lwt_{hook}_ok"):
            packets(f"{hook}: OK", "no hook")
        with encap(hook, f"lwt_{hook}_ok"), runs_counted():
            packets(f"{hook}: OK, counted", "no hook")
        with encap(hook, f"lwt_{hook}_drop"):
            packets(f"{hook}: DROP", None, through=False)
    with encap("xmit", "bench_work_lwt_xmit"):
        packets("xmit: OK, 200 instructions", "no hook")
    with encap("xmit", "bench_redirect"):
        packets("xmit: redirect", "no hook")
    for hook in ("in", "xmit"):
        for outer in (4, 6):
            for tunnel in ("ipip", "gre", "udp"):
                with encap(hook, f"bench_{hook}_{tunnel}{outer}"):
                    packets(f"{hook}: push {tunnel} over IPv{outer}, reroute", "no hook")
    # All lookups return the same route, and each has another destination.
    with routes("10.10.0.0/16 via 10.2.0.2 dev d2", "fd0a::/112 via fd02::2 dev d2"):
        for hook in ("in", "xmit"):
            for outer in (4, 6):
                with encap(hook, f"bench_{hook}_each{outer}"):
                    packets(f"{hook}: push udp over IPv{outer}, each to another address, reroute",
                            "no hook")


def reroute():
    """Measures a reroute without a new header, selected by a rule. Runs last: once a rule was
    added, every lookup in the namespace checks rules, even after it is deleted."""
    base = "no hook, a rule for marks"
    sh("ip rule add fwmark 7 lookup 100 pref 50")
    sh("ip route add table 100 10.1.0.1 via 10.2.0.2 dev d2")
    for _ in range(PASSES):
        packets(base, None)
        for hook in ("in", "xmit"):
            with encap(hook, f"lwt_{hook}_mark"):
                packets(f"{hook}: reroute", base)


def control():
    """Measures requests one by one, system call included."""
    handles = list(range(1, 1 << 20))
    random.Random(1).shuffle(handles)
    sh("tc qdisc add dev d1 clsact")
    parent, index = nl.TC_H_CLSACT_INGRESS, 101
    # The C takes minutes to add 100,000 filters, so only the first run has them.
    sizes = (10, 1000, 100000) if WHAT == "count" else (10, 1000)
    sh("bpftool prog load tc_unspec.o /run/bpf/filter type classifier")
    options = nl.attr(nl.BPF_FD, nl.pinned("/run/bpf/filter")) \
        + nl.attr(nl.BPF_NAME, "tc_unspec.o:[tc]") + nl.attr(nl.BPF_FLAGS, nl.DIRECT)

    def bodies(some, options=None):
        return [nl.tfilter(index, handle, options, parent) for handle in some]

    there = 0
    with nl.Requests(None) as requests:
        requested = {
            "get": (nl.RTM_GETTFILTER, 0),
            "delete": (nl.RTM_DELTFILTER, 0),
            "add": (nl.RTM_NEWTFILTER, nl.NLM_F_CREATE | nl.NLM_F_EXCL, options)}

        def count(kind, flags, some, options=None):
            """Returns the seconds of each request, and their window."""
            with window() as number:
                seconds = [requests.send(kind, flags, [body]) for body in bodies(some, options)]
            assert all(answer[0] != nl.NLMSG_ERROR for answer in requests.answers())
            return seconds, number

        for size in sizes:
            while there < size:
                step = handles[there:min(there + 500, size)]
                requests.send(nl.RTM_NEWTFILTER, nl.NLM_F_CREATE | nl.NLM_F_EXCL,
                              bodies(step, options))
                there += len(step)
            assert not requests.answers()
            # A random sample, because the C looks at the newest filters first.
            some = random.Random(size).sample(handles[:there], min(there, 101))
            found = {verb: ([], []) for verb in requested}
            # Repeats a small sample: an interrupt might hit too large a part of it.
            for _ in range(101 // len(some)):
                for verb, what in requested.items():
                    seconds, number = count(*what[:2], some, *what[2:])
                    found[verb][0].extend(seconds)
                    found[verb][1].append(number)
            for verb, (seconds, windows) in found.items():
                line(f"{verb} a filter, {size} there", None,
                     sorted(seconds)[len(seconds) // 2] * 1e9,
                     {"windows": windows, "of": len(some)}, "request")
    sh("tc qdisc del dev d1 clsact")
    # Waits until the filters are freed.
    time.sleep(5)

    sh("bpftool prog load lwt_xmit_ok.o /run/bpf/route type lwt_xmit")
    program = nl.attr(nl.PROG_FD, nl.pinned("/run/bpf/route")) \
        + nl.attr(nl.PROG_NAME, "lwt_xmit_ok.o:[lwt_xmit]")
    with nl.Requests(None) as requests:
        head = struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 4, 0, 1, 0) \
            + nl.attr(nl.RTA_DST, bytes([10, 5, 0, 1])) + nl.attr(nl.RTA_OIF, 102)
        encapsulation = nl.attr(nl.RTA_ENCAP_TYPE, struct.pack("=H", nl.ENCAP_BPF)) \
            + nl.attr(nl.RTA_ENCAP, nl.attr(nl.LWT_XMIT, program))
        # The baseline: the cost of a route's per-CPU allocation depends on the state of that
        # allocator, which differs between the two kernels.
        plain = " without encapsulation"
        for what, base, body in ((plain, None, head), ("", plain, head + encapsulation)):
            adds, dels = [], []
            with window() as number:
                for _ in range(101):
                    adds.append(requests.send(nl.RTM_NEWROUTE, nl.NLM_F_CREATE | nl.NLM_F_EXCL,
                                              [body]))
                    dels.append(requests.send(nl.RTM_DELROUTE, 0, [body]))
                    # Waits until the per-CPU memory of the route is freed, so that each allocation
                    # searches the same free areas.
                    time.sleep(0.05)
            assert not requests.answers()
            where = {"windows": [number], "of": 101}
            for verb, seconds in (("add", adds), ("delete", dels)):
                line(f"{verb} a route{what}", base and f"{verb} a route{base}",
                     sorted(seconds)[50] * 1e9, where, "request")


def scale(packets):
    """Sends the same packets on one CPU and on two, through the same filters and routes."""
    def run(name, expected):
        before, deadline = sent(), time.monotonic() + 120
        pktgen("pgctrl", start="")
        # pktgen does not wait for threads that start late.
        while sent() - before < expected and time.monotonic() < deadline:
            time.sleep(0.05)
        if sent() - before != expected:
            sys.exit(f"{name}: {sent() - before} packets were sent")

    def senders(name):
        for count in (1, 2):
            if count == 2:
                generator(1, "d4", 8, packets)
            run(name, count * packets)
            with window() as number:
                run(name, count * packets)
            line(name, None, count, {"windows": [number], "of": count * packets}, "cpus")
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


def main():
    """Measures all lines, in the order of the table."""
    sh("mkdir -p /run/bpf && mount -t bpf bpf /run/bpf")
    module = BUILD / "lwtcls.ko" if SIDE == "rust" else KERNEL / "net/sched/cls_bpf.ko"
    sh(f"insmod {module}")
    quiet()
    network()
    if WHAT == "scale":
        scale(int(sys.argv[5]))
        return
    generator()
    once()
    for _ in range(PASSES):
        packets("no hook", None)
        classifier()
        encapsulation()
    if WHAT in ("count", "again"):
        tcx()
        control()
    reroute()
    symbols()


main()
