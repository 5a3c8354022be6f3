# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel tells of what it does, by tracefs."""

import contextlib
import pathlib

from conftest import sh

TRACING = pathlib.Path("/sys/kernel/tracing")


def mount():
    """Sees to it that tracefs is there."""
    if not any(TRACING.iterdir()):
        sh(f"mount -t tracefs tracefs {TRACING}")


@contextlib.contextmanager
def events(*names):
    """The kernel keeps events of these names ("system/event"). Yields what reads their lines."""
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
def traced(functions):
    """The function tracer has some functions. Yields what reads what it has seen."""
    mount()

    def write(file, text):
        (TRACING / file).write_text(f"{text}\n")

    write("set_ftrace_filter", functions)
    write("current_tracer", "function")
    try:
        yield (TRACING / "trace").read_text
    finally:
        write("current_tracer", "nop")
        write("set_ftrace_filter", "")
