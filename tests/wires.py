# SPDX-License-Identifier: GPL-2.0-only
"""Three namespaces, and senders and receivers in them."""

import contextlib
import errno
import fcntl
import itertools
import os
import pathlib
import random
import re
import socket
import struct
import termios
import threading

import pytest
from conftest import batch, eventually
from journal import recorded
from needs import IP_FAMILIES
from network import Net
from nl import inside
from sockets import make_socket, sysctl

IP_RECVERR, IP_TRANSPARENT = 11, 19
IPV6_RECVERR, IPV6_TRANSPARENT, IPV6_TCLASS = 25, 75, 67
PORT = 9


class Sender:
    """A UDP socket that reports the errors of its packets."""

    def __init__(self, namespace, family, mark=0):
        self.socket = make_socket(namespace, family)
        self.family = family
        self.option(IP_RECVERR, IPV6_RECVERR, 1)
        if mark:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def option(self, four, six, value):
        """Sets an option that has a different number in each family."""
        if self.family == 4:
            self.socket.setsockopt(socket.IPPROTO_IP, four, value)
        else:
            self.socket.setsockopt(socket.IPPROTO_IPV6, six, value)

    @recorded
    def send(self, address, data=b"x"):
        """Sends a packet and returns the errno that the sender sees, 0 for none. Waits until the
        packet is delivered or freed: the socket's send queue is then empty."""
        told = 0
        try:
            self.socket.sendto(data, (address, PORT))
        except OSError as error:
            told = error.errno
        eventually(lambda: self.queued() == 0)
        return told

    def queued(self):
        """Returns the bytes of send buffer that packets of this socket occupy."""
        return struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"1234"))[0]

    @recorded
    def pending(self):
        """Returns the error that ICMP reported, 0 for none."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


@recorded
def echo(family, client, server, address, size=300000, mark=0):
    """Sends bytes over a TCP connection to a server that echoes them; returns how many came
    back."""
    def answer():
        made, _ = listener.accept()
        with made:
            while data := made.recv(65536):
                made.sendall(data)

    def ask():
        connection.sendall(b"z" * size)
        connection.shutdown(socket.SHUT_WR)

    with make_socket(server, family, socket.SOCK_STREAM) as listener, \
            make_socket(client, family, socket.SOCK_STREAM) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        listener.bind(("" if family == 4 else "::", 7))
        listener.listen()
        threads = [threading.Thread(target=answer, daemon=True)]
        threads[0].start()
        connection.connect((address, 7))
        threads.append(threading.Thread(target=ask, daemon=True))
        threads[1].start()
        got = 0
        while data := connection.recv(65536):
            got += len(data)
        for thread in threads:
            thread.join()
        return got


@recorded
def carry(family, client, server, address, size=1 << 20, lost=lambda: False):
    """Sends bytes over a TCP connection; returns whether exactly these arrive. `lost` says when
    waiting is pointless. The connection is reset at the end, so it neither retransmits nor holds a
    route."""
    data = random.Random(size).randbytes(size)

    def take():
        with contextlib.suppress(TimeoutError, ConnectionError):
            while part := taken.recv(65536):
                got.append(part)

    got = []
    with make_socket(server, family, socket.SOCK_STREAM) as listener, \
            make_socket(client, family, socket.SOCK_STREAM) as connection:
        for each in (listener, connection):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        listener.bind((address, 7))
        listener.listen()
        connection.connect((address, 7))
        connection.settimeout(0.3)
        taken, _ = listener.accept()
        with taken:
            taken.settimeout(5)
            taker = threading.Thread(target=take, daemon=True)
            taker.start()
            left, idle = memoryview(data), 0
            while left and idle < 20 and not lost():
                try:
                    left, idle = left[connection.send(left):], 0
                except TimeoutError:
                    idle += 1
            if not left:
                connection.shutdown(socket.SHUT_WR)
                while taker.is_alive() and not lost():
                    taker.join(0.3)
            # The reset wakes the receiver.
            connection.close()
            taker.join()
        return b"".join(got) == data


class Tun:
    """A tun or tap device whose other end this process holds: packets that it sends can be read. A
    tun has no MAC header, a tap has one."""

    IFF_TUN, IFF_TAP, IFF_NO_PI = 1, 2, 0x1000
    TUNSETIFF = 0x400454CA
    # The destination that a program writes into the MAC header.
    ADDRESS = "02:00:00:00:00:77"

    def __init__(self, namespace, name):
        self.namespace, self.name = namespace, name
        kind = self.IFF_TAP if name.startswith("tap") else self.IFF_TUN
        with inside(namespace):
            self.file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.file, self.TUNSETIFF,
                        struct.pack("16sH22x", name.encode(), kind | self.IFF_NO_PI))
            self.index = socket.if_nametoindex(name)
        batch(f"-n {namespace}",
              *([f"link set {name} address {self.ADDRESS}"] if kind == self.IFF_TAP else []),
              f"link set {name} up")
        with inside(namespace):
            # A packet socket sees what the device receives before any other handler.
            self.tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
            self.tap.bind((name, 3))
            self.tap.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tap.close()
        os.close(self.file)

    @recorded
    def sent(self, data):
        """Returns the packets with these data that the device has sent since the last call."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while frame := os.read(self.file, 65536):
                found += [frame] if frame.endswith(data) else []
        return found

    @recorded
    def received(self, data):
        """Returns the packets with these data that the device has received since the last call."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    packet, where = self.tap.recvfrom(65536)
                except OSError as error:
                    # Consumes the error that the device was down.
                    if error.errno != errno.ENETDOWN:
                        raise
                    continue
                if packet.endswith(data) and where[2] == socket.PACKET_HOST:
                    found.append(packet)
        return found


class Wires(Net):
    """Net, and a third namespace c that is connected to a as b is. Both b and c have the same two
    service addresses, so only a's routes decide which of them receives a packet. All three
    forward."""

    # An address of b and c; a's routes choose between the two.
    FIRST = {4: "10.1.0.1", 6: "fd01::1"}
    # An address to which a program rewrites the first one.
    OTHER = {4: "10.2.0.1", 6: "fd02::1"}
    # An address that no namespace has unless a scenario adds it.
    THIRD = {4: "10.3.0.1", 6: "fd03::1"}
    VIA = {
        "b": {4: "via 10.0.0.2 dev va", 6: "via fd00::2 dev va"},
        "c": {4: "via 10.9.0.2 dev wa", 6: "via fd09::2 dev wa"},
    }

    def __init__(self):
        # Packets stay in order on one CPU.
        self.cpus = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(self.cpus)})
        super().__init__()
        batch(
            "",
            "netns add c",
            "link add wa netns a type veth peer name wc netns c",
        )
        self.join("a", "wa", "c", "wc", 9)
        batch("-n c", "link set lo up",
              *(f"addr add {address} dev lo" for address in
                ("10.1.0.1/32", "fd01::1/128 nodad", "10.2.0.1/32", "fd02::1/128 nodad")),
              "route add 10.0.0.0/24 via 10.9.0.1", "route add fd00::/64 via fd09::1")
        batch("-n b", "addr add 10.2.0.1/32 dev lo", "addr add fd02::1/128 dev lo nodad",
              "route add 10.9.0.0/24 via 10.0.0.1", "route add fd09::/64 via fd00::1")
        for name in ("a", "b", "c"):
            sysctl(name, "ipv4/ip_forward", 1)
            sysctl(name, "ipv6/conf/all/forwarding", 1)
            # No rate limit: each failing packet gets its ICMP error.
            sysctl(name, "ipv4/icmp_ratelimit", 0)
            sysctl(name, "ipv6/icmp/ratelimit", 0)
        # The IPv4 "no route" error has its own limit, which ICMP redirects may use up. It is shared
        # by all namespaces.
        pathlib.Path("/proc/sys/net/ipv4/route/error_cost").write_text("0")
        self.servers = {}
        for name, family in itertools.product("abc", IP_FAMILIES):
            server = make_socket(name, family)
            if family == 6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.bind(("" if family == 4 else "::", PORT))
            self.servers[name, family] = server
        self.numbers = itertools.count()

    @staticmethod
    def join(left, left_device, right, right_device, number):
        """Gives both ends of a veth pair addresses and neighbours."""
        for name, device, host in ((left, left_device, 1), (right, right_device, 2)):
            batch(
                f"-n {name}",
                f"link set {device} address 02:00:00:00:0{number}:0{host}",
                f"link set {device} up",
                f"addr add 10.{number}.0.{host}/24 dev {device}",
                f"addr add fd0{number}::{host}/64 dev {device} nodad",
                *(f"neigh replace {net}{3 - host} lladdr 02:00:00:00:0{number}:0{3 - host} "
                  f"dev {device}" for net in (f"10.{number}.0.", f"fd0{number}::")),
            )

    def close(self):
        for server in self.servers.values():
            server.close()
        self.servers = {}
        super().close()
        batch("", "netns del c")
        os.sched_setaffinity(0, self.cpus)

    @contextlib.contextmanager
    def temporary_routes(self, namespace, family, *lines):
        """Adds routes and rules, and deletes them at the end."""
        batch(f"-{family} -n {namespace}", *lines)
        try:
            yield
        finally:
            # The encapsulation is left out when a route is deleted: a route without one matches any
            # program.
            encap = r" encap bpf .* section \w+( headroom \d+)?"
            undo = [re.sub(encap, "", line.replace(" add ", " del ", 1))
                    for line in reversed(lines)]
            batch(f"-force -{family} -n {namespace}", *undo)

    @recorded
    def receive_all(self, namespace, family):
        """Returns what has arrived in a namespace. A final packet that no program touches arrives
        last, so no other packet is under way."""
        server = self.servers[namespace, family]
        last = f"last {next(self.numbers)}".encode()
        to = {"a": ("127.0.0.1", "::1"), "b": ("10.0.0.2", "fd00::2"), "c": ("10.9.0.2", "fd09::2")}
        with Sender("a", family) as sender:
            assert sender.send(to[namespace][family == 6], last) == 0
        found = []
        while (data := server.recv(65536)) != last:
            found.append(data)
        return found

    def namespaces_reached(self, family):
        """Returns which namespaces have received a packet since the last call."""
        return "".join(name for name in "abc" if self.receive_all(name, family))


@pytest.fixture(scope="module", name="wires")
def fixture_wires():
    """The network of a file. A scenario undoes what it adds."""
    with contextlib.closing(Wires()) as made:
        yield made


def name_of(number):
    """Returns the name of an errno, which makes a failed assertion easier to read."""
    return errno.errorcode.get(number, number)
