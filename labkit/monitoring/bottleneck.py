"""Which machine or host is short of what, since when, on which evidence, and what would help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .._html import ENGINES
from ._blame import grounds, most
from ._judge import Held, Readings, applies, held, unit_of, untold
from ._stretches import Floats
from ._words import about, amount, listed
from .rules import RULES, SEVERITY, SILENT_S, Kind, Resource, Rule
from .spec import METRICS, Subject

if TYPE_CHECKING:
    import pandas as pd

_KEYS = ("host", "machine", "engine", "identity")
_NEXT_S = 2.5  # what was told by so much later is of another round of readings


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a machine or host is short of.

    Attributes
    ----------
    subject
        The machine or host.
    rule
        What has found it.
    since_s, until_s
        Seconds on the monotonic clock from which on it holds, and of the last reading.
    value
        What the rule looked at, as `threshold` is told: a part of a whole, or in the metric's unit.
    evidence, advice
        What is seen, with numbers and units, and what would help.
    culprit
        Who uses most of a host, if that is known.
    times, values
        What the rule looked at, over time.
    """

    subject: Subject
    rule: Rule
    metric: str
    since_s: float
    until_s: float
    value: float
    evidence: str
    advice: str
    culprit: Subject | None = None
    times: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    values: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    def __str__(self) -> str:
        return self.evidence

    @property
    def resource(self) -> Resource:
        """What it is short of."""
        return self.rule.resource

    @property
    def kind(self) -> Kind:
        """How that shows."""
        return self.rule.kind

    @property
    def threshold(self) -> float:
        """From which value on the rule holds."""
        return self.rule.threshold

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return Diagnosis((self,), (), (self.subject,), self.until_s)._repr_mimebundle_()


@dataclass(frozen=True, slots=True)
class Unjudged:
    """What could not be judged of whom, and why."""

    subjects: tuple[Subject, ...]
    metric: str
    why: str


@dataclass(frozen=True, slots=True)
class Diagnosis(Sequence[Finding]):
    """The findings, the most severe first; it is false if there are none.

    Attributes
    ----------
    findings
        What somebody is short of.
    unjudged
        What could not be judged, because nothing is told of it.
    judged
        The machines and hosts that were looked at.
    at_s
        Seconds on the monotonic clock, of the last reading.
    """

    findings: tuple[Finding, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()
    judged: tuple[Subject, ...] = ()
    at_s: float = float("nan")

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Finding, ...]: ...
    def __getitem__(self, index: int | slice) -> Finding | tuple[Finding, ...]:
        return self.findings[index]

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def of(self, name: str) -> tuple[Finding, ...]:
        """The findings about the machine or host of that name."""
        return tuple(finding for finding in self.findings if finding.subject.name == name)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html_monitoring import diagnosis_bundle

        return diagnosis_bundle(self)


def diagnose(frame: pd.DataFrame, *, rules: Sequence[Rule] = RULES) -> Diagnosis:
    """Who is short of what, as of the last reading.

    Parameters
    ----------
    frame
        What `lab.metrics.frame` gives: a row for each reading, with ``time_s``, ``host``, ``machine``, ``engine``,
        ``identity``, and a column for each metric; what is not told may be NaN or missing.
    rules
        What counts as being short.
    """
    told = _readings(frame)
    if not told:
        return Diagnosis()
    now_s = max(float(each.times[-1]) for each in told)
    current = [each for each in told if each.times[-1] >= now_s - SILENT_S and not _is_replaced(each, told)]
    shared = grounds(current)
    found = [
        _finding(rule, readings, hold, current, shared)
        for readings in current
        for rule in rules
        if applies(rule, readings.subject)
        and not _is_told_by_another(rule, readings.subject, shared)
        and (hold := held(rule, readings, now_s))
    ]
    unjudged = (*_silent(told, current, now_s), *_untold(rules, current))
    return Diagnosis(tuple(sorted(found, key=_order)), unjudged, tuple(each.subject for each in current), now_s)


def _readings(frame: pd.DataFrame) -> list[Readings]:
    """The readings of each subject; one that was made anew under the same name is another."""
    metrics = [name for name in METRICS if name in frame.columns]
    found = []
    for key, rows in frame.groupby(list(_KEYS), sort=True, dropna=False):
        rows = rows.sort_values("time_s", kind="stable")  # noqa: PLW2901 - the same rows
        columns = {name: rows[name].to_numpy(dtype=float) for name in metrics}
        kept = {name: column for name, column in columns.items() if np.isfinite(column).any()}
        words = ("" if each is None or each != each else str(each) for each in key)  # noqa: PLR0124 - NaN
        found.append(Readings(Subject(*words), rows["time_s"].to_numpy(dtype=float), kept))
    return found


