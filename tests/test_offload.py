# SPDX-License-Identifier: GPL-2.0-only
"""Hardware offload of filters. A netdevsim device takes one program, for ingress, and never runs
it."""

import errno
import os
import pathlib
import re
import socket
import struct

import nl
import pytest
from conftest import (
    BUILD,
    batch,
    eventually,
    expect_extack,
    kernel_log,
    must_fail,
    program_ids,
    programs,
    sh,
)
from journal import recorded
from needs import IPV6
from test_lwt import counters

BUS = pathlib.Path("/sys/bus/netdevsim")
NO_UNOFFLOAD = BUILD / "tests/modules/lwtcls_no_unoffload.ko"
DEBUGFS = pathlib.Path("/sys/kernel/debug/netdevsim")
SKIP_HW, SKIP_SW, IN_HW, NOT_IN_HW = 1, 2, 4, 8
INGRESS, EGRESS, BLOCK = 0xFFFFFFF2, nl.TC_H_CLSACT_EGRESS, 0xFFFFFFFF
ALL, IP = socket.htons(3), socket.htons(0x0800)
NEW, REPLACE = nl.NLM_F_CREATE | nl.NLM_F_EXCL, nl.NLM_F_CREATE | nl.NLM_F_REPLACE

UNBOUND = "netdevsim: netdevsim configured to reject unbound programs"
REJECTS = "netdevsim: netdevsim configured to reject BPF TC offload"
DISABLED = "TC offload is disabled on net device"
BUSY = "netdevsim: driver and netdev offload states mismatch"

pytestmark = pytest.mark.needs("NETDEVSIM", "NET_CLS_ACT")

# Marks for what the C code does differently; they name rows of docs/differences.md.
BEYOND, DIFFERS = pytest.mark.beyond_c, pytest.mark.differs
EITHER = "`in_hw` and `not_in_hw`"
NOT_THERE = "deleting a filter that the device does not have"
REFUSING = "a device that refuses a filter, or leaves without it"
REASON = "extack message of a refused replacement"
ROLL_BACK = "replacement refused by a device, `skip_sw` or not"


class Program:
    """A loaded and pinned program, for any device or bound to one."""

    def __init__(self, name, number, port=None):
        self.path = f"/run/bpf/offload_{number}"
        bound = f"offload_dev {port}" if port else ""
        with nl.inside("a"):
            sh(f"bpftool prog load tc_{name}.o {self.path} type classifier {bound}")
        self.fd = nl.open_pinned(self.path)
        info = pathlib.Path(f"/proc/self/fdinfo/{self.fd}").read_text()
        self.id = int(re.search(r"prog_id:\s*(\d+)", info).group(1))

    def __str__(self):
        return f"bpf da object-pinned {self.path}"

    def close(self):
        """Closes and unpins the program."""
        os.close(self.fd)
        os.unlink(self.path)


class Port:
    """A port of a netdevsim device: its netdev, and its driver's files in debugfs."""

    def __init__(self, name, ifindex, path):
        self.name, self.ifindex, self.path = name, ifindex, path

    def __str__(self):
        return self.name

    @property
    @recorded
    def id(self):
        """The ID of the offloaded program, 0 for none."""
        return int((self.path / "bpf_offloaded_id").read_text())

    def accepts(self, what, yes):
        """Sets whether the driver accepts `what`."""
        (self.path / f"bpf_{what}_accept").write_text("NY"[yes])

    def offload(self, switch, tool=sh):
        """Switches hw-tc-offload on or off."""
        with nl.inside("a"):
            tool(f"ethtool -K {self} hw-tc-offload {switch}")


