#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""compile_fail.py [--say] LOG NAME...: compares the errors in a log of rustc with those that files
in tests/compile_fail expect, and prints the names of files whose errors differ. --say: prints the
differences instead, and fails if there are any."""

import json
import pathlib
import re
import sys

CASES = pathlib.Path("tests/compile_fail")


def expected(path):
    """Returns the expected errors: {line: {code or words}}."""
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if mark := re.search(r"//~ (.*)$", line):
            words = re.findall(r'"([^"]+)"|(\S+)', mark.group(1))
            found[number] = {text or code for text, code in words}
    return found


def errors(log):
    """Yields each error as (file, line, code, message); file is None if the error has no span."""
    for line in log.read_text(errors="replace").splitlines():
        if not line.startswith('{"$message_type":"diagnostic"'):
            continue
        said = json.loads(line)
        if said["level"] != "error":
            continue
        code = (said["code"] or {}).get("code")
        spans = [span for span in said["spans"] if span["is_primary"]]
        where = [(pathlib.Path(span["file_name"]), span["line_start"]) for span in spans]
        yield *(where[0] if where else (None, 0)), code, said["message"]


def wrong(name, found):
    """Yields the differences between the errors of a file and those that it expects."""
    path = CASES / f"{name}.rs"
    want = expected(path)
    if not want:
        yield f"{path}: expects no error"
    have = {}
    for file, line, code, message in found:
        if file is not None and file.parts[-2:] == path.parts[-2:]:
            have.setdefault(line, []).append((code, message))
    for line in sorted(set(want) | set(have)):
        said = have.get(line, [])
        for code in want.get(line, set()):
            if not any(code in (each, text) or code in text for each, text in said):
                yield f"{path}:{line}: no error {code}"
        for each, text in said:
            if not any(code == each or code in text for code in want.get(line, set())):
                yield f"{path}:{line}: error {each}: {text}"


def main():
    """Compares the log with the expectations of each file."""
    say = sys.argv[1] == "--say"
    log, *names = sys.argv[1 + say:]
    found = list(errors(pathlib.Path(log)))
    # The other files must compile: otherwise the log proves nothing.
    other = [f"{file}:{line}: {message}" for file, line, _, message in found
             if file is not None and file.parent.name != CASES.name]
    if say and other:
        print(*other, sep="\n")
    bad = bool(other)
    for name in names:
        complaints = list(wrong(name, found))
        bad |= bool(complaints)
        if say:
            print(*complaints, sep="\n", end="\n" if complaints else "")
        elif complaints or other:
            print(name)
    return 1 if say and bad else 0


if __name__ == "__main__":
    sys.exit(main())
