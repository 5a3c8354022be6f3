# SPDX-License-Identifier: GPL-2.0-only
"""Netfilter and IPsec on packets whose routes have programs."""

import contextlib
import errno
import itertools
import json
import pathlib
import re

import pytest
from conftest import batch, sh
from headers import KINDS, outer
from journal import JOURNAL, recorded
from sockets import ping
from tunnels import Tunnels
from wires import Sender, name_of

pytestmark = [pytest.mark.needs("NF_TABLES_INET"), pytest.mark.pushes]
FAMILIES = pytest.mark.parametrize("family", [4, 6])
INNER = pytest.mark.parametrize("inner", [4, 6])
HOOKS = pytest.mark.parametrize("hook", ["in", "xmit"])
KIND = {4: "gre", 6: "gre6"}
CHAINS = ("prerouting", "input", "forward", "output", "postrouting")
LWTUNNEL = pathlib.Path("/proc/sys/net/netfilter/nf_hooks_lwtunnel")
ENDS = {4: ("10.9.0.1", "10.9.0.2"), 6: ("fd09::1", "fd09::2")}
NUMBERS = itertools.count()


@pytest.fixture(scope="module", name="tunnels")
def fixture_tunnels():
    """The network of this file. Each scenario removes what it adds."""
    with contextlib.closing(Tunnels()) as made:
        yield made


@contextlib.contextmanager
def tables(*lines, family="inet", namespace="a"):
    """Adds an nftables table to a namespace; yields a function that returns the counters that are
    not 0."""
    text = "\n".join((f"table {family} t {{", *lines, "}", ""))

    @recorded
    def counted():
        listed = json.loads(sh(f"ip netns exec {namespace} nft -j list counters"))["nftables"]
        return {each["counter"]["name"]: each["counter"]["packets"]
                for each in listed if "counter" in each and each["counter"]["packets"]}

    sh(f"ip netns exec {namespace} nft -f -", lines=text)
    try:
        yield counted
    finally:
        sh(f"ip netns exec {namespace} nft delete table {family} t")


def chain(hook, *rules, kind="filter", priority=0, where=""):
    """Returns a base chain with these rules, and the counters that they name."""
    counters = [f"counter {name} {{}}" for rule in rules
                for name in re.findall(r"counter name (\w+)", rule)]
    return "\n".join((*counters, f"chain {hook} {{",
                      f"type {kind} hook {hook} {where} priority {priority};", *rules, "}"))


def send(tunnels, hook, inner):
    """Sends a packet through the program, from b (in) or a (xmit); returns the sender's error and
    the packet's data."""
    data = f"packet {next(NUMBERS)}".encode()
    with Sender(tunnels.CLIENT[hook], inner) as sender:
        return name_of(sender.send(tunnels.SERVICE[hook][inner], data)), data


@pytest.mark.parametrize("lwtunnel", [0, 1], ids=["", "nf_hooks_lwtunnel"])
@HOOKS
@FAMILIES
@INNER
def test_netfilter_hooks_before_and_after_program(tunnels, hook, family, inner, lwtunnel):
    # Once on, this cannot be switched off again. It is for other encapsulations.
    if lwtunnel:
        LWTUNNEL.write_text("1")
    rules = [chain(each, f"meta l4proto udp counter name {each}_inner",
                   f"meta l4proto gre counter name {each}_outer") for each in CHAINS]
    with tunnels.push.pushing(KINDS[KIND[family]].header(inner)), tables(*rules) as counted:
        told, data = send(tunnels, hook, inner)
        # The header is pushed after OUTPUT (xmit) or PREROUTING (in), so only later hooks see it.
        seen = counted()
        assert seen == dict.fromkeys(
            ("output_inner", "postrouting_inner", "postrouting_outer") if hook == "xmit"
            else ("prerouting_inner", "forward_outer", "postrouting_outer"), 1)
        assert told == 0
        assert tunnels.receive_all("c", inner) == [data]


# The program's hook, the netfilter hook, the rule that drops the packet, and the sender's error.
DROPS = [
    ("xmit", "output", "meta l4proto udp drop", "EPERM"),
    ("xmit", "postrouting", "meta l4proto udp drop", "EPERM"),
    ("xmit", "postrouting", "meta l4proto gre drop", "ENOBUFS"),
    ("in", "prerouting", "meta l4proto udp drop", 0),
    ("in", "forward", "meta l4proto gre drop", 0),
    ("in", "postrouting", "meta l4proto gre drop", 0),
]


