# SPDX-License-Identifier: GPL-2.0-only
"""What the module reports: hits of filters, runs of programs on routes, the headroom, the
tracepoint, and drop reasons."""

import errno
import json
import multiprocessing
import os
import pathlib
import re

import nl
import pytest
from conftest import LIBC, MODULE, batch, eventually, iterations, must_fail, sh
from sides import SIDE
from test_redirect import redirected
from test_reroute import OTHER
from tracing import drop_events, is_exception_event
from wires import Sender, Tun, carry

FAMILIES = pytest.mark.parametrize("family", [4, 6])
HOOKS = pytest.mark.parametrize("hook", ["in", "out", "xmit"])
COUNTING = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
FILES = pathlib.Path("/sys/kernel/debug/lwtcls")
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
FAILURES = ("no_route", "no_device", "protocol", "truncated", "no_memory", "recursion")
VERDICTS = ("ok", "reroute", "redirect", "drop", "illegal")


@pytest.fixture(name="counting")
def fixture_counting():
    """Has the kernel count runs of programs."""
    COUNTING.write_text("1")
    yield
    COUNTING.write_text("0")


@pytest.fixture(name="tc")
def fixture_tc(net):
    """The network with routes to the service, and clsact on va."""
    batch("-n a", *(f"route add {net.service(family)} via {net.gateway(family)} dev va"
                    for family in (4, 6)))
    net.tc("qdisc add dev va clsact")
    return net


def filters_with_count(net, where="egress"):
    """Returns the filters for which tc prints a packet count, as JSON."""
    shown = json.loads(sh(f"tc -n a -s -j filter show dev va {where}"))
    return [entry for entry in shown if "packets" in entry]


def filter_with_count(net):
    """Returns the only filter that has a packet count."""
    found = filters_with_count(net)
    assert len(found) == 1
    return found[0]


def add(net, name, options="prio 1 protocol ip", direction="egress", end=""):
    """Adds a direct-action filter whose program returns one verdict."""
    net.tc(f"filter add dev va {direction} {options} bpf da obj tc_{name}.o sec tc {end}")


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.beyond_c("hits of a filter, while `kernel.bpf_stats_enabled` is 1")
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_hits_of_a_filter(tc, counting, direction):
    add(tc, "ok", direction=direction)
    assert [found["packets"] for found in filters_with_count(tc, direction)] == [0]
    assert tc.ping(count=3, size=100)
    # The MAC header counts on egress only, as for tc actions.
    length = 20 + 8 + 100 + (14 if direction == "egress" else 0)
    found, = filters_with_count(tc, direction)
    assert (found["packets"], found["bytes"], found["drops"]) == (3, 3 * length, 0)
    assert f"Sent {3 * length} bytes 3 pkt (dropped 0, " in tc.tc(
        f"-s filter show dev va {direction}")
    assert "Sent" not in tc.tc(f"filter show dev va {direction}")


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.beyond_c("hits of a filter, while `kernel.bpf_stats_enabled` is 1")
def test_drops_of_a_filter(tc, counting):
    add(tc, "shot")
    assert tc.dropped(count=2, size=10)
    found = filter_with_count(tc)
    assert (found["packets"], found["drops"]) == (2, 2)
    assert "pkt (dropped 2, " in tc.tc("-s filter show dev va egress")


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.beyond_c("hits of a filter, while `kernel.bpf_stats_enabled` is 1")
def test_unspec_is_not_counted(tc, counting):
    for handle, name in ((1, "ok"), (2, "unspec")):
        add(tc, name, f"prio 1 protocol ip handle {handle}")
    assert tc.ping(count=4)
    assert [found["packets"] for found in filters_with_count(tc)] == [0, 4]


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.beyond_c("hits of a filter, while `kernel.bpf_stats_enabled` is 1")
def test_class_counts_as_hit(tc, counting):
    tc.tc("filter add dev va egress prio 1 protocol ip bpf obj tc_class.o sec tc")
    assert tc.ping(count=2)
    assert [found["packets"] for found in filters_with_count(tc)] == [2]


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.only_here("the C counts nothing of a filter")
def test_filter_with_actions_has_only_their_counts(tc, counting):
    tc.tc("filter add dev va egress prio 1 protocol ip bpf obj tc_class.o sec tc action pass")
    assert tc.ping(count=2)
    shown, = [entry for entry in json.loads(sh("tc -n a -s -j filter show dev va egress"))
              if "options" in entry]
    assert "packets" not in shown
    assert shown["options"]["actions"][0]["stats"]["packets"] == 2


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.beyond_c("hits of a filter, while `kernel.bpf_stats_enabled` is 1")
@FAMILIES
def test_gso_packet_counts_as_its_segments(tc, counting, family):
    add(tc, "ok", "prio 1 protocol all")
    assert carry(family, "a", "b", tc.service(family), 1 << 20)
    found = filter_with_count(tc)
    # No segment exceeds the device's MTU, and headers count as well.
    assert found["packets"] >= (1 << 20) // 1500
    assert found["bytes"] > (1 << 20)


