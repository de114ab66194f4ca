"""The files of a host elsewhere, by processes on it that do what they are asked; the other end of `_files`."""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from .._paths import cache_home
from .._progress import check_cancelled, progress
from ..errors import DeadlineExceeded, EngineError, LabError, LabGone, NotEnoughDisk
from . import _files
from .files import LONG_S, Call, HostFiles, Status

if TYPE_CHECKING:
    from ._channel import Running
    from .base import Host

_PROGRAM = Path(_files.__file__).read_bytes()
# The program comes over the pipe: there need be nothing of labkit's on the host.
_BEGIN = "import sys; exec(compile(sys.stdin.buffer.read(int(sys.argv[1])), '_files.py', 'exec'))"
_CHUNK = 1 << 20
_KEPT = 4  # processes that wait for the next question
_UNUSED_S = 90 * 86400.0  # so long after it was last asked for, what was brought is removed
_BETWEEN_S = 5.0  # so much longer than a lock is waited for may its answer take
# What may be asked twice, should the process die in between.
_ASKING = frozenset({"read", "status", "listing", "free", "digest", "has"})


class _Ended(Exception):
    """The process has ended; the text says why, as far as it told."""


class _Process:
    """One process on the host: it does one thing at a time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        (ours_in, theirs_out), (theirs_in, ours_out) = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        self._in, self._out = ours_in, ours_out
        self._words = os.memfd_create("stderr", os.MFD_CLOEXEC)
        self._running: Running | None = None
        try:
            argv = [*host.python, "-I", "-S", "-c", _BEGIN, str(len(_PROGRAM))]
            self._running = host.spawn(argv, [theirs_in, theirs_out, self._words])
            os.set_blocking(ours_in, False)
            os.set_blocking(ours_out, False)
            self._unsent = _PROGRAM
        except BaseException:
            self.close()
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    @property
    def lives(self) -> bool:
        """Whether it still waits for a question: one that has ended has closed its pipe."""
        return not select.select([self._in], [], [], 0)[0]

    def ask(self, calls: Sequence[Call], timeout_s: float) -> dict[str, Any]:
        """What it answers; `_Ended`, `DeadlineExceeded`: after either it is of no more use."""
        deadline = time.monotonic() + timeout_s
        streams: list[bytes] = []
        line = json.dumps({"do": _files.packed([list(call) for call in calls], streams)}).encode()
        data, self._unsent = b"".join([self._unsent, line, b"\n", *streams]), b""
        self._send(data, deadline, timeout_s)
        got = bytearray()
        while (end := got.find(b"\n")) < 0:
            got += self._receive(deadline, timeout_s)
        said: dict[str, Any] = json.loads(got[:end])
        del got[: end + 1]

        def take(count: int) -> bytes:
            while len(got) < count:
                got.extend(self._receive(deadline, timeout_s))
            data = bytes(got[:count])
            del got[:count]
            return data

        said["told"] = _files.unpacked(said["told"], take)
        return said

    def _send(self, data: bytes, deadline: float, timeout_s: float) -> None:
        left = memoryview(data)
        while left:
            if not select.select([], [self._out], [], max(0.0, deadline - time.monotonic()))[1]:
                raise self._too_late(timeout_s)
            try:
                left = left[os.write(self._out, left[:_CHUNK]) :]
            except BrokenPipeError as error:
                raise _Ended(self._last_words()) from error

    def _receive(self, deadline: float, timeout_s: float) -> bytes:
        if not select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise self._too_late(timeout_s)
        if not (piece := os.read(self._in, _CHUNK)):
            raise _Ended(self._last_words())
        return piece

    def _too_late(self, timeout_s: float) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{self._host.name} did not do what was asked with its files within {timeout_s:g} s",
            host=self._host.name, hint="it, its disk or the way to it may be very busy",
        )  # fmt: skip

    def _last_words(self) -> str:
        return os.pread(self._words, 64_000, 0).decode(errors="replace").strip()[-400:] or "it said nothing"

    def close(self) -> None:
        """End it."""
        for descriptor in (self._in, self._out, self._words):
            os.close(descriptor)
        if self._running is not None:
            with contextlib.suppress(LabError):
                self._running.close()


class RemoteFiles(HostFiles):
    """The files of a host elsewhere: each verb is one question to a process on it.

    The processes are started as they are needed, one for each verb that is under way, and some are kept.
    """

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._idle: list[_Process] = []
        self._lock = threading.Lock()
        self._digests: dict[tuple[Any, ...], str] = {}

    # Processes

    def _take(self) -> _Process:
        """A process that nobody else asks."""
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None:
                return _Process(self._host)
            if process.lives:
                return process
            process.close()

    def _give_back(self, process: _Process) -> None:
        with self._lock:
            if len(self._idle) < _KEPT:
                self._idle.append(process)
                return
        process.close()

    def _ask(self, calls: Sequence[Call], timeout_s: float) -> dict[str, Any]:
        process = self._take()
        try:
            said = process.ask(calls, timeout_s)
        except BaseException:
            process.close()
            raise
        self._give_back(process)
        return said

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    # What they are asked

    def _do(self, calls: Sequence[Call], timeout_s: float) -> list[Any]:
        try:
            said = self._ask(calls, timeout_s)
        except _Ended as error:
            if not _ASKING.issuperset(call[0] for call in calls):
                raise self._broken(error) from error
            try:
                said = self._ask(calls, timeout_s)
            except _Ended as again:
                raise self._broken(again) from again
        return self._results(said, calls)

    def _results(self, said: dict[str, Any], calls: Sequence[Call]) -> list[Any]:
        told: list[Any] = said["told"]
        match said.get("error"):
            case None:
                return told
            case [int(number), path]:
                raise self._failed(OSError(number, os.strerror(number), path), calls[len(told)][1:])
            case words:
                raise EngineError(f"{calls[len(told)][0]} failed on {self._host.name}: {words}", host=self._host.name)

    def _broken(self, error: _Ended) -> LabError:
        if not self._host.is_alive:
            return LabGone(f"{self._host.name} has ended while its files were used", host=self._host.name)
        return EngineError(
            f"what reads and writes the files of {self._host.name} has ended: {error}", host=self._host.name,
            hint="try again; it needs Python on the host",
        )  # fmt: skip

    @contextmanager
    def lock(self, path: Path, timeout_s: float) -> Iterator[None]:
        """See `HostFiles.lock`; one process on the host holds it, and lets go of it by its end at the latest."""
        process = self._take()
        call = ("lock", os.fspath(path), timeout_s)
        try:
            try:
                said = process.ask([call], timeout_s + _BETWEEN_S)
            except _Ended as error:
                raise self._broken(error) from error
            if not self._results(said, [call])[0]:
                raise Timeout(os.fspath(path))
            yield
            with contextlib.suppress(_Ended):
                process.ask([("unlock", os.fspath(path))], _BETWEEN_S)
        except BaseException:
            process.close()
            raise
        self._give_back(process)

    @contextmanager
    def together(self) -> Iterator[HostFiles]:
        batch = _Batch(self._host)
        yield batch
        if batch.calls:
            self._do(batch.calls, LONG_S)

    def are_those_of(self, other: HostFiles) -> bool:
        return other is self

    # Images and programs

    def bring(self, path: Path) -> Path:
        digest = self._digest(path)
        target = cache_home() / "brought" / digest[:24] / path.name
        if self._has(target, digest):
            return target
        self.make_folder(target.parent, there=True)
        with self.lock(target.with_name(".lock"), LONG_S):
            if not self._has(target, digest):
                self._send(path, target, digest)
                self._call("sweep", os.fspath(target.parent.parent), _UNUSED_S, timeout_s=LONG_S)
        return target

    def _has(self, target: Path, digest: str) -> bool:
        return bool(self._call("has", os.fspath(target), digest, timeout_s=LONG_S))

    def _digest(self, path: Path) -> str:
        found = path.stat()
        key = (path, found.st_size, found.st_mtime_ns, found.st_ino)
        if key not in self._digests:
            self._digests[key] = _files.digest(os.fspath(path))
        return self._digests[key]

    def _send(self, path: Path, target: Path, digest: str) -> None:
        """Send a file, without what is a hole in it, and look at what has come before it gets its name."""
        fresh = target.with_name(".new")
        found = path.stat()
        self._check_room(target, found.st_blocks * 512)
        with progress(f"{path.name} to {self._host.name}", quiet_s=1.0) as task, path.open("rb") as file:
            self._call("write", os.fspath(fresh), b"", 0o600)
            for offset, data in _data(file.fileno()):
                check_cancelled()
                self._call("write_at", os.fspath(fresh), offset, data)
                task.phase("copying it", offset / max(1, found.st_size))
            task.phase("reading it there")
            done = [
                ("resize", os.fspath(fresh), found.st_size), ("digest", os.fspath(fresh)),
                ("set_mode", os.fspath(fresh), 0o444),
            ]  # fmt: skip
            if self._do(done, LONG_S)[1] != digest:
                raise EngineError(
                    f"{path} is another on {self._host.name} than here: it was changed while it was copied",
                    host=self._host.name, hint="try again",
                )  # fmt: skip
            self.rename(fresh, target)
            self._has(target, digest)

    def _check_room(self, target: Path, needed: int) -> None:
        if (room := self.free(target)) < needed:
            raise NotEnoughDisk(
                f"{needed} bytes are needed in {target.parent} and {room} are free", host=self._host.name,
                hint="remove what is not needed there, or set LABKIT_CACHE to a folder on a larger disk",
            )  # fmt: skip


class _Batch(HostFiles):
    """Notes what is to be done; what would have to be told at once cannot be asked of it."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.calls: list[Call] = []

    def _do(self, calls: Sequence[Call], timeout_s: float) -> list[Any]:
        if asked := _ASKING.intersection(call[0] for call in calls):
            raise TypeError(f"{', '.join(asked)} cannot be answered before the end of the block")
        self.calls += calls
        return [None] * len(calls)

    def status(self, path: Path, *, follow: bool = True) -> Status | None:
        raise TypeError("what there is cannot be told before the end of the block")

    def lock(self, path: Path, timeout_s: float) -> Any:
        raise TypeError("a lock is held around the block")

    def together(self) -> Any:
        return contextlib.nullcontext(self)

    def bring(self, path: Path) -> Path:
        raise TypeError("a file is brought before the block")

    def are_those_of(self, other: HostFiles) -> bool:
        return False

    def close(self) -> None:
        self.calls = []


def _data(descriptor: int) -> Iterator[tuple[int, bytes]]:
    """The parts of a file that are no holes, and where each begins."""
    size, at = os.fstat(descriptor).st_size, 0
    while at < size:
        try:
            at = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole is left
            return
        end = os.lseek(descriptor, at, os.SEEK_HOLE)
        while at < end and (data := os.pread(descriptor, min(_CHUNK, end - at), at)):
            yield at, data
            at += len(data)
