# SPDX-License-Identifier: GPL-2.0-only
"""Operations that run concurrently while packets flow. Each is a process that repeats one kind of
operation with random parameters and counts the outcomes."""

import collections
import contextlib
import ctypes
import errno
import itertools
import multiprocessing
import os
import pathlib
import random
import re
import socket
import struct
import time
import traceback

import nl
from conftest import LIBC, MODULE, SYS_DELETE_MODULE, eventually, program_ids, programs, sh
from headers import DOMAIN
from test_offload import SKIP_SW, Hardware
from test_refusals import bytecode, options, prog

FORK = multiprocessing.get_context("fork")
PORT, MAGIC, SO_MARK, OUR_MARK = 4242, b"lwtc", 36, 0xC4
INFO_KIND, INFO_DATA, VETH_INFO_PEER = 1, 2, 1
CLSACT = (0xFFFF0000, 0xFFFFFFF1)
BLOCK = 0xFFFFFFFF
CREATE, EXCL, REPLACE = nl.NLM_F_CREATE, nl.NLM_F_EXCL, nl.NLM_F_REPLACE
UNSPEC, OK, SHOT, PIPE, GOTO_CHAIN = -1, 0, 2, 3, 0x20000000
# A priority has up to five filters, a hook up to four priorities.
PRIORITIES, HANDLES, CHAIN = range(1, 5), range(1, 6), 5
RETURN_ALL = struct.pack("=HBBI", 6, 0, 0, 0xFFFFFFFF)
# Interface indices; bpf/churn.c redirects to the first two.
SINK, FIRST_DUMMY, FIRST_VETH, FIRST_SHARED, LO = 9000, 10000, 20000, 30000, 1
# Network numbers of the devices that come and go, by kind; each kind has one network per slot.
SLOTS = range(4)
DUMMIES, NAMESPACES, SHARED = 20, 21, 22


class Worker:
    """A process that repeats an operation until it is told to stop, or until a deadline."""

    def __init__(self, name, what, *args, until=None):
        self.name = name
        self.pipe, self.its_pipe = FORK.Pipe()
        self.until = until
        self.process = FORK.Process(target=self.run, args=(what, args))
        self.process.start()

    def going(self):
        """Returns whether to continue."""
        if self.until:
            return time.monotonic() < self.until
        return not self.its_pipe.poll()

    def run(self, what, args):
        """Main function of the process."""
        done, wrong = collections.Counter(), ""
        try:
            what(done, self.going, *args)
        except BaseException:
            wrong = traceback.format_exc()
        self.its_pipe.send((done, wrong))

    def stop(self):
        """Tells the process to stop."""
        self.pipe.send(None)

    def result(self, seconds):
        """Returns the counts of the process, and the traceback if it failed."""
        if not self.pipe.poll(seconds):
            return collections.Counter(), f"does not end within {seconds:.0f} s"
        result = self.pipe.recv()
        self.process.join()
        return result

    def end(self):
        """Kills the process if it is still running."""
        self.process.kill()
        self.process.join()


def enter(namespace):
    """Moves this process into a namespace."""
    with open(f"/run/netns/{namespace}", "rb") as there:
        os.setns(there.fileno(), os.CLONE_NEWNET)


