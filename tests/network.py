# SPDX-License-Identifier: GPL-2.0-only
"""The network of most scenarios, which stands as long as each of them leaves it as it was."""

import contextlib
import functools
import json
import pathlib
import socket
import struct

import nl
import pytest
from conftest import batch, eventually, sh
from journal import JOURNAL, observed
from sockets import answers

# Their attributes that count: the address, the name, the MTU, the master and the length of the
# queue of a link; and the addresses of the others.
IFLA, IFA, NDA = (1, 3, 4, 10, 13), (1, 2), (1, 2)
RTN_LOCAL, NUD_PERMANENT = 2, 0x80
TC_H_ROOT, TC_H_INGRESS = 0xFFFFFFFF, 0xFFFFFFF1
# Of the link alone: the kernel adds them when it sees that the link works.
LINK_LOCAL = (b"\xfe\x80", b"\xff")


def of_the_link(attributes, kind=nl.RTA_DST):
    """Whether an address among attributes is one of the link alone."""
    return attributes.get(kind, b"").startswith(LINK_LOCAL)


def some(attributes, kinds):
    """Some of the attributes, for comparison."""
    return tuple((kind, attributes[kind]) for kind in kinds if kind in attributes)


def link(head, attributes):
    """C: struct ifinfomsg, of whose flags it counts whether the device is up."""
    return head[:8], head[8] & 1, some(attributes, IFLA)


def address(head, attributes):
    """C: struct ifaddrmsg, but its flags."""
    if of_the_link(attributes, nl.IFA_ADDRESS):
        return None
    return head[:2], head[3:], some(attributes, IFA)


def route(head, attributes):
    """C: struct rtmsg, but its flags."""
    if of_the_link(attributes):
        return None
    return head[:8], some(attributes, sorted(set(attributes) - {nl.RTA_CACHEINFO}))


def neighbour(head, attributes):
    """C: struct ndmsg, of those who stay."""
    return (head, some(attributes, NDA)) if head[8] & NUD_PERMANENT else None


def whole(head, attributes):
    """All of it."""
    return head, some(attributes, sorted(attributes))


def qdisc(head, attributes):
    """C: struct tcmsg, of those that somebody has added: ifindex, handle, parent."""
    ifindex, handle, parent = struct.unpack_from("=iII", head, 4)
    return (ifindex, handle, parent) if handle >> 16 else None


# What a namespace has: how it is asked for, the length of what comes before the attributes, and
# what of it counts.
PARTS = {
    nl.RTM_GETLINK: (16, link), nl.RTM_GETADDR: (8, address), nl.RTM_GETROUTE: (12, route),
    nl.RTM_GETNEIGH: (12, neighbour), nl.RTM_GETRULE: (12, whole), nl.RTM_GETNEXTHOP: (8, whole),
    nl.RTM_GETNETCONF: (4, whole), nl.RTM_GETQDISC: (20, qdisc),
}


def state(namespace):
    """What a namespace has, of each kind."""
    found = {}
    with nl.Requests(namespace) as requests:
        for kind, (length, of) in PARTS.items():
            messages, _ = requests.dump(kind, bytes(length))
            found[kind] = {of(message[:length], nl.attrs(message[length:]))
                           for _, message in messages} - {None}
    return found


def put_back(namespace, first):
    """Takes away the qdiscs and routes that a scenario has added, and puts routes back that it has
    taken away."""
    now = state(namespace)
    for ifindex, handle, parent in now[nl.RTM_GETQDISC]:
        if parent in (TC_H_ROOT, TC_H_INGRESS):
            nl.request(namespace, nl.RTM_DELQDISC, 0,
                       struct.pack("=BxxxiIII", 0, ifindex, handle, parent, 0))
    here, there = now[nl.RTM_GETROUTE], first[nl.RTM_GETROUTE]
    for head, attributes in here - there:
        # To name a program here would take its descriptor.
        nl.request(namespace, nl.RTM_DELROUTE, 0, body(head, (
            (kind, value) for kind, value in attributes
            if kind not in (nl.RTA_ENCAP, nl.RTA_ENCAP_TYPE))))
    for head, attributes in there - here:
        nl.request(namespace, nl.RTM_NEWROUTE, nl.NLM_F_CREATE | nl.NLM_F_EXCL,
                   body(head, attributes))


def body(head, attributes):
    """The body of a request about a route."""
    return head + bytes(4) + b"".join(nl.attr(kind, value) for kind, value in attributes)


