"""Each bench runs to its end and prints its table; the figures are for people to read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHES = sorted(Path(__file__).parent.glob("bench_*.py"))


@pytest.mark.slow
@pytest.mark.xdist_group("bench")
@pytest.mark.parametrize("bench", BENCHES, ids=lambda path: path.stem)
def test_bench_prints_its_table(bench: Path) -> None:
    """The bench measures each of its cases and ends well."""
    done = subprocess.run([sys.executable, bench, "-n", "1"], capture_output=True, text=True, timeout=600, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "ratio" in done.stdout
