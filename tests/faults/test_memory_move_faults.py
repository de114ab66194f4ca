"""A container on its way with its memory when its mover is killed: it is there exactly once, and goes on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from _criu import need_criu
from _wait import until
from _world import VICTIM

from labkit import Lab
from labkit.machines._docker_machine import DockerMachine
from labkit.machines.base import MOVING

LONG_S = 120
COUNT = "i=0; while :; do i=$((i+1)); echo $i >/dev/shm/count; sleep 0.1; done"
_CARRIER = "labkit.machines._docker_move:DockerCarrier"

pytestmark = [pytest.mark.xdist_group("docker moves"), pytest.mark.slow]


@pytest.fixture
def web(lab: Lab) -> Iterator[DockerMachine]:
    """A container on alpha that counts in its memory and has come far."""
    need_criu(lab["alpha"])
    machine = lab["alpha"].docker.create("web", networks=["lan"], command=["sh", "-c", COUNT])
    until(lambda: count(machine) > 30, "it has come far")
    yield machine
    (found,) = lab.machines()
    found.destroy()


def count(machine: DockerMachine) -> int:
    """How far it has counted in its memory."""
    return int(machine.run(["cat", "/dev/shm/count"], check=True).stdout or 0)


def where(lab: Lab) -> list[tuple[str, str]]:
    """Which hosts have which containers and what these do, as Docker says."""
    return [(host.name, one["State"]) for host in lab for one in host.docker.api().containers(all=True)]


@pytest.mark.parametrize(
    ("step", "when", "name"),
    [
        (f"{_CARRIER}.freeze", "300", "alpha"),  # Docker is just keeping it
        (f"{_CARRIER}.freeze", "after", "alpha"),
        (f"{_CARRIER}.copy_memory", "after", "alpha"),
        (f"{_CARRIER}.thaw", "after", "alpha"),
        ("labkit.operations._cold:ColdMigration._note", "after", "beta"),
    ],
)
def test_it_goes_on_once_when_its_mover_was_killed(
    lab: Lab, web: DockerMachine, python: Callable[..., subprocess.Popen[str]], step: str, when: str, name: str
) -> None:
    """Killed at any step, the process leaves it on one host, with its memory unless it was not kept yet; it moves."""
    victim = python(VICTIM + 'alpha.docker["web"].move(alpha.lab["beta"]).wait(100)', lab.name, step, when)
    assert victim.wait(90) == -signal.SIGKILL, victim.stderr and victim.stderr.read()
    until(lambda: not (web.notes / MOVING).exists(), "the move is settled", 90)
    until(lambda: where(lab) == [(name, "running")], "it runs on one host", 60)
    (found,) = lab.machines()
    assert found.host.name == name
    if when == "after":
        until(lambda: count(found) > 30, "it goes on counting", 3)
    other = lab["beta" if name == "alpha" else "alpha"]
    until(lambda: count(found) > 5, "it counts")
    found.move(other, watch=False).wait(LONG_S)
    assert where(lab) == [(other.name, "running")]
