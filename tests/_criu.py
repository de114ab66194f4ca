"""Whether CRIU can do its part here."""

from __future__ import annotations

import os
import shutil

import pytest

from labkit.hosts.base import Host


def need_criu(host: Host) -> None:
    """Skip the test, with the reason, unless CRIU is installed and agrees with the kernel."""
    if os.geteuid() != 0:
        pytest.skip("CRIU works for root only")
    if not shutil.which("criu"):
        pytest.skip("criu is not installed")
    done = host.run(["criu", "check"])
    if not done.ok:
        pytest.skip(f"criu does not fit this kernel: {(done.stderr or done.stdout).strip()[-200:]}")