class Net:
    """Two namespaces, a and b, joined by a veth pair; b has a service address besides.

    The address of the service is reached by a route that the scenario adds.
    """

    standing = None
    # How the first one comes about.
    MAKE_A = "netns add a"

    def __init__(self):
        Net.clear()
        batch(
            "",
            self.MAKE_A,
            "netns add b",
            "link add va netns a type veth peer name vb netns b",
        )
        for name, host in (("a", 1), ("b", 2)):
            batch(
                f"-n {name}",
                "link set lo up",
                f"link set v{name} address 02:00:00:00:00:0{host}",
                f"addr add 10.0.0.{host}/24 dev v{name}",
                f"addr add fd00::{host}/64 dev v{name} nodad",
                f"link set v{name} up",
                # A scenario that drops packets must not leave a neighbour in doubt.
                *(f"neigh add {net}{3 - host} lladdr 02:00:00:00:00:0{3 - host} dev v{name}"
                  for net in ("10.0.0.", "fd00::")),
                *(("addr add 10.1.0.1/32 dev lo", "addr add fd01::1/128 dev lo nodad")
                  if name == "b" else ()),
            )

    @classmethod
    def ready(cls):
        """The network that stands, or a new one."""
        if not cls.standing:
            made = cls()
            eventually(made.settled)
            made.first = [state(name) for name in "ab"]
            cls.standing = made
        return cls.standing

    @classmethod
    def clear(cls):
        """There is none that stands."""
        if cls.standing:
            cls.standing.close()

    def settled(self):
        """Whether the kernel has seen that the link works."""
        return all(
            any(head[7] == RTN_LOCAL and dict(attributes).get(nl.RTA_DST)
                == socket.inet_pton(socket.AF_INET6, f"fd00::{host}")
                for head, attributes in state(name)[nl.RTM_GETROUTE])
            for name, host in (("a", 1), ("b", 2)))

    def give_back(self):
        """A scenario ends. The network stands if it is what it was, or can be made so; else the
        next scenario gets a new one."""
        if Net.standing is not self:
            return
        try:
            for name, first in zip("ab", self.first, strict=True):
                if state(name) != first:
                    put_back(name, first)
            same = [state(name) for name in "ab"] == self.first
        except OSError:
            # One of its namespaces is gone.
            same = False
        if not same:
            self.close()

    @functools.cached_property
    def ifindex(self):
        """The number of a's end of the link."""
        with nl.inside("a"):
            return socket.if_nametoindex("va")

    def close(self):
        """Takes all of it away."""
        if Net.standing is self:
            Net.standing = None
        there = [name for name in ("a", "b") if pathlib.Path(f"/run/netns/{name}").exists()]
        batch("", *(f"netns del {name}" for name in there))

    def service(self, family):
        """The service address of b."""
        return "10.1.0.1" if family == 4 else "fd01::1"

    def gateway(self, family):
        """The address of b on the link."""
        return "10.0.0.2" if family == 4 else "fd00::2"

    def route(self, family, encap="", verb="replace"):
        """Gives a its route to the service."""
        sh(f"ip -{family} -n a route {verb} {self.service(family)} "
           f"{encap} via {self.gateway(family)} dev va")

    def local(self, family, encap=""):
        """Gives b its route for what is addressed to the service."""
        route = f"table local local {self.service(family)}"
        batch(f"-{family} -n b", f"route del {route}", f"route add {route} {encap} dev lo")

    def encap(self, hook, name, family):
        """Puts a program on a hook of the way from a to the service."""
        encap = f"encap bpf {hook} obj lwt_{hook}_{name}.o section lwt_{hook}"
        if hook == "in":
            self.route(family)
            self.local(family, encap)
        else:
            self.route(family, encap)

    @observed
    def ping(self, family=4, address=None, count=1, wait=3, **options):
        """How many echo requests the service answers, and that within some seconds."""
        return answers("a", family, address or self.service(family), count, wait=wait, **options)

    def dropped(self, family=4, **options):
        """Whether the service does not answer for a time in which it always would."""
        return not self.ping(family, wait=0.4, **options)

    def tc(self, what, namespace="a"):
        """Runs tc in a namespace."""
        return sh(f"tc -n {namespace} {what}")

    def filters(self, where="dev va egress", namespace="a"):
        """The filters of a hook as tc lists them, instances and headers left out."""
        listed = json.loads(sh(f"tc -n {namespace} -j -d filter show {where}"))
        return [entry for entry in listed if "handle" in entry.get("options", {})]


@pytest.fixture(scope="session", autouse=True)
def fixture_standing(module):
    """No network is left."""
    yield
    Net.clear()


@pytest.fixture(name="net")
def fixture_net():
    """A network as new."""
    made = Net.ready()
    yield made
    with JOURNAL.quiet():
        made.give_back()


@pytest.fixture(name="fresh")
def fixture_fresh():
    """A network that is new, for what a device is told once and nobody can ask it about."""
    with contextlib.closing(Net()) as made:
        yield made


@pytest.fixture(scope="module", name="lasting")
def fixture_lasting():
    """A network for all scenarios of a file, which leave it as it was."""
    with contextlib.closing(Net()) as made:
        yield made
