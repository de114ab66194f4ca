"""Docker's daemon on a host: its configuration, its start, and why it failed."""

from __future__ import annotations

import json
import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DaemonFailed
from . import _libvirtd
from ._checks import find_program
from .base import NEVER_STARTED

if TYPE_CHECKING:
    from .base import Host

DAEMON = "dockerd"
# What a host keeps to itself; lab networks have other ranges (see labkit.networks.network).
BRIDGE, POOL = "198.18.128.1/24", "198.18.160.0/19"
BACKBONE = "198.18.0.0/24"
STRIPPED_RUNTIME = "labkit-runc"
# A host in a user namespace has a /sys of its own, without the hierarchies of cgroup v1 that the kernel
# still lists as mounted there. runc can do without those that it may not write to, not without those
# that it cannot find: in a mount namespace of its own, dockerd is shown them again. It is one that
# stays, held by a process: containers outlive a dockerd that died, and the next must see their mounts.
_MOUNTS = "/run/docker-mounts"
_SHOW_CGROUPS = """
mkdir -p /run/sys && mount --move /sys /run/sys && mount --rbind /sys/fs/cgroup /run/sys/fs/cgroup &&
mount --move /run/sys /sys && echo $$ >/run/docker-mounts.new &&
mv /run/docker-mounts.new /run/docker-mounts && exec sleep infinity
"""
_HOLDER, _HOLDER_S = "docker-mounts", 20
_WHOSE = "Docker's daemon"
_SHIM = Path(__file__).with_name("_runc.py")


def folders(state: Path) -> dict[str, str]:
    """What is mounted where in a host: ``{inside: outside}``; dockerd keeps a key file in it."""
    return {"/etc/docker": str(state / "etc-docker")}


def start(host: Host) -> Path:
    """Have the host's dockerd run; returns its socket once it accepts connections.

    Raises
    ------
    PackageMissing, DaemonFailed
    """
    from .doctor import require_program

    program = require_program(DAEMON)
    socket = host.sockets / "docker.sock"
    if host.daemon_exit(DAEMON) is not None:
        _configure(host, socket)
        # Else dockerd sets it, and then has everything dropped that goes through the host.
        host.run(["tee", "/proc/sys/net/ipv4/ip_forward"], input="1", check=True)
    # Containerd leaves the memory of containers there when they are checkpointed.
    argv = ["env", f"TMPDIR={_temporary(host)}", program, "--config-file", str(host.folder / "dockerd.json")]
    if os.geteuid() != 0:
        argv = [*_in_user_namespace(host), *argv, "--rootless"]
    log = host.start_daemon(DAEMON, argv)
    _libvirtd.wait_for_socket(socket, lambda: host.daemon_exit(DAEMON), log, host.name, 60, _WHOSE, host.files)
    return socket


def _in_user_namespace(host: Host) -> list[str]:
    """What dockerd is started by where the lab is an ordinary user's."""
    # Without a folder for sockets, rootless mode does not start.
    prefix = ["env", "XDG_RUNTIME_DIR=/run"]
    if host.files.exists(Path("/sys/fs/cgroup/cgroup.controllers")):
        return prefix
    if host.daemon_exit(_HOLDER) is not None:
        host.run(["rm", "-f", _MOUNTS], check=True)
    log = host.start_daemon(_HOLDER, ["unshare", "--mount", "sh", "-c", _SHOW_CGROUPS])
    deadline = time.monotonic() + _HOLDER_S
    while not (holder := host.run(["cat", _MOUNTS])).ok:
        if host.daemon_exit(_HOLDER) is not None or time.monotonic() > deadline:
            raise _libvirtd.failure("found no mounts to run in", log, host.name, _WHOSE, host.files)
        time.sleep(0.01)
    return [*prefix, "nsenter", f"--mount=/proc/{holder.stdout.strip()}/ns/mnt", "--"]


def _temporary(host: Host) -> Path:
    return host.folder / "docker-tmp"


def _configure(host: Host, socket: Path) -> None:
    host.files.make_folder(_temporary(host), there=True)
    shim = host.folder / STRIPPED_RUNTIME
    words = shlex.join([*host.python, "-I", "-S", host.program(_SHIM)])
    host.files.write(shim, f'#!/bin/sh\nexec {words} "$@"\n', mode=0o755)
    config = {
        "data-root": str(host.folder / "docker"), "exec-root": "/run/docker", "pidfile": "/run/docker.pid",
        "hosts": [f"unix://{socket}"], "log-level": "warn", "log-opts": {"max-size": "16m", "max-file": "2"},
        "bip": BRIDGE, "default-address-pools": [{"base": POOL, "size": 24}],
        "insecure-registries": [BACKBONE],  # the lab's own, which no one outside the lab can reach
        "experimental": bool(find_program("criu")),  # of which checkpoints are a part
        **_init_path(host), "userland-proxy": False, "live-restore": True,  # containers outlive a daemon that died
        "runtimes": {STRIPPED_RUNTIME: {"path": str(shim)}},
    }  # fmt: skip
    host.files.write(host.folder / "dockerd.json", json.dumps(config, indent=1), whole=True)


def _init_path(host: Host) -> dict[str, str]:
    """Where docker-init really lies: of a link, which it is on Debian, CRIU restores the link and not the file."""
    found = host.run(["sh", "-c", 'readlink -f "$(command -v docker-init)"']).stdout.strip()
    return {"init-path": found} if found else {}


def why_failed(host: Host) -> DaemonFailed | None:
    """If the host's dockerd has ended, the error that says why."""
    deadline = time.monotonic() + 1  # one that is about to end has hung up before it has ended
    while (code := host.daemon_exit(DAEMON)) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if code in (None, NEVER_STARTED):
        return None
    log = host.folder / f"{DAEMON}.log"
    return _libvirtd.failure(f"ended with exit code {code}", log, host.name, _WHOSE, host.files)
