# SPDX-License-Identifier: GPL-2.0-only
"""`tc filter ... bpf bytecode`: classic BPF."""

import errno
import struct

import nl
import pytest
from conftest import eventually, expect_extack, program_ids, programs, sh
from needs import IP_FAMILIES
from sockets import every_echo_answered
from test_cls import BOTH, handles, sent

pytestmark = pytest.mark.needs("NET_CLS_ACT")
OPS = struct.Struct("=HBBI")
ALL, NONE = "1,6 0 0 4294967295,", "1,6 0 0 0,"
IPV4 = "4,40 0 0 12,21 0 1 2048,6 0 0 4294967295,6 0 0 0"
ICMP = "6,40 0 0 12,21 0 3 2048,48 0 0 23,21 0 1 1,6 0 0 4294967295,6 0 0 0"
# Loads the first byte of the network header, at offset -0x100000 (SKF_NET_OFF).
IPV4_BY_NETWORK_HEADER = "4,48 0 0 4293918720,21 0 1 69,6 0 0 4294967295,6 0 0 0"


def assemble(bytecode):
    """Converts tc's notation to the payload of TCA_BPF_OPS."""
    lines = bytecode.rstrip(",").split(",")[1:]
    return b"".join(OPS.pack(*map(int, line.split())) for line in lines)


def classic(ops, count=None):
    """Returns the attributes of a filter with these instructions."""
    count = len(ops) // OPS.size if count is None else count
    return nl.attr(nl.BPF_OPS_LEN, struct.pack("=H", count)) + nl.attr(nl.BPF_OPS, ops)


RETURN = OPS.pack(6, 0, 0, 0)
LOAD = OPS.pack(0, 0, 0, 1)


@pytest.fixture(scope="module", name="tc")
def fixture_tc(lasting):
    """The network with clsact; each scenario deletes its filters."""
    for family in IP_FAMILIES:
        lasting.route(family)
    lasting.tc("qdisc add dev va clsact")
    return lasting


@pytest.fixture(autouse=True)
def no_filter_left(tc):
    """Deletes all filters after a scenario."""
    yield
    sh("printf 'qdisc del dev va clsact\\nqdisc add dev va clsact\\n' | tc -n a -batch -")


def add(net, what, hook="egress", options="", verb="add"):
    """Adds or replaces a filter with bytecode."""
    net.tc(f"filter {verb} dev va {hook} {options} bpf bytecode '{what}' action drop")


def only_ipv4_is_dropped(net):
    """Returns whether IPv4 is dropped, and IPv6 is not if the kernel has it."""
    return net.dropped(4) and (6 not in IP_FAMILIES or net.ping(6))


@BOTH
@pytest.mark.parametrize("bytecode, four, six", [
    (ALL, False, False), (NONE, True, True), (IPV4, False, True), (ICMP, False, True),
    (IPV4_BY_NETWORK_HEADER, False, True),
], ids=["all", "none", "ipv4", "icmp", "network header"])
def test_match_is_dropped(tc, hook, bytecode, four, six):
    add(tc, bytecode, hook)
    assert [tc.ping(family, wait=0.4) for family in IP_FAMILIES] == [four, six][:len(IP_FAMILIES)]


def test_other_protocol_of_ip_does_not_match(tc):
    add(tc, ICMP.replace("21 0 1 1,", "21 0 1 17,"))
    assert tc.ping()
    sh("ip netns exec a bash -c 'echo x >/dev/udp/10.0.0.2/9'")
    shown = tc.tc("-s filter show dev va egress")
    assert "Sent 44 bytes 1 pkt (dropped 1," in shown


@BOTH
def test_load_beyond_end_of_packet_is_no_match(tc, hook):
    # A load beyond the end of the packet ends the program with "no match".
    add(tc, "2,48 0 0 2000,6 0 0 4294967295", hook)
    assert tc.ping()
    add(tc, "2,48 0 0 97,6 0 0 4294967295", hook, options="prio 9")
    # 14 bytes of MAC header, 20 of IP and 8 of ICMP: byte 97 is the last of 56 bytes of data.
    assert tc.ping(size=55) and tc.dropped(size=56)


