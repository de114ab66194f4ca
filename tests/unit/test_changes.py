"""Where behaviour shifted: found where it did, and nothing found in noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from labkit.monitoring import Subject
from labkit.monitoring.changes import changes

Floats = NDArray[np.float64]
SEEDS = [pytest.param(30, id="30"), pytest.param(200, id="200", marks=pytest.mark.slow)]
MIB = 2.0**20


def noise(seed: int, count: int, rho: float) -> Floats:
    """Noise of a standard deviation of 1 that remembers `rho` of what it was."""
    draw = np.random.default_rng(seed)
    news = draw.normal(0, np.sqrt(1 - rho**2), count)
    return np.asarray(lfilter([1.0], [1.0, -rho], news, zi=[rho * draw.normal()])[0])


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("count", [120, 600])
def test_nothing_in_noise(rho: float, count: int, seeds: int) -> None:
    """White noise, and noise that remembers, has no change (measured: one in 1200 series, with a memory of 0.8)."""
    found = [changes(np.arange(count), noise(seed, count, rho)) for seed in range(seeds)]
    assert sum(map(bool, found)) <= (1 if rho == 0.8 else 0)


@pytest.mark.parametrize("seeds", SEEDS)
def test_nothing_in_a_random_walk(seeds: int) -> None:
    """What wanders is not cut into pieces (measured: none in 200 series)."""
    found = [changes(np.arange(600), noise(seed, 600, 0).cumsum()) for seed in range(seeds)]
    assert sum(map(bool, found)) <= 0.02 * seeds


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize(("rho", "within_s"), [(0.0, 5), (0.5, 10)])
def test_step_is_found_where_it_is(rho: float, within_s: float, seeds: int) -> None:
    """A step of three standard deviations is the one change, at most a few seconds off.

    Measured with 200 seeds: all found, 90 % of them within 1 s.
    """
    times = 5000.0 + np.arange(600)
    off = []
    for seed in range(seeds):
        found = changes(times, noise(seed, 600, rho) + 3 * (times >= 5300))
        assert len(found) == 1
        off.append(abs(found[0].time_s - 5300))
        assert found[0].after - found[0].before == pytest.approx(3, abs=0.6)
        assert " rose from " in found[0].sentence
    assert np.quantile(off, 0.9) <= 2
    assert np.quantile(off, 0.97) <= within_s


def test_late_step() -> None:
    """A step is found before half a minute has passed (measured: 199 of 200 series)."""
    times = np.arange(600.0)
    found = [changes(times, noise(seed, 600, 0) + 3 * (times >= 575)) for seed in range(20)]
    assert all(len(each) == 1 and abs(each[0].time_s - 575) <= 6 for each in found)


def test_bend() -> None:
    """Where something flat begins to grow is a change, told by its slopes."""
    times = np.arange(600.0)
    values = (50 + 0.2 * np.maximum(0, times - 300) + 0.5 * noise(1, 600, 0)) * MIB
    (found,) = changes(times, values).of("memory_used", Subject("alpha", "web"))
    assert found.time_s == pytest.approx(300, abs=12)
    assert found.is_bend
    assert found.sentence.startswith("the memory of web grows by 20")
    assert found.sentence.endswith("before that it is flat")


def test_bursts_and_gaps_are_no_change() -> None:
    """A burst of a few seconds and readings that are missing change nothing; a longer load is two changes."""
    times, values = np.arange(600.0), 10 + noise(2, 600, 0)
    values[200:204] += 30
    values[400:460] = np.nan
    kept = np.r_[0:300, 330:600]
    assert changes(times[kept], values[kept]) == []
    values[100:140] += 30
    found = changes(times[kept], values[kept])
    assert [round(each.time_s / 5) * 5 for each in found] == [100, 140]


def test_least_length() -> None:
    """What lasts for less than was asked is not told."""
    times, values = np.arange(600.0), 10 + noise(2, 600, 0)
    values[300:330] += 20
    assert [each.time_s for each in changes(times, values)] == [300, 330]
    assert changes(times, values, least_s=60) == []


@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_little_to_look_at(count: int) -> None:
    """No, one or a few readings, and such that never change, have no change and still show themselves."""
    found = changes(np.arange(count), np.full(count, 7.0))
    assert found == []
    assert found._repr_mimebundle_()["text/plain"] == "No change that differs from noise"


def test_shows_itself() -> None:
    """Each change is a line in the picture and a row below it."""
    times = np.arange(600.0)
    found = changes(times, (0.2 + 1.5 * (times > 300)) + 0.05 * noise(1, 600, 0)).of("cpu", Subject("alpha", "<b>"))
    bundle = found._repr_mimebundle_()
    assert bundle["text/plain"].startswith("1 change\n1. 5 min before the last reading: ")
    assert "the processor of <b> rose from 0.195 processors to 1.7" in bundle["text/plain"]
    assert "<b> rose" not in bundle["text/html"]
    assert bundle["text/html"].count("stroke-dasharray") == 1
