"""What the tests of faults share besides `_world`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `_world`, which no package holds


@pytest.fixture
def as_root() -> None:
    """What only root can do to a machine."""
    if os.geteuid() != 0:
        pytest.skip("only root can do to this machine what this test needs")
