"""An error of labkit in a notebook: a sentence, and the traceback one click away."""

from __future__ import annotations

import html
import traceback
from typing import Any

from ._progress import in_notebook
from .errors import LabError


def sentence(error: LabError) -> list[str]:
    """The lines that IPython shows of `error`.

    In a notebook that somebody looks at: the sentence, with the traceback folded below it. Elsewhere
    nobody can click: the traceback as always.
    """
    if not in_notebook():
        return _whole(error)
    if not vars(error).setdefault("_folded", False):  # IPython asks twice
        vars(error)["_folded"] = True
        _fold_below("".join(traceback.format_exception(error)))
    red, plain = "\x1b[0;31m", "\x1b[0m"
    message, arrow, hint = str(error).partition("\n→ ")
    return [f"{red}{type(error).__name__}{plain}: {message}", *([f"→ {hint}"] if arrow else [])]


def _whole(error: LabError) -> list[str]:
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    if shell is None:
        return traceback.format_exception(error)
    lines: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__, tb_offset=1)
    return lines


def _fold_below(text: str) -> None:
    """Show `text`, folded, once the error itself has been shown."""
    from IPython.core.getipython import get_ipython
    from IPython.display import publish_display_data

    shell: Any = get_ipython()

    def show(_result: object) -> None:
        shell.events.unregister("post_run_cell", show)
        page = f"<details><summary>traceback</summary><pre>{html.escape(text)}</pre></details>"
        publish_display_data({"text/plain": text, "text/html": page})

    shell.events.register("post_run_cell", show)
