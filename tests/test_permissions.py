# SPDX-License-Identifier: GPL-2.0-only
"""Permissions: the same as with the C code, and no file of the module widens them.

A caller is a child process that drops privileges first, and reports through a pipe.
"""

import ctypes
import errno
import json
import os
import pathlib
import re
import socket
import stat
import struct

import needs
import nl
import pytest
import syscalls
from bpf_syscall import bpf, run_on
from conftest import LIBC, MODULE, eventually, module_loaded, program, sh
from test_refusals import RETURN_0, bytecode, options, prog

BPF_PROG_LOAD, BPF_OBJ_GET, BPF_PROG_GET_FD_BY_ID = 5, 7, 13
SOCKET_FILTER, SCHED_CLS, LWT_XMIT = 1, 3, 12
CAPABILITY_VERSION_3 = 0x20080522
CAP_NET_ADMIN, CAP_BPF = 12, 39
NOBODY = 65534
# Whether a socket filter may be loaded without CAP_BPF.
UNPRIVILEGED = pathlib.Path("/proc/sys/kernel/unprivileged_bpf_disabled").read_text() == "0\n"
SOCKETS = {} if UNPRIVILEGED else {"load for a socket": "EPERM"}
PIN = "/run/bpf/permissions"
USER_NAMESPACES = pathlib.Path("/proc/self/ns/user").exists()


def drop_capabilities():
    """Becomes a user without any capability."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def keep_capabilities(*capabilities):
    """Stays root, with only these capabilities. C: capset(2)."""
    bits = sum(1 << each for each in capabilities)
    low, high = bits & 0xFFFFFFFF, bits >> 32
    head = ctypes.create_string_buffer(struct.pack("=II", CAPABILITY_VERSION_3, 0))
    data = ctypes.create_string_buffer(struct.pack("=6I", low, low, 0, high, high, 0))
    assert LIBC.syscall(syscalls.CAPSET, head, data) == 0


def enter_user_namespace():
    """Gets all capabilities, but only in a new user namespace."""
    drop_capabilities()
    os.unshare(os.CLONE_NEWUSER)


def in_a_child(become, what):
    """Returns what `what()` returns in a child process in namespace a, after `become()`."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        # The child exits in the namespace, because it lacks the privilege to go back.
        with nl.inside("a"):
            try:
                become()
                os.write(writer, json.dumps(what()).encode())
            except BaseException as error:
                os.write(writer, json.dumps(repr(error)).encode())
            finally:
                os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = json.loads(pipe.read())
    os.waitpid(child, 0)
    return said


