"""What moves by libvirt share: when the machine stood still, and went on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import libvirt

from .migration import Migration

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..machines._libvirt_machine import LibvirtMachine
    from .spec import MigrationOptions


class LibvirtMigration(Migration):
    """The move of a machine of libvirt's."""

    def __init__(self, machine: LibvirtMachine, to: Host, options: MigrationOptions) -> None:
        self._marks: Marks | None = None
        super().__init__(machine, to, options)

    @property
    def stopped_s(self) -> float:
        return self._marks.stopped_s if self._marks else 0.0

    @property
    def resumed_s(self) -> float:
        return self._marks.resumed_s if self._marks else 0.0


class Marks:
    """When a machine stood still on one host and went on on the other, as libvirt's events tell."""

    def __init__(self, machine: str, source: Host, destination: Host) -> None:
        self._name = machine
        self.stopped_s = self.resumed_s = 0.0
        self.is_postcopy = False
        self._ears = [
            (source.libvirt.listeners, self._at_source),
            (destination.libvirt.listeners, self._at_destination),
        ]
        for listeners, ear in self._ears:
            listeners.append(ear)

    def _at_source(self, name: str, event: int, detail: int) -> None:
        if name == self._name and event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED:
            self.is_postcopy |= detail == libvirt.VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY
            self.stopped_s = self.stopped_s or time.monotonic()

    def _at_destination(self, name: str, event: int, _detail: int) -> None:
        if name == self._name and event == libvirt.VIR_DOMAIN_EVENT_RESUMED:
            self.resumed_s = self.resumed_s or time.monotonic()

    def close(self) -> None:
        """Hear no more."""
        for listeners, ear in self._ears:
            listeners.remove(ear)
