# SPDX-License-Identifier: GPL-2.0-only
"""`tc filter ... bpf` without `da`: the verdicts of a filter's actions, and the lifetime of
actions."""

import errno
import json
import re
import socket
import struct

import nl
import pytest
from conftest import eventually, must_fail, programs, sh
from sockets import sysctl
from test_cls import BOTH, handles, sent
from test_lwt import counters

pytestmark = pytest.mark.needs("NET_CLS_ACT")
MATCH, NO_MATCH = "bpf obj tc_unspec.o sec tc", "bpf obj tc_ok.o sec tc"
ACT_KIND, ACT_OPTIONS = nl.ACT_KIND, nl.ACT_OPTIONS


@pytest.fixture(scope="module", name="tc")
def fixture_tc(lasting):
    """The network with clsact on va, and a dummy device d0 that counts packets.

    Only a scenario's own packets pass through either device.
    """
    lasting.route(4)
    lasting.tc("qdisc add dev va clsact")
    sh("ip -n a link add d0 type dummy")
    for device in ("va", "d0"):
        sysctl("a", f"ipv6/conf/{device}/disable_ipv6", 1)
    sh("ip -n a link set d0 up")
    return lasting


@pytest.fixture(autouse=True)
def no_action_leaks(tc):
    """Checks that no action outlives the filters of a scenario."""
    yield
    # Deletes all chains too.
    sh("printf 'qdisc del dev va clsact\\nqdisc add dev va clsact\\n' | tc -n a -batch -")
    kinds = ("gact", "mirred", "skbedit", "police", "bpf")
    lines = "\\n".join(f"actions ls action {kind}" for kind in kinds)
    eventually(lambda: "index" not in sh(f"printf '{lines}\\n' | tc -n a -batch -"))


def add(net, what, hook="egress", options="prio 1", verb="add"):
    """Adds or replaces a filter for IPv4."""
    net.tc(f"filter {verb} dev va {hook} protocol ip {options} {what}")


def actions(net, where="dev va egress"):
    """Returns the actions of the filters of a hook, a list for each filter."""
    listed = json.loads(net.tc(f"-s -j filter show {where}"))
    return [entry["options"].get("actions", []) for entry in listed
            if entry["kind"] == "bpf" and "handle" in entry.get("options", {})]


def packets(net, where="dev va egress"):
    """Returns how many packets each action of each filter has seen."""
    return [[act["stats"]["packets"] for act in acts] for acts in actions(net, where)]


def references(net, index, kind="gact"):
    """Returns an action's references, and how many of them filters hold, as tc lists them."""
    shown = sh(f"tc -n a actions get action {kind} index {index}")
    return tuple(map(int, re.search(r"ref (\d+) bind (\d+)", shown).groups()))