def errno_name(call, *args):
    """Returns the name of a system call's errno, or "" if it succeeds."""
    try:
        result = call(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    if isinstance(result, int):
        os.close(result)
    return ""


def request_errno(sock, kind, flags, body):
    """Sends a request; returns the name of its errno, or "" if it succeeds."""
    flags |= nl.NLM_F_REQUEST | nl.NLM_F_ACK
    sock.settimeout(10)
    sock.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
    while True:
        for kind, payload in nl.messages(sock.recv(1 << 16)):
            if kind in (nl.NLMSG_ERROR, nl.NLMSG_DONE):
                error = -struct.unpack_from("=i", payload)[0]
                return errno.errorcode[error] if error else ""


def insn(code, registers=0, offset=0, number=0):
    """Returns a BPF instruction."""
    return struct.pack("=BBhi", code, registers, offset, number)


RETURN = insn(0xb7) + insn(0x95)
# r1 still has the context.
HELPER = (insn(0x7a, 10, -24) + insn(0x7a, 10, -16) + insn(0x7a, 10, -8)
          + insn(0xb7, 2, number=2) + insn(0xbf, 0xa3) + insn(0x07, 3, number=-24)
          + insn(0xb7, 4, number=20) + insn(0x85, number=73) + RETURN)


def load(kind, insns):
    """Loads a program; returns its fd."""
    text, license_ = ctypes.create_string_buffer(insns), ctypes.create_string_buffer(b"GPL")
    return bpf(BPF_PROG_LOAD, "=IIQQ", kind, len(insns) // 8, ctypes.addressof(text),
               ctypes.addressof(license_))[0]


def run(fd):
    """Runs a program on a packet; returns its return value."""
    return run_on(fd, bytes(12) + b"\x08\0" + b"\x45" + bytes(45))[0]


class Scene:
    """What callers find: a filter and a route in a, and open fds of programs."""

    def __init__(self, net, tc, xmit, helper):
        self.index, self.tc, self.xmit, self.helper = net.ifindex, tc, xmit, helper

    def state(self):
        """Returns the configuration, without IPv6 routes: the kernel adds some asynchronously."""
        return sh("tc -n a filter show dev va egress; ip -4 -n a -d route show")

    def route(self, host, fd):
        """Returns the body of a request for a route with an encapsulation."""
        body = nl.rtmsg(socket.AF_INET, 32, 254, 4, 0, 1)
        body += nl.attr(nl.RTA_DST, socket.inet_aton(f"10.1.0.{host}"))
        body += nl.attr(nl.RTA_GATEWAY, socket.inet_aton("10.0.0.2"))
        body += nl.attr(nl.RTA_OIF, self.index)
        body += nl.attr(nl.RTA_ENCAP_TYPE, struct.pack("=H", nl.ENCAP_BPF))
        return body + nl.attr(nl.RTA_ENCAP, nl.attr(nl.LWT_XMIT, prog(fd)))

    def requests(self):
        """Returns the rtnetlink requests that change something, and those that read."""
        new, create = nl.RTM_NEWTFILTER, nl.NLM_F_CREATE
        replace = create | nl.NLM_F_REPLACE

        def filter_(handle, options_=None):
            return nl.tfilter(self.index, handle, options_)

        first, second = (nl.rtmsg(socket.AF_INET, 32)
                         + nl.attr(nl.RTA_DST, socket.inet_aton(f"10.1.0.{host}"))
                         for host in (1, 2))
        changes = {
            "add a filter": (new, create, filter_(2, options(self.tc))),
            "add bytecode": (new, create, filter_(3, bytecode(RETURN_0))),
            "replace a filter": (new, replace, filter_(1, options(self.tc))),
            "change a filter": (new, 0, filter_(1, options(self.tc))),
            "delete a filter": (nl.RTM_DELTFILTER, 0, filter_(2)),
            "delete a priority": (nl.RTM_DELTFILTER, 0, filter_(0)),
            "add a route": (nl.RTM_NEWROUTE, create, self.route(2, self.xmit)),
            "replace a route": (nl.RTM_NEWROUTE, replace, self.route(1, self.xmit)),
            "delete a route": (nl.RTM_DELROUTE, 0, self.route(2, self.xmit)),
        }
        reads = {
            "get a filter": (nl.RTM_GETTFILTER, 0, filter_(1)),
            "dump filters": (nl.RTM_GETTFILTER, nl.NLM_F_DUMP, filter_(0)),
            "get a route": (nl.RTM_GETROUTE, 0, first),
            "dump routes": (nl.RTM_GETROUTE, nl.NLM_F_DUMP, second),
        }
        return changes, reads

    def send_all(self, sock=None):
        """Sends all requests; returns their answers. Reads come first, because the last changes
        delete what they read."""
        changes, reads = self.requests()
        with sock or socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as asked:
            return {name: request_errno(asked, *request)
                    for name, request in (reads | changes).items()}

    def programs(self, number):
        """Returns the results of loading and opening programs, and of running the helper."""
        path = ctypes.create_string_buffer(PIN.encode())
        # Without IPv6, BPF_PROG_TEST_RUN refuses a program for xmit.
        return {
            "load for tc": errno_name(load, SCHED_CLS, RETURN),
            "load for xmit": errno_name(load, LWT_XMIT, RETURN),
            "load with the helper": errno_name(load, LWT_XMIT, HELPER),
            "load for a socket": errno_name(load, SOCKET_FILTER, RETURN),
            "by number": errno_name(lambda: bpf(BPF_PROG_GET_FD_BY_ID, "=I", number)[0]),
            "by name": errno_name(
                lambda: bpf(BPF_OBJ_GET, "=QII", ctypes.addressof(path), 0, 0)[0]),
            **({"run the helper": run(self.helper)} if needs.IPV6 else {}),
        }


@pytest.fixture(name="scene")
def fixture_scene(net):
    """A network with a filter and a route, both with programs."""
    net.tc("qdisc add dev va clsact")
    with (program("classifier", "tc_ok") as tc, program("lwt_xmit", "lwt_xmit_ok") as xmit,
          program("lwt_xmit", "lwt_xmit_reach_ip") as helper):
        scene = Scene(net, tc, xmit, helper)
        assert nl.add_filter(net.ifindex, options(tc)) == (0, "")
        assert nl.add_route(4, net.ifindex, nl.attr(nl.LWT_XMIT, prog(xmit))) == (0, "")
        yield scene


CALLERS = {
    "root": (lambda: None, True),
    "nobody": (drop_capabilities, False),
    "root without capabilities": (keep_capabilities, False),
    "CAP_NET_ADMIN only": (lambda: keep_capabilities(CAP_NET_ADMIN), True),
    "CAP_BPF only": (lambda: keep_capabilities(CAP_BPF), False),
}
if USER_NAMESPACES:
    CALLERS["owner of a user namespace"] = (enter_user_namespace, False)


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.parametrize("caller", CALLERS)
def test_filters_and_routes(scene, caller):
    become, may = CALLERS[caller]
    changes, reads = scene.requests()
    before = scene.state()
    said = in_a_child(become, scene.send_all)
    assert said == dict.fromkeys(reads, "") | dict.fromkeys(changes, "" if may else "EPERM")
    assert (scene.state() == before) is not may


@pytest.mark.needs("NET_CLS_ACT")
def test_socket_of_root_gives_no_rights(scene):
    changes, reads = scene.requests()
    before = scene.state()
    with nl.open_in("a") as sock:
        said = in_a_child(drop_capabilities, lambda: scene.send_all(sock))
    assert said == dict.fromkeys(reads, "") | dict.fromkeys(changes, "EPERM")
    assert scene.state() == before


if USER_NAMESPACES:
    @pytest.mark.needs("NET_CLS_ACT")
    def test_owner_of_netns_may_configure_it(scene):
        def own_network():
            drop_capabilities()
            os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)

        def configure():
            # lo is the only device, and has no clsact yet.
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
                clsact = struct.pack("=BxxxiIII", 0, 1, 0xFFFF0000, 0xFFFFFFF1, 0)
                clsact += nl.attr(nl.TCA_KIND, "clsact")
                create = nl.NLM_F_CREATE
                return [request_errno(sock, 36, create, clsact)] + [
                    request_errno(sock, nl.RTM_NEWTFILTER, create, nl.tfilter(1, 0, each))
                    for each in (options(scene.tc), bytecode(RETURN_0), options(scene.xmit))
                ] + [errno_name(load, SCHED_CLS, RETURN), errno_name(load, LWT_XMIT, HELPER)]

        assert in_a_child(own_network, configure) == ["", "", "", "EINVAL", "EPERM", "EPERM"]


