# SPDX-License-Identifier: GPL-2.0-only
"""Deletion of filters: one by one, under traffic, and with their chain, qdisc, device or
namespace."""

import json
import subprocess

import nl
import pytest
from conftest import BPF, MODULE, eventually, iterations, program_ids, programs, sh, tc_batch
from journal import recorded
from sockets import every_echo_answered
from test_cls import handles
from tracing import events

pytestmark = pytest.mark.needs("NET_CLS_ACT")
PINNED = "object-pinned /run/bpf/teardown"
KINDS = {
    "direct action": f"bpf da {PINNED}",
    "program and action": f"bpf {PINNED} action ok",
    "classic": "bpf bytecode '1,6 0 0 4294967295,' action ok",
}
EACH = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(name="tc")
def fixture_tc(net):
    """The network with clsact on va, and a pinned program that returns TC_ACT_UNSPEC."""
    net.route(4)
    net.tc("qdisc add dev va clsact")
    sh("bpftool prog load tc_unspec.o /run/bpf/teardown type classifier")
    yield net
    sh("rm -f /run/bpf/teardown")


def filter_lines(what, count, hook="egress", verb="add"):
    """Returns the tc commands for `count` filters of one priority."""
    return [f"filter {verb} dev va {hook} protocol ip prio 1 handle {handle} {what}"
            for handle in range(1, count + 1)]


def users():
    """Returns the refcount of the module that provides the classifier."""
    return [int(line.split()[2]) for line in open("/proc/modules", encoding="ascii")
            if line.split()[0] in ("lwtcls", "cls_bpf")][0]


@EACH
def test_deleting_netns_with_a_thousand_filters(tc, kind):
    before = users()
    tc_batch(*filter_lines(KINDS[kind], 1000))
    assert tc.ping() and len(handles(tc)) == 1000
    assert users() == before + 1
    sh("rm /run/bpf/teardown")
    tc.close()
    eventually(lambda: not programs() and users() == before, 60)


@pytest.mark.needs("EVENT_TRACING")
@pytest.mark.parametrize("kind", ["direct action", "program and action"])
@pytest.mark.beyond_c("deleting a tcf_proto with many filters")
def test_tcf_proto_is_freed_by_one_work_item(tc, kind):
    tc_batch(*filter_lines(KINDS[kind], 50))
    sh("rm /run/bpf/teardown")
    with events("workqueue/workqueue_execute_start") as done:
        tc.tc("filter del dev va egress")
        eventually(lambda: not programs())
        jobs = [line for line in done() if f"[{MODULE.stem}]" in line]
    assert len(jobs) == 1


@pytest.mark.beyond_c("a long dump while filters are deleted")
def test_dump_resumes_after_deleted_filter(tc):
    tc_batch(*filter_lines(KINDS["direct action"], 1000))
    with nl.Requests("a") as requests:
        parts = requests.parts(nl.RTM_GETTFILTER, nl.all_filters_request(tc.ifindex))
        shown = [handle for handle in map(nl.handle_of, next(parts)) if handle]
        assert 0 < len(shown) < 300
        tc_batch(*(f"filter del dev va egress protocol ip prio 1 handle {handle} bpf"
                   for handle in shown))
        for part in parts:
            shown += map(nl.handle_of, part)
    assert sorted(shown) == list(range(1, 1001))


@pytest.mark.beyond_c("a long dump while filters are deleted")
def test_dump_does_not_resume_at_reused_handle(tc):
    tc_batch(*filter_lines(KINDS["direct action"], 1000))
    with nl.Requests("a") as requests:
        parts = requests.parts(nl.RTM_GETTFILTER, nl.all_filters_request(tc.ifindex))
        shown = [handle for handle in map(nl.handle_of, next(parts)) if handle]
        assert 0 < len(shown) < 300
        # New filters take the handles of all filters that are not shown yet. The list begins with
        # the newest filter, so the dump has passed them.
        rest = sorted(set(range(1, 1001)) - set(shown))
        name = "dev va egress protocol ip prio 1 handle"
        tc_batch(*(f"filter del {name} {handle} bpf" for handle in rest))
        tc_batch(*(f"filter add {name} {handle} {KINDS['direct action']}" for handle in rest))
        for part in parts:
            shown += [handle for handle in map(nl.handle_of, part) if handle]
    assert len(shown) == len(set(shown))


