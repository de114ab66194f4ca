"""Starting a container: liblxc's part, and what its process 1 tells of the command that it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .._progress import check_cancelled
from ..errors import DeadlineExceeded
from . import _lxc_files
from ._console import last_words
from ._lxc_config import LXC_PATH

if TYPE_CHECKING:
    from ..hosts.base import Host

_RUNS_ALREADY = "already running"  # liblxc says so in its log alone
_KILLED_MONITOR = "cgroup"
_LINK_THERE = "Failed to create veth pair"
_READY_S = 2.0


@dataclass(frozen=True, slots=True)
class Launched:
    """What came of `lxc-start`.

    Attributes
    ----------
    ok
        Whether it has started.
    fault
        The first thing that liblxc found wrong, or "".
    """

    ok: bool
    fault: str

    @property
    def ran_already(self) -> bool:
        """Whether there was nothing to start."""
        return _RUNS_ALREADY in self.fault

    @property
    def was_in_the_way(self) -> bool:
        """Whether something of its last run is: cgroups of a killed monitor, a link that the kernel still removes."""
        return not self.ok and (_KILLED_MONITOR in self.fault or _LINK_THERE in self.fault)


def launch(host: Host, name: str, deadline: float) -> Launched:
    """Call `lxc-start`; it returns when the container runs."""
    log = _lxc_files.place(host, name) / "lxc.log"
    seen = _size(host, log)
    done = host.run(
        ["lxc-start", f"--name={name}", f"--logfile={LXC_PATH}/{name}/lxc.log", "--logpriority=ERROR"],
        timeout_s=max(1.0, deadline - time.monotonic()),
    )  # fmt: skip
    size = _size(host, log)
    if done.ok and size in (0, seen):
        return Launched(ok=True, fault="")
    new = host.files.read(log, seen).decode(errors="replace").splitlines() if size else []
    faults = [line.split(" - ", 2)[-1] for line in new if " ERROR " in line]
    # Of what goes wrong later it goes on; that it runs already it notes and succeeds.
    return Launched(ok=done.ok and not any(_RUNS_ALREADY in fault for fault in faults), fault=next(iter(faults), ""))


def _size(host: Host, log: Path) -> int:
    """How long a file is; 0 without one."""
    found = host.files.status(log)
    return found.size_bytes if found else 0


def wait_for_command(host: Host, name: str, deadline: float) -> str:
    """Wait until process 1 has noted that the command goes on (""), or its exit code."""
    while not (code := _lxc_files.state_file(host, name, "exit")):
        if _lxc_files.state_file(host, name, "up") is not None:
            return ""
        if time.monotonic() > deadline:
            said = last_words(host.files, _lxc_files.place(host, name) / "console.log")
            raise DeadlineExceeded(f"{name} did not begin with its command: {said}", machine=name, host=host.name)
        check_cancelled()
        time.sleep(0.005)
    return code


def wait_until_ready(host: Host, name: str, deadline: float) -> None:
    """Wait until process 1 hears signals, which takes it a few milliseconds; or go on without it."""
    deadline = min(deadline, time.monotonic() + _READY_S)
    while _lxc_files.state_file(host, name, "ready") is None and time.monotonic() < deadline:
        time.sleep(0.002)
