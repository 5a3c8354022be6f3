# SPDX-License-Identifier: GPL-2.0-only
"""Invalid requests: the errno, the extack message, and the unchanged state."""

import errno
import struct

import nl
import pytest
from conftest import expect_extack, program, program_ids, sh
from sides import ours

FAMILIES = pytest.mark.parametrize("family", [4, 6])
HOOKS = {"in": nl.LWT_IN, "out": nl.LWT_OUT, "xmit": nl.LWT_XMIT}


@pytest.fixture(scope="module", name="fds")
def fixture_fds():
    """File descriptors: an xmit program, a tc program, a file that is no program, a closed one."""
    with (
        program("lwt_xmit", "lwt_xmit_ok") as xmit,
        program("classifier", "tc_shot") as tc,
        open("/dev/null", "rb") as file,
    ):
        yield {"xmit": xmit, "tc": tc, "file": file.fileno(), "closed": 1 << 20}


def prog(fd, name="name"):
    """Returns the attributes of one program."""
    return nl.attr(nl.PROG_FD, fd) + nl.attr(nl.PROG_NAME, name)


UNKNOWN = "attributes of an unknown type in a request"
REPORTED = "`TCA_BPF_TAG`, `TCA_BPF_ID` of another program"
HALF = "`TCA_BPF_OPS` or `TCA_BPF_OPS_LEN` next to `TCA_BPF_FD`"
NAMED = "`TCA_BPF_NAME` with bytecode"
LONG = "numbers with too many bytes"
TWICE = "attributes that are there twice"
BEHIND = "bytes behind the NUL of a name"
# Cases that the C code handles differently, and their rows of docs/differences.md.
BEYOND = {
    "long headroom": LONG,
    "long class": LONG,
    "closed, and headroom 257": "order of checks",
    "unknown attribute": UNKNOWN,
    "unknown attribute in a program": UNKNOWN,
    "program twice": TWICE,
    "class twice": TWICE,
    "name that goes on": BEHIND,
    "name that goes on after zeros": BEHIND,
    "tag": REPORTED,
    "short tag": REPORTED,
    "id": REPORTED,
    "long id": REPORTED,
    "tag of bytecode": REPORTED,
    "id of bytecode": REPORTED,
    "length of bytecode, and a program": HALF,
    "bytecode without its length, and a program": HALF,
    "bytecode with a name": NAMED,
    "truncated filter": "bytes left over after the attributes",
}


def parametrize_cases(cases):
    """Parametrizes a scenario with cases."""
    def marks(case):
        # The one case in which the C code has a message, and ours is another one.
        if case == "short headroom":
            return [pytest.mark.differs("a refused request")]
        return [pytest.mark.beyond_c(BEYOND[case])] if case in BEYOND else []

    return pytest.mark.parametrize(
        "case", [pytest.param(case, marks=marks(case)) for case in cases])


NO_PROGRAM = "bpf encapsulation needs a program: in, out or xmit"
WRONG_TYPE = "the file descriptor does not refer to a BPF program of this hook's type"
NOT_OPEN = "the program's file descriptor is not open"
LEFTOVER = "bytes leftover after parsing attributes"
TOO_LONG = "the program's name is longer than 256 bytes"
FOLLOWED = "the string is followed by other bytes than zeros"
LONGER = "the attribute is longer than its longest string"

