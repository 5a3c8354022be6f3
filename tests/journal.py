# SPDX-License-Identifier: GPL-2.0-only
"""Records what a scenario observes, in order, for scripts/check/differences.py to compare.

The primitives that inspect the kernel record their results; scenarios do not deal with the journal.
Results are recorded as seen: the reader of the journal has to allow for ids and times that differ
between runs.
"""

import base64
import contextlib
import functools
import json
import os
import threading
import zlib

import pytest
import sides

# Lists of more than twice this length keep only so many entries of their beginning and end.
MOST = 200


class Journal:
    """The observations of a scenario's body, without those of its setup and teardown."""

    def __init__(self):
        self.entries, self.other_threads, self.on = [], [], False
        self.here = threading.local()

    def begin(self):
        """Starts recording a scenario."""
        self.entries, self.other_threads, self.on = [], [], True

    def note(self, of, **what):
        """Records an observation, unless it is part of another one. Observations of other threads
        have no defined order or number, so they are kept apart and without duplicates."""
        if not self.on or getattr(self.here, "quiet", 0):
            return
        entry = {"of": of, **{name: plain(value) for name, value in what.items()}}
        if threading.current_thread() is threading.main_thread():
            self.entries.append(entry)
        elif (entry := {**entry, "other_thread": True}) not in self.other_threads:
            self.other_threads.append(entry)

    @contextlib.contextmanager
    def quiet(self):
        """Suppresses the observations of this thread."""
        self.here.quiet = getattr(self.here, "quiet", 0) + 1
        try:
            yield
        finally:
            self.here.quiet -= 1

    def mark(self):
        """Returns the current position, for `forget()`."""
        return len(self.entries)

    def forget(self, mark):
        """Drops the observations since a mark. A polled condition records only its last result."""
        del self.entries[mark:]


JOURNAL = Journal()


def plain(value):
    """Converts a value to JSON types."""
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, (list, tuple)):
        if len(value) > 2 * MOST:
            return [plain(value[:MOST]), f"... {len(value)} ...", plain(value[-MOST:])]
        return [plain(each) for each in value]
    return value


def recorded(function):
    """Decorates a function: records its return value, and not the observations that it makes
    itself."""
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        words = [each for each in args if isinstance(each, str)]
        try:
            with JOURNAL.quiet():
                result = function(*args, **kwargs)
        except OSError as error:
            JOURNAL.note(function.__qualname__, words=words, raised=error.errno)
            raise
        JOURNAL.note(function.__qualname__, words=words, got=result)
        return result
    return wrapper


class Printer:
    """Prints the journal of each scenario as one line, because only standard output leaves the
    guest."""

    def __init__(self, config):
        self.plugins, self.record = config.pluginmanager, {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        """Starts the record of a scenario."""
        marks = {name: sides.marked_rows(item, name)
                 for name in ("beyond_c", "differs", "only_here", "by_chance")}
        self.record = {"name": item.nodeid, "outcome": "", **marks}
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        """Records the body of a scenario, unless only lwtcls runs it and there is nothing to
        compare."""
        if not item.get_closest_marker("only_here"):
            JOURNAL.begin()
        try:
            return (yield)
        finally:
            JOURNAL.on = False

    def pytest_runtest_logreport(self, report):
        """Records the outcome; the worst one of the phases counts."""
        if report.longrepr:
            self.record["failure"] = report.longreprtext[-1000:]
        if report.failed:
            self.record["outcome"] = "failed"
        elif report.skipped:
            self.record["outcome"] = "beyond" if hasattr(report, "wasxfail") else "skipped"
        elif not self.record["outcome"]:
            self.record["outcome"] = "passed"

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self):
        """Prints the line."""
        seen = JOURNAL.entries + JOURNAL.other_threads
        data = json.dumps({**self.record, "entries": seen}).encode()
        JOURNAL.entries, JOURNAL.other_threads = [], []
        terminal = self.plugins.getplugin("terminalreporter")
        terminal.ensure_newline()
        terminal.write_line("journal: " + base64.b64encode(zlib.compress(data)).decode())


def pytest_configure(config):
    """Enables the journal if LWTCLS_JOURNAL is set."""
    if os.environ.get("LWTCLS_JOURNAL"):
        config.pluginmanager.register(Printer(config), "lwtcls-journal")
