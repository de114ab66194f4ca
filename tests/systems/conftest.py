"""Lets the tests of whole systems find what they share."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `_debian_vm`, which no package holds