@EACH
def test_deleting_netns_while_deletions_are_queued(tc, kind):
    before = users()
    tc_batch(*filter_lines(KINDS[kind], 200), *filter_lines(KINDS[kind], 200, hook="ingress"))
    sh("rm /run/bpf/teardown")
    sh("tc -n a filter del dev va egress; ip netns del a; ip netns del b")
    eventually(lambda: not programs() and users() == before, 30)


def test_deleting_netns_while_replacements_are_queued(tc):
    before = users()
    what = KINDS["program and action"]
    tc_batch(*filter_lines(what, 100), *filter_lines(what, 100, verb="replace"))
    sh("rm /run/bpf/teardown")
    sh("ip netns del a; ip netns del b")
    eventually(lambda: not programs() and users() == before, 30)


def test_deleting_netns_with_all_kinds_of_actions(tc):
    before = users()
    sh("ip -n a link add d0 type dummy && ip -n a link set d0 up")
    match = f"bpf {PINNED}"
    tc_batch(
        "actions add action pass index 9",
        f"filter add dev va egress prio 1 {match} action skbedit mark 7 pipe "
        "action mirred egress mirror dev d0 pipe action gact index 9",
        f"filter add dev va egress prio 2 {match} police rate 1mbit burst 10k continue",
        f"filter add dev va egress prio 3 {match} action goto chain 5",
        f"filter add dev va egress chain 5 prio 1 {match} action pass",
        f"filter add dev va ingress prio 1 {match} action gact index 9",
        "qdisc add dev va root handle 1: htb default 1",
        "class add dev va parent 1: classid 1:1 htb rate 100mbit",
        f"filter add dev va parent 1: prio 1 {match} classid 1:1 action gact index 9",
    )
    assert tc.ping()
    sh("rm /run/bpf/teardown")
    tc.close()
    eventually(lambda: not programs() and users() == before)


@pytest.mark.parametrize("way", [
    "ip -n a link del va", "tc -n a qdisc del dev va clsact", "tc -n a filter del dev va egress",
    "tc -n a filter del dev va egress protocol ip prio 1",
    "tc -n a chain del dev va egress chain 0",
])
def test_deleting_all_filters_at_once(tc, way):
    before = users()
    for kind in KINDS.values():
        verb = "replace" if kind != KINDS["direct action"] else "add"
        tc_batch(*filter_lines(kind, 20, verb=verb))
    assert tc.ping()
    sh("rm /run/bpf/teardown")
    sh(way)
    eventually(lambda: not programs() and users() == before)
    assert "index" not in sh("tc -n a actions ls action gact")


def test_deleting_device_with_filters_on_qdisc_and_class(tc):
    tc_batch("qdisc add dev va root handle 1: htb default 1",
             "class add dev va parent 1: classid 1:1 htb rate 100mbit",
             "class add dev va parent 1:1 classid 1:2 htb rate 100mbit",
             *(f"filter add dev va parent {parent} bpf {PINNED} classid 1:2 action pass"
               for parent in ("1:", "1:1") for _ in range(10)))
    sh("rm /run/bpf/teardown")
    sh("ip -n a link del va")
    eventually(lambda: not programs())
    assert "index" not in sh("tc -n a actions ls action gact")


