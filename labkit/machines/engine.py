"""What the engines of a host share: one object a machine, and names that are held while one is made."""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from .._changes import What
from .._paths import disk_room
from .._values import check_name
from ..errors import InvalidValue, LabError, LabGone, NameInUse
from ..hosts._launch import remove_tree
from .base import Machine, machine_folder
from .spec import MachineSpec, NetworkInterface, Sample, State

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..widgets.form import Form

M = TypeVar("M", bound=Machine)
# What `create` takes: names of networks, or with an address or MAC that is asked for.
NetworksWanted = str | NetworkInterface | Iterable[str | NetworkInterface]


@dataclass(frozen=True, slots=True)
class Field:
    """One question of the form for a new machine.

    Attributes
    ----------
    name
        The argument of ``create`` that it fills in.
    label, help
        What a person reads.
    kind
        ``text``, ``number`` (whole), ``decimal``, ``many`` (several of `choices`) or ``check`` (yes or no).
    default
        What ``create`` takes without it; for a name, what is proposed.
    check
        Raises an error of labkit for a value that cannot be.
    """

    name: str
    label: str
    kind: str
    default: Any
    check: Callable[[Any], object] = lambda _: None
    choices: tuple[str, ...] = ()
    help: str = ""

    def clean(self, value: Any) -> Any:
        """`value` from a form as ``create`` takes it; what makes no sense is left for `check`."""
        match self.kind:
            case "check":
                return bool(value)
            case "many":
                return [choice for choice in self.choices if isinstance(value, list) and choice in value]
            case "number":
                text = str(value).strip()
                return int(text) if text.isdecimal() and len(text) < 12 else text[:100]
            case "decimal":
                text = str(value).strip()[:100]
                with contextlib.suppress(ValueError):
                    return float(text)
                return text
            case _:
                return str(value).strip()[:200]

    def as_dict(self) -> dict[str, Any]:
        """What the front end needs."""
        return {key: getattr(self, key) for key in ("name", "label", "kind", "choices", "help")}


