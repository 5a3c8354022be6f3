# SPDX-License-Identifier: GPL-2.0-only
"""libbpf's bpf_tc_*() functions, called by a client in C (clients/libbpf_tc.c)."""

import errno
import json
import shlex

import pytest
from conftest import BUILD, eventually, programs, sh

pytestmark = pytest.mark.needs("NET_CLS_ACT")

INGRESS, EGRESS, CUSTOM = 1, 2, 4
REPLACE = 1
# The priority that the kernel gives the first filter without one.
FIRST_PRIORITY = 0xC000
BOTH = pytest.mark.parametrize("hook", [INGRESS, EGRESS])


def results(*steps):
    """Runs steps one after the other in one process; returns the result of each."""
    words = shlex.join(" ".join(steps).split())
    return json.loads(sh(f"ip netns exec a {BUILD}/clients/libbpf_tc va {words}"))


def errors(*steps):
    """Returns the errno of each step, 0 for success."""
    return [result["error"] for result in results(*steps)]


def attach(what):
    """Attaches one filter, which must succeed; returns its handle, priority and program ID."""
    (result,) = results(f"attach {what}")
    assert result.pop("error") == 0
    return result


def ids():
    """Returns the IDs of the programs that filters hold."""
    return [program["id"] for program in programs()]


@pytest.fixture(name="bare")
def fixture_bare(lasting):
    """The network with a route to the service, and without clsact on va."""
    lasting.route(4)
    yield lasting
    for qdisc in ("clsact", "root"):
        sh(f"tc -n a qdisc del dev va {qdisc}", check=False)


@pytest.fixture(name="va")
def fixture_va(bare):
    """The network with clsact on va, which bpf_tc_hook_create() adds."""
    assert errors(f"create hook={INGRESS | EGRESS}") == [0]
    return bare


@BOTH
def test_attach_chooses_handle_and_priority(va, hook):
    first = attach(f"hook={hook} object=tc_ok.o")
    assert first == {"handle": 1, "priority": FIRST_PRIORITY, "prog_id": ids()[0]}
    assert va.ping()
    # The kernel chooses a priority below the lowest, so the new filter runs first.
    second = attach(f"hook={hook} object=tc_shot.o")
    assert (second["handle"], second["priority"]) == (1, FIRST_PRIORITY - 1)
    assert va.dropped()
    third = attach(f"hook={hook} object=tc_ok.o priority={second['priority']}")
    assert (third["handle"], third["priority"]) == (2, second["priority"])
    assert va.ping()


@BOTH
def test_attach_uses_given_handle_and_priority(va, hook):
    assert attach(f"hook={hook} object=tc_shot.o handle=0xfedcba98 priority=0xffff") == {
        "handle": 0xFEDCBA98, "priority": 0xFFFF, "prog_id": ids()[0]}
    assert va.dropped()
    assert attach(f"hook={hook} object=tc_ok.o handle=7 priority=3") == {
        "handle": 7, "priority": 3, "prog_id": max(ids())}
    assert va.ping()


@BOTH
def test_query_returns_attached_filter(va, hook):
    attached = [attach(f"hook={hook} object=tc_ok.o handle={handle} priority={priority}")
                for handle, priority in ((5, 1), (6, 1), (5, 2))]
    assert [each["prog_id"] for each in attached] == sorted(ids())
    found = results(*(f"query hook={hook} handle={each['handle']} priority={each['priority']}"
                      for each in attached))
    assert found == [{"error": 0, **each} for each in attached]
    assert va.ping()


def test_hooks_are_independent(va):
    inward = attach(f"hook={INGRESS} object=tc_ok.o handle=1 priority=1")
    outward = attach(f"hook={EGRESS} object=tc_shot.o handle=1 priority=1")
    assert inward["prog_id"] != outward["prog_id"]
    found = results(*(f"query hook={hook} handle=1 priority=1" for hook in (INGRESS, EGRESS)))
    assert [each["prog_id"] for each in found] == [inward["prog_id"], outward["prog_id"]]
    assert va.dropped()
    assert errors(f"detach hook={EGRESS} handle=1 priority=1") == [0]
    assert va.ping()
    eventually(lambda: ids() == [inward["prog_id"]])


