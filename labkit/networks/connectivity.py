"""Who reaches whom: pings and TCP connections, tried from inside of the machines."""

from __future__ import annotations

import contextvars
import math
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._progress import Task, check_cancelled, progress
from .._values import format_duration
from ..errors import InvalidValue, NotFound
from ..machines.base import Machine
from ._reach import Question, Reach

if TYPE_CHECKING:
    from ..lab import Lab

_AT_ONCE = 64
_LOOK_S = 0.1
_Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, repr=False)
class Connectivity:
    """Who reaches whom; made by ``lab.connectivity()``. One machine reaches another by any of its addresses.

    Attributes
    ----------
    lab
        The lab's name.
    machines, ports
        Who was asked, and the TCP ports that were tried.
    rows
        All that was tried.
    took_s
        How long it took, in seconds.
    """

    lab: str
    machines: tuple[str, ...]
    ports: tuple[int, ...]
    rows: tuple[Reach, ...]
    took_s: float
    _found: dict[tuple[str, str, str, int | None], list[Reach]] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[tuple[str, str, str, int | None], list[Reach]] = {}
        for row in self.rows:
            found.setdefault((row.source, row.target, row.protocol, row.port), []).append(row)
        object.__setattr__(self, "_found", found)

    def between(self, source: str, target: str, port: int | None = None) -> tuple[Reach, ...]:
        """What was tried from `source` to `target`: by ping, or on a TCP port.

        Raises
        ------
        NotFound
            If one of the two, or the port, was not asked about.
        """
        for name in (source, target):
            if name not in self.machines:
                raise NotFound(f"{ascii(name)[:60]} was not asked about", hint=f"these were: {self._some()}")
        if port is not None and port not in self.ports:
            raise NotFound(f"port {ascii(port)[:20]} was not asked about", hint="lab.connectivity(ports=[…]) asks")
        return tuple(self._found.get((source, target, "icmp" if port is None else "tcp", port), ()))

    def _some(self) -> str:
        return ", ".join(self.machines[:10]) + (", …" if len(self.machines) > 10 else "")

    def verdict(self, source: str, target: str, port: int | None = None) -> bool | None:
        """Whether `source` reaches `target`; None if that was not tried."""
        return _any_of(self.between(source, target, port))

    def reaches(self, source: str, target: str, port: int | None = None) -> bool:
        """Whether `source` reaches `target`: by ping, or on a TCP port. What was not tried is not reached."""
        return self.verdict(source, target, port) is True

    def knows(self, source: str, target: str) -> bool | None:
        """Whether `source` reaches `target` by its name; None if that was not tried."""
        return _any_of(self._found.get((source, target, "dns", None), ()))

    @property
    def pairs(self) -> tuple[_Pair, ...]:
        """Every machine with every other, in both directions."""
        return tuple((one, other) for one in self.machines for other in self.machines if one != other)

    @property
    def summary(self) -> str:
        """What was found, in one sentence."""
        if not self.pairs:
            return "There are no two machines that could reach each other"
        kinds = [self._sentence(None), *(self._sentence(port) for port in self.ports)]
        return "; ".join(kinds)

    def _sentence(self, port: int | None) -> str:
        verdicts = [self.verdict(*pair, port) for pair in self.pairs]
        failed, unknown, count = verdicts.count(False), verdicts.count(None), len(verdicts)
        pairs = f"{count} pairs"
        if port is None:
            told = f"{failed} of {pairs} do not reach each other" if failed else f"all {pairs} reach each other"
        else:
            told = f"port {port} answers in {verdicts.count(True)} of {pairs}"
        if unknown == count:
            return f"none of {pairs} could be tried{'' if port is None else f' on port {port}'}"
        return told + (f", {unknown} could not be tried" if unknown else "")

    def __iter__(self) -> Iterator[Reach]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Connectivity of {len(self.machines)} machines: {self.summary}>"

    def __str__(self) -> str:
        from .._html_connectivity import text

        return text(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html_connectivity import bundle

        return bundle(self)


def _any_of(rows: Iterable[Reach]) -> bool | None:
    """Whether one of them was reached; None if none was tried."""
    told = {row.reached for row in rows}
    return True if True in told else False if False in told else None


# How it is measured


def measure(
    lab: Lab, machines: Iterable[Machine | str] | None, ports: Iterable[int], *, names: bool, timeout_s: float
) -> Connectivity:
    """See `Lab.connectivity`."""
    chosen_ports = _check_ports(ports)
    limit_s = _check_limit(timeout_s)
    chosen = _choose(lab, machines)
    began = time.monotonic()
    with progress(f"connectivity of lab {lab.name}", quiet_s=1.0) as task:
        task.phase(f"{len(chosen)} machines try to reach each other")
        rows = _ask_all(chosen, chosen_ports, names, limit_s, task)
    found = tuple(machine.name for machine in chosen)
    return Connectivity(lab.name, found, chosen_ports, tuple(rows), time.monotonic() - began)


def _check_ports(ports: Iterable[int]) -> tuple[int, ...]:
    hint = "give a list of different whole numbers from 1 to 65535, such as ports=[22, 80]"
    if isinstance(ports, str | bytes) or not isinstance(ports, Iterable):
        raise InvalidValue(f"{ascii(ports)[:60]} is not a list of ports", hint=hint)
    found = tuple(ports)
    for port in found:
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
            raise InvalidValue(f"{ascii(port)[:60]} is not a TCP port", hint=hint)
    if len(set(found)) != len(found):
        raise InvalidValue("a port is given twice", hint=hint)
    return found


def _check_limit(timeout_s: float) -> int:
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not 0 < timeout_s <= 600:
        raise InvalidValue(f"{ascii(timeout_s)[:60]} is not a time limit", hint="give seconds, from 1 to 600")
    return math.ceil(timeout_s)  # busybox's ping takes whole seconds


def _choose(lab: Lab, machines: Iterable[Machine | str] | None) -> list[Machine]:
    there = {machine.name: machine for machine in lab.machines()}
    if machines is None:
        return list(there.values())
    asked = [machines] if isinstance(machines, str | Machine) else list(machines)
    chosen = []
    for one in asked:
        name = one.name if isinstance(one, Machine) else one
        if (
            not isinstance(name, str)
            or name not in there
            or (isinstance(one, Machine) and one.host.lab.name != lab.name)
        ):
            known = ", ".join(sorted(there)) or "none"
            raise NotFound(f"the lab {lab.name} has no machine {ascii(name)[:60]}", hint=f"it has: {known[:300]}")
        chosen.append(there[name])
    if len(set(chosen)) != len(chosen):
        raise InvalidValue("a machine is given twice", hint="name each machine once")
    return chosen


def _ask_all(machines: list[Machine], ports: tuple[int, ...], names: bool, limit_s: int, task: Task) -> list[Reach]:
    """Ask all machines at the same time; who has not answered at the deadline is given up."""
    if not machines:
        return []
    pool = ThreadPoolExecutor(min(_AT_ONCE, len(machines)), "labkit connectivity")
    given_s = max(2.0 * limit_s, limit_s + 5.0)
    rounds = math.ceil(len(machines) / _AT_ONCE)
    deadline = time.monotonic() + rounds * (given_s + 5)
    try:
        answers: dict[Future[list[Reach]], Question] = {}
        for machine in machines:
            question = Question(
                machine, [one for one in machines if one is not machine], ports, names, limit_s, given_s
            )
            answers[pool.submit(contextvars.copy_context().run, question.ask)] = question
        left = set(answers)
        while left and time.monotonic() < deadline:
            left = wait(left, _LOOK_S).not_done
            task.update(1 - len(left) / len(answers))
            check_cancelled()
        late = f"not tried: it did not answer within {format_duration(given_s)}"
        return [
            row for answer, question in answers.items()
            for row in (question.all(None, late) if answer in left else answer.result())
        ]  # fmt: skip
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
