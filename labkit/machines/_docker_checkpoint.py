"""A container's memory kept and brought back, by CRIU, where that fits the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import NotSupported
from ._docker_api import Api

if TYPE_CHECKING:
    from ..hosts.base import Host

_FILES_ONLY = "snapshot() keeps its files"


def require_criu(host: Host, machine: str) -> None:
    """Raise `NotSupported`, with the reason, unless CRIU says that it can do it here."""
    from ..hosts._checks import install, program_on

    where = {"host": host.name, "machine": machine}
    if not program_on(host, "criu"):
        raise NotSupported(
            "a checkpoint is not possible: criu is not installed", hint=f"{install('criu')}; {_FILES_ONLY}", **where
        )
    if not host.is_privileged:
        raise NotSupported("a checkpoint is not possible: CRIU works for root only", hint=_FILES_ONLY, **where)
    done = host.run(["criu", "check"], timeout_s=30)
    if not done.ok:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit code {done.exit_code}"]
        raise NotSupported(
            f"a checkpoint is not possible: criu does not fit this kernel: {last[0].strip()}", hint=_FILES_ONLY, **where
        )


def save(api: Api, container: str, name: str, *, leave_running: bool) -> None:
    """Have Docker keep a container's memory."""
    body = {"CheckpointID": name, "Exit": not leave_running}
    api._raise_for_status(api._post_json(api._url("/containers/{0}/checkpoints", container), data=body))  # noqa: SLF001  docker-py lacks it


def start_from(api: Api, container: str, name: str) -> None:
    """Start a stopped container where it was when its memory was kept."""
    api._raise_for_status(api._post(api._url("/containers/{0}/start", container), params={"checkpoint": name}))  # noqa: SLF001  docker-py lacks it
