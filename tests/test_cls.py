# SPDX-License-Identifier: GPL-2.0-only
"""`tc filter ... bpf da`."""

import json
import re

import pytest
from conftest import batch, eventually, must_fail, programs, sh
from needs import IP_FAMILIES
from test_lwt import counters

BOTH = pytest.mark.parametrize("hook", ["ingress", "egress"])


@pytest.fixture(name="tc")
def fixture_tc(net):
    """The network, with clsact on va and routes to the service."""
    batch("-n a", *(f"route add {net.service(family)} via {net.gateway(family)} dev va"
                    for family in (4, 6)))
    net.tc("qdisc add dev va clsact")
    return net


def add(net, hook, name, verb="add", options=""):
    """Adds a filter whose program returns a fixed verdict."""
    net.tc(f"filter {verb} dev va {hook} {options} bpf da obj tc_{name}.o sec tc")


def handles(net, hook="egress"):
    """Returns preferences and handles in the order of the dump."""
    return [(f["pref"], int(f["options"]["handle"], 16)) for f in net.filters(f"dev va {hook}")]


@pytest.mark.needs("NET_CLS_ACT")
@BOTH
@pytest.mark.parametrize("name, passes", [
    ("ok", True), ("shot", False), ("stolen", False), ("trap", False),
    ("unspec", True), ("pipe", True), ("queued", True), ("reclassify", True), ("unknown", True),
])
def test_verdicts(tc, hook, name, passes):
    add(tc, hook, name)
    assert tc.ping() if passes else tc.dropped()
    tc.tc(f"filter del dev va {hook}")
    assert tc.ping()


@pytest.mark.needs("NET_CLS_ACT")
@BOTH
@pytest.mark.parametrize("name", ["unspec", "pipe", "unknown"])
def test_no_verdict_runs_next_filter(tc, hook, name):
    add(tc, hook, "shot", options="prio 1 handle 1")
    add(tc, hook, name, options="prio 1 handle 2")
    assert tc.dropped()
    tc.tc(f"filter del dev va {hook} prio 1 handle 1 bpf")
    assert tc.ping()


@pytest.mark.needs("NET_CLS_ACT")
@BOTH
def test_newest_filter_of_priority_runs_first(tc, hook):
    add(tc, hook, "shot", options="prio 1 handle 5")
    add(tc, hook, "ok", options="prio 1 handle 9")
    assert handles(tc, hook) == [(1, 9), (1, 5)]
    assert tc.ping()
    tc.tc(f"filter del dev va {hook} prio 1 handle 9 bpf")
    assert tc.dropped()


@pytest.mark.needs("NET_CLS_ACT")
def test_lower_priority_number_runs_first(tc):
    add(tc, "egress", "shot", options="prio 20")
    add(tc, "egress", "ok", options="prio 10")
    assert tc.ping()
    add(tc, "egress", "unspec", verb="replace", options="prio 10 handle 1")
    assert tc.dropped()


@pytest.mark.ipv6
@pytest.mark.needs("NET_CLS_ACT")
def test_protocols(tc):
    add(tc, "egress", "shot", options="protocol ipv6 prio 1")
    assert tc.ping(4) and tc.dropped(6)
    add(tc, "egress", "shot", options="protocol ip prio 2")
    assert tc.dropped(4)
    assert [f["protocol"] for f in tc.filters()] == ["ipv6", "ip"]


@pytest.mark.needs("NET_CLS_ACT")
def test_chains(tc):
    add(tc, "egress", "shot", options="chain 5 prio 1")
    assert tc.ping()
    tc.tc("filter add dev va egress prio 1 matchall action goto chain 5")
    assert tc.dropped()
    assert "chain 5 handle 0x1 " in tc.tc("filter show dev va egress")


