"""A lab as a graph: its hosts, networks and machines, and the links between them.

`Topology` is a value: what there was when it was asked for. ``lab.topology()`` shows it live.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .._html import ENGINES, SIGNS
from .._values import format_count
from ..errors import LabError
from ..machines.spec import State
from .link import Link as Condition

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..lab import Lab
    from ..machines.base import Machine

Places = Mapping[str, tuple[int, int]]
JSON_VERSION = 1


@dataclass(frozen=True, slots=True)
class HostNode:
    """A host of the picture.

    Attributes
    ----------
    name, address, provider
        As those of `labkit.hosts.base.Host`.
    ended
        Whether it no longer answers.
    """

    name: str
    address: str
    provider: str = ""
    ended: bool = False

    @property
    def id(self) -> str:
        """Its name in the picture, such as ``host/alpha``."""
        return f"host/{self.name}"


@dataclass(frozen=True, slots=True)
class NetworkNode:
    """A network of the picture.

    Attributes
    ----------
    name, mode, cidr, bridge
        As those of `labkit.networks.network.Network`; the mode of Docker's own is ``"docker"``.
    home
        The host that serves it, if any does.
    vlan
        The 802.1Q tag that it has between hosts, or 0.
    serves
        What is served on it: of ``"DHCP"`` and ``"DNS"``.
    host
        Of a network that one host has for itself, as Docker's own: that host; else "".
    """

    name: str
    mode: str
    cidr: str
    home: str = ""
    bridge: str = ""
    host: str = ""
    vlan: int = 0
    serves: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name in the picture, such as ``network/lan``."""
        return f"network/{self.host}/{self.name}" if self.host else f"network/{self.name}"


@dataclass(frozen=True, slots=True)
class MachineNode:
    """A machine of the picture.

    Attributes
    ----------
    name, host, engine, state
        As those of `labkit.machines.base.Machine`; ``host`` by name.
    doing
        The verb that is being done to it, if any.
    """

    name: str
    host: str
    engine: str
    state: State
    doing: str = ""

    @property
    def id(self) -> str:
        """Its name in the picture, such as ``machine/alpha/web``."""
        return f"machine/{self.host}/{self.name}"


@dataclass(frozen=True, slots=True)
class Link:
    """A machine's connection to a network.

    Attributes
    ----------
    machine, network
        Their ids.
    address, mac
        "" where only the engine knows them, as on Docker's own networks.
    up
        Whether it carries traffic.
    note
        In words, how it is other than it comes: down, limited, delayed; else "".
    """

    machine: str
    network: str
    address: str = ""
    mac: str = ""
    up: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class Topology:
    """The graph of a lab.

    Attributes
    ----------
    lab
        The lab's name.
    hosts, networks, machines, links
        What it had. Each link's ends are among the networks and machines.
    """

    lab: str
    hosts: tuple[HostNode, ...] = ()
    networks: tuple[NetworkNode, ...] = ()
    machines: tuple[MachineNode, ...] = ()
    links: tuple[Link, ...] = ()

    @classmethod
    def of(cls, lab: Lab) -> Topology:
        """Ask `lab` what there is now; hosts that have ended are there without machines."""
        return build(lab, {host.name: _machines_of(host) for host in lab if host.is_alive})

    def nodes(self) -> list[HostNode | NetworkNode | MachineNode]:
        """Hosts, networks and machines."""
        return [*self.hosts, *self.networks, *self.machines]

    def as_dict(self) -> dict[str, Any]:
        """The graph as plain values; see `to_json` for its shape."""
        return {
            "labkit_topology": JSON_VERSION,
            "lab": self.lab,
            "hosts": [{"id": each.id, **asdict(each)} for each in self.hosts],
            "networks": [{"id": each.id, **asdict(each), "serves": list(each.serves)} for each in self.networks],
            "machines": [{"id": each.id, **asdict(each), "state": each.state.value} for each in self.machines],
            "links": [asdict(each) for each in self.links],
        }

    def to_json(self, *, indent: int | None = 2) -> str:
        """The graph as JSON text.

        An object with ``labkit_topology`` (the version of this shape: 1), ``lab``, and four lists.
        Each of ``hosts`` (name, address, provider, ended), ``networks`` (name, mode, cidr, home,
        bridge, host, vlan, serves) and ``machines`` (name, host, engine, state, doing) has an ``id``; ``links`` have
        the ids of their ``machine`` and ``network``, and address, mac, up, note. More may be added later.
        """
        return json.dumps(self.as_dict(), indent=indent)

    def to_mermaid(self) -> str:
        """The graph as a flowchart of Mermaid, hosts as its subgraphs."""
        ids = {each.id: f"m{number}" for number, each in enumerate(self.machines)}
        ids |= {each.id: f"n{number}" for number, each in enumerate(self.networks)}
        lines = ["flowchart LR"]
        for number, host in enumerate(self.hosts):
            note = "has ended" if host.ended else host.address
            lines.append(f"  subgraph h{number}[{_quoted(host.name, note)}]")
            lines += [f"    {ids[each.id]}{_box(each)}" for each in self.machines if each.host == host.name]
            lines += [f"    {ids[each.id]}{_stadium(each)}" for each in self.networks if each.host == host.name]
            lines.append("  end")
        lines += [f"  {ids[each.id]}{_stadium(each)}" for each in self.networks if not each.host]
        for link in self.links:
            line = "---" if link.up else "-.-"
            text = " ".join(filter(None, (link.address, "" if link.up else "down")))
            label = f"|{_quoted(text)}|" if text else ""
            lines.append(f"  {ids[link.machine]} {line}{label} {ids[link.network]}")
        return "\n".join(lines) + "\n"

    def to_svg(self) -> str:
        """The picture as an SVG file."""
        from ._layout import lay_out
        from ._picture import svg, view

        places = lay_out(self)
        return svg(view(self, places), places)

    def __str__(self) -> str:
        counts = [(len(self.hosts), "host"), (len(self.networks), "network"), (len(self.machines), "machine")]
        return f"lab {self.lab}: {', '.join(format_count(*each) for each in counts)}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from ._picture import bundle

        return bundle(self)


