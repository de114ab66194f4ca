"""The static forms of migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .operations.spec import MigrationPlan, MigrationResult


def plan_bundle(plan: MigrationPlan) -> dict[str, Any]:
    """The mime bundle of a plan."""
    return {"text/plain": repr(plan)}


def result_bundle(result: MigrationResult) -> dict[str, Any]:
    """The mime bundle of a result."""
    return {"text/plain": repr(result)}
