"""Terminals of containers: the console with what it has said, and shells."""

from __future__ import annotations

import contextlib
import termios
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LabError
from ._console import Console
from ._line import HISTORY_BYTES, CommandLine

if TYPE_CHECKING:
    from ..hosts.base import Host

# A shell asks its terminal where the cursor is; a terminal that is shown the past must not answer.
_QUESTION = b"\x1b[6n"
_READY_S = 10
# On a server the terminal is one of the server's: a watcher there says when it is raw.
_READY = b"\x1b]labkit\x07"
_WATCHED = r"""
(
    tries=0
    until stty -a <&3 | grep -q -e -icanon || [ $((tries += 1)) -gt 200 ]; do sleep 0.02; done
    printf '\033]labkit\007'
) 3<&1 2>/dev/null &
exec "$@"
"""


class LxcLine(CommandLine):
    """A terminal line by `lxc-console` or `lxc-attach`."""

    def __init__(self, host: Host, argv: Sequence[str], log: Path | None = None) -> None:
        self._is_far = not host.files.are_here
        super().__init__(host, ["sh", "-c", _WATCHED, "sh", *argv] if self._is_far else argv)
        self._log = log
        self._raw = threading.Event()

    def _open(self) -> None:
        self._raw.clear()
        super()._open()
        # These commands drop what was typed before they made the terminal raw.
        deadline = time.monotonic() + _READY_S
        while not self._is_far and self._is_cooked() and time.monotonic() < deadline:
            time.sleep(0.002)

    def write(self, data: bytes) -> None:
        if self._is_far:
            self._raw.wait(_READY_S)
        super().write(data)

    def _say(self, data: bytes) -> None:
        if self._is_far and not self._raw.is_set():
            if data and _READY not in self._history:
                return
            self._raw.set()
            self._history = self._history.replace(_READY, b"")
            if self._history:
                super()._say(bytes(self._history))
            if data:
                return
        super()._say(data)

    def _is_cooked(self) -> bool:
        with contextlib.suppress(OSError, termios.error):  # the command has ended
            return bool(termios.tcgetattr(self._terminal)[3] & termios.ICANON)
        return False

    def _past(self) -> bytes:
        if self._log is None:
            return super()._past()
        with contextlib.suppress(OSError, LabError):
            return self._host.files.read(self._log, -HISTORY_BYTES).replace(_QUESTION, b"")
        return b""


class LxcConsole(Console):
    """A container's console: the log that liblxc keeps, and a keyboard by `lxc-console`."""

    def __init__(self, line: LxcLine, log: Path, machine: str, host: Host) -> None:
        super().__init__(machine, host.name)
        self._line = line
        self._log, self._files = log, host.files
        self._leave: Callable[[], None] | None = None

    def _read(self) -> str:
        try:
            return self._files.read_text(self._log)
        except FileNotFoundError:
            return ""

    def write(self, text: str) -> None:
        if self._leave is None:
            self._leave = self._line.follow(lambda _: None)
            self._seen = len(self._read())
        self._line.write(text.encode())

    def close(self) -> None:
        leave, self._leave = self._leave, None
        if leave:
            leave()
