# SPDX-License-Identifier: GPL-2.0-only
"""Takeover of the built-in encapsulation while routes of both implementations exist, and its
restoration.

LWTCLS_TAKEOVERS: the number of takeovers under traffic.
"""

import collections
import concurrent.futures
import contextlib
import errno
import os
import pathlib
import threading
import time

import nl
import pytest
from conftest import (
    BUILD,
    MEASURED,
    MODULE,
    eventually,
    iterations,
    kernel_log,
    load_module,
    module_loaded,
    must_fail,
    program_ids,
    sh,
    unload_module,
)
from sockets import every_echo_answered
from test_load import (
    SLEEP_AT,
    TAKEN,
    TOOK_OVER,
    fixture_unloaded,  # noqa: F401
    inserted,
    loading,
    module_log_lines,
)

pytestmark = [
    pytest.mark.only_here("the C has no takeover"),
    pytest.mark.needs("LWTUNNEL_BPF"),
]
FAMILIES = pytest.mark.parametrize("family", [4, 6])
HOOKS = pytest.mark.parametrize("hook", ["in", "out", "xmit"])
DELAY_AT, NO_SYMBOLS, SLOT_TAKEOVER = (BUILD / f"tests/modules/lwtcls_{name}.ko"
                                       for name in ("delay_at", "no_symbols", "slot_takeover"))
OTHER = {4: "10.1.0.2", 6: "fd01::2"}
WAITS = "lwtcls: unloading waits for the last user of the module"
WITHOUT = "lwtcls: classifier only: no encapsulation 'bpf' for routes: it is taken"
EOPNOTSUPP = 95
ROUNDS = int(os.environ.get("LWTCLS_TAKEOVERS", "20"))


def load(parameters=""):
    """Loads the module, and checks that it takes the slot over."""
    with module_log_lines() as said:
        assert load_module(MODULE, parameters) == 0
    assert said == [TOOK_OVER]


def users():
    """Returns the module's refcount."""
    return int(pathlib.Path("/sys/module/lwtcls/refcnt").read_text())


def try_rmmod():
    """Unloads the module; returns whether that succeeded, that is, whether its refcount was 0."""
    return sh("rmmod lwtcls", check=False).returncode == 0


def change_other_route(net, family, encap, verb="add"):
    """Adds, replaces or deletes a's route to the other address of b."""
    sh(f"ip -{family} -n a route {verb} {OTHER[family]} {encap} via {net.gateway(family)} dev va")


def encap_route_lines(family, namespace="a", table="all"):
    """Returns the lines of `ip route show` for routes with an encapsulation."""
    lines = sh(f"ip -{family} -n {namespace} route show table {table}").splitlines()
    return [line for line in lines if " encap " in line]


@pytest.fixture(name="net_with_other")
def fixture_net_with_other(net):
    """The network, with another address on b."""
    for family, length in ((4, 32), (6, 128)):
        nodad = "nodad" if family == 6 else ""
        sh(f"ip -n b addr add {OTHER[family]}/{length} dev lo {nodad}")
    yield net


@pytest.fixture(name="pin")
def fixture_pin():
    """Yields a function that pins a program with a given verdict and returns the encapsulation. The
    path, and with it the name in the route, is always the same."""
    path = pathlib.Path("/run/bpf/takeover")

    def pin(verdict, hook="xmit"):
        path.unlink(missing_ok=True)
        sh(f"bpftool prog load lwt_{hook}_{verdict}.o {path} type lwt_{hook}")
        return f"encap bpf {hook} pinned {path}"

    yield pin
    path.unlink(missing_ok=True)


@HOOKS
@FAMILIES
def test_builtin_route_survives_takeover(unloaded, net, hook, family):
    where = ("b", "local") if hook == "in" else ("a", "main")
    for verdict, passes in (("drop", False), ("ok", True)):
        net.encap(hook, verdict, family)
        before = encap_route_lines(family, *where)
        assert len(before) == 1 and f"_{verdict}.o" in before[0]
        for _ in range(2):
            assert bool(net.ping(family) if passes else not net.dropped(family)) == passes
            load()
            assert encap_route_lines(family, *where) == before and users() == 0
            assert bool(net.ping(family) if passes else not net.dropped(family)) == passes
            unload_module("lwtcls")
        net.local(family)
        sh(f"ip -{family} -n a route del {net.service(family)}")


