"""Lab networks: one Ethernet segment, on one host or several, with DHCP and DNS; a way out only if asked for."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

from filelock import FileLock, Timeout

from .._changes import What
from .._paths import disk_room
from .._values import check_name
from ..errors import Busy, InvalidValue, LabError, NameInUse, NotEnough, NotFound
from ..machines.base import NetworkInterface
from . import _uplink
from ._uplink_rules import NETWORK as _WAY_OUT

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..lab import Lab
    from ._libvirt_network import LibvirtNetwork

MODES = ("nat", "isolated")
RANGE = ipaddress.IPv4Network("198.18.0.0/15")  # RFC 2544: for tests, never in a LAN
_BACKBONE = ipaddress.IPv4Network("198.18.0.0/24")
_OF_HOSTS = ipaddress.IPv4Network("198.18.128.0/18")  # what each host's dockerd gives out by itself
_POOL = ipaddress.IPv4Network("198.19.0.0/16")
_VXLAN_PORT = "4789"


@dataclass(slots=True)
class _Record:
    """What is kept of a network in the lab's folder."""

    name: str
    mode: str
    cidr: str
    number: int
    home: str
    hosts: list[str] = field(default_factory=list)
    leases: dict[str, dict[str, str]] = field(default_factory=dict)
    uplink: bool = False


