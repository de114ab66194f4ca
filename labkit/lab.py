"""The lab: a datacentre in a namespace."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock, Timeout

from . import _paths
from ._changes import Changes, What
from ._progress import progress, tell
from ._values import check_name, parse_duration
from .errors import Busy, LabError, LabGone, NameInUse, NotFound
from .hosts import _launch, _remotes
from .hosts._channel import Channel
from .hosts.namespace import NamespaceHost
from .hosts.providers import HostSpec, HostsWanted, by_name, one_by_name, restore

if TYPE_CHECKING:
    from .hosts.base import Host
    from .machines._docker_registry import Registry
    from .machines.base import Machine
    from .monitoring.bottleneck import Diagnosis
    from .monitoring.metrics import Metrics
    from .networks.connectivity import Connectivity
    from .networks.network import Networks
    from .widgets.monitor import Monitor
    from .widgets.table import Table
    from .widgets.topology import Diagram

_TOUCH_EVERY_S = 20.0
_LOCKS = 64
_watching: ContextVar[bool] = ContextVar("labkit_watching", default=False)


class Lab:
    """A lab of this process: it ends with the ``with`` block, or with the process.

    Use `Lab.open` for a lab that stays until ``lab.close()``.

    Parameters
    ----------
    name
        1 to 31 small letters, digits and hyphens.
    hosts
        The names of the hosts to make, or what they are made from, such as `labkit.Ssh`.
    lease
        How long the lab lives without being used, in seconds or words such as ``"8 h"``.

    Raises
    ------
    InvalidName, NameInUse, Unavailable
    """

    def __init__(self, name: str, hosts: HostsWanted = ("alpha",), *, lease: float | str = "8 h") -> None:
        check_name(name, "name of a lab")
        wanted = self._prepare(name, hosts, lease)
        with _opening(name):
            if _launch.is_alive(name):
                raise NameInUse(
                    f"there is a lab {name} already",
                    hint=f'Lab.open("{name}") finds it; `labkit down {name}` ends it',
                )
            self._start(wanted, lease, tethered=True)

    @classmethod
    def open(cls, name: str, hosts: HostsWanted | None = None, *, lease: float | str = "8 h") -> Self:
        """Find the lab `name` or make it; it outlives this process and ends by its lease.

        Parameters are those of `Lab`. Hosts that the lab does not have yet are added.
        """
        check_name(name, "name of a lab")
        lab = cls.__new__(cls)
        wanted = lab._prepare(name, hosts or (), lease)
        with _opening(name):
            if not lab._found(wanted):
                lab._start(wanted or {"alpha": None}, lease, tethered=False)
        return lab

    @classmethod
    def attach(cls, name: str) -> Self:
        """Find the running lab `name`; `NotFound` if there is none."""
        if name not in _launch.names():
            check_name(name, "name of a lab")
        lab = cls.__new__(cls)
        lab._prepare(name, (), "8 h")
        if not lab._found({}):
            raise NotFound(f"there is no lab {name}", hint="`labkit ps` lists the labs there are")
        return lab

    # How a lab comes to be

    def _prepare(self, name: str, hosts: HostsWanted, lease: float | str) -> dict[str, HostSpec | None]:
        self.name = name
        wanted = by_name(hosts)
        parse_duration(lease, "lease")
        self.folder = _launch.folder(name)
        self.sockets = _launch.sockets(name)
        self._hosts: dict[str, Host] = {}
        self._process: Any = None
        self._tether: Channel | None = None
        self._touched = 0.0
        self._has_cgroups = False
        self._closed = False
        self.changes = Changes()
        return wanted

    def _start(self, hosts: dict[str, HostSpec | None], lease: float | str, *, tethered: bool) -> None:
        _launch.clear(self.name)
        try:
            with progress(f"lab {self.name}", quiet_s=1.0) as task:
                task.phase("making its namespaces")
                self._process = _launch.start(self.name, parse_duration(lease, "lease"))
                if tethered:
                    self._tether = self.channel()
                    self._tether.request("tether")
                about = {"name": self.name, "created": time.time(), "run": os.environ.get("LABKIT_RUN", ""),
                         "id": secrets.token_hex(8)}  # fmt: skip
                (self.folder / "lab.json").write_text(json.dumps(about))
                self._learn()
                for number, (host, provider) in enumerate(hosts.items()):
                    task.phase(f"making host {host}", number / len(hosts))
                    self.add_host(host, provider)
        except BaseException:
            self.close()
            raise

    def _learn(self) -> dict[str, Any]:
        """Ask the first process how the lab is made; returns its hosts."""
        with self.channel() as channel:
            info = channel.request("info")
        # Of the lab: whoever attaches to it may be in another cgroup.
        self._has_cgroups = bool(info.get("cgroups"))  # older labs do not tell
        hosts: dict[str, Any] = info["hosts"]
        return hosts

    def _found(self, hosts: dict[str, HostSpec | None]) -> bool:
        """Attach to the lab if there is one; one that is just dying may still have accepted a connection."""
        if _launch.is_alive(self.name):
            try:
                self._attach(hosts)
            except LabGone:
                if _launch.is_alive(self.name):
                    raise
                return False
            return True
        return False

    def _attach(self, hosts: dict[str, HostSpec | None]) -> None:
        self.refresh()
        for name, provider in hosts.items():
            if name not in self._hosts:
                self.add_host(name, provider)
        self.touch()
        self._tell_notices()

    def _tell_notices(self) -> None:
        """Say once what has happened since somebody last opened the lab, such as how an interrupted move ended."""
        if _watching.get():
            return
        for notice in sorted(self.notices.glob("*")):
            with contextlib.suppress(FileNotFoundError):  # somebody else tells it
                sentence = notice.read_text().strip()
                notice.unlink()
                tell(f"lab {self.name}: {sentence}")

    def refresh(self) -> None:
        """Ask the lab which hosts it has: those that another process has made are found."""
        for name, known in self._learn().items():
            if name not in self._hosts:
                host = NamespaceHost(self, name, known["address"], self.folder / "hosts" / name, self.sockets / name)
                if host.is_alive:
                    self._hosts[name] = host
        for note in _remotes.notes(self.folder):
            if note["name"] not in self._hosts:
                self._hosts[note["name"]] = restore(self, note)

    def add_host(self, host: str | HostSpec, provider: HostSpec | str | None = None) -> Host:
        """Make a host, or make one again that has ended: without its machines, on its networks.

        Parameters
        ----------
        host
            Its name, or what it is made from, such as ``Ssh("user@server")``.
        provider
            With a name, what the host is made from, or the name of that, such as ``"xen"``; by default
            namespaces on this machine.
        """
        ((name, made_from),) = one_by_name(host, provider).items()
        known = self._hosts.get(name)
        if known and known.is_alive:
            raise NameInUse(f"the lab {self.name} has a host {name} already", hint=f'lab["{name}"]')
        if known:
            known.close()
        made = self._make(name, made_from)
        self._hosts[name] = made
        self.journal("host", host=name)
        if isinstance(made, NamespaceHost):
            _remotes.show_ways(made)
        self.networks.restore_on(made)
        self.changes.tell(What.HOSTS, made)
        return made

    def _make(self, name: str, provider: HostSpec | None) -> Host:
        if provider:
            return provider.start(self, name)
        for note in _remotes.notes(self.folder):
            if note["name"] == name:
                host = restore(self, note)
                host.check()  # or says what keeps it away
                return host
        return NamespaceHost.start(self, name)

    # What is in it

    @property
    def hosts(self) -> dict[str, Host]:
        """The hosts by name."""
        return dict(self._hosts)

    def __getitem__(self, name: str) -> Host:
        try:
            return self._hosts[name]
        except KeyError:
            raise NotFound(
                f"the lab {self.name} has no host {ascii(name)[:60]}",
                hint=f"it has {', '.join(self._hosts) or 'none'}; lab.add_host(…) makes one",
            ) from None

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    @cached_property
    def networks(self) -> Networks:
        """The networks that connect machines."""
        from .networks.network import Networks

        return Networks(self)

    @cached_property
    def registry(self) -> Registry:
        """The registry through which hosts exchange Docker images."""
        from .machines._docker_registry import Registry

        return Registry(self)

    def machines(self) -> list[Machine]:
        """Every machine of every host and engine; a host that ended has none."""
        return [machine for host in self if host.is_alive for machine in host.machines()]

    def table(self) -> Table:
        """Its hosts and machines with live states and buttons (widget)."""
        from .widgets.table import Table

        return Table(self)

    def connectivity(
        self, machines: Iterable[Machine | str] | None = None, ports: Iterable[int] = (), *,
        names: bool = False, timeout_s: float = 5,
    ) -> Connectivity:  # fmt: skip
        """Who reaches whom, tried from inside of `machines` (all of the lab), at the same time.

        Besides a ping, TCP `ports` are tried and, with `names`, the machines' names. Each answer is waited
        for `timeout_s` seconds; a machine that hangs is given up after twice that. Raises `InvalidValue`
        and `NotFound`.
        """
        from .networks.connectivity import measure

        return measure(self, machines, ports, names=names, timeout_s=timeout_s)

    @cached_property
    def metrics(self) -> Metrics:
        """What its hosts and machines use: readings once a second, trends, alerts."""
        from .monitoring.metrics import Metrics

        return Metrics(self)

    def monitor(
        self, machines: Iterable[Machine | str] | None = None, metrics: Iterable[str] | None = None,
        window: float | str = "10 min", most: int = 10,
    ) -> Monitor:  # fmt: skip
        """What its machines do, as lines that move on once a second (widget).

        Parameters
        ----------
        machines
            Machines or hosts, or their names; all machines by default.
        metrics
            Names such as ``["cpu", "memory"]``; processor, memory, disk and network by default.
        window
            How far back, in seconds or words such as ``"10 min"``.
        most
            How many machines have a line and a colour of their own: the busiest.

        Raises
        ------
        InvalidValue
        """
        from .widgets.monitor import Monitor

        return Monitor(self, machines, metrics, window, most)

    def diagnose(self, last: float | str = "1 min") -> Diagnosis:
        """Which machine or host is short of what, since when, on which evidence, and what would help.

        Parameters
        ----------
        last
            How far back readings are judged, in seconds or words such as ``"5 min"``.
        """
        return self.metrics.diagnose(last)

    def topology(self) -> Diagram:
        """Its hosts, networks, machines and links as a live picture (widget)."""
        from .widgets.topology import Diagram

        return Diagram(self)

    # What it needs itself

    def check_open(self) -> None:
        """Raise `LabGone` if `close` was called here."""
        if self._closed:
            raise LabGone(f"lab {self.name} was closed", hint=f'Lab.open("{self.name}") makes it anew')

    def identity(self) -> str:
        """What tells this lab from every other, earlier ones of its name too."""
        return str(json.loads((self.folder / "lab.json").read_text()).get("id", ""))

    def channel(self) -> Channel:
        """A connection to the lab's first process."""
        self.check_open()
        return _launch.channel(self.name)

    def touch(self) -> None:
        """Renew the lease, unless that was done a moment ago."""
        if _watching.get():
            return
        now = time.monotonic()
        if now - self._touched > _TOUCH_EVERY_S or self._closed:
            with self.channel() as channel:
                channel.request("touch")
            self._touched = now

    def lease_left_s(self) -> float:
        """Seconds until the lab ends if nobody uses it."""
        with self.channel() as channel:
            return float(channel.request("info")["lease_left_s"])

    def renew(self, lease: float | str) -> None:
        """Let the lease begin anew with another length, in seconds or words such as ``"2 h"``."""
        with self.channel() as channel:
            channel.request("lease", seconds=parse_duration(lease, "lease"))

    @property
    def has_cgroups(self) -> bool:
        """Whether machines of this lab can be given processor and memory limits by cgroups."""
        return self._has_cgroups

    def kept_folders(self) -> list[Path]:
        """Folders that must stay reachable in every host."""
        return [self.folder, self.sockets, _paths.cache_home()]

    @property
    def notices(self) -> Path:
        """The folder with what the next who opens the lab is to be told, a file for each sentence."""
        return self.folder / "notices"

    def journal(self, what: str, **words: Any) -> None:
        """Note in the lab's journal that something was made or removed."""
        line = json.dumps({"time": time.time(), "what": what, **words})
        with (self.folder / "journal.jsonl").open("a") as file:
            file.write(line + "\n")

    # How it ends

    @property
    def is_alive(self) -> bool:
        """Whether its first process answers (asks it; does not renew the lease)."""
        return not self._closed and _launch.is_alive(self.name)

    @property
    def closed(self) -> bool:
        """Whether `close` was called here."""
        return self._closed

    def close(self) -> None:
        """End the lab: every machine, daemon, network and file of it is gone afterwards."""
        if self._closed:
            return
        for host in self:
            with contextlib.suppress(LabError):
                host.close()
        self._closed = True
        _launch.end(self.name, self._process)
        if self._tether:
            self._tether.close()
        if metrics := vars(self).get("metrics"):
            metrics.close()
        self.changes.tell(What.CLOSED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"hosts {', '.join(self._hosts) or 'none'}"
        return f"<Lab {self.name}: {state}>"

    def _ipython_display_(self) -> None:
        from .widgets import show

        show(self, self.table)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from ._html_host import lab_bundle

        return lab_bundle(self)


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """While in this context nothing renews a lease: what only looks on is no use of a lab."""
    token = _watching.set(True)
    try:
        yield
    finally:
        _watching.reset(token)


@contextlib.contextmanager
def _opening(name: str) -> Iterator[None]:
    """Let one process at a time make or find the lab `name`: its hosts may take minutes."""
    home = _paths.state_home() / "labs"
    try:
        with _paths.disk_room(home):
            home.mkdir(mode=0o700, exist_ok=True)
            # A fixed number of files, for labs come and go.
            with FileLock(home / f".lock-{zlib.crc32(name.encode()) % _LOCKS}", timeout=120):
                yield
    except Timeout as error:
        raise Busy(f"somebody else has been opening the lab {name} for two minutes", hint="try again") from error
