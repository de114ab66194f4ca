"""A machine that is being moved to another host, as an object: how far it is, how it is stopped, what came of it."""

from __future__ import annotations

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._changes import What
from .._paths import write_whole
from .._progress import progress, quietly
from ..errors import Busy, Cancelled, DeadlineExceeded, InvalidState, LabError, LabGone, NotSupported
from ..hosts.base import drop_reserved
from ..machines.base import MOVING
from ..machines.spec import State
from ._client import Client, ClientView
from .spec import MigrationOptions, MigrationPlan, MigrationResult, MigrationSample

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..machines.base import Machine


class Migration(ABC):
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

    def __init__(self, machine: Machine, to: Host, options: MigrationOptions) -> None:
        self.machine = machine
        self.source, self.destination = machine.host, to
        self._landed = self.source
        self.options = options
        self.samples: list[MigrationSample] = []
        self.began_s, self.ended_s = time.monotonic(), 0.0
        self.phases: list[tuple[float, str]] = [(self.began_s, "preparing")]
        if (machine.notes / MOVING).exists():
            raise self._busy()
        self.plan = self._plan()
        self._raise_obstacles()
        self._phase = "preparing"
        self._result: MigrationResult | None = None
        self._error: LabError | None = None
        self._cancelled = threading.Event()
        self._ended = threading.Event()
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
        return 0.0

    @property
    def resumed_s(self) -> float:
        """See the class."""
        return 0.0

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
        raise self._no_memory("post-copy")

    def limit(self, *, bandwidth: int | str | None = None, max_downtime: float | str | None = None) -> None:
        """Change how much of the network it may use a second, and how long the machine may stand still."""
        raise self._no_memory("a limit")

    def _no_memory(self, what: str) -> NotSupported:
        return NotSupported(
            f"{what} is for machines whose memory moves", machine=self.machine.name, host=self.source.name,
            hint="wait() waits for its end, cancel() takes it back",
        )  # fmt: skip

    def _need_running(self) -> None:
        if self.is_done:
            raise InvalidState(f"the move of {self.machine.name} has ended", machine=self.machine.name)

    # What an engine makes of it

    @abstractmethod
    def _plan(self) -> MigrationPlan:
        """What it will be, and what stands in the way."""

    @abstractmethod
    def _undo(self) -> Sequence[Sequence[str]]:
        """What the source does should this process die: settles what is where."""

    @abstractmethod
    def _move(self) -> None:
        """Move it and call `_finish`, or raise why it stays; it is noted where it is."""

    # How it is done

    def _check(self, deadline: float) -> None:
        """Raise what is to end it."""
        if self._cancelled.is_set():
            name = self.machine.name
            raise Cancelled(f"the move of {name} was cancelled", machine=name, hint="move it again")
        if time.monotonic() > deadline:
            raise self._too_late()

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{self.machine.name} had not moved within {self.options.timeout_s:g} s", machine=self.machine.name,
            hint="give it longer with timeout_s=…",
        )  # fmt: skip

    def _raise_obstacles(self) -> None:
        for obstacle in self.plan.obstacles:
            if obstacle.stops:
                raise InvalidState(
                    f"{self.machine.name} cannot be moved to {self.destination.name}: {obstacle.what}",
                    hint=obstacle.hint, machine=self.machine.name, host=self.source.name,
                )  # fmt: skip

    def _busy(self) -> Busy:
        return Busy(
            f"{self.machine.name} is being moved already", machine=self.machine.name, host=self.source.name,
            hint="wait for that, or cancel it",
        )  # fmt: skip

    def _hold(self) -> None:
        """Let nobody else move it; should this process die, the source's first process settles what is where."""
        try:
            commit = self._held.enter_context(self.source.reserve_folder(self.machine.notes / MOVING, self._undo()))
        except FileExistsError as error:
            raise self._busy() from error
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

    def _finish(self, view: ClientView | None, *, downtime_ms: float, transferred_bytes: int, rounds: int = 0) -> None:
        """It has ended well: tell what came of it, also the lab's journal."""
        machine, source, to = self.machine, self.source, self.destination
        took = time.monotonic() - self.began_s
        self._result = MigrationResult(
            machine=machine.name, source=source.name, destination=to.name, way=self.plan.way, total_s=took,
            downtime_ms=downtime_ms, transferred_bytes=transferred_bytes, rounds=rounds, client=view,
            no_client=self._client.why_not if self._client else "nobody was asked to watch",
        )  # fmt: skip
        words = {"engine": machine.engine, "bytes": transferred_bytes, "downtime_ms": downtime_ms}
        source.lab.journal("migrated", machine=machine.name, source=source.name, host=to.name, seconds=took, **words)

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

    def _note(self, landed: Host) -> None:
        """Have the lab's notes say where it is."""
        notes = self.machine.notes / "host"
        # What a host with files of its own does, should this process die, it reads there; and rather runs it twice.
        self._landed = landed
        self._note_at(landed, notes, landed.name)
        with contextlib.suppress(FileNotFoundError):  # destroyed meanwhile
            write_whole(notes, landed.name)
        self._note_at(self._other(), notes, landed.name)

    def _other(self) -> Host:
        """The host that it is not on."""
        return self.source if self._landed is self.destination else self.destination

    @staticmethod
    def _note_at(host: Host, path: Path, text: str) -> None:
        if not host.files.are_here:
            with contextlib.suppress(OSError, LabError):  # it has ended, or knows nothing of the machine
                host.files.write(path, text, whole=True)

    def _release(self) -> None:
        """Let others move it again; nothing is to be undone any more."""
        with contextlib.suppress(LabError):
            self._commit()
        drop_reserved(self.source, self.machine.notes / MOVING)
        left = self._other()
        if not left.files.are_here:
            with contextlib.suppress(OSError, LabError):  # what was noted there; its files are gone
                left.files.remove_tree(self.machine.notes)

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
