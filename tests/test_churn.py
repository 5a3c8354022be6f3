# SPDX-License-Identifier: GPL-2.0-only
"""Changes all configuration concurrently while packets flow, and accounts for each packet.

LWTCLS_CHURN: duration in seconds. LWTCLS_SEED: seed of the random choices.
"""

import collections
import contextlib
import ctypes
import os
import pathlib
import shutil
import socket
import time
from typing import NamedTuple

import churn
import churn_devices
import needs
import nl
import pytest
from bpf_syscall import BPF_MAP_LOOKUP_ELEM, bpf
from churn_packets import OUR_MARK, flood, receive, send
from churn_scene import SINK, Scene
from churn_worker import Worker
from conftest import BPF, BUILD, KERNEL, MEASURED, batch, eventually, kernel_log, sh
from sockets import sysctl
from splats import splats
from test_fuzz import SEED
from test_refusals import options

pytestmark = [pytest.mark.ipv6, pytest.mark.needs("NET_CLS_ACT", "KPROBES")]

SECONDS = float(os.environ.get("LWTCLS_CHURN", "20"))
PROGRAMS = ("tc_all", "tc_drop", "tc_match", "tc_redirect", "in_drop", "in_reroute", "out_drop",
            "xmit_drop", "xmit_redirect", "xmit_reroute", "xmit_gre", "xmit_gre6")
PINS = pathlib.Path("/run/bpf/churn")
FOLLOWED = pathlib.Path("/sys/kernel/debug/lwtcls_packets")
# Functions that consume packets which are not dropped: readers of sockets, and the dummy device.
READERS, DUMMY = ("skb_consume_udp", "udp_recvmsg", "udpv6_recvmsg"), "dummy_xmit"
# Indices of the programs' counters.
BY_TC, BY_LWT, PUSHED, REROUTED, REDIRECTED = range(5)


class PacketEnd(NamedTuple):
    """A kind of end of packets: how many, the drop reason, and the kernel function that freed
    them."""

    count: int
    reason: str
    where: str

    @property
    def why(self):
        """The drop reason, or the function if there is no reason."""
        return self.where if self.reason == "NOT_SPECIFIED" else self.reason

    @property
    def consumed(self):
        """Whether the packets were consumed and not dropped."""
        return self.reason == "CONSUMED"

    @property
    def by_program(self):
        """The kind of program that dropped the packets: "tc" or "lwt", or empty if none did."""
        if self.reason in ("TC_EGRESS", "TC_INGRESS"):
            return "tc"
        if self.reason == "NOT_SPECIFIED" and self.where.endswith("[lwtcls]"):
            return "lwt"
        return ""


class TrackedPackets:
    """What modules/lwtcls_packets.c has seen so far."""

    def __init__(self):
        self.numbers, self.ends = {}, []
        for line in FOLLOWED.read_text().splitlines():
            first, _, rest = line.partition(" ")
            if first.isdigit():
                reason, _, where = rest.partition(" ")
                # The dummy driver is a module on most kernels.
                self.ends.append(PacketEnd(int(first), reason, where.removesuffix(" [dummy]")))
            else:
                self.numbers[first] = int(rest)

    def sum(self, which):
        """Returns the number of packets whose end satisfies a condition."""
        return sum(end.count for end in self.ends if which(end))

    def by(self, attribute, which):
        """Returns the number of packets whose end satisfies a condition, by an attribute of the
        end."""
        counts = collections.Counter()
        for end in filter(which, self.ends):
            counts[getattr(end, attribute)] += end.count
        return counts


@pytest.fixture(name="packet_tracker")
def fixture_packet_tracker():
    """Loads the module that tracks packets."""
    sh(f"insmod {BUILD}/tests/modules/lwtcls_packets.ko mark={OUR_MARK}")
    yield
    sh("rmmod lwtcls_packets")


@pytest.fixture(name="counters")
def fixture_counters():
    """Pins the programs, and yields the descriptor of their counters."""
    PINS.mkdir()
    try:
        sh(f"bpftool prog loadall {BPF}/churn.o {PINS} pinmaps {PINS}")
        number = nl.open_pinned(f"{PINS}/counters")
        yield number
        os.close(number)
    finally:
        shutil.rmtree(PINS)