@pytest.mark.parametrize("bytecode", [ALL, ICMP, IPV4_BY_NETWORK_HEADER],
                         ids=["all", "icmp", "network header"])
def test_dump(tc, bytecode):
    tc.tc(f"filter add dev va egress prio 1 handle 3 bpf bytecode '{bytecode}' classid 1:5")
    shown = tc.tc("filter show dev va egress")
    assert f"bytecode '{bytecode.rstrip(',')}'" in shown
    assert "handle 0x3 flowid 1:5 " in shown and "not_in_hw" in shown
    for foreign in ("direct-action", " id ", " tag ", "name"):
        assert foreign not in shown
    ops = assemble(bytecode)
    wanted = {
        nl.BPF_CLASSID: struct.pack("=I", 0x10005),
        nl.BPF_OPS_LEN: struct.pack("=H", len(ops) // OPS.size),
        nl.BPF_OPS: ops,
        nl.BPF_FLAGS_GEN: struct.pack("=I", 8),
    }
    assert nl.filters(tc.ifindex) == {3: wanted}
    assert nl.filters(tc.ifindex, handle=3) == {3: wanted}


def test_bytecode_file(tc, tmp_path):
    # The output of tcpdump -ddd, with commas instead of newlines.
    (tmp_path / "icmp").write_text(ICMP)
    tc.tc(f"filter add dev va egress bpf bytecode-file {tmp_path}/icmp action drop")
    assert f"bytecode '{ICMP}'" in tc.tc("filter show dev va egress")
    assert only_ipv4_is_dropped(tc)


def test_bytecode_of_tcpdump(tc):
    compiled = sh("tcpdump -i lo -y EN10MB -ddd 'icmp[icmptype] == icmp-echo'")
    bytecode = ",".join(compiled.split("\n"))
    add(tc, bytecode, "egress")
    assert only_ipv4_is_dropped(tc)
    tc.tc("filter del dev va egress")
    # Ingress sees only the replies.
    add(tc, bytecode, "ingress")
    assert tc.ping(4)


def test_most_instructions(tc):
    ops = LOAD * 4095 + OPS.pack(6, 0, 0, 0xFFFFFFFF)
    assert nl.add_filter(tc.ifindex, classic(ops), handle=7) == (0, "")
    # A dump has 32 kB for a filter, which is not enough for this one; a get has no such limit.
    assert nl.filters(tc.ifindex, handle=7)[7][nl.BPF_OPS] == ops
    assert tc.ping()


def test_many_instructions_are_dumped(tc):
    ops = LOAD * 3999 + OPS.pack(6, 0, 0, 0xFFFFFFFF)
    assert nl.add_filter(tc.ifindex, classic(ops) + nl.attr(nl.BPF_CLASSID, 0x10002)) == (0, "")
    tc.tc("filter add dev va egress prio 1 handle 2 bpf da obj tc_ok.o sec tc")
    listed = tc.filters()
    assert [entry["options"]["handle"] for entry in listed] == ["0x2", "0x1"]
    assert listed[1]["options"]["bytecode"]["length"] == 4000


REFUSED = {
    "no instructions": (lambda: classic(b"", 0), errno.EINVAL),
    "length 0": (lambda: classic(RETURN, 0), errno.EINVAL),
    "length 4097": (lambda: classic(RETURN, 4097), errno.EINVAL),
    "length 65535": (lambda: classic(RETURN, 65535), errno.EINVAL),
    # The size in bytes, truncated to 16 bits, is that of one instruction.
    "length 8193": (lambda: classic(RETURN, 8193), errno.EINVAL),
    "4097 instructions": (lambda: classic(LOAD * 4096 + RETURN), errno.ERANGE),
    "length too large": (lambda: classic(RETURN, 2), errno.EINVAL),
    "length too small": (lambda: classic(RETURN * 2, 1), errno.EINVAL),
    "7 bytes": (lambda: classic(RETURN[:7], 1), errno.EINVAL),
    "9 bytes": (lambda: classic(RETURN + b"\0", 1), errno.EINVAL),
    "length only": (lambda: nl.attr(nl.BPF_OPS_LEN, b"\1\0"), errno.EINVAL),
    "instructions only": (lambda: nl.attr(nl.BPF_OPS, RETURN), errno.EINVAL),
    "unknown operation": (lambda: classic(OPS.pack(255, 0, 0, 0) + RETURN), errno.EINVAL),
    "eBPF operation": (lambda: classic(OPS.pack(0x95, 0, 0, 0)), errno.EINVAL),
    "jump over the end": (lambda: classic(OPS.pack(5, 0, 0, 1) + RETURN), errno.EINVAL),
    "branch over the end": (lambda: classic(OPS.pack(21, 0, 1, 0) + RETURN), errno.EINVAL),
    "no return": (lambda: classic(LOAD), errno.EINVAL),
    "division by 0": (lambda: classic(OPS.pack(0x34, 0, 0, 0) + RETURN), errno.EINVAL),
    "cell 16": (lambda: classic(OPS.pack(2, 0, 0, 16) + RETURN), errno.EINVAL),
    "cell never written": (lambda: classic(OPS.pack(0x60, 0, 0, 0) + RETURN), errno.EINVAL),
    "unknown flag": (lambda: classic(RETURN) + nl.attr(nl.BPF_FLAGS, 2), errno.EINVAL),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tc, case):
    attributes, error = REFUSED[case]
    assert nl.add_filter(tc.ifindex, classic(RETURN)) == (0, "")
    before = nl.filters(tc.ifindex)
    for handle, prio in ((1, 1), (0, 1), (5, 1), (0, 2)):
        assert nl.add_filter(tc.ifindex, attributes(), handle=handle, prio=prio)[0] == error
    assert nl.filters(tc.ifindex) == before


def test_refused_filters_change_nothing(tc):
    add(tc, ALL, options="prio 1 handle 1")
    before = tc.tc("filter show dev va egress")
    for attributes, _ in REFUSED.values():
        for handle, prio in ((1, 1), (0, 1), (5, 1), (0, 2)):
            assert nl.add_filter(tc.ifindex, attributes(), handle=handle, prio=prio)[0]
    assert tc.tc("filter show dev va egress") == before
    assert tc.dropped()
    # Refused filters use up no handle.
    add(tc, NONE, options="prio 1")
    assert handles(tc) == [(1, 2), (1, 1)]


def test_tc_prints_extack_message(tc):
    for bytecode in ("1,255 0 0 0", "1,0 0 0 0", "2,5 0 0 5,6 0 0 0"):
        expect_extack("the bytecode is not valid",
                      f"tc -n a filter add dev va egress bpf bytecode '{bytecode}'")
    assert tc.tc("filter show dev va egress") == ""


@BOTH
@pytest.mark.parametrize("verdict, passes", [(0, True), (2, False), (3, True), (77, True)])
def test_direct_action(tc, hook, verdict, passes):
    tc.tc(f"filter add dev va {hook} bpf da bytecode '1,6 0 0 {verdict},'")
    assert tc.ping(wait=0.5) == passes
    shown = tc.tc(f"filter show dev va {hook}")
    assert "direct-action not_in_hw" in shown and f"bytecode '1,6 0 0 {verdict}'" in shown


def test_direct_action_without_verdict_runs_next_filter(tc):
    tc.tc("filter add dev va egress prio 1 bpf da bytecode '1,6 0 0 2,'")
    tc.tc("filter add dev va egress prio 1 bpf da bytecode '1,6 0 0 4294967295,'")
    assert tc.dropped()
    tc.tc("filter replace dev va egress prio 1 handle 2 bpf da bytecode '1,6 0 0 0,'")
    assert tc.ping()


def test_replaced_by_a_program_and_back(tc):
    before = program_ids()
    add(tc, IPV4, options="prio 1 handle 4")
    tc.tc("filter replace dev va egress prio 1 handle 4 bpf da obj tc_ok.o sec tc")
    assert tc.ping() and len(programs()) == 1
    assert set(nl.filters(tc.ifindex)[4]) == {
        nl.BPF_NAME, nl.BPF_ID, nl.BPF_TAG, nl.BPF_FLAGS, nl.BPF_FLAGS_GEN}
    add(tc, IPV4, options="prio 1 handle 4", verb="replace")
    assert only_ipv4_is_dropped(tc)
    assert set(nl.filters(tc.ifindex)[4]) == {
        nl.BPF_OPS_LEN, nl.BPF_OPS, nl.BPF_ACT, nl.BPF_FLAGS_GEN}
    assert handles(tc) == [(1, 4)]
    eventually(lambda: program_ids() <= before)


def test_replaced_bytecode(tc):
    add(tc, ALL, options="prio 1 handle 4")
    assert tc.dropped()
    add(tc, NONE, options="prio 1 handle 4", verb="replace")
    assert tc.ping()
    assert nl.filters(tc.ifindex)[4][nl.BPF_OPS] == assemble(NONE)


def test_both_kinds_in_one_priority(tc):
    add(tc, IPV4, options="prio 1 handle 1")
    tc.tc("filter add dev va egress prio 1 handle 2 protocol all bpf obj tc_ok.o sec tc")
    assert only_ipv4_is_dropped(tc)
    tc.tc("filter replace dev va egress prio 1 handle 2 bpf da obj tc_ok.o sec tc")
    assert tc.ping(4)


@pytest.mark.by_chance("IPv6 may send packets before its filter is added")
@pytest.mark.parametrize("value, minor", [
    ("4294967295", 2), ("65539", 3), ("0", 1), ("65795", 1),
], ids=["own class", "other class", "no match", "no such class"])
def test_classes(tc, value, minor):
    tc.tc("qdisc add dev va root handle 1: htb default 1")
    try:
        for number in (1, 2, 3, 4):
            tc.tc(f"class add dev va parent 1: classid 1:{number} htb rate 100mbit")
        # IPv6 sends packets by itself, which must not be counted.
        tc.tc("filter add dev va parent 1: protocol ipv6 prio 9 matchall classid 1:4")
        tc.tc("filter add dev va parent 1: protocol ip "
              f"bpf bytecode '1,6 0 0 {value},' flowid 1:2")
        before = [sent(tc, f"1:{number}", "htb") for number in (1, 2, 3)]
        assert tc.ping(count=4)
        after = [sent(tc, f"1:{number}", "htb") for number in (1, 2, 3)]
    finally:
        tc.tc("qdisc del dev va root")
    assert [b - a for a, b in zip(before, after, strict=True)] == [
        4 if number == minor else 0 for number in (1, 2, 3)]


def test_filters_under_traffic(tc, tmp_path):
    lines = []
    for verb in ("add", "replace", "replace"):
        for handle in (1, 2):
            lines.append(f"filter {verb} dev va egress prio 1 handle {handle} "
                         f"bpf bytecode '{IPV4}' action ok")
    lines += [f"filter del dev va egress prio 1 handle {handle} bpf" for handle in (1, 2)]
    (tmp_path / "batch").write_text("\n".join(lines * 5) + "\n")
    with every_echo_answered("a"):
        said = sh("ip netns exec a sh -c 'ping -n -q -f -c 1500 10.1.0.1 & "
                  f"while kill -0 $!; do tc -batch {tmp_path}/batch || exit; done 2>&1; wait $!'")
    assert "1500 packets transmitted" in said and "rror" not in said
