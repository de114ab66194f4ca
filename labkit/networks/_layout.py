"""Where the nodes of a topology stand.

Graphviz's ``dot`` (the layered layout of Gansner, Koutsofios, North and Vo, 1993) decides the first
picture: hosts as clusters left and right of the networks, with few crossings. From then on what is
there stays, and newcomers go to a free place of their host. The browser draws the same places.
"""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .topology import HostNode, MachineNode, NetworkNode, Places, Topology

# Pixels.
MACHINE_WIDTH, MACHINE_HEIGHT, ROW = 312, 24, 15
NETWORK_WIDTH, NETWORK_HEIGHT, PORT = 172, 42, 7
PAD, HEADER, BETWEEN, GAP = 12, 28, 84, 5
EMPTY_HEIGHT = 26
_APART = 14  # regions, and networks
_MIDDLE = MACHINE_WIDTH // 2 + PAD + BETWEEN + NETWORK_WIDTH // 2  # from a column of machines to that of networks
_PROGRAM = ["dot", "-Tplain"]
_DEADLINE_S = 10

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: its edges in pixels, y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def at(cls, place: tuple[int, int], size: Size) -> Box:
        """The rectangle of `size` around `place`."""
        (x, y), (width, height) = place, size
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def overlaps(self, other: Box, apart: float = 0) -> bool:
        """Whether both share some ground, or come nearer than `apart` to each other."""
        return (
            self.left < other.right + apart and other.left < self.right + apart
            and self.top < other.bottom + apart and other.top < self.bottom + apart
        )  # fmt: skip


