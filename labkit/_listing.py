"""The labs of this user, seen and ended without attaching to them."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any

from ._values import check_name
from .errors import LabGone, NotFound
from .hosts import _launch, _remotes


@dataclass(frozen=True, slots=True)
class LabInfo:
    """What is known of a lab without attaching to it.

    Attributes
    ----------
    name, alive, hosts
        ``hosts`` are the names of those that live, and of all that are reached by ssh.
    created
        Unix time.
    lease_left_s
        Seconds; 0 for a lab that has ended.
    run
        The run of `labkit run` that made it, if any.
    """

    name: str
    alive: bool
    hosts: tuple[str, ...]
    created: float
    lease_left_s: float
    run: str


def labs() -> list[LabInfo]:
    """Every lab of this user on this machine, those that were killed and left files too."""
    return [_info(name) for name in _launch.names()]


def _info(name: str) -> LabInfo:
    about: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        about = json.loads((_launch.folder(name) / "lab.json").read_text())
    created, run = float(about.get("created", 0)), str(about.get("run", ""))
    try:
        with _launch.channel(name) as channel:
            info = channel.request("info")
    except LabGone:
        return LabInfo(name, False, (), created, 0.0, run)
    hosts = (
        *(host for host, state in info["hosts"].items() if state["exit"] is None),
        *(note["name"] for note in _remotes.notes(_launch.folder(name))),
    )
    return LabInfo(name, True, hosts, created, float(info["lease_left_s"]), run)


def end_lab(name: str) -> None:
    """End the lab `name`, or clear what a killed one left; `NotFound` if there is neither."""
    if _launch.key(name) not in _launch.names():
        check_name(name, "name of a lab")
        raise NotFound(f"there is no lab {name}", hint="`labkit ps` lists the labs there are")
    _launch.end(name)


def end_labs_of_run(run_id: str) -> list[str]:
    """End the labs that were made under ``LABKIT_RUN=run_id``; returns their names."""
    ended = [lab.name for lab in labs() if run_id and lab.run == run_id]
    for name in ended:
        end_lab(name)
    return ended
