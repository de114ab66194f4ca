"""A QEMU machine on its cold way to another host when something dies: it is there exactly once, and starts."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from _wait import until
from _world import VICTIM, first_process

from labkit import Lab
from labkit.errors import Busy, Cancelled, EngineError, LabError
from labkit.machines._kvm_machine import KvmMachine
from labkit.machines._kvm_move import KvmCarrier
from labkit.machines.base import MOVING
from labkit.machines.spec import State
from labkit.operations import _cold

LONG_S = 200
_CARRIER = "labkit.machines._kvm_move:KvmCarrier"
_MACHINE = "labkit.machines._kvm_machine:KvmMachine"
_MOVE = VICTIM + 'alpha.kvm["web"].move(alpha.lab["beta"]).wait(150)'

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kvm moves cold"), pytest.mark.timeout(400)]


@pytest.fixture
def web(lab: Lab) -> Iterator[KvmMachine]:
    """A running machine on alpha with a file on its disk and a snapshot, for which it moves cold."""
    if not lab["beta"].is_alive:
        lab.add_host("beta")
    machine = lab["alpha"].kvm.create("web", networks=["lan"])
    machine.run(["sh", "-c", "echo kept >/root/kept; sync"], check=True)
    machine.snapshot("one")
    yield machine
    until(lambda: not (machine.notes / MOVING).exists(), "nobody moves it any more", 60)
    current(lab).destroy()
    assert where(lab) == []


def current(lab: Lab) -> KvmMachine:
    """The machine, as it is listed: once."""
    (found,) = lab.machines()
    assert isinstance(found, KvmMachine)
    return found


def where(lab: Lab) -> list[tuple[str, str]]:
    """Which hosts' libvirts know which machines; without templates."""
    return [
        (host.name, domain.name())
        for host in lab for domain in host.kvm.connection().listAllDomains() if "template" not in domain.name()
    ]  # fmt: skip


def check_whole(lab: Lab, name: str) -> None:
    """It is on host `name` alone, has its file and its snapshot, and its disk is whole."""
    assert where(lab) == [(name, "web")]
    machine = current(lab)
    assert machine.host.name == name
    if machine.refresh() is not State.RUNNING:
        machine.start()
    assert machine.run(["cat", "/root/kept"]).stdout == "kept\n"
    assert machine.snapshots() == ["one"]
    checked = machine.host.run(["qemu-img", "check", "-q", "-U", str(machine.disk())])
    # 3: clusters that the running QEMU has only in mind yet.
    assert checked.exit_code in (0, 3), checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("step", "when", "name"),
    [
        pytest.param("labkit.operations._cold:ColdMigration._hold", "after", "alpha", marks=pytest.mark.slow),
        pytest.param(f"{_MACHINE}.halt", "300", "alpha", marks=pytest.mark.slow),
        (f"{_MACHINE}.halt", "after", "alpha"),
        pytest.param(f"{_CARRIER}.copy", "after", "alpha", marks=pytest.mark.slow),
        (f"{_CARRIER}.begin", "100", "alpha"),
        pytest.param(f"{_CARRIER}.begin", "after", "alpha", marks=pytest.mark.slow),
        ("labkit.operations._cold:ColdMigration._note", "after", "beta"),
    ],
)
def test_it_is_there_once_when_its_mover_was_killed(
    lab: Lab, web: KvmMachine, python: Callable[..., subprocess.Popen[str]], step: str, when: str, name: str
) -> None:
    """Killed at any step, the process leaves one host with the machine, which starts there; the lab is told."""
    notice = lab.folder / "notices" / "migration-of-web"
    notice.unlink(missing_ok=True)
    victim = python(_MOVE, lab.name, step, when)
    assert victim.wait(150) == -signal.SIGKILL, victim.stderr and victim.stderr.read()
    until(lambda: not (web.notes / MOVING).exists(), "the move is settled", 90)
    assert (web.notes / "host").read_text() == name
    assert not (web.notes / _cold.ARRIVING).exists()
    assert name in notice.read_text()
    check_whole(lab, name)


def test_it_does_not_start_there(lab: Lab, web: KvmMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong there is in the error, and it runs where it was."""
    begin, calls = KvmCarrier.begin, []

    def fail(self: KvmCarrier, deadline: float) -> None:
        calls.append(self.machine.host.name)
        if calls == ["beta"]:
            raise EngineError("no luck there")
        begin(self, deadline)

    monkeypatch.setattr(KvmCarrier, "begin", fail)
    with pytest.raises(EngineError, match="no luck there; it is on alpha as before"):
        web.move(lab["beta"]).wait(LONG_S)
    assert calls == ["beta", "alpha"]
    assert web.state is State.RUNNING
    check_whole(lab, "alpha")


def test_cancelled_or_asked_twice(lab: Lab, web: KvmMachine) -> None:
    """Who else wants to do something with it is told that it is busy; cancelled, it goes on where it was."""
    moved = web.move(lab["beta"])
    for act in (lambda: web.move(lab["beta"]), web.destroy):
        with pytest.raises(Busy):
            act()
    moved.cancel()
    with pytest.raises(Cancelled, match="on alpha as before"):
        moved.wait(LONG_S)
    assert web.state is State.RUNNING
    check_whole(lab, "alpha")


def test_the_destination_is_killed(lab: Lab, web: KvmMachine) -> None:
    """The machine runs where it was; the host made again takes it."""
    moved = web.move(lab["beta"])
    until(lambda: moved.phase == "starting it there", "it starts there", 60)
    os.kill(first_process(lab["beta"]), signal.SIGKILL)
    with pytest.raises(LabError, match="on alpha as before"):
        moved.wait(LONG_S)
    until(lambda: not lab["beta"].is_alive, "beta has ended", 30)
    beta = lab.add_host("beta")
    assert web.refresh() is State.RUNNING
    check_whole(lab, "alpha")
    web.move(beta, watch=False).wait(LONG_S)
    check_whole(lab, "beta")