class Hardware:
    """The devices and programs of a scenario."""

    def __init__(self, net):
        self.net, self.devices, self.programs, self.joined = net, 0, [], []

    def plug(self, ports=1, namespace="a", unbound=True):
        """Adds a device; returns its ports, or the port if there is only one."""
        self.devices += 1
        with nl.inside(namespace):
            before = socket.if_nameindex()
            (BUS / "new_device").write_text(f"{self.devices} {ports}")
            found = sorted(set(socket.if_nameindex()) - set(before))
        path = DEBUGFS / f"netdevsim{self.devices}/ports"
        made = [Port(name, ifindex, path / str(n)) for n, (ifindex, name) in enumerate(found)]
        assert len(made) == ports
        if namespace == "a":
            for port in made:
                port.accepts("tc_non_bound", unbound)
                port.offload("on")
        return made if ports > 1 else made[0]

    def unplug(self, number):
        """Removes a device."""
        (BUS / "del_device").write_text(str(number))

    def load(self, name, port=None):
        """Loads a program."""
        self.programs.append(Program(name, len(self.programs), port))
        return self.programs[-1]

    def join(self, *ports):
        """Adds ports to the shared block."""
        for port in ports:
            self.joined.append(port)
            self.net.tc(f"qdisc add dev {port} ingress_block 7 clsact")

    def leave(self, port):
        """Removes a port from the shared block."""
        self.net.tc(f"qdisc del dev {port} clsact")
        self.joined.remove(port)

    def add(self, where, program, skip="", handle=0, prio=1):
        """Adds a filter with tc, or replaces the one with the handle."""
        verb = "replace" if handle else "add"
        self.net.tc(f"filter {verb} {tc_place(where)} prio {prio} handle {handle} {program} {skip}")

    def request_filter(self, where, program, gen=0, *, flags=NEW, handle=0, protocol=ALL, chain=0):
        """Requests a filter as tc does; returns the errno and the extack message."""
        options = nl.attr(nl.BPF_FD, program.fd) + nl.attr(nl.BPF_FLAGS, nl.DIRECT)
        body = header(where, handle, 1 << 16 | protocol) + nl.attr(nl.TCA_KIND, "bpf")
        if chain:
            body += nl.attr(nl.TCA_CHAIN, chain)
        body += nl.attr(nl.TCA_OPTIONS, options + nl.attr(nl.BPF_FLAGS_GEN, gen))
        return nl.request("a", nl.RTM_NEWTFILTER, flags, body)

    def shown(self, where):
        """Returns the handle of each filter and whether tc shows it as in_hw or not_in_hw, in tc's
        order."""
        return [
            (int(options["handle"], 16),
             " ".join(word for word in ("in_hw", "not_in_hw") if word in options))
            for options in (entry["options"] for entry in self.net.filters(tc_place(where)))
        ]

    def close(self):
        """Removes everything that the scenario has added."""
        for port in self.joined:
            sh(f"tc -n a qdisc del dev {port} clsact", check=False)
        for program in self.programs:
            program.close()
        for number in range(1, self.devices + 1):
            if (BUS / f"devices/netdevsim{number}").exists():
                self.unplug(number)


def tc_place(where):
    """Returns tc's arguments for a port's ingress, or for the shared block."""
    return "block 7" if where == 7 else f"dev {where} ingress"


def header(where, handle=0, info=0):
    """C: struct tcmsg."""
    target = (BLOCK, 7) if where == 7 else (where.ifindex, INGRESS)
    return struct.pack("=BxxxIIII", 0, target[0], handle, target[1], info)


def flags_of(where):
    """Returns TCA_BPF_FLAGS_GEN of each filter, by handle; tc does not show all flags."""
    found = {}
    with nl.Requests("a") as requests:
        answers, _ = requests.dump(nl.RTM_GETTFILTER, header(where))
    for answer in answers:
        options = nl.attrs(nl.attrs(answer[1][20:]).get(nl.TCA_OPTIONS, b""))
        if handle := nl.handle_of(answer):
            found[handle] = struct.unpack("=I", options.get(nl.BPF_FLAGS_GEN, b"\0" * 4))[0]
    return found


@pytest.fixture(name="hw")
def fixture_hw(lasting):
    """The scenario's devices and programs, which are removed afterwards."""
    made = Hardware(lasting)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(name="card")
def fixture_card(hw):
    """A device with clsact, which accepts any program."""
    port = hw.plug()
    hw.net.tc(f"qdisc add dev {port} clsact")
    return port


@pytest.fixture(name="wired")
def fixture_wired(hw, card):
    """`card`, linked to a device in b, whose packets it receives."""
    peer = hw.plug(namespace="b")
    with nl.inside("b") as there, open("/run/netns/a", "rb") as here:
        (BUS / "link_device").write_text(
            f"{here.fileno()}:{card.ifindex} {there.fileno()}:{peer.ifindex}")
    for namespace, port, host in (("a", card, 1), ("b", peer, 2)):
        batch(f"-n {namespace}",
              # Only the scenario's own packets may be counted.
              *([f"link set {port} addrgenmode none"] if IPV6 else []),
              f"link set {port} address 02:00:00:00:01:0{host} up",
              f"addr add 10.9.0.{host}/24 dev {port}",
              f"neigh add 10.9.0.{3 - host} lladdr 02:00:00:00:01:0{3 - host} dev {port}")
    assert passes(hw, 1)
    return card


def passes(hw, count=3):
    """Returns whether the other end's answers arrive."""
    return hw.net.ping(address="10.9.0.2", count=count)


def dropped(hw):
    """Returns whether they do not arrive."""
    return hw.net.dropped(address="10.9.0.2")


def test_plain_filter_is_in_hardware_and_in_software(hw, wired):
    hw.net.tc(f"filter add dev {wired} ingress prio 1 bpf da obj tc_count.o sec tc")
    assert hw.shown(wired) == [(1, "in_hw")]
    assert [prog["id"] for prog in programs()] == [wired.id]
    assert " in_hw " in hw.net.tc(f"filter show dev {wired} ingress")
    assert passes(hw)
    assert counters()[0] == 3


def test_deletion_removes_filter_from_device(hw, card):
    program = hw.load("ok")
    for command in ("filter del dev {} ingress prio 1 handle 1 bpf",
                    "filter del dev {} ingress prio 1",
                    "filter del dev {} ingress",
                    "chain del dev {} ingress chain 0",
                    "qdisc del dev {} clsact"):
        hw.add(card, program)
        assert card.id == program.id
        hw.net.tc(command.format(card))
        assert card.id == 0


