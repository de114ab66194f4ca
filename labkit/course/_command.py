"""``labkit run`` and ``labkit student``: their arguments and what they do."""

from __future__ import annotations

import argparse
import re
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS: dict[str, bool | None] = {"True": True, "False": False, "None": None}
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.\d*|\.?\d+)([eE][+-]?\d+)?", re.ASCII)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``labkit run``."""
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="default: the whole course")
    parser.add_argument("-j", "--jobs", type=int, default=1, metavar="N", help="how many at once (default 1)")
    parser.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a new value for a name in the notebooks' parameters cell; may be repeated",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="time limit for each notebook (default 600)",
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("out"),
        metavar="DIR",
        help="where executed notebooks and HTML pages go (default ./out)",
    )
    parser.add_argument("--no-html", action="store_true", help="make no HTML pages")


def execute(arguments: argparse.Namespace) -> int:
    """Run the notebooks, print the summary; 0 if all passed, 1 if not, 130 if stopped."""
    from .runner import run_notebooks

    with _termination_as_interrupt():
        summary = run_notebooks(
            arguments.notebooks or course_notebooks(),
            parameters={name: _value(text) for name, text in arguments.parameter},
            jobs=arguments.jobs,
            timeout_s=arguments.timeout,
            output=arguments.output,
            junit=arguments.junit,
            html=not arguments.no_html,
        )
    from rich.console import Console

    Console().print(summary)
    if summary.interrupted:
        return 130
    return 0 if summary.ok else 1


def add_student_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``labkit student``."""
    parser.add_argument("target", type=Path, metavar="DIR", help="where the student edition goes")
    parser.add_argument("--source", type=Path, metavar="DIR", help="the notebooks (default: the course)")


def execute_student(arguments: argparse.Namespace) -> int:
    """Make the student edition and print the files."""
    from .grading import student_edition

    source = arguments.source or course_notebooks()[0].parent
    for path in student_edition(source, arguments.target):
        print(path)
    return 0


def course_notebooks() -> list[Path]:
    """The notebooks beside the labkit that runs, or else in ``./notebooks``, sorted by name.

    Raises
    ------
    NotFound
        If there are none.
    """
    for folder in (Path(__file__).parents[2] / "notebooks", Path("notebooks")):
        if found := sorted(folder.glob("*.ipynb")):
            return found
    raise NotFound("there is no folder `notebooks` here", hint="name the notebooks to run")


def _value(text: str) -> str | int | float | bool | None:
    """What a value on the command line means: a number, True, False, None, or text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM, which CI systems send, end everything as cleanly as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
