"""System containers by liblxc: the engine of a host."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._changes import What
from .._progress import progress
from .._run import check_argv
from .._values import check_cpus, check_name, parse_duration, parse_size
from ..errors import InvalidValue, LabError, LabGone, NotFound, NotSupported
from ..storage.images import Image
from ..storage.images import get as get_image
from . import _lxc_files
from ._lxc_config import (
    DROPPED,
    FIRST_ID,
    REFUSED,
    LxcSpec,
    check_capabilities,
    check_memory,
    check_syscalls,
)
from ._lxc_events import STATES, Monitor
from ._lxc_files import FOLDER
from ._lxc_machine import LxcMachine
from .base import machine_folder
from .engine import Engine, Field, NetworksWanted
from .spec import NetworkInterface, Sample, State

if TYPE_CHECKING:
    from ..hosts.base import Host

_LISTED = re.compile(r"([a-z0-9-]+) +([A-Z]+) *")


@dataclass(frozen=True, slots=True)
class _Ready:
    """What is known of a host that is ready for containers."""

    monitor: Monitor
    cgroup_version: int


class LxcEngine(Engine[LxcMachine]):
    """The containers of a host: ``host.lxc``."""

    kind = "lxc"
    asks_dhcp = False

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._ready: _Ready | None = None

    # The host

    def _prepared(self) -> _Ready:
        """Have the host ready and its containers listened to."""
        from ..hosts.doctor import require_program

        with self._lock:
            if self._ready is None or not self._ready.monitor.is_listening:
                require_program("lxc-start", self.host)
                version = _lxc_files.prepare(self.host)
                monitor = Monitor(
                    self.host, self._changed_at, heard=self._heard, missed=self._catch_up,
                    changed=self._look, lost=self._lost,
                )  # fmt: skip
                self._ready = _Ready(monitor, version)
                with contextlib.suppress(FileExistsError):
                    (self.host.sockets / "lxc").symlink_to(self.host.folder / FOLDER)
            return self._ready

    def cgroup_version(self) -> int:
        """The version of the cgroups that limits are set with: 1, 2, or 0 where there are none."""
        return self._prepared().cgroup_version

    def _changed_at(self) -> int:
        """When a folder of a container last came or went."""
        found = self.host.files.status(self.host.folder / FOLDER)
        return found.changed_ns if found else 0

    def _heard(self, name: str, state: State) -> None:
        machine = self._machines.get(name)
        if machine and machine.host is self.host:
            machine.heard(state)
        elif machine is None:
            self._told(name, state)

    def _catch_up(self) -> None:
        for machine in list(self._machines.values()):
            machine.refresh()

    def _look(self) -> None:
        """Folders have come or gone: by another process, or of an ephemeral container."""
        for machine in list(self._machines.values()):
            if machine.host is not self.host or machine.activity:  # it is on its way, or being made or removed
                continue
            if not self.host.files.exists(machine.folder):
                self.vanished(machine)
        self.host.lab.changes.tell(What.MACHINES, self.host)

    def vanished(self, machine: LxcMachine) -> None:
        """The container was removed, and not by this object's `destroy`."""
        with self._lock:
            if self._machines.get(machine.name) is not machine:
                return
            del self._machines[machine.name]
        if not self.host.files.are_here:  # what took its files there could not take its notes here
            self._remove_folder(machine.name)
        machine.told_gone()
        for card in machine.spec.interfaces:
            with contextlib.suppress(LabError):
                self.host.lab.networks[card.network].release_gone()

    def close(self) -> None:
        with self._lock:
            ready, self._ready = self._ready, None
        if ready:
            ready.monitor.close()

    # Machines

    def create(
        self, name: str, *, image: str | Image | Path = "small", command: Sequence[str] | None = None,
        memory: int | str | None = None, cpus: float | None = None, networks: NetworksWanted = (),
        ephemeral: bool = False, capabilities_dropped: Iterable[str] = (),
        capabilities_kept: Iterable[str] | None = None, seccomp: bool = True, syscalls_refused: Iterable[str] = (),
        unprivileged: bool = False, timeout_s: float = 60,
    ) -> LxcMachine:  # fmt: skip
        """Make a container and wait until it answers to `run`.

        Parameters
        ----------
        name
            Unique in the lab.
        image
            The name of an image, or the path of a tar file with a root file system.
        command
            What it runs instead of sshd and a console; when that ends, the container stops.
        memory
            Bytes, or words such as ``"64 MiB"``, that it may use; by default there is no limit.
        cpus
            Processor time it may use, in processors: 0.5 is half of one.
        networks
            Names of lab networks; each gives it an interface with an address. For one that is chosen:
            ``NetworkInterface("lan", address="198.19.1.50")``.
        ephemeral
            Whether it vanishes when it stops.
        capabilities_dropped
            Capabilities taken away besides those that reach beyond a container.
        capabilities_kept
            All capabilities that it has; nothing else.
        seccomp
            Whether system calls are filtered at all.
        syscalls_refused
            System calls refused besides those that reach beyond a container.
        unprivileged
            Whether its root is somebody without rights on the host.
        timeout_s
            Seconds for all of it.

        Raises
        ------
        InvalidName, InvalidValue, NameInUse, NotFound, NotSupported, ImageError, PackageMissing,
        EngineError, DeadlineExceeded
        """
        deadline = time.monotonic() + parse_duration(timeout_s, "time limit")
        cards = self._check_names(name, networks)
        spec = LxcSpec(
            name, "", self._memory(memory), len(self.host.processors), 0,
            command=tuple(check_argv(command)) if command is not None else (), cpus=check_cpus(cpus),
            ephemeral=ephemeral, first_id=self._first_id() if unprivileged else 0,
        )  # fmt: skip
        spec = _with_rights(spec, capabilities_dropped, capabilities_kept, syscalls_refused, seccomp=seccomp)
        self._need_limits(spec)
        with progress(f"create {name}", quiet_s=1.0):
            self._prepared()
            chosen = get_image(image) if isinstance(image, str) else image
            shown = chosen.name if isinstance(chosen, Image) else chosen.name.partition(".")[0]
            spec = replace(spec, image=shown, root=_lxc_files.ensure_root(self.host, chosen, spec.first_id))
            return self._make(spec, cards, "", deadline)

    def create_like(self, spec: LxcSpec, networks: Iterable[str], layer: str) -> LxcMachine:
        """Make a container as `spec` says that begins with a copy of `layer`, a path on the host."""
        return self._make(spec, self._check_names(spec.name, networks), layer, time.monotonic() + 180)

    @staticmethod
    def _memory(memory: int | str | None) -> int:
        if memory is None:
            return 0
        size = parse_size(memory, "memory size")
        check_memory(size)
        return size

    def _need_limits(self, spec: LxcSpec) -> None:
        if (spec.memory_bytes or spec.cpus is not None) and not self.host.has_cgroups:
            reason, instead = LxcMachine(self, spec)._reasons()["limits"]  # noqa: SLF001  one house
            raise NotSupported(
                f"limits are not possible: {reason}",
                host=self.host.name,
                hint=f"leave memory and cpus out, or {instead}",
            )

    def _first_id(self) -> int:
        """The host's id for root in an unprivileged container; a lab without root has no others to give."""
        if not self.host.is_privileged:
            raise NotSupported(
                "the whole lab runs without privileges already: root in its containers is you",
                hint="leave unprivileged out", host=self.host.name,
            )  # fmt: skip
        return FIRST_ID

    def _make(self, spec: LxcSpec, cards: list[NetworkInterface], layer: str, deadline: float) -> LxcMachine:
        """Reserve, lay out, start; all or nothing."""
        version = self.cgroup_version()
        with self._reserved(spec, self._undo(spec.name)) as made:
            for card in cards:
                made.append(card.network)
                spec = replace(spec, interfaces=(*spec.interfaces, self._join(spec.name, card)))
            machine = LxcMachine(self, spec)
            with machine.acting("create") as task:
                self._machines[spec.name] = machine
                task.phase("laying out its files")
                _lxc_files.lay_out(self.host, spec, version, layer)
                for card in spec.interfaces:
                    self.host.lab.networks[card.network].announce(spec.name, card, dhcp=self.asks_dhcp)
                task.phase("starting it")
                machine.begin(deadline)
            _lxc_files.describe(self.host, spec)
            self.host.lab.journal("machine", machine=spec.name, host=self.host.name, engine="lxc")
        return machine

    def _undo(self, name: str) -> list[list[str]]:
        """What the host does should this process die while it makes a container."""
        return [_lxc_files.ending(name), ["rm", "-rf", "--", str(machine_folder(self.host, name))]]

    def forget(self, name: str, networks: Iterable[str]) -> None:
        with contextlib.suppress(LabError):  # the host may have ended
            self.host.run(_lxc_files.ending(name))
        with contextlib.suppress(LabGone):
            self.host.files.remove_tree(_lxc_files.place(self.host, name))
        self._release(name, networks)
        self._remove_folder(name)
        self._told_gone(name)

    def __getitem__(self, name: str) -> LxcMachine:
        check_name(name, "name of a machine")
        self._prepared()
        if (spec := self._spec(name)) is None:
            raise NotFound(
                f"there is no container {name}", host=self.host.name, hint="lab.machines() lists those there are"
            )
        machine = self._known(spec)
        if machine.state is State.STARTING:
            machine.refresh()
        return machine

    def _known(self, spec: LxcSpec) -> LxcMachine:
        """One object a container, so that events reach the one that is held."""
        machine = self._machines.get(spec.name)
        if machine is None:
            machine = self._machines[spec.name] = LxcMachine(self, spec)
        machine.spec = spec  # another process may have changed its limits
        return machine

    def machines(self) -> list[LxcMachine]:
        self._prepared()
        told = self.host.run(["lxc-ls", "--fancy", "--fancy-format", "NAME,STATE"], check=True).stdout
        found = []
        for line in told.splitlines()[1:]:
            if (words := _LISTED.fullmatch(line)) and (spec := self._spec(words[1])):
                machine = self._known(spec)
                machine.heard(STATES.get(words[2], State.UNKNOWN))
                found.append(machine)
        return sorted(found, key=lambda machine: machine.name)

    def _spec(self, name: str) -> LxcSpec | None:
        """What the container is, unless it is half made, just vanishing, or another host's by now."""
        with contextlib.suppress(FileNotFoundError):
            spec = LxcSpec.from_json(self.host.files.read_text(_lxc_files.place(self.host, name) / "spec.json"))
            return spec if self._has(name) else None
        return None

    def form_fields(self) -> list[Field]:
        limits = self._limit_fields(self._memory, check_cpus)
        ephemeral = Field("ephemeral", "Ephemeral", "check", False, help="it vanishes when it stops")
        return [self._name_field("box"), *limits, self._networks_field(), ephemeral]

    @property
    def by_cgroups(self) -> bool | None:
        return self.host.has_cgroups

    def samples(self, told: dict[str, Any] | None = None) -> dict[str, Sample]:
        if told is None:
            told = self._metered()
        now = time.monotonic()
        known = {name: self._known(spec) for name in told if (spec := self._spec(name))}
        return {name: machine.counted(Sample(time_s=now, **told[name])) for name, machine in known.items()}

    def __repr__(self) -> str:
        return f"<LXC on {self.host.name}>"


def _with_rights(
    spec: LxcSpec, dropped: Iterable[str], kept: Iterable[str] | None, refused: Iterable[str], *, seccomp: bool
) -> LxcSpec:
    """The description with what the container may do, checked."""
    more = check_capabilities(dropped) or ()
    calls = check_syscalls(refused)
    if more and kept is not None:
        raise InvalidValue("capabilities are both dropped and kept", hint="give one: kept are all that it has")
    if calls and not seccomp:
        raise InvalidValue("system calls are refused, and seccomp is off", hint="leave seccomp=False out")
    return replace(
        spec, kept=check_capabilities(kept), dropped=tuple(sorted({*DROPPED, *more})) if kept is None else None,
        refused=tuple(sorted({*REFUSED, *calls})) if seccomp else (),
    )  # fmt: skip
