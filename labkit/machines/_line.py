"""What a terminal is connected to: a machine's console, or a shell in it.

Several terminals on one line see the same, history included.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import termios
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..hosts._channel import Running
    from ..hosts.base import Host

HISTORY_BYTES = 1 << 20
Listener = Callable[[bytes], None]


class Line(ABC):
    """Bytes in both directions, heard by everyone who follows."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._heard: list[Listener] = []

    def follow(self, heard: Listener) -> Callable[[], None]:
        """Have `heard` called with what was said so far and then, from a thread, with what is said.

        Empty bytes mean that the line has ended. Returns what ends the following; when nobody
        follows any more, the line is closed.
        """
        with self._lock:
            self._heard.append(heard)
            first = len(self._heard) == 1
            if past := self._past():
                heard(past)
            if first:
                self._open()

        def leave() -> None:
            with self._lock:
                if heard not in self._heard:
                    return
                self._heard.remove(heard)
                last = not self._heard
            if last:
                self.close()

        return leave

    def _say(self, data: bytes) -> None:
        with self._lock:
            for heard in list(self._heard):
                heard(data)

    @abstractmethod
    def _past(self) -> bytes:
        """The last of what was said so far."""

    @abstractmethod
    def _open(self) -> None:
        """Begin to listen."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Type."""

    @abstractmethod
    def resize(self, rows: int, columns: int) -> None:
        """Say how large the terminal is."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening, and end what runs on the line if it is there for the line alone."""


class CommandLine(Line):
    """A command on a host with a terminal of its own, such as ``lxc-attach -n box``."""

    def __init__(self, host: Host, argv: Sequence[str]) -> None:
        super().__init__()
        self._host = host
        self._argv = list(argv)
        self._terminal = -1
        self._wake = -1
        self._running: Running | None = None
        self._history = bytearray()

    def _past(self) -> bytes:
        return bytes(self._history)

    def _open(self) -> None:
        self._terminal, inner = pty.openpty()
        try:
            # The host's first process makes no terminal the command's own: setsid does.
            prefix = ["env", "TERM=xterm-256color", "setsid", "--ctty", "--wait"]
            self._running = self._host.spawn([*prefix, *self._argv], [inner] * 3)
        except BaseException:
            os.close(self._terminal)
            raise
        finally:
            os.close(inner)
        woken, self._wake = os.pipe2(os.O_CLOEXEC)
        threading.Thread(target=self._listen, args=(self._terminal, woken), name="labkit-line", daemon=True).start()

    def _listen(self, terminal: int, woken: int) -> None:
        data = b"?"
        # Not by a read that waits: a terminal that is being read does not hang up when it is closed.
        while data and woken not in select.select([terminal, woken], [], [])[0]:
            data = b""
            with contextlib.suppress(OSError):  # the command has ended
                data = os.read(terminal, 65536)
            if terminal == self._terminal:
                with self._lock:
                    self._history += data
                    del self._history[:-HISTORY_BYTES]
                    self._say(data)
        if not data:  # the command has ended, and the line is not left yet
            select.select([woken], [], [])
        os.close(terminal)
        os.close(woken)

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._terminal, data) :]

    def resize(self, rows: int, columns: int) -> None:
        with contextlib.suppress(OSError):  # it may have ended
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        with self._lock:
            running, self._running = self._running, None
            self._terminal = -1
            self._history.clear()
        if running is not None:
            running.close()
            os.close(self._wake)
