"""A host that was made once is kept in the cache; the next lab's begins as a copy of it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _vagrant import FOLDER, needs_vagrant
from _wait import until

from labkit import Lab, Vagrant
from labkit.hosts import _vagrant_kept
from labkit.hosts.base import Host
from labkit.hosts.vagrant import VagrantProject, VagrantState
from labkit.hosts.vagrant_hosts import CARRIER, VagrantHost

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400), pytest.mark.xdist_group("vagrant"), needs_vagrant]
ONE = Vagrant(FOLDER, only=("alpha",), kept=True)
UP = """
import sys
from pathlib import Path
from labkit import Lab
from labkit.hosts import _vagrant_kept
from labkit.hosts.vagrant import VagrantProject
_vagrant_kept.home = lambda: Path(sys.argv[3])
VagrantProject(sys.argv[2], Lab.attach(sys.argv[1])["carrier"]).up("alpha", kept=True)
"""


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """An empty place for them."""
    with (
        tempfile.TemporaryDirectory(prefix="test-", dir=_vagrant_kept.home()) as name,
        pytest.MonkeyPatch.context() as m,
    ):
        m.setattr(_vagrant_kept, "home", lambda: Path(name))
        yield Path(name)


def boot(host: Host) -> str:
    return host.run(["cat", "/proc/sys/kernel/random/boot_id"], check=True).stdout


def authorized(host: Host) -> str:
    return host.run(["cat", "/home/vagrant/.ssh/authorized_keys"], check=True).stdout


def test_the_next_lab_has_a_copy(kept: Path, lab_name: str) -> None:
    """It goes on from the same boot, with the lab's own key, the right time, no residue."""
    with Lab(f"{lab_name}-a", hosts=[ONE]) as first:
        seen, key = boot(first["alpha"]), authorized(first["alpha"])
        first["alpha"].run(["touch", "/root/residue"], check=True)
        assert len(list(kept.glob("host-alpha-*"))) == 1
    time.sleep(5)  # that passes for no copy
    with Lab(lab_name, hosts=[ONE]) as second:
        alpha = second["alpha"]
        assert isinstance(alpha, VagrantHost)
        assert boot(alpha) == seen
        assert authorized(alpha) not in ("", key)
        assert abs(float(alpha.run(["date", "+%s"], check=True).stdout) - time.time()) < 3
        assert not alpha.run(["test", "-e", "/root/residue"]).ok
        assert alpha.status() is VagrantState.RUNNING
        assert alpha.project.ssh_config("alpha").address == alpha.address
        said = alpha.project.provision("alpha")
        assert [line for line in said if not line.startswith("already there: ")] == ["alpha is ready"]
        alpha.suspend()
        alpha.resume()
        assert boot(alpha) == seen


def cut_off(process: subprocess.Popen[str], when: Callable[[], bool]) -> None:
    """Kill a process at a moment, which it must live to see."""
    try:
        until(lambda: when() or process.poll() is not None, "the moment has come", 600)
        assert process.poll() is None, process.communicate()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def test_killed_in_the_middle(kept: Path, lab_name: str, python: Callable[..., subprocess.Popen[str]]) -> None:
    """Whoever has a copy begin may die: it is half made, and the next `up` has a whole one."""
    with Lab(lab_name, hosts=[CARRIER]) as lab:
        project = VagrantProject(FOLDER, lab[CARRIER])

        def begun() -> bool:
            return "running" in lab[CARRIER].run(["virsh", "-q", "list"]).stdout

        cut_off(python(UP, lab_name, str(FOLDER), str(kept)), begun)
        assert project.status("alpha") is VagrantState.HALF_MADE
        project.up("alpha", kept=True)
        assert project.status("alpha") is VagrantState.RUNNING
        project.destroy("alpha")
        assert project.status("alpha") is VagrantState.ABSENT


def test_one_that_is_damaged_is_made_anew(kept: Path, lab_name: str) -> None:
    """A memory image that was written to is not used: it is removed, and another is kept in its place."""
    (folder,) = kept.glob("host-alpha-*")
    memory = folder / "memory"
    memory.chmod(0o600)
    with memory.open("r+b") as file:
        file.write(b"nothing")
    with Lab(lab_name, hosts=[ONE]) as lab:
        assert lab["alpha"].run(["uname", "-n"], check=True).stdout == "alpha\n"
    assert memory.read_bytes()[:7] != b"nothing"