def test_moving_device_to_another_netns_removes_filter(hw, card):
    hw.add(card, hw.load("ok"))
    sh(f"ip -n a link set {card} netns b")
    assert card.id == 0


@pytest.mark.parametrize("skip", ["", "skip_sw"])
def test_removing_device_deletes_filter(hw, card, skip):
    before = program_ids()
    hw.net.tc(f"filter add dev {card} ingress prio 1 bpf da obj tc_ok.o sec tc {skip}")
    assert card.id
    hw.unplug(1)
    eventually(lambda: program_ids() <= before)


def test_removing_one_of_several_ports(hw):
    first, second = hw.plug(ports=2)
    hw.join(first, second)
    program = hw.load("ok", first)
    hw.add(7, program, "skip_sw")
    # The program was loaded for this port; the device's other port keeps it.
    (BUS / "devices/netdevsim1/del_port").write_text("0")
    hw.joined.remove(first)
    assert second.id == program.id
    assert hw.shown(7) == [(1, "in_hw")]
    hw.net.tc("filter del block 7")
    assert second.id == 0


REFUSALS = {
    "tc": (lambda port: port.accepts("tc", False), REJECTS),
    "unbound": (lambda port: port.accepts("tc_non_bound", False), UNBOUND),
    "switched off": (lambda port: port.offload("off"), DISABLED),
}


@pytest.mark.parametrize("how", REFUSALS)
def test_refused_filter_runs_in_software(hw, wired, how):
    REFUSALS[how][0](wired)
    hw.net.tc(f"filter add dev {wired} ingress prio 1 bpf da obj tc_shot.o sec tc")
    assert hw.shown(wired) == [(1, "not_in_hw")] and wired.id == 0
    assert dropped(hw)
    hw.net.tc(f"filter replace dev {wired} ingress prio 1 handle 1 bpf da obj tc_count.o sec tc")
    assert hw.shown(wired) == [(1, "not_in_hw")] and wired.id == 0
    assert passes(hw) and counters()[0] == 3


@pytest.mark.parametrize("how", REFUSALS)
def test_skip_sw_fails_if_driver_refuses(hw, card, how):
    REFUSALS[how][0](card)
    program = hw.load("ok")
    before = program_ids()
    assert hw.request_filter(card, program, SKIP_SW) == (errno.EOPNOTSUPP, REFUSALS[how][1])
    assert hw.net.tc(f"filter show dev {card} ingress") == "" and card.id == 0
    # A refused request uses up no handle, neither in a new priority nor in an existing one.
    hw.add(card, program)
    assert hw.request_filter(card, program, SKIP_SW)[0] == errno.EOPNOTSUPP
    hw.add(card, program)
    assert hw.shown(card) == [(2, "not_in_hw"), (1, "not_in_hw")] and card.id == 0
    said = must_fail(f"tc -n a filter add dev {card} ingress prio 2 {program} skip_sw")
    assert REFUSALS[how][1] in said
    assert program_ids() == before


@pytest.mark.parametrize("protocol, chain, message", [
    (IP, 0, "netdevsim: only ETH_P_ALL supported as filter protocol"),
    (ALL, 5, "Driver supports only offload of chain 0"),
], ids=["protocol", "chain"])
def test_protocol_or_chain_that_driver_does_not_support(hw, card, protocol, chain, message):
    program = hw.load("ok")
    kind = {"protocol": protocol, "chain": chain}
    assert hw.request_filter(card, program, SKIP_SW, **kind) == (errno.EOPNOTSUPP, message)
    assert hw.net.tc(f"filter show dev {card} ingress") == ""
    assert hw.request_filter(card, program, **kind) == (0, "")
    assert hw.shown(card) == [(1, "not_in_hw")] and card.id == 0


def test_hardware_is_full(hw, card):
    first, second = hw.load("ok"), hw.load("shot")
    hw.add(card, first)
    assert hw.request_filter(card, second, SKIP_SW) == (errno.EBUSY, BUSY)
    hw.add(card, second)
    assert hw.shown(card) == [(2, "not_in_hw"), (1, "in_hw")] and card.id == first.id
    # Deleting a filter that is not offloaded leaves the offloaded one alone.
    hw.net.tc(f"filter del dev {card} ingress prio 1 handle 2 bpf")
    assert hw.shown(card) == [(1, "in_hw")] and card.id == first.id
    hw.net.tc(f"filter del dev {card} ingress")
    hw.add(card, second)
    assert card.id == second.id


@BEYOND(NOT_THERE)
@pytest.mark.parametrize("skip", ["", "skip_hw"])
def test_deletion_in_software_leaves_the_same_program_in_hardware(hw, card, skip):
    program = hw.load("ok")
    hw.add(card, program)
    hw.add(card, program, skip)
    assert hw.shown(card) == [(2, "not_in_hw"), (1, "in_hw")]
    hw.net.tc(f"filter del dev {card} ingress prio 1 handle 2 bpf")
    assert hw.shown(card) == [(1, "in_hw")] and card.id == program.id


