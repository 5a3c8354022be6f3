# SPDX-License-Identifier: GPL-2.0-only
"""Clients other than iproute2: aya and pyroute2 themselves, and the requests of others byte for
byte. lwtcls must accept what they send and the C code accepts, unless that would mislead the
user."""

import contextlib
import ctypes
import errno
import os
import socket
import struct
import subprocess

import nl
import pytest
from bpf_syscall import bpf
from conftest import BPF, BUILD, eventually, program, programs, sh
from nl import attr
from pyroute2 import IPRoute
from sides import ours

pytestmark = pytest.mark.needs("NET_CLS_ACT")

BPF_PROG_GET_FD_BY_ID, BPF_OBJ_GET_INFO_BY_FD = 13, 15
NESTED = 0x8000
ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
ADD = nl.NLM_F_CREATE | nl.NLM_F_EXCL
EGRESS, INGRESS = nl.TC_H_CLSACT_EGRESS, nl.TC_H_CLSACT_INGRESS
HOOKS = pytest.mark.parametrize("hook", ["ingress", "egress"])
FAMILIES = pytest.mark.parametrize("family", [4, 6])
REPORTED = "`TCA_BPF_TAG`, `TCA_BPF_ID` of another program"
NOT_THE_ID = "TCA_BPF_ID is not the id of the program"
NOT_THE_TAG = "TCA_BPF_TAG is not the tag of the program"


def id_and_tag(fd):
    """Returns a program's id and tag as attributes carry them. C: bpf(BPF_OBJ_GET_INFO_BY_FD)."""
    info = ctypes.create_string_buffer(16)
    bpf(BPF_OBJ_GET_INFO_BY_FD, "=IIQ", fd, len(info), ctypes.addressof(info))
    return info.raw[4:8], info.raw[8:16]


@contextlib.contextmanager
def open_by_id(number):
    """Yields a descriptor of the program with this id."""
    fd, _ = bpf(BPF_PROG_GET_FD_BY_ID, "=III", struct.unpack("=I", number)[0], 0, 0)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.fixture(name="bare")
def fixture_bare(lasting):
    """The network with a route to the service, and without a qdisc on va."""
    lasting.route(4)
    yield lasting
    sh("tc -n a qdisc del dev va clsact", check=False)


@pytest.fixture(name="va")
def fixture_va(bare):
    """The network, with clsact on va."""
    bare.tc("qdisc add dev va clsact")
    return bare


@pytest.fixture(scope="module", name="fds")
def fixture_fds():
    """Programs: one that passes packets, and one that drops them."""
    with program("classifier", "tc_ok") as good, program("classifier", "tc_shot") as shot:
        yield {"ok": good, "shot": shot}


def tcmsg(ifindex, handle=0, parent=EGRESS, prio=1, protocol=ETH_P_ALL):
    """Returns the header of a filter request."""
    return struct.pack("=BxxxiIII", 0, ifindex, handle, parent, prio << 16 | socket.htons(protocol))


def add_filter(*args, flags=ADD):
    """Adds a filter; the arguments are the parts of the body. Returns the errno and the extack
    message."""
    return nl.request("a", nl.RTM_NEWTFILTER, flags, b"".join(args))


