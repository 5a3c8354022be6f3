#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""record-kernel.py FLAVOUR LOGS VERDICT: records in the table of kernels in README.md that a
complete test run passed on this kernel. LOGS is the directory of the guests' logs, VERDICT the last
line of the run.
"""

import datetime
import pathlib
import re
import sys

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- kernels: written by scripts/check/record-kernel.py -->", "<!-- kernels end -->"
HEAD = ["| `make test FLAVOUR=` | kernel | tests passed | when |", "|---|---|---|---|"]


def main():
    """Replaces the row of this flavour, or appends a new one."""
    flavour, logs, verdict = sys.argv[1:4]
    passed, failed = re.fullmatch(r"(\d+) passed, (\d+) failed", verdict).groups()
    if failed != "0":
        sys.exit(f"not recorded: {failed} tests failed")
    booted = sorted({release for log in pathlib.Path(logs).glob("*.kernel.log")
                     for release in re.findall(r"Linux version (\S+)",
                                               log.read_text(errors="replace"))})
    row = f"| `{flavour}` | {', '.join(booted)} | {passed} | {datetime.date.today()} |"
    before, begin, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    table, end, after = rest.partition(END)
    others = [line for line in table.splitlines()
              if line.startswith("| `") and line not in HEAD and f"| `{flavour}` |" not in line]
    README.write_text("\n".join([before + begin, *HEAD, *others, row, end + after]),
                      encoding="utf-8")


if __name__ == "__main__":
    main()