def test_skip_hw(hw, wired):
    hw.net.tc(f"filter add dev {wired} ingress prio 1 bpf da obj tc_count.o sec tc skip_hw")
    assert hw.shown(wired) == [(1, "not_in_hw")] and wired.id == 0
    assert passes(hw) and counters()[0] == 3
    hw.net.tc(f"filter replace dev {wired} ingress prio 1 handle 1 "
              "bpf da obj tc_shot.o sec tc skip_hw")
    assert hw.shown(wired) == [(1, "not_in_hw")] and wired.id == 0
    assert dropped(hw)


def test_skip_sw_does_not_run_in_software(hw, wired):
    shot, count = hw.load("shot"), hw.load("count")
    hw.add(wired, shot, "skip_sw")
    assert hw.shown(wired) == [(1, "in_hw")] and wired.id == shot.id
    # The kernel does not classify at all if every filter of a block is skip_sw.
    hw.net.tc(f"filter add dev {wired} ingress prio 2 bpf da obj tc_unspec.o sec tc skip_hw")
    assert passes(hw)
    hw.add(wired, count, "skip_sw", handle=1)
    assert wired.id == count.id
    assert passes(hw) and counters()[0] == 0


def test_skip_sw_runs_next_filter_of_same_priority(hw, wired):
    hw.add(wired, hw.load("count"), "skip_hw")
    hw.add(wired, hw.load("shot"), "skip_sw")
    assert hw.shown(wired) == [(2, "in_hw"), (1, "not_in_hw")]
    assert passes(hw) and counters()[0] == 3


def test_tc_loads_the_program_for_the_device(hw, card):
    card.accepts("tc_non_bound", False)
    hw.net.tc(f"filter add dev {card} ingress prio 1 bpf da obj tc_shot.o sec tc skip_sw")
    assert hw.shown(card) == [(1, "in_hw")]
    bound = DEBUGFS / "netdevsim1/bpf_bound_progs"
    prog, = bound.iterdir()
    assert int((prog / "id").read_text()) == card.id
    assert (prog / "state").read_text() == "xlated\n" and (prog / "loaded").read_text() == "Y\n"
    hw.net.tc(f"filter del dev {card} ingress")
    assert card.id == 0
    eventually(lambda: not list(bound.iterdir()))


def test_flags_cannot_be_replaced(hw, card):
    old, new = hw.load("ok"), hw.load("shot")
    for gen in (0, SKIP_HW, SKIP_SW):
        assert hw.request_filter(card, old, gen) == (0, "")
        before = hw.net.tc(f"filter show dev {card} ingress"), card.id
        assert bool(card.id) == (gen != SKIP_HW)
        for other in {0, SKIP_HW, SKIP_SW} - {gen}:
            assert hw.request_filter(card, new, other, flags=REPLACE, handle=1)[0] == errno.EINVAL
            assert (hw.net.tc(f"filter show dev {card} ingress"), card.id) == before
        hw.net.tc(f"filter del dev {card} ingress")


def test_refused_flags_leave_the_filter_in_software(hw, wired):
    hw.add(wired, hw.load("shot"))
    error, _ = hw.request_filter(wired, hw.load("ok"), SKIP_SW, flags=REPLACE, handle=1)
    assert error == errno.EINVAL
    assert dropped(hw)


def test_skip_hw_with_skip_sw_is_rejected(hw, card):
    program = hw.load("ok")
    assert hw.request_filter(card, program, SKIP_HW | SKIP_SW)[0] == errno.EINVAL
    assert hw.net.tc(f"filter show dev {card} ingress") == "" and card.id == 0


@pytest.mark.parametrize("qdisc, parent", [
    ("clsact", "egress"), ("root handle 1: htb", "parent 1:"),
])
def test_only_ingress_is_offloaded(hw, qdisc, parent):
    port = hw.plug()
    program = hw.load("ok")
    hw.net.tc(f"qdisc add dev {port} {qdisc}")
    expect_extack("skip_sw, but not every device of the block takes the filter",
                  f"tc -n a filter add dev {port} {parent} prio 1 {program} skip_sw")
    assert hw.net.tc(f"filter show dev {port} {parent}") == ""
    hw.net.tc(f"filter add dev {port} {parent} prio 1 {program}")
    assert " not_in_hw " in hw.net.tc(f"filter show dev {port} {parent}") and port.id == 0


def test_device_without_hardware(hw):
    hw.join("va")
    program = hw.load("ok")
    assert hw.request_filter(7, program, SKIP_SW)[0] == errno.EOPNOTSUPP
    assert hw.net.tc("filter show block 7") == ""
    hw.add(7, program)
    assert hw.shown(7) == [(1, "not_in_hw")]


def test_replace(hw, card):
    old, new = hw.load("ok"), hw.load("shot")
    for skip in ("", "skip_sw"):
        # The last request replaces the program by itself.
        for program in (old, new, new):
            hw.add(card, program, skip, handle=5)
            assert hw.shown(card) == [(5, "in_hw")] and card.id == program.id
        hw.net.tc(f"filter del dev {card} ingress")
        assert card.id == 0


