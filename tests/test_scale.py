# SPDX-License-Identifier: GPL-2.0-only
"""Many filters in one priority: the cost of an operation hardly depends on their number."""

import random
import statistics
import struct
import time

import nl
import pytest
from conftest import CHECKED, MEASURED, sh
from test_refusals import options, program

pytestmark = pytest.mark.needs("NET_CLS_ACT")
# On a debug kernel more filters would take half an hour, and show nothing else.
FEW, MANY = 1_000, 10_000 if CHECKED else 100_000
# How many of them tc adds, at 0.5 ms for each in an emulated guest.
BY_TC = MANY // 10
ROUNDS, BATCH = 30, 50


class Side:
    """A hook with filters in one priority, and the socket for its requests."""

    def __init__(self, requests, ifindex, parent, fd):
        self.requests = requests
        self.plain = nl.tfilter(ifindex, 0, parent=parent)
        self.whole = nl.tfilter(ifindex, 0, options(fd), parent)
        self.handles = []

    def request_each(self, kind, flags, body, handles):
        """Sends a request for each handle; returns the answers, and the time in seconds."""
        # Only the handle differs, so the body is built once.
        took = self.requests.send(kind, flags, [
            body[:8] + struct.pack("=I", handle) + body[12:] for handle in handles])
        return self.requests.answers(), took

    def add(self, handles):
        """Adds filters; returns the time in seconds."""
        refused, took = self.request_each(
            nl.RTM_NEWTFILTER, nl.NLM_F_CREATE | nl.NLM_F_EXCL, self.whole, handles)
        assert refused == []
        return took

    def get(self, handles):
        """Gets filters by their handles; returns the time in seconds."""
        answers, took = self.request_each(nl.RTM_GETTFILTER, 0, self.plain, handles)
        assert [nl.handle_of(answer) for answer in answers] == handles
        return took

    def delete(self, handles):
        """Deletes filters by their handles; returns the time in seconds."""
        refused, took = self.request_each(nl.RTM_DELTFILTER, 0, self.plain, handles)
        assert refused == []
        return took

    def dump(self):
        """Returns all handles, newest first, and the time in seconds."""
        found, took = self.requests.dump(nl.RTM_GETTFILTER, self.plain)
        return [handle for handle in map(nl.handle_of, found) if handle], took


def add_by_tc(handles, tmp_path):
    """Adds filters with `tc -batch`; returns the time in seconds."""
    lines = tmp_path / "lines"
    lines.write_text("".join(
        f"filter add dev va egress prio 1 handle {handle} bpf da object-pinned /run/bpf/ok\n"
        for handle in handles))
    begin = time.monotonic()
    # tc does not close the fds of pinned programs.
    sh(f"prlimit -n{2 * len(handles)} tc -n a -batch {lines}")
    return time.monotonic() - begin


def thousands(handles):
    """Yields the handles, 1000 at a time."""
    return (handles[at:at + 1000] for at in range(0, len(handles), 1000))


def measured(what, count, seconds):
    """Adds the time of many operations to the report."""
    MEASURED.append(
        f"{what} {count} filters: {seconds:.1f} s, {seconds / count * 1e6:.0f} us for each")


@pytest.fixture(name="sides")
def fixture_sides(net):
    """The hooks of va: ingress, for few filters, and egress, for many."""
    net.route(4)
    net.tc("qdisc add dev va clsact")
    sh("bpftool prog load tc_unspec.o /run/bpf/ok type classifier")
    with program("classifier", "tc_unspec") as fd, nl.Requests("a") as requests:
        yield [Side(requests, net.ifindex, parent, fd)
               for parent in (nl.TC_H_CLSACT_INGRESS, nl.TC_H_CLSACT_EGRESS)]
    sh("rm /run/bpf/ok")


@pytest.mark.only_here("in C every request walks all filters: it would take hours")
def test_a_hundred_thousand_filters(net, sides, tmp_path):
    chance = random.Random(1)
    few, many = sides
    # Random handles, so that no data structure profits from consecutive ones.
    few.handles, many.handles = (
        chance.sample(range(1, 1 << 32), count) for count in (FEW, MANY))
    few.add(few.handles)
    measured("tc -batch adds", BY_TC, add_by_tc(many.handles[:BY_TC], tmp_path))
    measured("one socket adds", MANY - BY_TC, sum(map(many.add, thousands(many.handles[BY_TC:]))))
    for side in sides:
        listed, _ = side.dump()
        assert listed == side.handles[::-1]
    handle = chance.choice(many.handles)
    shown = net.tc(f"filter get dev va egress protocol all prio 1 handle {handle:#x} bpf")
    assert f"handle {handle:#x} " in shown

    # Each round measures both sides in random order, so that other load affects both. A round
    # leaves the number of filters unchanged.
    took = {what: ([], []) for what in ("add", "get", "delete", "dump")}
    for _ in range(ROUNDS):
        for number in chance.sample((0, 1), 2):
            side = sides[number]
            chance.shuffle(side.handles)
            batch = side.handles[:BATCH]
            took["get"][number].append(side.get(batch) / BATCH)
            took["delete"][number].append(side.delete(batch) / BATCH)
            took["add"][number].append(side.add(batch) / BATCH)
    for _ in range(3):
        for number, side in enumerate(sides):
            listed, seconds = side.dump()
            assert sorted(listed) == sorted(side.handles)
            took["dump"][number].append(seconds / len(listed))

    # For the report only: the times depend on the machine's load, so nothing is asserted.
    for what, both in took.items():
        among_few, among_many = map(statistics.median, both)
        MEASURED.append(f"{what:6} among {FEW}: {among_few * 1e6:7.1f} us, "
                        f"among {MANY}: {among_many * 1e6:7.1f} us, "
                        f"ratio {among_many / among_few:.2f}")

    chance.shuffle(many.handles)
    measured("one socket deletes", MANY, sum(map(many.delete, thousands(many.handles))))
    assert net.tc("filter show dev va egress") == ""
