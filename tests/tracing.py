# SPDX-License-Identifier: GPL-2.0-only
"""Trace events and the function tracer, by tracefs."""

import contextlib
import pathlib
import re

from conftest import MODULE, sh
from sides import SIDE

TRACING = pathlib.Path("/sys/kernel/tracing")


def mount():
    """Mounts tracefs if it is not mounted."""
    if not any(TRACING.iterdir()):
        sh(f"mount -t tracefs tracefs {TRACING}")


@contextlib.contextmanager
def events(*names):
    """Records trace events ("system/event"). Yields a function that reads their lines."""
    mount()
    instance = TRACING / "instances/scenario"
    instance.mkdir()

    def switch(state):
        for name in names:
            (instance / "events" / name / "enable").write_text(state)

    try:
        switch("1")
        yield lambda: [line for line in (instance / "trace").read_text().splitlines()
                       if not line.startswith("#")]
        switch("0")
    finally:
        instance.rmdir()


@contextlib.contextmanager
def traced(functions, tracer="function"):
    """Traces functions with a tracer of functions. Yields a function that reads the trace."""
    mount()

    def write(file, text):
        (TRACING / file).write_text(f"{text}\n")

    write("set_ftrace_filter", functions)
    write("current_tracer", tracer)
    try:
        yield (TRACING / "trace").read_text
    finally:
        write("current_tracer", "nop")
        write("set_ftrace_filter", "")


@contextlib.contextmanager
def drop_events():
    """Yields a function that reads the drop reasons of packets that the module frees, and the
    module's own trace events."""
    own = ["lwtcls/exception"] if SIDE == "rust" else []
    with events("skb/kfree_skb", *own) as read:
        def found():
            lines = read()
            return (
                [line.rpartition("reason: ")[2] for line in lines
                 if "kfree_skb:" in line and f"[{MODULE.stem}]" in line],
                [dict(re.findall(r"(\w+)=(\S*)", line.partition("exception: ")[2]))
                 for line in lines if " exception: " in line],
            )
        yield found


def is_exception_event(entry, hook, verdict, error, reason):
    """Returns whether a trace event has exactly these values."""
    return (entry["hook"], int(entry["ret"]), int(entry["error"]), entry["reason"]) == (
        hook, verdict, -error, reason)
