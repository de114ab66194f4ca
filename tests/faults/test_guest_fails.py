"""Guests that end by themselves, and guests that never answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import libvirt_qemu
import pytest
from _lab import lab_of
from _wait import until
from _world import guests_of

from labkit import Lab
from labkit.errors import DeadlineExceeded, InvalidState
from labkit.machines._kvm_machine import KvmMachine
from labkit.machines.base import Machine
from labkit.machines.spec import State
from labkit.storage import images

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("guest fails")]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with lab_of(["alpha"]) as shared:
        shared.networks.create("lan")
        yield shared


@pytest.fixture
def web(lab: Lab) -> Iterator[Machine]:
    machine = lab["alpha"].kvm.create("web", networks=["lan"])
    yield machine
    machine.destroy()
    assert guests_of(lab["alpha"]) == []


def send(signal: str, lab: Lab) -> None:
    """Send a signal to the only guest's QEMU."""
    [pid] = lab["alpha"].run(["pgrep", "qemu-system"], check=True).stdout.split()
    lab["alpha"].run(["kill", signal, pid], check=True)


def in_a_moment(machine: Machine, command: str) -> None:
    """Have a shell command run in the guest after the agent has answered."""
    machine.run(["sh", "-c", f"(usleep 200000; {command}) </dev/null >/dev/null 2>&1 &"], check=True)


def check_that_it_ended(machine: Machine, state: State) -> None:
    """It is known without asking that the machine ended, and `run` says so."""
    until(lambda: machine.state is state, f"the machine is {state}")
    assert machine.refresh() is state
    with pytest.raises(InvalidState, match=f"web is {state}"):
        machine.run(["true"])


def test_a_guest_powers_itself_off(web: Machine) -> None:
    """A machine whose guest powers off is stopped, without being asked."""
    in_a_moment(web, "poweroff -f")
    check_that_it_ended(web, State.STOPPED)


def test_a_guest_reports_its_panic(web: Machine) -> None:
    """A machine whose guest tells of its panic has failed, without being asked."""
    domain = web.domain()  # type: ignore[attr-defined]
    # What the driver pvpanic does in the guest: https://www.qemu.org/docs/master/specs/pvpanic.html
    libvirt_qemu.qemuMonitorCommand(domain, "o /b 0x505 1", libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
    check_that_it_ended(web, State.FAILED)


def test_a_kernel_panic(web: Machine) -> None:
    """A machine whose kernel panics has failed, without being asked."""
    if not web.run(["modprobe", "pvpanic-mmio"]).ok:
        pytest.skip("this image's kernel cannot tell of its panic: it has no pvpanic-mmio")
    in_a_moment(web, "echo c >/proc/sysrq-trigger")
    check_that_it_ended(web, State.FAILED)


def test_qemu_is_killed(lab: Lab, web: Machine) -> None:
    """A machine whose QEMU was killed has failed, without being asked, and starts again."""
    send("-KILL", lab)
    check_that_it_ended(web, State.FAILED)
    web.start()
    assert web.run(["hostname"]).stdout == "web\n"
    assert web.addresses[0] in web.run(["ip", "-4", "addr"]).stdout


def test_a_guest_ends_during_a_command(web: Machine) -> None:
    """When the guest ends while a command runs in it, the error says so at once, not at the time limit."""
    began = time.monotonic()
    with pytest.raises(InvalidState):
        web.run(["sh", "-c", "sleep 0.3; poweroff -f; sleep 60"], timeout_s=60)
    assert time.monotonic() - began < 45
    until(lambda: web.state is State.STOPPED, "the machine is stopped")


def test_a_guest_that_stands_still(lab: Lab, web: Machine) -> None:
    """A command in a guest that does not answer ends at its time limit; the machine can be asked and destroyed."""
    send("-STOP", lab)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="did not answer within 1 s; its console says"):
        web.run(["true"], timeout_s=1)
    assert time.monotonic() - began < 30  # libvirt gives an agent 5 s to say a first word
    began = time.monotonic()
    assert web.refresh() is State.RUNNING
    assert lab.machines() == [web]
    assert time.monotonic() - began < 10
    send("-CONT", lab)
    assert web.run(["true"]).ok


def check_that_nothing_was_made(lab: Lab) -> None:
    assert guests_of(lab["alpha"]) == []
    assert lab["alpha"].kvm.connection().listAllDomains() == []
    assert list((lab.folder / "machines").iterdir()) == []
    assert lab.networks.read("lan").leases == {}


@pytest.mark.slow  # libvirt gives a process 10 s to end before it kills it
def test_a_guest_that_freezes_during_create(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """`create` of a machine that freezes ends at its time limit, and all of it is taken back."""
    real = KvmMachine.become

    def frozen(machine: KvmMachine, deadline: float) -> None:
        send("-STOP", lab)
        real(machine, time.monotonic() + 1)

    monkeypatch.setattr(KvmMachine, "become", frozen)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="did not come up in time; its console says: "):
        lab["alpha"].kvm.create("web", networks=["lan"])
    assert time.monotonic() - began < 60
    check_that_nothing_was_made(lab)


@pytest.mark.slow
@pytest.mark.parametrize("instant", [False, True], ids=["cold", "instant"])
def test_a_guest_that_does_not_boot(lab: Lab, instant: bool) -> None:
    """`create` of a machine that never comes up ends at its time limit with what the console said last."""
    broken = replace(images.get("small"), cmdline="rdinit=/nowhere root=/dev/nowhere console=ttyS0")
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="Kernel panic - not syncing: VFS: Unable to mount root"):
        lab["alpha"].kvm.create("web", image=broken, networks=["lan"], instant=instant, timeout_s=20)
    assert time.monotonic() - began < 45
    check_that_nothing_was_made(lab)


def test_a_time_limit_that_is_too_short(lab: Lab) -> None:
    """A time limit too short for any boot is kept."""
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="did not come up in time"):
        lab["alpha"].kvm.create("web", networks=["lan"], instant=False, timeout_s=0.5)
    assert time.monotonic() - began < 20
    check_that_nothing_was_made(lab)
