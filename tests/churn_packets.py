# SPDX-License-Identifier: GPL-2.0-only
"""Senders and receivers of packets that flow while the configuration changes."""

import contextlib
import errno
import itertools
import os
import pathlib
import re
import socket
import time

import nl
from churn_requests import ipv4_address, ipv6_address
from churn_scene import DUMMIES, NAMESPACES, SHARED, SLOTS
from churn_worker import enter_netns
from headers import DOMAIN

PORT, MAGIC, SO_MARK, OUR_MARK = 4242, b"lwtc", 36, 0xC4


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
                self.send(4, ipv4_address(net, slot, host))
                self.send(6, ipv6_address(net, slot, host))


def send(done, going, scene, cpu):
    """Sends continuously: mostly to the service, the rest to devices that are being added and
    deleted."""
    os.sched_setaffinity(0, {cpu})
    # Leaves CPU time to the operations.
    os.nice(5)
    enter_netns("a")
    r, sender = scene.random("send", cpu), Sender(done)
    targets = [(family, scene.services[family][0]) for family in (4, 6)] * 60
    for net, slot, host in itertools.product((DUMMIES, NAMESPACES, SHARED), SLOTS, (9, 200)):
        targets += [(4, ipv4_address(net, slot, host)), (6, ipv6_address(net, slot, host))]
    while going():
        for target in r.choices(targets, k=50):
            sender.send(*target)


def flood(done, going, scene):
    """Sends at full speed on every CPU: from b through a to the service. C: net/core/pktgen.c"""
    enter_netns("b")
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
    enter_netns("b")
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
