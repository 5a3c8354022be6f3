# SPDX-License-Identifier: GPL-2.0-only
"""The path of the packets, and pktgen, which sends them."""

import contextlib
import pathlib
import re
import sys
import time

from guest import KERNEL, PACKETS, sh

PKTGEN = pathlib.Path("/proc/net/pktgen")
IPV6 = pathlib.Path("/proc/sys/net/ipv6").exists()
ROUTE = "10.1.0.1 {encap} via 10.2.0.2 dev d2"


def network():
    """Sets up four dummy devices. The second sends what the first and the fourth receive. They have
    no IPv4 addresses: the kernel's address hash differs in each boot, and a collision costs
    instructions."""
    sh("insmod %s" % (KERNEL / "net/core/pktgen.ko"))
    lines = []
    for number in (1, 2, 3, 4):
        lines += [f"link add d{number} index {100 + number} type dummy",
                  f"link set d{number} address 02:00:00:00:00:0{number}",
                  *([f"addr add fd0{number}::1/64 dev d{number} nodad"] if IPV6 else []),
                  f"link set d{number} up"]
    neighbour = "lladdr 02:00:00:00:00:22 dev d2 nud permanent"
    lines += ["route add 10.2.0.0/24 dev d2",
              f"neigh add 10.2.0.2 {neighbour}",
              *([f"neigh add fd02::2 {neighbour}"] if IPV6 else []),
              "route add " + ROUTE.format(encap="")]
    text = "\n".join(lines)
    for name in ("ipv4/ip_forward", *(["ipv6/conf/all/forwarding"] if IPV6 else [])):
        pathlib.Path(f"/proc/sys/net/{name}").write_text("1")
    sh(f"ip -batch - <<'EOF'\n{text}\nEOF")


def pktgen(where, **lines):
    """Writes commands to pktgen."""
    for key, value in lines.items():
        (PKTGEN / where).write_text(f"{key} {value}".strip())


def generator(cpu=0, dev="d1", net=9, packets=PACKETS):
    """Configures pktgen: UDP over IPv4, 60 bytes with the MAC header, received on a device. Without
    timestamps, because the cost of reading the clock varies."""
    pktgen(f"kpktgend_{cpu}", add_device=dev)
    pktgen(dev, count=packets, pkt_size=60, delay=0, xmit_mode="netif_receive",
           dst_mac=f"02:00:00:00:00:0{dev[1]}", src_mac="02:00:00:00:00:11", dst="10.1.0.1",
           src_min=f"10.{net}.0.5", src_max=f"10.{net}.0.5", udp_src_min=9, udp_src_max=9,
           udp_dst_min=9, udp_dst_max=9, flag="NO_TIMESTAMP")


def generator_thread():
    """Returns the PID of the thread that generates the packets."""
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(FileNotFoundError):
            if comm.read_text() == "kpktgend_0\n":
                return comm.parent.name
    sys.exit("there is no kpktgend_0")


def last_round():
    """Returns when pktgen began its last round, and the microseconds that it took; `None` if it has
    not ended."""
    text = (PKTGEN / "d1").read_text()
    began = re.search(r"started: (\d+)us", text)[1]
    took = re.search(r"^Result: OK: (\d+)\(c\d+\+d\d+\) .*\n.* errors: \d+", text, re.M)
    return began, took and int(took[1])


def send_round():
    """Sends one round and returns nanoseconds, which are instructions, per packet."""
    last, deadline = last_round(), time.monotonic() + 120
    pktgen("pgctrl", start="")
    # pktgen does not wait for threads that start late.
    while (now := last_round())[1] is None or now[0] == last[0]:
        if time.monotonic() > deadline:
            raise RuntimeError((PKTGEN / "d1").read_text())
        time.sleep(0.05)
    return now[1] * 1000 / PACKETS


def packets_sent():
    """Returns how many packets d2 and d3 have sent."""
    return sum(int(pathlib.Path(f"/sys/class/net/d{number}/statistics/tx_packets").read_text())
               for number in (2, 3))
