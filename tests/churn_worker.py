# SPDX-License-Identifier: GPL-2.0-only
"""Processes that run operations concurrently."""

import collections
import multiprocessing
import os
import time
import traceback

FORK = multiprocessing.get_context("fork")


class Worker:
    """A process that repeats an operation until it is told to stop, or until a deadline."""

    def __init__(self, name, what, *args, until=None):
        self.name = name
        self.pipe, self.its_pipe = FORK.Pipe()
        self.until = until
        self.process = FORK.Process(target=self.run, args=(what, args))
        self.process.start()

    def going(self):
        """Returns whether to continue."""
        if self.until:
            return time.monotonic() < self.until
        return not self.its_pipe.poll()

    def run(self, what, args):
        """Main function of the process."""
        done, wrong = collections.Counter(), ""
        try:
            what(done, self.going, *args)
        except BaseException:
            wrong = traceback.format_exc()
        self.its_pipe.send((done, wrong))

    def stop(self):
        """Tells the process to stop."""
        self.pipe.send(None)

    def result(self, seconds):
        """Returns the counts of the process, and the traceback if it failed."""
        if not self.pipe.poll(seconds):
            return collections.Counter(), f"does not end within {seconds:.0f} s"
        result = self.pipe.recv()
        self.process.join()
        return result

    def end(self):
        """Kills the process if it is still running."""
        self.process.kill()
        self.process.join()


def enter_netns(namespace):
    """Moves this process into a namespace."""
    with open(f"/run/netns/{namespace}", "rb") as there:
        os.setns(there.fileno(), os.CLONE_NEWNET)