PROGRAMS = {
    "root": (lambda: None, {}),
    "nobody": (drop_capabilities, {**SOCKETS, "load for tc": "EPERM", "load for xmit": "EPERM",
                                   "load with the helper": "EPERM", "by number": "EPERM",
                                   "by name": "EACCES"}),
    "CAP_NET_ADMIN only": (lambda: keep_capabilities(CAP_NET_ADMIN),
                           {**SOCKETS, "load for tc": "EPERM", "load for xmit": "EPERM",
                            "load with the helper": "EPERM", "by number": "EPERM"}),
    "CAP_BPF only": (lambda: keep_capabilities(CAP_BPF),
                     {"load for tc": "EPERM", "load for xmit": "EPERM",
                      "load with the helper": "EPERM", "by number": "EPERM"}),
    "CAP_BPF and CAP_NET_ADMIN": (lambda: keep_capabilities(CAP_BPF, CAP_NET_ADMIN),
                                  {"by number": "EPERM"}),
}


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.parametrize("caller", PROGRAMS)
def test_programs(scene, caller):
    become, refusals = PROGRAMS[caller]
    sh(f"bpftool prog load tc_ok.o {PIN} type classifier")
    try:
        number = json.loads(sh(f"bpftool -j prog show pinned {PIN}"))["id"]
        said = in_a_child(become, lambda: scene.programs(number))
    finally:
        os.unlink(PIN)
    # A process that has a program's fd may run it, and needs no further permission for the helper.
    pushed = 0 if needs.CAN_PUSH else -errno.EINVAL
    assert said == {name: pushed if name == "run the helper" else refusals.get(name, "")
                    for name in said}


