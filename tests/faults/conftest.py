"""Lets the tests of faults find what they share."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "systems")]  # for `_world` and `_fresh`, which no package holds
