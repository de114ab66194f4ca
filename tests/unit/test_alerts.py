"""When an alert begins and ends: the bound, how long, ratios, what is not told, who is gone."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.monitoring import alerts
from labkit.monitoring.alerts import Alert
from labkit.monitoring.spec import Subject

BOX, HOST = Subject("alpha", "box", "lxc", "1"), Subject("alpha")
NAN = float("nan")


class Told:
    """A window whose last values are given."""

    def __init__(self, **metrics: dict[Subject, float]) -> None:
        self.metrics = metrics

    def latest(self, metric: str) -> dict[Subject, float]:
        return self.metrics.get(metric, {})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, in the hands of the test."""
    now = [1000.0]
    monkeypatch.setattr(alerts.time, "monotonic", lambda: now[0])
    return now


def alert(**words: Any) -> Alert:
    given = {"above": None, "below": None, "of": "", "for_s": 0.0, "machines": None, "call": None, **words}
    return Alert("it", given.pop("metric", "cpu"), **given)


def looked(made: Alert, clock: list[float], *values: float | None) -> list[bool]:
    """Whether what happened, second after second, begins or ends."""
    found = []
    for value in values:
        clock[0] += 1
        told = {} if value is None else {BOX: value}
        found += [event.begins for event in made.look(Told(cpu=told))]  # type: ignore[arg-type]
    return found


def test_it_tells_once_and_not_again(clock: list[float]) -> None:
    """However long it holds; and once more when it has ended."""
    made = alert(above=0.5)
    assert looked(made, clock, 0.1, 0.6, 0.9, 0.7) == [True]
    assert made.active == ["box"]
    assert looked(made, clock, 0.5, 0.1) == [False]
    assert looked(made, clock, 0.6) == [True]


def test_a_moment_is_not_long_enough(clock: list[float]) -> None:
    """It must hold without break for as long as was said."""
    made = alert(above=0.5, for_s=3)
    assert looked(made, clock, 0.6, 0.6, 0.1, 0.6, 0.6, 0.6) == []
    assert looked(made, clock, 0.6) == [True]


def test_below(clock: list[float]) -> None:
    """A bound may be the least."""
    assert looked(alert(below=0.5), clock, 0.6, 0.4, 0.6) == [True, False]


def test_what_is_not_told_changes_nothing(clock: list[float]) -> None:
    """An unknown value neither begins nor ends it."""
    made = alert(above=0.5)
    assert looked(made, clock, NAN, 0.6, NAN, NAN) == [True]


def test_who_is_gone_is_out_of_bounds_no_more(clock: list[float]) -> None:
    """A machine that is not read any more ends its alert, which says so."""
    made = alert(above=0.5)
    looked(made, clock, 0.6)
    [event] = made.look(Told())  # type: ignore[arg-type]
    assert not event.begins
    assert event.value is None
    assert "no readings" in event.sentence


def test_a_part_of_another_metric(clock: list[float]) -> None:
    """As with processors used of those that there are; without the whole there is no part."""
    made = alert(above=0.9, of="processors")
    assert made.look(Told(cpu={BOX: 1.9})) == []  # type: ignore[arg-type]
    [event] = made.look(Told(cpu={BOX: 1.9}, processors={BOX: 2.0}))  # type: ignore[arg-type]
    assert event.value == 0.95
    assert "95 %" in event.sentence
    assert clock


def test_hosts_only_where_they_are_named(clock: list[float]) -> None:
    """By default an alert is about machines; a host has it if it is named, and then nobody else."""
    told = Told(cpu={BOX: 1.0, HOST: 1.0})
    assert [event.subject for event in alert(above=0.5).look(told)] == [BOX]  # type: ignore[arg-type]
    of_host = alert(above=0.5, machines=frozenset({"alpha"}))
    assert [event.subject for event in of_host.look(told)] == [HOST]  # type: ignore[arg-type]
    assert clock


def test_bytes_are_said_as_people_do(clock: list[float]) -> None:
    """Units in the sentence."""
    made = alert(metric="memory", above=1 << 20, for_s=0)
    [event] = made.look(Told(memory={BOX: 3.0 * (1 << 20)}))  # type: ignore[arg-type]
    assert "3 MiB" in event.sentence
    assert "above 1 MiB" in event.sentence
    assert clock
