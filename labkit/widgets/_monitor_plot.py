"""A dashboard's picture in plotly's words: which traces and which layout, and what of them has changed.

All panels and places are there from the beginning and are shown as they are needed, so that whatever
changes, the figure follows in one message.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

from ..monitoring._dashboard import GREY, Line, Panel, Picture
from ..monitoring._lines_svg import ago_ticks

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 26, 24
_PLOT, _BETWEEN, _ASIDE = 132, 54, 58  # pixels: of a panel, and between panels
_NARROW = 560  # pixels: below that, one column
FONT = "var(--jp-ui-font-family, system-ui, sans-serif)"


class Plot:
    """What plotly is to show, and what it was told of that already.

    Parameters
    ----------
    panels, places
        How many metrics and how many machines in colour there can be.
    """

    def __init__(self, panels: int, places: int) -> None:
        self._panels = panels
        self._places = places
        self._traces: dict[int, dict[str, Any]] = {}
        self._layout: dict[str, Any] = {}

    def start(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """An empty figure with room for everything."""
        traces: list[dict[str, Any]] = [
            {
                "type": "scatter", "uid": f"panel{panel}place{place}", "mode": "lines", "visible": False,
                "connectgaps": False, "y": [],
                "line": {"width": 1.6 if place else 1, "simplify": True}, "opacity": 1 if place else 0.4,
                "hoverinfo": "all" if place else "skip", "xaxis": f"x{_suffix(panel)}", "yaxis": f"y{_suffix(panel)}",
            }
            for panel in range(self._panels) for place in range(self._places + 1)
        ]  # fmt: skip
        layout: dict[str, Any] = {
            "template": "none", "autosize": True, "showlegend": False, "dragmode": False, "hovermode": "x unified",
            "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "hoverdistance": 20,
            "font": {"size": 11, "color": GREY, "family": FONT},
            "margin": {"l": _LEFT, "r": _RIGHT, "t": _TOP, "b": _BOTTOM},
            "annotations": [
                {
                    "text": "", "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom",
                    "showarrow": False, "yshift": 3, "font": {"size": 12}, "visible": False,
                }
                for _ in range(self._panels)
            ],
        }  # fmt: skip
        for panel in range(self._panels):
            layout[f"xaxis{panel + 1}"] = {
                "anchor": f"y{_suffix(panel)}", "fixedrange": True, "showgrid": False, "zeroline": False,
                "visible": False, "ticks": "outside", "ticklen": 4, "tickcolor": "rgba(0,0,0,0)",
                "spikethickness": 1, "spikedash": "solid",
                "unifiedhovertitle": {"text": "%{x:.0f} s ago"},
            }  # fmt: skip
            layout[f"yaxis{panel + 1}"] = {
                "anchor": f"x{_suffix(panel)}", "fixedrange": True, "zeroline": False, "visible": False,
                "gridcolor": "rgba(128,128,128,0.3)", "gridwidth": 1,
            }  # fmt: skip
        return traces, layout

    def forget(self) -> None:
        """All is to be told anew."""
        self._traces.clear()
        self._layout.clear()

    def changes(
        self, seen: Picture, hidden: frozenset[int], across: float
    ) -> tuple[dict[int, dict[str, Any]], dict[str, Any]]:
        """What of traces and layout plotly does not know yet; the lines always."""
        traces: dict[int, dict[str, Any]] = {}
        for panel in range(self._panels):
            shown = seen.panels[panel] if panel < len(seen.panels) else None
            for place, (small, data) in enumerate(self._panel_traces(seen, shown, hidden)):
                number = panel * (self._places + 1) + place
                new = _new(self._traces.setdefault(number, {}), small) | data
                if new:
                    traces[number] = new
        return traces, _new(self._layout, dict(self._all_layout(seen, across)))

    def _panel_traces(
        self, seen: Picture, panel: Panel | None, hidden: frozenset[int]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """For each place, that of the others first: what changes rarely, and the data."""
        if panel is None or not panel.others.size:
            yield {"visible": False}, {}
        else:
            looks = {"visible": True, "line.color": GREY}
            yield looks, {"x": panel.others_ages, "y": panel.others}
        lines = {line.slot: line for line in seen.lines}
        for slot in range(self._places):
            if panel is None or slot not in lines or slot not in panel.lines or slot in hidden:
                yield {"visible": False}, {}
            else:
                yield self._looks(lines[slot], panel, seen), {"y": panel.lines[slot]}

    def _looks(self, line: Line, panel: Panel, seen: Picture) -> dict[str, Any]:
        name = html.escape(line.words)
        step = float(seen.ages[-2]) if len(seen.ages) > 1 else 1.0
        return {
            "visible": True, "name": name, "line.color": line.colour, "line.dash": line.dash,
            "x0": float(seen.ages[0]), "dx": -step, "hovertemplate": f"%{{y:.3~g}} {panel.scale.words}",
        }  # fmt: skip

    def _all_layout(self, seen: Picture, across: float) -> Iterator[tuple[str, Any]]:
        columns = 1 if across < _NARROW or len(seen.panels) == 1 else 2
        rows = max(1, -(-len(seen.panels) // columns))
        inner = rows * _PLOT + (rows - 1) * _BETWEEN
        yield "height", inner + _TOP + _BOTTOM
        for number in range(self._panels):
            x, y = f"xaxis{_suffix(number)}", f"yaxis{_suffix(number)}"
            there = number < len(seen.panels)
            for axis in (x, y):
                yield f"{axis}.visible", there
                if not there:
                    yield f"{axis}.domain", [0, 0.001]  # it would lie over the others, where the pointer is
            yield f"annotations[{number}].visible", there
            if there:
                wide = max(200.0, across - _LEFT - _RIGHT)
                column, row = number % columns, number // columns
                left, right = _part(column, columns, _ASIDE / wide)
                above, below = _part(row, rows, _BETWEEN / inner)
                yield f"{x}.domain", [left, right]
                yield f"{y}.domain", [1 - below, 1 - above]
                yield from self._axes(x, y, seen, seen.panels[number])
                yield from _title(number, seen.panels[number], left, 1 - above)

    def _axes(self, x: str, y: str, seen: Picture, panel: Panel) -> Iterator[tuple[str, Any]]:
        marks = ago_ticks(seen.seconds)
        yield f"{x}.range", [seen.seconds, 0]
        yield f"{x}.tickvals", [at for at, _ in marks]
        yield f"{x}.ticktext", [words for _, words in marks]
        yield f"{y}.range", [0, panel.scale.top * 1.02]  # a line at the very top is whole
        yield f"{y}.tickvals", list(panel.scale.ticks)
        yield f"{y}.ticktext", [f"{tick:g}" for tick in panel.scale.ticks]


def _title(number: int, panel: Panel, left: float, above: float) -> Iterator[tuple[str, Any]]:
    words = "no readings" if panel.is_empty else panel.unit
    yield f"annotations[{number}].text", f"<b>{panel.metric.title}</b>   {words}"
    yield f"annotations[{number}].x", left
    yield f"annotations[{number}].y", above


def _suffix(panel: int) -> str:
    """Plotly's name of the axes of a panel: none for the first one."""
    return str(panel + 1) if panel else ""


def _part(index: int, count: int, gap: float) -> tuple[float, float]:
    """Where one of `count` equal parts begins and ends, with a `gap` between them, from 0 to 1."""
    size = (1 - gap * (count - 1)) / count
    begin = index * (size + gap)
    return max(0.0, begin), min(1.0, begin + size)


def _new(known: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What of `now` is not `known` yet; then it is."""
    new = {name: value for name, value in now.items() if name not in known or known[name] != value}
    known |= new
    return new
