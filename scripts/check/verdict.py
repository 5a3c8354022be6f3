#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""verdict.py LINUX LOGS: determines the result of a test run from its logs.

The kernel's kunit.py parses the KTAP of the suites. The scenarios are counted from their summary
line. A splat in a kernel log fails the run, whatever the tests report.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
from splats import splats  # noqa: E402


def suites(linux, log):
    """Returns the numbers of passed and failed KUnit cases."""
    # The kernel's own suites run at boot, and kunit.py parses one report per log.
    text = log.read_text(errors="replace")
    _, _, text = text.partition("lwtcls: suites begin")
    text, _, _ = text.partition("lwtcls: suites end")
    with tempfile.NamedTemporaryFile() as report, tempfile.NamedTemporaryFile("w") as ours:
        ours.write(text)
        ours.flush()
        tool = pathlib.Path(linux) / "tools/testing/kunit/kunit.py"
        subprocess.run(
            [sys.executable, tool, "parse", f"--json={report.name}", ours.name],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )
        try:
            tree = json.loads(pathlib.Path(report.name).read_text())
        except json.JSONDecodeError:
            return 0, 1

    def cases(group):
        yield from group.get("test_cases", [])
        for sub in group.get("sub_groups", []):
            yield from cases(sub)

    results = [case["status"] for case in cases(tree)]
    return results.count("PASS"), len(results) - results.count("PASS")


def first_splat(log):
    """Returns the first splat in a kernel log, and the lines that follow it."""
    lines = log.read_text(errors="replace").splitlines()
    for number in splats(lines)[:1]:
        return [f"the kernel complained, line {number + 1} of {log.name}:"] + [
            f"    {each[:150]}" for each in lines[number:number + 40]]
    return []


def abnormal_end(logs, name):
    """Returns the last output of a guest, if its tests did not end with status 0."""
    said = (logs / f"{name}.log").read_text(errors="replace")
    if "guest: tests ended with status 0" in said:
        return []
    last = [line for line in said.splitlines() if not line.startswith("journal: ")][-60:]
    return [f"{name}: did not end well:"] + [f"    {line[:150]}" for line in last]


def main():
    """Prints the failures and the summary line."""
    linux, logs = sys.argv[1], pathlib.Path(sys.argv[2])
    passed = failed = scenarios = 0
    wrong = []
    for kernel in sorted(logs.glob("*.kernel.log")):
        name = kernel.name.removesuffix(".kernel.log")
        said = (logs / f"{name}.log").read_text(errors="replace")

        if "lwtcls: suites begin" in kernel.read_text(errors="replace"):
            good, bad = suites(linux, kernel)
            print(f"{name}: kunit: {good} passed, {bad} failed")
            passed, failed = passed + good, failed + bad
        elif name == "setup" and not re.search("^left out: KUnit suites:", said, re.MULTILINE):
            wrong.append("no KUnit suite ran")

        for line in re.findall(r"^left out: .*", said, re.MULTILINE):
            print(f"{name}: {line}")
        count = re.search(r"functional: (\d+) passed, (\d+) failed, (\d+) skipped", said)
        if count:
            good, bad, skipped = map(int, count.groups())
            print(f"{name}: {count.group(0)}")
            passed, failed = passed + good, failed + bad
            if skipped:
                wrong.append(f"{name}: {skipped} scenarios were skipped")
            scenarios += good + bad
        wrong += abnormal_end(logs, name) + first_splat(kernel)

    if not scenarios:
        wrong.append("no scenario ran")
    for line in wrong:
        print(line)
    if wrong and not failed:
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
