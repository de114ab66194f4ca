"""A machine of Xen's, driven through libvirt in domain 0 and the guest agent in it."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import libvirt

from .._values import check_cpus, check_name, format_count, format_size
from ..errors import EngineError, InvalidValue, LabError, NameInUse, NotFound, NotSupported
from . import _cards, _libvirt_cards
from ._agent import Unanswered
from ._domain import check_vcpus
from ._libvirt import spoken
from ._libvirt_machine import LibvirtMachine
from ._xen_agent import XenAgent
from ._xen_domain import MOST_VCPUS, interface_element, spec_of, with_spec
from .base import verb
from .spec import NetworkInterface, Sample, State, XenSpec

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..operations.migration import Migration
    from ..operations.spec import MigrationPlan
    from .xen import XenEngine

_LOGS = Path("/var/log/xen")
_WORDS = {"pvh": "PVH", "pv": "paravirtual (PV)", "hvm": "HVM, with QEMU's devices"}
_MOST_WEIGHT = 65535
_DEVICES = ("/sys/devices/vbd-51712", "/sys/devices/console-1")  # xvda, and what carries the agent; see _xen_order.py
_SAVED_EXTRA = 64 * 2**20  # what Xen writes besides the pages themselves
# Takes the card on bridge $3 away from machine $2; $4: for now or for the next start; $1: libvirt's address.
_UNPLUG = """
mac=$(virsh -q -c "$1" domiflist "$2" $([ "$4" = --config ] && echo --inactive) | awk -v on="$3" '$3 == on {print $5}')
[ -z "$mac" ] || virsh -q -c "$1" detach-interface "$2" bridge --mac "$mac" "$4"
"""


class XenMachine(LibvirtMachine):
    """A virtual machine of Xen's; made by ``host.xen.create``."""

    engine = "xen"
    tty = "/dev/hvc0"
    shutdown_flags = libvirt.VIR_DOMAIN_SHUTDOWN_PARAVIRT

    spec: XenSpec
    _engine: XenEngine

    @property
    def log(self) -> Path:
        return _LOGS / f"guest-{self.name}.log"

    @property
    def disk(self) -> Path:
        """Its disk's file, which the host has that its own one runs on."""
        return self.folder / "disk.qcow2"

    def _reasons(self) -> dict[str, tuple[str, str]]:
        return {}

    def facts(self) -> list[tuple[str, str]]:
        spec = self.spec
        return [
            ("kind", _WORDS[spec.kind]), ("processors", format_count(spec.vcpus, "virtual processor")),
            ("memory", format_size(spec.memory_bytes)),
            ("disk", f"{format_size(spec.disk_bytes)}, image {spec.image}"),
        ]  # fmt: skip

    # Moving

    def migration_plan(self, to: Host, **how: Any) -> MigrationPlan:
        from ..operations._xen_migration import plan
        from ..operations.spec import MigrationOptions

        return plan(self, to, MigrationOptions.checked(**how))

    def migrate(self, to: Host, **how: Any) -> Migration:
        from ..operations._xen_migration import XenMigration
        from ..operations.spec import MigrationOptions

        return XenMigration(self, to, MigrationOptions.checked(**how))

    # What is in it

    def _agent(self) -> XenAgent:
        host = self.host

        def reach() -> tuple[libvirt.virDomain, Path]:
            return self.domain(), self._engine.agent_socket(self.name)

        return XenAgent(host, self.name, self.log, reach, lambda: self.is_moving or self.host is not host)

    def _boot(self, domain: libvirt.virDomain) -> None:
        self._engine.connect_disk(self.name, self.disk)
        self._engine.boot(domain)

    # What it uses

    def stats(self) -> Sample:
        with spoken(self.host.name, self.name):
            return sample_of(self.domain())

    @verb
    def resize(self, *, memory: int | str | None = None, vcpus: int | None = None) -> None:
        """Change its memory (down from and up to what it was made with) or its processors, live."""
        self._need("resize")
        if memory is not None:
            self._resize_memory(memory)
        if vcpus is not None:
            check_vcpus(vcpus, max(MOST_VCPUS, self.spec.vcpus))
            # libvirt refuses more than the host has; Xen shares them out.
            self._xl(["vcpu-set", "--ignore-host", self.name, str(vcpus)])

    @verb
    def limits(self, *, cpus: float | None = None, weight: int | None = None) -> None:
        """Limit the processor time that it may use, or its share where there is not enough for all.

        Parameters
        ----------
        cpus
            The most, in processors: 0.5 is half of one (the cap of Xen's scheduler); None: no limit.
        weight
            Its share against the others': who has 512 gets twice what who has 256 gets, the default. 1 to 65535;
            None leaves it.
        """
        check_cpus(cpus)
        whole = isinstance(weight, int) and not isinstance(weight, bool)
        if weight is not None and not (whole and 1 <= weight <= _MOST_WEIGHT):
            raise InvalidValue(f"{ascii(weight)[:40]} is not a weight", hint=f"give 1 to {_MOST_WEIGHT}; 256 is usual")
        words = ["-c", str(0 if cpus is None else max(1, round(100 * cpus)))]
        if weight is not None:
            words += ["-w", str(weight)]
        # libvirt's Xen driver knows the scheduler "credit" only; Xen's own default is "credit2".
        self._xl(["sched-credit2", "-d", self.name, *words])

    def scheduling(self) -> dict[str, int]:
        """Its ``weight``, and its ``cap`` in hundredths of a processor (0: none), as Xen has them now."""
        told = self._xl(["sched-credit2", "-d", self.name])
        *_, weight, cap = re.split(r"\s+", told.strip().splitlines()[-1].strip())
        return {"weight": int(weight), "cap": int(cap)}

    def _xl(self, words: list[str]) -> str:
        done = self.host.run(["xl", *words])
        if not done.ok:
            self.domain()
            raise EngineError(f"xl {words[0]}: {done.stderr.strip()[-300:]}", host=self.host.name, machine=self.name)
        return done.stdout

    def why_not_saved(self) -> tuple[str, str] | None:
        """Why its memory cannot be written and read again, here or on another host, and what helps (asks it)."""
        with spoken(self.host.name, self.name):
            domain = self.domain()
            online = domain.info()[3] if domain.isActive() else self.spec.vcpus
        if online != self.spec.vcpus:
            # Those it is made with start again; the clocks of others stand still, and the guest with them.
            why = f"{self.name} runs on {online} processors, and Xen would bring it back with {self.spec.vcpus}"
            return why, f"resize(vcpus={self.spec.vcpus}) it first"
        if self.refresh() is State.RUNNING and self._has_rebooted():
            return (
                f"{self.name} has rebooted by itself, and its disk might not come back",
                "stop() and start() it first",
            )
        return None

    def _has_rebooted(self) -> bool:
        """Whether its guest has found its disk before its agent's console: it was not `XenEngine.boot` that began it.

        Linux numbers the files of devices as it finds these. Of a guest that does not answer it is not known.
        """
        with contextlib.suppress(LabError, ValueError):
            _, told, _ = self._agent().run(["stat", "-c", "%i", *_DEVICES], b"", 20)
            disk, console = map(int, told.split())
            return disk < console
        return False

    # Snapshots: Xen saves memory, the disk is copied beside it

    def _snapshot(self, name: str) -> Path:
        return self.folder / "snapshots" / name

    def snapshots(self) -> list[str]:
        """The names of its snapshots, oldest first."""
        files = self.keeper.files
        folder = self._snapshot("")
        found = files.list(folder) if files.exists(folder) else {}
        return sorted((name for name in found if not name.startswith(".")), key=lambda name: found[name].changed_ns)

    @verb
    def snapshot(self, name: str) -> None:
        """Keep its memory and disk under a name; it stands still for as long as that takes."""
        check_name(name, "name of a snapshot")
        if name in self.snapshots():
            raise NameInUse(f"{self.name} has a snapshot {name} already", machine=self.name, host=self.host.name)
        if obstacle := self.why_not_saved():
            raise NotSupported(obstacle[0], hint=obstacle[1], machine=self.name, host=self.host.name)
        files, folder = self.keeper.files, self._snapshot("")
        files.make_folder(folder, there=True)
        with files.temporary_folder(folder, f".{name}-") as made:
            files.write(made / "spec.json", json.dumps(asdict(self.spec)))
            with self._at_rest(made / "memory", folder / name / "memory"):
                files.copy(self.disk, made / "disk.qcow2")
                files.rename(made, folder / name)

    @contextlib.contextmanager
    def _at_rest(self, memory: Path, kept: Path) -> Iterator[None]:
        """While in this context its disk is closed; if it runs, its memory is written to a file and read again.

        Parameters
        ----------
        memory, kept
            Where it is written, and where what is done in the context puts that, so that no fault loses it.
        """
        state = self.refresh()
        if state not in (State.RUNNING, State.PAUSED):
            self._engine.part_disk(self.name, self.disk)
            yield
            return
        before, self.is_moving = self.is_moving, True  # what is told of it meanwhile is not its own doing
        try:
            self._save(memory)
            try:
                self._engine.part_disk(self.name, self.disk)
                yield
            finally:
                is_kept = self.keeper.files.exists(kept)
                try:
                    self._restore(kept if is_kept else memory, paused=state is State.PAUSED)
                except LabError as error:
                    if is_kept:
                        error.hint = f'it has stopped, its memory is in the snapshot: revert("{kept.parent.name}")'
                    raise
        finally:
            self.is_moving = before
        if state is State.RUNNING:
            self.become(time.monotonic() + 120)  # its clock has stood still

    def _save(self, memory: Path) -> None:
        self._engine.make_raw(memory, self.spec.memory_bytes + _SAVED_EXTRA)
        with self._memory(memory) as device, self._engine.spoken(self.name):
            self.domain().save(str(device))
            self.host.run(["sync", str(device)], check=True)  # else what is not written yet is lost with the device

    def _restore(self, memory: Path, *, paused: bool = False) -> None:
        self._engine.connect_disk(self.name, self.disk)
        flags = libvirt.VIR_DOMAIN_SAVE_PAUSED if paused else 0
        with self._memory(memory) as device, self._engine.spoken(self.name):
            self._engine.connection().restoreFlags(str(device), None, flags)

    @contextlib.contextmanager
    def _memory(self, file: Path) -> Iterator[Path]:
        """While in this context a file is a device in domain 0, which a memory is written to or read from."""
        name = f"{self.name}.memory"
        device = self._engine.disks.connect(self.host, name, file, "raw")
        try:
            yield device
        finally:
            self._engine.disks.let_go(self.host, name)
            self._engine.disks.withdraw(file)

    @verb
    def revert(self, name: str) -> None:
        """Go back to a snapshot: to its memory and disk, or only to its disk if it was taken at rest."""
        check_name(name, "name of a snapshot")
        if name not in (known := self.snapshots()):
            raise NotFound(
                f"{self.name} has no snapshot {name}", hint=f"it has: {', '.join(known) or 'none'}",
                machine=self.name, host=self.host.name,
            )  # fmt: skip
        files, folder = self.keeper.files, self._snapshot(name)
        then = spec_of(files.read_text(folder / "spec.json"))
        with_memory = files.exists(folder / "memory")
        with contextlib.suppress(libvirt.libvirtError):  # it does not run
            self.domain().destroy()
        self._engine.part_disk(self.name, self.disk)
        files.copy(folder / "disk.qcow2", self.disk)
        if with_memory:
            self._restore(folder / "memory")
        self.refresh()
        if then.interfaces != self.spec.interfaces:
            _libvirt_cards.after_revert(self, then)
            self._note(self.spec)
        if self.state is State.RUNNING:
            self.become(time.monotonic() + 120)
            _cards.restore_links(self)

    @verb
    def clone(self, name: str) -> XenMachine:
        """Make a machine with a copy of this one's disk and an identity of its own; it boots."""

        def copy_disk(target: Path) -> None:
            with self._quiet_disk():
                self.keeper.files.copy(self.disk, target)

        return self._engine.create_like(self.spec, name, copy_disk)

    @contextlib.contextmanager
    def _quiet_disk(self) -> Iterator[None]:
        if self.refresh() is not State.RUNNING:
            self._engine.part_disk(self.name, self.disk)
            yield
            return
        agent = self._agent()
        try:
            agent.ask("guest-fsfreeze-freeze", agent.slowest_s)
            try:
                yield
            finally:
                agent.ask("guest-fsfreeze-thaw", agent.slowest_s)
        except Unanswered as error:
            raise EngineError(
                f"the guest did not hold its disk still: {error}", machine=self.name, host=self.host.name
            ) from error

    # Its connections

    def _element(self, card: NetworkInterface) -> ElementTree.Element:
        return interface_element(self.name, card, self.host.lab.networks[card.network].bridge)

    def host_link(self, network: str) -> str:
        return _libvirt_cards.host_link(self, network)

    def plug(self, card: NetworkInterface, *, live: bool) -> NetworkInterface:
        _libvirt_cards.plug(self, card, self._element(card), live=live)
        return card

    def unplug(self, card: NetworkInterface, *, live: bool) -> None:
        _libvirt_cards.unplug(self, card, live=live)

    def unplugging(self, network: str) -> list[list[str]]:
        address, bridge = self._engine.virsh()[-1], self.host.lab.networks[network].bridge
        return [["sh", "-uc", _UNPLUG, "sh", address, self.name, bridge, how] for how in ("--live", "--config")]

    def connected(self, interfaces: tuple[NetworkInterface, ...]) -> None:
        spec = replace(self.spec, interfaces=interfaces)
        self._note(spec)
        self.spec = spec

    def _note(self, spec: XenSpec) -> None:
        """Keep in the domain what it is now."""
        with spoken(self.host.name, self.name):
            domain = self.domain()
            domain.connect().defineXML(with_spec(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), spec))


