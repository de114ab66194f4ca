"""A Xen machine that is being moved to another Xen host, by libvirt and Xen's own tools.

Its disk does not move: one server has it, and both domains 0 reach it, see `labkit.machines._xen_disks`.
Source: https://libvirt.org/migration.html, and `xl-migrate` for what Xen can: memory goes from one domain 0
to the other by TCP, and nobody can stop that but by ending a host.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import libvirt

from ..errors import LabError, NotFound
from ..machines import _cards, _libvirt
from ..machines._xen_disks import LET_GO, link_of
from ..machines.spec import State
from ..storage.images import get as get_image
from ._arriving import ArrivingMigration
from ._client import Client, ClientView
from ._libvirt_migration import LibvirtMigration, Marks
from .plan import check_host, speed
from .spec import MigrationOptions, MigrationPlan, MigrationSample, Obstacle

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..machines._xen_machine import XenMachine

_PORT = 49152
_USUAL_S = 6.0
_AWAKE_S = 120.0
_LOOK_S = 0.1
# What libxl does not do for a machine that it moves.
_LACKING = {
    "parallel": "several connections", "compress": "compression", "auto_converge": "slowing it down",
    "postcopy": "post-copy", "bytes_per_second": "a limit of the bandwidth", "downtime_s": "a bound of the downtime",
}  # fmt: skip
# Ends a domain and has libvirt forget it: $1 libvirt's address, $2 its name, $3 the host, $4 the machine's notes.
# Of the two hosts it is kept where the notes have it.
_TAKE_BACK = """
[ "$(cat "$4/host" 2>/dev/null)" != "$3" ] || exit 0
virsh -q -c "$1" destroy "$2"
virsh -q -c "$1" undefine "$2"
exit 0
"""
# If it was just being moved, it is switched off: nobody can tell any more whether it has run at the other host.
_SWITCH_OFF = """
tries=0
while virsh -q -c "$1" domstate "$2" 2>/dev/null | grep -q 'running\\|paused' && [ $tries -lt 60 ]; do
    virsh -q -c "$1" destroy "$2"
    sleep 1
    tries=$((tries + 1))
