"""What came of running notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Group


@dataclass(frozen=True, slots=True)
class FailedCell:
    """The cell at which a notebook stopped.

    Attributes
    ----------
    index
        Its place among all cells of the file, counted from 0.
    source
        Its code.
    error
        The traceback without colour codes, or what ended the cell.
    """

    index: int
    source: str
    error: str

    @property
    def number(self) -> int:
        """Its place among all cells of the file, counted from 1."""
        return self.index + 1

    @property
    def first_line(self) -> str:
        """The first line of its code."""
        return next(iter(self.source.strip().splitlines()), "")


@dataclass(frozen=True, slots=True)
class NotebookResult:
    """One notebook that was run.

    Attributes
    ----------
    path
        The notebook.
    ok
        Whether every cell ran without an error and no lab was left behind.
    duration_s
        From the start of its process to its end, in seconds.
    cells
        How many code cells were executed.
    failed_cell
        Where it stopped, if a cell failed.
    problem
        A sentence about what else went wrong: no kernel, a lab left behind, stopped by Ctrl-C.
    ended_labs
        The names of the labs that it left behind and that were ended.
    html, executed
        The page and the executed notebook, if they were asked for and it came that far.
    """

    path: Path
    ok: bool
    duration_s: float
    cells: int
    failed_cell: FailedCell | None = None
    problem: str = ""
    ended_labs: tuple[str, ...] = ()
    html: Path | None = None
    executed: Path | None = None

    @property
    def reason(self) -> str:
        """One line of why it failed, empty if it did not."""
        if cell := self.failed_cell:
            return f"cell {cell.number}: {cell.first_line}"
        return self.problem


@dataclass(frozen=True, slots=True)
class Summary:
    """All notebooks of one run, in the order they were given.

    Attributes
    ----------
    results
        One result for each notebook.
    duration_s
        The time of the whole run, in seconds.
    interrupted
        Whether it was stopped before all had run.
    """

    results: tuple[NotebookResult, ...]
    duration_s: float
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether all notebooks passed."""
        return not self.interrupted and all(result.ok for result in self.results)

    def __str__(self) -> str:
        from ._report import text

        return text(self)

    def __rich__(self) -> Group:
        from ._report import table

        return table(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from ._report import html

        return {"text/plain": str(self), "text/html": html(self)}
