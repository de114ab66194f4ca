"""A migration as it happens: phase, a button that takes it back, and its time line."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import traitlets

from .._html_migration import doing, end_of, outcome
from ..operations import _timeline
from ..operations._course import course_of
from ._module import LabWidget

if TYPE_CHECKING:
    from ..operations.migration import Migration

_PAUSE_S = 1.0
_LOOK_S = 0.1
_STEP = 20  # pixels: a window that is dragged does not redraw all the time


class MigrationView(LabWidget):
    """A migration as a widget; shown by the migration itself.

    It is brought up to date once a second, by a thread of its own, in one message; that ends with the
    migration, or when the widget is closed. The migration goes on without it.
    """

    kind = "migration"
    fixed = traitlets.Dict().tag(sync=True)
    now = traitlets.Dict().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    outcome = traitlets.Unicode().tag(sync=True)  # HTML, escaped where it is made

    def __init__(self, migration: Migration) -> None:
        self.migration = migration
        self._closed = threading.Event()
        self._lock = threading.Lock()  # its thread and the front end's
        self._across = _timeline.WIDTH
        machine = migration.machine
        fixed = {
            "name": machine.name, "engine": machine.engine,
            "source": migration.source.name, "destination": migration.destination.name,
        }  # fmt: skip
        super().__init__(fixed=fixed)
        self._leave = self._closed.set
        self.refresh()
        if not migration.is_done:
            name = f"labkit-migration-{machine.name}"
            threading.Thread(target=self._follow, name=name, daemon=True).start()

    def subject(self) -> Migration:
        return self.migration

    def refresh(self) -> None:
        """Tell the front end how it is now."""
        with self._lock, self.hold_sync():  # one message, or none
            self.now = self._now()
            self.picture = _timeline.svg(course_of(self.migration), self._across)
            self.outcome = outcome(self.migration)

    def _now(self) -> dict[str, Any]:
        migration, now = self.migration, self.migration.progress
        return {
            "end": end_of(migration), "done": migration.is_done, "doing": doing(migration),
            "fraction": now.fraction if now else None, "late": bool(migration.resumed_s),
        }  # fmt: skip

    def _follow(self) -> None:
        """Until it has ended: once a second, and at its end."""
        told = time.monotonic()
        while not self._closed.wait(_LOOK_S):
            done = self.migration.is_done  # asked before it is drawn, so that the last picture is whole
            if done or time.monotonic() - told >= _PAUSE_S:
                told = time.monotonic()
                self.refresh()
                self.follower(now=done)
            if done:
                return

    def asked_cancel(self) -> None:
        """Its button was pressed."""
        self.migration.cancel()

    def asked_width(self, across: float) -> None:
        """The room that it has in the page, in pixels."""
        fitting = round(min(max(across, _timeline.NARROWEST), _timeline.WIDEST)) // _STEP * _STEP
        if fitting != self._across:
            self._across = fitting
            self.refresh()
