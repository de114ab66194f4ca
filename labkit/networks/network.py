"""Lab networks: one Ethernet segment, on one host or several, with DHCP and DNS; out only if asked."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import Element, SubElement, tostring

from .._changes import What
from ..errors import Busy, InvalidValue, LabError, NameInUse
from ..machines.spec import NetworkInterface
from . import _segments, _uplink
from ._record import Lease, Record, Records

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..lab import Lab
    from ._libvirt_network import LibvirtNetwork
    from .capture import Capture

MODES = ("nat", "isolated", "routed", "bridge")
_LAST_VLAN = 4094


class Network:
    """A network of a lab.

    Attributes
    ----------
    name, mode
        What its home host does with what machines send to other networks of the lab: ``"nat"``
        forwards it under an address of its own, ``"routed"`` as it is, and lets others in;
        ``"isolated"`` forwards nothing. On a ``"bridge"`` no host has an address: it is a switch.
    cidr
        Its IPv4 range, such as ``198.19.1.0/24``.
    home
        The host that serves DHCP and DNS; the others are joined to it.
    vlan
        The 802.1Q tag that its frames carry between hosts; 0 if they are joined by VXLAN (RFC 7348).
    dhcp, dns
        Whether it is served.
    uplink
        Whether it leads out of the lab, which it was asked to.
    """

    def __init__(self, networks: Networks, record: Record) -> None:
        self._networks = networks
        self.name = record.name
        self.mode = record.mode
        self.cidr = record.cidr
        self.home = record.home
        self.vlan = record.vlan
        self.dhcp = record.dhcp
        self.dns = record.dns
        self.uplink = record.uplink
        self._number = record.number

    @property
    def gateway(self) -> str:
        """The address of the home host on the network; "" on a bridge, where it has none."""
        return "" if self.mode == "bridge" else str(ipaddress.ip_network(self.cidr)[1])

    @property
    def leads_on(self) -> bool:
        """Whether its gateway forwards: to other networks of the lab."""
        return self.mode in ("nat", "routed")

    @property
    def name_server(self) -> str:
        """The address that answers DNS questions; "" if there is none."""
        return self.gateway if self.dns else ""

    @property
    def served(self) -> str:
        """What its home host serves, in words: ``DHCP and DNS``, one of them, or ``nothing``."""
        return " and ".join(self.serves) or "nothing"

    @property
    def serves(self) -> tuple[str, ...]:
        """What its home host serves: of ``"DHCP"`` and ``"DNS"``."""
        return ("DHCP",) * self.dhcp + ("DNS",) * self.dns

    @property
    def prefix_length(self) -> int:
        """The length of the network part of an address, in bits."""
        return ipaddress.ip_network(self.cidr).prefixlen

    @property
    def bridge(self) -> str:
        """The name of its bridge on every host."""
        return f"lab{self._number}"

    @property
    def uuid(self) -> str:
        """By what libvirt tells it, on every host, from a network of the same name that is not the lab's."""
        return str(uuid5(NAMESPACE_URL, f"labkit:{self._networks.lab.identity()}/{self.name}"))

    @property
    def leases(self) -> dict[str, str]:
        """The address of each machine on it (reads the lab's notes)."""
        record = self._networks.read(self.name)
        return {machine: lease["address"] for machine, lease in record.leases.items()}

    # Addresses

    def reserve(
        self, machine: str, *, dhcp: bool = True, address: str = "", mac: str = "", pending: str = ""
    ) -> NetworkInterface:
        """Allot an address and a MAC to `machine`; the same each time it is asked.

        Parameters
        ----------
        dhcp
            Whether DHCP is to know of it, or only DNS: what sets its address itself need not wait for
            the filter rules that libvirt writes anew with each address that DHCP learns.
        address, mac
            Those that it is to have; by default the next that are free.
        pending
            A folder in the machine's: once that is gone and `settle` was not called, the address is free again.

        Raises
        ------
        InvalidValue, NameInUse, NotEnough
        """
        with self._networks.edit(self.name) as record:
            stale = self._networks.drop_stale(record)
            lease = record.leases.pop(machine, None)
            if lease is None or not {address, str(mac).lower()} <= {lease["address"], lease["mac"], ""}:
                lease = record.allot(self._networks.lab.name, address, mac)
            record.leases[machine] = lease | {"dhcp": "yes" if dhcp else "", "pending": pending}
        for name, old in stale.items():
            self._forget(name, old)
        return NetworkInterface(self.name, lease["mac"], lease["address"])

    def settle(self, machine: str) -> None:
        """The machine is connected: it keeps its address as long as it is there."""
        with self._networks.edit(self.name) as record:
            if machine in record.leases:
                record.leases[machine]["pending"] = ""

    def has_settled(self, machine: str) -> bool:
        """Whether `machine` has an address and is not just being connected."""
        lease = self._networks.read(self.name).leases.get(machine)
        return lease is not None and not lease.get("pending")

    def release(self, machine: str) -> None:
        """Give back what `machine` was allotted."""
        with self._networks.edit(self.name) as record:
            lease = record.leases.pop(machine, None)
        if lease:
            self._forget(machine, lease)

    def release_gone(self) -> None:
        """Take back what was allotted to machines that are gone."""
        with self._networks.edit(self.name) as record:
            stale = self._networks.drop_stale(record)
        for name, old in stale.items():
            self._forget(name, old)

    def announce(self, machine: str, interface: NetworkInterface, *, dhcp: bool = True) -> None:
        """Tell DHCP (see `reserve`) and DNS the machine's name, MAC and address, as far as they are served."""
        if self.serves:
            served = dhcp and self.dhcp
            self._at_home().announce(machine, interface.mac, interface.address, dhcp=served, dns=self.dns)

    def _forget(self, machine: str, lease: Lease) -> None:
        if self.serves:
            with contextlib.suppress(LabError):  # without its home the network has no DHCP and DNS
                self._at_home().forget(
                    machine, lease["mac"], lease["address"], dhcp=bool(lease["dhcp"]) and self.dhcp, dns=self.dns
                )

    def _at_home(self) -> LibvirtNetwork:
        return self._networks.lab[self.home].libvirt.network(self.name)

    # Its bridges

    def ensure_on(self, host: Host) -> None:
        """Make the network exist on `host`, joined to where it exists already."""
        with self._networks.edit(self.name) as record:
            _uplink.open_way(self, host)
            if not (host.name in record.hosts and host.libvirt.has_network(self.name)):
                self.build(host, record)

    def build(self, host: Host, record: Record) -> None:
        """Make what is missing of it on `host`; call it while the record is held."""
        at_home = host.name == self.home
        others = self._networks.others_than(host.name, record.hosts)
        _segments.check(record, host, others)
        if not host.libvirt.has_network(self.name):
            host.when_leaving(f"network-{self.name}", ["virsh", "net-destroy", self.uuid])
            host.libvirt.define_network(tostring(self._element(at_home=at_home), encoding="unicode"))
        elif host.libvirt.network(self.name).uuid != self.uuid:
            raise NameInUse(
                f"the host has a network {self.name} of its own", host=host.name, hint="choose another name"
            )
        _segments.join(record, self.bridge, host, others)
        if host.name not in record.hosts:
            record.hosts.append(host.name)
        if at_home:
            if self.mode == "routed":
                _segments.lead_to(record, host, self._networks.others_than(host.name))
            for machine, lease in record.leases.items():  # made again, it has to hear of those that are elsewhere
                card = NetworkInterface(self.name, lease["mac"], lease["address"])
                self.announce(machine, card, dhcp=bool(lease["dhcp"]))

    def _element(self, *, at_home: bool) -> Element:
        root = Element("network")
        SubElement(root, "name").text = self.name
        SubElement(root, "uuid").text = self.uuid
        SubElement(root, "bridge", name=self.bridge, stp="off", delay="0")
        if not at_home or self.mode == "bridge":
            return root
        SubElement(root, "mac", address=self._networks.read(self.name).mac_for(self._networks.lab.name, self.gateway))
        if self.leads_on:
            SubElement(root, "forward", mode={"routed": "route"}.get(self.mode, self.mode))
        SubElement(root, "domain", name="lab", localOnly="yes")
        if not self.dns:
            SubElement(root, "dns", enable="no")
        elif self.uplink:
            _uplink.lead_names_out(root)
        network = ipaddress.ip_network(self.cidr)
        address = SubElement(root, "ip", address=self.gateway, prefix=str(network.prefixlen))
        if self.dhcp:
            half = network.num_addresses // 2
            SubElement(SubElement(address, "dhcp"), "range", start=str(network[half]), end=str(network[-2]))
        return root

    def check(self) -> list[str]:
        """What is wrong with it on its hosts, a sentence each; an empty list if nothing is (asks the hosts)."""
        from ._repair import Inspection

        return Inspection(self._networks, self.name).sentences()

    def repair(self) -> list[str]:
        """Mend what `check` finds: returns what was wrong. Machines keep their addresses."""
        from ._repair import Inspection

        return Inspection(self._networks, self.name).mend()

    def capture(
        self, seconds: float | str | None = None, *, packets: int = 10_000, filter: str = "",
        host: str | None = None, file: str | PathLike[str] | None = None, size: int | str = "64 MiB",
        snapshot_bytes: int = 65_535,
    ) -> Capture:  # fmt: skip
        """Capture the packets that pass the network's bridge on a host.

        Parameters
        ----------
        seconds
            Wait so long, seconds or words such as ``"1 min"``, and return what has come. Without them
            it begins in the background and goes on until its `with` block ends, or its `stop` is called,
            an hour at most.
        packets, size
            It ends by itself after so many packets, or when its file would be larger than this.
        filter
            Which packets to take, such as ``"icmp or arp"`` or ``"tcp port 80"``: see pcap-filter(7).
        host
            The host to listen on, by default the network's home; on another one other packets pass.
        file
            Where to put the packets; by default into the lab's folder, which goes with the lab.
        snapshot_bytes
            How much is kept of each packet at most.

        Raises
        ------
        InvalidValue, NotFound, PackageMissing, EngineError
        """
        from .capture import capture

        lab = self._networks.lab
        return capture(
            self.name, self.bridge, lab[host or self.home], seconds, packets, filter, file, size, snapshot_bytes
        )

    def __repr__(self) -> str:
        tag = f", VLAN {self.vlan}" if self.vlan else ""
        way = ", leads out of the lab" if self.uplink else ""
        return f"<Network {self.name} {self.cidr} ({self.mode}{tag}{way})>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html_host import network_bundle

        return network_bundle(self)


