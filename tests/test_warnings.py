# SPDX-License-Identifier: GPL-2.0-only
"""Warnings about requests that probably do not do what the user means, and requests that must not
cause one."""

import pytest
from conftest import sh

SECOND = "another filter with this program was added"
DROPS = "this qdisc drops packets"
OK, SHOT = "bpf da obj tc_ok.o sec tc", "bpf da obj tc_shot.o sec tc"
EGRESS = "dev va egress"


def tc_warns(command, message):
    """Returns whether tc accepts a command with this warning; fails if it prints another one."""
    result = sh(f"tc -n a {command}", check=False)
    assert not result.returncode, result.stderr
    if result.stderr:
        assert result.stderr.startswith(f"Warning: {message}"), result.stderr
    return bool(result.stderr)


@pytest.fixture(name="tc")
def fixture_tc(net):
    """The network, with clsact on va."""
    net.tc("qdisc add dev va clsact")
    return net


# The last command adds a second filter although the user means to replace the first.
MEANT_ANOTHER = {
    "neither": [f"filter replace {EGRESS} {OK}"] * 2,
    "a priority, no handle": [f"filter replace {EGRESS} prio 1 {OK}"] * 2,
    "a handle, no priority": [f"filter replace {EGRESS} handle 1 {OK}"] * 2,
    "of a filter with a priority": [
        f"filter add {EGRESS} prio 1 handle 1 {OK}", f"filter replace {EGRESS} {OK}"],
    "of a filter that was added": [f"filter add {EGRESS} {OK}", f"filter replace {EGRESS} {OK}"],
    "priority 0": [f"filter replace {EGRESS} prio 0 handle 1 {OK}"] * 2,
    "behind others": [
        f"filter add {EGRESS} {OK}", f"filter add {EGRESS} prio 1 matchall action continue",
        f"filter add {EGRESS} {SHOT}", f"filter replace {EGRESS} {OK}"],
    "bytecode": [f"filter replace {EGRESS} bpf da bytecode '1,6 0 0 0,'"] * 2,
    "on ingress": [f"filter replace dev va ingress {OK}"] * 2,
    "in a chain": [f"filter replace {EGRESS} chain 4 {OK}"] * 2,
    "with another class": [f"filter replace {EGRESS} {OK} classid 1:1",
                           f"filter replace {EGRESS} {OK} classid 1:2"],
}
# The last command does what the user means.
MEANT_THAT = {
    "the first": [f"filter replace {EGRESS} {OK}"],
    "priority and handle": [f"filter replace {EGRESS} prio 1 handle 1 {OK}"] * 2,
    "change": [f"filter add {EGRESS} prio 1 handle 1 {OK}",
               f"filter change {EGRESS} prio 1 handle 1 {OK}"],
    "add": [f"filter add {EGRESS} {OK}"] * 2,
    "add with a priority": [f"filter add {EGRESS} prio 1 {OK}"] * 2,
    "another program": [f"filter replace {EGRESS} {SHOT}", f"filter replace {EGRESS} {OK}"],
    "another program of a priority": [
        f"filter replace {EGRESS} prio 1 {SHOT}", f"filter replace {EGRESS} prio 1 {OK}"],
    "another protocol": [f"filter replace {EGRESS} protocol ip {OK}",
                         f"filter replace {EGRESS} protocol ipv6 {OK}"],
    "another hook": [f"filter replace dev va ingress {OK}", f"filter replace {EGRESS} {OK}"],
    "another chain": [f"filter replace {EGRESS} chain 4 {OK}", f"filter replace {EGRESS} {OK}"],
    "another priority": [f"filter replace {EGRESS} prio 2 {OK}",
                         f"filter replace {EGRESS} prio 1 {OK}"],
    "another handle": [f"filter replace {EGRESS} prio 1 handle 1 {OK}",
                       f"filter replace {EGRESS} prio 1 handle 2 {OK}"],
    "another kind": [f"filter add {EGRESS} matchall action continue",
                     f"filter replace {EGRESS} {OK}"],
    "after it was deleted": [f"filter replace {EGRESS} {OK}", f"filter del {EGRESS}",
                             f"filter replace {EGRESS} {OK}"],
    "other bytecode": [f"filter replace {EGRESS} bpf da bytecode '1,6 0 0 0,'",
                       f"filter replace {EGRESS} bpf da bytecode '1,6 0 0 3,'"],
}


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.beyond_c("`replace` that adds a second filter with a program")
@pytest.mark.parametrize("case", MEANT_ANOTHER)
def test_second_filter_causes_warning(tc, case):
    *before, last = MEANT_ANOTHER[case]
    for command in before:
        assert not tc_warns(command, SECOND)
    assert tc_warns(last, SECOND)


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.parametrize("case", MEANT_THAT)
def test_intended_request_causes_no_warning(tc, case):
    for command in MEANT_THAT[case]:
        assert not tc_warns(command, SECOND)


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.beyond_c("`replace` that adds a second filter with a program")
def test_second_filter_of_pinned_program_causes_warning(tc):
    # The two filters have different names and the same program.
    sh("bpftool prog load classifier_ok.o /run/bpf/one type classifier")
    sh("bpftool prog pin pinned /run/bpf/one /run/bpf/two")
    try:
        add = f"filter replace {EGRESS} bpf da object-pinned /run/bpf"
        assert not tc_warns(f"{add}/one", SECOND)
        assert tc_warns(f"{add}/two", SECOND)
    finally:
        sh("rm /run/bpf/one /run/bpf/two")


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.beyond_c("`replace` that adds a second filter with a program")
def test_second_filter_of_shared_block_causes_warning(net):
    net.tc("qdisc add dev va egress_block 7 clsact")
    assert not tc_warns(f"filter replace block 7 {OK}", SECOND)
    assert tc_warns(f"filter replace block 7 {OK}", SECOND)


