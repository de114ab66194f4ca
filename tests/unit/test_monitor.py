"""The dashboard: what it sends, whom it shows in which colour, and its static form."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import _wait
import nbformat
import numpy as np
import papermill
import pytest
from _feed import Feed, machine

from labkit.errors import InvalidValue, LabGone
from labkit.monitoring import METRICS, Subject
from labkit.monitoring._dashboard import COLOURS, GREY, MOST_OTHERS, MOST_POINTS, Choice, Dashboard, Line, Picture
from labkit.monitoring._scale import scale_for
from labkit.monitoring._words import amount
from labkit.widgets._figure import Figure
from labkit.widgets._monitor_view import MonitorView
from labkit.widgets.monitor import Monitor, _Ends

SVG = "{http://www.w3.org/2000/svg}"
FOUR = ("cpu", "memory", "disk", "network")
EVIL = '</title><script>alert(1)</script>" onload="x" <b>&amp;]]> --\x1b\x00'
HOSTS = [Subject("alpha"), Subject("beta")]


def feed_of(count: int) -> Feed:
    """So many machines on two hosts, at a moment that stands still."""
    return Feed([*(machine(number) for number in range(count)), *HOSTS], now=10_000.0)


def pictures(feed: Feed, most: int = 10, choice: Choice | None = None, seconds: float = 600) -> Iterator[Picture]:
    """What is shown each time that somebody looks."""
    dashboard, window = Dashboard(most, feed.has_ended), feed.window(seconds)
    while True:
        window.advance()
        yield dashboard.look(window, choice or Choice(FOUR, None))


def names(seen: Picture) -> list[str]:
    return [line.label for line in seen.lines]


def colours(seen: Picture) -> dict[str, str]:
    return {line.label: line.colour for line in seen.lines}


# Who is shown


def test_all_are_in_colour_if_there_is_room() -> None:
    """Ten machines have ten colours, hosts none; nobody is left over."""
    seen = next(pictures(feed_of(10)))
    assert sorted(names(seen)) == sorted(machine(number).machine for number in range(10))
    assert set(colours(seen).values()) == set(COLOURS)
    assert seen.others == 0
    assert not any(panel.others.size for panel in seen.panels)


def test_the_busiest_are_in_colour_and_the_others_one_grey_line() -> None:
    """Of fifty the ten that used most are in colour; forty are one line a panel, with gaps between them."""
    feed = feed_of(50)
    feed.busy = {machine(number): 5.0 for number in range(20, 30)}
    seen = next(pictures(feed))
    assert set(names(seen)) == {machine(number).machine for number in range(20, 30)}
    assert seen.others == 40
    for panel in seen.panels:
        assert len(panel.others) == len(panel.others_ages)
        ends = np.flatnonzero(np.diff(panel.others_ages) > 0)
        assert ends.size == 39
        assert np.isnan(panel.others[ends]).all()


def test_a_colour_stays_as_long_as_its_machine_is_shown() -> None:
    """Machines come, go and get busier; who stays in the picture has the colour that it had."""
    feed = feed_of(14)
    shown = pictures(feed, most=6)
    before = next(shown)
    for step in range(60):
        assert feed.now
        feed.now += 3
        feed.busy[machine(step % 14)] = 0.2 + step / 20
        if step == 30:
            feed.subjects = feed.subjects[2:]
        seen = next(shown)
        stayed = colours(before).keys() & colours(seen).keys()
        assert len(stayed) >= 3
        assert all(colours(before)[name] == colours(seen)[name] for name in stayed)
        before = seen


def test_machines_that_are_about_as_busy_do_not_take_turns() -> None:
    """Fourteen that differ by a few hundredths keep their places for ten minutes."""
    feed = feed_of(14)
    feed.busy = {machine(number): 0.5 + number / 1000 for number in range(14)}
    shown = pictures(feed, most=6)
    first = names(next(shown))
    for _ in range(120):
        assert feed.now
        feed.now += 5
        assert names(next(shown)) == first


def test_only_the_chosen_are_shown_hosts_too() -> None:
    """By name, by host and name, and hosts by their own; nobody else, in no colour."""
    choice = Choice(FOUR, ("web-0", "beta/db-1", "alpha", "nobody"))
    seen = next(pictures(feed_of(20), choice=choice))
    assert sorted(names(seen)) == ["alpha", "db-1", "web-0"]
    assert seen.others == 0
    assert seen.missing == ("nobody",)


def test_the_same_name_on_two_hosts_is_told_apart() -> None:
    """Their labels have the host, each has its own colour."""
    feed = Feed([machine(1, "alpha", "web"), machine(2, "beta", "web"), machine(3)], now=5000.0)
    seen = next(pictures(feed))
    assert sorted(names(seen)) == ["web on alpha", "web on beta", "web-3"]
    assert len(set(colours(seen).values())) == 3


def test_what_is_no_more_is_grey() -> None:
    """One whose readings stopped is grey and says so; one that was made anew is another line."""
    feed = feed_of(4)
    old, silent = machine(0), machine(1)
    new = Subject(old.host, old.machine, old.engine, "id-9")
    feed.subjects.append(new)
    feed.end = {old: 9900.0, silent: 9950.0}
    feed.begin = {new: 9920.0}
    seen = next(pictures(feed))
    told = {line.words: line.colour for line in seen.lines}
    assert told["web-0 (ended)"] == told["db-1 (no readings)"] == GREY
    assert told["web-0"] != GREY
    slots = {line.words: line.slot for line in seen.lines}
    cpu = seen.panels[0]
    assert np.isnan(cpu.lines[slots["web-0 (ended)"]][-99:]).all()
    assert np.isnan(cpu.lines[slots["web-0"]][:-101]).all()
    feed.gone = {silent}
    assert "db-1 (ended)" in [line.words for line in next(pictures(feed)).lines]


def test_what_has_ended_is_asked_of_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that its host does not list, or a host that does not answer, has ended; a mute engine is no end."""
    web = SimpleNamespace(name="web-0", engine="kvm")
    host = SimpleNamespace(is_alive=True, machines=lambda: [web])
    lab = SimpleNamespace(name="demo", metrics=feed_of(2), hosts={"alpha": host})
    ends = _Ends(lab)
    assert not ends.has_ended(machine(0))
    assert ends.has_ended(machine(2))
    assert ends.has_ended(machine(1)), "there is no host beta"
    monkeypatch.setattr("labkit.widgets.monitor._ASK_HOST_S", -1.0)
    host.machines = lambda: (_ for _ in ()).throw(LabGone("the daemon does not answer"))
    assert not ends.has_ended(machine(0))
    assert not _Ends(lab).has_ended(machine(0))
    host.is_alive = False
    assert ends.has_ended(machine(0))
    assert ends.has_ended(HOSTS[0])