def around(boxes: Iterable[Box]) -> Box:
    """The smallest rectangle that holds them all; they are one at least."""
    edges = [(box.left, box.top, box.right, box.bottom) for box in boxes]
    lefts, tops, rights, bottoms = zip(*edges, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


def sizes(topology: Topology, places: Places | None = None) -> dict[str, Size]:
    """Width and height of each machine, by the lines it needs, and network, by the links that end at it."""
    in_lab = {network.id for network in topology.networks if not network.host}
    at, side = places or {}, _sides(topology)
    host = {machine.id: machine.host for machine in topology.machines}
    rows = dict.fromkeys((machine.id for machine in topology.machines), 0)
    ends: dict[str, dict[str, int]] = {network.id: {"left": 0, "right": 0} for network in topology.networks}
    for link in topology.links:
        rows[link.machine] += link.network in in_lab
        known = link.machine in at and link.network in at
        on_left = at[link.machine][0] < at[link.network][0] if known else side[host[link.machine]] == "left"
        ends[link.network]["left" if on_left else "right"] += 1
    found = {key: (MACHINE_WIDTH, MACHINE_HEIGHT + ROW * max(0, count - 1)) for key, count in rows.items()}
    for key, counts in ends.items():
        found[key] = (NETWORK_WIDTH, max(NETWORK_HEIGHT, PORT * max(counts.values()) + 14))
    return found


def members(topology: Topology, host: HostNode) -> list[str]:
    """The ids of what stands in a host's region."""
    nodes: list[MachineNode | NetworkNode] = [*topology.machines, *topology.networks]
    return [node.id for node in nodes if node.host == host.name]


def region(inside: list[str], size: Mapping[str, Size], places: Places, empty: tuple[int, int]) -> Box:
    """The region of a host with what is `inside`, or at `empty` if nothing is."""
    there = [Box.at(places[key], size[key]) for key in inside if key in places]
    held = around(there or [Box.at(empty, (MACHINE_WIDTH, EMPTY_HEIGHT))])
    return Box(held.left - PAD, held.top - HEADER, held.right + PAD, held.bottom + PAD)


def lay_out(topology: Topology, before: Places | None = None) -> dict[str, tuple[int, int]]:
    """The centre of each machine, network and host, in pixels.

    Parameters
    ----------
    before
        Where they stood: that is kept. Without a machine among them all is laid out anew.
    """
    ids = {node.id for node in topology.nodes()}
    known = {key: place for key, place in (before or {}).items() if key in ids}
    if not any(key.startswith("machine/") for key in known):
        known = _fresh(topology) or known
    return _Places(topology, known).complete()


# What dot decides


def _sides(topology: Topology) -> dict[str, str]:
    """On which side of the networks each host stands: the one with less on it so far."""
    load = {"left": 0, "right": 0}
    side = {}
    for host in topology.hosts:
        side[host.name] = min(load, key=lambda each: load[each])
        load[side[host.name]] += 2 + sum(machine.host == host.name for machine in topology.machines)
    return side


def _fresh(topology: Topology) -> dict[str, tuple[int, int]]:
    """Places by dot; none without Graphviz."""
    names = {node.id: f"a{number}" for number, node in enumerate(topology.nodes())}
    source = _Source(topology, names).text()
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    try:
        told = subprocess.run(
            _PROGRAM, input=source, capture_output=True, text=True, timeout=_DEADLINE_S, check=True, env=environment
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        if has_graphviz():
            logging.getLogger("labkit").warning("%s did not lay out the topology: %s", _PROGRAM[0], error)
        return {}
    ids = {name: key for key, name in names.items()}
    found = {}
    for line in told.splitlines():
        match line.split():
            case ["node", name, x, y, *_] if name in ids:
                found[ids[name]] = (round(72 * float(x)), round(-72 * float(y)))
    return found


def has_graphviz() -> bool:
    """Whether the program that lays out is there."""
    from shutil import which

    return which(_PROGRAM[0]) is not None


class _Source:
    """The question to dot: only sizes, and numbers for names."""

    def __init__(self, topology: Topology, names: Mapping[str, str]) -> None:
        self._topology = topology
        self._names = names
        self._size = sizes(topology)
        self._side = _sides(topology)

    def text(self) -> str:
        graph = f"rankdir=LR newrank=true splines=false ranksep={BETWEEN / 72:.3f} nodesep={GAP / 72:.3f}"
        lines = [f"graph {{ graph [{graph}]; node [shape=box fixedsize=true];", self._node("gap", (NETWORK_WIDTH, 2))]
        for number, host in enumerate(self._topology.hosts):
            # A label of the header's height; dot adds some room of its own.
            look = f'label="x" fontsize={HEADER - 14} margin={PAD}'
            inside = " ".join(self._node(self._names[key], self._size[key]) for key in members(self._topology, host))
            empty = self._node(self._names[host.id], (MACHINE_WIDTH, EMPTY_HEIGHT)) if not inside else ""
            lines.append(f"subgraph cluster_{number} {{ {look}; {inside}{empty} }}")
        for network in self._topology.networks:
            if not network.host:
                # Networks want more room between them than machines: some of it is theirs.
                width, height = self._size[network.id]
                lines.append(self._node(self._names[network.id], (width, height + 2 * _APART)))
        return "\n".join([*lines, *self._ranks(), *self._edges(), "}"])

    @staticmethod
    def _node(name: str, size: Size) -> str:
        return f"{name} [width={size[0] / 72:.3f} height={size[1] / 72:.3f}];"

    def _columns(self) -> dict[str, list[str]]:
        """What stands in one column: machines of a side, networks."""
        columns: dict[str, list[str]] = {"left": [], "middle": ["gap"], "right": []}
        full = set()
        for machine in self._topology.machines:
            columns[self._side[machine.host]].append(self._names[machine.id])
            full.add(machine.host)
        for host in self._topology.hosts:
            if host.name not in full:
                columns[self._side[host.name]].append(self._names[host.id])
        columns["middle"] += [self._names[network.id] for network in self._topology.networks if not network.host]
        return columns

    def _ranks(self) -> list[str]:
        return [f"{{ rank=same; {'; '.join(names)} }}" for names in self._columns().values() if names]

    def _edges(self) -> list[str]:
        side = self._side
        hosts = {node.id: node.host for node in self._topology.nodes() if not isinstance(node, HostNode)}
        lines, linked = [], set()
        for link in self._topology.links:
            machine, network = self._names[link.machine], self._names[link.network]
            on_left = side[hosts[link.machine]] == "left"
            if not hosts[link.network]:
                linked.add(machine)
            # Docker's own networks are on the far side of their host's machines.
            ends = (machine, network) if on_left != bool(hosts[link.network]) else (network, machine)
            lines.append(" -- ".join(ends) + ";")
        columns = self._columns()
        faint = " [style=invis weight=0];"
        lines += [f"{name} -- gap{faint}" for name in columns["left"] if name not in linked]
        lines += [f"gap -- {name}{faint}" for name in columns["right"] if name not in linked]
        return lines


# What comes later


class _Places:
    """Places that are filled up with newcomers; who has a place keeps it, unless a region needs the room."""

    def __init__(self, topology: Topology, known: dict[str, tuple[int, int]]) -> None:
        self._topology = topology
        self._size = sizes(topology, known)
        self._places = dict(known)
        in_lab = [known[network.id][0] for network in topology.networks if network.id in known and not network.host]
        columns = sorted(x for key, (x, _) in known.items() if key.startswith(("host/", "machine/")))
        self._middle = in_lab[0] if in_lab else columns[0] + _MIDDLE if columns else 0

    def complete(self) -> dict[str, tuple[int, int]]:
        for host in self._topology.hosts:
            self._anchor(host)
        self._put_networks()
        for host in self._topology.hosts:
            self._fill(host)
        self._size = sizes(self._topology, self._places)
        self._put_networks()  # with the bars that they need now
        for host in self._topology.hosts:  # where its region stays should it become empty
            box = self._region(host)
            self._places[host.id] = (round((box.left + box.right) / 2), round(box.top) + HEADER + EMPTY_HEIGHT // 2)
        return self._places

    def _region(self, host: HostNode) -> Box:
        return region(members(self._topology, host), self._size, self._places, self._places[host.id])

    def _anchor(self, host: HostNode) -> None:
        """A place for a new host: below those of the side that has less."""
        if host.id in self._places:
            return
        inside = [key for key in members(self._topology, host) if key in self._places]
        if inside:
            self._places[host.id] = self._places[inside[0]]
            return
        bottoms = {self._middle - _MIDDLE: -float(_APART), self._middle + _MIDDLE: -float(_APART)}
        for other in self._topology.hosts:
            if other.id in self._places:
                box = self._region(other)
                x = self._middle + (_MIDDLE if (box.left + box.right) / 2 > self._middle else -_MIDDLE)
                bottoms[x] = max(bottoms[x], box.bottom)
        x = min(bottoms, key=lambda each: (bottoms[each], each))
        self._places[host.id] = (x, round(bottoms[x]) + _APART + HEADER + EMPTY_HEIGHT // 2)

    def _put_networks(self) -> None:
        """Networks of the lab stand below each other, and their bars, which grow with links, apart."""
        bottom: float | None = None
        mine = [network.id for network in self._topology.networks if not network.host]
        fixed = sorted((key for key in mine if key in self._places), key=lambda key: self._places[key][1])
        for key in [*fixed, *(key for key in mine if key not in self._places)]:
            height = self._size[key][1]
            x, y = self._places.get(key, (self._middle, None))
            least = height / 2 if bottom is None else bottom + _APART + height / 2
            if y is None or (y < least and bottom is not None and x == self._middle):
                y = round(least)
            self._places[key] = (x, y)
            if x == self._middle:
                bottom = y + height / 2

    def _fill(self, host: HostNode) -> None:
        """Put the newcomers of a host where there is room, and make room below its region if it needs that."""
        new = [key for key in members(self._topology, host) if key not in self._places]
        if not new:
            return
        before = self._region(host)
        for key in sorted(new, key=self._height_of_networks):
            self._places[key] = self._own_place(key, host) if key.startswith("network/") else self._slot(key, host)
        self._make_room(host, before)

    def _height_of_networks(self, machine: str) -> float:
        """How far down the networks of a machine are, on average; those of several go in this order."""
        mine = [link.network for link in self._topology.links if link.machine == machine]
        there = [self._places[key][1] for key in mine if key in self._places]
        return sum(there) / len(there) if there else float("inf")

    def _slot(self, key: str, host: HostNode) -> tuple[int, int]:
        """The first gap between the machines of a host, or the place below them."""
        there = [each for each in members(self._topology, host) if each in self._places and each.startswith("machine/")]
        if not there:
            return self._places[host.id]
        columns = [self._places[each][0] for each in there]
        x = max(set(columns), key=lambda each: (columns.count(each), each))
        boxes = [Box.at(self._places[each], self._size[each]) for each in there]
        column = [box for box in boxes if box.overlaps(Box(x - 1, box.top, x + 1, box.bottom))]
        height = self._size[key][1]
        bottoms = sorted(box.bottom for box in column)
        wanted = (Box.at((x, round(bottom + GAP + height / 2)), self._size[key]) for bottom in bottoms)
        free = next(box for box in wanted if not any(box.overlaps(other, GAP - 1) for other in boxes))
        return x, round((free.top + free.bottom) / 2)

    def _own_place(self, key: str, host: HostNode) -> tuple[int, int]:
        """For one of Docker's own networks: beyond its host's machines, seen from the lab's networks."""
        box = self._region(host)
        away = 1 if (box.left + box.right) / 2 > self._middle else -1
        others = [
            each for each in members(self._topology, host) if each.startswith("network/") and each in self._places
        ]
        if others:
            x, y = max((self._places[each] for each in others), key=lambda place: place[1])
            return x, y + NETWORK_HEIGHT + _APART
        edge = box.right if away > 0 else box.left
        x = round(edge + away * (BETWEEN // 2 + NETWORK_WIDTH / 2))
        return x, round(box.top + HEADER + self._size[key][1] / 2)

    def _make_room(self, host: HostNode, before: Box) -> None:
        """Push down, each as a whole, the regions that this one has grown into."""
        after = self._region(host)
        for other in self._topology.hosts:
            box = self._region(other)
            if other is host or box.top < before.top or before.overlaps(box) or not after.overlaps(box, _APART):
                continue
            down = round(after.bottom + _APART - box.top)
            for key in {other.id, *members(self._topology, other)} & self._places.keys():
                x, y = self._places[key]
                self._places[key] = (x, y + down)
            self._make_room(other, box)