ROUTES = {
    "no attribute": (lambda fds: b"", errno.EINVAL, NO_PROGRAM),
    "headroom only": (lambda fds: nl.attr(nl.LWT_HEADROOM, 20), errno.EINVAL, NO_PROGRAM),
    "empty program": (
        lambda fds: nl.attr(nl.LWT_XMIT), errno.EINVAL,
        "the file descriptor of a program is missing"),
    "name only": (
        lambda fds: nl.attr(nl.LWT_XMIT, nl.attr(nl.PROG_NAME, "name")), errno.EINVAL,
        "the file descriptor of a program is missing"),
    "name missing": (
        lambda fds: nl.attr(nl.LWT_XMIT, nl.attr(nl.PROG_FD, fds["xmit"])), errno.EINVAL,
        "the name of the program is missing"),
    "name of 257 bytes": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"], "x" * 257)), errno.EINVAL, TOO_LONG),
    "name of 5000 bytes": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"], "x" * 5000)), errno.EINVAL, TOO_LONG),
    "name and 254 zeros": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"], b"name" + bytes(254))), errno.ERANGE,
        LONGER),
    "long name that goes on": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"], b"name\0" + b"x" * 253)), errno.ERANGE,
        LONGER),
    "name without end": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"], b"name")), errno.EINVAL,
        "the string is not NUL-terminated"),
    "wrong type in": (
        lambda fds: nl.attr(nl.LWT_IN, prog(fds["xmit"])), errno.EINVAL, WRONG_TYPE),
    "wrong type out": (
        lambda fds: nl.attr(nl.LWT_OUT, prog(fds["xmit"])), errno.EINVAL, WRONG_TYPE),
    "wrong type xmit": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["tc"])), errno.EINVAL, WRONG_TYPE),
    "no program behind it": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["file"])), errno.EINVAL, WRONG_TYPE),
    "closed descriptor": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["closed"])), errno.EBADF, NOT_OPEN),
    "good and closed": (
        lambda fds: nl.attr(nl.LWT_IN, prog(fds["closed"])) + nl.attr(
            nl.LWT_XMIT, prog(fds["xmit"])), errno.EBADF, NOT_OPEN),
    "short descriptor": (
        lambda fds: nl.attr(nl.LWT_XMIT, nl.attr(nl.PROG_FD, b"ab") + nl.attr(
            nl.PROG_NAME, "name")), errno.ERANGE, "the attribute must be 4 bytes long"),
    "program twice": (
        lambda fds: 2 * nl.attr(nl.LWT_XMIT, prog(fds["xmit"])), errno.EINVAL,
        "duplicate attribute"),
    "name that goes on": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"], "name\0more")), errno.EINVAL, FOLLOWED),
    "headroom 257": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"])) + nl.attr(nl.LWT_HEADROOM, 257),
        errno.ERANGE, "headroom is at most 256 bytes"),
    "short headroom": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"])) + nl.attr(nl.LWT_HEADROOM, b"a"),
        errno.ERANGE, "the attribute must be 4 bytes long"),
    "long headroom": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"])) + nl.attr(nl.LWT_HEADROOM, bytes(8)),
        errno.EINVAL, "the attribute must be 4 bytes long"),
    "closed, and headroom 257": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["closed"])) + nl.attr(nl.LWT_HEADROOM, 257),
        errno.ERANGE, "headroom is at most 256 bytes"),
    "unknown attribute": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"])) + nl.attr(9, 1), errno.EINVAL,
        "Unknown attribute type"),
    "unknown attribute in a program": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"]) + nl.attr(9, 1)), errno.EINVAL,
        "Unknown attribute type"),
    "truncated nest": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"]))[:-8], errno.EINVAL, LEFTOVER),
    "truncated program": (
        lambda fds: nl.attr(nl.LWT_XMIT, prog(fds["xmit"])[:-4]), errno.EINVAL, LEFTOVER),
}


def routes(family):
    """Returns a's routes, without link-local ones: these appear a while after a device is up."""
    shown = sh(f"ip -{family} -n a -d route show table all")
    return [line for line in shown.splitlines() if " fe80:" not in line]


@FAMILIES
@parametrize_cases(ROUTES)
def test_routes(lasting, fds, family, case):
    encap, error, message = ROUTES[case]
    lasting.route(family, "encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit")
    try:
        before = routes(family)
        assert nl.add_route(family, lasting.ifindex, encap(fds)) == (error, ours(message))
        assert routes(family) == before
        assert lasting.ping(family)
    finally:
        sh(f"ip -{family} -n a route del {lasting.service(family)}")


@pytest.mark.differs("`LWT_BPF_XMIT_HEADROOM` of a route")
@FAMILIES
@pytest.mark.parametrize("hook", HOOKS)
def test_good_request_is_accepted(lasting, family, hook):
    # The same encoding with valid values is accepted, so the refusals have the stated reason.
    with program(f"lwt_{hook}", f"lwt_{hook}_ok") as fd:
        encap = nl.attr(HOOKS[hook], prog(fd, "x" * 256)) + nl.attr(nl.LWT_HEADROOM, 256)
        assert nl.add_route(family, lasting.ifindex, encap) == (0, "")
        route = f"ip -{family} -n a route {{}} {lasting.service(family)}"
        assert " " + "x" * 256 + " " in sh(route.format("show"))
        assert lasting.ping(family)
        sh(route.format("del"))


