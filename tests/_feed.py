"""Readings that are made up, for a monitor: machines by number, each with waves of its own."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labkit.monitoring import METRICS, Subject

_SIZES = {"processors": 1.0, "bytes": 2.0**27, "bytes/s": 2.0**22, "seconds": 0.01, "1/s": 50.0, "": 0.5}
ENGINES = ("kvm", "docker", "lxc")


def machine(number: int, host: str = "", name: str = "") -> Subject:
    """A machine; each has an identity of its own."""
    name = name or f"{('web', 'db', 'cache')[number % 3]}-{number}"
    return Subject(host or ("alpha", "beta")[number % 2], name, ENGINES[number % 3], f"id-{number}")


@dataclass
class Feed:
    """Readings of `subjects`: of each from `begin` on, up to `end`, on a clock that `now` tells or that runs."""

    subjects: list[Subject]
    name: str = "made-up"
    now: float | None = None
    begin: dict[Subject, float] = field(default_factory=dict)
    end: dict[Subject, float] = field(default_factory=dict)
    busy: dict[Subject, float] = field(default_factory=dict)
    gone: set[Subject] = field(default_factory=set)

    def window(self, seconds: float, step_s: float = 1.0) -> Window:
        """The readings of the last `seconds`."""
        return Window(self, seconds)

    def has_ended(self, subject: Subject) -> bool:
        """Whether it is no more."""
        return subject in self.gone

    def time(self) -> float:
        """The whole second that it is now."""
        return float(math.floor(time.monotonic() if self.now is None else self.now))

    def value(self, subject: Subject, metric: str, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is read of it."""
        number = int(subject.identity[3:] or 0) if subject.identity else 7
        size = _SIZES[METRICS[metric].unit] * self.busy.get(subject, 0.1 + (number * 7 % 10) / 10)
        wave = 0.6 + 0.3 * np.sin(times / (17 + 3 * number) + number) + 0.1 * np.sin(times * (1.3 + number))
        there = (times >= self.begin.get(subject, -np.inf)) & (times <= self.end.get(subject, np.inf))
        return np.where(there, size * wave, np.nan)


class Window:
    """As `labkit.monitoring.series.Window`."""

    step_s = 1.0

    def __init__(self, feed: Feed, seconds: float) -> None:
        self._feed = feed
        self.seconds = seconds
        self.times = np.empty(0)
        self._now = -math.inf

    def advance(self) -> bool:
        """Take over what has come since."""
        now = self._feed.time()
        came, self._now = now > self._now, now
        self.times = now - self.seconds + np.arange(int(self.seconds) + 1, dtype=np.float64)
        return came

    def subjects(self) -> list[Subject]:
        """Those with any reading."""
        first, last = self.times[0], self.times[-1]
        begins, ends = self._feed.begin, self._feed.end
        return sorted(
            each for each in self._feed.subjects
            if ends.get(each, last) >= first and begins.get(each, first) <= last
        )  # fmt: skip

    def values(self, metric: str) -> dict[Subject, NDArray[np.float64]]:
        """What was read."""
        return {each: self._feed.value(each, metric, self.times) for each in self.subjects()}

    def is_current(self, subject: Subject) -> bool:
        """Whether something was read in the last three seconds."""
        return bool(np.isfinite(self._feed.value(subject, "cpu", self.times[-3:])).any())
