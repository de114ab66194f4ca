"""A QEMU machine that is being moved to another host, by libvirt."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import libvirt

from .._values import format_size
from ..errors import DeadlineExceeded, EngineError, InvalidState, LabError, LabGone
from ..machines import _cards, _libvirt
from ..machines._kvm_machine import IDENTITY
from ..machines.spec import State
from ..storage.images import Image
from ..storage.images import get as get_image
from . import _kvm, _tls
from ._client import Client, ClientView
from ._libvirt_migration import LibvirtMigration, Marks
from .plan import on_the_way
from .plan import plan as make_plan
from .spec import MigrationOptions, MigrationPlan, MigrationSample

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..machines._kvm_machine import KvmMachine

_LOOK_S = 0.05
_REST, _LONGEST_REST_S = 4, 1.0  # so many times what a look took passes until the next: a slow host has more to do
_HALF_SECOND = 10  # looks
_AGAIN_S = 0.5
_DEAF_S = 3  # how long the destination may take to notice that the network is cut
_ABORT_S = 60  # from the order to stop until libvirt must have stopped


class KvmMigration(LibvirtMigration):
    """The move of a QEMU machine."""

    machine: KvmMachine

    def __init__(self, machine: KvmMachine, to: Host, options: MigrationOptions) -> None:
        self._image: Image | None = None
        super().__init__(machine, to, options)

    def start_postcopy(self) -> None:
        """Let the machine go on at the destination now; the rest of its memory follows (needs ``postcopy=True``)."""
        while not self.is_done and not (self.progress and self.progress.done_bytes):  # QEMU has not begun yet
            time.sleep(_LOOK_S)
        self._need_running()
        with _libvirt.spoken(self.source.name, self.machine.name):
            self._domain().migrateStartPostCopy()

    def limit(self, *, bandwidth: int | str | None = None, max_downtime: float | str | None = None) -> None:
        """Change how much of the network it may use a second, and how long the machine may stand still.

        The copy of a disk keeps to the bandwidth that it began with: libvirt changes only that of the memory.
        """
        options = MigrationOptions.checked(bandwidth=bandwidth, max_downtime=max_downtime)
        self._need_running()
        with _libvirt.spoken(self.source.name, self.machine.name):
            if options.bytes_per_second:
                self._domain().migrateSetMaxSpeed(options.bytes_per_second // 2**20)
            if options.downtime_s:
                self._domain().migrateSetMaxDowntime(round(options.downtime_s * 1000))

    # How it is done

    def _plan(self) -> MigrationPlan:
        return make_plan(self.machine, self.destination, self.options)

    def _undo(self) -> list[list[str]]:
        machine, notes = self.machine, self.machine.notes
        there = self.destination.kvm.connection_path()
        if self.source.files.are_here:  # and so are the sockets of all hosts
            there = (self.destination.sockets / "libvirt.sock").resolve()
        words = [
            machine.name, str(notes), self.source.name, self.destination.name,
            str(self.source.kvm.connection_path()), str(there),
            "yes" if self._ran else "no", str(machine.host.lab.notices),
        ]  # fmt: skip
        return [["sh", "-uc", _kvm.SETTLE, "labkit", *words]]

    def _move(self) -> None:
        machine, source, to = self.machine, self.source, self.destination
        deadline = self.began_s + self.options.timeout_s
        before = machine.disk()
        copy = machine.folder / f"disk-{to.name}.qcow2" if self.plan.disk_bytes else None
        landed: Host | None = source
        view: ClientView | None = None
        stats: dict[str, int] = {}
        failure: LabError | None = None
        try:
            self._prepare(before, copy)
            if self.options.watch and self._ran:
                self._client = Client(machine)
            stats = self._migrate(deadline, copy)
        except LabError as error:
            failure = self._explained(error)
        finally:
            self._say("settling")
            landed = _kvm.settle(machine, source, to, ran=self._ran)
            if self._client:
                view = self._client.end()
            if self._marks:
                self._marks.close()
            self._land(landed, before, copy)
        if landed is not to:
            why = self._why(failure, landed)
            if landed and self._marks and self._marks.is_postcopy:
                why.message += ", but switched off: half of its memory was there already"
            elif landed and self._ran and _kvm.has_ended(machine, landed):
                words = _kvm.last_words(machine, landed)
                why.message += f", but has ended meanwhile; its QEMU's last words: {words}"
                why.hint = "start() it again; what its console said before is in console()"
            raise why
        last = self.progress or MigrationSample(0.0, "")
        downtime_ms = float(stats.get("downtime", 0))
        if self.resumed_s and ((self._marks and self._marks.is_postcopy) or not self.options.live):
            downtime_ms = (self.resumed_s - self.stopped_s) * 1000  # libvirt counts none of this
        self._finish(
            view, downtime_ms=downtime_ms, transferred_bytes=stats.get("data_processed", last.done_bytes),
            rounds=stats.get("memory_iteration", last.round),
        )  # fmt: skip

    def _prepare(self, disk: Path, copy: Path | None) -> None:
        machine, hosts = self.machine, [self.source, self.destination]
        if self.options.tls:
            self._say("making certificates")
            _tls.ensure(machine.host.lab, hosts)
        self._say("preparing the destination")
        _kvm.limit_patience(hosts)
        for card in machine.spec.interfaces:
            machine.host.lab.networks[card.network].ensure_on(self.destination)
        if copy:
            if self._shared:
                backing = self.source.kvm.backing_of(disk)
                self.destination.kvm.make_overlay(copy, *backing, machine.spec.disk_bytes)
            else:
                self._take_along(copy)

    @property
    def _shared(self) -> bool:
        """Whether the hosts have the same files."""
        return self.source.files.are_those_of(self.destination.files)

    def _take_along(self, copy: Path) -> None:
        """Have at the destination what the machine needs there of files: its image, its identity, an empty disk."""
        here, there, folder = self.source.files, self.destination.files, self.machine.folder
        self._image = self.destination.kvm.brought(get_image(self.machine.spec.image))
        there.make_folder(folder, there=True)
        for name in IDENTITY:
            with contextlib.suppress(FileNotFoundError):  # it has not been told yet who it is
                there.write(folder / name, here.read(folder / name), mode=0o600)
        self.destination.kvm.make_disk(copy, self.machine.spec.disk_bytes)

    def _domain(self) -> libvirt.virDomain:
        with _libvirt.spoken(self.source.name, self.machine.name):
            return self.source.kvm.connection().lookupByName(self.machine.name)

    def _migrate(self, deadline: float, copy: Path | None) -> dict[str, int]:
        """Have libvirt move it, and follow that; returns what libvirt noted of it at the end."""
        there, domain = self.destination.kvm.connection(), self._domain()
        running = bool(domain.isActive())
        if copy and not running:  # libvirt copies no disk at rest: it would be on an empty one
            raise InvalidState(
                f"{self.machine.name} has stopped just now", hint="move it again", machine=self.machine.name,
                host=self.source.name,
            )  # fmt: skip
        flags = _kvm.flags_of(self.options, running=running, copy=copy is not None, whole=not self._shared)
        parameters = _kvm.parameters_of(self.options, self.destination, running=running)
        if copy:
            parameters |= _kvm.with_disk(domain, str(copy), self._image)
        marks = self._marks = Marks(self.machine.name, self.source, self.destination)
        with _libvirt.spoken(self.source.name, self.machine.name):
            if self.options.downtime_s and running:
                domain.migrateSetMaxDowntime(round(self.options.downtime_s * 1000))
            if not self.options.live and self._ran:  # `settle` lets it go on
                domain.suspend()
        with ThreadPoolExecutor(1, thread_name_prefix="labkit-migrate3") as pool:
            while True:
                moving = pool.submit(domain.migrate3, there, parameters, flags)
                try:
                    self._follow(moving, domain, marks, deadline)
                finally:
                    if not moving.done():
                        self._abort(moving, domain)
                if moving.exception() is None or not _kvm.is_interrupted(domain, self.destination):
                    break
                self._await_network(deadline)
                flags |= libvirt.VIR_MIGRATE_POSTCOPY_RESUME
            with _libvirt.spoken(self.source.name, self.machine.name):
                return _kvm.finished(moving.result())

    def _await_network(self, deadline: float) -> None:
        """In the middle of post-copy: wait until the hosts reach each other again."""
        self._say("waiting for the network between the hosts")
        time.sleep(_AGAIN_S)
        while any(on_the_way(self.machine, self.destination)):
            self._check(deadline)
            time.sleep(_AGAIN_S)

    def _follow(self, moving: Future[Any], domain: libvirt.virDomain, marks: Marks, deadline: float) -> None:
        broken_s = time.monotonic()
        while not moving.done():
            looked_s = time.monotonic()
            with contextlib.suppress(libvirt.libvirtError):  # the domain may have left just now
                if now := _kvm.sample(domain, postcopy=marks.is_postcopy):
                    self.samples.append(self._with_speed(now))
                    self._say(now.phase, now.fraction)
            rest_s = min(_REST * (time.monotonic() - looked_s), _LONGEST_REST_S)
            self._check(deadline)
            with contextlib.suppress(TimeoutError):
                moving.exception(max(_LOOK_S, rest_s))
            if not (marks.is_postcopy and _kvm.is_interrupted(domain, self.destination)):
                broken_s = time.monotonic()
            elif time.monotonic() - broken_s > _DEAF_S and not moving.done():
                _kvm.hang_up(self.machine.name, self.source, self.destination)
                broken_s = time.monotonic()

    def _with_speed(self, now: MigrationSample) -> MigrationSample:
        """With the speed of the last half second: QEMU's own figure stays what it was when nothing goes any more."""
        past = next((old for old in self.samples[-_HALF_SECOND:] if old.done_bytes <= now.done_bytes), None)
        if past is None or past.phase != now.phase:
            return now
        speed = (now.done_bytes - past.done_bytes) / max(now.time_s - past.time_s, _LOOK_S)
        return replace(now, bytes_per_second=round(speed))

    def _explained(self, failure: LabError) -> LabError:
        """A failure of libvirt's, with the reason if it is that the hosts do not reach each other any more."""
        if isinstance(failure, EngineError | LabGone):
            for obstacle in on_the_way(self.machine, self.destination):
                failure.message = f"{obstacle.what} any more ({failure.message})"
                failure.hint = f"{obstacle.hint}, then move it again"
        return failure

    def _too_late(self) -> DeadlineExceeded:
        now = self.progress
        why = ""
        if now and now.dirty_bytes_per_second > now.bytes_per_second:
            why = ": it writes to its memory faster than that can be copied"
        elif now:
            why = f": {now.phase}, round {now.round}, {format_size(now.remaining_bytes)} left"
        return DeadlineExceeded(
            f"{self.machine.name} had not moved within {self.options.timeout_s:g} s{why}", machine=self.machine.name,
            hint="give it longer with timeout_s=…; "
            "auto_converge=True slows it down meanwhile, postcopy=True lets it go on there first",
        )  # fmt: skip

    def _abort(self, moving: Future[Any], domain: libvirt.virDomain) -> None:
        """Have libvirt stop; again and again, for there are moments in which it cannot."""
        self._say("taking it back")
        deadline = time.monotonic() + _ABORT_S
        while not moving.done() and time.monotonic() < deadline:
            if self._marks and self._marks.is_postcopy and _kvm.is_interrupted(domain, self.destination):
                _kvm.give_up(self.machine.name, self.destination)
            with contextlib.suppress(libvirt.libvirtError):
                domain.abortJob()
            with contextlib.suppress(TimeoutError):
                moving.exception(0.2)

    def _land(self, landed: Host | None, disk: Path, copy: Path | None) -> None:
        """Note where it is now, for everybody; what is not needed any more goes."""
        machine = self.machine
        if landed is None:
            return
        self._note(landed)
        if copy:
            left, at = (disk, self.source) if landed is self.destination else (copy, self.destination)
            with contextlib.suppress(LabGone):  # with its files
                at.files.remove(left)
        self._release()
        machine.landed(landed)
        with contextlib.suppress(LabError):
            machine.refresh()
        if landed is self.destination and machine.state is State.RUNNING:
            with contextlib.suppress(LabError):
                _cards.restore_links(machine)
