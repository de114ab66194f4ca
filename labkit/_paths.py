"""Where labkit keeps its files.

Three folders, each private to the user, each to be moved by an environment variable:

========================  ====================  ==========================================
state (``LABKIT_STATE``)   ~/.local/state/labkit  disks, logs and the journal of each lab
cache (``LABKIT_CACHE``)   ~/.cache/labkit        images and templates; may always be deleted
runtime (``LABKIT_RUNTIME``)  $XDG_RUNTIME_DIR/labkit or /tmp/labkit-UID   sockets (short paths)
========================  ====================  ==========================================
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import CommandFailed, EngineError, NotEnoughDisk, Unavailable

PYTHON = os.path.abspath(sys.executable)  # which is relative where PATH is


def _private(path: Path) -> Path:
    """Make `path` if it is missing and refuse it if somebody else could get at it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise Unavailable(
            f"the folder {path} is not a folder that only you can write to",
            hint="remove it, or set LABKIT_STATE, LABKIT_CACHE, LABKIT_RUNTIME to folders of yours",
        )
    return path


def _home(variable: str, xdg: str, default: str) -> Path:
    if chosen := os.environ.get(variable):
        return _private(Path(chosen).absolute())
    base = os.environ.get(xdg)
    root = Path(base) if base and os.path.isabs(base) else Path.home() / default
    return _private(root / "labkit")


def state_home() -> Path:
    """The folder with the state of all labs of this user."""
    return _home("LABKIT_STATE", "XDG_STATE_HOME", ".local/state")


def cache_home() -> Path:
    """The folder with what can be made again: images, templates, probes."""
    return _home("LABKIT_CACHE", "XDG_CACHE_HOME", ".cache")


def runtime_home() -> Path:
    """The folder with the sockets of all labs of this user, on a short path.

    A Unix socket's path holds at most 107 bytes, so this is never below a home folder.
    """
    if chosen := os.environ.get("LABKIT_RUNTIME"):
        return _private(Path(chosen).absolute())
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and os.path.isabs(base) and os.access(base, os.W_OK):
        return _private(Path(base) / "labkit")
    return _private(Path(f"/tmp/labkit-{os.geteuid()}"))


def write_whole(path: Path, text: str) -> None:
    """Write a file so that who reads it, and who dies meanwhile, finds the old text or the new."""
    fresh = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}")
    fresh.write_text(text)
    fresh.replace(path)


@contextmanager
def disk_room(folder: Path) -> Iterator[None]:
    """Say in words that the disk with `folder` is full, whoever noticed: the kernel, a program, an engine."""
    try:
        yield
    except (OSError, CommandFailed, EngineError) as error:
        if isinstance(error, OSError):
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        else:
            full = os.strerror(errno.ENOSPC) in error.message
        if not full:
            raise
        raise disk_full(folder) from error


def disk_full(folder: Path, host: str = "") -> NotEnoughDisk:
    """The error for a disk, of a host, with no room for the files in `folder`."""
    return NotEnoughDisk(
        f"the disk with {folder} is full",
        hint="remove what is not needed, or set LABKIT_STATE and LABKIT_CACHE to a larger disk", host=host,
    )  # fmt: skip
