"""Displaying: a live widget, and below it the static twin that is saved with the notebook.

The twin is hidden while its widget is drawn. It is kept at the last state that its subject had
while it was there, so it needs no kernel and no script to tell what became of it.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from .._html import render
from .._progress import in_kernel, in_notebook
from ..errors import LabError

if TYPE_CHECKING:
    from ._module import LabWidget

_LEAST_PAUSE_S = 5.0
_WIDGET = "application/vnd.jupyter.widget-view+json"


class Showable(Protocol):
    """What has a static form."""

    def _repr_mimebundle_(self) -> dict[str, Any]: ...


def show(thing: Showable, make: Callable[[], LabWidget]) -> None:
    """Display `thing`; `make` makes its widget, which is left out in a headless run.

    Raises
    ------
    NotImplementedError
        Outside of a notebook's kernel: IPython then takes the static form.
    """
    if not in_kernel():
        raise NotImplementedError
    _shown.forget_cell_before()
    twin = Twin(thing)
    if in_notebook():
        twin.attach(make())
    twin.publish()
    _shown.add(twin)


class Twin:
    """One static picture in a notebook."""

    def __init__(self, thing: Showable) -> None:
        self._thing = thing
        self._id = f"lk-{uuid.uuid4().hex[:12]}"
        self._html = ""
        self._told = 0.0
        self._lock = threading.Lock()
        self.widget: LabWidget | None = None
        self.cell = _cell()

    def attach(self, widget: LabWidget) -> None:
        """Display the widget; it hides the twin while it is drawn."""
        from IPython.display import publish_display_data

        self.widget = widget
        widget.twin = self._id
        view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
        # The empty HTML is for what shows no widgets: there the twin says it all.
        publish_display_data({_WIDGET: view, "text/plain": repr(self._thing), "text/html": ""})
        widget.follower = self.refresh

    def publish(self) -> None:
        """Display the picture."""
        from IPython.display import display

        display(self._bundle(), raw=True, display_id=self._id)

    def _bundle(self) -> dict[str, Any]:
        bundle = self._thing._repr_mimebundle_()
        self._html = bundle["text/html"]
        return {**bundle, "text/html": render("twin", id=self._id, html=self._html)}

    def refresh(self, *, now: bool = False) -> None:
        """Bring the picture up to date, at most every few seconds; one of what is gone stays as it was."""
        from IPython.display import display

        with self._lock:
            if _has_ended(self._thing) or (not now and time.monotonic() - self._told < _LEAST_PAUSE_S):
                return
            self._told = time.monotonic()
            before = self._html
            try:
                bundle = self._bundle()
            except (LabError, OSError):
                return
            if self._html != before:
                display(bundle, raw=True, display_id=self._id, update=True)


def _has_ended(thing: Any) -> bool:
    """Whether a machine, host or lab is no more."""
    lab = getattr(getattr(thing, "host", thing), "lab", thing)
    return bool(getattr(lab, "closed", False) or getattr(thing, "is_gone", False))


class _Shown:
    """The twins of this kernel's notebook."""

    def __init__(self) -> None:
        self._twins: list[Twin] = []
        self._hooked = False

    def add(self, twin: Twin) -> None:
        self._twins.append(twin)
        if not self._hooked:
            self._hooked = True
            _shell().events.register("post_run_cell", self._after_cell)

    def _after_cell(self, _result: object) -> None:
        for twin in self._twins:
            twin.refresh(now=True)

    def forget_cell_before(self) -> None:
        """Close what an earlier run of this cell has displayed: the notebook has cleared it."""
        cell, run = _cell()
        old = [twin for twin in self._twins if cell and twin.cell[0] == cell and twin.cell[1] != run]
        for twin in old:
            self._twins.remove(twin)
            if twin.widget:
                twin.widget.close()


_shown = _Shown()


def _cell() -> tuple[str, str]:
    """The notebook's name of the cell that runs now, and of this run of it."""
    parent = _shell().kernel.get_parent() or {}
    return parent.get("metadata", {}).get("cellId", ""), parent.get("header", {}).get("msg_id", "")


def _shell() -> Any:
    """The kernel's IPython."""
    from IPython.core.getipython import get_ipython

    return get_ipython()