def counter(counters, number):
    """Returns one of the programs' counters."""
    key, value = ctypes.c_uint32(number), ctypes.c_uint64()
    bpf(BPF_MAP_LOOKUP_ELEM, "=IIQQQ", counters, 0, ctypes.addressof(key),
        ctypes.addressof(value), 0)
    return value.value


def setup_network(net):
    """Sets up the network: remote ends of the tunnels, and routes that rules select by a program's
    mark."""
    batch("-n b",
          "link add gre1 type gre local 10.0.0.2 remote 10.0.0.1",
          "link add six1 type ip6gre local fd00::2 remote fd00::1",
          "link set gre1 up", "link set six1 up")
    for family in (4, 6):
        net.route(family)
        net.local(family)
        batch(f"-{family} -n a", "rule add pref 50 fwmark 7 lookup 100",
              f"route add {net.service(family)} via {net.gateway(family)} dev va table 100")
        batch(f"-{family} -n b", "rule add pref 100 lookup local",
              "rule add pref 50 fwmark 7 lookup 101",
              f"route add local {net.service(family)} dev lo table 101", "rule del pref 0")
    batch("-n a", f"link add sink index {SINK} type dummy", "link set sink up")
    net.tc("qdisc add dev va clsact")
    net.tc("qdisc add dev vb clsact", "b")


@pytest.fixture(name="scene")
def fixture_scene(net, counters):
    """What the operations work with."""
    setup_network(net)
    programs = {name: nl.open_pinned(f"{PINS}/{name}") for name in PROGRAMS}
    with nl.inside("b"):
        devices = {"a": net.ifindex, "b": socket.if_nametoindex("vb")}
    services = {family: (net.service(family), net.gateway(family)) for family in (4, 6)}
    # This filter stays, so the module is always in use.
    assert nl.add_filter(net.ifindex, options(programs["tc_all"]),
                         parent=nl.TC_H_CLSACT_INGRESS) == (0, "")
    yield Scene(SEED, programs, devices, services)
    for number in programs.values():
        os.close(number)


def operations(scene):
    """Returns all concurrent operations: name, function and arguments."""
    egress, ingress = nl.TC_H_CLSACT_EGRESS, nl.TC_H_CLSACT_INGRESS
    return [
        *((f"sender {cpu}", send, scene, cpu) for cpu in sorted(os.sched_getaffinity(0))),
        ("filters of a", churn.change_filters, scene, "a", egress, 1),
        ("filters of a again", churn.change_filters, scene, "a", egress, 2),
        ("filters of b", churn.change_filters, scene, "b", ingress, 1),
        ("routes", churn.change_routes, scene),
        ("dummies", churn_devices.change_dummies, scene),
        ("namespaces", churn_devices.change_namespaces, scene),
        ("blocks", churn_devices.change_blocks, scene),
        *([("hardware", churn_devices.change_hardware, scene)]
          if needs.part("hardware that is added and removed under traffic", "NETDEVSIM") else []),
        ("rmmod", churn.unload),
        ("dumps", churn.dump, scene),
    ]


def run_operations(work):
    """Runs the operations until the time is over; returns the counts of their outcomes."""
    until = time.monotonic() + SECONDS
    workers = [Worker(*each, until=until) for each in work]
    done, wrong = collections.Counter(), ""
    try:
        for worker in workers:
            its, went_wrong = worker.result(until - time.monotonic() + 60)
            done += its
            wrong += f"{worker.name}: {went_wrong}" if went_wrong else ""
        assert not wrong, wrong
        return done
    finally:
        for worker in workers:
            worker.end()


def run(scene):
    """Runs all operations and the receiver; returns the counts of their outcomes."""
    receiver = Worker("receiver", receive)
    try:
        done = run_operations(operations(scene))
        # If packets remain, the sums of the scenario do not match.
        with contextlib.suppress(AssertionError):
            eventually(lambda: TrackedPackets().numbers["there"] == 0, 30)
        receiver.stop()
        its, wrong = receiver.result(60)
        assert not wrong, wrong
        return done + its
    finally:
        receiver.end()


