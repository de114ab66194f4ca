"""What a capture shows of itself, as text and as static HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._html import render
from ._values import format_size

if TYPE_CHECKING:
    from .networks._packets import Flow
    from .networks.capture import Capture

_SHOWN = 20
_MOST = 1000
_SIGNS = {False: ("→", "asks"), True: ("←", "answers")}


@dataclass(frozen=True, slots=True)
class _Line:
    """A flow in a table."""

    number: str
    sign: str
    way: str
    source: str
    destination: str
    protocol: str
    packets: int
    size: str
    first: str
    last: str
    about: str


def _end(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _lines(flows: Sequence[Flow]) -> list[_Line]:
    lines, before = [], 0
    for flow in flows:
        sign, way = _SIGNS[flow.answers]
        vlan = "" if flow.vlan is None else f" (VLAN {flow.vlan})"
        lines.append(
            _Line(
                str(flow.conversation) if flow.conversation != before else "", sign, way,
                _end(flow.source, flow.source_port), _end(flow.destination, flow.destination_port),
                f"{flow.protocol}{vlan}", flow.packets, format_size(flow.bytes), f"{flow.first_s:.3f}",
                f"{flow.last_s:.3f}", flow.about,
            )
        )  # fmt: skip
        before = flow.conversation
    return lines


def _cut(flows: Sequence[Flow]) -> int:
    """How many of the flows are shown at once; a conversation is not torn apart."""
    if len(flows) <= _SHOWN:
        return len(flows)
    return _SHOWN if flows[_SHOWN].conversation != flows[_SHOWN - 1].conversation else _SHOWN - 1


_COLUMNS = ("", "", "from", "to", "protocol", "packets", "size", "first", "last", "about")


def text(capture: Capture) -> str:
    """The capture as text: a sentence and a table."""
    flows = capture.flows
    shown = _cut(flows)
    rows = [_COLUMNS] + [
        (line.number, line.sign, line.source, line.destination, line.protocol, str(line.packets), line.size,
         line.first, line.last, _plain(line.about))
        for line in _lines(flows[:shown])
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    table = [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]  # fmt: skip
    more = [f"… and {len(flows) - shown} more flows"] if shown < len(flows) else []
    return "\n".join([capture.summary, *(table if flows else []), *more])


def _plain(words: str) -> str:
    """A guest's words without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "·" for letter in words)


def bundle(capture: Capture) -> dict[str, Any]:
    """The mime bundle of a capture."""
    flows = capture.flows
    shown = _cut(flows)
    html = render(
        "capture", capture=capture, lines=_lines(flows[:shown]), rest=_lines(flows[shown:_MOST]),
        left_out=max(0, len(flows) - _MOST),
    )  # fmt: skip
    return {"text/plain": text(capture), "text/html": html}
