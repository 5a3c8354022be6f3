# SPDX-License-Identifier: GPL-2.0-only
"""docs/questions.md: one scenario for each answer that no other file shows."""

import json
import pathlib
import re

import pytest
from conftest import batch, must_fail, sh
from journal import JOURNAL
from test_cls import handles, sent
from test_lwt import counters
from wires import Sender, Tun

TESTS = pathlib.Path(__file__).parent
PAGE = TESTS.parent / "docs/questions.md"
OK, SHOT = "bpf da obj tc_ok.o sec tc", "bpf da obj tc_shot.o sec tc"


@pytest.fixture(name="tc")
def fixture_tc(net):
    """The network with a route to the service, and clsact on va."""
    net.route(4)
    net.tc("qdisc add dev va clsact")
    return net


def priorities(net, where="dev va egress"):
    """Returns the priorities of a hook's filters, in the order of the dump."""
    return [entry["pref"] for entry in net.filters(where)]


def test_page_names_scenarios():
    """Each answer names existing scenarios, and each scenario of this file belongs to an answer."""
    _, *answers = PAGE.read_text(encoding="utf-8").split("\n## ")
    found = set()
    for answer in answers:
        names = re.findall(r"`(test_\w+\.py)::(test_\w+)`", answer)
        assert names, answer.splitlines()[0]
        for file, name in names:
            assert f"\ndef {name}(" in (TESTS / file).read_text(encoding="utf-8"), name
        found |= {name for file, name in names if file == "test_questions.py"}
    here = set(re.findall(r"^def (test_\w+)", pathlib.Path(__file__).read_text(encoding="utf-8"),
                          re.MULTILINE))
    assert here - found == {"test_page_names_scenarios"}


@pytest.mark.needs("NET_CLS_ACT")
def test_automatic_priorities(tc):
    tc.tc(f"filter add dev va egress {SHOT}")
    tc.tc(f"filter add dev va egress prio 0 {OK}")
    assert priorities(tc) == [49151, 49152]
    assert tc.ping()
    tc.tc(f"filter add dev va egress {SHOT}")
    assert priorities(tc) == [49150, 49151, 49152]
    assert tc.dropped()
    tc.tc(f"filter add dev va egress prio 10 {OK}")
    assert tc.ping()


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.differs("`replace` that adds a second filter with a program")
def test_replace_adds(tc):
    for _ in range(2):
        tc.tc(f"filter replace dev va egress {OK}")
    assert priorities(tc) == [49151, 49152]
    tc.tc("filter del dev va egress prio 49151 handle 1 bpf")
    for _ in range(2):
        tc.tc(f"filter replace dev va egress prio 10 {OK}")
    assert handles(tc) == [(10, 2), (10, 1), (49152, 1)]
    tc.tc("filter del dev va egress")
    for _ in range(2):
        tc.tc(f"filter replace dev va egress prio 10 handle 1 {OK}")
    assert handles(tc) == [(10, 1)]


@pytest.mark.needs("NET_CLS_ACT")
def test_verdict_skips_next_filters(tc):
    tc.tc("filter add dev va egress protocol ip prio 20 handle 1 bpf da obj tc_count.o sec tc")
    tc.tc(f"filter add dev va egress protocol ip prio 10 handle 1 {OK}")
    assert tc.ping(count=3) == 3
    assert counters() == [0, 0]
    tc.tc("filter replace dev va egress protocol ip prio 10 handle 1 "
          "bpf da obj tc_unspec.o sec tc")
    assert tc.ping(count=3) == 3
    assert counters()[0] == 3


@pytest.mark.needs("NET_CLS_ACT")
def test_deleting_a_priority_deletes_all_of_it(tc):
    for prio, handle in ((10, 1), (10, 2), (20, 1)):
        tc.tc(f"filter add dev va egress prio {prio} handle {handle} {OK}")
    tc.tc("filter del dev va egress prio 10 handle 1 bpf")
    assert handles(tc) == [(10, 2), (20, 1)]
    tc.tc(f"filter add dev va egress prio 10 handle 1 {OK}")
    tc.tc("filter del dev va egress prio 10")
    assert handles(tc) == [(20, 1)]
    tc.tc(f"filter add dev va egress prio 10 handle 1 {OK}")
    tc.tc("filter del dev va egress")
    assert handles(tc) == []


@pytest.fixture(name="dummy")
def fixture_dummy(net):
    """The network, with a dummy device in a. It has an address, a route, and filters on clsact and
    htb."""
    route = "10.7.0.1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit via 10.6.0.2 dev d0"
    batch("-n a", "link add d0 type dummy", "addr add 10.6.0.1/24 dev d0", "link set d0 up",
          f"route add {route}")
    for what in ("qdisc add dev d0 clsact", f"filter add dev d0 egress prio 10 {OK}",
                 "qdisc add dev d0 root handle 1: htb",
                 f"filter add dev d0 parent 1: prio 10 {OK}"):
        net.tc(what)
    yield net
    sh("ip -n a link del d0")


