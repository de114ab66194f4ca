"""From readings to metrics: rates, gaps, new beginnings, wraps, the ring of a live window, the store."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labkit.errors import InvalidValue
from labkit.monitoring import _frame, series
from labkit.monitoring._reckon import reckon
from labkit.monitoring._store import Store
from labkit.monitoring.metrics import _checked
from labkit.monitoring.series import Window
from labkit.monitoring.spec import FIELDS, METRICS, Sample, Subject

BOX = Subject("alpha", "box", "lxc", "1")
PLACE = {name: place for place, name in enumerate(METRICS)}


def reading(time_s: float, cpu: float = 0.0, **words: Any) -> Sample:
    """A reading; what is not given is 0, or not told."""
    return Sample(time_s, cpu, words.pop("memory_bytes", 0), 0, words.pop("written", 0), words.pop("received", 0), 0,
                  **words)  # fmt: skip


def fields(sample: Sample) -> list[float]:
    """A reading as the store gives it."""
    return [np.nan if (value := getattr(sample, name, None)) is None else float(value) for name in FIELDS]


def rate(before: Sample, after: Sample, metric: str) -> float:
    """A metric of two readings."""
    numbers = [np.array([fields(each)]) for each in (before, after)]
    return float(reckon(*numbers, np.array([after.time_s - before.time_s]))[0, PLACE[metric]])


def test_rates_gauges_and_means() -> None:
    """A rate is what a counter grew by in a second, a gauge what was read, a latency time for each request."""
    before = reading(10, 5, disk_requests=10, disk_seconds=1.0)
    after = reading(12, 6, memory_bytes=7, received=2000, disk_requests=14, disk_seconds=1.5)
    assert rate(before, after, "cpu") == 0.5
    assert rate(before, after, "network") == 1000
    assert rate(before, after, "memory") == 7
    assert rate(before, after, "disk_latency") == 0.125
    assert np.isnan(rate(before, after, "swap"))


def test_no_request_took_no_time() -> None:
    """Without requests their time is 0, not unknown."""
    same = {"disk_requests": 10, "disk_seconds": 1.0}
    assert rate(reading(1, **same), reading(2, **same), "disk_latency") == 0


def test_a_machine_that_began_anew_has_no_rate() -> None:
    """Its processor time went back: what its other counters grew by means nothing."""
    assert np.isnan(rate(reading(1, 50, received=10), reading(2, 1, received=500), "received"))


def test_one_counter_that_fell_is_no_rate_but_the_others_are() -> None:
    """A card that was taken away takes its bytes along; the processor's time goes on."""
    before, after = reading(1, 5, received=1000), reading(2, 6, received=10)
    assert np.isnan(rate(before, after, "received"))
    assert rate(before, after, "cpu") == 1


@pytest.mark.parametrize("wrap", [2**32, 2**64])
def test_counters_wrap(wrap: int) -> None:
    """A counter that was near its end and is near zero has gone on."""
    assert rate(reading(1, 1, received=wrap - 4096), reading(2, 1, received=4096), "received") == 8192


def test_a_gap_has_no_rate() -> None:
    """Over readings far apart nothing is averaged."""
    assert np.isnan(rate(reading(1, 1), reading(8, 2), "cpu"))


