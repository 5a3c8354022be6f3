# SPDX-License-Identifier: GPL-2.0-only
"""Raw rtnetlink messages, including malformed ones that no tool sends.

pyroute2 encodes attributes by their meaning; these must be able to be wrong.
"""

import contextlib
import ctypes
import os
import select
import socket
import struct
import time

import syscalls
from journal import JOURNAL

NETLINK_EXT_ACK = 11
SOL_NETLINK = 270
NLM_F_REQUEST, NLM_F_ACK, NLM_F_ECHO = 1, 4, 8
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
NLM_F_DUMP = 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLA_F_NESTED, NLA_F_NET_BYTEORDER = 0x8000, 0x4000
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_GETNEIGH, RTM_GETRULE = 30, 34
RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTM_NEWTCLASS, RTM_DELTCLASS = 40, 41
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
RTM_GETNETCONF = 82
RTM_NEWNEXTHOP, RTM_DELNEXTHOP, RTM_GETNEXTHOP = 104, 105, 106
NHA_ID, NHA_OIF, NHA_GATEWAY, NHA_ENCAP_TYPE, NHA_ENCAP = 1, 5, 6, 7, 8
IFLA_IFNAME, IFLA_LINKINFO, IFLA_NET_NS_FD, IFF_UP = 3, 18, 28, 1
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS, IFA_F_NODAD = 1, 2, 8, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_METRICS, RTA_MULTIPATH = 1, 4, 5, 6, 8, 9
RTA_CACHEINFO, RTA_TABLE, RTA_ENCAP_TYPE, RTA_ENCAP, RTA_NH_ID = 12, 15, 21, 22, 30
ENCAP_BPF = 6
LWT_IN, LWT_OUT, LWT_XMIT, LWT_HEADROOM = 1, 2, 3, 4
PROG_FD, PROG_NAME = 1, 2
TCA_KIND, TCA_OPTIONS, TCA_RATE, TCA_CHAIN = 1, 2, 5, 11
TCA_INGRESS_BLOCK, TCA_EGRESS_BLOCK, TCA_DUMP_FLAGS = 13, 14, 15
(BPF_ACT, BPF_POLICE, BPF_CLASSID, BPF_OPS_LEN, BPF_OPS, BPF_FD, BPF_NAME, BPF_FLAGS,
 BPF_FLAGS_GEN, BPF_TAG, BPF_ID) = range(1, 12)
ACT_KIND, ACT_OPTIONS, GACT_PARMS = 1, 2, 2
DIRECT = 1
TC_H_CLSACT, TC_H_CLSACT_INGRESS, TC_H_CLSACT_EGRESS = 0xFFFFFFF1, 0xFFFFFFF2, 0xFFFFFFF3


def attr(kind, payload=b""):
    """Returns one attribute, padded."""
    if isinstance(payload, int):
        payload = struct.pack("=I", payload)
    if isinstance(payload, str):
        payload = payload.encode() + b"\0"
    data = struct.pack("=HH", len(payload) + 4, kind) + payload
    return data + b"\0" * (-len(data) % 4)


@contextlib.contextmanager
def inside(namespace):
    """Moves this thread into a namespace: what it opens meanwhile belongs there."""
    with (
        open(f"/run/netns/{namespace}", "rb") as target,
        open("/proc/thread-self/ns/net", "rb") as home,
    ):
        os.setns(target.fileno(), os.CLONE_NEWNET)
        try:
            yield target
        finally:
            os.setns(home.fileno(), os.CLONE_NEWNET)


def open_in(namespace):
    """Returns a netlink socket in a namespace, or in the current one."""
    with inside(namespace) if namespace else contextlib.nullcontext():
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)