def test_replace_offloads_filter_that_was_refused(hw, card):
    card.accepts("tc_non_bound", False)
    hw.add(card, hw.load("ok"))
    card.accepts("tc_non_bound", True)
    new = hw.load("shot")
    hw.add(card, new, handle=1)
    assert hw.shown(card) == [(1, "in_hw")] and card.id == new.id


@BEYOND(ROLL_BACK)
def test_replace_removes_refused_filter_from_device(hw, card):
    old = hw.load("ok")
    hw.add(card, old)
    card.accepts("tc_non_bound", False)
    try:
        hw.add(card, hw.load("shot"), handle=1)
        assert hw.shown(card) == [(1, "not_in_hw")] and card.id == 0
    finally:
        # If this has failed, the driver still has the program, which is about to be freed. The
        # rollback of a refused request removes it.
        hw.request_filter(card, old, SKIP_SW)


@pytest.fixture(name="refusing")
def fixture_refusing(hw):
    """A device that has an offloaded skip_sw filter, and refuses the program that replaces it."""
    port = hw.plug(unbound=False)
    hw.net.tc(f"qdisc add dev {port} clsact")
    hw.add(port, hw.load("ok", port), "skip_sw")
    hw.load("shot")
    return port


@DIFFERS(EITHER, REASON)
def test_refused_replace_keeps_old_filter_in_hardware(hw, refusing):
    old, new = hw.programs
    before = program_ids()
    error, _ = hw.request_filter(refusing, new, SKIP_SW, flags=REPLACE, handle=1)
    assert error == errno.EOPNOTSUPP
    assert refusing.id == old.id and program_ids() == before
    assert f" id {old.id} " in hw.net.tc(f"filter show dev {refusing} ingress")
    # A later replacement still succeeds.
    third = hw.load("unspec", refusing)
    hw.add(refusing, third, "skip_sw", handle=1)
    assert hw.shown(refusing) == [(1, "in_hw")] and refusing.id == third.id
    hw.net.tc(f"filter del dev {refusing} ingress")
    assert refusing.id == 0


@BEYOND(EITHER)
def test_refused_replace_keeps_old_filter_shown_in_hw(hw, refusing):
    assert hw.request_filter(refusing, hw.programs[1], SKIP_SW, flags=REPLACE, handle=1)[0]
    assert hw.shown(refusing) == [(1, "in_hw")]


@BEYOND(REASON)
def test_refused_replace_returns_message_of_driver(hw, refusing):
    _, message = hw.request_filter(refusing, hw.programs[1], SKIP_SW, flags=REPLACE, handle=1)
    assert message == UNBOUND


@DIFFERS(EITHER, REASON)
@pytest.mark.parametrize("second", [False, True], ids=["first", "last"])
def test_replace_refused_by_one_of_two_devices_is_rolled_back(hw, second):
    ports = hw.plug(ports=2)
    hw.join(*ports)
    old, new = hw.load("ok", ports[0]), hw.load("shot")
    hw.add(7, old, "skip_sw", handle=3)
    ports[second].accepts("tc_non_bound", False)
    assert hw.request_filter(7, new, SKIP_SW, flags=REPLACE, handle=3)[0] == errno.EOPNOTSUPP
    assert [port.id for port in ports] == [old.id, old.id]
    assert f" id {old.id} " in hw.net.tc("filter show block 7")
    hw.net.tc("filter del block 7")
    assert [port.id for port in ports] == [0, 0]


@BEYOND(EITHER)
@pytest.mark.parametrize("second", [False, True], ids=["first", "last"])
def test_rolled_back_filter_is_shown_in_hw(hw, second):
    ports = hw.plug(ports=2)
    hw.join(*ports)
    hw.add(7, hw.load("ok", ports[0]), "skip_sw")
    ports[second].accepts("tc_non_bound", False)
    assert hw.request_filter(7, hw.load("shot"), SKIP_SW, flags=REPLACE, handle=1)[0]
    assert hw.shown(7) == [(1, "in_hw")]


def test_block_of_two(hw):
    ports = hw.plug(), hw.plug()
    hw.join(*ports)
    program, other = hw.load("ok"), hw.load("shot")
    for skip in ("", "skip_sw"):
        for loaded in (program, other):
            hw.add(7, loaded, skip, handle=1)
            assert hw.shown(7) == [(1, "in_hw")]
            assert [port.id for port in ports] == [loaded.id] * 2
        hw.net.tc("filter del block 7")
        assert [port.id for port in ports] == [0, 0]


@pytest.mark.parametrize("second", [False, True], ids=["first", "last"])
def test_block_with_refusing_device(hw, second):
    ports = hw.plug(), hw.plug()
    hw.join(*ports)
    ports[second].accepts("tc_non_bound", False)
    program = hw.load("ok")
    assert hw.request_filter(7, program, SKIP_SW) == (errno.EOPNOTSUPP, UNBOUND)
    assert [port.id for port in ports] == [0, 0] and hw.net.tc("filter show block 7") == ""
    hw.add(7, program)
    assert hw.shown(7) == [(1, "in_hw")]
    assert ports[not second].id == program.id and ports[second].id == 0