class Fed:
    """Metrics that are fed by a test."""

    def __init__(self) -> None:
        self.told: list[tuple[int, Subject, float, list[float]]] = []

    def feed(self, subject: Subject, sample: Sample) -> None:
        self.told.append((len(self.told) + 1, subject, sample.time_s, fields(sample)))

    def rows(self, after: int, since_s: float | None = None) -> list[tuple[int, Subject, float, list[float]]]:
        return [row for row in self.told if row[0] > after and (since_s is None or row[2] >= since_s)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, in the hands of the test."""
    now = [1000.5]
    monkeypatch.setattr(series.time, "monotonic", lambda: now[0])
    return now


def test_a_window_moves_on(clock: list[float]) -> None:
    """What is new comes in at its end, what is old leaves, seconds without a reading are nan."""
    fed = Fed()
    window = Window(fed, 10)  # type: ignore[arg-type]
    for second in range(30):
        clock[0] = 1000.5 + second
        if second not in (20, 21):
            fed.feed(BOX, reading(clock[0], cpu=second * 0.5))
        window.advance()
    values = window.values("cpu")[BOX]
    assert window.times[-1] == 1029
    assert len(values) == len(window.times) == 11
    # 19 s is the first in it; 20 and 21 were not read; over those two seconds the rate is still a mean.
    assert list(np.isnan(values)) == [second in (20, 21) for second in range(19, 30)]
    assert set(values[~np.isnan(values)]) == {0.5}


def test_long_steps_are_means(clock: list[float]) -> None:
    """A window with steps of 5 s has the mean of the readings in each."""
    fed = Fed()
    window = Window(fed, 20, 5)  # type: ignore[arg-type]
    for second in range(15):
        clock[0] = 1000.5 + second
        fed.feed(BOX, reading(clock[0], memory_bytes=second))
        window.advance()
    assert list(window.values("memory")[BOX][-3:]) == [2, 7, 12]


def test_who_is_not_read_any_more_leaves(clock: list[float]) -> None:
    """A machine that is gone is not current, and once its readings are too old it is not there."""
    fed = Fed()
    window = Window(fed, 10)  # type: ignore[arg-type]
    fed.feed(BOX, reading(clock[0]))
    window.advance()
    assert window.is_current(BOX)
    clock[0] += 6
    window.advance()
    assert window.subjects() == [BOX]
    assert not window.is_current(BOX)
    assert window.latest("memory") == {}
    clock[0] += 10
    window.advance()
    assert window.subjects() == []


def test_a_namesake_is_another(clock: list[float]) -> None:
    """A machine that was made again under the same name is not joined to the one before."""
    fed = Fed()
    window = Window(fed, 10)  # type: ignore[arg-type]
    again = Subject("alpha", "box", "lxc", "2")
    fed.feed(BOX, reading(999.5, cpu=1))
    fed.feed(again, reading(1000.5, cpu=2))
    window.advance()
    assert window.subjects() == [BOX, again]
    assert np.isnan(window.values("cpu")[again]).all()


def test_a_table_is_told_by_the_clock_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the wall's clock jumps, all times move with it and no rate does."""
    fed = Fed()
    now = time.monotonic()
    for second in range(5):
        fed.feed(BOX, reading(now - 5 + second, cpu=second * 0.25))
    before = _frame.frame(fed.told, ["cpu"], None, 0)  # type: ignore[arg-type]
    real = time.time
    monkeypatch.setattr(_frame.time, "time", lambda: real() + 3600)
    after = _frame.frame(fed.told, ["cpu"], None, 0)  # type: ignore[arg-type]
    jumped = (after["time"] - before["time"]).dt.total_seconds()
    assert jumped.between(3599, 3601).all()
    assert list(before["cpu"][1:]) == list(after["cpu"][1:]) == pytest.approx([0.25] * 4)
    assert np.isnan(before["cpu"][0])
    assert before.attrs["units"] == {"cpu": "processors"}


def test_a_table_of_chosen_machines() -> None:
    """Readings of others are left out, and rates are reckoned within each subject."""
    fed = Fed()
    other = Subject("alpha", "other", "lxc", "9")
    for second in range(3):
        fed.feed(BOX, reading(second, cpu=second))
        fed.feed(other, reading(second + 0.001, cpu=100 + 2 * second))
    table = _frame.frame(fed.told, ["cpu"], frozenset({"other"}), 0)  # type: ignore[arg-type]
    assert list(table["machine"]) == ["other"] * 3
    assert list(table["cpu"][1:]) == pytest.approx([2, 2])
    assert _frame.frame([], ["cpu"], None, 0).empty


def test_a_metric_that_there_is_not() -> None:
    """The error names those that there are."""
    with pytest.raises(InvalidValue, match="cpu, cpu_wait"):
        _checked(["cpus"])


# The store


def test_the_store_is_a_ring(tmp_path: Path) -> None:
    """Old readings leave, the file stays small, and a sampler that begins again goes on with it."""
    path = tmp_path / "metrics.sqlite"
    for begin in (0, 500):
        store = Store(path, write=True)
        for second in range(begin, begin + 500):
            store.write([(BOX, reading(second)), (Subject("alpha"), reading(second))], keep_s=60)
        store.close()
    reader = Store(path)
    times = sorted({row[2] for row in reader.read()})
    assert times == [float(second) for second in range(939, 1000)]
    assert {reader.subject(row[1]) for row in reader.read()} == {BOX, Subject("alpha")}
    assert len(reader.read(since_s=998)) == 4
    assert path.stat().st_size < 200_000


def test_the_store_reads_what_is_new(tmp_path: Path) -> None:
    """After the last number that is known, and nothing twice; what is not told comes back as None."""
    path = tmp_path / "metrics.sqlite"
    writer, reader = Store(path, write=True), Store(path)
    writer.write([(BOX, reading(1))], 60)
    seq, _, _, values = reader.read()[0]
    assert reader.read(seq) == []
    writer.write([(BOX, reading(2))], 60)
    assert [row[2] for row in reader.read(seq)] == [2]
    assert values[FIELDS.index("oom_kills")] is None


def test_a_full_disk_loses_a_tick_and_no_more(tmp_path: Path) -> None:
    """A tick that cannot be written is not there at all; the next one that can, is."""
    store = Store(tmp_path / "metrics.sqlite", write=True)
    file: sqlite3.Connection = store._file
    store.write([(BOX, reading(1))], 60)
    most = file.execute("PRAGMA page_count").fetchone()[0]
    file.execute(f"PRAGMA max_page_count = {most}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.write([(BOX, reading(2)) for _ in range(5000)], 60)
    file.execute("PRAGMA max_page_count = 100000")
    store.write([(BOX, reading(3))], 60)
    assert [row[2] for row in store.read()] == [1, 3]
