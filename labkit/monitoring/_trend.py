"""The slope of a line through noise that remembers, how sure it is, and what may be read from now on.

Quasi-differenced least squares after Perron and Yabu (2009, "Estimating deterministic trends with an
integrated or stationary noise component"): where the noise's memory cannot be told from 1, it is taken
to be 1, a random walk with drift, so the slope's ratio to its error is about normal either way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._stretches import Floats, memory, walked

_LEAST_BLOCKS = 14  # of which a memory is reckoned
_DOUBT = 1.0  # a walk that is so much less likely (twice the logarithm) is thought of, too
_BLUR = 0.5
_CLIMB = 8
_PATHS = 300
_MOST_STEPS = 3600
_FAN = 24  # times at which the fan is told


@dataclass(frozen=True, slots=True)
class Trend:
    """A line up to a moment, and the noise around it.

    Attributes
    ----------
    level, slope
        Where the line is at the last reading, and what it grows by in a second.
    covariance
        Of level and slope.
    rho
        The noise's memory from one reading to the next; 1: it is a random walk.
    news
        What each reading added to what was remembered.
    off
        How far the last reading is from the line.
    freedom
        How many independent readings the error rests on.
    step_s
        From reading to reading.
    climbs
        Whether its greatest steps are all upwards: so many that chance would do so less than once in 200 times.
    """

    level: float
    slope: float
    covariance: Floats
    rho: float
    news: Floats
    off: float
    freedom: float
    step_s: float
    climbs: bool = False

    @property
    def error(self) -> float:
        """The standard error of the slope."""
        return float(np.sqrt(max(0.0, self.covariance[1, 1])))

    @property
    def wanders(self) -> bool:
        """Whether the noise is a random walk."""
        return self.rho >= 1


@dataclass(frozen=True, slots=True)
class Fan:
    """What may be read: seconds ahead, and the edges of the interval then."""

    ahead_s: Floats
    low: Floats
    high: Floats


def trend(times: Floats, values: Floats) -> Trend:
    """The line through readings on an even grid, NaN where there is none; there are at least ten."""
    known = np.flatnonzero(np.isfinite(values))
    step = float(times[1] - times[0])
    t, y = times[known] - times[-1], values[known]
    gaps = np.diff(known)
    off = y - np.polyval(np.polyfit(t, y, 1), t)
    rho = _memory(off, gaps, float(np.ptp(y)))
    return _drift(t, y, gaps, step) if rho >= 1 else _line(t, y, gaps, rho, step)


def _memory(off: Floats, gaps: NDArray[np.intp], height: float) -> float:
    """The noise's memory, 1 where it cannot be told from 1, in single readings or in averages of them."""
    if float(np.abs(off).max()) <= 1e-9 * height:
        return 0.0
    first = _corrected(off, np.flatnonzero(gaps == 1))
    wide = 1
    while off.size // wide >= _LEAST_BLOCKS:
        blocks = off[off.size % wide :].reshape(-1, wide).mean(axis=1)
        rho = first if wide == 1 else _corrected(blocks, np.arange(blocks.size - 1))
        if (1 - rho) * np.sqrt(blocks.size) <= 1:
            return 1.0
        wide *= 2
    follows = np.flatnonzero(gaps == 1)
    new = off[follows + 1] - memory(off, follows) * off[follows]
    likely = off.size * np.log(walked(off) / float(np.mean(new * new)))
    return 1.0 if likely < _DOUBT else max(0.0, first)


def _corrected(off: Floats, follows: NDArray[np.intp]) -> float:
    rho = memory(off, follows)
    return rho + (2 + 4 * rho) / off.size  # a fitted line takes some of it (Kendall)


def _line(t: Floats, y: Floats, gaps: NDArray[np.intp], rho: float, step: float) -> Trend:
    """A line with stationary noise."""
    power = rho ** gaps.astype(float)
    weight = np.sqrt((1 - rho * rho) / (1 - power * power))  # a gap leaves less memory and more news
    first = np.sqrt(1 - rho * rho)

    def news(column: Floats) -> Floats:
        return np.append(first * column[0], (column[1:] - power * column[:-1]) * weight)

    found, covariance, left = _least_squares(news(y), np.column_stack([news(np.ones_like(t)), news(t)]))
    freedom = max(3.0, y.size * (1 - rho) / (1 + rho) - 2)
    left *= np.sqrt(y.size / (y.size - 2))
    return Trend(found[0], found[1], covariance, rho, left, float(y[-1] - found[0] - found[1] * t[-1]), freedom, step)