def counts_as_text(counts, refused=None):
    """Returns the counts as text. Names of refused operations contain the errno."""
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()
                     if refused in (None, ": E" in name))


@pytest.mark.only_here("the module that follows packets is built for one kernel")
def test_every_packet_is_accounted_for(packet_tracker, counters, scene):
    lines = len(kernel_log())
    done = run(scene)
    seen = TrackedPackets()
    by_tc, by_lwt, pushed, rerouted, redirected = (
        counter(counters, number) for number in (BY_TC, BY_LWT, PUSHED, REROUTED, REDIRECTED))
    kernel = seen.by("why", lambda end: not end.consumed and not end.by_program)
    sunk = seen.sum(lambda end: end.consumed and end.where == DUMMY)
    made, received, sent = seen.numbers["made"], done.pop("received", 0), done.pop("sendto", 0)
    total = received + sunk + by_tc + by_lwt + kernel.total()
    MEASURED.append(
        f"churn: {SECONDS:.0f} s, seed {SEED}: {made} packets sent "
        f"{'=' if made == total else 'are not'} {received} delivered + "
        f"{sunk} taken by dummy devices + {by_tc + by_lwt} dropped by programs (tc {by_tc}, lwt "
        f"{by_lwt}) + {kernel.total()} by the kernel ({counts_as_text(kernel)}); "
        f"{pushed} with a header, {rerouted} rerouted, {redirected} redirected")
    MEASURED.append(f"churn: operations: {counts_as_text(done, False)}; "
                    f"refused: {counts_as_text(done, True)}")
    assert not splats(kernel_log()[lines:])

    # Each packet has been seen to end, and only once.
    assert {name: count for name, count in seen.numbers.items() if name != "made"} == {
        "there": 0, "unseen": 0, "lost": 0, "missed": 0}
    assert made >= sent > 0 and received and by_tc and by_lwt
    assert pushed and rerouted and redirected
    # The ends that the kernel reports match the counts of the programs, the receiver and the
    # operations.
    consumed = seen.by("where", lambda end: end.consumed)
    assert set(consumed) <= {*READERS, DUMMY}, counts_as_text(consumed)
    assert seen.sum(lambda end: end.consumed and end.where in READERS) == received
    assert seen.sum(lambda end: end.by_program == "tc") == by_tc
    assert seen.sum(lambda end: end.by_program == "lwt") == by_lwt
    assert made == total


@pytest.fixture(name="generator")
def fixture_generator():
    """Loads the kernel's packet generator."""
    sh(f"insmod {KERNEL}/net/core/pktgen.ko")
    yield
    sh("rmmod pktgen")


@pytest.mark.only_here("tests concurrency, not results")
def test_concurrent_traffic_on_all_cpus(generator, counters, scene):
    """Sends from all CPUs while filters and routes change, and checks for splats. This gives KCSAN
    the most concurrent accesses."""
    lines = len(kernel_log())
    batch("-n b", "neigh add 10.0.0.77 lladdr 02:00:00:00:00:77 dev vb",
          "neigh add fd00::77 lladdr 02:00:00:00:00:77 dev vb")
    sysctl("a", "ipv4/ip_forward", 1)
    sysctl("a", "ipv6/conf/all/forwarding", 1)
    egress, ingress = nl.TC_H_CLSACT_EGRESS, nl.TC_H_CLSACT_INGRESS
    done = run_operations([
        ("flood", flood, scene),
        ("filters of a", churn.change_filters, scene, "a", egress, 1),
        ("filters of a, too", churn.change_filters, scene, "a", ingress, 2),
        ("filters of b", churn.change_filters, scene, "b", ingress, 1),
        ("routes", churn.change_routes, scene),
        ("dumps", churn.dump, scene),
    ])
    by = collections.Counter({name: counter(counters, number) for number, name in enumerate(
        ("dropped by filters", "dropped by routes", "pushed", "rerouted", "redirected"))})
    MEASURED.append(f"meeting: {SECONDS:.0f} s, seed {SEED}: {done.pop('flooded', 0)} packets, "
                    f"{counts_as_text(by)}; {counts_as_text(done, False)}")
    assert not splats(kernel_log()[lines:])
    assert all(by.values()) and done["filters replaced"] and done["routes replaced"]
