"""When something will be full, with an interval, or why the readings do not tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._stretches import Floats, Stretch, regular, stretches, without_bursts
from ._trend import Fan, Trend, ahead, trend
from ._words import about, amount, called, growth
from .spec import METRICS, Subject

CONFIDENCE = 0.9  # of the interval
# The metric that is the limit of each metric that has one.
LIMITS = {
    "cpu": "processors", "busy": "processors", "memory": "memory_total", "memory_used": "memory_total",
    "disk_used": "disk_total",
}  # fmt: skip
_STILL = 1e-9  # of the limit in a second: what wanders by less stands still
_SURE = 0.995  # a slope is one if it is not 0 with this confidence, else it is taken for noise
_LEAST_READINGS = 20
_LEAST_S = 15.0
_SILENT_S = 15.0
_BENDS = 2.2  # standard errors by which the later half's slope differs where a line bends
_STRETCH_S = 10.0  # behaviour that lasts for less is not told from noise


class Outlook(StrEnum):
    """What readings tell of when a limit is reached."""

    FILLS = "fills"
    FULL = "full"
    LATER = "later"
    FEW = "few readings"
    SILENT = "silent"
    NOISE = "noise"
    WANDERS = "wanders"
    WAVES = "waves"
    RECEDES = "recedes"
    UNLIMITED = "unlimited"


@dataclass(frozen=True, slots=True)
class Forecast:
    """When readings will be at a limit.

    Attributes
    ----------
    outlook
        What the readings tell; only of ``fills`` and ``full`` there is a time.
    limit, now
        The limit, and the last reading, in the metric's unit.
    slope_per_s, slope_low, slope_high
        What it grows by in a second, and the interval of that; NaN where too little is known.
    full_in_s, earliest_s, latest_s
        Seconds from the last reading on; None is beyond the horizon, or not told.
    since_s
        From which time on readings were used: since then it behaves alike.
    horizon_s
        How far was looked ahead.
    metric, subject, confidence
        Of what it is, which `dataclasses.replace` fills in, and how sure the intervals are.
    rising
        Whether the limit is reached from below.
    times, values
        What was read, on an even grid.
    """

    outlook: Outlook
    limit: float
    now: float
    since_s: float
    horizon_s: float
    slope_per_s: float = np.nan
    slope_low: float = np.nan
    slope_high: float = np.nan
    full_in_s: float | None = None
    earliest_s: float | None = None
    latest_s: float | None = None
    metric: str = ""
    subject: Subject | None = None
    confidence: float = CONFIDENCE
    rising: bool = True
    times: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    values: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    trend: Trend | None = field(default=None, repr=False, compare=False)
    fan: Fan | None = field(default=None, repr=False, compare=False)

    def __bool__(self) -> bool:
        """Whether there is a time at which it is full."""
        return self.full_in_s is not None

    def __str__(self) -> str:
        return self.sentence

    @property
    def sentence(self) -> str:
        """When it is full, or why that cannot be told."""
        return _SENTENCES[self.outlook](self, called(self.metric, self.subject))

    @property
    def unit(self) -> str:
        """The metric's unit; "" where there is none, or no metric."""
        return METRICS[self.metric].unit if self.metric in METRICS else ""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html_monitoring import forecast_bundle

        return forecast_bundle(self)


def forecast(
    times_s: ArrayLike, values: ArrayLike, limit: float, *, horizon_s: float = 3600, rising: bool = True
) -> Forecast:
    """When `values` will be at `limit`.

    Only the stretch since behaviour last changed is used. It is full when a reading is first at the limit, which
    with much noise is well before the line through the readings is.

    Parameters
    ----------
    times_s
        Seconds on the monotonic clock, about evenly spaced; gaps are allowed.
    values
        Readings of one subject; NaN where there is none.
    limit
        The value at which it is full, in the same unit; NaN or infinite where there is none.
    horizon_s
        What is further away than so many seconds is not told.
    rising
        Whether it is full when it has risen to the limit; else when it has fallen to it.
    """
    times, found = regular(times_s, values)
    words: dict[str, Any] = {"limit": float(limit), "horizon_s": float(horizon_s), "rising": rising}
    words |= {"times": times, "values": found, "now": float(found[-1]) if found.size else np.nan}
    words["since_s"] = float(times[0]) if times.size else np.nan
    if times.size and float(np.nanmax(np.asarray(times_s, dtype=float))) - times[-1] > _SILENT_S:
        return Forecast(Outlook.SILENT, **words)
    if not np.isfinite(limit):
        return Forecast(Outlook.UNLIMITED, **words)
    sign = 1.0 if rising else -1.0
    return _of_stretch(times, sign * found, sign, words)


