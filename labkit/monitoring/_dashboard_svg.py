"""The static form of a dashboard: the same small multiples as SVG, and the last values as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from .._chart import LETTERS, Axis, draw, fit, line, number, picture, plain, text, titled, width
from .._html import SIGNS, render
from .._values import format_count
from ._dashboard import CURRENT, GREY, Line, Panel, Picture
from ._lines_svg import ago, ago_ticks, path_of
from ._words import amount

ACROSS = 860
_LEFT, _RIGHT, _GAP, _PLOT, _TITLE, _FOOT, _ROW = 48.0, 10.0, 18.0, 104.0, 22.0, 22.0, 18.0
_MOST_POINTS = 180  # of a line in colour: about one for each two pixels
_MOST_IN_GREY = 2400  # of all lines in grey of a panel
_DASHES = {"dash": "6 4", "dot": "2 3"}
KINDS = {"info": ("●", "busy"), "good": ("✔", "running"), "warning": ("▲", "paused"), "failed": SIGNS["failed"]}


def bundle(seen: Picture, title: str, said: tuple[str, str] = ("", "")) -> dict[str, Any]:
    """The picture as SVG, as HTML, and the last values as text."""
    image = svg(seen, title)
    sign, colour = KINDS.get(said[1], KINDS["info"])
    words = f"the last {ago(seen.seconds)}"
    html = render(
        "monitor", title=plain(title), words=words, image=image, said=plain(said[0]), sign=sign, colour=colour
    )
    return {"text/plain": table(seen, title, said), "image/svg+xml": image, "text/html": html}


def table(seen: Picture, title: str, said: tuple[str, str] = ("", "")) -> str:
    """The last value of each metric of each machine that is in colour."""
    rows = [[plain(title), *(panel.metric.name for panel in seen.panels)]]
    rows += [[plain(each.words), *(_now(panel, each) for panel in seen.panels)] for each in seen.lines]
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(room) for cell, room in zip(row, wide, strict=True)).rstrip() for row in rows]
    lines += [_others(seen)] * bool(seen.others) + [plain(said[0])] * bool(said[0])
    return "\n".join(lines if seen.lines else [*lines, "no readings yet"])


def _now(panel: Panel, each: Line) -> str:
    return (amount(panel.last.get(each.slot, float("nan")), panel.metric.unit) if each.state == CURRENT else "") or "–"


def _others(seen: Picture) -> str:
    return format_count(seen.others, "other")


def svg(seen: Picture, title: str) -> str:
    """The picture as an SVG file."""
    return tostring(_Drawing(seen, title).root, encoding="unicode")


class _Drawing:
    """Two columns of panels below a legend."""

    def __init__(self, seen: Picture, title: str) -> None:
        self.seen = seen
        self.root = picture(ACROSS, 10, f"monitor of {title}")
        self.y = 4.0
        self._legend()
        columns = 2 if len(seen.panels) > 1 else 1
        across = (ACROSS - _GAP * (columns - 1)) / columns
        for index, panel in enumerate(seen.panels):
            left = (index % columns) * (across + _GAP)
            self._panel(panel, left, left + across, self.y + index // columns * (_TITLE + _PLOT + _FOOT))
        self.y += -(-len(seen.panels) // columns) * (_TITLE + _PLOT + _FOOT) + 4
        self.root.set("viewBox", f"0 0 {ACROSS} {number(self.y)}")
        self.root.set("height", number(self.y))
        self.root[0].set("height", number(self.y))

    def _entries(self) -> Iterator[tuple[str, str, str]]:
        """What is in the legend: words, colour, dash."""
        for each in self.seen.lines:
            yield each.words, each.colour, each.dash
        if self.seen.others:
            yield _others(self.seen), GREY, "solid"

    def _legend(self) -> None:
        x, entries = 4.0, list(self._entries())
        if not entries:
            text(self.root, "no readings yet", x, self.y + 12, "dim")
        for words, colour, dash in entries:
            shown = fit(words, 200, LETTERS)
            room = 26 + width(shown, LETTERS)
            if x > 4 and x + room > ACROSS:
                x, self.y = 4.0, self.y + _ROW
            group = titled(self.root, words)
            self._stroke(group, colour, f"M{number(x)} {number(self.y + 8)}h16", dash, "2.5")
            text(group, shown, x + 21, self.y + 12)
            x += room + 12
        self.y += _ROW + 2

    def _stroke(self, parent: Element, colour: str, d: str, dash: str, thick: str, **looks: str) -> None:
        made = draw(parent, "path", stroke=colour, d=d, stroke_width=thick, stroke_linejoin="round", **looks)
        if dash in _DASHES:
            made.set("stroke-dasharray", _DASHES[dash])

    def _panel(self, panel: Panel, left: float, right: float, top: float) -> None:
        group = SubElement(self.root, "g")
        group.set("class", f"lk-panel lk-panel-{panel.metric.name}")
        first, last, above, below = left + _LEFT, right - _RIGHT, top + _TITLE, top + _TITLE + _PLOT
        text(group, panel.metric.title, first, top + 14, font_weight="600")
        after = first + width(panel.metric.title, LETTERS) * 1.12 + 8
        text(group, fit(panel.unit, max(0.0, last - after), LETTERS), after, top + 14, "dim")
        axis = Axis(0, panel.scale.top, below, above)
        time = Axis(-self.seen.seconds, 0, first, last)
        for tick in panel.scale.ticks:
            line(group, "edge", (first, axis.at(tick)), (last, axis.at(tick)), stroke_width="0.7")
            text(group, f"{tick:g}", first - 6, axis.at(tick) + 4, "dim", text_anchor="end")
        for at, words in ago_ticks(self.seen.seconds):
            anchor = "start" if at == self.seen.seconds else "middle" if at else "end"
            text(group, words, time.at(-at), below + 14, "dim", text_anchor=anchor)
        self._lines(group, panel, time, axis)

    def _lines(self, group: Element, panel: Panel, time: Axis, axis: Axis) -> None:
        if panel.others.size:
            d = path_of(panel.others_ages, panel.others, max(12, _MOST_IN_GREY // self.seen.others), time, axis)
            self._stroke(titled(group, _others(self.seen)), GREY, d or "M0 0", "solid", "1", stroke_opacity="0.45")
        for each in self.seen.lines:
            if each.slot in panel.lines:
                d = path_of(self.seen.ages, panel.lines[each.slot], _MOST_POINTS, time, axis)
                now = amount(panel.last[each.slot], panel.metric.unit)
                words = f"{each.words}: {now}" if now and each.state == CURRENT else each.words
                if d:
                    self._stroke(titled(group, words), each.colour, d, each.dash, "1.5", stroke_linecap="round")
        if panel.is_empty:
            text(group, "no readings", time.first + 8, axis.last + 16, "dim")
