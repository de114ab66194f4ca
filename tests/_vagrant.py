"""What tests of Vagrant share: the folder with its files, and the mark of those that run it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "vagrant"
needs_vagrant = pytest.mark.skipif(
    shutil.which("vagrant") is None, reason="Vagrant is not installed: ./lab packages vagrant"
)
