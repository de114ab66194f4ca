"""What a dashboard shows: which machines in which colour, and their lines, thinned to what a screen can tell apart.

The widget and its static form are both drawn from the `Picture` that is reckoned here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ._scale import Scale, scale_for
from .spec import METRICS, Metric, Subject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

MOST_POINTS = 24_000  # of all lines in colour together
MOST_OTHERS = 24_000  # of all lines in grey together
_MOST_OF_A_LINE, _LEAST_OF_A_LINE, _LEAST_IN_GREY = 601, 100, 24
_JUDGE_S = 5.0  # how often the busiest are looked for anew
_BUSIER, _MORE = 1.3, 0.05  # a machine takes another's place that uses so many times, and so many processors, less
# Of these the largest of a bucket tells more than the mean.
_PEAKS = frozenset({"drops", "oom_kills", "disk_latency"})

# By place; each has a contrast of 3 to 1 to white and to JupyterLab's dark ground. After Okabe and Ito (2008).
COLOURS = (
    "#0079bd", "#d55e00", "#00926a", "#c0629a", "#c08300", "#8b6fe0", "#2b93cf", "#a0703c", "#84892a", "#dc4658",
)  # fmt: skip
DASHES = ("solid", "dash", "dot")  # the second and third time around
GREY = "#8a8a8a"

CURRENT, SILENT, ENDED = "current", "silent", "ended"
WORDS = {CURRENT: "", SILENT: "(no readings)", ENDED: "(ended)"}


class Window(Protocol):
    """The readings of the last seconds; see `labkit.monitoring.series`."""

    seconds: float
    step_s: float
    times: NDArray[np.float64]

    def advance(self) -> bool:
        """Read what is new; whether anything came."""

    def subjects(self) -> list[Subject]:
        """Those with any reading, in order."""

    def values(self, metric: str) -> dict[Subject, NDArray[np.float64]]:
        """The values on the grid of `times`; NaN where there is no reading."""

    def is_current(self, subject: Subject) -> bool:
        """Whether it had a reading just now."""


@dataclass(frozen=True, slots=True)
class Line:
    """A machine or host in colour.

    Attributes
    ----------
    slot
        Its place, which is its colour.
    state
        ``current``, ``silent`` or ``ended``.
    """

    slot: int
    subject: Subject
    label: str
    state: str

    @property
    def words(self) -> str:
        """Its name, and whether it is there."""
        return f"{self.label} {WORDS[self.state]}".strip()

    @property
    def colour(self) -> str:
        """That of its place; grey if it is not there any more."""
        return COLOURS[self.slot % len(COLOURS)] if self.state == CURRENT else GREY

    @property
    def dash(self) -> str:
        """How its line is drawn, as plotly calls it."""
        return DASHES[self.slot // len(COLOURS) % len(DASHES)]


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric of all that are shown; values are in the unit of `scale`.

    Attributes
    ----------
    lines
        By slot, one value for each of the picture's `ages`.
    others_ages, others
        Those in grey, one after another, with NaN between.
    last
        The last value of each slot, in the metric's own unit; NaN where it is not known now.
    """

    metric: Metric
    scale: Scale
    lines: dict[int, NDArray[np.float32]]
    others_ages: NDArray[np.float32]
    others: NDArray[np.float32]
    last: dict[int, float]

    @property
    def unit(self) -> str:
        """What stands beside the title: the unit, unless the title says it."""
        return "" if self.scale.words in self.metric.title else self.scale.words

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read of it."""
        return not any(np.isfinite(row).any() for row in (*self.lines.values(), self.others))


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is shown at one moment.

    Attributes
    ----------
    ages
        Seconds ago, the oldest first.
    choice
        Those that can be chosen: key and label.
    """

    seconds: float
    ages: NDArray[np.float32]
    lines: tuple[Line, ...] = ()
    others: int = 0
    panels: tuple[Panel, ...] = ()
    choice: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()


def key_of(subject: Subject) -> str:
    """What a machine or host is chosen by."""
    return f"{subject.host}/{subject.machine}" if subject.machine else subject.host


def is_meant(subject: Subject, names: Iterable[str]) -> bool:
    """Whether one of `names` is that of `subject`."""
    return any(name in (key_of(subject), subject.machine or subject.host) for name in names)


