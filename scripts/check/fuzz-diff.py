#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""fuzz-diff.py OURS THEIRS: compares two runs of tests/test_fuzz.py with the same seed.

OURS and THEIRS are the logs of the guests. Each difference is matched to a row of
docs/differences.md by re-parsing the message. A request that only one side accepts leaves different
filters or routes behind. Until these are removed, differences in the answers to later requests
about them are attributed to the same row, but counted separately. Differences that no row explains
are printed, and set the exit status to 1.
"""

import base64
import collections
import errno
import os
import pathlib
import re
import socket
import struct
import sys
import zlib

TESTS = pathlib.Path(__file__).resolve().parents[2] / "tests"
sys.path.insert(0, str(TESTS))

import fuzz  # noqa: E402
import nl  # noqa: E402
from fuzz_messages import attributes  # noqa: E402
from fuzz_socket import SILENT  # noqa: E402

NUMBER, TEXT, NEST, BYTES = "number", "text", "nest", "bytes"
PROGRAM = {nl.PROG_FD: (NUMBER, 4), nl.PROG_NAME: (TEXT, 256)}
ENCAP = {nl.LWT_IN: (NEST, PROGRAM), nl.LWT_OUT: (NEST, PROGRAM), nl.LWT_XMIT: (NEST, PROGRAM),
         nl.LWT_HEADROOM: (NUMBER, 4)}
OPTIONS = {nl.BPF_ACT: (BYTES, 0), nl.BPF_POLICE: (BYTES, 0), nl.BPF_CLASSID: (NUMBER, 4),
           nl.BPF_OPS_LEN: (NUMBER, 2), nl.BPF_OPS: (BYTES, 0), nl.BPF_FD: (NUMBER, 4),
           nl.BPF_NAME: (TEXT, 256), nl.BPF_FLAGS: (NUMBER, 4), nl.BPF_FLAGS_GEN: (NUMBER, 4),
           nl.BPF_TAG: (BYTES, 0), nl.BPF_ID: (BYTES, 0)}
UNKNOWN = "attributes of an unknown type in a request"
LEFTOVER = "bytes left over after the attributes"
TOO_LONG = "numbers with too many bytes"
REPORTED = "TCA_BPF_TAG, TCA_BPF_ID of another program"
HALF_BESIDE = "TCA_BPF_OPS or TCA_BPF_OPS_LEN next to TCA_BPF_FD"
NAMED = "TCA_BPF_NAME with bytecode"
RATE = "TCA_RATE in a request without actions"
BEHIND = "bytes behind the NUL of a name"
TWICE = "attributes that are there twice"
TAGS = "routes whose programs have the same name"
ORDER = "order of checks"
TERSE = "`tc -br filter show`"
BEHIND_EXTENSION = "what is behind outer IPv4 options or IPv6 extensions"
EXTENSIONS = (socket.IPPROTO_HOPOPTS, socket.IPPROTO_ROUTING, socket.IPPROTO_DSTOPTS)
SHORT_OUTER = "outer IPv4 header with an IHL below 5"
# Flaws without a row in docs/differences.md.
SHORT = "a number with too few bytes"
NO_END, HALF, NONE = "a name without end", "half a program", "no program"
LONG_NAME = "a name with more behind it than there is room for"
HEADROOM, FLAG, FLAG_GEN = "much headroom", "an unknown flag", "a generic flag"
NEITHER, BYTECODE = "neither or both of bytecode and a program", "bytecode that is wrong"
DESCRIPTOR, ACTIONS = "a wrong descriptor", "actions, which may be wrong"
CHANGED = "other generic flags than a filter there has"
# Opcodes of the last instruction of bytecode. C: BPF_RET | BPF_K, BPF_RET | BPF_A
RETURN = (0x06, 0x16)
# The errnos that either side may return for a flaw that both refuse. Other flaws are refused by one
# side only, or with different errnos.
BOTH = {SHORT: {errno.ERANGE}, NO_END: {errno.EINVAL}, HALF: {errno.EINVAL}, NONE: {errno.EINVAL},
        LONG_NAME: {errno.ERANGE}, HEADROOM: {errno.ERANGE}, FLAG: {errno.EINVAL},
        NEITHER: {errno.EINVAL},
        FLAG_GEN: {errno.EINVAL, errno.EOPNOTSUPP}, BYTECODE: {errno.EINVAL, errno.ERANGE},
        DESCRIPTOR: {errno.EINVAL, errno.EBADF}, CHANGED: {errno.EINVAL},
        ACTIONS: {errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP, errno.ERANGE}}
OURS = BOTH | {BEHIND: {errno.EINVAL}, TWICE: {errno.EINVAL}, HALF_BESIDE: {errno.EINVAL},
               UNKNOWN: {errno.EINVAL}, LEFTOVER: {errno.EINVAL}, TOO_LONG: {errno.EINVAL},
               REPORTED: {errno.EINVAL}, RATE: {errno.EINVAL}, NAMED: {errno.EINVAL}}
THEIRS = BOTH | {LEFTOVER: {errno.ERANGE}}
# Rows about requests that lwtcls refuses and the C accepts.
REFUSALS = (UNKNOWN, LEFTOVER, TOO_LONG, REPORTED, RATE, BEHIND, TWICE, HALF_BESIDE, NAMED)
HEADS = {nl.RTM_NEWTFILTER: 20, nl.RTM_DELTFILTER: 20, nl.RTM_GETTFILTER: 20,
         nl.RTM_NEWTCLASS: 20, nl.RTM_DELTCLASS: 20,
         nl.RTM_NEWROUTE: 12, nl.RTM_DELROUTE: 12, nl.RTM_GETROUTE: 12,
         nl.RTM_NEWNEXTHOP: 8, nl.RTM_DELNEXTHOP: 8, nl.RTM_GETNEXTHOP: 8}
# Suffix of a row for differences in later requests.
LATER = ", in what it left behind"
QUERIES = (nl.RTM_GETTFILTER, nl.RTM_GETROUTE, nl.RTM_GETNEXTHOP)
# Answers that can result from the effect of an earlier request.
OF_THE_STATE = {0, errno.EEXIST, errno.ENOENT, errno.ESRCH, errno.EINVAL, errno.EBUSY,
                errno.ENETUNREACH, errno.EHOSTUNREACH, SILENT}


def flaws(data, known):
    """Yields the flaws of attributes, by the row of docs/differences.md where there is one."""
    found, left = attributes(data)
    for kind, payload in found:
        if kind not in known:
            yield UNKNOWN
            continue
        what, size = known[kind]
        if what == NUMBER and len(payload) != size:
            yield TOO_LONG if len(payload) > size else SHORT
        elif what == TEXT:
            if b"\0" not in payload[:size + 1]:
                yield NO_END
            elif len(payload.removesuffix(b"\0")) > size:
                yield LONG_NAME
            elif any(payload.partition(b"\0")[2]):
                yield BEHIND
        elif what == NEST and 0 < len(payload) < 4:
            yield LEFTOVER
        elif what == NEST:
            yield from flaws(payload, size)
        if known is OPTIONS and kind == nl.BPF_OPS and len(payload) > 4096 * 8:
            yield BYTECODE
        if known is OPTIONS and kind in (nl.BPF_TAG, nl.BPF_ID):
            yield REPORTED
        if what in (NUMBER, BYTES) and len(payload) == size == 4 and known is OPTIONS:
            number = struct.unpack("=I", payload)[0]
            if kind == nl.BPF_FLAGS and number > 1:
                yield FLAG
            if kind == nl.BPF_FLAGS_GEN and number:
                yield FLAG_GEN
        if kind == nl.LWT_HEADROOM and known is ENCAP and len(payload) >= 4:
            if struct.unpack_from("=I", payload)[0] > 256:
                yield HEADROOM
    if left:
        yield LEFTOVER
    kinds = {kind for kind, _ in found}
    if len(kinds) < len(found):
        yield TWICE
    if known is PROGRAM and not kinds >= set(PROGRAM):
        yield HALF
    if known is ENCAP and not kinds & {nl.LWT_IN, nl.LWT_OUT, nl.LWT_XMIT}:
        yield NONE
    if known is OPTIONS:
        bytecode = kinds >= {nl.BPF_OPS, nl.BPF_OPS_LEN}
        if bytecode == (nl.BPF_FD in kinds):
            yield NEITHER
        if bytecode and wrong_bytecode(dict(found)):
            yield BYTECODE
        if bytecode and nl.BPF_NAME in kinds:
            yield NAMED
        if nl.BPF_FD in kinds and not bytecode and kinds & {nl.BPF_OPS, nl.BPF_OPS_LEN}:
            yield HALF_BESIDE


def wrong_bytecode(found):
    """Returns whether bytecode has a wrong length, is too long, or does not end with a return."""
    length, insns = found[nl.BPF_OPS_LEN], found[nl.BPF_OPS]
    return (len(length) < 2 or not insns or len(insns) > 4096 * 8
            or struct.unpack_from("=H", length)[0] * 8 != len(insns)
            or struct.pack("=HBBI", 0x28, 0, 0, 12) * (len(insns) // 8 - 1) != insns[:-8]
            or insns[-8] not in RETURN)


def descriptors(data, known, world):
    """Yields a flaw for each file descriptor that is not a program of the required type."""
    for kind, payload in attributes(data)[0]:
        if kind not in known:
            continue
        what, size = known[kind]
        if what == NEST:
            wanted = {nl.LWT_IN: ("in",), nl.LWT_OUT: ("out",),
                      nl.LWT_XMIT: ("xmit", "xmit_other")}[kind]
            for inner, number in attributes(payload)[0]:
                if inner == nl.PROG_FD and len(number) >= 4 and struct.unpack_from(
                        "=I", number)[0] not in [world.fd(each) for each in wanted]:
                    yield DESCRIPTOR
        elif known is OPTIONS and kind == nl.BPF_FD and len(payload) >= 4:
            good = ("tc", "tc_other", "tc_realm")
            if struct.unpack_from("=I", payload)[0] not in [world.fd(each) for each in good]:
                yield DESCRIPTOR


def inner_attributes(data):
    """Yields the encapsulations in a request about a route or nexthop, multipath included."""
    for kind, payload in attributes(data)[0]:
        if kind == nl.RTA_ENCAP:
            yield payload
        elif kind == nl.RTA_MULTIPATH:
            at = 0
            while at + 8 <= len(payload):
                length = struct.unpack_from("=H", payload, at)[0]
                if length < 8:
                    break
                yield from inner_attributes(payload[at + 8:at + length])
                at += (length + 3) & ~3


def all_flaws(message, world):
    """Returns the flaws in the parts of a message that the module parses."""
    data, head = message.body(), HEADS[message.kind]
    found = []
    top = attributes(data[head:])[0]
    if message.kind == nl.RTM_NEWTFILTER:
        kinds = dict(top)
        if nl.TCA_OPTIONS in kinds:
            options = kinds[nl.TCA_OPTIONS]
            found += [*flaws(options, OPTIONS), *descriptors(options, OPTIONS, world)]
            there = dict(attributes(options)[0])
            if nl.TCA_RATE in kinds and not there.keys() & {nl.BPF_ACT, nl.BPF_POLICE}:
                found.append(RATE)
            if there.keys() & {nl.BPF_ACT, nl.BPF_POLICE}:
                found.append(ACTIONS)
    elif message.kind in (nl.RTM_NEWROUTE, nl.RTM_DELROUTE):
        for each in inner_attributes(data[head:]):
            found += [*flaws(each, ENCAP), *descriptors(each, ENCAP, world)]
    elif message.kind == nl.RTM_NEWNEXTHOP:
        for kind, payload in top:
            if kind == fuzz.NHA_ENCAP:
                found += [*flaws(payload, ENCAP), *descriptors(payload, ENCAP, world)]
    return found


def place(message):
    """Returns which state a request is about: the filters of a device or block, or routes."""
    if HEADS[message.kind] != 20:
        return "routes"
    ifindex, _, parent = struct.unpack_from("=4xIII", message.head)
    return ifindex, parent if ifindex == fuzz.MAGIC_BLOCK else 0


def may_be(answer, said_to, found):
    """Returns whether a side may give this answer, because of its state or of a flaw."""
    return answer in OF_THE_STATE or any(answer in said_to.get(flaw, ()) for flaw in found)


def generic(message):
    """Returns the place of a filter and its generic flags."""
    ifindex, _, parent, info = struct.unpack_from("=4xIIII", message.head)
    options = dict(attributes(message.body()[20:])[0]).get(nl.TCA_OPTIONS, b"")
    flags = dict(attributes(options)[0]).get(nl.BPF_FLAGS_GEN, b"")
    return (ifindex, parent, info >> 16), flags[:4] if any(flags) else b""


def explain(message, ours, theirs, world, before, there):
    """Returns the row of docs/differences.md that explains a difference, or "", and the flaws of
    the message. `before` is the row of an earlier difference that left different state. `there` has
    the filters that both sides added."""
    found = all_flaws(message, world)
    if message.kind == nl.RTM_NEWTFILTER:
        where, flags = generic(message)
        if any(where == each and flags != other for each, other in there):
            found.append(CHANGED)
    if (ours, theirs) == (0, errno.EMSGSIZE) and message.kind == nl.RTM_GETTFILTER and (
            nl.TCA_DUMP_FLAGS in dict(attributes(message.body()[20:])[0])):
        return TERSE, found
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
    if before and {ours, theirs} & OF_THE_STATE and may_be(ours, OURS, found) and may_be(
            theirs, THEIRS, found):
        return f"{before.removesuffix(LATER)}{LATER}", found
    return "", found


def records(path):
    """Returns the records of a run: {kind: (header words, bytes)}."""
    found, head, text = {}, None, ""
    for line in pathlib.Path(path).read_text(errors="replace").splitlines():
        said = re.search(r"fuzz: (begin|end)?(.*)", line)
        if not said or line.startswith("measured"):
            continue
        if said[1] == "begin":
            head, text = said[2].split(), ""
        elif said[1] == "end" and head:
            found[head[0]] = head[1:-1], zlib.decompress(base64.b85decode(text))
            head = None
        elif head:
            text += said[2]
    return found


def name(number):
    """Returns the name of an errno."""
    return "no answer" if number == SILENT else errno.errorcode.get(number, str(number or 0))


def compare_requests(ours, theirs):
    """Prints the differences between the answers to requests. Returns how many have no row."""
    (words, mine), (others, yours) = ours, theirs
    assert words == others and len(mine) == len(yours), f"not the same run: {words} {others}"
    seed, of_a_round, *indices = map(int, words)
    world = fuzz.World(*indices)
    rows, unknown, diverged, there = collections.Counter(), 0, {}, set()
    for number, (one, other) in enumerate(zip(mine, yours, strict=True)):
        if number % of_a_round == 0:
            diverged, there = {}, set()
        message = fuzz.message(seed, number, world)
        if one == other:
            if one == 0 and message.kind == nl.RTM_NEWTFILTER:
                there.add(generic(message))
            continue
        row, found = explain(message, one, other, world, diverged.get(place(message)),
                             there)
        rows[row or f"NO ROW: ours {name(one)}, theirs {name(other)}, {sorted(set(found))}"] += 1
        # Queries do not change state.
        if not (one and other) and message.kind not in QUERIES:
            diverged[place(message)] = row
        if not row:
            unknown += 1
            if unknown <= 40:
                print(f"message {number}, type {message.kind}, flags {message.flags:#x}: "
                      f"ours {name(one)}, theirs {name(other)}; {sorted(set(found))}")
                print(f"    {message.body()[:160].hex()}")
    same = sum(one == other for one, other in zip(mine, yours, strict=True))
    print(f"requests: {len(mine)}, {same} answers are the same")
    for row, count in rows.most_common():
        print(f"    {count:6d}  {row}")
    return unknown


def compare_bytes(what, ours, theirs, size):
    """Prints the differences between entries of `size` bytes."""
    mine, yours = ours[1], theirs[1]
    assert ours[0] == theirs[0] and len(mine) == len(yours), f"not the same run: {what}"
    different = [at // size for at in range(0, len(mine), size)
                 if mine[at:at + size] != yours[at:at + size]]
    print(f"{what}: {len(mine) // size}, {len(different)} differ")
    for number in different:
        one, other = mine[number * size], yours[number * size]
        print(f"    {number}: ours {name(one)} {mine[number * size + 1:][:size - 1].hex()}, "
              f"theirs {name(other)} {yours[number * size + 1:][:size - 1].hex()}")
    return len(different)


def lacks_udp(data):
    """Returns whether an IPv6 header has extensions that announce UDP, but no whole UDP header."""
    if data[0] >> 4 != 6 or len(data) < 40 or data[6] not in EXTENSIONS:
        return False
    following, at = data[6], 40
    while following in EXTENSIONS and len(data) >= at + 2:
        following, at = data[at], at + 8 * (data[at + 1] + 1)
    return following == socket.IPPROTO_UDP and len(data) < at + 8


def compare_headers(ours, theirs):
    """Prints the differences between the results of headers. Returns how many have no row."""
    size, (words, mine), (others, yours) = 5, ours, theirs
    assert words == others and len(mine) == len(yours), f"not the same run: {words} {others}"
    # test_fuzz.py generates the headers. To import it, set the environment of a guest.
    os.environ.update(LWTCLS_SEED=words[0], LWTCLS_BUILD="/", LWTCLS_KERNEL="/")
    import test_fuzz  # noqa: PLC0415
    rows, unknown = collections.Counter(), 0
    for number in range(len(mine) // size):
        one, other = (side[number * size:][:size] for side in (mine, yours))
        if one == other:
            continue
        data = test_fuzz.header_of(number)[1].data
        if (one[0], other[0]) == (errno.EINVAL, 0) and 0x40 <= data[0] < 0x45:
            rows[SHORT_OUTER] += 1
            continue
        if (one[0], other[0]) == (errno.EINVAL, 0) and lacks_udp(data):
            rows[BEHIND_EXTENSION] += 1
            continue
        unknown += 1
        print(f"header {number}: ours {name(one[0])} {one[1:].hex()}, theirs {name(other[0])} "
              f"{other[1:].hex()}\n    {data[:100].hex()}")
    count = len(mine) // size
    print(f"headers: {count}, {count - rows.total() - unknown} are the same")
    for row, count in rows.most_common():
        print(f"    {count:6d}  {row}")
    return unknown


def main():
    """Prints the differences."""
    ours, theirs = records(sys.argv[1]), records(sys.argv[2])
    unknown = 0
    for what in ours:
        if what not in theirs:
            print(f"{what}: the other run has none")
            unknown += 1
        elif what == "requests":
            unknown += compare_requests(ours[what], theirs[what])
        elif what == "headers":
            unknown += compare_headers(ours[what], theirs[what])
        else:
            unknown += compare_bytes(what, ours[what], theirs[what], 2)
    print(f"{unknown} differences without a row")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
