"""What keeps widgets up to date: one thread a lab that hears of changes, one that takes in the sampler's readings.

Both end when the last widget of the lab is closed. Nothing here runs in the kernel's main thread,
and a burst of changes becomes one update: at most one each `_PAUSE_S`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._changes import Change, What
from ..errors import LabError
from ..lab import watching

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..lab import Lab
    from ..machines.base import Machine
    from ..monitoring.series import Window

_PAUSE_S = 0.22
_SAMPLE_S = 2.0
_WINDOW = 60

Key = tuple[str, str]
Updater = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Usage:
    """The last use of one machine: `points` of processors (1.0 is one of them) and bytes of memory."""

    points: list[tuple[float, float]]


class Watch:
    """The news of one lab for its widgets."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.usage: dict[Key, Usage] = {}
        self.closed = ""
        self.ended_hosts: set[str] = set()
        self._lock = threading.RLock()  # a widget may be collected, and so leave, at any line
        self._updaters: dict[int, Updater] = {}
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._machines: dict[str, list[Machine]] | None = None
        self._stale: set[str] = set()
        self._networks: list[list[str]] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    # Who is kept up to date

    def join(self, owner: object, update: Updater) -> Callable[[], None]:
        """Have `update` called after each change, from a thread; returns what ends that."""
        with self._lock:
            self._updaters[id(owner)] = update
            if self._unsubscribe is None:
                self._start()

        def leave() -> None:
            with self._lock:
                self._updaters.pop(id(owner), None)
                if not self._updaters and self._unsubscribe:
                    self._unsubscribe()
                    self._unsubscribe = None
                    self._ended.set()
                    self._changed.set()

        return leave

    def _start(self) -> None:
        self._unsubscribe = self.lab.changes.subscribe(self._hear)
        self._ended = threading.Event()
        for name, work in (("labkit-watch", self._tell), ("labkit-usage", self._read)):
            threading.Thread(target=work, args=(self._ended,), name=name, daemon=True).start()

    # What there is

    def machines(self) -> list[Machine]:
        """Every machine of the lab, as of the last change."""
        return [machine for host in self.lab for machine in self.machines_of(host)]

    def machines_of(self, host: Host) -> list[Machine]:
        """The machines of one host; asks its engines only if some came or went since the last time."""
        with self._lock:
            known = self._machines or {}
            if self._machines is not None and host.name in known and host.name not in self._stale:
                return known[host.name]
            self._stale.discard(host.name)
        try:
            found = host.machines() if host.is_alive else []
        except LabError:
            found = []
        with self._lock:
            self._machines = {**(self._machines or {}), host.name: found}
        return found

    def networks(self) -> list[list[str]]:
        """Name and mode of each network, its range, and what is served by whom, as of the last change."""
        if self._networks is None:
            told = ((each, f"{each.served} on {each.home}") for each in self.lab.networks)
            self._networks = [[each.name, each.mode, each.cidr, served] for each, served in told]
        return self._networks

    # The threads

    def _hear(self, change: Change) -> None:
        """In whatever thread something changed: quick."""
        if change.what is What.CLOSED:
            self.closed = "the lab was closed"
        if change.what is What.NETWORKS:
            self._networks = None
        if change.what is not What.MACHINE and change.host:
            with self._lock:
                self._stale.add(change.host.name)
        self._changed.set()

    def _tell(self, ended: threading.Event) -> None:
        with watching():
            self._tell_until(ended)

    def _tell_until(self, ended: threading.Event) -> None:
        while not ended.is_set():
            self._changed.wait()
            self._changed.clear()
            with self._lock:
                updaters = list(self._updaters.values())
            for update in updaters:
                if not ended.is_set():
                    _safely(update)
            ended.wait(_PAUSE_S)

    def _read(self, ended: threading.Event) -> None:
        from ..monitoring.series import Window  # numpy is loaded in this thread

        window = None
        with watching():
            while not ended.is_set() and not self.closed:
                self._look_around()
                with contextlib.suppress(LabError, OSError):  # it is just ending
                    window = window or Window(self.lab.metrics, _WINDOW * _SAMPLE_S, _SAMPLE_S)
                    if window.advance():
                        self.usage = _usage(window)
                self._changed.set()
                ended.wait(_SAMPLE_S)
        with self._lock:
            if not self._updaters:
                self.lab.metrics.release()

    def _look_around(self) -> None:
        """Whether the lab and its hosts live; hosts and networks that others have made or removed."""
        self._networks = None
        try:
            self.lab.refresh()
        except LabError:
            self.closed = self.closed or "the lab has ended"
            return
        ended = {host.name for host in self.lab if not host.is_alive}
        with self._lock:
            self._stale |= ended ^ self.ended_hosts
            self.ended_hosts = ended


def _usage(window: Window) -> dict[Key, Usage]:
    """What machines have used, where it is told."""
    used, held = window.values("cpu"), window.values("memory")
    found = {}
    for subject in window.subjects():
        points = [
            (round(float(cpu), 3), float(memory)) for cpu, memory in zip(used[subject], held[subject], strict=True)
            if cpu == cpu and memory == memory  # noqa: PLR0124  nan: not told
        ]  # fmt: skip
        if subject.machine and points:
            found[subject.host, subject.machine] = Usage(points)
    return found


def _safely(update: Updater) -> None:
    """Update one widget; whatever is wrong with it, the others go on."""
    try:
        update()
    except Exception:
        logging.getLogger("labkit").exception("a widget could not be brought up to date")


_lock = threading.Lock()


def watch(lab: Lab) -> Watch:
    """The one watch of a lab in this process; it goes with the lab."""
    with _lock:
        found = vars(lab).setdefault("_watch", None) or Watch(lab)
        vars(lab)["_watch"] = found
    return found
