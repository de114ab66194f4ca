"""Progress: what is shown where."""

from __future__ import annotations

import pytest

from labkit._progress import progress


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
