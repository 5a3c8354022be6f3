# SPDX-License-Identifier: GPL-2.0-only
"""Sockets in namespaces, opened by this process: no process has to start between a packet and the
check of its effect."""

import contextlib
import itertools
import json
import os
import pathlib
import socket
import struct
import time

from conftest import eventually, sh
from journal import JOURNAL
from needs import IP_FAMILIES, IPV6
from nl import inside

IP_MTU_DISCOVER, IPV6_MTU_DISCOVER = 10, 23
PMTUDISC_DONT, PMTUDISC_DO = 0, 2
PINGS = itertools.count(1)
# SNMP counters of echo requests sent and of replies received.
NAMES = {4: ("IcmpOutEchos", "IcmpInEchoReps"), 6: ("Icmp6OutEchos", "Icmp6InEchoReplies")}


def sysctl(namespace, name, value):
    """Sets a sysctl of a namespace below /proc/sys/net, unless it is of IPv6 and there is none."""
    if name.startswith("ipv6/") and not IPV6:
        return
    with inside(namespace):
        pathlib.Path(f"/proc/sys/net/{name}").write_text(str(value))


def make_socket(namespace, family, kind=socket.SOCK_DGRAM, protocol=0):
    """Returns a socket in a namespace."""
    domain = socket.AF_INET if family == 4 else socket.AF_INET6
    with inside(namespace):
        made = socket.socket(domain, kind, protocol)
    made.settimeout(5)
    return made


def checksum(data):
    """Returns the Internet checksum; it is 0 for data that includes its correct checksum."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def answers(namespace, family, address, count=1, *, size=56, whole=False, wait=2.0):
    """Sends echo requests with `size` bytes of data, and returns how many of them are answered
    within `wait` seconds. `whole` forbids fragmentation."""
    question = {4: 8, 6: 128}[family]
    answer = {4: 0, 6: 129}[family]
    kind = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}[family]
    missing = set()
    with make_socket(namespace, family, socket.SOCK_RAW, kind) as made:
        if whole:
            made.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
        for _ in range(count):
            which = struct.pack("!HH", os.getpid() & 0xFFFF, next(PINGS) & 0xFFFF)
            data = bytes([question, 0, 0, 0]) + which + bytes(size)
            if family == 4:
                data = data[:2] + struct.pack("!H", checksum(data)) + data[4:]
            missing.add(which)
            # A request that is dropped here is not answered either.
            with contextlib.suppress(OSError):
                made.sendto(data, (address, 0))
        deadline = time.monotonic() + wait
        while missing and (left := deadline - time.monotonic()) > 0:
            made.settimeout(left)
            try:
                found = made.recv(65536)
            except TimeoutError:
                break
            if family == 4:
                found = found[found[0] % 16 * 4:]
            if found[0] == answer:
                missing.discard(found[4:8])
    return count - len(missing)


def ping(namespace, family, address):
    """Returns whether an address answers."""
    return answers(namespace, family, address) == 1


def counters(namespace):
    """Returns the SNMP counters of a namespace by their `nstat` names, such as `TcpRetransSegs` and
    `Icmp6OutEchos`."""
    with JOURNAL.quiet():
        return json.loads(sh(f"ip netns exec {namespace} nstat -jasz"))["kernel"]


def echoes(namespace):
    """Returns the echo requests sent and the replies received by a namespace, by family."""
    now = counters(namespace)
    return {family: tuple(now[name] for name in NAMES[family]) for family in IP_FAMILIES}


@contextlib.contextmanager
def every_echo_answered(namespace):
    """Checks that each echo request that a namespace sends meanwhile is answered; yields their
    number by family. `ping` cannot tell because it waits after its last request for only twice its
    longest round trip."""
    def since():
        return {family: [now - then for now, then in zip(counts, first[family], strict=True)]
                for family, counts in echoes(namespace).items()}

    # Waits until the requests of earlier scenarios are answered.
    first, sent = echoes(namespace), {}
    while time.sleep(0.2) or (now := echoes(namespace)) != first:
        first = now
    yield sent
    with contextlib.suppress(AssertionError):
        eventually(lambda: all(asked == answered for asked, answered in since().values()))
    for family, (asked, answered) in since().items():
        assert answered == asked, f"IPv{family}: {asked} echo requests, {answered} answers"
        sent[family] = asked
