"""A host that Vagrant makes inside a lab: against the libvirt of a lab's host, without any system daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from _lab import lab_of
from _vagrant import FOLDER, needs_vagrant, ssh_to
from _wait import until

from labkit.errors import InvalidState, NotFound
from labkit.hosts.base import Host
from labkit.hosts.vagrant import SshConfig, VagrantProject, VagrantState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.xdist_group("vagrant"),
    needs_vagrant,
]
DOMAIN = "labkit-alpha"
UP = """
import sys
from labkit import Lab
from labkit.hosts.vagrant import VagrantProject
VagrantProject(sys.argv[2], Lab.attach(sys.argv[1])["carrier"]).up("alpha")
"""


@pytest.fixture(scope="module")
def carrier() -> Iterator[Host]:
    """The host whose libvirt runs what Vagrant makes; with the lab, all of it is gone."""
    with lab_of(["carrier"]) as lab:
        yield lab["carrier"]


@pytest.fixture(scope="module")
def project(carrier: Host) -> VagrantProject:
    return VagrantProject(FOLDER, carrier)


def virsh(host: Host, *words: str) -> str:
    return host.run(["virsh", "-q", *words], check=True).stdout


def cut_off_when_it_is_defined(project: VagrantProject) -> None:
    """Begin an `up` in a process of its own and kill that when libvirt knows the machine."""
    carrier = project.carrier
    assert carrier
    process = subprocess.Popen(
        [sys.executable, "-c", UP, carrier.lab.name, str(FOLDER)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:

        def begun() -> bool:
            assert process.poll() is None, process.communicate()[0]
            known = carrier.run(["virsh", "-q", "list", "--all", "--name"])
            return known.ok and DOMAIN in known.stdout.split()

        until(begun, "libvirt knows the machine", 900)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    # The host's first process has then ended what it had started for it.
    until(lambda: "vagrant" not in carrier.run(["ps", "-eo", "comm"], check=True).stdout, "Vagrant has ended", 30)


@pytest.fixture(scope="module")
def alpha(project: VagrantProject) -> SshConfig:
    """The running machine; its first `up` was cut off."""
    assert project.status("alpha") is VagrantState.ABSENT
    cut_off_when_it_is_defined(project)
    assert project.status("alpha") is VagrantState.HALF_MADE
    with pytest.raises(InvalidState, match="half made"):
        project.ssh_config("alpha")
    began = time.monotonic()
    config = project.up("alpha")
    print(f"up, after one that was cut off: {time.monotonic() - began:.1f} s")
    return config


@pytest.fixture(scope="module")
def ssh(carrier: Host, alpha: SshConfig) -> Callable[[str], str]:
    """Run a shell command in the machine."""

    def run(command: str) -> str:
        return carrier.run([*ssh_to(alpha), command], timeout_s=300, check=True).stdout

    return run


def test_the_machine_is_a_debian_for_labs(ssh: Callable[[str], str], project: VagrantProject) -> None:
    """It has the name of hosts.yml, systemd with nothing failed, cgroup v2 alone, and KVM that can be opened."""
    assert project.status("alpha") is VagrantState.RUNNING
    assert ssh("hostname").strip() == "alpha"
    assert ssh("systemctl --failed --quiet --no-legend --plain").split() == []
    assert ssh("stat -fc %T /sys/fs/cgroup").strip() == "cgroup2fs"
    assert {"cpu", "io", "memory", "pids"} <= set(ssh("cat /sys/fs/cgroup/cgroup.controllers").split())
    ssh("test -r /dev/kvm -a -w /dev/kvm")
    assert "198.19.201.11/24" in ssh("ip -br address show eth1")
    assert "198.19.201.12" in ssh("getent hosts beta")


def test_its_engines_answer(ssh: Callable[[str], str]) -> None:
    """The ordinary user of Vagrant reaches libvirt and Docker by their sockets; LXC is installed."""
    assert "QEMU" in ssh("virsh -c qemu:///system version")
    assert ssh("docker version --format '{{.Server.Os}}'").strip() == "linux"
    assert ssh("docker info --format '{{.CgroupVersion}}'").strip() == "2"
    ssh("command -v lxc-start")


def test_a_user_may_have_rootless_labs(ssh: Callable[[str], str]) -> None:
    """The user student has subordinate ids, a manager of his own and controllers that it may hand on."""
    assert "student:" in ssh("cat /etc/subuid")
    uid = ssh("id -u student").strip()
    controllers = f"/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers"
    assert {"cpu", "memory", "pids"} <= set(ssh(f"cat {controllers}").split())


def test_only_the_lab_may_log_in(ssh: Callable[[str], str], project: VagrantProject) -> None:
    """Vagrant's well-known key opens nothing: the one key is the project's."""
    keys = ssh("cat .ssh/authorized_keys").split()
    assert keys[1] == (project.state / "home/key.pub").read_text().split()[1]
    assert keys.count("ssh-rsa") == 0


def test_provisioning_again_changes_nothing(alpha: SshConfig, project: VagrantProject) -> None:
    """Run once more, every step finds its work done and says so."""
    said = project.provision("alpha")
    assert [line for line in said if not line.startswith("already there: ")] == ["alpha is ready"]
    assert len(said) > 20


def test_a_suspended_machine_goes_on(ssh: Callable[[str], str], project: VagrantProject) -> None:
    """Suspended, its memory is on disk and no process is left; `up` has it go on where it was."""
    carrier = project.carrier
    assert carrier
    ssh("nohup sleep 100000 >/dev/null 2>&1 & echo $! > /tmp/pid; cat /proc/sys/kernel/random/boot_id > /tmp/boot")
    project.suspend("alpha")
    assert project.status("alpha") is VagrantState.SUSPENDED
    assert "qemu" not in carrier.run(["ps", "-eo", "comm"], check=True).stdout
    with pytest.raises(InvalidState, match="suspended"):
        project.ssh_config("alpha")
    project.up("alpha")
    assert ssh("cat /proc/sys/kernel/random/boot_id; kill -0 $(cat /tmp/pid)") == ssh("cat /tmp/boot")


def test_a_machine_that_is_not_in_the_file_is_not_found(project: VagrantProject) -> None:
    """A name that hosts.yml does not have is refused, with those that it has."""
    with pytest.raises(NotFound, match="gamma") as caught:
        project.up("gamma")
    assert "alpha, beta" in caught.value.hint


def test_a_machine_destroyed_behind_its_back(alpha: SshConfig, project: VagrantProject, carrier: Host) -> None:
    """Somebody removes it by virsh: it is absent, and what is left of it stands in no way of the next `up`."""
    virsh(carrier, "destroy", DOMAIN)
    virsh(carrier, "undefine", "--managed-save", DOMAIN)
    assert project.status("alpha") is VagrantState.ABSENT
    with pytest.raises(InvalidState, match="absent"):
        project.ssh_config("alpha")
    cut_off_when_it_is_defined(project)
    assert project.status("alpha") is VagrantState.HALF_MADE


def test_destroy_leaves_nothing(project: VagrantProject, carrier: Host) -> None:
    """No machine, disk, process or note of it is left; once more does nothing."""
    for _ in range(2):
        project.destroy("alpha")
        assert project.status("alpha") is VagrantState.ABSENT
        assert virsh(carrier, "list", "--all", "--name").split() == []
        assert "labkit-alpha" not in virsh(carrier, "vol-list", "default")
        assert "qemu" not in carrier.run(["ps", "-eo", "comm"], check=True).stdout
        assert not list((project.state / "dot").glob("machines/alpha/*/id"))
