"""The result of a command that ran on a host or in a machine."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from ._values import format_duration
from .errors import CommandFailed, InvalidValue


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended.

    Attributes
    ----------
    argv
        The command and its arguments.
    exit_code
        0 if it succeeded; negative: the number of the signal that ended it.
    stdout, stderr
        What it wrote, as text (bytes that are not UTF-8 are replaced by ``�``).
    duration_s
        From the request to the answer, in seconds.
    where
        The machine or host it ran on.
    """

    argv: tuple[str, ...]
    exit_code: int
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    duration_s: float
    where: str

    @property
    def ok(self) -> bool:
        """Whether the exit code is 0."""
        return self.exit_code == 0

    def check(self) -> Self:
        """Return itself, or raise `CommandFailed` if the exit code is not 0."""
        if not self.ok:
            said = (self.stderr.strip() or self.stdout.strip() or "it said nothing")[-500:]
            raise CommandFailed(
                f"`{shlex.join(self.argv)}` on {self.where} ended with exit code {self.exit_code}: {said}"
            )
        return self

    def __str__(self) -> str:
        text = self.stdout + (f"{self.stderr}" if self.stderr else "")
        return text if self.ok else f"{text}[exit code {self.exit_code}]\n"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from ._html import render

        took = format_duration(self.duration_s)
        html = render("completed", done=self, took=took, command=shlex.join(self.argv))
        return {"text/plain": str(self), "text/html": html}


def check_argv(argv: Sequence[str]) -> list[str]:
    """Return `argv` as a list if it is a command; a string is not, for it would need a shell."""
    if isinstance(argv, str) or not argv or not all(isinstance(word, str) for word in argv):
        raise InvalidValue(
            f"{ascii(argv)[:80]} is not a command",
            hint='give a list of words such as ["uname", "-r"]; for a shell use ["sh", "-c", "…"]',
        )
    if any("\0" in word for word in argv):
        raise InvalidValue("a word of the command holds a NUL character", hint="take it out")
    return list(argv)
