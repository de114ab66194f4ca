"""Readings as a table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ._reckon import reckon
from .spec import FIELDS, METRICS

if TYPE_CHECKING:
    from .metrics import Row

_ABOUT = ["host", "machine", "engine", "identity"]


def frame(rows: Sequence[Row], metrics: Sequence[str], names: frozenset[str] | None, since_s: float) -> pd.DataFrame:
    """The table of `Metrics.frame`."""
    kept = [row for row in rows if names is None or row[1].name in names]
    # Readings of one subject one after the other, so that each is reckoned from the one before it.
    kept.sort(key=lambda row: (row[1], row[2]))
    whose = [row[1] for row in kept]
    times = np.array([row[2] for row in kept], dtype=float)
    after = np.array([row[3] for row in kept], dtype=float).reshape(len(kept), len(FIELDS))
    before = np.roll(after, 1, axis=0)
    seconds = times - np.roll(times, 1)
    first = np.array([at == 0 or whose[at] != whose[at - 1] for at in range(len(kept))], dtype=bool)
    before[first], seconds[first] = np.nan, np.inf
    made = reckon(before, after, seconds)
    # The clock on the wall may have jumped meanwhile: all times are told by what it says now.
    wall = np.round((times + (time.time() - time.monotonic())) * 1e3)
    table = pd.DataFrame({"time": pd.to_datetime(wall, unit="ms", utc=True), "time_s": times})
    for name in _ABOUT:
        table[name] = pd.Series([getattr(subject, name) for subject in whose], dtype="str")
    for name in metrics:
        table[name] = made[:, list(METRICS).index(name)]
    table = table[table["time_s"] >= since_s].sort_values("time_s", kind="stable").reset_index(drop=True)
    table.attrs["units"] = {name: METRICS[name].unit for name in metrics}
    return table
