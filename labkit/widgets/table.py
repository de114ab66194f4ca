"""The lab as a table: hosts and their machines, with states and buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from ..errors import LabError
from . import _views
from ._acts import act
from ._module import LabWidget
from ._watch import watch

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..lab import Lab
    from ..machines.base import Machine

_SHORT = ("start", "resume", "pause", "stop", "restart", "kill", "destroy")


class Table(LabWidget):
    """Hosts and machines of a lab as a widget; ``lab.table()`` makes it.

    Machines come and go by themselves, whoever made or removed them.

    Parameters
    ----------
    lab
        The lab.
    hosts
        Show these hosts only.
    """

    kind = "table"
    title = traitlets.Unicode().tag(sync=True)
    ended = traitlets.Unicode().tag(sync=True)
    hosts: traitlets.List[Any] = traitlets.List().tag(sync=True)
    rows: traitlets.List[Any] = traitlets.List().tag(sync=True)
    networks: traitlets.List[Any] = traitlets.List().tag(sync=True)

    def __init__(self, lab: Lab, hosts: list[Host] | None = None) -> None:
        self.lab = lab
        self._only = hosts
        self._watch = watch(lab)
        self._errors: dict[tuple[str, str], LabError] = {}
        self._abilities: dict[int, tuple[Machine, dict[str, Any]]] = {}
        super().__init__(title=lab.name, **self._values())
        self._leave = self._watch.join(self, self.refresh)

    def subject(self) -> Lab | Host:
        return self.lab

    def _values(self) -> dict[str, Any]:
        ended = self._watch.closed
        hosts = self._only or list(self.lab)
        lines, rows = [], []
        for host in hosts:
            machines = [] if ended else self._watch.machines_of(host)
            gone = host.name in self._watch.ended_hosts
            lines.append(_views.host_facts(host, machines, self._watch.usage) | {"ended": gone})
            rows += [self._row(machine) for machine in machines if not machine.is_gone]
        values = {"ended": ended, "hosts": lines, "rows": rows}
        if not ended and not self._only:
            values["networks"] = self._watch.networks()
        return values

    def _row(self, machine: Machine) -> dict[str, Any]:
        known = self._abilities.get(id(machine))
        if known is None or known[0] is not machine:
            known = self._abilities[id(machine)] = (machine, _views.abilities(machine))
        usage = self._watch.usage.get((machine.host.name, machine.name))
        row = _views.now(machine, usage) | {key: known[1][key] for key in ("name", "engine")}
        row["verbs"] = [verb for verb in known[1]["verbs"] if verb in _SHORT]
        row["fit"] = [verb for verb in row["fit"] if verb in row["verbs"]]
        if (error := self._errors.get((machine.host.name, machine.name))) and not row["error"]:
            row["error"] = [error.message, error.hint]
        return row

    def refresh(self) -> None:
        """Tell the front end what has changed since it was told last."""
        with self.hold_sync():
            for name, value in self._values().items():
                setattr(self, name, value)
        self.follower()

    def asked_verb(self, host: str, name: str, verb: str) -> None:
        """A button in the row of a machine was pressed."""
        key = (host, name)
        found = next((m for m in self._watch.machines() if (m.host.name, m.name) == key), None)
        if found is None or verb not in _SHORT:
            return
        self._errors.pop(key, None)
        act(found, verb, {}, lambda error: self._errors.update({key: error}), lambda _: None)
