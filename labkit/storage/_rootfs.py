"""Root file systems in tar files: looked through before anything of them is unpacked."""

from __future__ import annotations

import hashlib
import lzma
import posixpath
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from .._values import format_size
from ..errors import ImageDamaged, NotFound

MOST_BYTES = 8 * 2**30
_MOST_FILES = 500_000
_SHELLS = frozenset({"bin/sh", "usr/bin/sh"})


@dataclass(frozen=True, slots=True)
class Rootfs:
    """What is in a tar file.

    Attributes
    ----------
    size_bytes
        What its files take once they are unpacked.
    files
        How many there are.
    has_shell
        Whether ``/bin/sh`` is among them.
    """

    size_bytes: int
    files: int
    has_shell: bool


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def examine(path: Path, *, most_bytes: int = MOST_BYTES) -> Rootfs:
    """Look through the tar file of a root file system.

    Parameters
    ----------
    path
        The tar file, compressed or not.
    most_bytes
        What its files may take at most, in bytes.

    Raises
    ------
    ImageDamaged
        If it is no tar file, or something in it leads out of the folder it is unpacked to, is a
        device, or takes more than it may.
    NotFound
        If there is no such file.
    """
    reading = _Reading(path.name, most_bytes)
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                reading.take(member)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}", hint="give the path of a tar file") from error
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise ImageDamaged(f"{path.name} is not a whole tar file: {error}", hint="make it again") from error
    names = reading.links | reading.others
    if not names:
        raise ImageDamaged(f"{path.name} is empty", hint="give a tar file with a root file system")
    return Rootfs(reading.size_bytes, len(names), bool(names & _SHELLS))


class _Reading:
    """What was seen of a tar file so far."""

    def __init__(self, archive: str, most_bytes: int) -> None:
        self.archive = archive
        self.most_bytes = most_bytes
        self.size_bytes = 0
        self.links: set[str] = set()
        self.others: set[str] = set()

    def take(self, member: tarfile.TarInfo) -> None:
        """Take one member in, or refuse it."""
        name = posixpath.normpath(member.name)
        if fault := self._fault(member, name):
            raise ImageDamaged(
                f"{self.archive} is refused: {ascii(member.name)[:120]} {fault}", hint="make the tar file without it"
            )
        self.size_bytes += member.size
        (self.links if member.issym() else self.others).add(name)
        if self.size_bytes > self.most_bytes or len(self.links) + len(self.others) > _MOST_FILES:
            raise ImageDamaged(
                f"{self.archive} is refused: it unpacks to more than {format_size(self.most_bytes)} "
                f"or {_MOST_FILES} files", hint="a root file system is smaller; is it a bomb?",
            )  # fmt: skip

    def _fault(self, member: tarfile.TarInfo, name: str) -> str:
        """Why a member must not be unpacked, or ""."""
        if member.name.startswith("/") or ".." in member.name.split("/"):
            return "leads out of the root"
        if member.isdev() and not member.isfifo():
            return "is a device"
        parents = name.split("/")[:-1]
        if any("/".join(parents[:depth]) in self.links for depth in range(1, len(parents) + 1)):
            return "lies beyond a symbolic link"
        if member.issym() and not member.linkname.startswith("/"):  # an absolute one is meant as seen from inside
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
            if target == ".." or target.startswith("../"):
                return f"links out of the root, to {ascii(member.linkname)[:60]}"
        if member.islnk() and posixpath.normpath(member.linkname) not in self.others:
            return f"is a hard link to {ascii(member.linkname)[:60]}, which is no file in it"
        return ""
