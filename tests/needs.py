# SPDX-License-Identifier: GPL-2.0-only
"""Kernel options that scenarios need. Scenarios that need a missing option are left out, and count
neither as passed nor as skipped; the end of the run lists how many and why."""

import collections
import os
import pathlib
import re

CONFIG = pathlib.Path(os.environ["LWTCLS_KERNEL"]) / ".config"
# None without a kernel, as when scenarios are only listed: then none is left out.
OPTIONS = set(re.findall(r"^CONFIG_(\w+)=", CONFIG.read_text(), re.M)) if CONFIG.exists() else None


def has(option):
    """Returns whether the kernel was built with an option."""
    return OPTIONS is None or option in OPTIONS


# Whether the kernel has IPv6, which may have been left out or be disabled by its command line.
IPV6 = OPTIONS is None or pathlib.Path("/proc/net/if_inet6").exists()
IP_FAMILIES = (4, 6) if IPV6 else (4,)
# Whether programs can push headers: the module replaces the kernel's helper through ftrace, or the
# kernel has its own code for it.
CAN_PUSH = has("DYNAMIC_FTRACE_WITH_DIRECT_CALLS") or has("LWTUNNEL_BPF")
# Tunnels over IPv6, of KINDS in headers.py.
IPV6_TUNNELS = ("gre6", "ip6ip6", "ipip6", "gue6", "vxlan6")
# Number of scenarios left out by reason, and lines about parts of scenarios.
LEFT_OUT, PARTS = collections.Counter(), set()


def series(release):
    """Returns the first two numbers of a kernel's release, to compare it with others."""
    return tuple(int(number) for number in re.findall(r"\d+", release)[:2])


def part(what, option):
    """Returns whether the kernel has the option that a part of a scenario needs. If not, the end of
    the run says so."""
    if not has(option):
        PARTS.add(f"left out: {what}: the kernel has no CONFIG_{option}")
    return has(option)


def pytest_configure(config):
    """Registers the marks."""
    config.addinivalue_line("markers", "needs(option, ...): is left out by a kernel without these")
    config.addinivalue_line("markers", "lacks(option, ...): is left out by a kernel with these")
    config.addinivalue_line("markers", "since(series): is left out by an older kernel")
    config.addinivalue_line("markers", "without(option, ...): is in each sample if one is missing")
    config.addinivalue_line("markers", "ipv6: is left out by a kernel without IPv6")
    config.addinivalue_line("markers", "pushes: is left out if programs cannot push headers")


def is_about_missing(item):
    """Returns whether a scenario is about an option that this kernel lacks."""
    return any(not has(option) for mark in item.iter_markers("without") for option in mark.args)


def reasons(item):
    """Yields the reasons why a scenario cannot run on this kernel."""
    for mark in item.iter_markers("needs"):
        yield from (f"has no CONFIG_{option}" for option in mark.args if not has(option))
    for mark in item.iter_markers("lacks"):
        yield from (f"has CONFIG_{option}" for option in mark.args if option in (OPTIONS or ()))
    for mark in item.iter_markers("since"):
        if OPTIONS is not None and series(os.uname().release) < series(*mark.args):
            yield f"is older than {mark.args[0]}"
    params = item.callspec.params if hasattr(item, "callspec") else {}
    of_ipv6 = (6 in (params.get("family"), params.get("inner"), params.get("of"))
               or str(params.get("kind")) in IPV6_TUNNELS)
    if not IPV6 and (of_ipv6 or item.get_closest_marker("ipv6")):
        yield "has no IPv6"
    if not CAN_PUSH and item.get_closest_marker("pushes"):
        yield "has no CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS"


def pytest_collection_modifyitems(config, items):
    """Deselects the scenarios that cannot run on this kernel."""
    out = []
    for item in items:
        if why := next(reasons(item), None):
            LEFT_OUT[why] += 1
            out.append(item)
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def pytest_terminal_summary(terminalreporter):
    """Prints what was left out."""
    for why, number in sorted(LEFT_OUT.items()):
        terminalreporter.write_line(
            f"left out: {number} scenario{'s'[:number > 1]}: the kernel {why}")
    for line in sorted(PARTS):
        terminalreporter.write_line(line)
