"""A host of ``vagrant/hosts.yml`` that boots Xen: systemd in domain 0, its machines' disks its own files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
import yaml
from _lab import lab_of
from _vagrant import FOLDER, goes_back_to_a_snapshot, needs_vagrant
from _xen import PATIENCE_S

from labkit import Lab, Vagrant
from labkit.errors import NotSupported
from labkit.hosts.vagrant_hosts import VagrantXenHost
from labkit.machines.spec import State

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400), pytest.mark.xdist_group("vagrant"), needs_vagrant]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A host in namespaces, and Vagrant's alpha with Xen instead of the other engines."""
    folder = tmp_path_factory.mktemp("project") / "vagrant"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns(".vagrant"))
    path = folder / "hosts.yml"
    file = yaml.safe_load(path.read_text())
    file["hosts"]["alpha"]["engines"] = ["xen"]
    path.write_text(yaml.safe_dump(file))
    with lab_of(["near", Vagrant(folder, only=("alpha",))]) as made:
        yield made


@pytest.fixture(scope="module")
def alpha(lab: Lab) -> VagrantXenHost:
    host = lab["alpha"]
    assert isinstance(host, VagrantXenHost)
    return host


def test_its_debian_is_domain_0(alpha: VagrantXenHost) -> None:
    """Its process 1 is systemd, Xen lists it as domain 0, and the engines that it cannot have say so."""
    assert alpha.run(["cat", "/proc/1/comm", "/sys/hypervisor/type"], check=True).stdout == "systemd\nxen\n"
    assert "control_d" in alpha.run(["cat", "/proc/xen/capabilities"], check=True).stdout
    assert dict(alpha.facts())["hypervisor"].startswith("Xen 4.")
    for engine in ("kvm", "docker", "lxc"):
        with pytest.raises(NotSupported, match="Xen host"):
            getattr(alpha, engine)


@pytest.mark.parametrize("kind", ["pvh", "pv"])
def test_a_machine_of_xens(lab: Lab, alpha: VagrantXenHost, kind: str) -> None:
    """It does what the contract asks of a machine, a snapshot brings back memory and disk, and nothing is left."""
    web = alpha.xen.create("web", kind=kind, timeout_s=PATIENCE_S)
    told = web.run(["sh", "-c", "cat /sys/hypervisor/guest_type; hostname; exit 7"])
    assert (told.exit_code, told.stdout.lower()) == (7, f"{kind}\nweb\n")
    goes_back_to_a_snapshot(web)
    plan = web.migration_plan(lab["near"])
    assert "does not boot Xen" in plan.obstacles[0].what
    web.destroy()
    left = "xl list | tail -n +3; pgrep -a qemu-nbd; ls /run/labkit-disks"
    assert alpha.run(["sh", "-c", left]).stdout.split() == []


def test_it_stays_suspended(alpha: VagrantXenHost) -> None:
    """Its memory, with Xen's and all machines' in it, is written to disk and read again."""
    machine = alpha.xen.create("long", timeout_s=PATIENCE_S)
    machine.run(["sh", "-c", "timeout 300 sh -c 'while :; do :; done' >/dev/null 2>&1 &"], check=True)
    alpha.suspend()
    alpha.resume()
    assert machine.refresh() is State.RUNNING
    assert machine.run(["hostname"]).stdout == "long\n"
    machine.destroy()
