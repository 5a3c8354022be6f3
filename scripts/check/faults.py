#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The scenarios of the patches in docs/faults/, and what became of them.

faults.py plan PATCH... -- [WORD...]: prints the scenarios to run, each with how.
faults.py table DIR PATCH... -- [WORD...]: prints a table of the results, from the logs of the
guests. Fails if a scenario passes without the patches, or fails with them.
"""

import pathlib
import re
import sys
from typing import NamedTuple

import verdict
from differences import journal
from splats import splats

NOTE = re.compile(r"^ *Scenario(?: \((alone|patched)\))?: (\S.*)$")


class Named(NamedTuple):
    """A scenario that a patch names, or all cases of a parametrized one."""

    patch: str
    how: str
    node: str

    def has(self, name):
        """Returns whether a case is one of these."""
        return name == self.node or name.startswith(self.node + "[")


def named(patches, words):
    """Returns the scenarios that the patches name."""
    found = []
    for patch in map(pathlib.Path, patches):
        if words and not any(word in patch.name for word in words):
            continue
        # The notes are between the message and the diff.
        notes = patch.read_text(encoding="utf-8").split("\n---\n", 1)[1].split("\ndiff --git ")[0]
        found += [Named(patch.stem, how or "together", node) for how, node in
                  (match.groups() for match in map(NOTE.match, notes.splitlines()) if match)]
    return found


def records(out, side):
    """Returns the records of the cases that ran on a side."""
    found = {}
    for log in sorted(out.glob(f"{side}*.log")):
        if not log.name.endswith(".kernel.log"):
            found |= journal(log)
    return found


def crash(out, name):
    """Returns the first splat of a guest whose scenario began and did not end."""
    said = (out / f"{name}.log").read_text(errors="replace")
    if "test session starts" not in said or "guest: tests ended" in said:
        return None
    lines = (out / f"{name}.kernel.log").read_text(errors="replace").splitlines()
    return next((re.sub(r"^\[[^]]*\] *", "", lines[number]) for number in splats(lines)), None)


def result(scenario, found):
    """Returns the numbers of a scenario's cases that passed and that ran."""
    outcomes = [record["outcome"] for name, record in found.items() if scenario.has(name)]
    return outcomes.count("passed"), len(outcomes)


def in_words(passed, ran):
    """Returns a result in words."""
    if not ran:
        return "did not run"
    if passed == ran:
        return "passes" if ran == 1 else f"{ran} pass"
    if ran == 1:
        return "fails"
    return f"{ran} fail" if not passed else f"{ran - passed} of {ran} fail"


def table(out, scenarios):
    """Prints a row for each scenario, and what is wrong."""
    sides = {side: records(out, side) for side in ("before", "after")}
    wrong, rows, number = [], [("patch", "scenario", "before", "after")], 0
    for each in scenarios:
        passed, ran = result(each, sides["before"])
        before, red = in_words(passed, ran), passed < ran
        if each.how == "patched":
            before, red = "not run", True
        elif each.how == "alone":
            number += 1
            if not ran and (splat := crash(out, f"before-{number}")):
                before, red = f"crashes: {splat.split(',')[0][:60]}", True
        passed, ran = result(each, sides["after"])
        green = 0 < ran == passed
        rows.append((each.patch[:4], each.node, before, in_words(passed, ran)))
        if not red:
            wrong.append(f"{each.patch}: {each.node} does not fail without the patches")
        if not green:
            wrong.append(f"{each.patch}: {each.node} does not pass with the patches")
            wrong += [f"    {line[:150]}" for name, record in sides["after"].items()
                      if each.has(name) for line in record.get("failure", "").splitlines()[-8:]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    for log in sorted(out.glob("after*.kernel.log")):
        wrong += verdict.first_splat(log)
    for line in wrong:
        print(line)
    bad = sum(not line.startswith(" ") for line in wrong)
    patches = len({each.patch for each in scenarios})
    print(f"{len(scenarios)} scenarios of {patches} patches, {bad} wrong")
    return 1 if bad or not scenarios else 0


def main():
    """Runs a command."""
    command, *args = sys.argv[1:]
    split = args.index("--")
    args, words_of = args[:split], args[split + 1:]
    if command == "plan":
        for each in named(args, words_of):
            print(each.how, each.node)
        return 0
    return table(pathlib.Path(args[0]), named(args[1:], words_of))


if __name__ == "__main__":
    sys.exit(main())