@EACH
def test_no_packet_is_lost_while_filters_change(tc, tmp_path, kind):
    # The packet passes whichever filters are there: a filter accepts it, or gives no verdict.
    what = KINDS[kind]
    lines = []
    for hook in ("ingress", "egress"):
        lines += filter_lines(what, 4, hook) + filter_lines(what, 4, hook, verb="replace") * 2
    lines += [f"filter del dev va {hook} protocol ip prio 1 handle {handle} bpf"
              for handle in (2, 4, 1) for hook in ("ingress", "egress")]
    lines += [f"filter del dev va {hook}" for hook in ("ingress", "egress")]
    (tmp_path / "batch").write_text("\n".join(lines) + "\n")
    with every_echo_answered("a"):
        said = sh(f"ip netns exec a sh -c 'ping -n -q -f -c {iterations(10000)} 10.1.0.1 & n=0; "
                  f"while kill -0 $! 2>/dev/null; do tc -batch {tmp_path}/batch || exit 1; "
                  "n=$((n + 1)); done 2>&1; wait $!; echo $n rounds'")
    assert f"{iterations(10000)} packets transmitted" in said and "rror" not in said
    assert int(said.split()[-2]) > 2
    sh("rm /run/bpf/teardown")
    eventually(lambda: not programs())


@pytest.mark.by_chance("the number of rounds varies")
def test_class_changes_under_traffic(tc, tmp_path):
    tc_batch("qdisc add dev va root handle 1: htb default 1",
             *(f"class add dev va parent 1: classid 1:{minor} htb rate 1gbit"
               for minor in (1, 2, 3)))
    lines = []
    for minor in (2, 3, 2):
        lines += [f"class replace dev va parent 1: classid 1:{minor} htb rate 1gbit",
                  f"filter replace dev va parent 1: protocol ip prio 1 handle 1 "
                  f"bpf {PINNED} classid 1:{minor}"]
    lines += ["filter del dev va parent 1: protocol ip prio 1 handle 1 bpf",
              "class del dev va classid 1:3"]
    (tmp_path / "batch").write_text("\n".join(lines * 5) + "\n")
    count = iterations(2500)
    said = sh(f"ip netns exec a sh -c 'ping -n -q -f -c {count} 10.1.0.1 & "
              f"while kill -0 $! 2>/dev/null; do tc -batch {tmp_path}/batch || exit 1; "
              "done 2>&1; wait $!'")
    assert " packets transmitted, " in said and " 100% packet loss" not in said
    # Deleting a class drops the packets in its queue; all others arrive.
    assert int(said.split(" received")[0].split()[-1]) > 0.96 * count


@recorded
def filter_events(log):
    """Returns the monitor's lines about filters."""
    return [line for line in log.read_text().splitlines() if "filter " in line]


def test_monitor_shows_filter_events(tc, tmp_path):
    log = tmp_path / "monitor"
    with (
        open(log, "w", encoding="utf-8") as out,
        subprocess.Popen(["ip", "netns", "exec", "a", "stdbuf", "-oL", "tc", "monitor"],
                         stdout=out, cwd=BPF) as monitor,
    ):
        try:
            # tc monitor misses events before it listens, so this repeats one until it is shown.
            eventually(lambda: sh("tc -n a actions add action pass") or log.read_text())
            sh("tc -n a actions flush action gact")
            tc.tc("filter add dev va egress prio 1 handle 5 bpf da obj tc_ok.o sec tc")
            tc.tc("filter replace dev va egress prio 1 handle 5 bpf da obj tc_shot.o sec tc")
            tc.tc("filter del dev va egress prio 1 handle 5 bpf")
            eventually(lambda: "deleted filter" in log.read_text())
        finally:
            monitor.terminate()
    lines = [line for line in filter_events(log) if "handle 0x5" in line]
    assert len(lines) == 3
    assert "tc_ok.o:[tc]" in lines[0] and "tc_shot.o:[tc]" in lines[1]
    assert lines[2].startswith("deleted filter") and "tc_shot.o:[tc]" in lines[2]


