# SPDX-License-Identifier: GPL-2.0-only
"""Thousands of malformed requests, random headers, verdicts and programs, and misbehaving devices,
generated from a seed.

LWTCLS_FUZZ: number of requests. LWTCLS_SEED: the seed. LWTCLS_ROUND: number of requests after which
everything that they have created is deleted. The answers are printed for
scripts/check/fuzz-diff.py, which compares them with those of another kernel.
"""

import base64
import collections
import contextlib
import ctypes
import errno
import os
import pathlib
import random
import socket
import struct
import time
import zlib

import needs
import nl
import pytest
from bpf_syscall import bpf
from conftest import (
    BUILD,
    KERNEL,
    MEASURED,
    MODULE,
    SIDE,
    batch,
    eventually,
    kernel_log,
    load_module,
    module_loaded,
    program,
    sh,
    unload_module,
)
from fuzz import BLOCK, DUMP_TERSE, FDS, MAGIC_BLOCK, ROUND, World, htb, htb_class, message
from fuzz_network import PacketNetwork, name_of
from fuzz_programs import Program
from fuzz_socket import SILENT, FuzzSocket
from headers import KINDS, Header, packet
from kcov import Coverage
from network import Net
from pusher import Pusher
from splats import splats
from test_offload import IN_HW, NOT_IN_HW, SKIP_HW, SKIP_SW, Hardware
from test_permissions import insn, load
from test_refusals import RETURN_0, bytecode

pytestmark = [pytest.mark.ipv6, pytest.mark.needs("NET_CLS_ACT")]

