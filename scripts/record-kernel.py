#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""record-kernel.py FLAVOUR LOGS VERDICT: writes into README.md's table of kernels that a whole run
has passed on this one. LOGS has what the guests have written, VERDICT the line that the run has
ended in.
"""

import datetime
import pathlib
import re
import sys

README = pathlib.Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- kernels: written by scripts/record-kernel.py -->", "<!-- kernels end -->"
HEAD = ["| `make test FLAVOUR=` | kernel | tests passed | when |", "|---|---|---|---|"]


def main():
    """Writes the row in place of the last one of this flavour, or as a new one."""
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
