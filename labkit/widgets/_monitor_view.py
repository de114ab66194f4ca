"""The dashboard as a widget: controls and legend in the front end's own elements, the plots by plotly."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import traitlets

from .._values import format_count
from ..errors import LabError
from ..lab import watching
from ..monitoring._dashboard import GREY, Picture, key_of
from ..monitoring._dashboard_svg import KINDS
from ..monitoring.spec import METRICS
from ._figure import Figure
from ._module import LabWidget
from ._monitor_plot import Plot

if TYPE_CHECKING:
    from .monitor import Monitor

_PAUSE_S = 1.0
_SOON_S = 0.2  # between what is asked for by hand and its picture, so that what is asked for together is one
WINDOWS = (60, 300, 600, 1800, 3600)
_WIDE, _STEP = 900, 20  # pixels


class MonitorView(LabWidget):
    """A monitor as a widget; shown by the monitor itself.

    It is brought up to date once a second by a thread of its own, which ends when the widget is closed:
    one message for all plots, and another one where names, colours or words change. Nothing is read or sent
    while it is paused, or when nobody has it on a screen any more.
    """

    kind = "monitor"
    title = traitlets.Unicode().tag(sync=True)
    figure = traitlets.Unicode().tag(sync=True)
    paused = traitlets.Bool(default_value=False).tag(sync=True)
    ended = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    said: traitlets.List[Any] = traitlets.List().tag(sync=True)  # sign, colour, words
    windows: traitlets.List[Any] = traitlets.List(list(WINDOWS)).tag(sync=True)
    window = traitlets.Float().tag(sync=True)
    metrics: traitlets.List[Any] = traitlets.List().tag(sync=True)
    offered: traitlets.List[Any] = traitlets.List().tag(sync=True)
    choice: traitlets.List[Any] = traitlets.List().tag(sync=True)
    legend: traitlets.List[Any] = traitlets.List().tag(sync=True)

    def __init__(self, monitor: Monitor) -> None:
        from .monitor import MOST_METRICS

        self.monitor = monitor
        self._closed = threading.Event()
        self._wanted = threading.Event()
        self._lock = threading.Lock()  # one picture at a time
        self._across = _WIDE
        self._came = 0
        self._failed = False
        self._was_seen = False
        self._plot = Plot(MOST_METRICS, monitor.most)
        self._figure = Figure(*self._plot.start())
        offered = [[name, metric.title] for name, metric in METRICS.items()]
        super().__init__(title=monitor.title, figure=str(self._figure.model_id), offered=offered)
        self._view_count = 0  # from now on the front end says how many show it
        self._leave = self._end
        self._figure.on_msg(self._on_drawn)
        self._try_to_show(fresh=True)
        threading.Thread(target=self._follow, name="labkit-monitor", daemon=True).start()

    def subject(self) -> Monitor:
        return self.monitor

    def wake(self) -> None:
        """Draw anew soon, because of what somebody has chosen."""
        self._wanted.set()

    def _end(self) -> None:
        self._closed.set()
        self._wanted.set()
        self._figure.close()

    # The thread

    def _follow(self) -> None:
        with watching():
            while not self._closed.is_set() and not self.ended:
                began = time.monotonic()
                self._wanted.wait(_PAUSE_S)
                asked = self._wanted.is_set()
                if asked:
                    self._closed.wait(_SOON_S)
                self._wanted.clear()
                if not self._closed.is_set() and (asked or self.monitor.ended or self._is_seen()):
                    self._try_to_show(fresh=not self.monitor.paused, asked=asked)
                if not asked:
                    self._closed.wait(max(0.0, began + _PAUSE_S - time.monotonic()))

    def _is_seen(self) -> bool:
        """Whether somebody may be looking: until it was on a screen for the first time, too."""
        self._was_seen = self._was_seen or bool(self._view_count)
        return bool(self._view_count) or not self._was_seen

    def _try_to_show(self, *, fresh: bool, asked: bool = True) -> None:
        try:
            with self._lock:
                self._show(fresh=fresh, asked=asked)
            self._failed = False
        except Exception as error:  # a thread that ends would leave a picture that stands as if nothing happened
            self.note = getattr(error, "message", f"this picture stands: {error}")
            if not self._failed and not isinstance(error, (LabError, OSError)):
                logging.getLogger("labkit").exception("a monitor could not be brought up to date")
            self._failed = True

    def _show(self, *, fresh: bool, asked: bool) -> None:
        monitor = self.monitor
        if ended := monitor.ended:
            self.ended = ended
            return
        came = monitor.read() if fresh else self._came
        if came != self._came or asked:  # the twin may have read it before
            self._came = came
            seen = monitor.look(fresh=False)
            self._tell(seen)
            hidden = frozenset(line.slot for line in seen.lines if key_of(line.subject) in monitor.hidden)
            self._figure.redraw(*self._plot.changes(seen, hidden, self._across))
            self.follower()

    def _tell(self, seen: Picture) -> None:
        """Whatever is not a plot: one message, or none."""
        monitor = self.monitor
        sign, colour = KINDS[monitor.said[1]]
        with self.hold_sync():
            self.paused = monitor.paused
            self.said = [sign, colour, monitor.said[0]] if monitor.said[0] else []
            self.window = seen.seconds
            self.metrics = list(monitor.metrics)
            self.choice = [[key, label, _is_on(monitor.machines, key)] for key, label in seen.choice]
            self.legend = _legend(seen, monitor.hidden)
            self.note = _note(seen, monitor.machines)

    # What the front end says

    def _on_drawn(self, _figure: object, content: Any, _buffers: object) -> None:
        """The plots are on a screen now; what it did not hear before is told once more."""
        if isinstance(content, dict) and content.get("drawn"):
            with self._lock:
                self._plot.forget()
            self.wake()

    def asked_pause(self, paused: object = True) -> None:
        """Its button was pressed."""
        (self.monitor.pause if paused else self.monitor.resume)()

    def asked_window(self, seconds: float) -> None:
        """Another window was chosen."""
        self.monitor.choose(window=float(seconds))

    def asked_metrics(self, names: Iterable[str]) -> None:
        """Metrics were chosen."""
        self.monitor.choose(metrics=names)

    def asked_machines(self, keys: Iterable[str] | None) -> None:
        """Machines were chosen."""
        self.monitor.choose(machines=None if keys is None else list(keys))

    def asked_hide(self, keys: Iterable[str]) -> None:
        """Those that are hidden."""
        self.monitor.hide(keys)

    def asked_width(self, across: float) -> None:
        """The room that it has in the page, in pixels."""
        fitting = round(min(max(across, 200), 4000)) // _STEP * _STEP
        if fitting != self._across:
            self._across = fitting
            self.wake()


def _is_on(chosen: tuple[str, ...] | None, key: str) -> bool:
    host, _, machine = key.partition("/")
    return bool(machine) if chosen is None else key in chosen or (machine or host) in chosen


def _legend(seen: Picture, hidden: frozenset[str]) -> list[list[Any]]:
    lines = [
        [key_of(line.subject), line.label, line.colour, line.dash, line.words[len(line.label) + 1 :],
         key_of(line.subject) in hidden, line.slot + 1]
        for line in seen.lines
    ]  # fmt: skip
    if seen.others:
        lines.append(["", format_count(seen.others, "other"), GREY, "solid", "", False, 0])
    return lines


def _note(seen: Picture, chosen: tuple[str, ...] | None) -> str:
    if chosen == ():
        return "no machine is chosen"
    if seen.missing:
        return f"no readings yet of {', '.join(seen.missing)}"
    return "" if seen.lines else "no readings yet"