done
exit 0
"""


def plan(machine: XenMachine, to: Host, options: MigrationOptions) -> MigrationPlan:
    """See `Machine.migration_plan`; `InvalidValue` for a host that it cannot be meant."""
    check_host(machine, to)
    runs = machine.refresh() in (State.RUNNING, State.PAUSED, State.MOVING)
    memory_bytes = machine.spec.memory_bytes if runs else 0
    pace, basis = speed(machine)
    return MigrationPlan(
        machine.name, machine.host.name, to.name, _way(options, runs=runs), memory_bytes, 0,
        round(_USUAL_S + memory_bytes / pace, 1), basis, tuple(_obstacles(machine, to, options, runs=runs)),
    )  # fmt: skip


def _way(options: MigrationOptions, *, runs: bool) -> str:
    if not runs:
        return "at rest: only its description moves, both hosts reach its disk"
    how = "live" if options.live else "paused meanwhile"
    return f"{how}, memory in plain text on the wire between the hosts, both reach its disk"


def _obstacles(machine: XenMachine, to: Host, options: MigrationOptions, *, runs: bool) -> Iterator[Obstacle]:
    if not to.has_xen:
        yield Obstacle(
            f"{to.name} does not boot Xen, and a Xen machine runs nowhere else",
            'give a Xen host: lab.add_host("xenb", provider="xen")',
        )
        return
    if not to.is_alive:
        yield Obstacle(f"{to.name} does not answer", f'lab.add_host("{to.name}", provider="xen") makes it again')
        return
    if to.xen.keeper is not machine.keeper:
        yield Obstacle(
            f"the disk of {machine.name} lies on {machine.keeper.name}, where {to.name} does not reach it",
            'Xen hosts with provider="xen" and the same carrier reach the same disks',
        )
        return
    with contextlib.suppress(NotFound):
        to.xen[machine.name]
        yield Obstacle(f"{to.name} has a machine {machine.name} already", "destroy that one, or give another host")
    if not runs:
        return
    with _libvirt.spoken(to.name):
        free = to.xen.connection().getFreeMemory()
    if free < machine.spec.memory_bytes:
        yield Obstacle(f"Xen on {to.name} has not enough memory free", "stop machines there, or give another host")
    if options.live and machine.spec.kind == "pv":
        yield Obstacle(
            f"{machine.name} is paravirtual (PV), and Debian's Xen has no shadow paging, by which it would learn what"
            " such a machine writes while its memory is copied", "live=False moves it paused; move() takes that way",
        )  # fmt: skip
    if obstacle := machine.why_not_saved():
        yield Obstacle(*obstacle)
    for option, what in _LACKING.items():
        if getattr(options, option):
            yield Obstacle(f"Xen's tools have no {what} for a move", f"leave out what asks for {what}")
    yield Obstacle(
        "once begun it cannot be stopped; should this process die meanwhile, the machine is switched off",
        "cancel() takes it back until its memory is copied, and not later", stops=False,
    )  # fmt: skip


class XenMigration(ArrivingMigration, LibvirtMigration):
    """The move of a Xen machine."""

    machine: XenMachine

    def _plan(self) -> MigrationPlan:
        return plan(self.machine, self.destination, self.options)

    # What holds whatever dies

    def _words(self, host: Host) -> list[str]:
        return [host.xen.virsh()[-1], self.machine.name, host.name, str(self.machine.notes)]

    def _undo(self) -> list[list[str]]:
        ending = ["sh", "-uc", _SWITCH_OFF, "sh", *self._words(self.source)]
        return [ending] if self._ran else []

    def _taking_back(self) -> list[list[str]]:
        return [
            ["sh", "-uc", _TAKE_BACK, "sh", *self._words(self.destination)],
            ["sh", "-uc", LET_GO, "sh", str(link_of(self.machine.name))],
        ]

    def _release(self) -> None:
        self._release_there()
        super()._release()

    # How it is done

    def _move(self) -> None:
        machine, source, to = self.machine, self.source, self.destination
        deadline = self.began_s + self.options.timeout_s
        landed: Host | None = source
        view: ClientView | None = None
        failure: LabError | None = None
        try:
            self._prepare()
            if self.options.watch and self._ran:
                self._client = Client(machine)
            self._check(deadline)
            self._migrate()
        except LabError as error:
            failure = error
        finally:
            self._say("settling")
            landed = self._settle()
            if self._client:
                view = self._client.end()
            if self._marks:
                self._marks.close()
        if landed is not to:
            raise self._why(failure, landed)
        self._finish(view, downtime_ms=self._downtime_ms(view), transferred_bytes=self.plan.memory_bytes)

    def _downtime_ms(self, view: ClientView | None) -> float:
        """Between the events of both hosts; libxl itself does not tell, so else what the client saw."""
        if self.resumed_s > self.stopped_s > 0:
            return (self.resumed_s - self.stopped_s) * 1000
        return view.longest_gap_ms if view else 0.0

    def _prepare(self) -> None:
        """Have at the destination what the machine needs there: networks, its kernel, its disk."""
        machine, to = self.machine, self.destination
        self._say("preparing the destination")
        for card in machine.spec.interfaces:
            machine.host.lab.networks[card.network].ensure_on(to)
        image = get_image(machine.spec.image)
        for file in (image.kernel, image.initrd):
            to.files.bring(file)
        to.xen.connect_disk(machine.name, machine.disk)

    def _migrate(self) -> None:
        machine, there = self.machine, self.destination.xen.connection()
        domain = machine.domain()
        with _libvirt.spoken(self.source.name, machine.name):
            lasting = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
            if domain.isActive():
                self._hand_over(domain, there)
            # Only now: until then it starts where it was, should all else be lost.
            there.defineXML(lasting)

    def _hand_over(self, domain: libvirt.virDomain, there: libvirt.virConnect) -> None:
        """Have the running domain go over; returns when it runs there and is gone here."""
        machine = self.machine
        marks = self._marks = Marks(machine.name, self.source, self.destination)
        flags = libvirt.VIR_MIGRATE_LIVE if self.options.live else 0
        where = {libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{self.destination.address}:{_PORT}"}
        if not self.options.live:
            marks.stopped_s = time.monotonic()
        with ThreadPoolExecutor(1, thread_name_prefix="labkit-migrate3") as pool:
            moving = pool.submit(domain.migrate3, there, where, flags)
            while not moving.done():
                size = self.plan.memory_bytes
                self.samples.append(MigrationSample(time.monotonic(), "copying memory", size, 0, size))
                self._say("copying memory")
                with contextlib.suppress(TimeoutError):
                    moving.exception(_LOOK_S)
            moving.result()

    def _settle(self) -> Host | None:
        """Have the machine on one of the two hosts; it is never left on both. Returns that host, None if neither."""
        machine, source, to = self.machine, self.source, self.destination
        here, there = (_domain(host, machine.name) for host in (source, to))
        came = there is not None and there.isPersistent() and not (here is not None and here.isActive())
        landed = to if came else source if here is not None else None
        if landed is None:
            return None
        self._note(landed)
        left, domain = (source, here) if came else (to, there)
        for act in (domain.destroy, domain.undefine) if domain is not None else ():
            with contextlib.suppress(libvirt.libvirtError):  # not running, or not lasting
                act()
        left.xen.disks.let_go(left, machine.name)
        self._release()
        machine.landed(landed)
        with contextlib.suppress(LabError):
            if machine.refresh() is State.PAUSED and self._ran:
                machine.domain().resume()
                machine.refresh()
            if came and machine.state is State.RUNNING:
                machine.become(time.monotonic() + _AWAKE_S)  # its clock has stood still
                _cards.restore_links(machine)
        return landed


def _domain(host: Host, name: str) -> libvirt.virDomain | None:
    with contextlib.suppress(LabError, libvirt.libvirtError):
        return host.xen.connection().lookupByName(name)
    return None