def request(namespace, kind, flags, body):
    """Sends a request in a namespace; returns (errno, extack message)."""
    with open_in(namespace) as sock:
        sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        sock.settimeout(10)
        head = struct.pack("=IHHII", 16 + len(body), kind, flags | NLM_F_REQUEST | NLM_F_ACK, 1, 0)
        sock.send(head + body)
        answer = sock.recv(65536)
    asked, (_, _, flags) = kind, struct.unpack_from("=IHH", answer)
    error, inner = struct.unpack_from("=iI", answer, 16)
    message = ""
    if flags & NLM_F_ACK_TLVS:
        at = 20 + (16 if flags & NLM_F_CAPPED else (inner + 3) & ~3)
        while at + 4 <= len(answer):
            length, kind = struct.unpack_from("=HH", answer, at)
            if kind == 1:
                message = answer[at + 4:at + length].rstrip(b"\0").decode()
            at += (length + 3) & ~3
    JOURNAL.note("request", kind=asked, errno=-error, message=message)
    return -error, message


def ifinfomsg(index=0, flags=0, changed=None):
    """Returns the header of a link request. `changed` is the mask of flags to change, by default
    those that are set."""
    return struct.pack("=BxHiII", 0, 0, index, flags, flags if changed is None else changed)


def rtmsg(domain, length=0, table=0, protocol=0, scope=0, kind=0):
    """Returns the header of a request about a route, or about all routes of a family."""
    return struct.pack("=BBBBBBBBI", domain, length, 0, 0, table, protocol, scope, kind, 0)


def service_route_request(family):
    """Returns the body of a request about a route to the service. Attributes may be appended."""
    domain = socket.AF_INET if family == 4 else socket.AF_INET6
    address = "10.1.0.1" if family == 4 else "fd01::1"
    body = rtmsg(domain, 32 if family == 4 else 128, 254, 4, 0, 1)
    return body + attr(RTA_DST, socket.inet_pton(domain, address))


def add_route(family, ifindex, encap, flags=NLM_F_CREATE | NLM_F_REPLACE):
    """Adds a route to the service; `encap` holds the attributes of the encapsulation."""
    domain, gateway = (socket.AF_INET, "10.0.0.2") if family == 4 else (socket.AF_INET6, "fd00::2")
    body = service_route_request(family)
    body += attr(RTA_GATEWAY, socket.inet_pton(domain, gateway))
    body += attr(RTA_OIF, ifindex)
    body += attr(RTA_ENCAP_TYPE, struct.pack("=H", ENCAP_BPF))
    body += attr(RTA_ENCAP, encap)
    return request("a", RTM_NEWROUTE, flags, body)


def add_nexthop(ifindex, gateway, encap):
    """Adds a nexthop object for IPv4; `encap` holds the attributes of the encapsulation."""
    body = struct.pack("=BBBBI", socket.AF_INET, 0, 0, 0, 0) + attr(NHA_ID, 1)
    body += attr(NHA_OIF, ifindex) + attr(NHA_GATEWAY, socket.inet_aton(gateway))
    body += attr(NHA_ENCAP_TYPE, struct.pack("=H", ENCAP_BPF))
    body += attr(NHA_ENCAP | NLA_F_NESTED, encap)
    return request("a", RTM_NEWNEXTHOP, NLM_F_CREATE, body)


def add_filter(ifindex, options, handle=1, flags=NLM_F_CREATE, extra=b"", prio=1,
               parent=TC_H_CLSACT_EGRESS, protocol=0x0300):
    """Adds a filter, by default on egress for all protocols; `options` may be None."""
    body = struct.pack("=BxxxiIII", 0, ifindex, handle, parent, prio << 16 | protocol)
    body += attr(TCA_KIND, "bpf") + extra
    if options is not None:
        body += attr(TCA_OPTIONS, options)
    return request("a", RTM_NEWTFILTER, flags, body)


def gact(verdict, index=0):
    """Returns the attributes of one gact action, for an entry of TCA_BPF_ACT."""
    parms = struct.pack("=IIiii", index, 0, verdict, 0, 0)
    return attr(ACT_KIND, "gact") + attr(ACT_OPTIONS, attr(GACT_PARMS, parms))


def attrs(data):
    """Parses attributes: returns the payloads by type."""
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        found[kind & 0x3FFF] = data[at + 4:at + length]
        at += (length + 3) & ~3
    return found


def all_filters_request(ifindex, parent=TC_H_CLSACT_EGRESS):
    """Returns the body of a request about all filters of a hook."""
    return struct.pack("=BxxxiIII", 0, ifindex, 0, parent, 0)


