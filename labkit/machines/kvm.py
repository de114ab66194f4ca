"""QEMU virtual machines through libvirt: the engine of a host."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import libvirt

from .._progress import progress
from .._values import parse_duration, parse_size
from ..errors import LabGone
from ..hosts.acceleration import QEMU, Acceleration, acceleration, acceleration_on
from ..storage.images import Image
from ..storage.images import get as get_image
from ._bulk_stats import BulkStats
from ._domain import Domain, check_vcpus, read_spec
from ._kvm_machine import KvmMachine
from ._libvirt import spoken
from ._libvirt_engine import LibvirtEngine
from ._template import Template, is_template
from .base import machine_folder
from .engine import Field, NetworksWanted
from .spec import KvmSpec, MachineSpec, NetworkInterface, Sample

if TYPE_CHECKING:
    from ..hosts.base import Host


class KvmEngine(LibvirtEngine[KvmMachine]):
    """The virtual machines of a host: ``host.kvm``."""

    kind = "kvm"
    driver = "qemu"
    what = "virtual machine"
    _undefine_flags = libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._bulk = BulkStats()
        self._acceleration: Acceleration | None = None

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
        timeout_s: float = 300,
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

        self._check_sizes(image, memory_bytes, disk_bytes)
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

    def _undo(self, name: str) -> list[list[str]]:
        """What the host does should this process die while it makes a machine."""
        virsh = self.virsh()
        folder = str(machine_folder(self.host, name))
        return [
            [*virsh, "destroy", name], [*virsh, "undefine", name],
            ["find", folder, "-mindepth", "1", "-maxdepth", "1", "!", "-name", "host", "-exec", "rm", "-rf", "{}", "+"],
            [*virsh, "destroy", name],  # what libvirt was still about to start
            ["rm", "-rf", "--", folder],  # last: now the name is free
        ]  # fmt: skip

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
        accelerated = self.acceleration().is_kvm
        return Domain(
            spec=spec, uuid=str(uuid.uuid4()), accelerated=accelerated, kernel=image.kernel,
            initrd=image.initrd, cmdline=screen + self.command_line(image, accelerated=accelerated),
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

    def make_disk(self, target: Path, size_bytes: int) -> None:
        """Make an empty qcow2 file that stands on nothing."""
        self.host.run(["qemu-img", "create", "-q", "-f", "qcow2", str(target), str(size_bytes)], check=True)

    def backing_of(self, disk: Path) -> tuple[Path, str]:
        """The file that a qcow2 file shows where nothing was written to it, and that file's format."""
        told = self.host.run(["qemu-img", "info", "-U", "--output=json", str(disk)], check=True).stdout
        about = json.loads(told)
        return Path(about["full-backing-filename"]), about["backing-filename-format"]

    def forget(self, name: str, networks: Iterable[str]) -> None:
        self._end(name)
        with contextlib.suppress(LabGone):  # makes room for what comes next to be written
            self.host.files.remove(machine_folder(self.host, name) / "disk.qcow2")
        self._forgotten(name, networks)

    def _read_spec(self, domain: libvirt.virDomain) -> KvmSpec | None:
        return read_spec(domain.XMLDesc())

    def _machine(self, spec: MachineSpec) -> KvmMachine:
        return KvmMachine(self, cast("KvmSpec", spec))

    def _is_hidden(self, name: str) -> bool:
        return is_template(name)

    def _connected(self) -> None:
        self._bulk.stirred()

    def _heard(self, name: str, event: int, detail: int) -> None:
        self._bulk.stirred(name)
        super()._heard(name, event, detail)

    def samples(self, told: dict[str, Any] | None = None) -> dict[str, Sample]:
        connection = self._connection
        if connection is None:
            return {}
        with spoken(self.host.name):  # a reading does not renew the lease
            return self._bulk.ask(connection)

    def form_fields(self) -> list[Field]:
        from ..hosts.doctor import require_memory

        return [
            self._name_field("vm"),
            *self._size_fields(lambda size: require_memory(size, self.host)),
            self._networks_field(),
            Field("instant", "Instant", "check", True, help="restore a prepared memory instead of booting"),
            Field("graphics", "Graphics", "check", False, help="give it a graphics card and a screen"),
        ]

    def __repr__(self) -> str:
        return f"<KVM on {self.host.name}>"
