"""A machine that is being moved to another host, as an object: how far it is, how it is stopped, what came of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import libvirt

from .._changes import What
from .._paths import write_whole
from .._progress import progress, quietly
from ..errors import Busy, Cancelled, DeadlineExceeded, InvalidState, LabError, LabGone
from ..machines import _cards, _libvirt
from ..machines.base import MOVING
from ..machines.spec import State
from . import _kvm, _tls
from ._client import Client, ClientView
from .plan import plan as make_plan
from .spec import MigrationOptions, MigrationPlan, MigrationResult, MigrationSample

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..machines._kvm_machine import KvmMachine

_LOOK_S = 0.05
_ABORT_S = 60  # from the order to stop until libvirt must have stopped


class Migration:
    """A move under way, or one that has ended; made by `machine.migrate`.

    It goes on in the background. `wait` waits for it, `cancel` takes it back; shown in a notebook it is
    a live picture.

    Attributes
    ----------
    machine, source, destination
        What is moved, from where, to where.
    plan
        What was found out before.
    samples
        How far it was, twenty times a second: a list of `MigrationSample`.
    stopped_s, resumed_s
        When the machine stood still at the source and went on at the destination, as libvirt's events
        told: seconds on the monotonic clock; 0 until then.
    began_s, ended_s
        When it was asked for, and when it had ended, on the same clock; 0 until then.
    phases
        When each phase began, and its name.
    """

    def __init__(self, machine: KvmMachine, to: Host, options: MigrationOptions) -> None:
        self.machine = machine
        self.source, self.destination = machine.host, to
        self.options = options
        self.samples: list[MigrationSample] = []
        self.began_s, self.ended_s = time.monotonic(), 0.0
        self.phases: list[tuple[float, str]] = [(self.began_s, "preparing")]
        self.plan: MigrationPlan = make_plan(machine, to, options)
        self._raise_obstacles()
        self._phase = "preparing"
        self._result: MigrationResult | None = None
        self._error: LabError | None = None
        self._cancelled = threading.Event()
        self._ended = threading.Event()
        self._marks: _kvm.Marks | None = None
        self._client: Client | None = None
        self._held = contextlib.ExitStack()
        self._ran = machine.state is State.RUNNING
        self._hold()
        machine.leaving(to)
        self._thread = threading.Thread(target=self._work, name=f"labkit-migrate-{machine.name}", daemon=True)
        self._thread.start()

    # What can be asked

    @property
    def phase(self) -> str:
        """What is done now, in words."""
        return self._phase

    @property
    def progress(self) -> MigrationSample | None:
        """How far it was a moment ago; None until libvirt has told."""
        return self.samples[-1] if self.samples else None

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._ended.is_set()

    @property
    def error(self) -> LabError | None:
        """Why it failed, if it did."""
        return self._error

    @property
    def result(self) -> MigrationResult | None:
        """What came of it, once it has ended well."""
        return self._result

    @property
    def downtime_ms(self) -> float:
        """How long the machine stood still, as libvirt reports it; waits for the end."""
        return self.wait().downtime_ms

    @property
    def stopped_s(self) -> float:
        """See the class."""
        return self._marks.stopped_s if self._marks else 0.0

    @property
    def resumed_s(self) -> float:
        """See the class."""
        return self._marks.resumed_s if self._marks else 0.0

    @property
    def client_answers(self) -> list[tuple[int, float, float]]:
        """What the client has been answered so far, see `ClientView`."""
        return self._client.answers if self._client else []

    def wait(self, timeout_s: float | None = None) -> MigrationResult:
        """Wait until it has ended and return what came of it; whatever stopped it is raised.

        `DeadlineExceeded` if it goes on for longer than `timeout_s` seconds: it is not stopped by that.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with progress(f"migrate {self.machine.name}", quiet_s=1.0) as task:
            while not self._ended.wait(0.1):
                now = self.progress
                task.detail(self._phase, now.fraction if now else None)
                if deadline is not None and time.monotonic() > deadline:
                    raise DeadlineExceeded(
                        f"{self.machine.name} is still on its way after {timeout_s:g} s", machine=self.machine.name,
                        hint="wait() longer, or cancel() it",
                    )  # fmt: skip
        if self._result is None:
            raise self._error or LabError(f"nothing came of the move of {self.machine.name}")
        return self._result

    def cancel(self) -> None:
        """Stop it: the machine goes on where it was. Comes too late once it runs at the destination."""
        self._cancelled.set()

    def start_postcopy(self) -> None:
        """Let the machine go on at the destination now; the rest of its memory follows (needs ``postcopy=True``)."""
        self._need_running()
        with _libvirt.spoken(self.source.name, self.machine.name):
            self._domain().migrateStartPostCopy()

    def limit(self, *, bandwidth: int | str | None = None, max_downtime: float | str | None = None) -> None:
        """Change how much of the network it may use a second, and how long the machine may stand still."""
        options = MigrationOptions.checked(bandwidth=bandwidth, max_downtime=max_downtime)
        self._need_running()
        with _libvirt.spoken(self.source.name, self.machine.name):
            if options.bytes_per_second:
                self._domain().migrateSetMaxSpeed(options.bytes_per_second // 2**20)
            if options.downtime_s:
                self._domain().migrateSetMaxDowntime(round(options.downtime_s * 1000))

    def _need_running(self) -> None:
        if self.is_done:
            raise InvalidState(f"the move of {self.machine.name} has ended", machine=self.machine.name)

    # How it is done

    def _raise_obstacles(self) -> None:
        for obstacle in self.plan.obstacles:
            if obstacle.stops:
                raise InvalidState(
                    f"{self.machine.name} cannot be moved to {self.destination.name}: {obstacle.what}",
                    hint=obstacle.hint, machine=self.machine.name, host=self.source.name,
                )  # fmt: skip

    def _hold(self) -> None:
        """Let nobody else move it; should this process die, the source's first process settles what is where."""
        machine, notes = self.machine, self.machine.notes
        words = [
            machine.name, str(notes), self.source.name, self.destination.name,
            str(self.source.kvm.connection_path()), str(self.destination.kvm.connection_path()),
            "yes" if self._ran else "no", str(notices(machine.host.lab.folder)),
        ]  # fmt: skip
        undo = [["sh", "-uc", _kvm.SETTLE, "labkit", *words]]
        try:
            commit = self._held.enter_context(self.source.reserve_folder(notes / MOVING, undo))
        except FileExistsError as error:
            raise Busy(
                f"{machine.name} is being moved already", machine=machine.name, host=self.source.name,
                hint="wait for that, or cancel it",
            ) from error  # fmt: skip
        self._commit: Callable[[], object] = commit

    def _work(self) -> None:
        machine = self.machine
        try:
            with quietly(), machine.acting("migrate") as task:
                self._task = task
                self._move()
        except LabError as error:
            self._error = error
        except Exception as error:  # a thread must tell whoever waits for it
            self._error = LabError(
                f"the move failed in a way that labkit does not know: {error!r}", machine=machine.name
            )
        finally:
            with contextlib.suppress(LabError):
                self._held.close()
            self.ended_s = time.monotonic()
            self._ended.set()
            machine.tell()
            machine.host.lab.changes.tell(What.MACHINES, machine.host)

    def _say(self, phase: str, fraction: float | None = None) -> None:
        if phase != self._phase:
            self.phases.append((time.monotonic(), phase))
        self._phase = phase
        with contextlib.suppress(Cancelled):
            self._task.phase(phase, fraction)

    def _move(self) -> None:
        machine, source, to, lab = self.machine, self.source, self.destination, self.machine.host.lab
        deadline = self.began_s + self.options.timeout_s
        before = machine.disk()
        disk = machine.folder / f"disk-{to.name}.qcow2" if self.plan.disk_bytes else before
        landed: Host | None = source
        view: ClientView | None = None
        stats: dict[str, int] = {}
        failure: LabError | None = None
        try:
            self._prepare(disk if disk != before else None)
            if self.options.watch and self._ran:
                self._client = Client(machine)
            stats = self._migrate(deadline, disk if disk != before else None)
        except LabError as error:
            failure = error
        finally:
            if self._client:
                view = self._client.end()
            self._say("settling")
            landed = _kvm.settle(machine, source, to, ran=self._ran)
            if self._marks:
                self._marks.close()
            self._land(landed, before, disk)
        if landed is not to:
            raise self._why(failure, landed)
        self._result = MigrationResult(
            machine=machine.name, source=source.name, destination=to.name, way=self.plan.way,
            total_s=time.monotonic() - self.began_s, downtime_ms=float(stats.get("downtime", 0)),
            transferred_bytes=stats.get("data_processed", 0), rounds=stats.get("memory_iteration", 0),
            client=view, no_client=self._client.why_not if self._client else "nobody was asked to watch",
        )  # fmt: skip
        words = {"bytes": self._result.transferred_bytes, "downtime_ms": self._result.downtime_ms}
        took = time.monotonic() - self.began_s
        lab.journal("migrated", machine=machine.name, source=source.name, host=to.name, seconds=took, **words)

    def _prepare(self, disk: Path | None) -> None:
        machine, hosts = self.machine, [self.source, self.destination]
        if self.options.tls:
            self._say("making certificates")
            _tls.ensure(machine.host.lab, hosts)
        self._say("preparing the destination")
        _kvm.limit_patience(hosts)
        for card in machine.spec.interfaces:
            machine.host.lab.networks[card.network].ensure_on(self.destination)
        if disk:
            self.destination.kvm.make_empty_like(machine.disk(), disk, machine.spec.disk_bytes)

    def _domain(self) -> libvirt.virDomain:
        with _libvirt.spoken(self.source.name, self.machine.name):
            return self.source.kvm.connection().lookupByName(self.machine.name)

    def _migrate(self, deadline: float, disk: Path | None) -> dict[str, int]:
        """Have libvirt move it, and follow that; returns what libvirt noted of it at the end."""
        there, domain = self.destination.kvm.connection(), self._domain()
        running = bool(domain.isActive())
        flags = _kvm.flags_of(self.options, running=running, copy=disk is not None)
        parameters = _kvm.parameters_of(self.options, self.destination, running=running)
        if disk:
            parameters |= _kvm.with_disk(domain, str(disk))
        marks = self._marks = _kvm.Marks(self.machine.name, self.source, self.destination)
        if self.options.downtime_s and running:
            with _libvirt.spoken(self.source.name, self.machine.name):
                domain.migrateSetMaxDowntime(round(self.options.downtime_s * 1000))
        with ThreadPoolExecutor(1, thread_name_prefix="labkit-migrate3") as pool:
            moving = pool.submit(domain.migrate3, there, parameters, flags)
            try:
                self._follow(moving, domain, marks, deadline)
            finally:
                if not moving.done():
                    self._abort(moving, domain)
            with _libvirt.spoken(self.source.name, self.machine.name):
                return _kvm.finished(moving.result())

    def _follow(self, moving: Future[Any], domain: libvirt.virDomain, marks: _kvm.Marks, deadline: float) -> None:
        while not moving.done():
            with contextlib.suppress(libvirt.libvirtError):  # the domain may have left just now
                if now := _kvm.sample(domain, postcopy=marks.is_postcopy):
                    self.samples.append(now)
                    self._say(now.phase, now.fraction)
            if self._cancelled.is_set():
                raise Cancelled(
                    f"the move of {self.machine.name} was cancelled", machine=self.machine.name, hint="move it again"
                )
            if time.monotonic() > deadline:
                raise self._too_late()
            with contextlib.suppress(TimeoutError):
                moving.exception(_LOOK_S)

    def _too_late(self) -> DeadlineExceeded:
        now = self.progress
        why = ""
        if now and now.dirty_bytes_per_second > now.bytes_per_second:
            why = ": it writes to its memory faster than that can be copied"
        return DeadlineExceeded(
            f"{self.machine.name} had not moved within {self.options.timeout_s:g} s{why}", machine=self.machine.name,
            hint="auto_converge=True slows it down meanwhile, postcopy=True lets it go on there first",
        )  # fmt: skip

    def _abort(self, moving: Future[Any], domain: libvirt.virDomain) -> None:
        """Have libvirt stop; again and again, for there are moments in which it cannot."""
        self._say("taking it back")
        deadline = time.monotonic() + _ABORT_S
        while not moving.done() and time.monotonic() < deadline:
            with contextlib.suppress(libvirt.libvirtError):
                domain.abortJob()
            with contextlib.suppress(TimeoutError):
                moving.exception(0.2)

    def _why(self, failure: LabError | None, landed: Host | None) -> LabError:
        machine = self.machine
        if landed is None:
            return LabGone(
                f"{machine.name} was lost with its host while it was moved", machine=machine.name,
                host=self.source.name, hint="create it again, or restore a backup",
            )  # fmt: skip
        stays = f"it is on {landed.name} as before"
        if failure is None:
            return LabError(f"the move of {machine.name} came to nothing; {stays}", machine=machine.name)
        failure.message = f"{failure.message}; {stays}"
        failure.args = (failure.message,)
        return failure

    def _land(self, landed: Host | None, before: Path, disk: Path) -> None:
        """Note where it is now, for everybody; what is not needed any more goes."""
        machine = self.machine
        if landed is None:
            return
        with contextlib.suppress(FileNotFoundError):  # destroyed meanwhile
            write_whole(machine.notes / "host", landed.name)
        if before != disk:
            (before if landed is self.destination else disk).unlink(missing_ok=True)
        with contextlib.suppress(LabError):
            self._commit()
        with contextlib.suppress(OSError):
            (machine.notes / MOVING / "host").unlink()
            (machine.notes / MOVING).rmdir()
        machine.landed(landed)
        with contextlib.suppress(LabError):
            machine.refresh()
        if landed is self.destination and machine.state is State.RUNNING:
            with contextlib.suppress(LabError):
                _cards.restore_links(machine)

    def _ipython_display_(self) -> None:
        from ..widgets import show
        from ..widgets.migration import MigrationView

        show(self, lambda: MigrationView(self))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html_migration import migration_bundle

        return migration_bundle(self)

    def __repr__(self) -> str:
        how = str(self._error) if self._error else "done" if self._result else self._phase
        return f"<Migration of {self.machine.name} from {self.source.name} to {self.destination.name}: {how}>"


def notices(folder: Path) -> Path:
    """Where a lab keeps what the next who opens it is to be told."""
    return folder / "notices"
