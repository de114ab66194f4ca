"""A terminal in the notebook: a machine's console with its history, or a shell in it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import traitlets

from .._html import render
from ..errors import LabError
from ..machines._console import clean
from ._module import LabWidget

if TYPE_CHECKING:
    from ..machines.base import Machine

_CHUNK = 1 << 16
_MOST_WAITING = 1 << 18
_HISTORY = 1 << 17


class Terminal(LabWidget):
    """A terminal on a machine; ``machine.terminal()`` makes it.

    `close` ends it; the machine goes on, a shell that nobody else watches ends.

    What the browser has not drawn yet is not sent on: of a flood the middle is left out, and said so.

    Parameters
    ----------
    machine
        Whose console or shell it is.
    shell
        A shell of its own instead of the console.
    rows
        Its height in lines.
    """

    kind = "terminal"
    file = "terminal.js"
    title = traitlets.Unicode().tag(sync=True)
    rows = traitlets.Int(18).tag(sync=True)
    ended = traitlets.Unicode().tag(sync=True)

    def __init__(self, machine: Machine, *, shell: bool = False, rows: int = 18) -> None:
        self.machine = machine
        kind = "shell" if shell else "console"
        self._line = machine.line(kind)
        self._guard = threading.Lock()
        self._history = bytearray()
        self._waiting = bytearray()
        self._drawn = True
        self._seen = False
        super().__init__(title=f"{machine.name} · {kind}", rows=rows)
        self._leave = self._line.follow(self._hear)

    def static(self) -> str:
        with self._guard:
            text = clean(bytes(self._history).decode(errors="replace"))
        lines = "\n".join(text.rstrip().splitlines()[-40:])
        return render("console", name=self.title, text=lines)

    # From the machine

    def _hear(self, data: bytes) -> None:
        if not data:
            self.ended = "the connection has ended"
            return
        with self._guard:
            self._history += data
            del self._history[:-_HISTORY]
            if not self._seen:
                return
            self._waiting += data
            if len(self._waiting) > _MOST_WAITING:
                left_out = len(self._waiting) - _CHUNK
                mark = f"\r\n\x1b[0;7m {left_out:,} bytes were left out \x1b[0m\r\n".encode()
                self._waiting = bytearray(mark) + self._waiting[-_CHUNK:]
        self._send_on()

    def _send_on(self) -> None:
        """Send the next piece if the browser has drawn the last."""
        with self._guard:
            if not self._drawn or not self._waiting:
                return
            piece, self._waiting = bytes(self._waiting[:_CHUNK]), self._waiting[_CHUNK:]
            self._drawn = False
        self.send({"tell": "data"}, [piece])

    # From the browser

    def asked_history(self, view: str) -> None:
        """A view has been opened: it gets what was said so far."""
        with self._guard:
            past, self._seen = bytes(self._history), True
            self._waiting.clear()
            self._drawn = True
        self.send({"tell": "history", "view": view}, [past])

    def asked_more(self) -> None:
        """A piece has been drawn."""
        with self._guard:
            self._drawn = True
        self._send_on()

    def asked_type(self, text: str) -> None:
        """Keys were pressed or something was pasted."""
        try:
            self._line.write(text.encode())
        except (LabError, OSError) as error:
            self.ended = getattr(error, "message", "the connection has ended")

    def asked_resize(self, rows: int, columns: int) -> None:
        """The terminal has another size."""
        if 0 < rows < 1000 and 0 < columns < 1000:
            self._line.resize(rows, columns)