@BOTH
def test_replace_keeps_handle_and_priority(va, hook):
    before = attach(f"hook={hook} object=tc_ok.o")
    place = f"handle={before['handle']} priority={before['priority']}"
    assert va.ping()
    after = attach(f"hook={hook} object=tc_shot.o {place} flags={REPLACE}")
    assert after["prog_id"] != before["prog_id"]
    assert {**after, "prog_id": before["prog_id"]} == before
    assert results(f"query hook={hook} {place}") == [{"error": 0, **after}]
    assert va.dropped()
    eventually(lambda: ids() == [after["prog_id"]])


def test_replace_attaches_missing_filter(va):
    attached = attach(f"hook={EGRESS} object=tc_shot.o handle=4 priority=2 flags={REPLACE}")
    assert (attached["handle"], attached["priority"]) == (4, 2)
    assert va.dropped()


@BOTH
def test_detach(va, hook):
    place = f"hook={hook} handle=3 priority=1"
    attach(f"hook={hook} object=tc_ok.o handle=2 priority=1")
    attach(f"object=tc_shot.o {place}")
    assert va.dropped()
    assert errors(f"query {place}", f"detach {place}", f"query {place}", f"detach {place}",
                  f"query hook={hook} handle=2 priority=1") == [
        0, 0, errno.ENOENT, errno.ENOENT, 0]
    assert va.ping()
    eventually(lambda: len(ids()) == 1)


def test_detach_last_filter(va):
    place = f"hook={EGRESS} handle=1 priority=1"
    attach(f"object=tc_shot.o {place}")
    assert errors(f"detach {place}") == [0]
    # The tcf_proto is deleted with its last filter, and the chain with its last tcf_proto: the
    # errno depends on which of them is missing.
    found = errors(f"query {place}", f"detach {place}")
    assert all(error in (errno.ENOENT, errno.EINVAL) for error in found)
    assert va.ping()
    eventually(lambda: not ids())


def test_handle_in_use(va):
    place = f"hook={EGRESS} handle=9 priority=1"
    before = attach(f"object=tc_ok.o {place}")
    result = sh(f"ip netns exec a {BUILD}/clients/libbpf_tc va attach object=tc_shot.o {place}",
                check=False)
    assert json.loads(result.stdout)[0]["error"] == errno.EEXIST
    assert "Filter already exists" in result.stderr
    assert results(f"query {place}") == [{"error": 0, **before}]
    assert va.ping()
    eventually(lambda: ids() == [before["prog_id"]])


def test_query_and_detach_of_missing_filter(va):
    before = attach(f"hook={EGRESS} object=tc_ok.o handle=1 priority=5")
    assert errors(*(f"{verb} hook={EGRESS} {place}" for verb in ("query", "detach") for place in (
        "handle=2 priority=5", "handle=1 priority=6"))) == [errno.ENOENT] * 4
    assert results(f"query hook={EGRESS} handle=1 priority=5") == [{"error": 0, **before}]


def test_fd_that_is_not_a_program(va):
    # libbpf first asks the kernel for the program's name, and returns the errno of that request.
    assert errors(f"attach hook={EGRESS} fd=999", f"attach hook={EGRESS} fd=1",
                  f"attach hook={EGRESS}") == [errno.EBADFD, errno.EINVAL, errno.EINVAL]
    assert va.filters() == []


def test_program_of_another_type(va):
    assert errors(f"attach hook={EGRESS} object=lwt_xmit_ok.o") == [errno.EINVAL]
    assert va.filters() == []
    eventually(lambda: not ids())


def test_requests_that_libbpf_refuses(va):
    place = f"hook={EGRESS} handle=1 priority=1"
    before = attach(f"object=tc_ok.o {place}")
    assert errors(
        *(f"{verb} {place} {field}" for verb in ("query", "detach")
          for field in ("fd=1", "flags=1", "id=1", "priority=0x10000", "handle=0", "priority=0")),
        f"attach object=tc_ok.o {place} flags=2",
        f"attach object=tc_ok.o {place} id=1",
        f"attach object=tc_ok.o hook={EGRESS} priority=0x10000",
        f"attach object=tc_ok.o hook={INGRESS | EGRESS}",
        f"attach object=tc_ok.o hook={EGRESS} parent=0xfffffff3",
        f"attach object=tc_ok.o hook={CUSTOM}",
    ) == [errno.EINVAL] * 18
    assert results(f"query {place}") == [{"error": 0, **before}]
    assert len(va.filters()) == 1


def test_hook_missing(bare):
    assert errors(f"attach hook={EGRESS} object=tc_ok.o",
                  f"query hook={EGRESS} handle=1 priority=1",
                  f"detach hook={EGRESS} handle=1 priority=1") == [errno.EINVAL] * 3
    assert bare.tc("qdisc show dev va clsact") == ""
    eventually(lambda: not ids())


