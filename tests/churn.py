# SPDX-License-Identifier: GPL-2.0-only
"""Operations on filters and routes that run concurrently while packets flow. Each repeats one kind
of operation with random parameters and counts the outcomes.

churn_devices.py has the operations on devices, churn_packets.py the senders and receivers.
"""

import ctypes
import errno
import itertools
import os
import struct
import time

import nl
import syscalls
from churn_requests import BLOCK, CREATE, EXCL, REPLACE, CountedRequests, route_request
from churn_scene import CHAIN, HANDLES, LO, PRIORITIES
from conftest import LIBC, MODULE, program_ids, programs
from headers import DOMAIN


def change_filters(done, going, scene, namespace, parent, number):
    """Adds, replaces and deletes the filters of a hook that carries traffic."""
    r, index = scene.random("filters", namespace, number), scene.devices[namespace]

    def body(filled=False):
        chain = r.choice((0, 0, CHAIN))
        given = scene.filter(r, chain) if filled else None
        found = nl.tfilter(index, r.choice(HANDLES), given, parent, r.choice(PRIORITIES))
        return found + (nl.attr(nl.TCA_CHAIN, chain) if chain else b"")

    def add():
        requests.send("filters added", nl.RTM_NEWTFILTER, CREATE | EXCL, body(True), errno.EEXIST)

    def replace():
        requests.send("filters replaced", nl.RTM_NEWTFILTER, CREATE | REPLACE, body(True))

    def delete():
        requests.send("filters deleted", nl.RTM_DELTFILTER, 0, body(), errno.ENOENT)

    def delete_priority():
        requests.send("priorities deleted", nl.RTM_DELTFILTER, 0,
                      nl.tfilter(index, 0, None, parent, r.choice(PRIORITIES)), errno.ENOENT)

    def delete_all():
        requests.send("hooks emptied", nl.RTM_DELTFILTER, 0,
                      struct.pack("=BxxxiIII", 0, index, 0, parent, 0), errno.ENOENT)

    with CountedRequests(done, namespace) as requests:
        while going():
            r.choices((add, replace, delete, delete_priority, delete_all), (12, 8, 10, 1, 0.5))[0]()


def change_routes(done, going, scene):
    """Replaces the routes to the service, on the sending and on the receiving side."""
    r = scene.random("routes")
    with CountedRequests(done, "a") as a, CountedRequests(done, "b") as b:
        while going():
            family = r.choice((4, 6))
            target, gateway = scene.services[family]
            length = 32 if family == 4 else 128
            if r.randrange(2):
                encap = scene.encap(r, out=("out_drop",), xmit=(
                    "xmit_drop", "xmit_redirect", "xmit_reroute", "xmit_gre", "xmit_gre6"))
                requests = a
                body = route_request(family, target, length, scene.devices["a"], encap, gateway)
            else:
                encap = scene.encap(r, **{"in": ("in_drop", "in_reroute")})
                requests = b
                body = route_request(family, target, length, LO, encap, local=True)
            requests.send("routes replaced", nl.RTM_NEWROUTE, CREATE | REPLACE, body)


def unload(done, going):
    """Tries to unload the module while it is in use. A refusal is cheap, so a pause follows each
    attempt."""
    while going():
        refused = LIBC.syscall(syscalls.DELETE_MODULE, MODULE.stem.encode(), os.O_NONBLOCK) < 0
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