@pytest.mark.needs("NET_CLS_ACT")
def test_nothing_is_shown_if_nothing_was_counted(tc):
    add(tc, "ok")
    assert tc.ping(count=2)
    assert not filters_with_count(tc)
    assert "Sent" not in tc.tc("-s filter show dev va egress")


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.only_here("the C counts nothing of a filter")
def test_hits_remain_when_counting_is_disabled(tc):
    add(tc, "ok", "prio 1 protocol ip handle 1")
    COUNTING.write_text("1")
    try:
        assert tc.ping(count=2)
    finally:
        COUNTING.write_text("0")
    assert tc.ping(count=2)
    assert [found["packets"] for found in filters_with_count(tc)] == [2]
    tc.tc("filter replace dev va egress protocol ip prio 1 handle 1 bpf da obj tc_ok.o sec tc")
    assert not filters_with_count(tc)


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.only_here("the C counts nothing of a filter")
def test_hits_are_summed_over_cpus(tc, counting):
    """The hits of a filter are the sum of all per-CPU counters."""
    number = iterations(2000)
    add(tc, "ok")

    def send(cpu):
        os.sched_setaffinity(0, {cpu})
        with Sender("a", 4) as sender:
            # The port is closed, so a send may return the ICMP error of an earlier one.
            for _ in range(number):
                sender.send(tc.service(4))

    cpus = sorted(os.sched_getaffinity(0))
    assert len(cpus) > 1
    senders = [multiprocessing.get_context("fork").Process(target=send, args=(cpu,))
               for cpu in cpus]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
        assert sender.exitcode == 0
    found = filter_with_count(tc)
    assert number * len(cpus) // 2 <= found["packets"] <= number * len(cpus)


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.only_here("the C counts nothing of a filter")
def test_hits_match_run_cnt_of_program(tc, counting):
    add(tc, "ok")
    assert tc.ping(count=5)
    shown, = [entry for entry in json.loads(sh("tc -n a -s -j filter show dev va egress"))
              if "options" in entry]
    number = shown["options"]["prog"]["id"]
    assert json.loads(sh(f"bpftool -j prog show id {number}"))["run_cnt"] == 5
    assert shown["packets"] == 5


# The headroom.


@pytest.mark.differs("`LWT_BPF_XMIT_HEADROOM` of a route")
@FAMILIES
def test_headroom_is_shown(net, family):
    encap = "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit headroom 42"
    net.route(family, encap)
    shown = sh(f"ip -{family} -n a route show {net.service(family)}")
    assert "encap bpf xmit lwt_xmit_ok.o:[lwt_xmit] " in shown
    # ip prints the bare number.
    if SIDE == "rust":
        assert re.search(r"lwt_xmit_ok.o:\[lwt_xmit\] +42 via", shown)
    # `ip route del` does not compare the headroom.
    sh(f"ip -{family} -n a route del {net.service(family)} {encap[:-2]}24")


@pytest.mark.beyond_c("`LWT_BPF_XMIT_HEADROOM` of a route")
@FAMILIES
def test_headroom_is_read_back(net, family):
    net.route(family, "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit headroom 256")
    shown = json.loads(sh(f"ip -j -{family} -n a route show {net.service(family)}"))
    assert shown[0]["encap"].get("headroom") == 256
    net.route(family, "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit")
    assert "headroom" not in sh(f"ip -j -{family} -n a route show {net.service(family)}")