class Aya:
    """A process that uses aya (clients/aya/). It runs as long as what it attaches is to stay."""

    def __init__(self, hook):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", "a", BUILD / "clients/aya_tc", "va", hook], cwd=BPF, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, step):
        print(step, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()

    def close(self):
        """Ends the process, which detaches what it has attached by a link."""
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0


@pytest.fixture(name="aya")
def fixture_aya(request):
    """A user of aya for one of the hooks."""
    with contextlib.closing(Aya(request.getfixturevalue("hook"))) as made:
        yield made


@HOOKS
def test_aya(bare, aya, hook):
    assert aya("clsact") == "ok"
    assert aya("attach classifier_ok.o 7 5") == "ok"
    (shown,) = bare.filters(f"dev va {hook}")
    assert (shown["pref"], shown["options"]["handle"]) == (7, "0x5")
    assert shown["options"]["bpf_name"] == "verdict" and shown["options"]["direct-action"]
    assert bare.ping()

    before = shown["options"]["prog"]["id"]
    assert aya("replace classifier_shot.o") == "ok"
    (shown,) = bare.filters(f"dev va {hook}")
    assert (shown["pref"], shown["options"]["handle"]) == (7, "0x5")
    assert shown["options"]["prog"]["id"] != before
    assert bare.dropped()
    eventually(lambda: [each["id"] for each in programs()] == [shown["options"]["prog"]["id"]])

    assert aya("detach") == "ok"
    assert bare.filters(f"dev va {hook}") == []
    assert bare.ping()


@HOOKS
def test_aya_without_priority_and_handle(va, aya, hook):
    # The kernel chooses both numbers, and reports them in its echo.
    assert aya("attach classifier_shot.o 0 0") == "ok"
    (shown,) = va.filters(f"dev va {hook}")
    assert (shown["pref"], shown["options"]["handle"]) == (49152, "0x1")
    assert va.dropped()
    assert aya("detach") == "ok"
    assert va.filters(f"dev va {hook}") == []


@HOOKS
def test_aya_finds_filters_by_their_name(va, aya, hook):
    va.tc(f"filter add dev va {hook} prio 3 bpf da obj tc_ok.o sec tc")
    assert aya("attach classifier_shot.o 2 9") == "ok"
    assert aya("find verdict") == "ok"
    # The filter that tc added has another name.
    assert [each["pref"] for each in va.filters(f"dev va {hook}")] == [3]
    assert "No such file" in aya("detach") or "Invalid argument" in aya("detach")
    assert va.ping()


@pytest.mark.parametrize("hook", ["egress"])
def test_aya_attach_with_handle_in_use(va, aya, hook):
    va.tc(f"filter add dev va {hook} protocol all prio 7 handle 5 bpf da obj tc_ok.o sec tc")
    assert "File exists" in aya("attach classifier_shot.o 7 5")
    assert va.ping()


@pytest.mark.parametrize("length", [255, 256])
def test_aya_names_of_full_length(va, fds, length):
    # As newer versions of aya send names: up to 256 bytes, and a NUL.
    name = "a" * length
    options = (attr(nl.BPF_FD, fds["shot"]) + attr(nl.BPF_NAME, name)
               + attr(nl.BPF_FLAGS, nl.DIRECT))
    body = tcmsg(va.ifindex) + attr(nl.TCA_KIND, "bpf") + attr(nl.TCA_OPTIONS | NESTED, options)
    with nl.Requests("a") as requests:
        requests.send(nl.RTM_NEWTFILTER, ADD | nl.NLM_F_ECHO | nl.NLM_F_ACK, [body])
        echo, (answer, error) = requests.answers()
        assert (answer, error[:4]) == (nl.NLMSG_ERROR, bytes(4))
        place = echo[1][:20]
        assert struct.unpack_from("=I", place, 8) == (1,)
        found = nl.attrs(nl.attrs(echo[1][20:])[nl.TCA_OPTIONS])
        assert found[nl.BPF_NAME] == name.encode() + b"\0"
        assert nl.filters(va.ifindex, 1)[1][nl.BPF_NAME] == name.encode() + b"\0"
        assert va.dropped()
        requests.send(nl.RTM_DELTFILTER, nl.NLM_F_ACK, [place])
        assert [error[:4] for _, error in requests.answers()] == [bytes(4)]
    assert va.ping()


@pytest.fixture(name="ipr")
def fixture_ipr():
    """pyroute2 in namespace a."""
    with nl.inside("a"):
        made = IPRoute()
    with made:
        yield made


@pytest.mark.parametrize("parent", [INGRESS, EGRESS])
def test_pyroute2(va, ipr, fds, parent):
    def place(fd):
        return {"kind": "bpf", "index": va.ifindex, "handle": 1, "prio": 3, "fd": fd,
                "name": "myprog", "parent": parent, "classid": 1, "direct_action": True}

    def read():
        (found,) = [each.get_attr("TCA_OPTIONS") for each in ipr.get_filters(va.ifindex, 0, parent)
                    if each["handle"]]
        return found.get_attr("TCA_BPF_NAME"), found.get_attr("TCA_BPF_FLAGS")

    ipr.tc("add-filter", **place(fds["ok"]))
    assert read() == ("myprog", nl.DIRECT)
    assert va.ping()
    ipr.tc("replace-filter", **place(fds["shot"]))
    assert read() == ("myprog", nl.DIRECT)
    assert va.dropped()
    ipr.tc("change-filter", **place(fds["ok"]) | {"name": "other"})
    assert read() == ("other", nl.DIRECT)
    assert va.ping()
    ipr.tc("del-filter", **place(fds["ok"]))
    assert va.filters() == []


def test_pyroute2_policer(va, ipr, fds):
    # pyroute2's action is that of the policer, but it also sends it as TCA_BPF_ACT.
    ipr.tc("add-filter", "bpf", va.ifindex, 1, prio=1, fd=fds["shot"], name="myprog",
           parent=EGRESS, classid=1, action="drop", rate="10kbit", burst=10240, mtu=2040)
    (found,) = nl.filters(va.ifindex).values()
    assert nl.BPF_POLICE in found and nl.BPF_ACT not in found
    assert found[nl.BPF_NAME] == b"myprog\0" and nl.BPF_FLAGS not in found
    ipr.tc("del-filter", "bpf", va.ifindex, 1, prio=1, parent=EGRESS)
    assert va.filters() == []


@pytest.mark.differs("actions of a filter that has a policer")
@pytest.mark.parametrize("actions", [attr(1, nl.gact(2)), b"?"], ids=["drop", "no action"])
def test_actions_of_a_policer(va, fds, actions):
    # C: struct tc_police with only the MTU set.
    police = struct.pack("=IiIII", 0, 0, 0, 0, 2000).ljust(56, b"\0")
    options = (attr(nl.BPF_FD, fds["ok"]) + attr(nl.BPF_ACT, actions)
               + attr(nl.BPF_POLICE, attr(1, police)))
    answer = add_filter(tcmsg(va.ifindex), attr(nl.TCA_KIND, "bpf"),
                        attr(nl.TCA_OPTIONS, options))
    assert answer == (0, ours("the actions of a filter that has a policer are not run"))
    (found,) = nl.filters(va.ifindex).values()
    assert nl.BPF_POLICE in found and nl.BPF_ACT not in found
    assert va.ping()


@FAMILIES
def test_pyroute2_routes(lasting, ipr, family):
    domain = socket.AF_INET if family == 4 else socket.AF_INET6
    dst, gateway = ("10.1.0.1", "10.0.0.2") if family == 4 else ("fd01::1", "fd00::2")
    length = 32 if family == 4 else 128

    def place(**encap):
        return {"dst": f"{dst}/{length}", "gateway": gateway, "oif": lasting.ifindex,
                "family": domain, "encap": {"type": "bpf", **encap}}

    def read():
        (found,) = ipr.get_routes(family=domain, dst=dst, dst_len=length)
        encap = found.get_attr("RTA_ENCAP")
        return {hook: encap.get_attr(f"LWT_BPF_{hook}").get_attr("LWT_BPF_PROG_NAME")
                for hook in ("IN", "OUT", "XMIT") if encap.get_attr(f"LWT_BPF_{hook}")}

    with (
        program("lwt_out", "lwt_out_ok") as out,
        program("lwt_xmit", "lwt_xmit_ok") as xmit,
        program("lwt_xmit", "lwt_xmit_drop") as drop,
    ):
        sh(f"ip -{family} -n a route del {lasting.service(family)}", check=False)
        first = place(out={"fd": out, "name": "stats"},
                      xmit={"fd": xmit, "name": "firewall", "headroom": 4})
        ipr.route("add", **first)
        assert read() == {"OUT": "stats", "XMIT": "firewall"}
        assert lasting.ping(family)
        second = place(xmit={"fd": drop, "name": "closed"})
        ipr.route("replace", **second)
        assert read() == {"XMIT": "closed"}
        assert lasting.dropped(family)
        ipr.route("del", **second)
        assert not sh(f"ip -{family} -n a route show {dst}")


ANDROID = "prog_clatd_schedcls_egress4_clat_rawip:[*fsobj]"


def libtcutils_request(ifindex, fd, name, prio=4, protocol=ETH_P_IP, parent=EGRESS):
    """Returns the request of Android's libtcutils: a C structure in which the attributes have fixed
    offsets."""
    options = (attr(nl.BPF_FD, fd) + attr(nl.BPF_NAME, name.encode().ljust(256, b"\0"))
               + attr(nl.BPF_FLAGS, nl.DIRECT))
    return (tcmsg(ifindex, 0, parent, prio, protocol) + attr(nl.TCA_KIND, b"bpf\0")
            + attr(nl.TCA_OPTIONS | NESTED, options))


@HOOKS
@pytest.mark.parametrize("name", [ANDROID, "x" * 255, ""], ids=["clat", "longest", "empty"])
def test_android(va, fds, hook, name):
    parent = INGRESS if hook == "ingress" else EGRESS
    body = libtcutils_request(va.ifindex, fds["shot"], name, parent=parent)
    # The sizes of the structure's members.
    assert len(body) == 20 + 8 + 4 + 8 + 260 + 8
    assert add_filter(body) == (0, "")
    assert va.dropped()
    # The padding is not part of the name.
    (found,) = nl.filters(va.ifindex, parent=parent).values()
    assert found[nl.BPF_NAME] == name.encode() + b"\0"
    (shown,) = va.filters(f"dev va {hook}")
    assert (shown["protocol"], shown["pref"]) == ("ip", 4)
    assert shown["options"]["bpf_name"] == name

    # libtcutils replaces a filter by deleting it and adding it again.
    remove = tcmsg(va.ifindex, 0, parent, 4, ETH_P_IP)
    assert nl.request("a", nl.RTM_DELTFILTER, 0, remove) == (0, "")
    assert va.filters(f"dev va {hook}") == []
    assert va.ping()
    assert add_filter(libtcutils_request(va.ifindex, fds["ok"], name, parent=parent)) == (0, "")
    assert va.ping()
    assert nl.request("a", nl.RTM_DELTFILTER, 0, remove) == (0, "")
    assert va.filters(f"dev va {hook}") == []


def netlink_go_request(ifindex, fd, name, handle=1, classid=0, direct=True):
    """Returns the request of the Go package vishvananda/netlink, which Cilium uses too."""
    options = attr(nl.BPF_CLASSID, classid) if classid else b""
    options += (attr(nl.BPF_FD, fd) + attr(nl.BPF_NAME, name)
                + attr(nl.BPF_FLAGS, nl.DIRECT if direct else 0))
    return tcmsg(ifindex, handle) + attr(nl.TCA_KIND, "bpf") + attr(nl.TCA_OPTIONS, options)


def test_go_netlink(va, fds):
    # FilterAdd(), FilterReplace() twice, and FilterDel(), which sends all attributes.
    name = "cil_to_netdev-eth0"
    assert add_filter(netlink_go_request(va.ifindex, fds["ok"], name)) == (0, "")
    assert va.ping()
    for fd, classid, direct in (("shot", 0, True), ("ok", 0x10001, False)):
        body = netlink_go_request(va.ifindex, fds[fd], name, classid=classid, direct=direct)
        assert add_filter(body, flags=nl.NLM_F_CREATE) == (0, "")
        found = nl.filters(va.ifindex)[1]
        assert found[nl.BPF_NAME] == name.encode() + b"\0"
        assert (nl.BPF_FLAGS in found, nl.BPF_CLASSID in found) == (direct, bool(classid))
        assert found[nl.BPF_ID] == id_and_tag(fds[fd])[0]
        assert (va.dropped if fd == "shot" else va.ping)()
    body = netlink_go_request(va.ifindex, fds["ok"], name)
    assert nl.request("a", nl.RTM_DELTFILTER, 0, body) == (0, "")
    assert va.filters() == []


@pytest.mark.differs("`LWT_BPF_XMIT_HEADROOM` of a route")
@FAMILIES
def test_go_netlink_routes(lasting, family):
    # The package keeps the NUL of a name that it reads, and appends another one when it sends the
    # name.
    with program("lwt_xmit", "lwt_xmit_ok") as good, program("lwt_xmit", "lwt_xmit_drop") as drop:
        for fd, name in ((good, b"one\0"), (drop, b"two\0\0"), (good, b"three\0\0\0")):
            prog = attr(nl.PROG_FD, fd) + attr(nl.PROG_NAME, name)
            encap = attr(nl.LWT_XMIT, prog) + attr(nl.LWT_HEADROOM, 14)
            assert netlink_go_route(lasting, family, encap) == (0, "")
            shown = sh(f"ip -{family} -n a route show {lasting.service(family)}")
            assert f" xmit {name.rstrip(bytes(1)).decode()} " in shown
            assert (lasting.dropped if fd == drop else lasting.ping)(family)
        sh(f"ip -{family} -n a route del {lasting.service(family)}")


def netlink_go_route(net, family, encap):
    """Sends the request of RouteReplace() of the same package; returns the errno and the extack
    message."""
    domain = socket.AF_INET if family == 4 else socket.AF_INET6
    body = nl.service_route_request(family)
    body += attr(nl.RTA_ENCAP_TYPE, struct.pack("=H", nl.ENCAP_BPF))
    body += attr(nl.RTA_ENCAP | NESTED, encap)
    body += attr(nl.RTA_GATEWAY, socket.inet_pton(domain, "10.0.0.2" if family == 4 else "fd00::2"))
    return nl.request("a", nl.RTM_NEWROUTE, nl.NLM_F_CREATE | nl.NLM_F_REPLACE,
                      body + attr(nl.RTA_OIF, net.ifindex))


# The order in which the Go package florianl/go-tc and the Rust crate netlink-packet-route send the
# attributes that they have read.
ORDERS = {
    "go-tc": (nl.BPF_FD, nl.BPF_NAME, nl.BPF_ID, nl.BPF_CLASSID, nl.BPF_TAG, nl.BPF_FLAGS),
    "netlink-packet-route": (nl.BPF_CLASSID, nl.BPF_NAME, nl.BPF_ID, nl.BPF_TAG, nl.BPF_FLAGS,
                             nl.BPF_FD),
}
READ = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)