@pytest.mark.needs("NET_CLS_ACT")
def test_automatic_handles_are_the_lowest_free(tc):
    for _ in range(3):
        add(tc, "egress", "ok", options="prio 1")
    assert handles(tc) == [(1, 3), (1, 2), (1, 1)]
    tc.tc("filter del dev va egress prio 1 handle 2 bpf")
    add(tc, "egress", "ok", options="prio 1")
    assert handles(tc) == [(1, 2), (1, 3), (1, 1)]


@pytest.mark.needs("NET_CLS_ACT")
def test_explicit_handles(tc):
    for handle in (1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        add(tc, "egress", "ok", options=f"prio 1 handle {handle:#x}")
        assert handles(tc)[0] == (1, handle)
        shown = tc.tc(f"filter get dev va egress protocol all prio 1 handle {handle:#x} bpf")
        assert f"handle {handle:#x} " in shown


@pytest.mark.needs("NET_CLS_ACT")
def test_handle_in_use(tc):
    add(tc, "egress", "shot", options="prio 1 handle 7")
    said = must_fail("tc -n a filter add dev va egress prio 1 handle 7 bpf da obj tc_ok.o sec tc")
    assert "Filter already exists" in said
    assert tc.dropped() and handles(tc) == [(1, 7)]


@pytest.mark.needs("NET_CLS_ACT")
def test_replace_keeps_handle_and_order(tc):
    for handle in (1, 2, 3):
        add(tc, "egress", "unspec", options=f"prio 1 handle {handle}")
    add(tc, "egress", "shot", verb="replace", options="prio 1 handle 2")
    assert handles(tc) == [(1, 3), (1, 2), (1, 1)]
    assert tc.dropped()
    eventually(lambda: len(programs()) == 3)


@pytest.mark.needs("NET_CLS_ACT")
def test_change_needs_existing_filter(tc):
    add(tc, "egress", "ok", options="prio 1 handle 1")
    said = must_fail(
        "tc -n a filter change dev va egress prio 1 handle 2 bpf da obj tc_shot.o sec tc")
    assert "NLM_F_CREATE" in said
    assert tc.ping() and handles(tc) == [(1, 1)]
    add(tc, "egress", "shot", verb="change", options="prio 1 handle 1")
    assert tc.dropped()


@pytest.mark.needs("NET_CLS_ACT")
def test_replace_creates_missing_filter(tc):
    add(tc, "egress", "shot", verb="replace", options="prio 1 handle 9")
    assert handles(tc) == [(1, 9)]
    assert tc.dropped()


@pytest.mark.needs("NET_CLS_ACT")
def test_delete_and_get_of_missing_filter(tc):
    add(tc, "egress", "ok", options="prio 1 handle 1")
    for verb in ("del", "get"):
        said = must_fail(f"tc -n a filter {verb} dev va egress protocol all prio 1 handle 2 bpf")
        assert "Specified filter handle not found" in said
    assert handles(tc) == [(1, 1)]


@pytest.mark.needs("NET_CLS_ACT")
def test_deleting_last_filter_deletes_priority(tc):
    add(tc, "egress", "ok", options="prio 1 handle 1")
    add(tc, "egress", "ok", options="prio 1 handle 2")
    tc.tc("filter del dev va egress prio 1 handle 1 bpf")
    assert "bpf" in tc.tc("filter show dev va egress")
    tc.tc("filter del dev va egress prio 1 handle 2 bpf")
    assert tc.tc("filter show dev va egress") == ""


@pytest.mark.needs("NET_CLS_ACT")
def test_dump(tc):
    add(tc, "egress", "shot", options="prio 1 handle 0x10")
    shown = tc.tc("filter show dev va egress")
    prog = programs()[0]
    line = shown.splitlines()[-1]
    assert line.startswith("filter protocol all pref 1 bpf chain 0 handle 0x10 tc_shot.o:[tc] "
                           "direct-action not_in_hw ")
    assert f"id {prog['id']} " in line and f"tag {prog['tag']} " in line


@pytest.mark.needs("NET_CLS_ACT")
def test_dump_in_json(tc):
    tc.tc("filter add dev va egress prio 1 bpf da obj tc_ok.o sec tc classid 1:2 skip_hw")
    options = tc.filters()[0]["options"]
    assert options["bpf_name"] == "tc_ok.o:[tc]"
    assert options["direct-action"] and options["skip_hw"] and options["not_in_hw"]
    assert options["flowid"] == "1:2"


@pytest.mark.needs("NET_CLS_ACT")
def test_a_thousand_filters(tc):
    sh("bpftool prog load tc_unspec.o /run/bpf/unspec type classifier")
    lines = "".join(
        f"filter add dev va egress prio 1 handle {i} bpf da object-pinned /run/bpf/unspec\n"
        for i in range(1, 1001))
    sh(f"printf '%s' '{lines}' | tc -n a -batch -")
    listed = handles(tc)
    assert listed == [(1, i) for i in range(1000, 0, -1)]
    assert tc.ping()
    sh("rm /run/bpf/unspec")


@pytest.mark.needs("NET_CLS_ACT")
def test_shared_block(net):
    net.route(4)
    sh("ip -n a link add vc type veth peer name vd && ip -n a link set vc up")
    for dev in ("va", "vc"):
        net.tc(f"qdisc add dev {dev} egress_block 7 clsact")
    net.tc("filter add block 7 prio 1 bpf da obj tc_shot.o sec tc")
    assert net.dropped()
    shown = json.loads(net.tc("-j filter show block 7"))
    assert any("handle" in entry.get("options", {}) for entry in shown)
    # The block outlives the first of its devices.
    net.tc("qdisc del dev vc clsact")
    assert net.dropped()
    net.tc("filter del block 7 prio 1 handle 1 bpf")
    assert net.ping()


@pytest.mark.needs("NET_CLS_ACT")
def test_mac_header_visible_on_ingress(tc):
    for hook in ("ingress", "egress"):
        add(tc, hook, "mac_header")
    assert all(tc.ping(family) for family in IP_FAMILIES)


@pytest.mark.needs("NET_CLS_ACT")
@BOTH
def test_program_sees_each_packet(tc, hook):
    assert tc.ping()
    tc.tc(f"filter add dev va {hook} protocol ip bpf da obj tc_count.o sec tc")
    assert tc.ping(count=5, size=100)
    # The lengths include the MAC header, on ingress too, where the packet's data begin after it.
    assert counters() == [5, 5 * (14 + 20 + 8 + 100)]


@pytest.mark.needs("NET_CLS_ACT")
def test_redirect(tc):
    # The replies of b are sent back to b.
    tc.tc("filter add dev va ingress bpf da obj tc_redirect.o sec tc")
    assert tc.dropped()


def sent(net, classid, kind):
    """Returns the packets that a class has sent."""
    shown = net.tc(f"-s class show dev va classid {classid}")
    assert kind in shown
    return int(re.search(r"Sent \d+ bytes (\d+) pkt", shown).group(1))


@pytest.fixture(name="htb")
def fixture_htb(net):
    """The network, with htb on va."""
    net.route(4)
    net.tc("qdisc add dev va root handle 1: htb default 10")
    for minor in (10, 20, 21):
        net.tc(f"class add dev va parent 1: classid 1:{minor} htb rate 100mbit")
    return net


def test_class_of_a_filter(htb):
    htb.tc("filter add dev va parent 1: protocol ip bpf da obj tc_ok.o sec tc classid 1:20")
    before = sent(htb, "1:20", "htb")
    assert htb.ping(count=4)
    assert sent(htb, "1:20", "htb") == before + 4


def test_class_of_a_program(htb):
    htb.tc("filter add dev va parent 1: protocol ip bpf da obj tc_classid.o sec tc classid 1:20")
    before = sent(htb, "1:21", "htb")
    assert htb.ping(count=4)
    assert sent(htb, "1:21", "htb") == before + 4
    assert sent(htb, "1:20", "htb") == 0


@pytest.mark.needs("NET_CLS_ACT")
def test_shot_on_classful_qdisc(htb):
    htb.tc("filter add dev va parent 1: protocol ip bpf da obj tc_shot.o sec tc")
    assert htb.dropped()


@pytest.mark.needs("NET_CLS_ACT")
def test_redirect_on_classful_qdisc_drops(htb):
    # A classful qdisc does not follow redirects, so the kernel drops the packet.
    htb.tc("filter add dev va parent 1: protocol ip bpf da obj tc_redirect.o sec tc classid 1:20")
    assert htb.dropped()
    htb.tc("filter del dev va parent 1:")
    assert htb.ping()


def test_bands_of_prio(net):
    net.route(4)
    net.tc("qdisc add dev va root handle 1: prio bands 3")
    net.tc("filter add dev va parent 1: protocol ip bpf da obj tc_ok.o sec tc classid 1:3")
    assert net.ping(count=4)
    assert sent(net, "1:3", "prio") == 4


def test_bound_class_cannot_be_deleted(htb):
    htb.tc("filter add dev va parent 1: prio 1 handle 1 bpf da obj tc_ok.o sec tc classid 1:20")
    assert "in use" in must_fail("tc -n a class del dev va classid 1:20").lower()
    # A replacement unbinds the old class and binds the new one.
    htb.tc("filter replace dev va parent 1: prio 1 handle 1 "
           "bpf da obj tc_ok.o sec tc classid 1:21")
    htb.tc("class del dev va classid 1:20")
    assert "in use" in must_fail("tc -n a class del dev va classid 1:21").lower()
    htb.tc("filter del dev va parent 1: prio 1 handle 1 bpf")
    htb.tc("class del dev va classid 1:21")


def test_class_added_later_is_bound(htb):
    # The kernel calls bind_class() for filters of a class, and not for those of the qdisc itself.
    htb.tc("class add dev va parent 1: classid 1:1 htb rate 100mbit")
    htb.tc("filter add dev va parent 1:1 prio 1 handle 1 bpf da obj tc_ok.o sec tc classid 1:30")
    htb.tc("class add dev va parent 1:1 classid 1:30 htb rate 100mbit")
    assert "in use" in must_fail("tc -n a class del dev va classid 1:30").lower()
    htb.tc("filter del dev va parent 1:1 prio 1 handle 1 bpf")
    htb.tc("class del dev va classid 1:30")


def test_refused_filter_binds_no_class(htb):
    must_fail("tc -n a filter add dev va parent 1: prio 1 "
              "bpf da obj tc_ok.o sec tc classid 1:20 action simple sdata hello")
    htb.tc("class del dev va classid 1:20")


def test_deleting_qdisc_deletes_filters(htb):
    for minor in (10, 20):
        htb.tc(f"filter add dev va parent 1: bpf da obj tc_ok.o sec tc classid 1:{minor}")
    htb.tc("qdisc del dev va root")
    eventually(lambda: not programs())
    assert htb.ping()


@pytest.mark.needs("NET_CLS_ACT")
def test_deleting_netns_deletes_filters(tc):
    for hook in ("ingress", "egress"):
        for _ in range(5):
            add(tc, hook, "ok")
    tc.close()


@pytest.mark.needs("NET_CLS_ACT")
def test_changes_under_traffic(tc):
    sh("ip netns exec a sh -c 'ping -n -q -i 0.002 -c 1500 -W 1 10.1.0.1 >/dev/null & "
       "for i in 1 2 3 4 5 6 7 8; do "
       "tc filter add dev va egress prio 1 handle 1 bpf da obj tc_unspec.o sec tc; "
       "tc filter replace dev va egress prio 1 handle 1 bpf da obj tc_ok.o sec tc; "
       "tc filter add dev va egress prio 1 handle 2 bpf da obj tc_count.o sec tc; "
       "tc filter del dev va egress prio 1; done; wait'")
    assert tc.ping()
