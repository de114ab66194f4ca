"""News of a lab: who wants to know of changes is told, in the thread that the news comes from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .hosts.base import Host
    from .machines.base import Machine


class What(StrEnum):
    """What has changed."""

    MACHINE = "machine"
    MACHINES = "machines"
    HOSTS = "hosts"
    NETWORKS = "networks"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Change:
    """One piece of news.

    Attributes
    ----------
    what
        ``machine``: the state, activity or last error of `machine`; ``machines``: machines of `host`
        came or went; ``hosts``, ``networks``: those of the lab did; ``closed``: the lab was closed here.
    """

    what: What
    host: Host | None = None
    machine: Machine | None = None


class Changes:
    """The news of one lab."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a subscriber may be collected, and so leave, at any line
        self._told: list[Callable[[Change], None]] = []

    def subscribe(self, told: Callable[[Change], None]) -> Callable[[], None]:
        """Have `told` called with each change; it must be quick. Returns what ends that."""
        with self._lock:
            self._told.append(told)

        def unsubscribe() -> None:
            with self._lock:
                if told in self._told:
                    self._told.remove(told)

        return unsubscribe

    def tell(self, what: What, host: Host | None = None, machine: Machine | None = None) -> None:
        """Tell everyone who has subscribed."""
        with self._lock:
            told = list(self._told)
        for each in told:
            each(Change(what, host, machine))
