# SPDX-License-Identifier: GPL-2.0-only
"""Fails each allocation once.

The n-th allocation of an operation fails, for each n, until the operation needs no more. A failed
operation must not change state: the old filter or route stays in force, and can be replaced or
deleted. Needs a kernel with fault injection that records the allocator of each object: the debug
kernel, with slab_debug=U.
"""

import collections
import contextlib
import ctypes
import errno
import itertools
import os
import pathlib
import re
import socket
import struct

import nl
import pytest
import syscalls
from conftest import (
    BUILD,
    LIBC,
    MEASURED,
    MODULE,
    eventually,
    kernel_log,
    program,
    program_ids,
    sh,
    unload_module,
)
from headers import KINDS, packet
from journal import JOURNAL
from nl import inside
from pusher import Pusher
from sockets import sysctl
from splats import FAILING, FAILING_NO_MORE, splats
from test_offload import BUS, Hardware
from tracing import events
from wires import Sender, Tun

pytestmark = pytest.mark.only_here("checks how lwtcls frees its memory")
FAULTS, SLABS = pathlib.Path("/sys/kernel/debug"), pathlib.Path("/sys/kernel/debug/slab")
CACHES = pathlib.Path("/sys/kernel/slab")
NAME, OURS = MODULE.stem, f"[{MODULE.stem}]"
FAIL_EXEMPT = BUILD / "tests/modules/lwtcls_fail_exempt.ko"
# Errnos of an operation that could not allocate memory.
TOLD = {errno.ENOMEM, errno.ENOBUFS}
MOST = 5000
CREATE, REPLACE = nl.NLM_F_CREATE | nl.NLM_F_EXCL, nl.NLM_F_CREATE | nl.NLM_F_REPLACE
DOMAIN = {4: socket.AF_INET, 6: socket.AF_INET6}
FAMILIES = pytest.mark.parametrize("family", [4, 6])


def write_kernel_log(line):
    """Writes a line to the kernel log."""
    pathlib.Path("/dev/kmsg").write_text(line)


def set_page_failures(fail):
    """Enables or disables failures of page allocations, in addition to those of slab objects."""
    (FAULTS / "fail_page_alloc/min-order").write_text("0" if fail else "20")


@pytest.fixture(scope="module", autouse=True)
def fixture_failing():
    """Enables failures of allocations that may sleep and of single pages, without a log line for
    each."""
    assert (CACHES / "kmalloc-64/store_user").read_text() == "1\n", "start with slab_debug=U"
    for what in ("failslab", "fail_page_alloc"):
        (FAULTS / what / "ignore-gfp-wait").write_text("N")
        (FAULTS / what / "verbose").write_text("0")
    set_page_failures(True)
    # Stays on one CPU because caches are per CPU.
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})
    write_kernel_log(FAILING)
    yield
    write_kernel_log(FAILING_NO_MORE)
    os.sched_setaffinity(0, everywhere)


def live_objects():
    """Returns the number of live objects allocated by the module, or on its behalf, by cache and
    call trace."""
    found = collections.Counter()
    for traces in SLABS.glob("*/alloc_traces"):
        cache = traces.parent.name
        # The kernel frees vmap areas lazily.
        if cache == "vmap_area" or OURS not in traces.read_text():
            continue
        # Objects in KASAN's quarantine look as if they were in use; shrinking the cache frees them.
        (CACHES / cache / "shrink").write_text("1")
        for entry in re.split(r"\n(?=\s*\d+ )", traces.read_text()):
            # ref_tracker keeps its objects after the reference is dropped. The kernel itself
            # reports leaked references when the device or namespace goes away.
            if OURS in entry and "ref_tracker_alloc" not in entry:
                count, _, who = entry.strip().partition(" ")
                # Ages and process ids differ between objects.
                who = re.sub(r"\b(age|pid|cpus|waste)=\S+", "", who)
                found[cache, " ".join(who.split())] += int(count)
    return found


def errno_of(function, *args):
    """Returns the errno of a function, 0 for none."""
    try:
        function(*args)
    except OSError as error:
        return error.errno
    return 0