# How lines are thinned


@pytest.mark.parametrize("count", [1, 3, 12, 50, 300])
@pytest.mark.parametrize("seconds", [60, 600, 3600])
def test_points_are_bounded(count: int, seconds: float) -> None:
    """Whatever is looked at, a picture has no more points than a screen can show."""
    seen = next(pictures(feed_of(count), most=30, seconds=seconds))
    in_colour = sum(len(row) for panel in seen.panels for row in panel.lines.values())
    assert in_colour <= MOST_POINTS * 1.1
    assert sum(len(panel.others) for panel in seen.panels) <= MOST_OTHERS * 1.3 + 4 * count * 4
    assert all(len(row) == len(seen.ages) for panel in seen.panels for row in panel.lines.values())


def test_thinned_lines_move_and_do_not_wobble() -> None:
    """A bucket's value does not change once it is over: it moves on with time, whole buckets at a time."""
    feed = feed_of(1)
    shown = pictures(feed, seconds=3600)
    rows: list[list[float]] = []
    for _ in range(40):
        rows.append(next(shown).panels[0].lines[0].tolist())
        assert feed.now
        feed.now += 1
    for before, after in itertools.pairwise(rows):
        assert after[2:-1] == before[2:-1] or after[2:-2] == before[3:-1]


def test_a_gap_stays_a_gap() -> None:
    """Where nothing was read for a while no value is drawn, thinned or not, live or static."""
    subject = machine(0)

    class Gap(Feed):
        def value(self, subject: Subject, metric: str, times: Any) -> Any:
            return np.where((times > 9700) & (times < 9800), np.nan, super().value(subject, metric, times))

    feed = Gap([subject], now=10_000.0)
    for seconds in (600, 3600):
        seen = next(pictures(feed, seconds=seconds))
        row = seen.panels[0].lines[0]
        inside = (seen.ages > 215) & (seen.ages < 285)
        assert inside.any()
        assert np.isnan(row[inside]).all()
        assert np.isfinite(row[(seen.ages < 190)]).all()
    monitor = Monitor(feed)
    root = ElementTree.fromstring(monitor._repr_mimebundle_()["image/svg+xml"])
    [line] = [each for each in panel_of(root, "cpu").iter(f"{SVG}path") if each.get("stroke") == COLOURS[0]]
    assert line.get("d", "").count("M") == 2