def filters(ifindex, handle=None, parent=TC_H_CLSACT_EGRESS, prio=1, protocol=0x0300):
    """Returns the parsed TCA_OPTIONS of filters in a, by handle: of all filters by a dump, or of
    one."""
    found = {}
    with Requests("a") as requests:
        if handle is None:
            answers, _ = requests.dump(RTM_GETTFILTER, all_filters_request(ifindex, parent))
        else:
            requests.send(RTM_GETTFILTER, 0, [struct.pack(
                "=BxxxiIII", 0, ifindex, handle, parent, prio << 16 | protocol)
                + attr(TCA_KIND, "bpf")])
            answers = requests.answers()
    for kind, answer in answers:
        if kind == NLMSG_ERROR:
            raise OSError(-struct.unpack_from("=i", answer)[0], "refused")
        number, top = struct.unpack_from("=I", answer, 8)[0], attrs(answer[20:])
        if TCA_OPTIONS in top:
            found[number] = attrs(top[TCA_OPTIONS])
    return found


def open_pinned(path):
    """Returns a file descriptor of a pinned BPF object. C: bpf(BPF_OBJ_GET)."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = ctypes.create_string_buffer(path.encode())
    request_ = ctypes.create_string_buffer(struct.pack("=QII", ctypes.addressof(name), 0, 0), 128)
    fd = libc.syscall(syscalls.BPF, 7, request_, 16)
    if fd < 0:
        raise OSError(ctypes.get_errno(), path)
    return fd


def handle_of(message):
    """Returns the handle in a message about a filter; 0 if the message is about a tcf_proto."""
    kind, payload = message
    assert kind == RTM_NEWTFILTER, f"not about a filter: {kind}"
    return struct.unpack_from("=I", payload, 8)[0]


def tfilter(ifindex, handle, options=None, parent=TC_H_CLSACT_EGRESS, prio=1):
    """Returns the body of a request about a filter for all protocols."""
    body = struct.pack("=BxxxIIII", 0, ifindex, handle, parent, prio << 16 | 0x0300)
    body += attr(TCA_KIND, "bpf")
    if options is not None:
        body += attr(TCA_OPTIONS, options)
    return body


class Requests:
    """A socket in a namespace that stays open for many requests."""

    def __init__(self, namespace):
        self.sock = open_in(namespace)
        for option in (SO_SNDBUFFORCE, SO_RCVBUFFORCE):
            self.sock.setsockopt(socket.SOL_SOCKET, option, 1 << 26)
        self.sock.settimeout(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, kind, flags, bodies):
        """Sends requests as one datagram; returns the seconds that the call took.

        The kernel processes all of them before the call returns. Requests without NLM_F_ACK get an
        answer only if they fail.
        """
        flags |= NLM_F_REQUEST
        data = b"".join(
            struct.pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body
            for number, body in enumerate(bodies))
        start = time.perf_counter()
        self.sock.send(data)
        return time.perf_counter() - start

    def answers(self):
        """Returns the answers so far: (type, payload) of each message."""
        found = []
        while select.select([self.sock], [], [], 0)[0]:
            found += messages(self.sock.recv(1 << 20))
        JOURNAL.note("answers", messages=found)
        return found

    def dump(self, kind, body):
        """Requests a dump; returns its messages, and the seconds that the calls took."""
        found = []
        seconds = self.send(kind, NLM_F_DUMP, [body])
        while not found or found[-1][0] != NLMSG_DONE:
            start = time.perf_counter()
            data = self.sock.recv(1 << 20)
            seconds += time.perf_counter() - start
            found += messages(data)
        JOURNAL.note("dump", kind=kind, messages=found[:-1])
        return found[:-1], seconds

    def parts(self, kind, body):
        """Requests a dump and yields its messages, one datagram at a time. The kernel is one or two
        datagrams ahead."""
        self.send(kind, NLM_F_DUMP, [body])
        done = False
        while not done:
            found = messages(self.sock.recv(1 << 20))
            done = found[-1][0] == NLMSG_DONE
            yield found[:-1] if done else found


def messages(data):
    """Parses a datagram: returns (type, payload) of each message."""
    at, found = 0, []
    while at < len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        found.append((kind, data[at + 16:at + length]))
        at += (length + 3) & ~3
    return found
