"""The files of a Debian 12 with systemd, all that labkit needs, and an ordinary user; built once, kept in the cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from labkit._paths import cache_home
from labkit._progress import Task, progress
from labkit.storage import _debian, _system
from labkit.storage._workshop import alone, discard, sweep, workshop

HERE = Path(__file__).parent
USER = "student"
AGENT = HERE / "_vm_agent.py"
_WHEELS = ("filelock>=3.12", "jinja2", "rich>=13", "pytest>=8,<9.2", "pytest-timeout", "pytest-xdist")
_MASKED = (
    *_system.MASKED, "libvirtd.service", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket",
    "libvirt-guests.service", "virtlogd.socket", "virtlockd.socket", "dnsmasq.service", "nftables.service",
    "lxc.service", "lxc-net.service", "lxc-monitord.service",
)  # fmt: skip
_UNIT = """\
[Unit]
After=systemd-user-sessions.service user@1000.service
[Service]
ExecStart=/usr/bin/python3 /opt/agent.py /dev/virtio-ports/labkit
[Install]
WantedBy=multi-user.target
"""
_FILES = {
    "etc/hostname": "bed\n",
    "etc/hosts": "127.0.0.1 localhost bed\n",
    "etc/fstab": "/dev/vda / ext4 noatime 0 0\n/dev/vdb /srv ext4 ro,noload 0 0\n",
    "etc/machine-id": "",
    "etc/modules-load.d/bed.conf": "kvm_amd\ntun\noverlay\n",
    "etc/udev/rules.d/99-bed.rules": 'KERNEL=="kvm", MODE="0666"\n',
    "etc/systemd/journald.conf": "[Journal]\nStorage=volatile\n",
    "etc/systemd/system/bed.service": _UNIT,
    f"var/lib/systemd/linger/{USER}": "",
}
_HOOK = f"""\
chroot "$1" useradd --create-home --shell /bin/sh {USER}
cp "{AGENT}" "$1/opt/agent.py"
"""


def key() -> str:
    """A hash of everything that decides what is built."""
    total = hashlib.sha256()
    for path in (Path(__file__), AGENT, Path(_system.__file__), Path(_debian.__file__)):
        total.update(path.read_bytes())
    return total.hexdigest()[:12]


def built() -> Path:
    """The folder with disk, kernel and initrd of the machine; builds them if they are not there."""
    home = cache_home() / "test-systems"
    home.mkdir(exist_ok=True)
    folder = home / f"bookworm-{key()}"
    with alone(home, "test system"):
        if not folder.exists():
            sweep(home)
            for old in home.glob("bookworm-*"):
                discard(old)
            with progress("test system") as task, workshop(home) as (work, lock):
                _build(work, lock, task).rename(folder)
    return folder


def _build(work: Path, lock: int, task: Task) -> Path:
    root, made, hook = work / "root", work / "made", work / "hook"
    made.mkdir()
    laid = _system.write_files(work / "files", _FILES, _MASKED, ["bed.service"])
    hook.write_text(f"{_system.INITRD_HOOK}{laid}{_HOOK}")
    packages = (*_system.PACKAGES, "python3-libvirt")
    _debian.install(_system.SUITE, packages, root, work, lock, task, hook=hook)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--target", root / "opt/python", "--only-binary=:all:",
         "--python-version=3.11", "--implementation=cp", "--platform=manylinux2014_x86_64", *_WHEELS],
        check=True,
    )  # fmt: skip
    _system.take(root, {"vmlinuz-": made / "vmlinuz", "initrd.img-": made / "initrd.img"})
    _system.forget(root)
    _system.write_disk(root, made / "disk.raw", 4 * 2**30)
    return made


def make_disk(folder: Path, disk: Path, size_bytes: int) -> None:
    """Make an ext4 file system that holds the files of a folder."""
    with disk.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-d", folder, "-m", "0", "-O", "^has_journal", "-E", "nodiscard", disk],
        check=True, env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )  # fmt: skip
