"""What is done on a host itself, next to its dockerd; run as a file, with the standard library only.

``remove SOCKET NAME``: remove a container, also one that is only just being made.
``leave SOCKET CONTAINER MORE``: remove a container that is another host's, with the volumes and images named in MORE.
``start SOCKET CONTAINER [CHECKPOINT]``: start a container, also one that is just stopping; with its memory if kept.
``disconnect SOCKET CONTAINER NETWORK``: take a container from a network.
``kill PID``: end a process and all of its group.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import time
import urllib.parse

_KEPT_S = 60
_SETTLED = 10  # questions in a row after which a container that is not there will not come


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def remove(path: str, name: str, settled: int = _SETTLED) -> None:
    """Remove container `name`; a request to make it may still be under way, so look more than once."""
    missing = 0
    deadline = time.monotonic() + 30
    while missing < settled and time.monotonic() < deadline:
        connection = _Connection(path)
        connection.request("DELETE", f"/containers/{name}?force=1&v=1")
        missing = missing + 1 if connection.getresponse().status == 404 else 0
        connection.close()
        time.sleep(0.05 if missing < settled else 0)


def leave(path: str, name: str, more: str) -> None:
    """Remove a container and, as far as nobody else has them, its volumes and the images of its snapshots."""
    words = json.loads(more)
    remove(path, name, 1 if words["certain"] else _SETTLED)
    for volume in words["volumes"]:
        _ask(path, "DELETE", f"/volumes/{volume}")
    for pattern in words["images"]:
        filters = urllib.parse.quote(json.dumps({"reference": [pattern]}))
        for image in json.loads(_ask(path, "GET", f"/images/json?filters={filters}")):
            for tag in image["RepoTags"] or ():
                _ask(path, "DELETE", f"/images/{tag}")


def start(path: str, name: str, checkpoint: str = "") -> None:
    """Start a container where its memory was kept, if it was; else once it has stopped."""
    if checkpoint and _is_kept(path, name, checkpoint):
        _mark(path, name, checkpoint)
        _ask(path, "POST", f"/containers/{name}/start?checkpoint={checkpoint}")
        if _runs(path, name):
            return
    _ask(path, "POST", f"/containers/{name}/stop?t=20")
    _ask(path, "POST", f"/containers/{name}/start")


def _is_kept(path: str, name: str, checkpoint: str) -> bool:
    """Whether a container has ended with its memory kept; Docker may be just keeping it."""
    deadline = time.monotonic() + _KEPT_S
    while time.monotonic() < deadline:
        kept = json.loads(_ask(path, "GET", f"/containers/{name}/checkpoints")) or []
        if all(one["Name"] != checkpoint for one in kept):
            return False
        if not _runs(path, name):
            return True
        time.sleep(0.1)
    return False


def _runs(path: str, name: str) -> bool:
    return bool(json.loads(_ask(path, "GET", f"/containers/{name}/json"))["State"]["Running"])


def _mark(path: str, name: str, checkpoint: str) -> None:
    """Make other bytes of it: see `_docker_checkpoint.start_from`."""
    root = json.loads(_ask(path, "GET", "/info"))["DockerRootDir"]
    container = json.loads(_ask(path, "GET", f"/containers/{name}/json"))["Id"]
    with open(f"{root}/containers/{container}/checkpoints/{checkpoint}/labkit", "w", encoding="ascii") as file:
        file.write(os.urandom(16).hex())


def _ask(path: str, method: str, what: str) -> bytes:
    connection = _Connection(path)
    try:
        connection.request(method, what)
        return connection.getresponse().read()
    finally:
        connection.close()


def disconnect(path: str, container: str, network: str) -> None:
    """Take a container from a network, if it is on it."""
    connection = _Connection(path)
    body = json.dumps({"Container": container, "Force": True})
    connection.request("POST", f"/networks/{network}/disconnect", body, {"Content-Type": "application/json"})
    connection.getresponse().read()
    connection.close()


def main() -> None:
    """Do what the arguments say."""
    what, *words = sys.argv[1:]
    if what == "remove":
        with contextlib.suppress(OSError):  # without a daemon there are no containers either
            remove(words[0], words[1])
    elif what == "leave":
        with contextlib.suppress(OSError):
            leave(*words)
    elif what == "start":
        with contextlib.suppress(OSError):
            start(*words)
    elif what == "disconnect":
        with contextlib.suppress(OSError):
            disconnect(*words)
    elif what == "kill":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(words[0]), signal.SIGKILL)


if __name__ == "__main__":
    main()
