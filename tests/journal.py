# SPDX-License-Identifier: GPL-2.0-only
"""What a scenario observes, in the order in which it does, for scripts/differences.py to compare.

The primitives that scenarios look at the kernel with keep it; a scenario knows nothing of it. What
is kept is what was seen: that ids and times are not the same each time is for the reader to know.
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

# A longer list is kept in part: its beginning and its end.
MOST = 200


class Journal:
    """The observations of a scenario, while it runs: not of what prepares and follows it."""

    def __init__(self):
        self.entries, self.beside, self.on = [], [], False
        self.here = threading.local()

    def begin(self):
        """A scenario begins."""
        self.entries, self.beside, self.on = [], [], True

    def note(self, of, **what):
        """Keeps an observation, unless it is part of another one. Of other threads nobody knows
        when, and how often, they see something."""
        if not self.on or getattr(self.here, "quiet", 0):
            return
        entry = {"of": of, **{name: plain(value) for name, value in what.items()}}
        if threading.current_thread() is threading.main_thread():
            self.entries.append(entry)
        elif (entry := {**entry, "beside": True}) not in self.beside:
            self.beside.append(entry)

    @contextlib.contextmanager
    def quiet(self):
        """What this thread sees meanwhile is not kept."""
        self.here.quiet = getattr(self.here, "quiet", 0) + 1
        try:
            yield
        finally:
            self.here.quiet -= 1

    def mark(self):
        """Where the journal is, to go back to."""
        return len(self.entries)

    def forget(self, mark):
        """Goes back: of what is asked again and again the last answer counts."""
        del self.entries[mark:]


JOURNAL = Journal()


def plain(value):
    """A value as JSON can have it."""
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, (list, tuple)):
        if len(value) > 2 * MOST:
            return [plain(value[:MOST]), f"... {len(value)} ...", plain(value[-MOST:])]
        return [plain(each) for each in value]
    return value


def observed(function):
    """What this function returns is an observation, and what it asks for that is none."""
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
    """Prints the journal of each scenario in a line: standard output is all that leaves the
    guest."""

    def __init__(self, config):
        self.plugins, self.record = config.pluginmanager, {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        """Begins the record of a scenario."""
        marks = {name: sides.named(item, name)
                 for name in ("beyond_c", "differs", "only_here", "by_chance")}
        self.record = {"name": item.nodeid, "outcome": "", **marks}
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        """The scenario itself. Where there is nothing to compare with, nothing is kept."""
        if not item.get_closest_marker("only_here"):
            JOURNAL.begin()
        try:
            return (yield)
        finally:
            JOURNAL.on = False

    def pytest_runtest_logreport(self, report):
        """Notes what became of it; what is worst counts."""
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
        seen = JOURNAL.entries + JOURNAL.beside
        data = json.dumps({**self.record, "entries": seen}).encode()
        JOURNAL.entries, JOURNAL.beside = [], []
        terminal = self.plugins.getplugin("terminalreporter")
        terminal.ensure_newline()
        terminal.write_line("journal: " + base64.b64encode(zlib.compress(data)).decode())


def pytest_configure(config):
    """The journal is printed for who asks for it."""
    if os.environ.get("LWTCLS_JOURNAL"):
        config.pluginmanager.register(Printer(config), "lwtcls-journal")