def _drift(t: Floats, y: Floats, gaps: NDArray[np.intp], step: float) -> Trend:
    """A random walk that drifts."""
    weight = 1 / np.sqrt(gaps)
    found, variance, left = _least_squares(np.diff(y) * weight, (np.diff(t) * weight)[:, None])
    spread = float(np.sqrt(variance[0, 0] * float(t[-1] - t[0]) * step))  # of a step, with what memory is left
    left *= spread / (float(left.std()) or 1.0)
    covariance = np.array([[0.0, 0.0], [0.0, variance[0, 0]]])
    level = float(y[-1]) - found[0] * float(t[-1])
    return Trend(level, found[0], covariance, 1.0, left, 0.0, y.size - 2.0, step, _climbs(np.diff(y)))


def _climbs(steps: Floats) -> bool:
    """Whether the eight greatest steps are upwards; of a walk without drift each is with a chance of 1/2."""
    greatest = steps[np.argsort(-np.abs(steps), kind="stable")[:_CLIMB]]
    return bool(greatest.size == _CLIMB and (greatest > 0).all())


def _least_squares(y: Floats, x: Floats) -> tuple[list[float], Floats, Floats]:
    """Coefficients, their covariance, which holds also where some memory is left, and what is left."""
    from statsmodels.regression.linear_model import OLS

    lags = min(y.size // 4, int(np.ceil(1.3 * np.sqrt(y.size))))  # Lazarus et al. 2018
    fit = OLS(y, x).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
    robust, plain = np.asarray(fit.cov_params()), np.asarray(fit.normalized_cov_params) * fit.scale
    # Newey and West's errors come out too small of few readings, so the plain ones are the least.
    covariance = robust if robust[-1, -1] > plain[-1, -1] else plain
    return np.asarray(fit.params).tolist(), covariance, np.asarray(fit.resid).copy()


def ahead(line: Trend, limit: float, horizon_s: float, confidence: float) -> tuple[list[float | None], Fan]:
    """When readings first are at `limit`, above the level: earliest, median, latest, in seconds from now.

    None is beyond the horizon. Reckoned from paths that readings may take.
    """
    steps = int(min(_MOST_STEPS, max(2.0, np.ceil(_reach_s(line, limit, horizon_s) / line.step_s))))
    every = max(1, int(np.ceil(_reach_s(line, limit, horizon_s) / line.step_s / steps)))
    paths = _paths(line, steps, every)
    full = paths >= limit
    passed = np.where(full.any(axis=1), (full.argmax(axis=1) + 1.0) * every * line.step_s, np.inf)
    edges = (0.5 - confidence / 2, 0.5, 0.5 + confidence / 2)
    found = np.quantile(passed, edges, method="inverted_cdf")
    places = np.unique(np.linspace(0, steps - 1, _FAN).astype(int))
    low, high = np.quantile(paths[:, places], (edges[0], edges[2]), axis=0)
    seconds = (places + 1.0) * every * line.step_s
    return [float(each) if each <= horizon_s else None for each in found], Fan(seconds, low, high)


def _reach_s(line: Trend, limit: float, horizon_s: float) -> float:
    """How far to look: well past where the slowest of the slopes that may be is at the limit."""
    slowest = line.slope - 2.5 * line.error
    if slowest <= 0:
        return horizon_s
    walk = 3 * float(line.news.std()) if line.wanders else 0.0
    needed = (limit - line.level) / slowest
    return float(min(horizon_s, 1.5 * needed + walk * np.sqrt(needed / line.step_s) / line.slope + 10 * line.step_s))


def _paths(line: Trend, steps: int, every: int) -> Floats:
    """What may be read, a row for each path, every so many steps."""
    from scipy.signal import lfilter

    draw = np.random.default_rng(0)  # the same readings give the same forecast
    stretched = np.sqrt(line.freedom / draw.chisquare(line.freedom, _PATHS))
    root = np.linalg.cholesky(line.covariance + np.eye(2) * 1e-12 * (1e-30 + np.trace(line.covariance)))
    off = (draw.standard_normal((_PATHS, 2)) * stretched[:, None]) @ root.T
    rho = line.rho**every
    grown = np.sqrt(every) if line.wanders else np.sqrt((1 - rho * rho) / (1 - line.rho**2))
    # What is new is drawn from what was, a little blurred: noise may go further than it has (smooth bootstrap).
    news = draw.choice(line.news - line.news.mean(), (_PATHS, steps))
    blur = _BLUR * float(line.news.std()) * draw.standard_normal((_PATHS, steps))
    news = (news + blur) * grown / np.sqrt(1 + _BLUR**2)
    noise, _ = lfilter([1.0], [1.0, -rho], news, axis=1, zi=np.full((_PATHS, 1), rho * line.off))
    seconds = np.arange(1, steps + 1) * every * line.step_s
    return np.asarray(line.level + off[:, :1] + (line.slope + off[:, 1:]) * seconds + noise)
