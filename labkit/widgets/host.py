"""The card of a host: what it has, what it uses, and its machines."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import traitlets

from ..errors import LabError
from .table import Table

if TYPE_CHECKING:
    from ..hosts.base import Host


class HostCard(Table):
    """A host as a widget; ``host.card()`` makes it."""

    kind = "host"
    facts: traitlets.List[Any] = traitlets.List().tag(sync=True)

    def __init__(self, host: Host) -> None:
        self.host = host
        super().__init__(host.lab, [host])
        # Whether KVM works may have to be found out by booting a guest.
        threading.Thread(target=self._find_facts, name="labkit-host", daemon=True).start()

    def subject(self) -> Host:
        return self.host

    def _find_facts(self) -> None:
        try:
            facts = [[label, value] for label, value in self.host.facts()]
        except LabError as error:
            facts = [["has ended", error.message]]
        if self.comm is not None:
            self.facts = facts
