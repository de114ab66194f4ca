"""Images: the guests that machines start from, built once per user and kept in the cache.

An image is a folder ``<cache>/images/<name>-<key>/``; the key is a hash of everything that
decides what is built. It is built in a folder beside it and renamed when it is complete.

The guest *small* (files in ``labkit/storage/guest/``) takes these words on its kernel's command
line: ``labkit.identity=agent`` (no network, no ssh until it is told who it is), ``labkit.name=NAME``
and ``labkit.probe=poweroff`` (print ``LABKIT-PROBE-OK`` and power off before the disk is touched).
With the first, ``/usr/sbin/labkit-identity`` reads who it is on its standard input, a line each::

    name web
    machine-id 0123456789abcdef0123456789abcdef
    uuid UUID                          the machine's: it keeps name and network over its own reboots
    seed HEX                           random bytes, at least 32
    time EPOCH.NANOSECONDS
    nic N MAC ADDRESS/PREFIX|dhcp [GATEWAY|-] [DNS|-]
    ssh-key BASE64                     an OpenSSH private ed25519 key: starts sshd
    authorize BASE64                   a line for root's authorized_keys
    grow                               the file system fills the disk
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._paths import cache_home
from .._progress import Task, progress
from .._values import check_name
from ..errors import ImageDamaged, NotEnoughDisk, NotFound
from . import _debian, _formats, _kernel_call, _manifest, _small
from ._workshop import alone, discard, sweep, workshop

__all__ = ["Image", "ImageInfo", "build", "catalogue", "find", "get", "remove"]

_KINDS = {"small": _small}
_NEEDED_BYTES = 600 * 2**20


@dataclass(frozen=True, slots=True)
class Image:
    """An image in the cache. Its files are read-only: put an overlay on the disk.

    A rebuild replaces the folder: copy the disk that an overlay must outlive it with.

    Attributes
    ----------
    name
        The image's name.
    digest
        The SHA-256, in hexadecimal, of the manifest: the files with their own SHA-256, and the command line.
    folder
        Where the files lie.
    kernel, initrd
        The kernel (bzImage) and its first root file system (cpio).
    disk
        The root file system: ext4 on a raw, sparse disk without partition table.
    rootfs
        The same root file system as a tar file.
    cmdline
        What the kernel must be told to boot from the disk.
    """

    name: str
    digest: str
    folder: Path
    kernel: Path
    initrd: Path
    disk: Path
    rootfs: Path
    cmdline: str

    def check(self) -> None:
        """Compare the files with what was built.

        Files whose size, times and inode are those of the last comparison are not read again.

        Raises
        ------
        ImageDamaged
            If a file is missing or differs; the message names it.
        """
        _manifest.check(self.folder, _manifest.read(self.folder))


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """A line of the catalogue.

    Attributes
    ----------
    name, description
        What it is called and what is in it.
    built
        Whether it is in the cache.
    size_bytes
        What it takes on disk; 0 if it is not built.
    digest
        As in `Image`; empty if it is not built.
    """

    name: str
    built: bool
    size_bytes: int
    digest: str
    description: str


def get(name: str = "small") -> Image:
    """Return an image from the cache, checked; build it first if it is not there.

    Raises
    ------
    NotFound
        If there is no image of this name.
    ImageDamaged
        If a file of it is not what was built.
    ImageBuildFailed, PackageMissing, NotEnoughDisk
        If it cannot be built.
    """
    with contextlib.suppress(ImageDamaged):
        if (image := find(name)) is not None:
            image.check()
            return image
    # Under the lock: what looked damaged may have been replaced just then.
    return build(name)


def build(name: str = "small", *, force: bool = False) -> Image:
    """Build an image; if it is there already, only with `force`.

    Of several processes that ask at once, one builds and the others wait for it.

    Raises
    ------
    NotFound, ImageDamaged, ImageBuildFailed, PackageMissing, NotEnoughDisk
        As `get`.
    """
    _kind(name)
    with alone(_home(), f"image {name}"):
        if force or find(name) is None:
            _build(name)
        image = _load(name)
        image.check()
        return image


def find(name: str) -> Image | None:
    """Return an image if it is in the cache, without building or checking it.

    Raises
    ------
    NotFound
        If there is no image of this name.
    ImageDamaged
        If its list of files cannot be read.
    """
    return _load(name) if _folder(name).is_dir() else None


def _load(name: str) -> Image:
    folder = _folder(name)
    manifest = _manifest.read(folder)
    roles = {role: folder / file for role, file in manifest["roles"].items()}
    return Image(name=name, digest=manifest["digest"], folder=folder, cmdline=manifest["cmdline"], **roles)


def catalogue() -> list[ImageInfo]:
    """Return a line for each image that is there or can be built, sorted by name."""
    return [_info(name) for name in sorted(_KINDS)]


def _info(name: str) -> ImageInfo:
    image, size_bytes = None, 0
    with contextlib.suppress(ImageDamaged):
        image = find(name)
    if image is not None:
        size_bytes = sum(path.stat().st_blocks * 512 for path in image.folder.iterdir())
    digest = image.digest if image else ""
    return ImageInfo(name, image is not None, size_bytes, digest, _kind(name).DESCRIPTION)


def remove(name: str) -> None:
    """Remove an image, all its versions, from the cache.

    Raises
    ------
    NotFound
        If it is not in the cache.
    """
    _kind(name)
    with alone(_home(), f"image {name}"):
        folders = [path for path in _home().glob(f"{name}-*") if _is_version(path, name)]
        if not folders:
            raise NotFound(f"the image {name} is not in the cache", hint="`labkit image list` shows what is")
        for folder in folders:
            discard(folder)
        sweep(_home())


def _is_version(path: Path, name: str) -> bool:
    key = path.name.removeprefix(f"{name}-")
    return path.is_dir() and len(key) == 12 and set(key) <= set("0123456789abcdef")


def _kind(name: str) -> Any:
    """The module that makes the image `name`."""
    check_name(name, "name of an image")
    if name not in _KINDS:
        raise NotFound(f"there is no image {name}", hint=f"there is: {', '.join(sorted(_KINDS))}")
    return _KINDS[name]


def _home() -> Path:
    home = cache_home() / "images"
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def _folder(name: str) -> Path:
    _kind(name)
    return _home() / f"{name}-{_key(name)}"


@functools.cache
def _key(name: str) -> str:
    """Twelve hexadecimal digits over everything that decides what is built."""
    total = hashlib.sha256()
    for module in (_kind(name), _formats, _kernel_call, _debian, _manifest):
        total.update(hashlib.sha256(Path(str(module.__file__)).read_bytes()).digest())
    for path in _small.guest_files():
        total.update(str(path.relative_to(_small.GUEST)).encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:12]


def _build(name: str) -> None:
    """Build the image into its folder; whatever fails leaves nothing."""
    _debian.check_tools()
    sweep(_home())
    if shutil.disk_usage(_home()).free < _NEEDED_BYTES:
        raise _no_room()
    with progress(f"image {name}") as task, workshop(_home()) as (work, lock):
        try:
            _make(name, work, lock, task)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_room() from error
            raise


def _no_room() -> NotEnoughDisk:
    return NotEnoughDisk(
        f"there is no room to build an image in {_home()}",
        hint="free 600 MiB there, or set LABKIT_CACHE to a folder on another disk",
    )


def _make(name: str, work: Path, lock: int, task: Task) -> None:
    kind = _kind(name)
    task.phase("preparing", 0.0)
    _debian.unpack(kind.SUITE, kind.PACKAGES, work / "packages", work, lock, task)
    task.phase("writing the disk", 0.9)
    made = work / "made"
    made.mkdir(mode=0o700)
    roles = kind.make_files(work / "packages", work, made)
    facts = {"name": name, "cmdline": kind.CMDLINE, "roles": roles}
    _manifest.write(made, facts, roles.values())
    target = _folder(name)
    if target.exists():
        discard(target)
    made.rename(target)
