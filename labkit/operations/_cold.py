"""A container that is moved to another host: stopped, copied, started.

What counts is the host that the lab's notes have it on. Until the destination has all of it and it runs
there, that is the source, which starts it again whatever ends the move; from then on it is the
destination, and what is left at the source goes. Each of the two hosts' first processes takes back its
part if this process dies.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._changes import What
from ..errors import EngineError, InvalidValue, LabError, NotSupported
from ..machines import _cards
from ..machines.base import MOVING
from ..machines.spec import State
from ._arriving import ARRIVING, ArrivingMigration
from ._client import Client, ClientView
from ._flow import Flow
from .plan import check_host, speed
from .spec import MigrationOptions, MigrationPlan, MigrationSample, Obstacle

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ._carrier import Carrier

WITH_MEMORY = "with its memory: checkpointed by CRIU, copied, restored"
COLD = "cold: stopped, copied, started"
_STOPPING = "stopping"  # a file in the folder MOVING once it was told to stop
_STOP_S = 30
_ANSWER_S = 10
_USUAL_S = 1.5
_OF_MEMORY = ("parallel", "compress", "auto_converge", "postcopy", "max_downtime")
# NOTES HOST COMMAND…: what is done where the machine is on HOST, and where it is not.
_IF_ON = 'notes=$1 host=$2; shift 2; [ "$(cat "$notes/host" 2>/dev/null)" = "$host" ] || exit 0; exec "$@"'
_UNLESS_ON = 'notes=$1 host=$2; shift 2; [ "$(cat "$notes/host" 2>/dev/null)" != "$host" ] || exit 0; exec "$@"'
_IF_THERE = '[ -e "$1" ] || exit 0; shift; exec "$@"'
_UNTIL_GONE = 'tries=0; while [ -e "$1" ] && [ $tries -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done'
_TELL = """
name=$1 notes=$2 here=$3 there=$4
[ -d "$notes" ] || exit
mkdir -p "$5"
echo "the move of $name from $here to $there was interrupted: it is on $(cat "$notes/host")" >"$5/migration-of-$name"
rm -rf "$notes/arriving" "$notes/migrating"
"""


def _checked(how: dict[str, Any]) -> MigrationOptions:
    options = MigrationOptions.checked(**how)
    unfit = [name for name in _OF_MEMORY if how.get(name)]
    if unfit:
        raise InvalidValue(f"{unfit[0]} is for machines whose memory moves", hint=f"leave out {unfit[0]}=…")
    if options.storage == "shared":
        raise InvalidValue("each host has the files of its containers to itself", hint='leave out storage="shared"')
    return options


def why_not_live(carrier: Carrier) -> tuple[str, str] | None:
    """Why a container cannot be moved with its memory, and what would be to do for that; None if it can."""
    if not (found := carrier.why_not_live()):
        return None
    why, hint = found
    cold = "migrate(to, live=False) or move(to) stops it, copies it and starts it"
    return f"{carrier.machine.name} cannot be moved while it runs: {why}", "; ".join(filter(None, [hint, cold]))


def plan(carrier: Carrier, **how: Any) -> MigrationPlan:
    """See `Machine.migration_plan`: whether it can be moved, and why not while it runs."""
    return _plan(carrier, _checked(how), live=how.get("live"))


def _plan(carrier: Carrier, options: MigrationOptions, *, live: bool | None) -> MigrationPlan:
    machine, to = carrier.machine, carrier.to
    check_host(machine, to)
    state = machine.refresh()
    runs = state is State.RUNNING
    obstacles = []
    with_memory = runs and live is not False
    if with_memory and (why := why_not_live(carrier)):
        with_memory = False
        obstacles.append(Obstacle(*why, stops=bool(live)))
    if not runs and state not in (State.STOPPED, State.FAILED):
        obstacles.append(Obstacle(f"{machine.name} is {state}", "it must run or be stopped: resume() or stop() it"))
    size = memory = 0
    if not to.is_alive:
        obstacles.append(Obstacle(f"{to.name} does not answer", f'lab.add_host("{to.name}") makes it again'))
    else:
        size, memory = carrier.measure(), carrier.memory_bytes() if with_memory else 0
        obstacles += [*carrier.obstacles(), *_room(to, size + memory)]
    pace, basis = speed(machine)
    if options.bytes_per_second:
        pace, basis = min(pace, options.bytes_per_second), "the bandwidth that is allowed"
    way = WITH_MEMORY if with_memory else COLD if runs else "cold: at rest, its files are copied"
    if not size and to.is_alive:
        way = "cold: stopped, started there" if runs else "cold: at rest, only its description moves"
    expected = round(_USUAL_S + (size + memory) / pace, 1)
    return MigrationPlan(
        machine.name, carrier.source.name, to.name, way, memory, size, expected, basis, tuple(obstacles),
    )  # fmt: skip


def _room(to: Host, size_bytes: int) -> list[Obstacle]:
    from ..hosts.doctor import require_disk

    try:
        require_disk(to.folder, size_bytes, to)
    except LabError as error:
        return [Obstacle(f"{to.name} has no room: {error.message}", error.hint)]
    return []


class ColdMigration(ArrivingMigration):
    """The move of a container: stop, copy, start; with its memory where that can go along.

    Parameters
    ----------
    any_way
        Whether it is moved without its memory if that cannot go along, as is found out at the latest when it is tried.
    """

    def __init__(self, carrier: Carrier, *, any_way: bool = False, **how: Any) -> None:
        self._carrier = carrier
        self._stopped_s = self._resumed_s = 0.0
        options = _checked(how)
        check_host(carrier.machine, carrier.to)
        self._any_way = any_way
        self._with_memory = options.live and carrier.machine.refresh() is State.RUNNING
        if self._with_memory and (why := why_not_live(carrier)):
            if not any_way:
                raise NotSupported(why[0], hint=why[1], machine=carrier.machine.name, host=carrier.source.name)
            self._with_memory = False
        super().__init__(carrier.machine, carrier.to, options)

    @property
    def stopped_s(self) -> float:
        return self._stopped_s

    @property
    def resumed_s(self) -> float:
        return self._resumed_s

    def _plan(self) -> MigrationPlan:
        return _plan(self._carrier, self.options, live=None if self._with_memory else False)

    # What holds whatever dies

    def _undo(self) -> list[list[str]]:
        """What the source does: it waits until the destination has cleared away, and then settles its part."""
        carrier, notes, here, there = self._carrier, self.machine.notes, self.source.name, self.destination.name
        words = [self.machine.name, str(notes), here, there, str(self.source.lab.notices)]
        again = _sh(_IF_THERE, str(notes / MOVING / _STOPPING), *carrier.starting(frozen=self._with_memory))
        return [
            _sh(_UNTIL_GONE, str(notes / ARRIVING)),
            _sh(_IF_ON, str(notes), there, *carrier.ending(self.source)),
            _sh(_IF_ON, str(notes), here, *again),
            _sh(_TELL, *words),
        ]

    def _taking_back(self) -> list[list[str]]:
        """What the destination does: it takes back what has come, unless it has the machine now."""
        notes, to, ending = str(self.machine.notes), self.destination, self._carrier.ending(self.destination)
        if to.files.are_here:
            return [_sh(_IF_ON, notes, self.source.name, *ending)]
        # Of the lab's notes it has only that the machine has come, if it has.
        return [_sh(_UNLESS_ON, notes, to.name, *words) for words in (ending, ["rm", "-rf", "--", notes])]

    def _release(self) -> None:
        self._release_there()
        with contextlib.suppress(OSError):
            (self.machine.notes / MOVING / _STOPPING).unlink()
        super()._release()

    # How it is done

    def _move(self) -> None:
        machine, to = self.machine, self.destination
        failure: LabError | None = None
        view: ClientView | None = None
        landed: Host | None = self.source
        try:
            flow = self._bring()
            self._note(to)
            landed = to
        except LabError as error:
            failure = error
        finally:
            view = self._seen()
            self._say("settling")
            trouble = self._settle(landed)
        if landed is not to:
            alive = self.source.is_alive
            why = self._why(failure, self.source if alive else None)
            if trouble and alive:
                why.message += f", but it did not start again: {trouble.message}"
            raise why
        downtime_ms = (self._resumed_s - self._stopped_s) * 1000
        self._finish(view, downtime_ms=downtime_ms, transferred_bytes=flow.done_bytes)
        machine.host.lab.changes.tell(What.MACHINES, self.source)

    def _bring(self) -> Flow:
        """Have all of it at the destination and, if it ran, running there."""
        machine, carrier, to = self._carrier.machine, self._carrier, self.destination
        deadline = self.began_s + self.options.timeout_s
        flow = Flow(self.plan.disk_bytes, self.options.bytes_per_second, lambda: self._check(deadline), self._told)
        self._say("preparing the destination")
        for card in machine.spec.interfaces:
            machine.host.lab.networks[card.network].ensure_on(to)
        flow.phase = "preparing the destination"
        if self.options.watch and self._ran:
            _cards.greet(machine)  # it may have said nothing yet, and who had its address before was elsewhere
            self._client = Client(machine)
        carrier.prepare(flow)
        self._await_client(lambda: self._check(deadline))
        if self._ran:
            self._say("stopping it")
            (machine.notes / MOVING / _STOPPING).touch()
            self._note_at(self.source, machine.notes / MOVING / _STOPPING, "")
            self._stopped_s = time.monotonic()
            self._stop()
        flow.phase = "copying files"
        self._say(flow.phase)
        carrier.copy(flow)
        if self._with_memory:
            flow.phase = "copying its memory"
            self._say(flow.phase)
            carrier.copy_memory(flow)
        self._check(deadline)
        self._say("starting it there")
        machine.stand_on(to)
        if self._ran:
            self._go_on(max(deadline, time.monotonic() + _STOP_S))
            _cards.greet(machine)
            machine.run(["true"], timeout_s=_STOP_S)
            self._resumed_s = time.monotonic()
        else:
            (machine.notes / _cards.CAME_AT_REST).touch()
        return flow

    def _stop(self) -> None:
        """Stop it; its memory is kept if it is to go along."""
        if self._with_memory:
            try:
                self._carrier.freeze()
            except EngineError as error:
                self._leave_memory(error)
                if not self._any_way:
                    raise
            else:
                return
        self._carrier.machine.halt(_STOP_S)

    def _go_on(self, deadline: float) -> None:
        """Have it run on the host that it stands on, with its memory if that was kept."""
        if self._with_memory:
            try:
                self._carrier.thaw(deadline)
            except EngineError as error:
                if self._carrier.machine.host is self.destination and not self._any_way:
                    raise
                self._leave_memory(error)
            else:
                return
            finally:
                self._carrier.forget_memory()
        self._carrier.begin(deadline)

    def _leave_memory(self, error: EngineError) -> None:
        """Go on without its memory, and say why."""
        self._with_memory = False
        self.plan = replace(self.plan, way=f"{COLD}; its memory could not go along: {error.message}", memory_bytes=0)

    def _settle(self, landed: Host | None) -> LabError | None:
        """Remove what is left where it is not; at the source it runs again if it ran. Returns why it does not."""
        machine, carrier = self._carrier.machine, self._carrier
        trouble: LabError | None = None
        machine.landed(landed)
        carrier.clear(self.source if landed is self.destination else self.destination)
        try:
            if landed is self.source and (machine.notes / MOVING / _STOPPING).exists():
                machine.refresh()
                self._go_on(time.monotonic() + _STOP_S)
                _cards.greet(machine)
        except LabError as error:
            trouble = error
        self._release()
        with contextlib.suppress(LabError):
            machine.refresh()
        return trouble

    def _await_client(self, check: Callable[[], None]) -> None:
        """Have the client be answered by the machine that runs now; or go on without it after a while."""
        client, since, deadline = self._client, self._resumed_s, time.monotonic() + _ANSWER_S
        while client and not client.why_not and time.monotonic() < deadline:
            if client.answers and client.answers[-1][2] > since:
                return
            check()
            time.sleep(0.02)

    def _seen(self) -> ClientView | None:
        """What the client saw, once it has been answered again."""
        if self._resumed_s:
            self._await_client(lambda: None)
        return self._client.end() if self._client else None

    def _told(self, sample: MigrationSample) -> None:
        self.samples.append(sample)
        self._say(sample.phase, sample.fraction)


def _sh(script: str, *words: str) -> list[str]:
    return ["sh", "-uc", script, "labkit", *words]
