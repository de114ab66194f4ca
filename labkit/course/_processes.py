"""Finding and ending every process that a notebook run started.

A kernel runs in a session of its own and its cells may start others, so a process group does not
hold them all. They are known by the run's mark in their environment, or by having an ancestor
with that mark.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..errors import DeadlineExceeded

MARK = "LABKIT_RUN"


def _parent_if_alive(pid: str) -> int | None:
    """The parent of a process, None if it has ended (a zombie has nothing left to end)."""
    try:
        state, parent = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state in "ZX" else int(parent)


def _is_marked(pid: str, mark: bytes) -> bool:
    try:
        return mark in Path("/proc", pid, "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def processes_of(run_id: str) -> set[int]:
    """The ids of all live processes that belong to a run, except the calling one."""
    mark = f"{MARK}={run_id}".encode()
    parents = {
        int(pid): parent
        for pid in filter(str.isdecimal, os.listdir("/proc"))
        if (parent := _parent_if_alive(pid)) is not None
    }
    found = {pid for pid in parents if _is_marked(str(pid), mark)}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def end_processes(run_id: str, deadline_s: float = 10.0, *, dying: Iterable[int] = ()) -> None:
    """Kill all processes of a run and return when none is left.

    Parameters
    ----------
    dying
        Those of it that were killed before: a process that dies has no mark any more, and is there for a moment yet.

    Raises
    ------
    DeadlineExceeded
        If one is still there after `deadline_s` (it hangs in the kernel, or may not be killed).
    """
    until = time.monotonic() + deadline_s
    looks, awaited = 0, set(dying)
    # Twice: who was looked at just before its parent ended belonged to nobody for a moment.
    while looks < 2:
        left = processes_of(run_id)
        awaited = {pid for pid in awaited | left if _parent_if_alive(str(pid)) is not None}
        looks = 0 if awaited else looks + 1
        if time.monotonic() > until:
            raise DeadlineExceeded(f"processes that a notebook started do not end: {sorted(awaited)}")
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
