"""Progress: what is shown where."""

from __future__ import annotations

import threading
import time

import pytest
from _wait import until

from labkit._progress import Sink, Work, progress


def test_details_do_not_fill_a_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What changes all the time is left out of lines, its phase is not."""
    monkeypatch.setenv("LABKIT_PROGRESS", "lines")
    with progress("work") as task:
        task.phase("listening")
        for number in range(5):
            task.detail(f"{number} packets", number / 5)
        task.phase("reading")
    said = capsys.readouterr()
    assert [line for line in (said.out + said.err).splitlines() if "done in" not in line] == [
        "work: listening …", "work: reading …",
    ]  # fmt: skip


def test_details_of_a_part_are_shown_by_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work inside of other work may tell details, too."""
    monkeypatch.setenv("LABKIT_PROGRESS", "off")
    with progress("whole") as whole, progress("part") as part:
        part.detail("7 packets", 0.5)
        assert "7 packets" in vars(whole).values()


def test_only_what_takes_long_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A quick piece of work shows nothing; one that goes on is shown, also after another one could not be."""
    monkeypatch.setenv("LABKIT_PROGRESS", "lines")
    monkeypatch.setattr(threading, "excepthook", lambda _told: None)

    def cannot_be_shown(_work: Work) -> Sink:
        raise OSError

    def said() -> str:
        told = capsys.readouterr()
        return told.out + told.err

    with progress("quick", quiet_s=0.2):
        pass
    broken = Work("broken", 0.05, cannot_be_shown, None)
    time.sleep(0.4)
    broken.end("done")
    assert not said()
    with progress("slow", quiet_s=0.05) as task:
        task.phase("going on")
        until(lambda: "slow: going on" in said(), "it is shown")
