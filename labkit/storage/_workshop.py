"""Folders of the cache that are built whole or not at all, by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from filelock import FileLock, Timeout

from .._progress import progress
from .._values import format_duration
from ..errors import DeadlineExceeded, ImageDamaged, LabError
from . import _manifest

B = TypeVar("B", bound="Built")
_BUILDING = ".building-"
_WAIT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Built:
    """What was built whole into a folder of the cache.

    Attributes
    ----------
    folder
        Where its files lie; they are read-only.
    digest
        The SHA-256, in hexadecimal, of the list of them with their own.
    """

    folder: Path
    digest: str

    def check(self) -> None:
        """Compare the files with what was built, as `Image.check` does; raises `ImageDamaged`."""
        _manifest.check(self.folder, _manifest.read(self.folder))


def whole(find: Callable[[], B | None]) -> B | None:
    """What `find` finds if it is as it was built, marked as used now; else None."""
    with contextlib.suppress(ImageDamaged):
        if (found := find()) is not None:
            found.check()
            os.utime(found.folder)
            return found
    return None


@functools.cache
def key(*modules: ModuleType) -> str:
    """Twelve hexadecimal digits over everything that decides what is built: the sources of these modules."""
    total = hashlib.sha256()
    for module in modules:
        total.update(hashlib.sha256(Path(str(module.__file__)).read_bytes()).digest())
    return total.hexdigest()[:12]


@contextmanager
def alone(home: Path, what: str) -> Iterator[None]:
    """Be the only one that changes `home`; the kernel frees the lock of a process that dies."""
    lock = FileLock(home / ".lock")
    try:
        lock.acquire(timeout=0.2)
    except Timeout:
        with progress(what) as task:
            task.phase("waiting for another process that builds or removes an image")
            _wait(lock)
    try:
        yield
    finally:
        lock.release()


def _wait(lock: FileLock) -> None:
    try:
        lock.acquire(timeout=_WAIT_S)
    except Timeout:
        raise DeadlineExceeded(
            f"another process has been building or removing an image for {format_duration(_WAIT_S)}",
            hint=f"see which process holds {lock.lock_file}: `fuser {lock.lock_file}`",
        ) from None


@contextmanager
def workshop(home: Path) -> Iterator[tuple[Path, int]]:
    """A folder for one build, with a lock that tells others that its builder lives."""
    work = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=home))
    lock = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield work, lock
    finally:
        os.close(lock)
        _remove(work)


def discard(folder: Path) -> None:
    """Remove a folder so that a half-removed one is never taken for an image."""
    old = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=folder.parent))
    folder.rename(old / "old")
    shutil.rmtree(old, ignore_errors=True)


def sweep(home: Path) -> None:
    """Remove the folders of builders that died."""
    for work in home.glob(f"{_BUILDING}*"):
        try:
            lock = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(work)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def _remove(work: Path) -> None:
    """Remove a folder, also one that holds a system whose files belong to many."""
    from ..hosts import _launch

    shutil.rmtree(work, ignore_errors=True)
    if work.exists():
        with contextlib.suppress(LabError, OSError):  # what stays is swept the next time
            _launch.remove_tree(work)
