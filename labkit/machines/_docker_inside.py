"""What is done on a host itself, next to its dockerd; run as a file, with the standard library only.

``remove SOCKET NAME``: remove a container, also one that is only just being made.
``leave SOCKET CONTAINER MORE``: remove a container that is another host's, with the volumes and images named in MORE.
``start SOCKET CONTAINER``: start a container, also one that is just stopping.
``disconnect SOCKET CONTAINER NETWORK``: take a container from a network.
``samples [ID…]``: the counters of running containers, of all of them or of those, as JSON.
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SETTLED = 10  # questions in a row after which a container that is not there will not come
_TICK = os.sysconf("SC_CLK_TCK")


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


def start(path: str, name: str) -> None:
    """Start a container, once it has stopped."""
    _ask(path, "POST", f"/containers/{name}/stop?t=20")
    _ask(path, "POST", f"/containers/{name}/start")


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


def _processes() -> dict[int, tuple[int, float]]:
    """The parent of each process, and the processor time of it and of its children that ended."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                words = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
                found[int(entry)] = int(words[1]), sum(map(int, words[11:15])) / _TICK
    return found


def _shims(processes: dict[int, tuple[int, float]]) -> Iterator[tuple[str, int]]:
    """The container and the process id of each of containerd's shims: the parents of containers."""
    for pid in processes:
        with contextlib.suppress(OSError, ValueError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            if "containerd-shim" in words[0]:
                yield words[words.index("-id") + 1], pid


def _memory(pid: int) -> int:
    """What a process holds, of shared pages its share."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _disk(pid: int) -> tuple[int, int]:
    """Bytes read and written by a process and by its children that ended."""
    with contextlib.suppress(OSError):
        told = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
        return int(told["read_bytes"]), int(told["write_bytes"])
    return 0, 0


def _traffic(pid: int) -> tuple[int, int]:
    """Bytes received and sent by the network interfaces that a process sees."""
    received = sent = 0
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
            name, _, numbers = line.partition(":")
            if name.strip() != "lo":
                words = numbers.split()
                received, sent = received + int(words[0]), sent + int(words[8])
    return received, sent


def samples(wanted: list[str]) -> dict[str, Any]:
    """The counters of containers by their ids."""
    processes = _processes()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in processes.items():
        children.setdefault(parent, []).append(pid)
    found = {}
    for container, shim in _shims(processes):
        if (not wanted or container in wanted) and shim in children:
            family = list(children[shim])
            for pid in family:
                family += children.get(pid, [])
            # The shim has what those used that it has reaped: such as were started by `docker exec`.
            disk = [_disk(pid) for pid in [shim, *family]]
            found[container] = {
                "cpu_seconds": sum(processes[pid][1] for pid in [shim, *family]),
                "memory_bytes": sum(_memory(pid) for pid in family),
                "disk_read_bytes": sum(read for read, _ in disk), "disk_written_bytes": sum(wrote for _, wrote in disk),
                **dict(zip(("received_bytes", "sent_bytes"), _traffic(children[shim][0]), strict=True)),
            }  # fmt: skip
    return found


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
    elif what == "samples":
        print(json.dumps({"time_s": time.monotonic(), "containers": samples(words)}))
    elif what == "kill":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(words[0]), signal.SIGKILL)


if __name__ == "__main__":
    main()
