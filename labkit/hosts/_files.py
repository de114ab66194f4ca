"""What is done with the files of a host; run there as a file for a host elsewhere, standard library only.

Each function is one operation. On a host that shares this machine's files they are called as they are, see
`files.LocalFiles`. On another, a process runs `main`: for each request on its standard input it writes one
answer, and it ends with its standard input. A request is a line of JSON, ``{"do": [[NAME, ARGUMENT…]…]}``: its
operations are done in that order until one fails. An answer is ``{"told": [VALUE…]}``, with ``"error"``,
``[ERRNO, PATH]`` or a sentence, if one did. Bytes stand as ``{"bytes": COUNT}`` in either line and follow it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
import threading
import time
from typing import Any, BinaryIO

_CHUNK = 1 << 20
_LOOK_S = 0.02


def read(path: str, offset: int = 0, length: int = -1, wary: bool = False) -> bytes:
    """The bytes from `offset`, which counts from the end if negative; `wary`: anybody may have made the file."""
    more = os.O_NOFOLLOW | os.O_NONBLOCK if wary else 0
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | more)
    try:
        if offset:
            end = os.fstat(descriptor).st_size if offset < 0 else 0
            os.lseek(descriptor, max(0, end + offset), os.SEEK_SET)
        found = []
        while length and (piece := os.read(descriptor, _CHUNK if length < 0 else min(length, _CHUNK))):
            found.append(piece)
            length -= len(piece) if length > 0 else 0
        return b"".join(found)
    finally:
        os.close(descriptor)


def write(path: str, data: bytes, mode: int | None = None, whole: bool = False) -> None:
    """Write a file; `whole`: who reads it, and who dies meanwhile, finds the old one or the new."""
    target = path
    if whole:
        folder, name = os.path.split(path)
        target = os.path.join(folder, f".{name}-{os.getpid()}-{threading.get_ident()}")
    try:
        with open(target, "wb", buffering=0) as file:
            _all(file.fileno(), data)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
        if whole:
            os.replace(target, path)
    except BaseException:
        if whole:
            remove(target)
        raise


def write_at(path: str, offset: int, data: bytes) -> None:
    """Write into a file that is there, or will be."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.lseek(descriptor, offset, os.SEEK_SET)
        _all(descriptor, data)
    finally:
        os.close(descriptor)


def _all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def resize(path: str, size: int) -> None:
    """Have a file be so long; what is new in it is a hole."""
    os.truncate(path, size)


def append(source: str, offset: int, target: str) -> None:
    """Write what a file has from `offset` on to the end of another, inside the kernel."""
    with open(source, "rb", buffering=0) as old, open(target, "r+b", buffering=0) as new:
        new.seek(0, os.SEEK_END)
        left = os.fstat(old.fileno()).st_size - offset
        while left > 0:
            sent = os.sendfile(new.fileno(), old.fileno(), offset, left)
            if not sent:
                raise OSError(errno.EIO, "it has become shorter", source)
            offset, left = offset + sent, left - sent


def status(path: str, follow: bool = True) -> list[int] | None:
    """Type and mode, size, bytes it takes, times of last change in nanoseconds, inode; None without a file."""
    try:
        return _told(os.stat(path, follow_symlinks=follow))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise


def _told(found: os.stat_result) -> list[int]:
    return [
        found.st_mode, found.st_size, found.st_blocks * 512, found.st_mtime_ns, found.st_ctime_ns, found.st_ino,
    ]  # fmt: skip


def listing(path: str) -> list[Any]:
    """The names in a folder, each with its status; what goes meanwhile is left out."""
    found = []
    with os.scandir(path) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                found.append([entry.name, _told(entry.stat(follow_symlinks=False))])
    return found


def make_folder(path: str, mode: int = 0o700, there: bool = False) -> None:
    """Make a folder with exactly this mode; `there`: also its parents, and it may be there already."""
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if there and os.path.isdir(path):
            return
        raise
    except FileNotFoundError:
        if not there:
            raise
        make_folder(os.path.dirname(path), 0o700, there=True)
        make_folder(path, mode, there=True)
        return
    os.chmod(path, mode)


def make_temporary(path: str, prefix: str) -> str:
    """Make a folder with a name of its own in `path`."""
    return tempfile.mkdtemp(prefix=prefix, dir=path)


