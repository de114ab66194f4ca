"""``host.run(["true"])`` on a server, against ssh over a connection that is there already.

The floor is what somebody would write by hand: ``ssh -S control server true``, which has no login to do
either. The wire is a pair of pipes, so what a network adds is missing from both alike.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from _table import Limit, Row, interleaved, main

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `_server`, which no package holds

from _server import server

from labkit import Lab
from labkit.hosts.base import Host

_TIMES = 10
_DATA = os.urandom(16 << 20)


def _bare(argv: list[str], data: bytes = b"") -> bytes:
    return subprocess.run(argv, input=data, check=True, capture_output=True, timeout=120).stdout


def _each(act: Callable[[], object]) -> Callable[[], float]:
    """A case that does something ten times; its time is that of one."""
    import time

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(_TIMES):
            act()
        return (time.perf_counter() - began) / _TIMES

    return measure


def _check(stdout: str) -> None:
    if stdout.split(maxsplit=1)[0] != hashlib.sha256(_DATA).hexdigest():
        raise ValueError(stdout)


def _cases(host: Host, target: str) -> dict[str, Callable[[], float | None]]:
    ssh = ["ssh", "-S", str(host.sockets / "ssh"), "-o", "ProxyCommand=false", target]
    return {
        "ssh … true": _each(lambda: _bare([*ssh, "true"])),
        'host.run(["true"])': _each(lambda: host.run(["true"])),
        "16 MiB by ssh": lambda: _check(_bare([*ssh, "sha256sum"], _DATA).decode()),
        "16 MiB by host.run": lambda: _check(host.run(["sha256sum"], input=_DATA).stdout),  # type: ignore[arg-type]
    }


def rows(n: int) -> list[Row]:
    """Measure `n` rounds."""
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as far, Lab("bench-remote", [far.spec()]) as lab:
        cases = _cases(lab["gamma"], far.spec().target)
        small = dict(list(cases.items())[:2])
        large = dict(list(cases.items())[2:])
        return [
            *interleaved(small, n, limits={'host.run(["true"])': Limit(ratio=1.1)}),
            *interleaved(large, n),
        ]


if __name__ == "__main__":
    raise SystemExit(main(rows, "A command on a server"))