class Asker:
    """Sends requests and counts their outcomes. Errnos that a race explains are counted; any other
    errno is an error."""

    def __init__(self, done, namespace=None):
        self.done, self.requests = done, nl.Requests(namespace)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.requests.__exit__()

    def ask(self, what, kind, flags, body, *expected):
        """Sends a request and returns whether it succeeded."""
        self.requests.send(kind, flags, [body])
        for answer, payload in self.requests.answers():
            code = -struct.unpack_from("=i", payload)[0] if answer == nl.NLMSG_ERROR else 0
            if code:
                assert code in expected, f"{what}: {errno.errorcode.get(code, code)}"
                self.done[f"{what}: {errno.errorcode[code]}"] += 1
                return False
        self.done[what] += 1
        return True

    def link(self, index, name, kind, data=b""):
        """Creates a device."""
        info = nl.attr(INFO_KIND, kind) + (nl.attr(INFO_DATA, data) if data else b"")
        body = interface(index, name) + nl.attr(nl.IFLA_LINKINFO, info)
        self.ask(f"{kind} made", nl.RTM_NEWLINK, CREATE | EXCL, body)

    def start(self, index, net, slot, host):
        """Brings a device up and gives it the addresses of a network."""
        self.ask("devices up", nl.RTM_NEWLINK, 0, nl.ifinfomsg(index, nl.IFF_UP))
        self.address(index, net, slot, host)

    def unlink(self, what, index, *expected):
        """Deletes a device."""
        self.ask(what, nl.RTM_DELLINK, 0, nl.ifinfomsg(index), *expected)

    def address(self, index, net, slot, host):
        """Gives a device its addresses of a network."""
        for family, text, length in ((4, four(net, slot, host), 24), (6, six(net, slot, host), 64)):
            packed = socket.inet_pton(DOMAIN[family], text)
            body = struct.pack("=BBBBI", DOMAIN[family], length, nl.IFA_F_NODAD, 0, index)
            self.ask("addresses", nl.RTM_NEWADDR, CREATE,
                     body + nl.attr(nl.IFA_LOCAL, packed) + nl.attr(nl.IFA_ADDRESS, packed))

    def clsact(self, index, extra=b""):
        """Adds a clsact qdisc to a device."""
        body = struct.pack("=BxxxiIII", 0, index, *CLSACT, 0) + nl.attr(nl.TCA_KIND, "clsact")
        self.ask("clsact made", nl.RTM_NEWQDISC, CREATE | EXCL, body + extra)

    def no_clsact(self, index, what="clsact deleted"):
        """Deletes the clsact qdisc and its filters."""
        body = struct.pack("=BxxxiIII", 0, index, *CLSACT, 0)
        self.ask(what, nl.RTM_DELQDISC, 0, body + nl.attr(nl.TCA_KIND, "clsact"))


def interface(index, name):
    """C: struct ifinfomsg and the device's name."""
    return nl.ifinfomsg(index) + nl.attr(nl.IFLA_IFNAME, name)


def four(net, slot, host):
    """Returns an IPv4 address in the network of a slot."""
    return f"10.{net}.{slot}.{host}"


def six(net, slot, host):
    """Returns an IPv6 address in the network of a slot. Hosts from 128 on have their own routes."""
    return f"fd{net}:{slot}::{host:x}"


class Scene:
    """What the operations work with: programs by name, interface indices, the service addresses."""

    def __init__(self, seed, programs_, devices, services):
        self.seed, self.programs, self.devices = seed, programs_, devices
        self.services = services

    def random(self, *words):
        """Returns a random generator for one operation."""
        return random.Random("/".join(map(str, (self.seed, *words))))

    def filter(self, r, chain=0):
        """Returns the options of a random filter. A program that causes a drop counts it."""
        def act(verdict):
            return nl.attr(nl.BPF_ACT, nl.attr(1, nl.gact(verdict)))

        every = self.programs["tc_all"]
        classid = r.choice((b"", b"", b"", nl.attr(nl.BPF_CLASSID, 0x10002)))
        return r.choice((
            lambda: options(self.programs["tc_drop"], extra=classid),
            lambda: options(every),
            lambda: options(self.programs["tc_redirect"]),
            lambda: options(self.programs["tc_match"], 0, act(SHOT)),
            lambda: options(every, 0, act(r.choice((UNSPEC, UNSPEC, PIPE, OK)))),
            # Only filters outside the chain jump to it, so no packet loops.
            lambda: options(every, 0, act(UNSPEC if chain else GOTO_CHAIN | CHAIN)),
            lambda: bytecode(RETURN_ALL) + act(r.choice((UNSPEC, OK))),
        ))()

    def encap(self, r, **hooks):
        """Returns a random encapsulation, which may be empty: `hooks` maps each hook to the
        programs to choose from."""
        found = b""
        for hook, names in hooks.items():
            if name := r.choice((None, *names)):
                found += nl.attr({"in": nl.LWT_IN, "out": nl.LWT_OUT, "xmit": nl.LWT_XMIT}[hook],
                                 prog(self.programs[name], name))
        if not found:
            return b""
        return (nl.attr(nl.RTA_ENCAP_TYPE, struct.pack("=H", nl.ENCAP_BPF))
                + nl.attr(nl.RTA_ENCAP, found))