@FAMILIES
def test_routes_of_both_implementations_coexist(unloaded, net_with_other, family):
    net_with_other.encap("xmit", "drop", family)
    load()
    change_other_route(net_with_other, family, "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit")
    assert net_with_other.dropped(family) and net_with_other.ping(family, OTHER[family])
    assert len(encap_route_lines(family)) == 2 and users() == 1
    assert "is in use" in must_fail("rmmod lwtcls")
    # The same with the verdicts swapped.
    net_with_other.encap("xmit", "ok", family)
    change_other_route(net_with_other, family,
                       "encap bpf xmit obj lwt_xmit_drop.o section lwt_xmit", "replace")
    assert net_with_other.ping(family) and net_with_other.dropped(family, address=OTHER[family])
    assert users() == 2
    change_other_route(net_with_other, family, "", "del")
    net_with_other.route(family)
    eventually(try_rmmod)


@FAMILIES
def test_replacing_and_deleting_builtin_route(unloaded, net, family):
    for verb in ("replace", "del"):
        net.encap("xmit", "drop", family)
        load()
        if verb == "replace":
            # A route of ours replaces the built-in one.
            net.encap("xmit", "ok", family)
            assert net.ping(family) and users() == 1
        net.route(family, verb="del")
        assert encap_route_lines(family) == []
        # A tunnel state holds the module until it is freed after a grace period.
        eventually(try_rmmod)


@FAMILIES
def test_nexthop_objects_of_both_implementations(unloaded, net_with_other, family):
    def nexthop(number, verdict):
        sh(f"ip -n a nexthop add id {number} via {net_with_other.gateway(family)} dev va "
           f"encap bpf xmit obj lwt_xmit_{verdict}.o section lwt_xmit")

    service = net_with_other.service(family)
    nexthop(1, "drop")
    sh(f"ip -{family} -n a route replace {service} nhid 1")
    assert net_with_other.dropped(family)
    load()
    nexthop(2, "ok")
    sh(f"ip -{family} -n a route add {OTHER[family]} nhid 2")
    assert net_with_other.dropped(family) and net_with_other.ping(family, OTHER[family])
    # Each route moves to the other nexthop.
    sh(f"ip -{family} -n a route replace {service} nhid 2")
    assert net_with_other.ping(family)
    sh(f"ip -{family} -n a route replace {OTHER[family]} nhid 1")
    assert net_with_other.dropped(family, address=OTHER[family])
    assert users() == 1
    listed = sh("ip -n a nexthop show")
    assert "lwt_xmit_drop.o" in listed and "lwt_xmit_ok.o" in listed
    sh("ip -n a nexthop del id 1 && ip -n a nexthop del id 2")
    eventually(try_rmmod)


def test_new_route_does_not_share_state_of_builtin_route(unloaded, net_with_other, pin):
    # The kernel compares the names of programs, which are equal.
    net_with_other.route(4, pin("ok"))
    load()
    change_other_route(net_with_other, 4, pin("drop"))
    assert users() == 1
    assert net_with_other.ping() and net_with_other.dropped(address=OTHER[4])
    first, second = encap_route_lines(4)
    assert first.split(" encap ")[1] == second.split(" encap ")[1]
    change_other_route(net_with_other, 4, "", "del")
    assert net_with_other.ping()
    eventually(try_rmmod)


def test_deleting_builtin_route_compares_encap(unloaded, net, pin):
    net.route(4, pin("ok"))
    load()
    # A request with another name does not match the route.
    said = must_fail("ip -n a route del 10.1.0.1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit "
                     "via 10.0.0.2 dev va")
    assert "No such process" in said
    # Nor does one with another hook.
    said = must_fail(f"ip -n a route del 10.1.0.1 {pin('ok', 'out')} via 10.0.0.2 dev va")
    assert "No such process" in said
    assert net.ping()
    before = program_ids()
    sh(f"ip -n a route del 10.1.0.1 {pin('ok')} via 10.0.0.2 dev va")
    assert encap_route_lines(4) == []
    eventually(lambda: len(program_ids()) == len(before) - 1)
    eventually(try_rmmod)


def test_deletion_finds_builtin_or_our_route_by_encap(unloaded, net, pin):
    # Two routes to one destination, with different metrics: a built-in one and ours.
    net.route(4, pin("drop"))
    load()
    sh("ip -n a route add 10.1.0.1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit "
       "via 10.0.0.2 dev va metric 7")
    assert net.dropped()
    sh(f"ip -n a route del 10.1.0.1 {pin('drop')} via 10.0.0.2 dev va")
    assert net.ping() and users() == 1
    sh("ip -n a route del 10.1.0.1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit "
       "via 10.0.0.2 dev va")
    eventually(try_rmmod)


