"""What `Connectivity` shows of itself: a matrix of signs, and a table below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._html import render

if TYPE_CHECKING:
    from .networks._reach import Reach
    from .networks.connectivity import Connectivity

_SIGNS: dict[bool | None, tuple[str, str, str]] = {
    True: ("✔", "running", "reached"), False: ("✖", "failed", "not reached"), None: ("?", "dim", "not tried"),
}  # fmt: skip
_GROUP_FROM = 20  # so many machines are told together where they are alike
_UPRIGHT_TO = 8  # more columns have their headers turned
_MOST_ROWS = 400
_Verdicts = tuple[bool | None, ...]


@dataclass(frozen=True, slots=True)
class _Cell:
    """A field of the matrix: a sign for the ping and one for each port."""

    signs: tuple[tuple[str, str], ...]
    title: str

    @property
    def fails(self) -> bool:
        """Whether the ping did not get there."""
        return self.signs[0] == _SIGNS[False][:2]


@dataclass(frozen=True, slots=True)
class _MatrixRow:
    label: str
    title: str
    cells: tuple[_Cell | None, ...]


def _verdicts(found: Connectivity, source: str, target: str) -> _Verdicts:
    return tuple(found.verdict(source, target, port) for port in (None, *found.ports))


def groups(found: Connectivity) -> list[list[str]]:
    """The machines, those together that reach and are reached alike; each alone if there are few."""
    together: list[list[str]] = []
    if len(found.machines) < _GROUP_FROM:
        return [[name] for name in found.machines]
    seen = {(a, b): _verdicts(found, a, b) for a, b in found.pairs}
    for name in found.machines:
        if group := next((group for group in together if _is_alike(found.machines, seen, group, name)), None):
            group.append(name)
        else:
            together.append([name])
    return together


def _is_alike(machines: Sequence[str], seen: dict[tuple[str, str], _Verdicts], group: list[str], name: str) -> bool:
    """Whether `name` reaches all others, and is reached, as those in the group are."""
    first = group[0]
    inner = seen[first, group[1]] if len(group) > 1 else seen[first, name]
    if any(seen[name, one] != inner or seen[one, name] != inner for one in group):
        return False
    others = [one for one in machines if one not in (first, name) and one not in group]
    return all(seen[first, one] == seen[name, one] and seen[one, first] == seen[one, name] for one in others)


def _label(group: Sequence[str]) -> str:
    if len(group) <= 3:
        return ", ".join(group)
    return f"{group[0]}, {group[1]} + {len(group) - 2}"


def _title(found: Connectivity, source: str, target: str) -> str:
    parts = []
    for port in (None, *found.ports):
        rows = found.between(source, target, port)
        if not rows:
            continue
        best = next((row for row in rows if row.reached), rows[0])
        parts.append(("ping" if port is None else f"TCP {port}") + f": {_outcome(best)}")
    return f"{source} → {target}: " + "; ".join(parts)


def _outcome(row: Reach) -> str:
    if not row.reached:
        return row.why or _SIGNS[row.reached][2]
    return f"reached by {row.address}" + (f" in {took}" if (took := _took(row)) else "")


def _took(row: Reach) -> str:
    return "" if row.rtt_ms is None else f"{row.rtt_ms:.3g} ms"


def _cell(found: Connectivity, source: Sequence[str], target: Sequence[str]) -> _Cell | None:
    """The field for two groups; None where a machine would reach itself."""
    pairs = [(one, other) for one in source for other in target if one != other]
    if not pairs:
        return None
    signs = tuple(_SIGNS[verdict][:2] for verdict in _verdicts(found, *pairs[0]))
    title = _title(found, *pairs[0])
    return _Cell(signs, title if len(pairs) == 1 else f"{len(pairs)} pairs alike, such as {title}")


def matrix(found: Connectivity) -> list[_MatrixRow]:
    """A row for each machine, or for machines that are alike."""
    parts = groups(found)
    return [
        _MatrixRow(_label(one), ", ".join(one), tuple(_cell(found, one, other) for other in parts)) for one in parts
    ]


def _columns(found: Connectivity) -> str:
    """What the signs in a field stand for, in their order."""
    return ", ".join(["ping", *(f"TCP {port}" for port in found.ports)])


def _sorted_rows(found: Connectivity) -> list[Reach]:
    """What was not reached first."""
    order: dict[bool | None, int] = {False: 0, None: 1, True: 2}
    return sorted(found.rows, key=lambda row: order[row.reached])


def text(found: Connectivity) -> str:
    """The sentence and the matrix as text."""
    rows = matrix(found)
    numbers = [str(number) for number in range(1, len(rows) + 1)]
    side = [f"{number} {row.label}" for number, row in zip(numbers, rows, strict=True)]
    width = max(map(len, side), default=0)
    wide = max(1 + len(found.ports), *(len(number) for number in numbers), 1)
    lines = ["".ljust(width) + "".join(f"  {number.ljust(wide)}" for number in numbers)] if rows else []
    for label, row in zip(side, rows, strict=True):
        cells = ("".join(sign for sign, _ in cell.signs) if cell else "·" for cell in row.cells)
        lines.append(label.ljust(width) + "".join(f"  {cell.ljust(wide)}" for cell in cells))
    legend = f"rows reach columns, by {_columns(found)}: ✔ reached  ✖ not reached  ? not tried"
    return "\n".join([f"{found.summary}.", *(line.rstrip() for line in lines), *([legend] if rows else [])])


def bundle(found: Connectivity) -> dict[str, Any]:
    """The mime bundle of the result."""
    rows = matrix(found)
    html = render(
        "connectivity", found=found, matrix=rows, turned=len(rows) > _UPRIGHT_TO, columns=_columns(found),
        rows=[(row, _SIGNS[row.reached], row.why or _took(row)) for row in _sorted_rows(found)[:_MOST_ROWS]],
        left_out=max(0, len(found.rows) - _MOST_ROWS), reach_signs=list(_SIGNS.values()),
    )  # fmt: skip
    return {"text/plain": text(found), "text/html": html}
