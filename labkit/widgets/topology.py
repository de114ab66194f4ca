"""The picture of a lab: hosts, networks, machines and links; a machine opens its card."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import traitlets

from ..networks import _layout, _picture
from ..networks.topology import Topology, build
from ._module import LabWidget
from ._watch import watch
from .card import Card

if TYPE_CHECKING:
    from ..lab import Lab

_PAUSE_S = 0.5
_FAR = 20_000  # pixels; nothing is moved out of the world


class _Subject:
    """What its static twin shows: the picture as it is now, everything where it stands in the widget."""

    def __init__(self, widget: Diagram) -> None:
        self._widget = widget
        self.lab = widget.lab

    def __repr__(self) -> str:
        return str(self._widget.topology)

    def _repr_mimebundle_(self) -> dict[str, Any]:
        self._widget.look()
        return _picture.bundle(self._widget.topology, self._widget.standing(), self._widget.ended)


class Diagram(LabWidget):
    """The topology of a lab as a widget; ``lab.topology()`` makes it.

    It follows the engines' events, whoever causes them. Nodes can be dragged and stay where they
    were put, as long as the widget lives; a newcomer is put where there is room.
    """

    kind = "topology"
    title = traitlets.Unicode().tag(sync=True)
    ended = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    seen = traitlets.Dict().tag(sync=True)
    places = traitlets.Dict().tag(sync=True)
    arranged = traitlets.Int().tag(sync=True)  # how often
    card = traitlets.Unicode().tag(sync=True)
    selected = traitlets.Unicode().tag(sync=True)

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._watch = watch(lab)
        self._lock = threading.RLock()  # the watch's thread, the front end's and the twin's
        self._told = 0.0
        self._later: threading.Timer | None = None
        self._card: Card | None = None
        self._topology = Topology(lab.name)
        self._topology = self._ask()
        super().__init__(title=lab.name)
        self.refresh()
        self._leave = self._watch.join(self, self._changed)

    def subject(self) -> Any:
        return _Subject(self)

    # What it shows

    @property
    def topology(self) -> Topology:
        """The graph as it was told last."""
        return self._topology

    def to_json(self, *, indent: int | None = 2) -> str:
        """The graph as JSON text; see `Topology.to_json`."""
        return self._topology.to_json(indent=indent)

    def to_mermaid(self) -> str:
        """The graph as a flowchart of Mermaid."""
        return self._topology.to_mermaid()

    def to_svg(self) -> str:
        """The picture as an SVG file, everything where it stands now."""
        places = self.standing()
        return _picture.svg(_picture.view(self._topology, places), places)

    def standing(self) -> dict[str, tuple[int, int]]:
        """The centre of each machine, network and host, in pixels; see `labkit.networks._layout`."""
        return {key: (x, y) for key, (x, y) in self.places.items()}

    def refresh(self) -> None:
        """Look at the lab now, and tell the front end what has changed since it was told last."""
        self.look()
        self.follower()

    def look(self) -> None:
        """As `refresh`, but the static twin stays as it is; of a lab that has ended the last graph stays."""
        gone = self._watch.closed or self.lab.closed
        fresh = self._topology if gone else self._ask()
        with self._lock:
            self._topology = fresh
            self._told = time.monotonic()
            self._tell(_layout.lay_out(fresh, self.standing()))

    def arrange(self) -> None:
        """Lay all out anew; what was moved by hand is moved back."""
        with self._lock, self.hold_sync():
            self.arranged += 1
            self._tell(_layout.lay_out(self._topology))
        self.follower()

    def _ask(self) -> Topology:
        living = [host for host in self.lab if host.name not in self._watch.ended_hosts]
        machines = {host.name: self._watch.machines_of(host) for host in living}
        return build(self.lab, machines, self._topology.networks)

    def _tell(self, places: Mapping[str, tuple[int, int]]) -> None:
        ended = self._watch.closed or "the lab was closed" * self.lab.closed
        lacks = bool(self._topology.machines) and not _layout.has_graphviz()
        with self.hold_sync():  # one message, or none
            self.ended = ended
            self.note = _picture.NO_GRAPHVIZ if lacks else ""
            self.places = {key: list(place) for key, place in places.items()}
            self.seen = _picture.view(self._topology, places, ended=bool(ended))

    def _changed(self) -> None:
        """Something changed (in the watch's thread): what comes too soon is told together, a little later."""
        with self._lock:
            wait = self._told + _PAUSE_S - time.monotonic()
            if wait > 0:
                if self._later is None:
                    self._later = threading.Timer(wait, self._in_time)
                    self._later.daemon = True
                    self._later.name = "labkit-topology"
                    self._later.start()
                return
        self.refresh()

    def _in_time(self) -> None:
        with self._lock:
            self._later = None
        if self.comm is not None:
            self.refresh()

    # What the front end asks for

    def asked_move(self, places: dict[str, list[float]]) -> None:
        """Nodes were moved."""
        moved = {
            key: [max(-_FAR, min(_FAR, round(each))) for each in places[key]]
            for key in self.places.keys() & places.keys() if len(places[key]) == 2
        }  # fmt: skip
        with self._lock:
            places_now = _layout.lay_out(
                self._topology, {**self.standing(), **{k: (x, y) for k, (x, y) in moved.items()}}
            )
            self._tell(places_now)
        self.follower()

    def asked_arrange(self) -> None:
        """Its button was pressed."""
        self.arrange()

    def asked_open(self, machine: str = "") -> None:
        """A machine was chosen: its card is shown; chosen once more, or none, it goes."""
        wanted = "" if machine == self.selected else machine
        nodes = {node.id: node for node in self._topology.machines}
        found = None
        if wanted in nodes and nodes[wanted].host in self.lab.hosts:
            there = self._watch.machines_of(self.lab.hosts[nodes[wanted].host])
            found = next((each for each in there if each.name == nodes[wanted].name), None)
        with self._lock:
            old, self._card = self._card, Card(found) if found else None
            with self.hold_sync():
                self.card = str(self._card.model_id) if self._card else ""
                self.selected = wanted if found else ""
        if old:
            old.close()

    def close(self) -> None:
        """End the widget; the lab goes on."""
        with self._lock:
            later, self._later = self._later, None
            card, self._card = self._card, None
        if later:
            later.cancel()
        if card:
            card.close()
        super().close()