def test_multipath_of_both_implementations(unloaded, net_with_other):
    hop = "nexthop via 10.0.0.2 dev va encap bpf xmit obj lwt_xmit_{}.o section lwt_xmit"
    ok, drop = hop.format("ok"), hop.format("drop")
    sh(f"ip -n a route add 10.1.0.1 {drop} {drop.replace('xmit_drop', 'xmit_illegal')}")
    assert net_with_other.dropped()
    load()
    sh(f"ip -n a route add {OTHER[4]} {ok} {ok.replace('xmit_ok', 'xmit_count')}")
    assert net_with_other.dropped() and net_with_other.ping(address=OTHER[4]) and users() == 2
    sh(f"ip -n a route del {OTHER[4]} && ip -n a route del 10.1.0.1")
    eventually(try_rmmod)


def test_deleting_netns_after_takeover(unloaded, net_with_other):
    before = program_ids()
    for family in (4, 6):
        net_with_other.encap("xmit", "ok", family)
        net_with_other.encap("in", "ok", family)
        net_with_other.encap("xmit", "ok", family)
    sh("ip -n a nexthop add id 1 via 10.0.0.2 dev va "
       "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit")
    load()
    for family in (4, 6):
        change_other_route(net_with_other, family,
                           "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit")
    assert users() == 2
    net_with_other.close()
    eventually(lambda: program_ids() <= before)
    eventually(lambda: users() == 0)
    eventually(try_rmmod)


def test_deleting_many_builtin_routes_after_takeover(unloaded, net):
    routes = [f"10.3.{number // 250}.{number % 250}" for number in range(iterations(1000))]
    lines = (f"route add {route} encap bpf xmit pinned /run/bpf/many via 10.0.0.2 dev va"
             for route in routes)
    sh("bpftool prog load lwt_xmit_ok.o /run/bpf/many type lwt_xmit")
    try:
        sh("ip -n a -batch -", lines="".join(f"{line}\n" for line in lines))
    finally:
        os.unlink("/run/bpf/many")
    load()
    sh("ip -n a -batch -", lines="".join(f"route del {route}\n" for route in routes))
    eventually(lambda: users() == 0)
    eventually(try_rmmod)


class RepeatingThreads(threading.Event):
    """Threads that run until they are stopped. The first failure of any of them is raised then."""

    def __init__(self):
        super().__init__()
        self.threads, self.failures = [], []

    def start(self, what):
        """Calls a function repeatedly in a thread."""
        def again():
            try:
                while not self.is_set():
                    what()
            except Exception as failure:  # pylint: disable=broad-except
                self.failures.append(failure)

        self.threads.append(threading.Thread(target=again))
        self.threads[-1].start()

    def end(self):
        """Stops all threads."""
        self.set()
        for thread in self.threads:
            thread.join()
        if self.failures:
            raise self.failures[0]


@contextlib.contextmanager
def concurrently(*things):
    """Calls functions repeatedly in threads during the block."""
    stop = RepeatingThreads()
    for thing in things:
        stop.start(thing)
    try:
        yield
    finally:
        stop.end()


def pings(family):
    """Returns a function that floods the other address of b with a's echo requests."""
    return lambda: sh(f"ip netns exec a ping -{family} -n -q -f -c 200 -W 5 {OTHER[family]}",
                      check=False)


class ChangedRoute:
    """A route of a that is added and deleted repeatedly. Counts the answers by errno."""

    def __init__(self, net, family):
        self.net, self.family, self.answers = net, family, collections.Counter()
        self.ifindex = net.ifindex
        self.fd = nl.open_pinned("/run/bpf/churn_route")

    def close(self):
        """Closes the program's fd."""
        os.close(self.fd)

    def __call__(self):
        encap = nl.attr(nl.LWT_XMIT, nl.attr(nl.PROG_FD, self.fd) + nl.attr(nl.PROG_NAME, "churn"))
        errno, _ = nl.add_route(self.family, self.ifindex, encap, nl.NLM_F_CREATE | nl.NLM_F_EXCL)
        self.answers[errno] += 1
        if not errno:
            done = nl.request("a", nl.RTM_DELROUTE, 0, nl.service_route_request(self.family))
            assert done == (0, "")
        # A route of ours holds the module until it is freed after a grace period, and unloading
        # needs a time without one.
        time.sleep(0.2)


