"""Small charts as SVG: axes, ticks, lines. Plain elements that need no script and follow light and dark.

Each colour is an attribute, for what knows no style sheets, and a style with the notebook's variable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from ._html import COLOURS
from .networks._picture import EDGE, INK, PAPER, SOFT, fit, plain, width

LETTERS = 11.0
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")
_INKS = {
    "ink": (INK, "--jp-ui-font-color1"), "paper": (PAPER, "--jp-layout-color1"), "soft": (SOFT, "--jp-layout-color2"),
    "edge": (EDGE, "--jp-border-color2"), **{name: (pair[0], f"--lk-{name}") for name, pair in COLOURS.items()},
}  # fmt: skip
Point = tuple[float, float]

__all__ = [
    "LETTERS", "Axis", "Point", "binary_unit", "byte_ticks", "decades", "draw", "fit", "line", "nice_ticks",
    "number", "path", "picture", "plain", "rect", "text", "titled", "width",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Axis:
    """From values to pixels; what is outside is drawn at the edge."""

    begin: float
    end: float
    first: float
    last: float

    def at(self, value: float) -> float:
        """Where `value` is drawn."""
        part = (value - self.begin) / (self.end - self.begin or 1)
        return self.first + min(1.0, max(0.0, part)) * (self.last - self.first)


def number(value: float) -> str:
    """A coordinate."""
    return f"{value:.1f}".removesuffix(".0")


def picture(across: float, down: float, label: str) -> Element:
    """An empty picture."""
    root = Element(
        "svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {number(across)} {number(down)}",
        width=number(across), height=number(down), role="img",
    )  # fmt: skip
    root.set("aria-label", plain(label))
    root.set("font-family", "var(--jp-ui-font-family, system-ui, 'DejaVu Sans', sans-serif)")
    rect(root, "paper", 0, 0, across, down)
    return root


def draw(parent: Element, tag: str, *, fill: str = "none", stroke: str = "", **looks: str) -> Element:
    """An element in these colours, which are names such as ``busy``."""
    styles = []
    made = SubElement(parent, tag)
    for name, colour in (("fill", fill), ("stroke", stroke)):
        if colour in _INKS:
            plain_colour, variable = _INKS[colour]
            made.set(name, plain_colour)
            styles.append(f"{name}: var({variable}, {plain_colour})")
        elif colour:
            made.set(name, colour)
    if styles:
        made.set("style", "; ".join(styles))
    for name, value in looks.items():
        made.set(name.replace("_", "-"), value)
    return made


def rect(parent: Element, fill: str, left: float, top: float, across: float, down: float, **looks: str) -> Element:
    """A filled rectangle."""
    place = {"x": left, "y": top, "width": max(0.0, across), "height": down}
    return draw(parent, "rect", fill=fill, **{key: number(value) for key, value in place.items()}, **looks)


def line(parent: Element, stroke: str, begin: Point, end: Point, **looks: str) -> Element:
    """A straight line."""
    place = {"x1": begin[0], "y1": begin[1], "x2": end[0], "y2": end[1]}
    return draw(parent, "line", stroke=stroke, **{key: number(value) for key, value in place.items()}, **looks)


def path(parent: Element, stroke: str, points: Sequence[Point], **looks: str) -> None:
    """A line through points; a single one is a dot."""
    if not points:
        return
    words = [f"{number(x)} {number(y)}" for x, y in points]
    thick = "1.5" if len(points) > 1 else "4"
    draw(
        parent, "path", stroke=stroke, d=f"M{'L'.join(words)}{'h0.1' if len(words) == 1 else ''}",
        **{"stroke_width": thick, "stroke_linejoin": "round", "stroke_linecap": "round", **looks},
    )  # fmt: skip


def text(parent: Element, words: str, x: float, y: float, fill: str = "ink", **looks: str) -> Element:
    """Words, with nothing in them that XML cannot hold."""
    made = draw(parent, "text", fill=fill, x=number(x), y=number(y), **{"font_size": number(LETTERS), **looks})
    made.text = plain(words)
    return made


def titled(parent: Element, words: str) -> Element:
    """A group with a tooltip."""
    group = SubElement(parent, "g")
    SubElement(group, "title").text = plain(words)
    return group


def nice_ticks(begin: float, end: float, most: int) -> list[float]:
    """At most `most` round numbers, evenly spaced, from `begin` to `end`."""
    step = _step((end - begin) / max(1, most))
    ticks, at = [], math.ceil(begin / step - 1e-9)
    while at * step <= end + step * 1e-9:
        ticks.append(at * step)
        at += 1
    return ticks


def _step(least: float) -> float:
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def binary_unit(most: float) -> tuple[float, str]:
    """The largest unit of bytes that fits into `most` of them: how many it has, and its name."""
    power = max(0, min(len(_BINARY) - 1, int(math.log(max(most, 1.0), 1024) + 1e-9)))
    return 1024.0**power, _BINARY[power]


def byte_ticks(most: float) -> list[float]:
    """Round numbers of bytes, in the largest unit that fits, from 0 to at least `most`."""
    if most <= 0:
        return [0, 2.0**20]
    unit, _ = binary_unit(most)
    step = _step(max(most, 1) / unit / 2.0) * unit
    return [step * count for count in range(max(1, math.ceil(most / step - 1e-9)) + 1)]


def decades(least: float, most: float) -> list[float]:
    """The powers of ten from below `least` to above `most`."""
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]
