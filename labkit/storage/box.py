"""The boxes from which Vagrant makes hosts: built from Debian's packages, kept in the cache.

There are two: ``labkit/debian``, and ``labkit/xen`` whose Debian is Xen's domain 0. A box is a folder
``<cache>/boxes/debian-<key>/`` with what Vagrant keeps of a box that it has unpacked,
and kernel and initrd besides, from which the host is booted directly: without boot loader and BIOS
menu an emulated host saves seconds. `archive` packs it into a ``.box`` for Vagrant elsewhere.
``python -m labkit.storage.box`` does both; `vagrant/build-box` calls it.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from .._paths import cache_home
from .._progress import Task, progress
from .._values import format_size
from ..errors import ImageBuildFailed, LabError, NotEnoughDisk, PackageMissing
from . import _box_files, _debian, _manifest, _system, _xen_box_files
from ._workshop import Built, alone, discard, key, sweep, whole, workshop

__all__ = ["KINDS", "NAME", "XEN", "Box", "archive", "build", "find", "get"]

NAME, XEN = _box_files.NAME, _xen_box_files.NAME
KINDS = {kind.NAME: kind for kind in (_box_files, _xen_box_files)}
VERSION = "1.0"
DISK_BYTES = 10 * 2**30
_NEEDED_BYTES = 4 * 2**30
_UNUSED_S = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Box(Built):
    """A box in the cache; its files are read-only.

    Attributes
    ----------
    name
        ``labkit/debian`` or ``labkit/xen``.
    """

    name: str

    @property
    def disk(self) -> Path:
        """The root file system: a qcow2 without partition table."""
        return self.folder / "box.img"

    @property
    def kernel(self) -> Path:
        """The kernel that boots it."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Its first root file system."""
        return self.folder / "initrd.img"


def get(name: str = NAME) -> Box:
    """Return a box from the cache, checked; build it first if it is not there (minutes).

    Raises
    ------
    ImageDamaged, ImageBuildFailed, PackageMissing, NotEnoughDisk, NamespacesForbidden
    """
    return whole(partial(find, name)) or build(name)


def find(name: str = NAME) -> Box | None:
    """Return a box if it is in the cache, without building or checking it."""
    folder = _folder(name)
    return Box(folder, _manifest.read(folder)["digest"], name) if folder.is_dir() else None


def build(name: str = NAME, *, force: bool = False) -> Box:
    """Build a box; if it is there and whole, only with `force`.

    Of several processes that ask at once, one builds and the others wait for it.

    Raises
    ------
    ImageBuildFailed, PackageMissing, NotEnoughDisk, NamespacesForbidden
    """
    with alone(_home(), "Vagrant box"):
        if not force and (there := whole(partial(find, name))):
            return there
        _build(name)
        box = find(name)
        if box is None:
            raise ImageBuildFailed(f"the box is gone from {_home()}", hint="who removes files there?")
        return box


def archive(box: Box, target: Path) -> Path:
    """Pack a box for ``vagrant box add``; its SHA-256 is written beside it.

    The same box gives the same file.
    """
    fresh = target.with_name(f".{target.name}-new")
    with progress("Vagrant box") as task, _room():
        task.phase("packing")
        with (
            fresh.open("wb") as out,
            gzip.GzipFile("", "wb", 1, out, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as tar,
        ):
            for file in _files(box.name):
                tar.add(box.folder / file, file, filter=_plain)
        with fresh.open("rb") as whole_box:
            total = hashlib.file_digest(whole_box, "sha256").hexdigest()
        target.with_name(f"{target.name}.sha256").write_text(f"{total}  {target.name}\n")
        fresh.replace(target)
    return target


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime, entry.mode = _debian.EPOCH, 0o644
    return entry


def _home() -> Path:
    home = cache_home() / "boxes"
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def _folder(name: str) -> Path:
    kind = KINDS[name]
    return _home() / f"{kind.PREFIX}-{key(sys.modules[__name__], kind, *kind.SOURCES, _system, _debian)}"


def _files(name: str) -> tuple[str, ...]:
    return ("metadata.json", "Vagrantfile", "box.img", *KINDS[name].TAKEN.values())


# ── Building ──────────────────────────────────────────────────────────────────────────────────


def _no_room() -> NotEnoughDisk:
    return NotEnoughDisk(
        f"there is no room to build a box in {_home()}",
        hint=f"free {format_size(_NEEDED_BYTES)} there, or set LABKIT_CACHE to a folder on another disk",
    )


@contextlib.contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_room() from error
        raise


def _build(name: str) -> None:
    """Build a box into its folder; whatever fails leaves nothing."""
    _debian.check_tools()
    if shutil.which("qemu-img") is None:
        raise PackageMissing("qemu-img is not installed", hint="apt-get install qemu-utils")
    sweep(_home())
    if shutil.disk_usage(_home()).free < _NEEDED_BYTES:
        raise _no_room()
    with progress("Vagrant box") as task, workshop(_home()) as (work, lock), _room():
        made = work / "made"
        made.mkdir(mode=0o700)
        _make(KINDS[name], work, made, lock, task)
        _manifest.write(made, {"name": name, "version": VERSION}, _files(name))
        for old in _home().glob("[!.]*-*/"):
            # Another checkout's may be in use: the disks of its hosts are layers on it.
            if old == _folder(name) or time.time() - old.stat().st_mtime > _UNUSED_S:
                discard(old)
        made.rename(_folder(name))


def _make(kind: ModuleType, work: Path, made: Path, lock: int, task: Task) -> None:
    root, raw = work / "root", work / "disk.raw"
    task.phase("preparing", 0.0)
    hook = work / "hook"
    laid = _system.write_files(work / "files", kind.FILES, kind.MASKED, kind.WANTED)
    hook.write_text(f"{_system.INITRD_HOOK}{laid}{kind.HOOK}")
    _debian.install(_system.SUITE, kind.PACKAGES, root, work, lock, task, hook=hook)
    task.phase("writing the disk", 0.85)
    _system.take(root, {source: made / target for source, target in kind.TAKEN.items()})
    _system.forget(root)
    _system.write_disk(root, raw, DISK_BYTES)
    task.phase("converting the disk", 0.95)
    done = subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(made / "box.img")],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise ImageBuildFailed(f"qemu-img could not convert the disk: {done.stderr.strip()[-300:]}")
    facts = {"provider": "libvirt", "format": "qcow2", "virtual_size": DISK_BYTES // 2**30}
    (made / "metadata.json").write_text(json.dumps(facts) + "\n")
    (made / "Vagrantfile").write_text(kind.VAGRANTFILE.replace("CMDLINE", _system.CMDLINE))


def main(argv: list[str] | None = None) -> int:
    """Build a box and, unless only that is asked for, pack it; print how to use it."""
    parser = argparse.ArgumentParser(prog="vagrant/build-box", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--force", action="store_true", help="build it again although it is there")
    parser.add_argument("--folder", action="store_true", help="do not pack it into a .box")
    parser.add_argument("--xen", action="store_true", help=f"the box {XEN}, whose hosts boot Xen, instead of {NAME}")
    words = parser.parse_args(argv)
    name = XEN if words.xen else NAME
    try:
        box = build(name, force=True) if words.force else get(name)
        print(box.folder if words.folder else archive(box, _home() / f"{name.replace('/', '-')}.box"))
    except LabError as error:
        print(f"build-box: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
