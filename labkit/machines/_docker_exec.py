"""Commands in a container: both streams, input, an exit code, an end at the deadline."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._progress import check_cancelled
from ..errors import DeadlineExceeded, EngineError, LabError
from ._docker_api import TROUBLE, Api, Frames, hijack

if TYPE_CHECKING:
    from ..hosts.base import Host

_LOOK_S = 0.25  # how often it is looked whether somebody has cancelled
_BEGIN_S = 20.0  # within which dockerd has begun a command that it was told to
_REFUSED = "OCI runtime exec failed"
_NOT_RUN = (126, 127, 128)


@dataclass(frozen=True, slots=True)
class Inside:
    """A container in which commands are run; `kill` ends a process of the host and its group."""

    host: Host
    api: Api
    container: str
    machine: str
    kill: Callable[[int], None]

    def run(self, argv: Sequence[str], data: bytes, timeout_s: float) -> tuple[int, bytes, bytes]:
        """Exit code, stdout and stderr of a command; `DeadlineExceeded` once it was killed."""
        deadline = time.monotonic() + timeout_s
        made = self.api.exec_create(self.container, list(argv), stdin=bool(data))["Id"]
        sock, rest = hijack(self.host, self.api, f"/exec/{made}/start", b'{"Detach": false, "Tty": false}')
        try:
            with sock:
                out, err = _pump(sock, rest, data, deadline)
            code = self._exit_code(made, deadline)
        except TimeoutError:
            self._end(made)
            raise DeadlineExceeded(
                f"`{argv[0]}` did not end within {timeout_s:g} s and was killed", machine=self.machine,
                host=self.host.name, hint="give it longer with timeout_s=…",
            ) from None  # fmt: skip
        except BaseException:  # cancelled, or Ctrl-C
            self._end(made)
            raise
        if code in _NOT_RUN and (words := out or err).startswith(_REFUSED.encode()):
            text = words.decode(errors="replace").strip().removeprefix(f"{_REFUSED}: ").removesuffix(": unknown")
            raise EngineError(
                f"`{argv[0]}` could not be run: {text}", machine=self.machine, host=self.host.name,
                hint="is the program in the container?",
            )  # fmt: skip
        return code, out, err

    def _exit_code(self, made: str, deadline: float) -> int:
        pause = 0.001
        while (told := self.api.exec_inspect(made))["Running"]:
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        return int(told["ExitCode"])

    def _end(self, made: str) -> None:
        deadline = time.monotonic() + _BEGIN_S
        with contextlib.suppress(LabError, *TROUBLE):  # the container may have ended, and the command with it
            told = self.api.exec_inspect(made)
            # One that is only about to begin would do so, and go on for ever.
            while not told["Pid"] and told["ExitCode"] is None and time.monotonic() < deadline:
                time.sleep(0.02)
                told = self.api.exec_inspect(made)
            if told["Running"] and told["Pid"]:
                self.kill(int(told["Pid"]))


def _pump(sock: socket.socket, rest: bytes, data: bytes, deadline: float) -> tuple[bytes, bytes]:
    """Write `data` and read both streams at the same time, so that neither side waits for the other."""
    frames, streams = Frames(), {1: bytearray(), 2: bytearray()}
    sock.setblocking(False)
    poll, left = select.poll(), memoryview(data)
    poll.register(sock, select.POLLIN | (select.POLLOUT if data else 0))
    more = rest
    while True:
        for kind, part in frames.feed(more):
            streams[2 if kind == 2 else 1] += part
        check_cancelled()
        now = time.monotonic()
        if now >= deadline:
            raise TimeoutError
        more = b""
        for _, event in poll.poll(1000 * min(deadline - now, _LOOK_S)):
            if event & select.POLLOUT and left:
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    left = left[sock.send(left) :]
                if not left:
                    sock.shutdown(socket.SHUT_WR)
                    poll.modify(sock, select.POLLIN)
            if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                with contextlib.suppress(BlockingIOError):
                    if not (more := sock.recv(65536)):
                        return bytes(streams[1]), bytes(streams[2])


def start_shell(host: Host, api: Api, container: str, argv: Sequence[str]) -> tuple[str, socket.socket, bytes]:
    """Start a command with a terminal of its own: its id, the connection to it, what it has said."""
    made = api.exec_create(container, list(argv), stdin=True, tty=True, environment={"TERM": "xterm-256color"})["Id"]
    sock, rest = hijack(host, api, f"/exec/{made}/start", json.dumps({"Detach": False, "Tty": True}).encode())
    return made, sock, rest
