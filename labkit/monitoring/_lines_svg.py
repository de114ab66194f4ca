"""Lines over the last seconds as SVG: where the time axis is marked, and paths with gaps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._chart import Axis, number
from .._values import format_duration

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ago_ticks(seconds: float) -> list[tuple[float, str]]:
    """Where the time axis is marked: seconds ago, and words."""
    return [(seconds, ago(seconds)), (seconds / 2, ago(seconds / 2)), (0.0, "now")]


def ago(seconds: float) -> str:
    """A span as short as it can be said, such as ``10 min``."""
    if seconds < 60:
        return f"{seconds:g} s"
    if seconds % 60 and seconds < 600:
        return format_duration(seconds)
    return f"{seconds / 60:.3g} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"


def path_of(ages: NDArray[Any], values: NDArray[Any], most: int, time: Axis, axis: Axis) -> str:
    """Lines of the same length, one after another, with gaps where values are missing; a lone value is a dot.

    Of the values that share a point the largest is drawn: a peak is what is looked for.
    """
    import numpy as np

    length = _length(ages)
    if not length:
        return ""
    step = max(1, -(-length // most))
    table = np.pad(values.reshape(-1, length), ((0, 0), (0, -length % step)), constant_values=np.nan)
    table = table.reshape(len(table), -1, step)
    tops = np.where(np.isfinite(table), table, -np.inf).max(axis=2)
    across = [number(time.at(-age)) for age in ages[:length:step].tolist()]
    words = []
    for row in tops.tolist():
        pen = "M"
        for x, top in zip(across, row, strict=True):
            if top == -math.inf:
                pen = "M"
            else:
                words.append(f"{pen}{x} {number(axis.at(top))}{'h.1' if pen == 'M' else ''}")
                pen = "L"
    return "".join(words)


def _length(ages: NDArray[Any]) -> int:
    """How many values each of the lines has that are joined."""
    ends = (ages[1:] > ages[:-1]).nonzero()[0]
    return int(ends[0]) + 1 if ends.size else len(ages)
