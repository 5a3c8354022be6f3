# SPDX-License-Identifier: GPL-2.0-only
"""Memory cgroups, and failing allocations on xmit."""

import contextlib
import errno
import pathlib

import pytest
from conftest import BUILD, eventually, programs, sh
from journal import JOURNAL
from test_lwt import counters
from wires import Sender, name_of

FAMILIES = pytest.mark.parametrize("family", [4, 6])
NOMEM_MODULE, MARK = BUILD / "tests/modules/lwtcls_nomem.ko", 77
CGROUP = pathlib.Path("/run/memcg")


@pytest.fixture(name="group")
def fixture_group():
    """A memory cgroup."""
    CGROUP.mkdir(exist_ok=True)
    sh(f"mount -t cgroup2 cgroup2 {CGROUP}")
    group = CGROUP / "scenario"
    try:
        (CGROUP / "cgroup.subtree_control").write_text("+memory")
        group.mkdir()
        yield group
        if group.exists():
            eventually(lambda: remove_cgroup(group))
    finally:
        sh(f"umount {CGROUP}")


def remove_cgroup(group):
    """Removes a cgroup, which fails while it has members; returns whether that succeeded."""
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


def run_in_cgroup(group, command):
    """Runs a command as a member of a cgroup."""
    return sh(f"echo $$ >{group}/cgroup.procs && exec {command}", check=False)


def memory_stat(group, key):
    """Returns a value of memory.stat."""
    lines = (line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int(dict(lines)[key])


def configure(group):
    """Adds filters and routes from within the cgroup; all commands must succeed."""
    for command in (
            "tc -n a qdisc add dev va clsact",
            "tc -n a filter add dev va egress prio 1 handle 1 bpf da obj tc_unspec.o sec tc",
            "tc -n a filter add dev va egress prio 1 handle 2 bpf obj tc_marked.o sec tc "
            "action drop",
            "tc -n a filter replace dev va egress prio 1 handle 1 bpf da obj tc_count.o sec tc",
            "ip -n a route replace 10.1.0.1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit "
            "via 10.0.0.2 dev va",
            "ip -n a route replace fd01::1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit "
            "via fd00::2 dev va"):
        result = run_in_cgroup(group, command)
        assert result.returncode == 0, result.stderr


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.ipv6
def test_filters_and_routes_outlive_their_memory_cgroup(net, group):
    configure(group)
    # At least the programs are charged to the cgroup.
    assert memory_stat(group, "kernel") > 0
    assert net.ping(4, count=2) == net.ping(6, count=2) == 2
    eventually(lambda: remove_cgroup(group))
    # Not in the journal: the count includes packets that the kernel sends by itself.
    with JOURNAL.quiet():
        assert counters()[0] >= 4
    net.tc("filter replace dev va egress prio 1 handle 1 bpf da obj tc_shot.o sec tc")
    assert net.dropped(4) and net.dropped(6)
    net.tc("qdisc del dev va clsact")
    for family in (4, 6):
        assert net.ping(family)
        sh(f"ip -{family} -n a route del {net.service(family)}")
    eventually(lambda: not programs())


@contextlib.contextmanager
def failing_pskb_expand_head():
    """Has pskb_expand_head() fail for packets with the mark; yields a function that returns how
    often it has."""
    sh(f"insmod {NOMEM_MODULE} mark={MARK}")
    try:
        yield lambda: int(pathlib.Path("/sys/module/lwtcls_nomem/parameters/refused").read_text())
    finally:
        sh("rmmod lwtcls_nomem")


# The C code leaks such a packet, and with it references to the socket, the route and the program.
@pytest.mark.needs("KPROBES")
@FAMILIES
@pytest.mark.beyond_c("packet on xmit, no memory for the MAC header", run=False)
def test_packet_is_freed_if_headroom_allocation_fails(net, family):
    net.encap("xmit", "narrow", family)
    with Sender("a", family, MARK) as sender:
        with failing_pskb_expand_head() as refused:
            for number in range(3):
                assert name_of(sender.send(net.service(family))) == errno.errorcode[errno.ENOMEM]
                assert refused() == number + 1
        assert name_of(sender.send(net.service(family))) == 0
