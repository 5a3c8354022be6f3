# SPDX-License-Identifier: GPL-2.0-only
"""Filters on hfsc, a classful qdisc whose classes are chosen as those of others."""

import pytest
from test_cls import sent


@pytest.fixture(name="hfsc")
def fixture_hfsc(net):
    """The network, with hfsc on va."""
    net.route(4)
    net.tc("qdisc add dev va root handle 1: hfsc default 10")
    net.tc("class add dev va parent 1: classid 1:1 hfsc sc rate 100mbit ul rate 100mbit")
    for minor in (10, 20, 21):
        net.tc(f"class add dev va parent 1:1 classid 1:{minor} hfsc sc rate 10mbit")
    return net


@pytest.mark.needs("NET_CLS_ACT")
def test_hfsc_class_of_a_filter(hfsc):
    where = "filter {} dev va parent 1: protocol ip prio 1 handle 1"
    hfsc.tc(where.format("add") + " bpf da obj tc_ok.o sec tc classid 1:20")
    assert hfsc.ping(count=4) == 4
    assert sent(hfsc, "1:20", "hfsc") == 4
    # The filter is bound to its class, and to the other class after it was replaced.
    hfsc.tc(where.format("replace") + " bpf da obj tc_ok.o sec tc classid 1:21")
    hfsc.tc("class del dev va classid 1:20")
    assert hfsc.ping(count=3) == 3
    assert sent(hfsc, "1:21", "hfsc") == 3
    hfsc.tc(where.format("replace") + " bpf da obj tc_shot.o sec tc classid 1:21")
    assert hfsc.dropped()


def test_hfsc_class_of_a_program(hfsc):
    hfsc.tc("filter add dev va parent 1: protocol ip bpf da obj tc_classid.o sec tc classid 1:20")
    assert hfsc.ping(count=4) == 4
    assert (sent(hfsc, "1:20", "hfsc"), sent(hfsc, "1:21", "hfsc")) == (0, 4)


def test_hfsc_class_without_direct_action(hfsc):
    hfsc.tc("filter add dev va parent 1: protocol ip bpf obj tc_marked.o sec tc classid 1:21")
    hfsc.tc("filter add dev va parent 1: protocol ip prio 9 bpf bytecode '1,6 0 0 4294967295,' "
            "flowid 1:20")
    assert hfsc.ping(count=4) == 4
    assert (sent(hfsc, "1:20", "hfsc"), sent(hfsc, "1:21", "hfsc")) == (4, 0)
