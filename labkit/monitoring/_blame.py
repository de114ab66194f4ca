"""Who uses most of what a host is short of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._judge import Held, Readings, unit_of
from ._words import amount
from .rules import Rule
from .spec import Subject

_ALIKE = 0.02  # two hosts whose memory is used alike, to so large a part, share it
_HALF = 0.5
_DOES = {
    "cpu": "uses", "memory": "holds", "disk": "reads and writes", "disk_used": "has the disk that takes",
    "network": "receives and sends",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Blame:
    """Who uses most, and the words for it."""

    who: Subject | None = None
    words: str = ""


def grounds(current: list[Readings]) -> dict[str, tuple[str, ...]]:
    """For each host those that share its processors and memory, itself among them, in order."""
    hosts = [each for each in current if not each.subject.machine]
    return {
        one.subject.host: tuple(sorted(other.subject.host for other in hosts if _share(one, other))) for one in hosts
    }


def _share(one: Readings, other: Readings) -> bool:
    """Whether two hosts are on the same machine: all that is told of the whole is the same."""
    if one.subject == other.subject:
        return True
    begin_s = max(one.times[0], other.times[0])
    same = all(one.last(name) == other.last(name) for name in ("processors", "memory_total"))
    used = [each.mean("memory_used", begin_s) for each in (one, other)]
    return bool(same and abs(used[0] - used[1]) <= _ALIKE * one.last("memory_total"))


def most(rule: Rule, readings: Readings, hold: Held, current: list[Readings]) -> Blame:
    """Who uses most of it since it holds, of machines on hosts that share it."""
    users = [each for each in current if each.subject.machine]
    used = np.array([each.mean(rule.culprit, hold.since_s) for each in users]) if rule.culprit else np.empty(0)
    if not used.size or not np.nanmax(np.nan_to_num(used)) > 0:
        return Blame()
    worst = int(np.nanargmax(used))
    words = _words(rule, readings, users[worst].subject, float(used[worst]))
    if rule.culprit in {"cpu", "memory"} and rule.whole and np.nansum(used) < _HALF * hold.amount:
        together = amount(float(np.nansum(used)), unit_of(rule.culprit))
        return Blame(None, f"; not by the lab, whose machines use {together}; of these {words}")
    return Blame(users[worst].subject, f"; {words}")


def _words(rule: Rule, readings: Readings, who: Subject, used: float) -> str:
    name = who.name if who.host == readings.subject.host else f"{who.name} on {who.host}"
    if rule.culprit == "cpu":
        total = readings.last("processors")
        of = f"{used:.2g} of {amount(total, 'processors')}" if np.isfinite(total) else amount(used, "processors")
        return f"{name} uses most, {of}"
    return f"{name} {_DOES[rule.culprit]} most, {amount(used, unit_of(rule.culprit))}"
