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

    @abstractmethod
    def ending(self, host: Host) -> list[str]:
        """The command that removes all there is of it on `host`, run there; argv."""

    @abstractmethod
    def clear(self, host: Host) -> None:
        """Remove all there is of it on `host`, whether that lives or not."""

    @abstractmethod
    def starting(self) -> list[str]:
        """The command that starts it again at the source, also if it is just stopping; argv."""