@pytest.mark.beyond_c("routes whose `headroom` differs")
def test_routes_with_different_headroom_do_not_share_state(net):
    sh("bpftool prog load lwt_xmit_ok.o /run/bpf/stats type lwt_xmit")
    try:
        batch("-n a", *(f"route add 10.8.{room}.0/24 encap bpf xmit pinned /run/bpf/stats "
                        f"headroom {room} via 10.0.0.2 dev va" for room in (10, 200)))
    finally:
        os.unlink("/run/bpf/stats")
    shown = json.loads(sh("ip -n a -j route show"))
    assert {each["dst"]: each["encap"].get("headroom") for each in shown if "encap" in each} == {
        "10.8.10.0/24": 10, "10.8.200.0/24": 200}


# Routes.


def programs_on_routes():
    """Returns the records of routes.json, one for each program on a route."""
    return records((FILES / "routes.json").read_text())


def records(text):
    """Returns the objects of lines of JSON."""
    return [json.loads(line) for line in text.splitlines()]


def inum(namespace):
    """Returns the inode number of a namespace."""
    return os.stat(f"/run/netns/{namespace}").st_ino


def record_of(namespace, hook):
    """Returns the record of the only program on a hook in a namespace."""
    found, = [entry for entry in programs_on_routes()
              if entry["net"] == inum(namespace) and entry["hook"] == hook]
    return found


def has_counts(entry, **counts):
    """Returns whether a record has these counts, and 0 for all others."""
    wanted = {key: counts.get(key, 0) for key in VERDICTS + FAILURES}
    return ({key: entry[key] for key in wanted} == wanted
            and entry["runs"] == sum(wanted[key] for key in VERDICTS))


@pytest.mark.needs("DEBUG_FS")
@pytest.mark.only_here("the C has no debugfs files")
@FAMILIES
@HOOKS
@pytest.mark.parametrize("name, passes", [
    ("ok", True), ("drop", False), ("illegal", False), ("count", True)])
def test_runs_and_verdicts(net, counting, hook, family, name, passes):
    net.encap(hook, name, family)
    assert net.ping(family, count=3) if passes else net.dropped(family, count=3)
    where = "b" if hook == "in" else "a"
    found = record_of(where, hook)
    verdict = "ok" if name == "count" else name
    assert found["runs"] == 3 and has_counts(found, **{verdict: 3})
    assert found["family"] == {4: "inet", 6: "inet6"}[family]
    assert found["name"] == f"lwt_{hook}_{name}.o:[lwt_{hook}]"
    prog = json.loads(sh(f"bpftool -j prog show id {found['id']}"))
    assert (prog["tag"], prog["run_cnt"]) == (found["tag"], 3)


@pytest.mark.ipv6
@pytest.mark.needs("DEBUG_FS")
@pytest.mark.only_here("the C has no debugfs files")
def test_debugfs_text_file(net, counting):
    net.encap("xmit", "ok", 4)
    net.encap("out", "drop", 6)
    assert net.ping(4, count=2) and net.dropped(6)
    lines = (FILES / "routes").read_text().splitlines()
    own = [line for line in lines if line.startswith(f"net {inum('a')} ")]
    assert len(own) == 2
    which = r"id \d+ tag [0-9a-f]{16}"
    assert re.fullmatch(
        rf'net \d+ inet6 out "lwt_out_drop\.o:\[lwt_out\]" {which} runs 1 drop 1', own[0])
    assert re.fullmatch(
        rf'net \d+ inet xmit "lwt_xmit_ok\.o:\[lwt_xmit\]" {which} runs 2 ok 2', own[1])
    runs = sh(f"jq -s '[.[] | select(.hook == \"xmit\") | .runs] | add' {FILES}/routes.json")
    assert int(runs) == 2


@pytest.mark.needs("DEBUG_FS")
@pytest.mark.only_here("the C has no debugfs files")
def test_hooks_are_listed_until_route_is_deleted(net, counting):
    net.route(4, "encap bpf out obj lwt_out_ok.o section lwt_out "
                 "xmit obj lwt_xmit_count.o section lwt_xmit")
    assert net.ping(count=2)
    assert has_counts(record_of("a", "out"), ok=2) and has_counts(record_of("a", "xmit"), ok=2)
    sh("ip -n a route del 10.1.0.1")
    eventually(lambda: not [e for e in programs_on_routes() if e["net"] == inum("a")])