class NthAllocation:
    """Fails the n-th allocation of this thread."""

    def __init__(self):
        self.file = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
        self.reached = False

    @contextlib.contextmanager
    def failing(self, nth):
        """Sets `reached` to whether there were that many allocations."""
        os.pwrite(self.file, str(nth).encode(), 0)
        try:
            yield
        finally:
            self.reached = os.pread(self.file, 16, 0).strip() == b"0"
            os.pwrite(self.file, b"0", 0)

    def call(self, nth, function, *args):
        """Returns the errno of a function whose n-th allocation fails, 0 for none."""
        with self.failing(nth):
            return errno_of(function, *args)


@contextlib.contextmanager
def limited_memory(size):
    """Limits this thread to objects of `size` bytes in total."""
    # The task filter is set first, so that no other task's allocations fail.
    attributes = {"task-filter": "Y", "space": size, "times": -1, "probability": 100}
    for name, value in attributes.items():
        (FAULTS / "failslab" / name).write_text(str(value))
    file = os.open("/proc/thread-self/make-it-fail", os.O_WRONLY)
    try:
        os.pwrite(file, b"1", 0)
        yield
    finally:
        os.pwrite(file, b"0", 0)
        os.close(file)
        (FAULTS / "failslab/probability").write_text("0")


@pytest.fixture(name="nth")
def fixture_nth():
    """A control of allocation failures."""
    made = NthAllocation()
    yield made
    os.close(made.file)


class Unknown(Exception):
    """Reports that the outcome is unknown, because the answer needs memory too."""


class Request:
    """A request that is sent repeatedly, each time from a new socket."""

    def __init__(self, nth, kind, flags, body):
        self.nth, self.dump = nth, flags & nl.NLM_F_DUMP == nl.NLM_F_DUMP
        flags |= nl.NLM_F_REQUEST | nl.NLM_F_ACK
        self.message = struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body

    def __call__(self, nth):
        with nl.open_in("a") as sock:
            sock.settimeout(30)
            answers = []
            if number := self.nth.call(nth, self.exchange, sock, answers):
                if self.dump or number not in TOLD or answers != [None]:
                    return number
                raise Unknown
        return answers[-1]

    def exchange(self, sock, answers):
        """Sends the request, and reads until it is answered. Appends None to `answers` once it is
        sent."""
        sock.send(self.message)
        answers.append(None)
        while answers[-1] is None:
            for kind, data in nl.messages(sock.recv(65536)):
                if kind in (nl.NLMSG_ERROR, nl.NLMSG_DONE):
                    answers.append(-struct.unpack_from("=i", data)[0])


def sweep(name, nth, attempt, state=lambda: None, undo=lambda: None, told=TOLD):
    """Fails the first allocation, then the second, and so on. `attempt(n)` returns an errno; unless
    it is 0, `state()` must be unchanged. `undo()` reverts a successful attempt."""
    # A run without failures fills the kernel's caches.
    assert attempt(0) == 0
    undo()
    lines, before, seen = len(kernel_log()), (state(), program_ids()), set()
    had = live_objects()

    def now():
        return state(), program_ids()

    for number in itertools.count(1):
        assert number < MOST, "no end in sight"
        try:
            error = attempt(number)
        except Unknown:
            seen.add(errno.ENOBUFS)
            if now() != before:
                undo()
        else:
            if error == 0:
                # The kernel can do without that memory, or no allocation failed.
                undo()
            else:
                assert error in told, f"allocation {number}: {errno.errorcode.get(error, error)}"
                seen.add(error)
            if not nth.reached:
                assert error == 0
                break
        with contextlib.suppress(AssertionError):
            eventually(lambda: now() == before, 10)
        assert now() == before
    # Waits for objects that are freed after a grace period.
    with contextlib.suppress(AssertionError):
        eventually(lambda: not live_objects() - had, 10)
    lost = live_objects() - had
    said = [number for number in splats(kernel_log()) if number >= lines]
    names = " ".join(sorted(errno.errorcode[each] for each in seen)) or "-"
    MEASURED.append(f"fault sweep: {name:34} {number - 1:4} allocations failed, told {names:15} "
                    f"{lost.total()} objects lost, {len(said)} splats")
    assert not lost
    assert not said


