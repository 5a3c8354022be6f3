# SPDX-License-Identifier: GPL-2.0-only
"""Requests for filters do not wait for RTNL while another thread holds it
(modules/lwtcls_rtnl.c)."""

import concurrent.futures
import contextlib
import errno
import pathlib
import shlex
import subprocess
import threading
import time

import nl
import pytest
from conftest import BUILD, COMMAND_TIMEOUT, MEASURED, eventually, iterations, sh
from test_refusals import options, program

pytestmark = pytest.mark.needs("NET_CLS_ACT")
HELD = pathlib.Path("/sys/module/lwtcls_rtnl/parameters/held")
# Seconds that a request may take on a busy machine if it does not wait for RTNL, which is held for
# at most 100 s.
SOON = 25
BLOCK = 0xFFFFFFFF
NEW = nl.RTM_NEWTFILTER, nl.NLM_F_CREATE | nl.NLM_F_EXCL
DELETE = nl.RTM_DELTFILTER, 0
NO_RTNL = pytest.mark.beyond_c("requests for filters on clsact, ingress and shared blocks")
PARENTS = pytest.mark.parametrize(
    "parent", [nl.TC_H_CLSACT_INGRESS, nl.TC_H_CLSACT_EGRESS], ids=["ingress", "egress"])


class Rtnl:
    """RTNL, and the processes and threads that run while it is held."""

    def __init__(self):
        self.processes = []
        self.threads = concurrent.futures.ThreadPoolExecutor()

    @contextlib.contextmanager
    def held(self):
        """Holds RTNL during the block."""
        HELD.write_text("1")
        try:
            yield
            assert HELD.read_text() == "1\n", "took so long that the lock was given back"
        finally:
            HELD.write_text("0")

    def start(self, command):
        """Starts a command."""
        process = subprocess.Popen(
            shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.processes.append(process)
        return process

    def completes(self, command):
        """Runs a command that must not wait for RTNL."""
        process = self.start(command)
        try:
            said, _ = process.communicate(timeout=SOON)
        except subprocess.TimeoutExpired:
            pytest.fail(f"waits for RTNL: {command}")
        assert process.returncode == 0, said

    def begin(self, function, *args):
        """Calls a function in another thread; returns the thread's ID and the future."""
        number = concurrent.futures.Future()

        def run():
            number.set_result(threading.get_native_id())
            return function(*args)

        future = self.threads.submit(run)
        return number.result(), future

    def call(self, function, *args):
        """Calls a function that must not wait for RTNL; returns its result."""
        _, future = self.begin(function, *args)
        try:
            return future.result(timeout=SOON)
        except TimeoutError:
            pytest.fail("a request waits for RTNL")

    def close(self):
        """Waits for all that was started: a task that waits for RTNL cannot be stopped."""
        self.threads.shutdown()
        for process in self.processes:
            process.communicate(timeout=COMMAND_TIMEOUT)


def waits_for_rtnl(number):
    """Returns whether a process or thread sleeps in rtnetlink_rcv_msg()."""
    task = pathlib.Path(f"/proc/{number}")
    state = (task / "stat").read_text().rpartition(")")[2].split()[0]
    return state == "D" and "rtnetlink_rcv_msg" in (task / "stack").read_text()


@pytest.fixture(scope="module", name="lock")
def fixture_lock():
    """Loads the module that holds RTNL on request."""
    sh(f"insmod {BUILD}/tests/modules/lwtcls_rtnl.ko")
    yield
    sh("rmmod lwtcls_rtnl")


@pytest.fixture(name="rtnl")
def fixture_rtnl(lock):
    """RTNL. After the scenario no task holds it or waits for it."""
    made = Rtnl()
    try:
        yield made
    finally:
        HELD.write_text("0")
        made.close()


@contextlib.contextmanager
def pin_programs(*names):
    """Pins programs under /run/bpf, for commands that must not load any."""
    for name in names:
        sh(f"bpftool prog load {name}.o /run/bpf/{name} type classifier")
    try:
        yield
    finally:
        for name in names:
            pathlib.Path(f"/run/bpf/{name}").unlink()


@pytest.fixture(name="clsact")
def fixture_clsact(net):
    """The network with a route to the service, and clsact on va."""
    net.route(4)
    net.tc("qdisc add dev va clsact")
    return net


@pytest.fixture(name="blocks")
def fixture_blocks(net):
    """The network with two devices in a that share egress block 7 and ingress block 8."""
    net.route(4)
    sh("ip -n a link add vc type veth peer name vd && ip -n a link set vc up")
    for dev in ("va", "vc"):
        net.tc(f"qdisc add dev {dev} ingress_block 8 egress_block 7 clsact")
    return net


def handles(namespace="a", **where):
    """Returns the handles of the filters of a hook or block, newest first."""
    with nl.Requests(namespace) as requests:
        found, _ = requests.dump(nl.RTM_GETTFILTER, nl.tfilter(handle=0, prio=0, **where))
    return [handle for handle in map(nl.handle_of, found) if handle]


def test_rtnl_holder_blocks_other_rtnl_users(net, rtnl):
    with rtnl.held():
        waiting = [rtnl.start("ip -n a link set va mtu 1400"),
                   rtnl.start("tc -n a qdisc add dev va clsact")]
        eventually(lambda: all(waits_for_rtnl(process.pid) for process in waiting))
        time.sleep(0.5)
        assert all(waits_for_rtnl(process.pid) for process in waiting)
        assert sh("ip netns exec a cat /sys/class/net/va/mtu") == "1500\n"
    assert [process.wait(SOON) for process in waiting] == [0, 0]
    assert sh("ip netns exec a cat /sys/class/net/va/mtu") == "1400\n"
    assert "clsact" in net.tc("qdisc show dev va clsact")


@NO_RTNL
def test_filters_of_a_block_need_no_rtnl(blocks, rtnl):
    one = "tc -n a filter {} block 7 protocol all prio 1 handle {} bpf {}"

    def name(handle):
        # tc cannot get a filter of a block.
        found = rtnl.call(nl.filters, -1, handle, 7)
        return found[handle][nl.BPF_NAME].split(b":")[0].rstrip(b"\0")

    with pin_programs("tc_ok", "tc_shot"), rtnl.held():
        other = rtnl.start("ip -n a link set va mtu 1400")
        eventually(lambda: waits_for_rtnl(other.pid))
        rtnl.completes(one.format("add", 1, "da object-pinned /run/bpf/tc_ok"))
        rtnl.completes(one.format("add", 2, "da object-pinned /run/bpf/tc_shot"))
        assert blocks.dropped()
        assert name(2) == b"tc_shot"
        rtnl.completes(one.format("replace", 2, "da object-pinned /run/bpf/tc_ok"))
        assert name(2) == b"tc_ok"
        assert blocks.ping()
        rtnl.completes(one.format("del", 2, ""))
        with pytest.raises(OSError, match="refused"):
            name(2)
        # Deletes the last filter, and its priority with it.
        rtnl.completes(one.format("del", 1, ""))
        assert waits_for_rtnl(other.pid)
    assert other.wait(SOON) == 0
    assert blocks.tc("filter show block 7") == ""


@NO_RTNL
@PARENTS
def test_filters_of_clsact_need_no_rtnl(clsact, rtnl, parent):
    def body(fd=None):
        return nl.tfilter(clsact.ifindex, 1, fd and options(fd), parent)

    with (
        nl.Requests("a") as requests,
        program("classifier", "tc_ok") as good,
        program("classifier", "tc_shot") as bad,
        rtnl.held(),
    ):
        assert rtnl.call(nl.request, "a", *NEW, body(bad)) == (0, "")
        assert clsact.dropped()
        assert rtnl.call(nl.request, "a", *NEW, body(good))[0] == errno.EEXIST
        rtnl.call(requests.send, nl.RTM_GETTFILTER, 0, [body()])
        ((kind, answer),) = requests.answers()
        assert kind == nl.RTM_NEWTFILTER and nl.handle_of((kind, answer)) == 1
        assert rtnl.call(nl.request, "a", nl.RTM_NEWTFILTER, nl.NLM_F_CREATE | nl.NLM_F_REPLACE,
                         body(good)) == (0, "")
        assert clsact.ping()
        assert rtnl.call(nl.request, "a", *DELETE, body()) == (0, "")
        assert rtnl.call(nl.request, "a", *DELETE, body())[0] == errno.ENOENT
    assert handles(ifindex=clsact.ifindex, parent=parent) == []


# Requests that write to the classes of a qdisc or to its devices need RTNL.
NEEDS = pytest.mark.parametrize("needs", ["classid", "route"])


@contextlib.contextmanager
def request_that_waits(net, rtnl, needs):
    """Holds RTNL during the block, while a request for handle 2 waits for it. It is accepted
    afterwards."""
    # The kernel may replay the request, so the program's fd stays open until it has ended.
    with program("classifier", "tc_realm_ok" if needs == "route" else "tc_ok") as fd:
        with rtnl.held():
            extra = nl.attr(nl.BPF_CLASSID, 0x10002) if needs == "classid" else b""
            number, future = rtnl.begin(
                nl.request, "a", *NEW, nl.tfilter(net.ifindex, 2, options(fd, extra=extra)))
            eventually(lambda: waits_for_rtnl(number))
            yield
            assert not future.done() and waits_for_rtnl(number)
        assert future.result(SOON) == (0, "")


@NO_RTNL
@NEEDS
@pytest.mark.parametrize("there", [True, False], ids=["old", "new"])
def test_waiting_for_rtnl_does_not_block_same_tcf_proto(clsact, rtnl, needs, there):
    with program("classifier", "tc_shot") as fd:
        def body(handle):
            return nl.tfilter(clsact.ifindex, handle, options(fd))

        if there:
            assert nl.request("a", *NEW, body(1)) == (0, "")
        with request_that_waits(clsact, rtnl, needs):
            assert rtnl.call(nl.request, "a", *NEW, body(3)) == (0, "")
            assert clsact.dropped()
        assert sorted(handles(ifindex=clsact.ifindex)) == ([1, 2, 3] if there else [2, 3])
        # The filter that was added last runs first.
        assert clsact.ping()


@NO_RTNL
@NEEDS
@pytest.mark.parametrize("all_of_it", [False, True], ids=["last", "all"])
def test_tcf_proto_deleted_while_request_waits_for_rtnl(clsact, rtnl, needs, all_of_it):
    with program("classifier", "tc_shot") as fd:
        assert nl.request("a", *NEW, nl.tfilter(clsact.ifindex, 1, options(fd))) == (0, "")
        with request_that_waits(clsact, rtnl, needs):
            gone = nl.tfilter(clsact.ifindex, 0 if all_of_it else 1)
            assert rtnl.call(nl.request, "a", *DELETE, gone) == (0, "")
            assert clsact.ping()
        # The filter is not lost although its priority was deleted.
        assert handles(ifindex=clsact.ifindex) == [2]
        assert clsact.ping()


# The number of filters that each of two writers adds.
BY_TC, BY_SOCKET = iterations(5000), iterations(1000)


def seconds_until_done(starts):
    """Starts everything; returns the seconds until all of it has ended."""
    begin = time.monotonic()
    for end in [start() for start in starts]:
        end()
    return time.monotonic() - begin


def compare(what, count, starts):
    """Measures two writers, one after the other and concurrently."""
    in_turn = seconds_until_done(starts[0:1]) + seconds_until_done(starts[1:2])
    at_once = seconds_until_done(starts[2:])
    MEASURED.append(f"2 x {count} filters, {what}: {in_turn:.2f} s one after the other, "
                    f"{at_once:.2f} s at once ({in_turn / at_once:.2f} times as fast)")


def test_two_processes_on_two_blocks(blocks, rtnl, tmp_path):
    starts = []
    for prio in (1, 2):
        for block in (7, 8):
            lines = tmp_path / f"{block}.{prio}"
            lines.write_text("".join(
                f"filter add block {block} prio {prio} handle {handle} bpf da "
                "object-pinned /run/bpf/tc_ok\n" for handle in range(1, BY_TC + 1)))

            # tc does not close the fds of pinned programs.
            def start(command=f"prlimit -n{2 * BY_TC} tc -n a -batch {lines}"):
                process = rtnl.start(command)
                return lambda: process.wait(COMMAND_TIMEOUT)

            starts.append(start)
    with pin_programs("tc_ok"):
        compare("two tc on two blocks", BY_TC, starts)
    assert [process.communicate()[0] for process in rtnl.processes] == [""] * 4
    for block in (7, 8):
        assert len(handles(ifindex=BLOCK, parent=block)) == 2 * BY_TC


@pytest.mark.parametrize("what, places", [
    ("two sockets on two blocks", [(7, 1, 0), (8, 1, 0)]),
    ("two sockets on two priorities of a block", [(7, 1, 0), (7, 2, 0)]),
    pytest.param("two sockets on a priority", [(7, 1, 0), (7, 1, 2 * BY_SOCKET)],
                 marks=pytest.mark.by_chance("the order of the filters depends on timing")),
])
def test_two_sockets(blocks, rtnl, what, places):
    with (
        program("classifier", "tc_ok") as fd,
        nl.Requests("a") as one,
        nl.Requests("a") as two,
    ):
        starts = []
        for offset in (0, BY_SOCKET):
            for requests, (block, prio, base) in zip((one, two), places, strict=True):
                first = base + offset + 1
                bodies = [nl.tfilter(BLOCK, handle, options(fd), block, prio)
                          for handle in range(first, first + BY_SOCKET)]

                def start(requests=requests, bodies=bodies):
                    _, future = rtnl.begin(requests.send, *NEW, bodies)
                    return future.result

                starts.append(start)
        compare(what, BY_SOCKET, starts)
        assert one.answers() == two.answers() == []
    blocks_ = {block for block, _, _ in places}
    assert sum(len(handles(ifindex=BLOCK, parent=block)) for block in blocks_) == 4 * BY_SOCKET
