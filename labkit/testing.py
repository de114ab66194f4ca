"""For tests: take stock of what a lab could leave behind, before and after.

Use it so::

    before = take_stock("demo")
    with Lab("demo") as lab: ...
    assert take_stock("demo").since(before) == {}
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass, fields
from pathlib import Path

from .hosts import _cgroups, _launch


@dataclass(frozen=True, slots=True)
class Stock:
    """What there is of a lab on this machine, outside of its own namespaces.

    Attributes
    ----------
    processes
        Of the lab, by process id: those that have its folder in their mounts or command line.
    links, mounts
        Network links and mounts of this process's namespaces, whoever made them.
    cgroups, files
        Of the lab.
    """

    processes: frozenset[str]
    links: frozenset[str]
    mounts: frozenset[str]
    cgroups: frozenset[str]
    files: frozenset[str]

    def since(self, before: Stock) -> dict[str, list[str]]:
        """What has come since `before`; empty if nothing has."""
        pairs = ((field.name, getattr(self, field.name) - getattr(before, field.name)) for field in fields(self))
        return {name: sorted(new) for name, new in pairs if new}


def take_stock(lab: str) -> Stock:
    """What there is now of the lab named `lab` of this user."""
    folders = [_launch.folder(lab), _launch.sockets(lab)]
    return Stock(_processes(folders), _links(), _mounts(), _groups(lab), _files(folders))


def settle(lab: str, before: Stock, timeout_s: float = 10) -> dict[str, list[str]]:
    """What is left since `before` once the kernel has cleared up, at most `timeout_s` later."""
    deadline = time.monotonic() + timeout_s
    while (left := take_stock(lab).since(before)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _processes(folders: list[Path]) -> frozenset[str]:
    marks = [str(folder).encode() for folder in folders]
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            seen = command + (entry / "mountinfo").read_bytes()
        except OSError:
            continue  # it has ended, or is not ours to see
        if command and any(mark in seen for mark in marks):
            found.add(f"{entry.name} {command.replace(bytes(1), b' ').decode(errors='replace')[:120]}")
    return frozenset(found)


def _links() -> frozenset[str]:
    told = subprocess.run(
        ["ip", "-j", "link"], capture_output=True, check=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    return frozenset(link["ifname"] for link in json.loads(told.stdout))


def _mounts() -> frozenset[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return frozenset(line.split()[4] + " " + line.split(" - ")[1] for line in lines)


def _groups(lab: str) -> frozenset[str]:
    return frozenset(str(path) for path in _cgroups.find(_launch.key(lab)))


def _files(folders: list[Path]) -> frozenset[str]:
    found = set()
    for folder in folders:
        for ended in [folder, *folder.parent.glob(".ended-*")]:
            found |= {str(Path(path) / name) for path, _, names in os.walk(ended) for name in names}
    return frozenset(found)
