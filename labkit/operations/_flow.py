"""Files on their way from one host to another: through a pipe between two commands, counted."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from .._paths import disk_full, disk_room
from ..errors import EngineError, LabError
from .spec import MigrationSample

if TYPE_CHECKING:
    from ..hosts.base import Host

TAKE = [
    "tar", "--create", "--numeric-owner", "--sparse", "--one-file-system", "--xattrs", "--xattrs-include=*", "--file=-",
]  # fmt: skip
PUT = [
    "tar", "--extract", "--numeric-owner", "--same-owner", "--preserve-permissions", "--delay-directory-restore",
    "--xattrs", "--xattrs-include=*", "--file=-",
]  # fmt: skip
_CHUNK_BYTES = 1 << 20
_LOOK_S = 0.05
_END_S = 60  # for what was written last to come to the disk
_SHORT = "Wrote only"  # how tar says that the disk became full in the middle of a block
_CHANGED_MEANWHILE = 1  # tar's exit code for a file that grew while it was read


class Flow:
    """What of a machine has gone over so far.

    Parameters
    ----------
    total_bytes
        What is expected.
    bytes_per_second
        The most that may go in a second; 0: as much as can.
    check
        Called again and again: raises what is to end it.
    tell
        Called with how far it is.

    Attributes
    ----------
    done_bytes
        What has gone.
    phase
        What goes just now, in words.
    failure
        What ended `through`.
    """

    def __init__(
        self,
        total_bytes: int,
        bytes_per_second: int,
        check: Callable[[], None],
        tell: Callable[[MigrationSample], None],
    ) -> None:
        self.done_bytes = 0
        self.phase = ""
        self.failure: LabError | None = None
        self._total, self._limit = total_bytes, bytes_per_second
        self._check, self._tell = check, tell
        self._began = self._told = time.monotonic()
        self._told_bytes = 0

    def passed(self, count: int) -> None:
        """So many bytes more have gone; raises what is to end it."""
        self._check()
        self.done_bytes += count
        now = time.monotonic()
        if now - self._told >= _LOOK_S:
            speed = (self.done_bytes - self._told_bytes) / (now - self._told)
            self._told, self._told_bytes = now, self.done_bytes
            total = max(self._total, self.done_bytes)
            self._tell(MigrationSample(now, self.phase, total, self.done_bytes, total - self.done_bytes, round(speed)))
        if self._limit:
            ahead = self.done_bytes / self._limit - (now - self._began)
            time.sleep(min(max(0.0, ahead), 0.5))

    def through(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The parts, counted as they pass; who asks for them may not hand on what ended them: `failure` is that."""
        try:
            for part in parts:
                self.passed(len(part))
                yield part
        except LabError as error:
            self.failure = error
            raise

    def copy(self, source: Host, take: Sequence[str], to: Host, put: Sequence[str]) -> None:
        """Have what `take` writes on the one host be read by `put` on the other.

        Raises
        ------
        NotEnoughDisk, EngineError, LabGone
        """
        with contextlib.ExitStack() as held, disk_room(to.folder):
            pipes = [_Pipe(held) for _ in range(2)]
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            held.callback(os.close, null)
            words = [_words(held) for _ in range(2)]
            taking = held.enter_context(contextlib.closing(source.spawn(take, [null, pipes[0].into, words[0]])))
            putting = held.enter_context(contextlib.closing(to.spawn(put, [pipes[1].out, null, words[1]])))
            pipes[0].close(pipes[0].into)
            pipes[1].close(pipes[1].out)
            with contextlib.suppress(BrokenPipeError):  # who reads has ended: it says why
                self._pump(pipes[0].out, pipes[1].into)
            for pipe in pipes:
                pipe.close(pipe.out, pipe.into)
            if code := putting.wait(_END_S):
                raise _failure(to, code, words[1])
            if (code := taking.wait(_END_S)) not in (0, _CHANGED_MEANWHILE):
                raise _failure(source, code, words[0])

    def _pump(self, source: int, target: int) -> None:
        """Let all that comes pass inside of the kernel, and look up from time to time."""
        while True:
            ready, _, _ = select.select([source], [], [], _LOOK_S)
            _, room, _ = select.select([], [target], [], _LOOK_S if ready else 0)
            count = 0
            if ready and room:
                with contextlib.suppress(BlockingIOError):
                    count = os.splice(source, target, _CHUNK_BYTES, flags=os.SPLICE_F_NONBLOCK)
                    if not count:
                        return
            self.passed(count)


class _Pipe:
    """The two ends of a pipe, each closed once."""

    def __init__(self, held: contextlib.ExitStack) -> None:
        self.out, self.into = os.pipe2(os.O_CLOEXEC)
        self._open = {self.out, self.into}
        held.callback(self.close, self.out, self.into)

    def close(self, *ends: int) -> None:
        """Close these ends unless they are."""
        for end in ends:
            if end in self._open:
                self._open.remove(end)
                os.close(end)


def _words(held: contextlib.ExitStack) -> int:
    """A file in memory for what a command complains of."""
    descriptor = os.memfd_create("stderr", os.MFD_CLOEXEC)
    held.callback(os.close, descriptor)
    return descriptor


def _failure(host: Host, code: int, words: int) -> LabError:
    said = os.pread(words, 64_000, 0).decode(errors="replace").strip()[-400:]
    if _SHORT in said:
        return disk_full(host.folder)
    return EngineError(
        f"its files could not be copied: exit code {code}: {said or 'nothing was said'}", host=host.name,
        hint="see whether the disk has room, with `labkit doctor`",
    )  # fmt: skip