def test_block_with_a_device_without_hardware(hw):
    port = hw.plug()
    hw.join("va", port)
    program = hw.load("ok")
    assert hw.request_filter(7, program, SKIP_SW)[0] == errno.EOPNOTSUPP
    assert port.id == 0 and hw.net.tc("filter show block 7") == ""
    hw.add(7, program)
    assert hw.shown(7) == [(1, "in_hw")] and port.id == program.id


def test_offloaded_block_refuses_device_without_offload(hw):
    port, off = hw.plug(), hw.plug()
    hw.join(port)
    off.offload("off")
    old, new = hw.load("ok"), hw.load("shot")
    hw.add(7, old)
    hw.add(7, new, handle=1)
    assert "not supported" in must_fail("tc -n a qdisc add dev va ingress_block 7 clsact")
    said = must_fail(f"tc -n a qdisc add dev {off} ingress_block 7 clsact")
    assert "Bind to offloaded block failed as dev has offload disabled" in said
    assert hw.shown(7) == [(1, "in_hw")] and port.id == new.id
    # Nothing may be left in the block's count of offloaded filters, or devices without offload
    # could not join below.
    assert hw.request_filter(7, old, SKIP_SW)[0] == errno.EBUSY
    hw.net.tc("filter del block 7")
    hw.join("va", off)


def test_joining_device_gets_the_filter(hw):
    hw.join("va")
    program = hw.load("ok")
    hw.add(7, program)
    assert hw.shown(7) == [(1, "not_in_hw")]
    port = hw.plug()
    hw.join(port)
    assert hw.shown(7) == [(1, "in_hw")] and port.id == program.id
    other = hw.load("shot")
    hw.add(7, other, handle=1)
    assert hw.shown(7) == [(1, "in_hw")] and port.id == other.id
    hw.leave(port)
    assert port.id == 0
    hw.join(port)
    assert hw.shown(7) == [(1, "in_hw")] and port.id == other.id


@DIFFERS(EITHER)
def test_leaving_device_loses_the_filter(hw):
    first, second = hw.plug(), hw.plug()
    hw.join("va", first)
    program = hw.load("ok")
    hw.add(7, program)
    hw.join(second)
    assert [first.id, second.id] == [program.id] * 2
    hw.leave(first)
    assert hw.shown(7) == [(1, "in_hw")] and [first.id, second.id] == [0, program.id]
    hw.leave(second)
    assert [first.id, second.id] == [0, 0] and hw.shown(7)[0][1] != "in_hw"


@BEYOND(EITHER)
def test_filter_is_shown_not_in_hw_after_last_device_left(hw):
    port = hw.plug()
    hw.join("va", port)
    hw.add(7, hw.load("ok"))
    hw.leave(port)
    assert hw.shown(7) == [(1, "not_in_hw")]


@BEYOND(EITHER)
def test_filter_has_either_in_hw_or_not_in_hw(hw):
    port = hw.plug()
    hw.join("va")
    hw.add(7, hw.load("ok"))
    assert flags_of(7) == {1: NOT_IN_HW}
    hw.join(port)
    assert flags_of(7) == {1: IN_HW}
    hw.leave(port)
    assert flags_of(7) == {1: NOT_IN_HW}


def test_requested_flags_are_shown_too(hw, card):
    hw.add(card, hw.load("ok"), "skip_hw")
    hw.add(card, hw.load("ok"), "skip_sw")
    assert flags_of(card) == {1: SKIP_HW | NOT_IN_HW, 2: SKIP_SW | IN_HW}


def test_skip_hw_is_not_given_to_a_joining_device(hw):
    port = hw.plug()
    hw.join("va")
    hw.add(7, hw.load("ok"), "skip_hw")
    hw.join(port)
    assert hw.shown(7) == [(1, "not_in_hw")] and port.id == 0
    hw.leave(port)
    assert hw.shown(7) == [(1, "not_in_hw")]


def test_joining_device_refuses_plain_filters_quietly(hw):
    port = hw.plug()
    hw.join("va")
    program = hw.load("ok")
    assert hw.request_filter(7, program, protocol=IP) == (0, "")
    assert hw.request_filter(7, program, chain=5) == (0, "")
    hw.join(port)
    assert [where for _, where in hw.shown(7)] == ["not_in_hw"] * 2 and port.id == 0


def refuse_to_join(hw, how):
    """Offloads a skip_sw filter to a device of the block, and checks that another device, which
    refuses the filter, cannot join; returns the program and both devices."""
    ports = hw.plug(), hw.plug()
    hw.join(ports[0])
    if how == "bound":
        program, message = hw.load("ok", ports[0]), "program bound to a different device"
    else:
        program, message = hw.load("ok"), REFUSALS[how][1]
        REFUSALS[how][0](ports[1])
    hw.add(7, program, "skip_sw")
    assert message in must_fail(f"tc -n a qdisc add dev {ports[1]} ingress_block 7 clsact")
    return program, *ports


