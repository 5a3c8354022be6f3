# SPDX-License-Identifier: GPL-2.0-only
"""Operations on devices: they are created and deleted, with their namespace or with an offloaded
filter, and join and leave filter blocks, while packets are on their way to them."""

import contextlib
import errno
import itertools
import os
import socket

import nl
from churn_packets import Sender
from churn_requests import (
    BLOCK,
    CREATE,
    EXCL,
    REPLACE,
    VETH_INFO_PEER,
    CountedRequests,
    ipv4_address,
    ipv6_address,
    named_ifinfomsg,
    route_request,
)
from churn_scene import (
    DUMMIES,
    FIRST_DUMMY,
    FIRST_SHARED,
    FIRST_VETH,
    HANDLES,
    LO,
    NAMESPACES,
    PRIORITIES,
    SHARED,
    SLOTS,
)
from churn_worker import enter_netns
from conftest import eventually, sh
from test_offload import SKIP_SW, Hardware
from test_refusals import options


def setup_device(requests, scene, r, index, net, slot):
    """Adds filters to a device, and routes with programs through it."""
    requests.add_clsact(index)
    for priority in PRIORITIES:
        requests.send("filters added", nl.RTM_NEWTFILTER, CREATE | EXCL,
                      nl.tfilter(index, 1, scene.filter(r), prio=priority))
    for family, target, length in ((4, ipv4_address(net, slot, 128), 25),
                                   (6, ipv6_address(net, slot, 128), 121)):
        encap = scene.encap(r, out=("out_drop",), xmit=("xmit_drop",))
        requests.send("routes added", nl.RTM_NEWROUTE, CREATE | REPLACE,
                      route_request(family, target, length, index, encap))


def change_dummies(done, going, scene):
    """Creates and deletes the devices that packets go to."""
    enter_netns("a")
    r, sender = scene.random("dummies"), Sender(done)
    with CountedRequests(done) as requests:
        for slot in itertools.cycle(SLOTS):
            if not going():
                return
            index = FIRST_DUMMY + slot
            requests.add_link(index, f"dy{index}", "dummy")
            requests.set_up(index, DUMMIES, slot, 1)
            setup_device(requests, scene, r, index, DUMMIES, slot)
            sender.burst(DUMMIES, slot)
            # Deletes the oldest device, so several exist at a time.
            index = FIRST_DUMMY + (slot + 1) % len(SLOTS)
            if not ifindex_exists(index):
                continue
            if r.randrange(3) == 0:
                requests.del_clsact(index)
            requests.del_link("dummies deleted", index)


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


def ifindex_exists(index):
    """Returns whether a device with this index exists."""
    with contextlib.suppress(OSError):
        return bool(socket.if_indextoname(index))
    return False


def setup_namespace(requests, scene, r, index, slot):
    """Sets up a namespace so that incoming packets meet programs on filters and routes."""
    requests.send("devices up", nl.RTM_NEWLINK, 0, nl.ifinfomsg(LO, nl.IFF_UP))
    requests.set_up(index, NAMESPACES, slot, 2)
    requests.add_clsact(index)
    requests.send("filters added", nl.RTM_NEWTFILTER, CREATE | EXCL,
                  nl.tfilter(index, 1, scene.filter(r), nl.TC_H_CLSACT_INGRESS))
    for family, host, length in ((4, ipv4_address, 32), (6, ipv6_address, 128)):
        encap = scene.encap(r, **{"in": ("in_drop",)})
        for number in (9, 200):
            requests.send("routes added", nl.RTM_NEWROUTE, CREATE | REPLACE,
                          route_request(family, host(NAMESPACES, slot, number), length, LO, encap,
                                        local=True))


def change_namespaces(done, going, scene):
    """Creates and destroys namespaces and the veth pairs to them while packets are on their way
    there."""
    enter_netns("a")
    r, sender = scene.random("namespaces"), Sender(done)
    with CountedRequests(done) as requests:
        for index in itertools.count(FIRST_VETH, 2):
            if not going():
                return
            slot = index // 2 % len(SLOTS)
            # The device that had this slot in the last round.
            last = index - 2 * len(SLOTS)
            eventually(lambda last=last: not ifindex_exists(last), 60)
            with fresh_namespace() as there:
                requests_there = CountedRequests(done)
            peer = named_ifinfomsg(index + 1, "peer") + nl.attr(nl.IFLA_NET_NS_FD, there.fileno())
            requests.add_link(index, f"ns{index}", "veth", nl.attr(VETH_INFO_PEER, peer))
            with requests_there:
                setup_namespace(requests_there, scene, r, index + 1, slot)
            requests.set_up(index, NAMESPACES, slot, 1)
            setup_device(requests, scene, r, index, NAMESPACES, slot)
            sender.burst(NAMESPACES, slot)
            if r.randrange(2):
                requests.del_link("wires deleted", index)
            # Drops the last reference to the namespace.
            there.close()
            done["namespaces destroyed"] += 1


def change_blocks(done, going, scene):
    """Has two devices join and leave shared filter blocks."""
    enter_netns("a")
    r, sender = scene.random("blocks"), Sender(done)
    shared = {FIRST_SHARED: False, FIRST_SHARED + 1: False}
    blocks = nl.attr(nl.TCA_EGRESS_BLOCK, 7) + nl.attr(nl.TCA_INGRESS_BLOCK, 8)
    with CountedRequests(done) as requests:
        for slot, index in enumerate(shared):
            requests.add_link(index, f"sh{slot}", "dummy")
            requests.set_up(index, SHARED, slot, 1)
        while going():
            slot, index = r.choice(list(enumerate(shared)))
            if shared[index]:
                requests.del_clsact(index, "blocks left")
            else:
                requests.add_clsact(index, blocks)
                done["blocks joined"] += 1
            shared[index] = not shared[index]
            for _ in range(r.randrange(8) if any(shared.values()) else 0):
                handle, priority = r.choice(HANDLES), r.choice(PRIORITIES)
                if r.randrange(3):
                    requests.send("filters of blocks replaced", nl.RTM_NEWTFILTER, CREATE | REPLACE,
                                  nl.tfilter(BLOCK, handle, scene.filter(r), 7, priority))
                else:
                    requests.send("filters of blocks deleted", nl.RTM_DELTFILTER, 0,
                                  nl.tfilter(BLOCK, handle, None, 7, priority), errno.ENOENT)
            sender.burst(SHARED, slot, 2)
        for index in shared:
            requests.del_link("dummies deleted", index)


def change_hardware(done, going, scene):
    """Removes devices that have an offloaded filter."""
    enter_netns("b")
    r, hardware = scene.random("hardware"), Hardware(None)
    gen = nl.attr(nl.BPF_FLAGS_GEN, SKIP_SW)
    with CountedRequests(done) as requests, contextlib.closing(hardware):
        while going():
            port = hardware.plug(namespace="b")
            port.accepts("tc_non_bound", True)
            sh(f"ethtool -K {port} hw-tc-offload on")
            requests.add_clsact(port.ifindex)
            for _ in range(r.randrange(1, 4)):
                requests.send("filters offloaded", nl.RTM_NEWTFILTER, CREATE | REPLACE, nl.tfilter(
                    port.ifindex, 1, options(scene.programs["tc_all"], extra=gen),
                    nl.TC_H_CLSACT_INGRESS))
                assert port.id
            hardware.unplug(hardware.devices)
            done["netdevsim devices removed"] += 1
