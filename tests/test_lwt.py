# SPDX-License-Identifier: GPL-2.0-only
"""Routes with `encap bpf`."""

import errno
import json
import shutil

import pytest
from conftest import BPF, MODULE, must_fail, programs, sh
from needs import IP_FAMILIES
from sockets import sysctl
from tracing import events
from wires import Sender

FAMILIES = pytest.mark.parametrize("family", [4, 6])
HOOKS = pytest.mark.parametrize("hook", ["in", "out", "xmit"])


def in_namespace(name, code):
    """Runs Python code in a namespace; returns its output."""
    return sh(f"ip netns exec {name} python3 - <<'EOF'\n{code}\nEOF")


def counters():
    """Returns the packets and bytes that the counting program has seen."""
    maps = [m for m in json.loads(sh("bpftool -j map show")) if m["name"] == "counters"]
    assert len(maps) == 1
    values = json.loads(sh(f"bpftool -j map dump id {maps[0]['id']}"))
    return [entry["formatted"]["value"] for entry in values]


@FAMILIES
@HOOKS
def test_ok_passes_packets(net, family, hook):
    net.encap(hook, "ok", family)
    assert net.ping(family, count=3)


@FAMILIES
@HOOKS
def test_drop_drops_packets(net, family, hook):
    net.encap(hook, "drop", family)
    assert net.dropped(family)
    # Other destinations are not affected.
    assert net.ping(family, address=net.gateway(family))
    # Without the program on the route, packets pass again.
    net.route(family)
    net.local(family)
    assert net.ping(family)


@FAMILIES
@HOOKS
def test_illegal_value_drops_packets(net, family, hook):
    net.encap(hook, "illegal", family)
    assert net.dropped(family)


@pytest.mark.needs("EVENT_TRACING")
@FAMILIES
@pytest.mark.beyond_c(
    "drop reason of such packets, and of those whose protocol a program changed")
def test_changed_protocol_is_the_drop_reason(net, family):
    net.encap("xmit", "push_ok", family)
    with Sender("a", family) as sender, events("skb/kfree_skb") as freed:
        assert sender.send(net.service(family)) == errno.EINVAL
        found = [line for line in freed() if f"[{MODULE.stem}]" in line]
    assert len(found) == 1
    assert found[0].endswith(" reason: INVALID_PROTO")


@HOOKS
def test_redirect_outside_of_xmit_is_ignored(net, hook):
    net.encap(hook, "redirect", 4)
    assert net.ping() == (hook != "xmit")


@HOOKS
def test_reroute_on_out_is_ignored(net, hook):
    net.encap(hook, "reroute", 4)
    assert net.ping() == (hook == "out")


@FAMILIES
@pytest.mark.parametrize("hook", ["out", "xmit"])
@pytest.mark.parametrize("name, error", [("drop", errno.EPERM), ("illegal", errno.EINVAL)])
def test_sender_gets_errno(net, family, hook, name, error):
    net.encap(hook, name, family)
    domain = "AF_INET" if family == 4 else "AF_INET6"
    # A dropped skb is no longer charged to the socket: TIOCOUTQ gives 0.
    told = in_namespace("a", f"""
import fcntl, socket, struct, termios
s = socket.socket(socket.{domain}, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_{"IP" if family == 4 else "IPV6"}, {11 if family == 4 else 25}, 1)
for _ in range(50):
    try:
        s.sendto(b"x" * 1000, ("{net.service(family)}", 9))
        print("sent")
    except OSError as e:
        print(e.errno)
print(struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, b"1234"))[0])
""").split()
    assert set(told[:-1]) == {str(error)}
    assert told[-1] == "0"


@FAMILIES
@HOOKS
def test_program_sees_each_packet(net, family, hook):
    net.encap(hook, "count", family)
    assert net.ping(family, count=5, size=100)
    packets, octets = counters()
    header = 20 if family == 4 else 40
    assert packets == 5
    # On all three hooks the packet begins at the network header.
    assert octets == 5 * (header + 8 + 100)


@pytest.mark.differs("`LWT_BPF_XMIT_HEADROOM` of a route")
def test_all_hooks_of_one_route(net):
    net.route(4, "encap bpf out obj lwt_out_ok.o section lwt_out "
                 "xmit obj lwt_xmit_count.o section lwt_xmit headroom 100")
    assert net.ping(count=2)
    assert counters()[0] == 2
    shown = json.loads(sh("ip -n a -j route show 10.1.0.1"))
    assert "encap bpf out lwt_out_ok.o:[lwt_out] xmit lwt_xmit_count.o:[lwt_xmit]" in sh(
        "ip -n a route show 10.1.0.1")
    assert shown[0]["encap"]["encap_type"] == "bpf"


def test_skb_cb_is_restored(net):
    net.route(4, "encap bpf xmit obj lwt_xmit_cb.o section lwt_xmit")
    assert net.ping(count=2)
    # IP fragments the packet by its control block in skb->cb, which the program has overwritten.
    assert net.ping(count=2, size=5000)


@FAMILIES
def test_dump_and_get(net, family):
    net.route(family, "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit")
    want = "encap bpf xmit lwt_xmit_ok.o:[lwt_xmit]"
    assert want in sh(f"ip -{family} -n a route show {net.service(family)}")
    assert want in sh(f"ip -{family} -n a route get fibmatch {net.service(family)}")


