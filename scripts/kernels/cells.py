#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""cells.py list: prints the kernels of cells.toml, one per line.

cells.py recorded: prints those that have a row in docs/kernels.md.

cells.py check: fails if a value of an axis, or a pair that could interact, is in no kernel.

cells.py result NAME CONFIG LOGS STATUS: prints what describes a run, as JSON. LOGS is the directory
with the logs of its steps, STATUS is 0 if all of them succeeded.

cells.py table RESULTS NAME...: prints the results of these kernels, as found in the directory. With
RECORD=1, replaces their rows in README.md and docs/kernels.md, if all steps succeeded.
"""

import datetime
import functools
import json
import os
import pathlib
import re
import sys

import tomllib

TOP = pathlib.Path(__file__).resolve().parents[2]
FLAVOURS = TOP / "scripts/setup/kernel"
BEGIN, END = "<!-- matrix: written by scripts/kernels/cells.py -->", "<!-- matrix end -->"
CELLS = tomllib.loads((pathlib.Path(__file__).parent / "cells.toml").read_text(encoding="utf-8"))
VALUES = {value: options for axis in CELLS["axes"].values() for value, options in axis.items()}
# Options that follow from others, in fragments. A configuration has them itself.
IMPLIED = {"FINEIBT": ("CFI", "X86_KERNEL_IBT", "MITIGATION_RETPOLINE")}


def options(text):
    """Returns what a configuration, or a fragment, says about options: `y`, `m` or None."""
    found = {}
    for option, value, unset in re.findall(
            r"^(?:CONFIG_(\w+)=(\S+)|# CONFIG_(\w+) is not set)$", text, re.M):
        found[option or unset] = value or None
    return found


def words(flavour):
    """Returns the values of the "# WORD: .." lines of a flavour's fragment."""
    text = (FLAVOURS / f"{flavour}.config").read_text(encoding="utf-8")
    return dict(re.findall(r"^# (arch|base|compiler|module): (.*)", text, re.M))


def of_module(flavour):
    """Returns how the module is built, in the form of options."""
    without_clang = words(flavour).get("module") == "lwtcls-clang="
    return {"MODULE_WITHOUT_CLANG": "y" if without_clang else None}


@functools.cache
def fragments(flavour):
    """Returns the options that the fragments of a flavour ask for, those of its bases included."""
    text = (FLAVOURS / f"{flavour}.config").read_text(encoding="utf-8")
    said = words(flavour)
    found = {} if flavour == "test" else dict(fragments(said.get("base", "test")))
    found |= options(text) | of_module(flavour)
    gcc = said.get("compiler") == "gcc"
    if arch := said.get("arch", "x86" if flavour == "test" else None):
        found |= {"ARM64": None, "X86_64": None, {"arm64": "ARM64", "x86": "X86_64"}[arch]: "y"}
    found |= {"CC_IS_GCC": "y" if gcc else None, "CC_IS_CLANG": None if gcc else "y"}
    if not {"PREEMPT", "PREEMPT_RT"} & {option for option, value in found.items() if value}:
        found["PREEMPT_LAZY"] = "y"
    for option, causes in IMPLIED.items():
        if all(found.get(cause) for cause in causes):
            found[option] = "y"
    return found


def has(found, value):
    """Returns whether a kernel has a value of an axis."""
    return all(not found.get(option[1:]) if option[0] == "!" else bool(found.get(option))
               for option in VALUES[value])


def check():
    """Fails if something is in no kernel."""
    of = {value: {name for name in CELLS["kernels"] if has(fragments(name), value)}
          for value in VALUES}
    missing = [value for value, names in of.items() if not names]
    missing += [" and ".join(pair["values"]) for pair in CELLS["pairs"]
                if not set.intersection(*(of[value] for value in pair["values"]))]
    if missing:
        sys.exit("no kernel of scripts/kernels/cells.toml has: " + "; ".join(missing))
    print(f"{len(CELLS['kernels'])} kernels have each of {len(VALUES)} values and"
          f" {len(CELLS['pairs'])} pairs")


