# SPDX-License-Identifier: GPL-2.0-only
"""Records which code of the module this thread reaches, if the kernel has KCOV.

KCOV counts only code that runs in the context of the thread's system calls, and no softirqs or
kernel threads.
"""

import base64
import ctypes
import fcntl
import os
import pathlib
import zlib

from conftest import MODULE, map_file

KCOV = pathlib.Path("/sys/kernel/debug/kcov")
SECTIONS = pathlib.Path(f"/sys/module/{MODULE.stem}/sections")
INIT_TRACE, ENABLE, DISABLE, TRACE_PC = 0x80086301, 0x6364, 0x6365, 0
WORDS = 1 << 20


class Coverage:
    """The code that was reached, as offsets in the sections of the module's file."""

    def __init__(self):
        self.reached, self.file = set(), None
        if not KCOV.exists():
            return
        self.file = os.open(KCOV, os.O_RDWR)
        fcntl.ioctl(self.file, INIT_TRACE, WORDS)
        self.words = map_file(self.file, ctypes.c_uint64 * WORDS)
        fcntl.ioctl(self.file, ENABLE, TRACE_PC)

    def collect(self):
        """Collects the code that was reached since the last call. Requires that the module has not
        been reloaded since."""
        if self.file is None or not (count := self.words[0]):
            return
        found = set(self.words[1:count + 1])
        self.words[0] = 0
        self.reached |= {self.place(address) for address in found}

    def forget(self):
        """Discards what was recorded since the last call, because the module's address is not
        known."""
        if self.file is not None:
            self.words[0] = 0

    def begin(self):
        """Reads the addresses of the sections after the module was loaded."""
        texts = {}
        for file in SECTIONS.glob(".*text*"):
            if start := int(file.read_text(), 16):
                texts[start] = file.name
        self.texts = sorted(texts.items(), reverse=True)

    def place(self, address):
        """Returns the section of an address and the offset in it."""
        for start, name in self.texts:
            if address >= start:
                return name, address - start
        return "", address

    def close(self):
        """Stops recording."""
        if self.file is not None:
            fcntl.ioctl(self.file, DISABLE, 0)
            os.close(self.file)

    def show(self):
        """Returns lines with the coverage for scripts/check/coverage.py."""
        text = "\n".join(f"{name} {offset:x}" for name, offset in sorted(self.reached))
        text = base64.b85encode(zlib.compress(text.encode(), 9)).decode()
        return [f"coverage: {text[at:at + 2000]}" for at in range(0, len(text), 2000)]
