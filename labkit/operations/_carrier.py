"""What an engine does to carry a machine at rest from one host to another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .spec import Obstacle

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ._flow import Flow


class Carrier(ABC):
    """Carries one machine from its host to another.

    Until the lab's notes have the machine there, nothing of it at its host changes but that it is stopped.

    Attributes
    ----------
    machine, source, to
        What is carried, from where, to where.
    """

    machine: Any  # of an engine that can halt and begin
    source: Host
    to: Host

    @abstractmethod
    def obstacles(self) -> Iterator[Obstacle]:
        """What of the machine stands in the way, and what should be known (asks the engines)."""

    @abstractmethod
    def why_not_live(self) -> tuple[str, str] | None:
        """Why its memory cannot go along, and what would have to be done for that; None if it can (asks the hosts)."""

    @abstractmethod
    def measure(self) -> int:
        """How much has to be copied, in bytes (asks the engine)."""

    @abstractmethod
    def prepare(self, flow: Flow) -> None:
        """Make at the destination all that can be made while it still runs."""

    @abstractmethod
    def copy(self, flow: Flow) -> None:
        """Copy its files, which nobody changes now."""

    @abstractmethod
    def begin(self, deadline: float) -> None:
        """Start it on the host that it stands on."""

    # Of a machine whose memory goes along

    def memory_bytes(self) -> int:
        """How much of its memory has to be copied."""
        return 0

    def freeze(self) -> None:
        """Stop it and keep its memory; `EngineError` if that cannot be: it goes on then."""
        raise NotImplementedError

    def copy_memory(self, flow: Flow) -> None:
        """Copy the memory that was kept."""
        raise NotImplementedError

    def thaw(self, deadline: float) -> None:
        """Have it go on where it was, on the host that it stands on; `EngineError` if that cannot be."""
        raise NotImplementedError

    def forget_memory(self) -> None:
        """Remove the memory that was kept, from the host that it stands on."""
        raise NotImplementedError

    @abstractmethod
    def ending(self, host: Host) -> list[str]:
        """The command that removes all there is of it on `host`, run there; argv."""

    @abstractmethod
    def clear(self, host: Host) -> None:
        """Remove all there is of it on `host`, whether that lives or not."""

    @abstractmethod
    def starting(self, *, frozen: bool) -> list[str]:
        """The command that starts it again at the source, also if it is just stopping, or was frozen; argv."""