def _is_replaced(one: Readings, told: list[Readings]) -> bool:
    """Whether a machine of its name has been told of since: made anew, or on another host."""
    return any(
        other.subject.machine == one.subject.machine != "" and other.times[-1] > one.times[-1] + _NEXT_S
        for other in told
    )


def _is_told_by_another(rule: Rule, subject: Subject, shared: dict[str, tuple[str, ...]]) -> bool:
    """Whether another host of the same machine tells of what they share."""
    together = shared.get(subject.host, ())
    return not subject.machine and rule.resource is not Resource.NETWORK and together[:1] != (subject.host,)


def _finding(
    rule: Rule, readings: Readings, hold: Held, current: list[Readings], shared: dict[str, tuple[str, ...]]
) -> Finding:
    subject, unit = readings.subject, unit_of(hold.metric)
    total = readings.last(rule.whole) if rule.whole else float("nan")
    together = (subject.host,) if rule.resource is Resource.NETWORK else shared.get(subject.host, (subject.host,))
    blame = most(rule, readings, hold, [each for each in current if each.subject.host in together])
    words = {
        "value": f"{hold.amount:.3g}" if unit == "processors" and rule.whole else amount(hold.amount, unit),
        "total": amount(total, unit) if rule.whole else "", "part": f"{hold.value:.0%}".replace("%", " %"),
        "count": _counted(hold.value), "over": about(rule.over_s),
    }  # fmt: skip
    until_s = float(readings.times[-1])
    whose = listed(together) if not subject.machine else subject.name
    evidence = f"{whose}: {rule.evidence.format(**words)}{_how_long(rule, hold, until_s)}{blame.words}"
    return Finding(
        subject, rule, hold.metric, hold.since_s, until_s, hold.value, evidence, rule.advice, blame.who, hold.times,
        hold.values,
    )  # fmt: skip


def _counted(count: float) -> str:
    return "a process" if round(count) == 1 else f"{round(count)} processes"


def _how_long(rule: Rule, hold: Held, until_s: float) -> str:
    if rule.counted:
        return ""
    return f", for {'at least ' if hold.from_start else ''}{about(until_s - hold.since_s)}"


def _order(finding: Finding) -> tuple[int, bool, float, Subject]:
    """The most severe kind first, hosts before machines, and who is further beyond the threshold before others."""
    excess = finding.value / finding.threshold
    return SEVERITY.index(finding.kind), bool(finding.subject.machine), -excess, finding.subject


def _silent(told: list[Readings], current: list[Readings], now_s: float) -> list[Unjudged]:
    """Who tells nothing any more; who was replaced or has moved is not missed."""
    there = {each.subject.name for each in current}
    gone = [each for each in told if each.subject.name not in there]
    return [
        Unjudged((each.subject,), "", f"nothing was read of {each.subject.name} for {about(now_s - each.times[-1])}")
        for each in gone
    ]


def _untold(rules: Sequence[Rule], current: list[Readings]) -> list[Unjudged]:
    """What is told of nobody, or not of some, one entry for each reason."""
    lacking: dict[tuple[str, str], list[Subject]] = {}
    for readings in current:
        for rule in rules:
            if applies(rule, readings.subject) and (metric := untold(rule, readings)):
                who = lacking.setdefault(_reason(metric, readings), [])
                who += [readings.subject] * (readings.subject not in who)
    return [
        Unjudged(tuple(who), metric, f"{why} ({listed([each.name for each in who])})")
        for (metric, why), who in lacking.items()
    ]


def _reason(metric: str, readings: Readings) -> tuple[str, str]:
    if readings.times.size < 2 and METRICS[metric].how != "gauge":
        return metric, f"no word of {METRICS[metric].title}: there is one reading only"
    if metric.startswith("pressure_"):
        return "pressure", "no word of pressure: this kernel has no PSI"
    engine = readings.subject.engine
    who = ENGINES.get(engine, (engine,))[0] if readings.subject.machine else "the kernel"
    return metric, f"no word of {METRICS[metric].title}: {who} does not tell"
