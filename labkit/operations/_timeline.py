"""The picture of a migration: small multiples over one time line, as SVG.

Above, what is left to copy, how fast it is copied and how fast the machine writes; what a client
was answered; and, on the same time line, how long the machine stood still as was reported and as
the client saw it. That moment is short, so it is shown magnified below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from xml.etree.ElementTree import Element, tostring

from .._chart import (
    LETTERS,
    Axis,
    byte_ticks,
    decades,
    draw,
    fit,
    line,
    nice_ticks,
    number,
    path,
    picture,
    rect,
    text,
    titled,
    width,
)  # fmt: skip
from .._html import SIGNS
from .._values import format_count, format_duration, format_size
from ._course import Answer, Course, Span

WIDTH, NARROWEST, WIDEST = 760, 340, 1400
_LEFT, _RIGHT = 66, 12
_TITLE = 18  # the line above a panel
_GAP = 13  # between panels
_BAR = 17  # a row with a bar and its words
_LEAST_BAR = 2.0
_MAGNIFY_FROM = 3.0  # a moment that is so many times shorter than the whole is magnified
_LEAST_SPAN_S = 0.02
_CLIENT = "net3"
_HALO = {"stroke": "paper", "stroke_width": "3", "stroke_opacity": "0.8", "paint_order": "stroke"}  # over lines


def summary(course: Course) -> str:
    """The picture in a sentence."""
    words = [f"{course.machine} from {course.source} to {course.destination} in {format_duration(course.length_s)}"]
    if course.downtime:
        words.append(f"{course.reporter} {format_duration(course.downtime.length_s)}")
    if course.gap:
        words.append(f"the client's longest gap {format_duration(course.gap.length_s)}")
    if course.lost_s:
        words.append(f"{format_count(len(course.lost_s), 'request')} not answered")
    return ", ".join(words)


def svg(course: Course, across: int = WIDTH) -> str:
    """The picture, so many pixels wide, as an SVG element."""
    across = min(WIDEST, max(NARROWEST, across))
    return tostring(_Timeline(course, across).root, encoding="unicode")


class _Timeline:
    """The picture while it is drawn, from top to bottom."""

    def __init__(self, course: Course, across: int) -> None:
        self.course = course
        self.root = picture(across, 10, summary(course))
        self.time = Axis(0, course.length_s, _LEFT, across - _RIGHT)
        self.y = 4.0
        ground = draw(self.root, "g")  # what lies behind the panels; it is filled once their height is known
        self._phase_names()
        top = self.y
        self._marks_names()
        if course.samples or not course.done:  # at rest nothing is copied
            self._panel("left to copy", 74, self._remaining)
            self._panel("a second", 66, self._speeds)
        if course.answers or course.lost_s:
            self._panel("round trip of a client", 62, self._answers)
        if self._rows() or not course.done:
            self._panel("pauses", 0, self._spans)
        self._time_axis()
        self._bands(ground, top, self.y - LETTERS - 8)
        self._marks(ground, top, self.y - LETTERS - 8)
        moment = _moment(course)
        if moment:
            self._magnified(moment)
        self.y += 4
        self.root.set("viewBox", f"0 0 {across} {number(self.y)}")
        self.root.set("height", number(self.y))
        self.root[0].set("height", number(self.y))

    # What is behind

    def _phase_spans(self) -> list[tuple[str, Span]]:
        ends = [began for began, _ in self.course.phases[1:]] + [self.course.length_s]
        return [
            (name, Span(began, max(0.0, end - began)))
            for (began, name), end in zip(self.course.phases, ends, strict=False)
        ]

    def _phase_names(self) -> None:
        """A row with the phases, named where there is room."""
        self.y += LETTERS
        for name, span in self._phase_spans():
            left, right = self.time.at(span.began_s), self.time.at(span.end_s)
            if right - left > min(width(name, LETTERS), 60) + 6:
                words = fit(name, right - left - 6, LETTERS)
                text(self.root, words, (left + right) / 2, self.y, "dim", text_anchor="middle")
        self.y += 5

    def _bands(self, ground: Element, top: float, bottom: float) -> None:
        for index, (name, span) in enumerate(self._phase_spans()):
            left, right = self.time.at(span.began_s), self.time.at(span.end_s)
            group = titled(ground, f"{name}: {format_duration(span.length_s)}, from {span.began_s:.3f} s on")
            colour = "soft" if index % 2 == 0 else "paper"
            shade = rect(group, colour, left, top, right - left, bottom - top, fill_opacity="0.6")
            shade.set("class", "lk-band")

    def _mark_words(self) -> list[tuple[float, str, str]]:
        marks = [
            (self.course.resumed_s, "running", f"{SIGNS['running'][0]} goes on at {self.course.destination}"),
            (self.course.stopped_s, "paused", f"{SIGNS['paused'][0]} stands still at {self.course.source}"),
        ]
        return [(at, colour, words) for at, colour, words in marks if at is not None]

    def _marks_names(self) -> None:
        """What the vertical lines mean: one row each, the later above, so that no line crosses words."""
        for at, colour, whole in self._mark_words():
            x, words = self.time.at(at), fit(whole, self.time.last - self.time.first, LETTERS)
            self.y += LETTERS + 3
            wide = width(words, LETTERS)
            on_left = x - 4 - wide >= self.time.first
            start = x - 4 if on_left else min(x + 4, self.time.last - wide)
            text(self.root, words, start, self.y, colour, text_anchor="end" if on_left else "start")
        self.y += 4 if self._mark_words() else 0

    def _marks(self, ground: Element, top: float, bottom: float) -> None:
        for row, (at, colour, words) in enumerate(self._mark_words()):
            x = self.time.at(at)
            group = titled(ground, f"{words}, at {at:.3f} s")
            line(
                group, colour, (x, top + row * (LETTERS + 6)), (x, bottom), stroke_width="1.2", stroke_dasharray="3 2"
            ).set("class", "lk-mark")

    # The panels

    def _panel(self, title: str, height: float, fill: Callable[[float, float], None]) -> None:
        """A title, a frame, and in it what `fill` draws between its top and its bottom."""
        self.y += _GAP + 2
        text(self.root, title, self.time.first + 4, self.y, "dim")
        self.y += 5
        top = self.y
        self.y += height
        fill(top, self.y)

    def _legend(self, top: float, title: str, entries: Iterable[tuple[str, str]]) -> None:
        """What each line is, in its colour, beside the panel's title."""
        x = self.time.first + 4 + width(title, LETTERS) + 14
        for words, colour in entries:
            shown = fit(words, self.time.last - x, LETTERS)
            text(self.root, shown, x, top - 5, colour, **_HALO)
            x += width(words, LETTERS) + 14

    def _grid(self, ticks: Sequence[float], axis: Axis, say: Callable[[float], str]) -> None:
        for tick in ticks:
            y = axis.at(tick)
            line(self.root, "edge", (self.time.first, y), (self.time.last, y))
            text(self.root, say(tick), self.time.first - 5, y + 4, "dim", text_anchor="end")

    def _remaining(self, top: float, bottom: float) -> None:
        samples = [each for each in self.course.samples if each.total_bytes]
        ticks = byte_ticks(max((each.remaining_bytes for each in samples), default=0))
        axis = Axis(0, ticks[-1], bottom, top)
        self._grid(ticks, axis, format_size)
        if samples:
            now = samples[-1]
            words = f"{format_size(now.remaining_bytes)} of {format_size(now.total_bytes)}"
            self._legend(top, "left to copy", [(f"{words}{_rounds(now.round)}", "busy")])
        points = [(self.time.at(each.time_s), axis.at(each.remaining_bytes)) for each in samples]
        path(self.root, "busy", points)

    def _speeds(self, top: float, bottom: float) -> None:
        samples = self.course.samples
        most = max((max(each.bytes_per_second, each.dirty_bytes_per_second) for each in samples), default=0)
        ticks = byte_ticks(most)
        axis = Axis(0, ticks[-1], bottom, top)
        self._grid(ticks, axis, format_size)
        measured = [each for each in samples if each.dirty_bytes_per_second]
        entries = [("— copied", "busy")] + [("┄ written by the machine", "net2")] * bool(measured)
        if samples and samples[-1].throttled:
            entries.append((f"slowed down by {samples[-1].throttled:.0%}".replace("%", " %"), "paused"))
        self._legend(top, "a second", entries)
        copied = [(self.time.at(each.time_s), axis.at(each.bytes_per_second)) for each in samples]
        written = [(self.time.at(each.time_s), axis.at(each.dirty_bytes_per_second)) for each in measured]
        path(self.root, "busy", copied)
        path(self.root, "net2", written, stroke_dasharray="5 3")

    def _answers(self, top: float, bottom: float) -> None:
        """Each answer's round trip, on a logarithmic scale, as far as pixels tell them apart; the gap; the lost."""
        trips = [max(came - sent, 1e-5) for _, sent, came in self.course.answers] or [1e-3]
        ticks = decades(min(trips), max(trips))
        low, high = math.log10(ticks[0]), math.log10(ticks[-1])
        axis = Axis(low, high, bottom, top)
        self._grid([math.log10(tick) for tick in _not_too_many(ticks)], axis, lambda tick: format_duration(10.0**tick))
        if self.course.gap:
            self._gap_band(self.course.gap, self.time, top, bottom)
        d = "".join(
            f"M{number(x)} {number(axis.at(math.log10(low)))}V{number(axis.at(math.log10(high)) - 0.6)}"
            for x, low, high in _columns(self.course.answers, self.time)
        )
        draw(self.root, "path", stroke=_CLIENT, stroke_width="1.6", d=d or f"M{_LEFT} {number(bottom)}")
        self._lost_ticks(self.time, bottom - 7, bottom)
        lost = len(self.course.lost_s)
        entries = [(f"{format_count(len(self.course.answers), 'answer')}", _CLIENT)]
        entries += [(f"✖ {lost} lost", "failed")] if lost else []
        self._legend(top, "round trip of a client", entries)

    def _gap_band(self, gap: Span, axis: Axis, top: float, bottom: float) -> None:
        left, right = axis.at(gap.began_s), axis.at(gap.end_s)
        group = titled(self.root, f"the client's longest gap: {format_duration(gap.length_s)}")
        across = max(_LEAST_BAR, right - left)
        rect(group, "failed", left, top, across, bottom - top, fill_opacity="0.22").set("class", "lk-gap")

    def _lost_ticks(self, axis: Axis, top: float, bottom: float) -> None:
        inside = (at for at in self.course.lost_s if axis.begin <= at <= axis.end)
        places = sorted({round(axis.at(at)) for at in inside})
        if places:
            d = "".join(f"M{x} {number(top)}V{number(bottom)}" for x in places)
            draw(titled(self.root, "requests that nobody answered"), "path", stroke="failed", stroke_width="1.2", d=d)

    # How long it stood still

    def _rows(self) -> list[tuple[str, str, Span]]:
        course = self.course
        rows = [(course.reporter, "paused", course.downtime), ("the client's longest gap", "failed", course.gap)]
        return [(words, colour, span) for words, colour, span in rows if span]

    def _spans(self, top: float, _bottom: float) -> None:
        rows = self._rows()
        if not rows:
            text(self.root, "not known yet", self.time.first + 4 + width("pauses", LETTERS) + 14, top - 5, "dim")
        for words, colour, span in rows:
            self._span(f"{words}: {format_duration(span.length_s)}", colour, span, self.time)

    def _span(self, words: str, colour: str, span: Span, axis: Axis) -> None:
        """A bar, and its words where there is room: left of it, right of it, or in it."""
        left, right = axis.at(span.began_s), axis.at(span.end_s)
        right = max(right, left + _LEAST_BAR)
        group = titled(self.root, f"{words}, from {span.began_s:.3f} s on")
        rect(group, colour, left, self.y + 3, right - left, _BAR - 6, rx="1.5").set("class", "lk-span")
        wide = width(words, LETTERS)
        if left - 6 - wide >= axis.first:
            text(group, words, left - 6, self.y + 12.5, colour, text_anchor="end", **_HALO)
        elif right + 6 + wide <= axis.last:
            text(group, words, right + 6, self.y + 12.5, colour, **_HALO)
        else:
            self.y += _BAR - 4
            shown = fit(words, axis.last - axis.first, LETTERS)
            text(group, shown, min(left, axis.last - width(shown, LETTERS)), self.y + 12.5, colour, **_HALO)
        self.y += _BAR

    # The time axes

    def _time_axis(self) -> None:
        self._ticks(self.time, self.y + 4)
        self.y += 8 + LETTERS + 4

    def _ticks(self, axis: Axis, y: float) -> None:
        line(self.root, "edge", (axis.first, y), (axis.last, y))
        ticks = nice_ticks(axis.begin, axis.end, max(2, int((axis.last - axis.first) / 80)))
        digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9)) if len(ticks) > 1 else 3
        for tick in ticks:
            x = axis.at(tick)
            line(self.root, "dim", (x, y), (x, y + 4))
            words = f"{tick:.{digits}f} s"
            half = width(words, LETTERS) / 2
            text(self.root, words, min(x, axis.last + _RIGHT - half), y + 4 + LETTERS, "dim", text_anchor="middle")

    # The moment, magnified

    def _magnified(self, moment: Span) -> None:
        """From the moment's place on the time line above, two lines open to a time axis of its own."""
        axis = Axis(moment.began_s, moment.end_s, self.time.first, self.time.last)
        top = self.y + 14
        for at, to in ((moment.began_s, axis.first), (moment.end_s, axis.last)):
            line(self.root, "dim", (self.time.at(at), self.y - LETTERS - 8), (self.time.at(at), self.y))
            line(self.root, "dim", (self.time.at(at), self.y), (to, top), stroke_dasharray="1 2")
        self.y = top
        behind = draw(self.root, "g")
        self._dots("asked", [sent for _, sent, _ in self.course.answers], axis, lost=True)
        self._dots("answered", [came for _, _, came in self.course.answers], axis)
        for _, colour, span in self._rows():
            self._span(format_duration(span.length_s), colour, span, axis)
        rect(behind, "none", axis.first, top, axis.last - axis.first, self.y + 4 - top)
        for at, colour, words in self._mark_words():
            x = axis.at(at)
            line(
                titled(behind, f"{words}, at {at:.3f} s"), colour, (x, top), (x, self.y + 4),
                stroke_width="1.2", stroke_dasharray="3 2",
            )  # fmt: skip
        self._ticks(axis, self.y + 4)
        self.y += 8 + LETTERS + 4

    def _dots(self, words: str, times: Iterable[float], axis: Axis, *, lost: bool = False) -> None:
        """A row with a tick for each time."""
        if not self.course.answers:
            return
        text(self.root, words, axis.first - 5, self.y + 13, "dim", text_anchor="end")
        places = sorted({round(axis.at(at), 1) for at in times if axis.begin <= at <= axis.end})
        top, bottom = self.y + 4, self.y + 14
        d = "".join(f"M{number(x)} {number(top)}V{number(bottom)}" for x in places)
        if d:
            draw(self.root, "path", stroke=_CLIENT, stroke_width="1.4", d=d)
        if lost:
            self._lost_ticks(axis, top, bottom)
        self.y += _BAR


