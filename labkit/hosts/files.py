"""The files of a host: those that its programs read and write, and that live and die with its machines.

What only labkit reads stays beside it on this machine: a machine's notes, records of networks, the journal.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock

from .._paths import disk_full
from ..errors import LabError
from . import _files

if TYPE_CHECKING:
    from .base import Host

Call = tuple[Any, ...]  # the name of an operation of `_files`, and what it is given
LONG_S = 600.0
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Status:
    """What a host tells of a file.

    Attributes
    ----------
    mode
        Its type and who may do what with it, see inode(7).
    size_bytes, taken_bytes
        How long it is, and how much of the disk it takes: less if it has holes.
    changed_ns, told_ns
        When what is in it was last changed, and when what is told of it was: nanoseconds since 1970, by the
        host's clock.
    inode
        The number that is its own among all files of its disk.
    """

    mode: int
    size_bytes: int
    taken_bytes: int
    changed_ns: int
    told_ns: int
    inode: int

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.mode)


class HostFiles(ABC):
    """What can be done with the files of a host, wherever they are.

    Paths are absolute and mean the host's. What goes wrong is raised as by the functions of `os`, such as
    `FileNotFoundError`; but a full disk as `NotEnoughDisk`. Where the host has to be asked, there are
    `LabGone`, `DeadlineExceeded` and `EngineError` besides.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    @abstractmethod
    def _do(self, calls: Sequence[Call], timeout_s: float) -> list[Any]:
        """Have operations done in their order until one fails; what each has told."""

    def _call(self, *call: Any, timeout_s: float = 30.0) -> Any:
        return self._do([call], timeout_s)[0]

    def _failed(self, error: OSError, call: Call) -> Exception:
        """What is raised for what an operation has met with."""
        if error.errno in _FULL:
            path = next(Path(word) for word in reversed(call) if isinstance(word, str) and word.startswith("/"))
            return disk_full(path.parent, self._host.name)
        return error

    # Files

    def read(self, path: Path, offset: int = 0, length: int = -1) -> bytes:
        """What is in a file: `length` bytes, or all there are, from `offset`; from the end if that is negative."""
        data: bytes = self._call("read", os.fspath(path), offset, length)
        return data

    def read_text(self, path: Path) -> str:
        """The text of a file; what is no text in it is shown as such."""
        return self.read(path).decode(errors="replace")

    def peek(self, path: Path, length: int) -> bytes:
        """At most so many bytes of a file in whose place others can put anything: follows no link, never waits."""
        data: bytes = self._call("read", os.fspath(path), 0, length, True)
        return data

    def write(self, path: Path, data: str | bytes, *, mode: int | None = None, whole: bool = False) -> None:
        """Write a file anew.

        Parameters
        ----------
        mode
            Who may do what with it, whatever this process's umask is.
        whole
            Whether who reads it, and who dies meanwhile, must find the old one or the new: never a part.
        """
        self._call("write", os.fspath(path), data.encode() if isinstance(data, str) else data, mode, whole)

    def append(self, source: Path, offset: int, target: Path) -> None:
        """Write what `source` has from `offset` on to the end of `target`."""
        self._call("append", os.fspath(source), offset, os.fspath(target), timeout_s=LONG_S)

    def copy(self, source: Path, target: Path) -> None:
        """Copy what is in a file."""
        self._call("copy", os.fspath(source), os.fspath(target), timeout_s=LONG_S)

    def rename(self, path: Path, target: Path) -> None:
        """Give a file or folder another name, in the place of what had it."""
        self._call("rename", os.fspath(path), os.fspath(target))

    def link(self, path: Path, target: Path) -> None:
        """Make `path` a symbolic link that leads to `target`."""
        self._call("link", os.fspath(path), os.fspath(target))

    def remove(self, path: Path) -> None:
        """Remove a file or a link, if it is there."""
        self._call("remove", os.fspath(path))

    def set_mode(self, path: Path, mode: int) -> None:
        """Say who may do what with a file."""
        self._call("set_mode", os.fspath(path), mode)

    # Folders

    def make_folder(self, path: Path, *, mode: int = 0o700, there: bool = False) -> None:
        """Make a folder with exactly this mode; `there`: with its parents, and it may be there already."""
        self._call("make_folder", os.fspath(path), mode, there)

    @contextlib.contextmanager
    def temporary_folder(self, path: Path, prefix: str) -> Iterator[Path]:
        """A folder in `path` with a name of its own; what is left of it at the end is removed."""
        folder = Path(self._call("make_temporary", os.fspath(path), prefix))
        try:
            yield folder
        finally:
            with contextlib.suppress(OSError, LabError):
                self.remove_tree(folder)

    def list(self, path: Path) -> dict[str, Status]:
        """What is in a folder by its name; links are not followed."""
        return {name: Status(*told) for name, told in self._call("listing", os.fspath(path))}

    def remove_tree(self, path: Path) -> None:
        """Remove a folder and all that is in it, whoever made it, if it is there."""
        self._call("remove_tree", os.fspath(path), timeout_s=LONG_S)

    # What is told of them

    def status(self, path: Path, *, follow: bool = True) -> Status | None:
        """What is told of a file, or with `follow` of where a link leads; None without one."""
        told = self._call("status", os.fspath(path), follow)
        return Status(*told) if told else None

    def exists(self, path: Path, *, follow: bool = True) -> bool:
        """Whether there is a file, a folder or, unless it is to be followed, a link, as far as one may see."""
        with contextlib.suppress(PermissionError):
            return self.status(path, follow=follow) is not None
        return False

    def free(self, path: Path) -> int:
        """Bytes that can still be written at `path`, or where it will be made."""
        room: int = self._call("free", os.fspath(path))
        return room

    # Among several

    @abstractmethod
    def lock(self, path: Path, timeout_s: float) -> AbstractContextManager[object]:
        """Hold a lock among all who use the host; `filelock.Timeout` if somebody else has it for so long."""

    @abstractmethod
    def together(self) -> AbstractContextManager[HostFiles]:
        """What makes, writes and removes through the result is done at the end of the block, in one go."""

    @abstractmethod
    def bring(self, path: Path) -> Path:
        """Have a file of this machine on the host, an image or a program: its path there.

        It is known by what is in it: what the host has already does not come again. Nobody may change it there.

        Raises
        ------
        NotEnoughDisk, LabGone, DeadlineExceeded, EngineError
        """

    are_here = False  # whether this machine has them: what is removed there is gone here, too

    @abstractmethod
    def are_those_of(self, other: HostFiles) -> bool:
        """Whether what one host writes the other reads."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what this process has open on the host."""


class LocalFiles(HostFiles):
    """The files of a host that shares those of this machine, as a namespace host does."""

    are_here = True

    def _do(self, calls: Sequence[Call], timeout_s: float) -> list[Any]:
        told = []
        for name, *words in calls:
            try:
                told.append(_files.OPERATIONS[name](*words))
            except OSError as error:
                if (failure := self._failed(error, tuple(words))) is error:
                    raise
                raise failure from error
        return told

    def remove_tree(self, path: Path) -> None:
        from ._launch import remove_tree

        remove_tree(path)

    def lock(self, path: Path, timeout_s: float) -> AbstractContextManager[object]:
        return FileLock(path, timeout=timeout_s)

    def together(self) -> AbstractContextManager[Self]:
        return contextlib.nullcontext(self)

    def bring(self, path: Path) -> Path:
        return path

    def are_those_of(self, other: HostFiles) -> bool:
        return isinstance(other, LocalFiles)

    def close(self) -> None:
        pass
