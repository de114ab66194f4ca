"""The contract suites with virtual machines of Vagrant's as hosts, unchanged, in a run of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from _vagrant import FOLDER, needs_vagrant

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200), pytest.mark.xdist_group("vagrant"), needs_vagrant]
LONGEST_S = 3600


@pytest.mark.parametrize("suite", ["test_machine", "test_kvm", "test_migration"])
def test_it_passes_there(suite: str, tmp_path: Path) -> None:
    """Every test of the suite that runs on hosts in namespaces passes on these."""
    log = tmp_path / "log"  # that one may follow
    with log.open("w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--timeout", str(LONGEST_S),
             "--durations=10", f"tests/contract/{suite}.py", "-m", "not slow"],
            cwd=FOLDER.parent, env=os.environ | {"LABKIT_TEST_HOSTS": "vagrant"}, stdout=out, stderr=subprocess.STDOUT,
            timeout=LONGEST_S, check=False,
        )  # fmt: skip
    said = log.read_text()
    print(said[-9000:])
    assert done.returncode == 0
    assert " passed" in said