@FAMILIES
def test_dump_of_the_longest_names_fits(lasting, family):
    # Both the notification and the answer are allocated for the longest names.
    with (
        program("lwt_in", "lwt_in_ok") as input_,
        program("lwt_out", "lwt_out_ok") as output,
        program("lwt_xmit", "lwt_xmit_ok") as xmit,
    ):
        names = {hook: f"{hook}:" + "x" * (255 - len(hook)) for hook in HOOKS}
        encap = b"".join(
            nl.attr(HOOKS[hook], prog(fd, names[hook]))
            for hook, fd in (("in", input_), ("out", output), ("xmit", xmit)))
        assert nl.add_route(family, lasting.ifindex, encap) == (0, "")
        shown = sh(f"ip -{family} -n a route get {lasting.service(family)} fibmatch")
        assert all(f" {hook} {name} " in shown for hook, name in names.items())
        assert lasting.ping(family)
        sh(f"ip -{family} -n a route del {lasting.service(family)}")


@pytest.mark.usefixtures("lasting")
def test_ip_prints_extack_message():
    expect_extack("headroom is at most 256 bytes",
                  "ip -n a route add 10.1.0.1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit "
                  "headroom 257 via 10.0.0.2 dev va")


def options(fd, flags=nl.DIRECT, extra=b""):
    """Returns the attributes of a direct-action filter."""
    return nl.attr(nl.BPF_FD, fd) + nl.attr(nl.BPF_FLAGS, flags) + extra


def bytecode(insns, count=None):
    """Returns the attributes of classic bytecode; `count` replaces its number of instructions."""
    count = len(insns) // 8 if count is None else count
    return nl.attr(nl.BPF_OPS_LEN, struct.pack("=H", count)) + nl.attr(nl.BPF_OPS, insns)


RETURN_0 = struct.pack("=HBBI", 6, 0, 0, 0)
LENGTH = "bytecode must have 1 to 4096 instructions"
MISMATCH = "the length of the bytecode does not match its number of instructions"
CHECKER = "the bytecode is not valid"
BOTH_HALVES = "bytecode needs both its instructions and their number"
EITHER = "a bpf filter has either bytecode or a program, not both"
NOT_THE_ID = "TCA_BPF_ID is not the id of the program"
NOT_THE_TAG = "TCA_BPF_TAG is not the tag of the program"

