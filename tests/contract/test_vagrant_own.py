"""Hosts by Vagrant in the libvirt of a computer's own system, which outlive the lab.

The computer is made for the test: namespaces in which a libvirtd runs as a system's does, so that this machine's
own has no part in it. What is in it is gone with its first process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from _vagrant import FOLDER, needs_vagrant
from _wait import until

from labkit import Lab, Vagrant
from labkit._paths import cache_home
from labkit.errors import DaemonFailed, NotSupported
from labkit.hosts import _libvirtd
from labkit.hosts.base import Host
from labkit.hosts.vagrant import VagrantProject, VagrantState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.xdist_group("vagrant"),
    needs_vagrant,
    pytest.mark.skipif(os.geteuid() != 0, reason="a computer of its own is made by root"),
]
TESTS = FOLDER.parent / "tests"
# ACCOUNTS FOLDER PYTHON: be a computer, on which `newcomer` does what somebody would do.
COMPUTER = r"""
accounts=$1 folder=$2 python=$3
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/of-etc /run/of-var /run/work-etc /run/work-var
for top in etc var; do
    mount -t overlay overlay -o "lowerdir=/$top,upperdir=/run/of-$top,workdir=/run/work-$top" "/$top"
done
cp "$accounts/etc-passwd" /etc/passwd
cp "$accounts/etc-group" /etc/group
mkdir -p /etc/libvirt/qemu /var/lib/libvirt/images /var/cache/libvirt /var/log/libvirt
echo 'auth_unix_rw = "none"' >/etc/libvirt/libvirtd.conf
printf '%s\n' 'user = "root"' 'group = "root"' 'stdio_handler = "file"' 'remember_owner = 0' 'namespaces = []' \
    'security_driver = "none"' 'cgroup_controllers = []' >/etc/libvirt/qemu.conf
