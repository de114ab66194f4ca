"""Folders of the cache that are built whole or not at all, by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .._progress import progress
from .._values import format_duration
from ..errors import DeadlineExceeded, LabError

_BUILDING = ".building-"
_WAIT_S = 1800.0


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
