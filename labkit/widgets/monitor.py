"""The dashboard of a lab: what its machines use, as live plots; `lab.monitor()` makes it."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .._values import parse_duration
from ..errors import InvalidValue, LabError
from ..monitoring._dashboard import Choice, Dashboard, Picture, Window
from ..monitoring._dashboard_svg import KINDS, bundle
from ..monitoring.spec import METRICS, Subject, check_metric
from ._show import show

if TYPE_CHECKING:
    from ..machines.base import Machine
    from ..monitoring.alerts import AlertEvent
    from ._monitor_view import MonitorView

DEFAULT = ("cpu", "memory", "disk", "network")
MOST_METRICS = 8
_MOST_MACHINES = 30
_SHORTEST_S, _LONGEST_S = 10.0, 24 * 3600.0
_ASK_HOST_S = 4.0
_UNKNOWN = frozenset({("", "")})
_STEPS = 600  # of a window
_SAME: Any = object()  # what stays as it is


class Monitor:
    """What the machines of a lab use, as lines that move on once a second (widget).

    Parameters
    ----------
    lab_or_feed
        A lab, or whatever else has readings: an object with ``window(seconds)``, which gives what
        `labkit.monitoring.series.Window` gives, or such a window itself.
    machines
        The machines to show, by name or as they are; those of hosts, too, by the host's name. All machines
        if it is not given.
    metrics
        Names from `labkit.monitoring.METRICS`; processors, memory, disk and network if it is not given.
    window
        How far back it goes, from 10 s to 24 h.
    most
        So many machines, the busiest, are in colour; the others in grey.

    Raises
    ------
    InvalidValue
        If a metric is unknown, or a number makes no sense.
    """

    def __init__(
        self, lab_or_feed: Any, machines: Iterable[Machine | str] | None = None,
        metrics: Iterable[str] | None = None, window: float | str = "10 min", most: int = 10,
    ) -> None:  # fmt: skip
        self.lab = lab_or_feed if hasattr(lab_or_feed, "metrics") else None
        self._feed = lab_or_feed.metrics if self.lab is not None else lab_or_feed
        self.title = str(getattr(lab_or_feed, "name", "")) or "lab"
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= _MOST_MACHINES:
            raise InvalidValue(f"{most!r} machines cannot be in colour", hint=f"give 1 to {_MOST_MACHINES}")
        self.most = most
        self.paused = False
        self.said = ("", "info")
        self.came = 0
        self._newest = float("-inf")
        self._lock = threading.RLock()  # its thread, the front end's and the twin's
        self._seconds = _checked_window(window)
        self._choice = Choice(_checked_metrics(metrics), _names(machines))
        self._ends = _Ends(self.lab if self.lab is not None else self._feed)
        self._dashboard = Dashboard(most, self._ends.has_ended)
        self._window: Window | None = None
        self._picture: Picture | None = None
        self._view: MonitorView | None = None
        if follow := getattr(self._feed, "on_alert", None):
            _say_alerts(self, follow)

    def __repr__(self) -> str:
        return f"monitor of {self.title}: {', '.join(self.metrics)}"

    # What is chosen

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that are shown."""
        return self._choice.metrics

    @property
    def machines(self) -> tuple[str, ...] | None:
        """The names of the machines and hosts that are shown; None for all machines."""
        return self._choice.machines

    @property
    def window_s(self) -> float:
        """How far back it goes, in seconds."""
        return self._seconds

    def choose(
        self, *, machines: Iterable[Machine | str] | None = _SAME, metrics: Iterable[str] | None = _SAME,
        window: float | str = _SAME,
    ) -> None:  # fmt: skip
        """Show other machines, metrics or another window; what is not given stays, None is all or the usual ones."""
        names = self._choice.machines if machines is _SAME else _names(machines)
        chosen = self._choice.metrics if metrics is _SAME else _checked_metrics(metrics)
        seconds = self._seconds if window is _SAME else _checked_window(window)
        with self._lock:
            self._choice = Choice(chosen, names, self._choice.hidden)
            self._seconds = seconds
        self._wake()

    def hide(self, keys: Iterable[str]) -> None:
        """Leave those out of the plots that have these keys; they keep their colours."""
        with self._lock:
            self._choice = Choice(self._choice.metrics, self._choice.machines, frozenset(keys))
        self._wake()

    @property
    def hidden(self) -> frozenset[str]:
        """The keys of those that are left out."""
        return self._choice.hidden

    # What it does

    def pause(self) -> None:
        """Let the picture stand; readings go on."""
        self.paused = True
        self._wake()

    def resume(self) -> None:
        """Let the picture move again."""
        self.paused = False
        self._wake()

    def say(self, text: str, kind: str = "info") -> None:
        """Show one line above the plots until the next one; ``""`` takes it away.

        Parameters
        ----------
        kind
            ``info``, ``good``, ``warning`` or ``failed``.
        """
        if kind not in KINDS:
            raise InvalidValue(f"{kind!r} is no kind of message", hint=f"use {', '.join(KINDS)}")
        self.said = (text, kind)
        self._wake()

    def close(self) -> None:
        """End the widget; readings go on."""
        view, self._view = self._view, None
        if view:
            view.follower(now=True)
            view.close()

    # What it looks like

    def look(self, *, fresh: bool = True) -> Picture:
        """The picture now.

        Parameters
        ----------
        fresh
            Whether to read what is new; else it is drawn of what was read last.
        """
        with self._lock:
            if fresh:
                self.read()
            self._picture = self._dashboard.look(self._current_window(), self._choice)
            return self._picture

    def read(self) -> int:
        """Read what is new; returns how often something has come."""
        with self._lock:
            window = self._current_window()
            came, newest = window.advance(), float(window.times[-1])
            self.came += came or newest != self._newest  # of a sampler that has died the gap grows
            self._newest = newest
            return self.came

    def _current_window(self) -> Window:
        if self._window is None or self._window.seconds != self._seconds:
            self._window = self._make_window()
            self._seconds = self._window.seconds
            self._window.advance()
            self.came += 1
        return self._window

    def _make_window(self) -> Window:
        make: Callable[..., Window] | None = getattr(self._feed, "window", None)
        if make is None:
            return self._feed  # type: ignore[no-any-return]
        # A lab averages over longer steps itself: hours of seconds of every machine would take much memory.
        step_s = max(1.0, float(-(-self._seconds // _STEPS)))
        return make(self._seconds, step_s) if self.lab is not None else make(self._seconds)

    @property
    def ended(self) -> str:
        """Why nothing comes any more, in words; "" while something may."""
        return "the lab was closed" if getattr(self.lab, "closed", False) else ""

    def _repr_mimebundle_(self, **_wanted: Any) -> dict[str, Any]:
        if not self.ended:
            try:
                self.look(fresh=not self.paused)
            except (LabError, OSError):
                if self._picture is None:
                    raise
        seen = self._picture or Picture(self._seconds, _nothing())
        return bundle(seen, self.title, self.said)

    def _ipython_display_(self) -> None:
        show(self, self._make_view)

    def _make_view(self) -> MonitorView:
        from ._monitor_view import MonitorView

        if self._view is None or self._view.comm is None:
            self._view = MonitorView(self)
        return self._view

    def _wake(self) -> None:
        if self._view:
            self._view.wake()


class _Ends:
    """Which machines and hosts are no more."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._there: dict[str, tuple[float, frozenset[tuple[str, str]] | None]] = {}

    def has_ended(self, subject: Subject) -> bool:
        """Whether one that has no readings has ended."""
        if asked := getattr(self._source, "has_ended", None):
            return bool(asked(subject))
        if not hasattr(self._source, "hosts"):
            return False
        there = self._machines(subject.host)
        if there is None or there is _UNKNOWN:
            return there is None
        return bool(subject.machine) and (subject.engine, subject.machine) not in there

    def _machines(self, host: str) -> frozenset[tuple[str, str]] | None:
        """Engine and name of each machine of a host, None of one that is no more; asked every few seconds at most."""
        asked, there = self._there.get(host, (0.0, _UNKNOWN))
        if time.monotonic() - asked > _ASK_HOST_S:
            self._there[host] = (time.monotonic(), there)
            with contextlib.suppress(LabError, OSError):  # engines that do not answer are not the machines' end
                found = self._source.hosts.get(host)
                alive = found and found.is_alive
                there = frozenset((each.engine, each.name) for each in found.machines()) if alive else None
                self._there[host] = (time.monotonic(), there)
        return there


def _say_alerts(monitor: Monitor, follow: Callable[[Callable[[AlertEvent], object]], Callable[[], None]]) -> None:
    """Have the monitor, while there is one, say what happens to the lab's alerts."""
    this = weakref.ref(monitor)

    def hear(event: AlertEvent) -> None:
        if found := this():
            found.say(event.sentence, "warning" if event.begins else "good")
        else:
            leave()

    leave = follow(hear)


def _names(machines: Iterable[Machine | str] | None) -> tuple[str, ...] | None:
    if machines is None:
        return None
    given = [machines] if isinstance(machines, str) else machines
    return tuple(dict.fromkeys(each if isinstance(each, str) else f"{each.host.name}/{each.name}" for each in given))


def _checked_metrics(metrics: Iterable[str] | None) -> tuple[str, ...]:
    names = [metrics] if isinstance(metrics, str) else DEFAULT if metrics is None else metrics
    chosen = tuple(dict.fromkeys(map(check_metric, names)))
    if not 1 <= len(chosen) <= MOST_METRICS:
        hint = f"choose 1 to {MOST_METRICS} of {', '.join(METRICS)}"
        raise InvalidValue(f"{len(chosen)} metrics cannot be shown", hint=hint)
    return chosen


def _checked_window(window: float | str) -> float:
    seconds = parse_duration(window, "window")
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        raise InvalidValue(f"a window of {window!r} cannot be shown", hint="choose 10 s to 24 h")
    return seconds


def _nothing() -> Any:
    import numpy as np

    return np.zeros(1, np.float32)
