"""Live migration when something fails: whatever it is, the machine is alive exactly once, with its disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import libvirt
import pytest
from _lab import lab_of
from _wait import until
from _world import first_process, guests_of

from labkit import Lab
from labkit.errors import Busy, Cancelled, DeadlineExceeded, LabError, NotEnoughDisk
from labkit.hosts.base import Host
from labkit.machines._kvm_machine import KvmMachine
from labkit.machines.spec import State
from labkit.operations import _kvm, _libvirt_migration, _tls
from labkit.operations.migration import Migration

pytestmark = [pytest.mark.xdist_group("migration faults"), pytest.mark.timeout(300)]

SLOWLY = "8 MiB"  # a second: some ten seconds for the memory of a small machine


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab with hosts that see much; each test leaves it with two hosts that live."""
    with lab_of(["alpha", "beta"]) as shared:
        shared.networks.create("lan", host="alpha")
        yield shared


@pytest.fixture
def web(lab: Lab) -> Iterator[KvmMachine]:
    """A running machine on alpha, with a file on its disk."""
    if not lab["beta"].is_alive:
        lab.add_host("beta")
    machine = lab["alpha"].kvm.create("web", networks=["lan"])
    machine.run(["sh", "-c", "echo kept >/root/kept; sync"], check=True)
    yield machine
    machine.destroy()


def is_alive_once(web: KvmMachine, host: str) -> None:
    """It runs on this host and on no other, answers, has its file, and its disk is whole."""
    lab = web.host.lab
    assert web.host is lab[host]
    until(lambda: [one for each in lab if each.is_alive for one in guests_of(each)] == ["web"], "one QEMU is left")
    assert guests_of(lab[host]) == ["web"]
    assert web.refresh() is State.RUNNING
    assert web.run(["cat", "/root/kept"]).stdout == "kept\n"
    checked = web.host.run(["qemu-img", "check", "-q", "-U", str(web.disk())])
    assert checked.ok, checked.stdout + checked.stderr
    assert [disk.name for disk in web.folder.glob("*.qcow2")] == [web.disk().name]
    assert (web.folder / "host").read_text() == host
    assert not (web.folder / "migrating").exists()
    assert lab.machines() == [web]
    assert web.run(["ping", "-c", "1", "-W", "5", "198.19.1.1"]).ok


def copying(move: Migration) -> None:
    """Wait until memory is being copied."""
    until(lambda: move.progress is not None and move.progress.done_bytes > 2**20, "memory is copied", 30)


def kill(host: Host) -> None:
    os.kill(first_process(host), signal.SIGKILL)


