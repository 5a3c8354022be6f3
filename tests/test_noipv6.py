# SPDX-License-Identifier: GPL-2.0-only
# kernel: ipv6.disable=1
"""A kernel whose command line disables IPv6, or that was built without it."""

import errno
import pathlib

import pytest
from conftest import must_fail
from needs import has
from tracing import drop_events, is_exception_event

pytestmark = pytest.mark.without("IPV6")


def test_kernel_is_without_ipv6():
    if has("IPV6"):
        assert pathlib.Path("/sys/module/ipv6/parameters/disable").read_text() == "1\n"
    assert not pathlib.Path("/proc/net/if_inet6").exists()


@pytest.mark.parametrize("hook", ["in", "out", "xmit"])
def test_verdicts_of_route_program(net, hook):
    net.encap(hook, "ok", 4)
    assert net.ping()
    net.encap(hook, "drop", 4)
    assert net.dropped()


def test_ipv6_route_is_refused(net):
    said = must_fail("ip -6 -n a route add fd01::1 "
                     "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit dev va")
    assert "not supported" in said


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.parametrize("hook", ["ingress", "egress"])
def test_verdicts_of_filter(net, hook):
    net.route(4)
    net.tc("qdisc add dev va clsact")
    net.tc(f"filter add dev va {hook} bpf da obj tc_ok.o sec tc")
    assert net.ping()
    net.tc(f"filter add dev va {hook} prio 1 bpf da obj tc_shot.o sec tc")
    assert net.dropped()


@pytest.mark.needs("NET_CLS_ACT")
def test_ipv6_filter_is_accepted(net):
    # The classifier does not check a filter's protocol.
    net.tc("qdisc add dev va clsact")
    net.tc("filter add dev va egress protocol ipv6 bpf da obj tc_shot.o sec tc")
    net.route(4)
    assert net.ping()


@pytest.mark.parametrize("hook", ["in", "xmit"])
def test_pushed_ipv6_header_has_no_route(net, hook):
    # An input lookup would read IPv6 state that a namespace of such a kernel lacks.
    net.encap(hook, "push_six", 4)
    assert net.dropped()
    net.encap(hook, "ok", 4)
    assert net.ping()


@pytest.mark.needs("EVENT_TRACING")
@pytest.mark.only_here("the C has no such event")
@pytest.mark.parametrize("hook", ["in", "xmit"])
def test_pushed_ipv6_header_is_traced(net, hook):
    net.encap(hook, "push_six", 4)
    with drop_events() as found:
        assert net.dropped()
        reasons, seen = found()
    assert reasons == ["IPV6DISABLED"]
    assert is_exception_event(seen[0], hook, 128, errno.EAFNOSUPPORT, "IPV6DISABLED")
