# SPDX-License-Identifier: GPL-2.0-only
"""Packet pointers that a program keeps across the helper that pushes a header."""

import json
import re

import pytest
from conftest import CommandFailed, program, sh
from test_helper import PACKET, TEST_RUN_HOOKS, run

SHAPES = pytest.mark.parametrize("shape", ["read", "subprogram", "stack", "write", "twice"])


@SHAPES
def test_stale_packet_pointers_are_rejected(shape):
    with pytest.raises(CommandFailed, match=r"R\d+ invalid mem access 'scalar'"):
        with program("lwt_xmit", f"stale_{shape}_helper"):
            pass


@SHAPES
@pytest.mark.needs("DEBUG_INFO_BTF")
@pytest.mark.only_here("kfuncs of the module")
def test_no_kfunc_pushes_headers(shape):
    # The verifier would not invalidate packet pointers after a kfunc, so none may push.
    with pytest.raises(CommandFailed,
                       match="'bpf_lwtcls_push_ip_encap': not found in kernel or module"):
        with program("lwt_xmit", f"stale_{shape}_kfunc"):
            pass


@pytest.mark.only_here("kfuncs of the module")
def test_module_has_no_kfunc():
    if not any(each.get("name") == "lwtcls" for each in json.loads(sh("bpftool -j btf list"))):
        return
    types = sh("bpftool btf dump file /sys/kernel/btf/lwtcls -B /sys/kernel/btf/vmlinux")
    assert not re.search(r"DECL_TAG 'bpf_kfunc'", types)


@pytest.mark.needs("BPF_JIT", "DEBUG_INFO_BTF")
@pytest.mark.beyond_c("pushed header that is a part of the packet (a slice of a dynptr)", run=False)
@TEST_RUN_HOOKS
def test_header_may_be_dynptr_slice_of_packet(hook):
    # With GRE in place of UDP the IP header is a complete outer header.
    packet = PACKET[:23] + b"\x2f" + PACKET[24:]
    own = packet[14:34]
    with program(f"lwt_{hook}", f"lwt_{hook}_push_slice") as fd:
        for times in range(1, 20):
            # For some of these numbers the packet's memory is reallocated.
            assert run(fd, packet, repeat=times) == (0, own * times + packet[14:])
