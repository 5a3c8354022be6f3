#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""cycles.py C RUST: prints the perf counts per packet of each line, from the logs of two guests."""

import sys

import report


def hook(lines, name, event):
    """Returns the median that the line's hook adds to its baseline, and the sum of the
    interquartile ranges of both lines."""
    line = lines[name]
    base = lines[line["base"]]["events"][event]
    low, median, high = line["events"][event]
    return median - base[1], (high - low) + (base[2] - base[0])


def show(c, rust):
    """Prints one table per event."""
    events = [event for event in next(iter(c.values()))["events"]
              if all(event in line["events"] for side in (c, rust) for line in side.values())]
    if not events:
        sys.exit("this processor, or its hypervisor, has none of the counters")
    for event in events:
        print(f"\n{event + ' for each packet':60} {'hook: C':>9} {'lwtcls':>9} {'ratio':>6}"
              f" {'spread':>9}")
        for name, line in c.items():
            if not line["base"] or name not in rust:
                continue
            (of_c, apart), (ours, ours_apart) = (hook(side, name, event) for side in (c, rust))
            # A ratio of two numbers within the noise is meaningless.
            spread = max(apart, ours_apart)
            ratio = f"{ours / of_c:6.2f}" if of_c > spread else f"{'-':>6}"
            print(f"{name:60} {of_c:9.2f} {ours:9.2f} {ratio} {spread:9.2f}")


if __name__ == "__main__":
    show(*(report.lines_by_name(report.read(report.pathlib.Path(log))) for log in sys.argv[1:]))