@pytest.mark.needs("DEBUG_FS")
@pytest.mark.only_here("the C has no debugfs files")
def test_nothing_is_counted_by_default(net):
    net.encap("xmit", "ok", 4)
    assert net.ping(count=2)
    assert has_counts(record_of("a", "xmit"))


@pytest.mark.needs("DEBUG_FS")
@pytest.mark.only_here("the C has no debugfs files")
def test_name_with_arbitrary_bytes(net):
    """A name of any bytes breaks neither the lines nor the JSON."""
    name = 'a "b"\\c\n\t\x01\x7f\udcff€'.encode("utf-8", "surrogateescape")
    sh("bpftool prog load lwt_xmit_ok.o /run/bpf/stats type lwt_xmit")
    fd = nl.open_pinned("/run/bpf/stats")
    try:
        hook = nl.attr(nl.LWT_XMIT, nl.attr(nl.PROG_FD, fd) + nl.attr(nl.PROG_NAME, name + b"\0"))
        assert nl.add_route(4, net.ifindex, hook) == (0, "")
        assert record_of("a", "xmit")["name"] == name.decode("latin-1")
        lines = (FILES / "routes").read_text().splitlines()
        found, = [line for line in lines if line.startswith(f"net {inum('a')} ")]
        quoted = re.search(r' xmit ("(?:[^"\\]|\\.)*") id ', found)[1]
        assert quoted.isascii() and json.loads(quoted) == name.decode("latin-1")
    finally:
        os.close(fd)
        os.unlink("/run/bpf/stats")


def as_root_of_a_user_namespace(read):
    """Returns what a function returns in a new user namespace that maps user 0 to user 0."""
    ours, theirs = multiprocessing.Pipe()

    def look():
        assert LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0
        pathlib.Path("/proc/self/uid_map").write_text("0 0 1")
        theirs.send(read())

    process = multiprocessing.get_context("fork").Process(target=look)
    process.start()
    process.join(60)
    assert process.exitcode == 0
    return ours.recv()


@pytest.mark.needs("DEBUG_FS")
@pytest.mark.only_here("the C has no debugfs files")
def test_debugfs_permissions(net):
    """Only root may open the files, and root of a user namespace is shown only the network
    namespaces that belong to it; the opener's credentials decide, not the reader's."""
    net.encap("xmit", "ok", 4)
    modes = [oct(path.stat().st_mode & 0o777) for path in (FILES.parent, FILES / "routes")]
    assert modes == ["0o700", "0o400"]
    assert as_root_of_a_user_namespace(programs_on_routes) == []
    with open(FILES / "routes.json", encoding="utf-8") as file:
        found = as_root_of_a_user_namespace(file.read)
    assert [entry for entry in records(found) if entry["net"] == inum("a")]


@pytest.mark.ipv6
@pytest.mark.needs("DEBUG_FS")
@pytest.mark.only_here("the C has no debugfs files")
def test_open_debugfs_file_holds_reference_to_module(net):
    """An open file holds a reference to the module, and stays readable when its routes are
    deleted."""
    net.encap("xmit", "ok", 4)
    net.encap("out", "ok", 6)
    with open(FILES / "routes", "rb", buffering=0) as file:
        first = file.read(10)
        for family in (4, 6):
            sh(f"ip -{family} -n a route del {net.service(family)}")
        assert "in use" in must_fail(f"rmmod {MODULE.stem}")
        rest = file.read()
        assert first.startswith(b"net ") and b" id " in rest
        file.seek(0)
        assert file.read(1 << 20) in (b"", first + rest)
    eventually(lambda: sh(f"rmmod {MODULE.stem}", check=False).returncode == 0)
    sh(f"insmod {MODULE}")


