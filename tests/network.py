# SPDX-License-Identifier: GPL-2.0-only
"""The network of most scenarios. It is reused as long as each scenario leaves it unchanged."""

import contextlib
import functools
import json
import pathlib
import socket
import struct

import nl
import pytest
from conftest import batch, eventually, sh
from journal import JOURNAL, recorded
from needs import IPV6
from sockets import answers

# The attributes that are compared: address, name, MTU, master and queue length of a link; the
# addresses of other objects.
IFLA, IFA, NDA = (1, 3, 4, 10, 13), (1, 2), (1, 2)
RTN_LOCAL, NUD_PERMANENT = 2, 0x80
TC_H_ROOT, TC_H_INGRESS = 0xFFFFFFFF, 0xFFFFFFF1
# Link-local and multicast prefixes, which the kernel adds when the link comes up.
LINK_LOCAL = (b"\xfe\x80", b"\xff")


def is_link_local(attributes, kind=nl.RTA_DST):
    """Returns whether an address attribute is link-local or multicast."""
    return attributes.get(kind, b"").startswith(LINK_LOCAL)


def selected(attributes, kinds):
    """Returns the attributes of these types, for comparison."""
    return tuple((kind, attributes[kind]) for kind in kinds if kind in attributes)


def link(head, attributes):
    """C: struct ifinfomsg; of its flags only IFF_UP is compared."""
    return head[:8], head[8] & 1, selected(attributes, IFLA)


def address(head, attributes):
    """C: struct ifaddrmsg without its flags."""
    if is_link_local(attributes, nl.IFA_ADDRESS):
        return None
    return head[:2], head[3:], selected(attributes, IFA)


def route(head, attributes):
    """C: struct rtmsg without its flags."""
    if is_link_local(attributes):
        return None
    return head[:8], selected(attributes, sorted(set(attributes) - {nl.RTA_CACHEINFO}))


def neighbour(head, attributes):
    """C: struct ndmsg of permanent neighbours."""
    return (head, selected(attributes, NDA)) if head[8] & NUD_PERMANENT else None


def all_attributes(head, attributes):
    """Returns the header and all attributes, for comparison."""
    return head, selected(attributes, sorted(attributes))


def qdisc(head, attributes):
    """C: struct tcmsg (ifindex, handle, parent) of qdiscs with a handle, which the user has
    added."""
    ifindex, handle, parent = struct.unpack_from("=iII", head, 4)
    return (ifindex, handle, parent) if handle >> 16 else None


# The state of a namespace by request type: the length of the header before the attributes, and the
# function that selects what is compared.
PARTS = {
    nl.RTM_GETLINK: (16, link), nl.RTM_GETADDR: (8, address), nl.RTM_GETROUTE: (12, route),
    nl.RTM_GETNEIGH: (12, neighbour), nl.RTM_GETRULE: (12, all_attributes),
    nl.RTM_GETNEXTHOP: (8, all_attributes), nl.RTM_GETNETCONF: (4, all_attributes),
    nl.RTM_GETQDISC: (20, qdisc),
}


def state(namespace):
    """Returns the state of a namespace, by type of request."""
    found = {}
    with nl.Requests(namespace) as requests:
        for kind, (length, of) in PARTS.items():
            messages, _ = requests.dump(kind, bytes(length))
            found[kind] = {of(message[:length], nl.attrs(message[length:]))
                           for _, message in messages} - {None}
    return found


def restore_namespace(namespace, first):
    """Deletes the qdiscs and routes that a scenario has added, and restores the routes that it has
    deleted."""
    now = state(namespace)
    for ifindex, handle, parent in now[nl.RTM_GETQDISC]:
        if parent in (TC_H_ROOT, TC_H_INGRESS):
            nl.request(namespace, nl.RTM_DELQDISC, 0,
                       struct.pack("=BxxxiIII", 0, ifindex, handle, parent, 0))
    here, there = now[nl.RTM_GETROUTE], first[nl.RTM_GETROUTE]
    for head, attributes in here - there:
        # The encapsulation is left out because naming its program would take a descriptor.
        nl.request(namespace, nl.RTM_DELROUTE, 0, body(head, (
            (kind, value) for kind, value in attributes
            if kind not in (nl.RTA_ENCAP, nl.RTA_ENCAP_TYPE))))
    for head, attributes in there - here:
        nl.request(namespace, nl.RTM_NEWROUTE, nl.NLM_F_CREATE | nl.NLM_F_EXCL,
                   body(head, attributes))


def body(head, attributes):
    """Returns the body of a route request."""
    return head + bytes(4) + b"".join(nl.attr(kind, value) for kind, value in attributes)


