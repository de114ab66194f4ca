"""The sampler's ticks: who is slow comes later, and holds nobody up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import _wait

from labkit.monitoring import _sampler
from labkit.monitoring._sampler import HostReader, Sampler
from labkit.monitoring.spec import Sample, Subject


class Slow(HostReader):
    """Reads when it is let."""

    def __init__(self, name: str, *, is_far: bool = False) -> None:
        self.let = threading.Event()
        super().__init__(SimpleNamespace(name=name, shares_files=not is_far))  # type: ignore[arg-type]

    def _read(self) -> Iterator[tuple[Subject, Sample]]:
        self.let.wait()
        self.let.clear()
        yield Subject(self.host.name), Sample(time.monotonic(), 0, 0, 0, 0, 0, 0)


def test_what_comes_late_is_not_lost(monkeypatch: Any) -> None:
    """A reading that takes longer than its tick is written with a later one, and none is begun beside it."""
    monkeypatch.setattr(_sampler, "_DEADLINE_S", 0.05)
    written: list[list[str]] = []
    slow, quick = Slow("slow"), Slow("quick")
    sampler: Any = Sampler.__new__(Sampler)
    sampler._readers, sampler._keep_s = {"slow": slow, "quick": quick}, 60
    sampler._store = SimpleNamespace(write=lambda found, _keep: written.append([each.host for each, _ in found]))
    quick.let.set()
    sampler.read_once(time.monotonic())
    quick.let.set()
    sampler.read_once(time.monotonic())
    slow.let.set()
    _wait.until(slow._done.is_set, "it has read")
    quick.let.set()
    sampler.read_once(time.monotonic())
    assert [sorted(names) for names in written] == [["quick"], ["quick"], ["quick", "slow"]]
    for reader in (slow, quick):
        reader.close()
        reader.let.set()


def test_who_is_slow_is_read_less_often(monkeypatch: Any) -> None:
    """A computer of its own that took long has time to work before it is asked again; of this one, nobody has."""
    monkeypatch.setattr(_sampler, "_MOST_OF_TIME", 1e-4)
    far, near = Slow("far", is_far=True), Slow("near")
    for reader in (far, near):
        assert reader.begin()
        time.sleep(0.05)  # so it has a rest of ten seconds
        reader.let.set()
        assert len(reader.take(time.monotonic() + 10)) == 1
        _wait.until(lambda one=reader: not one._wanted.is_set(), "it has read")
    assert not far.begin()
    assert near.begin()
    far._not_before_s = 0.0
    assert far.begin()
    for reader in (far, near):
        reader.let.set()
        reader.close()
