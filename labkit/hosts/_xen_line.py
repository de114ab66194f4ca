"""Talking to a QEMU by QMP, and to the guest agent in domain 0: JSON, one message a line, on a Unix socket."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import DeadlineExceeded, EngineError, LabGone

_READ_BYTES = 1 << 16
_LOOK_S, _ASK_S = 0.02, 0.5


class Line:
    """A connection on which requests are answered in turn.

    Parameters
    ----------
    path
        The socket.
    whose
        Who answers, for errors.
    deadline
        When waiting for answers ends, by `time.monotonic`.

    Raises
    ------
    LabGone
        If nobody listens there, or from any method: no longer.
    DeadlineExceeded
        From any method: there was no answer in time.
    """

    def __init__(self, path: Path, whose: str, deadline: float) -> None:
        self._whose, self._deadline = whose, deadline
        self._rest = b""
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._sock.connect(str(path))
        except OSError as error:
            self._sock.close()
            raise LabGone(f"{whose} does not run: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sock.close()

    def ask(self, command: str, **arguments: Any) -> Any:
        """What is returned for a command; raises `EngineError` with the words of a refusal."""
        message = {"execute": command, **({"arguments": arguments} if arguments else {})}
        try:
            self._sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise LabGone(f"{self._whose} has ended") from error
        while True:
            answer = self.next()
            if "error" in answer:
                raise EngineError(f"{self._whose} refuses {command}: {answer['error'].get('desc', answer['error'])}")
            if "return" in answer:
                return answer["return"]

    def next(self) -> dict[str, Any]:
        """The next message."""
        while b"\n" not in self._rest:
            try:
                self._sock.settimeout(max(0.001, self._deadline - time.monotonic()))
                data = self._sock.recv(_READ_BYTES)
            except TimeoutError as error:
                raise DeadlineExceeded(f"{self._whose} did not answer in time") from error
            except OSError as error:
                raise LabGone(f"{self._whose} has ended") from error
            if not data:
                raise LabGone(f"{self._whose} has ended")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line.lstrip(b"\xff") or b"{}")
        return answer


class Monitor(Line):
    """QEMU itself."""

    def __init__(self, path: Path, name: str, deadline: float) -> None:
        super().__init__(path, f"the QEMU of {name}", deadline)
        self.next()  # its greeting
        self.ask("qmp_capabilities")

    def status(self) -> str:
        """Such as ``running``, ``paused``, ``inmigrate``, ``postmigrate``."""
        return str(self.ask("query-status")["status"])

    def until(self, *wanted: str) -> None:
        """Wait for one of these states."""
        while self.status() not in wanted:
            time.sleep(_LOOK_S)

    def ignore_shared(self) -> None:
        """Leave the memory, which lies in a file, out of what is saved and loaded."""
        self.ask("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command in domain 0 has ended."""

    code: int
    out: str
    err: str


class Dom0(Line):
    """The guest agent in domain 0: before it is told who it is, there is no other way in."""

    def __init__(self, path: Path, name: str, deadline: float) -> None:
        super().__init__(path, f"domain 0 of {name}", deadline)
        # What an earlier client has asked may still be answered.
        mark = int.from_bytes(os.urandom(4))
        self._sock.sendall(json.dumps({"execute": "guest-sync", "arguments": {"id": mark}}).encode() + b"\n")
        while self.next().get("return") != mark:
            pass

    def run(self, argv: Sequence[str], *, input: str = "", env: Mapping[str, str] | None = None) -> Ended:
        """Run a command to its end."""
        words: dict[str, Any] = {"path": argv[0], "arg": list(argv[1:]), "capture-output": True}
        if input:
            words["input-data"] = base64.b64encode(input.encode()).decode()
        if env:
            words["env"] = [f"{name}={value}" for name, value in env.items()]
        pid = self.ask("guest-exec", **words)["pid"]
        pause_s = _LOOK_S
        while not (told := self.ask("guest-exec-status", pid=pid))["exited"]:
            time.sleep(pause_s)
            pause_s = min(1.5 * pause_s, _ASK_S)  # each question costs an emulated processor some of its time
        out, err = (base64.b64decode(told.get(name, "")).decode(errors="replace") for name in ("out-data", "err-data"))
        return Ended(int(told.get("exitcode", -1)), out, err)

    def check(self, what: str, argv: Sequence[str], **how: Any) -> str:
        """Run a command that must succeed; returns its output."""
        ended = self.run(argv, **how)
        if ended.code != 0:
            raise EngineError(f"{self._whose} could not {what}: {(ended.err or ended.out).strip()[-500:]}")
        return ended.out


def wait_for_socket(path: Path, deadline: float) -> None:
    """Wait until somebody listens on a Unix socket, or the deadline: who connects then says the rest."""
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            return
        time.sleep(_LOOK_S)
