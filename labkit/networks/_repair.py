"""What may be wrong with a network on its hosts, and how it is mended."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import EngineError, LabError
from ..machines.spec import NetworkInterface, State
from . import _segments, _uplink

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..machines.base import Machine
    from .network import Networks

_SERVER_RUNS = 'read -r pid <"/run/libvirt/network/$1.pid" && [ -d "/proc/$pid" ]'
_RUNNING = (State.RUNNING, State.PAUSED)


@dataclass(frozen=True, slots=True)
class _Fault:
    sentence: str
    mend: Callable[[], object]


class Inspection:
    """A look at one network on all of its hosts that live."""

    def __init__(self, networks: Networks, name: str) -> None:
        self._networks = networks
        self._network = networks[name]
        self._record = networks.read(name)

    def sentences(self) -> list[str]:
        """What is wrong."""
        return [fault.sentence for fault in self._faults()]

    def mend(self) -> list[str]:
        """Mend what is wrong, and look again; returns what was."""
        found = list(self._faults())
        for fault in found:
            fault.mend()
        # What hung on a bridge that was made anew is seen only now.
        again = list(self._faults()) if found else []
        for fault in again:
            fault.mend()
        if left := self.sentences() if again else []:
            raise EngineError(
                f"the network {self._network.name} could not be mended: {'; '.join(left)}",
                hint="stop() and start() its machines, or make it anew",
            )
        return list(dict.fromkeys(fault.sentence for fault in [*found, *again]))

    def _faults(self) -> Iterator[_Fault]:
        self._record = self._networks.read(self._network.name)
        for host in self._networks.living(self._record.hosts):
            links = {link["ifname"]: link for link in json.loads(host.run(["ip", "-j", "addr"], check=True).stdout)}
            if self._network.bridge not in links:
                yield self._fault(host, "its bridge is not there", self._rebuild)
            elif not host.libvirt.has_network(self._network.name):
                yield self._fault(host, "libvirt does not know it", self._rebuild)
            else:
                yield from self._of_bridge(host, links[self._network.bridge])
                yield from self._of_join(host, links)
                yield from self._of_machines(host, links)

    def _fault(self, host: Host, what: str, mend: Callable[[Host], object]) -> _Fault:
        return _Fault(f"{self._network.name} on {host.name}: {what}", lambda: mend(host))

    def _rebuild(self, host: Host) -> None:
        with contextlib.suppress(LabError):
            host.libvirt.remove_network(self._network.uuid)
        with self._networks.edit(self._network.name) as record:
            self._network.build(host, record)

    def _of_bridge(self, host: Host, bridge: dict[str, Any]) -> Iterator[_Fault]:
        network = self._network
        if "UP" not in bridge["flags"]:
            yield self._fault(host, "its bridge is down", partial(_ip, words=("link", "set", network.bridge, "up")))
        if host.name != network.home or not network.gateway:
            return
        if network.gateway not in [address["local"] for address in bridge["addr_info"]]:
            whole = f"{network.gateway}/{network.prefix_length}"
            words = ("addr", "replace", whole, "broadcast", "+", "dev", network.bridge)
            yield self._fault(host, f"the host has lost its address {network.gateway}", partial(_ip, words=words))
        if network.serves and not host.run(["sh", "-c", _SERVER_RUNS, "labkit", network.name]).ok:
            yield self._fault(host, "nobody serves DHCP and DNS (dnsmasq has ended)", self._wake)

        if network.uplink and (trouble := _uplink.trouble(host)):
            yield self._fault(host, trouble, _uplink.ensure)

    def _wake(self, host: Host) -> None:
        host.libvirt.network(self._network.name).wake(str(self._record.network[-2]), dns=self._network.dns)

    def _of_join(self, host: Host, links: dict[str, Any]) -> Iterator[_Fault]:
        link = _segments.link_of(self._record)
        others = self._others(host)
        if not self._record.vlan and not others:
            return
        is_joined = links.get(link, {}).get("master") == self._network.bridge and "UP" in links[link]["flags"]
        if not is_joined or (not self._record.vlan and _segments.strangers(host, link, others)):
            yield self._fault(host, "it is not joined to the other hosts", self._join)

    def _join(self, host: Host) -> None:
        _segments.join(self._record, self._network.bridge, host, self._others(host))

    def _others(self, host: Host) -> list[Host]:
        return self._networks.others_than(host.name, self._record.hosts)

    def _of_machines(self, host: Host, links: dict[str, Any]) -> Iterator[_Fault]:
        name, bridge = self._network.name, self._network.bridge
        for machine in host.machines():
            is_on = any(card.network == name for card in machine.spec.interfaces)
            if not is_on and machine.name in self._record.leases:
                loose = partial(self._let_go, machine=machine)
                yield self._fault(host, f"{machine.name} has an address on it, and no connection", loose)
            if not is_on or machine.state not in _RUNNING:
                continue
            link = machine.host_link(name)
            if links.get(link, {}).get("master") != bridge:
                words = ("link", "set", link, "master", bridge, "up")
                yield self._fault(host, f"{machine.name} is not connected to its bridge", partial(_ip, words=words))

    def _let_go(self, host: Host, machine: Machine) -> None:
        """Finish what somebody began who died: a machine was being taken from it, or just not put on it."""
        lease = self._record.leases[machine.name]
        card = NetworkInterface(self._network.name, lease["mac"], lease["address"])
        with contextlib.suppress(LabError):
            machine.unplug(card, live=machine.state in _RUNNING)
        self._network.release(machine.name)


def _ip(host: Host, words: Sequence[str]) -> None:
    host.run(["ip", *words], check=True)
