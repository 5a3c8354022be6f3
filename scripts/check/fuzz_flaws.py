# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with a request of the fuzzer, found by re-parsing it, and the errnos that lwtcls
and the C may return for it."""

import errno
import struct

import fuzz
import nl
from fuzz_messages import attributes

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
HALF_WITH_FD = "TCA_BPF_OPS or TCA_BPF_OPS_LEN next to TCA_BPF_FD"
NAMED = "TCA_BPF_NAME with bytecode"
RATE = "TCA_RATE in a request without actions"
BEHIND = "bytes behind the NUL of a name"
TWICE = "attributes that are there twice"
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
OURS = BOTH | {BEHIND: {errno.EINVAL}, TWICE: {errno.EINVAL}, HALF_WITH_FD: {errno.EINVAL},
               UNKNOWN: {errno.EINVAL}, LEFTOVER: {errno.EINVAL}, TOO_LONG: {errno.EINVAL},
               REPORTED: {errno.EINVAL}, RATE: {errno.EINVAL}, NAMED: {errno.EINVAL}}
THEIRS = BOTH | {LEFTOVER: {errno.ERANGE}}
# Rows about requests that lwtcls refuses and the C accepts.
REFUSALS = (UNKNOWN, LEFTOVER, TOO_LONG, REPORTED, RATE, BEHIND, TWICE, HALF_WITH_FD, NAMED)
HEADS = {nl.RTM_NEWTFILTER: 20, nl.RTM_DELTFILTER: 20, nl.RTM_GETTFILTER: 20,
         nl.RTM_NEWTCLASS: 20, nl.RTM_DELTCLASS: 20,
         nl.RTM_NEWROUTE: 12, nl.RTM_DELROUTE: 12, nl.RTM_GETROUTE: 12,
         nl.RTM_NEWNEXTHOP: 8, nl.RTM_DELNEXTHOP: 8, nl.RTM_GETNEXTHOP: 8}


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
            yield HALF_WITH_FD


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