def request_with_options(ifindex, options, order, handle=1):
    """Sends a filter request with attributes that were read, in this order."""
    body = b"".join(attr(kind, options[kind]) for kind in order if kind in options)
    return add_filter(tcmsg(ifindex, handle), attr(nl.TCA_KIND, "bpf"), attr(nl.TCA_OPTIONS, body),
                      flags=nl.NLM_F_CREATE)


@pytest.fixture(name="read_options")
def fixture_read_options(va, fds):
    """The attributes that a dump has of a filter whose program drops packets."""
    assert add_filter(netlink_go_request(va.ifindex, fds["shot"], "before")) == (0, "")
    return nl.filters(va.ifindex)[1]


@READ
def test_read_change_replace(va, read_options, order):
    # The same program, a new name and a class; the rest as it was read.
    assert {nl.BPF_ID, nl.BPF_TAG} <= set(read_options)
    with open_by_id(read_options[nl.BPF_ID]) as fd:
        changed = read_options | {nl.BPF_FD: fd, nl.BPF_NAME: b"after\0", nl.BPF_CLASSID: 0x10001}
        assert request_with_options(va.ifindex, changed, order) == (0, "")
        found = nl.filters(va.ifindex)[1]
        assert found == read_options | {nl.BPF_NAME: b"after\0",
                                        nl.BPF_CLASSID: struct.pack("=I", 0x10001)}
        assert va.dropped()
        # A second filter with the same attributes is accepted too.
        assert request_with_options(va.ifindex, changed, order, handle=2) == (0, "")
    assert nl.filters(va.ifindex)[2] == found