UNBOUND_REFUSED = pytest.param("unbound", marks=BEYOND(REFUSING))
# netdevsim of older kernels does not refuse a program that is bound to another device. If that one
# is removed first, it dereferences NULL.
REFUSES_BOUND = pytest.mark.since("7.3")


@pytest.mark.parametrize("how", ["tc", UNBOUND_REFUSED, pytest.param("bound", marks=REFUSES_BOUND)])
def test_device_that_refuses_skip_sw_cannot_join(hw, how):
    program, first, second = refuse_to_join(hw, how)
    assert "clsact" not in hw.net.tc(f"qdisc show dev {second}")
    assert [first.id, second.id] == [program.id, 0]
    hw.net.tc("filter del block 7")
    assert first.id == 0
    hw.join(second)


@pytest.mark.parametrize("how", [
    "tc", UNBOUND_REFUSED, pytest.param("bound", marks=[BEYOND(REFUSING), REFUSES_BOUND])])
def test_refused_join_keeps_filter_shown_in_hw(hw, how):
    refuse_to_join(hw, how)
    assert hw.shown(7) == [(1, "in_hw")]


@REFUSES_BOUND
@pytest.mark.parametrize("prio", [1, 2])
def test_refused_join_removes_accepted_filters(hw, prio):
    first, second = hw.plug(), hw.plug()
    hw.join(first)
    bound, plain = hw.load("ok", first), hw.load("shot")
    hw.add(7, bound, "skip_sw", prio=prio)
    hw.add(7, plain)
    assert sorted(where for _, where in hw.shown(7)) == ["in_hw", "not_in_hw"]
    # The plain filter is replayed first, so the second device has it when it refuses the other.
    must_fail(f"tc -n a qdisc add dev {second} ingress_block 7 clsact")
    assert [first.id, second.id] == [bound.id, 0]
    hw.net.tc("filter del block 7")
    assert [first.id, second.id] == [0, 0]


@pytest.mark.parametrize("how", ["tc", UNBOUND_REFUSED])
def test_unbind_of_refusing_device_keeps_in_hw(hw, how):
    first, second = hw.plug(), hw.plug()
    hw.join(first, second)
    REFUSALS[how][0](second)
    program = hw.load("ok")
    hw.add(7, program)
    hw.leave(second)
    assert first.id == program.id and hw.shown(7) == [(1, "in_hw")]


@pytest.mark.parametrize("how", ["tc", UNBOUND_REFUSED])
def test_unbind_of_refusing_device_keeps_not_in_hw(hw, how):
    first, second = hw.plug(), hw.plug()
    hw.join("va", first)
    REFUSALS[how][0](first)
    program = hw.load("ok")
    hw.add(7, program)
    hw.leave(first)
    assert hw.shown(7) == [(1, "not_in_hw")]
    hw.join(second)
    assert second.id == program.id and hw.shown(7) == [(1, "in_hw")]


def test_bound_program_on_another_device(hw, card):
    program = hw.load("ok", hw.plug())
    assert hw.request_filter(card, program, SKIP_SW) == (
        errno.EINVAL, "Program is bound to a different device")
    assert hw.net.tc(f"filter show dev {card} ingress") == "" and card.id == 0


@pytest.mark.parametrize("gen", [0, SKIP_HW])
def test_bound_program_needs_skip_sw(hw, card, gen):
    assert hw.request_filter(card, hw.load("ok", card), gen)[0] == errno.EINVAL
    assert hw.net.tc(f"filter show dev {card} ingress") == "" and card.id == 0


@pytest.mark.parametrize("mine", [0, 1])
def test_bound_program_on_a_block(hw, mine):
    ports = hw.plug(), hw.plug()
    hw.join(*ports)
    program = hw.load("ok", ports[mine])
    assert hw.request_filter(7, program, SKIP_SW) == (
        errno.EINVAL, "Program is not bound to every device in the block")
    assert [port.id for port in ports] == [0, 0] and hw.net.tc("filter show block 7") == ""
    hw.leave(ports[not mine])
    hw.add(7, program, "skip_sw")
    assert ports[mine].id == program.id


def test_bound_program_on_all_ports_of_its_device(hw):
    ports = hw.plug(ports=2, unbound=False)
    program = hw.load("ok", ports[0])
    hw.net.tc(f"qdisc add dev {ports[1]} clsact")
    hw.add(ports[1], program, "skip_sw")
    assert hw.shown(ports[1]) == [(1, "in_hw")] and [port.id for port in ports] == [0, program.id]
    hw.net.tc(f"qdisc del dev {ports[1]} clsact")
    hw.join(*ports)
    hw.add(7, program, "skip_sw")
    assert hw.shown(7) == [(1, "in_hw")] and [port.id for port in ports] == [program.id] * 2
    hw.leave(ports[1])
    assert hw.shown(7) == [(1, "in_hw")] and [port.id for port in ports] == [program.id, 0]
    hw.join(ports[1])
    assert ports[1].id == program.id