class Engine(ABC, Generic[M]):
    """The machines of one kind on a host, such as ``host.kvm``.

    Attributes
    ----------
    kind
        ``"kvm"``, ``"xen"``, ``"docker"`` or ``"lxc"``.
    asks_dhcp
        Whether its machines ask DHCP for their addresses; those that are told need not wait for DHCP to know.
    """

    kind: ClassVar[str]
    asks_dhcp = True

    def __init__(self, host: Host) -> None:
        self.host = host
        self._lock = threading.RLock()
        self._machines: dict[str, M] = {}

    @abstractmethod
    def machines(self) -> list[M]:
        """The machines of this engine on this host, by name (asks the engine)."""

    @abstractmethod
    def __getitem__(self, name: str) -> M:
        """The machine `name`, or `NotFound` (asks the engine)."""

    @abstractmethod
    def forget(self, name: str, networks: Iterable[str]) -> None:
        """Remove what there is of the machine `name`: itself, its files, its addresses."""

    @property
    def by_cgroups(self) -> bool | None:
        """Whether the host's meter reads its machines from cgroups, or from processes; None: libvirt tells."""
        return None

    def _metered(self) -> dict[str, Any]:
        """What the host's meter tells now of its machines."""
        return self.host.meter.read(**{self.kind: bool(self.by_cgroups)})[self.kind]

    @abstractmethod
    def samples(self, told: dict[str, Any] | None = None) -> dict[str, Sample]:
        """A reading of every running machine's counters, in one go; one that hangs delays nobody.

        `told` is what the host's meter has just told of them, if it has.
        """

    def look(self) -> None:
        """Connect for `samples`, if that is needed and the engine's daemon runs; starts nothing."""

    @abstractmethod
    def form_fields(self) -> list[Field]:
        """What the form for a new machine asks for; the first is its name."""

    def form(self) -> Form:
        """A form for a new machine: checked fields, the Python that does the same, a button (widget)."""
        from ..widgets.form import Form

        return Form(self)

    def _name_field(self, proposed: str) -> Field:
        """The field for the name, with a proposal that is free."""
        folder = machine_folder(self.host, "")
        names = (f"{proposed}{number}" for number in range(1, 1000))

        def check(name: Any) -> None:
            check_name(name, "name of a machine")
            if (folder / name).exists():
                raise NameInUse(f"there is a machine {name} already", hint="choose another name")

        free = next(name for name in names if not (folder / name).exists())
        return Field("name", "Name", "text", free, check, help="small letters, digits and hyphens")

    def _limit_fields(self, check_memory: Callable[[Any], object], check_cpus: Callable[[Any], object]) -> list[Field]:
        """The fields for a container's limits, where there can be limits; left empty there is none."""
        if not self.host.has_cgroups:
            return []
        empty = "empty: no limit"
        return [
            Field("memory", "Memory", "text", "", lambda size: size and check_memory(size), help=f"64 MiB, or {empty}"),
            Field("cpus", "Processors", "decimal", "", lambda cpus: cpus and check_cpus(cpus), help=f"0.5, or {empty}"),
        ]

    def _networks_field(self) -> Field:
        """The field for the networks."""
        names = tuple(network.name for network in self.host.lab.networks)
        return Field("networks", "Networks", "many", [], choices=names, help="each gives it an address")

    @abstractmethod
    def close(self) -> None:
        """Drop this process's connection to the engine; the machines go on."""

    def _told(self, name: str, state: State) -> None:
        """The engine says that a machine changed (in a thread of its own)."""
        if machine := self._machines.get(name):
            if machine.host is self.host:  # else it is on its way, and stands on the other
                machine.told(state)
        else:
            self.host.lab.changes.tell(What.MACHINES, self.host)

    def _told_gone(self, name: str) -> None:
        """The engine says that a machine is no more."""
        if machine := self._machines.pop(name, None):
            machine.told_gone()

    def _lost(self) -> None:
        """The connection has ended (in a thread of its own): nothing is known until there is another."""
        for machine in list(self._machines.values()):
            if machine.host is self.host:
                machine.told(State.UNKNOWN)

    # Machines that move between hosts

    def expect(self, machine: M) -> None:
        """The machine of another host comes here, or has come: what is told of it concerns that object."""
        self._machines[machine.name] = machine

    def part_with(self, machine: M) -> None:
        """The machine is not here any more, or did not come."""
        if self._machines.get(machine.name) is machine:
            del self._machines[machine.name]

    def _has(self, name: str) -> bool:
        """Whether the machine counts as this host's: while one moves, two hosts have its files."""
        try:
            return (machine_folder(self.host, name) / "host").read_text() == self.host.name
        except FileNotFoundError:  # it is only just ending, or nobody moves it
            return True

    # What every `create` does

    def _check_names(self, name: str, networks: NetworksWanted) -> list[NetworkInterface]:
        """The connections that are asked for, each network checked to be there; raises what is wrong."""
        check_name(name, "name of a machine")
        given = [networks] if isinstance(networks, str | NetworkInterface) else list(networks)
        cards = [
            one if isinstance(one, NetworkInterface) else NetworkInterface(check_name(one, "name of a network"))
            for one in given
        ]
        for card in cards:
            self.host.lab.networks[card.network]
        if len({card.network for card in cards}) != len(cards):
            raise InvalidValue("a network is given twice", hint="name each network once")
        return cards

    def _join(self, name: str, wanted: NetworkInterface) -> NetworkInterface:
        """Have a network on this host, and an address on it for the machine `name`."""
        network = self.host.lab.networks[wanted.network]
        network.ensure_on(self.host)
        return network.reserve(name, dhcp=self.asks_dhcp, address=wanted.address, mac=wanted.mac)

    @contextlib.contextmanager
    def _reserved(self, spec: MachineSpec, undo: Sequence[Sequence[str]]) -> Iterator[list[str]]:
        """Hold the name; whatever ends the block early, even death, takes everything back.

        Parameters
        ----------
        spec
            The machine to be.
        undo
            What the host does, in this order, should this process die: argv lists.

        Yields
        ------
        list of str
            To be filled with the networks on which it has got an address.
        """
        folder = machine_folder(self.host, spec.name)
        made: list[str] = []
        owner = ""
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            with self._ending_in_words(), self.host.reserve_folder(folder, undo) as commit:
                try:
                    yield made
                except BaseException:
                    self.forget(spec.name, made)
                    with contextlib.suppress(LabError):  # the host may have ended
                        commit()
                    raise
                commit()
        except FileExistsError as error:
            with contextlib.suppress(OSError):  # it may be gone by now
                owner = (folder / "host").read_text()
            raise NameInUse(
                f"there is a machine {spec.name} already", host=owner, hint="choose another name, or destroy that one"
            ) from error
        finally:
            self.host.lab.changes.tell(What.MACHINES, self.host)

    @contextlib.contextmanager
    def _ending_in_words(self) -> Iterator[None]:
        """Turn what the system says when the disk is full or the lab has ended into errors of labkit."""
        try:
            with disk_room(self.host.lab.folder):
                yield
        except OSError as error:
            if isinstance(error, LabError | FileExistsError) or self.host.is_alive:
                raise
            raise LabGone(f"the host ended while a machine was made: {error}", host=self.host.name) from error

    @contextlib.contextmanager
    def _announced(self, spec: MachineSpec) -> Iterator[None]:
        """While in this context, tell DHCP and DNS of the machine; at its end they know."""
        with ThreadPoolExecutor(1) as pool:
            networks = self.host.lab.networks
            told = [
                pool.submit(networks[card.network].announce, spec.name, card, dhcp=self.asks_dhcp)
                for card in spec.interfaces
            ]
            yield
            for future in told:
                future.result()

    def _remove_folder(self, name: str) -> None:
        """Remove the files of the machine `name` on its host, and what is noted of it here."""
        folder = machine_folder(self.host, name)
        with contextlib.suppress(LabGone):  # with its files
            self.host.files.remove_tree(folder)
        if not self.host.files.are_here:
            remove_tree(folder)

    def _release(self, name: str, networks: Iterable[str]) -> None:
        """Give back the addresses of the machine `name`."""
        for network in networks:
            with contextlib.suppress(LabError, OSError):  # what is not released here is taken back when it is stale
                self.host.lab.networks[network].release(name)