@contextlib.contextmanager
def changing_routes(net, families=(4, 6)):
    """Adds and deletes routes to the service during the block; yields their answers by errno, which
    are complete after it."""
    sh("bpftool prog load lwt_xmit_ok.o /run/bpf/churn_route type lwt_xmit")
    routes = [ChangedRoute(net, family) for family in families]
    os.unlink("/run/bpf/churn_route")
    total = collections.Counter()
    try:
        with concurrently(*routes):
            yield total
    finally:
        for route in routes:
            route.close()
            total.update(route.answers)


def test_repeated_takeover_under_traffic(unloaded, net_with_other):
    rounds = iterations(ROUNDS)
    # On output and on input the packets take built-in routes.
    for family in (4, 6):
        change_other_route(net_with_other, family, "encap bpf out obj lwt_out_ok.o section lwt_out "
                            "xmit obj lwt_xmit_ok.o section lwt_xmit")
        sh(f"ip -{family} -n b route del table local local {OTHER[family]}")
        sh(f"ip -{family} -n b route add table local local {OTHER[family]} "
           "encap bpf in obj lwt_in_ok.o section lwt_in dev lo")
    freed = [f"route {{}} 10.3.0.{number} {{}} dev va" for number in range(5)]
    sh("bpftool prog load lwt_xmit_ok.o /run/bpf/freed type lwt_xmit")
    begin = time.monotonic()
    try:
        with (every_echo_answered("a") as sent, concurrently(pings(4), pings(6)),
              changing_routes(net_with_other) as routes):
            for _ in range(rounds):
                add = "encap bpf xmit pinned /run/bpf/freed via 10.0.0.2"
                sh("ip -n a -batch -", lines="\n".join(
                    line.format("add", add) for line in freed) + "\n")
                assert load_module(MODULE) == 0
                # The built-in encapsulation has built these tunnel states, and ours frees them.
                sh("ip -n a -batch -", lines="\n".join(
                    line.format("del", "") for line in freed) + "\n")
                unload_module("lwtcls")
    finally:
        os.unlink("/run/bpf/freed")
    assert set(routes) <= {0, EOPNOTSUPP}
    MEASURED.append(
        f"takeover: {rounds} rounds in {time.monotonic() - begin:.0f} s, {sum(sent.values())} "
        f"packets sent, all answered, {routes[0]} routes added and deleted, {routes[EOPNOTSUPP]} "
        "refused during unloading")
    assert min(sent.values()) > rounds
    assert routes[0] > rounds


def test_requests_during_takeover(unloaded, net):
    # Loads and unloads the module as fast as possible.
    with changing_routes(net) as routes:
        for _ in range(iterations(30)):
            assert load_module(MODULE) == 0
            unload_module("lwtcls")
    assert routes[0] and set(routes) <= {0, EOPNOTSUPP}


def test_concurrent_load_and_unload(unloaded, net):
    """The module can be loaded and unloaded by several threads at once, while routes are added."""
    answers = collections.Counter()

    def load_once():
        answers["load", load_module(MODULE)] += 1

    def unload_once():
        answers["unload", sh("rmmod lwtcls", check=False).returncode] += 1

    with (
        changing_routes(net) as routes,
        concurrently(load_once, unload_once, load_once, unload_once),
    ):
        time.sleep(10)
    assert answers["load", 0] and answers["unload", 0] and routes[0]
    if module_loaded():
        eventually(try_rmmod)


def test_rmmod_waits_for_running_destroy_state(unloaded, net):
    """Unloading waits for a CPU that runs our destroy_state() callback to free a tunnel state of
    the built-in encapsulation."""
    net.encap("xmit", "ok", 4)
    load()
    processors = os.sched_getaffinity(0)
    last = max(processors)

    def free():
        os.sched_setaffinity(0, {last})
        sh("ip netns exec a ping -n -c 1 -W 1 10.1.0.1")
        net.route(4)

    thread = threading.Thread(target=free)
    with inserted(DELAY_AT, "symbol=__module_get limit=3000") as delay:
        try:
            thread.start()
            os.sched_setaffinity(0, processors - {last})
            eventually(lambda: delay("here") == "Y")
            # Returns after the other CPU has left the callback.
            unload_module("lwtcls")
        finally:
            delay("go", "1")
            thread.join()
            os.sched_setaffinity(0, processors)
    assert not module_loaded()


