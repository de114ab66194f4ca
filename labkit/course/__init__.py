"""The course: running its notebooks, checking its exercises, making the student edition.

The names below are loaded when they are first used: importing this package loads no papermill.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .exercises import ExerciseNotDone, exercise
    from .grading import student_edition
    from .runner import FailedCell, NotebookResult, Summary, run_notebooks

__all__ = [
    "ExerciseNotDone",
    "FailedCell",
    "NotebookResult",
    "Summary",
    "exercise",
    "run_notebooks",
    "student_edition",
]

_HOME = {
    "ExerciseNotDone": "exercises",
    "FailedCell": "runner",
    "NotebookResult": "runner",
    "Summary": "runner",
    "exercise": "exercises",
    "run_notebooks": "runner",
    "student_edition": "grading",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
