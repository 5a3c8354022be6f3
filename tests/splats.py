# SPDX-License-Identifier: GPL-2.0-only
"""Recognizes kernel splats in a log. The host uses this file too, so it imports none of the
others.

splats.py LOG: prints the lines with a splat. Fails if there is one."""

import pathlib
import re
import sys

SPLAT = re.compile(
    r"WARNING:|BUG:|Oops:|KASAN:|UBSAN:|KCSAN:|INFO: (task|possible|trying|rcu)|kernel BUG at"
    r"|possible (circular|recursive) locking|suspicious RCU usage|inconsistent lock state"
    r"|refcount_t:|ref_tracker:|unregister_netdevice: waiting|Kernel panic|general protection"
    r"|rust_kernel: panicked|list_(add|del) corruption|Call [Tt]race:|scheduling while atomic"
    r"|sleeping function called|stack guard page|soft lockup|hard LOCKUP|kmemleak: \d+ new"
)
# Between these lines a scenario injects allocation failures, so the allocator's report and its call
# trace are expected. So is KASAN's report about btf_relocate(), a bug of the kernel that failing
# allocations trigger while it parses the module's BTF, before the module's own code runs.
FAILING, FAILING_NO_MORE = "lwtcls: allocations fail", "lwtcls: allocations succeed again"
MISSING = re.compile(r": (page allocation failure|vmalloc error): |KASAN: .* in btf_relocate\+")
MISSING_END = "</TASK>"
UNTRACKED = "ref_tracker: memory allocation failure"
# KCSAN names both racing functions. Races within the kernel are many, and out of scope.
RACE, OURS = "BUG: KCSAN: ", "[lwtcls]"


def splats(lines):
    """Returns the numbers, from 0, of the lines with a splat."""
    found, failing, missing = [], False, False
    for number, line in enumerate(lines):
        if FAILING in line:
            failing = True
        elif FAILING_NO_MORE in line:
            failing = missing = False
        elif failing and MISSING.search(line):
            missing = True
        elif failing and UNTRACKED in line:
            continue
        elif missing:
            missing = MISSING_END not in line
        elif RACE in line:
            if OURS in line:
                found.append(number)
        elif SPLAT.search(line) and "ommand line:" not in line:
            found.append(number)
    return found


def main():
    """Prints the lines with a splat."""
    lines = pathlib.Path(sys.argv[1]).read_text(errors="replace").splitlines()
    found = splats(lines)
    for number in found:
        print(lines[number])
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
