"""Virtual machines that Vagrant makes as hosts of a lab, beside a host in namespaces: real KVM, systemd, cgroup v2."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from _lab import lab_of
from _vagrant import FOLDER, needs_vagrant

from labkit import Lab, Vagrant
from labkit.errors import LabError, NotFound, NotSupported, Unreachable
from labkit.hosts.vagrant import VagrantState
from labkit.hosts.vagrant_hosts import CARRIER, VagrantHost
from labkit.machines.base import Machine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.xdist_group("vagrant"),
    needs_vagrant,
]
PATIENCE_S = 600  # the processors are emulated


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A host in namespaces, and the two of ``vagrant/hosts.yml``."""
    with lab_of(["near", Vagrant(FOLDER, kept=True)]) as made:
        made.networks.create("lan")
        yield made


@pytest.fixture(scope="module")
def alpha(lab: Lab) -> VagrantHost:
    host = lab["alpha"]
    assert isinstance(host, VagrantHost)
    return host


@pytest.fixture(scope="module")
def machines(lab: Lab, alpha: VagrantHost) -> dict[str, Machine]:
    """One of each engine on a virtual machine, and a container in namespaces."""
    return {
        "vm": alpha.kvm.create("vm", networks=["lan"], timeout_s=PATIENCE_S),
        "dock": alpha.docker.create("dock", networks=["lan"], timeout_s=PATIENCE_S),
        "box": alpha.lxc.create("box", networks=["lan"], timeout_s=PATIENCE_S),
        "near": lab["near"].lxc.create("beside", networks=["lan"]),
    }


def test_the_lab_has_them_beside_their_carrier(lab: Lab, alpha: VagrantHost) -> None:
    """They are hosts like others, with names of their own, and another process finds them."""
    assert list(lab.hosts) == ["near", CARRIER, "alpha", "beta"]
    assert [lab[name].run(["hostname"], check=True).stdout.strip() for name in ("alpha", "beta")] == ["alpha", "beta"]
    assert alpha.status() is VagrantState.RUNNING
    other = Lab.attach(lab.name)
    assert other["beta"].run(["uname", "-n"], check=True).stdout.strip() == "beta"
    assert isinstance(other["alpha"], VagrantHost)


def test_virtual_machines_run_on_kvm(machines: dict[str, Machine], alpha: VagrantHost) -> None:
    """KVM works in the emulated processor, and what is on it answers."""
    assert alpha.kvm.acceleration().is_kvm, alpha.kvm.acceleration().reason
    assert machines["vm"].run(["hostname"], check=True).stdout.strip() == "vm"


@pytest.mark.parametrize("name", ["vm", "dock", "box"])
def test_the_verbs_of_a_machine(machines: dict[str, Machine], name: str) -> None:
    """It runs commands, tells counters, and stands still and goes on; what is in it is as it was."""
    machine = machines[name]
    machine.run(["sh", "-c", "echo kept >/root/note"], check=True)
    assert machine.stats().cpu_seconds > 0
    machine.pause()
    assert machine.refresh() == "paused"
    machine.resume()
    assert machine.run(["cat", "/root/note"], check=True).stdout == "kept\n"
    machine.snapshot("one")
    machine.run(["rm", "/root/note"], check=True)
    machine.revert("one")
    assert machine.run(["cat", "/root/note"], check=True).stdout == "kept\n"


def test_a_container_is_held_to_its_limits(alpha: VagrantHost, machines: dict[str, Machine]) -> None:
    """cgroup v2 of a real system counts for Docker's containers, with systemd as their keeper."""
    bounded = alpha.docker.create("bounded", memory="64 MiB", timeout_s=PATIENCE_S)
    assert bounded.stats().memory_total_bytes == 64 * 2**20
    bounded.destroy()


def test_one_network_for_all(machines: dict[str, Machine]) -> None:
    """Machines of all engines on a virtual machine and one in namespaces reach each other."""
    for machine in machines.values():
        for other in machines.values():
            if other is not machine:
                machine.run(["ping", "-c", "1", "-W", "20", other.addresses[0]], timeout_s=60, check=True)


