# SPDX-License-Identifier: GPL-2.0-only
"""`tc filter ... bpf ... classid`: how filters bind to the classes of their qdisc."""

import nl
import pytest
from conftest import eventually, programs, sh, tc_batch
from sockets import sysctl
from test_cls import sent

MATCH = "bpf obj tc_unspec.o sec tc"
OPTIONS = {"htb": "rate 100mbit", "drr": "", "prio": ""}
COUNTED = pytest.mark.parametrize("kind", ["htb", "drr"])
HTB = pytest.mark.parametrize("kind", ["htb"])


@pytest.fixture(scope="module", name="link")
def fixture_link(lasting):
    """The network. Each scenario adds its qdisc, and only its own packets pass through it."""
    lasting.route(4)
    sysctl("a", "ipv6/conf/va/disable_ipv6", 1)
    return lasting


@pytest.fixture(name="qdisc")
def fixture_qdisc(link, kind):
    """Classes 1:1 to 1:3; the first gets the packets that no filter classifies."""
    made = {"htb": "htb default 1", "drr": "drr", "prio": "prio bands 3 priomap" + " 0" * 16}
    lines = [f"qdisc add dev va root handle 1: {made[kind]}"]
    if kind != "prio":
        lines += [f"class add dev va parent 1: classid 1:{minor} {kind} {OPTIONS[kind]}"
                  for minor in (1, 2, 3)]
    if kind == "drr":
        # drr drops unclassified packets.
        lines += ["filter add dev va parent 1: prio 99 matchall classid 1:1"]
    tc_batch(*lines)
    yield link
    link.tc("qdisc del dev va root")


def filter_line(prio, minor=None, name="unspec", verb="add", parent="1:", mode="", options=""):
    """Returns the line of tc for a filter with a class."""
    flow = f"classid 1:{minor}" if minor else ""
    return (f"filter {verb} dev va parent {parent} protocol ip prio {prio} handle 1 "
            f"bpf {mode} obj tc_{name}.o sec tc {flow} {options}")


def delete_line(prio, parent="1:"):
    """Returns the line of tc that deletes that filter."""
    return f"filter del dev va parent {parent} protocol ip prio {prio} handle 1 bpf"


def class_deletion_refused(minor):
    """Deletes a class. Returns whether the kernel refuses that because filters are bound to it."""
    result = sh(f"tc -n a class del dev va classid 1:{minor}", check=False)
    assert not result.returncode or "in use" in result.stderr.lower()
    return result.returncode != 0


def packets(net, kind, minor):
    """Sends four packets; returns how many went to a class."""
    before = sent(net, f"1:{minor}", kind)
    assert net.ping(count=4)
    return sent(net, f"1:{minor}", kind) - before


@pytest.mark.needs("NET_CLS_ACT")
@COUNTED
@pytest.mark.parametrize("options", ["", "action pass"])
@pytest.mark.usefixtures("qdisc")
def test_filter_holds_its_class(options):
    tc_batch(filter_line(1, 2, options=options))
    assert class_deletion_refused(2)
    assert class_deletion_refused(2)
    # The next command does not wait for a grace period.
    tc_batch(delete_line(1), "class del dev va classid 1:2")


@COUNTED
def test_classic_filter_holds_its_class(qdisc):
    qdisc.tc("filter add dev va parent 1: protocol ip prio 1 handle 1 "
             "bpf bytecode '1,6 0 0 4294967295,' flowid 1:2")
    assert class_deletion_refused(2)
    tc_batch(delete_line(1), "class del dev va classid 1:2")


@COUNTED
@pytest.mark.usefixtures("qdisc")
def test_every_filter_holds_its_class():
    tc_batch(filter_line(1, 2), filter_line(2, 2))
    tc_batch(delete_line(1))
    assert class_deletion_refused(2)
    tc_batch(delete_line(2))
    assert not class_deletion_refused(2)