def route(family, target, length, index, encap, gateway=None, local=False):
    """Returns the body of a route request for the main table, or for the local table if `local`."""
    table, scope, kind = (255, 254, 2) if local else (254, 0 if gateway else 253, 1)
    if family == 6:
        scope = 0
    body = nl.rtmsg(DOMAIN[family], length, table, 4, scope, kind)
    body += nl.attr(nl.RTA_DST, socket.inet_pton(DOMAIN[family], target))
    if gateway:
        body += nl.attr(nl.RTA_GATEWAY, socket.inet_pton(DOMAIN[family], gateway))
    return body + nl.attr(nl.RTA_OIF, index) + encap


def change_filters(done, going, scene, namespace, parent, number):
    """Adds, replaces and deletes the filters of a hook that carries traffic."""
    r, index = scene.random("filters", namespace, number), scene.devices[namespace]

    def body(filled=False):
        chain = r.choice((0, 0, CHAIN))
        given = scene.filter(r, chain) if filled else None
        found = nl.tfilter(index, r.choice(HANDLES), given, parent, r.choice(PRIORITIES))
        return found + (nl.attr(nl.TCA_CHAIN, chain) if chain else b"")

    def add():
        asker.ask("filters added", nl.RTM_NEWTFILTER, CREATE | EXCL, body(True), errno.EEXIST)

    def replace():
        asker.ask("filters replaced", nl.RTM_NEWTFILTER, CREATE | REPLACE, body(True))

    def delete():
        asker.ask("filters deleted", nl.RTM_DELTFILTER, 0, body(), errno.ENOENT)

    def delete_priority():
        asker.ask("priorities deleted", nl.RTM_DELTFILTER, 0,
                  nl.tfilter(index, 0, None, parent, r.choice(PRIORITIES)), errno.ENOENT)

    def delete_all():
        asker.ask("hooks emptied", nl.RTM_DELTFILTER, 0,
                  struct.pack("=BxxxiIII", 0, index, 0, parent, 0), errno.ENOENT)

    with Asker(done, namespace) as asker:
        while going():
            r.choices((add, replace, delete, delete_priority, delete_all), (12, 8, 10, 1, 0.5))[0]()


def change_routes(done, going, scene):
    """Replaces the routes to the service, on the sending and on the receiving side."""
    r = scene.random("routes")
    with Asker(done, "a") as a, Asker(done, "b") as b:
        while going():
            family = r.choice((4, 6))
            target, gateway = scene.services[family]
            length = 32 if family == 4 else 128
            if r.randrange(2):
                encap = scene.encap(r, out=("out_drop",), xmit=(
                    "xmit_drop", "xmit_redirect", "xmit_reroute", "xmit_gre", "xmit_gre6"))
                body, asker = route(family, target, length, scene.devices["a"], encap, gateway), a
            else:
                encap = scene.encap(r, **{"in": ("in_drop", "in_reroute")})
                body, asker = route(family, target, length, LO, encap, local=True), b
            asker.ask("routes replaced", nl.RTM_NEWROUTE, CREATE | REPLACE, body)


