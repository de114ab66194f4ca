"""``labkit run`` of a notebook with 100 trivial cells, against nbclient.

The floor is what somebody would write with nbclient alone: a process that reads the notebook,
executes it in the same kernel and writes it. It makes no HTML page, knows no time limit and
cleans nothing up. The other nbclient row leaves out an import that `labkit run` leaves out too
(a grammar that jsonschema compiles and notebooks do not need), to show what of the difference is
that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import nbformat
from _table import Limit, Row, interleaved, main

_NBCLIENT = """
import sys
if "lean" in sys.argv:
    sys.modules["rfc3987_syntax"] = None
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""
_LABKIT = "import sys; from labkit.cli import main; sys.exit(main(['run', *sys.argv[1:]]))"
_CELLS = 100


def _notebook(folder: Path) -> Path:
    new_cell, new_notebook = nbformat.v4.new_code_cell, nbformat.v4.new_notebook
    cells = [new_cell(f"x = {number}\nx + 1") for number in range(_CELLS)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "hundred.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def _run(code: str, *arguments: str) -> None:
    # The Python that runs this comes first on PATH: nbclient's kernel is then the same one.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        timeout=300,
        env=os.environ | {"PATH": path},
    )


def rows(n: int) -> list[Row]:
    """Measure `n` rounds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notebook = str(_notebook(folder))
        out, executed = str(folder / "out"), str(folder / "executed.ipynb")
        return interleaved(
            {
                "nbclient alone": partial(_run, _NBCLIENT, notebook, executed),
                "nbclient alone, lean import": partial(_run, _NBCLIENT, notebook, executed, "lean"),
                "labkit run": partial(_run, _LABKIT, notebook, "--output", out),
                "labkit run --no-html": partial(_run, _LABKIT, notebook, "--output", out, "--no-html"),
            },
            n,
            limits={"labkit run": Limit(ratio=1.1)},
        )


if __name__ == "__main__":
    raise SystemExit(main(rows, "A notebook with 100 trivial cells"))
