"""What tests of Vagrant share: the folder with its files, and the mark of those that run it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from labkit import Vagrant

FOLDER = Path(__file__).parent.parent / "vagrant"
needs_vagrant = pytest.mark.skipif(
    shutil.which("vagrant") is None, reason="Vagrant is not installed: ./lab packages vagrant"
)


def wanted_hosts() -> Any:
    """Hosts alpha and beta: in namespaces, or with LABKIT_TEST_HOSTS=vagrant those of ``vagrant/hosts.yml``."""
    return Vagrant(FOLDER) if os.environ.get("LABKIT_TEST_HOSTS") == "vagrant" else ["alpha", "beta"]