ip link set lo up
export HOME=$folder/home LABKIT_STATE=$folder/state LABKIT_RUNTIME=/run/labkit
mkdir -p "$HOME" "$LABKIT_STATE" "$LABKIT_RUNTIME"
"$python" -c 'import sys, test_vagrant_own; test_vagrant_own.newcomer(sys.argv[1])' "$folder"
"""
# What a host has that labs make.
OWN_MARKS = """
virsh -q net-list --all --name
docker network ls --format '{{.Name}}' | sort
docker ps -a --format '{{.Names}}'
lxc-ls
ip -brief link | cut -d ' ' -f 1 | sort
ip route
iptables -S | grep -c LABKIT
ls /var/lib/lxc
exit 0
"""
UP = """
import sys
from labkit.hosts.vagrant import VagrantProject
VagrantProject(sys.argv[1]).up("alpha")
"""


def newcomer(folder: str) -> None:
    """What somebody does on that computer; whatever is not as it should be ends it with a traceback."""
    project = VagrantProject(Path(folder, "vagrant"))
    without_libvirt(project)
    with Path(folder, "libvirtd.log").open("w") as log:
        subprocess.Popen(["libvirtd"], stdout=log, stderr=log)
    until(Path("/run/libvirt/libvirt-sock").exists, "libvirtd answers")
    cut_off(project)
    boot, before = two_labs(project)
    by_hand_and_kept(project, boot, before)
    resumed_and_removed(project, boot)
    print("all well")


def without_libvirt(project: VagrantProject) -> None:
    with pytest.raises(DaemonFailed, match="no libvirt that answers") as caught:
        project.status("alpha")
    assert "libvirtd" in caught.value.hint


def cut_off(project: VagrantProject) -> None:
    """Whoever brings a host up is killed: Vagrant ends, too, and the host is half made."""
    assert project.status("alpha") is VagrantState.ABSENT
    half = subprocess.Popen([sys.executable, "-c", UP, str(project.folder)])
    until(lambda: half.poll() is not None or project.status("alpha") is not VagrantState.ABSENT, "it is begun", 600)
    half.kill()
    half.wait()

    def running() -> list[str]:
        return subprocess.run(["ps", "-eo", "comm="], capture_output=True, text=True, check=True).stdout.split()

    until(lambda: "vagrant" not in running(), "Vagrant has ended", 30)
    assert project.status("alpha") is VagrantState.HALF_MADE


def two_labs(project: VagrantProject) -> tuple[str, str]:
    """One has two hosts on a network of theirs, another one of them meanwhile; it is suspended with the last."""
    with Lab("first", hosts=["near", Vagrant(project.folder, carrier=None)]) as lab:
        alpha, beta = lab["alpha"], lab["beta"]
        boot, before = booted(alpha), alpha.run(["sh", "-c", OWN_MARKS], check=True).stdout
        lab.networks.create("lan", host="alpha")
        lab.networks.create("behind", mode="routed", host="beta")
        alpha.docker.networks.create("inner")
        alpha.docker.create("dock", networks=["lan"], timeout_s=600)
        web = alpha.lxc.create("web", networks=["lan"], timeout_s=600)
        db = beta.lxc.create("db", networks=["lan"], timeout_s=600)
        web.run(["ping", "-c", "1", "-W", "20", "db"], timeout_s=120, check=True)
        web.move(beta, timeout_s=600).wait()
        db.run(["ping", "-c", "1", "-W", "20", "web"], timeout_s=120, check=True)
        with pytest.raises(NotSupported, match="near and alpha"):
            lab["near"].lxc.create("apart", networks=["lan"])
        assert "running" in by_hand(project, "status", "alpha")
        with Lab("second", hosts=[keeping(project)]) as other:
            assert booted(other["alpha"]) == boot
        with Lab("second", hosts=[Vagrant(project.folder, only=("alpha",), carrier=None)]) as other:
            assert booted(other["alpha"]) == boot
        assert project.status("alpha") is VagrantState.RUNNING
        beta.destroy()
        assert project.status("beta") is VagrantState.ABSENT
    assert project.status("alpha") is VagrantState.SUSPENDED
    return boot, before


def by_hand_and_kept(project: VagrantProject, boot: str, before: str) -> None:
    """It goes on by ``vagrant up``; a lab finds nothing of the earlier ones in it, and leaves it running."""
    by_hand(project, "up", "alpha")
    with Lab("third", hosts=[keeping(project)]) as lab:
        assert booted(lab["alpha"]) == boot
        assert lab["alpha"].run(["sh", "-c", OWN_MARKS], check=True).stdout == before
    assert project.status("alpha") is VagrantState.RUNNING


def resumed_and_removed(project: VagrantProject, boot: str) -> None:
    project.suspend("alpha")
    with Lab("fourth", hosts=[keeping(project)]) as lab:
        assert booted(lab["alpha"]) == boot
        lab["alpha"].destroy()
    assert project.status("alpha") is VagrantState.ABSENT


def keeping(project: VagrantProject) -> Vagrant:
    return Vagrant(project.folder, only=("alpha",), carrier=None, at_end="keep")


def by_hand(project: VagrantProject, *words: str) -> str:
    """Vagrant, typed in the folder."""
    done = subprocess.run(
        ["vagrant", *words], cwd=project.folder, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def booted(host: Host) -> str:
    """What tells this boot of a host from all others."""
    return host.run(["cat", "/proc/sys/kernel/random/boot_id"], check=True).stdout


def test_they_outlive_the_lab(tmp_path: Path) -> None:
    """Cut off and made, used by two labs, suspended with the last, had by hand, kept running, resumed, removed."""
    accounts = tmp_path / "accounts"
    accounts.mkdir()
    _libvirtd.write_accounts(accounts)
    shutil.copytree(FOLDER, tmp_path / "vagrant", ignore=shutil.ignore_patterns(".vagrant"))
    path = f"{FOLDER.parent}:{TESTS}:{Path(__file__).parent}"
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc",
         "sh", "-euc", COMPUTER, "sh", str(accounts), str(tmp_path), sys.executable],
        capture_output=True, text=True, timeout=2000, check=False,
        env={**os.environ, "PYTHONPATH": path, "LABKIT_CACHE": str(cache_home())},
    )  # fmt: skip
    print(done.stdout, done.stderr[-5000:])
    assert done.returncode == 0
    assert done.stdout.endswith("all well\n")