def test_bound_program_whose_device_is_gone(hw, card):
    program = hw.load("ok", hw.plug())
    hw.unplug(2)
    assert hw.request_filter(card, program, SKIP_SW) == (
        errno.EINVAL, "Program is bound to a different device")


def packets_classified(net, port):
    """Returns the number of packets that clsact has classified."""
    shown = net.tc(f"-s qdisc show dev {port} clsact")
    return int(re.search(r"Sent \d+ bytes (\d+) pkt", shown).group(1))


def test_skip_sw_only_block_bypasses_software(hw, wired):
    hw.net.tc(f"filter add dev {wired} ingress prio 1 bpf da obj tc_shot.o sec tc skip_sw")
    assert passes(hw) and packets_classified(hw.net, wired) == 0
    hw.net.tc(f"filter add dev {wired} ingress prio 2 bpf da obj tc_count.o sec tc skip_hw")
    assert passes(hw) and packets_classified(hw.net, wired) == 3 and counters()[0] == 3
    hw.net.tc(f"filter del dev {wired} ingress prio 2")
    assert passes(hw) and packets_classified(hw.net, wired) == 3


def test_plain_filter_in_hw_does_not_bypass_software(hw, wired):
    hw.add(wired, hw.load("unspec"))
    assert hw.shown(wired) == [(1, "in_hw")]
    assert passes(hw) and packets_classified(hw.net, wired) == 3


def test_dump_with_a_driver_that_has_no_statistics(hw, card):
    program = hw.load("ok")
    hw.add(card, program)
    card.accepts("tc", False)
    try:
        for what in ("-s filter show dev {} ingress",
                     "filter get dev {} ingress protocol all prio 1 handle 1 bpf"):
            assert f" in_hw id {program.id} " in hw.net.tc(what.format(card))
        assert card.id == program.id
    finally:
        card.accepts("tc", True)


def test_offload_cannot_be_disabled_with_offloaded_filter(hw, card):
    program = hw.load("ok")
    hw.add(card, program)
    card.offload("off", must_fail)
    assert hw.shown(card) == [(1, "in_hw")] and card.id == program.id
    hw.net.tc(f"filter del dev {card} ingress")
    card.offload("off")
    hw.add(card, program)
    assert hw.shown(card) == [(1, "not_in_hw")] and card.id == 0


def test_actions(hw, wired):
    hw.net.tc(f"filter add dev {wired} ingress prio 1 "
              "bpf obj tc_unspec.o sec tc skip_sw action drop")
    hw.net.tc(f"filter add dev {wired} ingress prio 2 bpf da obj tc_count.o sec tc skip_hw")
    assert wired.id and passes(hw) and counters()[0] == 3
    hw.net.tc(f"filter del dev {wired} ingress")
    hw.net.tc(f"filter add dev {wired} ingress prio 1 bpf obj tc_unspec.o sec tc action drop")
    assert hw.shown(wired) == [(1, "in_hw")] and wired.id and dropped(hw)


def test_bytecode(hw, wired):
    bytecode = "bpf bytecode '1,6 0 0 4294967295'"
    hw.net.tc(f"filter add dev {wired} ingress prio 1 {bytecode} skip_sw action drop")
    hw.net.tc(f"filter add dev {wired} ingress prio 2 bpf da obj tc_count.o sec tc skip_hw")
    assert passes(hw) and counters()[0] == 3
    # A bytecode program has the ID 0. EBUSY for another one shows that it is offloaded.
    assert hw.request_filter(wired, hw.load("ok"), SKIP_SW, handle=9) == (errno.EBUSY, BUSY)
    hw.net.tc(f"filter del dev {wired} ingress")
    hw.net.tc(f"filter add dev {wired} ingress prio 1 {bytecode} action drop")
    assert hw.shown(wired) == [(1, "in_hw")] and dropped(hw)


@BEYOND("filter whose device does not give it up")
def test_filter_kept_by_device_does_not_pin_netns(hw):
    sh(f"insmod {NO_UNOFFLOAD}")
    try:
        sh("ip netns add kept && ip -n a link add witness type veth peer name other netns kept"
           " && ip link set no_unoffload netns kept"
           " && tc -n kept qdisc add dev no_unoffload clsact")
        # The action belongs to the namespace. Bytecode has no program ID, so the leak checks of
        # other scenarios do not find it.
        sh("tc -n kept filter add dev no_unoffload ingress prio 1 "
           "bpf bytecode '1,6 0 0 1,' action ok")
        assert " in_hw" in sh("tc -n kept filter show dev no_unoffload ingress")
        sh("tc -n kept qdisc del dev no_unoffload clsact")
        sh("ip netns del kept")
        eventually(lambda: "witness" not in sh("ip -n a link"))
        eventually(lambda: "no_unoffload" in sh("ip link"))
        eventually(lambda: any("is still in a device" in line for line in kernel_log()))
    finally:
        sh("rmmod lwtcls_no_unoffload")