def send(net, hook="egress", count=1, size=56):
    """Sends exactly `count` IPv4 packets through a hook.

    Egress uses UDP, because ping sends another packet if it learns that one was dropped.
    """
    if hook == "ingress":
        net.ping(count=count, size=size, wait=0.4)
        return
    with nl.inside("a"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(count):
            sock.sendto(b"x" * size, ("10.1.0.1", 9))


def transmitted(net, device="d0"):
    """Returns the packets that a device has sent."""
    return json.loads(sh(f"ip -n a -s -j link show {device}"))[0]["stats64"]["tx"]["packets"]


@BOTH
@pytest.mark.parametrize("verdict, passes", [
    ("drop", False), ("pass", True), ("continue", True), ("pipe", True),
])
def test_generic_action(tc, hook, verdict, passes):
    add(tc, f"{MATCH} action {verdict}", hook)
    send(tc, hook, 3)
    assert packets(tc, f"dev va {hook}") == [[3]]
    assert tc.ping(wait=0.4) == passes
    assert actions(tc, f"dev va {hook}")[0][0]["control_action"]["type"] == verdict
    tc.tc(f"filter del dev va {hook}")
    assert tc.ping()


@BOTH
def test_match_without_actions_skips_next_filters(tc, hook):
    add(tc, f"{MATCH} action drop", hook, "prio 1 handle 1")
    add(tc, MATCH, hook, "prio 1 handle 2")
    assert tc.ping(count=2)
    assert packets(tc, f"dev va {hook}") == [[], [0]]


@BOTH
def test_no_match_runs_no_action(tc, hook):
    add(tc, f"{NO_MATCH} action drop", hook)
    assert tc.ping(count=2)
    assert packets(tc, f"dev va {hook}") == [[0]]


def test_no_match_runs_next_filter(tc):
    add(tc, f"{MATCH} action pass", options="prio 2")
    add(tc, f"{MATCH} action continue", options="prio 1 handle 1")
    add(tc, f"{NO_MATCH} action drop", options="prio 1 handle 2")
    assert tc.ping(count=2)
    assert packets(tc) == [[0], [2], [2]]


@pytest.mark.parametrize("verdict, seen", [
    ("continue", [[2], [2], [2]]), ("pass", [[2], [0], [0]]), ("pipe", [[2], [0], [0]]),
])
def test_next_filter_runs_only_after_continue(tc, verdict, seen):
    add(tc, f"{MATCH} action pass", options="prio 2")
    add(tc, f"{MATCH} action continue", options="prio 1 handle 1")
    add(tc, f"{MATCH} action {verdict}", options="prio 1 handle 2")
    assert tc.ping(count=2)
    assert packets(tc) == seen


def test_reclassify_restarts_classification(tc):
    add(tc, "bpf obj tc_marked.o sec tc action pass")
    add(tc, f"{MATCH} action skbedit mark 7 pipe action reclassify", options="prio 2")
    assert tc.ping(count=2)
    assert packets(tc) == [[2], [2, 2]]


def test_reclassify_is_bounded(tc):
    add(tc, f"{MATCH} action reclassify")
    send(tc)
    # One run, and 16 repetitions.
    assert packets(tc) == [[17]]
    assert tc.dropped()


def test_goto_chain(tc):
    add(tc, f"{MATCH} action drop", options="chain 5 prio 1")
    add(tc, f"{MATCH} action pass", options="prio 2")
    assert tc.ping()
    add(tc, f"{MATCH} action goto chain 5")
    assert tc.dropped()
    verdicts = [acts[0]["control_action"] for acts in actions(tc)]
    assert all(verdict in verdicts for verdict in (
        {"type": "goto", "chain": 5}, {"type": "pass"}, {"type": "drop"}))
    # The action holds a reference to its chain.
    tc.tc("filter del dev va egress chain 5 protocol ip prio 1")
    assert tc.ping()


@BOTH
def test_redirected_packets(tc, hook):
    before = transmitted(tc)
    add(tc, f"{MATCH} action mirred egress redirect dev d0", hook)
    send(tc, hook, 3)
    assert transmitted(tc) == before + 3
    assert packets(tc, f"dev va {hook}") == [[3]]
    assert tc.dropped()


@BOTH
def test_mirrored_packets(tc, hook):
    before = transmitted(tc)
    add(tc, f"{MATCH} action mirred egress mirror dev d0 pipe action pass", hook)
    assert tc.ping(count=3)
    assert transmitted(tc) == before + 3
    assert packets(tc, f"dev va {hook}") == [[3, 3]]


def test_ingress_through_ifb(tc):
    # The usual way to shape incoming packets.
    sh("ip -n a link add i0 type ifb && ip -n a link set i0 up")
    try:
        tc.tc("qdisc add dev i0 root handle 1: htb default 1")
        for minor in (1, 2):
            tc.tc(f"class add dev i0 parent 1: classid 1:{minor} htb rate 100mbit")
        tc.tc(f"filter add dev i0 parent 1: protocol ip {MATCH} classid 1:2")
        add(tc, f"{MATCH} action mirred egress redirect dev i0", "ingress")
        assert tc.ping(count=3)
        assert packets(tc, "dev va ingress") == [[3]]
        shown = tc.tc("-s class show dev i0 classid 1:2")
        assert "Sent 294 bytes 3 pkt" in shown
    finally:
        sh("ip -n a link del i0")


def test_mark_is_seen_by_next_filter(tc):
    add(tc, f"{MATCH} action skbedit mark 7 continue")
    add(tc, "bpf obj tc_marked.o sec tc action drop", options="prio 2")
    send(tc, count=2)
    assert packets(tc) == [[2], [2]]
    assert tc.dropped()
    add(tc, f"{MATCH} action skbedit mark 8 continue", options="prio 1 handle 1", verb="replace")
    assert tc.ping()


def test_bpf_action(tc):
    add(tc, f"{MATCH} action bpf obj tc_count.o sec tc action drop")
    send(tc, count=3)
    # The program returns -1, so the action applies its default verdict, pipe.
    assert packets(tc) == [[3, 3]]
    assert counters()[0] == 3


def test_several_actions(tc):
    before = transmitted(tc)
    add(tc, f"{MATCH} action skbedit mark 7 pipe action gact pipe "
            "action mirred egress mirror dev d0 pipe action pass")
    assert tc.ping(count=4)
    acts = actions(tc)[0]
    assert [act["kind"] for act in acts] == ["skbedit", "gact", "mirred", "gact"]
    assert [act["order"] for act in acts] == [1, 2, 3, 4]
    assert [act["control_action"]["type"] for act in acts] == ["pipe", "pipe", "pipe", "pass"]
    assert acts[0]["mark"] == 7
    assert packets(tc) == [[4, 4, 4, 4]]
    assert transmitted(tc) == before + 4


def test_action_ends_the_chain(tc):
    add(tc, f"{MATCH} action skbedit mark 7 pass action drop")
    assert tc.ping(count=2)
    assert packets(tc) == [[2, 0]]


def test_most_actions(tc):
    add(tc, f"{MATCH} {'action pipe ' * 31} action drop")
    send(tc, count=2)
    assert packets(tc) == [[2] * 32]
    # One action too many is refused, and leaves the other filters unchanged.
    must_fail(f"tc -n a filter add dev va egress prio 2 {MATCH} {'action pipe ' * 32} action drop")
    assert packets(tc) == [[2] * 32]


TIMING = pytest.mark.by_chance("on a slow machine the token bucket refills")


@TIMING
@BOTH
@pytest.mark.parametrize("how", ["police", "action police"])
def test_police(tc, hook, how):
    add(tc, f"{MATCH} {how} rate 8kbit burst 3000 conform-exceed drop/ok", hook)
    # Two packets of 1042 bytes are within the burst; on a slow machine one more may be.
    send(tc, hook, 8, size=1000)
    shown = tc.tc(f"-s filter show dev va {hook}")
    assert "rate 8Kbit burst 3000b" in shown
    numbers = re.search(r" 8 pkts? \(dropped (\d+), overlimits (\d+)", shown)
    assert numbers and int(numbers.group(1)) == int(numbers.group(2))
    assert 4 <= int(numbers.group(1)) <= 6


def test_police_attr_and_act_attr_are_distinct(tc):
    add(tc, f"{MATCH} police rate 8kbit burst 3000 drop")
    assert nl.BPF_POLICE in nl.filters(tc.ifindex)[1]
    assert nl.BPF_ACT not in nl.filters(tc.ifindex)[1]
    add(tc, f"{MATCH} action police rate 8kbit burst 3000 drop", options="prio 1 handle 1",
        verb="replace")
    assert nl.BPF_ACT in nl.filters(tc.ifindex)[1]
    assert nl.BPF_POLICE not in nl.filters(tc.ifindex)[1]


@TIMING
def test_police_exceed_continue_runs_next_filter(tc):
    add(tc, f"{MATCH} police rate 8kbit burst 3000 conform-exceed continue/ok")
    add(tc, f"{MATCH} action drop", options="prio 2")
    send(tc, count=8, size=1000)
    assert " 8 pkt" in tc.tc("-s filter show dev va egress prio 1")
    assert 4 <= packets(tc)[1][0] <= 6


def test_dump_matches_request(tc):
    add(tc, f"{MATCH} classid 1:2 action skbedit priority 1:3 mark 0x10 pipe index 11 "
            "action mirred egress mirror dev d0 index 12 "
            "action police rate 1mbit burst 10k conform-exceed drop/pipe index 13 "
            "action gact drop index 14", options="prio 1 handle 3")
    listed = tc.filters()[0]["options"]
    assert (listed["handle"], listed["flowid"]) == ("0x3", "1:2")
    assert "direct-action" not in listed and listed["not_in_hw"]
    acts = actions(tc)[0]
    assert [(act["kind"], act["index"], act["ref"], act["bind"]) for act in acts] == [
        ("skbedit", 11, 1, 1), ("mirred", 12, 1, 1), ("police", 13, 1, 1), ("gact", 14, 1, 1)]
    assert acts[1]["mirred_action"] == "mirror" and acts[1]["to_dev"] == "d0"
    # A get returns the same attributes as a dump.
    single = nl.filters(tc.ifindex, 3, protocol=0x0008)[3]
    assert single.keys() == nl.filters(tc.ifindex)[3].keys() == {
        nl.BPF_CLASSID, nl.BPF_NAME, nl.BPF_ID, nl.BPF_TAG, nl.BPF_ACT, nl.BPF_FLAGS_GEN}


@pytest.mark.beyond_c("`tc -br filter show`")
def test_terse_dump(tc):
    add(tc, f"{MATCH} action drop")
    assert "handle 0x1" in tc.tc("-br filter show dev va egress")


@pytest.mark.beyond_c("actions of a direct-action filter")
def test_actions_of_direct_action_cause_warning(tc):
    request = "tc -n a filter add dev va egress prio 1 bpf da obj tc_ok.o sec tc"
    assert sh(request, check=False).stderr == ""
    assert "Warning: the actions of a direct-action filter are not run" in sh(
        f"{request} action drop", check=False).stderr


@BOTH
@pytest.mark.differs("actions of a direct-action filter")
def test_direct_action_runs_no_action(tc, hook):
    add(tc, "bpf da obj tc_ok.o sec tc action drop", hook)
    assert tc.ping(count=2)
    shown = tc.filters(f"dev va {hook}")[0]["options"]
    assert shown["direct-action"] and shown["actions"][0]["kind"] == "gact"
    assert packets(tc, f"dev va {hook}") == [[0]]


def test_replace_releases_old_actions(tc):
    add(tc, f"{MATCH} action drop", options="prio 1 handle 1")
    assert tc.dropped()
    add(tc, f"{MATCH} action pass", options="prio 1 handle 1", verb="replace")
    assert tc.ping(count=2)
    assert packets(tc) == [[2]]
    eventually(lambda: sh("tc -n a actions ls action gact").count("index") == 1)
    add(tc, "bpf da obj tc_shot.o sec tc", options="prio 1 handle 1", verb="replace")
    assert tc.dropped() and actions(tc) == [[]]
    eventually(lambda: len(programs()) == 1)


@pytest.fixture(name="shared")
def fixture_shared(tc):
    """An action that was not created by a filter."""
    tc.tc("actions add action pass index 9")
    yield tc
    tc.tc("filter del dev va egress")
    eventually(lambda: references(tc, 9) == (1, 0))
    tc.tc("actions del action gact index 9")


def test_references_to_a_shared_action(shared):
    assert references(shared, 9) == (1, 0)
    add(shared, f"{MATCH} action gact index 9", options="prio 1 handle 1")
    assert references(shared, 9) == (2, 1)
    add(shared, f"{MATCH} action gact index 9", options="prio 1 handle 2")
    assert references(shared, 9) == (3, 2)
    # The new filter takes its reference before the old one drops its own.
    add(shared, f"{MATCH} action gact index 9", options="prio 1 handle 2", verb="replace")
    eventually(lambda: references(shared, 9) == (3, 2))
    add(shared, MATCH, options="prio 1 handle 2", verb="replace")
    eventually(lambda: references(shared, 9) == (2, 1))
    shared.tc("filter del dev va egress protocol ip prio 1 handle 1 bpf")
    eventually(lambda: references(shared, 9) == (1, 0))


def test_shared_action_counts_packets_of_all_filters(shared):
    add(shared, f"{MATCH} action gact index 9", options="prio 1")
    add(shared, f"{MATCH} action gact index 9", hook="ingress")
    try:
        assert shared.ping(count=3)
        assert packets(shared) == packets(shared, "dev va ingress") == [[6]]
    finally:
        shared.tc("filter del dev va ingress")


def test_bound_action_cannot_be_deleted(shared):
    add(shared, f"{MATCH} action gact index 9")
    must_fail("tc -n a actions del action gact index 9")
    assert shared.ping()
    assert references(shared, 9) == (2, 1) and packets(shared) == [[1]]


def test_action_change_applies_to_filter(shared):
    add(shared, f"{MATCH} action gact index 9")
    assert shared.ping()
    shared.tc("actions change action drop index 9")
    assert shared.dropped()


def test_filter_does_not_change_a_shared_action(shared):
    add(shared, f"{MATCH} action drop index 9")
    assert shared.ping()
    assert actions(shared)[0][0]["control_action"]["type"] == "pass"


def test_refused_filter_releases_shared_action(shared):
    add(shared, f"{MATCH} action gact index 9", options="prio 1 handle 1")
    good = nl.gact(0, index=9)
    for bad in (nl.attr(ACT_KIND, "nope"), nl.attr(ACT_KIND, "gact")):
        acts = nl.attr(nl.BPF_ACT, nl.attr(1, good) + nl.attr(2, bad))
        for handle in (0, 1):
            assert nl.add_filter(
                shared.ifindex, bytecode() + acts, handle=handle, protocol=0x0008)[0]
    # The same with valid actions and an invalid program.
    acts = nl.attr(nl.BPF_ACT, nl.attr(1, good))
    closed = nl.attr(nl.BPF_FD, 1 << 20)
    assert nl.add_filter(shared.ifindex, closed + acts, protocol=0x0008)[0] == errno.EBADF
    assert references(shared, 9) == (2, 1)
    assert shared.ping() and packets(shared) == [[1]]


def bytecode():
    """Returns the attributes of a filter that matches all packets."""
    ret = struct.pack("=HBBI", 6, 0, 0, 0xFFFFFFFF)
    return nl.attr(nl.BPF_OPS_LEN, b"\1\0") + nl.attr(nl.BPF_OPS, ret)


def act_list(*entries):
    """Returns the attribute with these actions."""
    return nl.attr(nl.BPF_ACT, b"".join(nl.attr(i, e) for i, e in enumerate(entries, 1)))


OK = nl.gact(0)
BAD = {
    "unknown kind": (act_list(nl.attr(ACT_KIND, "nope")), errno.ENOENT),
    "no kind": (act_list(nl.attr(ACT_OPTIONS)), errno.EINVAL),
    "no options": (act_list(nl.attr(ACT_KIND, "gact")), errno.EINVAL),
    "no parameters": (act_list(nl.attr(ACT_KIND, "gact") + nl.attr(ACT_OPTIONS)), errno.EINVAL),
    "unknown verdict": (act_list(nl.gact(0x0FFFFFFF)), errno.EINVAL),
    "good and bad": (act_list(OK, nl.attr(ACT_KIND, "nope")), errno.ENOENT),
    "no police": (nl.attr(nl.BPF_POLICE), errno.EINVAL),
    "police without rate": (nl.attr(nl.BPF_POLICE, nl.attr(1, b"\0" * 60)), errno.EINVAL),
    "good with unknown flag": (act_list(OK) + nl.attr(nl.BPF_FLAGS, 2), errno.EINVAL),
    "good with unknown generic flag": (act_list(OK) + nl.attr(nl.BPF_FLAGS_GEN, 4), errno.EINVAL),
    # EINVAL if a filter is replaced, because its flags differ; else EOPNOTSUPP, because no device
    # offloads.
    "good with skip_sw": (
        act_list(OK) + nl.attr(nl.BPF_FLAGS_GEN, 2), errno.EINVAL, errno.EOPNOTSUPP),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(tc, case):
    what, *errors = BAD[case]
    assert nl.add_filter(tc.ifindex, bytecode() + act_list(nl.gact(2))) == (0, "")
    before = tc.tc("filter show dev va egress")
    for handle, prio in ((1, 1), (0, 1), (5, 1), (0, 2)):
        assert nl.add_filter(tc.ifindex, bytecode() + what, handle=handle, prio=prio)[0] in errors
    assert tc.tc("filter show dev va egress") == before
    assert tc.dropped()
    assert sh("tc -n a actions ls action gact").count("index") == 1


def test_tc_prints_extack_message(tc):
    add(tc, f"{MATCH} action pass", options="prio 1 handle 1")
    said = must_fail("tc -n a filter replace dev va egress protocol ip prio 1 handle 1 "
                     f"{MATCH} action simple sdata hello")
    # act_simple is not built into the kernel, or run.sh blacklists it.
    assert "Failed to load TC action module" in said
    assert handles(tc) == [(1, 1)] and tc.ping() and packets(tc) == [[1]]


def test_empty_action_list_means_no_action(tc):
    assert nl.add_filter(tc.ifindex, bytecode() + nl.attr(nl.BPF_ACT)) == (0, "")
    assert actions(tc) == [[]]
    assert tc.ping()


def test_estimator(tc):
    tc.tc(f"filter add dev va egress estimator 1s 8s protocol ip prio 1 {MATCH} action pass")
    assert tc.ping()
    assert re.search(r"rate \d+bit \d+pps", tc.tc("-s filter show dev va egress"))


def test_filter_statistics_are_those_of_first_action(tc):
    add(tc, f"{MATCH} action pipe action drop")
    send(tc, count=2)
    shown = tc.tc("-s filter show dev va egress")
    # The lengths include the MAC header.
    assert shown.count("Sent 196 bytes 2 pkt") == 2
    assert "(dropped 2," in shown.split("order 2")[1]


KINDS = pytest.mark.parametrize("kind", ["htb", "drr", "prio"])


@pytest.fixture(name="classful")
def fixture_classful(tc, kind):
    """Three classes; the first gets the packets that no filter classifies."""
    options = {"htb": "htb default 1", "drr": "drr", "prio": "prio bands 3 priomap" + " 0" * 16}
    tc.tc(f"qdisc add dev va root handle 1: {options[kind]}")
    if kind != "prio":
        for minor in (1, 2, 3):
            tc.tc(f"class add dev va parent 1: classid 1:{minor} {kind}"
                  + " rate 100mbit" * (kind == "htb"))
    if kind == "drr":
        tc.tc("filter add dev va parent 1: prio 99 matchall classid 1:1")
    yield tc
    tc.tc("qdisc del dev va root")


def classes(net, kind):
    """Sends four packets; returns how many went to each class."""
    before = [sent(net, f"1:{minor}", kind) for minor in (1, 2, 3)]
    assert net.ping(count=4)
    after = [sent(net, f"1:{minor}", kind) for minor in (1, 2, 3)]
    return [b - a for a, b in zip(before, after, strict=True)]


@KINDS
@pytest.mark.parametrize("name, wanted", [
    ("ok", [4, 0, 0]), ("unspec", [0, 4, 0]), ("class", [0, 0, 4]),
])
def test_class_of_a_match(classful, kind, name, wanted):
    # No match, the filter's class, and the class that the program returns.
    classful.tc("filter add dev va parent 1: protocol ip prio 1 "
                f"bpf obj tc_{name}.o sec tc classid 1:2")
    assert classes(classful, kind) == wanted


@KINDS
def test_class_with_an_action(classful, kind):
    classful.tc("filter add dev va parent 1: protocol ip prio 1 bpf obj tc_class.o sec tc "
                "classid 1:2 action pipe")
    assert classes(classful, kind) == [0, 0, 4]
    classful.tc("filter replace dev va parent 1: protocol ip prio 1 handle 1 "
                f"{MATCH} classid 1:2 action continue")
    classful.tc(f"filter add dev va parent 1: protocol ip prio 2 {MATCH} classid 1:3 action pass")
    assert classes(classful, kind) == [0, 0, 4]
    assert packets(classful, "dev va parent 1:") == [[4], [4]]
    classful.tc("filter replace dev va parent 1: protocol ip prio 2 handle 1 "
                f"{MATCH} classid 1:3 action drop")
    assert classful.dropped()


@KINDS
def test_newest_matching_filter_sets_class(classful, kind):
    for minor, name in ((3, "unspec"), (2, "unspec"), (1, "ok")):
        classful.tc("filter add dev va parent 1: protocol ip prio 1 "
                    f"bpf obj tc_{name}.o sec tc classid 1:{minor}")
    assert classes(classful, kind) == [0, 4, 0]


@pytest.mark.parametrize("kind", ["htb"])
def test_skbedit_mark_selects_class(classful, kind):
    add(classful, f"{MATCH} action skbedit mark 7 pass")
    classful.tc("filter add dev va parent 1: protocol ip prio 1 bpf obj tc_marked.o sec tc "
                "classid 1:3 action pass")
    classful.tc(f"filter add dev va parent 1: protocol ip prio 2 {MATCH} classid 1:2")
    assert classes(classful, kind) == [0, 0, 4]


@pytest.mark.parametrize("kind", ["htb"])
def test_skbedit_priority_selects_class(classful, kind):
    add(classful, f"{MATCH} action skbedit priority 1:3")
    assert classes(classful, kind) == [0, 0, 4]


@pytest.mark.parametrize("kind", ["htb"])
@pytest.mark.parametrize("what, wanted", [
    (f"{MATCH} classid 1:3", [0, 0, 4]), ("bpf da obj tc_ok.o sec tc classid 1:3", [0, 0, 4]),
    ("bpf obj tc_class.o sec tc classid 1:2 action pass", [0, 0, 4]),
    (f"{MATCH} classid 1:3 action pipe", [4, 0, 0]),
    (f"{NO_MATCH} classid 1:3", [4, 0, 0]),
])
def test_class_is_stored_in_tc_index(classful, kind, what, wanted):
    # A filter on clsact stores its class in skb->tc_index, for the qdisc that the packet reaches
    # later.
    add(classful, what)
    classful.tc("filter add dev va parent 1: protocol ip bpf obj tc_index.o sec tc")
    assert classes(classful, kind) == wanted
