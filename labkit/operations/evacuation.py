"""Moving everything off a host."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._progress import check_cancelled, progress
from ..errors import InvalidValue, LabError, NotEnough
from .spec import MigrationResult

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..machines.base import Machine

MOST_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Evacuation:
    """What came of moving everything off a host.

    Attributes
    ----------
    host
        Its name.
    moved
        What came of each move, in the order in which they ended.
    stayed
        For each machine that is still there: why, as an error of labkit.
    """

    host: str
    moved: tuple[MigrationResult, ...]
    stayed: dict[str, LabError]

    @property
    def complete(self) -> bool:
        """Whether nothing is left on the host."""
        return not self.stayed

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html_migration import evacuation_bundle

        return evacuation_bundle(self)


def evacuate(host: Host, to: Host | None, at_once: int, how: dict[str, Any]) -> Evacuation:
    """See `Host.evacuate`."""
    if isinstance(at_once, bool) or not isinstance(at_once, int) or not 1 <= at_once <= MOST_AT_ONCE:
        raise InvalidValue(f"{ascii(at_once)[:40]} is not a number of moves", hint=f"give 1 to {MOST_AT_ONCE}")
    places = [to] if to else [other for other in host.lab if other.name != host.name and other.is_alive]
    if not places:
        raise NotEnough(
            f"the lab has no other host that {host.name}'s machines could go to", host=host.name,
            hint='lab.add_host("…") makes one',
        )  # fmt: skip
    load = {place.name: sum(machine.spec.memory_bytes for machine in place.machines()) for place in places}
    moves: dict[str, Host] = {}
    machines = host.machines()
    for machine in sorted(machines, key=lambda machine: -machine.spec.memory_bytes):
        place = _place(machine, sorted(places, key=lambda place: load[place.name]), how)
        load[place.name] += machine.spec.memory_bytes
        moves[machine.name] = place
    moved: list[MigrationResult] = []
    stayed: dict[str, LabError] = {}
    with progress(f"evacuate {host.name}", quiet_s=1.0) as task, ThreadPoolExecutor(at_once) as pool:
        under_way = {pool.submit(_move, machine, moves[machine.name], how): machine for machine in machines}
        try:
            for done in as_completed(under_way):
                check_cancelled()
                try:
                    moved.append(done.result())
                except LabError as error:
                    stayed[under_way[done].name] = error
                task.phase(f"{len(moved)} of {len(machines)} moved", (len(moved) + len(stayed)) / len(machines))
        except BaseException:
            for waiting in under_way:
                waiting.cancel()  # what moves already comes to its end
            raise
    host.lab.journal("evacuated", host=host.name, moved=len(moved), stayed=sorted(stayed))
    return Evacuation(host.name, tuple(moved), stayed)


def _place(machine: Machine, places: list[Host], how: dict[str, Any]) -> Host:
    """The first place that it can go to, live if that is possible anywhere; the first of all if there is none."""
    if len(places) == 1:
        return places[0]
    for live in (True, False):
        for place in places:
            with contextlib.suppress(LabError):  # which its move will raise again
                if machine.migration_plan(place, live=live, **how).possible:
                    return place
    return places[0]


def _move(machine: Machine, to: Host, how: dict[str, Any]) -> MigrationResult:
    return machine.move(to, **how).wait()
