"""A stand-in for a host whose files are elsewhere: its commands see a small disk of their own over one folder."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Over FOLDER there is another disk of SIZE; whoever enters by its process id sees that.
_HOLD = 'mount -t tmpfs -o "size=$2,mode=700" tmpfs "$1" && echo there && exec cat'


class Started:
    """A command that was started; ends with `close`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self._process = process

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._process.wait(10)


class Elsewhere:
    """What `RemoteFiles` needs of a host."""

    name = "elsewhere"
    python = (sys.executable,)

    def __init__(self, holder: int) -> None:
        self._enter = ["nsenter", f"--target={holder}", "--user", "--preserve-credentials", "--mount", "--"]
        self.started: list[Started] = []
        self.is_alive = True

    def spawn(self, argv: Sequence[str], fds: Sequence[int]) -> Any:
        process = subprocess.Popen([*self._enter, *argv], stdin=fds[0], stdout=fds[1], stderr=fds[2])
        self.started.append(Started(process))
        return self.started[-1]

    def run(self, *argv: str) -> str:
        """What a command says there."""
        return subprocess.run([*self._enter, *argv], capture_output=True, text=True, check=True).stdout


@contextlib.contextmanager
def elsewhere(folder: Path, size: str = "8m") -> Iterator[Elsewhere]:
    """A host on which `folder` is on a disk of its own of this size, empty at first."""
    argv = ["unshare", "--map-root-user", "--mount", "sh", "-euc", _HOLD, "sh", str(folder), size]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"there\n"
        try:
            yield Elsewhere(holder.pid)
        finally:
            holder.kill()