@pytest.mark.parametrize("hook, where, rule, error", DROPS)
@FAMILIES
@INNER
def test_netfilter_drops_before_and_after_program(
        tunnels, hook, where, rule, error, family, inner):
    with tunnels.push.pushing(KINDS[KIND[family]].header(inner)):
        with tables(chain(where, f"oifname va {rule}" if where == "output" else rule)):
            for _ in range(3):
                assert send(tunnels, hook, inner)[0] == error
        told, data = send(tunnels, hook, inner)
        assert told == 0
        assert tunnels.receive_all("c", inner) == [data]


@INNER
def test_mark_set_by_nft_selects_route_with_program(tunnels, inner):
    way = tunnels.VIA["b"][inner]
    third = {4: "10.5.0.1", 6: "fd05::1"}[inner]
    bits = {4: 32, 6: 128}[inner]
    mark = f"{'ip' if inner == 4 else 'ip6'} daddr {third} meta mark set 7"
    with tunnels.push.pushing(KINDS["gre"].header(inner)), \
            tunnels.temporary_routes(
                "c", inner, f"route add local {third}/{bits} dev lo table local"), \
            tunnels.temporary_routes("a", inner, f"route add {third} {way}",
                                     f"route add {third} {tunnels.encap('xmit')} {way} table 100",
                                     "rule add pref 50 fwmark 7 lookup 100"):
        before = tunnels.received("gre1")
        for marks, arrives in ((mark, True), ("", False)):
            with tables(chain("output", marks, kind="route")), Sender("a", inner) as sender:
                assert sender.send(third, b"marked") == 0
                assert tunnels.receive_all("c", inner) == [b"marked"] * arrives
        assert tunnels.received("gre1") == before + 1


@HOOKS
@FAMILIES
@INNER
def test_conntrack_uses_inner_header(tunnels, hook, family, inner):
    states = [f"ct state {state} meta l4proto {{ udp, icmp, ipv6-icmp, gre }} counter name {state}"
              for state in ("new", "established", "invalid", "untracked")]
    # On xmit the packet passes a's postrouting twice, without and with the header.
    times = 2 if hook == "xmit" else 1
    with tunnels.push.pushing(KINDS[KIND[family]].header(inner)), \
            tables(chain("postrouting", *states)) as counted:
        told, data = send(tunnels, hook, inner)
        assert counted() == {"new": times}
        assert told == 0
        assert tunnels.receive_all("c", inner) == [data]
    with tunnels.push.pushing(KINDS[KIND[family]].header(inner)), \
            tables(chain("postrouting", *states)) as counted:
        for _ in range(3):
            assert ping(tunnels.CLIENT[hook], inner, tunnels.SERVICE[hook][inner])
        # All pings are one connection. Their answers pass a's postrouting only on the way to b.
        with JOURNAL.quiet():
            seen = counted()
        assert seen.keys() <= {"new", "established"}
        assert sum(seen.values()) == 6


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.parametrize("what, passes", [("drop", False), ("accept", True)])
@INNER
def test_nft_ingress_rules_run_after_filters(tunnels, inner, what, passes):
    ours = f"{'ip daddr 10.0.0.1' if inner == 4 else 'ip6 daddr fd00::1'} udp dport 9"
    tunnels.tc("qdisc add dev va clsact")
    try:
        with tables(chain("ingress", f"{ours} meta mark 0 counter name plain {what}",
                          f"{ours} meta mark 7 counter name marked",
                          where="device va"), family="netdev") as counted, \
                Sender("b", inner) as sender:
            to = {4: "10.0.0.1", 6: "fd00::1"}[inner]
            assert sender.send(to, b"first") == 0
            assert counted() == {"plain": 1}
            # tc runs first: rules do not see packets that filters drop, and do see their marks.
            tunnels.tc("filter add dev va ingress prio 1 bpf da obj tc_shot.o sec tc")
            assert sender.send(to, b"second") == 0
            assert counted() == {"plain": 1}
            tunnels.tc("filter del dev va ingress")
            tunnels.tc("filter add dev va ingress matchall action skbedit mark 7")
            assert sender.send(to, b"third") == 0
            assert counted() == {"plain": 1, "marked": 1}
            assert tunnels.receive_all("a", inner) == [b"first"] * passes + [b"third"]
    finally:
        tunnels.tc("qdisc del dev va clsact")


