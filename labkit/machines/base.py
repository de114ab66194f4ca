"""The protocol that machines of every engine follow, and what they are described by."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from .._changes import What
from .._progress import Task, progress
from .._run import Completed
from .._values import format_limit
from ..errors import Busy, LabError, NotSupported
from ..networks.link import Link
from . import _cards
from .spec import Activity, MachineSpec, NetworkInterface, Sample, Screenshot, State

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..operations.migration import Migration
    from ..operations.spec import MigrationPlan
    from ..widgets.card import Card
    from ..widgets.screen import Screen
    from ..widgets.terminal import Terminal
    from ._console import Console
    from ._line import Line


_P = ParamSpec("_P")
_T = TypeVar("_T")
_M = TypeVar("_M", bound="Machine")


def verb(act: Callable[Concatenate[_M, _P], _T]) -> Callable[Concatenate[_M, _P], _T]:
    """Mark a method as a verb: while it runs it is the machine's activity, and its error is kept."""

    @wraps(act)
    def acting(machine: _M, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with machine.acting(act.__name__):
            return act(machine, *args, **kwargs)

    return acting


# Every verb of the protocol; a machine's `capabilities` are the ones its engine can do.
VERBS = frozenset({
    "start", "stop", "kill", "pause", "resume", "restart", "run", "console", "stats", "resize",
    "limits", "attach", "detach", "link", "snapshot", "revert", "clone", "migrate", "destroy",
})  # fmt: skip


MOVING = "migrating"  # the folder among a machine's notes while it is being moved


class Machine(ABC):
    """A virtual machine or a container.

    A verb that brings it into a state does nothing if it is in that state already; from a state
    in which it makes no sense it raises `InvalidState`.

    Attributes
    ----------
    name, host
        Its name, unique in the lab, and the host it is on.
    spec
        What it was asked to be.
    engine
        ``"kvm"``, ``"xen"``, ``"docker"`` or ``"lxc"``.
    """

    engine = ""
    moves = "live"  # how it can move to another host: ``"live"``, or ``"cold"``, stopped meanwhile

    def __init__(self, host: Host, spec: MachineSpec) -> None:
        self.host = host
        self.spec = spec
        self.name = spec.name
        self._state = State.UNKNOWN
        self._activity: Activity | None = None
        self._last_error: LabError | None = None
        self._gone = False
        self._links = _cards.kept_links(self)

    @property
    def asks_dhcp(self) -> bool:
        """Whether it asks DHCP for its address; see its engine."""
        asks: bool = getattr(self.host, self.engine).asks_dhcp
        return asks

    @property
    def activity(self) -> Activity | None:
        """What is being done to it by a verb of this process, if anything."""
        return self._activity

    @property
    def last_error(self) -> LabError | None:
        """Why the last verb of this process failed, if it did."""
        return self._last_error

    @property
    def is_gone(self) -> bool:
        """Whether it was destroyed, as far as this process was told."""
        return self._gone

    def told(self, state: State) -> None:
        """An event says that the machine's state is now `state`."""
        self._state = state
        self.tell()

    def told_gone(self) -> None:
        """An event says that the machine is no more."""
        self._gone = True
        self._state = State.STOPPED
        self.host.lab.changes.tell(What.MACHINES, self.host, self)

    def tell(self) -> None:
        """Tell who follows the lab that something of this machine has changed."""
        self.host.lab.changes.tell(What.MACHINE, self.host, self)

    @contextmanager
    def acting(self, verb: str) -> Iterator[Task]:
        """While in this context `verb` is what is being done to the machine; the outermost counts."""
        outermost = self._activity is None
        if verb != "migrate" and (self.notes / MOVING).exists():
            raise Busy(
                f"{self.name} is being moved to another host", machine=self.name, host=self.host.name,
                hint="wait for that, or cancel it",
            )  # fmt: skip
        began = time.monotonic()

        def follow(phase: str = "", fraction: float | None = None) -> None:
            self._activity = Activity(verb, began, phase, fraction)
            self.tell()

        if outermost:
            self._last_error = None
            follow()
        try:
            with progress(f"{verb} {self.name}", quiet_s=1.0, follower=follow if outermost else None) as task:
                yield task
        except LabError as error:
            self._last_error = error
            raise
        finally:
            if outermost:
                self._activity = None
                self.tell()

    @property
    def folder(self) -> Path:
        """The folder with its files."""
        return self.notes

    @property
    def notes(self) -> Path:
        """Where the lab keeps what it knows of it; an engine may keep its files elsewhere."""
        return machine_folder(self.host, self.name)

    @property
    def state(self) -> State:
        """What the engine's events last told; `refresh` asks."""
        return self._state

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its IPv4 addresses on the lab's networks."""
        return tuple(interface.address for interface in self.spec.interfaces)

    @property
    def links(self) -> dict[str, Link]:
        """How it is connected to each of its networks, by their names."""
        return {card.network: self._links.get(card.network, Link()) for card in self.spec.interfaces}

    @property
    def capabilities(self) -> frozenset[str]:
        """The verbs that this machine can do, on its engine and host."""
        return VERBS - self._reasons().keys()

    def _reasons(self) -> dict[str, tuple[str, str]]:
        """For each verb it cannot do: why, and what to do instead."""
        return {}

    def why_not(self, verb: str) -> str:
        """Why `verb` is not among its `capabilities`; "" if it is."""
        reason, instead = self._reasons().get(verb, ("", ""))
        return f"{reason}; {instead}" if instead else reason

    def facts(self) -> list[tuple[str, str]]:
        """What its card says of it besides name, state and addresses: labels and values."""
        return [("memory", format_limit(self.spec.memory_bytes)), ("image", self.spec.image)]

    def _need(self, verb: str) -> None:
        """Raise `NotSupported` with the reason if the machine cannot do `verb`."""
        if reason := self._reasons().get(verb):
            raise NotSupported(
                f"{verb} is not possible: {reason[0]}", hint=reason[1],
                host=self.host.name, machine=self.name,
            )  # fmt: skip

    @abstractmethod
    def refresh(self) -> State:
        """Ask the engine what the machine is doing."""

    @abstractmethod
    def start(self, *, timeout_s: float = 120) -> None:
        """Boot the stopped machine; returns when it answers to `run`."""

    @abstractmethod
    def stop(self, *, timeout_s: float = 30) -> None:
        """Shut it down in an orderly way; `DeadlineExceeded` if it does not follow."""

    @abstractmethod
    def kill(self) -> None:
        """Switch it off, as if the power failed."""

    @abstractmethod
    def pause(self) -> None:
        """Stop its processors where they are; its memory stays."""

    @abstractmethod
    def resume(self) -> None:
        """Let its processors go on."""

    @abstractmethod
    def run(
        self, argv: Sequence[str], *, input: str | bytes = b"", timeout_s: float = 60, check: bool = False
    ) -> Completed:
        """Run a command inside; argv, never a shell string."""

    @abstractmethod
    def console(self) -> Console:
        """Its console: what it has said, and a keyboard."""

    def line(self, kind: str = "console") -> Line:
        """What a terminal connects to: its ``"console"``, or a ``"shell"`` in it."""
        raise NotSupported(
            f"{self.name} has no {kind} for a terminal", machine=self.name, host=self.host.name,
            hint="run([…]) runs a command in it",
        )  # fmt: skip

    def screenshot(self) -> Screenshot:
        """A picture of its screen now, if it has one."""
        raise NotSupported(
            f"{self.name} has no screen", machine=self.name, host=self.host.name,
            hint="console() shows what it says",
        )  # fmt: skip

    # As widgets

    def card(self) -> Card:
        """Its card: live state, use, and a button for each verb (widget)."""
        from ..widgets.card import Card

        return Card(self)

    def terminal(self, *, shell: bool = False, rows: int = 18) -> Terminal:
        """A terminal on its console, or on a shell in it (widget)."""
        from ..widgets.terminal import Terminal

        return Terminal(self, shell=shell, rows=rows)

    def screen(self) -> Screen:
        """Its screen as a live picture (widget)."""
        from ..widgets.screen import Screen

        return Screen(self)

    def forgive(self) -> None:
        """Forget the last error: somebody has read it."""
        self._last_error = None
        self.tell()

    @abstractmethod
    def stats(self) -> Sample:
        """A reading of its counters now."""

    @abstractmethod
    def destroy(self) -> None:
        """End it and remove everything it had: disk, addresses, snapshots."""

    @verb
    def restart(self, *, timeout_s: float = 120) -> None:
        """Shut it down and boot it again."""
        self.stop(timeout_s=timeout_s)
        self.start(timeout_s=timeout_s)

    def resize(self, *, memory: int | str | None = None, vcpus: int | None = None) -> None:
        """Change its memory or its number of processors while it runs."""
        self._need("resize")

    def limits(self, *, cpus: float | None = None) -> None:
        """Limit the processor time it may use, in processors: 0.5 is half of one."""
        self._need("limits")

    # Its connections

    @verb
    def attach(self, network: str, *, address: str = "", mac: str = "") -> NetworkInterface:
        """Connect it to a network of the lab, also while it runs.

        Parameters
        ----------
        network
            The network's name.
        address, mac
            Those that it is to have there; by default they are chosen.

        Raises
        ------
        NotFound, NameInUse, InvalidValue, InvalidState, NotEnough
        """
        self._need("attach")
        return _cards.attach(self, NetworkInterface(network, mac, address))

    @verb
    def detach(self, network: str) -> None:
        """Take it from a network, also while it runs; its address there is free again."""
        self._need("detach")
        _cards.detach(self, network)

    @verb
    def link(
        self, network: str, *, up: bool | None = None, bandwidth: float | str | None = None,
        delay: float | str | None = None, loss: float | None = None,
    ) -> Link:  # fmt: skip
        """Change its link to a network, live; what is not given stays.

        Parameters
        ----------
        network
            The network's name.
        up
            Whether the cable is plugged in.
        bandwidth
            Bits per second, or words such as ``"10 Mbit/s"``, in each direction; 0 lifts the limit.
        delay, loss
            Of each packet in each direction: seconds, or words such as ``"20 ms"``; the part that is
            lost, such as 0.05. They need the kernel's NETEM.

        Raises
        ------
        NotFound, InvalidValue, NotSupported
        """
        self._need("link")
        return _cards.change_link(self, network, up=up, bandwidth=bandwidth, delay=delay, loss=loss)

    # What an engine does of it

    @abstractmethod
    def host_link(self, network: str) -> str:
        """The name of the host's end of its link to a network while it runs (asks the host)."""

    @abstractmethod
    def plug(self, card: NetworkInterface, *, live: bool) -> NetworkInterface:
        """Connect it as `card` says, for the next start and, if `live`, now; returns what became of it."""

    @abstractmethod
    def unplug(self, card: NetworkInterface, *, live: bool) -> None:
        """Take a connection away, for the next start and, if `live`, now; `spec` has it no more."""

    @abstractmethod
    def unplugging(self, network: str) -> list[list[str]]:
        """What its host does should this process die while it connects it to a network: argv lists."""

    @abstractmethod
    def connected(self, interfaces: tuple[NetworkInterface, ...]) -> None:
        """Keep that it has these connections now."""

    @abstractmethod
    def resettle(self) -> None:
        """While it runs: tell it the addresses, the way on and the name servers that it has now."""

    def note_links(self, links: dict[str, Link]) -> None:
        """Keep in mind how it is connected; `links` are those that are not as they come."""
        self._links = links

    def set_carrier(self, network: str, *, up: bool) -> None:
        """Have its card see that the cable is plugged in, or not."""
        self.host.run(["ip", "link", "set", self.host_link(network), "up" if up else "down"], check=True)

    def snapshot(self, name: str) -> None:
        """Keep its state, memory and disk, under a name."""
        self._need("snapshot")

    def revert(self, name: str) -> None:
        """Go back to a snapshot."""
        self._need("revert")

    def clone(self, name: str) -> Machine:
        """Make a second machine with the same disk and an identity of its own."""
        self._need("clone")
        raise AssertionError("an engine that can clone overrides this")

    def migration_plan(self, to: Host, **how: Any) -> MigrationPlan:
        """What moving it to another host would be, before anything moves; takes what `migrate` takes."""
        self._need("migrate")
        raise AssertionError("an engine that can migrate overrides this")

    def migrate(self, to: Host, **how: Any) -> Migration:
        """Begin to move it to another host of the lab; it goes on in the background, see `Migration`.

        Parameters
        ----------
        to
            The host.
        live
            Let it run while its memory is copied (the default); else it stands still meanwhile.
        storage
            ``"shared"``: its disk stays where it is, as both hosts reach it; ``"copy"``: its disk is
            copied as well; ``"auto"``: shared if that is possible.
        tls
            Encrypt what goes over the network, with certificates that the lab makes (the default).
        parallel
            So many connections at the same time, up to 16; 0: one.
        compress
            Send what has changed of a page that was sent before (XBZRLE).
        bandwidth
            The most that it may use a second: bytes, or words such as ``"20 MiB"``.
        auto_converge
            Slow the machine down when it writes to its memory faster than that can be copied.
        postcopy
            Allow `Migration.start_postcopy`. From then on its memory is in two places: should a host fail
            before all has followed, the machine cannot go on; a network that fails is waited for.
        max_downtime
            How long it may stand still at the switch: seconds, or words such as ``"100 ms"``.
        watch
            Have a client ask it for an echo at most every 5 ms (the default), to tell what that noticed.
        timeout_s
            Seconds after which it is taken back.

        Raises
        ------
        InvalidValue, InvalidState, NotSupported, Busy
        """
        self._need("migrate")
        raise AssertionError("an engine that can migrate overrides this")

    def move(self, to: Host, **how: Any) -> Migration:
        """Begin to move it to another host in the best way that nothing stands in: live, else cold.

        Takes what `migrate` takes but for `live`; the way that was taken is the ``plan.way`` of what it returns.

        Raises
        ------
        InvalidValue, InvalidState, NotSupported, Busy
        """
        if self.migration_plan(to, live=True, **how).possible:
            return self.migrate(to, **how)
        return self.migrate(to, live=False, **how)

    def leaving(self, to: Host) -> None:
        """It begins to move: what is told of it at the other host concerns this object, too."""
        getattr(to, self.engine).expect(self)
        self.tell()

    def first_process(self) -> str:
        """The process id on its host of what has its network cards; "" if there is none (asks the engine)."""
        return ""

    def stand_on(self, host: Host) -> None:
        """What is done with it is done on `host` from now on."""
        self.host = host

    def landed(self, host: Host) -> None:
        """It is on `host` now, which may be the one it was to leave."""
        for other in self.host.lab:
            if other is not host and self.engine in other.__dict__:
                getattr(other, self.engine).part_with(self)
        self.stand_on(host)
        getattr(host, self.engine).expect(self)

    def __repr__(self) -> str:
        return f"<{self.engine} machine {self.name} on {self.host.name}: {self.state}>"

    def _ipython_display_(self) -> None:
        from ..widgets import show

        show(self, self.card)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html_host import machine_bundle

        return machine_bundle(self)


def machine_folder(host: Host, name: str) -> Path:
    """Where the files of machine `name` lie; the same folder on every host of a lab."""
    return host.lab.folder / "machines" / name
