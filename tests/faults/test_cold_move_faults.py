"""Containers on their way to another host when something dies: each is there exactly once afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _lab import lab_of
from _wait import until
from _world import VICTIM, first_process

from labkit import Lab
from labkit.errors import Busy, Cancelled, DeadlineExceeded, EngineError, LabError, LabGone, NotEnoughDisk
from labkit.hosts.base import Host
from labkit.machines.base import MOVING
from labkit.machines.spec import State
from labkit.operations import _cold
from labkit.operations._flow import Flow

LONG_S = 120

MOVE = VICTIM + 'alpha.{0}["web"].move(alpha.lab["beta"]).wait(100)'
_OF_ALL = [
    ("labkit.hosts._channel:Channel.request", "after"),  # it is held
    ("labkit.operations._cold:ColdMigration._hold", "after"),
    ("labkit.machines._{0}_move:{1}Carrier.prepare", "after"),
    ("labkit.machines._{0}_machine:{1}Machine.halt", "before"),
    ("labkit.machines._{0}_machine:{1}Machine.halt", "5"),
    ("labkit.machines._{0}_machine:{1}Machine.halt", "after"),
    ("labkit.operations._flow:Flow._pump", "3"),
    ("labkit.machines._{0}_move:{1}Carrier.copy", "after"),
    ("labkit.machines._{0}_move:{1}Carrier.begin", "20"),
    ("labkit.machines._{0}_move:{1}Carrier.begin", "after"),
    ("labkit.operations._cold:ColdMigration._note", "after"),
    ("labkit.machines._{0}_move:{1}Carrier.clear", "after"),
]
# Each takes 5 to 20 s: these in any case, the others with --all.
_FIRST = {"lxc": ("_hold", "_pump", "begin", "_note"), "docker": ()}
_STEPS = [
    pytest.param(
        kind, place, when,
        marks=[
            pytest.mark.xdist_group(f"{kind} moves"),
            *([] if place.endswith(_FIRST[kind]) and when != "20" else [pytest.mark.slow]),
        ],
    )
    for kind in ("lxc", "docker") for place, when in _OF_ALL
]  # fmt: skip
# Where the machine must be: from the note on it is at its destination.
_THERE = ("_note",)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("lxc", marks=pytest.mark.xdist_group("lxc moves")),
        pytest.param("docker", marks=[pytest.mark.xdist_group("docker moves"), pytest.mark.slow]),
    ],
)
def kind(request: pytest.FixtureRequest) -> str:
    """The engine whose turn it is."""
    return str(request.param)


@pytest.fixture(scope="module")
def lab(kind: str) -> Iterator[Lab]:
    """A lab whose hosts are warm, so that each victim comes quickly to where it dies."""
    with lab_of(["alpha", "beta"]) as shared:
        shared.networks.create("lan")
        for host in shared:
            getattr(host, kind).create("warm", networks=["lan"]).destroy()
        yield shared


@pytest.fixture
def web(lab: Lab, kind: str) -> Iterator[Any]:
    """A container on alpha with a file of 8 MiB and a snapshot."""
    made = getattr(lab["alpha"], kind).create("web", networks=["lan"])
    made.run(["dd", "if=/dev/urandom", "of=/root/much", "bs=1M", "count=8"], check=True)
    made.run(["sh", "-c", "echo before >/root/note"], check=True)
    made.snapshot("one")
    yield made
    until(lambda: not (made.notes / MOVING).exists(), "nobody moves it any more", 60)
    current(lab, kind).destroy()
    assert where(lab, kind) == []


def current(lab: Lab, kind: str) -> Any:
    """The machine, as the engines of whoever asks now list it: once."""
    (found,) = [machine for machine in lab.machines() if machine.name == "web"]
    assert found.engine == kind
    return found


def where(lab: Lab, kind: str) -> list[tuple[str, str]]:
    """Which hosts have which containers, as the engines themselves say, and files of them."""
    found = []
    for host in lab:
        if kind == "docker":
            told = host.docker.api().containers(all=True)
            found += [(host.name, str(entry["Names"][0]).removeprefix("/")) for entry in told]
        else:
            found += [(host.name, name) for name in host.run(["ls", "/var/lib/lxc"], check=True).stdout.split()]
    return found


def running(host: Host, kind: str) -> bool:
    """Whether the host's engine says that it runs."""
    if kind == "docker":
        return bool(host.docker.api().containers(filters={"name": "web", "status": "running"}))
    return "RUNNING" in host.run(["lxc-info", "--name=web", "--state"]).stdout