def kill_at(phase: str, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the host killed when a migration comes to a phase."""

    def killing(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def dying(*words: Any, **more: Any) -> Any:
            kill(host)
            return real(*words, **more)

        monkeypatch.setattr(owner, name, dying)

    match phase:
        case "preparing":
            killing(_tls, "ensure")
        case "beginning":
            killing(_kvm, "parameters_of")
        case "switching":
            killing(_libvirt_migration.Marks, "_at_source")


@pytest.mark.core
@pytest.mark.parametrize(
    "phase", ["preparing", *(pytest.param(phase, marks=pytest.mark.slow) for phase in ("beginning", "switching"))]
)
def test_the_destination_is_killed(web: KvmMachine, monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    """The destination host is killed in a phase: the machine goes on where it was."""
    beta = web.host.lab["beta"]
    with monkeypatch.context() as patch:
        kill_at(phase, beta, patch)
        with pytest.raises(LabError, match="it is on alpha as before"):
            web.migrate(beta).wait(60)
    is_alive_once(web, "alpha")


def test_the_destination_is_killed_while_memory_is_copied(web: KvmMachine) -> None:
    """The destination host is killed with half of the memory there: the machine goes on where it was."""
    beta = web.host.lab["beta"]
    move = web.migrate(beta, bandwidth=SLOWLY)
    copying(move)
    kill(beta)
    with pytest.raises(LabError, match="it is on alpha as before"):
        move.wait(60)
    is_alive_once(web, "alpha")
    web.host.lab.add_host("beta")
    web.migrate(web.host.lab["beta"]).wait(60)
    is_alive_once(web, "beta")


@pytest.mark.core
def test_it_ends_while_memory_is_copied(web: KvmMachine) -> None:
    """The machine's QEMU is killed: the error says that it has ended, and where it is it starts from its disk."""
    alpha = web.host.lab["alpha"]
    move = web.migrate(web.host.lab["beta"], bandwidth=SLOWLY)
    copying(move)
    alpha.run(["sh", "-c", "kill -9 $(pgrep qemu-system)"], check=True)
    with pytest.raises(LabError, match="it is on alpha as before, but has ended meanwhile;(?s:.*)reason=crashed"):
        move.wait(60)
    assert web.refresh() is State.FAILED
    web.start()
    is_alive_once(web, "alpha")


@pytest.mark.slow
def test_the_destinations_libvirt_is_killed(web: KvmMachine) -> None:
    """libvirt's daemon at the destination is killed: the machine goes on where it was, and can move again."""
    beta = web.host.lab["beta"]
    move = web.migrate(beta, bandwidth=SLOWLY)
    copying(move)
    beta.run(["sh", "-c", 'kill -9 "$(cat /run/libvirt/libvirtd.pid)"'], check=True)
    with pytest.raises(LabError, match="it is on alpha as before"):
        move.wait(60)
    is_alive_once(web, "alpha")
    web.migrate(beta).wait(60)
    is_alive_once(web, "beta")


def cable(host: Host, way: str) -> None:
    host.run(["ip", "link", "set", "eth0", way], check=True)


@pytest.mark.slow
def test_the_network_between_the_hosts_is_cut(web: KvmMachine) -> None:
    """Cut for good, the move fails within seconds, and says so; once the network is back it can move."""
    beta = web.host.lab["beta"]
    move = web.migrate(beta, bandwidth=SLOWLY)
    copying(move)
    cable(beta, "down")
    try:
        began = time.monotonic()
        with pytest.raises(LabError, match="it is on alpha as before"):
            move.wait(120)
        assert time.monotonic() - began < 90
        with pytest.raises(LabError, match="alpha does not reach beta"):
            web.migrate(beta)
    finally:
        cable(beta, "up")
    is_alive_once(web, "alpha")
    web.migrate(beta).wait(60)
    is_alive_once(web, "beta")


@pytest.mark.slow
def test_the_network_comes_back(web: KvmMachine) -> None:
    """Cut for a moment, the move goes on and comes to its end."""
    beta = web.host.lab["beta"]
    move = web.migrate(beta, bandwidth=SLOWLY)
    copying(move)
    cable(beta, "down")
    cut_s, seen = time.monotonic(), move.samples[-1].done_bytes
    until(lambda: move.samples[-1].time_s > cut_s + 1, "it has been cut for a second")
    cable(beta, "up")
    move.wait(100)
    assert move.samples[-1].done_bytes > seen
    is_alive_once(web, "beta")


def in_post_copy(web: KvmMachine, beta: Host) -> Migration:
    """A move that is in its post-copy phase, slowly, of a machine with something in its memory."""
    web.run(["sh", "-c", "dd if=/dev/urandom of=/run/much bs=1M count=30; md5sum /run/much >/run/sum"], check=True)
    move = web.migrate(beta, postcopy=True, bandwidth="4 MiB", watch=False)
    move.start_postcopy()
    until(lambda: move.resumed_s, "it goes on there", 60)
    return move


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="post-copy needs userfaultfd, which only root may use")
def test_post_copy_goes_on_when_the_network_is_back(lab: Lab) -> None:
    """Cut in the post-copy phase, the move waits for the network, and then brings the rest of the memory."""
    alpha, beta = lab["alpha"], lab["beta"] if lab["beta"].is_alive else lab.add_host("beta")
    box = alpha.kvm.create("box")
    move = in_post_copy(box, beta)
    # Until the memory that its devices use is there, QEMU itself waits for it, and does not hear libvirt.
    early = move.samples[-1].done_bytes
    until(lambda: move.samples[-1].done_bytes > early + 12 * 2**20, "the devices have their memory", 30)
    cable(beta, "down")
    try:
        until(lambda: move.phase.startswith("waiting for the network"), "it has noticed", 90)
    finally:
        cable(beta, "up")
    move.wait(120)
    assert [one for host in lab for one in guests_of(host)] == guests_of(beta) == ["box"]
    assert box.run(["md5sum", "-c", "/run/sum"]).ok
    assert lab.machines() == [box]
    box.destroy()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="post-copy needs userfaultfd, which only root may use")
def test_given_up_in_post_copy_it_is_switched_off(web: KvmMachine) -> None:
    """If that is not waited for, the machine is switched off where it was, which is said, and starts from its disk."""
    beta, broken = web.host.lab["beta"], libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED
    move, domain = in_post_copy(web, beta), web.domain()
    cable(beta, "down")
    try:
        until(lambda: domain.state()[1] == broken, "it has noticed", 90)
        move.cancel()
        with pytest.raises(Cancelled, match="on alpha as before, but switched off"):
            move.wait(200)
    finally:
        cable(beta, "up")
    assert web.refresh() is State.STOPPED
    web.start()
    is_alive_once(web, "alpha")


