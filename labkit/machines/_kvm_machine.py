"""A QEMU virtual machine, driven through libvirt and its guest agent."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement, tostring

import libvirt

from .._values import check_cpus, check_name, format_count, format_size
from ..errors import InvalidState, NameInUse, NotFound, NotSupported
from ..hosts import _cgroups
from . import _cards, _libvirt_cards
from ._agent import Agent
from ._bulk_stats import STATS, sample_of
from ._domain import alias, check_vcpus, interface_element, read_spec
from ._libvirt import spoken
from ._libvirt_machine import LibvirtMachine
from ._screenshot import take_screenshot
from .base import verb
from .spec import KvmSpec, NetworkInterface, Sample, Screenshot, State

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..operations.migration import Migration
    from ..operations.spec import MigrationPlan
    from .kvm import KvmEngine

_PERIOD_US = 100_000
IDENTITY = ("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub", "machine-id")  # files in its folder


class KvmMachine(LibvirtMachine):
    """A virtual machine; made by ``host.kvm.create``."""

    engine = "kvm"
    shutdown_flags = libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT | libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN

    spec: KvmSpec
    _engine: KvmEngine

    def _reasons(self) -> dict[str, tuple[str, str]]:
        reasons = {}
        if not self.host.has_cgroups:
            reasons["limits"] = (
                "this lab has no cgroups of its own, which limits are made of",
                _cgroups.advice(),
            )
        return reasons

    @property
    def log(self) -> Path:
        return self.folder / "console.log"

    @property
    def acceleration(self) -> str:
        """``"kvm"``, or ``"tcg"`` where QEMU emulates the processor; ``host.kvm.acceleration()`` says why."""
        return self._engine.acceleration().kind

    def facts(self) -> list[tuple[str, str]]:
        count = format_count(self.spec.vcpus, "virtual processor")
        how = {"kvm": "run by KVM", "tcg": "emulated (TCG)"}[self.acceleration]
        disk = f"{format_size(self.spec.disk_bytes)}, image {self.spec.image}"
        return [("processors", f"{count}, {how}"), ("memory", format_size(self.spec.memory_bytes)), ("disk", disk)]

    def disk(self) -> Path:
        """Its disk's file (asks libvirt)."""
        source = ElementTree.fromstring(self.xml()).find("devices/disk/source")
        if source is None:
            raise InvalidState(f"{self.name} has no disk", machine=self.name, host=self.host.name)
        return Path(source.get("file", ""))

    # Moving

    def migration_plan(self, to: Host, **how: Any) -> MigrationPlan:
        from ..operations.plan import plan
        from ..operations.spec import MigrationOptions

        return plan(self, to, MigrationOptions.checked(**how))

    def migrate(self, to: Host, **how: Any) -> Migration:
        from ..operations._kvm_migration import KvmMigration
        from ..operations.spec import MigrationOptions

        return KvmMigration(self, to, MigrationOptions.checked(**how))

    def move(self, to: Host, **how: Any) -> Migration:
        """Begin to move it to another host: live, or if something stands in the way of that cold; see `Machine.move`.

        Cold it takes its snapshots along. What only concerns how memory is copied is left out of account then.
        """
        from ..operations import _cold
        from ._kvm_move import KvmCarrier

        if not self.migration_plan(to, live=True, **how).possible:
            fitting = {key: value for key, value in how.items() if key in ("bandwidth", "watch", "timeout_s")}
            if _cold.plan(KvmCarrier(self, to), live=False, **fitting).possible:
                return _cold.ColdMigration(KvmCarrier(self, to), live=False, **fitting)
        return self.migrate(to, **how)

    def screenshot(self) -> Screenshot:
        if not self.spec.graphics:
            raise NotSupported(
                f"{self.name} has no screen, for it was made without graphics", machine=self.name,
                host=self.host.name, hint="create(…, graphics=True) makes one with a screen",
            )  # fmt: skip
        return take_screenshot(self.domain(), self.host.name)

    def stats(self) -> Sample:
        with spoken(self.host.name, self.name):
            domain = self.domain()
            told = domain.connect().domainListGetStats(
                [domain], STATS, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
            )
        return sample_of(told[0][1], time.monotonic())

    @verb
    def resize(self, *, memory: int | str | None = None, vcpus: int | None = None) -> None:
        """Change its memory (down from and up to what it was made with) or its processors, live."""
        if memory is not None:
            self._resize_memory(memory)
        if vcpus is not None:
            check_vcpus(vcpus, self.domain().maxVcpus())
            with spoken(self.host.name, self.name):
                domain = self.domain()
                if vcpus > domain.vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_LIVE):
                    domain.setVcpusFlags(vcpus, libvirt.VIR_DOMAIN_AFFECT_LIVE)
                else:  # guests unplug a processor late or never: it is switched on or off inside
                    domain.setVcpusFlags(vcpus, libvirt.VIR_DOMAIN_VCPU_GUEST)

    @verb
    def limits(self, *, cpus: float | None = None) -> None:
        self._need("limits")
        check_cpus(cpus)
        quota = -1 if cpus is None else round(cpus * _PERIOD_US)
        with spoken(self.host.name, self.name):
            self.domain().setSchedulerParametersFlags(
                {"global_period": _PERIOD_US, "global_quota": quota}, libvirt.VIR_DOMAIN_AFFECT_LIVE
            )

    @verb
    def snapshot(self, name: str) -> None:
        check_name(name, "name of a snapshot")
        if name in self.snapshots():
            raise NameInUse(f"{self.name} has a snapshot {name} already", machine=self.name, host=self.host.name)
        with spoken(self.host.name, self.name):
            domain = self.domain()
            if domain.isActive() and domain.vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_LIVE) != self.spec.vcpus:
                # It restores memory before it plugs the processors in that the memory knows of.
                raise NotSupported(
                    f"libvirt cannot go back to a snapshot of {self.name} with processors that were plugged in later",
                    hint="restart() it first", machine=self.name, host=self.host.name,
                )  # fmt: skip
        root = Element("domainsnapshot")
        SubElement(root, "name").text = name
        with spoken(self.host.name, self.name):
            domain.snapshotCreateXML(tostring(root, encoding="unicode"))

    def snapshots(self) -> list[str]:
        """The names of its snapshots, oldest first."""
        with spoken(self.host.name, self.name):
            found = self.domain().listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)
        return [snapshot.getName() for snapshot in found]

    @verb
    def revert(self, name: str) -> None:
        check_name(name, "name of a snapshot")
        domain = self.domain()
        try:
            snapshot = domain.snapshotLookupByName(name)
        except libvirt.libvirtError as error:
            known = ", ".join(self.snapshots()) or "none"
            raise NotFound(
                f"{self.name} has no snapshot {name}", hint=f"it has: {known}", machine=self.name, host=self.host.name
            ) from error
        try:
            with spoken(self.host.name, self.name):
                domain.revertToSnapshot(snapshot)
        finally:
            self.refresh()
            with spoken(self.host.name, self.name):
                then = read_spec(self.domain().XMLDesc())
            _libvirt_cards.after_revert(self, then)
        if self.state is State.RUNNING:
            self.become(time.monotonic() + 60)  # its clock stands still since the snapshot
            _cards.restore_links(self)

    @verb
    def clone(self, name: str) -> KvmMachine:
        """Make a machine with a copy of this one's disk and an identity of its own; it boots cold."""

        def copy_disk(target: Path) -> None:
            with self._quiet_disk():
                self.host.files.copy(self.disk(), target)

        return self._engine.create_like(self.spec, name, copy_disk)

    @contextlib.contextmanager
    def _quiet_disk(self) -> Iterator[None]:
        if self.refresh() is not State.RUNNING:
            yield
            return
        with spoken(self.host.name, self.name):
            domain = self.domain()
            domain.fsFreeze()
            try:
                yield
            finally:
                domain.fsThaw()

    def _agent(self) -> Agent:
        domain, host = self.domain(), self.host

        def moved() -> libvirt.virDomain | None:
            return self.domain() if self.is_moving or self.host is not host else None

        return Agent(domain, host, self.name, self.log, moved)

    # Its connections

    def host_link(self, network: str) -> str:
        return _libvirt_cards.host_link(self, network)

    def plug(self, card: NetworkInterface, *, live: bool) -> NetworkInterface:
        element = interface_element(card)
        SubElement(element, "alias", name=alias(card.network))
        _libvirt_cards.plug(self, card, element, live=live)
        return card

    def unplug(self, card: NetworkInterface, *, live: bool) -> None:
        _libvirt_cards.unplug(self, card, live=live)

    def unplugging(self, network: str) -> list[list[str]]:
        take = [*self._engine.virsh(), "detach-device-alias", self.name, alias(network)]
        return [[*take, "--live"], [*take, "--config"]]

    def connected(self, interfaces: tuple[NetworkInterface, ...]) -> None:
        spec = replace(self.spec, interfaces=interfaces)
        _libvirt_cards.note(self, spec)
        self.spec = spec

    def set_carrier(self, network: str, *, up: bool) -> None:
        _libvirt_cards.set_carrier(self, network, up=up)
