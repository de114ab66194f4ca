"""The picture of a migration and its static forms: both downtimes on one time line, text that stays text."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree

import _wait
import pytest

from labkit._html_migration import migration_bundle
from labkit.errors import Cancelled, LabError
from labkit.operations import _timeline
from labkit.operations._client import ClientView, view
from labkit.operations._course import course_of
from labkit.operations.migration import Migration
from labkit.operations.spec import MigrationPlan, MigrationResult, MigrationSample, Obstacle
from labkit.widgets.migration import MigrationView

SVG = "{http://www.w3.org/2000/svg}"
EVIL = '</title><script>alert(1)</script>" onload="x" <b>&amp;]]> --\x1b\x00'
MIB = 2**20
BEGAN = 5000.0  # on a clock that begins anywhere
STOPPED, RESUMED = BEGAN + 3.2, BEGAN + 3.35


def seen(*, until_s: float = 4.0) -> ClientView:
    """A client every 5 ms that nobody answers from 3.2 s to 3.38 s, where eight requests are lost."""
    answers = []
    for number in range(int(until_s / 0.005)):
        sent = BEGAN + 0.5 + number * 0.005
        if STOPPED <= sent < STOPPED + 0.04:
            continue
        came = max(sent + 0.0004 + 0.0002 * (number % 7), STOPPED + 0.18 if STOPPED < sent < STOPPED + 0.18 else 0)
        answers.append((number, sent, came))
    found = view("alpha", int(until_s / 0.005), answers)
    assert found
    return found


def test_a_client_that_is_not_answered_any_more_has_its_gap() -> None:
    """When no answer comes after the last, the gap lasts until nothing was asked any more."""
    answers = [(number, number * 0.005, number * 0.005 + 0.001) for number in range(100)]
    found = view("alpha", 2100, answers, until_s=10.496)
    assert found
    assert found.lost == 2000
    assert found.longest_gap_ms == pytest.approx(10_000)
    assert found.gap_began_s == pytest.approx(0.496)


def samples() -> list[MigrationSample]:
    """Three seconds of a machine that writes, in two rounds."""
    return [
        MigrationSample(
            BEGAN + 0.6 + step * 0.05, "copying memory", total_bytes=140 * MIB, done_bytes=step * 3 * MIB,
            remaining_bytes=max(2, 140 - step * 3) * MIB, bytes_per_second=60 * MIB,
            dirty_bytes_per_second=7 * MIB if step > 20 else 0, round=1 + step // 40,
        ) for step in range(52)
    ]  # fmt: skip


def made_up(**changes: Any) -> Migration:
    """A migration that went well, as far as pictures look at it."""
    client = changes.pop("client", seen())
    name = changes.pop("name", "web")
    result = MigrationResult(name, "alpha", "beta", "live, memory over TLS", 4.2, 150, 160 * MIB, 2, client, "no one")
    words = {
        "machine": SimpleNamespace(name=name, engine="kvm"), "source": SimpleNamespace(name="alpha"),
        "destination": SimpleNamespace(name="beta"), "samples": samples(), "began_s": BEGAN, "ended_s": BEGAN + 4.2,
        "phases": [(BEGAN, "preparing"), (BEGAN + 0.6, "copying memory"), (BEGAN + 3.4, "settling")],
        "phase": "settling", "progress": samples()[-1], "is_done": True, "error": None, "result": result,
        "plan": MigrationPlan(name, "alpha", "beta", result.way, 61 * MIB, 0, 1.2, "3 moves"), "stopped_s": STOPPED,
        "resumed_s": RESUMED, "client_answers": list(client.answers) if client else [],
    }  # fmt: skip
    return cast("Migration", SimpleNamespace(**{**words, **changes}))


def titles(image: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(image).iter(f"{SVG}title")]


def words_of(image: str) -> str:
    return "\n".join("".join(each.itertext()) for each in ElementTree.fromstring(image).iter(f"{SVG}text"))


def bars(image: str) -> dict[str, tuple[float, float]]:
    """Of each bar: what its tooltip says up to its length, where it begins and how wide it is."""
    found = {}
    for group in ElementTree.fromstring(image).iter(f"{SVG}g"):
        for rect in group.iterfind(f"{SVG}rect[@class='lk-span']"):
            title = group.findtext(f"{SVG}title") or ""
            found[title.split(":")[0]] = float(rect.get("x", "")), float(rect.get("width", ""))
    return found


def test_both_downtimes_are_on_one_time_line() -> None:
    """What libvirt reports and what the client saw are bars at their time, as wide as they are long on that scale."""
    migration = made_up()
    image = _timeline.svg(course_of(migration), 900)
    said = words_of(image)
    gap = course_of(migration).gap
    assert gap
    assert gap.length_s == pytest.approx(seen().longest_gap_ms / 1000)
    assert "libvirt's downtime: 150 ms" in said
    assert f"the client's longest gap: {gap.length_s * 1000:.3g} ms" in said
    assert "stands still at alpha" in said
    assert "goes on at beta" in said
    found = bars(image)
    scale = (900 - 66 - 12) / 4.2
    left, across = found["libvirt's downtime"]
    assert left == pytest.approx(66 + 3.2 * scale, abs=0.2)
    assert across == pytest.approx(0.15 * scale, abs=0.2)
    left, across = found["the client's longest gap"]
    assert left == pytest.approx(66 + gap.began_s * scale, abs=0.2)
    assert across == pytest.approx(gap.length_s * scale, abs=0.2)
    marks = [each for each in ElementTree.fromstring(image).iter(f"{SVG}line") if each.get("class") == "lk-mark"]
    assert [float(each.get("x1", "")) for each in marks] == [
        pytest.approx(66 + at * scale, abs=0.2) for at in (3.35, 3.2)
    ]


def test_phases_lie_behind_as_bands() -> None:
    """Each phase is a band from its beginning to that of the next, and tells its length."""
    tree = ElementTree.fromstring(_timeline.svg(course_of(made_up())))
    bands = [each for each in tree.iter(f"{SVG}rect") if each.get("class") == "lk-band"]
    assert len(bands) == 4
    for one, other in itertools.pairwise(bands):
        assert float(one.get("x", "")) + float(one.get("width", "")) == pytest.approx(
            float(other.get("x", "")), abs=0.2
        )
    said = titles(_timeline.svg(course_of(made_up())))
    assert "copying memory: 2.75 s, from 0.600 s on" in said
    assert "finishing: 50 ms, from 3.350 s on" in said


def test_lost_requests_are_where_they_were_sent() -> None:
    """The eight that nobody answered are between those before and after, and counted."""
    course = course_of(made_up())
    assert len(course.lost_s) == seen().lost == 8
    assert all(3.19 <= at <= 3.25 for at in course.lost_s)
    assert "✖ 8 lost" in words_of(_timeline.svg(course))


def test_what_slows_it_down_is_said() -> None:
    """While auto-converge takes processor time from the machine the picture says how much."""
    slowed = [replace(each, throttled=0.35) for each in samples()]
    assert "slowed down by 35 %" in words_of(_timeline.svg(course_of(made_up(samples=slowed))))


def test_while_it_goes_on_what_may_yet_come_is_not_lost() -> None:
    """A request without an answer is not called lost for a second, nor is a usual pause a gap."""
    late = [(0, BEGAN + 1.0, BEGAN + 1.001), (1, BEGAN + 1.005, BEGAN + 1.006), (9, BEGAN + 1.045, BEGAN + 1.0355)]
    migration = made_up(is_done=False, result=None, client_answers=late, ended_s=0.0, stopped_s=0.0, resumed_s=0.0)
    assert course_of(migration).gap is None
    now = time.monotonic()
    shift = now - BEGAN - 1.1  # a moment ago
    migration.began_s = BEGAN + shift
    migration.client_answers[:] = [(number, sent + shift, came + shift) for number, sent, came in late]
    assert course_of(migration).lost_s == ()


@pytest.mark.parametrize("across", [0, 340, 560, 760, 1000, 5000])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"samples": [], "client": None, "phases": [(BEGAN, "preparing")], "stopped_s": 0.0, "resumed_s": 0.0},
        {"samples": [], "client": None, "result": None, "error": LabError("no"), "stopped_s": 0.0, "resumed_s": 0.0},
        {"ended_s": BEGAN},
        {"samples": [MigrationSample(BEGAN, "preparing")], "client": None},
        {"resumed_s": 0.0},
        {"stopped_s": 0.0},
        {"samples": samples() * 100},
    ],
)
def test_any_course_has_a_picture_within_its_borders(across: int, changes: dict[str, Any]) -> None:
    """Whatever is lacking, of any width: well-formed, nothing beyond the edges, no number that is none."""
    image = _timeline.svg(course_of(made_up(**changes)), across)
    tree = ElementTree.fromstring(image)
    _, _, wide, high = map(float, tree.get("viewBox", "").split())
    assert "nan" not in image
    assert "inf" not in image.replace("info", "")
    for each in tree.iter():
        for key, most in (("x", wide), ("x1", wide), ("x2", wide), ("y", high), ("y1", high), ("y2", high)):
            assert -0.1 <= float(each.get(key, "0")) <= most + 0.1, ElementTree.tostring(each)
    assert len(image) < 60_000


@pytest.mark.parametrize(
    ("error", "word"),
    [(Cancelled("it was cancelled", hint="again"), "cancelled"), (LabError("the host died"), "failed")],
)
def test_one_that_failed_says_why(error: LabError, word: str) -> None:
    """Sign, word, sentence and hint; the picture of how far it came is there; nothing of a result."""
    bundle = migration_bundle(made_up(result=None, error=error, resumed_s=0.0))
    html = bundle["text/html"]
    assert f"</span> {word}</span>" in html
    assert error.message in html
    assert error.hint in html
    assert "left to copy" in html
    assert "in all" not in html
    assert error.message in bundle["text/plain"]


def test_a_running_one_says_how_far_it_is() -> None:
    """Phase and percent, and no outcome yet."""
    bundle = migration_bundle(made_up(is_done=False, result=None, phase="copying memory", resumed_s=0.0))
    assert "copying memory 99 %" in bundle["text/html"]
    assert "moving</span>" in bundle["text/html"]
    assert "copying memory 99 %" in bundle["text/plain"]


def evil() -> list[dict[str, Any]]:
    """The bundles of everything, with markup wherever a guest, an engine or a user has a say."""
    migration = made_up(name=EVIL, phases=[(BEGAN, EVIL)], phase=EVIL)
    failed = made_up(name=EVIL, result=None, error=LabError(EVIL, hint=EVIL))
    moving = made_up(name=EVIL, result=None, is_done=False, phase=EVIL)
    for each in (migration, failed, moving):
        each.source.name = each.destination.name = EVIL
    client = ClientView(EVIL, 3, 1, 4.0, 1.0, ((0, 1.0, 1.1),))
    plan = MigrationPlan(
        EVIL, EVIL, EVIL, EVIL, MIB, MIB, 1.0, EVIL, (Obstacle(EVIL, EVIL), Obstacle(EVIL, EVIL, False))
    )
    results = [MigrationResult(EVIL, EVIL, EVIL, EVIL, 1, 1, 1, 1, seen_by, EVIL) for seen_by in (client, None)]
    shown = [each._repr_mimebundle_() for each in (plan, *results)]
    return [*(migration_bundle(each) for each in (migration, failed, moving)), *shown]


def test_text_stays_text() -> None:
    """Markup in names, phases, hints and errors adds no element and no attribute."""
    for bundle in evil():
        html = bundle["text/html"]
        assert "<script" not in html
        assert "<b>" not in html
        assert "alert(1)" in html
        if image := bundle.get("image/svg+xml"):
            tree = ElementTree.fromstring(image)
            assert not [key for each in tree.iter() for key in each.attrib if key.startswith("on")]
            assert {each.tag for each in tree.iter()} <= {
                SVG + name for name in ("svg", "g", "title", "rect", "text", "line", "path")
            }


def test_a_result_has_both_downtimes_side_by_side() -> None:
    """What libvirt reports and what the client saw, with what each is, and what was lost of how many."""
    result = made_up().result
    assert result
    bundle = result._repr_mimebundle_()
    for said in ("150 ms", "as libvirt reports it", "as a client saw it", "8 of 800", "160 MiB in 2 rounds", "4.2 s"):
        assert said in bundle["text/html"], said
        assert said in bundle["text/plain"], said


def test_a_result_without_a_client_says_why() -> None:
    """Nobody who watched: no number is made up."""
    result = made_up(client=None).result
    assert result
    bundle = result._repr_mimebundle_()
    assert "none: no one" in bundle["text/html"]
    assert "longest gap" not in bundle["text/html"]


def test_a_plan_says_what_stops_it_and_what_to_do() -> None:
    """Each obstacle has sign, word and hint; only one that stops it changes the verdict."""
    known, stops = Obstacle("it is read on the way", "leave out tls=False", stops=False), Obstacle("no room", "tidy up")
    plan = MigrationPlan("web", "alpha", "beta", "live", 61 * MIB, 12 * MIB, 1.23, "3 moves", (known,))
    html = plan._repr_mimebundle_()["text/html"]
    for said in ("can be moved", "should be known", "leave out tls=False", "61 MiB of memory and 12 MiB of disk"):
        assert said in html
    assert "about 1.23 s (from 3 moves)" in html
    stopped = MigrationPlan("web", "alpha", "beta", "live", 0, 0, 1, "3 moves", (known, stops))
    html = stopped._repr_mimebundle_()["text/html"]
    for said in ("cannot be moved so", "stops it", "no room", "tidy up", "next to nothing"):
        assert said in html


# The widget


def told(shown: MigrationView, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the widget told the front end something."""
    times: list[float] = []
    monkeypatch.setattr(shown, "_send", lambda *_, **__: times.append(time.monotonic()))
    return times


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("labkit-migration-")]