def _of_stretch(times: Floats, values: Floats, sign: float, words: dict[str, Any]) -> Forecast:
    """The forecast from the last stretch of `values`, which rise to `sign` times the limit."""
    limit = sign * words["limit"]
    if values.size and values[-1] >= limit:
        return _now_full(words)
    if not _are_enough(times, values):
        return Forecast(Outlook.FEW, **words)
    calm = without_bursts(times, values, _STRETCH_S)
    pieces = stretches(times, calm, _STRETCH_S)
    first = 0 if _is_staircase(pieces) else pieces[-1].first
    words["since_s"] = float(times[first])
    if not _are_enough(times[first:], calm[first:]):
        return Forecast(Outlook.FEW, **words)
    line, later = _straight(times[first:], calm[first:])
    words["since_s"] = float(times[first + later])
    words |= _slopes(line, sign)
    if outlook := _refusal(line, pieces if first else [], limit):
        return Forecast(outlook, **words)
    return _in_time(line, limit, sign, words)


def _straight(times: Floats, values: Floats) -> tuple[Trend, int]:
    """The line through the readings, or through the later half where it bends; and where that begins."""
    line, half = trend(times, values), values.size // 2
    if not _are_enough(times[half:], values[half:]):
        return line, 0
    late = trend(times[half:], values[half:])
    apart = float(np.sqrt(max(0.0, late.error**2 - line.error**2)))  # of two estimates, one the best (Hausman)
    bends = abs(late.slope - line.slope) > _BENDS * apart and not line.wanders
    return (late, half) if bends else (line, 0)


def _are_enough(times: Floats, values: Floats) -> bool:
    count = np.count_nonzero(np.isfinite(values))
    return bool(count >= _LEAST_READINGS and times[-1] - times[0] >= _LEAST_S)


def _slopes(line: Trend, sign: float) -> dict[str, Any]:
    wide = _times(CONFIDENCE, line) * line.error
    low, high = sorted((sign * (line.slope - wide), sign * (line.slope + wide)))
    return {"slope_per_s": sign * line.slope, "slope_low": low, "slope_high": high, "trend": line}


def _times(confidence: float, line: Trend) -> float:
    """How many standard errors wide an interval is."""
    from scipy.stats import t

    return float(t.ppf(0.5 + confidence / 2, line.freedom))


def _refusal(line: Trend, pieces: list[Stretch], limit: float) -> Outlook | None:
    """Why there is no forecast, if there is none."""
    if abs(line.slope) <= _times(_SURE, line) * line.error and not line.climbs:
        moves = line.error > _STILL * abs(limit)
        return Outlook.WANDERS if line.wanders and moves else Outlook.NOISE
    if line.slope < 0:
        return Outlook.RECEDES
    return Outlook.WAVES if _goes_up_and_down(pieces, limit) else None


def _now_full(words: dict[str, Any]) -> Forecast:
    return Forecast(Outlook.FULL, **words, full_in_s=0.0, earliest_s=0.0, latest_s=0.0)


def _in_time(line: Trend, limit: float, sign: float, words: dict[str, Any]) -> Forecast:
    if line.level >= limit:
        return _now_full(words)
    (early, full, late), fan = ahead(line, limit, words["horizon_s"], CONFIDENCE)
    words["fan"] = fan if sign > 0 else Fan(fan.ahead_s, -fan.high, -fan.low)
    if full is None:
        return Forecast(Outlook.LATER, **words, earliest_s=early)
    return Forecast(Outlook.FILLS, **words, full_in_s=full, earliest_s=early, latest_s=late)