@pytest.mark.needs("NET_CLS_ACT")
def test_device_that_moves_loses_its_filters(dummy):
    assert priorities(dummy, "dev d0 egress") == priorities(dummy, "dev d0 parent 1:") == [10]
    assert sh("ip -n a route show 10.7.0.1")
    sh("ip -n a link set d0 netns b")
    shown = dummy.tc("qdisc show dev d0", "b")
    assert "clsact" not in shown and "htb" not in shown
    sh("ip -n b link set d0 netns a && ip -n a link set d0 up")
    shown = dummy.tc("qdisc show dev d0")
    assert "clsact" not in shown and "htb" not in shown
    assert dummy.tc("filter show dev d0 egress") == ""
    assert "10.6.0.1" not in sh("ip -n a addr show d0")
    assert sh("ip -n a route show 10.7.0.1") == ""


@pytest.mark.needs("NET_CLS_ACT")
def test_device_that_goes_down_keeps_only_its_filters(dummy):
    sh("ip -n a link set d0 down")
    assert priorities(dummy, "dev d0 egress") == priorities(dummy, "dev d0 parent 1:") == [10]
    assert sh("ip -n a route show 10.7.0.1") == ""
    sh("ip -n a link set d0 up")
    assert priorities(dummy, "dev d0 egress") == priorities(dummy, "dev d0 parent 1:") == [10]
    assert sh("ip -n a route show 10.7.0.1") == ""


def received():
    """Returns how many packets b has received from a, including those that the kernel sends by
    itself."""
    with JOURNAL.quiet():
        return json.loads(sh("ip -n b -s -j link show vb"))[0]["stats64"]["rx"]["packets"]


@pytest.mark.needs("NET_CLS_ACT")
def test_ingress_qdisc_treats_egress_as_ingress(net):
    net.route(4)
    net.tc("qdisc add dev va ingress")
    net.tc(f"filter add dev va egress {SHOT}")
    assert priorities(net, "dev va ingress") == [49152]
    # The requests reach b; a drops the answers.
    before = received()
    assert net.dropped(count=3)
    assert received() >= before + 3
    assert "Exclusivity flag on" in must_fail("tc -n a qdisc add dev va clsact")
    net.tc("qdisc del dev va ingress")
    net.tc("qdisc add dev va clsact")
    net.tc(f"filter add dev va egress {SHOT}")
    assert priorities(net, "dev va ingress") == []
    before = received()
    assert net.dropped(count=3)
    assert received() == before


@pytest.mark.needs("NET_CLS_ACT")
def test_device_without_mac_header_begins_with_ip(net):
    # Runs the same two programs on a device with a MAC header, and on one without.
    net.route(4)
    net.tc("qdisc add dev va clsact")
    net.tc("filter add dev va egress protocol ip prio 1 handle 1 bpf da obj tc_ip_first.o sec tc")
    assert net.dropped()
    net.tc("filter replace dev va egress protocol ip prio 1 handle 1 "
           "bpf da obj tc_mac_header.o sec tc")
    assert net.ping()
    with Tun("a", "tun0") as tun:
        assert json.loads(sh("ip -n a -j link show tun0"))[0]["link_type"] == "none"
        batch("-n a", "addr add 10.8.0.1/24 dev tun0")
        net.tc("qdisc add dev tun0 clsact")
        for name, passes in (("ip_first", True), ("mac_header", False)):
            net.tc("filter replace dev tun0 egress protocol ip prio 1 handle 1 "
                   f"bpf da obj tc_{name}.o sec tc")
            data = f"of {name}".encode()
            with Sender("a", 4) as sender:
                sender.send("10.8.0.2", data)
            assert len(tun.sent(data)) == passes


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("hook", ["in", "out", "xmit"])
def test_route_begins_with_ip(net, hook, family):
    net.encap(hook, "ip_first", family)
    assert net.ping(family)


def test_class_0_of_htb(net):
    net.route(4)
    net.tc("qdisc add dev va root handle 1: htb default 10")
    for minor in (3, 10, 11):
        net.tc(f"class add dev va parent 1: classid 1:{minor} htb rate 100mbit")
    # Packets that the kernel sends by itself go to a class of their own.
    net.tc("filter add dev va parent 1: protocol ipv6 prio 9 matchall classid 1:11")
    request = ("filter replace dev va parent 1: protocol ip prio 1 handle 1 "
               "bpf da obj tc_minor.o sec tc")
    for classid, wanted in (("", "1:10"), ("classid 1:0", "1:3")):
        net.tc(f"{request} {classid}")
        before = sent(net, wanted, "htb")
        assert net.ping(count=4) == 4
        assert sent(net, wanted, "htb") - before == 4


def test_route_is_deleted_without_its_encapsulation(net):
    way = "10.1.0.1 {} via 10.0.0.2 dev va"
    built, rebuilt = (way.format(f"encap bpf xmit obj lwt_xmit_{name}.o section lwt_xmit")
                      for name in ("ok", "drop"))
    sh(f"ip -n a route add {built}")
    assert "No such process" in must_fail(f"ip -n a route del {rebuilt}")
    sh(f"ip -n a route del {way.format('')}")
    assert sh("ip -n a route show 10.1.0.1") == ""


@pytest.mark.ipv6
def test_ipv6_route_is_deleted_with_another_encapsulation(net):
    sh("ip -6 -n a route add fd01::1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit "
       "via fd00::2 dev va")
    sh("ip -6 -n a route del fd01::1 encap bpf xmit obj lwt_xmit_drop.o section lwt_xmit "
       "via fd00::2 dev va")
    assert sh("ip -6 -n a route show fd01::1") == ""
