"""Archives from elsewhere, looked at before anything is made of them."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .._progress import check_cancelled
from .._values import format_size
from ..errors import ArchiveRefused

MOST_BYTES = 4 * 2**30
MOST_FILES = 1_000_000
# What an absolute link in a root file system may lead to without its being in the archive.
_MADE_LATER = ("/proc/", "/sys/", "/dev/", "/run/", "/tmp/", "/usr/share/")


def check_rootfs(archive: IO[bytes], *, most_bytes: int = MOST_BYTES) -> None:
    """Look through a tar of a root file system, packed by gzip, bzip2, xz or not at all.

    Parameters
    ----------
    archive
        Open at its start; is read to its end.
    most_bytes
        What its files may add up to, unpacked.

    Raises
    ------
    ArchiveRefused
        If a name or a link leads out of it, if it has devices, if it is too much, or no tar.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r|*") as tar:
            _check(_measured(tar, most_bytes))
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise ArchiveRefused(
            f"it is not a tar that can be read: {error}", hint="make it with `tar -C FOLDER -cf FILE .`"
        ) from error


def check_file(path: Path, *, most_bytes: int = MOST_BYTES) -> None:
    """`check_rootfs` for the file at `path`, which the error names."""
    with path.open("rb") as archive:
        try:
            check_rootfs(archive, most_bytes=most_bytes)
        except ArchiveRefused as error:
            raise ArchiveRefused(f"{path.name}: {error.message}", hint=error.hint) from error


def _measured(tar: tarfile.TarFile, most_bytes: int) -> Iterator[tarfile.TarInfo]:
    """The entries, as long as they are not too much; what follows an entry is read after it is looked at."""
    size = 0
    for number, entry in enumerate(tar):
        check_cancelled()
        # A sparse file says small and becomes large.
        size += max(entry.size, 512)
        if size > most_bytes or number >= MOST_FILES:
            raise ArchiveRefused(
                f"its files are more than {format_size(most_bytes)} or {MOST_FILES} when they are unpacked",
                hint="if that is meant, give a larger most_bytes",
            )
        yield entry
        tar.members = []  # type: ignore[attr-defined]  # it would keep them all


def _check(entries: Iterator[tarfile.TarInfo]) -> None:
    names: set[str] = set()
    links: dict[str, str] = {}
    for entry in entries:
        name = _inside(entry.name, f"the name {entry.name!a}")
        if entry.ischr() or entry.isblk():
            raise ArchiveRefused(f"{entry.name!a} is a device", hint="leave /dev out: the engine makes its own")
        parents = posixpath.dirname(name)
        while parents:
            if parents in links:
                raise ArchiveRefused(
                    f"{entry.name!a} would be written through the link {parents!a} to {links[parents]!a}",
                    hint="pack the folder itself, not what a link to it shows",
                )
            parents = posixpath.dirname(parents)
        if entry.islnk():
            _inside(entry.linkname, f"the link {entry.name!a} to {entry.linkname!a}")
        elif entry.issym():
            links[name] = entry.linkname
            if not entry.linkname.startswith("/"):
                where = posixpath.join(posixpath.dirname(name), entry.linkname)
                _inside(where, f"the link {entry.name!a} to {entry.linkname!a}")
        names.add(name)
    _check_absolute(links, names)


def _check_absolute(links: dict[str, str], names: set[str]) -> None:
    """An absolute link leads to what the archive brings, or to what is only there when it runs."""
    for name, target in links.items():
        if target.startswith("/"):
            place = _inside(target.lstrip("/"), f"the link {name!a} to {target!a}")
            if place and not (f"/{place}/").startswith(_MADE_LATER) and not _is_there(place, names, links):
                raise ArchiveRefused(
                    f"the link {name!a} leads to {target!a}, which the archive does not have",
                    hint="make the link relative, or take it out",
                )


def _is_there(place: str, names: set[str], links: dict[str, str]) -> bool:
    """Whether a path is in the archive, itself or by way of a link to a folder (as /bin to usr/bin)."""
    first, _, rest = place.partition("/")
    if place in names:
        return True
    return bool(rest) and first in links and posixpath.join(links[first].lstrip("/"), rest) in names


def _inside(name: str, what: str) -> str:
    """A path in the archive without ``.`` and ``..``; refused if it leads out."""
    path = posixpath.normpath(name)
    if name.startswith("/") or path == ".." or path.startswith("../") or "\0" in name:
        raise ArchiveRefused(f"{what} leads out of the archive", hint="pack from inside the folder: tar -C FOLDER -c .")
    return "" if path == "." else path
