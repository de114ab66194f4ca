"""Terminals of containers: the console with what it has said, and shells."""

from __future__ import annotations

import contextlib
import termios
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


class LxcLine(CommandLine):
    """A terminal line by `lxc-console` or `lxc-attach`."""

    def __init__(self, host: Host, argv: Sequence[str], log: Path | None = None) -> None:
        super().__init__(host, argv)
        self._log = log

    def _open(self) -> None:
        super()._open()
        # These commands drop what was typed before they made the terminal raw.
        deadline = time.monotonic() + _READY_S
        while self._is_cooked() and time.monotonic() < deadline:
            time.sleep(0.002)

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