def test_monitor_gets_one_event_for_deleted_priority(tc, tmp_path):
    # The kernel sends one notification when a whole priority is deleted.
    log = tmp_path / "monitor"
    tc_batch(*filter_lines(KINDS["direct action"], 3))
    with (
        open(log, "w", encoding="utf-8") as out,
        subprocess.Popen(["ip", "netns", "exec", "a", "stdbuf", "-oL", "tc", "monitor"],
                         stdout=out) as monitor,
    ):
        try:
            eventually(lambda: sh("tc -n a actions add action pass") or log.read_text())
            tc.tc("filter del dev va egress protocol ip prio 1")
            eventually(lambda: "deleted filter" in log.read_text())
        finally:
            monitor.terminate()
    assert len([line for line in filter_events(log) if "deleted filter" in line]) == 1


@pytest.fixture(name="route")
def fixture_route(tc):
    """pyroute2's IPRoute in namespace a."""
    pyroute2 = pytest.importorskip("pyroute2")
    with nl.inside("a"):
        made = pyroute2.IPRoute()
    with made:
        yield made


def options_of(route, tc, number=1):
    """Returns the TCA_OPTIONS of a filter, as pyroute2 decodes the dump."""
    found = [message for message in route.get_filters(tc.ifindex, parent=nl.TC_H_CLSACT_EGRESS)
             if message["handle"] == number and message.get_attr("TCA_OPTIONS")]
    assert len(found) == 1 and found[0].get_attr("TCA_KIND") == "bpf"
    return found[0].get_attr("TCA_OPTIONS")


def test_pyroute2_and_direct_action(tc, route):
    fd = nl.open_pinned("/run/bpf/teardown")
    common = {"index": tc.ifindex, "parent": nl.TC_H_CLSACT_EGRESS, "handle": 1, "prio": 1}
    with open(fd, "rb"):
        route.tc("add-filter", "bpf", fd=fd, name="by hand", direct_action=True, classid=0x10002,
                 **common)
    options = options_of(route, tc)
    assert options.get_attr("TCA_BPF_NAME") == "by hand"
    assert options.get_attr("TCA_BPF_CLASSID") == 0x10002
    assert options.get_attr("TCA_BPF_FLAGS") == 1
    assert "by hand direct-action" in tc.tc("filter show dev va egress")
    assert tc.ping()
    route.tc("del-filter", "bpf", **common)
    assert tc.tc("filter show dev va egress") == ""


def test_pyroute2_and_actions(tc, route):
    fd = nl.open_pinned("/run/bpf/teardown")
    common = {"index": tc.ifindex, "parent": nl.TC_H_CLSACT_EGRESS, "handle": 1, "prio": 1}
    with open(fd, "rb"):
        route.tc("add-filter", "bpf", fd=fd, name="drops", action="drop", **common)
    act = options_of(route, tc).get_attr("TCA_BPF_ACT").get_attr("TCA_ACT_PRIO_1")
    assert act.get_attr("TCA_ACT_KIND") == "gact"
    assert act.get_attr("TCA_ACT_OPTIONS").get_attr("TCA_GACT_PARMS")["action"] == 2
    assert tc.dropped()
    route.tc("del-filter", "bpf", **common)
    assert tc.ping()


def test_pyroute2_and_bytecode(tc, route):
    # pyroute2 cannot encode bytecode, but it decodes it.
    tc.tc("filter add dev va egress prio 1 handle 1 bpf bytecode '2,0 0 0 1,6 0 0 7,' classid 1:3")
    options = options_of(route, tc)
    assert options.get_attr("TCA_BPF_OPS_LEN") == 2
    assert options.get_attr("TCA_BPF_CLASSID") == 0x10003
    assert not options.get_attr("TCA_BPF_FD") and not options.get_attr("TCA_BPF_NAME")


def test_dump_shows_program_id(tc):
    tc_batch(*filter_lines(KINDS["direct action"], 3))
    listed = json.loads(tc.tc("-j filter show dev va egress"))
    ids = {entry["options"]["prog"]["id"] for entry in listed if "options" in entry
           and "handle" in entry["options"]}
    assert len(ids) == 1 and ids <= program_ids()
