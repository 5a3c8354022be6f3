#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""check-safety.py DIR: checks that each unsafe block and impl has a SAFETY comment within the 8
lines above it, which does not refer to another one, and each unsafe function a Safety section."""

import pathlib
import re
import sys


def main():
    """Prints the violations."""
    missing = []
    for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.rs")):
        lines = path.read_text().splitlines()
        for i, line in enumerate(lines):
            code = line.split("//")[0]
            above = "\n".join(lines[max(0, i - 8):i + 1])
            if re.search(r"\bunsafe (\{|impl\b)", code) and "SAFETY:" not in above:
                missing.append(f"{path}:{i + 1}: no SAFETY comment")
            if re.search(r"SAFETY: (As|See) ", line):
                missing.append(f"{path}:{i + 1}: a SAFETY comment that refers to another one")
            above = "\n".join(lines[max(0, i - 12):i])
            if re.search(r'\bunsafe (extern "C" )?fn \w', code) and "# Safety" not in above:
                missing.append(f"{path}:{i + 1}: no Safety section")
    print("\n".join(missing), end="\n" if missing else "")
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