@COUNTED
@pytest.mark.parametrize("minor", [3, None])
@pytest.mark.usefixtures("qdisc")
def test_replaced_filter_releases_its_class(minor):
    tc_batch(filter_line(1, 2), filter_line(1, minor, verb="replace"),
             "class del dev va classid 1:2")
    assert not minor or class_deletion_refused(minor)


@COUNTED
@pytest.mark.usefixtures("qdisc")
def test_replacing_with_the_same_class_holds_it_once():
    tc_batch(filter_line(1, 2), filter_line(1, 2, verb="replace"),
             filter_line(1, 2, verb="replace"))
    assert class_deletion_refused(2)
    tc_batch(delete_line(1))
    assert not class_deletion_refused(2)


@COUNTED
@pytest.mark.usefixtures("qdisc")
def test_deleted_filters_of_qdisc_release_classes():
    tc_batch(*(filter_line(prio, 2) for prio in (1, 2, 3)))
    assert class_deletion_refused(2)
    tc_batch("filter del dev va parent 1: protocol ip prio 1",
             "filter del dev va parent 1:",
             "class del dev va classid 1:2")


@COUNTED
def test_refused_filter_holds_no_class(qdisc):
    flow = nl.attr(nl.BPF_CLASSID, 0x10002)
    ret = nl.attr(nl.BPF_OPS_LEN, b"\1\0") + nl.attr(nl.BPF_OPS, b"\6\0\0\0\0\0\0\0")
    for what in (
        nl.attr(nl.BPF_FD, 1 << 20),
        ret + nl.attr(nl.BPF_ACT, nl.attr(1, nl.attr(nl.ACT_KIND, "nope"))),
        ret + nl.attr(nl.BPF_FLAGS, 2),
        # Refused by the last check: the filter has been bound to the class by then.
        ret + nl.attr(nl.BPF_FLAGS_GEN, 2),
    ):
        assert nl.add_filter(qdisc.ifindex, what + flow, parent=0x10000)[0]
    assert not class_deletion_refused(2)


@COUNTED
@pytest.mark.usefixtures("qdisc")
def test_refused_replacement_leaves_the_class_held(qdisc):
    tc_batch(filter_line(1, 2))
    ret = nl.attr(nl.BPF_OPS_LEN, b"\1\0") + nl.attr(nl.BPF_OPS, b"\6\0\0\0\0\0\0\0")
    bad = ret + nl.attr(nl.BPF_FLAGS_GEN, 2) + nl.attr(nl.BPF_CLASSID, 0x10003)
    assert nl.add_filter(qdisc.ifindex, bad, parent=0x10000, protocol=0x0008)[0]
    assert not class_deletion_refused(3)
    assert class_deletion_refused(2)
    tc_batch(delete_line(1))
    assert not class_deletion_refused(2)


@COUNTED
def test_class_added_later_is_found(qdisc, kind):
    # The kernel does not call bind_class() for filters of the qdisc itself. The class is looked up
    # for each packet, and the filter is not bound to it.
    tc_batch(filter_line(1, 4))
    tc_batch(f"class add dev va parent 1: classid 1:4 {kind} {OPTIONS[kind]}")
    assert packets(qdisc, kind, 4) == 4
    assert not class_deletion_refused(4)
    if kind == "htb":
        assert packets(qdisc, kind, 1) == 4
    else:
        assert qdisc.dropped()


@HTB
def test_filter_of_inner_class_is_bound_to_new_class(qdisc, kind):
    tc_batch("class add dev va parent 1: classid 1:10 htb rate 100mbit",
             "class add dev va parent 1:10 classid 1:11 htb rate 100mbit",
             filter_line(1, 10), filter_line(1, 12, parent="1:10"))
    assert packets(qdisc, kind, 1) == 4
    tc_batch("class add dev va parent 1:10 classid 1:12 htb rate 100mbit")
    assert packets(qdisc, kind, 12) == 4
    # A request to delete the class unbinds it from the filter even if it is refused.
    assert class_deletion_refused(12)
    assert packets(qdisc, kind, 12) == 4
    assert not class_deletion_refused(12)
    assert packets(qdisc, kind, 1) == 4
    # A new class with the same number is bound again.
    tc_batch("class add dev va parent 1:10 classid 1:12 htb rate 100mbit")
    assert packets(qdisc, kind, 12) == 4
    assert class_deletion_refused(12)


