"""The card of one machine: what it is, what it does, and a button for each verb it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from .._run import Completed
from ..errors import LabError
from ..operations.migration import Migration
from . import _views
from ._acts import act
from ._module import LabWidget
from ._watch import watch
from .terminal import Terminal

if TYPE_CHECKING:
    from ..machines.base import Machine


class Card(LabWidget):
    """A machine as a widget; ``machine.card()`` makes it.

    It follows the engine's events. A verb that is pressed is done in the background; its error lands
    on the card. `close` ends it, the machine goes on.
    """

    kind = "card"
    fixed = traitlets.Dict().tag(sync=True)
    now = traitlets.Dict().tag(sync=True)
    usage: traitlets.List[Any] = traitlets.List().tag(sync=True)
    asking = traitlets.Dict().tag(sync=True)
    result = traitlets.Dict().tag(sync=True)
    terminal = traitlets.Unicode().tag(sync=True)

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._watch = watch(machine.host.lab)
        self._error: LabError | None = None
        self._terminal: Terminal | None = None
        self._migration: Migration | None = None  # the last one that was begun here
        super().__init__(fixed=_views.abilities(machine), now=self._now())
        self._leave = self._watch.join(self, self.refresh)

    def subject(self) -> Machine:
        return self.machine

    def _now(self) -> dict[str, Any]:
        now = _views.now(self.machine, self._usage, self._watch.closed)
        if self._error and not now["error"]:
            now["error"] = [self._error.message, self._error.hint]
        moving = self._migration
        now["can_cancel"] = moving is not None and not moving.is_done and not moving.resumed_s
        return now

    @property
    def _usage(self) -> Any:
        return self._watch.usage.get((self.machine.host.name, self.machine.name))

    def refresh(self) -> None:
        """Tell the front end what has changed since it was told last."""
        with self.hold_sync():  # one message, or none
            self.now = self._now()
            self.usage = _views.history(self._usage)
        self.follower()

    def asked_verb(self, verb: str, words: dict[str, Any] | None = None) -> None:
        """A button was pressed."""
        if verb == "console":
            self._toggle_terminal()
            return
        self._error = None
        act(self.machine, verb, words or {}, self._failed, self._ran)

    def asked_words(self, verb: str) -> None:
        """A button was pressed whose verb needs words: say what can be filled in."""
        names: list[str] = []
        if verb == "revert":
            names = list(getattr(self.machine, "snapshots", list)())
        elif verb in ("attach", "detach", "link"):
            mine = [card.network for card in self.machine.spec.interfaces]
            there = [network.name for network in self.machine.host.lab.networks]
            names = [name for name in there if name not in mine] if verb == "attach" else mine
        elif verb == "migrate":
            names = [host.name for host in self.machine.host.lab if host is not self.machine.host]
        self.asking = {"verb": verb, "names": names}

    def asked_cancel(self) -> None:
        """The move that was begun here is to be taken back."""
        if self._migration:
            self._migration.cancel()

    def asked_dismiss(self) -> None:
        """The error or the result was read."""
        self._error = None
        self.machine.forgive()
        self.result = {}
        self.refresh()

    def _toggle_terminal(self) -> None:
        if self._terminal is None:
            self._terminal = Terminal(self.machine)
            self.terminal = str(self._terminal.model_id)
        else:
            self._terminal.close()
            self._terminal, self.terminal = None, ""

    def _failed(self, error: LabError) -> None:
        self._error = error
        self.refresh()

    def _ran(self, value: Any) -> None:
        if isinstance(value, Migration):
            self._migration = value
            self.refresh()
        if isinstance(value, Completed):
            self.result = {
                "command": " ".join(value.argv), "exit_code": value.exit_code,
                "text": (value.stdout + value.stderr)[-20_000:],
            }  # fmt: skip

    def close(self) -> None:
        """End the card; the machine goes on."""
        if self._terminal:
            self._terminal.close()
        super().close()
