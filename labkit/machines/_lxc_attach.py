"""Commands in containers, by `lxc-attach`."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._run import Completed
from ..errors import DeadlineExceeded, EngineError
from ..hosts._channel import memory_streams

if TYPE_CHECKING:
    from ..hosts.base import Host

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NOT_FOUND = re.compile(r"lxc-attach: .* - Failed to exec \"(.*)\"\s*", re.DOTALL)
_NOT_ATTACHED = re.compile(r"lxc-attach: [^\n]*(?:attach|start|commands)[^\n]*")
_NO_PROGRAM = (126, 127)


class NotAttached(Exception):
    """`lxc-attach` did not come into the container; the text has its words."""


def command(name: str, argv: Sequence[str], terminal: str = "linux") -> list[str]:
    """The command on the host that runs `argv` in the container `name`."""
    variables = [f"--set-var={word}" for word in (f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8", f"TERM={terminal}")]
    return ["lxc-attach", f"--name={name}", "--clear-env", *variables, "--", *argv]


def run(host: Host, name: str, argv: list[str], data: bytes, timeout_s: float) -> tuple[Completed, float]:
    """Run a command in the container `name` to its end, or end it at its deadline.

    Returns
    -------
    completed, cpu_seconds
        What came of it, and the processor time that it has used.

    Raises
    ------
    DeadlineExceeded, EngineError
    NotAttached
        If the container is not running.
    """
    began = time.monotonic()
    streams = memory_streams()
    try:
        _fill(streams[0], data)
        running = host.spawn(command(name, argv), streams)
        try:
            code = running.wait(timeout_s)
        except DeadlineExceeded as error:
            raise DeadlineExceeded(
                f"`{argv[0]}` did not end within {timeout_s:g} s and was killed", machine=name, host=host.name,
                hint="give it longer with timeout_s=…",
            ) from error  # fmt: skip
        finally:
            running.close()
        out, err = (os.pread(stream, os.fstat(stream).st_size, 0).decode(errors="replace") for stream in streams[1:])
    finally:
        for stream in streams:
            os.close(stream)
    _check(host, name, code, out, err)
    return Completed(tuple(argv), code, out, err, time.monotonic() - began, name), running.cpu_seconds


def _fill(stream: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(stream, left) :]
    os.lseek(stream, 0, os.SEEK_SET)


def _check(host: Host, name: str, code: int, out: str, err: str) -> None:
    """Tell `lxc-attach`'s own failures from those of the command."""
    if out or not err.startswith(f"lxc-attach: {name}: "):
        return
    if code in _NO_PROGRAM and (found := _NOT_FOUND.fullmatch(err)):
        why = "is not there" if "No such file" in err else "cannot be run"
        raise EngineError(
            f"the program {found[1]} {why} in {name}", machine=name, host=host.name, hint="is it in the image?"
        )
    if code != 0 and all(_NOT_ATTACHED.fullmatch(line) for line in err.splitlines()):
        raise NotAttached(err.splitlines()[0].rpartition(" - ")[2])
