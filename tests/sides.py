# SPDX-License-Identifier: GPL-2.0-only
"""Whose behaviour the scenarios see: ours, or, on the reference kernel, that of the C.

What the C does otherwise is said by marks, in the words of docs/differences.md: a name of a
difference is the first column of a row of its table.
"""

import os
import pathlib
from unittest import mock

import pytest

SIDE = os.environ.get("LWTCLS_SIDE", "rust")
DIFFERENCES = pathlib.Path(__file__).parents[1] / "docs/differences.md"
MARKS = {
    "beyond_c": "beyond_c(row, ..., run=True, when={}): fails on the C; run=False: it is not "
                "tried; when: only with one of these values for each of these parameters",
    "differs": "differs(row, ...): passes on the C, which is seen to do something else",
    "only_here": "only_here(why): is about the module as such, and not run on the C",
    "by_chance": "by_chance(why): sees something else each time, but for errnos and statuses",
}


class Refused(Exception):
    """A command that ended with another status than 0."""


def rows():
    """The names of the differences that are intended."""
    lines = [line for line in DIFFERENCES.read_text(encoding="utf-8").splitlines()
             if line.startswith("| ")]
    return [line.split("|")[1].strip() for line in lines[1:]]


def ours(sentence):
    """What lwtcls says in a sentence. The C may say anything here, for what it says is compared."""
    return sentence if SIDE == "rust" else mock.ANY


def applying(item, name):
    """The marks of that name that concern a scenario with its parameters."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return [mark for mark in item.iter_markers(name)
            if all(params[key] in values for key, values in mark.kwargs.get("when", {}).items())]


def named(item, mark):
    """The rows that a scenario's marks of a kind name."""
    return [row for each in applying(item, mark) for row in each.args]


def pytest_configure(config):
    """Says what the scenarios' marks are."""
    for words in MARKS.values():
        config.addinivalue_line("markers", words)


def has_to_fail(item):
    """Has a scenario fail that is beyond the C."""
    if not (names := named(item, "beyond_c")):
        return
    run = all(mark.kwargs.get("run", True) for mark in applying(item, "beyond_c"))
    item.add_marker(pytest.mark.xfail(
        reason="; ".join(names), run=run, strict=True,
        raises=(AssertionError, TimeoutError, Refused, pytest.fail.Exception)))


def pytest_collection_modifyitems(config, items):
    """Names must be those of rows. On the C, what is ours alone is not run."""
    known = set(rows())
    for item in items:
        for row in named(item, "beyond_c") + named(item, "differs"):
            if row not in known:
                raise pytest.UsageError(f"{item.nodeid}: docs/differences.md has no row '{row}'")
    if SIDE == "c":
        alone = [item for item in items if item.get_closest_marker("only_here")]
        config.hook.pytest_deselected(items=alone)
        items[:] = [item for item in items if item not in alone]
        for item in items:
            has_to_fail(item)
