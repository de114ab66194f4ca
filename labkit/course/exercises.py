"""Exercises that are checked against the live state of a lab.

A cell of a notebook reads::

    with exercise("A machine called 'web' runs") as check:
        check(lambda: lab.machine("web"), "there is no machine 'web'", hint="alpha.kvm.create(…)")
        check(lambda: lab.machine("web").state == "running", "'web' does not run")

A person in JupyterLab sees what is done and what is still missing. A headless run, and nbgrader,
get `ExerciseNotDone` when something is missing, so that it fails there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ..errors import InvalidValue, LabError

_HTML = """
<div style="color: var(--jp-ui-font-color1); border-left: 3px solid {{ colour }};
 padding: .3em .8em; line-height: 1.5">
<div><span style="color: {{ colour }}">{{ sign }} {{ word }}</span>&ensp;{{ title }}</div>
{%- if missing %}
<ul style="margin: .3em 0 0; padding-left: 1.4em">
{%- for one in missing %}
<li style="white-space: pre-line">{{ one.text }}
{%- if one.hint %}<details><summary>Hint</summary>{{ one.hint }}</details>{% endif %}</li>
{%- endfor %}
</ul>
{%- endif %}
</div>
"""


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that is still to be done, in words."""

    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check of an exercise found."""

    title: str
    missing: tuple[Missing, ...]

    @property
    def done(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    def __str__(self) -> str:
        if self.done:
            return f"● done: {self.title}"
        lines = [f"◌ not yet: {self.title}"]
        for one in self.missing:
            lines.append("  – " + one.text.replace("\n", "\n    "))
            if one.hint:
                lines.append(f"    hint: {one.hint}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from jinja2 import Environment

        from .._html import SIGNS

        state, word = ("running", "done") if self.done else ("starting", "not yet")
        sign, colour = SIGNS[state]
        html = Environment(autoescape=True).from_string(_HTML)
        shown = html.render(sign=sign, word=word, colour=colour, title=self.title, missing=self.missing)
        return {"text/plain": str(self), "text/html": shown.strip()}


class ExerciseNotDone(LabError):
    """An exercise was checked, in a run that nobody watches, and something is missing."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        wants = "; ".join(one.text for one in verdict.missing)
        hint = next((one.hint for one in verdict.missing if one.hint), "")
        super().__init__(f"the exercise “{verdict.title}” is not done: {wants}", hint=hint)

    def _render_traceback_(self) -> list[str]:
        """IPython shows this in place of a traceback: where it was raised teaches nothing."""
        return [f"ExerciseNotDone: {self}"]


class exercise:  # noqa: N801  used as a statement: `with exercise("…") as check:`
    """Check an exercise and show what is still missing.

    Parameters
    ----------
    title
        What is true when it is done: ``"A machine called 'web' runs"``.

    Raises
    ------
    ExerciseNotDone
        At the end of the ``with`` block, if something is missing and nobody is there to read it:
        not a notebook that a person has open.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._missing: list[Missing] = []
        self._checks = 0

    def __enter__(self) -> Self:
        return self

    def __call__(self, condition: Callable[[], object] | object, otherwise: str, *, hint: str = "") -> bool:
        """Check one condition.

        Parameters
        ----------
        condition
            What must be true. A function is called; an error that it raises counts as "not
            true", with the error's own sentence if it is one of labkit's.
        otherwise
            What is still missing if it is not, as a sentence.
        hint
            What to try; it is shown on request.
        """
        self._checks += 1
        try:
            fulfilled = bool(condition() if callable(condition) else condition)
        except Exception as error:
            self._missing.append(_missing(error, otherwise, hint))
            return False
        if not fulfilled:
            self._missing.append(Missing(otherwise, hint))
        return fulfilled

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if isinstance(error, (LabError, NameError)):
            self._missing.append(_missing(error, "", ""))
        elif error is not None:
            return False
        elif not self._checks:
            raise InvalidValue(f"the exercise “{self.title}” checks nothing")
        self._show(Verdict(self.title, tuple(self._missing)))
        return True

    def _show(self, verdict: Verdict) -> None:
        if "IPython" in sys.modules:
            from IPython.display import display

            display(verdict)
        else:
            print(verdict)
        if not (verdict.done or _somebody_reads()):
            raise ExerciseNotDone(verdict) from None


def _missing(error: Exception, otherwise: str, hint: str) -> Missing:
    """What an error that came in place of an answer says about what is missing."""
    if isinstance(error, LabError):
        said = error.message
    elif isinstance(error, NameError) and error.name:
        said = f"{error.name} is not defined yet"
    else:
        said = f"{type(error).__name__}: {error}"
    text = f"{otherwise} ({said})" if otherwise else said
    return Missing(text, hint or getattr(error, "hint", ""))


def _somebody_reads() -> bool:
    """Whether a person has this notebook open.

    A Jupyter server tells its kernels the notebook's name, VS Code leaves its own mark. Runs by
    `labkit run` and nbgrader are headless wherever they were started.
    """
    headless = ("LABKIT_RUN", "NBGRADER_EXECUTION", "NBGRADER_VALIDATING")
    watched = ("JPY_SESSION_NAME", "VSCODE_PID")
    return not any(map(os.environ.get, headless)) and any(map(os.environ.get, watched))
