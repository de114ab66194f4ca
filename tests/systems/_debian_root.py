"""The files of a Debian 12 with systemd, all that labkit needs, and an ordinary user; built once, kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from labkit._paths import cache_home

HERE = Path(__file__).parent
USER = "student"
AGENT = HERE / "_vm_agent.py"
_WHEELS = ("filelock>=3.12", "jinja2", "rich>=13", "pytest>=8,<9.2", "pytest-timeout", "pytest-xdist")
_PACKAGES = (
    "systemd-sysv", "udev", "dbus", "dbus-user-session", "libpam-systemd", "kmod", "netbase", "procps",
    "linux-image-cloud-amd64", "initramfs-tools", "lz4", "python3", "python3-libvirt", "uidmap", "dnsmasq-base",
    "iproute2", "iptables", "nftables", "openssh-client", "qemu-system-x86", "qemu-utils", "libvirt-clients",
    "libvirt-daemon", "libvirt-daemon-driver-qemu", "lxc", "tcpdump",
)  # fmt: skip
# What a server does at boot and this one need not: each unit costs an emulated processor a second.
_MASKED = (
    "e2scrub_reap.service", "systemd-timesyncd.service", "systemd-journal-flush.service", "getty@tty1.service",
    "serial-getty@ttyS0.service", "apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer", "e2scrub_all.timer",
    "dpkg-db-backup.timer", "systemd-pstore.service", "modprobe@drm.service", "modprobe@efi_pstore.service",
    "libvirtd.service", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket", "libvirt-guests.service",
    "virtlogd.socket", "virtlockd.socket", "dnsmasq.service", "nftables.service", "lxc.service", "lxc-net.service",
    "lxc-monitord.service",
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
set -eu
sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=lz4/' "$1/etc/initramfs-tools/initramfs.conf"
printf 'virtio_pci\\nvirtio_blk\\next4\\n' >> "$1/etc/initramfs-tools/modules"
chroot "$1" update-initramfs -u
chroot "$1" useradd --create-home --shell /bin/sh {USER}
ln -sf /lib/systemd/system/multi-user.target "$1/etc/systemd/system/default.target"
"""


def key() -> str:
    """A hash of everything that decides what is built."""
    total = hashlib.sha256()
    for path in (Path(__file__), AGENT):
        total.update(path.read_bytes())
    return total.hexdigest()[:12]


def built() -> Path:
    """The folder with disk, kernel and initrd of the machine; builds them if they are not there."""
    home = cache_home() / "test-systems"
    home.mkdir(exist_ok=True)
    folder = home / f"bookworm-{key()}"
    with FileLock(home / ".lock", timeout=1200):
        if not folder.exists():
            for old in (home / ".new", *home.glob("bookworm-*")):
                shutil.rmtree(old, ignore_errors=True)
            (home / ".new").mkdir()
            with tempfile.TemporaryDirectory(prefix="labkit-vm-", dir="/var/tmp") as work:
                _build(Path(work), home / ".new")
            (home / ".new").rename(folder)
    return folder


def _build(work: Path, made: Path) -> None:
    root = work / "root"
    options = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    # mmdebstrap asks nobody about the proxies and certificates of this machine.
    told = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout.splitlines()
    network = [line for line in told if line.startswith(("Acquire::http::", "Acquire::https::"))]
    (work / "apt.conf").write_text("\n".join([*network, 'Acquire::Retries "3";', 'APT::Install-Recommends "false";']))
    (work / "hook").write_text(_HOOK)
    subprocess.run(
        # Its mounts are nobody else's: other tests count those of this machine.
        ["unshare", "--mount", "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
         f"--include={','.join(_PACKAGES)}", *options,
         f"--aptopt={work / 'apt.conf'}", f"--customize-hook=sh {work / 'hook'} \"$1\"", "bookworm", root],
        check=True,
    )  # fmt: skip
    for name, text in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for unit in _MASKED:
        (root / "etc/systemd/system" / unit).unlink(missing_ok=True)
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "bed.service").symlink_to("/etc/systemd/system/bed.service")
    shutil.copy(AGENT, root / "opt/agent.py")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--target", root / "opt/python", "--only-binary=:all:",
         "--python-version=3.11", "--implementation=cp", "--platform=manylinux2014_x86_64", *_WHEELS],
        check=True,
    )  # fmt: skip
    [kernel], [initrd] = root.glob("boot/vmlinuz-*"), root.glob("boot/initrd.img-*")
    shutil.copyfile(kernel, made / "vmlinuz")
    shutil.copyfile(initrd, made / "initrd.img")
    make_disk(root, made / "disk.raw", 4 * 2**30)


def make_disk(folder: Path, disk: Path, size_bytes: int) -> None:
    """Make an ext4 file system that holds the files of a folder."""
    with disk.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-d", folder, "-m", "0", "-O", "^has_journal", "-E", "nodiscard", disk],
        check=True, env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )  # fmt: skip
