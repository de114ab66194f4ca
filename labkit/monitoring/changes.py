"""Where behaviour has shifted: to another level, or another slope."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._stretches import Floats, Stretch, regular, stretches, without_bursts
from ._words import amount, called, growth
from .spec import METRICS, Subject

_STEEP = 0.5  # a line that moves by so much of a change's height while it lasts is told by its slope


@dataclass(frozen=True, slots=True)
class Change:
    """A moment from which on something behaves differently.

    Attributes
    ----------
    time_s
        Seconds on the monotonic clock.
    before, after
        The mean of the readings from the change before to this one, and from this one to the next.
    slope_before, slope_after
        What it grew by in a second then.
    metric, subject
        Of what it is; `ChangeList.of` fills them in.
    """

    time_s: float
    before: float
    after: float
    slope_before: float
    slope_after: float
    metric: str = ""
    subject: Subject | None = None
    is_bend: bool = False

    def __str__(self) -> str:
        return self.sentence

    @property
    def sentence(self) -> str:
        """What has changed, in words."""
        unit = METRICS[self.metric].unit if self.metric in METRICS else ""
        name = called(self.metric, self.subject)
        if self.is_bend:
            return f"{name} {_course(self.slope_after, unit)}, before that it {_course(self.slope_before, unit)}"
        verb = "rose" if self.after > self.before else "fell"
        return f"{name} {verb} from {amount(self.before, unit)} to {amount(self.after, unit)}, on average"


def _course(slope: float, unit: str) -> str:
    if slope == 0:
        return "is flat"
    return f"{'grows' if slope > 0 else 'falls'} by {growth(abs(slope), unit)}"


class ChangeList(list[Change]):
    """Changes in order of time, and the readings that they were found in."""

    def __init__(
        self, changes: Iterable[Change] = (), times: Floats | None = None, values: Floats | None = None
    ) -> None:
        super().__init__(changes)
        self.times = np.empty(0) if times is None else times
        self.values = np.empty(0) if values is None else values

    def of(self, metric: str, subject: Subject | None = None) -> ChangeList:
        """The same, told as those of a metric of a machine or host."""
        told = (replace(change, metric=metric, subject=subject) for change in self)
        return ChangeList(told, self.times, self.values)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html_monitoring import changes_bundle

        return changes_bundle(self)


def changes(times_s: ArrayLike, values: ArrayLike, *, least_s: float = 10.0) -> ChangeList:
    """Where the level or the slope of `values` shifted; in noise, also such that remembers, there is nothing.

    Parameters
    ----------
    times_s
        Seconds on the monotonic clock, about evenly spaced; gaps are allowed.
    values
        Readings of one subject; NaN where there is none.
    least_s
        What lasts for less is no behaviour, but a burst.
    """
    times, found = regular(times_s, values)
    if times.size < 8:
        return ChangeList((), times, found)
    pieces = stretches(times, without_bursts(times, found, least_s), least_s)
    pairs = itertools.pairwise(pieces)
    return ChangeList((_change(before, after) for before, after in pairs), times, found)


def _change(before: Stretch, after: Stretch) -> Change:
    """The change from one stretch to the next; a bend where lines of different slopes nearly meet."""
    jump = abs(after.begin - before.end)
    moves = [abs(piece.end - piece.begin) for piece in (before, after)]
    is_bend = max(moves) > _STEEP * (jump + abs(after.mean - before.mean)) and jump < _STEEP * max(moves)
    flat = [0.0 if move < 0.1 * max(moves) else piece.slope for move, piece in zip(moves, (before, after), strict=True)]
    slopes = flat if is_bend else [before.slope, after.slope]
    return Change(after.begin_s, before.mean, after.mean, slopes[0], slopes[1], is_bend=is_bend)