def remove(path: str) -> None:
    """Remove a file or a link, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_tree(path: str) -> None:
    """Remove a folder with all that is in it, or a file, if it is there."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        if os.path.lexists(path):  # only something in it has gone meanwhile
            remove_tree(path)
    except OSError:
        if os.path.isdir(path) and not os.path.islink(path):
            raise
        remove(path)


def rename(path: str, target: str) -> None:
    """Give a file or folder another name, in place of what had it."""
    os.replace(path, target)


def link(path: str, target: str) -> None:
    """Make a symbolic link that leads to `target`."""
    os.symlink(target, path)


def copy(path: str, target: str) -> None:
    """Copy a file's bytes inside the kernel."""
    shutil.copyfile(path, target)


def set_mode(path: str, mode: int) -> None:
    """See chmod(2)."""
    os.chmod(path, mode)


def free(path: str) -> int:
    """Bytes that can still be written at `path`, or where it will be made."""
    while not os.path.lexists(path):
        path = os.path.dirname(path) or "/"
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def digest(path: str) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    total, buffer = hashlib.sha256(), bytearray(_CHUNK)
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            total.update(memoryview(buffer)[:count])
    return total.hexdigest()


def has(path: str, wanted: str) -> bool:
    """Whether a file has this SHA-256; read only if it has changed since that was last found out."""
    note = f"{path}.checked"
    found = status(path)
    if found is None or not stat.S_ISREG(found[0]):
        return False
    with contextlib.suppress(OSError, ValueError):
        if json.loads(read(note)) == [wanted, *found]:
            os.utime(note, (time.time(), os.stat(note).st_mtime))  # when it was last of use
            return True
    if digest(path) != wanted:
        return False
    with contextlib.suppress(OSError):  # without it, it is only read again
        write(note, json.dumps([wanted, *found]).encode(), whole=True)
    return True


def sweep(path: str, unused_s: float) -> int:
    """Remove the folders in `path` whose files nobody has asked for with `has` for so long; returns how many."""
    count = 0
    for folder in os.scandir(path):
        with contextlib.suppress(OSError):  # somebody else is at it
            found = [os.stat(os.path.join(folder.path, name)) for name in [".", *os.listdir(folder.path)]]
            if time.time() - max(max(one.st_atime, one.st_mtime) for one in found[1:] or found) > unused_s:
                gone = os.path.join(path, f".swept-{os.getpid()}-{count}")
                os.rename(folder.path, gone)  # half removed, nobody takes it for what it was
                remove_tree(gone)
                count += 1
    return count


_held: dict[str, int] = {}


def lock(path: str, timeout_s: float) -> bool:
    """Hold the lock `path`, an empty file, against all other processes until `unlock`; whether that was had."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return False
            time.sleep(_LOOK_S)
        else:
            _held[path] = descriptor
            return True


def unlock(path: str) -> None:
    """Let go of what `lock` holds."""
    os.close(_held.pop(path))


OPERATIONS = {
    each.__name__: each
    for each in (
        read, write, write_at, resize, append, status, listing, make_folder, make_temporary, remove, remove_tree,
        rename, link, copy, set_mode, free, digest, has, sweep, lock, unlock,
    )
}  # fmt: skip


# ── The process on a host elsewhere ───────────────────────────────────────────────────────────


def packed(words: Any, streams: list[bytes]) -> Any:
    """`words` with their bytes taken out into `streams`."""
    if isinstance(words, bytes):
        streams.append(words)
        return {"bytes": len(words)}
    return [packed(word, streams) for word in words] if isinstance(words, (list, tuple)) else words


def unpacked(words: Any, take: Any) -> Any:
    """`words` with their bytes, each got by `take(COUNT)`."""
    if isinstance(words, dict):
        return take(words["bytes"])
    return [unpacked(word, take) for word in words] if isinstance(words, list) else words


def answer(calls: list[list[Any]]) -> dict[str, Any]:
    """Do what is asked, until something fails."""
    told: list[Any] = []
    for name, *words in calls:
        try:
            told.append(OPERATIONS[name](*words))
        except OSError as error:
            return {"told": told, "error": [error.errno, error.filename or words[0]]}
        except Exception as error:  # whatever is asked, it goes on
            return {"told": told, "error": f"{type(error).__name__}: {error}"}
    return {"told": told}


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until nobody asks any more."""
    while line := requests.readline():
        streams: list[bytes] = []
        said = answer(unpacked(json.loads(line)["do"], requests.read))
        said["told"] = packed(said["told"], streams)
        answers.write(b"".join([json.dumps(said).encode(), b"\n", *streams]))
        answers.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
