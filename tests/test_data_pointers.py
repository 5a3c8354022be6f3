# SPDX-License-Identifier: GPL-2.0-only
"""Filters that modify a packet, each followed by one that reads it through direct packet access.

`data`, `data_end` and `data_meta` of the second program are compared with what
`bpf_skb_load_bytes()` reads, and with the kernel's view of the packet (tests/bpf/data_pointers.c).
"""

import contextlib
import errno
import itertools
import socket
import struct
from typing import NamedTuple

import nl
import pytest
from conftest import batch, modprobe
from journal import JOURNAL, recorded
from pins import Pins
from wires import Sender, carry

pytestmark = pytest.mark.needs("NET_CLS_ACT", "DEBUG_INFO_BTF", "BPF_JIT")
(CHANGE_TAIL, CHANGE_HEAD, ADJUST_ROOM, VLAN_PUSH, VLAN_POP, PULL_DATA, CHANGE_PROTO, STORE_BYTES,
 L3_CSUM, L4_CSUM, CHANGE_TYPE, TUNNEL_KEY, DYNPTR, DYNPTR_META, CLONE_REDIRECT, CT_LOOKUP,
 FOU_ENCAP, SET_TSTAMP) = range(1, 19)
NET, MAC = 0, 1
ENCAP_L3_IPV4, ENCAP_L3_IPV6, FIXED_GSO, NO_CSUM_RESET = 2, 4, 1, 32
INVALIDATE, RECOMPUTE, FROM_ZERO = 2, 1, 1
IPV4, IPV6 = 0x0800, 0x86DD
ENOTSUPP = 524
METADATA = 0x0807060504030201
UDP_SEGMENT = 103
HTB = 0x10000
PARENTS = {"ingress": nl.TC_H_CLSACT_INGRESS, "metadata": nl.TC_H_CLSACT_INGRESS,
           "egress": nl.TC_H_CLSACT_EGRESS, "htb": HTB}
IFLA_XDP, IFLA_XDP_FD, IFLA_XDP_FLAGS, XDP_FLAGS_SKB_MODE = 43, 1, 3, 2
HEADERS = 14 + 20 + 8
SIZE = 600
INWARD = ("ingress", "metadata")
# Stands for the index of the device that clones are redirected to.
DEVICE = object()


class Change(NamedTuple):
    """An operation on a packet: its arguments, the helper's result, the change of the packet's
    length, and whether the packet arrives."""

    op: int
    a: object = 0
    b: int = 0
    flags: int = 0
    answer: int = 0
    longer: int = 0
    arrives: bool = True


def refused_change(op, error, *args, **fields):
    """An operation that is refused and leaves the packet unchanged."""
    return Change(op, *args, answer=-error, **fields)


