"""Xen machines through libvirt in domain 0: the engine of a host that boots Xen."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import libvirt

from .._progress import progress
from .._values import format_size, parse_duration, parse_size
from ..errors import LabError, NotEnoughMemory
from ..storage.images import Image
from ..storage.images import get as get_image
from ._domain import AGENT, check_vcpus
from ._libvirt import spoken, translate
from ._libvirt_engine import LibvirtEngine
from ._xen_disks import LET_GO, Disks, OwnDisks, ServedDisks, link_of
from ._xen_domain import KINDS, XenDomain, check_kind, read_spec
from ._xen_machine import XenMachine, sample_of
from .base import machine_folder
from .engine import Field, NetworksWanted
from .spec import MachineSpec, NetworkInterface, Sample, XenSpec

if TYPE_CHECKING:
    from ..hosts._boots_xen import BootsXen
    from ..hosts.base import Host

_OVERHEAD = 24 * 2**20  # of Xen's, besides a machine's own memory: page tables, and an HVM's shadow
_CHANNELS = Path("/var/lib/libvirt/libxl/channel/target")
_LOG = "/var/log/libvirt/libxl/libxl-driver.log"
_SAMPLE_S = 0.6
_ORDER = Path(__file__).with_name("_xen_order.py")


class XenEngine(LibvirtEngine[XenMachine]):
    """The Xen machines of a host: ``host.xen``."""

    kind = "xen"
    asks_dhcp = False
    driver = "xen"
    what = "Xen machine"

    host: BootsXen

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._asked: dict[str, Future[Sample]] = {}  # and not answered yet
        self._pool: ThreadPoolExecutor | None = None

    @property
    def keeper(self) -> Host:
        return self.host.keeper

    @cached_property
    def disks(self) -> Disks:
        """What connects them."""
        from ..hosts.xen import GATEWAY

        return OwnDisks() if self.keeper is self.host else ServedDisks(self.keeper, GATEWAY)

    def create(
        self, name: str, *, kind: str = "pvh", image: str | Image = "small", memory: int | str = "128 MiB",
        vcpus: int = 1, disk: int | str = "256 MiB", networks: NetworksWanted = (), timeout_s: float = 300,
    ) -> XenMachine:  # fmt: skip
        """Make a Xen machine, boot it, and wait until it answers to `run`.

        Parameters
        ----------
        name
            Unique in the lab.
        kind
            ``"pvh"``: virtualized by the processor, with Xen's own devices; ``"pv"``: paravirtual, its kernel asks
            Xen for what needs privileges; ``"hvm"``: a whole PC, with devices of QEMU's in domain 0.
        image
            The name of an image; it is built if it is not there yet.
        memory, disk
            Bytes, or words such as ``"128 MiB"``.
        vcpus
            1 to 8 virtual processors.
        networks
            Names of lab networks; each gives it an interface with an address. For one that is chosen:
            ``NetworkInterface("lan", address="198.19.1.50")``.
        timeout_s
            Seconds for all of it.

        Raises
        ------
        InvalidName, InvalidValue, NameInUse, NotFound, NotEnough, NotEnoughMemory, NotEnoughDisk, ImageError,
        EngineError, DeadlineExceeded
        """
        deadline = time.monotonic() + parse_duration(timeout_s, "time limit")
        cards = self._check_names(name, networks)
        check_kind(kind)
        check_vcpus(vcpus)
        sizes = parse_size(memory, "memory size"), parse_size(disk, "disk size")
        with progress(f"create {name}", quiet_s=1.0):
            chosen = image if isinstance(image, Image) else get_image(image)
            self._check_room(chosen, *sizes)
            spec = XenSpec(name, chosen.name, sizes[0], vcpus, sizes[1], kind=kind)

            def make_disk(target: Path) -> None:
                self.make_overlay(target, self.keeper.files.bring(chosen.disk), "raw", spec.disk_bytes)

            return self._make(spec, chosen, cards, make_disk, deadline)

    def create_like(self, spec: XenSpec, name: str, make_disk: Callable[[Path], None]) -> XenMachine:
        """Make a machine of the same kind as `spec`, with the disk that `make_disk` writes."""
        cards = self._check_names(name, [card.network for card in spec.interfaces])
        image = get_image(spec.image)
        self._check_room(image, spec.memory_bytes, spec.disk_bytes)
        fresh = replace(spec, name=name, interfaces=())
        return self._make(fresh, image, cards, make_disk, time.monotonic() + 300)

    def _check_room(self, image: Image, memory_bytes: int, disk_bytes: int) -> None:
        from ..hosts.doctor import require_disk

        self._check_sizes(image, memory_bytes, disk_bytes)
        with spoken(self.host.name):
            free = self.connection().getFreeMemory()
        if free < memory_bytes + _OVERHEAD:
            raise NotEnoughMemory(
                f"Xen on {self.host.name} has {format_size(free)} free, and a machine with {format_size(memory_bytes)}"
                f" needs {format_size(memory_bytes + _OVERHEAD)}", host=self.host.name,
                hint="ask for less, stop other machines, or make a larger host: Xen(…, memory=…)",
            )  # fmt: skip
        require_disk(self.host.lab.folder, 2 * memory_bytes, self.keeper)

    # Disks

    def make_raw(self, target: Path, size_bytes: int) -> None:
        """Make an empty file of this size, which takes room as it is written to."""
        self.keeper.run(["qemu-img", "create", "-q", "-f", "raw", str(target), str(size_bytes)], check=True)

    def connect_disk(self, name: str, file: Path) -> Path:
        """Have the disk of a machine be a block device in domain 0."""
        return self.disks.connect(self.host, name, file, "qcow2")

    def part_disk(self, name: str, file: Path) -> None:
        """Have it closed everywhere; the machine does not run."""
        self.disks.let_go(self.host, name)
        self.disks.withdraw(file)

    def agent_socket(self, name: str) -> Path:
        """The socket here that leads to the guest agent of a machine."""
        return self.host.forward(str(_CHANNELS / f"{name}-{AGENT}"), f"agent-{name}")

    # Machines

    def _undo(self, name: str) -> list[list[str]]:
        """What domain 0 does should this process die while it makes a machine."""
        virsh = self.virsh()
        return [
            [*virsh, "destroy", name], [*virsh, "undefine", name], [*virsh, "destroy", name],
            ["sh", "-uc", LET_GO, "sh", str(link_of(name))], ["rm", "-rf", "--", str(machine_folder(self.host, name))],
        ]  # fmt: skip

    def _make(
        self, spec: XenSpec, image: Image, cards: list[NetworkInterface], make_disk: Callable[[Path], None],
        deadline: float,
    ) -> XenMachine:  # fmt: skip
        """Reserve, boot, tell the guest who it is; all or nothing."""
        with self._reserved(spec, self._undo(spec.name)) as made:
            for card in cards:
                made.append(card.network)
                spec = replace(spec, interfaces=(*spec.interfaces, self._join(spec.name, card)))
            machine = self._machines[spec.name] = XenMachine(self, spec)
            with machine.acting("create") as task, self._announced(spec):
                task.phase("making its disk")
                make_disk(machine.disk)
                task.phase("booting")
                self._start(self._domain(machine, image))
                task.phase("waiting for the guest")
                machine.become(deadline)
            machine.refresh()
            self.host.lab.journal("machine", machine=spec.name, host=self.host.name, engine="xen")
        return machine

    def _domain(self, machine: XenMachine, image: Image) -> XenDomain:
        from ..hosts.xen import is_accelerated

        spec, bring = machine.spec, self.host.files.bring
        networks = self.host.lab.networks
        return XenDomain(
            spec=spec, uuid=str(uuid.uuid4()), kernel=bring(image.kernel), initrd=bring(image.initrd),
            cmdline=self.command_line(image, accelerated=is_accelerated()),
            disk=self.connect_disk(spec.name, machine.disk),
            bridges={card.network: networks[card.network].bridge for card in spec.interfaces},
        )  # fmt: skip

    def _start(self, domain: XenDomain) -> None:
        with self.spoken(domain.spec.name):
            self.boot(self.connection().defineXML(domain.xml()))

    @contextlib.contextmanager
    def spoken(self, name: str) -> Iterator[None]:
        """Turn libvirt's errors about a machine into labkit's, with the last words of the log of Xen's library."""
        try:
            yield
        except libvirt.libvirtError as error:
            failure = translate(error, self.host.name, name)
            said = self.host.run(["tail", "-n", "4", _LOG]).stdout.strip()
            failure.message += f"; its log says: {said}" if said else ""
            raise failure from error

    def boot(self, domain: libvirt.virDomain) -> None:
        """Have it run; raises `libvirt.libvirtError`."""
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        try:
            order = [*self.host.python, "-I", "-S", self.host.program(_ORDER), str(domain.ID())]
            self.host.run(order, timeout_s=60, check=True)
            domain.resume()
        except BaseException:
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()
            raise

    def forget(self, name: str, networks: Iterable[str]) -> None:
        self._end(name)
        folder = machine_folder(self.host, name)
        with contextlib.suppress(LabError):  # the host it runs on may have ended, and its files with it
            self.part_disk(name, folder / "disk.qcow2")
        self._forgotten(name, networks)

    def _read_spec(self, domain: libvirt.virDomain) -> XenSpec | None:
        return read_spec(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))

    def _machine(self, spec: MachineSpec) -> XenMachine:
        return XenMachine(self, cast("XenSpec", spec))

    def samples(self, told: dict[str, Any] | None = None) -> dict[str, Sample]:
        """A reading of each that runs, by a few calls each; one that something is done to is left out."""
        connection = self._connection
        if connection is None:
            return {}
        with spoken(self.host.name):  # a reading does not renew the lease
            running = [one for one in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE) if one.ID()]
        for domain in running:
            if domain.name() not in self._asked:
                self._asked[domain.name()] = self._askers().submit(sample_of, domain)
        done, _ = wait(self._asked.values(), _SAMPLE_S)
        ready = {name: self._asked.pop(name) for name, future in list(self._asked.items()) if future in done}
        return {name: future.result() for name, future in ready.items() if not future.exception()}

    def _askers(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(4, thread_name_prefix="labkit-xen-stats")
        return self._pool

    def close(self) -> None:
        super().close()
        pool, self._pool = self._pool, None
        if pool:
            pool.shutdown(wait=False, cancel_futures=True)
        self._asked.clear()

    def form_fields(self) -> list[Field]:
        return [
            self._name_field("dom"),
            Field("kind", "Kind", "text", KINDS[0], check_kind, help=", ".join(KINDS)),
            *self._size_fields(),
            self._networks_field(),
        ]

    def __repr__(self) -> str:
        return f"<Xen on {self.host.name}>"
