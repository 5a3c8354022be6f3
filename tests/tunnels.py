# SPDX-License-Identifier: GPL-2.0-only
"""A remote end that decapsulates with the kernel's tunnels."""

import pathlib

from conftest import batch, modprobe, sh
from headers import FOU_PORT, GUE_PORT, IPIP, MAC, VNI, VXLAN_PORT, outer
from journal import recorded
from needs import IP_FAMILIES, IPV6
from nl import inside
from pusher import Pusher
from wires import Wires


class Tunnels(Wires):
    """Wires in which c is the remote end of tunnels of all kinds. It has two service addresses.
    What b sends to one of them meets the program in a on input; what a itself sends to the other
    one meets it on xmit. Without a pushed header, a routes these packets to b, and they never reach
    c."""

    CLIENT = {"in": "b", "xmit": "a"}
    SERVICE = {"in": {4: "10.3.0.1", 6: "fd03::1"}, "xmit": {4: "10.4.0.1", 6: "fd04::1"}}
    MTU = 1400
    SEGMENTS = ("tso", "tx-udp-segmentation", "tx-sctp-segmentation")

    def __init__(self):
        super().__init__()
        self.state = "whole"
        # The network is deleted even if its setup fails.
        self.push = None
        try:
            self.push = Pusher()
            self.setup_tunnels()
            self.add_routes()
        except BaseException:
            self.close()
            raise

    def close(self):
        super().close()
        if self.push:
            self.push.close()

    def setup_tunnels(self):
        """Gives c its tunnels and addresses."""
        ends = [f"local {to} remote {source}" for source, to in
                (outer(family, number) for family in (4, 6) for number in (1, 2, 3))]
        four, six = ends[:3], ends[3:]
        ipv4 = {
            "gre1": f"gre {four[0]}",
            "gre2": f"gre {four[1]} icsum",
            "ipip1": f"ipip {four[0]}",
            "ipip3": f"ipip {four[2]}",
            "vx4": f"vxlan id {VNI[4]} local 10.9.0.2 dstport {VXLAN_PORT} nolearning",
        }
        ipv6 = {
            "sit1": f"sit {four[0]}",
            "sit3": f"sit {four[2]}",
            "six1": f"ip6gre {six[0]}",
            "six2": f"ip6gre {six[1]} icsum",
            "in6": f"ip6tnl mode ip6ip6 {six[0]}",
            "in4": f"ip6tnl mode ipip6 {six[1]}",
            "any3": f"ip6tnl mode any {six[2]}",
            "vx6": f"vxlan id {VNI[6]} local fd09::2 dstport {VXLAN_PORT} nolearning "
                   "udp6zerocsumrx",
        }
        devices = ipv4 | ipv6 if IPV6 else ipv4
        # "ip fou" does not load these modules on demand.
        modprobe("fou")
        modprobe("fou6")
        batch("-n c",
              *(f"link add {name} type {what}" for name, what in devices.items()),
              *(f"link set vx{family} address {MAC[family]}" for family in IP_FAMILIES),
              *(f"link set {name} up" for name in devices),
              *(f"addr add {addresses[4]}/32 dev lo" for addresses in self.SERVICE.values()),
              *(f"addr add {addresses[6]}/128 dev lo nodad" for addresses in self.SERVICE.values()),
              f"fou add port {GUE_PORT} gue",
              f"fou add port {FOU_PORT} ipproto {IPIP}")
        if IPV6:
            batch("-6 -n c", f"fou add port {GUE_PORT} gue")

    def add_routes(self):
        """Adds the routes through the program. They use pinned programs, because otherwise ip loads
        the object again for each route."""
        for family, gateway in ((4, "10.0.0.1"), (6, "fd00::1")):
            way = self.VIA["b"][family]
            batch(f"-{family} -n a",
                  f"route add {self.SERVICE['in'][family]} {self.encap('in')} {way}",
                  f"route add {self.SERVICE['xmit'][family]} {self.encap('xmit')} {way} "
                  f"mtu {self.MTU}")
            batch(f"-{family} -n b",
                  f"route add {self.SERVICE['in'][family]} via {gateway} mtu {self.MTU}")

    def encap(self, hook):
        """Returns the words for ip that attach the program to a route."""
        return f"encap bpf {hook} pinned {self.push.PINS}/push_{hook}"

    def set_offloads(self, state):
        """Sets the offloads of a's link to c: GSO packets are sent as they are ("whole"); segmented
        in software ("cut"); segmented with checksums computed in software, so that the receiver
        verifies them ("bare"). The setting persists because changing it is slow."""
        if state == self.state:
            return
        off = {"whole": (), "cut": self.SEGMENTS, "bare": ("tx", *self.SEGMENTS)}[state]
        sh("ip netns exec a ethtool -K wa " + " ".join(
            f"{what} {'off' if what in off else 'on'}" for what in ("tx", *self.SEGMENTS)))
        self.state = state

    @recorded
    def received(self, device):
        """Returns how many packets a device of c has received."""
        with inside("c"):
            lines = pathlib.Path("/proc/net/dev").read_text().splitlines()
        for line in lines:
            name, _, numbers = line.partition(":")
            if name.strip() == device:
                return int(numbers.split()[1])
        raise KeyError(device)