def result(name, config, logs, status):
    """Describes a run by its logs."""
    config = pathlib.Path(config)
    found = options(config.read_text(encoding="utf-8")) | of_module(name)
    took = (config.parent / ".complete").read_text(encoding="utf-8")
    logs = pathlib.Path(logs)
    text = {path.stem: path.read_text(errors="replace") for path in logs.glob("*.log")}
    verdict = re.findall(r"^(\d+) passed, (\d+) failed$", text.get("test", ""), re.M)
    suites = re.search(r"kunit: (\d+) passed, (\d+) failed", text.get("test", ""))
    size = re.search(r"^size (\d+)$", text.get("module", ""), re.M)
    lines = [json.loads(line[7:]) for line in text.get("count", "").splitlines()
             if line.startswith("RESULT ")]
    counts = {line["name"]: line["count"] for line in lines}
    release = (config.parent / "include/config/kernel.release").read_text(encoding="utf-8").strip()
    failed = [int(each) for _, each in verdict[-1:]]
    print(json.dumps({
        "name": name,
        "release": release,
        "when": datetime.date.today().isoformat(),
        "has": {axis: [value for value in values if has(found, value)]
                for axis, values in CELLS["axes"].items()},
        "build": int(took) if took else None,
        "demo": "demo: passed" in text.get("demo", ""),
        "good": status == "0" and failed == [0],
        "passed": sum(int(passed) for passed, _ in verdict[-1:]),
        "failed": failed[0] if failed else None,
        "suites": suites and int(suites[1]),
        "size": size and int(size[1]),
        "counts": {line["name"]: round(line["count"] - counts[line["base"]])
                   for line in lines if line["base"]},
    }))


COUNTED = ["ingress: 1 direct-action that accepts", "xmit: OK", "xmit: push udp over IPv4, reroute"]
SHORT = ["`KERNEL=`", "kernel", *CELLS["axes"], "tests passed", "when"]
LONG = ["`KERNEL=`", "build, CPU s", "boot and demo", "KUnit", "with scenarios: passed", "failed",
        "module, KiB", "instructions: filter", "`xmit`", "push"]


def cell(value):
    """Returns what a cell of the table says."""
    return "-" if value in (None, [], "") else str(value)


def row(cells):
    """Returns a row of a table."""
    return f"| {' | '.join(map(cell, cells))} |"


def short(each):
    """Returns what README.md says about a run."""
    return [f"`{each['name']}`", each["release"],
            *(", ".join(each["has"][axis]) for axis in CELLS["axes"]), each["passed"],
            each["when"]]


def long(each):
    """Returns what docs/kernels.md says about a run."""
    return [f"`{each['name']}`", each["build"], "passed" if each["demo"] else "**failed**",
            each["suites"], each["passed"], each["failed"],
            each["size"] and round(each["size"] / 1024),
            *(each["counts"].get(name) for name in COUNTED)]


def recorded():
    """Returns the kernels that have a row in docs/kernels.md."""
    page = (TOP / "docs/kernels.md").read_text(encoding="utf-8")
    return [name for name in CELLS["kernels"] if f"\n| `{name}` |" in page]


def record(page, head, rows):
    """Replaces rows of the table in a page, by kernel. The others stay."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    table, end, after = rest.partition(END)
    assert end, f"{page} has no place for the table"
    old = {line.split(" | ")[0]: line for line in table.splitlines() if line.startswith("| `")}
    rows = old | {line.split(" | ")[0]: line for line in rows}
    lines = [rows[key] for name in CELLS["kernels"] if (key := f"| `{name}`") in rows]
    page.write_text("\n".join([before + begin, row(head), "|" + "---|" * len(head), *lines,
                               end + after]), encoding="utf-8")


def table(results, *names):
    """Prints the results. With RECORD=1, records those without a failure."""
    found = [json.loads(path.read_text(encoding="utf-8"))
             for name in names
             if (path := pathlib.Path(results) / f"{name}.json").exists()]
    print("\n".join([row(LONG), *(row(long(each)) for each in found)]))
    if os.environ.get("RECORD"):
        good = [each for each in found if each["good"]]
        record(TOP / "README.md", SHORT, [row(short(each)) for each in good])
        record(TOP / "docs/kernels.md", LONG, [row(long(each)) for each in good])


def main():
    """Runs one of the commands."""
    what, *args = sys.argv[1:]
    {"list": lambda: print(*CELLS["kernels"], sep="\n"),
     "recorded": lambda: print(*recorded(), sep="\n"),
     "check": check, "result": result, "table": table}[what](*args)


if __name__ == "__main__":
    main()