def _rounds(count: int) -> str:
    return f", round {count}" if count > 1 else ""


def _not_too_many(ticks: Sequence[float]) -> Sequence[float]:
    """Every second decade where there are more than four."""
    return ticks if len(ticks) <= 4 else ticks[::2]


def _columns(answers: Sequence[Answer], axis: Axis) -> list[tuple[float, float, float]]:
    """For each two pixels the shortest and the longest round trip of what came there."""
    found: dict[int, tuple[float, float]] = {}
    for _, sent, came in answers:
        trip, column = max(came - sent, 1e-5), round(axis.at(came) / 2)
        low, high = found.get(column, (trip, trip))
        found[column] = min(low, trip), max(high, trip)
    return [(2.0 * column, low, high) for column, (low, high) in sorted(found.items())]


def _moment(course: Course) -> Span | None:
    """What is worth magnifying: all that is known of when it stood still, with a little before and after."""
    spans = [span for span in (course.downtime, course.gap) if span]
    marks = [at for at in (course.stopped_s, course.resumed_s) if at is not None]
    if not marks and not course.downtime:
        return None
    begin = min([span.began_s for span in spans] + marks)
    end = max([span.end_s for span in spans] + marks)
    length = max(end - begin, _LEAST_SPAN_S)
    begin, end = max(0.0, begin - 0.4 * length), min(course.length_s, end + 0.4 * length)
    if end <= begin or (end - begin) * _MAGNIFY_FROM > course.length_s:
        return None
    return Span(begin, end - begin)