def filters(net, parent=nl.TC_H_CLSACT_EGRESS):
    """Returns the filters of a as a dump shows them, without the actions, which have ages."""
    with JOURNAL.quiet():
        found = nl.filters(net.ifindex, parent=parent)
    return {handle: {key: value for key, value in attrs.items() if key != nl.BPF_ACT}
            for handle, attrs in found.items()}


def direct_action_options(fd):
    """Returns the options of a direct-action filter."""
    return nl.attr(nl.BPF_FD, fd) + nl.attr(nl.BPF_NAME, "name") + nl.attr(nl.BPF_FLAGS, nl.DIRECT)


def action_options(fd):
    """Returns the options of a filter with an action."""
    return nl.attr(nl.BPF_FD, fd) + nl.attr(nl.BPF_NAME, "name") \
        + nl.attr(nl.BPF_ACT, nl.attr(1, nl.gact(0)))


def bytecode_options(_fd):
    """Returns the options of a filter with bytecode."""
    return nl.attr(nl.BPF_OPS_LEN, struct.pack("=H", 1)) \
        + nl.attr(nl.BPF_OPS, struct.pack("=HBBI", 6, 0, 0, 0))


OPTIONS = {"direct action": direct_action_options, "an action": action_options,
           "classic": bytecode_options}
FORMS = pytest.mark.parametrize("form", OPTIONS)


@pytest.fixture(name="clsact")
def fixture_clsact(net):
    """The network, with clsact on va and a filter that stays."""
    net.tc("qdisc add dev va clsact")
    with program("classifier", "tc_ok") as fd:
        assert nl.add_filter(net.ifindex, direct_action_options(fd), handle=7) == (0, "")
        yield net


@FORMS
def test_adding_a_filter(clsact, nth, form):
    with program("classifier", "tc_shot") as fd:
        body = nl.tfilter(clsact.ifindex, 1, OPTIONS[form](fd))
        sweep(f"filter add, {form}", nth, Request(nth, nl.RTM_NEWTFILTER, CREATE, body),
              lambda: filters(clsact),
              lambda: clsact.tc("filter del dev va egress prio 1 handle 1 bpf"))


def test_adding_the_first_filter(clsact, nth):
    parent = nl.TC_H_CLSACT_INGRESS
    with program("classifier", "tc_shot") as fd:
        body = nl.tfilter(clsact.ifindex, 1, direct_action_options(fd), parent)
        sweep("filter add, the first", nth, Request(nth, nl.RTM_NEWTFILTER, CREATE, body),
              lambda: filters(clsact, parent), lambda: clsact.tc("filter del dev va ingress"))


@FORMS
def test_replacing_a_filter(clsact, nth, form):
    with program("classifier", "tc_ok") as old, program("classifier", "tc_shot") as new:
        def restore():
            options = direct_action_options(old)
            assert nl.add_filter(clsact.ifindex, options, flags=REPLACE) == (0, "")

        restore()
        body = nl.tfilter(clsact.ifindex, 1, OPTIONS[form](new))
        sweep(f"filter replace, {form}", nth, Request(nth, nl.RTM_NEWTFILTER, REPLACE, body),
              lambda: filters(clsact), restore)


@pytest.mark.parametrize("what", ["one", "all"])
def test_deleting_filters(clsact, nth, what):
    with program("classifier", "tc_ok") as fd:
        def restore():
            for handle in (1, 7):
                options = direct_action_options(fd)
                assert nl.add_filter(clsact.ifindex, options, handle, REPLACE) == (0, "")

        restore()
        body = nl.tfilter(clsact.ifindex, 1 if what == "one" else 0)
        sweep(f"filter del, {what}", nth, Request(nth, nl.RTM_DELTFILTER, 0, body),
              lambda: filters(clsact), restore)


def test_getting_a_filter(clsact, nth):
    with program("classifier", "tc_ok") as fd:
        assert nl.add_filter(clsact.ifindex, action_options(fd)) == (0, "")
        body = nl.tfilter(clsact.ifindex, 1)
        sweep("filter get", nth, Request(nth, nl.RTM_GETTFILTER, 0, body), lambda: filters(clsact))