FILTERS = {
    "no options": (
        lambda fds: None, errno.EINVAL,
        "TCA_OPTIONS is missing: a bpf filter needs bytecode or a program"),
    "neither": (
        lambda fds: nl.attr(nl.BPF_FLAGS, nl.DIRECT), errno.EINVAL,
        "a bpf filter needs bytecode or a program"),
    "half of bytecode": (
        lambda fds: nl.attr(nl.BPF_OPS_LEN, b"\1\0"), errno.EINVAL, BOTH_HALVES),
    "other half of bytecode": (
        lambda fds: nl.attr(nl.BPF_OPS, RETURN_0), errno.EINVAL, BOTH_HALVES),
    "both": (
        lambda fds: options(fds["tc"], extra=bytecode(RETURN_0)), errno.EINVAL, EITHER),
    "length of bytecode, and a program": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_OPS_LEN, b"\1\0")), errno.EINVAL,
        EITHER),
    "bytecode without its length, and a program": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_OPS, RETURN_0)), errno.EINVAL, EITHER),
    "bytecode with a name": (
        lambda fds: bytecode(RETURN_0) + nl.attr(nl.BPF_NAME, "name"), errno.EINVAL,
        "bytecode cannot have a name"),
    "no bytecode": (
        lambda fds: bytecode(b""), errno.EINVAL,
        "the bytecode is empty: a bpf filter needs bytecode or a program"),
    "4097 instructions": (lambda fds: bytecode(RETURN_0 * 4097), errno.ERANGE, LENGTH),
    "more instructions than said": (
        lambda fds: bytecode(RETURN_0 * 2, count=1), errno.EINVAL, MISMATCH),
    "fewer instructions than said": (
        lambda fds: bytecode(RETURN_0, count=2), errno.EINVAL, MISMATCH),
    "part of an instruction": (
        lambda fds: bytecode(RETURN_0[:7], count=1), errno.EINVAL, MISMATCH),
    "short number of instructions": (
        lambda fds: nl.attr(nl.BPF_OPS_LEN, b"\1") + nl.attr(nl.BPF_OPS, RETURN_0), errno.ERANGE,
        "the attribute must be 2 bytes long"),
    "bytecode without end": (
        lambda fds: bytecode(struct.pack("=HBBI", 0, 0, 0, 0)), errno.EINVAL, CHECKER),
    "unknown instruction": (
        lambda fds: bytecode(struct.pack("=HBBI", 0xFFFF, 0, 0, 0) + RETURN_0), errno.EINVAL,
        CHECKER),
    "jump out of the bytecode": (
        lambda fds: bytecode(struct.pack("=HBBI", 0x15, 9, 9, 0) + RETURN_0), errno.EINVAL,
        CHECKER),
    "wrong type without direct action": (
        lambda fds: options(fds["xmit"], flags=0), errno.EINVAL,
        "the file descriptor does not refer to a BPF program of type sched_cls"),
    "wrong type": (
        lambda fds: options(fds["xmit"]), errno.EINVAL,
        "the file descriptor does not refer to a BPF program of type sched_cls"),
    "no program behind it": (
        lambda fds: options(fds["file"]), errno.EINVAL,
        "the file descriptor does not refer to a BPF program of type sched_cls"),
    "closed descriptor": (lambda fds: options(fds["closed"]), errno.EBADF, NOT_OPEN),
    "name of 257 bytes": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_NAME, "x" * 257)), errno.EINVAL,
        TOO_LONG),
    "name and 254 zeros": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_NAME, b"name" + bytes(254))),
        errno.ERANGE, LONGER),
    "long name that goes on": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_NAME, b"name\0" + b"x" * 252)),
        errno.ERANGE, LONGER),
    "name without end": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_NAME, b"name")), errno.EINVAL,
        "the string is not NUL-terminated"),
    "short class": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_CLASSID, b"a")), errno.ERANGE,
        "the attribute must be 4 bytes long"),
    "class twice": (
        lambda fds: options(fds["tc"], extra=2 * nl.attr(nl.BPF_CLASSID, 1)), errno.EINVAL,
        "duplicate attribute"),
    "name that goes on": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_NAME, "name\0more")), errno.EINVAL,
        FOLLOWED),
    "name that goes on after zeros": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_NAME, b"name" + bytes(251) + b"x")),
        errno.EINVAL, FOLLOWED),
    "long class": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_CLASSID, bytes(8))), errno.EINVAL,
        "the attribute must be 4 bytes long"),
    "unknown flag": (
        lambda fds: options(fds["tc"], flags=3), errno.EINVAL, "unknown flag of a bpf filter"),
    "unknown generic flag": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_FLAGS_GEN, 4)), errno.EINVAL,
        "a bpf filter supports only the generic flags skip_hw and skip_sw"),
    "skip_hw and skip_sw": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_FLAGS_GEN, 3)), errno.EINVAL,
        "skip_hw and skip_sw are mutually exclusive"),
    "other generic flags than before": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_FLAGS_GEN, 1)), errno.EINVAL,
        "skip_hw and skip_sw cannot be changed: delete the filter and add it again"),
    "action without a kind": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_ACT, nl.attr(1, nl.attr(2)))),
        errno.EINVAL, "TC action kind must be specified"),
    "tag": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_TAG, b"12345678")), errno.EINVAL,
        NOT_THE_TAG),
    "short tag": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_TAG)), errno.EINVAL, NOT_THE_TAG),
    "id": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_ID, 0)), errno.EINVAL, NOT_THE_ID),
    "long id": (
        lambda fds: options(fds["tc"], extra=nl.attr(nl.BPF_ID, bytes(8))), errno.EINVAL,
        NOT_THE_ID),
    "tag of bytecode": (
        lambda fds: bytecode(RETURN_0) + nl.attr(nl.BPF_TAG, bytes(8)), errno.EINVAL, NOT_THE_TAG),
    "id of bytecode": (
        lambda fds: bytecode(RETURN_0) + nl.attr(nl.BPF_ID, 0), errno.EINVAL, NOT_THE_ID),
    "unknown attribute": (
        lambda fds: options(fds["tc"], extra=nl.attr(60, 1)), errno.EINVAL,
        "Unknown attribute type"),
    "truncated filter": (lambda fds: options(fds["tc"])[:-4], errno.EINVAL, LEFTOVER),
}