def labels(subjects: Sequence[Subject]) -> dict[Subject, str]:
    """A name for each, with its host where the name alone would not tell."""
    keys: dict[str, set[str]] = {}
    for subject in subjects:
        keys.setdefault(subject.name, set()).add(key_of(subject))
    return {
        each: f"{each.machine} on {each.host}" if each.machine and len(keys[each.name]) > 1 else each.name
        for each in subjects
    }


class Places:
    """Who is in colour: at most so many, the busiest; each keeps its place as long as it is shown."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.slots: dict[Subject, int] = {}
        self._judged = float("-inf")

    def place(self, subjects: Sequence[Subject], used: Mapping[Subject, float], now: float) -> dict[Subject, int]:
        """The place of each that is in colour, `used` telling how busy each has been."""
        here = set(subjects)
        self.slots = {subject: slot for subject, slot in self.slots.items() if subject in here}
        waiting = sorted((each for each in subjects if each not in self.slots), key=lambda each: -used.get(each, 0.0))
        free = sorted(set(range(self.most)) - set(self.slots.values()))
        came, waiting = waiting[: len(free)], waiting[len(free) :]
        self.slots |= zip(sorted(came), free, strict=False)
        if waiting and now - self._judged >= _JUDGE_S:
            self._judged = now
            self._change(waiting, used)
        return self.slots

    def _change(self, waiting: Sequence[Subject], used: Mapping[Subject, float]) -> None:
        """Those that are clearly busier take the places of those that are least busy."""
        for subject in waiting:
            least = min(self.slots, key=lambda each: used.get(each, 0.0))
            if used.get(subject, 0.0) <= _BUSIER * used.get(least, 0.0) + _MORE:
                return
            self.slots[subject] = self.slots.pop(least)


@dataclass(slots=True)
class Choice:
    """What the person who looks has chosen."""

    metrics: tuple[str, ...]
    machines: tuple[str, ...] | None  # None: all machines, no hosts
    hidden: frozenset[str] = field(default_factory=frozenset)

    def wants(self, subject: Subject) -> bool:
        """Whether it is to be shown."""
        return bool(subject.machine) if self.machines is None else is_meant(subject, self.machines)


class Dashboard:
    """Looks at a window of readings and says what is to be shown of it."""

    def __init__(self, most: int, has_ended: Callable[[Subject], bool]) -> None:
        self.places = Places(most)
        self._has_ended = has_ended
        self._scales: dict[str, Scale] = {}

    def look(self, window: Window, choice: Choice) -> Picture:
        """The picture now."""
        known = window.subjects()
        wanted = [each for each in known if choice.wants(each)]
        many = len(wanted) > self.places.most
        used = _means(window.values("cpu"), wanted) if many or not self.places.slots else {}
        slots = self.places.place(wanted, used, float(window.times[-1]))
        names = labels(known)
        lines = [Line(slot, each, names[each], self._state(window, each, known)) for each, slot in slots.items()]
        lines.sort(key=lambda line: line.slot)
        others = [each for each in wanted if each not in slots]
        shape = _Shape(window, len(lines) * len(choice.metrics))
        panels = [self._panel(window, METRICS[name], lines, others, shape, choice) for name in choice.metrics]
        chosen = dict.fromkeys((key_of(each), names[each]) for each in known)
        missing = [name for name in choice.machines or () if not any(is_meant(each, [name]) for each in known)]
        return Picture(
            window.seconds, shape.ages, tuple(lines), len(others), tuple(panels), tuple(chosen), tuple(missing)
        )

    def _state(self, window: Window, subject: Subject, known: Sequence[Subject]) -> str:
        if window.is_current(subject):
            return CURRENT
        successors = (each for each in known if each != subject and key_of(each) == key_of(subject))
        ended = any(map(window.is_current, successors)) or self._has_ended(subject)
        return ENDED if ended else SILENT

    def _panel(
        self, window: Window, metric: Metric, lines: Sequence[Line], others: Sequence[Subject], shape: _Shape,
        choice: Choice,
    ) -> Panel:  # fmt: skip
        values = window.values(metric.name)
        peaks = metric.name in _PEAKS
        found = [line for line in lines if line.subject in values]
        thin = shape.thin([values[line.subject] for line in found], peaks=peaks)
        grey = [values[each] for each in others if each in values]
        ages, joined = shape.join(grey, peaks=peaks, every=max(1, len(others) * len(choice.metrics)))
        shown = [row for line, row in zip(found, thin, strict=True) if key_of(line.subject) not in choice.hidden]
        top = max((_largest(each) for each in (*shown, joined)), default=0.0)
        scale = self._scales[metric.name] = scale_for(metric.unit, top, self._scales.get(metric.name))
        return Panel(
            metric, scale,
            {line.slot: scale.of(row) for line, row in zip(found, thin, strict=True)},
            ages, scale.of(joined),
            {line.slot: _last(values[line.subject]) for line in found},
        )  # fmt: skip


class _Shape:
    """How lines are thinned: buckets that stand still on the clock, so that a line moves and does not wobble."""

    def __init__(self, window: Window, lines: int) -> None:
        self._step_s = window.step_s
        self._first = round(float(window.times[0]) / window.step_s)
        self._count = len(window.times)
        points = min(_MOST_OF_A_LINE, max(_LEAST_OF_A_LINE, MOST_POINTS // max(1, lines)))
        self._bucket = -(-self._count // points)
        self.ages = self._ages(self._bucket)

    def _ages(self, bucket: int) -> NDArray[np.float32]:
        count = self._count if bucket == 1 else -(-self._count // bucket) + 1
        return np.arange(count - 1, -1, -1, dtype=np.float32) * np.float32(bucket * self._step_s)

    def thin(self, rows: Sequence[Values], *, peaks: bool, bucket: int = 0) -> Values:
        """The rows, one value for each bucket: the mean, or the largest."""
        bucket = bucket or self._bucket
        table: Values = np.array(rows, dtype=np.float64).reshape(len(rows), self._count)
        if bucket == 1:
            return _bridged(table) if self._step_s <= 1 else table
        after = -(self._first + self._count) % bucket  # so that the last bucket has what is newest
        before = len(self._ages(bucket)) * bucket - after - self._count
        table = np.pad(table, ((0, 0), (before, after)), constant_values=np.nan)
        table = table.reshape(len(rows), -1, bucket)
        there = np.isfinite(table)
        counts = there.sum(axis=2)
        if peaks:
            reckoned = np.where(there, table, -np.inf).max(axis=2)
        else:
            reckoned = np.where(there, table, 0.0).sum(axis=2) / np.maximum(counts, 1)
        thinned: Values = np.where(counts > 0, reckoned, np.nan)
        return thinned

    def join(self, rows: Sequence[Values], *, peaks: bool, every: int) -> tuple[NDArray[np.float32], Values]:
        """All rows as one line with gaps between, and the ages of its points."""
        if not rows:
            return np.empty(0, np.float32), np.empty(0)
        points = min(len(self.ages), max(_LEAST_IN_GREY, MOST_OTHERS // every))
        bucket = max(self._bucket, -(-self._count // points))
        table = self.thin(rows, peaks=peaks, bucket=bucket)
        ages = np.append(self._ages(bucket), np.float32(0))
        gaps = np.full((len(rows), 1), np.nan)
        return np.tile(ages, len(rows)), np.hstack([table, gaps]).ravel()


def _bridged(table: Values) -> Values:
    """A single second without a reading is filled: the next reading came a little late, and its rate covers both."""
    lone = np.isnan(table[:, 1:-1]) & np.isfinite(table[:, :-2]) & np.isfinite(table[:, 2:])
    table[:, 1:-1][lone] = ((table[:, :-2] + table[:, 2:]) / 2)[lone]
    return table


def _means(values: Mapping[Subject, Values], subjects: Iterable[Subject]) -> dict[Subject, float]:
    """The mean of each, as far as there are readings."""
    return {each: float(np.nansum(row) / max(1, np.isfinite(row).sum())) for each in subjects
            if (row := values.get(each)) is not None}  # fmt: skip


def _largest(row: Values) -> float:
    return float(np.max(row[np.isfinite(row)], initial=0.0))


def _last(row: Values) -> float:
    """What it is now: the last value, or the one before where the last second was not read yet."""
    tail = row[-3:][np.isfinite(row[-3:])]
    return float(tail[-1]) if tail.size else float("nan")
