"""What machines, hosts and labs show of themselves, as text and as static HTML.

A view tells what events last told; where an engine does not answer it says so instead of failing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._html import render
from ._values import format_count, format_duration, format_limit
from .errors import LabError

if TYPE_CHECKING:
    from .hosts.base import Host
    from .lab import Lab
    from .machines.base import Machine
    from .machines.spec import State
    from .networks.network import Network


@dataclass(frozen=True, slots=True)
class _Row:
    """A machine in a table."""

    name: str
    engine: str
    state: State
    memory: str
    vcpus: str
    addresses: str


@dataclass(frozen=True, slots=True)
class _HostRows:
    name: str
    address: str
    note: str
    machines: tuple[_Row, ...]


def machine_bundle(machine: Machine) -> dict[str, Any]:
    """The mime bundle of a machine."""
    rows = machine.facts()
    rows += [(card.network, f"{card.address}  ({card.mac})") for card in machine.spec.interfaces]
    rows.append(("can", ", ".join(sorted(machine.capabilities))))
    return {"text/plain": repr(machine), "text/html": render("machine", machine=machine, rows=rows)}


def _row(machine: Machine) -> _Row:
    return _Row(
        machine.name, machine.engine, machine.state, format_limit(machine.spec.memory_bytes),
        format_count(machine.spec.vcpus, "processor"), ", ".join(machine.addresses),
    )  # fmt: skip


def _host_rows(host: Host) -> _HostRows:
    try:
        if not host.is_alive:
            return _HostRows(host.name, host.address, "has ended", ())
        machines = tuple(_row(machine) for machine in host.machines())
        return _HostRows(host.name, host.address, format_count(len(machines), "machine"), machines)
    except LabError as error:
        return _HostRows(host.name, host.address, error.message, ())


def host_bundle(host: Host) -> dict[str, Any]:
    """The mime bundle of a host."""
    html = render("lab", title=host.name, kind="host", note=host.provider, hosts=[_host_rows(host)], networks=[])
    return {"text/plain": repr(host), "text/html": html}


def network_bundle(network: Network) -> dict[str, Any]:
    """The mime bundle of a network."""
    joined = f"802.1Q, VLAN {network.vlan}" if network.vlan else "VXLAN"
    rows = [("mode", network.mode), ("range", network.cidr), ("gateway", network.gateway or "none")]
    rows += [("served", network.served), ("home", network.home), ("joined by", joined)]
    rows += [("way out", "leads out of the lab")] if network.uplink else []
    try:
        leases, faults = network.leases, network.check()
    except LabError as error:
        leases, faults = {}, [error.message]
    html = render("network", network=network, rows=rows, leases=leases, faults=faults)
    return {"text/plain": repr(network), "text/html": html}


def lab_bundle(lab: Lab) -> dict[str, Any]:
    """The mime bundle of a lab."""
    try:
        note = f"ends in {format_duration(lab.lease_left_s())} if unused"
        hosts = [_host_rows(host) for host in lab]
        networks = list(lab.networks)
    except LabError:
        note, hosts, networks = "has ended", [], []
    html = render("lab", title=lab.name, kind="lab", note=note, hosts=hosts, networks=networks)
    return {"text/plain": repr(lab), "text/html": html}
