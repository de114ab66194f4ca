"""From readings to metrics: rates of counters that may wrap, begin anew, or not be told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .spec import FIELDS, METRICS

Numbers = NDArray[np.float64]
LONGEST_S = 5.0  # between two readings of which a rate is made: what lies further apart is a gap
_AT = {name: place for place, name in enumerate(FIELDS)}
_CPU = _AT["cpu_seconds"]
_WRAPS = (2.0**32, 2.0**64)
_NEAR = 0.9  # of where it wraps: a counter that falls from there to near zero has wrapped


def reckon(before: Numbers, after: Numbers, seconds: Numbers) -> Numbers:
    """The metrics of readings.

    Parameters
    ----------
    before, after
        N readings and for each the one before it, as N × F numbers in the order of `FIELDS`; nan where nothing
        is told, or where there is none before it.
    seconds
        The time between them.

    Returns
    -------
    numpy.ndarray
        N × M numbers in the order of `METRICS`.
    """
    grown = _growth(before, after)
    usable = (seconds > 0) & (seconds <= LONGEST_S)
    grown[~usable] = np.nan
    made = np.empty((len(after), len(METRICS)))
    with np.errstate(invalid="ignore", divide="ignore"):
        for column, metric in enumerate(METRICS.values()):
            places = [_AT[name] for name in metric.fields]
            match metric.how:
                case "rate":
                    made[:, column] = grown[:, places].sum(axis=1) / seconds
                case "each":
                    of, by = (grown[:, place] for place in places)
                    made[:, column] = np.where(by > 0, of / by, np.where(by == 0, 0.0, np.nan))
                case _:
                    made[:, column] = after[:, places].sum(axis=1)
    return made


def _growth(before: Numbers, after: Numbers) -> Numbers:
    """What counters grew by; nan for all of a machine that began anew."""
    grown: Numbers = after - before
    fell = grown < 0
    for wrap in _WRAPS:
        wrapped = fell & (before < wrap) & (before > wrap * _NEAR) & (after < wrap * (1 - _NEAR))
        grown[wrapped] += wrap
    grown[grown < 0] = np.nan
    grown[fell[:, _CPU]] = np.nan
    return grown