def test_the_widget_tells_once_a_second_and_ends_with_the_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much happens, one message a second; the last has the whole picture, then its thread is gone."""
    migration: Any = made_up(is_done=False, result=None, resumed_s=0.0, began_s=time.monotonic())
    result = made_up().result
    shown = MigrationView(migration)
    times = told(shown, monkeypatch)

    def happens() -> bool:
        migration.samples.append(replace(samples()[-1], time_s=time.monotonic()))
        migration.phase = f"phase {len(migration.samples)}"
        return len(times) >= 3

    _wait.until(happens, timeout_s=30)
    assert all(late - early > 0.9 for early, late in itertools.pairwise(times))
    assert "phase" in shown.now["doing"]
    migration.result, migration.ended_s = result, time.monotonic()
    migration.is_done = True
    _wait.until(lambda: not threads(), timeout_s=30)
    assert "as libvirt reports it" in shown.outcome
    assert shown.now["end"][2] == "moved"
    shown.close()


def test_a_closed_widget_leaves_no_thread() -> None:
    """Its thread ends with it, though the migration goes on; nobody cancels that."""
    migration: Any = made_up(is_done=False, result=None, cancel=lambda: pytest.fail("it was cancelled"))
    shown = MigrationView(migration)
    assert threads() == ["labkit-migration-web"]
    shown.close()
    _wait.until(lambda: not threads(), timeout_s=30)


def test_the_button_cancels_and_the_width_is_followed() -> None:
    """What the front end asks for: to take it back, and a picture for its room, within reason."""
    asked: list[str] = []
    migration: Any = made_up(is_done=False, result=None, cancel=lambda: asked.append("cancel"))
    shown = MigrationView(migration)
    shown._on_message(shown, {"ask": "cancel"}, [])
    assert asked == ["cancel"]
    for across, drawn in ((500, 500), (1, 340), (1e9, 1400), (float("inf"), 1400)):
        shown._on_message(shown, {"ask": "width", "across": across}, [])
        assert ElementTree.fromstring(shown.picture).get("viewBox", "").split()[2] == str(drawn)
    shown.close()
    assert "<script" not in shown.picture
