# SPDX-License-Identifier: GPL-2.0-only
"""The row of docs/differences.md that explains two different answers to a request of the fuzzer."""

import errno
import socket
import struct

import fuzz
import nl
from fuzz_flaws import CHANGED, HEADS, OURS, REFUSALS, THEIRS, all_flaws
from fuzz_messages import attributes
from fuzz_socket import SILENT

ORDER = "order of checks"
TERSE = "`tc -br filter show`"
HEADROOM = "routes whose `headroom` differs"
# Suffix of a row for differences in later requests.
LATER = ", in what it left behind"
# Answers that can result from the effect of an earlier request.
OF_THE_STATE = {0, errno.EEXIST, errno.ENOENT, errno.ESRCH, errno.EINVAL, errno.EBUSY,
                errno.ENETUNREACH, errno.EHOSTUNREACH, SILENT}


def place_of(message):
    """Returns which state a request is about: the filters of a device or block, or routes."""
    if HEADS[message.kind] != 20:
        return "routes"
    ifindex, _, parent = struct.unpack_from("=4xIII", message.head)
    return ifindex, parent if ifindex == fuzz.MAGIC_BLOCK else 0


def may_answer(answer, said_to, found):
    """Returns whether a side may give this answer, because of its state or of a flaw."""
    return answer in OF_THE_STATE or any(answer in said_to.get(flaw, ()) for flaw in found)


def place_and_generic_flags(message):
    """Returns the device or block, the parent and the priority of a filter, and its generic
    flags."""
    ifindex, _, parent, info = struct.unpack_from("=4xIIII", message.head)
    options = dict(attributes(message.body()[20:])[0]).get(nl.TCA_OPTIONS, b"")
    flags = dict(attributes(options)[0]).get(nl.BPF_FLAGS_GEN, b"")
    return (ifindex, parent, info >> 16), flags[:4] if any(flags) else b""


def encapsulations(message):
    """Yields the destination, the programs and the headroom of each nexthop of a route that has an
    encapsulation."""
    found = dict(attributes(message.body()[len(message.head):])[0])
    hops, left = [found], found.get(nl.RTA_MULTIPATH, b"")
    while len(left) >= 8:
        length, = struct.unpack_from("=H", left)
        hops.append(dict(attributes(left[8:length])[0]))
        left = left[max(length + 3 & ~3, 8):]
    for hop in hops:
        if nl.RTA_ENCAP in hop:
            encap = dict(attributes(hop[nl.RTA_ENCAP])[0])
            headroom = encap.pop(nl.LWT_HEADROOM, bytes(4))
            yield found.get(nl.RTA_DST), tuple(sorted(encap.items())), headroom


def explain(message, ours, theirs, world, before, there, routes):
    """Returns the row of docs/differences.md that explains a difference, or "", and the flaws of
    the message. `before` is the row of an earlier difference that left different state. `there` has
    the filters that both sides added, `routes` the encapsulations of such routes."""
    found = all_flaws(message, world)
    if message.kind == nl.RTM_NEWTFILTER:
        where, flags = place_and_generic_flags(message)
        if any(where == each and flags != other for each, other in there):
            found.append(CHANGED)
    if (ours, theirs) == (0, errno.EMSGSIZE) and message.kind == nl.RTM_GETTFILTER and (
            nl.TCA_DUMP_FLAGS in dict(attributes(message.body()[20:])[0])):
        return TERSE, found
    if (ours, theirs) == (0, errno.EEXIST) and message.kind == nl.RTM_NEWROUTE and any(
            each[:2] == other[:2] and each[2] != other[2]
            for each in encapsulations(message) for other in routes):
        return HEADROOM, found
    # If the encapsulation in the request is refused, the kernel deletes an IPv4 route without
    # comparing it.
    if not ours and message.kind == nl.RTM_DELROUTE and message.head[0] == socket.AF_INET:
        for row in REFUSALS:
            if row in found:
                return row, found
    if ours and not theirs:
        for row in REFUSALS:
            if row in found:
                return row, found
    if ours and theirs and ours != SILENT and theirs != SILENT:
        if any(ours in OURS.get(one, ()) and theirs in THEIRS.get(other, ())
               for one in found for other in found if one != other):
            return ORDER, found
        for row in REFUSALS:
            if row in found and ours in OURS[row]:
                return row, found
    if before and {ours, theirs} & OF_THE_STATE and may_answer(ours, OURS, found) and may_answer(
            theirs, THEIRS, found):
        return f"{before.removesuffix(LATER)}{LATER}", found
    return "", found