# Qdiscs, each with the cases below in which it drops the packets that the program passes.
FLOWS = {"ok", "ok 1:0", "unspec"}
CLASSES = {*FLOWS, "minor"}
QDISCS = {
    "fq_codel": FLOWS, "sfq": FLOWS, "drr": CLASSES, "qfq": CLASSES,
    "htb default 3": set(), "hfsc default 3": set(), "prio": set(), "ets bands 3": set(),
    "cake": set(),
}
# A program, and the class of its filter; "minor" sets a class itself.
CASES = ["ok", "ok 1:0", "ok 1:3", "unspec", "minor", "minor 1:0", "minor 1:1"]
CLASS = {
    "drr": "drr", "qfq": "qfq weight 1", "htb": "htb rate 100mbit", "hfsc": "hfsc sc rate 100mbit",
}
UNCLASSED = "direct action without a class on a qdisc that drops what has none"


def on_qdiscs():
    """Yields each case on each qdisc."""
    for qdisc, drops in QDISCS.items():
        needs = pytest.mark.needs(f"NET_SCH_{qdisc.split()[0].upper()}")
        for case in CASES:
            beyond = [pytest.mark.beyond_c(UNCLASSED)] if case in drops else []
            yield pytest.param(qdisc, case, case in drops, marks=[needs, *beyond])


@pytest.mark.parametrize("qdisc, case, drops", on_qdiscs())
def test_filter_without_class_causes_warning(net, qdisc, case, drops):
    net.route(4)
    kind = qdisc.split()[0]
    net.tc(f"qdisc add dev va root handle 1: {qdisc}")
    for minor in (1, 3) if kind in CLASS else ():
        net.tc(f"class add dev va parent 1: classid 1:{minor} {CLASS[kind]}")
    name, _, classid = case.partition(" ")
    said = tc_warns(f"filter add dev va parent 1: bpf da obj tc_{name}.o sec tc"
                    + f" classid {classid}" * bool(classid), DROPS)
    assert net.dropped() if drops else net.ping()
    assert said == drops


@pytest.mark.parametrize("qdisc", ["fq_codel", "drr"])
def test_class_set_elsewhere_causes_no_warning(net, qdisc):
    net.route(4)
    net.tc(f"qdisc add dev va root handle 1: {qdisc}")
    if qdisc in CLASS:
        net.tc(f"class add dev va parent 1: classid 1:3 {CLASS[qdisc]}")
    # The program returns a class.
    assert not tc_warns("filter add dev va parent 1: prio 1 bpf obj tc_class.o sec tc", DROPS)
    assert net.ping()
    net.tc("filter del dev va parent 1:")
    # The next filter, by priority or by age, has a class.
    net.tc("filter add dev va parent 1: prio 9 matchall classid 1:3")
    assert not tc_warns("filter add dev va parent 1: prio 2 bpf da obj tc_unspec.o sec tc", DROPS)
    assert net.ping()
    net.tc("filter del dev va parent 1:")
    last = "filter {} dev va parent 1: prio 1 handle {} bpf da obj tc_{}.o sec tc {}"
    net.tc(last.format("add", 1, "ok", "classid 1:3"))
    assert not tc_warns(last.format("add", 2, "unspec", ""), DROPS)
    assert net.ping()


@pytest.mark.beyond_c(UNCLASSED)
def test_replacement_without_class_causes_warning(net):
    net.route(4)
    net.tc("qdisc add dev va root handle 1: fq_codel")
    request = "filter replace dev va parent 1: prio 1 handle 1 bpf da obj tc_ok.o sec tc"
    assert not tc_warns(f"{request} classid 1:3", DROPS)
    assert net.ping()
    assert tc_warns(request, DROPS)
    assert net.dropped()


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.parametrize("where", ["ingress", "egress"])
def test_clsact_needs_no_class(tc, where):
    tc.route(4)
    assert not tc_warns(f"filter add dev va {where} {OK}", DROPS)
    assert tc.ping()
