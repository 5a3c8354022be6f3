# SPDX-License-Identifier: GPL-2.0-only
"""Coming and going of the module."""

import pytest
from conftest import BUILD, KERNEL, MODULE, eventually, kernel_log, loaded, refused, sh

NAME = MODULE.stem
TAKEN = pytest.mark.differs("slot or kind taken at `insmod`")


@pytest.fixture(name="unloaded")
def fixture_unloaded():
    """Without the module, which comes back afterwards."""
    sh(f"rmmod {NAME}")
    yield
    for name in ("lwtcls", "cls_bpf", "lwtcls_slot"):
        # The network of the scenario goes in its own time.
        if loaded(name):
            eventually(lambda module=name: sh(f"rmmod {module}", check=False).returncode == 0)
    sh(f"insmod {MODULE}")


def insmod_refused(parameters=""):
    """Loads the module, which must fail, and returns what is new in the log."""
    before = len(kernel_log())
    said = refused(f"insmod {MODULE} {parameters}")
    assert "Device or resource busy" in said
    assert not loaded()
    return [line for line in kernel_log()[before:] if "lwtcls" in line]


def route_is_refused(net):
    """The kernel knows no encapsulation of that name."""
    said = refused("ip -n a route add 10.1.0.1 "
                   "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit via 10.0.0.2 dev va")
    return "not supported" in said


@pytest.mark.only_here("what the module says of a place that is taken")
@TAKEN
def test_kind_is_taken(unloaded, net):
    sh(f"insmod {KERNEL}/net/sched/cls_bpf.ko")
    assert insmod_refused() == ["lwtcls: the classifier 'bpf' is taken: unload cls_bpf first"]
    # Nothing is left registered.
    assert route_is_refused(net)
    sh("rmmod cls_bpf")
    sh(f"insmod {MODULE}")


@pytest.mark.only_here("what the module says of a place that is taken")
@TAKEN
def test_slot_is_taken(unloaded, net):
    sh(f"insmod {BUILD}/tests/modules/lwtcls_slot.ko")
    assert insmod_refused() == [
        "lwtcls: the encapsulation 'bpf' is taken (CONFIG_LWTUNNEL_BPF=y?): "
        "load with cls_only=1 for the classifier alone"
    ]
    # Nothing is left registered: the C classifier can have the kind.
    sh(f"insmod {KERNEL}/net/sched/cls_bpf.ko")
    sh("rmmod cls_bpf")

    sh(f"insmod {MODULE} cls_only=1")
    net.route(4)
    net.tc("qdisc add dev va clsact")
    net.tc("filter add dev va egress bpf da obj tc_shot.o sec tc")
    assert net.dropped()
    assert route_is_refused(net)


@pytest.mark.only_here("cls_only")
def test_classifier_alone_leaves_the_slot(unloaded, net):
    sh(f"insmod {MODULE} cls_only=1")
    assert route_is_refused(net)
    sh(f"insmod {BUILD}/tests/modules/lwtcls_slot.ko && rmmod lwtcls_slot")


@pytest.mark.only_here("the encapsulation of the C is part of the kernel")
def test_both_are_gone_without_the_module(unloaded, net):
    assert route_is_refused(net)
    net.tc("qdisc add dev va clsact")
    refused("tc -n a filter add dev va egress bpf da obj tc_ok.o sec tc")


@pytest.mark.only_here("the encapsulation of the C is part of the kernel")
@pytest.mark.parametrize("family", [4, 6])
def test_route_holds_the_module(net, family):
    net.route(family, "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit")
    assert net.ping(family)
    assert "is in use" in refused("rmmod lwtcls")
    sh(f"ip -{family} -n a route del {net.service(family)}")
    eventually(lambda: sh("rmmod lwtcls", check=False).returncode == 0)
    assert not loaded()
    sh(f"insmod {MODULE}")


def test_filter_holds_the_module(net):
    net.tc("qdisc add dev va clsact")
    net.tc("filter add dev va egress bpf da obj tc_ok.o sec tc")
    assert "is in use" in refused(f"rmmod {NAME}")
    net.tc("filter del dev va egress")
    eventually(lambda: sh(f"rmmod {NAME}", check=False).returncode == 0)
    assert not loaded(NAME)
    sh(f"insmod {MODULE}")


def test_unloading_waits_for_deleted_filters(net):
    net.tc("qdisc add dev va clsact")
    for _ in range(20):
        net.tc("filter add dev va egress prio 1 bpf da obj tc_ok.o sec tc")
    # The filters' memory is still to be freed when the module is told to go.
    sh(f"tc -n a qdisc del dev va clsact && rmmod {NAME}")
    assert not loaded(NAME)
    sh(f"insmod {MODULE}")


def test_many_rounds(unloaded):
    for _ in range(5):
        sh(f"insmod {MODULE} && rmmod {NAME}")
