"""What every host offers, however it came to be: a directory of sockets, and `run`."""

from __future__ import annotations

import contextlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .._run import Completed, check_argv
from .._values import format_size
from ..errors import DaemonFailed, InvalidValue, LabError, NotSupported
from .files import HostFiles, LocalFiles

if TYPE_CHECKING:
    from ..lab import Lab
    from ..machines.base import Machine
    from ..machines.docker import DockerEngine
    from ..machines.engine import Engine
    from ..machines.kvm import KvmEngine
    from ..machines.lxc import LxcEngine
    from ..machines.spec import Sample
    from ..machines.xen import XenEngine
    from ..operations.evacuation import Evacuation
    from ..widgets.host import HostCard
    from ._channel import Running
    from .meter import Meter


ENGINES = ("kvm", "docker", "lxc")
NEVER_STARTED = -1  # by the lab: what runs there is the server's own


class Host(ABC):
    """A place where machines run.

    Attributes
    ----------
    name
        Its name in the lab, and its hostname.
    lab
        The lab it belongs to.
    address
        Its IPv4 address on the lab's backbone, the network between hosts.
    folder
        Where its state lies: configuration and logs of its daemons.
    sockets
        The directory with ``libvirt.sock``, ``docker.sock``.
    """

    # What lies in its directory of sockets once an engine was used on it.
    marks: Mapping[str, str] = MappingProxyType({"kvm": "libvirt.sock", "docker": "docker.sock", "lxc": "lxc"})
    provider = ""
    has_xen = False  # whether it boots Xen
    python: Sequence[str] = ("python3",)  # the beginning of a command that runs Python on the host
    outlives_lab = False  # whether others may use it, too, and what the lab makes there has to be taken back
    shares_files = False  # whether its files are this machine's
    wire = "lab"  # hosts on the same one reach each other by their addresses; "": nobody does

    def __init__(self, lab: Lab, name: str, address: str, folder: Path, sockets: Path) -> None:
        self.lab = lab
        self.name = name
        self.address = address
        self.folder = folder
        self.sockets = sockets

    # What a provider makes

    @abstractmethod
    def _run(
        self, argv: list[str], input: bytes, env: dict[str, str], cwd: str, timeout_s: float
    ) -> tuple[int, bytes, bytes]:
        """Run a command; exit code, stdout, stderr. Raises `DeadlineExceeded` and kills it."""

    @abstractmethod
    def reserve_folder(
        self, folder: Path, undo: Sequence[Sequence[str]]
    ) -> AbstractContextManager[Callable[[], object]]:
        """Make `folder`, with the host's name in its file ``host``, or raise `FileExistsError`.

        Unless what the block is given is called, `undo` runs when the block or this process ends.
        """

    @abstractmethod
    def spawn(self, argv: Sequence[str], fds: Sequence[int]) -> Running:
        """Start a command with the given standard streams; it ends when the result is closed."""

    @abstractmethod
    def start_libvirt(self) -> Path:
        """Have libvirt's daemon run; returns its socket once it answers."""

    @abstractmethod
    def why_libvirt_failed(self) -> DaemonFailed | None:
        """If libvirt's daemon has ended, the error that says why."""

    @abstractmethod
    def start_docker(self) -> Path:
        """Have Docker's daemon run; returns its socket once it accepts connections."""

    @abstractmethod
    def start_daemon(self, name: str, argv: Sequence[str]) -> Path:
        """Have a daemon run until the host ends, unless it runs already; returns its log."""

    @abstractmethod
    def daemon_exit(self, name: str) -> int | None:
        """The exit code of a daemon; None while it runs, `NEVER_STARTED` if it was not by the lab."""

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether the host still answers (asks it)."""

    @property
    @abstractmethod
    def has_cgroups(self) -> bool:
        """Whether its machines can be given processor and memory limits by cgroups."""

    @property
    @abstractmethod
    def processors(self) -> tuple[int, ...]:
        """The numbers of the processors that its machines may have."""

    @property
    @abstractmethod
    def is_privileged(self) -> bool:
        """Whether root there is the system's, and not only that of a user namespace."""

    # What every host offers

    def run(
        self, argv: Sequence[str], *, input: str | bytes = b"", env: dict[str, str] | None = None,
        cwd: str = "/", timeout_s: float = 60, check: bool = False,
    ) -> Completed:  # fmt: skip
        """Run a command on the host.

        Parameters
        ----------
        argv
            The command and its arguments; never a shell string.
        input
            What it reads from its standard input.
        env
            Variables added to a small standard environment.
        timeout_s
            Seconds after which it is killed and `DeadlineExceeded` raised.
        check
            Raise `CommandFailed` if the exit code is not 0.
        """
        words = check_argv(argv)
        if timeout_s <= 0:
            raise InvalidValue(f"a time limit of {timeout_s} s leaves no time", hint="give seconds")
        self.lab.touch()
        data = input.encode() if isinstance(input, str) else input
        began = time.monotonic()
        code, out, err = self._run(words, data, env or {}, cwd, timeout_s)
        took = time.monotonic() - began
        done = Completed(
            tuple(words), code, out.decode(errors="replace"), err.decode(errors="replace"), took, self.name
        )
        return done.check() if check else done

    @cached_property
    def kvm(self) -> KvmEngine:
        """QEMU virtual machines, accelerated by KVM where that works."""
        from ..machines.kvm import KvmEngine

        return KvmEngine(self)

    @cached_property
    def docker(self) -> DockerEngine:
        """Containers, by a Docker daemon of the host's own."""
        from ..machines.docker import DockerEngine

        return DockerEngine(self)

    @cached_property
    def lxc(self) -> LxcEngine:
        """System containers by liblxc."""
        from ..machines.lxc import LxcEngine

        return LxcEngine(self)

    @cached_property
    def xen(self) -> XenEngine:
        """Xen's machines; `NotSupported` on a host that does not boot Xen."""
        from ..machines.xen import XenEngine

        if not self.has_xen:
            raise NotSupported(
                f"{self.name} does not boot Xen", host=self.name, hint='lab.add_host("xena", provider="xen") makes one',
            )  # fmt: skip
        return XenEngine(self)

    @property
    def libvirt(self) -> KvmEngine | XenEngine:
        """The engine whose libvirt serves the host's networks."""
        return self.xen if self.has_xen else self.kvm

    @cached_property
    def files(self) -> HostFiles:
        """The files that its programs and machines have, wherever they lie."""
        if self.shares_files:
            return LocalFiles(self)
        from ._files_remote import RemoteFiles

        return RemoteFiles(self)

    def when_leaving(self, what: str, *commands: Sequence[str]) -> None:  # noqa: B027  most hosts end with the lab
        """Have commands run when the lab ends, in place of those that were said of `what` before; none: nothing.

        For what a lab makes on a server besides machines.
        """

    def socket_there(self, name: str) -> Path:
        """Where a command on the host finds the socket that lies here as `name`, such as ``docker.sock``."""
        return (self.sockets / name).resolve()

    def program(self, path: Path) -> str:
        """Where the host has a program of labkit, which is a file on this machine."""
        return str(self.files.bring(path))

    @cached_property
    def meter(self) -> Meter:
        """What reads its counters, and those of its containers."""
        from .meter import Meter

        return Meter(self)

    def sample(self, told: dict[str, Any] | None = None) -> Sample:
        """A reading of its counters now; `told` is what its meter has just told, if it has."""
        from ..machines.spec import Sample

        told = told or self.meter.read(host=self.has_cgroups)["host"]
        return Sample(time_s=time.monotonic(), **told)

    def engines(self) -> list[Engine[Any]]:
        """The engines that were used on this host, by this process or another."""
        return [getattr(self, kind) for kind, mark in self.marks.items() if os.path.lexists(self.sockets / mark)]

    def machines(self) -> list[Machine]:
        """Every machine on this host, of every engine that was used here."""
        return [machine for engine in self.engines() for machine in engine.machines()]

    def facts(self) -> list[tuple[str, str]]:
        """What its card says of it: labels and values (asks the host; the first time a guest may be booted)."""
        told = self.run(["sh", "-c", "nproc; awk '/MemTotal|MemAvailable/ {print $2}' /proc/meminfo"], check=True)
        count, total, free = (int(line) for line in told.stdout.split())
        memory = f"{format_size(free * 1024)} free of {format_size(total * 1024)}"
        used = ", ".join(engine.kind for engine in self.engines()) or "none yet"
        return [
            ("processors", str(count)), ("memory", memory), ("engines in use", used),
            ("acceleration", self.kvm.acceleration().reason),
        ]  # fmt: skip

    def evacuate(self, to: Host | None = None, *, at_once: int = 2, **how: Any) -> Evacuation:
        """Move every machine off, each in the best way that nothing stands in, and wait until that is done.

        Parameters
        ----------
        to
            Where to; by default to those of the other hosts that a machine can go to, to each about as much memory.
        at_once
            How many move at the same time, 1 to 16.
        how
            What `Machine.move` takes.

        Raises
        ------
        InvalidValue, NotEnough
            What keeps a machine where it is, is not raised but told by what is returned.
        """
        from ..operations.evacuation import evacuate

        return evacuate(self, to, at_once, how)

    def card(self) -> HostCard:
        """Its card: what it has, what it uses, and its machines (widget)."""
        from ..widgets.host import HostCard

        return HostCard(self)

    def close(self) -> None:
        """Drop this process's connections to the host's engines."""
        for kind in (*self.marks, "meter", "files"):
            if kind in self.__dict__:
                getattr(self, kind).close()

    def __repr__(self) -> str:
        return f"<Host {self.name} ({self.provider}) {self.address}>"

    def _ipython_display_(self) -> None:
        from ..widgets import show

        show(self, self.card)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html_host import host_bundle

        return host_bundle(self)


def drop_reserved(host: Host, folder: Path) -> None:
    """Remove a folder that `Host.reserve_folder` has made and nobody has put anything into."""
    with contextlib.suppress(OSError):
        (folder / "host").unlink()
        folder.rmdir()
    if not host.files.are_here:
        with contextlib.suppress(OSError, LabError):
            host.files.remove_tree(folder)
