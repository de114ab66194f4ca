"""``import labkit`` against an interpreter that imports nothing."""

from __future__ import annotations

import subprocess
import sys
import time

from _table import Limit, Row, interleaved, main

HEAVY = ("libvirt", "plotly", "docker", "ipywidgets", "IPython", "jinja2", "rich")


def _run(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def rows(n: int) -> list[Row]:
    """Seconds for a whole interpreter each."""
    loads_nothing = f"import labkit, sys; assert not set({HEAVY!r}) & set(sys.modules)"
    return interleaved(
        {
            "python -c pass": lambda: _run("pass"),
            "import labkit": lambda: _run(loads_nothing),
            "from labkit import Lab": lambda: _run("from labkit import Lab"),
        },
        n,
        limits={"import labkit": Limit(more_s=0.1)},
    )


if __name__ == "__main__":
    raise SystemExit(main(rows, "import"))
