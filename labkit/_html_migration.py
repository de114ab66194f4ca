"""The static forms of migrations: what one would be, how it goes, what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._html import render
from ._values import format_count, format_duration, format_size
from .errors import Cancelled

if TYPE_CHECKING:
    from .operations.evacuation import Evacuation
    from .operations.migration import Migration
    from .operations.spec import MigrationPlan, MigrationResult

# Sign, colour and word.
_OBSTACLES = {True: ("✖", "failed", "stops it"), False: ("!", "paused", "should be known")}
_ENDS = {
    "moving": ("◌", "busy", "moving"), "moved": ("✔", "running", "moved"), "failed": ("✖", "failed", "failed"),
    "cancelled": ("■", "dim", "cancelled"),
}  # fmt: skip


def plan_bundle(plan: MigrationPlan) -> dict[str, Any]:
    """The mime bundle of a plan."""
    verdict = ("✔", "running", "can be moved") if plan.possible else ("✖", "failed", "cannot be moved so")
    obstacles = [(*_OBSTACLES[each.stops], each.what, each.hint) for each in plan.obstacles]
    rows = plan_rows(plan)
    html = render("migration_plan", plan=plan, verdict=verdict, rows=rows, obstacles=obstacles)
    lines = [f"{plan.machine} from {plan.source} to {plan.destination}: {verdict[2]}"]
    lines += [f"{label}: {value}" for label, value in rows]
    lines += [f"{sign} {word}: {what}\n  → {hint}" for sign, _, word, what, hint in obstacles]
    return {"text/plain": "\n".join(lines), "text/html": html}


def plan_rows(plan: MigrationPlan) -> list[tuple[str, str]]:
    """What a plan says besides its obstacles: labels and values."""
    parts = [(plan.memory_bytes, "memory"), (plan.disk_bytes, "disk")]
    copied = " and ".join(f"{format_size(size)} of {what}" for size, what in parts if size)
    return [
        ("way", plan.way),
        ("to copy", copied or "next to nothing"),
        ("expected", f"about {format_duration(plan.expected_s)} (from {plan.basis})"),
    ]


def result_bundle(result: MigrationResult) -> dict[str, Any]:
    """The mime bundle of a result."""
    html = render("migration_result", result=result, end=_ENDS["moved"], figures=figures(result), rows=rows(result))
    return {"text/plain": _text(result), "text/html": html}


def figures(result: MigrationResult) -> list[tuple[str, str, str]]:
    """The numbers that count, side by side: the number, what it is, and its colour."""
    client = result.client
    by = "as libvirt reports it" if result.by_libvirt else "from its stop to its answer"
    found = [(format_duration(result.total_s), "in all", "ink")]
    if result.downtime_ms:
        found.append((format_duration(result.downtime_ms / 1000), f"stood still, {by}", "paused"))
    if client:
        found.append((format_duration(client.longest_gap_ms / 1000), "longest gap, as a client saw it", "failed"))
        found.append((f"{client.lost} of {client.sent}", "requests lost", "failed" if client.lost else "ink"))
    return found


def rows(result: MigrationResult) -> list[tuple[str, str]]:
    """What else there is to say of a result: labels and values."""
    told = [("way", result.way)]
    if result.transferred_bytes:
        rounds = f" in {format_count(result.rounds, 'round')}" if result.rounds else ""
        told.append(("transferred", f"{format_size(result.transferred_bytes)}{rounds}"))
    seen = f"on {result.client.host}, asking at most every 5 ms" if result.client else f"none: {result.no_client}"
    return [*told, ("client", seen)]


def _text(result: MigrationResult) -> str:
    head = f"{result.machine} moved from {result.source} to {result.destination}"
    numbers = ", ".join(f"{value} {what}" for value, what, _ in figures(result))
    return "\n".join([f"{head}: {numbers}", *(f"{label}: {value}" for label, value in rows(result))])


def migration_bundle(migration: Migration) -> dict[str, Any]:
    """The mime bundle of a migration as it is now: its picture, in words, and what came of it."""
    from .operations._course import course_of
    from .operations._timeline import summary, svg

    course = course_of(migration)
    image = svg(course)
    title = f"{course.machine} from {course.source} to {course.destination}"
    html = render(
        "migration", machine=course.machine, source=course.source, destination=course.destination,
        engine=migration.machine.engine, end=end_of(migration), doing=doing(migration), image=image,
        outcome=outcome(migration),
    )  # fmt: skip
    text = _text(migration.result) if migration.result else f"{title}: {_how(migration)}"
    return {"text/plain": f"{text}\n{summary(course)}", "image/svg+xml": image, "text/html": html}


def end_of(migration: Migration) -> tuple[str, str, str]:
    """Sign, colour and word for whether it goes on, or how it has ended."""
    if not migration.is_done:
        return _ENDS["moving"]
    if migration.result:
        return _ENDS["moved"]
    return _ENDS["cancelled" if isinstance(migration.error, Cancelled) else "failed"]


def doing(migration: Migration) -> str:
    """Phase and percent while it goes on."""
    if migration.is_done:
        return ""
    now = migration.progress
    return (
        migration.phase if now is None or now.fraction is None else f"{migration.phase} {round(100 * now.fraction)} %"
    )


def outcome(migration: Migration) -> str:
    """What came of it as HTML; "" while it goes on."""
    if not migration.is_done:
        return ""
    result, error = migration.result, migration.error
    said = None if error is None else (error.message, error.hint)
    return render(
        "migration_outcome", figures=figures(result) if result else [], rows=rows(result) if result else [], error=said
    )


def _how(migration: Migration) -> str:
    if migration.error:
        return migration.error.message
    return doing(migration) or end_of(migration)[2]


def evacuation_bundle(evacuation: Evacuation) -> dict[str, Any]:
    """The mime bundle of an evacuation: what moved, and what stayed and why."""
    end = ("✔", "running", "empty") if evacuation.complete else ("✖", "failed", "not empty")
    moved = [
        (
            move.machine,
            move.destination,
            move.way,
            format_duration(move.total_s),
            format_duration(move.downtime_ms / 1000),
        )
        for move in evacuation.moved
    ]
    stayed = [(name, error.message, error.hint) for name, error in evacuation.stayed.items()]
    count = format_count(len(moved), "machine")
    html = render("evacuation", evacuation=evacuation, end=end, count=count, rows=moved, stayed=stayed)
    lines = [f"{evacuation.host} is {end[2]}: {count} moved"]
    lines += [f"{name} to {to}, {way}: {took}, stood still {still}" for name, to, way, took, still in moved]
    lines += [f"{name} stayed: {what}\n  → {hint}" for name, what, hint in stayed]
    return {"text/plain": "\n".join(lines), "text/html": html}