def test_headroom_lowers_the_mtu(net):
    net.route(4, "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit headroom 100")
    assert net.ping(whole=True, size=1372)
    assert net.dropped(whole=True, size=1373)
    # `ip route del` finds the route without its headroom.
    sh("ip -n a route del 10.1.0.1")
    net.route(4, "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit")
    assert net.ping(whole=True, size=1472)


@FAMILIES
def test_route_deletion_compares_program_names(net, family):
    net.route(family, "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit")
    route = f"ip -{family} -n a route del {net.service(family)}"
    via = f"via {net.gateway(family)} dev va"
    # IPv6 does not compare the encapsulation of a route that is deleted.
    if family == 4:
        for other in ("xmit obj lwt_xmit_drop.o section lwt_xmit",
                      "out obj lwt_out_ok.o section lwt_out"):
            assert "No such process" in must_fail(f"{route} encap bpf {other} {via}")
        assert net.ping(family)
    sh(f"{route} encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit {via}")
    assert net.dropped(family)


@pytest.mark.parametrize("kind, tags", [("lwt_xmit", 2), ("lwt_xmit_constant", 1)])
@pytest.mark.parametrize("family", [
    pytest.param(4, marks=pytest.mark.beyond_c("routes whose programs have the same name")), 6])
@pytest.mark.by_chance("when a replaced program is freed")
def test_replace_with_rebuilt_program_of_same_name(net, family, kind, tags, tmp_path):
    # As after a rebuild: the path is the same, the program is another one. If only a constant
    # differs, the tag is the same, because it does not cover the program's maps.
    seen = set()
    for name, passes in (("ok", True), ("drop", False), ("ok", True)):
        shutil.copy(BPF / f"{kind}_{name}.o", tmp_path / "same.o")
        encap = f"encap bpf xmit obj {tmp_path}/same.o section lwt_xmit"
        net.route(family, encap)
        assert net.ping(family, wait=0.5) == passes
        seen |= {prog["tag"] for prog in programs()}
    assert len(seen) == tags
    # The request to delete the route loads another program, which equals that of the route.
    sh(f"ip -{family} -n a route del {net.service(family)} {encap} "
       f"via {net.gateway(family)} dev va")


@FAMILIES
def test_duplicate_route_is_refused(net, family):
    encap = "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit"
    net.route(family, encap)
    assert "File exists" in must_fail(
        f"ip -{family} -n a route add {net.service(family)} {encap} "
        f"via {net.gateway(family)} dev va")
    assert net.ping(family)


@FAMILIES
def test_nexthop_object(net, family):
    def nexthop(name):
        sh(f"ip -{family} -n a nexthop replace id 7 "
           f"encap bpf xmit obj lwt_xmit_{name}.o section lwt_xmit "
           f"via {net.gateway(family)} dev va")

    nexthop("ok")
    sh(f"ip -{family} -n a route add {net.service(family)} nhid 7")
    assert "encap bpf xmit lwt_xmit_ok.o:[lwt_xmit]" in sh("ip -n a nexthop show id 7")
    assert net.ping(family)
    nexthop("drop")
    assert net.dropped(family)
    sh("ip -n a nexthop del id 7")


def test_multipath(net):
    sh("ip -n b addr add 10.0.0.3/24 dev vb")
    sh("ip -n a route add 10.1.0.1 "
       "nexthop encap bpf xmit obj lwt_xmit_drop.o section lwt_xmit via 10.0.0.2 dev va "
       "nexthop encap bpf xmit obj lwt_xmit_drop.o section lwt_xmit via 10.0.0.3 dev va")
    shown = sh("ip -n a route show 10.1.0.1")
    assert shown.count("encap bpf xmit lwt_xmit_drop.o:[lwt_xmit]") == 2
    assert net.dropped()


def test_deleting_netns_deletes_routes(net):
    # The fixture no_leaks checks for leaks after each scenario.
    for hook in ("in", "out", "xmit"):
        for family in IP_FAMILIES:
            net.encap(hook, "ok", family)
    net.close()


def test_replacing_under_traffic(net):
    net.route(4)
    sh("ip netns exec a sh -c 'ping -n -q -i 0.002 -c 1500 -W 1 10.1.0.1 >/dev/null & "
       "for i in 1 2 3 4 5 6 7 8; do for p in ok count; do "
       "ip route replace 10.1.0.1 encap bpf xmit obj lwt_xmit_$p.o section lwt_xmit "
       "via 10.0.0.2 dev va; done; done; wait'")
    assert net.ping()


@pytest.mark.parametrize("where, what", [
    ("vb", "disable_ipv6"), ("all", "disable_ipv6"), ("default", "disable_ipv6")])
def test_pushed_ipv6_header_without_ipv6_on_device(fresh, where, what):
    # disable_ipv6 removes the addresses and routes of the devices that it applies to.
    sysctl("b", f"ipv6/conf/{where}/{what}", 1)
    fresh.encap("in", "push_six", 4)
    assert fresh.dropped()
    fresh.encap("in", "ok", 4)
    assert fresh.ping()


def test_pushed_ipv6_header_on_device_with_small_mtu(fresh):
    # With an MTU below 1280 the device has no inet6_dev.
    sh("ip -n b link set vb mtu 1000")
    fresh.encap("in", "push_six", 4)
    assert fresh.dropped()
    fresh.encap("in", "ok", 4)
    assert fresh.ping()
