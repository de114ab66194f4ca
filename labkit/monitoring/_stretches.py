"""A series cut where its behaviour changes, into straight lines with noise that remembers.

Where to cut is Pelt's answer (Killick et al. 2012, by ruptures) for several penalties; how often is decided
by the likelihood of lines with noise of first order (as Chakar et al. 2017 do), so that noise that wanders
is not cut into pieces.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_MOST = 1200  # readings that are looked at; more are averaged
_TORN_S = 600.0  # what was before a longer gap tells nothing of now
_PIECES = 80  # places at which it may be cut at first
_BURST = 0.75  # what is off for so large a part of the least length is a burst
_BURST_SCALES = 6.0
_MOST_BURSTS = 0.1  # more of them are no bursts, but how it behaves
_WALKS = (0.05, 0.1, 0.2, 0.4, 0.7)  # parts of what is new that stay
_PARTS = (0.25, 0.1, 0.04, 0.016, 0.006, 0.002)  # of the squares that one line leaves: Pelt's penalties
_PRICE = 4.5  # of a cut, in logarithms of the number of readings: a slope, a level, a place, and one for the choice


@dataclass(frozen=True, slots=True)
class Stretch:
    """A straight line through readings `first` to `last` (the one after), in seconds and values."""

    first: int
    last: int
    begin_s: float
    end_s: float
    begin: float
    end: float
    mean: float

    @property
    def slope(self) -> float:
        """What it grows by in a second."""
        return (self.end - self.begin) / (self.end_s - self.begin_s or 1.0)


def regular(times_s: ArrayLike, values: ArrayLike) -> tuple[Floats, Floats]:
    """Readings in order on an even grid of times, NaN where there was none; of very many, averages."""
    times, found = np.asarray(times_s, dtype=float).ravel(), np.asarray(values, dtype=float).ravel()
    if times.size != found.size:
        raise ValueError(f"{times.size} times for {found.size} values")
    keep = np.isfinite(times) & np.isfinite(found)
    times, found = times[keep], found[keep]
    order = np.argsort(times, kind="stable")
    times, found = times[order], found[order]
    if times.size < 2 or times[-1] == times[0]:
        return times[-1:], found[-1:]
    step = float(np.median(np.diff(times)[np.diff(times) > 0]))
    if (torn := np.flatnonzero(np.diff(times) > max(_TORN_S, 20 * step))).size:
        return regular(times[torn[-1] + 1 :], found[torn[-1] + 1 :])
    step *= max(1, int(np.ceil((times[-1] - times[0]) / step / _MOST)))
    places = np.rint((times - times[-1]) / step).astype(int)
    places -= places[0]
    count, total = np.bincount(places), np.bincount(places, found)
    even = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    even[-1] = found[-1]
    return times[-1] + step * (np.arange(even.size) - even.size + 1.0), even


def without_bursts(times: Floats, values: Floats, least_s: float) -> Floats:
    """`values` with NaN where they are off for less than about `least_s`."""
    import pandas as pd

    half = max(2, round(_BURST * least_s / (times[1] - times[0]))) if values.size > 1 else 0
    if values.size < 4 * half + 2 or not half:
        return values
    wide = 2 * half + 1
    usual = pd.Series(values).rolling(wide, center=True, min_periods=half).median().to_numpy().copy()
    # At the ends a median lags behind: it goes on as it came.
    before, after = (usual[half + wide] - usual[half]) / wide, (usual[-half - 1] - usual[-half - 1 - wide]) / wide
    usual[:half] = usual[half] - before * np.arange(half, 0, -1)
    usual[-half:] = usual[-half - 1] + after * np.arange(1, half + 1)
    off = values - usual
    known = np.abs(off[np.isfinite(off)])
    leaps = np.abs(np.diff(values[np.isfinite(values)]))
    if not known.size or not leaps.size:
        return values
    scale = max(1.4826 * float(np.median(known)), 1.25 * float(np.mean(known)), 0.5 * float(np.quantile(leaps, 0.9)))
    bursts = np.isfinite(off) & (np.abs(off) > _BURST_SCALES * scale)
    few = 0 < np.count_nonzero(bursts) <= _MOST_BURSTS * known.size
    return np.where(bursts, np.nan, values) if few else values


class _Sums:
    """The squares that a line leaves between any two readings, at once, from running sums."""

    def __init__(self, times: Floats, values: Floats) -> None:
        t, y = times - times.mean(), values - values.mean()
        self._scale = float(np.abs(y).max()) or 1.0
        y = y / self._scale
        self._sums = np.concatenate([np.zeros((6, 1)), np.cumsum([np.ones_like(t), t, y, t * t, t * y, y * y], 1)], 1)

    def left(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> Floats:
        """The sum of squares between `first` and `last`; inf where there is nothing between."""
        n, t, y, tt, ty, yy = self._sums[:, last] - self._sums[:, first]
        with np.errstate(all="ignore"):
            across, along = tt - t * t / n, ty - t * y / n
            squares = yy - y * y / n - np.where(across > 1e-9, along * along / across, 0.0)
        return np.where(n >= 2, np.maximum(squares, 0.0) * self._scale**2, np.inf)


def stretches(times: Floats, values: Floats, least_s: float) -> list[Stretch]:
    """The straight lines that an even grid of readings is best told by; none is shorter than `least_s`.

    Readings `first` and `last` of what it returns count in the grid.
    """
    known = np.flatnonzero(np.isfinite(values))
    if known.size < 2:
        return []
    t, y = times[known], values[known]
    cuts = _best(t, y, times, values, least_s)
    ends = [*cuts, y.size]
    return [_line(t, y, known, first, last) for first, last in zip([0, *cuts], ends, strict=True)]


def _line(t: Floats, y: Floats, known: NDArray[np.intp], first: int, last: int) -> Stretch:
    a, b, mean = t[first], t[last - 1], float(y[first:last].mean())
    middle = float(t[first:last].mean())
    off = t[first:last] - middle
    slope = float(off @ y[first:last]) / (float(off @ off) or 1.0)
    begin, end = mean + slope * (a - middle), mean + slope * (b - middle)
    return Stretch(int(known[first]), int(known[last - 1]) + 1, float(a), float(b), begin, end, mean)


def _best(t: Floats, y: Floats, times: Floats, values: Floats, least_s: float) -> list[int]:
    """Where to cut, as places among the readings that are known."""
    step = times[1] - times[0]
    least = max(4, int(np.ceil(least_s / step)))
    if y.size < 2 * least or float(np.ptp(y)) == 0:
        return []
    follows = np.flatnonzero(np.rint(np.diff(t) / step) == 1)
    sums, best, lowest, worse = _Sums(t, y), [], _telling(t, y, [], follows), 0
    for cuts in _candidates(sums, y, least):
        now = _telling(t, y, cuts, follows)
        worse = 0 if now < lowest else worse + 1
        if now < lowest:
            best, lowest = cuts, now
        if worse == 2:
            break
    return best


def _candidates(sums: _Sums, y: Floats, least: int) -> list[list[int]]:
    """Pelt's cuts for penalties from high to low, each moved to where exactly it fits best."""
    import ruptures

    jump = max(1, y.size // _PIECES)
    places = np.append(np.arange(0, y.size - jump + 1, jump), y.size).astype(np.int64)
    squares = sums.left(places[:, None], places[None, :])

    class Lines(ruptures.base.BaseCost):  # type: ignore[misc,name-defined,unused-ignore]
        model, min_size = "", 1

        def fit(self, signal: Floats) -> Lines:
            self.signal = signal
            return self

        def error(self, start: int, end: int) -> float:
            return float(squares[start, end])

    leaps = np.diff(y)
    noise = (1.4826 * float(np.median(np.abs(leaps - np.median(leaps))))) ** 2 / 2
    whole, least_price = float(squares[0, -1]), 2 * noise * float(np.log(y.size))
    search = ruptures.Pelt(custom_cost=Lines(), min_size=-(-least // jump), jump=1).fit(places[1:])
    found: list[list[int]] = []
    prices = [part * whole for part in _PARTS if part * whole > least_price]
    for price in [*prices, max(least_price, _PARTS[-1] * whole)]:
        cuts = _moved(sums, [int(places[end]) for end in search.predict(price)[:-1]], y.size, jump, least)
        if cuts and cuts not in found:
            found.append(cuts)
    return found


def _moved(sums: _Sums, cuts: list[int], size: int, jump: int, least: int) -> list[int]:
    """Each cut at the best place near it."""
    moved = list(cuts)
    for _ in range(2):
        for index, cut in enumerate(moved):
            before, after = ([0, *moved][index], [*moved, size][index + 1])
            near = np.arange(max(before + least, cut - 2 * jump), min(after - least, cut + 2 * jump) + 1)
            if near.size:
                left = sums.left(np.full_like(near, before), near) + sums.left(near, np.full_like(near, after))
                moved[index] = int(near[np.argmin(left)])
    return moved


def _telling(t: Floats, y: Floats, cuts: list[int], follows: NDArray[np.intp]) -> float:
    """How badly these cuts tell the readings (Bayesian information criterion); low is good."""
    edges = [0, *cuts, y.size]
    off = np.concatenate([_residuals(t[a:b], y[a:b]) for a, b in itertools.pairwise(edges)])
    rho = min(1.0, max(-0.5, memory(off, follows) + 2 * (len(cuts) + 1) / y.size))
    new = off[follows + 1] - rho * off[follows]
    news = min(float(np.mean(new * new)), walked(off))
    least = 1e-9 * float(np.ptp(y)) ** 2  # of readings that a line tells exactly
    return follows.size * float(np.log(news + least)) + _PRICE * len(cuts) * float(np.log(y.size))


def walked(off: Floats) -> float:
    """What is new in each reading, squared, if noise lies on a level that walks (exponential smoothing)."""
    from scipy.signal import lfilter

    least = np.inf
    for part in _WALKS:
        begin = off[: round(0.5 / part) or 1].mean()
        level, _ = lfilter([part], [1.0, part - 1.0], off, zi=[(1 - part) * begin])
        least = min(least, float(np.mean((off[1:] - level[:-1]) ** 2)))
    return float(least)


def memory(off: Floats, follows: NDArray[np.intp]) -> float:
    """How much of what a reading is off by is left in the next."""
    before, after = off[follows], off[follows + 1]
    return float(before @ after) / (float(before @ before) or 1.0)


def _residuals(t: Floats, y: Floats) -> Floats:
    off = t - t.mean()
    slope = float(off @ y) / (float(off @ off) or 1.0)
    return np.asarray(y - y.mean() - slope * off)
