"""What tests of Vagrant share: the folder with its files, and the mark of those that run it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from labkit import Vagrant, Xen

FOLDER = Path(__file__).parent.parent / "vagrant"
needs_vagrant = pytest.mark.skipif(
    shutil.which("vagrant") is None, reason="Vagrant is not installed: ./lab packages vagrant"
)


def wanted_hosts() -> Any:
    """Hosts alpha and beta: in namespaces, or those of ``vagrant/hosts.yml`` or of Xen as LABKIT_TEST_HOSTS says."""
    match os.environ.get("LABKIT_TEST_HOSTS"):
        case "vagrant":
            return Vagrant(FOLDER)
        case "xen":
            return [Xen("alpha"), Xen("beta")]
    return ["alpha", "beta"]
