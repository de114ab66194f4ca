"""QEMU virtual machines through libvirt: the engine of a host."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import libvirt

from .._progress import progress
from .._values import check_name, format_size, parse_duration, parse_size
from ..errors import InvalidValue, LabError, LabGone, NotFound
from ..hosts._libvirtd import answers
from ..hosts.acceleration import QEMU, Acceleration, acceleration, acceleration_on
from ..networks._libvirt_network import LibvirtNetwork
from ..storage.images import Image
from ..storage.images import get as get_image
from . import _libvirt
from ._bulk_stats import BulkStats
from ._domain import Domain, check_vcpus, read_spec
from ._kvm_machine import KvmMachine
from ._libvirt import spoken
from ._template import Template, is_template
from .base import machine_folder
from .engine import Engine, Field, NetworksWanted
from .spec import KvmSpec, NetworkInterface, Sample, State

if TYPE_CHECKING:
    from ..hosts.base import Host

_LEAST_MEMORY = 96 * 2**20  # with less, the kernel of the small image panics while it unpacks its initrd


class KvmEngine(Engine[KvmMachine]):
    """The virtual machines of a host: ``host.kvm``."""

    kind = "kvm"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._bulk = BulkStats()
        self._connection: libvirt.virConnect | None = None
        self._acceleration: Acceleration | None = None
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
            connection = _libvirt.connect(str(socket))
        except libvirt.libvirtError as error:
            if failure := self.host.why_libvirt_failed():
                raise failure from error
            raise _libvirt.translate(error, self.host.name, "") from error
        self._bulk.stirred()
        _libvirt.follow(connection, self._told, self._told_gone, self._lost, self._heard)
        for domain in connection.listAllDomains():
            self._told(domain.name(), _libvirt.state_of(domain))
        return connection

    def close(self) -> None:
        with self._lock, contextlib.suppress(libvirt.libvirtError):
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def acceleration(self) -> Acceleration:
        """Whether machines here run on KVM, and if not, why."""
        if self._acceleration is None:
            image, here = get_image(), self.host.files.are_here
            self._acceleration = acceleration(image=image) if here else acceleration_on(self.host, self.brought(image))
        return self._acceleration

    # Machines

    def create(
        self, name: str, *, image: str | Image = "small", memory: int | str = "128 MiB", vcpus: int = 1,
        disk: int | str = "256 MiB", networks: NetworksWanted = (), instant: bool = True, graphics: bool = False,
        timeout_s: float = 180,
    ) -> KvmMachine:  # fmt: skip
        """Make a virtual machine and wait until it answers to `run`.

        Parameters
        ----------
        name
            Unique in the lab.
        image
            The name of an image; it is built if it is not there yet.
        memory, disk
            Bytes, or words such as ``"128 MiB"``.
        vcpus
            1 to 8 virtual processors.
        networks
            Names of lab networks; each gives it an interface with an address. For one that is chosen:
            ``NetworkInterface("lan", address="198.19.1.50")``.
        instant
            Restore a prepared memory image instead of booting.
        graphics
            Give it a graphics card, whose screen `screenshot` and `screen` show.
        timeout_s
            Seconds for all of it.

        Raises
        ------
        InvalidName, InvalidValue, NameInUse, NotFound, NotEnough, NotEnoughMemory, NotEnoughDisk, ImageError,
        DeviceMissing, DeadlineExceeded
        """
        deadline = time.monotonic() + parse_duration(timeout_s, "time limit")
        cards = self._check_names(name, networks)
        check_vcpus(vcpus)
        sizes = parse_size(memory, "memory size"), parse_size(disk, "disk size")
        with progress(f"create {name}", quiet_s=1.0):
            chosen = image if isinstance(image, Image) else get_image(image)
            self._check_room(chosen, *sizes)
            chosen = self.brought(chosen)
            spec = KvmSpec(name, chosen.name, sizes[0], vcpus, sizes[1], graphics=graphics)

            def boot(domain: Domain) -> None:
                if instant:
                    self._restore(domain, chosen, deadline)
                else:
                    self.make_overlay(domain.disk, chosen.disk, "raw", domain.spec.disk_bytes)
                    self._start(domain)

            return self._make(spec, chosen, cards, boot, deadline)

    def create_like(self, spec: KvmSpec, name: str, make_disk: Callable[[Path], None]) -> KvmMachine:
        """Make a machine of the same kind as `spec`, with the disk that `make_disk` writes."""
        cards = self._check_names(name, [card.network for card in spec.interfaces])
        image = get_image(spec.image)
        self._check_room(image, spec.memory_bytes, spec.disk_bytes)
        image = self.brought(image)

        def boot(domain: Domain) -> None:
            make_disk(domain.disk)
            self._start(domain)

        fresh = replace(spec, name=name, interfaces=())
        return self._make(fresh, image, cards, boot, time.monotonic() + 180)

    def _check_room(self, image: Image, memory_bytes: int, disk_bytes: int) -> None:
        from ..hosts.doctor import require_disk, require_memory, require_program, require_tun

        least = image.disk.stat().st_size
        self._check_memory(memory_bytes)
        if disk_bytes < least:
            raise InvalidValue(
                f"a disk of {format_size(disk_bytes)} cannot hold the image {image.name}",
                hint=f"give {format_size(least)} or more",
            )
        require_program(QEMU, self.host)
        if self.host.files.are_here:  # elsewhere that is the business of libvirt, who is root there
            require_tun()
        require_memory(memory_bytes, self.host)
        # A thin disk: what it may grow to need not be free, what a machine needs to start must.
        require_disk(self.host.lab.folder, 2 * memory_bytes, self.host)

    def brought(self, image: Image) -> Image:
        """The image with its files as they lie on the host."""
        bring = self.host.files.bring
        return replace(image, kernel=bring(image.kernel), initrd=bring(image.initrd), disk=bring(image.disk))

    @staticmethod
    def _check_memory(memory_bytes: int) -> None:
        if memory_bytes < _LEAST_MEMORY:
            raise InvalidValue(
                f"{format_size(memory_bytes)} of memory are too little to boot",
                hint=f"give {format_size(_LEAST_MEMORY)} or more",
            )

    def _undo(self, name: str) -> list[list[str]]:
        """What the host does should this process die while it makes a machine."""
        virsh = self.virsh()
        folder = str(machine_folder(self.host, name))
        return [
            [*virsh, "destroy", name], [*virsh, "undefine", name], ["rm", "-rf", "--", folder],
            [*virsh, "destroy", name],  # what libvirt was still about to start
        ]  # fmt: skip

    def virsh(self) -> list[str]:
        """The beginning of a command that the host gives its libvirt."""
        return ["virsh", "-q", "-c", f"qemu+unix:///system?socket={self.connection_path()}"]

    def connection_path(self) -> Path:
        """The socket of the host's libvirt as its daemon knows it."""
        self.connection()
        return self.host.socket_there("libvirt.sock")

    def _make(
        self, spec: KvmSpec, image: Image, cards: list[NetworkInterface], boot: Callable[[Domain], None],
        deadline: float,
    ) -> KvmMachine:  # fmt: skip
        """Reserve, boot, tell the guest who it is; all or nothing."""
        with self._reserved(spec, self._undo(spec.name)) as made:
            for card in cards:
                made.append(card.network)
                spec = replace(spec, interfaces=(*spec.interfaces, self._join(spec.name, card)))
            machine = self._machines[spec.name] = KvmMachine(self, spec)
            with machine.acting("create") as task, self._announced(spec), spoken(self.host.name, spec.name):
                task.phase("waking it up")
                boot(self._domain(spec, image))
                task.phase("waiting for the guest")
                machine.become(deadline)
            machine.refresh()
            self.host.lab.journal("machine", machine=spec.name, host=self.host.name, engine="kvm")
        return machine

    def _domain(self, spec: KvmSpec, image: Image) -> Domain:
        folder = machine_folder(self.host, spec.name)
        screen = "console=tty0 " if spec.graphics else ""  # the last console named is the one with the shell
        return Domain(
            spec=spec, uuid=str(uuid.uuid4()), accelerated=self.acceleration().is_kvm, kernel=image.kernel,
            initrd=image.initrd, cmdline=f"{screen}{image.cmdline} labkit.identity=agent",
            disk=folder / "disk.qcow2", console_log=folder / "console.log",
        )  # fmt: skip

    def _start(self, domain: Domain) -> None:
        self.connection().defineXML(domain.xml()).create()

    def _restore(self, domain: Domain, image: Image, deadline: float) -> None:
        """Bring the domain up from its kind's template, and make it persistent."""
        template = Template(self.host, domain, image.disk)
        template.ensure(deadline)
        self.host.files.copy(template.overlay, domain.disk)
        saved = domain.disk.with_name("memory.save")
        try:
            template.stamp(domain, saved)
            self.connection().restoreFlags(str(saved), None, libvirt.VIR_DOMAIN_SAVE_RUNNING)
        finally:
            self.host.files.remove(saved)
        self.connection().defineXML(domain.xml())

    def make_overlay(self, target: Path, backing: Path, kind: str, size_bytes: int) -> None:
        """Make a qcow2 file that shows `backing` and keeps what is written."""
        self.host.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", str(backing), str(target), str(size_bytes)],
            check=True,
        )  # fmt: skip

    def make_disk(self, target: Path, size_bytes: int) -> None:
        """Make an empty qcow2 file that stands on nothing."""
        self.host.run(["qemu-img", "create", "-q", "-f", "qcow2", str(target), str(size_bytes)], check=True)

    def backing_of(self, disk: Path) -> tuple[Path, str]:
        """The file that a qcow2 file shows where nothing was written to it, and that file's format."""
        told = self.host.run(["qemu-img", "info", "-U", "--output=json", str(disk)], check=True).stdout
        about = json.loads(told)
        return Path(about["full-backing-filename"]), about["backing-filename-format"]

    def forget(self, name: str, networks: Iterable[str]) -> None:
        with contextlib.suppress(libvirt.libvirtError, LabError):
            domain = self.connection().lookupByName(name)
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
        with contextlib.suppress(LabGone):  # makes room for what comes next to be written
            self.host.files.remove(machine_folder(self.host, name) / "disk.qcow2")
        self._release(name, networks)
        self._remove_folder(name)
        self._told_gone(name)

    def __getitem__(self, name: str) -> KvmMachine:
        check_name(name, "name of a machine")
        try:
            domain = self.connection().lookupByName(name)
            spec = read_spec(domain.XMLDesc())
        except libvirt.libvirtError as error:
            raise NotFound(
                f"there is no virtual machine {name}", host=self.host.name, hint="lab.machines() lists those there are"
            ) from error
        if spec is None:
            raise NotFound(f"the domain {name} was not made by labkit", host=self.host.name)
        return self._known(spec, domain)

    def _known(self, spec: KvmSpec, domain: libvirt.virDomain) -> KvmMachine:
        """One object a machine, so that events reach the one that is held."""
        machine = self._machines.get(spec.name)
        if machine is None or machine.spec != spec:
            machine = self._machines[spec.name] = KvmMachine(self, spec)
            machine.told(_libvirt.state_of(domain))
        return machine

    def _heard(self, name: str, event: int, detail: int) -> None:
        self._bulk.stirred(name)
        for listener in list(self.listeners):
            listener(name, event, detail)

    def _told(self, name: str, state: State) -> None:
        if (machine := self._machines.get(name)) is None or not machine.is_moving:
            super()._told(name, state)

    def _told_gone(self, name: str) -> None:
        if (machine := self._machines.get(name)) is None or not machine.is_moving:
            super()._told_gone(name)

    def machines(self) -> list[KvmMachine]:
        found = []
        with spoken(self.host.name):
            for domain in self.connection().listAllDomains():
                with contextlib.suppress(libvirt.libvirtError):  # one may go in between
                    if known := self._machines.get(domain.name()):  # until an event tells of its end
                        if known.host is self.host:  # else it is just coming here
                            found.append(known)
                    elif (spec := read_spec(domain.XMLDesc())) and self._has(spec.name):
                        found.append(self._known(spec, domain))
        return sorted((machine for machine in found if not is_template(machine.name)), key=lambda machine: machine.name)

    def look(self) -> None:
        connection = self._connection
        if (connection is None or not connection.isAlive()) and answers(self.host.sockets / "libvirt.sock"):
            self.connection()

    def samples(self, told: dict[str, Any] | None = None) -> dict[str, Sample]:
        connection = self._connection
        if connection is None:
            return {}
        with spoken(self.host.name):  # a reading does not renew the lease
            return self._bulk.ask(connection)

    def form_fields(self) -> list[Field]:
        from ..hosts.doctor import require_memory

        def memory(value: Any) -> None:
            size = parse_size(value, "memory size")
            self._check_memory(size)
            require_memory(size, self.host)

        return [
            self._name_field("vm"),
            Field("memory", "Memory", "text", "128 MiB", memory, help="such as 128 MiB"),
            Field("vcpus", "Processors", "number", 1, check_vcpus, help="1 to 8"),
            Field(
                "disk", "Disk", "text", "256 MiB", lambda value: parse_size(value, "disk size"), help="such as 1 GiB"
            ),
            self._networks_field(),
            Field("instant", "Instant", "check", True, help="restore a prepared memory instead of booting"),
            Field("graphics", "Graphics", "check", False, help="give it a graphics card and a screen"),
        ]

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
            require_program("dnsmasq", self.host)
            raise _libvirt.translate(error, self.host.name, "") from error

    def remove_network(self, name: str) -> None:
        """End a network."""
        with spoken(self.host.name):
            self.connection().networkLookupByName(name).destroy()

    def __repr__(self) -> str:
        return f"<KVM on {self.host.name}>"
