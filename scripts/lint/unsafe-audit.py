#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""unsafe-audit.py [--check]: generates docs/unsafe.md, which lists all unsafe code and what makes
it sound, from the comments in the source. --check: only checks that it is up to date, and that each
commit that raised the number of unsafe blocks explains why, in a line that begins with "Unsafe:".
"""

import pathlib
import re
import subprocess
import sys

PAGE = pathlib.Path("docs/unsafe.md")
HEAD = """<!-- SPDX-License-Identifier: GPL-2.0-only -->
# The unsafe code

Generated from the comments in the source by `make unsafe`. Each entry says what an unsafe block
relies on, and who guarantees it: the kernel, a type invariant, a check above the block or, in an
unsafe function, its caller. A block has one unsafe operation, except where an `#[expect]` in the
source says why it has more.

The number of blocks should fall. A commit that raises it explains why, in a line that begins with
`Unsafe:`.

"""
TOTAL = re.compile(r"^\| all \| (\d+) ")
UNSAFE = re.compile(r'\bunsafe (?P<kind>\{|impl\b|fn\b|extern "C" fn\b)')
FUNCTION = re.compile(r'\bfn (\w+)')
KINDS = {"{": "block", "impl": "impl", "fn": "fn", 'extern "C" fn': "fn"}


def prose(comment):
    """Returns the text of comment lines as one line."""
    words = " ".join(re.sub(r"^\s*//[/!]?\s?", "", line) for line in comment)
    return re.sub(r"\s+", " ", words).strip()


def safety_comment(lines, at):
    """Returns the text of the nearest SAFETY comment above a line."""
    for start in range(at, max(-1, at - 9), -1):
        if "SAFETY:" in lines[start]:
            end = start
            while end < at and lines[end].lstrip().startswith("//"):
                end += 1
            return prose([lines[start].split("SAFETY:")[1], *lines[start + 1:end]])
    return ""


def safety_section(lines, at):
    """Returns the text of the Safety section in the documentation of a function."""
    start = at
    while start and re.match(r"\s*(///|#\[|//)", lines[start - 1]):
        start -= 1
    documentation = lines[start:at]
    begins = [i for i, line in enumerate(documentation) if "# Safety" in line]
    if not begins:
        return ""
    return prose(line for line in documentation[begins[0] + 1:] if "//" in line)


def found(path):
    """Yields the unsafe code of a file: its kind, the function, and what it relies on."""
    lines, inside = path.read_text().splitlines(), ""
    for at, line in enumerate(lines):
        code = line.split("//")[0]
        if name := FUNCTION.search(code):
            inside = name.group(1)
        for match in UNSAFE.finditer(code):
            kind = KINDS[match["kind"]]
            # Skip function pointer types.
            if kind == "fn" and not FUNCTION.search(code[match.start():]):
                continue
            where = code.strip().rstrip("{ ") if kind == "impl" else inside
            reason = safety_section if kind == "fn" else safety_comment
            yield kind, where, reason(lines, at)


def page():
    """Returns the text of the page."""
    files = {}
    for path in sorted(pathlib.Path("rust").rglob("*.rs")):
        if places := list(found(path)):
            files[path] = places
    rows = [[str(path), *(sum(place[0] == kind for place in places)
                          for kind in ("block", "impl", "fn"))] for path, places in files.items()]
    rows.append(["all", *(sum(row[column] for row in rows) for column in (1, 2, 3))])
    text = HEAD + "| file | blocks | impls | functions |\n|---|---|---|---|\n"
    text += "".join(f"| {row[0]} | {row[1]} | {row[2]} | {row[3]} |\n" for row in rows)
    for path, places in files.items():
        text += f"\n## {path}\n\n| | in | relies on |\n|---|---|---|\n"
        for kind, where, why in places:
            why = why.replace("|", "\\|").replace("<", "&lt;")
            text += f"| {kind} | `{where}` | {why} |\n"
    return text


def total(text):
    """Returns the total number of blocks on a page, or None."""
    return next((int(match[1]) for line in text.splitlines() if (match := TOTAL.match(line))), None)


def git(*words):
    """Returns the output of git."""
    return subprocess.run(["git", *words], text=True, capture_output=True, check=False).stdout


def unexplained_commits():
    """Yields the commits that raised the number without an explanation."""
    for commit in git("log", "--format=%H", "--", PAGE).split():
        before, after = (total(git("show", f"{of}:{PAGE}")) for of in (f"{commit}^", commit))
        if before is not None and after is not None and after > before:
            if not re.search(r"^Unsafe:", git("log", "-1", "--format=%B", commit), re.M):
                yield f"{commit[:12]}: {before} unsafe blocks became {after}; it has to say why"


def main():
    """Writes or checks the page."""
    text = page()
    if sys.argv[1:] != ["--check"]:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text)
        return 0
    wrong = list(unexplained_commits())
    if not PAGE.exists() or PAGE.read_text() != text:
        wrong.append(f"{PAGE} is not what the source says: make unsafe")
    print("\n".join(wrong), end="\n" if wrong else "")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
