"""A container's memory kept and brought back, by CRIU, where that fits the kernel."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EngineError, NotSupported
from ._docker_api import Api

if TYPE_CHECKING:
    from ..hosts.base import Host

_FILES_ONLY = "snapshot() keeps its files"
_SETTINGS = Path("/etc/criu/runc.conf")  # of CRIU when runc calls it, for Docker does not pass such on
_LOG = re.compile(r"path= ?(/\S+\.log)")
_MARK = "labkit"


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


def allow_connections(host: Host) -> None:
    """Have CRIU keep TCP connections, too, on a host whose /etc is its own."""
    if host.files.are_here:
        script = 'mkdir -p "${1%/*}" && echo tcp-established >"$1"'
        host.run(["sh", "-euc", script, "labkit", str(_SETTINGS)], check=True)


def save(api: Api, container: str, name: str, *, leave_running: bool) -> None:
    """Have Docker keep a container's memory."""
    body = {"CheckpointID": name, "Exit": not leave_running}
    api._raise_for_status(api._post_json(api._url("/containers/{0}/checkpoints", container), data=body))  # noqa: SLF001  docker-py lacks it


def start_from(api: Api, host: Host, container: str, name: str) -> None:
    """Start a stopped container where it was when its memory was kept."""
    # containerd refuses the same bytes twice, and has had them when they were saved.
    host.files.write(folder(api, container, name) / _MARK, secrets.token_hex(16))
    api._raise_for_status(api._post(api._url("/containers/{0}/start", container), params={"checkpoint": name}))  # noqa: SLF001  docker-py lacks it


def forget(api: Api, container: str, name: str) -> None:
    """Remove a container's memory that was kept, if it was."""
    api._delete(api._url("/containers/{0}/checkpoints/{1}", container, name))  # noqa: SLF001  docker-py lacks it


def folder(api: Api, container: str, name: str) -> Path:
    """Where on its host Docker has a container's memory (asks Docker)."""
    place = Path(api.info()["DockerRootDir"], "containers", api.inspect_container(container)["Id"])
    return place / "checkpoints" / name


def explained(error: EngineError, host: Host) -> EngineError:
    """Docker's error with what CRIU itself has said, where that can still be read."""
    if log := _LOG.search(error.message):
        said = host.run(["grep", "-h", "Error", log[1]]).stdout.strip().splitlines()[-2:]
        if said:
            error.message = f"CRIU: {re.sub(r'^[(][^)]*[)] *Error [(][^)]*[)]: *', '', said[0])}"
            error.args = (error.message,)
    return error