def test_a_reading_that_is_late_is_no_gap() -> None:
    """One second without a reading is drawn through, two are a gap."""

    class Late(Feed):
        def value(self, subject: Subject, metric: str, times: Any) -> Any:
            return np.where(np.isin(times, [9500, 9600, 9601]), np.nan, super().value(subject, metric, times))

    row = next(pictures(Late([machine(0)], now=10_000.0))).panels[0].lines[0]
    assert np.isfinite(row[100])
    assert np.isnan(row[[200, 201]]).all()
    assert np.isnan(row).sum() == 2


# Axes


@pytest.mark.parametrize(
    ("unit", "largest", "words", "top"),
    [
        ("bytes", 3 * 2**20, "MiB", 3), ("bytes/s", 130 * 1024, "KiB/s", 150), ("processors", 0.004, "processors", 0.1),
        ("", 0.43, "%", 60), ("seconds", 0.004, "ms", 4), ("bytes", 0, "MiB", 1), ("1/s", 12345, "per second", 15000),
    ],
)  # fmt: skip
def test_axes_begin_at_zero_and_end_round(unit: str, largest: float, words: str, top: float) -> None:
    """The unit fits, the end is a round number just above what is shown; nothing is blown up."""
    scale = scale_for(unit, largest)
    assert scale.ticks[0] == 0
    assert 3 <= len(scale.ticks) <= 6
    assert (scale.words, scale.top) == (words, pytest.approx(top))


def test_an_axis_does_not_twitch() -> None:
    """It stays while what is shown fills a good part of it, and follows when it does not."""
    scale = scale_for("bytes", 900 * 2**20)
    assert scale_for("bytes", 400 * 2**20, scale) is scale
    assert scale_for("bytes", 100 * 2**20, scale).top < scale.top
    assert scale_for("bytes", 1100 * 2**20, scale).words == "GiB"


def test_amounts_have_units() -> None:
    """Every unit of the metrics has words, and what is not known has none."""
    assert amount(1.5 * 2**20, "bytes/s") == "1.5 MiB/s"
    assert amount(0.256, "processors") == "0.256 processors"
    assert amount(math.nan, "bytes") == ""
    for metric in METRICS.values():
        assert amount(1.0, metric.unit)


# What is sent