def _is_staircase(pieces: list[Stretch]) -> bool:
    """Whether the pieces are steps of one stair: what grows by jerks grows on the whole."""
    if len(pieces) < 4:
        return False
    middles = [(piece.begin_s + piece.end_s) / 2 for piece in pieces]
    means = [piece.mean for piece in pieces]
    return bool(min(np.diff(means)) > 0 and np.corrcoef(middles, means)[0, 1] > 0.97)


def _goes_up_and_down(pieces: list[Stretch], limit: float) -> bool:
    """Whether it has fallen before by half of what it has risen by now, without having been full."""
    if len(pieces) < 2:
        return False
    *earlier, last = pieces
    fallen = 0.0
    for before, after in zip(earlier, pieces[1:], strict=True):
        fallen += max(0.0, before.begin - before.end)
        rose = before.end - before.begin > 0.5 * (before.end - after.begin)
        near = before.end - after.begin > 0.9 * (limit - after.begin)
        fallen += max(0.0, before.end - after.begin) if rose and not near else 0.0
    return fallen > 0.5 * (last.end - last.begin)


def _fills(found: Forecast, name: str) -> str:
    assert found.full_in_s is not None  # noqa: S101 - it fills
    early = about(found.earliest_s or 0.0)
    late = about(found.latest_s) if found.latest_s is not None else f"more than {about(found.horizon_s)}"
    interval = f"{early} to {late}, {_percent(found.confidence)}"
    return f"{name} is full in {about(found.full_in_s)} ({interval}), {_growth(found)}"


def _full(found: Forecast, name: str) -> str:
    return f"{name} is full now: {amount(found.now, found.unit)}, with a limit of {amount(found.limit, found.unit)}"


def _later(found: Forecast, name: str) -> str:
    soon = f"; at the earliest in {about(found.earliest_s)}" if found.earliest_s is not None else ""
    return f"{name} is not full within {about(found.horizon_s)}, {_growth(found)}{soon}"


def _few(found: Forecast, name: str) -> str:
    count = np.count_nonzero(np.isfinite(found.values[found.times >= found.since_s]))
    changed = found.times.size and found.since_s > found.times[0]
    since = " since its behaviour changed" if changed else ""
    needed = f"{_LEAST_READINGS} in {about(_LEAST_S)} or more are needed"
    return f"no forecast for {name}: too few readings{since} ({count}; {needed})"


def _noise(found: Forecast, name: str) -> str:
    return f"no forecast for {name}: no trend that differs from noise ({_between(found)})"


def _wanders(found: Forecast, name: str) -> str:
    return f"no forecast for {name}: it wanders like a random walk, with no drift that is sure ({_between(found)})"


def _growth(found: Forecast) -> str:
    return f"{'growing' if found.slope_per_s >= 0 else 'falling'} {growth(abs(found.slope_per_s), found.unit)}"


def _between(found: Forecast) -> str:
    """The slopes that may be, with the confidence with which 0 is among them."""
    assert found.trend is not None  # noqa: S101 - told by who calls
    wide = _times(_SURE, found.trend) * found.trend.error
    ends = (found.slope_per_s - wide, found.slope_per_s + wide)
    return f"{growth(ends[0], found.unit)} to {growth(ends[1], found.unit)}, {_percent(_SURE)}"


def _percent(part: float) -> str:
    return f"{100 * part:.4g} %"


_SENTENCES: dict[Outlook, Callable[[Forecast, str], str]] = {
    Outlook.FILLS: _fills, Outlook.FULL: _full, Outlook.LATER: _later, Outlook.FEW: _few, Outlook.NOISE: _noise,
    Outlook.WANDERS: _wanders,
    Outlook.UNLIMITED: lambda found, name: f"no forecast for {name}: it has no limit",
    Outlook.SILENT: lambda found, name: f"no forecast for {name}: nothing was read lately",
    Outlook.WAVES: lambda found, name: f"no forecast for {name}: it goes up and down, now {_growth(found)}",
    Outlook.RECEDES: lambda found, name: f"{name} does not fill: it is {_growth(found)}, away from the limit",
}  # fmt: skip
