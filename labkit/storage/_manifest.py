"""The list of an image's files, and the comparison of the files with it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import ImageDamaged

_NAME = "manifest.json"
_CHECKED = "checked.json"
_REBUILD = "labkit image build --force"


def write(folder: Path, facts: dict[str, Any], names: Iterable[str]) -> None:
    """Write the list of the files `names` in `folder`, with `facts` beside it, through to the disk."""
    manifest = facts | {"files": {name: _describe(folder / name) for name in sorted(names)}}
    (folder / _NAME).write_text(json.dumps(manifest | {"digest": _digest(manifest)}, indent=1))
    _sync(folder)


def read(folder: Path) -> dict[str, Any]:
    """Return what `write` wrote.

    Raises
    ------
    ImageDamaged
        If it is missing or has changed.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / _NAME).read_text())
        digest = manifest.pop("digest")
        if digest != _digest(manifest):
            raise ValueError
    except FileNotFoundError:
        raise _damaged(folder, f"{_NAME} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(folder, f"{_NAME} is not what was written") from None
    return manifest | {"digest": digest}


def check(folder: Path, manifest: dict[str, Any]) -> None:
    """Compare the files with the list; read only those of which sizes, times or inodes are new.

    Raises
    ------
    ImageDamaged
        If a file is missing or differs.
    """
    seen = _signature(folder, manifest)
    record = folder / _CHECKED
    known: object = None
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(record.read_text())
    if known == {"digest": manifest["digest"], "seen": seen}:
        return
    for name, expected in manifest["files"].items():
        _compare(folder, name, expected)
    text = json.dumps({"digest": manifest["digest"], "seen": seen})
    with contextlib.suppress(OSError):
        new = record.with_name(f"checked.{os.getpid()}")
        new.write_text(text)
        new.replace(record)


def _describe(path: Path) -> dict[str, Any]:
    path.chmod(0o444)
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "size": path.stat().st_size}


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _sync(folder: Path) -> None:
    """What is renamed into place must be on the disk, or a power cut leaves empty files."""
    for path in [*folder.iterdir(), folder]:
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _damaged(folder: Path, what: str) -> ImageDamaged:
    return ImageDamaged(f"the image in {folder} is damaged: {what}", hint=_REBUILD)


def _signature(folder: Path, manifest: dict[str, Any]) -> dict[str, list[int]]:
    """What changes when a file is written to, as far as its folder tells."""
    seen = {}
    for name in manifest["files"]:
        try:
            status = (folder / name).lstat()
        except OSError:
            raise _damaged(folder, f"{name} is missing") from None
        seen[name] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    return seen


def _compare(folder: Path, name: str, expected: dict[str, Any]) -> None:
    path = folder / name
    try:
        if path.stat().st_size != expected["size"]:
            raise _damaged(folder, f"{name} has another size")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _damaged(folder, f"{name} cannot be read ({error.strerror})") from None
    if found != expected["sha256"]:
        raise _damaged(folder, f"{name} has other contents")
