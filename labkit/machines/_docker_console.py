"""A container's console, and what a terminal connects to."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from ..errors import InvalidState, LabError
from ._console import Console
from ._docker_api import TROUBLE, Frames, hijack, spoken
from ._docker_exec import start_shell
from ._line import HISTORY_BYTES, Line

if TYPE_CHECKING:
    from ._docker_machine import DockerMachine

_SHELL = ["/bin/sh", "-c", "[ -x /bin/bash ] && exec /bin/bash -l; exec /bin/sh -l"]


def _attach(machine: DockerMachine, *, heard: bool) -> tuple[socket.socket, bytes]:
    """A connection to the first process of a container, with what it said so far if it is to be `heard`."""
    words = "stream=1&stdin=1" + ("&stdout=1&stderr=1&logs=1" if heard else "")
    return hijack(machine.host, machine.api(), f"/containers/{machine.container}/attach?{words}")


class DockerConsole(Console):
    """What a container's first process has said and, if it has a terminal, a keyboard."""

    def __init__(self, machine: DockerMachine) -> None:
        super().__init__(machine.name, machine.host.name)
        self._container = machine
        self._sock: socket.socket | None = None

    def _read(self) -> str:
        with spoken(self._container.host, self._machine):
            said = self._container.api().logs(self._container.container, stdout=True, stderr=True)
        return bytes(said).decode(errors="replace")

    def write(self, text: str) -> None:
        if not self._container.recipe.tty:
            raise InvalidState(
                f"nobody can type to {self._machine}: it was made without a terminal", machine=self._machine,
                host=self._host, hint='create(…, tty=True) gives it one; line("shell") opens a shell in it',
            )  # fmt: skip
        with spoken(self._container.host, self._machine):
            if self._sock is None:
                self._sock, _ = _attach(self._container, heard=False)
                self._seen = len(self._read())
            self._sock.sendall(text.encode())

    def close(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()


class DockerLine(Line):
    """A terminal's line to the first process of a container, or to a shell in it."""

    def __init__(self, machine: DockerMachine, kind: str) -> None:
        super().__init__()
        self._machine = machine
        self._is_shell = kind == "shell"
        self._frames = None if self._is_shell or machine.recipe.tty else Frames()
        self._sock: socket.socket | None = None
        self._shell = ""
        self._history = bytearray()

    def _past(self) -> bytes:
        return bytes(self._history)

    def _open(self) -> None:
        machine = self._machine
        with spoken(machine.host, machine.name):
            if self._is_shell:
                self._shell, sock, rest = start_shell(machine.host, machine.api(), machine.container, _SHELL)
            else:
                sock, rest = _attach(machine, heard=True)
        sock.settimeout(None)
        self._sock = sock
        threading.Thread(target=self._listen, args=(sock, rest), name="labkit-line", daemon=True).start()

    def _listen(self, sock: socket.socket, data: bytes) -> None:
        while True:
            shown = data
            if self._frames is not None:  # without a terminal there, nobody has made these ends of lines for one
                shown = b"".join(part for _, part in self._frames.feed(data)).replace(b"\n", b"\r\n")
            with self._lock:
                if sock is not self._sock:
                    return
                if shown:
                    self._history += shown
                    del self._history[:-HISTORY_BYTES]
                    self._say(shown)
            data = b""
            with contextlib.suppress(OSError):  # it has ended
                data = sock.recv(65536)
            if not data:
                break
        with self._lock:
            if sock is self._sock:
                self._say(b"")

    def write(self, data: bytes) -> None:
        if sock := self._sock:
            with spoken(self._machine.host, self._machine.name):
                sock.sendall(data)

    def resize(self, rows: int, columns: int) -> None:
        with contextlib.suppress(LabError, *TROUBLE):  # it may have ended, or have no terminal
            api = self._machine.api()
            if self._is_shell:
                api.exec_resize(self._shell, height=rows, width=columns)
            else:
                api.resize(self._machine.container, height=rows, width=columns)

    def close(self) -> None:
        with self._lock:
            sock, self._sock = self._sock, None
            self._history.clear()
        if sock is None:
            return
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()
        if self._is_shell:  # it would go on without its terminal
            with contextlib.suppress(LabError, *TROUBLE):  # it may have ended
                told = self._machine.api().exec_inspect(self._shell)
                if told["Running"]:
                    self._machine.kill_process(int(told["Pid"]))
