"""A Debian that boots by itself: systemd, cgroup v2, a small initrd, and nothing that costs an emulated processor."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..errors import ImageBuildFailed, NotEnoughDisk
from ._debian import EPOCH, as_system

SUITE = "bookworm"
PACKAGES = (
    "systemd-sysv", "udev", "dbus", "dbus-user-session", "libpam-systemd", "kmod", "netbase", "procps",
    "linux-image-cloud-amd64", "initramfs-tools", "lz4", "python3", "uidmap", "dnsmasq-base", "iproute2",
    "iptables", "nftables", "openssh-client", "qemu-system-x86", "qemu-utils", "libvirt-clients",
    "libvirt-daemon", "libvirt-daemon-driver-qemu", "lxc", "tcpdump",
)  # fmt: skip
# What a server does at boot and a lab's host need not: each unit costs an emulated processor a second.
MASKED = (
    "e2scrub_reap.service", "systemd-timesyncd.service", "systemd-journal-flush.service", "getty@tty1.service",
    "serial-getty@ttyS0.service", "apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer", "e2scrub_all.timer",
    "dpkg-db-backup.timer", "systemd-pstore.service", "modprobe@drm.service", "modprobe@efi_pstore.service",
)  # fmt: skip
CMDLINE = "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off quiet systemd.unified_cgroup_hierarchy=1"
# With SMAP, AVX and RDTSCP the kernel of a machine that QEMU emulates goes wrong under some nested guests. AVX needs
# XSAVE, but some of the kernel's modules (aesni_intel) only look whether AVX is there, and crash.
BROKEN_FLAGS = ("smap", "xsave", "avx", "avx2", "rdtscp")
INITRD_HOOK = """\
set -eu
sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=lz4/' "$1/etc/initramfs-tools/initramfs.conf"
printf 'virtio_pci\\nvirtio_blk\\next4\\n' >> "$1/etc/initramfs-tools/modules"
chroot "$1" update-initramfs -u
ln -sf /lib/systemd/system/multi-user.target "$1/etc/systemd/system/default.target"
"""
# What installing leaves that is of this one time, or no two machines may share.
_FORGET = """\
cd "$1"
rm -rf dev run tmp var/tmp var/log/apt var/cache/ldconfig var/lib/systemd/random-seed var/lib/systemd/catalog
rm -f etc/ssh/ssh_host_* etc/hostname~ etc/*- var/log/*.log var/lib/dbus/machine-id var/cache/debconf/*-old \\
    var/lib/dpkg/*-old boot/*.old initrd.img* vmlinuz* etc/resolv.conf
: > etc/machine-id
mkdir -m 755 dev run && mkdir -m 1777 tmp var/tmp
find . -xdev -newermt "@$2" -exec touch -h -d "@$2" {} +
"""
_UUID = "6c61626b-6974-4000-8000-64656269616e"
_INODE_BYTES = 32768


def write_files(folder: Path, files: Mapping[str, str], masked: Iterable[str] = (), wanted: Iterable[str] = ()) -> str:
    """Write files to be laid over a system in `folder`; returns the lines of a hook that lay them there.

    Parameters
    ----------
    files
        Their texts by their names in the system; a name that ends with ``!`` is a program's.
    masked, wanted
        Units that never start, and those that start at boot.
    """
    for name, text in files.items():
        path = folder / name.removesuffix("!")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if name.endswith("!") else 0o644)
    units = '"$1/etc/systemd/system"'
    lines = [f'cp -r --no-preserve=ownership "{folder}/." "$1/"', f"mkdir -p {units}/multi-user.target.wants"]
    lines += [f"ln -sf /dev/null {units}/{unit}" for unit in masked]
    lines += [f"ln -sf /etc/systemd/system/{unit} {units}/multi-user.target.wants/{unit}" for unit in wanted]
    return "\n".join(lines) + "\n"


def forget(root: Path) -> None:
    """Remove from a system's files what differs from one installation to the next."""
    _run([*as_system(), "sh", "-euc", _FORGET, "sh", str(root), str(EPOCH)], root)


def take(root: Path, names: Mapping[str, Path]) -> None:
    """Copy files out of a system: ``{pattern: target}``."""
    for pattern, target in names.items():
        # The pattern is a constant of this library, and expands inside.
        _run([*as_system(), "sh", "-euc", 'cat "$1"/boot/"$2"* > "$3"', "sh", str(root), pattern, str(target)], root)


def write_disk(root: Path, disk: Path, size_bytes: int, *, options: Sequence[str] = ("^has_journal",)) -> None:
    """Make an ext4 file system that holds a system's files, with their owners, without mounting anything.

    The same files give the same disk.
    """
    with disk.open("wb") as file:
        file.truncate(size_bytes)
    _run([*as_system(), "mkfs.ext4", "-q", "-F", "-d", str(root), "-b", "4096", "-i", str(_INODE_BYTES), "-I", "256",
          "-m", "0", "-L", "root", "-U", _UUID, "-O", ",".join(options),
          "-E", f"hash_seed={_UUID},lazy_itable_init=0,nodiscard,root_owner=0:0", str(disk)], root)  # fmt: skip
    _set_times(disk)


def _set_times(disk: Path) -> None:
    """Give every file the one time: mkfs takes over when its copy was made."""
    told = _run(["dumpe2fs", "-h", str(disk)], disk)
    facts = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    used = int(facts["Inode count"]) - int(facts["Free inodes"])
    script = disk.with_suffix(".times")
    fields = ("ctime", "atime", "crtime", "ctime_extra", "atime_extra", "mtime_extra", "crtime_extra")
    values = {field: "0" if field.endswith("_extra") else f"@{EPOCH}" for field in fields}
    inodes = (2, *range(11, used + 1))
    lines = [f"sif <{number}> {name} {value}\n" for number in inodes for name, value in values.items()]
    script.write_text("".join(lines))
    _run(["debugfs", "-w", "-f", str(script), str(disk)], disk)
    script.unlink()


def _run(argv: Sequence[str], where: Path) -> str:
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    times = {"E2FSPROGS_FAKE_TIME": str(EPOCH), "SOURCE_DATE_EPOCH": str(EPOCH), "LC_ALL": "C", "PATH": path}
    done = subprocess.run(
        argv, capture_output=True, text=True, errors="replace", timeout=600, check=False, env=os.environ | times
    )
    if "No space left on device" in done.stderr:
        raise NotEnoughDisk(
            f"there is no room for a system in {where.parent}",
            hint="free 4 GiB there, or set LABKIT_CACHE to a folder on another disk",
        )
    if done.returncode != 0:
        raise ImageBuildFailed(f"{argv[0]} could not make the system: {done.stderr.strip()[-500:]}")
    return done.stdout
