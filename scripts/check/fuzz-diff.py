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
import sys
import zlib

TESTS = pathlib.Path(__file__).resolve().parents[2] / "tests"
sys.path.insert(0, str(TESTS))

import fuzz  # noqa: E402
import nl  # noqa: E402
from fuzz_rows import (  # noqa: E402
    encapsulations,
    explain,
    place_and_generic_flags,
    place_of,
)
from fuzz_socket import SILENT  # noqa: E402

BEHIND_EXTENSION = "what is behind outer IPv4 options or IPv6 extension headers"
EXTENSIONS = (socket.IPPROTO_HOPOPTS, socket.IPPROTO_ROUTING, socket.IPPROTO_DSTOPTS)
SHORT_OUTER = "outer IPv4 header with an IHL below 5"
QUERIES = (nl.RTM_GETTFILTER, nl.RTM_GETROUTE, nl.RTM_GETNEXTHOP)


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
    rows, unknown, diverged, there, routes = collections.Counter(), 0, {}, set(), set()
    for number, (one, other) in enumerate(zip(mine, yours, strict=True)):
        if number % of_a_round == 0:
            diverged, there, routes = {}, set(), set()
        message = fuzz.message(seed, number, world)
        if one == other:
            if one == 0 and message.kind == nl.RTM_NEWTFILTER:
                there.add(place_and_generic_flags(message))
            if one == 0 and message.kind == nl.RTM_NEWROUTE:
                routes.update(encapsulations(message))
            continue
        row, found = explain(message, one, other, world, diverged.get(place_of(message)),
                             there, routes)
        rows[row or f"NO ROW: ours {name(one)}, theirs {name(other)}, {sorted(set(found))}"] += 1
        # Queries do not change state.
        if not (one and other) and message.kind not in QUERIES:
            diverged[place_of(message)] = row
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


def udp_header_truncated(data):
    """Returns whether an IPv6 header has extension headers, the last of which names UDP, but the
    UDP header is truncated."""
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
        if (one[0], other[0]) == (errno.EINVAL, 0) and udp_header_truncated(data):
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