SEED = int(os.environ.get("LWTCLS_SEED", "20261122"))
COUNT = int(os.environ.get("LWTCLS_FUZZ", "5000"))
# Number of random packet programs, and of operations on devices.
MORE = min(COUNT // 10, 2000)
# The state is compared before and after each n-th request.
CHECK = 20
LOADED = {"in": ("lwt_in", "lwt_in_ok"), "out": ("lwt_out", "lwt_out_ok"),
          "xmit": ("lwt_xmit", "lwt_xmit_ok"), "xmit_other": ("lwt_xmit", "lwt_xmit_drop"),
          "tc": ("classifier", "tc_ok"), "tc_other": ("classifier", "tc_shot"),
          "tc_realm": ("classifier", "tc_realm_ok")}
RTPROT_KERNEL = 2
PLACES = (("filters", nl.TC_H_CLSACT_EGRESS), ("filters", nl.TC_H_CLSACT_INGRESS),
          ("block", BLOCK), ("routes", 0x10000), ("routes", 0x10001))


def keep_open(made):
    """Opens the files that requests refer to, at the descriptor numbers that they use."""
    files = []
    for label in FDS:
        if label in LOADED:
            with program(*LOADED[label]) as fd:
                files.append(os.dup(fd))
        elif label == "map":
            files.append(bpf(0, "=IIII", 2, 4, 4, 1)[0])
        else:
            files.append(os.open("/dev/null", os.O_RDONLY))
    for label, fd in zip(FDS, files, strict=True):
        os.dup2(fd, made.fd(label), inheritable=False)
        os.close(fd)


class RequestNetwork:
    """Two namespaces, and the configuration that the requests in the first one start from."""

    def __init__(self):
        self.net = Net()
        batch("-n a", "link add d0 type dummy", "link add d1 type dummy", "link set d0 up",
              "addr add 10.8.0.1/24 dev d1", "link set d1 up")
        index = {name: int(sh(f"ip netns exec a cat /sys/class/net/{name}/ifindex"))
                 for name in ("va", "d0", "d1")}
        self.world, self.shared = World(index["va"], index["d1"]), index["d0"]
        keep_open(self.world)
        self.socket = FuzzSocket("a")
        self.set_up()

    def close(self):
        """Deletes everything."""
        self.socket.sock.close()
        for label in FDS:
            os.close(self.world.fd(label))
        self.net.close()

    def must_succeed(self, kind, flags, body):
        """Sends a request that must succeed."""
        answer, _ = self.socket.request(kind, flags, body)
        assert not answer.error, f"request {kind}: {answer}"

    def set_up(self):
        """Creates the qdiscs, classes and addresses that filters and routes refer to."""
        for ifindex, extra in ((self.world.filters, b""),
                               (self.shared, nl.attr(nl.TCA_INGRESS_BLOCK, BLOCK))):
            body = struct.pack("=BxxxiIII", 0, ifindex, 0xFFFF0000, nl.TC_H_CLSACT, 0)
            self.must_succeed(nl.RTM_NEWQDISC, nl.NLM_F_CREATE | nl.NLM_F_EXCL,
                              body + nl.attr(nl.TCA_KIND, "clsact") + extra)
        self.must_succeed(nl.RTM_NEWQDISC, nl.NLM_F_CREATE | nl.NLM_F_EXCL, htb(self.world.routes))
        for minor in (1, 2):
            self.must_succeed(nl.RTM_NEWTCLASS, nl.NLM_F_CREATE,
                              htb_class(self.world.routes, minor))
        self.set_iff_up(nl.IFF_UP)
        address = socket.inet_pton(socket.AF_INET6, "fd08::1")
        body = struct.pack("=BBBBI", socket.AF_INET6, 64, nl.IFA_F_NODAD, 0, self.world.routes)
        self.must_succeed(nl.RTM_NEWADDR, nl.NLM_F_CREATE | nl.NLM_F_REPLACE,
                          body + nl.attr(nl.IFA_LOCAL, address) + nl.attr(1, address))

    def set_iff_up(self, up):
        """Sets or clears IFF_UP of the device of the routes. Clearing it deletes its routes."""
        self.must_succeed(nl.RTM_NEWLINK, 0, nl.ifinfomsg(self.world.routes, up, nl.IFF_UP))

    def tear_down(self):
        """Deletes all filters and routes."""
        for ifindex in (self.world.filters, self.shared):
            self.must_succeed(nl.RTM_DELQDISC, 0,
                              struct.pack("=BxxxiIII", 0, ifindex, 0xFFFF0000, nl.TC_H_CLSACT, 0))
        # Deletes the qdisc with its classes and all chains: a request may name any chain.
        self.must_succeed(nl.RTM_DELQDISC, 0, htb(self.world.routes))
        self.set_iff_up(0)

    def filters(self):
        """Returns all filters, without the actions, which have ages."""
        found = []
        for where, parent in PLACES:
            index = MAGIC_BLOCK if where == "block" else getattr(self.world, where)
            answer, listed = self.socket.request(
                nl.RTM_GETTFILTER, nl.NLM_F_DUMP, struct.pack("=BxxxIIII", 0, index, 0, parent, 0))
            assert not answer.error, answer
            for each in listed:
                top = nl.attrs(each[20:])
                options = nl.attrs(top.get(nl.TCA_OPTIONS, b""))
                options.pop(nl.BPF_ACT, None)
                found.append((where, each[:20], top.get(nl.TCA_CHAIN), sorted(options.items())))
        return found

    def routes(self):
        """Returns all routes without their ages. Routes that the kernel adds, which it does
        asynchronously, are left out."""
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            answer, listed = self.socket.request(nl.RTM_GETROUTE, nl.NLM_F_DUMP,
                                                 nl.rtmsg(family))
            assert not answer.error, answer
            for each in listed:
                attrs = nl.attrs(each[12:])
                attrs.pop(nl.RTA_CACHEINFO, None)
                if each[5] != RTPROT_KERNEL:
                    found.append((each[:8], sorted(attrs.items())))
        return found

    def state(self):
        """Returns all state that requests may change."""
        return self.filters(), self.routes()


@pytest.fixture(name="network")
def fixture_network():
    """The namespaces and devices that requests are about."""
    with contextlib.closing(RequestNetwork()) as made:
        yield made


@pytest.fixture(name="coverage", scope="module", autouse=True)
def fixture_coverage(module):
    """Records the module's code that all scenarios of this file reach."""
    assert module is None
    made = Coverage()
    made.begin()
    yield made
    made.close()
    if made.reached:
        MEASURED.extend(made.show())


@pytest.fixture(autouse=True)
def collected(coverage):
    """Collects the coverage of each scenario."""
    yield
    coverage.collect()


class Record:
    """The answers, in a form that is short to print."""

    def __init__(self, what, *words):
        self.head, self.data = " ".join(map(str, (what, SEED, *words))), bytearray()

    def show(self, capsys):
        """Prints the record."""
        text = base64.b85encode(zlib.compress(bytes(self.data), 9)).decode()
        with capsys.disabled():
            print(f"\nfuzz: begin {self.head} {len(self.data)}")
            for at in range(0, len(text), 2000):
                print(f"fuzz: {text[at:at + 2000]}")
            print("fuzz: end", flush=True)


def refused_by_core(asked, said):
    """Returns whether the core, and not the module, refused the request without an extack
    message."""
    name = errno.errorcode.get(said.error)
    if asked.kind == nl.RTM_NEWROUTE:
        return name in ("EEXIST", "ENOENT")
    if asked.kind == nl.RTM_DELROUTE:
        return name == "ESRCH"
    return False


def test_requests(network, coverage, capsys):
    record = Record("requests", ROUND, *network.world)
    lines, start = len(kernel_log()), time.monotonic()
    counts, unsaid = collections.Counter(), []
    for number in range(COUNT):
        if number and number % ROUND == 0:
            network.tear_down()
            network.set_up()
            coverage.collect()
            if number % (20 * ROUND) == 0:
                with capsys.disabled():
                    print(f"\nfuzz: at {number}", end="", flush=True)
        asked = message(SEED, number, network.world)
        compared = number % CHECK == 0 and struct.pack("=H", nl.RTA_MULTIPATH) not in asked.body()
        before = network.state() if compared else None
        said, _ = network.socket.send(asked.packed(number))
        record.data.append(min(said.error, 254) if said.error != SILENT else SILENT)
        counts[said.error] += 1
        if said.error not in (0, SILENT):
            if compared:
                assert network.state() == before, f"message {number} was refused, but did something"
            if asked.inner and not said.why and not refused_by_core(asked, said):
                unsaid.append((number, asked.kind, str(said)))
    seconds = time.monotonic() - start
    record.show(capsys)
    names = {errno.errorcode.get(each, each): count for each, count in counts.most_common()}
    MEASURED.append(f"fuzz: seed {SEED}, {COUNT} requests in {seconds:.0f} s, "
                    f"{counts[0]} accepted, {len(counts)} answers: {names}")
    assert counts[0] > COUNT // 20 and len(counts) > 6
    assert not splats(kernel_log()[lines:])
    if SIDE == "rust":
        assert not unsaid, f"{len(unsaid)} refusals without an extack message: {unsaid[:20]}"

    network.tear_down()
    network.set_up()
    assert network.filters() == []
    assert not [attrs for _, attrs in network.routes() if nl.RTA_ENCAP in dict(attrs)]
    users = pathlib.Path(f"/sys/module/{MODULE.stem}/refcnt")
    eventually(lambda: users.read_text() == "0\n")


def test_refused_filters_take_no_handle(network):
    index = network.world.filters
    fd = nl.attr(nl.BPF_FD, network.world.fd("tc"))
    create = nl.NLM_F_CREATE

    def automatic():
        """Returns the handle that the kernel chooses for a new filter."""
        network.must_succeed(nl.RTM_NEWTFILTER, create, nl.tfilter(index, 0, fd))
        handles = {struct.unpack_from("=I", each[1], 8)[0] for each in network.filters()}
        return max(handles)

    assert automatic() == 1
    refused = taken = 0
    for number in range(COUNT // 10):
        asked = message(SEED, number, network.world)
        if asked.kind != nl.RTM_NEWTFILTER or not asked.inner:
            continue
        head = struct.pack("=BxxxIIII", 0, index, 0, nl.TC_H_CLSACT_EGRESS, 1 << 16 | 0x0300)
        asked = asked._replace(head=head, flags=create)
        said, _ = network.socket.send(asked.packed(number))
        if said.error:
            refused += 1
        elif not any(node.kind == nl.TCA_CHAIN and any(node.body) for node in asked.nodes):
            taken += 1
    assert refused > 10 and automatic() == taken + 2


def some_header(r):
    """Returns a random header, and the family of the packet that it is pushed to."""
    inner = r.choice((4, 6))
    if r.randrange(100) < 15:
        return Header(r.randbytes(r.randrange(0, 265))), inner
    kinds = [kind for kind in KINDS.values() if inner in kind.devices]
    kind, fields = r.choice(kinds), {}
    if kind.outer == 6:
        fields["extension"] = r.randrange(4) == 0
    else:
        fields["options"] = r.choice((b"", b"", b"", b"\1" * 4, b"\1" * 40))
    made = kind.header(inner, **fields)
    data = bytearray(made.data)
    what = r.randrange(8)
    if what == 0:
        data = data[:r.randrange(len(data) + 1)]
    elif what == 1:
        data += r.randbytes(r.randrange(1, 264 - len(data) + 1))
    elif what in (2, 3, 4):
        for _ in range(r.randrange(1, 4)):
            data[r.randrange(min(len(data), 44))] = r.choice((0, 1, 4, 6, 17, 47, 0x44, 0x45, 0x4F,
                                                              0x60, 255, r.randrange(256)))
    elif what == 5:
        # The header length of IPv4.
        data[0] = data[0] & 0xF0 | r.randrange(16)
    return Header(bytes(data[:264]), made.lengths if r.randrange(2) else ()), inner


@pytest.fixture(name="pusher")
def fixture_pusher():
    """The program that pushes the header that a map holds."""
    made = Pusher()
    try:
        yield made
    finally:
        made.close()


def header_of(number):
    """Returns the hook, header, packet and family with this number."""
    r = random.Random(f"{SEED}/push/{number}")
    hook = r.choice(("in", "xmit"))
    header, family = some_header(r)
    ends = ("10.0.0.1", "10.0.0.2") if family == 4 else ("fd00::1", "fd00::2")
    return hook, header, packet(family, *ends, r.randbytes(r.randrange(0, 200))), family


BPF_F_TEST_SKB_CHECKSUM_COMPLETE = 4


@pytest.mark.pushes
@pytest.mark.differs("outer IPv4 header with an IHL below 5")
def test_headers(pusher, coverage, capsys):
    record, lines = Record("headers"), len(kernel_log())
    counts = collections.Counter()
    for number in range(COUNT // 10):
        hook, header, inner, family = header_of(number)
        link = bytes(12) + (b"\x08\0" if family == 4 else b"\x86\xdd")
        error, after = pusher.run(hook, header, link + inner)
        counts[error] += 1
        code = 0 if error == 0 else getattr(errno, str(error), 253)
        record.data += struct.pack("=BI", code, zlib.crc32(after))
        if number % 250 == 0:
            coverage.collect()
        if SIDE == "rust":
            assert after.endswith(inner), f"header {number}: the packet was spoilt"
            pushed = 0 if error or not header.data else len(header.data)
            assert len(after) == pushed + len(inner), f"header {number}: {error}"
            if hook == "in":
                # The C code miscomputes CHECKSUM_COMPLETE for some headers.
                again = pusher.run(hook, header, link + inner, BPF_F_TEST_SKB_CHECKSUM_COMPLETE)
                assert again == (error, after), f"header {number}: {again[0]}"
    record.show(capsys)
    MEASURED.append(f"fuzz: {COUNT // 10} headers: {dict(counts)}")
    assert counts[0] > COUNT // 100 and len(counts) > 1
    assert not splats(kernel_log()[lines:])


VERDICTS = (*range(11), -1, *(random.Random(f"{SEED}/verdicts").getrandbits(32)
                             for _ in range(8)))


def attach(net, hook, number, fd):
    """Attaches a program to a hook that the packets to the service pass."""
    if hook == "tc":
        flags = nl.attr(nl.BPF_FLAGS, nl.DIRECT)
        assert nl.add_filter(net.ifindex, nl.attr(nl.BPF_FD, fd) + flags) == (0, "")
        return
    # The name differs each time, because to the C code routes with the same names are equal.
    each = nl.attr(nl.PROG_FD, fd) + nl.attr(nl.PROG_NAME, f"n-{number}")
    if hook != "in":
        encap = nl.attr({"out": nl.LWT_OUT, "xmit": nl.LWT_XMIT}[hook], each)
        assert nl.add_route(4, net.ifindex, encap) == (0, "")
        return
    # b delivers the packet, so the table and the type are "local".
    body = nl.rtmsg(socket.AF_INET, 32, 255, 4, 254, 2)
    body += nl.attr(nl.RTA_DST, socket.inet_aton("10.1.0.1")) + nl.attr(nl.RTA_OIF, 1)
    body += nl.attr(nl.RTA_ENCAP_TYPE, struct.pack("=H", nl.ENCAP_BPF))
    body += nl.attr(nl.RTA_ENCAP, nl.attr(nl.LWT_IN, each))
    assert nl.request("b", nl.RTM_NEWROUTE, nl.NLM_F_CREATE | nl.NLM_F_REPLACE, body) == (0, "")


@pytest.mark.parametrize("hook, kind", [("in", 10), ("out", 11), ("xmit", 12), ("tc", 3)])
def test_verdicts(net, hook, kind, capsys):
    """No verdict causes a splat; the effect of each is recorded for comparison with the C code."""
    record, lines = Record(f"verdicts-{hook}"), len(kernel_log())
    net.route(4)
    net.tc("qdisc add dev va clsact")
    with nl.inside("b"):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("0.0.0.0", 7000))
        server.settimeout(5)
    with nl.inside("a"):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, client:
        for number, verdict in enumerate(VERDICTS):
            fd = load(kind, insn(0xb7, number=ctypes.c_int32(verdict).value) + insn(0x95))
            try:
                attach(net, hook, number, fd)
                try:
                    client.sendto(b"judged", ("10.1.0.1", 7000))
                    code = 0
                except OSError as error:
                    code = error.errno
                if hook == "tc":
                    net.tc("filter del dev va egress")
                # This packet cannot overtake the first one.
                client.sendto(b"after", ("10.0.0.2", 7000))
                arrived = server.recv(100) == b"judged"
                if arrived:
                    assert server.recv(100) == b"after"
                record.data += bytes((code, arrived))
            finally:
                os.close(fd)
    record.show(capsys)
    assert record.data[:2] == bytes((0, True))
    assert not splats(kernel_log()[lines:])


# Modules that take something that lwtcls needs, and the errno of loading lwtcls then, without and
# with cls_only.
TAKERS = {"": (0, 0), "cls_bpf": (errno.EBUSY, errno.EBUSY)}
if needs.has("DYNAMIC_FTRACE_WITH_ARGS"):
    TAKERS["lwtcls_tracer"] = (0, 0)
# The slot is free only if the kernel has no built-in encapsulation.
if not needs.has("LWTUNNEL_BPF"):
    TAKERS["lwtcls_slot"] = (0, 0)


@pytest.mark.only_here("the module itself")
def test_load_with_slot_or_kind_in_use(coverage):
    """The module loads if its slot and kind are free, and behaves as documented if one of them is
    taken."""
    lines = len(kernel_log())
    paths = {name: BUILD / f"tests/modules/{name}.ko" for name in TAKERS if "lwtcls" in name}
    paths["cls_bpf"] = KERNEL / "net/sched/cls_bpf.ko"
    r = random.Random(f"{SEED}/modules")
    orders = [(taker, cls_only) for taker in TAKERS for cls_only in (False, True)]
    unload_module(MODULE.stem)
    coverage.collect()
    try:
        for taker, cls_only in r.sample(orders, len(orders)):
            if taker:
                assert load_module(paths[taker]) == 0
            assert load_module(MODULE, "cls_only=1" if cls_only else "") == TAKERS[taker][cls_only]
            if module_loaded(MODULE.stem):
                coverage.begin()
                coverage.collect()
                unload_module(MODULE.stem)
                coverage.collect()
            else:
                coverage.forget()
            if taker:
                unload_module(taker)
    finally:
        assert load_module(MODULE) == 0
        coverage.begin()
    assert not splats(kernel_log()[lines:])


@pytest.mark.needs("NET_VRF")
@pytest.mark.only_here("the C crashes")
def test_packets(coverage):
    """Random programs on random packets cause no splat."""
    lines, counts = len(kernel_log()), collections.Counter()
    network = PacketNetwork()
    try:
        for number in range(MORE):
            r = random.Random(f"{SEED}/packets/{number}")
            hook = r.choice(("in", "out", "xmit", "xmit", "xmit", "tc", "tc"))
            try:
                fd = Program(r, hook, network).make()
            except OSError as error:
                counts["program", hook, name_of(error.errno)] += 1
                continue
            if hook == "tc":
                said = network.filter(r, fd)
            else:
                said = max(network.route(r, family, hook, fd, number) for family in (4, 6))
            os.close(fd)
            counts[hook, name_of(said)] += 1
            for _ in range(4):
                counts["packet", name_of(network.send(r))] += 1
            if number % 20 == 19:
                network.forget()
                for device in network.devices.values():
                    device.drain()
                coverage.collect()
    finally:
        network.close()
    MEASURED.append(f"fuzz: programs and packets: {dict(counts)}")
    assert not splats(kernel_log()[lines:])


class OffloadNetwork:
    """Offload devices with two ports and with one port, which accept or refuse filters at random, a
    device without offload, and the shared block."""

    def __init__(self, net):
        self.net, self.hardware, self.socket = net, Hardware(net), FuzzSocket("a")
        try:
            self.ports = [*self.hardware.plug(ports=2), self.hardware.plug()]
            self.programs = [self.hardware.load("ok"), self.hardware.load("shot"),
                             self.hardware.load("ok", self.ports[0]),
                             self.hardware.load("shot", self.ports[2])]
        except BaseException:
            self.close()
            raise
        # By port, the ids of the offloaded programs of its filters.
        self.offered = {}
        # The state of each device: on the shared block, with its own qdisc, or without one.
        self.where = {each.ifindex: None for each in self.ports} | {net.ifindex: None}

    def close(self):
        """Deletes everything."""
        self.socket.sock.close()
        self.hardware.close()

    def clsact(self, ifindex, there):
        """Adds or deletes the clsact qdisc of a device; returns the answer."""
        body = struct.pack("=BxxxiIII", 0, ifindex, 0xFFFF0000, nl.TC_H_CLSACT, 0)
        body += nl.attr(nl.TCA_KIND, "clsact")
        if there == "block":
            body += nl.attr(nl.TCA_INGRESS_BLOCK, BLOCK)
        kind = nl.RTM_NEWQDISC if there else nl.RTM_DELQDISC
        flags = nl.NLM_F_CREATE | nl.NLM_F_EXCL if there else 0
        answer, _ = self.socket.request(kind, flags, body)
        if not answer.error:
            self.where[ifindex] = there
        return answer

    def places(self):
        """Returns where filters can be added: the index and parent of each place."""
        found = [(ifindex, nl.TC_H_CLSACT_INGRESS) for ifindex, there in self.where.items()
                 if there == "own"]
        return found + [(MAGIC_BLOCK, BLOCK)] * ("block" in self.where.values())

    def filters(self, place, terse=False):
        """Returns the program ids and generic flags of the filters of a place."""
        body = struct.pack("=BxxxIIII", 0, place[0], 0, place[1], 0)
        if terse:
            body += nl.attr(nl.TCA_DUMP_FLAGS, struct.pack("=II", DUMP_TERSE, DUMP_TERSE))
        answer, listed = self.socket.request(nl.RTM_GETTFILTER, nl.NLM_F_DUMP, body)
        assert not answer.error, answer
        options = [nl.attrs(nl.attrs(each[20:]).get(nl.TCA_OPTIONS, b"")) for each in listed]
        return [(struct.unpack("=I", each.get(nl.BPF_ID, bytes(4)))[0],
                 struct.unpack("=I", each[nl.BPF_FLAGS_GEN])[0])
                for each in options if nl.BPF_FLAGS_GEN in each]

    def check(self):
        """Checks that dumps agree with the state of the devices."""
        shown = {place: self.filters(place) for place in self.places()}
        for place, found in shown.items():
            for _, flags in found:
                assert bool(flags & IN_HW) != bool(flags & NOT_IN_HW), f"{place}: {found}"
            assert sorted(flags for _, flags in found) == sorted(
                flags for _, flags in self.filters(place, terse=True))
        for port in self.ports:
            there = self.where[port.ifindex]
            place = ((MAGIC_BLOCK, BLOCK) if there == "block"
                     else (port.ifindex, nl.TC_H_CLSACT_INGRESS))
            has = int((port.path / "bpf_offloaded_id").read_text())
            offered = [each for each, flags in shown.get(place, ()) if flags & IN_HW]
            self.offered[port] = offered
            assert not has or has in offered, f"{port} has {has}, shown are {shown}"
            if there == "own":
                # Bytecode has no id.
                assert offered in ([has], [has] if has else []), f"{port} has {has}: {shown}"

    def act(self, r):
        """Performs a random operation; returns its name and errno."""
        places = self.places()
        if not places or r.randrange(100) < 20:
            ifindex = r.choice(list(self.where))
            there = None if self.where[ifindex] else r.choice(("block", "block", "own"))
            answer = self.clsact(ifindex, there)
            return "join" if there else "leave", answer.error
        if r.randrange(100) < 20:
            port, what = r.choice(self.ports), r.choice(("tc", "tc_non_bound"))
            # A port that refuses requests would also refuse to remove its filter.
            if what == "tc_non_bound" or not self.offered.get(port):
                port.accepts(what, r.randrange(3) > 0)
            return "accept", 0
        place, kind = r.choice(places), r.choice((nl.RTM_NEWTFILTER,) * 5 + (nl.RTM_DELTFILTER,))
        protocol = 0x0300 if r.randrange(10) else 0x0008
        prio = r.choice((1, 1, 1, 2))
        body = struct.pack("=BxxxIIII", 0, place[0], r.choice((0, 1, 1, 1, 1, 2)), place[1],
                           prio << 16 | protocol) + nl.attr(nl.TCA_KIND, "bpf")
        if r.randrange(10) == 0:
            body += nl.attr(nl.TCA_CHAIN, 5)
        if kind == nl.RTM_DELTFILTER:
            answer, _ = self.socket.request(kind, 0, body)
            return "delete", answer.error
        if r.randrange(10):
            options = nl.attr(nl.BPF_FD, r.choice(self.programs).fd)
        else:
            options = bytecode(RETURN_0)
        options += nl.attr(nl.BPF_FLAGS, r.choice((0, 1)))
        options += nl.attr(nl.BPF_FLAGS_GEN, r.choice((0, 0, SKIP_SW, SKIP_SW, SKIP_SW, SKIP_HW)))
        if r.randrange(5) == 0:
            options += nl.attr(nl.BPF_CLASSID, 0x10001)
        if r.randrange(5) == 0:
            options += nl.attr(nl.BPF_NAME, "name")
        flags = r.choice((nl.NLM_F_CREATE, 0) + (nl.NLM_F_CREATE | nl.NLM_F_REPLACE,) * 4)
        answer, _ = self.socket.request(kind, flags, body + nl.attr(nl.TCA_OPTIONS, options))
        return "filter", answer.error


@pytest.mark.needs("NETDEVSIM")
@pytest.mark.only_here("the C leaves freed programs in devices")
def test_devices(net, coverage):
    """Devices accept and refuse filters, and join and leave; dumps agree with their state."""
    lines, counts = len(kernel_log()), collections.Counter()
    devices = OffloadNetwork(net)
    try:
        for number in range(MORE):
            r = random.Random(f"{SEED}/devices/{number}")
            what, error = devices.act(r)
            counts[what, name_of(error)] += 1
            devices.check()
            if number % 20 == 19:
                coverage.collect()
        for ifindex, there in devices.where.items():
            if there:
                assert not devices.clsact(ifindex, None).error
        devices.check()
    finally:
        devices.close()
    MEASURED.append(f"fuzz: devices: {dict(counts)}")
    assert not splats(kernel_log()[lines:])
