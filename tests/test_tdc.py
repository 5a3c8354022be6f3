# SPDX-License-Identifier: GPL-2.0-only
"""The tdc suite of the classifier, from the kernel's source."""

import json
import re

import pytest
from conftest import BPF, KERNEL, module_loaded, sh
from network import Net
from sides import SIDE

pytestmark = pytest.mark.needs("NET_CLS_ACT")
SUITE = KERNEL / "source/tools/testing/selftests/tc-testing"
CASES = SUITE / "tc-tests/filters/bpf.json"


@pytest.fixture(scope="module", name="report")
def fixture_report(tmp_path_factory):
    """Returns the results of tdc by case ID: the verdict and the name."""
    assert not module_loaded({"rust": "cls_bpf", "c": "lwtcls"}[SIDE])
    # tdc deletes all network namespaces when it ends, so none of a scenario may be left.
    Net.delete_current()
    where = tmp_path_factory.mktemp("tdc")
    # tdc runs in the source, where it finds its plugins, but it must not write there.
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
    """Returns the names of the file's cases by ID."""
    return {case["id"]: case["name"] for case in json.loads(CASES.read_text())}


def test_no_case_of_the_kernel_fails_or_is_skipped(report, cases):
    assert cases
    assert report == {number: f"ok {name}" for number, name in cases.items()}
