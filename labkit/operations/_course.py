"""How a migration went, as its picture shows it: everything in seconds since it began."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ._client import INTERVAL_MS
from .spec import MigrationSample

if TYPE_CHECKING:
    from .migration import Migration

_MOST_SAMPLES = 400
_STILL_COMING_S = 1.0  # so long an answer may yet come
_LEAST_GAP_S = 0.03  # less is no gap while it still goes on

Answer = tuple[int, float, float]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the time line, in seconds."""

    began_s: float
    length_s: float

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.began_s + self.length_s


@dataclass(frozen=True, slots=True)
class Course:
    """What there is to draw of a migration; all times in seconds since it was asked for.

    Attributes
    ----------
    machine, source, destination
        Their names.
    length_s
        How long it took, or takes so far.
    phases
        When each began, and its name.
    samples
        How far it was.
    answers
        What a client was answered: number, sent, came.
    lost_s
        When those requests were sent that nobody answered.
    stopped_s, resumed_s
        When the machine stood still at the source and went on at the destination; None where nobody told.
    downtime
        How long it stood still as was reported, placed where events say; None where nothing was.
    reporter
        Whose figure that is.
    gap
        The longest time between two answers.
    done
        Whether it has ended.
    """

    machine: str
    source: str
    destination: str
    length_s: float
    phases: tuple[tuple[float, str], ...] = ()
    samples: tuple[MigrationSample, ...] = ()
    answers: tuple[Answer, ...] = ()
    lost_s: tuple[float, ...] = ()
    stopped_s: float | None = None
    resumed_s: float | None = None
    downtime: Span | None = None
    reporter: str = "libvirt's downtime"
    gap: Span | None = None
    done: bool = True


def course_of(migration: Migration) -> Course:
    """The course of a migration so far; may be asked at any time, from any thread."""
    began, done = migration.began_s, migration.is_done
    end = migration.ended_s if done else time.monotonic()
    view = migration.result.client if migration.result else None
    answers = [
        (number, sent - began, came - began) for number, sent, came in (view.answers if view else _heard(migration))
    ]
    stopped, resumed = _since(migration.stopped_s, began), _since(migration.resumed_s, began)
    told = [(at - began, name) for at, name in list(migration.phases)]
    gap = _gap(answers)
    if gap and not done and gap.length_s < _LEAST_GAP_S:
        gap = None
    return Course(
        machine=migration.machine.name, source=migration.source.name, destination=migration.destination.name,
        length_s=max(end - began, 0.001), phases=tuple(_phases(told, resumed)),
        samples=tuple(replace(each, time_s=each.time_s - began) for each in _thin(list(migration.samples))),
        answers=tuple(answers), lost_s=tuple(_lost(answers, view.sent if view else 0, end - began, done=done)),
        stopped_s=stopped, resumed_s=resumed, gap=gap, done=done, reporter=_reporter(migration),
        downtime=_downtime(migration.result.downtime_ms if migration.result else 0, stopped, resumed, gap),
    )  # fmt: skip


def _reporter(migration: Migration) -> str:
    return "libvirt's downtime" if migration.plan.by_libvirt else "from its stop to its answer"


def _phases(told: Sequence[tuple[float, str]], resumed: float | None) -> Iterator[tuple[float, str]]:
    """As they were told; but once it goes on over there nothing is copied any more."""
    for (began, name), (end, _) in itertools.pairwise([*told, (float("inf"), "")]):
        yield began, name
        if resumed is not None and began < resumed < end and name.startswith("copying"):
            yield resumed, "finishing"


def _heard(migration: Migration) -> list[Answer]:
    return list(migration.client_answers)


def _since(time_s: float, began: float) -> float | None:
    return time_s - began if time_s else None


def _thin(samples: Sequence[MigrationSample]) -> list[MigrationSample]:
    """So many of them as can be told apart, and the last one."""
    step = -(-len(samples) // _MOST_SAMPLES) or 1
    return [*samples[::step], *(samples[-1:] if (len(samples) - 1) % step else [])]


def _gap(answers: Sequence[Answer]) -> Span | None:
    times = sorted(came for _, _, came in answers)
    pauses = ((late - early, early) for early, late in itertools.pairwise(times))
    length, began = max(pauses, default=(0.0, 0.0))
    return Span(began, length) if length else None


def _lost(answers: Sequence[Answer], sent: int, now: float, *, done: bool) -> Iterator[float]:
    """When the requests were sent that were not answered: between those before and after that were."""
    known = sorted((number, at) for number, at, _ in answers)
    for (number, at), (next_number, next_at) in itertools.pairwise(known):
        for step in range(1, next_number - number):
            when = at + (next_at - at) * step / (next_number - number)
            if done or when < now - _STILL_COMING_S:
                yield when
    if known:
        number, at = known[-1]
        yield from (at + step * INTERVAL_MS / 1000 for step in range(1, sent - number))


def _downtime(took_ms: float, stopped: float | None, resumed: float | None, gap: Span | None) -> Span | None:
    """The reported time, from when it stood still, or up to when it went on, or in the middle of the gap."""
    took = took_ms / 1000
    if not took:
        return None
    if stopped is not None:
        return Span(stopped, took)
    if resumed is not None:
        return Span(max(0.0, resumed - took), took)
    return Span(max(0.0, gap.began_s + (gap.length_s - took) / 2), took) if gap else None