def sample_of(domain: libvirt.virDomain) -> Sample:
    """A reading of a running domain: libvirt's Xen driver has no call for all counters, or all domains."""
    _, _, memory_kib, processors, cpu_ns = domain.info()
    now = time.monotonic()
    disk, cards = (0, 0, 0, 0, 0), [0] * 8
    if domain.isActive():
        with contextlib.suppress(libvirt.libvirtError):  # not connected yet
            disk = domain.blockStats("xvda")
        for link in ElementTree.fromstring(domain.XMLDesc()).iterfind("devices/interface/target"):
            with contextlib.suppress(libvirt.libvirtError):
                cards = [sum(pair) for pair in zip(cards, domain.interfaceStats(link.attrib["dev"]), strict=True)]
    reads, read_bytes, writes, written_bytes, _ = disk
    return Sample(
        time_s=now, cpu_seconds=cpu_ns / 1e9, memory_bytes=memory_kib * 1024,
        disk_read_bytes=read_bytes, disk_written_bytes=written_bytes, received_bytes=cards[0], sent_bytes=cards[4],
        processors=processors, memory_total_bytes=memory_kib * 1024, disk_requests=reads + writes,
        received_packets=cards[1], sent_packets=cards[5], dropped_packets=cards[3] + cards[7],
    )  # fmt: skip
