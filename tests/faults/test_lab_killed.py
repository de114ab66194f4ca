"""A lab's first process ends, in every way there is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from _wait import until
from _world import alive

from labkit import Lab
from labkit.errors import LabGone
from labkit.hosts import _launch
from labkit.testing import take_stock

pytestmark = pytest.mark.core


def first_of(lab: Lab) -> int:
    with lab.channel() as channel:
        return channel.peer_pid()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def labkit(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "labkit.cli", *words], capture_output=True, text=True, check=False)


def test_with_its_first_process_all_of_a_lab_ends(lab_name: str) -> None:
    """`kill -9` of the first process ends machines, daemons and links; the name is free and the next lab whole."""
    before = take_stock(lab_name)
    lab = Lab.open(lab_name, hosts=["alpha", "beta"])
    lab.networks.create("lan")
    lab["alpha"].kvm.create("web", networks=["lan"])
    lab["beta"].kvm.create("far", networks=["lan"])
    os.kill(first_of(lab), signal.SIGKILL)
    until(lambda: not alive(lab_name, before), "everything of the lab has ended")
    with pytest.raises(LabGone):
        lab["alpha"].kvm["web"].pause()

    with contextlib.closing(Lab.open(lab_name)) as again:
        assert again.machines() == []
        again.networks.create("lan")
        assert again["alpha"].kvm.create("web", networks=["lan"]).addresses == ("198.19.1.2",)


def test_a_killed_lab_is_shown_and_cleared(lab_name: str) -> None:
    """`labkit ps` says of a killed lab that it was, and `labkit down` clears it and says so."""
    lab = Lab.open(lab_name)
    os.kill(first_of(lab), signal.SIGKILL)
    until(lambda: not _launch.is_alive(lab_name), "the lab has ended")
    shown = labkit("ps")
    [line] = [line for line in shown.stdout.splitlines() if lab_name in line]
    assert "was killed" in line
    assert f"labkit down {lab_name}" in shown.stdout
    down = labkit("down", lab_name)
    assert (down.returncode, down.stderr) == (0, "")
    assert f"{lab_name}: removed the files of a lab that was killed" in down.stdout
    assert not _launch.folder(lab_name).exists()


def test_killing_the_outer_process_ends_the_lab(lab_name: str) -> None:
    """`kill -9` of `unshare`, the parent of the first process, ends everything in the lab."""
    before = take_stock(lab_name)
    lab = Lab.open(lab_name)
    lab["alpha"].kvm.connection()
    os.kill(parent_of(first_of(lab)), signal.SIGKILL)
    until(lambda: not alive(lab_name, before), "everything of the lab has ended")
    Lab.open(lab_name).close()


def test_sigterm_ends_a_lab_in_order(lab_name: str) -> None:
    """SIGTERM to the first process ends the lab and removes its files, as at a shutdown."""
    before = take_stock(lab_name)
    lab = Lab.open(lab_name)
    lab["alpha"].kvm.connection()
    os.kill(first_of(lab), signal.SIGTERM)
    until(lambda: not take_stock(lab_name).since(before), "nothing of the lab is left")
    with pytest.raises(LabGone):
        lab["alpha"].run(["true"])


def test_sigint_does_not_reach_a_lab(lab_name: str) -> None:
    """SIGINT, which Ctrl-C sends to a whole group of processes, does not end a lab."""
    with contextlib.closing(Lab.open(lab_name)) as lab:
        os.kill(first_of(lab), signal.SIGINT)
        os.kill(parent_of(first_of(lab)), signal.SIGINT)
        assert lab["alpha"].run(["true"]).ok
        assert _launch.is_alive(lab_name)