class Sender:
    """UDP sockets whose packets the programs track; errnos of sendto() are counted."""

    # Dropped by a program; no such host or route; a device that is down or deleted.
    TOLD = (errno.EPERM, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENODEV, errno.ENETDOWN,
            errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENXIO)

    def __init__(self, done):
        self.done, self.sockets = done, {}
        for family in (4, 6):
            made = self.sockets[family] = socket.socket(DOMAIN[family], socket.SOCK_DGRAM)
            made.setsockopt(socket.SOL_SOCKET, SO_MARK, OUR_MARK)
            # A large send buffer: lost packets must be counted as lost, and must not block the
            # sender.
            made.setsockopt(socket.SOL_SOCKET, nl.SO_SNDBUFFORCE, 1 << 26)
            made.settimeout(10)

    def send(self, family, address):
        """Sends a packet."""
        try:
            self.sockets[family].sendto(b"churn " + MAGIC, (address, PORT))
            self.done["sendto"] += 1
        except OSError as error:
            if error.errno not in self.TOLD:
                raise
            self.done[f"sendto: {errno.errorcode[error.errno]}"] += 1

    def burst(self, net, slot, count=10):
        """Sends packets to a network: to a host on its connected route and to a host with its own
        route."""
        for host in (9, 200):
            for _ in range(count):
                self.send(4, four(net, slot, host))
                self.send(6, six(net, slot, host))


def send(done, going, scene, cpu):
    """Sends continuously: mostly to the service, the rest to devices that come and go."""
    os.sched_setaffinity(0, {cpu})
    # Leaves CPU time to the operations.
    os.nice(5)
    enter("a")
    r, sender = scene.random("send", cpu), Sender(done)
    targets = [(family, scene.services[family][0]) for family in (4, 6)] * 60
    for net, slot, host in itertools.product((DUMMIES, NAMESPACES, SHARED), SLOTS, (9, 200)):
        targets += [(4, four(net, slot, host)), (6, six(net, slot, host))]
    while going():
        for target in r.choices(targets, k=50):
            sender.send(*target)


def flood(done, going, scene):
    """Sends at full speed on every CPU: from b through a to the service. C: net/core/pktgen.c"""
    enter("b")
    # Raises the priority of the pktgen kernel threads above that of the operations.
    for each in pathlib.Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if each.read_text().startswith("kpktgend_"):
                os.setpriority(os.PRIO_PROCESS, int(each.parent.name), -10)
    generator = pathlib.Path("/proc/net/pktgen")
    devices = []
    for cpu, family in itertools.product(sorted(os.sched_getaffinity(0)), (4, 6)):
        devices.append(generator / f"vb@{cpu}{family}")
        (generator / f"kpktgend_{cpu}").write_text(f"add_device {devices[-1].name}")
        target, six = scene.services[family][0], "6" if family == 6 else ""
        for line in ("count 200", "pkt_size 100", "xmit_mode queue_xmit", f"dst{six} {target}",
                     "src6 fd00::77" if six else "src_min 10.0.0.77",
                     "dst_mac 02:00:00:00:00:01", "src_mac 02:00:00:00:00:77",
                     "udp_src_min 9", "udp_src_max 9", "udp_dst_min 9", "udp_dst_max 9"):
            devices[-1].write_text(line)
    try:
        while going():
            # The write returns when all threads have sent their packets,
            (generator / "pgctrl").write_text("start")
            for device in devices:
                # or at once if no thread has started yet.
                patience = time.monotonic() + 600
                while "Result: OK:" not in (said := device.read_text()):
                    assert time.monotonic() < patience, said
                    time.sleep(0.1)
                done["flooded"] += int(re.search(r"pkts-sofar: (\d+)", said)[1])
    finally:
        for cpu in os.sched_getaffinity(0):
            (generator / f"kpktgend_{cpu}").write_text("rem_device_all")


def receive(done, going):
    """Receives the packets of the service, to the last one."""
    enter("b")
    sockets, room = [], bytearray(2048)
    for family in (4, 6):
        made = socket.socket(DOMAIN[family], socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, nl.SO_RCVBUFFORCE, 1 << 26)
        if family == 6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(("" if family == 4 else "::", PORT))
        made.settimeout(0.1)
        sockets.append(made)
    more = True
    while more or going():
        more = False
        for made in sockets:
            with contextlib.suppress(TimeoutError):
                for _ in range(100):
                    made.recv_into(room)
                    done["received"] += 1
                    more = True