def test_dumping_filters(clsact, nth):
    with program("classifier", "tc_ok") as fd:
        for handle in range(10, 60):
            assert nl.add_filter(clsact.ifindex, action_options(fd), handle=handle) == (0, "")
        body = struct.pack("=BxxxiIII", 0, clsact.ifindex, 0, nl.TC_H_CLSACT_EGRESS, 0)
        sweep("filter dump", nth, Request(nth, nl.RTM_GETTFILTER, nl.NLM_F_DUMP, body),
              lambda: filters(clsact))


@pytest.fixture(name="port")
def fixture_port(net):
    """A device that offloads filters."""
    hardware = Hardware(net)
    made = hardware.plug()
    net.tc(f"qdisc add dev {made} clsact")
    yield made
    (BUS / "del_device").write_text("1")


def test_adding_a_filter_to_hardware(net, port, nth):
    parent, where = nl.TC_H_CLSACT_INGRESS, f"dev {port} ingress"
    with program("classifier", "tc_ok") as fd:
        options = direct_action_options(fd) + nl.attr(nl.BPF_FLAGS_GEN, 2)
        body = nl.tfilter(port.ifindex, 1, options, parent)
        sweep("filter add, skip_sw", nth, Request(nth, nl.RTM_NEWTFILTER, CREATE, body),
              lambda: (net.filters(where), port.id), lambda: net.tc(f"filter del {where}"))


def test_loading_the_module(nth):
    """The module fails to load and leaves nothing behind if an allocation fails, and loads once
    memory is available."""
    sh(f"rmmod {NAME}")
    # The kernel's loader allocates the pages for the module's code, and logs at length if it
    # cannot. It also reads the module's trace events and BTF. Neither is tested here.
    set_page_failures(False)
    exempt = ("trace_module_notify", "btf_module_notify")
    listed = pathlib.Path("/proc/kallsyms").read_text().splitlines()
    functions = [f"0x{line.split()[0]}" for line in listed if line.split()[2] in exempt]
    assert len(functions) >= len(exempt)
    sh(f"insmod {FAIL_EXEMPT} functions={','.join(functions)}")
    image = os.open(MODULE, os.O_RDONLY)

    def load():
        if LIBC.syscall(syscalls.FINIT_MODULE, image, b"", 0) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    try:
        sweep("insmod", nth, lambda number: nth.call(number, load),
              pathlib.Path(f"/sys/module/{NAME}").exists, lambda: unload_module(NAME))
    finally:
        os.close(image)
        set_page_failures(True)
        sh("rmmod lwtcls_fail_exempt")
        sh(f"insmod {MODULE}")


def routes(family):
    """Returns a's routes to the service, without their ages. Other routes appear when an address
    becomes ready."""
    to = nl.attrs(nl.service_route_request(family)[12:])[nl.RTA_DST]
    with JOURNAL.quiet(), nl.Requests("a") as requests:
        found, _ = requests.dump(nl.RTM_GETROUTE, nl.rtmsg(DOMAIN[family]))
    found = [(each[:8], nl.attrs(each[12:])) for _, each in found]
    return [(head, {key: value for key, value in attributes.items() if key != nl.RTA_CACHEINFO})
            for head, attributes in found if attributes.get(nl.RTA_DST) == to]


def encap(*fds):
    """Returns an encapsulation with programs on input, output and xmit."""
    return b"".join(nl.attr(hook, nl.attr(nl.PROG_FD, fd) + nl.attr(nl.PROG_NAME, "name"))
                    for hook, fd in zip((nl.LWT_IN, nl.LWT_OUT, nl.LWT_XMIT), fds, strict=True))


@contextlib.contextmanager
def three_programs():
    """Yields an encapsulation with all three programs."""
    with program("lwt_in", "lwt_in_ok") as one, program("lwt_out", "lwt_out_ok") as two, \
            program("lwt_xmit", "lwt_xmit_ok") as three:
        yield encap(one, two, three)


def route(net, family, attributes):
    """Returns the body of a request for a route to the service."""
    return nl.service_route_request(family) \
        + nl.attr(nl.RTA_GATEWAY, socket.inet_pton(DOMAIN[family], net.gateway(family))) \
        + nl.attr(nl.RTA_OIF, net.ifindex) \
        + nl.attr(nl.RTA_ENCAP_TYPE, struct.pack("=H", nl.ENCAP_BPF)) \
        + nl.attr(nl.RTA_ENCAP, attributes)


