# SPDX-License-Identifier: GPL-2.0-only
"""Netlink requests of concurrent operations, whose outcomes are counted."""

import errno
import socket
import struct

import nl
from headers import DOMAIN

INFO_KIND, INFO_DATA, VETH_INFO_PEER = 1, 2, 1
CLSACT = (0xFFFF0000, 0xFFFFFFF1)
BLOCK = 0xFFFFFFFF
CREATE, EXCL, REPLACE = nl.NLM_F_CREATE, nl.NLM_F_EXCL, nl.NLM_F_REPLACE


class CountedRequests:
    """Sends requests and counts their outcomes. Errnos that a race explains are counted; any other
    errno is an error."""

    def __init__(self, done, namespace=None):
        self.done, self.requests = done, nl.Requests(namespace)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.requests.__exit__()

    def send(self, what, kind, flags, body, *expected):
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

    def add_link(self, index, name, kind, data=b""):
        """Creates a device."""
        info = nl.attr(INFO_KIND, kind) + (nl.attr(INFO_DATA, data) if data else b"")
        body = named_ifinfomsg(index, name) + nl.attr(nl.IFLA_LINKINFO, info)
        self.send(f"{kind} made", nl.RTM_NEWLINK, CREATE | EXCL, body)

    def set_up(self, index, net, slot, host):
        """Brings a device up and adds its addresses in a network."""
        self.send("devices up", nl.RTM_NEWLINK, 0, nl.ifinfomsg(index, nl.IFF_UP))
        self.add_addresses(index, net, slot, host)

    def del_link(self, what, index, *expected):
        """Deletes a device."""
        self.send(what, nl.RTM_DELLINK, 0, nl.ifinfomsg(index), *expected)

    def add_addresses(self, index, net, slot, host):
        """Adds an IPv4 and an IPv6 address in a network to a device."""
        for family, text, length in ((4, ipv4_address(net, slot, host), 24),
                                     (6, ipv6_address(net, slot, host), 64)):
            packed = socket.inet_pton(DOMAIN[family], text)
            body = struct.pack("=BBBBI", DOMAIN[family], length, nl.IFA_F_NODAD, 0, index)
            self.send("addresses", nl.RTM_NEWADDR, CREATE,
                      body + nl.attr(nl.IFA_LOCAL, packed) + nl.attr(nl.IFA_ADDRESS, packed))

    def add_clsact(self, index, extra=b""):
        """Adds a clsact qdisc to a device."""
        body = struct.pack("=BxxxiIII", 0, index, *CLSACT, 0) + nl.attr(nl.TCA_KIND, "clsact")
        self.send("clsact made", nl.RTM_NEWQDISC, CREATE | EXCL, body + extra)

    def del_clsact(self, index, what="clsact deleted"):
        """Deletes the clsact qdisc and its filters."""
        body = struct.pack("=BxxxiIII", 0, index, *CLSACT, 0)
        self.send(what, nl.RTM_DELQDISC, 0, body + nl.attr(nl.TCA_KIND, "clsact"))


def named_ifinfomsg(index, name):
    """C: struct ifinfomsg and the device's name."""
    return nl.ifinfomsg(index) + nl.attr(nl.IFLA_IFNAME, name)


def ipv4_address(net, slot, host):
    """Returns an IPv4 address in the network of a slot."""
    return f"10.{net}.{slot}.{host}"


def ipv6_address(net, slot, host):
    """Returns an IPv6 address in the network of a slot. Hosts from 128 on have their own routes."""
    return f"fd{net}:{slot}::{host:x}"


def route_request(family, target, length, index, encap, gateway=None, local=False):
    """Returns the body of a route request for the main table, or for the local table if `local`."""
    table, scope, kind = (255, 254, 2) if local else (254, 0 if gateway else 253, 1)
    if family == 6:
        scope = 0
    body = nl.rtmsg(DOMAIN[family], length, table, 4, scope, kind)
    body += nl.attr(nl.RTA_DST, socket.inet_pton(DOMAIN[family], target))
    if gateway:
        body += nl.attr(nl.RTA_GATEWAY, socket.inet_pton(DOMAIN[family], gateway))
    return body + nl.attr(nl.RTA_OIF, index) + encap
