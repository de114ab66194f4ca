"""What is kept of the networks of a lab: one file each, changed by one process at a time."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from .._paths import disk_room, write_whole
from .._values import check_name
from ..errors import Busy, InvalidValue, LabGone, NameInUse, NotEnough, NotFound
from . import _routes
from ._uplink_rules import NETWORK as _WAY_OUT

RANGE = ipaddress.IPv4Network("198.18.0.0/15")  # RFC 2544: for tests, never in a LAN
_BACKBONE = ipaddress.IPv4Network("198.18.0.0/24")
_OF_HOSTS = ipaddress.IPv4Network("198.18.128.0/18")  # what each host's dockerd gives out by itself
_POOL = ipaddress.IPv4Network("198.19.0.0/16")
_MOST_NETWORKS = 4096
Lease = dict[str, str]


@dataclass(slots=True)
class Record:
    """What is kept of a network.

    Attributes
    ----------
    number
        Of its bridge and its tunnel, unique in the lab.
    home, hosts
        The host that serves it, and all that it is on.
    vlan
        The 802.1Q tag that its frames carry between hosts; 0: they go through VXLAN.
    leases
        ``{machine: {"address", "mac", "dhcp", "pending"}}``; ``pending`` names the folder, in the
        machine's, that is there while the machine is still being connected.
    """

    name: str
    mode: str
    cidr: str
    number: int
    home: str
    hosts: list[str] = field(default_factory=list)
    leases: dict[str, Lease] = field(default_factory=dict)
    vlan: int = 0
    dhcp: bool = True
    dns: bool = True
    uplink: bool = False

    @property
    def network(self) -> ipaddress.IPv4Network:
        """Its range."""
        return ipaddress.IPv4Network(self.cidr)

    def _numbers(self) -> range:
        """Which of its addresses machines may have; the upper half is for those who ask by DHCP without being known."""
        count = self.network.num_addresses
        return range(2, count // 2 if self.dhcp else count - 1)

    def machines_addresses(self) -> Iterator[str]:
        """The addresses that machines may have."""
        network = self.network
        return (str(network[number]) for number in self._numbers())

    def allot(self, lab: str, address: str = "", mac: str = "") -> Lease:
        """A free address, and a MAC made from it; or those that are asked for, checked."""
        taken = {lease["address"]: machine for machine, lease in self.leases.items()}
        if address:
            self._check_address(address, taken)
        else:
            address = next((one for one in self.machines_addresses() if one not in taken), "")
        if not address:
            raise NotEnough(
                f"the network {self.name} ({self.cidr}) has no address left",
                hint="destroy machines, or make a larger network",
            )
        mac = self._check_mac(mac) if mac else self.mac_for(lab, address)
        return {"address": address, "mac": mac}

    def mac_for(self, lab: str, address: str) -> str:
        """The MAC of who has an address, always the same: neighbours know it."""
        tail = hashlib.sha256(f"{lab}/{self.name}/{address}".encode()).hexdigest()[:6]
        return ":".join(["52", "54", "00", tail[:2], tail[2:4], tail[4:]])

    def _check_address(self, address: str, taken: dict[str, str]) -> None:
        network, numbers = self.network, self._numbers()
        try:
            number = int(ipaddress.IPv4Address(str(address))) - int(network[0])
        except ValueError:
            number = -1
        if number not in numbers:
            why = "; the upper half is given out by DHCP" if self.dhcp else ""
            raise InvalidValue(
                f"{ascii(address)[:60]} cannot be a machine's address on {self.name}",
                hint=f"take one from {network[numbers[0]]} to {network[numbers[-1]]}{why}",
            )
        if owner := taken.get(address):
            raise NameInUse(
                f"{address} is {owner}'s on the network {self.name}", hint="leave address out, or choose another"
            )

    def _check_mac(self, mac: str) -> str:
        words = str(mac).lower().split(":")
        try:
            numbers = [int(word, 16) for word in words if len(word) == 2]
        except ValueError:
            numbers = []
        if len(numbers) != 6 or len(words) != 6 or numbers[0] & 1 or not any(numbers):
            raise InvalidValue(
                f"{ascii(mac)[:60]} is not the MAC address of a machine",
                hint="write it like 52:54:00:12:34:56; the first number is even",
            )
        mac = ":".join(words)
        if owner := next((machine for machine, lease in self.leases.items() if lease["mac"] == mac), ""):
            raise NameInUse(f"{mac} is {owner}'s on the network {self.name}", hint="leave mac out, or choose another")
        return mac


class Records:
    """The records of one lab's networks in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)

    def names(self) -> list[str]:
        """The names of the networks there are."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def read(self, name: str) -> Record:
        """The record of a network; `NotFound` if there is none."""
        try:
            return Record(**json.loads(self._path(name).read_text()))
        except FileNotFoundError:
            raise NotFound(
                f"there is no network {name}",
                hint=f'lab.networks.create("{name}") makes it; there are: {", ".join(self.names()) or "none"}',
            ) from None

    def add(
        self,
        record: Record,
        cidr: str | None,
        numbers: Iterable[int] = (),
        ranges: Iterable[ipaddress.IPv4Network] = (),
    ) -> Record:
        """Write a new record with a number and a range that no other has, and that are not among those given."""
        with self._lock():
            if self._path(record.name).exists():
                raise NameInUse(f"there is a network {record.name} already", hint=f'lab.networks["{record.name}"]')
            others = [self.read(other) for other in self.names()]
            if tagged := [other.name for other in others if record.vlan and other.vlan == record.vlan]:
                raise NameInUse(f"the VLAN {record.vlan} is that of the network {tagged[0]}", hint="choose another tag")
            used = {*numbers, *(other.number for other in others)}
            record.number = next(number for number in range(1, _MOST_NETWORKS) if number not in used)
            record.cidr = str(_choose_range(cidr, [*ranges, *(other.network for other in others)]))
            self._write(record)
        return record

    def remove(self, name: str) -> None:
        """Forget a network."""
        self._path(name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def edit(self, name: str) -> Iterator[Record]:
        """Change a network's record while nobody else does."""
        with self._lock():
            record = self.read(name)
            yield record
            self._write(record)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            with disk_room(self._folder), FileLock(self._folder / ".lock", timeout=60):
                yield
        except Timeout as error:
            raise Busy("somebody else has been changing networks for a minute", hint="try again") from error

    def _path(self, name: str) -> Path:
        return self._folder / f"{check_name(name, 'name of a network')}.json"

    def _write(self, record: Record) -> None:
        try:
            write_whole(self._path(record.name), json.dumps(asdict(record)))
        except FileNotFoundError as error:
            raise LabGone(
                "the lab has ended, and its networks with it", hint="make it again with Lab.open(…)"
            ) from error


def _choose_range(cidr: str | None, others: Iterable[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    """The range that is asked for, checked, or the next free /24."""
    used = [_BACKBONE, _OF_HOSTS, _WAY_OUT, *others]
    foreign = _routes.of_this_machine()
    if cidr is None:
        pool = list(_POOL.subnets(new_prefix=24))[1:]
        free = (net for net in pool if not any(net.overlaps(other) for other in [*used, *foreign]))
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
    if clash := next((route for route in foreign if network.overlaps(route)), None):
        raise InvalidValue(
            f"{cidr} overlaps {clash}, which this machine has a route to", hint="leave cidr out, or choose another"
        )
    return network