@pytest.mark.needs("DEBUG_FS")
@pytest.mark.only_here("the C has no debugfs files")
def test_routes_change_while_debugfs_is_read(net, counting):
    """All routes can be read while routes and namespaces are added and deleted, although the reader
    may drop the last reference to a tunnel state."""
    stop = multiprocessing.get_context("fork").Event()

    def read():
        while not stop.is_set():
            programs_on_routes()
            (FILES / "routes").read_text()

    readers = [multiprocessing.get_context("fork").Process(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        encap = "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit"
        for _ in range(iterations(10)):
            sh("ip netns add s")
            try:
                batch("-n s", "link set lo up", "route add 10.9.0.0/16 " + encap + " dev lo",
                      *(f"route add 10.8.0.{n} {encap} dev lo" for n in range(10)),
                      *(f"route del 10.8.0.{n} dev lo" for n in range(10)))
            finally:
                sh("ip netns del s")
    finally:
        stop.set()
        for reader in readers:
            reader.join(60)
            assert reader.exitcode == 0
    eventually(lambda: {e["net"] for e in programs_on_routes()} <= {inum("a"), inum("b")})


@pytest.mark.needs("DEBUG_FS")
@pytest.mark.only_here("the C has no debugfs files")
def test_many_routes_are_listed(net):
    number = iterations(5000)
    sh("bpftool prog load lwt_xmit_ok.o /run/bpf/stats type lwt_xmit")
    try:
        for high in range(number // 250):
            batch("-n a", *(f"route add 10.{64 + high}.{low}.0/24 encap bpf xmit pinned "
                            f"/run/bpf/stats via 10.0.0.2 dev va" for low in range(250)))
        found = [e for e in programs_on_routes() if e["net"] == inum("a")]
        # Equal routes may share a tunnel state.
        assert 1 <= len(found) <= number
        assert {e["name"] for e in found} == {"stats:[*fsobj]"}
    finally:
        os.unlink("/run/bpf/stats")


@pytest.mark.ipv6
@pytest.mark.needs("DEBUG_FS")
@pytest.mark.only_here("the C has no debugfs files")
def test_each_route_keeps_its_own_name_of_a_program(net):
    """Routes that share a program keep their own names of it, whichever route is deleted first."""
    paths = [f"/run/bpf/{name}" for name in ("one", "two")]
    sh(f"bpftool prog load lwt_xmit_ok.o {paths[0]} type lwt_xmit && "
       f"bpftool prog pin pinned {paths[0]} {paths[1]}")
    try:
        def add(*numbers):
            batch("-6 -n a", *(f"route add fd05::{number:x} encap bpf xmit pinned "
                               f"{paths[number % 2]} dev va" for number in numbers))

        def delete(*numbers):
            batch("-6 -n a", *(f"route del fd05::{number:x}" for number in numbers))

        def names():
            shown = sh("ip -6 -n a route show root fd05::/16")
            here = dict(re.findall(r"fd05::(\w+) .*? xmit (\w+):", shown))
            there = [e["name"].partition(":")[0] for e in programs_on_routes()
                     if e["net"] == inum("a")]
            assert sorted(there) == sorted(here.values())
            return {int(number, 16): name for number, name in here.items()}

        def expected(numbers):
            return {number: ("one", "two")[number % 2] for number in numbers}

        add(*range(1, 21))
        assert names() == expected(range(1, 21))
        delete(*range(2, 21, 2))
        add(22, 24)
        assert names() == expected([*range(1, 21, 2), 22, 24])
        delete(*range(1, 20, 2), 22)
        add(26, 27)
        assert names() == expected([24, 26, 27])
    finally:
        for path in paths:
            os.unlink(path)


# Drop reasons and the tracepoint.


@pytest.mark.needs("DEBUG_FS", "EVENT_TRACING")
@pytest.mark.only_here("the C has no such event")
@FAMILIES
@HOOKS
def test_illegal_value_is_traced(net, counting, family, hook):
    net.encap(hook, "illegal", family)
    with drop_events() as found:
        assert net.dropped(family)
        reasons, seen = found()
    assert reasons == ["NOT_SPECIFIED"] and len(seen) == 1
    assert is_exception_event(seen[0], hook, 77, errno.EINVAL, "NOT_SPECIFIED")
    assert int(seen[0]["prog_id"]) == record_of("b" if hook == "in" else "a", hook)["id"]
    assert seen[0]["protocol"] == {4: "0x0800", 6: "0x86dd"}[family]


@pytest.mark.needs("EVENT_TRACING")
@pytest.mark.only_here("the C has no such event")
@HOOKS
def test_drop_verdict_is_not_traced(net, hook):
    net.encap(hook, "drop", 4)
    with drop_events() as found:
        assert net.dropped()
        assert found() == (["NOT_SPECIFIED"], [])


@pytest.mark.ipv6
@pytest.mark.needs("DEBUG_FS", "EVENT_TRACING")
@pytest.mark.only_here("the C has no such event")
def test_input_reroute_lookup_failure(net, counting):
    """A failed IPv6 lookup on input is counted and traced; an IPv4 error route drops the packet
    itself."""
    sh("ip -6 -n a route add fd03::1 via fd00::2")
    batch("-6 -n b", "route add fd03::1 encap bpf in obj lwt_in_mark.o section lwt_in via fd00::1",
          "rule add pref 50 fwmark 7 unreachable")
    with drop_events() as found:
        assert net.ping(6, "fd03::1") == 0
        reasons, seen = found()
        entry = record_of("b", "in")
    assert reasons == ["IP_INNOROUTES"]
    assert has_counts(entry, reroute=1, no_route=1)
    assert is_exception_event(seen[0], "in", 128, errno.ENETUNREACH, "IP_INNOROUTES")


@pytest.mark.needs("DEBUG_FS", "EVENT_TRACING")
@pytest.mark.beyond_c("drop reason of packets that no program dropped")
@FAMILIES
def test_xmit_reroute_lookup_failure(wires, counting, family):
    """A failed lookup on xmit is counted and traced, and the sender gets ENETUNREACH."""
    first = wires.FIRST[family]
    with wires.temporary_routes(
            "a", family, f"route add {first} {OTHER} {wires.VIA['b'][family]}"), \
            Sender("a", family) as sender, drop_events() as found:
        assert sender.send(first) == errno.ENETUNREACH
        reasons, seen = found()
        if SIDE == "rust":
            assert has_counts(record_of("a", "xmit"), reroute=1, no_route=1)
    assert reasons == ["IP_OUTNOROUTES"]
    assert is_exception_event(seen[0], "xmit", 128, errno.ENETUNREACH, "IP_OUTNOROUTES")


@pytest.mark.needs("DEBUG_FS", "EVENT_TRACING")
@pytest.mark.beyond_c("drop reason of packets that no program dropped")
@FAMILIES
@pytest.mark.parametrize("reason", ["NO_TX_TARGET", "DEV_HDR"])
def test_redirect_to_no_device_or_without_mac_header(wires, counting, family, reason):
    with Tun("a", "tap0") as tap, redirected(wires, family), \
            Sender("a", family, 9999 if reason == "NO_TX_TARGET" else tap.index) as sender, \
            drop_events() as found:
        sender.send(wires.THIRD[family])
        reasons, seen = found()
        if SIDE == "rust":
            assert has_counts(record_of("a", "xmit"), redirect=1, no_device=1)
    assert reasons == [reason]
    assert is_exception_event(seen[0], "xmit", 7, errno.EINVAL, reason)


@pytest.mark.needs("DEBUG_FS", "EVENT_TRACING")
@pytest.mark.beyond_c("packet that is redirected in a loop")
@FAMILIES
def test_redirect_recursion_limit_is_traced(wires, counting, family):
    late = "encap bpf xmit obj lwt_xmit_late.o section lwt_xmit"
    with Tun("a", "tun0") as tun, redirected(wires, family, encap=late), \
            Sender("a", family, tun.index) as sender, drop_events() as found:
        sender.send(wires.THIRD[family])
        reasons, seen = found()
        if SIDE == "rust":
            assert record_of("a", "xmit")["recursion"] == 1
    assert reasons == ["RECURSION_LIMIT"]
    assert is_exception_event(seen[0], "xmit", 7, errno.ELOOP, "RECURSION_LIMIT")


@pytest.mark.needs("EVENT_TRACING")
@pytest.mark.only_here("the C has no such event")
def test_tracepoint_is_listed_with_its_format():
    with drop_events():
        listed = pathlib.Path("/sys/kernel/tracing/available_events").read_text().split()
        assert "lwtcls:exception" in listed
        form = pathlib.Path("/sys/kernel/tracing/events/lwtcls/exception/format").read_text()
    fields = re.findall(r"field:(.*?);", form)
    assert [field.split()[-1] for field in fields if "common_" not in field] == [
        "skbaddr", "dev", "hook", "prog_id", "ret", "error", "reason", "protocol", "len"]
