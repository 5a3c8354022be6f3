# SPDX-License-Identifier: GPL-2.0-only
"""The lines of the table about requests."""

import random
import struct
import time

import nl
from counting import counting_window, print_line
from guest import WHAT, sh


def control():
    """Measures requests one by one, system call included."""
    handles = list(range(1, 1 << 20))
    random.Random(1).shuffle(handles)
    sh("tc qdisc add dev d1 clsact")
    parent, index = nl.TC_H_CLSACT_INGRESS, 101
    # The C takes minutes to add 100,000 filters, so only the first run has them.
    sizes = (10, 1000, 100000) if WHAT == "count" else (10, 1000)
    sh("bpftool prog load tc_unspec.o /run/bpf/filter type classifier")
    options = nl.attr(nl.BPF_FD, nl.open_pinned("/run/bpf/filter")) \
        + nl.attr(nl.BPF_NAME, "tc_unspec.o:[tc]") + nl.attr(nl.BPF_FLAGS, nl.DIRECT)

    def bodies(some, options=None):
        return [nl.tfilter(index, handle, options, parent) for handle in some]

    there = 0
    with nl.Requests(None) as requests:
        requested = {
            "get": (nl.RTM_GETTFILTER, 0),
            "delete": (nl.RTM_DELTFILTER, 0),
            "add": (nl.RTM_NEWTFILTER, nl.NLM_F_CREATE | nl.NLM_F_EXCL, options)}

        def count(kind, flags, some, options=None):
            """Returns the seconds of each request, and their window."""
            with counting_window() as number:
                seconds = [requests.send(kind, flags, [body]) for body in bodies(some, options)]
            assert all(answer[0] != nl.NLMSG_ERROR for answer in requests.answers())
            return seconds, number

        for size in sizes:
            while there < size:
                step = handles[there:min(there + 500, size)]
                requests.send(nl.RTM_NEWTFILTER, nl.NLM_F_CREATE | nl.NLM_F_EXCL,
                              bodies(step, options))
                there += len(step)
            assert not requests.answers()
            # A random sample, because the C looks at the newest filters first.
            some = random.Random(size).sample(handles[:there], min(there, 101))
            found = {verb: ([], []) for verb in requested}
            # Repeats a small sample: an interrupt might hit too large a part of it.
            for _ in range(101 // len(some)):
                for verb, what in requested.items():
                    seconds, number = count(*what[:2], some, *what[2:])
                    found[verb][0].extend(seconds)
                    found[verb][1].append(number)
            for verb, (seconds, windows) in found.items():
                print_line(f"{verb} a filter, {size} there", None,
                           sorted(seconds)[len(seconds) // 2] * 1e9,
                           {"windows": windows, "of": len(some)}, "request")
    sh("tc qdisc del dev d1 clsact")
    # Waits until the filters are freed.
    time.sleep(5)

    sh("bpftool prog load lwt_xmit_ok.o /run/bpf/route type lwt_xmit")
    program = nl.attr(nl.PROG_FD, nl.open_pinned("/run/bpf/route")) \
        + nl.attr(nl.PROG_NAME, "lwt_xmit_ok.o:[lwt_xmit]")
    with nl.Requests(None) as requests:
        head = struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 4, 0, 1, 0) \
            + nl.attr(nl.RTA_DST, bytes([10, 5, 0, 1])) + nl.attr(nl.RTA_OIF, 102)
        encapsulation = nl.attr(nl.RTA_ENCAP_TYPE, struct.pack("=H", nl.ENCAP_BPF)) \
            + nl.attr(nl.RTA_ENCAP, nl.attr(nl.LWT_XMIT, program))
        # The baseline: the cost of a route's per-CPU allocation depends on the state of that
        # allocator, which differs between the two kernels.
        plain = " without encapsulation"
        for what, base, body in ((plain, None, head), ("", plain, head + encapsulation)):
            adds, dels = [], []
            with counting_window() as number:
                for _ in range(101):
                    adds.append(requests.send(nl.RTM_NEWROUTE, nl.NLM_F_CREATE | nl.NLM_F_EXCL,
                                              [body]))
                    dels.append(requests.send(nl.RTM_DELROUTE, 0, [body]))
                    # Waits until the per-CPU memory of the route is freed, so that each allocation
                    # searches the same free areas.
                    time.sleep(0.05)
            assert not requests.answers()
            where = {"windows": [number], "of": 101}
            for verb, seconds in (("add", adds), ("delete", dels)):
                print_line(f"{verb} a route{what}", base and f"{verb} a route{base}",
                           sorted(seconds)[50] * 1e9, where, "request")
