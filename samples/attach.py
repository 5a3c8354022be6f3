#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Attaches a BPF program to a route or to a device with pyroute2:

    attach.py route OBJECT PREFIX DEVICE [--via GATEWAY] [--headroom N]
    attach.py filter OBJECT DEVICE ingress|egress

    attach.py route lwt_xmit_vxlan.o 10.1.0.0/16 eth0 --headroom 50
    attach.py filter tc_police.o eth0 ingress

It needs pyroute2 and libbpf 1. libbpf loads the object, and pyroute2 attaches the first program of
it by its file descriptor. On a route it goes to the hook of its type (in, out or xmit). A filter is
direct-action, with priority 1 and handle 1, on clsact, which is added if missing. Either replaces
an existing one. The route or filter holds a reference to the program until "ip route del" or
"tc filter del", so this process can exit at once.
"""

import argparse
import contextlib
import ctypes
import errno
import ipaddress
import os
import socket

from pyroute2 import IPRoute, NetlinkError

# The program types of routes (enum bpf_prog_type), and their hooks.
HOOKS = {10: "in", 11: "out", 12: "xmit"}
# The hooks of clsact: TC_H_CLSACT with TC_H_MIN_INGRESS or TC_H_MIN_EGRESS.
PARENTS = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}


def load(path):
    """Loads an object and returns the file descriptor, name and type of its first program."""
    libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)

    def call(name, result, *args):
        function = getattr(libbpf, name)
        function.restype = result
        return function(*args)

    def failed():
        number = ctypes.get_errno()
        return OSError(number, os.strerror(number), path)

    pointer = ctypes.c_void_p
    opened = pointer(call("bpf_object__open_file", pointer, os.fsencode(path), None))
    if not opened:
        raise failed()
    program = pointer(call("bpf_object__next_program", pointer, opened, None))
    if not program:
        raise ValueError(f"{path}: no program")
    if call("bpf_object__load", ctypes.c_int, opened):
        raise failed()
    return (call("bpf_program__fd", ctypes.c_int, program),
            call("bpf_program__name", ctypes.c_char_p, program).decode(),
            call("bpf_program__type", ctypes.c_int, program))


def add_route(ipr, args):
    """Adds or replaces a route that runs the program on its packets."""
    fd, name, kind = load(args.object)
    if kind not in HOOKS:
        raise ValueError(f"{name} is no program for a route")
    program = {"fd": fd, "name": name}
    if args.headroom:
        program["headroom"] = args.headroom
    prefix = ipaddress.ip_network(args.prefix)
    gateway = {"gateway": args.via} if args.via else {"scope": "link"}
    ipr.route("replace", dst=str(prefix), oif=socket.if_nametoindex(args.device),
              family=socket.AF_INET if prefix.version == 4 else socket.AF_INET6,
              encap={"type": "bpf", HOOKS[kind]: program}, **gateway)


def add_filter(ipr, args):
    """Adds or replaces a filter on packets that a device receives or sends."""
    fd, name, _ = load(args.object)
    index = socket.if_nametoindex(args.device)
    try:
        ipr.tc("add", "clsact", index)
    except NetlinkError as error:
        # The qdisc may exist already.
        if error.code != errno.EEXIST:
            raise
    ipr.tc("replace-filter", "bpf", index, handle=1, prio=1, fd=fd, name=name,
           parent=PARENTS[args.where], direct_action=True)


def main():
    """Parses the command line and attaches the program."""
    parser = argparse.ArgumentParser(description="attaches a BPF program with pyroute2")
    kinds = parser.add_subparsers(required=True)
    route = kinds.add_parser("route", help="to a route")
    route.set_defaults(add=add_route)
    route.add_argument("object")
    route.add_argument("prefix")
    route.add_argument("device")
    route.add_argument("--via", metavar="GATEWAY")
    route.add_argument("--headroom", type=int)
    filtered = kinds.add_parser("filter", help="to what a device receives or sends")
    filtered.set_defaults(add=add_filter)
    filtered.add_argument("object")
    filtered.add_argument("device")
    filtered.add_argument("where", choices=PARENTS)
    args = parser.parse_args()
    with contextlib.closing(IPRoute(ext_ack=True)) as ipr:
        try:
            args.add(ipr, args)
        except (NetlinkError, OSError, ValueError) as error:
            parser.exit(1, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
