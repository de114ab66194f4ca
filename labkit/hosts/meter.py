"""Reading the counters of a host: the other end of `_meter`, which runs there."""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DeadlineExceeded, EngineError, LabError

if TYPE_CHECKING:
    from ._channel import Running
    from .base import Host

_PROGRAM = Path(__file__).with_name("_meter.py")
_ANSWER_S = 10.0


class Meter:
    """What reads the counters of a host and its containers; started when it is first asked.

    Parameters
    ----------
    host
        The host; the reading process runs on it, and ends with `close` or with this process.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._pipes: list[int] = []

    def read(self, timeout_s: float = _ANSWER_S, **what: bool) -> dict[str, dict[str, Any]]:
        """The counters now of what is named.

        Parameters
        ----------
        what
            `host`, and the containers of `docker` and `lxc`: True to read them from cgroups, False to add up
            processes.

        Raises
        ------
        LabGone, DeadlineExceeded, EngineError
            After each of which the next call begins anew.
        """
        with self._lock:
            try:
                if self._running is None:
                    self._start()
                told = self._ask(json.dumps(what).encode() + b"\n", timeout_s)
            except BaseException:
                self._end()
                raise
        if "error" in told:
            raise EngineError(f"the counters of {self._host.name} were not read: {told['error']}", host=self._host.name)
        return told

    def _start(self) -> None:
        (ours_in, theirs_out), (theirs_in, ours_out) = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        self._pipes = [ours_in, ours_out]
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            argv = [*self._host.python, "-I", "-S", self._host.program(_PROGRAM), str(self._host.folder)]
            self._running = self._host.spawn(argv, [theirs_in, theirs_out, nowhere])
        finally:
            for descriptor in (theirs_in, theirs_out, nowhere):
                os.close(descriptor)

    def _ask(self, line: bytes, timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        data = bytearray()
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            os.write(self._pipes[1], line)
        while not data.endswith(b"\n"):
            if not select.select([self._pipes[0]], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise DeadlineExceeded(
                    f"the counters of {self._host.name} did not come within {timeout_s:g} s", host=self._host.name,
                    hint="it may be very busy",
                )  # fmt: skip
            if not (piece := os.read(self._pipes[0], 1 << 18)):
                raise EngineError(f"what reads the counters of {self._host.name} has ended", host=self._host.name)
            data += piece
        told: dict[str, Any] = json.loads(data)
        return told

    def close(self) -> None:
        """End the reading process; `read` starts another."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        running, self._running = self._running, None
        pipes, self._pipes = self._pipes, []
        for descriptor in pipes:
            os.close(descriptor)
        if running is not None:
            with contextlib.suppress(LabError):
                running.close()