@pytest.mark.slow
def test_the_destinations_disk_is_full(web: KvmMachine) -> None:
    """With no room for the disk's copy the move fails in words, and nothing of the copy is left."""
    beta = web.host.lab["beta"]
    web.run(["sh", "-c", "head -c 20000000 /dev/urandom >/root/much; sync"], check=True)
    beta.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(web.folder)], check=True)
    try:
        with pytest.raises(NotEnoughDisk, match="it is on alpha as before"):
            web.migrate(beta, storage="copy").wait(60)
    finally:
        beta.run(["umount", "-l", str(web.folder)], check=True)
    is_alive_once(web, "alpha")


def test_it_is_cancelled(web: KvmMachine) -> None:
    """Cancelled while memory or the disk is copied, it stays; the copy goes."""
    beta = web.host.lab["beta"]
    for storage in ("shared", "copy"):
        move = web.migrate(beta, bandwidth=SLOWLY, storage=storage)
        until(lambda move=move: move.progress is not None, "it has begun")  # type: ignore[misc]
        move.cancel()
        with pytest.raises(Cancelled, match="it is on alpha as before"):
            move.wait(60)
        is_alive_once(web, "alpha")


@pytest.mark.slow
def test_it_takes_too_long(web: KvmMachine) -> None:
    """Past its time limit it is taken back, and the error says what would help."""
    with pytest.raises(DeadlineExceeded, match="within 3 s: .*it is on alpha as before") as caught:
        web.migrate(web.host.lab["beta"], bandwidth="1 MiB", timeout_s=3).wait(60)
    assert "postcopy=True" in caught.value.hint
    is_alive_once(web, "alpha")


MOVE = """
import sys
from labkit import Lab
from labkit.errors import Busy
lab = Lab.attach(sys.argv[1])
try:
    move = lab["alpha"].kvm["web"].migrate(lab["beta"], bandwidth="8 MiB")
except Busy as error:
    print(error.message)
    sys.exit(3)
print("moving", flush=True)
move.wait()
"""


@pytest.mark.slow
@pytest.mark.core
def test_two_move_it(web: KvmMachine) -> None:
    """Two callers, in one process or in two: one wins, the other is told; nothing else may be done to it."""
    lab = web.host.lab
    move = web.migrate(lab["beta"], bandwidth=SLOWLY)
    with pytest.raises(Busy, match="is being moved"):
        web.migrate(lab["beta"])
    for refused in (web.stop, web.destroy, web.pause, lambda: web.snapshot("one"), lambda: web.detach("lan")):
        with pytest.raises(Busy, match="is being moved"):
            refused()
    other = subprocess.run([sys.executable, "-c", MOVE, lab.name], capture_output=True, text=True, check=False)
    assert (other.returncode, other.stdout) == (3, "web is being moved already\n"), other.stderr
    move.wait(60)
    is_alive_once(web, "beta")


@pytest.mark.core
@pytest.mark.parametrize("when", ["copying", pytest.param("switching", marks=pytest.mark.slow)])
def test_the_mover_is_killed(
    lab: Lab,
    web: KvmMachine,
    python: Callable[..., subprocess.Popen[str]],
    capfd: pytest.CaptureFixture[str],
    when: str,
) -> None:
    """The process that moves it is killed: it is on one host, and the next who opens the lab is told on which."""
    program = MOVE
    if when == "switching":
        dying = "os.kill(os.getpid(), 9)"
        marks = "from labkit.operations._libvirt_migration import Marks"
        program = f"import os\n{marks}\nMarks._at_source = lambda *_: {dying}\n{MOVE}"
    mover = python(program, lab.name)
    if when == "copying":
        assert mover.stdout and mover.stdout.readline() == "moving\n"
        until(lambda: guests_of(lab["beta"]) == ["web"], "it has begun", 30)
        mover.kill()
    assert mover.wait(60) == -signal.SIGKILL
    until(lambda: not (web.folder / "migrating").exists(), "what is where is settled", 60)
    capfd.readouterr()
    host = (web.folder / "host").read_text()
    found = Lab.open(lab.name)
    assert f"the move of web from alpha to beta was interrupted: it is on {host}" in capfd.readouterr().err
    Lab.open(lab.name)
    assert "interrupted" not in capfd.readouterr().err
    moved = found[host].kvm["web"]
    is_alive_once(moved, host)
    if host == "beta":  # so that the fixture's own object ends the right one
        web.landed(lab["beta"])
