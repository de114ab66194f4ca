"""One rule held against the readings of one machine or host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ._stretches import Bools, Floats
from .rules import LONGEST_GAP_S, SILENT_S, Rule
from .spec import METRICS, Subject


@dataclass(frozen=True, slots=True)
class Readings:
    """What was read of one subject, in order of time: a column for each metric that was told at least once."""

    subject: Subject
    times: Floats
    columns: Mapping[str, Floats]

    def mean(self, metric: str, since_s: float) -> float:
        """The mean of a metric since then; NaN where it was not told."""
        column = self.columns.get(metric)
        known = np.empty(0) if column is None else column[self.times >= since_s]
        known = known[np.isfinite(known)]
        return float(known.mean()) if known.size else float("nan")

    def last(self, metric: str) -> float:
        """What was told last of a metric."""
        column = self.columns.get(metric, np.empty(0))
        known = column[np.isfinite(column)]
        return float(known[-1]) if known.size else float("nan")


@dataclass(frozen=True, slots=True)
class Held:
    """That a rule holds: since when, with which values, and what the values are that it looked at."""

    metric: str
    since_s: float
    value: float
    amount: float
    from_start: bool
    times: Floats
    values: Floats


def applies(rule: Rule, subject: Subject) -> bool:
    """Whether a rule is about such a subject."""
    kind = "machine" if subject.machine else "host"
    return rule.of_whom == kind and (not rule.engines or subject.engine in rule.engines)


def untold(rule: Rule, readings: Readings) -> str:
    """The metric for want of which a rule cannot judge; "" if it can, or if there is no limit to reach."""
    if not any(metric in readings.columns for metric in rule.look):
        return rule.look[0]
    return rule.whole if rule.whole and rule.whole not in readings.columns and not rule.unlimited else ""


def held(rule: Rule, readings: Readings, now_s: float) -> Held | None:
    """Since when a rule holds; None if it does not, or nothing was told lately."""
    metric = next((each for each in rule.look if each in readings.columns), "")
    if not metric or (rule.whole and rule.whole not in readings.columns):
        return None
    raw = _ratio(rule, readings, metric)
    known = np.isfinite(raw)
    times, raw = readings.times[known], raw[known]
    if not times.size or times[-1] < now_s - SILENT_S:
        return None
    smooth = _count(times, raw, rule.over_s) if rule.counted else _mean(times, raw, rule.over_s)
    over = smooth >= rule.threshold
    if not over[-1]:
        return None
    first = _first(times, raw >= rule.threshold, over, by_mean=not rule.counted)
    if times[-1] - times[first] < rule.hold_s - 0.5:
        return None
    amount = float(smooth[-1]) * (readings.last(rule.whole) if rule.whole else 1.0)
    return Held(metric, float(times[first]), float(smooth[-1]), amount, first == 0, times, smooth)


def _ratio(rule: Rule, readings: Readings, metric: str) -> Floats:
    column = readings.columns[metric]
    if not rule.whole:
        return column
    whole = readings.columns[rule.whole]
    return np.asarray(np.divide(column, whole, out=np.full(column.size, np.nan), where=whole > 0))


def _first(times: Floats, raw_over: Bools, over: Bools, *, by_mean: bool) -> int:
    """The place from which on it has held without a break."""
    breaks = np.flatnonzero(~over)
    gaps = np.flatnonzero(np.diff(times) > LONGEST_GAP_S)
    first = max(int(breaks[-1]) + 1 if breaks.size else 0, int(gaps[-1]) + 1 if gaps.size else 0)
    least = int(gaps[-1]) + 1 if gaps.size else 0
    while by_mean and first > least and raw_over[first - 1]:  # a mean says so later than what it is of
        first -= 1
    return first


def _mean(times: Floats, values: Floats, over_s: float) -> Floats:
    """The mean of the last `over_s` seconds, at each time."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    first = np.searchsorted(times, times - over_s, side="right")
    last = np.arange(1, times.size + 1)
    return np.asarray((total[last] - total[first]) / (last - first))


def _count(times: Floats, rates: Floats, over_s: float) -> Floats:
    """How often something happened within the last `over_s` seconds, from how often a second."""
    usual = float(np.median(np.diff(times))) if times.size > 1 else 1.0
    spans = np.minimum(np.diff(times, prepend=times[0] - usual), 2 * usual)
    total = np.concatenate([[0.0], np.cumsum(rates * spans)])
    first = np.searchsorted(times, times - over_s, side="right")
    return np.asarray(np.round(total[1:] - total[first], 1))


def unit_of(metric: str) -> str:
    """The unit of a metric."""
    return METRICS[metric].unit if metric in METRICS else ""
