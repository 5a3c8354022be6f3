# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own test of the classifier, as it lies in the kernel's source."""

import json
import re

import pytest
from conftest import BPF, KERNEL, loaded, sh
from network import Net
from sides import SIDE

SUITE = KERNEL / "source/tools/testing/selftests/tc-testing"
CASES = SUITE / "tc-tests/filters/bpf.json"


# tdc deletes all network namespaces: none of a scenario may be about.
@pytest.fixture(scope="module", name="report")
def fixture_report(tmp_path_factory):
    """What tdc says of its cases, by their numbers: the rest of each line."""
    assert not loaded({"rust": "cls_bpf", "c": "lwtcls"}[SIDE])
    # tdc deletes all namespaces that there are when it ends.
    Net.clear()
    where = tmp_path_factory.mktemp("tdc")
    # The source stays as it is: tdc runs in it, for it finds its plugins there, but writes here.
    (where / "tdc_config_local.py").write_text(f"EXTRA_NAMES = {{'EBPFDIR': '{BPF}'}}\n")
    said = sh(f"cd {SUITE} && PYTHONPATH={where} PYTHONDONTWRITEBYTECODE=1 "
              f"python3 tdc.py -f {CASES} --outfile {where}/results.tap", check=False)
    print(said.stdout, said.stderr)
    assert said.returncode == 0
    results = (where / "results.tap").read_text()
    lines = re.findall(r"^(ok|not ok) \d+ ([0-9a-f]{4}) - (.*)$", results, re.MULTILINE)
    assert re.search(rf"^1\.\.{len(lines)}$", results, re.MULTILINE)
    return {number: f"{verdict} {name}" for verdict, number, name in lines}


@pytest.fixture(scope="module", name="cases")
def fixture_cases():
    """The cases of the file: their names by their numbers."""
    return {case["id"]: case["name"] for case in json.loads(CASES.read_text())}


def test_no_case_of_the_kernel_fails_or_is_skipped(report, cases):
    assert cases
    assert report == {number: f"ok {name}" for number, name in cases.items()}
