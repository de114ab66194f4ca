"""Small plots of findings, forecasts and changes, as SVG: lines, limits dashed, what holds or may come shaded."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, tostring

import numpy as np

from .._chart import (
    LETTERS,
    Axis,
    Point,
    binary_unit,
    draw,
    line,
    nice_ticks,
    number,
    path,
    picture,
    rect,
    text,
    titled,
    width,
)
from ._stretches import Floats
from ._words import about, amount
from .spec import METRICS

if TYPE_CHECKING:
    from .bottleneck import Finding
    from .changes import ChangeList
    from .forecast import Forecast

_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 10, 8, 20
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
_MOST_POINTS = 300
_HALO = {"stroke": "paper", "stroke_width": "3", "stroke_opacity": "0.8", "paint_order": "stroke"}  # over lines
_SHADE = {"fill_opacity": "0.16"}


class _Plot:
    """Values over time, in seconds from `zero_s`."""

    def __init__(
        self, label: str, size: tuple[int, int], times: tuple[float, float], values: tuple[float, float], unit: str
    ) -> None:
        across, down = size
        self.root, self.unit = picture(across, down, label), unit
        self.time = Axis(times[0], times[1], _LEFT, across - _RIGHT)
        self.value = Axis(values[0], values[1], down - _BOTTOM, _TOP)

    def grid(self) -> None:
        """Lines and numbers at both axes."""
        most = max(2, int((self.value.first - self.value.last) / 30))
        for tick, words in _value_ticks(self.value, self.unit, most):
            y = self.value.at(tick)
            line(self.root, "edge", (self.time.first, y), (self.time.last, y), stroke_width="0.7")
            text(self.root, words, self.time.first - 5, y + 4, "dim", text_anchor="end")
        for tick in _time_ticks(self.time):
            words = "now" if tick == 0 else f"{'−' if tick < 0 else '+'}{_apart(abs(tick))}"
            half = width(words, LETTERS) / 2
            x = min(self.time.last - half, max(self.time.first + half, self.time.at(tick)))
            text(self.root, words, x, self.value.first + LETTERS + 4, "dim", text_anchor="middle")

    def points(self, seconds: Floats, values: Floats) -> list[list[Point]]:
        """The pieces of a line, broken where nothing was read."""
        pieces: list[list[Point]] = [[]]
        for at, value in zip(*_thinned(seconds, values), strict=True):
            if np.isfinite(value):
                pieces[-1].append((self.time.at(at), self.value.at(value)))
            elif pieces[-1]:
                pieces.append([])
        return pieces

    def curve(self, seconds: Floats, values: Floats, colour: str) -> None:
        """A line, broken where nothing was read."""
        for piece in self.points(seconds, values):
            path(self.root, colour, piece)

    def limit(self, value: float, words: str, colour: str) -> None:
        """A dashed line across, and what it is."""
        y = self.value.at(value)
        group = titled(self.root, words)
        below = y < self.value.last + LETTERS + 4
        text(group, words, self.time.first + 4, y + (LETTERS + 1 if below else -4), colour, **_HALO)
        line(group, colour, (self.time.first, y), (self.time.last, y), stroke_width="1.2", stroke_dasharray="5 3")

    def band(self, begin: float, end: float, words: str, colour: str) -> None:
        """A shaded length of time."""
        left, right = self.time.at(begin), self.time.at(end)
        group = titled(self.root, words)
        rect(group, colour, left, self.value.last, max(1.5, right - left), self.value.first - self.value.last, **_SHADE)

    def moment(self, at: float, words: str, colour: str) -> Element:
        """A vertical line, and what it is."""
        x = self.time.at(at)
        group = titled(self.root, words)
        line(group, colour, (x, self.value.last), (x, self.value.first), stroke_width="1.2", stroke_dasharray="3 2")
        return group

    @property
    def svg(self) -> str:
        """The picture."""
        return tostring(self.root, encoding="unicode")


def finding_svg(finding: Finding) -> str:
    """What a rule looked at, its threshold dashed, and shaded where it holds."""
    rule, seconds = finding.rule, finding.times - finding.until_s
    unit = "part" if rule.whole or not METRICS[finding.metric].unit else METRICS[finding.metric].unit
    unit = "count" if rule.counted else unit
    most = max(1.15 * rule.threshold, 1.05 * float(np.nanmax(finding.values)))
    plot = _Plot(finding.evidence, (420, 92), _span(seconds), (0.0, most), unit)
    plot.band(finding.since_s - finding.until_s, 0.0, f"holds: {finding.evidence}", "failed")
    plot.grid()
    plot.limit(rule.threshold, f"threshold {_tick(rule.threshold, unit)}", "failed")
    plot.curve(*_with_gaps(seconds, finding.values), "busy")
    return plot.svg


def forecast_svg(found: Forecast) -> str:
    """What was read, the line through it, the interval of what may come as a fan, and the limit."""
    now_s = float(found.times[-1])
    seconds, end_s = found.times - now_s, _ahead_s(found)
    known = found.values[np.isfinite(found.values)]
    fan = found.fan
    seen = [*known, found.limit] if _shows_limit(found) else list(known)
    if found.outlook == "later":
        seen.append(found.now + found.slope_per_s * end_s)
    least, most = float(min(seen)), float(max(seen))
    room = 0.06 * (most - least or abs(most) or 1.0)
    least = max(0.0, least - room) if least >= 0 else least - room
    plot = _Plot(found.sentence, (600, 190), (float(seconds[0]), end_s), (least, most + room), found.unit)
    plot.grid()
    if fan is not None:
        _fan(plot, found, end_s)
    if found.since_s > found.times[0]:
        plot.moment(found.since_s - now_s, "behaves alike since then: only this is used", "dim")
    if _shows_limit(found):
        plot.limit(found.limit, f"limit {amount(found.limit, found.unit)}", "failed")
    plot.curve(seconds, found.values, "busy")
    if found.trend is not None:
        _line(plot, found, now_s, end_s)
    return plot.svg


def changes_svg(found: ChangeList) -> str:
    """What was read, with a line at each change and the mean of what is between."""
    seconds = found.times - found.times[-1]
    unit = METRICS[found[0].metric].unit if found and found[0].metric in METRICS else ""
    known = found.values[np.isfinite(found.values)]
    least, most = float(known.min()), float(known.max())
    room = 0.06 * (most - least or abs(most) or 1.0)
    plot = _Plot("changes", (600, 150), _span(seconds), (least - room, most + room), unit)
    plot.grid()
    plot.curve(seconds, found.values, "busy")
    for place, change in enumerate(found, 1):
        at = change.time_s - float(found.times[-1])
        group = plot.moment(at, change.sentence, "paused")
        text(group, str(place), plot.time.at(at) + 5, plot.value.last + LETTERS - 2, "paused", **_HALO)
    return plot.svg


def _fan(plot: _Plot, found: Forecast, end_s: float) -> None:
    """The interval of what may be read from now on."""
    fan, line_ = found.fan, found.trend
    if fan is None or line_ is None:
        return
    kept = fan.ahead_s <= end_s
    upper = [
        (plot.time.at(at), plot.value.at(high)) for at, high in zip(fan.ahead_s[kept], fan.high[kept], strict=True)
    ]
    lower = [(plot.time.at(at), plot.value.at(low)) for at, low in zip(fan.ahead_s[kept], fan.low[kept], strict=True)]
    begin = (plot.time.at(0.0), plot.value.at((1.0 if found.rising else -1.0) * line_.level))
    corners = " ".join(f"{number(x)},{number(y)}" for x, y in [begin, *upper, *reversed(lower)])
    group = titled(plot.root, f"what may be read, {100 * found.confidence:.4g} % of the time")
    draw(group, "polygon", fill="busy", points=corners, fill_opacity="0.2")
    if found.full_in_s is not None and found.earliest_s is not None:
        late = found.latest_s if found.latest_s is not None else end_s
        plot.band(found.earliest_s, late, f"full: {found.sentence}", "failed")


def _line(plot: _Plot, found: Forecast, now_s: float, end_s: float) -> None:
    """The line through what was used, and where it goes."""
    sign = 1.0 if found.rising else -1.0
    assert found.trend is not None  # noqa: S101 - told by who calls
    level, slope = sign * found.trend.level, found.slope_per_s
    begin = found.since_s - now_s
    goes_on = found.outlook in {"fills", "later"}
    ends = np.linspace(begin, end_s if goes_on else 0.0, 60)
    values = level + slope * ends
    inside = (values >= plot.value.begin) & (values <= plot.value.end)
    points = [(plot.time.at(at), plot.value.at(value)) for at, value in zip(ends[inside], values[inside], strict=True)]
    path(plot.root, "ink", points, stroke_width="1.2", stroke_dasharray="" if goes_on else "2 3")


def _shows_limit(found: Forecast) -> bool:
    """Whether there is a limit, and one that can be drawn without that what was read becomes a flat line."""
    known = found.values[np.isfinite(found.values)]
    near = abs(found.limit - found.now) <= 6 * np.ptp(known)
    return bool(np.isfinite(found.limit) and (near or found.outlook in {"fills", "full"}))


def _ahead_s(found: Forecast) -> float:
    """How far ahead is drawn."""
    past = float(found.times[-1] - found.times[0])
    if found.outlook == "later":
        return min(found.horizon_s, 2 * past)
    if not found.full_in_s:
        return 0.0
    late = found.latest_s if found.latest_s is not None else min(found.horizon_s, 3 * found.full_in_s)
    return min(found.horizon_s, max(1.1 * late, 0.2 * past))


def _span(seconds: Floats) -> tuple[float, float]:
    return (float(seconds[0]) if seconds.size and seconds[0] < 0 else -1.0, 0.0)


def _with_gaps(seconds: Floats, values: Floats) -> tuple[Floats, Floats]:
    """With NaN in the middle of each gap, so that no line is drawn over it."""
    if seconds.size < 3:
        return seconds, values
    steps = np.diff(seconds)
    gaps = np.flatnonzero(steps > 3 * np.median(steps)) + 1
    return np.insert(seconds, gaps, seconds[gaps] - steps[gaps - 1] / 2), np.insert(values, gaps, np.nan)


def _thinned(seconds: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Fewer points: of each few readings the least and the greatest, so that no peak is lost."""
    if seconds.size <= _MOST_POINTS:
        return seconds, values
    each = -(-seconds.size * 2 // _MOST_POINTS)
    places: list[int] = []
    for first in range(0, seconds.size, each):
        part = values[first : first + each]
        if not np.isfinite(part).all():
            places += range(first, first + part.size)
            continue
        places += sorted({first + int(part.argmin()), first + int(part.argmax())})
    return seconds[places], values[places]


def _tick(value: float, unit: str) -> str:
    if unit == "part":
        return f"{100 * value:.3g} %"
    if unit in {"processors", "count"}:
        return f"{value:.3g}"
    return amount(value, unit)


def _value_ticks(axis: Axis, unit: str, most: int) -> list[tuple[float, str]]:
    """Round values, and how they are written: with as many digits as tell them apart."""
    if not unit.startswith("bytes"):
        ticks = nice_ticks(axis.begin, axis.end, most)
        return [(tick, _tick(tick, unit)) for tick in ticks]
    one, name = binary_unit(max(abs(axis.begin), abs(axis.end)))
    ticks = nice_ticks(axis.begin / one, axis.end / one, most)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    digits = max(0, min(4, -int(np.floor(np.log10(step) + 1e-9))))
    return [(tick * one, f"{tick:.{digits}f} {name}{unit.removeprefix('bytes')}") for tick in ticks]


def _apart(seconds: float) -> str:
    """How far a tick is from now."""
    return "1 min" if seconds == 60 else about(seconds)


def _time_ticks(axis: Axis) -> list[float]:
    room = (axis.last - axis.first) / 65
    step = next((each for each in _STEPS_S if (axis.end - axis.begin) / each <= room), _STEPS_S[-1])
    return [float(step * at) for at in range(int(np.ceil(axis.begin / step)), int(np.floor(axis.end / step)) + 1)]
