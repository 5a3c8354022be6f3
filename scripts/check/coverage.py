#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""coverage.py MODULE LOG...: reports the line coverage of the module by the guests that wrote LOG.

Counts the lines of the module's source that have instructions in the module, and those with at
least one executed instruction. Inlined copies of a line count too. Lists the lines that were not
executed.

KCOV reports only the places that the compiler instrumented. The compiler does not instrument a
block whose execution follows from that of other blocks. This script infers the execution of such
blocks from the control flow graph, by dominators and post-dominators. Assembly is not instrumented
and not counted.
"""

import base64
import bisect
import collections
import itertools
import pathlib
import re
import subprocess
import sys
import tempfile
import zlib

TOP = pathlib.Path(__file__).resolve().parents[2]
CALLED = "__sanitizer_cov_trace_pc"
# Calls that do not return. Nothing continues after a warning (ud2) either.
NO_RETURN = re.compile(r"core9panicking|__stack_chk_fail")
ENDS = ("ret", "jmp", "ud2", "int3")


def run_tool(*words, **options):
    """Runs a command; returns its output."""
    return subprocess.run(words, text=True, capture_output=True, check=True, **options).stdout


class Function:
    """A function: its instructions and control flow."""

    def __init__(self):
        # By address: jump targets, and whether the next instruction can follow.
        self.insns, self.marks, self.indirect = {}, set(), set()

    def blocks(self, table):
        """Returns the start of each basic block, and its successors. `table` has the possible
        targets of indirect jumps."""
        order = sorted(self.insns)
        there = set(order)
        # The last instruction has no successor in sequence, but may jump.
        begins = {order[0]} | (table & there if self.indirect else set())
        begins |= self.insns[order[-1]][0] & there
        for at, after in itertools.pairwise(order):
            goals, goes_on = self.insns[at]
            begins |= goals & there
            if goals or not goes_on:
                begins.add(after)
        begins = sorted(begins)
        after = {}
        for begin, next_ in zip(begins, [*begins[1:], None], strict=True):
            last = order[(bisect.bisect_left(order, next_) if next_ else len(order)) - 1]
            goals, goes_on = self.insns[last]
            goals = set(goals & there)
            if last in self.indirect:
                goals |= table & there
            if goes_on and next_:
                goals.add(next_)
            after[begin] = goals
        return begins, after

    def executed(self, been, table):
        """Returns the instructions that were executed if the marks in `been` were."""
        begins, after = self.blocks(table)
        number = {begin: at for at, begin in enumerate(begins)}
        after = [[number[goal] for goal in after[begin]] for begin in begins]
        before = [[] for _ in begins]
        for at, goals in enumerate(after):
            for goal in goals:
                before[goal].append(at)
        reached = {bisect.bisect(begins, mark) - 1 for mark in self.marks & been}
        # If a block was executed, so were its dominators, and its post-dominators, because each
        # call of a function reaches one of its ends.
        always = [dominators(before, [0]),
                  dominators(after, [at for at, goals in enumerate(after) if not goals])]
        more = reached
        while more:
            found = {each for at in more for ways in always for each in ways[at]}
            more, reached = found - reached, reached | found
        return {at for at in self.insns if bisect.bisect(begins, at) - 1 in reached}


def dominators(before, first):
    """Returns the dominators of each node, with the entry nodes `first`. `before` has the
    predecessors of each node. An unreachable node has only itself."""
    count = len(before)
    everything = (1 << count) - 1
    known = [everything] * count
    for at in first:
        known[at] = 1 << at
    changed = True
    while changed:
        changed = False
        for at in range(count):
            if at in first:
                continue
            ways = everything
            for each in before[at]:
                ways &= known[each]
            ways |= 1 << at
            if ways != known[at]:
                known[at], changed = ways, True
    return [[at] if ways == everything and count > 1 else
            [each for each in range(count) if ways >> each & 1]
            for at, ways in enumerate(known)]


def link_module(module, where):
    """Links the module, so that each section has a unique address. Returns the text sections:
    {name: (address, size)}."""
    run_tool("ld", "--unresolved-symbols=ignore-all", "--emit-relocs", "-e", "0", "-o", where,
             module)
    heads = re.findall(r"^ +\d+ (\.\S*text) +(\S+) +(\S+)", run_tool("objdump", "-h", where), re.M)
    return {name: (int(start, 16), int(size, 16)) for name, size, start in heads}


def functions(program):
    """Returns the functions of a linked module."""
    found, at = [], None
    listed = run_tool("objdump", "-d", "-r", "--no-show-raw-insn", program)
    for line in listed.splitlines():
        if re.match(r"[0-9a-f]+ <", line):
            found.append(Function())
        elif reloc := re.match(r"\t+[0-9a-f]+: R_\S+\s+(\S+)", line):
            if CALLED in reloc[1]:
                found[-1].marks.add(at)
            elif NO_RETURN.search(reloc[1]):
                found[-1].insns[at] = set(), False
        elif insn := re.match(r" *([0-9a-f]+):\t(\w+)(?: +(\S+))?", line):
            at, name, goal = int(insn[1], 16), insn[2], insn[3]
            jumps = name.startswith("j")
            goals = {int(goal, 16)} if jumps and not goal.startswith("*") else set()
            if jumps and not goals:
                found[-1].indirect.add(at)
            found[-1].insns[at] = goals, name not in ENDS
    return found


def table_of_jumps(program, text):
    """Returns the addresses in .text to which jump tables point."""
    listed = run_tool("objdump", "-r", "-j", ".rodata", program)
    return {text + int(each, 16) for each in re.findall(r"\s\.text\+0x([0-9a-f]+)", listed)}


def lines_of(program, addresses):
    """Returns the source lines of each instruction, including those it is inlined into."""
    found, at = {address: set() for address in addresses}, None
    # addr2line of binutils cannot read all debug info of LLVM.
    listed = run_tool("llvm-addr2line", "-a", "-i", "-e", program,
                      input="\n".join(f"{address:#x}" for address in addresses))
    for line in listed.splitlines():
        if line.startswith("0x"):
            at = int(line, 16)
            continue
        name, _, number = line.partition(" ")[0].rpartition(":")
        path = pathlib.Path(name)
        if (path.is_relative_to(TOP / "rust") and path.suffix != ".S" and number.isdigit()
                and number != "0"):
            found[at].add((str(path.relative_to(TOP)), int(number)))
    return found


def reached(logs):
    """Returns the places that the guests reached: (section name, offset)."""
    found = set()
    for log in logs:
        text = pathlib.Path(log).read_text(errors="replace")
        parts = re.findall(r"^measured: coverage: (\S+)$", text, re.M)
        if parts:
            text = zlib.decompress(base64.b85decode("".join(parts))).decode()
            places = (line.split() for line in text.splitlines() if line.startswith("."))
            found |= {(section, int(offset, 16)) for section, offset in places}
    return found


def ranges(numbers):
    """Formats numbers as text, consecutive ones as a range."""
    found = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return " ".join(f"{first}-{last}" if first != last else f"{first}" for first, last in found)


def main():
    """Prints the coverage of each file, and the lines that were not reached."""
    places, everywhere, there, marks, hit = reached(sys.argv[2:]), set(), set(), 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        program = f"{scratch}/program"
        starts = link_module(sys.argv[1], program)
        # Skip instrumented code of the kernel.
        been = {starts[name][0] + offset for name, offset in places
                if name in starts and offset < starts[name][1]}
        each, table = functions(program), table_of_jumps(program, starts[".text"][0])
        order = sorted(at for one in each for at in one.insns)
        lines = lines_of(program, order)
    # KCOV records the return address of the call.
    marked = {at for at, after in itertools.pairwise(order) if after in been}
    for one in each:
        executed = one.executed(marked, table)
        marks, hit = marks + len(one.marks), hit + len(one.marks & marked)
        for at in one.insns:
            everywhere |= lines[at]
            there |= lines[at] if at in executed else set()
    if not marks:
        sys.exit(f"error: nothing in {sys.argv[1]} is marked: is it built for a kernel with KCOV?")
    files = collections.defaultdict(list)
    for name, number in sorted(everywhere):
        files[name].append(number)
    for name, numbers in files.items():
        missing = [number for number in numbers if (name, number) not in there]
        print(f"{name:44} {len(numbers) - len(missing):4} of {len(numbers):4}"
              + (f"   not: {ranges(missing)}" if missing else ""))
    print(f"coverage: {len(there)} of {len(everywhere)} lines, "
          f"{100 * len(there) / len(everywhere):.1f} %; {hit} of {marks} marks")


if __name__ == "__main__":
    main()