def build(lab: Lab, machines: Mapping[str, Sequence[Machine]], known: Sequence[NetworkNode] = ()) -> Topology:
    """The graph of `lab` with these machines, by host; a host that is not among them has ended.

    Parameters
    ----------
    known
        Networks of Docker's own that need not be asked for once more.
    """
    there = [machine for host in lab for machine in machines.get(host.name, ()) if not machine.is_gone]
    networks = [*_networks(lab), *_own_networks(there, known)]
    by_id = {network.id for network in networks}
    links = [link for machine in there for link in _links(machine) if link.network in by_id]
    return Topology(
        lab.name,
        tuple(HostNode(host.name, host.address, host.provider, host.name not in machines) for host in lab),
        tuple(networks), tuple(_node(machine) for machine in there), tuple(links),
    )  # fmt: skip


def _node(machine: Machine) -> MachineNode:
    doing = machine.activity.verb if machine.activity else ""
    return MachineNode(machine.name, machine.host.name, machine.engine, machine.state, doing)


def _links(machine: Machine) -> list[Link]:
    own = _node(machine).id
    found = []
    conditions = machine.links  # it may be detached from one meanwhile
    for card in machine.spec.interfaces:
        link = conditions.get(card.network)
        up = link is None or link.up
        note = "" if link in (None, Condition()) else str(link)
        found.append(Link(own, f"network/{card.network}", card.address, card.mac, up, note))
    return found + [Link(own, f"network/{machine.host.name}/{name}") for name in _docker_names(machine)]


def _docker_names(machine: Machine) -> Sequence[str]:
    """The names of Docker's own networks that `machine` is on."""
    names: Sequence[str] = getattr(getattr(machine, "recipe", None), "networks", ())
    return names


def _machines_of(host: Host) -> list[Machine]:
    try:
        return host.machines()
    except LabError:
        return []  # an engine of it is just ending, or coming


def _networks(lab: Lab) -> list[NetworkNode]:
    """The lab's own networks; none of a lab that has ended."""
    for _ in range(3):  # one may be removed between two looks
        try:
            return [
                NetworkNode(each.name, each.mode, each.cidr, each.home, each.bridge, vlan=each.vlan, serves=each.serves)
                for each in lab.networks
            ]
        except (LabError, OSError):
            continue
    return []


def _own_networks(machines: Sequence[Machine], known: Sequence[NetworkNode]) -> list[NetworkNode]:
    """Docker's own networks that machines are on; asks Docker only for those that are not known."""
    found = {network.id: network for network in known if network.host}
    wanted = {f"network/{machine.host.name}/{name}": (machine, name) for machine in machines
              for name in _docker_names(machine)}  # fmt: skip
    for key, (machine, name) in wanted.items():
        if key not in found:
            found[key] = NetworkNode(name, "docker", _docker_range(machine, name), host=machine.host.name)
    return [found[key] for key in sorted(wanted)]


def _docker_range(machine: Machine, name: str) -> str:
    try:
        return machine.host.docker.networks[name].cidr
    except (LabError, OSError):
        return ""


# Mermaid

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._/,:-")


def _quoted(*lines: str) -> str:
    """A label of Mermaid: whatever could mean something to it or to HTML is a character's number."""
    return '"' + "<br/>".join("".join(map(_plain, line)) for line in lines if line) + '"'


def _plain(char: str) -> str:
    if char in _PLAIN:
        return char
    return f"#{ord(char) if char.isprintable() else ord('�')};"


def _box(machine: MachineNode) -> str:
    label = ENGINES[machine.engine][0] if machine.engine in ENGINES else machine.engine
    sign = SIGNS[machine.state.value][0]
    return f"[{_quoted(machine.name, f'{label}, {sign} {machine.state.value}')}]"


def _stadium(network: NetworkNode) -> str:
    return f"([{_quoted(network.name, f'{network.mode} {network.cidr}'.strip())}])"
