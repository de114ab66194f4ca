"""Measure things in turn, compare them with a floor, print a table.

A bench is a script with ``rows(n)`` that ends with ``raise SystemExit(main(rows, "title"))``. ::

    def rows(n: int) -> list[Row]:
        return interleaved(
            {"bare call": bare, "labkit": ours}, n, limits={"labkit": Limit(ratio=1.1)}
        )

Each case is called once in every round, so that what else the machine does hits all alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from labkit._values import format_duration

Case = Callable[[], float | None]


@dataclass(frozen=True, slots=True)
class Limit:
    """What a case may cost at most; each that is given must hold.

    Attributes
    ----------
    ratio
        Times the floor.
    seconds
        In seconds.
    more_s
        In seconds above the floor.
    """

    ratio: float | None = None
    seconds: float | None = None
    more_s: float | None = None

    def holds(self, median_s: float, floor_s: float) -> bool:
        """Whether a median keeps to the limit."""
        return (
            (self.ratio is None or median_s <= self.ratio * floor_s)
            and (self.seconds is None or median_s <= self.seconds)
            and (self.more_s is None or median_s <= floor_s + self.more_s)
        )

    def __str__(self) -> str:
        parts = []
        if self.ratio is not None:
            parts.append(f"≤ {self.ratio:.3g} × floor")
        if self.seconds is not None:
            parts.append(f"≤ {format_duration(self.seconds)}")
        if self.more_s is not None:
            parts.append(f"≤ floor + {format_duration(self.more_s)}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; times in seconds."""

    name: str
    median_s: float
    lowest_s: float
    highest_s: float
    floor_s: float
    limit: Limit | None = None

    @property
    def ratio(self) -> float:
        """The median as a multiple of the floor's median."""
        return self.median_s / self.floor_s if self.floor_s else float("nan")

    @property
    def ok(self) -> bool:
        """Whether the limit holds; without one there is nothing to break."""
        return self.limit is None or self.limit.holds(self.median_s, self.floor_s)


def interleaved(
    cases: Mapping[str, Case],
    n: int = 5,
    *,
    floor: str | None = None,
    limits: Mapping[str, Limit] | None = None,
) -> list[Row]:
    """Call all cases in turn, `n` rounds, and return a row for each.

    Parameters
    ----------
    cases
        A case that returns a number has measured itself, in seconds; else its call is timed.
    n
        Rounds; one more goes first, unmeasured, to warm caches.
    floor
        The case to compare with; the first one if it is not given.
    limits
        What cases may cost.
    """
    measured: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(n + 1):
        for name, case in cases.items():
            took_s = _seconds(case)
            if turn:
                measured[name].append(took_s)
    medians = {name: statistics.median(times) for name, times in measured.items()}
    floor_s = medians[floor or next(iter(cases))]
    return [
        Row(name, medians[name], min(times), max(times), floor_s, (limits or {}).get(name))
        for name, times in measured.items()
    ]


def _seconds(case: Case) -> float:
    began = time.perf_counter()
    told = case()
    return time.perf_counter() - began if told is None else told


def table(rows: Sequence[Row], title: str) -> Table:
    """The rows as a table for a terminal."""
    shown = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("", "median", "range", "ratio", "limit", "verdict"):
        left = column in ("", "limit", "verdict")
        shown.add_column(column, justify="left" if left else "right")
    for row in rows:
        verdict = "" if row.limit is None else ("ok" if row.ok else "BROKEN")
        span = f"{format_duration(row.lowest_s)} to {format_duration(row.highest_s)}"
        limit = str(row.limit or "")
        shown.add_row(row.name, format_duration(row.median_s), span, f"{row.ratio:.2f}", limit, verdict)
    return shown


def main(rows: Callable[[int], Sequence[Row]], title: str, default_n: int = 5) -> int:
    """Measure, print, and return 1 if ``--check`` was given and a limit is broken."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("-n", type=int, default=default_n, help="rounds")
    parser.add_argument("--check", action="store_true", help="fail if a limit is broken")
    arguments = parser.parse_args()
    measured = rows(arguments.n)
    heading = f"{title}, medians of {arguments.n} rounds in turn"
    Console(width=120).print(table(measured, heading))
    return int(arguments.check and not all(row.ok for row in measured))