class Sent:
    """What a view and its figure tell the front end."""

    def __init__(self, view: MonitorView, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times: list[float] = []
        self.figure: list[dict[str, Any]] = []
        self.view: list[dict[str, Any]] = []
        for widget, kept in ((view, self.view), (view._figure, self.figure)):
            monkeypatch.setattr(widget, "_send", self._keeper(kept))

    def _keeper(self, kept: list[dict[str, Any]]) -> Any:
        def keep(message: dict[str, Any], buffers: Any = None) -> None:
            if kept is self.figure:
                self.times.append(time.monotonic())
            kept.append(message["state"] | {"bytes": sum(each.nbytes for each in buffers or [])})

        return keep


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views have no thread: the test moves them on."""
    monkeypatch.setattr(MonitorView, "_follow", lambda _: None)


def test_an_update_is_one_message_of_y_values(still: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """With twelve lines of ten minutes: one message, in it what has changed: the y values, as numbers of 4 bytes."""
    feed = feed_of(3)
    view = Monitor(feed)._make_view()
    sent = Sent(view, monkeypatch)
    for _ in range(5):
        assert feed.now
        feed.now += 1
        view._try_to_show(fresh=True, asked=False)
    assert (len(sent.figure), len(sent.view)) == (5, 0)
    for state in sent.figure:
        assert list(state["_py2js_update"]["style_data"]) == ["y"]
        assert state["_py2js_update"]["layout_data"] == {}
        assert state["bytes"] == 12 * 601 * 4
        assert len(json.dumps(state, default=str)) < 5000
    view.close()


def test_nothing_new_is_no_message(still: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as no reading comes nothing is sent."""
    view = Monitor(feed_of(3))._make_view()
    sent = Sent(view, monkeypatch)
    for _ in range(5):
        view._try_to_show(fresh=True, asked=False)
    assert sent.figure == sent.view == []
    view.close()


def test_whatever_changes_there_are_two_messages(still: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that come, go or end, and all that can be chosen: one for the plots, one for words."""
    feed = feed_of(12)
    monitor = Monitor(feed)
    view = monitor._make_view()
    sent = Sent(view, monkeypatch)
    acts = [
        lambda: feed.subjects.append(machine(77)), lambda: feed.end.update({machine(0): 10_000.0}),
        lambda: monitor.choose(metrics=["cpu", "drops", "swap"]), lambda: monitor.choose(window="1 h"),
        lambda: monitor.choose(machines=["web-0", "alpha"]), lambda: monitor.hide(["alpha/web-0"]),
        lambda: monitor.say("web-3 is short of memory", "warning"), lambda: monitor.choose(machines=None),
        monitor.pause, monitor.resume,
    ]  # fmt: skip
    for act in acts:
        assert feed.now
        feed.now += 6
        act()
        view._try_to_show(fresh=True)
        assert len(sent.figure) == 1
        assert len(sent.view) <= 1
        sent.figure.clear()
        sent.view.clear()
    view.close()


def test_the_thread_updates_once_a_second_and_ends_with_the_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one update a second by a thread of its own, which is gone when the widget is closed."""
    monitor = Monitor(Feed([machine(1), machine(2)]))
    view = monitor._make_view()
    sent = Sent(view, monkeypatch)
    _wait.until(lambda: len(sent.figure) >= 3, timeout_s=60)
    times = sent.times.copy()
    assert all(late - early > 0.8 for early, late in itertools.pairwise(times))
    assert any(thread.name == "labkit-monitor" and thread.daemon for thread in threading.enumerate())
    monitor.close()
    _wait.until(lambda: not any(each.name == "labkit-monitor" for each in threading.enumerate()), timeout_s=30)


def test_a_pause_sends_nothing_and_the_picture_stands(still: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is paused no plots are sent and the static form stays; then all that came is there."""
    feed = feed_of(3)
    monitor = Monitor(feed)
    view = monitor._make_view()
    view.asked_pause(paused=True)
    view._try_to_show(fresh=False)
    assert view.paused
    before = monitor._repr_mimebundle_()
    sent = Sent(view, monkeypatch)
    for _ in range(3):
        assert feed.now
        feed.now += 10
        view._try_to_show(fresh=not monitor.paused, asked=False)
    assert sent.figure == sent.view == []
    assert monitor._repr_mimebundle_() == before
    view.asked_pause(paused=False)
    view._try_to_show(fresh=True)
    assert len(sent.figure) == 1
    assert monitor._repr_mimebundle_() != before
    view.close()


def test_what_nobody_sees_any_more_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the last view is gone nothing is read or sent; when one comes it goes on."""
    monitor = Monitor(Feed([machine(1)]))
    view = monitor._make_view()
    sent = Sent(view, monkeypatch)
    assert view._is_seen()  # it was never shown: its first view may be on its way
    view._view_count = 1
    assert view._is_seen()
    view._view_count = 0
    assert not view._is_seen()
    _wait.until(lambda: not view._lock.locked(), timeout_s=30)
    monkeypatch.setattr(monitor, "read", lambda: pytest.fail("it was read"))
    count = len(sent.figure)
    view._closed.wait(2.5)
    assert len(sent.figure) == count
    monitor.close()


def test_a_page_that_is_loaded_again_gets_the_figure_as_it_is(still: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole state has what was sent in updates: names, axes, values."""
    feed = feed_of(2)
    view = Monitor(feed)._make_view()
    state = view._figure.get_state()
    shown = [each for each in state["_widget_data"] if each["visible"]]
    assert [each["name"] for each in shown[:2]] == ["web-0", "db-1"]
    assert len(shown) == 8
    assert state["_widget_layout"]["xaxis"]["range"] == [600, 0]
    assert state["_py2js_update"] is None
    sent = Sent(view, monkeypatch)
    view._on_drawn(view._figure, {"drawn": True}, [])
    view._try_to_show(fresh=False)
    [update] = [each["_py2js_update"] for each in sent.figure]
    assert {"name", "visible", "line.color", "x0", "y"} <= set(update["style_data"])
    assert {"height", "xaxis.range", "yaxis2.tickvals"} <= set(update["layout_data"])
    view.close()


def test_all_plots_have_one_legend_and_a_click_hides_everywhere(still: None) -> None:
    """One that is hidden is in no plot, keeps its colour, and does not stretch the axis."""
    feed = feed_of(3)
    feed.busy = {machine(1): 50.0}
    monitor = Monitor(feed)
    view = monitor._make_view()
    assert [entry[1] for entry in view.legend] == ["cache-2", "web-0", "db-1"]
    top = view._figure._layout["yaxis"]["range"][1]
    view.asked_hide(["beta/db-1"])
    view._try_to_show(fresh=False)
    hidden = [each for each in view._figure._data if each.get("name") == "db-1"]
    assert len(hidden) == 4
    assert not any(each["visible"] for each in hidden)
    assert [entry[5] for entry in view.legend] == [False, False, True]
    assert view._figure._layout["yaxis"]["range"][1] < top / 5
    view.close()


def test_the_figure_is_small_on_narrow_pages(still: None) -> None:
    """Two columns where there is room, one below the other where there is not."""
    view = Monitor(feed_of(2))._make_view()
    domains = [view._figure._layout[f"xaxis{n}"]["domain"] for n in ("", 2)]
    assert domains[0][1] < domains[1][0]
    view.asked_width(float("inf"))
    view.asked_width(420)
    view._try_to_show(fresh=False)
    assert [view._figure._layout[f"xaxis{n}"]["domain"] for n in ("", 2)] == [[0.0, 1.0], [0.0, 1.0]]
    view.close()


def test_plotly_needs_no_more_than_an_update(still: None) -> None:
    """The figure's own update is what `batch_update` would have made of it."""
    figure = Figure([{"type": "scatter", "y": [1, 2]}], {"template": "none"})
    figure.redraw({0: {"y": np.array([3, 4], np.float32), "line.color": "#123456"}}, {"yaxis.range": [0, 5]})
    assert list(figure.data[0].y) == [3, 4]
    assert figure.data[0].line.color == "#123456"
    assert figure.layout.yaxis.range == (0, 5)
    figure.close()


# What can be asked


@pytest.mark.parametrize(
    "wrong",
    [
        {"metrics": ["cpu", "colour"]}, {"metrics": []}, {"window": "2 s"}, {"window": "2 d"}, {"window": "x"},
        {"most": 0}, {"most": 99}, {"most": True},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """An error with a hint of what would do."""
    with pytest.raises(InvalidValue) as caught:
        Monitor(feed_of(1), **wrong)
    assert caught.value.hint


def test_a_window_itself_can_be_watched(still: None) -> None:
    """What offers no windows but is one is drawn as it is."""
    window = feed_of(2).window(120)
    monitor = Monitor(window)
    assert "web-0" in monitor._repr_mimebundle_()["text/plain"]
    assert monitor.window_s == 120


def test_the_line_above_the_plots(still: None) -> None:
    """It has a sign, is in the static form, too, and goes away."""
    monitor = Monitor(feed_of(1))
    view = monitor._make_view()
    monitor.say("web-0 is short of processors", "warning")
    view._try_to_show(fresh=False)
    assert view.said == ["▲", "paused", "web-0 is short of processors"]
    bundle = monitor._repr_mimebundle_()
    assert "▲" in bundle["text/html"]
    assert "web-0 is short of processors" in bundle["text/plain"]
    monitor.say("")
    view._try_to_show(fresh=False)
    assert view.said == []
    with pytest.raises(InvalidValue):
        monitor.say("x", "loud")
    view.close()


# The static form


def panel_of(root: ElementTree.Element, metric: str) -> ElementTree.Element:
    [found] = [each for each in root.iter(f"{SVG}g") if each.get("class") == f"lk-panel lk-panel-{metric}"]
    return found


def test_the_static_form_has_every_panel_and_line() -> None:
    """One panel a metric with its title and unit; each machine's line in its colour, and one grey path."""
    seen = Monitor(feed_of(15), most=3, metrics=["cpu", "memory", "drops"])._repr_mimebundle_()
    root = ElementTree.fromstring(seen["image/svg+xml"])
    for metric in ("cpu", "memory", "drops"):
        panel = panel_of(root, metric)
        words = [each.text for each in panel.iter(f"{SVG}text")]
        assert METRICS[metric].title in words
        assert {"10 min", "5 min", "now", "0"} <= set(words)
        strokes = [each.get("stroke") for each in panel.iter(f"{SVG}path")]
        assert strokes == [GREY, *COLOURS[:3]]
    assert "12 others" in [each.text for each in root.iter(f"{SVG}text")]
    assert seen["text/html"].count("<svg") == 1
    rows = seen["text/plain"].splitlines()
    assert rows[0].split() == ["made-up", "cpu", "memory", "drops"]
    assert len(rows) == 5
    assert "processors" in rows[1]
    assert rows[-1] == "12 others"


def test_the_static_form_is_not_large() -> None:
    """Fifty machines are less than a quarter of a megabyte, and drawn in no time that a kernel would notice."""
    monitor = Monitor(feed_of(50))
    assert len(monitor._repr_mimebundle_()["text/html"]) < 250_000


def test_names_are_never_taken_for_markup() -> None:
    """Whatever a name holds, it is text: in SVG, HTML and plotly."""
    feed = Feed([Subject("alpha", EVIL, "kvm", "id-1"), machine(2)], name=EVIL, now=5000.0)
    monitor = Monitor(feed)
    monitor.say(EVIL, "failed")
    bundle = monitor._repr_mimebundle_()
    for form in ("image/svg+xml", "text/html"):
        assert "<script" not in bundle[form]
    root = ElementTree.fromstring(bundle["image/svg+xml"])
    assert not list(root.iter(f"{SVG}script"))
    assert "\x1b" not in bundle["text/plain"]
    view = monitor._make_view()
    assert not any("<" in str(each.get("name", "")) for each in view._figure._data)
    monitor.close()


def test_without_readings_it_says_so(still: None) -> None:
    """An empty lab has empty panels and a sentence, in each form."""
    monitor = Monitor(Feed([], now=5000.0), machines=["web"])
    bundle = monitor._repr_mimebundle_()
    assert "no readings yet" in bundle["text/plain"]
    assert "no readings" in bundle["image/svg+xml"]
    assert monitor._make_view().note == "no readings yet of web"
    monitor.close()


def test_one_that_is_closed_or_ended_keeps_its_last_picture() -> None:
    """When the lab is closed the picture stays as it was, and the thread ends."""

    lab = SimpleNamespace(closed=False, name="demo", metrics=feed_of(2), hosts={})
    monitor = Monitor(lab)
    before = monitor._repr_mimebundle_()["image/svg+xml"]
    view = monitor._make_view()
    lab.closed = True
    lab.metrics.now += 100
    view.wake()
    _wait.until(lambda: view.ended == "the lab was closed", timeout_s=30)
    assert monitor._repr_mimebundle_()["image/svg+xml"] == before
    _wait.until(lambda: not any(each.name == "labkit-monitor" for each in threading.enumerate()), timeout_s=30)
    monitor.close()


def test_importing_labkit_loads_neither_numpy_nor_plotly() -> None:
    """Nor does the package of the monitoring."""
    code = "import sys, labkit, labkit.lab, labkit.monitoring; print({'numpy', 'plotly', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "set()"


def test_a_line_says_whether_it_is_there() -> None:
    """The sign of what is not there is a word, not colour alone."""
    assert Line(0, machine(0), "web", "ended").words == "web (ended)"
    assert Line(0, machine(0), "web", "current").words == "web"


# Small plots


# In a notebook that nobody looks at

FEED = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from _feed import Feed, machine
from labkit.widgets.monitor import Monitor
feed = Feed([machine(0), machine(1)], now=5000.0)
monitor = Monitor(feed)
monitor
"""


@pytest.mark.parametrize("run", ["", "test"])
def test_after_a_headless_run_the_last_picture_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: str
) -> None:
    """Executed by papermill, the saved notebook has the picture as it was after the last cell, and no error."""
    monkeypatch.setenv("LABKIT_RUN", run)
    cells = [FEED, "feed.now += 300\nfeed.end[machine(1)] = 5200.0\nmonitor.say('it is over')", "1 + 1"]
    path, done = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(notebook, path)
    papermill.execute_notebook(path, done, progress_bar=False)
    executed = nbformat.read(done, 4)
    outputs = executed.cells[0].outputs
    static = next(each.data for each in outputs if "image/svg+xml" in each.data)
    assert "db-1 (no readings)" in static["text/plain"]
    assert "it is over" in static["text/html"]
    root = ElementTree.fromstring(static["image/svg+xml"])
    assert {COLOURS[0], GREY} <= {each.get("stroke") for each in panel_of(root, "memory").iter(f"{SVG}path")}
    if run:
        assert done.stat().st_size < 200_000
        assert "widgets" not in executed.metadata


def test_what_goes_wrong_is_said_once_and_it_goes_on(
    still: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Readings that cannot be had are a sentence above the picture that stands; when they come again it moves."""
    feed = feed_of(2)
    monitor = Monitor(feed)
    view = monitor._make_view()
    sent = Sent(view, monkeypatch)
    with monkeypatch.context() as broken:
        broken.setattr(monitor, "read", lambda: 1 // 0)
        for _ in range(3):
            view._try_to_show(fresh=True, asked=False)
        assert "this picture stands" in view.note
        assert len(caplog.records) == 1
        broken.setattr(monitor, "read", lambda: (_ for _ in ()).throw(LabGone("the lab has ended")))
        view._try_to_show(fresh=True, asked=False)
        assert view.note == "the lab has ended"
    assert sent.figure == []
    assert feed.now
    feed.now += 1
    view._try_to_show(fresh=True, asked=False)
    assert view.note == ""
    assert len(sent.figure) == 1
    monitor.close()
