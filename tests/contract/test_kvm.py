"""What holds for virtual machines besides the protocol: memory, firmware, libvirt's own books."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import _wait
import pytest

from labkit import Lab
from labkit.errors import InvalidValue, LabError, NotSupported
from labkit.machines._kvm_machine import KvmMachine
from labkit.machines.spec import State

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("machine-kvm")]
wait_until = partial(_wait.until, timeout_s=60)


@pytest.fixture(scope="module")
def machine(lab: Lab) -> Iterator[KvmMachine]:
    made = lab["alpha"].kvm.create("web", networks=["lan"])
    yield made
    made.destroy()
    assert lab.machines() == []


def test_state_follows_libvirt(machine: KvmMachine) -> None:
    """What is done behind the library's back shows in `state` without asking."""
    domain = machine.domain()
    domain.suspend()
    wait_until(lambda: machine.state is State.PAUSED)
    domain.resume()
    wait_until(lambda: machine.state is State.RUNNING)


@pytest.mark.slow
def test_resize_changes_memory(machine: KvmMachine) -> None:
    """The balloon takes memory from the guest, as seen inside, and processors bound what a snapshot can do."""

    def memory_kib() -> int:
        return int(machine.run(["awk", "/MemTotal/ {print $2}", "/proc/meminfo"]).stdout)

    before = memory_kib()
    machine.resize(memory="96 MiB")
    wait_until(lambda: memory_kib() < before - 20_000)
    machine.resize(memory="128 MiB")
    machine.resize(vcpus=2)
    wait_until(lambda: machine.run(["nproc"]).stdout == "2\n")
    with pytest.raises(NotSupported, match="processors"):
        machine.snapshot("with-two")
    machine.resize(vcpus=1)
    machine.restart()
    with pytest.raises(InvalidValue):
        machine.resize(memory="1 GiB")


def test_limits_are_in_libvirts_books(machine: KvmMachine) -> None:
    """A limit is what libvirt has in its books, or asking for one says why it cannot be had."""
    if "limits" not in machine.capabilities:
        with pytest.raises(NotSupported, match="cgroup"):
            machine.limits(cpus=0.5)
        return
    machine.limits(cpus=0.5)
    told = machine.domain().schedulerParameters()
    assert told["global_quota"] / told["global_period"] == 0.5
    machine.limits(cpus=None)


def test_snapshot_and_revert_bring_back_memory(machine: KvmMachine) -> None:
    """After a revert, what was in memory is that of the snapshot."""
    machine.run(["sh", "-c", "echo old > /run/in-memory"], check=True)
    machine.snapshot("before")
    machine.run(["sh", "-c", "echo new > /run/in-memory"], check=True)
    machine.revert("before")
    assert machine.run(["cat", "/run/in-memory"]).stdout == "old\n"


def test_a_reboot_from_inside_keeps_name_and_network(machine: KvmMachine) -> None:
    """A guest that reboots by itself comes back with its name and address, without being told again."""
    machine.run(["sh", "-c", "sync; touch /run/before; (sleep 0.3; reboot -f) >/dev/null 2>&1 &"], check=True)

    def is_back() -> bool:
        try:
            told = machine.run(["sh", "-c", "ls /run/before; hostname; ip -4 addr"], timeout_s=10).stdout
        except LabError:
            return False
        return "before" not in told and machine.name in told and machine.addresses[0] in told

    wait_until(is_back)


@pytest.mark.slow
def test_a_clone_has_keys_of_its_own(machine: KvmMachine) -> None:
    """A clone has another machine id and host key."""
    twin = machine.clone("twin")
    try:
        for path in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key"):
            assert twin.run(["cat", path]).stdout != machine.run(["cat", path]).stdout
    finally:
        twin.destroy()


def test_its_card_tells_memory_and_acceleration(machine: KvmMachine) -> None:
    """The card of a virtual machine says how much memory it has and how its processor runs."""
    html = machine._repr_mimebundle_()["text/html"]
    assert "128 MiB" in html
    assert {"kvm": "KVM", "tcg": "TCG"}[machine.acceleration] in html
