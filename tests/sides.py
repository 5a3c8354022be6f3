# SPDX-License-Identifier: GPL-2.0-only
"""Which implementation the scenarios test: lwtcls, or, on the reference kernel, the C code.

Marks say where the C code behaves differently. They name a difference by the first column of its
row in docs/differences.md.
"""

import os
import pathlib
from unittest import mock

import pytest

SIDE = os.environ.get("LWTCLS_SIDE", "rust")
# Set by scripts/check/faults: the marks do not say what to expect of a C with fixes.
UNMARKED = bool(os.environ.get("LWTCLS_UNMARKED"))
DIFFERENCES = pathlib.Path(__file__).parents[1] / "docs/differences.md"
MARKS = {
    "beyond_c": "beyond_c(row, ..., run=True, when={}): fails on the C; run=False: it is not "
                "tried; when: only with one of these values for each of these parameters",
    "differs": "differs(row, ...): passes on the C, which is seen to do something else",
    "only_here": "only_here(why): is about the module as such, and not run on the C",
    "by_chance": "by_chance(why): sees something else each time, but for errnos and statuses",
}


class Refused(Exception):
    """A command exited with a status other than 0."""


def rows():
    """Returns the names of the intended differences."""
    lines = [line for line in DIFFERENCES.read_text(encoding="utf-8").splitlines()
             if line.startswith("| ")]
    return [line.split("|")[1].strip() for line in lines[1:]]


def ours(message):
    """Returns the extack message of lwtcls. With the C code, any message is accepted here because
    the journal compares the messages."""
    return message if SIDE == "rust" else mock.ANY


def applicable_marks(item, name):
    """Returns a scenario's marks of this name that apply to its parameters."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return [mark for mark in item.iter_markers(name)
            if all(params[key] in values for key, values in mark.kwargs.get("when", {}).items())]


def marked_rows(item, mark):
    """Returns the rows that a scenario's marks of this name refer to."""
    return [row for each in applicable_marks(item, mark) for row in each.args]


def pytest_configure(config):
    """Registers the marks."""
    for words in MARKS.values():
        config.addinivalue_line("markers", words)


def has_to_fail(item):
    """Expects a scenario to fail if it is marked as beyond the C code."""
    if not (names := marked_rows(item, "beyond_c")):
        return
    run = all(mark.kwargs.get("run", True) for mark in applicable_marks(item, "beyond_c"))
    item.add_marker(pytest.mark.xfail(
        reason="; ".join(names), run=run, strict=True,
        raises=(AssertionError, TimeoutError, Refused, pytest.fail.Exception)))


def pytest_collection_modifyitems(config, items):
    """Checks that marks name existing rows. With the C code, deselects scenarios that only lwtcls
    runs."""
    known = set(rows())
    for item in items:
        for row in marked_rows(item, "beyond_c") + marked_rows(item, "differs"):
            if row not in known:
                raise pytest.UsageError(f"{item.nodeid}: docs/differences.md has no row '{row}'")
    if SIDE == "c":
        ours_only = [item for item in items if item.get_closest_marker("only_here")]
        config.hook.pytest_deselected(items=ours_only)
        items[:] = [item for item in items if item not in ours_only]
        for item in items:
            if not UNMARKED:
                has_to_fail(item)
