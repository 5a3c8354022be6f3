# SPDX-License-Identifier: GPL-2.0-only
"""Context managers for what is attached to the path of the packets while a line is measured."""

import contextlib
import pathlib

from guest import sh
from traffic import ROUTE


@contextlib.contextmanager
def clsact(hook, *filters):
    """Adds filters on ingress of the receiving device, or on egress of the sending one."""
    dev = {"ingress": "d1", "egress": "d2"}[hook]
    sh(f"tc qdisc add dev {dev} clsact")
    text = "\n".join(f"filter add dev {dev} {hook} {filter_}" for filter_ in filters)
    sh(f"tc -batch - <<'EOF'\n{text}\nEOF")
    yield
    sh(f"tc qdisc del dev {dev} clsact")


@contextlib.contextmanager
def encap(hook, obj):
    """Attaches a program to a hook of the route."""
    sh("ip route replace " + ROUTE.format(
        encap=f"encap bpf {hook} obj {obj}.o section lwt_{hook}"))
    yield
    sh("ip route replace " + ROUTE.format(encap=""))


@contextlib.contextmanager
def routes(*some):
    """Adds routes."""
    for route in some:
        sh(f"ip route add {route}")
    yield
    for route in some:
        sh(f"ip route del {route}")


@contextlib.contextmanager
def runs_counted():
    """Enables bpf_stats: the kernel counts runs of programs, and lwtcls their verdicts."""
    knob = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    knob.write_text("1")
    try:
        yield
    finally:
        knob.write_text("0")


@contextlib.contextmanager
def attached(hook, obj, count=1):
    """Attaches programs to a tcx hook of a device."""
    dev = {"ingress": "d1", "egress": "d2"}[hook]
    for number in range(count):
        path = f"/run/bpf/tcx{number}"
        sh(f"bpftool prog load {obj}.o {path} type classifier && "
           f"bpftool net attach tcx_{hook} pinned {path} dev {dev} && rm {path}")
    yield
    for _ in range(count):
        sh(f"bpftool net detach tcx_{hook} dev {dev}")