def equip(asker, scene, r, index, net, slot):
    """Adds filters to a device, and routes with programs through it."""
    asker.clsact(index)
    for priority in PRIORITIES:
        asker.ask("filters added", nl.RTM_NEWTFILTER, CREATE | EXCL,
                  nl.tfilter(index, 1, scene.filter(r), prio=priority))
    for family, target, length in ((4, four(net, slot, 128), 25), (6, six(net, slot, 128), 121)):
        encap = scene.encap(r, out=("out_drop",), xmit=("xmit_drop",))
        asker.ask("routes added", nl.RTM_NEWROUTE, CREATE | REPLACE,
                  route(family, target, length, index, encap))


def change_dummies(done, going, scene):
    """Creates and deletes the devices that packets go to."""
    enter("a")
    r, sender = scene.random("dummies"), Sender(done)
    with Asker(done) as asker:
        for slot in itertools.cycle(SLOTS):
            if not going():
                return
            index = FIRST_DUMMY + slot
            asker.link(index, f"dy{index}", "dummy")
            asker.start(index, DUMMIES, slot, 1)
            equip(asker, scene, r, index, DUMMIES, slot)
            sender.burst(DUMMIES, slot)
            # Deletes the oldest device, so several exist at a time.
            index = FIRST_DUMMY + (slot + 1) % len(SLOTS)
            if not exists(index):
                continue
            if r.randrange(3) == 0:
                asker.no_clsact(index)
            asker.unlink("dummies deleted", index)


@contextlib.contextmanager
def fresh_namespace():
    """Creates a namespace that only this process holds, and yields the file that refers to it."""
    with open("/proc/self/ns/net", "rb") as home:
        os.unshare(os.CLONE_NEWNET)
        try:
            there = open("/proc/self/ns/net", "rb")
            yield there
        finally:
            os.setns(home.fileno(), os.CLONE_NEWNET)


def exists(index):
    """Returns whether a device with this index exists."""
    with contextlib.suppress(OSError):
        return bool(socket.if_indextoname(index))
    return False


def furnish(asker, scene, r, index, slot):
    """Sets up a namespace so that incoming packets meet programs on filters and routes."""
    asker.ask("devices up", nl.RTM_NEWLINK, 0, nl.ifinfomsg(LO, nl.IFF_UP))
    asker.start(index, NAMESPACES, slot, 2)
    asker.clsact(index)
    asker.ask("filters added", nl.RTM_NEWTFILTER, CREATE | EXCL,
              nl.tfilter(index, 1, scene.filter(r), nl.TC_H_CLSACT_INGRESS))
    for family, host, length in ((4, four, 32), (6, six, 128)):
        encap = scene.encap(r, **{"in": ("in_drop",)})
        for number in (9, 200):
            asker.ask("routes added", nl.RTM_NEWROUTE, CREATE | REPLACE,
                      route(family, host(NAMESPACES, slot, number), length, LO, encap, local=True))


def change_namespaces(done, going, scene):
    """Creates and destroys namespaces and the veth pairs to them while packets are on their way
    there."""
    enter("a")
    r, sender = scene.random("namespaces"), Sender(done)
    with Asker(done) as asker:
        for index in itertools.count(FIRST_VETH, 2):
            if not going():
                return
            slot = index // 2 % len(SLOTS)
            # The device that had this slot in the last round.
            last = index - 2 * len(SLOTS)
            eventually(lambda last=last: not exists(last), 60)
            with fresh_namespace() as there:
                asker_there = Asker(done)
            peer = interface(index + 1, "peer") + nl.attr(nl.IFLA_NET_NS_FD, there.fileno())
            asker.link(index, f"ns{index}", "veth", nl.attr(VETH_INFO_PEER, peer))
            with asker_there:
                furnish(asker_there, scene, r, index + 1, slot)
            asker.start(index, NAMESPACES, slot, 1)
            equip(asker, scene, r, index, NAMESPACES, slot)
            sender.burst(NAMESPACES, slot)
            if r.randrange(2):
                asker.unlink("wires deleted", index)
            # Drops the last reference to the namespace.
            there.close()
            done["namespaces destroyed"] += 1


