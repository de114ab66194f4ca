"""What the engines of libvirt share: one connection a host, its domains as machines, its networks."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import libvirt

from .._values import check_name, format_size, parse_size
from ..errors import InvalidValue, LabError, NameInUse, NotFound
from ..hosts._libvirtd import answers
from ..networks._libvirt_network import LibvirtNetwork
from . import _libvirt
from ._domain import check_vcpus
from ._libvirt import spoken
from ._libvirt_machine import LibvirtMachine
from .engine import Engine, Field
from .spec import MachineSpec, State

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..storage.images import Image

_LEAST_MEMORY = 96 * 2**20  # with less, the kernel of the small image panics while it unpacks its initrd
L = TypeVar("L", bound=LibvirtMachine)


class LibvirtEngine(Engine[L]):
    """The domains of a driver of libvirt on a host."""

    driver: ClassVar[str]  # the beginning of its connections' addresses, such as ``qemu``
    what: ClassVar[str]  # what one of its machines is called
    _undefine_flags = 0  # of libvirt's VIR_DOMAIN_UNDEFINE_…

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._connection: libvirt.virConnect | None = None
        self.listeners: list[Callable[[str, int, int], None]] = []  # called with each event of a domain's life

    # The connection

    @property
    def is_connected(self) -> bool:
        """Whether this process has used libvirt on this host."""
        return self._connection is not None

    def connection(self) -> libvirt.virConnect:
        """The connection to the host's libvirt; starts its daemon if it does not run."""
        self.host.lab.touch()
        with self._lock:
            if self._connection is None or not self._connection.isAlive():
                self._connection = self._connect()
            return self._connection

    def _connect(self) -> libvirt.virConnect:
        socket = self.host.start_libvirt()
        try:
            connection = _libvirt.connect(str(socket), self.driver)
        except libvirt.libvirtError as error:
            if failure := self.host.why_libvirt_failed():
                raise failure from error
            raise _libvirt.translate(error, self.host.name, "") from error
        self._connected()
        _libvirt.follow(connection, self._told, self._told_gone, self._lost, self._heard)
        for domain in connection.listAllDomains():
            self._told(domain.name(), _libvirt.state_of(domain))
        return connection

    def _connected(self) -> None:
        """There is a new connection, whose events are not followed yet."""

    def close(self) -> None:
        with self._lock, contextlib.suppress(libvirt.libvirtError):
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def virsh(self) -> list[str]:
        """The beginning of a command that the host gives its libvirt."""
        return ["virsh", "-q", "-c", _libvirt.address(str(self.connection_path()), self.driver)]

    def connection_path(self) -> Path:
        """The socket of the host's libvirt as its daemon knows it."""
        self.connection()
        return self.host.socket_there("libvirt.sock")

    # Machines

    @abstractmethod
    def _read_spec(self, domain: libvirt.virDomain) -> MachineSpec | None:
        """What labkit has noted in a domain, or None if it did not make it."""

    @abstractmethod
    def _machine(self, spec: MachineSpec) -> L:
        """A new object for the machine."""

    @property
    def keeper(self) -> Host:
        """The host that has the disks of its machines."""
        return self.host

    @staticmethod
    def _check_memory(memory_bytes: int) -> None:
        if memory_bytes < _LEAST_MEMORY:
            raise InvalidValue(
                f"{format_size(memory_bytes)} of memory are too little to boot",
                hint=f"give {format_size(_LEAST_MEMORY)} or more",
            )

    def _check_sizes(self, image: Image, memory_bytes: int, disk_bytes: int) -> None:
        """Raise `InvalidValue` for memory in which it does not boot, or a disk that does not hold the image."""
        self._check_memory(memory_bytes)
        if disk_bytes < (least := image.disk.stat().st_size):
            raise InvalidValue(
                f"a disk of {format_size(disk_bytes)} cannot hold the image {image.name}",
                hint=f"give {format_size(least)} or more",
            )

    def make_overlay(self, target: Path, backing: Path, kind: str, size_bytes: int) -> None:
        """Make a qcow2 file that shows `backing` and keeps what is written."""
        self.keeper.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", str(backing), str(target), str(size_bytes)],
            check=True,
        )  # fmt: skip

    def _is_hidden(self, name: str) -> bool:
        """Whether a domain is no machine of the lab's."""
        return False

    def _end(self, name: str) -> None:
        """End a domain and have libvirt forget it, whatever it is doing."""
        with contextlib.suppress(libvirt.libvirtError, LabError):
            domain = self.connection().lookupByName(name)
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()
            domain.undefineFlags(self._undefine_flags)

    def _forgotten(self, name: str, networks: Iterable[str]) -> None:
        """Give back what a machine had besides its domain."""
        self._release(name, networks)
        self._remove_folder(name)
        self._told_gone(name)

    def __getitem__(self, name: str) -> L:
        check_name(name, "name of a machine")
        try:
            domain = self.connection().lookupByName(name)
            spec = self._read_spec(domain)
        except libvirt.libvirtError as error:
            raise NotFound(
                f"there is no {self.what} {name}", host=self.host.name, hint="lab.machines() lists those there are"
            ) from error
        if spec is None:
            raise NotFound(f"the domain {name} was not made by labkit", host=self.host.name)
        return self._known(spec, domain)

    def _known(self, spec: MachineSpec, domain: libvirt.virDomain) -> L:
        """One object a machine, so that events reach the one that is held."""
        machine = self._machines.get(spec.name)
        if machine is None or machine.spec != spec:
            machine = self._machines[spec.name] = self._machine(spec)
            machine.told(_libvirt.state_of(domain))
        return machine

    def _heard(self, name: str, event: int, detail: int) -> None:
        for listener in list(self.listeners):
            listener(name, event, detail)

    def _told(self, name: str, state: State) -> None:
        if (machine := self._machines.get(name)) is None or not machine.is_moving:
            super()._told(name, state)

    def _told_gone(self, name: str) -> None:
        if (machine := self._machines.get(name)) is None or not machine.is_moving:
            super()._told_gone(name)

    def machines(self) -> list[L]:
        found = []
        with spoken(self.host.name):
            for domain in self.connection().listAllDomains():
                with contextlib.suppress(libvirt.libvirtError):  # one may go in between
                    if known := self._machines.get(domain.name()):  # until an event tells of its end
                        if known.host is self.host:  # else it is just coming here
                            found.append(known)
                    elif (spec := self._read_spec(domain)) and self._has(spec.name):
                        found.append(self._known(spec, domain))
        return sorted((machine for machine in found if not self._is_hidden(machine.name)), key=lambda one: one.name)

    def look(self) -> None:
        connection = self._connection
        if (connection is None or not connection.isAlive()) and answers(self.host.sockets / "libvirt.sock"):
            self.connection()

    def _size_fields(self, check_memory: Callable[[int], object] = lambda _: None) -> list[Field]:
        """The fields for memory, processors and disk; `check_memory` is asked about bytes that are enough to boot."""

        def memory(value: Any) -> None:
            size = parse_size(value, "memory size")
            self._check_memory(size)
            check_memory(size)

        return [
            Field("memory", "Memory", "text", "128 MiB", memory, help="such as 128 MiB"),
            Field("vcpus", "Processors", "number", 1, check_vcpus, help="1 to 8"),
            Field(
                "disk", "Disk", "text", "256 MiB", lambda value: parse_size(value, "disk size"), help="such as 1 GiB"
            ),
        ]

    @staticmethod
    def command_line(image: Image, *, accelerated: bool) -> str:
        """What the kernel of a machine is told, that its agent is to tell it who it is."""
        # An emulated processor does not speculate: what guards against that costs it a quarter of its time for nothing.
        calm = "" if accelerated else " mitigations=off"
        return f"{image.cmdline}{calm} labkit.identity=agent"

    # Networks

    def network(self, name: str) -> LibvirtNetwork:
        """libvirt's network `name`."""
        with spoken(self.host.name):
            return LibvirtNetwork(self.connection().networkLookupByName(name), self.host.name)

    def has_network(self, name: str) -> bool:
        """Whether libvirt has the network, and it is up."""
        try:
            return bool(self.connection().networkLookupByName(name).isActive())
        except libvirt.libvirtError:
            return False

    def define_network(self, xml: str) -> None:
        """Make a network that lives as long as the host."""
        from ..hosts.doctor import require_program

        try:
            self.connection().networkCreateXML(xml)
        except libvirt.libvirtError as error:
            if "already in use" in str(error):
                raise NameInUse(
                    f"another lab, or the host itself, has its bridge or its range there: {error}",
                    host=self.host.name,
                    hint="remove the network and make it again at home on this host: create(…, host=…)",
                ) from error
            require_program("dnsmasq", self.host)
            raise _libvirt.translate(error, self.host.name, "") from error

    def remove_network(self, uuid: str) -> None:
        """End a network."""
        with spoken(self.host.name):
            self.connection().networkLookupByUUIDString(uuid).destroy()