def check_whole(lab: Lab, kind: str, name: str) -> None:
    """It is on host `name` alone, runs, has its files and its snapshot, and moves again."""
    assert where(lab, kind) == [(name, "web")]
    machine = current(lab, kind)
    assert machine.host.name == name
    assert machine.refresh() is State.RUNNING
    assert machine.run(["cat", "/root/note"]).stdout == "before\n"
    assert machine.run(["stat", "-c", "%s", "/root/much"]).stdout.strip() == str(8 * 2**20)
    assert machine.snapshots() == ["one"]
    assert machine.run(["ping", "-c", "1", "-W", "5", "web.lab"]).ok


@pytest.mark.parametrize(("kind", "where_", "when"), _STEPS, indirect=["kind"])
def test_it_is_there_once_when_its_mover_was_killed(
    lab: Lab, kind: str, web: Any, python: Callable[..., subprocess.Popen[str]], where_: str, when: str
) -> None:
    """Killed at any step, the process leaves the machine running on exactly one host, whole; the lab is told."""
    notice = lab.folder / "notices" / "migration-of-web"
    notice.unlink(missing_ok=True)
    names = {"lxc": "Lxc", "docker": "Docker"}
    place = where_.format(kind, names[kind])
    victim = python(MOVE.format(kind), lab.name, place, when)
    assert victim.wait(90) == -signal.SIGKILL, victim.stderr and victim.stderr.read()
    until(lambda: not (web.notes / MOVING).exists(), "the move is settled", 60)
    name = (web.notes / "host").read_text()
    if any(mark in place for mark in _THERE):
        assert name == "beta"
    elif "clear" not in place:
        assert name == "alpha"
    until(lambda: where(lab, kind) == [(name, "web")], "only one host has it", 30)
    until(lambda: running(lab[name], kind), "it runs", 60)
    check_whole(lab, kind, name)
    assert not (web.notes / _cold.ARRIVING).exists()
    assert name in notice.read_text()
    other = "beta" if name == "alpha" else "alpha"
    current(lab, kind).move(lab[other], watch=False).wait(LONG_S)
    assert where(lab, kind) == [(other, "web")]


def test_a_stopped_one_stays_stopped(
    lab: Lab, kind: str, web: Any, python: Callable[..., subprocess.Popen[str]]
) -> None:
    """Its mover killed, a machine at rest is where it was, and is not started."""
    web.stop()
    assert python(MOVE.format(kind), lab.name, "labkit.operations._flow:Flow._pump", "2").wait(90) == -signal.SIGKILL
    until(lambda: not (web.notes / MOVING).exists(), "the move is settled", 60)
    assert where(lab, kind) == [("alpha", "web")]
    assert web.refresh() in (State.STOPPED, State.FAILED)
    web.start()
    check_whole(lab, kind, "alpha")


def test_two_at_once(lab: Lab, kind: str, web: Any) -> None:
    """One moves it, the other is told that it is busy; so is who wants to do something else with it."""
    moved = web.move(lab["beta"], bandwidth="8 MiB")
    with pytest.raises(Busy):
        web.move(lab["beta"])
    with pytest.raises(Busy):
        web.destroy()
    moved.wait(LONG_S)
    check_whole(lab, kind, "beta")


@pytest.mark.parametrize("stands_still", [False, True])
def test_cancelled(lab: Lab, kind: str, web: Any, *, stands_still: bool) -> None:
    """Cancelled before its stop or while its files are copied, it goes on where it was."""
    if stands_still:
        moved = web.move(lab["beta"], bandwidth="8 MiB")
        until(lambda: moved.stopped_s and moved.phase == "copying files", "its files are being copied", 60)
    else:
        moved = web.move(lab["beta"])
    moved.cancel()
    with pytest.raises(Cancelled, match="on alpha as before"):
        moved.wait(LONG_S)
    check_whole(lab, kind, "alpha")
    assert web.last_error is moved.error


