"""Progress of what takes longer than a second: one mechanism for every part of labkit.

A terminal or a notebook shows a bar with the phase and the time; anything else gets a line a
phase. ::

    with progress("image small") as task:
        task.phase("downloading packages")      # 0 … 1 where known
        task.update(0.4)
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ._values import format_duration


class Task(Protocol):
    """What a piece of work tells about itself."""

    def phase(self, text: str, fraction: float | None = None) -> None:
        """Say what is done now and, where known, which part of the whole (0 to 1) is done."""

    def update(self, fraction: float) -> None:
        """Say which part of the whole (0 to 1) is done."""


class _Lines:
    """A line a phase, for logs."""

    def __init__(self, title: str) -> None:
        self._title = title

    def phase(self, text: str, fraction: float | None = None) -> None:
        print(f"{self._title}: {text} …", file=sys.stderr, flush=True)

    def update(self, fraction: float) -> None:
        pass


class _Bar:
    """A bar by rich."""

    def __init__(self, title: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[phase]}"),
            TimeElapsedColumn(), transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task(title, total=None, phase="")
        self._progress.start()

    def phase(self, text: str, fraction: float | None = None) -> None:
        self._progress.update(self._task, phase=text)
        if fraction is not None:
            self.update(fraction)

    def update(self, fraction: float) -> None:
        self._progress.update(self._task, total=1.0, completed=fraction)

    def close(self) -> None:
        self._progress.stop()


class _Silent:
    def phase(self, text: str, fraction: float | None = None) -> None:
        pass

    def update(self, fraction: float) -> None:
        pass


def _in_notebook() -> bool:
    """Whether a person may be looking at a notebook of this process."""
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


@contextmanager
def progress(title: str) -> Iterator[Task]:
    """Show the progress of a piece of work; ``LABKIT_PROGRESS=off|lines|bar`` overrides the guess."""
    mode = os.environ.get("LABKIT_PROGRESS") or ("bar" if sys.stderr.isatty() or _in_notebook() else "lines")
    if mode == "off":
        yield _Silent()
        return
    began = time.monotonic()
    task = _Bar(title) if mode == "bar" else _Lines(title)
    try:
        yield task
    finally:
        if isinstance(task, _Bar):
            task.close()
    # JupyterLab shows what goes to stderr in red.
    out = sys.stdout if _in_notebook() else sys.stderr
    print(f"{title}: done in {format_duration(time.monotonic() - began)}", file=out, flush=True)
