# SPDX-License-Identifier: GPL-2.0-only
"""Rewrites C sources of lwtcls as they would stand in the kernel tree."""

import re
import subprocess


def reflow(text, style):
    """Formats C code with the style of the kernel tree. New names have other lengths."""
    command = ["clang-format", f"--style=file:{style}", "--assume-filename=x.c"]
    return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


def helpers(text, style):
    """Rewrites a file of shims. Returns its includes and the rest."""
    text = text.replace("__lwtcls_helper", "__rust_helper")
    text = text.replace("lwtcls_helper_", "rust_helper_")
    includes = re.findall(r"(?m)^#include .*\n", text)
    body = re.sub(r"(?m)^#include .*\n", "", text).split("\n", 1)[1].strip("\n")
    return includes, reflow(body + "\n", style)


def chunks(text):
    """Splits a file at its blank lines, but not inside of a function or a table."""
    out, depth, chunk = [], 0, ""
    for line in text.split("\n"):
        depth += line.count("{") - line.count("}")
        if line or depth:
            chunk += line + "\n"
        elif chunk:
            out.append(chunk)
            chunk = ""
    return out + ([chunk] if chunk else [])


def only(text, unwanted, mark):
    """Drops the functions, declarations and tables that match `unwanted`.

    `mark` matches the names of both parts of the file. Everything without one is kept.
    """
    kept = []
    for chunk in chunks(text):
        if not re.search(mark, chunk):
            kept.append(chunk)
        elif "{" in chunk:
            comment, code = re.match(r"((?:/\*.*?\*/\n)?)(.*)", chunk, re.S).groups()
            if comment:
                kept.append(comment.rstrip("\n"))
            if not re.search(unwanted, code):
                kept.append(code)
        else:
            comment, code = re.match(r"((?:/\*.*?\*/\n)?)(.*)", chunk, re.S).groups()
            parts = re.split(r"(?<=;\n)", code)
            wanted = [part for part in parts if part and not re.search(unwanted, part)]
            if wanted:
                kept.append(comment + "".join(wanted))
    return re.sub(r"\*/\n\n(?=static const)", "*/\n", "\n".join(kept))
