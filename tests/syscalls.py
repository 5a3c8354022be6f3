# SPDX-License-Identifier: GPL-2.0-only
"""Numbers of system calls for which Python has no function."""

import platform

CAPSET, DELETE_MODULE, FINIT_MODULE, BPF = {
    "x86_64": (126, 176, 313, 321), "aarch64": (91, 106, 273, 280),
}[platform.machine()]