@FAMILIES
def test_adding_a_route(net, nth, family):
    with three_programs() as attributes:
        body = route(net, family, attributes)
        sweep(f"IPv{family} route add", nth, Request(nth, nl.RTM_NEWROUTE, CREATE, body),
              lambda: routes(family),
              lambda: sh(f"ip -{family} -n a route del {net.service(family)}"))


@contextlib.contextmanager
def route_to_restore(net, family):
    """Adds a route that drops packets. Yields a function that restores the route."""
    with program("lwt_xmit", "lwt_xmit_drop") as fd:
        body = route(net, family, nl.attr(nl.LWT_XMIT, nl.attr(nl.PROG_FD, fd)
                                          + nl.attr(nl.PROG_NAME, "drop")))

        def restore():
            assert nl.request("a", nl.RTM_NEWROUTE, REPLACE, body) == (0, "")

        restore()
        assert len(routes(family)) == 1
        yield restore
    sh(f"ip -{family} -n a route del {net.service(family)}")


@FAMILIES
def test_replacing_a_route(net, nth, family):
    with route_to_restore(net, family) as restore, three_programs() as attributes:
        body = route(net, family, attributes)
        sweep(f"IPv{family} route replace", nth, Request(nth, nl.RTM_NEWROUTE, REPLACE, body),
              lambda: routes(family), restore)
        assert net.dropped(family)


@FAMILIES
def test_deleting_a_route(net, nth, family):
    with route_to_restore(net, family) as restore:
        sweep(f"IPv{family} route del", nth,
              Request(nth, nl.RTM_DELROUTE, 0, nl.service_route_request(family)),
              lambda: routes(family), restore)


@pytest.mark.needs("LWTUNNEL_BPF")
def test_deleting_builtin_route_by_its_program(net, nth):
    """lwtcls compares a route of the built-in encapsulation with the request by dumping both
    encapsulations. Without memory for the dump the route stays; without memory for the
    encapsulation of the request the kernel deletes the route whatever its program."""
    with program("lwt_xmit", "lwt_xmit_drop") as fd:
        body = route(net, 4, nl.attr(nl.LWT_XMIT, nl.attr(nl.PROG_FD, fd)
                                     + nl.attr(nl.PROG_NAME, "drop")))

        def restore():
            unload_module(NAME)
            assert nl.request("a", nl.RTM_NEWROUTE, REPLACE, body) == (0, "")
            sh(f"insmod {MODULE}")

        restore()
        sweep("IPv4 route del, built-in", nth,
              Request(nth, nl.RTM_DELROUTE, 0, body),
              lambda: routes(4), restore, TOLD | {errno.ESRCH})
    net.route(4)


@FAMILIES
def test_dumping_routes(net, nth, family):
    with route_to_restore(net, family):
        body = nl.rtmsg(DOMAIN[family])
        sweep(f"IPv{family} route dump", nth, Request(nth, nl.RTM_GETROUTE, nl.NLM_F_DUMP, body),
              lambda: routes(family))


def udp_socket(family):
    """Returns a UDP socket in a."""
    with inside("a"):
        return socket.socket(DOMAIN[family], socket.SOCK_DGRAM)


# Programs that act on locally generated packets on output or xmit.
SENT = {"xmit": ("ok", "redirect", "mark"), "out": ("ok", "reroute")}


@FAMILIES
@pytest.mark.parametrize("hook, name", [(hook, name) for hook, names in SENT.items()
                                        for name in names])
def test_sending_a_packet(net, nth, family, hook, name):
    """A packet for which an allocation fails is lost, and the next one passes."""
    net.encap(hook, name, family)
    with udp_socket(family) as sock:
        to = (net.service(family), 9)
        sweep(f"IPv{family} packet, {hook} {name}", nth,
              lambda number: nth.call(number, sock.sendto, b"x", to))
    sh(f"ip -{family} -n a route del {net.service(family)}")


@FAMILIES
@pytest.mark.differs(
    "packet on xmit, no memory for the MAC header",
    "drop reason of such packets, and of those whose protocol a program changed")
