"""What the command line prints of labs and images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from ._html import SIGNS
from ._listing import LabInfo, labs
from ._values import format_duration, format_limit, format_size
from .errors import LabError
from .lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .hosts.base import Host


def lab_tree(info: LabInfo) -> Tree:
    """A lab with its hosts and machines."""
    if not info.alive:
        return Tree(f"[bold]{info.name}[/]  ✖ was killed; `labkit down {info.name}` removes what it left")
    tree = Tree(f"[bold]{info.name}[/]  ends in {format_duration(info.lease_left_s)} if unused")
    for host in Lab.attach(info.name):
        branch = tree.add(f"{host.name}  {host.address}")
        for line in _machines(host):
            branch.add(line)
    return tree


def _machines(host: Host) -> list[str]:
    try:
        return [
            f"{SIGNS[machine.state.value][0]} {machine.name}  {machine.engine}  {machine.state}  "
            f"{format_limit(machine.spec.memory_bytes)}  {', '.join(machine.addresses)}"
            for machine in host.machines()
        ]
    except LabError as error:
        return [escape(error.message)]


def labs_as_json(found: Iterable[LabInfo]) -> list[dict[str, Any]]:
    """Labs, hosts and machines as plain values."""
    return [
        {
            "name": info.name, "alive": info.alive, "created": info.created, "lease_left_s": info.lease_left_s,
            "hosts": _hosts_as_json(info),
        }
        for info in found
    ]  # fmt: skip


def _hosts_as_json(info: LabInfo) -> list[dict[str, Any]]:
    if not info.alive:
        return []
    return [
        {
            "name": host.name, "address": host.address, "provider": host.provider,
            "machines": [
                {"name": machine.name, "engine": machine.engine, "state": str(machine.state),
                 "memory_bytes": machine.spec.memory_bytes, "addresses": list(machine.addresses)}
                for machine in (host.machines() if host.is_alive else [])  # a server may be out of reach
            ],
        }
        for host in Lab.attach(info.name)
    ]  # fmt: skip


def contents(name: str) -> str:
    """What lab `name` has, in words, before it is ended."""
    info = next((lab for lab in labs() if lab.name == name), None)
    if info is None or not info.alive:
        return "the files of a lab that was killed"
    lab = Lab.attach(name)
    try:
        machines = [machine.name for machine in lab.machines()]
    except LabError:
        machines = []
    words = [f"{len(lab.hosts)} host(s): {', '.join(lab.hosts)}"]
    words.append(f"{len(machines)} machine(s){': ' + ', '.join(machines) if machines else ''}")
    return "; ".join(words)


def image_table(catalogue: Iterable[Any]) -> Table:
    """The images that there are or that can be built."""
    table = Table(box=None, header_style="dim")
    for title in ("image", "", "size", "digest", "what it is"):
        table.add_column(title)
    for entry in catalogue:
        size = format_size(entry.size_bytes) if entry.built else ""
        table.add_row(
            entry.name, "● built" if entry.built else "■ not built", size, (entry.digest or "")[:12], entry.description
        )
    return table
