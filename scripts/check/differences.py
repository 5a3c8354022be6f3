#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""differences.py DIR: compares the observations of the scenarios on both sides, from the logs of
the two guests (c.log and rust.log) and their kernel logs.

A scenario with different observations must have a mark that names the row of docs/differences.md.
One row needs no mark: lwtcls gives an extack message with a refusal and the C none.
"""

import base64
import collections
import itertools
import json
import pathlib
import re
import sys
import zlib

import verdict
from normalise import Scenario
from sides import rows

SIDES = ("c", "rust")
# The row for an extack message where the C has none.
WHY = "a refused request"
# Characters of a value to print.
WIDTH = 300


def journal(log):
    """Returns the journal records of a log, by scenario name."""
    found = {}
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("journal: "):
            record = json.loads(zlib.decompress(base64.b64decode(line.removeprefix("journal: "))))
            found[record["name"]] = record
    return found


def answer_of(scenario, entry):
    """Returns the answer to a request or a command: whether it was refused, the errno, the extack
    message, and the other lines that a command printed to stderr."""
    if entry["of"] == "request":
        return bool(entry["errno"]), [entry["errno"]], entry["message"], []
    # The libbpf client prints a refusal but exits with status 0.
    refused = bool(entry.get("status")) or "libbpf: Kernel error" in entry.get("err", "")
    number, messages, rest = [], [], []
    for line in scenario.text(entry.get("err", "")).splitlines():
        if found := re.match(r"(?:Error|Warning|libbpf: Kernel error message): (.*)", line):
            messages.append(found[1].rstrip("."))
        elif found := re.match(r"RTNETLINK answers: (.*)", line):
            number.append(found[1])
        elif not re.match(r"We have an error talking|Command failed|$", line):
            rest.append(line)
    return refused, number, "; ".join(messages), rest


def answers(theirs, ours):
    """Returns the difference between the answers of both sides, or the row that explains it."""
    if theirs[1:] == ours[1:]:
        return None, None
    _, number, message, rest = theirs
    # iproute2 prints the extack message instead of the errno.
    same_number = ours[1] in (number, []) if number and isinstance(number[0], str) else (
        ours[1] == number)
    if ours[0] and same_number and not message and ours[2] and rest == ours[3]:
        return None, WHY
    return (theirs, ours), None


def compared(records):
    """Returns the differences between two records, as (request, both values), and the rows that
    need no mark."""
    scenarios = [Scenario() for _ in records]
    named, found = set(), []
    lists = [[entry for entry in record["entries"] if "other_thread" not in entry]
             for record in records]
    for entries in itertools.zip_longest(*lists):
        if None in entries:
            found.append(("the end", [entry and entry["of"] for entry in entries]))
            break
        (asked, seen), (other, saw) = (
            scenario.entry(entry) for scenario, entry in zip(scenarios, entries, strict=True))
        if asked != other:
            found.append(("the way", [asked, other]))
            break
        if seen != saw and not records[0]["by_chance"]:
            found.append((asked, [seen, saw]))
        difference, row = answers(*map(answer_of, scenarios, entries))
        named |= {row} - {None}
        if difference:
            found.append((asked, difference))
    threads = [sorted({json.dumps(scenario.entry(entry)) for entry in record["entries"]
                       if "other_thread" in entry})
               for scenario, record in zip(scenarios, records, strict=True)]
    if threads[0] != threads[1]:
        found.append(("threads", threads))
    return found, named


class Result:
    """The result of the comparison."""

    def __init__(self):
        self.compared = self.equal = self.differ = 0
        self.rows, self.wrong = collections.Counter(), []

    def scenario(self, name, theirs, ours):
        """Compares and counts one scenario that ran on both sides."""
        self.compared += 1
        outcomes = theirs["outcome"], ours["outcome"]
        if outcomes == ("beyond", "passed"):
            self.differ += 1
            self.rows.update(set(theirs["beyond_c"]))
            return
        if outcomes != ("passed", "passed"):
            self.wrong.append(f"{name}: {outcomes[0]} on the C, {outcomes[1]} here")
            self.wrong += [f"    {line[:150]}" for record in (theirs, ours)
                           for line in record.get("failure", "").splitlines()[-8:]]
            return
        found, named = compared((theirs, ours))
        if ours["differs"]:
            named |= set(ours["differs"])
            if not found:
                self.wrong.append(f"{name}: is to differ by {ours['differs']}, and does not")
        elif found:
            self.wrong += [f"{name}: {len(found)} differences", *map(format_difference, found[:4])]
            return
        self.rows.update(named)
        self.differ += bool(named)
        self.equal += not named


def format_difference(difference):
    """Formats a difference, starting shortly before the first character that differs."""
    asked, values = difference
    texts = [json.dumps(value) for value in values]
    same = next((at for at, pair in enumerate(zip(*texts, strict=False)) if pair[0] != pair[1]), 0)
    begin = max(0, same - 60)
    lines = [f"    {json.dumps(asked)[:WIDTH]}"]
    lines += [f"        {side:5}{'...' if begin else ''}{text[begin:begin + WIDTH]}"
              for side, text in zip(SIDES, texts, strict=True)]
    return "\n".join(lines)


def main():
    """Prints the differences and the summary."""
    where, result = pathlib.Path(sys.argv[1]), Result()
    if WHY not in rows():
        sys.exit(f"docs/differences.md has no row '{WHY}'")
    theirs, ours = (journal(where / f"{side}.log") for side in SIDES)
    ours_only = {name: record for name, record in ours.items() if record["only_here"]}
    for name in sorted((theirs.keys() | ours.keys()) - ours_only.keys()):
        if name in theirs and name in ours:
            result.scenario(name, theirs[name], ours[name])
        else:
            result.wrong.append(f"{name}: ran on one side only")
    for name, record in ours_only.items():
        if record["outcome"] != "passed":
            result.wrong.append(f"{name}: {record['outcome']}")
    for side in SIDES:
        result.wrong += verdict.abnormal_end(where, side)
        result.wrong += verdict.first_splat(where / f"{side}.kernel.log")

    for line in result.wrong:
        print(line)
    print(f"{len(ours_only)} scenarios are about lwtcls only:")
    reasons = collections.Counter(record["only_here"][0] for record in ours_only.values())
    for why, count in reasons.most_common():
        print(f"  {count:4}  {why}")
    print("scenarios that differ, by the row of docs/differences.md:")
    for row in rows():
        print(f"  {result.rows[row] or '-':>4}  {row}")
    bad = sum(not line.startswith(" ") for line in result.wrong)
    print(f"{result.compared} scenarios compared, {result.equal} equal, "
          f"{result.differ} differ as docs/differences.md says, {bad} otherwise")
    return 1 if bad or not result.compared else 0


if __name__ == "__main__":
    sys.exit(main())