def test_device_missing(bare):
    bare.tc("qdisc add dev va clsact")
    found = sh(f"ip netns exec a {BUILD}/clients/libbpf_tc vx attach hook=2 object=tc_ok.o")
    assert json.loads(found)[0]["error"] == errno.EINVAL


@pytest.mark.parametrize("minor, hook", [(2, INGRESS), (3, EGRESS)])
def test_custom_parent(va, minor, hook):
    custom = f"hook={CUSTOM} parent={0xFFFF0000 | 0xFFF0 | minor:#x}"
    attached = attach(f"{custom} object=tc_shot.o handle=8 priority=4")
    assert va.dropped()
    # BPF_TC_CUSTOM with this parent is the same hook.
    assert results(f"query {custom} handle=8 priority=4",
                   f"query hook={hook} handle=8 priority=4") == [{"error": 0, **attached}] * 2
    assert errors(f"detach {custom} handle=8 priority=4") == [0]
    assert va.ping()


def test_custom_parent_of_a_classful_qdisc(bare):
    bare.tc("qdisc add dev va root handle 1: htb default 10")
    bare.tc("class add dev va parent 1: classid 1:10 htb rate 100mbit")
    custom = f"hook={CUSTOM} parent=0x10000"
    attached = attach(f"{custom} object=tc_shot.o handle=1 priority=1")
    assert results(f"query {custom} handle=1 priority=1") == [{"error": 0, **attached}]
    assert bare.dropped()
    assert errors(f"detach {custom} handle=1 priority=1") == [0]
    assert bare.ping()


def test_hook_is_created_once(bare):
    both = INGRESS | EGRESS
    assert errors(f"create hook={both}", f"create hook={both}", f"create hook={INGRESS}",
                  f"create hook={CUSTOM} parent=0xfffffff2") == [
        0, errno.EEXIST, errno.EEXIST, errno.EOPNOTSUPP]
    assert "clsact" in bare.tc("qdisc show dev va clsact")


def test_destroying_hook_detaches_only_its_filters(va):
    for hook in (INGRESS, EGRESS):
        for _ in range(3):
            attach(f"hook={hook} object=tc_shot.o")
    assert errors(f"destroy hook={EGRESS}") == [0]
    assert va.filters("dev va egress") == [] and len(va.filters("dev va ingress")) == 3
    eventually(lambda: len(ids()) == 3)
    assert errors(f"destroy hook={INGRESS}") == [0]
    assert "clsact" in va.tc("qdisc show dev va clsact")
    assert va.ping()
    eventually(lambda: not ids())


def test_destroying_both_hooks_deletes_filters(va):
    for hook in (INGRESS, EGRESS):
        attach(f"hook={hook} object=tc_shot.o")
    assert va.dropped()
    assert errors(f"destroy hook={INGRESS | EGRESS}") == [0]
    assert va.tc("qdisc show dev va clsact") == ""
    assert va.ping()
    eventually(lambda: not ids())


def test_tc_shows_and_deletes_filter_of_libbpf(va):
    attached = attach(f"hook={EGRESS} object=tc_shot.o handle=0x1f priority=2")
    (shown,) = va.filters()
    options = shown["options"]
    assert (shown["pref"], options["handle"]) == (2, "0x1f")
    assert shown["protocol"] == "all" and options["direct-action"] and options["not_in_hw"]
    # libbpf sets TCA_BPF_NAME to the program's name and ID.
    assert options["bpf_name"] == f"verdict:[{attached['prog_id']}]"
    assert options["prog"]["id"] == attached["prog_id"]
    va.tc("filter del dev va egress protocol all prio 2 handle 0x1f bpf")
    assert va.ping()


def test_libbpf_finds_filter_of_tc(va):
    va.tc("filter add dev va egress protocol all prio 6 handle 0x2f bpf da obj tc_shot.o sec tc")
    (found,) = results(f"query hook={EGRESS} handle=0x2f priority=6")
    assert found == {"error": 0, "handle": 0x2F, "priority": 6, "prog_id": ids()[0]}
    after = attach(f"hook={EGRESS} object=tc_ok.o handle=0x2f priority=6 flags={REPLACE}")
    assert va.filters()[0]["options"]["bpf_name"] == f"verdict:[{after['prog_id']}]"
    assert va.ping()
    assert errors(f"detach hook={EGRESS} handle=0x2f priority=6") == [0]