# The lengths of CHANGE_TAIL and PULL_DATA are relative to that of the packet, or, with FROM_ZERO,
# absolute.
CHANGES = {
    "change_tail": [
        Change(CHANGE_TAIL, 100, longer=100),
        Change(CHANGE_TAIL, 3000, longer=3000, arrives=False),
        Change(CHANGE_TAIL, -300, longer=-300, arrives=False),
        Change(CHANGE_TAIL, 0),
        refused_change(CHANGE_TAIL, errno.EINVAL, 1, FROM_ZERO),
        refused_change(CHANGE_TAIL, errno.EINVAL, 1 << 20, FROM_ZERO),
        refused_change(CHANGE_TAIL, errno.EINVAL, 100, 0, 1),
    ],
    "change_head": [
        Change(CHANGE_HEAD, 0),
        Change(CHANGE_HEAD, 14, longer=14, arrives=False),
        Change(CHANGE_HEAD, 500, longer=500, arrives=False),
        refused_change(CHANGE_HEAD, errno.EINVAL, 1 << 20),
        refused_change(CHANGE_HEAD, errno.EINVAL, -1),
        refused_change(CHANGE_HEAD, errno.EINVAL, 14, 0, 1),
    ],
    "adjust_room": [
        Change(ADJUST_ROOM, 20, MAC, longer=20, arrives=False),
        Change(ADJUST_ROOM, 20, MAC, ENCAP_L3_IPV4, longer=20, arrives=False),
        Change(ADJUST_ROOM, 40, MAC, ENCAP_L3_IPV6, longer=40, arrives=False),
        Change(ADJUST_ROOM, 300, NET, NO_CSUM_RESET, longer=300, arrives=False),
        Change(ADJUST_ROOM, -8, NET, longer=-8, arrives=False),
        Change(ADJUST_ROOM, -20, MAC, longer=-20, arrives=False),
        refused_change(ADJUST_ROOM, errno.EINVAL, 20, NET, 1 << 30),
        refused_change(ADJUST_ROOM, errno.EFAULT, 0x1000, NET),
        refused_change(ADJUST_ROOM, ENOTSUPP, 20, 9),
        refused_change(ADJUST_ROOM, ENOTSUPP, -SIZE - 28, NET),
        # Refused after the headroom was enlarged.
        refused_change(ADJUST_ROOM, errno.EINVAL, 400, MAC, ENCAP_L3_IPV4 | ENCAP_L3_IPV6),
    ],
    "vlan_push": [
        # The first tag is kept in the skb's metadata. Pushing another one moves it into the packet.
        Change(VLAN_PUSH, 1, arrives=False),
        Change(VLAN_PUSH, 2, longer=4, arrives=False),
        Change(VLAN_PUSH, 3, longer=8, arrives=False),
    ],
    "vlan_pop": [
        Change(VLAN_POP, 0, 1),
        Change(VLAN_POP, 1, 1),
        Change(VLAN_POP, 2, 1, arrives=False),
        Change(VLAN_POP, 2, 2),
        Change(VLAN_POP, 3, 1, longer=4, arrives=False),
        Change(VLAN_POP, 3, 3),
    ],
    "pull_data": [
        Change(PULL_DATA, 100, FROM_ZERO),
        Change(PULL_DATA, 0),
        Change(PULL_DATA, 0, FROM_ZERO),
        refused_change(PULL_DATA, errno.ENOMEM, 1),
        refused_change(PULL_DATA, errno.ENOMEM, 1 << 20, FROM_ZERO),
    ],
    "change_proto": [
        Change(CHANGE_PROTO, IPV6, longer=20, arrives=False),
        refused_change(CHANGE_PROTO, errno.EINVAL, IPV6, 0, 1),
        refused_change(CHANGE_PROTO, ENOTSUPP, IPV4),
        refused_change(CHANGE_PROTO, ENOTSUPP, 0x0806),
    ],
    "store_bytes": [
        Change(STORE_BYTES, 30),
        Change(STORE_BYTES, HEADERS + SIZE - 4, 0, INVALIDATE),
        Change(STORE_BYTES, HEADERS, 0, RECOMPUTE),
        refused_change(STORE_BYTES, errno.EFAULT, HEADERS + SIZE - 3),
        refused_change(STORE_BYTES, errno.EFAULT, 1 << 31),
        refused_change(STORE_BYTES, errno.EINVAL, 30, 0, 1 << 10),
    ],
    "csum_replace": [
        Change(L3_CSUM, 24),
        refused_change(L3_CSUM, errno.EFAULT, 25),
        refused_change(L3_CSUM, errno.EFAULT, HEADERS + SIZE),
        refused_change(L3_CSUM, errno.EINVAL, 24, 0, 1 << 10),
        Change(L4_CSUM, 40),
        refused_change(L4_CSUM, errno.EFAULT, HEADERS + SIZE),
        refused_change(L4_CSUM, errno.EINVAL, 40, 0, 1 << 10),
    ],
    "change_type": [
        Change(CHANGE_TYPE, 0),
        Change(CHANGE_TYPE, 3, arrives=False),
        refused_change(CHANGE_TYPE, errno.EINVAL, 9),
    ],
    "tunnel_key": [
        Change(TUNNEL_KEY, 44),
        refused_change(TUNNEL_KEY, errno.EINVAL, 43),
        refused_change(TUNNEL_KEY, errno.EINVAL, 44, 0, 1 << 20),
        refused_change(FOU_ENCAP, errno.EINVAL, 0),
    ],
    "dynptr": [
        Change(DYNPTR, 30),
        Change(DYNPTR, HEADERS + SIZE - 4),
        refused_change(DYNPTR, errno.E2BIG, HEADERS + SIZE - 3),
        refused_change(DYNPTR, errno.EINVAL, 30, 0, 1 << 10),
        refused_change(DYNPTR_META, errno.E2BIG, 1),
    ],
    "clone_redirect": [
        Change(CLONE_REDIRECT, DEVICE),
        refused_change(CLONE_REDIRECT, errno.EINVAL, 99999),
        refused_change(CLONE_REDIRECT, errno.EINVAL, DEVICE, 0, 1 << 20),
    ],
    "ct_lookup": [
        refused_change(CT_LOOKUP, errno.ENOENT, 1),
        refused_change(CT_LOOKUP, errno.EAFNOSUPPORT, 0),
    ],
    "set_tstamp": [
        Change(SET_TSTAMP, 1000, 1),
        refused_change(SET_TSTAMP, errno.EINVAL, 0, 1),
        refused_change(SET_TSTAMP, errno.EINVAL, 1, 9),
    ],
}
WITH_METADATA = {
    "dynptr_meta": [
        Change(DYNPTR_META, 0),
        refused_change(DYNPTR_META, errno.E2BIG, 1),
        refused_change(DYNPTR_META, errno.EINVAL, 0, 0, 1),
    ],
}
EVERY = [(hook, name) for hook in PARENTS for name in CHANGES] + [
    ("metadata", name) for name in WITH_METADATA]


