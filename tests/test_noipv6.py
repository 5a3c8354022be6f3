# SPDX-License-Identifier: GPL-2.0-only
# kernel: ipv6.disable=1
"""A kernel with IPv6 that is booted with ipv6.disable=1."""

import contextlib
import errno
import pathlib

import pytest
from conftest import batch, must_fail
from network import Net
from tracing import drop_events, is_exception_event


class IPv4Net(Net):
    """The network without IPv6 addresses."""

    def __init__(self):
        batch("", "netns add a", "netns add b",
              "link add va netns a type veth peer name vb netns b")
        for name, host in (("a", 1), ("b", 2)):
            batch(
                f"-n {name}",
                "link set lo up",
                f"link set v{name} address 02:00:00:00:00:0{host}",
                f"addr add 10.0.0.{host}/24 dev v{name}",
                f"link set v{name} up",
                f"neigh add 10.0.0.{3 - host} lladdr 02:00:00:00:00:0{3 - host} dev v{name}",
            )
        batch("-n b", "addr add 10.1.0.1/32 dev lo")


@pytest.fixture(name="net")
def fixture_net():
    """A new network for each scenario."""
    with contextlib.closing(IPv4Net()) as made:
        yield made


def test_kernel_is_without_ipv6():
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


@pytest.mark.parametrize("hook", ["ingress", "egress"])
def test_verdicts_of_filter(net, hook):
    net.route(4)
    net.tc("qdisc add dev va clsact")
    net.tc(f"filter add dev va {hook} bpf da obj tc_ok.o sec tc")
    assert net.ping()
    net.tc(f"filter add dev va {hook} prio 1 bpf da obj tc_shot.o sec tc")
    assert net.dropped()


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


@pytest.mark.only_here("the C has no such event")
@pytest.mark.parametrize("hook", ["in", "xmit"])
def test_pushed_ipv6_header_is_traced(net, hook):
    net.encap(hook, "push_six", 4)
    with drop_events() as found:
        assert net.dropped()
        reasons, seen = found()
    assert reasons == ["IPV6DISABLED"]
    assert is_exception_event(seen[0], hook, 128, errno.EAFNOSUPPORT, "IPV6DISABLED")