@READ
def test_read_change_the_program_replace(va, read_options, fds, order):
    # The id and the tag are those of the program that is replaced.
    changed = read_options | {nl.BPF_FD: fds["ok"]}
    assert request_with_options(va.ifindex, changed, order) == (0, "")
    number, tag = id_and_tag(fds["ok"])
    assert nl.filters(va.ifindex)[1] == read_options | {nl.BPF_ID: number, nl.BPF_TAG: tag}
    assert va.ping()


@pytest.mark.beyond_c(REPORTED)
@pytest.mark.parametrize("kind, message", [(nl.BPF_ID, NOT_THE_ID), (nl.BPF_TAG, NOT_THE_TAG)],
                         ids=["id", "tag"])
def test_identity_of_another_program(va, read_options, fds, kind, message):
    others = dict(zip((nl.BPF_ID, nl.BPF_TAG), id_and_tag(fds["ok"]), strict=True))
    with open_by_id(read_options[nl.BPF_ID]) as fd:
        for wrong in (others[kind], read_options[kind][:-1], read_options[kind] + b"\0", b""):
            asked = read_options | {nl.BPF_FD: fd, kind: wrong}
            for handle in (1, 2):
                assert request_with_options(va.ifindex, asked, ORDERS["go-tc"], handle) == (
                    errno.EINVAL, message)
        # A new filter replaces no program that the id or the tag could refer to.
        asked = read_options | {nl.BPF_FD: fds["ok"]}
        del asked[{nl.BPF_ID: nl.BPF_TAG, nl.BPF_TAG: nl.BPF_ID}[kind]]
        assert request_with_options(va.ifindex, asked, ORDERS["go-tc"], 2) == (
            errno.EINVAL, message)
    assert nl.filters(va.ifindex) == {1: read_options}
    assert va.dropped()


