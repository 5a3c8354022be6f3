# SPDX-License-Identifier: GPL-2.0-only
"""What scenarios need of a kernel that not every kernel has. Those that it has nothing for are left
out, and the end of the run says how many and why: they count neither as passed nor as skipped.
"""

import collections
import os
import pathlib
import re

CONFIG = pathlib.Path(os.environ["LWTCLS_KERNEL"]) / ".config"
# Without a kernel the scenarios are only listed.
OPTIONS = set(re.findall(r"^CONFIG_(\w+)=", CONFIG.read_text(), re.M)) if CONFIG.exists() else None
# How many scenarios for which reason, and lines about parts of scenarios.
LEFT_OUT, PARTS = collections.Counter(), set()


def has(option):
    """Whether the kernel was built with an option."""
    return OPTIONS is None or option in OPTIONS


def part(what, option):
    """Whether the kernel has what a part of a scenario needs. If not, the run's end says so."""
    if not has(option):
        PARTS.add(f"left out: {what}: the kernel has no CONFIG_{option}")
    return has(option)


def pytest_configure(config):
    """Says what the marks are."""
    config.addinivalue_line("markers", "needs(option, ...): is left out by a kernel without these")
    config.addinivalue_line("markers", "lacks(option, ...): is left out by a kernel with these")


def reasons(item):
    """Why a scenario makes no sense here."""
    for mark in item.iter_markers("needs"):
        yield from (f"has no CONFIG_{option}" for option in mark.args if not has(option))
    for mark in item.iter_markers("lacks"):
        yield from (f"has CONFIG_{option}" for option in mark.args if option in (OPTIONS or ()))


def pytest_collection_modifyitems(config, items):
    """Leaves out what the kernel has nothing for."""
    out = []
    for item in items:
        if why := next(reasons(item), None):
            LEFT_OUT[why] += 1
            out.append(item)
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def pytest_terminal_summary(terminalreporter):
    """Says what was left out."""
    for why, number in sorted(LEFT_OUT.items()):
        terminalreporter.write_line(
            f"left out: {number} scenario{'s'[:number > 1]}: the kernel {why}")
    for line in sorted(PARTS):
        terminalreporter.write_line(line)
