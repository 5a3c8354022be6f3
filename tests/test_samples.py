# SPDX-License-Identifier: GPL-2.0-only
"""The programs of samples/, in networks that they were not tried in when they were written."""

import pathlib

import pytest
from conftest import batch
from nl import inside
from sockets import sysctl
from tunnels import Capture
from wires import carry

# What a connection has to carry before it sends the longest packets.
MUCH = 8 << 20
# The longest IP packet whose header says how long it is.
LONGEST = 65535


def retransmitted(namespace):
    """How many segments of TCP a namespace has sent again."""
    with inside(namespace):
        names, values = [line.split() for line in
                         pathlib.Path("/proc/net/snmp").read_text().splitlines()
                         if line.startswith("Tcp:")]
    return int(values[names.index("RetransSegs")])


@pytest.fixture(name="tunnel")
def fixture_tunnel(wires):
    """A link that takes packets longer than an IP header can say, and the far end of the sample's
    tunnel. TCP is patient: what it sends again was lost."""
    batch("-n a", "link set va gso_max_size 180000 gso_ipv4_max_size 180000")
    batch("-n b", "link add g0 type gre local 10.0.0.2 remote 10.0.0.1", "link set g0 up")
    # Long packets do not depend on how fast the machine is.
    sysctl("a", "ipv4/tcp_min_tso_segs", 100)
    sysctl("a", "ipv4/tcp_early_retrans", 0)
    sysctl("a", "ipv4/tcp_no_metrics_save", 1)
    sysctl("a", "ipv4/tcp_wmem", "4096 8000000 8000000")
    sysctl("b", "ipv4/tcp_rmem", "4096 8000000 8000000")
    yield wires
    batch("-n b", "link del g0")
    batch("-n a", "link set va gso_max_size 65536 gso_ipv4_max_size 65536")


@pytest.mark.parametrize("family", [4, 6])
def test_gre_takes_packets_longer_than_their_header_can_say(tunnel, family):
    service = tunnel.FIRST[family]

    def attempt():
        """How many segments a connection has sent again, and how long its longest packet was."""
        before = retransmitted("a")
        with Capture("b", "vb", 4, "10.0.0.1", 64) as wire:
            assert carry(family, "a", "b", service, MUCH)
            return retransmitted("a") - before, max(length for _, length in wire.packets())

    # A guest that stands still for a while may send some again, too, but not each time.
    attempts = []
    with tunnel.having(
            "a", family, f"route add {service} encap bpf xmit obj lwt_xmit_gre.o section lwt_xmit "
                         f"headroom 24 {tunnel.VIA['b'][family]} rto_min 5s"):
        while len(attempts) < 3 and not any(count == 0 for count, _ in attempts):
            attempts.append(attempt())
    assert any(count == 0 and longest > LONGEST for count, longest in attempts), attempts