def test_routed_networks_find_each_other(lab: Lab, alpha: VagrantHost) -> None:
    """One behind a virtual machine and one behind a host in namespaces: by way of the carrier, in both directions."""
    made = {}
    for name, host in (("hill", lab["near"]), ("dale", alpha)):
        lab.networks.create(name, mode="routed", host=host.name)
        made[name] = host.lxc.create(f"on-{name}", networks=[name], timeout_s=PATIENCE_S)
    for one, other in (("hill", "dale"), ("dale", "hill")):
        made[one].run(["ping", "-c", "1", "-W", "20", made[other].addresses[0]], timeout_s=60, check=True)
    for name, machine in made.items():
        machine.destroy()
        lab.networks.remove(name)


def test_tags_do_not_reach_a_virtual_machine(lab: Lab) -> None:
    """A network with a VLAN is refused there, with what to do instead, and is not listed."""
    with pytest.raises(NotSupported, match="alpha") as caught:
        lab.networks.create("tagged", vlan=7, host="alpha")
    assert "VXLAN" in caught.value.hint
    assert "tagged" not in lab.networks


def test_a_running_machine_moves_from_kvm_to_kvm(lab: Lab, alpha: VagrantHost) -> None:
    """Between two hosts with disks of their own it moves while it runs, over TLS, and keeps what is in its memory."""
    mover = alpha.kvm.create("mover", networks=["lan"], timeout_s=PATIENCE_S)
    mover.run(["sh", "-c", "echo here >/run/note"], check=True)
    move = mover.migrate(lab["beta"], timeout_s=PATIENCE_S)
    result = move.wait(PATIENCE_S)
    print(f"{result.way}: {result.total_s:.1f} s, downtime {result.downtime_ms:.0f} ms")
    assert mover.host is lab["beta"]
    assert mover.run(["cat", "/run/note"], check=True).stdout == "here\n"
    assert [machine.name for machine in lab["beta"].kvm.machines()] == ["mover"]


def test_containers_move_into_namespaces_and_back(lab: Lab, alpha: VagrantHost, machines: dict[str, Machine]) -> None:
    """A container's files go along from a host that has its own to one that shares this machine's."""
    box = machines["box"]
    box.run(["sh", "-c", "echo along >/root/luggage"], check=True)
    for to in (lab["near"], alpha):
        box.move(to).wait(PATIENCE_S)
        assert box.host is to
        assert box.run(["cat", "/root/luggage"], check=True).stdout == "along\n"


def test_suspended_with_its_machines_and_resumed(alpha: VagrantHost, machines: dict[str, Machine]) -> None:
    """A host that is suspended does not answer; resumed, its machines go on where they were."""
    vm = machines["vm"]
    # While its processor is busy, the emulated one beneath it is seldom anywhere else.
    vm.run(["sh", "-c", "echo slept >/run/note; timeout 300 sh -c 'while :; do :; done' >/dev/null 2>&1 &"], check=True)
    began = time.monotonic()
    alpha.suspend()
    asleep = time.monotonic()
    assert alpha.status() is VagrantState.SUSPENDED
    alpha.resume()
    print(f"suspended in {asleep - began:.1f} s, resumed in {time.monotonic() - asleep:.1f} s")
    assert vm.refresh() == "running"
    assert vm.run(["cat", "/run/note"], check=True).stdout == "slept\n"


def test_destroyed_behind_the_librarys_back(lab: Lab) -> None:
    """What uses the host says so in bounded time; made again, it answers under its name."""
    lab[CARRIER].run(["virsh", "-q", "destroy", "labkit-beta"], check=True)
    with pytest.raises(LabError) as caught:
        lab["beta"].run(["true"], timeout_s=60)
    assert isinstance(caught.value, Unreachable), repr(caught.value)
    beta = lab.add_host("beta", Vagrant(FOLDER))
    assert beta.run(["uname", "-n"], check=True).stdout.strip() == "beta"


def test_a_host_that_the_file_does_not_have(lab: Lab) -> None:
    """The names that there are, are told."""
    with pytest.raises(NotFound, match="gamma") as caught:
        lab.add_host(Vagrant(FOLDER, only=("gamma",)))
    assert "alpha, beta" in caught.value.hint