@HTB
@pytest.mark.usefixtures("qdisc")
def test_deleting_class_deletes_its_filters():
    tc_batch("class add dev va parent 1: classid 1:10 htb rate 100mbit",
             filter_line(1, 2, parent="1:10"), filter_line(2, 3, parent="1:10"),
             filter_line(1, 3))
    tc_batch("class del dev va classid 1:10")
    assert not class_deletion_refused(2)
    assert class_deletion_refused(3)


@HTB
def test_classes_of_two_levels(qdisc, kind):
    # The first filter selects an inner class, whose filters run next.
    tc_batch("class add dev va parent 1: classid 1:10 htb rate 100mbit",
             "class add dev va parent 1:10 classid 1:11 htb rate 100mbit",
             "class add dev va parent 1:10 classid 1:12 htb rate 100mbit",
             filter_line(1, 10), filter_line(1, 12, parent="1:10"),
             filter_line(2, 11, name="ok", parent="1:10"))
    assert packets(qdisc, kind, 12) == 4


@pytest.mark.needs("NET_CLS_ACT")
@HTB
def test_class_of_another_qdisc_is_not_held(qdisc):
    tc_batch("qdisc add dev va clsact",
             f"filter add dev va egress protocol ip {MATCH} classid 1:2",
             "class del dev va classid 1:2")
    try:
        assert qdisc.filters()[0]["options"]["flowid"] == "1:2"
        assert qdisc.ping()
    finally:
        qdisc.tc("qdisc del dev va clsact")


@pytest.mark.needs("NET_CLS_ACT")
@HTB
def test_shared_block_holds_no_class(qdisc):
    tc_batch("qdisc add dev va ingress_block 7 egress_block 8 clsact",
             f"filter add block 8 protocol ip {MATCH} classid 1:2",
             "filter add block 8 protocol ip prio 1 bpf da obj tc_ok.o sec tc classid 1:2",
             "class del dev va classid 1:2")
    try:
        assert qdisc.ping()
    finally:
        tc_batch("filter del block 8", "qdisc del dev va clsact")


@pytest.mark.parametrize("kind", ["htb", "drr", "prio"])
def test_class_of_a_direct_action(qdisc, kind):
    # The minor number is the one that the program writes, the major number that of the filter's
    # class.
    tc_batch(filter_line(1, 2, name="minor", mode="da"))
    assert packets(qdisc, kind, 3) == 4


@HTB
def test_minor_number_without_major_is_no_class(qdisc, kind):
    tc_batch(filter_line(1, None, name="minor", mode="da"))
    assert packets(qdisc, kind, 1) == 4


@pytest.mark.parametrize("kind", ["htb", "drr", "prio"])
def test_program_starts_with_class_of_its_filter(qdisc, kind):
    # The newest program leaves 1:3 behind. The older one adds 1 to the class of its own filter,
    # 1:1.
    tc_batch("filter add dev va parent 1: protocol ip prio 1 handle 1 "
             "bpf da obj tc_classid.o sec tc classid 1:1",
             "filter add dev va parent 1: protocol ip prio 1 handle 2 "
             "bpf da obj tc_minor_unspec.o sec tc classid 1:3")
    assert packets(qdisc, kind, 2) == 4


@HTB
def test_replacing_qdisc_deletes_filters(qdisc):
    tc_batch(filter_line(1, 2), filter_line(2, 3), filter_line(3, 3, parent="1:2"))
    qdisc.tc("qdisc replace dev va root handle 2: htb")
    eventually(lambda: not programs())
    assert qdisc.ping()


@HTB
def test_changed_class_stays_held(qdisc, kind):
    tc_batch(filter_line(1, 2), "class change dev va parent 1: classid 1:2 htb rate 50mbit")
    assert packets(qdisc, kind, 2) == 4
    assert class_deletion_refused(2)
