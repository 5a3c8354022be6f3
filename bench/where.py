# SPDX-License-Identifier: GPL-2.0-only
"""Attributes the instructions that count.so has counted to functions."""

import bisect
import collections
import re
import subprocess

# The name for code without a symbol.
PROGRAMS = "BPF programs, trampolines"
# Instructions that fewer than this fraction of the packets execute are left out.
RARE = 1 / 50
# The functions of net/core/lwt_bpf.c, for a kernel without object files.
LWT_BPF = {"run_lwt_bpf", "bpf_input", "bpf_output", "bpf_xmit", "bpf_lwt_push_ip_encap",
           "bpf_lwt_xmit_reroute", "bpf_lwt_input_reroute", "bpf_lwt_prog_destroy",
           "bpf_destroy_state", "bpf_parse_prog", "bpf_build_state", "bpf_fill_lwt_prog",
           "bpf_fill_encap_info", "bpf_encap_nlsize", "bpf_lwt_prog_cmp", "bpf_encap_cmp"}
# An address at a greater offset does not belong to the function.
FUNCTION = 1 << 16


class Symbols:
    """The functions of a kernel and of the modules in a guest. Those of the hooks are `own`: the
    module lwtcls, or the C implementations."""

    def __init__(self, kernel, log):
        system = kernel / "System.map"
        listed = [text.split() for text in system.read_text().splitlines()] \
            if system.exists() else []
        listed += [text.split()[1:] for text in log.read_text().splitlines()
                   if text.startswith("SYMBOL ")]
        self.found = sorted((int(address, 16), name, module[0].strip("[]") if module else "")
                            for address, kind, name, *module in listed if kind in "tTwW")
        self.addresses = [address for address, _, _ in self.found]
        reference = kernel / "net/core/lwt_bpf.o"
        self.own = functions_of(reference) if reference.exists() \
            else set() if system.exists() else LWT_BPF

    def at(self, address):
        """Returns the function of an address, and whether it is an own one."""
        number = bisect.bisect(self.addresses, address) - 1
        start, name, module = self.found[number] if number >= 0 else (0, "", "")
        if address - start > FUNCTION or module in ("bpf", "__builtin__ftrace"):
            return PROGRAMS, False
        return name, module in ("lwtcls", "cls_bpf") or not module and name in self.own


def functions_of(obj):
    """Returns the functions that an object file defines."""
    listed = subprocess.run(["nm", "--defined-only", obj], text=True, capture_output=True,
                            check=True).stdout
    return {line.split()[2] for line in listed.splitlines() if line.split()[1] in "tT"}


def runs_per_packet(times, packets):
    """Returns how often a packet executes a run of instructions. Rounds away sporadic work of the
    kernel, which few of the packets meet."""
    rate = times / packets
    return round(rate) if abs(rate - round(rate)) < RARE else rate


def executed(counts, symbols, lines):
    """Returns kernel instructions per packet or request, by window and function."""
    found = collections.defaultdict(collections.Counter)
    of = {window: line for line in lines for window in line["windows"]}
    for text in counts.read_text().splitlines():
        window, address, insns, times = text.split()
        line, address = of.get(int(window)), int(address, 16)
        if line is None or not address >> 63:
            continue
        request, times = line["unit"] == "request", int(times)
        rate = times / line["of"] if request else runs_per_packet(times, line["of"])
        if rate:
            found[int(window)][symbols.at(address)] += int(insns) * rate
    return found


def writers_of_shared_lines(accesses, symbols):
    """Reads the output of lines.so; returns by window the own functions that write to cache lines
    which another CPU reads or writes."""
    lines = collections.defaultdict(list)
    for text in accesses.read_text().splitlines():
        window, kind, line, insn = text.split()
        lines[int(window), line].append((int(kind, 16), int(insn, 16)))
    found = collections.defaultdict(set)
    for (window, _), seen in lines.items():
        if len({kind >> 1 for kind, _ in seen}) > 1:
            writers = {symbols.at(insn) for kind, insn in seen if kind & 1}
            found[window] |= {name for name, is_own in writers if is_own}
    return found


def readable(names):
    """Returns the demangled names of symbols."""
    names = sorted(names)
    plain = subprocess.run(["c++filt"], input="\n".join(re.sub(r"\.llvm\.\d+$", "", name)
                                                         for name in names),
                           text=True, capture_output=True, check=True).stdout.splitlines()
    return dict(zip(names, plain, strict=True))


def table(lines):
    """Returns the text of the functions of each line with their instructions per packet or request.
    `lines` has the name, and for each side a Counter of these by function."""
    names = readable({name for _, *sides in lines for side in sides for name, _ in side})
    text = []
    for title, c, rust in lines:
        text.append(f"\n{title}\n{'C':>9} {'lwtcls':>9}")
        for function in sorted(set(c) | set(rust),
                               key=lambda one: -max(c[one], rust[one])):
            if max(c[function], rust[function]) >= 1:
                text.append(f"{c[function]:9.1f} {rust[function]:9.1f} "
                            f"{'*' if function[1] else ' '} {names[function[0]]}")
    return "\n".join(text) + "\n"
