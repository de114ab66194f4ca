"""Units for people: which one a panel has, and where its axis ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._chart import binary_unit, nice_ticks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STEPS = 3
_ROOMY = 0.35  # an axis shrinks when what is shown takes less than this part of it
# The end of an axis on which nothing happens: noise is not blown up.
_LEAST = {"processors": 0.1, "bytes": 2.0**20, "bytes/s": 10 * 2.0**10, "seconds": 0.001, "1/s": 1.0, "": 0.05}


@dataclass(frozen=True, slots=True)
class Scale:
    """The axis of one panel.

    Attributes
    ----------
    one
        One unit of the axis, in the metric's own unit.
    words
        The unit, such as ``MiB/s``.
    ticks
        From 0 to the axis' end, in units of the axis.
    """

    one: float
    words: str
    ticks: tuple[float, ...]

    @property
    def top(self) -> float:
        """Where the axis ends, in units of the axis."""
        return self.ticks[-1]

    def of(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values of the metric, in units of the axis."""
        scaled: NDArray[np.float32] = (values / self.one).astype("float32")
        return scaled


def scale_for(unit: str, largest: float, before: Scale | None = None) -> Scale:
    """The axis for values up to `largest`; the one `before` stays if it fits without being much too large."""
    largest = max(largest, _LEAST.get(unit, 1.0))
    if before and _ROOMY * before.top * before.one <= largest <= before.top * before.one * (1 + 1e-9):
        return before
    one, words = _unit(unit, largest)
    ticks = nice_ticks(0, largest / one, _STEPS)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else largest / one
    count = math.ceil(largest / one / step - 1e-9)
    return Scale(one, words, tuple(round(step * tick, 9) for tick in range(count + 1)))


def _unit(unit: str, largest: float) -> tuple[float, str]:
    if unit.startswith("bytes"):
        one, name = binary_unit(largest)
        return one, f"{name}{unit.removeprefix('bytes')}"
    if unit == "seconds":
        return (1.0, "s") if largest >= 1 else (0.001, "ms")
    if unit == "":
        return 0.01, "%"
    return 1.0, "per second" if unit == "1/s" else unit
