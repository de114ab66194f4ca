"""A machine's serial console: what it has said, and a keyboard."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import libvirt

from ..errors import DeadlineExceeded
from ._libvirt import spoken

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-Z\\-_]|[\x00-\x08\x0b-\x1f\x7f]")


class Console:
    """The serial console of a machine; a context manager when it is typed on.

    What the machine says is read from the log that QEMU keeps of it, so nothing is lost that was
    said before, and several consoles see the same.
    """

    def __init__(self, domain: libvirt.virDomain, log: Path, machine: str, host: str) -> None:
        self._domain = domain
        self._log = log
        self._machine = machine
        self._host = host
        self._seen = 0
        self._stream: libvirt.virStream | None = None

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
        if self._stream is None:
            with spoken(self._host, self._machine):
                stream = self._domain.connect().newStream()
                self._domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
            self._stream = stream
            self._seen = len(self._read())
            threading.Thread(target=_drain, args=(stream,), name="labkit-console", daemon=True).start()
        with spoken(self._host, self._machine):
            self._stream.send(text.encode())

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
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(libvirt.libvirtError):  # the machine may be gone
                stream.abort()

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