def test_allocating_headroom_for_mac_header(net, family):
    """If a program uses up the headroom and there is no memory for more, the packet is freed with a
    drop reason. The memory is limited because the skb's data has reserves, which hide a single
    failure."""
    net.encap("xmit", "narrow", family)
    told = []
    with Sender("a", family) as sender, events("skb/kfree_skb") as freed:
        for size in range(0, MOST, 32):
            with limited_memory(size):
                told.append(errno_of(sender.socket.sendto, b"x", (net.service(family), 9)))
            eventually(lambda: sender.queued() == 0)
            if not told[-1]:
                break
        reasons = {line.rpartition(" reason: ")[2] for line in freed() if OURS in line}
    # A route lookup without memory fails with ENETUNREACH.
    assert set(told) <= TOLD | {errno.ENETUNREACH, 0}
    assert errno.ENOMEM in told and told[-1] == 0
    assert reasons == {"NOMEM"}
    sh(f"ip -{family} -n a route del {net.service(family)}")


@contextlib.contextmanager
def pushing_route(net, family, kind):
    """A route whose program pushes a header on xmit. Yields the pusher, a function that adds the
    route again, and one that sends a packet by it."""
    where = f"ip -{family} -n a route"
    pusher = Pusher()

    def renew():
        sh(f"{where} flush {net.service(family)} && {where} add {net.service(family)} "
           f"encap bpf xmit pinned {pusher.PINS}/push_xmit headroom 64 "
           f"via {net.gateway(family)} dev va")

    try:
        renew()
        # The routes of the outer packets.
        sh("ip -n a route add 10.9.0.0/24 via 10.0.0.2 && "
           "ip -6 -n a route add fd09::/64 via fd00::2")
        with udp_socket(family) as sock, pusher.pushing(KINDS[kind].header(family)):
            yield pusher, renew, lambda: sock.sendto(b"x", (net.service(family), 9))
        sh(f"{where} del {net.service(family)}")
    finally:
        pusher.close()


# The program drops a packet if the helper fails.
PUSHED = TOLD | {errno.EPERM}
# Number of packets of a flow after which its route is cached.
CACHED = 3


@FAMILIES
@pytest.mark.parametrize("kind", ["gre", "gue", "gre6"])
def test_pushing_a_header(net, nth, family, kind):
    """A packet for which an allocation fails passes with a complete header or is lost, and the next
    one passes."""
    with pushing_route(net, family, kind) as (pusher, _, send):
        for _ in range(CACHED):
            send()
        sweep(f"IPv{family} packet, xmit push {kind}", nth, lambda number: nth.call(number, send),
              told=PUSHED)
        _, refused, error = pusher.seen()
        # No memory is needed if there is enough headroom.
        assert not refused or error == "ENOMEM"


@FAMILIES
def test_caching_a_route(net, nth, family):
    """If memory for the route cache cannot be allocated, the first packets of a route pass or are
    lost, and nothing remains allocated after the route is deleted."""
    with pushing_route(net, family, "gre") as (_, renew, send):
        def attempt(number):
            renew()
            return nth.call(number, lambda: [send() for _ in range(CACHED)])

        sweep(f"IPv{family} first packets, xmit push", nth, attempt, told=PUSHED)


@FAMILIES
@pytest.mark.parametrize("name", ["ok", "reroute"])
def test_receiving_a_packet(net, nth, family, name):
    """A packet for which an allocation fails on input is lost, and the next one passes. Writing to
    a tun device runs the receive path in the same thread."""
    sysctl("a", "ipv4/ip_forward", 1)
    sysctl("a", "ipv6/conf/all/forwarding", 1)
    sysctl("a", "ipv4/conf/all/rp_filter", 0)
    net.encap("in", name, family)
    # The forwarding route of a has the program, so the hook runs in a.
    sh(f"ip -{family} -n a route replace {net.service(family)} "
       f"encap bpf in obj lwt_in_{name}.o section lwt_in via {net.gateway(family)} dev va")
    source = {4: "10.8.0.2", 6: "fd08::2"}[family]
    with Tun("a", "tun0") as tun:
        data = packet(family, source, net.service(family))
        sweep(f"IPv{family} packet, in {name}", nth,
              lambda number: nth.call(number, os.write, tun.file, data))
    sh(f"ip -{family} -n a route del {net.service(family)}")
