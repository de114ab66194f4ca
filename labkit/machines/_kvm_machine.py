"""A QEMU virtual machine, driven through libvirt and its guest agent."""

from __future__ import annotations

import base64
import contextlib
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement, tostring

import libvirt

from .._run import Completed, check_argv
from .._values import check_name, format_count, format_size, parse_duration, parse_size
from ..errors import DeadlineExceeded, InvalidState, InvalidValue, NameInUse, NotFound, NotSupported
from ..hosts import _cgroups
from . import _cards, _kvm_cards, _libvirt
from ._agent import Agent
from ._bulk_stats import STATS, sample_of
from ._domain import alias, check_vcpus
from ._kvm_line import SerialLine, shell
from ._libvirt import spoken
from ._screenshot import take_screenshot
from ._serial import SerialConsole
from .base import Machine, verb
from .spec import KvmSpec, NetworkInterface, Sample, Screenshot, State

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..operations.migration import Migration
    from ..operations.spec import MigrationPlan
    from ._line import Line
    from .kvm import KvmEngine

_IDENTITY = "/usr/sbin/labkit-identity"
_PERIOD_US = 100_000
IDENTITY = ("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub", "machine-id")  # files in its folder


class KvmMachine(Machine):
    """A virtual machine; made by ``host.kvm.create``."""

    engine = "kvm"

    spec: KvmSpec

    def __init__(self, kvm: KvmEngine, spec: KvmSpec) -> None:
        super().__init__(kvm.host, spec)
        self._kvm = kvm
        self._state = State.STARTING
        self._serial: SerialLine | None = None
        self._line_lock = threading.Lock()
        self.is_moving = False

    def _reasons(self) -> dict[str, tuple[str, str]]:
        reasons = {}
        if not self.host.has_cgroups:
            reasons["limits"] = (
                "this lab has no cgroups of its own, which limits are made of",
                _cgroups.advice(),
            )
        return reasons

    @property
    def _log(self) -> Path:
        return self.folder / "console.log"

    def domain(self) -> libvirt.virDomain:
        """libvirt's domain, for what labkit has no verb for."""
        with spoken(self.host.name, self.name):
            return self._kvm.connection().lookupByName(self.name)

    def refresh(self) -> State:
        if self.is_moving:
            return self._state
        state = self._seen()
        if state is not self._state:
            self.told(state)
        return state

    def _seen(self) -> State:
        """What libvirt says now, also while it moves."""
        with spoken(self.host.name, self.name):
            return _libvirt.state_of(self.domain())

    @property
    def acceleration(self) -> str:
        """``"kvm"``, or ``"tcg"`` where QEMU emulates the processor; ``host.kvm.acceleration()`` says why."""
        return self._kvm.acceleration().kind

    def facts(self) -> list[tuple[str, str]]:
        count = format_count(self.spec.vcpus, "virtual processor")
        how = {"kvm": "run by KVM", "tcg": "emulated (TCG)"}[self.acceleration]
        disk = f"{format_size(self.spec.disk_bytes)}, image {self.spec.image}"
        return [("processors", f"{count}, {how}"), ("memory", format_size(self.spec.memory_bytes)), ("disk", disk)]

    def xml(self) -> str:
        """The domain's XML as libvirt has it now."""
        with spoken(self.host.name, self.name):
            return str(self.domain().XMLDesc())

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

    def leaving(self, to: Host) -> None:
        """It begins to move: until it has landed, what the engines tell of it is not believed."""
        self.is_moving, self._state = True, State.MOVING
        super().leaving(to)

    def stand_on(self, host: Host) -> None:
        super().stand_on(host)
        self._kvm = host.kvm

    def landed(self, host: Host) -> None:
        super().landed(host)
        self.is_moving = False

    # Its identity

    def become(self, deadline: float) -> None:
        """Wait for the guest's agent and tell the guest who it is."""
        agent = self._agent()
        agent.wait(deadline)
        self._tell_guest(agent, [*self._identity(), *self._cards()], deadline)

    def _tell_guest(self, agent: Agent, told: list[str], deadline: float) -> None:
        lines = "\n".join(told) + "\n"
        code, out, err = agent.run([_IDENTITY], lines.encode(), max(5.0, deadline - time.monotonic()))
        if code != 0:
            said = (err or out).decode(errors="replace").strip()
            raise InvalidState(
                f"the guest could not take on its identity: {said}", machine=self.name, host=self.host.name
            )

    def _identity(self) -> list[str]:
        """What `labkit-identity` in the guest reads, but its network cards."""
        key, machine_id, files = self.folder / "ssh_host_ed25519_key", self.folder / "machine-id", self.host.files
        if not files.exists(key):
            self.host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(key)], check=True)
            files.write(machine_id, uuid.uuid4().hex)
        # The time first: it is read at once, the rest takes the guest a while.
        return [
            f"time {time.time():.9f}",
            f"seed {secrets.token_hex(32)}",
            f"machine-id {files.read_text(machine_id)}",
            f"ssh-key {base64.b64encode(files.read(key)).decode()}",
            "grow",
        ]

    def _cards(self) -> list[str]:
        """What `labkit-identity` reads of its name and its network cards."""
        lines = [f"name {self.name}", f"uuid {self.domain().UUIDString()}"]
        networks = self.host.lab.networks
        way_on = networks.way_on(self.spec.interfaces)
        for number, card in enumerate(self.spec.interfaces):
            network = networks[card.network]
            gateway = network.gateway if card is way_on else "-"
            words = [f"{card.address}/{network.prefix_length}", gateway, network.name_server or "-"]
            lines.append(" ".join(["nic", str(number), card.mac, *words]))
        return lines

    def _agent(self) -> Agent:
        domain, host = self.domain(), self.host

        def moved() -> libvirt.virDomain | None:
            return self.domain() if self.is_moving or self.host is not host else None

        return Agent(domain, host, self.name, self._log, moved)

    # Verbs

    def _do(self, verb: str, needed: State, reached: State, act: Callable[[libvirt.virDomain], object]) -> None:
        """Bring the machine from state `needed` to `reached`; to be there already is as good."""
        domain = self.domain()
        try:
            act(domain)
        except libvirt.libvirtError as error:
            state = self._seen()
            if not self.is_moving:
                self.refresh()
            if state is reached:
                return
            if state is not needed:
                raise InvalidState(
                    f"{self.name} is {state}, so it cannot {verb}", hint=f"it must be {needed}",
                    machine=self.name, host=self.host.name,
                ) from error  # fmt: skip
            raise _libvirt.translate(error, self.host.name, self.name) from error

    @verb
    def start(self, *, timeout_s: float = 120) -> None:
        self.begin(time.monotonic() + timeout_s)

    def begin(self, deadline: float) -> None:
        """Boot it and tell it who it is, also while it moves."""
        self._do("start", State.STOPPED, State.RUNNING, lambda domain: domain.create())
        self.become(deadline)
        self.refresh()
        _cards.restore_links(self)

    @verb
    def stop(self, *, timeout_s: float = 30) -> None:
        self.halt(timeout_s)

    def halt(self, timeout_s: float) -> None:
        """Shut it down and wait for that, also while it moves."""
        deadline = time.monotonic() + timeout_s
        flags = libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT | libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
        self._do("stop", State.RUNNING, State.STOPPED, lambda domain: domain.shutdownFlags(flags))
        while self._seen() not in (State.STOPPED, State.FAILED):
            if time.monotonic() > deadline:
                raise DeadlineExceeded(
                    f"{self.name} did not shut down within {timeout_s:g} s", hint="kill() switches it off",
                    machine=self.name, host=self.host.name,
                )  # fmt: skip
            time.sleep(0.02)

    @verb
    def kill(self) -> None:
        self._do("kill", State.RUNNING, State.STOPPED, lambda domain: domain.destroy())
        self._state = State.STOPPED

    @verb
    def pause(self) -> None:
        self._do("pause", State.RUNNING, State.PAUSED, lambda domain: domain.suspend())
        self._state = State.PAUSED

    @verb
    def resume(self) -> None:
        self._do("resume", State.PAUSED, State.RUNNING, lambda domain: domain.resume())
        self._state = State.RUNNING

    def run(
        self, argv: Sequence[str], *, input: str | bytes = b"", timeout_s: float = 60, check: bool = False
    ) -> Completed:
        words = check_argv(argv)
        parse_duration(timeout_s, "time limit")
        began = time.monotonic()
        data = input.encode() if isinstance(input, str) else input
        if self._state not in (State.RUNNING, State.STARTING, State.MOVING) and self.refresh() is not State.RUNNING:
            raise InvalidState(
                f"{self.name} is {self._state}, so it cannot run a command", machine=self.name, host=self.host.name,
                hint="resume() or start() it first",
            )  # fmt: skip
        code, out, err = self._agent().run(words, data, timeout_s)
        done = Completed(
            tuple(words), code, out.decode(errors="replace"), err.decode(errors="replace"),
            time.monotonic() - began, self.name,
        )  # fmt: skip
        return done.check() if check else done

    def console(self) -> SerialConsole:
        return SerialConsole(self.domain(), self._log, self.name, self.host)

    def line(self, kind: str = "console") -> Line:
        if kind != "console":
            return shell(self)
        with self._line_lock:
            if self._serial is None:
                self._serial = SerialLine(self)
            return self._serial

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
            size = parse_size(memory, "memory size")
            if size > self.spec.memory_bytes:
                raise InvalidValue(
                    f"{self.name} can have at most the memory it was made with", machine=self.name,
                    hint=f"give at most {self.spec.memory_bytes} bytes",
                )  # fmt: skip
            with spoken(self.host.name, self.name):
                self.domain().setMemoryFlags(size // 1024, libvirt.VIR_DOMAIN_AFFECT_LIVE)
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
        if cpus is not None and not 0.01 <= cpus <= 1000:
            raise InvalidValue(f"{cpus!r} is not a limit in processors", hint="0.5 is half a processor; None lifts it")
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
            _kvm_cards.after_revert(self)
        if self.state is State.RUNNING:
            self.become(time.monotonic() + 60)  # its clock stands still since the snapshot
            _cards.restore_links(self)

    @verb
    def clone(self, name: str) -> KvmMachine:
        """Make a machine with a copy of this one's disk and an identity of its own; it boots cold."""

        def copy_disk(target: Path) -> None:
            with self._quiet_disk():
                self.host.files.copy(self.disk(), target)

        return self._kvm.create_like(self.spec, name, copy_disk)

    @contextlib.contextmanager
    def _quiet_disk(self) -> Iterator[None]:
        """While in this context nothing is written to the disk, and all that was is on it."""
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

    # Its connections

    def host_link(self, network: str) -> str:
        return _kvm_cards.host_link(self, network)

    def plug(self, card: NetworkInterface, *, live: bool) -> NetworkInterface:
        _kvm_cards.plug(self, card, live=live)
        return card

    def unplug(self, card: NetworkInterface, *, live: bool) -> None:
        _kvm_cards.unplug(self, card, live=live)

    def unplugging(self, network: str) -> list[list[str]]:
        take = [*self._kvm.virsh(), "detach-device-alias", self.name, alias(network)]
        return [[*take, "--live"], [*take, "--config"]]

    def connected(self, interfaces: tuple[NetworkInterface, ...]) -> None:
        spec = replace(self.spec, interfaces=interfaces)
        _kvm_cards.note(self, spec)
        self.spec = spec

    def resettle(self) -> None:
        self._tell_guest(self._agent(), self._cards(), time.monotonic() + 30)

    def set_carrier(self, network: str, *, up: bool) -> None:
        _kvm_cards.set_carrier(self, network, up=up)

    @verb
    def destroy(self) -> None:
        self._kvm.forget(self.name, [card.network for card in self.spec.interfaces])
        self.host.lab.journal("machine removed", machine=self.name, host=self.host.name)
