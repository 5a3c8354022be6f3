# SPDX-License-Identifier: GPL-2.0-only
"""A kernel without actions (CONFIG_NET_CLS_ACT): it has no clsact, and filters choose classes."""

import pytest
from conftest import expect_extack
from test_cls import sent

pytestmark = [pytest.mark.lacks("NET_CLS_ACT"), pytest.mark.without("NET_CLS_ACT")]
REFUSED = "Classifier actions are not supported per compile options (CONFIG_NET_CLS_ACT)"
WHERE = "dev va parent 1: protocol ip prio 1 handle 1"


@pytest.fixture(name="htb")
def fixture_htb(net):
    """The network, with htb on va."""
    net.route(4)
    net.tc("qdisc add dev va root handle 1: htb default 10")
    for minor in (10, 20):
        net.tc(f"class add dev va parent 1: classid 1:{minor} htb rate 10mbit")
    return net


@pytest.mark.parametrize("words", ["action drop", "police rate 1mbit burst 10k drop"])
def test_action_is_refused_and_old_filter_stays(htb, words):
    filters = f"bpf obj tc_marked.o sec tc classid 1:20 {words}"
    expect_extack(REFUSED, f"tc -n a filter add {WHERE} {filters}")
    assert not htb.filters("dev va parent 1:")
    htb.tc(f"filter add {WHERE} bpf da obj tc_ok.o sec tc classid 1:20")
    before = htb.filters("dev va parent 1:")
    expect_extack(REFUSED, f"tc -n a filter replace {WHERE} {filters}")
    assert htb.filters("dev va parent 1:") == before
    assert htb.ping(count=3) == 3
    assert sent(htb, "1:20", "htb") == 3


def test_verdict_to_drop_is_ignored(htb):
    htb.tc(f"filter add {WHERE} bpf da obj tc_shot.o sec tc classid 1:20")
    assert htb.ping(count=3) == 3
    assert sent(htb, "1:20", "htb") == 3
