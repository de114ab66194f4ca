"""A host by Vagrant inside a lab: made, suspended, had again, begun as a copy, against Vagrant's own `up`."""

from __future__ import annotations

import secrets
import time
from functools import partial
from pathlib import Path

from _table import Limit, Row, main

from labkit import Lab
from labkit.hosts.vagrant import VagrantProject

FOLDER = Path(__file__).parent.parent.parent / "vagrant"


def rows(n: int) -> list[Row]:
    """A cold `up` is the floor: what is suspended must be back in a third of it."""
    names = ("up, cold", "suspend", "up, suspended", "up, running", "destroy", "up, a copy")
    times: dict[str, list[float]] = {name: [] for name in names}
    with Lab(f"bench-{secrets.token_hex(3)}", hosts=["carrier"]) as lab:
        project = VagrantProject(FOLDER, lab["carrier"])
        have_copy = partial(project.up, kept=True)
        steps = (project.up, project.suspend, project.up, project.up, project.destroy, have_copy)
        have_copy("alpha")  # which keeps it, if none is kept yet
        for _ in range(n):
            project.destroy("alpha")
            for name, step in zip(times, steps, strict=True):
                began = time.perf_counter()
                step("alpha")
                times[name].append(time.perf_counter() - began)
    floor = sorted(times["up, cold"])[(n - 1) // 2]
    limits = {"up, suspended": Limit(ratio=1 / 3), "up, a copy": Limit(ratio=1 / 3)}
    middle = (n - 1) // 2
    return [
        Row(name, sorted(took)[middle], min(took), max(took), floor, limits.get(name)) for name, took in times.items()
    ]


if __name__ == "__main__":
    raise SystemExit(main(rows, "A host by Vagrant, emulated", default_n=3))
