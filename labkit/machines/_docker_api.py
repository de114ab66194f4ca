"""Connections to a host's dockerd: typed errors, states by events, streams in both directions."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
import requests
import urllib3
from docker.auth import AuthConfig
from docker.utils.proxy import ProxyConfig

from ..errors import (
    Busy,
    DeadlineExceeded,
    EngineError,
    InvalidState,
    LabError,
    LabGone,
    NameInUse,
    NotEnoughDisk,
    NotEnoughMemory,
    NotFound,
)
from ..hosts import _dockerd
from .spec import State

if TYPE_CHECKING:
    from ..hosts.base import Host

Api = Any  # docker.APIClient, of which the stubs know too little
LABEL = "labkit.machine"
CALL_S = 180.0
_GONE = (requests.exceptions.ConnectionError, urllib3.exceptions.HTTPError, ConnectionError, BrokenPipeError)
_EXITED = re.compile(r"Exited \((\d+)\)")
# Ended by what asks a process to end: HUP, INT, KILL, TERM.
_ASKED = frozenset({0, 129, 130, 137, 143})
_KINDS: dict[int, type[LabError]] = {404: NotFound, 409: InvalidState}
_WORDS: tuple[tuple[str, type[LabError], str], ...] = (
    ("no space left on device", NotEnoughDisk, "make room on the disk with the lab's state, see `labkit doctor`"),
    ("cannot allocate memory", NotEnoughMemory, "ask for less memory or stop other machines"),
    ("port is already allocated", Busy, "publish another port, or destroy what has this one"),
    ("address already in use", Busy, "publish another port, or end what listens on this one"),
    ("is already in use by container", NameInUse, "choose another name, or destroy that one"),
)


class Refused(Exception):
    """What Docker answers instead of handing over the connection."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


# What a call of the docker package raises when Docker says no, or nothing any more.
TROUBLE = (Refused, docker.errors.DockerException, requests.exceptions.RequestException, *_GONE)


def connect(socket_path: Path) -> Api:
    """A client of the dockerd behind a Unix socket."""
    api: Api = docker.APIClient(f"unix://{socket_path}", version="auto", timeout=CALL_S, max_pool_size=64)  # type: ignore[arg-type]
    # What the user has set up for another Docker stays out of the lab: credentials and proxies.
    api._general_configs, api._auth_configs = {}, AuthConfig({})  # noqa: SLF001
    api._proxy_configs = ProxyConfig()  # noqa: SLF001
    api.trust_env = False  # a proxy has no business here, and looking for one costs a millisecond a call
    return api


@contextlib.contextmanager
def spoken(host: Host, machine: str = "") -> Iterator[None]:
    """Turn Docker's errors into labkit's, with Docker's own words."""
    try:
        yield
    except TROUBLE as error:
        raise translate(error, host, machine) from error


def translate(error: Exception, host: Host, machine: str = "") -> LabError:
    """The labkit error for one of Docker's, of requests', or of the socket's."""
    if isinstance(error, Refused):
        return said(str(error), host, machine, error.status)
    if isinstance(error, docker.errors.APIError) and error.response is not None:
        return said(str(error.explanation or error), host, machine, error.response.status_code)
    if isinstance(error, requests.exceptions.Timeout):
        hint = "see dockerd.log in the host's folder"
        return DeadlineExceeded(f"Docker did not answer in time: {error}", hint=hint, host=host.name, machine=machine)
    if _is_hang_up(error):
        host.docker.drop()
        with contextlib.suppress(LabError):
            if failure := _dockerd.why_failed(host):
                failure.machine = machine
                failure.hint = f"it is started again when it is next used; {failure.hint}"
                return failure
        hint = f'if the host has ended, lab.add_host("{host.name}") makes it again'
        return LabGone(f"Docker does not answer: {error}", hint=hint, host=host.name, machine=machine)
    return EngineError(f"Docker: {error}", host=host.name, machine=machine)


def _is_hang_up(error: BaseException | None) -> bool:
    return error is not None and (isinstance(error, _GONE) or _is_hang_up(error.__cause__ or error.__context__))


def said(words: str, host: Host, machine: str, status: int = 500) -> LabError:
    """The error for what Docker has said."""
    kind, hint = _KINDS.get(status, EngineError), ""
    for mark, special, what_to_do in _WORDS:
        if mark in words.lower():
            kind, hint = special, what_to_do
            break
    return kind(f"Docker: {words.strip()}", hint=hint, host=host.name, machine=machine)


# States


def state_in_list(entry: dict[str, Any]) -> State:
    """The state of a container from a line of Docker's list."""
    code = _EXITED.match(entry.get("Status", ""))
    return _state(entry["State"], int(code[1]) if code else 0)


def state_of(told: dict[str, Any]) -> State:
    """The state of a container from all that Docker tells of it."""
    state = told["State"]
    code = state["ExitCode"] if not state.get("OOMKilled") else -1
    return _state(state["Status"], code)


def _state(status: str, code: int) -> State:
    if status in ("exited", "dead"):
        return State.STOPPED if code in _ASKED else State.FAILED
    known = {"running": State.RUNNING, "paused": State.PAUSED, "restarting": State.STARTING, "created": State.STOPPED}
    return known.get(status, State.UNKNOWN)


_TELLING = frozenset({"start", "die", "pause", "unpause", "oom", "destroy"})


def follow(api: Api, told: Callable[[str, str], None], lost: Callable[[], None]) -> Any:
    """Have it called, in a thread: `told(name, what)` of containers, and `lost()` when Docker has hung up.

    Returns the stream, whose ``close`` ends the following.
    """
    stream = api.events(filters={"type": "container", "label": LABEL}, decode=True)

    def listen() -> None:
        with contextlib.suppress(Exception):  # whatever ended it, it has ended
            for event in stream:
                if event["Action"] in _TELLING:
                    told(event["Actor"]["Attributes"][LABEL], event["Action"])
        lost()

    threading.Thread(target=listen, name="labkit-docker", daemon=True).start()
    return stream


# Streams: what follows after a request that asks for the connection itself


def hijack(
    host: Host, api: Api, path: str, body: bytes = b"", timeout_s: float = CALL_S
) -> tuple[socket.socket, bytes]:
    """POST to `path` and take the connection over; the socket and what has already come.

    Not by docker-py, which may leave what came with the answer's head in a buffer that nobody reads.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.settimeout(timeout_s)
        sock.connect(str(host.sockets / "docker.sock"))
        head = (
            f"POST /v{api.api_version}{path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        sock.sendall(head.encode() + body)
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := sock.recv(4096)):
                raise ConnectionResetError("it hung up")
            data += more
        first, _, rest = data.partition(b"\r\n\r\n")
        status = int(first.split(b" ", 2)[1])
        if status not in (101, 200):
            raise Refused(status, _message(sock, first, rest))
    except BaseException:
        sock.close()
        raise
    return sock, rest


def _message(sock: socket.socket, head: bytes, body: bytes) -> str:
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        if not (more := sock.recv(4096)):
            break
        body += more
    return body.decode(errors="replace").strip()


class Frames:
    """Takes apart what Docker sends where there is no terminal: stdout and stderr in frames."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The parts that are whole by now: 1 (stdout) or 2 (stderr), and the bytes."""
        self._data += data
        while len(self._data) >= 8:
            kind, length = struct.unpack(">BxxxL", self._data[:8])
            if len(self._data) < 8 + length:
                return
            yield kind, bytes(self._data[8 : 8 + length])
            del self._data[: 8 + length]
