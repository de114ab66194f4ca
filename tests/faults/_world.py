"""What the tests of faults do to the world, and how they wait for it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from labkit.hosts.base import Host
from labkit.testing import Stock, take_stock


def until(true: Callable[[], object], what: str, timeout_s: float = 10) -> None:
    """Wait until `true()` holds, which the sentence `what` describes."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"within {timeout_s:g} s it did not come true that {what}"
        time.sleep(0.01)


def first_process(host: Host) -> int:
    """The process id of a host's first process, as seen from here."""
    with host._channel() as channel:  # type: ignore[attr-defined]
        pid: int = channel.peer_pid()
        return pid


def alive(lab: str, before: Stock) -> dict[str, list[str]]:
    """What of a lab the kernel still has: all that `take_stock` counts but files and cgroups."""
    since = take_stock(lab).since(before)
    return {kind: found for kind, found in since.items() if kind not in ("files", "cgroups")}


def guests_of(host: Host) -> list[str]:
    """The names of the QEMU processes of a host."""
    found = host.run(["pgrep", "-af", "qemu-system"]).stdout.splitlines()
    return [word.split(",")[0].removeprefix("guest=") for line in found for word in line.split() if "guest=" in word]


def apart(script: str) -> list[str]:
    """What is put before a command to give it mounts of its own, changed by a shell script."""
    as_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    return ["unshare", *as_user, "--mount", "sh", "-euc", f'{script}\nexec "$@"', "apart"]
