"""Alerts: rules on metrics that tell once when they begin to hold, and once when they do no more."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._progress import tell
from .._values import format_duration
from ..errors import InvalidValue
from ._words import amount
from .spec import METRICS, Subject, check_metric

if TYPE_CHECKING:
    from ..lab import Lab
    from .metrics import Metrics
    from .series import Window

_WINDOW_S = 60.0
_KEPT = 1000


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """Something that happened to an alert.

    Attributes
    ----------
    alert
        The alert's name.
    subject
        The machine or host.
    begins
        Whether it begins to be out of bounds; else that has ended.
    value
        The metric then; None if there are no readings of it any more.
    time
        Seconds since 1970.
    sentence
        All of it in words.
    """

    alert: str
    subject: Subject
    begins: bool
    value: float | None
    time: float
    sentence: str


@dataclass(eq=False)
class Alert:
    """A rule on a metric; made by ``lab.metrics.alert``.

    Attributes
    ----------
    events
        What has happened so far, the oldest first.
    errors
        What the function to call has raised.
    """

    name: str
    metric: str
    above: float | None
    below: float | None
    of: str
    for_s: float
    machines: frozenset[str] | None
    call: Callable[[AlertEvent], object] | None
    events: deque[AlertEvent] = field(default_factory=lambda: deque(maxlen=_KEPT))
    errors: deque[Exception] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _since: dict[Subject, float] = field(default_factory=dict)
    _on: set[Subject] = field(default_factory=set)
    _cancelled: bool = False

    @property
    def active(self) -> list[str]:
        """The names of those that are out of bounds now."""
        return sorted(subject.name for subject in self._on)

    def cancel(self) -> None:
        """Be told no more."""
        self._cancelled = True

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled

    def look(self, window: Window) -> list[AlertEvent]:
        """What has happened since the last look."""
        values = window.latest(self.metric)
        whole = window.latest(self.of) if self.of else {}
        now = time.monotonic()
        found = []
        for subject in [*values, *(self._on - values.keys())]:
            if self.machines is not None and subject.name not in self.machines:
                continue
            if self.machines is None and not subject.machine:
                continue
            value = values.get(subject)
            if value is not None and self.of:
                value = value / whole[subject] if whole.get(subject) else float("nan")
            if event := self._judge(subject, value, now):
                found.append(event)
        return found

    def _judge(self, subject: Subject, value: float | None, now: float) -> AlertEvent | None:
        if value is not None and value != value:  # noqa: PLR0124  nan: nothing was told, and nothing changes
            return None
        out = value is not None and (
            (self.above is not None and value > self.above) or (self.below is not None and value < self.below)
        )
        if not out:
            self._since.pop(subject, None)
            if subject in self._on:
                self._on.discard(subject)
                return self._event(subject, value, begins=False)
            return None
        if subject not in self._on and now - self._since.setdefault(subject, now) >= self.for_s:
            self._on.add(subject)
            return self._event(subject, value, begins=True)
        return None

    def _event(self, subject: Subject, value: float | None, *, begins: bool) -> AlertEvent:
        title = METRICS[self.metric].title + (f" of {METRICS[self.of].title}" if self.of else "")
        bound = f"above {self._words(self.above)}" if self.above is not None else f"below {self._words(self.below)}"
        if value is None:
            said = f"{subject.name}: no readings any more ({self.name})"
        elif begins:
            since = f" for {format_duration(self.for_s)}" if self.for_s else ""
            said = f"{subject.name}: {title} {self._words(value)}, {bound}{since}"
        else:
            said = f"{subject.name}: {title} {self._words(value)}, no longer {bound}"
        return AlertEvent(self.name, subject, begins, value, time.time(), said)

    def _words(self, value: float | None) -> str:
        return "nothing" if value is None else amount(value, "" if self.of else METRICS[self.metric].unit)

    def __repr__(self) -> str:
        return f"<Alert {self.name}: {'on for ' + ', '.join(self.active) if self._on else 'off'}>"


class Alerts:
    """The alerts of one process on a lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.Lock()
        self._all: list[Alert] = []
        self._told: list[Callable[[AlertEvent], object]] = []
        self._window: Window | None = None

    def add(
        self, metric: str, above: float | None, below: float | None, of: str, for_s: float,
        machines: frozenset[str] | None, call: Callable[[AlertEvent], object] | None, name: str,
    ) -> Alert:  # fmt: skip
        """A new alert; raises `InvalidValue`."""
        for each in (metric, of) if of else (metric,):
            check_metric(each)
        bounds = [bound for bound in (above, below) if bound is not None]
        if len(bounds) != 1 or isinstance(bounds[0], bool) or not isinstance(bounds[0], int | float):
            raise InvalidValue("an alert has one bound", hint="give above=… or below=…, a number")
        if not 0 <= for_s <= _WINDOW_S * 60:
            raise InvalidValue(f"{for_s!r} is no number of seconds for an alert", hint="give 0 to 3600")
        if call is not None and not callable(call):
            raise InvalidValue("what an alert calls must be a function", hint="call=print")
        bound = f"> {above:g}" if above is not None else f"< {below:g}"
        made = Alert(
            name or f"{metric}{'/' + of if of else ''} {bound}", metric, above, below, of, for_s, machines, call
        )
        with self._lock:
            self._all.append(made)
        return made

    def all(self) -> list[Alert]:
        """Those that were not cancelled."""
        with self._lock:
            self._all = [alert for alert in self._all if not alert.is_cancelled]
            return list(self._all)

    def clear(self) -> None:
        """Cancel all."""
        for alert in self.all():
            alert.cancel()
        self._window = None

    def subscribe(self, told: Callable[[AlertEvent], object]) -> Callable[[], None]:
        """Have `told` called with every event; returns what ends that."""
        with self._lock:
            self._told.append(told)

        def leave() -> None:
            with self._lock, contextlib.suppress(ValueError):
                self._told.remove(told)

        return leave

    def look(self, metrics: Metrics) -> None:
        """Whether an alert begins or ends (in a thread, once a second)."""
        alerts = self.all()
        if not alerts:
            self._window = None
            return
        self._window = self._window or metrics.window(_WINDOW_S)
        self._window.advance()
        for alert in alerts:
            for event in alert.look(self._window):
                alert.events.append(event)
                self._tell(alert, event)

    def _tell(self, alert: Alert, event: AlertEvent) -> None:
        sign = "▲" if event.begins else "▽"
        tell(f"{sign} {time.strftime('%H:%M:%S')} {event.sentence}")
        words: dict[str, Any] = {"host": event.subject.host, "machine": event.subject.machine, "value": event.value}
        with contextlib.suppress(OSError):  # the disk may be full, or the lab just ending
            self._lab.journal("alert" if event.begins else "alert-ended", name=alert.name, **words)
        with self._lock:
            told = list(self._told)
        for each in [*told, *([alert.call] if alert.call else [])]:
            try:
                each(event)
            except Exception as error:  # it is the user's: whatever is wrong with it, the others go on
                alert.errors.append(error)
