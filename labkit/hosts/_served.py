"""What hosts share that are served through a control socket: by their first process, or a supervisor."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._paths import disk_room
from ..errors import DeadlineExceeded, EngineError, LabError
from . import _dockerd
from ._channel import Channel, RequestRefused, Running, run_captured, spawn
from .base import NEVER_STARTED, Host


class ServedHost(Host):
    """A host with a control socket ``ctl`` in its directory of sockets; see `_init` for what it understands."""

    @abstractmethod
    def _channel(self) -> Channel:
        """A connection to what serves the host."""

    @property
    def is_alive(self) -> bool:
        try:
            self._channel().close()
        except LabError:
            return False
        return True

    def _run(
        self, argv: list[str], input: bytes, env: dict[str, str], cwd: str, timeout_s: float
    ) -> tuple[int, bytes, bytes]:
        with self._channel() as channel:
            try:
                code, out, err, _ = run_captured(channel, argv, input=input, env=env, cwd=cwd, timeout_s=timeout_s)
            except DeadlineExceeded as error:
                raise DeadlineExceeded(
                    f"`{argv[0]}` did not end within {timeout_s:g} s and was killed",
                    host=self.name, hint="give it longer with timeout_s=…",
                ) from error  # fmt: skip
            except RequestRefused as error:
                hint = "is the program installed?"
                raise EngineError(error.message, host=self.name, hint=hint) from error
        return code, out, err

    @contextmanager
    def reserve_folder(self, folder: Path, undo: Sequence[Sequence[str]]) -> Iterator[Callable[[], object]]:
        with self._channel() as channel:
            try:
                channel.request("begin", folder=str(folder), undo=[list(step) for step in undo])
            except RequestRefused as error:
                if error.kind == "FileExistsError":
                    raise FileExistsError(str(folder)) from error
                raise
            yield lambda: channel.request("commit")

    @staticmethod
    def _exit_code(channel: Channel, daemon: str) -> int | None:
        known: dict[str, Any] = channel.request("daemons")["daemons"]
        code: int | None = known[daemon]["exit"] if daemon in known else NEVER_STARTED
        return code

    def start_daemon(self, name: str, argv: Sequence[str]) -> Path:
        log = self.folder / f"{name}.log"
        with disk_room(self.folder), self._channel() as channel:
            channel.request("daemon", name=name, log=str(log), argv=list(argv))
        return log

    def daemon_exit(self, name: str) -> int | None:
        with self._channel() as channel:
            return self._exit_code(channel, name)

    def spawn(self, argv: Sequence[str], fds: Sequence[int]) -> Running:
        return spawn(self._channel(), argv, fds)

    def start_docker(self) -> Path:
        return _dockerd.start(self)
