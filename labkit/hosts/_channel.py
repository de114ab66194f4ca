"""The client's side of the control socket of a lab's or a host's first process."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .. import errors
from ..errors import DeadlineExceeded, EngineError, LabError, LabGone

MESSAGE_BYTES = 1 << 17


class RequestRefused(EngineError):
    """A first process could not do what it was asked; `kind` names its own error."""

    kind = ""


# What the supervisor of a remote host calls by labkit's own names; see `_link`.
_TYPED = (
    "InvalidValue", "LoginRefused", "NameInUse", "NotEnoughDisk", "PackageMissing", "ServerChanged", "Unreachable",
)  # fmt: skip


def refusal(whose: str, answer: dict[str, Any]) -> LabError:
    """The error for an answer that says why there is none."""
    if answer["kind"] in _TYPED:
        kind: type[LabError] = getattr(errors, answer["kind"])
        return kind(answer["error"], hint=answer.get("hint", ""))
    refused = RequestRefused(f"{whose}: {answer['error']}")
    refused.kind = answer["kind"]
    return refused


class Channel:
    """One connection to a first process; see `labkit.hosts._init` for what it understands.

    Parameters
    ----------
    path
        The control socket.
    whose
        What to call the other side in errors, such as ``lab demo``.
    """

    def __init__(self, path: Path, whose: str) -> None:
        self._whose = whose
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            self.sock.connect(str(path))
        except OSError as error:
            self.sock.close()
            raise self._gone() from error

    def _gone(self) -> LabGone:
        return LabGone(f"{self._whose} has ended", hint="make it again with Lab.open(…), or see `labkit ps`")

    def request(self, op: str, fds: Sequence[int] = (), timeout_s: float = 30, **fields: Any) -> dict[str, Any]:
        """Ask and return the answer; raises `RequestRefused`, `LabGone`, `DeadlineExceeded`, `Unreachable`."""
        message = json.dumps({"op": op, **fields}).encode()
        try:
            socket.send_fds(self.sock, [message], list(fds))
        except OSError as error:
            if isinstance(error, BrokenPipeError | ConnectionError):
                raise self._gone() from error
            raise RequestRefused(f"the request to {self._whose} cannot be sent: {error.strerror}") from error
        answer = self.receive(timeout_s)
        if "error" in answer:
            raise refusal(self._whose, answer)
        return answer

    def receive(self, timeout_s: float | None) -> dict[str, Any]:
        """The next message from the other side."""
        self.sock.settimeout(timeout_s)
        try:
            data = self.sock.recv(MESSAGE_BYTES)
        except TimeoutError as error:
            raise DeadlineExceeded(f"{self._whose} did not answer within {timeout_s:g} s") from error
        except OSError as error:
            raise self._gone() from error
        if not data:
            raise self._gone()
        answer: dict[str, Any] = json.loads(data)
        return answer

    def peer_pid(self) -> int:
        """The process id of the first process, as seen from here."""
        credentials = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid: int = struct.unpack("3i", credentials)[0]
        return pid

    def close(self) -> None:
        """Hang up: what was started over this channel and still runs is killed."""
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Running:
    """A command that a first process has started; ends with this object's `close`.

    Attributes
    ----------
    pid
        Its process id on the host.
    exit_code
        None while it runs.
    cpu_seconds
        Once it has ended: the processor time that it and the children it waited for have used.
    """

    def __init__(self, channel: Channel, pid: int) -> None:
        self._channel = channel
        self.pid = pid
        self.exit_code: int | None = None
        self.cpu_seconds = 0.0

    def wait(self, timeout_s: float | None) -> int:
        """The exit code (negative: the signal that ended it); `DeadlineExceeded` if it goes on."""
        if self.exit_code is None:
            ended = self._channel.receive(timeout_s)
            if "error" in ended:  # a server was lost, and the command with it
                raise refusal("the host", ended)
            self.exit_code, self.cpu_seconds = int(ended["exit"]), float(ended["cpu_s"])
        return self.exit_code

    def close(self) -> None:
        """Kill it if it still runs."""
        self._channel.close()


def spawn(
    channel: Channel, argv: Sequence[str], fds: Sequence[int], env: dict[str, str] | None = None, cwd: str = "/"
) -> Running:
    """Start `argv` beyond `channel` with three file descriptors as its standard streams."""
    answer = channel.request("spawn", fds, argv=list(argv), env=env or {}, cwd=cwd)
    return Running(channel, answer["pid"])


def memory_streams() -> list[int]:
    """Files in memory for a command's three standard streams."""
    streams = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("stdin", "stdout", "stderr")]
    for stream in streams[1:]:  # else what several processes write at the same moment overwrites each other
        fcntl.fcntl(stream, fcntl.F_SETFL, os.O_APPEND)
    return streams


def run_captured(
    channel: Channel, argv: Sequence[str], *, input: bytes, env: dict[str, str] | None, cwd: str, timeout_s: float
) -> tuple[int, bytes, bytes, float]:
    """Run `argv` to its end: exit code, stdout, stderr, seconds.

    The streams are files in memory, so nothing has to be pumped and a daemon that the command
    leaves behind holds nobody up.
    """
    began = time.monotonic()
    streams = memory_streams()
    try:
        os.write(streams[0], input) if input else None
        os.lseek(streams[0], 0, os.SEEK_SET)
        running = spawn(channel, argv, streams, env, cwd)
        code = running.wait(timeout_s)
        out, err = (os.pread(stream, os.fstat(stream).st_size, 0) for stream in streams[1:])
    finally:
        for stream in streams:
            os.close(stream)
    return code, out, err, time.monotonic() - began
