"""A machine's console: what it has said, and a keyboard."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import libvirt

from ..errors import DeadlineExceeded
from ._libvirt import spoken

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-Z\\-_]|[\x00-\x08\x0b-\x1f\x7f]")


class Console(ABC):
    """The console of a machine; a context manager when it is typed on.

    What the machine says is read from the log that its engine keeps of it, so nothing is lost that
    was said before, and several consoles see the same.
    """

    def __init__(self, log: Path, machine: str, host: str) -> None:
        self._log = log
        self._machine = machine
        self._host = host
        self._seen = 0
        self._typing = False

    def history(self, lines: int | None = None) -> str:
        """What the machine has said, without control codes: all, or the last `lines`."""
        text = clean(self._read())
        return "\n".join(text.splitlines()[-lines:]) if lines else text

    def _read(self) -> str:
        try:
            return self._log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def write(self, text: str) -> None:
        """Type `text`; a line ends with a newline."""
        if not self._typing:
            self._plug()
            self._seen = len(self._read())
            self._typing = True
        self._type(text.encode())

    @abstractmethod
    def _plug(self) -> None:
        """Connect a keyboard."""

    @abstractmethod
    def _type(self, data: bytes) -> None:
        """Have the keyboard say `data`."""

    @abstractmethod
    def _unplug(self) -> None:
        """Disconnect the keyboard."""

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

    def close(self) -> None:
        """Take the hands off the keyboard."""
        if self._typing:
            self._typing = False
            self._unplug()

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


class SerialConsole(Console):
    """The serial console of a libvirt domain."""

    def __init__(self, domain: libvirt.virDomain, log: Path, machine: str, host: str) -> None:
        super().__init__(log, machine, host)
        self._domain = domain
        self._stream: libvirt.virStream | None = None

    def _plug(self) -> None:
        with spoken(self._host, self._machine):
            self._stream = self._domain.connect().newStream()
            self._domain.openConsole(None, self._stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
        threading.Thread(target=_drain, args=(self._stream,), name="labkit-console", daemon=True).start()

    def _type(self, data: bytes) -> None:
        with spoken(self._host, self._machine):
            self._stream.send(data)

    def _unplug(self) -> None:
        with contextlib.suppress(libvirt.libvirtError):  # the machine may be gone
            self._stream.abort()


def _drain(stream: libvirt.virStream) -> None:
    """Read and drop: the log has it already, and a full pipe would stop the guest."""
    with contextlib.suppress(libvirt.libvirtError):
        while stream.recv(65536):
            pass


def last_words(log: Path, lines: int = 8) -> str:
    """The last lines that a console's log has."""
    with contextlib.suppress(OSError):
        if said := clean(log.read_text(errors="replace")).splitlines()[-lines:]:
            return "\n".join(said)
    return "(nothing)"


def clean(text: str) -> str:
    """`text` without terminal control codes."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))
