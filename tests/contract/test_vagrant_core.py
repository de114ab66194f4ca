"""One virtual machine of Vagrant's as a host: real KVM, cgroup v2, one network with namespaces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from _lab import lab_of
from _vagrant import FOLDER, goes_back_to_a_snapshot, needs_vagrant

from labkit import Lab, Vagrant
from labkit.hosts.vagrant_hosts import VagrantHost
from labkit.machines.base import Machine

pytestmark = [pytest.mark.timeout(1800), pytest.mark.xdist_group("vagrant"), needs_vagrant]
PATIENCE_S = 600  # the processor is emulated


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A host in namespaces, and one of ``vagrant/hosts.yml``."""
    with lab_of(["near", Vagrant(FOLDER, only=("alpha",))]) as made:
        made.networks.create("lan")
        yield made


@pytest.fixture(scope="module")
def alpha(lab: Lab) -> VagrantHost:
    host = lab["alpha"]
    assert isinstance(host, VagrantHost)
    return host


@pytest.fixture(scope="module")
def web(alpha: VagrantHost) -> Machine:
    return alpha.kvm.create("web", networks=["lan"], timeout_s=PATIENCE_S)


def test_a_virtual_machine_on_kvm(lab: Lab, alpha: VagrantHost, web: Machine) -> None:
    """KVM in the emulated processor runs a machine, which does what it is told and reaches one in a namespace."""
    assert alpha.kvm.acceleration().is_kvm, alpha.kvm.acceleration().reason
    done = web.run(["sh", "-c", "hostname; echo err >&2; exit 7"])
    assert (done.exit_code, done.stdout, done.stderr) == (7, "web\n", "err\n")
    reach_each_other(web, lab["near"].lxc.create("beside", networks=["lan"]))


@pytest.mark.slow
def test_its_snapshot_and_its_end(alpha: VagrantHost, web: Machine) -> None:
    """Paused, reverted and destroyed, it does what the contract asks, and nothing of it is left."""
    goes_back_to_a_snapshot(web)
    web.destroy()
    assert alpha.run(["virsh", "-q", "list", "--all", "--name"], check=True).stdout.split() == []


def reach_each_other(one: Machine, other: Machine) -> None:
    one.run(["ping", "-c", "1", "-W", "20", other.name], timeout_s=60, check=True)
    other.run(["ping", "-c", "1", "-W", "20", one.name], timeout_s=60, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["lxc", "docker"])
def test_a_container_held_to_its_memory(alpha: VagrantHost, engine: str) -> None:
    """The kernel's cgroup v2 ends what takes more memory than its container has; less is served."""
    assert alpha.run(["stat", "-fc", "%T", "/sys/fs/cgroup"], check=True).stdout == "cgroup2fs\n"
    small = getattr(alpha, engine).create("small", memory="32 MiB", timeout_s=PATIENCE_S)
    assert small.stats().memory_total_bytes == 32 * 2**20
    assert small.run(["labkit-load", "memory", "8", "1"], timeout_s=120).ok
    assert not small.run(["labkit-load", "memory", "64", "60"], timeout_s=120).ok
    small.destroy()
    assert alpha.machines() == []
