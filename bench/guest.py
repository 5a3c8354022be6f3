# SPDX-License-Identifier: GPL-2.0-only
"""What all parts of measure.py share: its arguments, and access to the guest that it runs in."""

import os
import pathlib
import subprocess
import sys

SIDE, BUILD, KERNEL = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
WHAT = sys.argv[4]
BPF = BUILD / "bpf"
PACKETS = {"touch": 500, "few": 8000,
           "cycles": int(os.environ.get("LWTCLS_PACKETS", 0))}.get(WHAT, 40000)
# How often each line is counted. The minimum is used; for perf, the median.
ROUNDS = {"cycles": 9}.get(WHAT, 3)
# How often all lines are measured in turn: what disturbs all rounds of one pass is not in another.
PASSES = 3 if WHAT == "touch" else 1


def sh(command):
    """Runs a command in the directory of the BPF programs."""
    result = subprocess.run(command, shell=True, cwd=BPF, text=True, capture_output=True,
                            check=False)
    if result.returncode:
        sys.exit(f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def disable_background_work():
    """Disables background work of some kernels: DAMON samples page accesses."""
    knob = pathlib.Path("/sys/module/damon_stat/parameters/enabled")
    if knob.exists():
        knob.write_text("N")


def symbols():
    """Prints the symbols of modules, and those of the kernel if there is no System.map."""
    everything = not (KERNEL / "System.map").exists()
    for text in pathlib.Path("/proc/kallsyms").read_text().splitlines():
        if everything or text.endswith("]"):
            print("SYMBOL " + text, flush=True)
