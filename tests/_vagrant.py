"""What tests of Vagrant share: the folder with its files, and the mark of those that run it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from labkit import Vagrant, Xen
from labkit.errors import InvalidState
from labkit.hosts.vagrant import SshConfig
from labkit.machines.base import Machine
from labkit.machines.spec import State

FOLDER = Path(__file__).parent.parent / "vagrant"
needs_vagrant = pytest.mark.skipif(
    shutil.which("vagrant") is None, reason="Vagrant is not installed: ./lab packages vagrant"
)


def ssh_to(config: SshConfig) -> list[str]:
    """The command that logs in to a machine of Vagrant's; what to run there follows it."""
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "BatchMode=yes",
               "LogLevel=ERROR")  # fmt: skip
    return ["ssh", "-i", str(config.key), *(f"-o{option}" for option in options), f"{config.user}@{config.address}"]


def goes_back_to_a_snapshot(machine: Machine) -> None:
    """Paused, it refuses commands; from a snapshot come its memory and its disk."""
    machine.pause()
    assert machine.refresh() is State.PAUSED
    with pytest.raises(InvalidState, match="paused"):
        machine.run(["true"])
    machine.resume()
    machine.run(["sh", "-c", "echo old >/run/in-memory; echo old >/root/file"], check=True)
    machine.snapshot("before")
    machine.run(["sh", "-c", "echo new >/run/in-memory; rm /root/file"], check=True)
    machine.revert("before")
    assert machine.run(["cat", "/run/in-memory", "/root/file"]).stdout == "old\nold\n"


def wanted_hosts() -> Any:
    """Hosts alpha and beta: in namespaces, or those of ``vagrant/hosts.yml`` or of Xen as LABKIT_TEST_HOSTS says."""
    match os.environ.get("LABKIT_TEST_HOSTS"):
        case "vagrant":
            return Vagrant(FOLDER, kept=True)
        case "xen":
            return [Xen("alpha"), Xen("beta")]
    return ["alpha", "beta"]
