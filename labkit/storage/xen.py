"""The Xen appliance: a hypervisor with a Debian as its domain 0, built from Debian's packages, kept in the cache.

It is a folder ``<cache>/xen/appliance-<key>/``; `hosts.xen` boots it as a virtual machine of a lab.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .._paths import cache_home, disk_room
from .._progress import Task, progress
from .._values import format_size
from ..errors import ImageBuildFailed, NotEnoughDisk
from . import _debian, _manifest, _system, _xen_files, _xen_python
from ._workshop import Built, alone, discard, key, sweep, whole, workshop

__all__ = ["Appliance", "build", "find", "get", "home"]

_DISK_BYTES = 2 * 2**30
_NEEDED_BYTES = 4 * 2**30
_UNUSED_S = 30 * 86400.0
_PARTS = {"hypervisor": "hypervisor", "vmlinux": "vmlinux", "initrd-dom0": "initrd.img"}
_FILES = (*_PARTS.values(), "root.img")


@dataclass(frozen=True, slots=True)
class Appliance(Built):
    """An appliance in the cache; its files are read-only."""

    @property
    def hypervisor(self) -> Path:
        """Xen, as multiboot starts it."""
        return self.folder / "hypervisor"

    @property
    def kernel(self) -> Path:
        """The kernel of domain 0, unpacked; it also boots in machines of every kind."""
        return self.folder / "vmlinux"

    @property
    def initrd(self) -> Path:
        """Domain 0's first root: it lays the second disk over the first."""
        return self.folder / "initrd.img"

    @property
    def root(self) -> Path:
        """The file system of domain 0, raw, never written to."""
        return self.folder / "root.img"


def get() -> Appliance:
    """Return the appliance from the cache, checked; build it first if it is not there (minutes).

    Raises
    ------
    ImageDamaged, ImageBuildFailed, PackageMissing, NotEnoughDisk, NamespacesForbidden
    """
    return whole(find) or build()


def find() -> Appliance | None:
    """Return the appliance if it is in the cache, without building or checking it."""
    folder = _folder()
    return Appliance(folder, _manifest.read(folder)["digest"]) if folder.is_dir() else None


def build(*, force: bool = False) -> Appliance:
    """Build the appliance; if it is there and whole, only with `force`.

    Of several processes that ask at once, one builds and the others wait for it.

    Raises
    ------
    ImageBuildFailed, PackageMissing, NotEnoughDisk, NamespacesForbidden
    """
    with alone(home(), "Xen appliance"):
        if not force and (there := whole(find)):
            return there
        _build()
        if made := find():
            return made
        raise ImageBuildFailed(f"the appliance is gone from {home()}", hint="who removes files there?")


def home() -> Path:
    """The folder of the cache for everything of Xen."""
    folder = cache_home() / "xen"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _folder() -> Path:
    return home() / f"appliance-{key(sys.modules[__name__], _xen_files, _xen_python, _system, _debian)}"


def _build() -> None:
    """Build the appliance into its folder; whatever fails leaves nothing."""
    _debian.check_tools()
    sweep(home())
    if shutil.disk_usage(home()).free < _NEEDED_BYTES:
        raise NotEnoughDisk(
            f"there is no room to build the Xen appliance in {home()}",
            hint=f"free {format_size(_NEEDED_BYTES)} there, or set LABKIT_CACHE to a folder on another disk",
        )
    with progress("Xen appliance") as task, workshop(home()) as (work, lock), disk_room(home()):
        made = work / "made"
        made.mkdir(mode=0o700)
        _make(work, made, lock, task)
        _manifest.write(made, {"name": "xen"}, _FILES)
        for old in home().glob("appliance-*"):
            # Another checkout's may be in use: its hosts read it.
            if old == _folder() or time.time() - old.stat().st_mtime > _UNUSED_S:
                discard(old)
        made.rename(_folder())


def _make(work: Path, made: Path, lock: int, task: Task) -> None:
    root = work / "root"
    task.phase("preparing", 0.0)
    hook = work / "hook"
    hook.write_text(f"{_system.write_files(work / 'files', _xen_files.FILES)}{_xen_files.HOOK}")
    _debian.install(_system.SUITE, _xen_files.PACKAGES, root, work, lock, task, hook=hook)
    task.phase("writing the disk", 0.85)
    _system.take(root, {name: made / target for name, target in _PARTS.items()})
    _system.forget(root)
    _system.write_disk(root, made / "root.img", _DISK_BYTES)
