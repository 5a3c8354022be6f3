# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel says when something is wrong with it. Read on the host, too: no imports of ours."""

import re

SPLAT = re.compile(
    r"WARNING:|BUG:|Oops:|KASAN:|UBSAN:|KCSAN:|INFO: (task|possible|trying|rcu)|kernel BUG at"
    r"|possible (circular|recursive) locking|suspicious RCU usage|inconsistent lock state"
    r"|refcount_t:|ref_tracker:|unregister_netdevice: waiting|Kernel panic|general protection"
    r"|rust_kernel: panicked|list_(add|del) corruption|Call Trace:|scheduling while atomic"
    r"|sleeping function called|stack guard page|soft lockup|hard LOCKUP|kmemleak: \d+ new"
)
# Between these lines allocations fail because a scenario wants it, and the allocator's report of
# it, with a call trace, is no complaint. Nor is what the kernel does then to memory of its own,
# while it reads the types of a module: that happens before the module's own code runs.
FAILING, FAILING_NO_MORE = "lwtcls: allocations fail", "lwtcls: allocations succeed again"
MISSING = re.compile(r": (page allocation failure|vmalloc error): |KASAN: .* in btf_relocate\+")
MISSING_END = "</TASK>"
UNTRACKED = "ref_tracker: memory allocation failure"
# KCSAN names the two functions that race. Those of the kernel's own are many, and not ours.
RACE, OURS = "BUG: KCSAN: ", "[lwtcls]"


def splats(lines):
    """The numbers of the lines, from 0, that are complaints."""
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