def change_blocks(done, going, scene):
    """Has two devices join and leave shared filter blocks."""
    enter("a")
    r, sender = scene.random("blocks"), Sender(done)
    shared = {FIRST_SHARED: False, FIRST_SHARED + 1: False}
    blocks = nl.attr(nl.TCA_EGRESS_BLOCK, 7) + nl.attr(nl.TCA_INGRESS_BLOCK, 8)
    with Asker(done) as asker:
        for slot, index in enumerate(shared):
            asker.link(index, f"sh{slot}", "dummy")
            asker.start(index, SHARED, slot, 1)
        while going():
            slot, index = r.choice(list(enumerate(shared)))
            if shared[index]:
                asker.no_clsact(index, "blocks left")
            else:
                asker.clsact(index, blocks)
                done["blocks joined"] += 1
            shared[index] = not shared[index]
            for _ in range(r.randrange(8) if any(shared.values()) else 0):
                handle, priority = r.choice(HANDLES), r.choice(PRIORITIES)
                if r.randrange(3):
                    asker.ask("filters of blocks replaced", nl.RTM_NEWTFILTER, CREATE | REPLACE,
                              nl.tfilter(BLOCK, handle, scene.filter(r), 7, priority))
                else:
                    asker.ask("filters of blocks deleted", nl.RTM_DELTFILTER, 0,
                              nl.tfilter(BLOCK, handle, None, 7, priority), errno.ENOENT)
            sender.burst(SHARED, slot, 2)
        for index in shared:
            asker.unlink("dummies deleted", index)


def change_hardware(done, going, scene):
    """Removes devices that have an offloaded filter."""
    enter("b")
    r, hardware = scene.random("hardware"), Hardware(None)
    gen = nl.attr(nl.BPF_FLAGS_GEN, SKIP_SW)
    with Asker(done) as asker, contextlib.closing(hardware):
        while going():
            port = hardware.plug(namespace="b")
            port.accepts("tc_non_bound", True)
            sh(f"ethtool -K {port} hw-tc-offload on")
            asker.clsact(port.ifindex)
            for _ in range(r.randrange(1, 4)):
                asker.ask("filters offloaded", nl.RTM_NEWTFILTER, CREATE | REPLACE, nl.tfilter(
                    port.ifindex, 1, options(scene.programs["tc_all"], extra=gen),
                    nl.TC_H_CLSACT_INGRESS))
                assert port.id
            hardware.unplug(hardware.devices)
            done["netdevsim devices removed"] += 1


def unload(done, going):
    """Tries to unload the module while it is in use. A refusal is cheap, so a pause follows each
    attempt."""
    while going():
        refused = LIBC.syscall(SYS_DELETE_MODULE, MODULE.stem.encode(), os.O_NONBLOCK) < 0
        code = ctypes.get_errno() if refused else 0
        assert code in (errno.EWOULDBLOCK, errno.EBUSY), f"rmmod: {errno.errorcode.get(code, code)}"
        done["rmmod refused"] += 1
        time.sleep(0.02)


def dump(done, going, scene):
    """Lists filters, routes, devices and programs."""
    places = [(namespace, index, parent) for namespace, index in scene.devices.items()
              for parent in (nl.TC_H_CLSACT_EGRESS, nl.TC_H_CLSACT_INGRESS)]
    places += [("a", BLOCK, 7), ("a", BLOCK, 8)]
    with nl.Requests("a") as a, nl.Requests("b") as b:
        requests = {"a": a, "b": b}
        for number in itertools.count():
            for namespace, index, parent in places:
                requests[namespace].dump(
                    nl.RTM_GETTFILTER, struct.pack("=BxxxIIII", 0, index, 0, parent, 0))
                done["dumps of filters"] += 1
            for each in requests.values():
                for family in (4, 6):
                    each.dump(nl.RTM_GETROUTE, nl.rtmsg(DOMAIN[family]))
                    done["dumps of routes"] += 1
                each.dump(nl.RTM_GETLINK, nl.ifinfomsg())
            if number % 10 == 0:
                programs()
            program_ids()
            done["lists of programs"] += 1
            if not going():
                return
