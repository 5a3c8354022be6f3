# SPDX-License-Identifier: GPL-2.0-only
"""Requests that no tool would send: rtnetlink messages by the byte.

pyroute2 encodes attributes by what they mean; these must be able to be wrong.
"""

import ctypes
import os
import socket
import struct

NETLINK_EXT_ACK = 11
SOL_NETLINK = 270
NLM_F_REQUEST, NLM_F_ACK, NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 1, 4, 0x100, 0x200, 0x400
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
RTM_NEWROUTE, RTM_NEWTFILTER = 24, 44
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_ENCAP_TYPE, RTA_ENCAP = 1, 4, 5, 21, 22
ENCAP_BPF = 6
LWT_IN, LWT_OUT, LWT_XMIT, LWT_HEADROOM = 1, 2, 3, 4
PROG_FD, PROG_NAME = 1, 2
TCA_KIND, TCA_OPTIONS, TCA_RATE = 1, 2, 5
(BPF_ACT, BPF_POLICE, BPF_CLASSID, BPF_OPS_LEN, BPF_OPS, BPF_FD, BPF_NAME, BPF_FLAGS,
 BPF_FLAGS_GEN, BPF_TAG, BPF_ID) = range(1, 12)
DIRECT = 1
TC_H_CLSACT_EGRESS = 0xFFFFFFF3


def attr(kind, payload=b""):
    """One attribute, padded."""
    if isinstance(payload, int):
        payload = struct.pack("=I", payload)
    if isinstance(payload, str):
        payload = payload.encode() + b"\0"
    data = struct.pack("=HH", len(payload) + 4, kind) + payload
    return data + b"\0" * (-len(data) % 4)


def request(namespace, kind, flags, body):
    """Sends a request in a namespace; returns (errno, the sentence) of the answer."""
    with open(f"/run/netns/{namespace}", "rb") as target, open("/proc/self/ns/net", "rb") as home:
        os.setns(target.fileno(), os.CLONE_NEWNET)
        try:
            sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        finally:
            os.setns(home.fileno(), os.CLONE_NEWNET)
    with sock:
        sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        sock.settimeout(10)
        head = struct.pack("=IHHII", 16 + len(body), kind, flags | NLM_F_REQUEST | NLM_F_ACK, 1, 0)
        sock.send(head + body)
        answer = sock.recv(65536)
    _, _, flags = struct.unpack_from("=IHH", answer)
    error, inner = struct.unpack_from("=iI", answer, 16)
    sentence = ""
    if flags & NLM_F_ACK_TLVS:
        at = 20 + (16 if flags & NLM_F_CAPPED else (inner + 3) & ~3)
        while at + 4 <= len(answer):
            length, kind = struct.unpack_from("=HH", answer, at)
            if kind == 1:
                sentence = answer[at + 4:at + length].rstrip(b"\0").decode()
            at += (length + 3) & ~3
    return -error, sentence


def route(family, ifindex, encap, flags=NLM_F_CREATE | NLM_F_REPLACE):
    """The body of a route to the service, with `encap` as the encapsulation's attributes."""
    domain = socket.AF_INET if family == 4 else socket.AF_INET6
    address, gateway = ("10.1.0.1", "10.0.0.2") if family == 4 else ("fd01::1", "fd00::2")
    body = struct.pack("=BBBBBBBBI", domain, 32 if family == 4 else 128, 0, 0, 254, 4, 0, 1, 0)
    body += attr(RTA_DST, socket.inet_pton(domain, address))
    body += attr(RTA_GATEWAY, socket.inet_pton(domain, gateway))
    body += attr(RTA_OIF, ifindex)
    body += attr(RTA_ENCAP_TYPE, struct.pack("=H", ENCAP_BPF))
    body += attr(RTA_ENCAP, encap)
    return request("a", RTM_NEWROUTE, flags, body)


def filter_(ifindex, options, handle=1, flags=NLM_F_CREATE, extra=b"", prio=1):
    """A filter for all protocols on egress; `options` may be None."""
    body = struct.pack("=BxxxiIII", 0, ifindex, handle, TC_H_CLSACT_EGRESS, prio << 16 | 0x0300)
    body += attr(TCA_KIND, "bpf") + extra
    if options is not None:
        body += attr(TCA_OPTIONS, options)
    return request("a", RTM_NEWTFILTER, flags, body)


def pinned(path):
    """A file descriptor of a pinned BPF object. C: bpf(BPF_OBJ_GET)."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = ctypes.create_string_buffer(path.encode())
    request_ = ctypes.create_string_buffer(struct.pack("=QII", ctypes.addressof(name), 0, 0), 128)
    fd = libc.syscall(321, 7, request_, 16)
    if fd < 0:
        raise OSError(ctypes.get_errno(), path)
    return fd
