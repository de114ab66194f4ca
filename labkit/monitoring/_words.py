"""Numbers with their units, and what they are of, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._values import format_duration, format_size
from .spec import METRICS, Subject

_RESOURCES = {
    "cpu": "processor", "busy": "processor", "memory": "memory", "memory_used": "memory", "disk_used": "disk",
}  # fmt: skip


def about(seconds: float) -> str:
    """A duration in as few words as are meant: ``4 min``, ``2 h 10 min``."""
    grain = next(grain for least, grain in ((14400, 600), (600, 60), (150, 10), (0, 1)) if seconds >= least)
    words = format_duration(round(seconds / grain) * grain)
    return "0 s" if words == "0 ms" else words


def amount(value: float, unit: str) -> str:
    """A value with its unit, in at most three significant digits; nothing if it is not known."""
    if not math.isfinite(value):
        return ""
    sign, size = ("−" if value < 0 else ""), abs(value)
    if unit in {"bytes", "bytes/s"}:
        return f"{sign}{format_size(size)}{unit.removeprefix('bytes')}"
    if unit == "seconds":
        return f"{sign}{format_duration(size)}"
    if unit == "processors":
        return f"{sign}{size:.3g} {'processor' if size == 1 else 'processors'}"
    if not unit:
        return f"{sign}{100 * size:.3g} %"
    shown = f"{size:.3g}" if size >= 0.001 or not size else f"{size:.3f}"
    return f"{sign}{shown}{'/s' if unit == '1/s' else f' {unit}'}"


def growth(per_s: float, unit: str) -> str:
    """What something grows by, in the length of time in which that is a number one can read."""
    least = 2.0**10 if unit.startswith("bytes") else 0.01
    names = ((1.0, "s"), (60.0, "min"), (3600.0, "h"))
    length, name = next((each for each in names if abs(per_s) * each[0] >= least), names[0 if per_s == 0 else -1])
    return f"{amount(per_s * length, unit)}/{name}"


def called(metric: str, subject: Subject | None) -> str:
    """``the memory of web``."""
    what = _RESOURCES.get(metric) or (METRICS[metric].title if metric in METRICS else metric)
    if not what:
        return subject.name if subject else "it"
    return f"the {what} of {subject.name}" if subject else f"the {what}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """``a, b and c``; of many, the first ones and how many more."""
    shown = list(names[: most if len(names) <= most else most - 1])
    rest = len(names) - len(shown)
    if rest:
        return f"{', '.join(shown)} and {rest} more"
    return " and ".join([", ".join(shown[:-1])] * (len(shown) > 1) + shown[-1:])