class Seen(NamedTuple):
    """What the programs saw of a packet. C: struct seen in tests/bpf/data_pointers.c."""

    changed: int
    answer: int
    before: int
    after: int
    compared: int
    len: int
    head: int
    meta: int
    direct: int
    direct_meta: int
    metadata: int
    moved: int
    wrong: int


class Filters:
    """The filters of data_pointers.c on va: two in one priority, and one in the next."""

    LAYOUT = "=Qq11Q"

    def __init__(self, wires, pins, hook):
        self.wires, self.pins, self.hook = wires, pins, hook
        self.inward = hook in INWARD
        with nl.inside("a"):
            self.index = socket.if_nametoindex("va")
            self.numbers = {DEVICE: socket.if_nametoindex("d0")}

    def attach(self):
        """Adds the filters to the hook. In a priority the newest filter runs first."""
        for name, handle, prio in (("compare", 1, 1), ("change", 2, 1), ("decide", 1, 2)):
            self.pins.filter(self.index, PARENTS[self.hook], name, handle=handle, prio=prio)

    def set_operation(self, change, every=False):
        """Sets the operation on the next packet, or on all packets."""
        for key in (0, 1):
            self.pins.update("seen", bytes(struct.calcsize(self.LAYOUT)), key)
        self.pins.update("operations", struct.pack(
            "=QqQQQQ", change.op, self.numbers.get(change.a, change.a), change.b, change.flags,
            change.arrives, every))

    @recorded
    def seen(self):
        """Returns what the programs saw since the operation was set: in the first priority, and in
        the next."""
        return [Seen(*self.pins.lookup("seen", self.LAYOUT, key)) for key in (0, 1)]

    def send(self, change, paged):
        """Sends a packet through the hook. Returns what the programs saw, and what arrived."""
        self.set_operation(change)
        source, target, to = ("b", "a", "10.0.0.1") if self.inward else ("a", "b", "10.0.0.2")
        with Sender(source, 4) as sender:
            if paged:
                # GSO keeps the data in pages, even of a short packet.
                sender.socket.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 1000)
            data = bytes(range(1, 201)) * (SIZE // 200)
            told = sender.send(to, data)
        # The sender learns of a drop on egress, and not of one in a qdisc.
        assert told == (0 if change.arrives or self.hook != "egress" else errno.ENOBUFS)
        return *self.seen(), [each == data for each in self.wires.receive_all(target, 4)]


@pytest.fixture(scope="module", name="pins")
def fixture_pins():
    """The programs and their maps. The modules provide the kfuncs that the programs call."""
    modprobe("nf_conntrack")
    modprobe("fou")
    with Pins("data_pointers") as made:
        yield made


@pytest.fixture(scope="module", name="dummy")
def fixture_dummy(wires):
    """A device of a for clones."""
    batch("-n a", "link add d0 type dummy", "link set d0 up")
    yield
    batch("-n a", "link del d0")


def attach_xdp(index, fd):
    """Attaches a generic XDP program to a device; -1 detaches it."""
    body = nl.ifinfomsg(index) + nl.attr(IFLA_XDP | nl.NLA_F_NESTED, nl.attr(
        IFLA_XDP_FD, struct.pack("=i", fd)) + nl.attr(IFLA_XDP_FLAGS, XDP_FLAGS_SKB_MODE))
    assert nl.request("a", nl.RTM_NEWLINK, 0, body) == (0, "")


@contextlib.contextmanager
def attached(wires, pins, hook):
    """Attaches the filters to a hook of va during the block."""
    filters = Filters(wires, pins, hook)
    if hook == "htb":
        wires.tc("qdisc add dev va root handle 1: htb default 10")
        wires.tc("class add dev va parent 1: classid 1:10 htb rate 1gbit quantum 60000")
    else:
        request_clsact(filters.index, nl.RTM_NEWQDISC)
    try:
        if hook == "metadata":
            attach_xdp(filters.index, pins.fds["metadata"])
        filters.attach()
        yield filters
    finally:
        if hook == "metadata":
            attach_xdp(filters.index, -1)
        if hook == "htb":
            wires.tc("qdisc del dev va root")
        else:
            request_clsact(filters.index, nl.RTM_DELQDISC)


def request_clsact(index, kind):
    """Adds or deletes the clsact qdisc of a device of a."""
    body = struct.pack("=BxxxiIII", 0, index, 0xFFFF0000, nl.TC_H_CLSACT, 0)
    assert nl.request("a", kind, nl.NLM_F_CREATE, body + nl.attr(nl.TCA_KIND, "clsact")) == (0, "")


@contextlib.contextmanager
def packet_socket(namespace, device):
    """Opens a packet socket on a device, so the packets that it receives are shared or cloned."""
    with nl.inside(namespace):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        tap.bind((device, 3))
    with tap:
        yield


@pytest.mark.parametrize("hook, name", EVERY)
def test_next_filters_have_current_data_pointers(wires, pins, dummy, hook, name):
    meta = 8 if hook == "metadata" else 0
    length = HEADERS + SIZE
    with attached(wires, pins, hook) as filters:
        for change, form in itertools.product(
                {**CHANGES, **WITH_METADATA}[name], ("plain", "paged", "cloned")):
            if form == "cloned" and not filters.inward:
                continue
            with packet_socket("a", "va") if form == "cloned" else contextlib.nullcontext():
                first, second, arrived = filters.send(change, form == "paged")
            assert (first.changed, first.compared, second.compared) == (1, 1, 1), (change, form)
            assert first.answer == change.answer, (change, form)
            assert (first.before, first.after) == (length, length + change.longer), (change, form)
            for seen in (first, second):
                assert (seen.len, seen.direct, seen.direct_meta) == (
                    first.after, seen.head, seen.meta), (change, form)
                assert (seen.moved, seen.wrong) == (0, 0), (change, form)
                assert (seen.meta, seen.metadata) == (meta, METADATA if meta else 0), (change, form)
            assert arrived == [True] * change.arrives, (change, form)


@pytest.mark.parametrize("name, by", [("shorter", -100), ("longer", 8)])
def test_data_end_after_generic_xdp_adjust_tail(wires, pins, dummy, name, by):
    with attached(wires, pins, "ingress") as filters:
        attach_xdp(filters.index, pins.fds[name])
        try:
            first, second, _ = filters.send(refused_change(CHANGE_HEAD, errno.EINVAL, -1), False)
        finally:
            attach_xdp(filters.index, -1)
    assert (first.changed, first.compared, second.compared) == (1, 1, 1)
    assert first.before == first.after == HEADERS + SIZE + by
    for seen in (first, second):
        assert (seen.len, seen.direct) == (first.after, seen.head)
        assert (seen.moved, seen.wrong) == (0, 0)


# Operations that keep the contents of a TCP packet, though not its place in memory. A packet that
# is sent is a clone of the one in the retransmit queue, and a GSO packet. Operations that enlarge
# its head are left out: TCP does not account for its new size, and warns.
HARMLESS = [
    Change(PULL_DATA, 0, FROM_ZERO),
    Change(STORE_BYTES, 30),
    Change(STORE_BYTES, 30, 0, RECOMPUTE),
    Change(DYNPTR, 30),
    Change(L3_CSUM, 24),
    Change(L4_CSUM, 50),
    Change(VLAN_POP, 1, 1),
    Change(VLAN_POP, 2, 2),
    Change(CLONE_REDIRECT, DEVICE),
    refused_change(CHANGE_HEAD, errno.EINVAL, -1),
    refused_change(CHANGE_TAIL, errno.EINVAL, 100, 0, 1),
    refused_change(PULL_DATA, errno.ENOMEM, 1),
    refused_change(ADJUST_ROOM, errno.EINVAL, 8, MAC, ENCAP_L3_IPV4 | ENCAP_L3_IPV6),
]


@pytest.mark.parametrize("hook", PARENTS)
def test_next_filters_have_current_data_pointers_of_tcp_packets(wires, pins, dummy, hook):
    with attached(wires, pins, hook) as filters:
        client, server, address = ("b", "a", "10.0.0.1") if filters.inward else (
            "a", "b", "10.0.0.2")
        for change in HARMLESS:
            filters.set_operation(change, every=True)
            assert carry(4, client, server, address, size=100000), change
            with JOURNAL.quiet():
                first, second = filters.seen()
            assert first.answer == change.answer, change
            assert (first.moved, first.wrong, second.moved, second.wrong) == (0, 0, 0, 0), change
            assert second.compared == first.compared == first.changed > 2, change
