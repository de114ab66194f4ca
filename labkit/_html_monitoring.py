"""The static forms of a diagnosis, a forecast, and a list of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._html import render
from ._values import format_count

if TYPE_CHECKING:
    from .monitoring.bottleneck import Diagnosis, Finding
    from .monitoring.changes import ChangeList
    from .monitoring.forecast import Forecast

# Sign, colour and word.
_KINDS = {
    "errors": ("✖", "failed", "errors"), "saturation": ("!", "paused", "saturation"),
    "utilisation": ("▲", "busy", "utilisation"),
}  # fmt: skip
_CALM = ("✔", "running", "nothing is short")
_BLIND = ("?", "dim", "not judged")
_OUTLOOKS = {
    "fills": ("▲", "paused", "fills"), "full": ("✖", "failed", "full"), "later": ("✔", "running", "not soon"),
    "recedes": ("✔", "running", "does not fill"), "unlimited": ("✔", "running", "no limit"),
}  # fmt: skip
_UNTOLD = ("?", "dim", "no forecast")
_MOST_PLOTS = 20  # further findings are told without a plot


def diagnosis_bundle(found: Diagnosis) -> dict[str, Any]:
    """The mime bundle of a diagnosis."""
    from .monitoring._plot import finding_svg

    rows = [
        (finding, _KINDS[finding.kind], finding_svg(finding) if place < _MOST_PLOTS else "")
        for place, finding in enumerate(found.findings)
    ]
    verdict, end = _verdict(found), _KINDS[found[0].kind] if found else _CALM if found.judged else _BLIND
    html = render("diagnosis", verdict=verdict, end=end, rows=rows, unjudged=found.unjudged, scope=_scope(found))
    lines = [verdict, *(_line(finding) for finding in found)]
    lines += [f"? {each.why}" for each in found.unjudged]
    return {"text/plain": "\n".join(lines), "text/html": html}


def _verdict(found: Diagnosis) -> str:
    if not found.judged:
        return "Nothing was read: nothing can be judged"
    if not found:
        return f"Nothing is short: {_scope(found)}"
    names = list(dict.fromkeys(finding.subject.name for finding in found))
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"{format_count(len(found), 'bottleneck')}: {shown}"


def _scope(found: Diagnosis) -> str:
    machines = sum(bool(each.machine) for each in found.judged)
    hosts = len(found.judged) - machines
    return f"{format_count(machines, 'machine')} and {format_count(hosts, 'host')} looked at"


def _line(finding: Finding) -> str:
    sign, _, word = _KINDS[finding.kind]
    return f"{sign} {finding.resource} {word}: {finding.evidence}\n  → {finding.advice}"


def forecast_bundle(found: Forecast) -> dict[str, Any]:
    """The mime bundle of a forecast."""
    from .monitoring._plot import forecast_svg

    image = forecast_svg(found) if found.times.size > 1 else ""
    end = _OUTLOOKS.get(found.outlook, _UNTOLD)
    fan = f"{100 * found.confidence:.4g} %" if found.outlook == "fills" else ""
    html = render(
        "forecast", sentence=found.sentence[:1].upper() + found.sentence[1:], end=end, image=image, fan=fan,
        line=found.trend is not None,
    )  # fmt: skip
    return {"text/plain": f"{end[0]} {found.sentence}", "text/html": html}


def changes_bundle(found: ChangeList) -> dict[str, Any]:
    """The mime bundle of a list of changes."""
    from .monitoring._plot import changes_svg
    from .monitoring._words import about

    image = changes_svg(found) if found.times.size > 1 else ""
    now_s = float(found.times[-1]) if found.times.size else 0.0
    rows = [(f"{about(now_s - each.time_s)} before the last reading", each.sentence) for each in found]
    verdict = format_count(len(found), "change") if found else "No change that differs from noise"
    html = render("changes", rows=rows, verdict=verdict, image=image)
    lines = [verdict, *(f"{place}. {when}: {what}" for place, (when, what) in enumerate(rows, 1))]
    return {"text/plain": "\n".join(lines), "text/html": html}