class Net:
    """Two namespaces, a and b, joined by a veth pair; b also has a service address.

    A scenario adds the route to the service address.
    """

    current = None
    # How namespace a is created.
    MAKE_A = "netns add a"

    def __init__(self):
        Net.delete_current()
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
                # Permanent entries: a scenario that drops packets must not leave a stale or failed
                # neighbour.
                *(f"neigh add {net}{3 - host} lladdr 02:00:00:00:00:0{3 - host} dev v{name}"
                  for net in ("10.0.0.", "fd00::")),
                *(("addr add 10.1.0.1/32 dev lo", "addr add fd01::1/128 dev lo nodad")
                  if name == "b" else ()),
            )

    @classmethod
    def get_or_create(cls):
        """Returns the network that is up, or creates one."""
        if not cls.current:
            made = cls()
            eventually(made.carrier_noticed)
            made.first = [state(name) for name in "ab"]
            cls.current = made
        return cls.current

    @classmethod
    def delete_current(cls):
        """Deletes the network that is up."""
        if cls.current:
            cls.current.close()

    def carrier_noticed(self):
        """Returns whether the kernel has noticed the carrier of the link."""
        family, net = (socket.AF_INET6, "fd00::") if IPV6 else (socket.AF_INET, "10.0.0.")
        return all(
            any(head[7] == RTN_LOCAL and dict(attributes).get(nl.RTA_DST)
                == socket.inet_pton(family, f"{net}{host}")
                for head, attributes in state(name)[nl.RTM_GETROUTE])
            for name, host in (("a", 1), ("b", 2)))

    def release(self):
        """Ends a scenario. Restores the initial state of the network; if that fails, deletes the
        network, and the next scenario gets a new one."""
        if Net.current is not self:
            return
        try:
            for name, first in zip("ab", self.first, strict=True):
                if state(name) != first:
                    restore_namespace(name, first)
            same = [state(name) for name in "ab"] == self.first
        except OSError:
            # A namespace was deleted.
            same = False
        if not same:
            self.close()

    @functools.cached_property
    def ifindex(self):
        """The index of va."""
        with nl.inside("a"):
            return socket.if_nametoindex("va")

    def close(self):
        """Deletes the network."""
        if Net.current is self:
            Net.current = None
        there = [name for name in ("a", "b") if pathlib.Path(f"/run/netns/{name}").exists()]
        batch("", *(f"netns del {name}" for name in there))

    def service(self, family):
        """Returns the service address of b."""
        return "10.1.0.1" if family == 4 else "fd01::1"

    def gateway(self, family):
        """Returns the address of b on the link."""
        return "10.0.0.2" if family == 4 else "fd00::2"

    def route(self, family, encap="", verb="replace"):
        """Sets a's route to the service."""
        sh(f"ip -{family} -n a route {verb} {self.service(family)} "
           f"{encap} via {self.gateway(family)} dev va")

    def local(self, family, encap=""):
        """Sets b's local route for the service address."""
        route = f"table local local {self.service(family)}"
        batch(f"-{family} -n b", f"route del {route}", f"route add {route} {encap} dev lo")

    def encap(self, hook, name, family):
        """Attaches a program to a hook of the route from a to the service."""
        encap = f"encap bpf {hook} obj lwt_{hook}_{name}.o section lwt_{hook}"
        if hook == "in":
            self.route(family)
            self.local(family, encap)
        else:
            self.route(family, encap)

    @recorded
    def ping(self, family=4, address=None, count=1, wait=3, **options):
        """Returns how many echo requests the service answers within some seconds."""
        return answers("a", family, address or self.service(family), count, wait=wait, **options)

    def dropped(self, family=4, **options):
        """Returns whether no answer arrives in a time that is always enough for one."""
        return not self.ping(family, wait=0.4, **options)

    def tc(self, what, namespace="a"):
        """Runs tc in a namespace."""
        return sh(f"tc -n {namespace} {what}")

    def filters(self, where="dev va egress", namespace="a"):
        """Returns the filters of a hook as tc lists them, without the entries that describe
        only the tcf_proto."""
        listed = json.loads(sh(f"tc -n {namespace} -j -d filter show {where}"))
        return [entry for entry in listed if "handle" in entry.get("options", {})]


@pytest.fixture(scope="session", autouse=True)
def fixture_current(module):
    """Deletes the network after the last scenario."""
    yield
    Net.delete_current()


@pytest.fixture(name="net")
def fixture_net():
    """A network in its initial state."""
    made = Net.get_or_create()
    yield made
    with JOURNAL.quiet():
        made.release()


@pytest.fixture(name="fresh")
def fixture_fresh():
    """A newly created network, for scenarios that set device state that cannot be read back."""
    with contextlib.closing(Net()) as made:
        yield made


@pytest.fixture(scope="module", name="lasting")
def fixture_lasting():
    """A network for all scenarios of a file, which must leave it unchanged."""
    with contextlib.closing(Net()) as made:
        yield made