@pytest.fixture(scope="module", name="clsact")
def fixture_clsact(lasting):
    """The network with one filter that passes all packets, and a function that restores it."""
    lasting.route(4)
    lasting.tc("qdisc add dev va clsact")
    with program("classifier", "tc_ok") as fd:
        def restore():
            named = options(fd, extra=nl.attr(nl.BPF_NAME, "passes"))
            flags = nl.NLM_F_CREATE | nl.NLM_F_REPLACE
            assert nl.add_filter(lasting.ifindex, named, flags=flags) == (0, "")

        restore()
        yield lasting, restore


@pytest.fixture(name="tc")
def fixture_tc(clsact):
    """The network with that filter, which is restored if the C code has accepted a replacement."""
    net, restore = clsact
    yield net
    restore()


@pytest.mark.needs("NET_CLS_ACT")
@parametrize_cases(FILTERS)
def test_filters(tc, fds, case):
    wanted, error, message = FILTERS[case]
    before = tc.tc("filter show dev va egress"), program_ids()
    assert nl.add_filter(tc.ifindex, wanted(fds)) == (error, ours(message))
    if "before" not in case:
        # The same request for a new filter is refused as well.
        assert nl.add_filter(tc.ifindex, wanted(fds), handle=0) == (error, ours(message))
    assert (tc.tc("filter show dev va egress"), program_ids()) == before
    assert tc.ping()


@pytest.mark.needs("NET_CLS_ACT")
def test_refused_filter_leaves_no_priority(tc, fds):
    before = tc.tc("filter show dev va egress")
    assert nl.add_filter(tc.ifindex, nl.attr(nl.BPF_FD, fds["closed"]), prio=9)[0]
    assert tc.tc("filter show dev va egress") == before


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.beyond_c("`TCA_RATE` in a request without actions")
def test_estimator(tc, fds):
    rate = nl.attr(nl.TCA_RATE, b"\0\0")
    assert nl.add_filter(tc.ifindex, options(fds["tc"]), extra=rate) == (
        errno.EINVAL, "a rate estimator needs an action")


@pytest.mark.needs("NET_CLS_ACT")
def test_no_device_to_offload_to(tc, fds):
    before = tc.tc("filter show dev va egress")
    skip_sw = nl.attr(nl.BPF_FLAGS_GEN, 2)
    assert nl.add_filter(tc.ifindex, options(fds["tc"], extra=skip_sw), handle=2) == (
        errno.EOPNOTSUPP, ours("skip_sw, but not every device of the block takes the filter"))
    assert tc.tc("filter show dev va egress") == before


@pytest.mark.needs("NET_CLS_ACT")
def test_good_filter_is_accepted(tc, fds):
    # The same encoding with valid values.
    extra = nl.attr(nl.BPF_NAME, "x" * 256) + nl.attr(nl.BPF_CLASSID, 0x10002)
    assert nl.add_filter(tc.ifindex, options(fds["tc"], extra=extra), handle=5) == (0, "")
    assert " " + "x" * 256 + " " in tc.tc("filter show dev va egress")
    assert tc.dropped()
    tc.tc("filter del dev va egress prio 1 handle 5 bpf")


@pytest.mark.needs("NET_CLS_ACT")
@pytest.mark.usefixtures("tc")
@pytest.mark.parametrize("what, message", [
    ("bytecode '1,0 0 0 0,'", CHECKER),
    ("bytecode '1,6 0 0 0,' skip_hw skip_sw", "skip_hw and skip_sw are mutually exclusive"),
    ("da obj tc_ok.o sec tc action simple sdata hello", "Failed to load TC action module"),
])
def test_tc_prints_extack_message(what, message):
    expect_extack(message, f"tc -n a filter add dev va egress prio 2 bpf {what}")
