"""Progress in a notebook: a bar with phase, time and a button to cancel."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import traitlets

from .._html import render
from ._module import LabWidget

if TYPE_CHECKING:
    from .._progress import Work

_LEAST_PAUSE_S = 0.1


class Progress(LabWidget):
    """A piece of work as a widget; `labkit._progress` makes it."""

    kind = "progress"
    live = True
    title = traitlets.Unicode().tag(sync=True)
    phase = traitlets.Unicode().tag(sync=True)
    fraction = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)
    ended = traitlets.Unicode().tag(sync=True)
    elapsed_s = traitlets.Float().tag(sync=True)

    def __init__(self, work: Work) -> None:
        self._work = work
        self._told = 0.0
        super().__init__(title=work.title, elapsed_s=round(time.monotonic() - work.began, 1))
        self._ipython_display_()

    def show(self, phase: str, fraction: float | None) -> None:
        """Show a phase and how far it is; at most ten times a second."""
        now = time.monotonic()
        if phase == self.phase and now - self._told < _LEAST_PAUSE_S:
            return
        self._told = now
        with self.hold_sync():
            self.phase = phase
            self.fraction = None if fraction is None else min(max(fraction, 0.0), 1.0)
            self.elapsed_s = round(now - self._work.began, 1)

    def end(self, how: str) -> None:
        """Show how it ended."""
        self.ended = how
        self.follower()

    def static(self) -> str:
        return render("progress", title=self.title, text=self.ended or f"{self.phase} …")

    def asked_cancel(self) -> None:
        """The button was pressed."""
        self._work.cancel()
