# SPDX-License-Identifier: GPL-2.0-only
"""Packet metadata between filters: the timestamp that one leaves to the next, and the dst."""

import pytest
from test_cls import BOTH

pytestmark = pytest.mark.needs("NET_CLS_ACT")


@pytest.fixture(name="tc")
def fixture_tc(net):
    """The network with clsact on va."""
    net.route(4)
    net.tc("qdisc add dev va clsact")
    return net


def add_timestamp_filter(net, hook, name, how="bpf da obj tc_{}.o sec tc", options="prio 1"):
    """Adds an IPv4 filter with one of the timestamp programs."""
    what = how.format(f"tstamp_{name}")
    net.tc(f"filter add dev va {hook} protocol ip {options} {what}")


@BOTH
@pytest.mark.parametrize("prio", [1, 2], ids=["same priority", "next priority"])
def test_timestamp_seen_by_next_filter(tc, hook, prio):
    add_timestamp_filter(tc, hook, "none", options=f"prio {prio}")
    assert tc.ping()
    # A program cannot reset the type of a timestamp that it has zeroed, so the classifier does.
    add_timestamp_filter(tc, hook, "zero", options="prio 1 handle 2")
    assert tc.ping(count=2)
    tc.tc(f"filter del dev va {hook} protocol ip prio 1 handle 2 bpf")
    add_timestamp_filter(tc, hook, "set")
    assert tc.dropped()


@BOTH
def test_timestamp_without_direct_action(tc, hook):
    # Without direct action the return value is a class, and the action decides.
    add_timestamp_filter(tc, hook, "none", options="prio 2")
    add_timestamp_filter(tc, hook, "zero", how="bpf obj tc_{}.o sec tc action continue")
    assert tc.ping(count=2)
    add_timestamp_filter(tc, hook, "set", how="bpf obj tc_{}.o sec tc action continue")
    # The newer filter runs first, and the older one zeroes the timestamp that it sets.
    assert tc.ping(count=2)
    tc.tc(f"filter del dev va {hook} protocol ip prio 1 handle 1 bpf")
    assert tc.dropped()


@pytest.fixture(name="htb")
def fixture_htb(fresh):
    """A network with htb on va, whose filter drops packets without a dst."""
    fresh.route(4)
    fresh.tc("qdisc add dev va root handle 1: htb default 1")
    fresh.tc("class add dev va parent 1: classid 1:1 htb rate 100mbit")
    fresh.tc("filter add dev va parent 1: protocol ip prio 2 bpf da obj tc_dst.o sec tc")
    return fresh


@pytest.mark.needs("BPF_JIT", "DEBUG_INFO_BTF")
@pytest.mark.parametrize("how", [
    "bpf da obj tc_realm.o sec tc", "bpf obj tc_realm.o sec tc action continue"])
def test_dst_is_kept_for_program_that_reads_realm(htb, how):
    # For most devices the core drops the dst before the qdisc.
    assert htb.dropped()
    htb.tc(f"filter add dev va parent 1: protocol ip prio 1 {how}")
    assert htb.ping(count=2)


@pytest.mark.needs("BPF_JIT", "DEBUG_INFO_BTF")
def test_dst_is_not_kept_for_program_on_clsact(htb):
    # On clsact the packet still has its dst.
    htb.tc("qdisc add dev va clsact")
    htb.tc("filter add dev va egress protocol ip prio 1 bpf da obj tc_realm.o sec tc")
    assert htb.dropped()
    htb.tc("filter del dev va parent 1:")
    htb.tc("filter add dev va egress protocol ip prio 2 bpf da obj tc_dst.o sec tc")
    assert htb.ping()
