"""The last readings of a lab as numbers on a grid of seconds: what live plots and alerts are made from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ._reckon import Numbers, reckon
from .spec import FIELDS, METRICS, Subject

if TYPE_CHECKING:
    from .metrics import Metrics

_PLACES = {name: place for place, name in enumerate(METRICS)}
_CURRENT_STEPS = 4


class _Track:
    """The readings of one subject: the mean of each metric in each step of a ring."""

    def __init__(self, length: int) -> None:
        self.last: Numbers | None = None
        self.last_s = -np.inf
        self.means: Numbers = np.full((len(METRICS), length), np.nan)
        self._counts: Numbers = np.zeros((len(METRICS), length))

    def clear(self, columns: NDArray[np.int64]) -> None:
        self.means[:, columns] = np.nan
        self._counts[:, columns] = 0

    def add(self, column: int, values: Numbers) -> None:
        told = ~np.isnan(values)
        self._counts[told, column] += 1
        before = np.where(np.isnan(self.means[told, column]), 0.0, self.means[told, column])
        self.means[told, column] = before + (values[told] - before) / self._counts[told, column]


class Window:
    """The last readings of every host and machine of a lab; `advance` brings it up to date.

    Parameters
    ----------
    metrics
        Those of the lab.
    seconds, step_s
        How far back it goes, and how long the steps are over which readings are averaged.

    Attributes
    ----------
    times
        The times of the steps, seconds on the monotonic clock, the oldest first.
    """

    def __init__(self, metrics: Metrics, seconds: float, step_s: float = 1.0) -> None:
        self.seconds, self.step_s = seconds, step_s
        self._metrics = metrics
        self._length = round(seconds / step_s) + 1
        self._end = int(time.monotonic() / step_s)  # the last step
        self._seq = 0
        self._tracks: dict[Subject, _Track] = {}

    @property
    def times(self) -> Numbers:
        return np.arange(self._end - self._length + 1, self._end + 1, dtype=np.float64) * self.step_s

    def advance(self) -> bool:
        """Read what is new; whether there was anything."""
        since = None if self._seq else time.monotonic() - self.seconds - self.step_s
        rows = self._metrics.rows(self._seq, since)
        self._move(int(time.monotonic() / self.step_s))
        if not rows:
            return False
        self._seq = rows[-1][0]
        # A batch holds one reading of each subject, as a rule; of several each is reckoned from the one before it.
        batch: dict[Subject, tuple[float, list[float | None]]] = {}
        for _, subject, time_s, values in rows:
            if subject in batch:
                self._take(batch)
                batch = {}
            batch[subject] = time_s, values
        self._take(batch)
        return True

    def _move(self, end: int) -> None:
        if (new := min(end - self._end, self._length)) > 0:
            columns = np.arange(end - new + 1, end + 1) % self._length
            for subject, track in list(self._tracks.items()):
                track.clear(columns)
                if track.last_s < (end - self._length) * self.step_s:
                    del self._tracks[subject]
            self._end = end

    def _take(self, batch: dict[Subject, tuple[float, list[float | None]]]) -> None:
        tracks = [self._tracks.setdefault(subject, _Track(self._length)) for subject in batch]
        after = np.array([values for _, values in batch.values()], dtype=float)
        nothing = np.full(len(FIELDS), np.nan)
        before = np.array([nothing if track.last is None else track.last for track in tracks])
        times = np.array([time_s for time_s, _ in batch.values()])
        made = reckon(before, after, times - np.array([track.last_s for track in tracks]))
        for track, time_s, read, values in zip(tracks, times, after, made, strict=True):
            track.last, track.last_s = read, time_s
            step = int(time_s / self.step_s)
            if self._end - self._length < step <= self._end:
                track.add(step % self._length, values)

    def subjects(self) -> list[Subject]:
        """Those with a reading in the window, sorted."""
        return sorted(self._tracks)

    def values(self, metric: str) -> dict[Subject, Numbers]:
        """A metric of each subject at `times`; nan where nothing was read."""
        place, first = _PLACES[metric], (self._end + 1) % self._length
        return {
            subject: np.concatenate((track.means[place, first:], track.means[place, :first]))
            for subject, track in sorted(self._tracks.items())
        }

    def latest(self, metric: str) -> dict[Subject, float]:
        """The last value of a metric of each subject that is still read; nan where it is not told."""
        found = {}
        for subject, values in self.values(metric).items():
            if self.is_current(subject):
                told = values[~np.isnan(values)]
                found[subject] = float(told[-1]) if len(told) else np.nan
        return found

    def is_current(self, subject: Subject) -> bool:
        """Whether it was read just now."""
        track = self._tracks.get(subject)
        return track is not None and time.monotonic() - track.last_s < _CURRENT_STEPS * max(1.0, self.step_s)