class Network:
    """A network of a lab.

    Attributes
    ----------
    name, mode
        ``"nat"`` or ``"isolated"``; neither leads out of the lab by itself.
    uplink
        Whether it leads out of the lab, which it was asked to.
    cidr
        Its IPv4 range, such as ``198.19.1.0/24``.
    home
        The host that serves DHCP and DNS; the others are joined to it by VXLAN (RFC 7348).
    """

    def __init__(self, networks: Networks, record: _Record) -> None:
        self._networks = networks
        self.name = record.name
        self.mode = record.mode
        self.cidr = record.cidr
        self.home = record.home
        self.uplink = record.uplink
        self._number = record.number

    @property
    def gateway(self) -> str:
        """The address of the home host on the network."""
        return str(ipaddress.ip_network(self.cidr)[1])

    @property
    def prefix_length(self) -> int:
        """The length of the network part of an address, in bits."""
        return ipaddress.ip_network(self.cidr).prefixlen

    @property
    def bridge(self) -> str:
        """The name of its bridge on every host."""
        return f"lab{self._number}"

    def reserve(self, machine: str, *, dhcp: bool = True) -> NetworkInterface:
        """Allot an address and a MAC to `machine`; the same each time it is asked.

        Without `dhcp` only DNS is to know of it: what sets its address itself need not wait for the
        filter rules that libvirt writes anew with each address that DHCP learns.
        """
        with self._networks.edit(self.name) as record:
            stale = self._networks.drop_stale(record)
            lease = record.leases.get(machine) or self._allot(record)
            record.leases[machine] = lease | {"dhcp": "yes" if dhcp else ""}
        for name, old in stale.items():
            self._forget(name, old)
        return NetworkInterface(self.name, lease["mac"], lease["address"])

    def _allot(self, record: _Record) -> dict[str, str]:
        taken = {lease["address"] for lease in record.leases.values()}
        network = ipaddress.ip_network(self.cidr)
        # The upper half is for guests that ask by DHCP without having been announced.
        free = (str(network[n]) for n in range(2, network.num_addresses // 2))
        address = next((address for address in free if address not in taken), None)
        if address is None:
            raise NotEnough(
                f"the network {self.name} ({self.cidr}) has no address left",
                hint="destroy machines, or make a larger network",
            )
        seed = f"{self._networks.lab.name}/{self.name}/{address}".encode()
        tail = hashlib.sha256(seed).hexdigest()[:6]
        mac = ":".join(["52", "54", "00", tail[:2], tail[2:4], tail[4:]])
        return {"address": address, "mac": mac}

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
        """Tell DHCP (see `reserve`) and DNS the machine's name, MAC and address."""
        self._at_home().announce(machine, interface.mac, interface.address, dhcp=dhcp)

    def _forget(self, machine: str, lease: dict[str, str]) -> None:
        with contextlib.suppress(LabError):  # without its home the network has no DHCP and DNS
            self._at_home().forget(machine, lease["mac"], lease["address"], dhcp=bool(lease["dhcp"]))

    def _at_home(self) -> LibvirtNetwork:
        return self._networks.lab[self.home].kvm.network(self.name)

    def ensure_on(self, host: Host) -> None:
        """Make the network exist on `host`, joined to where it exists already."""
        with self._networks.edit(self.name) as record:
            _uplink.open_way(self, host)
            exists = host.kvm.has_network(self.name)
            if exists and host.name in record.hosts:
                return
            at_home = host.name == self.home
            if not exists:
                host.kvm.define_network(tostring(self._element(at_home=at_home), encoding="unicode"))
            others = [name for name in record.hosts if name != host.name]
            self._join(host, self._networks.living(others))
            record.hosts = [*others, host.name]
            if at_home:  # made again, it has to hear of those that are elsewhere
                for machine, lease in record.leases.items():
                    self._at_home().announce(machine, lease["mac"], lease["address"], dhcp=bool(lease["dhcp"]))

    def _element(self, *, at_home: bool) -> Element:
        root = Element("network")
        SubElement(root, "name").text = self.name
        SubElement(root, "bridge", name=self.bridge, stp="off", delay="0")
        if not at_home:
            return root
        if self.mode == "nat":
            SubElement(root, "forward", mode="nat")
        SubElement(root, "domain", name="lab", localOnly="yes")
        if self.uplink:
            _uplink.lead_names_out(root)
        network = ipaddress.ip_network(self.cidr)
        address = SubElement(root, "ip", address=self.gateway, prefix=str(network.prefixlen))
        half = network.num_addresses // 2
        SubElement(SubElement(address, "dhcp"), "range", start=str(network[half]), end=str(network[-2]))
        return root

    def _join(self, host: Host, others: list[Host]) -> None:
        """Connect the bridges of `host` and of `others` by VXLAN over the backbone."""
        if others:
            for one in [host, *others]:
                self._tunnel(one, [other for other in [host, *others] if other is not one])

    def _tunnel(self, host: Host, peers: list[Host]) -> None:
        link = f"vx{self._number}"
        if not host.run(["ip", "link", "show", link]).ok:
            host.run(
                [
                    "ip",
                    "link",
                    "add",
                    link,
                    "type",
                    "vxlan",
                    "id",
                    str(self._number),
                    "local",
                    host.address,
                    "dstport",
                    _VXLAN_PORT,
                ],
                check=True,
            )
            host.run(["ip", "link", "set", link, "master", self.bridge, "up"], check=True)
        for peer in peers:
            # One flooding entry a peer: broadcasts reach every host of the network.
            host.run(["bridge", "fdb", "append", "00:00:00:00:00:00", "dev", link, "dst", peer.address])

    def __repr__(self) -> str:
        return f"<Network {self.name} {self.cidr} ({self.mode}{', leads out of the lab' if self.uplink else ''})>"


class Networks:
    """The networks of one lab: ``lab.networks``."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._folder = lab.folder / "networks"
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def create(
        self, name: str, mode: str = "nat", *, cidr: str | None = None, host: str | None = None, uplink: bool = False
    ) -> Network:
        """Make a network with DHCP and DNS.

        Parameters
        ----------
        mode
            ``"nat"``: the home host forwards and translates; ``"isolated"``: it does not. Neither
            leads out of the lab.
        cidr
            An IPv4 range of /16 to /28 inside 198.18.0.0/15; by default the next free /24.
        host
            The home host, that serves DHCP and DNS; by default the lab's first.
        uplink
            Let its machines, and no others, out of the lab: TCP, UDP and echo requests by IPv4, through
            sockets of this user, and names. Nothing comes in, and this machine itself is not behind it.

        Raises
        ------
        InvalidName, InvalidValue, NameInUse
        PackageMissing, Unavailable, DaemonFailed
            If the way out cannot be opened.
        """
        if mode not in MODES:
            raise InvalidValue(f"{ascii(mode)[:40]} is not a mode of a network", hint=f"use one of {', '.join(MODES)}")
        _uplink.check_mode(mode, uplink=uplink)
        home = self.lab[host or next(iter(self.lab.hosts), "alpha")]
        path = self._path(name)
        with self._lock():
            if path.exists():
                raise NameInUse(f"there is a network {name} already", hint=f'lab.networks["{name}"]')
            network = Network(self, self._new_record(name, mode, cidr, home.name, uplink=uplink))
        try:
            network.ensure_on(home)
            self.lab.journal("network", network=name, cidr=network.cidr)
            self.lab.changes.tell(What.NETWORKS)
        except BaseException:
            if home.kvm.is_connected:
                with contextlib.suppress(LabError):
                    home.kvm.remove_network(name)
            path.unlink(missing_ok=True)
            with contextlib.suppress(LabError):
                _uplink.close_way(self.lab, home.name)
            raise
        return network

    def _new_record(self, name: str, mode: str, cidr: str | None, home: str, *, uplink: bool) -> _Record:
        others = [self._read(other) for other in self._names()]
        numbers = {record.number for record in others}
        number = next(n for n in range(1, 4096) if n not in numbers)
        used = [_BACKBONE, _OF_HOSTS, _WAY_OUT, *(ipaddress.IPv4Network(record.cidr) for record in others)]
        record = _Record(name, mode, str(self._range(cidr, used)), number, home, uplink=uplink)
        self._write(record)
        return record

    @staticmethod
    def _range(cidr: str | None, used: list[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
        if cidr is None:
            free = (net for net in list(_POOL.subnets(new_prefix=24))[1:] if not any(net.overlaps(u) for u in used))
            if (chosen := next(free, None)) is None:
                raise NotEnough(f"no /24 is free in {_POOL}", hint="remove networks, or give a smaller cidr")
            return chosen
        try:
            network = ipaddress.IPv4Network(cidr)
        except ValueError as error:
            raise InvalidValue(
                f"{ascii(cidr)[:60]} is not an IPv4 range: {error}", hint='write it like "198.19.5.0/24"'
            ) from error
        if not 16 <= network.prefixlen <= 28 or not network.subnet_of(RANGE):
            raise InvalidValue(
                f"{cidr} cannot be a lab network", hint=f"take a /16 to /28 inside {RANGE}, which clashes with no LAN"
            )
        if clash := next((other for other in used if network.overlaps(other)), None):
            raise InvalidValue(f"{cidr} overlaps {clash}, which is in use", hint="leave cidr out, or choose another")
        return network

    def remove(self, name: str) -> None:
        """Remove a network; `Busy` if machines are on it."""
        with self.edit(name) as record:
            self.drop_stale(record)
            if record.leases:
                raise Busy(f"the network {name} has machines: {', '.join(record.leases)}", hint="destroy them first")
            for host in self.living(record.hosts):
                host.kvm.remove_network(name)
                host.run(["ip", "link", "del", f"vx{record.number}"])
        self._path(name).unlink()
        _uplink.close_way(self.lab, record.home)
        self.lab.journal("network removed", network=name)
        self.lab.changes.tell(What.NETWORKS)

    def __getitem__(self, name: str) -> Network:
        return Network(self, self._read(name))

    def __iter__(self) -> Iterator[Network]:
        return iter([self[name] for name in self._names()])

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def restore_on(self, host: Host) -> None:
        """Make the networks that `host` was on exist again, after it was made again."""
        for name in self._names():
            if host.name in self._read(name).hosts:
                self[name].ensure_on(host)

    def living(self, names: Iterable[str]) -> list[Host]:
        """Those of the hosts that live."""
        hosts = self.lab.hosts
        return [hosts[name] for name in names if name in hosts and hosts[name].is_alive]

    def drop_stale(self, record: _Record) -> dict[str, dict[str, str]]:
        """Take back, and return, what was allotted to machines that are gone."""
        machines = self.lab.folder / "machines"
        return {name: record.leases.pop(name) for name in list(record.leases) if not (machines / name).is_dir()}

    # The records

    @contextlib.contextmanager
    def edit(self, name: str) -> Iterator[_Record]:
        """Change a network's record while nobody else does."""
        with self._lock():
            record = self._read(name)
            yield record
            self._write(record)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            with disk_room(self._folder), FileLock(self._folder / ".lock", timeout=60):
                yield
        except Timeout as error:
            raise Busy("somebody else has been changing networks for a minute", hint="try again") from error

    def _names(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def _path(self, name: str) -> Path:
        return self._folder / f"{check_name(name, 'name of a network')}.json"

    def _read(self, name: str) -> _Record:
        try:
            return _Record(**json.loads(self._path(name).read_text()))
        except FileNotFoundError:
            raise NotFound(
                f"there is no network {name}",
                hint=f'lab.networks.create("{name}") makes it; there are: {", ".join(self._names()) or "none"}',
            ) from None

    def _write(self, record: _Record) -> None:
        fresh = self._path(record.name).with_suffix(".new")
        fresh.write_text(json.dumps(asdict(record)))
        fresh.replace(self._path(record.name))
