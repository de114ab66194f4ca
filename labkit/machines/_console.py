"""A machine's console: what it has said, and a keyboard."""

from __future__ import annotations

import contextlib
import re
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import DeadlineExceeded, LabError

if TYPE_CHECKING:
    from ..hosts.files import HostFiles

_LAST_BYTES = 1 << 16
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-Z\\-_]|[\x00-\x08\x0b-\x1f\x7f]")


class Console(ABC):
    """What a machine has said, and a keyboard; a context manager when it is typed on."""

    def __init__(self, machine: str, host: str) -> None:
        self._machine = machine
        self._host = host
        self._seen = 0

    @abstractmethod
    def _read(self) -> str:
        """All that it has said, control codes included."""

    @abstractmethod
    def write(self, text: str) -> None:
        """Type `text`; a line ends with a newline."""

    @abstractmethod
    def close(self) -> None:
        """Take the hands off the keyboard."""

    def history(self, lines: int | None = None) -> str:
        """What the machine has said, without control codes: all, or the last `lines`."""
        text = clean(self._read())
        return "\n".join(text.splitlines()[-lines:]) if lines else text

    def expect(self, pattern: str, timeout_s: float = 30) -> str:
        """Wait until what was said since the last `write` or `expect` has the regular expression.

        Returns what was said up to and with the match; raises `DeadlineExceeded` with the last
        lines.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            new = clean(self._read()[self._seen :])
            if match := re.search(pattern, new):
                self._seen = len(self._read())
                return new[: match.end()]
            if time.monotonic() > deadline:
                last = "\n".join(self.history().splitlines()[-8:])
                raise DeadlineExceeded(
                    f"the console did not say {pattern!r} within {timeout_s:g} s; it says: {last}",
                    machine=self._machine, host=self._host,
                )  # fmt: skip
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __str__(self) -> str:
        return self.history()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html import render

        text = self.history(40)
        return {"text/plain": text, "text/html": render("console", name=self._machine, text=text)}


def last_words(files: HostFiles, log: Path, lines: int = 8) -> str:
    """The last lines that a console's log on a host has."""
    with contextlib.suppress(OSError, LabError):
        if said := clean(files.read(log, -_LAST_BYTES).decode(errors="replace")).splitlines()[-lines:]:
            return "\n".join(said)
    return "(nothing)"


def clean(text: str) -> str:
    """`text` without terminal control codes."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))
