"""Seeing what machines do: readings, plots, bottlenecks, trends and alerts.

What needs pandas or numpy is loaded when it is first used. The functions `forecast.forecast` and `changes.changes`
are in the modules of these names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .spec import METRICS, Metric, Subject

if TYPE_CHECKING:
    from .bottleneck import Diagnosis, Finding, diagnose
    from .changes import Change, ChangeList
    from .forecast import Forecast, Outlook
    from .rules import RULES, Rule

__all__ = [
    "METRICS", "RULES", "Change", "ChangeList", "Diagnosis", "Finding", "Forecast", "Metric", "Outlook", "Rule",
    "Subject", "diagnose",
]  # fmt: skip

_HOMES = {
    "RULES": "rules", "Rule": "rules", "Diagnosis": "bottleneck", "Finding": "bottleneck", "diagnose": "bottleneck",
    "Change": "changes", "ChangeList": "changes", "Forecast": "forecast", "Outlook": "forecast",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'labkit.monitoring' has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = found
    return found