def test_it_took_too_long(lab: Lab, kind: str, web: Any) -> None:
    """When its time is over it is taken back, and runs."""
    with pytest.raises(DeadlineExceeded, match="on alpha as before"):
        web.move(lab["beta"], bandwidth="1 MiB", timeout_s=4, watch=False).wait(LONG_S)
    check_whole(lab, kind, "alpha")


def test_it_does_not_start_there(lab: Lab, kind: str, web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine there says is in the error, and it runs where it was."""
    carrier = f"labkit.machines._{kind}_move.{'Lxc' if kind == 'lxc' else 'Docker'}Carrier"
    calls = []

    def fail(self: Any, deadline: float) -> None:
        calls.append(self.machine.host.name)
        if calls == ["beta"]:
            raise EngineError("no luck there")
        getattr(self.machine, "begin" if kind == "lxc" else "start_watched")(deadline)

    monkeypatch.setattr(f"{carrier}.begin", fail)
    with pytest.raises(EngineError, match="no luck there; it is on alpha as before"):
        web.move(lab["beta"]).wait(LONG_S)
    assert calls == ["beta", "alpha"]
    check_whole(lab, kind, "alpha")


def test_the_disk_there_is_full(lab: Lab, kind: str, web: Any) -> None:
    """The error says that the disk is full, and it runs where it was."""
    folder = "/var/lib/lxc" if kind == "lxc" else str(lab["beta"].folder / "docker" / "overlay2")
    flow_copy = Flow.copy

    def copy(self: Flow, source: Host, take: Any, to: Host, put: Any) -> None:
        # A file system of 4 MiB where its files are to come: in the command's mounts alone.
        target = f"{folder}/web" if kind == "lxc" else put[4]
        small = 'mkdir -p "$1" && mount -t tmpfs -o size=4m full "$1" && cd "$1" && shift && exec "$@"'
        inner = put[put.index("tar") :]
        flow_copy(self, source, take, to, ["unshare", "--mount", "sh", "-euc", small, "labkit", target, *inner])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flow, "copy", copy)
        with pytest.raises(NotEnoughDisk, match="full.*on alpha as before"):
            web.move(lab["beta"]).wait(LONG_S)
    check_whole(lab, kind, "alpha")


@pytest.mark.parametrize("phase", ["preparing the destination", "copying files"])
def test_the_destination_was_killed(lab: Lab, kind: str, web: Any, phase: str) -> None:
    """The machine goes on where it was; the host made again takes it."""
    moved = web.move(lab["beta"], bandwidth="8 MiB")
    until(lambda: moved.phase == phase, f"it is {phase}", 60)
    os.kill(first_process(lab["beta"]), signal.SIGKILL)
    with pytest.raises(LabError, match="on alpha as before"):
        moved.wait(LONG_S)
    until(lambda: not lab["beta"].is_alive, "beta has ended", 30)
    beta = lab.add_host("beta")
    check_whole(lab, kind, "alpha")
    web.move(beta, watch=False).wait(LONG_S)
    check_whole(lab, kind, "beta")


def test_the_source_was_killed(lab: Lab, kind: str) -> None:
    """The machine is lost with it, the error says so, and nothing of it is at the destination."""
    web = getattr(lab["alpha"], kind).create("web", networks=["lan"])
    web.run(["dd", "if=/dev/zero", "of=/root/much", "bs=1M", "count=8"], check=True)
    moved = web.move(lab["beta"], bandwidth="1 MiB")
    until(lambda: moved.phase == "copying files", "its files are being copied", 60)
    os.kill(first_process(lab["alpha"]), signal.SIGKILL)
    with pytest.raises(LabGone, match="lost with its host"):
        moved.wait(LONG_S)
    until(lambda: not lab["alpha"].is_alive, "alpha has ended", 30)
    lab.add_host("alpha")
    assert where(lab, kind) == []
    assert lab.machines() == []
    getattr(lab["beta"], kind).create("web", networks=["lan"]).destroy()