def test_offload_state_flags_are_refused(va, read_options, fds):
    # The C code refuses it too: clients have to leave out these flags.
    assert read_options[nl.BPF_FLAGS_GEN] == struct.pack("=I", 8)
    changed = read_options | {nl.BPF_FD: fds["shot"]}
    assert request_with_options(va.ifindex, changed, sorted(changed)) == (
        errno.EINVAL, ours("a bpf filter supports only the generic flags skip_hw and skip_sw"))
    assert nl.filters(va.ifindex) == {1: read_options}


def test_bytecode_is_read_and_sent_back(va):
    va.tc("filter add dev va egress protocol all prio 1 handle 1 "
          "bpf bytecode '1,6 0 0 0,' classid 1:2")
    read = nl.filters(va.ifindex)[1]
    assert {nl.BPF_OPS, nl.BPF_OPS_LEN} <= set(read) and nl.BPF_NAME not in read
    order = (nl.BPF_OPS, nl.BPF_OPS_LEN, nl.BPF_CLASSID)
    changed = read | {nl.BPF_CLASSID: struct.pack("=I", 0x10003)}
    assert request_with_options(va.ifindex, changed, order) == (0, "")
    assert nl.filters(va.ifindex) == {1: changed}


@pytest.mark.parametrize("flag", [NESTED, 0x4000, 0xC000], ids=hex)
def test_netlink_type_flag_bits_are_ignored(va, fds, flag):
    options = b"".join(attr(kind | flag, payload) for kind, payload in (
        (nl.BPF_FD, fds["shot"]), (nl.BPF_NAME, "name"), (nl.BPF_FLAGS, nl.DIRECT)))
    body = attr(nl.TCA_KIND, "bpf") + attr(nl.TCA_OPTIONS | NESTED, options)
    assert add_filter(tcmsg(va.ifindex), body) == (0, "")
    assert va.dropped()
