"""What a lab remembers of its remote hosts, and how their supervisors are started and ended.

For each there is a file ``remotes/NAME.json`` in the lab's folder, by which every process finds it: all
that its supervisor (see `_remote`) needs, and where it runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._paths import PYTHON, write_whole
from ..errors import DaemonFailed, LabError
from . import _libvirtd
from ._channel import Channel

if TYPE_CHECKING:
    from ..lab import Lab
    from .base import Host

Note = dict[str, Any]
_ROOT = Path(__file__).parents[2]
_START_S = 30
_LEAVE_S = 130  # more than a supervisor takes at most
# By hand, and not -m: isolated from what the user has set, as the first processes are.
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from labkit.hosts._remote import main; main()"


def _folder(lab: Path) -> Path:
    return lab / "remotes"


def write(lab: Path, note: Note) -> None:
    """Remember a remote host of the lab whose folder is `lab`."""
    _folder(lab).mkdir(mode=0o700, exist_ok=True)
    write_whole(_folder(lab) / f"{note['name']}.json", json.dumps(note))


def forget(lab: Path, name: str) -> None:
    """Remember a remote host no more."""
    (_folder(lab) / f"{name}.json").unlink(missing_ok=True)


def notes(lab: Path) -> list[Note]:
    """What is remembered of each remote host, by name."""
    found = []
    for path in sorted(_folder(lab).glob("[!.]*.json")):
        with contextlib.suppress(OSError, ValueError):  # just forgotten
            found.append(json.loads(path.read_text()))
    return found


def channel(note: Note) -> Channel:
    """A connection to the host's supervisor, which is started if there is none.

    Raises
    ------
    DaemonFailed, LabGone
    """
    path, whose = Path(note["socket"]), f"host {note['name']}"
    with contextlib.suppress(LabError):
        return Channel(path, whose)
    if note["carrier"]:
        _start_carried(note)
    else:
        _start(note)
    return Channel(path, whose)


def show_ways(host: Host) -> None:
    """Have a namespace host know the ways to the virtual machines of its lab: one for each carrier."""
    ways = {(note["subnet"], note["way"]) for note in notes(host.lab.folder) if "subnet" in note}
    for subnet, way in ways:
        if way != host.address:
            host.run(["ip", "route", "replace", subnet, "via", way], check=True)


def show_ways_to_all(lab: Lab) -> None:
    """Have all namespace hosts of a lab know them."""
    for host in lab:
        if host.provider == "namespace" and host.is_alive:
            show_ways(host)


def _argv(note: Note) -> list[str]:
    return [PYTHON, "-I", "-S", "-c", _PROGRAM, str(_ROOT), json.dumps(note)]


def _start(note: Note) -> None:
    try:
        done = subprocess.run(_argv(note), capture_output=True, stdin=subprocess.DEVNULL, cwd="/", check=False,
                              timeout=_START_S)  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise _failed(note, f"did not answer within {_START_S} s") from error
    if done.stdout != b"ready":
        raise _failed(note, f"did not start ({done.stdout.decode(errors='replace') or done.stderr.decode()[-500:]})")


def _start_carried(note: Note) -> None:
    """Have the carrier, a namespace host of the lab, run the supervisor: it ends with the lab at the latest."""
    with Channel(Path(note["carrier"]), f"the host that carries {note['name']}") as carrier:
        carrier.request("daemon", name=f"remote-{note['name']}", argv=_argv(note), log=note["log"])
        deadline = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(LabError), Channel(Path(note["socket"]), note["name"]):
                return
            if carrier.request("daemons")["daemons"][f"remote-{note['name']}"]["exit"] is not None:
                raise _failed(note, "has ended")
            if time.monotonic() > deadline:
                raise _failed(note, f"did not answer within {_START_S} s")
            time.sleep(0.01)


def _failed(note: Note, what: str) -> DaemonFailed:
    said = _libvirtd.last_lines(Path(note["log"]))
    return DaemonFailed(f"what connects to {note['target']} {what}: {said}", host=note["name"])


def leave(lab: Path) -> list[int]:
    """Have the supervisors remove what the lab has made on its servers; descriptors that tell when they have ended."""
    ending = []
    for note in notes(lab):
        if note["carrier"]:
            continue  # it ends with the lab
        with contextlib.suppress(LabError, OSError), channel(note) as supervisor:
            ending.append(os.pidfd_open(supervisor.peer_pid()))
            supervisor.request("leave")
    return ending


def wait(ending: list[int]) -> None:
    """Wait until supervisors have ended, at most two minutes."""
    deadline = time.monotonic() + _LEAVE_S
    for descriptor in ending:
        select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        os.close(descriptor)
