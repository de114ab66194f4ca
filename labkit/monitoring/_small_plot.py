"""A small plot of one metric, for what is said about it: one line, a limit, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import tostring

import numpy as np

from .._chart import LETTERS, Axis, draw, fit, line, picture, rect, text, titled
from ._lines_svg import ago_ticks, path_of
from ._scale import amount, scale_for
from .spec import METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

ACROSS, DOWN = 340, 96
_LEFT, _RIGHT, _ABOVE, _BELOW = 40.0, 8.0, 20.0, 18.0
_MOST_POINTS = 150


def small_plot(
    metric: str, seconds_ago: NDArray[Any], values: NDArray[Any], *, title: str = "", limit: float | None = None,
    since_s: float | None = None,
) -> str:  # fmt: skip
    """The SVG of one line.

    Parameters
    ----------
    metric
        A name of `METRICS`; says the unit.
    seconds_ago, values
        The line, the oldest first; NaN is a gap.
    title
        What it is of; the metric's title if it is not given.
    limit
        A value that is marked, in the metric's unit.
    since_s
        The last so many seconds are shaded.
    """
    known = METRICS[metric]
    there = values[np.isfinite(values)]
    scale = scale_for(known.unit, max(float(np.max(there, initial=0.0)), limit or 0.0))
    words = title or known.title
    root = picture(ACROSS, DOWN, words)
    span = float(seconds_ago[0]) if len(seconds_ago) else 60.0
    time = Axis(-span, 0, _LEFT, ACROSS - _RIGHT)
    axis = Axis(0, scale.top, DOWN - _BELOW, _ABOVE)
    text(root, fit(f"{words} · {scale.words}", ACROSS - _LEFT - _RIGHT, LETTERS), _LEFT, 13)
    if since_s:
        left = time.at(-since_s)
        rect(root, "paused", left, axis.last, time.last - left, axis.first - axis.last, fill_opacity="0.18")
    for tick in (scale.ticks[0], scale.ticks[-1]):
        line(root, "edge", (time.first, axis.at(tick)), (time.last, axis.at(tick)), stroke_width="0.7")
        text(root, f"{tick:g}", time.first - 5, axis.at(tick) + 4, "dim", text_anchor="end")
    for ago, when in ago_ticks(span):
        anchor = "start" if ago == span else "middle" if ago else "end"
        text(root, when, time.at(-ago), DOWN - 5, "dim", text_anchor=anchor)
    if limit is not None:
        y = axis.at(limit / scale.one)
        marked = titled(root, f"limit: {amount(limit, known.unit)}")
        line(marked, "failed", (time.first, y), (time.last, y), stroke_dasharray="4 3")
    if d := path_of(seconds_ago, scale.of(values), _MOST_POINTS, time, axis):
        draw(root, "path", stroke="busy", d=d, stroke_width="1.5", stroke_linejoin="round", stroke_linecap="round")
    return tostring(root, encoding="unicode")