@pytest.mark.needs("DYNAMIC_FTRACE_WITH_ARGS")
def test_rmmod_waits_for_sleep_in_destroy_state(unloaded, net, pin):
    """Unloading waits for a task that runs our destroy_state() callback and sleeps while the
    built-in encapsulation frees a program.

    The built-in encapsulation builds the tunnel state of a nexthop. Then the takeover happens. The
    nexthop is refused, so ours frees the state. Unloading begins before ours can hold the module.
    """
    pin("ok")
    fd = nl.open_pinned("/run/bpf/takeover")
    processors = os.sched_getaffinity(0)
    last, index = max(processors), net.ifindex

    def refused():
        os.sched_setaffinity(0, {last})
        program = nl.attr(nl.PROG_FD, fd) + nl.attr(nl.PROG_NAME, "ok")
        return nl.add_nexthop(index, "10.77.0.1", nl.attr(nl.LWT_XMIT, program))

    # The other threads do not need the CPU that is kept busy.
    os.sched_setaffinity(0, processors - {last})
    try:
        with (
            concurrent.futures.ThreadPoolExecutor() as pool,
            inserted(SLEEP_AT, f"symbol=fib_check_nh,bpf_prog_put process={os.getpid()}") as sleep,
        ):
            request = pool.submit(refused)
            eventually(lambda: sleep("here") == "1")
            load()
            before = len(kernel_log())
            with inserted(DELAY_AT, "symbol=__module_get") as delay:
                sleep("go", "1")
                eventually(lambda: delay("here") == "Y")
                unloading = pool.submit(unload_module, "lwtcls")
                state = pathlib.Path("/sys/module/lwtcls/initstate")
                eventually(lambda: state.read_text() == "going\n")
            eventually(lambda: sleep("here") == "2")
            eventually(lambda: WAITS in kernel_log()[before:])
            assert module_loaded() and not unloading.done()
            sleep("go", "2")
            assert request.result() == (errno.ENETUNREACH, "Nexthop has invalid gateway")
            unloading.result()
    finally:
        os.sched_setaffinity(0, processors)
        os.close(fd)
    assert not module_loaded()


@TAKEN
def test_takeover_is_disabled_by_parameters(unloaded, net):
    for words, lines in (("takeover=0", [f"{WITHOUT}, and was not to be taken over"]),
                         ("cls_only=1", [])):
        with module_log_lines() as said:
            sh(f"insmod {MODULE} {words}")
        assert said == lines
        # The built-in encapsulation still works, and so does our classifier.
        net.encap("xmit", "drop", 4)
        assert net.dropped() and users() == 0
        net.route(4)
        net.tc("qdisc add dev va clsact")
        net.tc("filter add dev va egress bpf da obj tc_shot.o sec tc")
        assert net.dropped()
        net.tc("qdisc del dev va clsact")
        eventually(try_rmmod)


@TAKEN
@pytest.mark.parametrize("path, why", [
    pytest.param(NO_SYMBOLS, ", and the kernel does not tell where its table of them is",
                 id="no symbols"),
    pytest.param(SLOT_TAKEOVER, " by something else than the kernel's own", id="slot takeover"),
])
def test_slot_that_cannot_be_taken_over(unloaded, net, path, why):
    sh(f"insmod {path}")
    try:
        with module_log_lines() as said:
            sh(f"insmod {MODULE}")
        assert said == [f"{WITHOUT}{why}"]
        net.encap("xmit", "drop", 4)
        assert net.dropped() and users() == 0
        net.route(4)
        eventually(try_rmmod)
    finally:
        sh(f"rmmod {path.stem}")


def test_rmmod_waits_while_another_module_has_slot(unloaded, net):
    load()
    sh(f"insmod {SLOT_TAKEOVER}")
    net.encap("xmit", "drop", 4)
    assert net.dropped() and users() == 1
    net.route(4)
    eventually(lambda: users() == 0)
    before = len(kernel_log())
    thread = threading.Thread(target=unload_module, args=["lwtcls"])
    thread.start()
    try:
        eventually(lambda: any("another module has taken the encapsulation over" in line
                               for line in kernel_log()[before:]))
        time.sleep(2)
        assert module_loaded()
    finally:
        sh("rmmod lwtcls_slot_takeover")
        thread.join()
    assert not module_loaded()
    # The built-in encapsulation has the slot again.
    net.encap("xmit", "drop", 4)
    assert net.dropped()
    load()


def test_route_added_during_module_load(unloaded, net):
    with loading("sprint_symbol_no_offset") as thread:
        # The classifier is registered; the slot still has the built-in encapsulation.
        net.encap("xmit", "drop", 4)
        assert thread.errno is None
    assert thread.errno == 0
    assert net.dropped() and users() == 0
    net.route(4)
    eventually(try_rmmod)