def paths():
    """Returns the kernel's paths in sysfs and procfs, without processes, devices and tracefs."""
    found = set()
    for top in ("/sys/module", "/sys/kernel", "/sys/fs", "/proc"):
        for at, directories, files in os.walk(top):
            directories[:] = [
                name for name in directories if name not in ("tracing", "cgroup")
                and not (at == "/proc" and (name.isdigit() or "self" in name))]
            found.update(f"{at}/{name}" for name in directories + files)
    return found


# Files that sysfs has for any module.
OF_ANY_MODULE = re.compile(
    r"(/(coresize|initsize|initstate|refcnt|taint|srcversion|version|import_ns|uevent|holders"
    r"|parameters|(notes|sections)(/[^/]*)?))?")


@pytest.fixture(name="unloaded")
def fixture_unloaded():
    """Unloads the module for the scenario, and loads it again afterwards."""
    eventually(lambda: sh(f"rmmod {MODULE.stem}", check=False).returncode == 0)
    yield
    if not module_loaded(MODULE.stem):
        sh(f"insmod {MODULE}")


def may_open(path, flags):
    """Returns whether this process may open a file, without waiting for FIFOs and the like."""
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK))
    except OSError:
        return False
    return True


@pytest.mark.usefixtures("unloaded", "net")
def test_files():
    before = paths()
    sh(f"insmod {MODULE}")
    home = f"/sys/module/{MODULE.stem}"
    new = sorted(paths() - before)
    assert f"{home}/refcnt" in new
    # The module's own: BTF, and the statistics of programs on routes. Names of slabs change.
    others = [path for path in new if not path.startswith(home)
              and not re.search(r"/(slab|holders)/", path)]
    told = f"/sys/kernel/debug/{MODULE.stem}"
    assert set(others) <= {f"/sys/kernel/btf/{MODULE.stem}", told, f"{told}/routes",
                           f"{told}/routes.json"}
    assert not [path for path in new if path.startswith(home)
                and not OF_ANY_MODULE.fullmatch(path.removeprefix(home))]

    files = [path for path in new if stat.S_ISREG(os.lstat(path).st_mode)]
    modes = {path: stat.S_IMODE(os.stat(path).st_mode) for path in files}
    assert not [path for path, mode in modes.items() if mode & 0o022]
    assert {path for path, mode in modes.items() if mode & 0o200} <= {f"{home}/uevent"}
    # Opening the files agrees with their modes.
    written = in_a_child(drop_capabilities,
                         lambda: [path for path in files if may_open(path, os.O_WRONLY)])
    assert written == []
    # Only root may read the addresses of sections.
    read = in_a_child(drop_capabilities,
                      lambda: [path for path in files if may_open(path, os.O_RDONLY)])
    assert read and not [path for path in read if "/sections/" in path]