@pytest.mark.needs("NET_CLS_ACT")
@INNER
def test_nft_egress_rules_run_before_filters(tunnels, inner):
    to = {4: "10.0.0.2", 6: "fd00::2"}[inner]
    rule = "udp dport 9 meta mark set 7"
    tunnels.tc("qdisc add dev va clsact")
    try:
        tunnels.tc("filter add dev va egress bpf obj tc_marked.o sec tc action drop")
        with Sender("a", inner) as sender:
            assert sender.send(to, b"passes") == 0
            assert tunnels.receive_all("b", inner) == [b"passes"]
            with tables(chain("egress", rule, where="device va"), family="netdev"):
                assert sender.send(to, b"does not") in (0, errno.ENOBUFS)
                tunnels.tc("filter del dev va egress")
                assert sender.send(to, b"passes") == 0
            assert tunnels.receive_all("b", inner) == [b"passes"]
    finally:
        tunnels.tc("qdisc del dev va clsact")


@HOOKS
@FAMILIES
@INNER
def test_program_sees_packets_that_netdev_rules_accept(tunnels, hook, family, inner):
    device = "va" if hook == "in" else "wa"
    where, rule = ("ingress", "udp dport 9 drop") if hook == "in" else (
        "egress", "meta l4proto gre drop")
    with tunnels.push.pushing(KINDS[KIND[family]].header(inner)):
        with tables(chain(where, rule, where=f"device {device}"), family="netdev"):
            send(tunnels, hook, inner)
            assert tunnels.push.seen()[0] == (hook == "xmit")
        _, data = send(tunnels, hook, inner)
        assert tunnels.receive_all("c", inner) == [data]


@contextlib.contextmanager
def policies(*lines):
    """Adds IPsec policies and states, each given as (namespace, line)."""
    try:
        for namespace, line in lines:
            sh(f"ip -n {namespace} xfrm {line}")
        yield
    finally:
        for namespace in ("a", "c"):
            batch(f"-n {namespace}", "xfrm policy flush", "xfrm state flush")


@recorded
def encrypted():
    """Returns the packets that a's IPsec states have processed."""
    with JOURNAL.quiet():
        shown = sh("ip -n a -s xfrm state")
    return sum(int(each) for each in re.findall(r"(\d+)\(packets\)", shown))


@HOOKS
@FAMILIES
@INNER
def test_xfrm_policy_blocks_outer_flow(tunnels, hook, family, inner):
    source, target = outer(family)
    block = f"policy add src {source} dst {target} dir out action block"
    with tunnels.push.pushing(KINDS[KIND[family]].header(inner)):
        with policies(("a", block)):
            for _ in range(3):
                assert send(tunnels, hook, inner)[0] == ("EPERM" if hook == "xmit" else 0)
        told, data = send(tunnels, hook, inner)
        assert told == 0
        assert tunnels.receive_all("c", inner) == [data]


@HOOKS
@FAMILIES
@INNER
def test_xfrm_policy_encrypts_outer_flow(tunnels, hook, family, inner):
    (source, target), (here, there) = outer(family), ENDS[family]
    state = (f"state add src {here} dst {there} proto esp spi 0x100 mode tunnel "
             "enc 'ecb(cipher_null)' ''")
    template = f"tmpl src {here} dst {there} proto esp spi 0x100 mode tunnel"
    lines = [("a", state), ("c", state),
             ("a", f"policy add src {source} dst {target} dir out {template}"),
             ("c", f"policy add src {source} dst {target} dir in {template}")]
    with tunnels.push.pushing(KINDS[KIND[family]].header(inner)):
        with policies(*lines):
            for number in range(3):
                told, data = send(tunnels, hook, inner)
                assert (told, encrypted()) == (0, number + 1)
                assert tunnels.receive_all("c", inner) == [data]
        with policies(*lines[::2]):
            # c has no state, so it cannot decrypt the packet.
            assert send(tunnels, hook, inner)[0] == 0
            assert encrypted() == 1
            assert tunnels.receive_all("c", inner) == []