class Networks:
    """The networks of one lab: ``lab.networks``."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._records = Records(lab.folder / "networks")
        self.read, self.edit = self._records.read, self._records.edit

    def create(
        self, name: str, mode: str = "nat", *, cidr: str | None = None, host: str | None = None, vlan: int = 0,
        dhcp: bool | None = None, dns: bool | None = None, uplink: bool = False,
    ) -> Network:  # fmt: skip
        """Make a network.

        Parameters
        ----------
        mode
            ``"nat"``, ``"isolated"``, ``"routed"`` or ``"bridge"``, see `Network`. None of them leads
            out of the lab.
        cidr
            An IPv4 range of /16 to /28 inside 198.18.0.0/15; by default the next free /24.
        host
            The home host, that serves DHCP and DNS; by default the lab's first.
        vlan
            1 to 4094: between hosts its frames go over the wire with this 802.1Q tag.
        dhcp, dns
            Whether the home host serves them; by default it does, but on a bridge.
        uplink
            Let its machines, and no others, out of the lab: TCP, UDP and echo requests by IPv4, through
            sockets of this user, and names. Nothing comes in, and this machine itself is not behind it.

        Raises
        ------
        InvalidName, InvalidValue, NameInUse, NotEnough, NotSupported
        PackageMissing, Unavailable, DaemonFailed
            If the way out cannot be opened.
        """
        if mode not in MODES:
            raise InvalidValue(f"{ascii(mode)[:40]} is not a mode of a network", hint=f"use one of {', '.join(MODES)}")
        if isinstance(vlan, bool) or not isinstance(vlan, int) or not 0 <= vlan <= _LAST_VLAN:
            raise InvalidValue(f"{ascii(vlan)[:40]} is not the tag of a VLAN", hint=f"give 1 to {_LAST_VLAN}")
        if mode == "bridge" and (dhcp or dns):
            raise InvalidValue(
                "on a bridge no host has an address to serve DHCP or DNS from", hint='use mode="isolated" for that'
            )
        _uplink.check_mode(mode, uplink=uplink)
        home = self.lab[host or next(iter(self.lab.hosts), "alpha")]
        served = [mode != "bridge" if wanted is None else bool(wanted) for wanted in (dhcp, dns)]
        record = Record(name, mode, "", 0, home.name, vlan=vlan, dhcp=served[0], dns=served[1], uplink=uplink)
        network = Network(self, self._records.add(record, cidr, *_segments.taken(home)))
        try:
            network.ensure_on(home)
            self.lab.journal("network", network=name, cidr=network.cidr)
            self.lab.changes.tell(What.NETWORKS)
        except BaseException:
            if home.libvirt.is_connected:
                with contextlib.suppress(LabError):
                    home.libvirt.remove_network(network.uuid)
            self._records.remove(name)
            with contextlib.suppress(LabError):
                _uplink.close_way(self.lab, home.name)
            raise
        return network

    def remove(self, name: str) -> None:
        """Remove a network; `Busy` if machines are on it."""
        with self.edit(name) as record:
            self.drop_stale(record)
            if record.leases:
                raise Busy(
                    f"the network {name} has machines: {', '.join(record.leases)}",
                    hint="destroy or detach() them first",
                )
            uuid = self[name].uuid
            for host in self.living(record.hosts):
                host.libvirt.remove_network(uuid)
                _segments.leave(record, host)
                host.when_leaving(f"network-{name}")
            if record.mode == "routed":
                _segments.lead_nowhere(record, self.others_than(record.home))
        self._records.remove(name)
        _uplink.close_way(self.lab, record.home)
        self.lab.journal("network removed", network=name)
        self.lab.changes.tell(What.NETWORKS)

    def check(self) -> dict[str, list[str]]:
        """What is wrong with the networks, by name: only those with which something is (asks the hosts)."""
        return {network.name: found for network in self if (found := network.check())}

    def __getitem__(self, name: str) -> Network:
        return Network(self, self.read(name))

    def __iter__(self) -> Iterator[Network]:
        return iter([self[name] for name in self._records.names()])

    def __contains__(self, name: object) -> bool:
        return name in self._records.names()

    def way_on(self, cards: Iterable[NetworkInterface]) -> NetworkInterface | None:
        """The card of a machine whose gateway takes it to other networks, if one does; rather one that leads out."""
        leading = [card for card in cards if self[card.network].leads_on]
        return next((card for card in leading if self[card.network].uplink), leading[0] if leading else None)

    def restore_on(self, host: Host) -> None:
        """Make what `host` has of the networks again, after it was made again, or made."""
        for name in self._records.names():
            record = self.read(name)
            if host.name in record.hosts:
                self[name].ensure_on(host)
            if record.mode == "routed" and host.name != record.home:
                for home in self.living([record.home]):
                    _segments.lead_to(record, home, [host])

    def living(self, names: Iterable[str]) -> list[Host]:
        """Those of the hosts that live."""
        hosts = self.lab.hosts
        return [hosts[name] for name in names if name in hosts and hosts[name].is_alive]

    def others_than(self, host: str, among: Iterable[str] | None = None) -> list[Host]:
        """The other hosts that live, of the lab or among some of them."""
        return self.living(name for name in (self.lab.hosts if among is None else among) if name != host)

    def drop_stale(self, record: Record) -> dict[str, Lease]:
        """Take back, and return, what was allotted to machines that are gone or were never connected."""
        machines = self.lab.folder / "machines"
        stale = [
            name for name, lease in record.leases.items() if not (machines / name / lease.get("pending", "")).is_dir()
        ]
        return {name: record.leases.pop(name) for name in stale}
