"""Hosts that are reached by ssh: a server, or a virtual machine."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock

from .. import _paths
from ..errors import DaemonFailed, LabError, PackageMissing
from . import _launch, _remotes
from ._channel import Channel, Running
from ._checks import SERVER_PACKAGES, program_on
from ._far_host import AT_THE_END
from ._login import Login
from ._served import ServedHost
from .base import NEVER_STARTED, Host

if TYPE_CHECKING:
    from ..lab import Lab

# How long a connection may take, where ssh itself does not give up earlier; the processor of a virtual machine may be
# emulated, on a busy computer.
_CONNECT_S, CONNECT_VM_S = 20.0, 120.0
_START_S, _LOOK_S = 40.0, 2.0
# Ends when the daemon behind a Unix socket answers.
_UNTIL_ANSWERS = """
import socket, sys, time
deadline = time.monotonic() + float(sys.argv[2])
while True:
    try:
        socket.socket(socket.AF_UNIX).connect(sys.argv[1])
        sys.exit(0)
    except OSError as error:
        if time.monotonic() > deadline:
            sys.exit(f"{sys.argv[1]}: {error.strerror}")
    time.sleep(0.02)
"""
# Has systemd start the units that are there; names the socket; 3: neither is, 4: there is no systemd.
_BY_SYSTEMD = """
[ -d /run/systemd/system ] || exit 4
there() { systemctl cat "$1" >/dev/null 2>&1; }
socket=$1; shift
for unit; do there "$unit" || exit 3; done
systemctl start "$@" && echo "$socket"
"""
_PROCESSORS = "import os; print(*sorted(os.sched_getaffinity(0)))"
_HAS_CGROUPS = "[ -w /sys/fs/cgroup/cgroup.subtree_control ] || [ -w /sys/fs/cgroup/memory/cgroup.procs ]"
_LIBVIRT = (
    ("libvirtd", "/run/libvirt/libvirt-sock", ("libvirtd.socket",)),
    ("virtqemud", "/run/libvirt/virtqemud-sock", ("virtqemud.socket", "virtnetworkd.socket")),
)
_DOCKER = (("dockerd", "/run/docker.sock", ("docker.socket",)),)


class RemoteHost(ServedHost):
    """A host that is reached by ssh; a supervisor process holds the connection, see `_remote`.

    Parameters
    ----------
    lab
        The lab it belongs to.
    note
        What the lab remembers of it, see `_remotes`.
    """

    provider = "ssh"

    def __init__(self, lab: Lab, note: _remotes.Note) -> None:
        super().__init__(lab, note["name"], note["address"], Path(note["folder"]), Path(note["socket"]).parent)
        self.note = note
        self.provider = note["provider"]
        self.outlives_lab = not note["stays"]
        self.wire = note.get("wire", Host.wire if note["carrier"] else "")
        self._there: dict[str, Path] = {}  # the server's own sockets

    @classmethod
    def start(
        cls, lab: Lab, name: str, login: Login, *, provider: str = "ssh", address: str = "",
        carrier: Host | None = None, more: Mapping[str, Any] | None = None,
    ) -> Self:  # fmt: skip
        """Connect to a server and have the lab remember it.

        Parameters
        ----------
        login
            How it is reached.
        address
            What other hosts of the lab reach it by; by default the name or address in `login`.
        carrier
            A namespace host of the lab from which it is reached, and with which it ends: it is a virtual machine
            there. By default it is reached from outside of the lab, and what the lab makes on it is removed at
            the lab's end.
        more
            What the provider has the lab remember besides.

        Raises
        ------
        Unreachable, LoginRefused, ServerChanged, PackageMissing, NameInUse, NotEnoughDisk
        """
        note = {**_describe(lab, name, login, provider, address or login.server, carrier), **(more or {})}
        host = cls(lab, note)
        with FileLock(lab.folder / "hosts.lock", timeout=120):
            host.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            host.sockets.mkdir(mode=0o700, exist_ok=True)
            _remotes.write(lab.folder, note)
            try:
                host.check()
                if "cgroups" not in note:
                    note["cgroups"] = host.run(["sh", "-c", _HAS_CGROUPS]).ok
                    _remotes.write(lab.folder, note)
            except BaseException:
                host.leave(give_up=True)
                raise
        return host

    @classmethod
    def restore(cls, lab: Lab, note: _remotes.Note) -> Self:
        """The host that the lab remembers; connects to nothing."""
        return cls(lab, note)

    def _channel(self) -> Channel:
        self.lab.check_open()
        return _remotes.channel(self.note)

    def check(self) -> None:
        """Ask the server whether it is there; raises what keeps it from answering."""
        with self._named(), self._channel() as channel:
            channel.request("ping", timeout_s=self.note.get("connect_s", _CONNECT_S) + 10)

    @property
    def is_alive(self) -> bool:
        try:
            self.check()
        except LabError:
            return False
        return True

    def leave(self, *, give_up: bool = False, gone: bool = False) -> None:
        """Remove from the server what the lab has made there, and forget it.

        Parameters
        ----------
        give_up
            Unless it was never reached.
        gone
            Without asking it: it is no more.
        """
        with contextlib.suppress(LabError), Channel(self.sockets / "ctl", f"host {self.name}") as channel:
            ending = [os.pidfd_open(channel.peer_pid())]
            channel.request("leave", give_up=give_up, gone=gone)
            _remotes.wait(ending)
        _remotes.forget(self.lab.folder, self.name)
        for folder in (self.folder, self.sockets):
            _launch.remove_tree(folder)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of labkit's name this host."""
        try:
            yield
        except LabError as error:
            error.host = error.host or self.name
            raise

    @property
    def has_cgroups(self) -> bool:
        return bool(self.note.get("cgroups"))

    @cached_property
    def processors(self) -> tuple[int, ...]:
        told = self.run([*self.python, "-I", "-S", "-c", _PROCESSORS], check=True).stdout
        return tuple(int(number) for number in told.split())

    @property
    def is_privileged(self) -> bool:
        return True

    # What every host does, with the host's name in errors of the connection

    def _run(
        self, argv: list[str], input: bytes, env: dict[str, str], cwd: str, timeout_s: float
    ) -> tuple[int, bytes, bytes]:
        with self._named():
            return super()._run(argv, input, env, cwd, timeout_s)

    def spawn(self, argv: Sequence[str], fds: Sequence[int]) -> Running:
        with self._named():
            return super().spawn(argv, fds)

    @contextmanager
    def reserve_folder(self, folder: Path, undo: Sequence[Sequence[str]]) -> Iterator[Callable[[], object]]:
        with self._named(), super().reserve_folder(folder, undo) as commit:
            yield commit

    def when_leaving(self, what: str, *commands: Sequence[str]) -> None:
        if not self.outlives_lab:
            return
        folder = self.folder / AT_THE_END
        with self._named():
            if commands:
                self.files.make_folder(folder, there=True)
                self.files.write(folder / what, json.dumps(commands), whole=True)
            else:
                self.files.remove(folder / what)

    # Daemons

    def start_libvirt(self) -> Path:
        return self._forward(self._serve(_LIBVIRT), "libvirt.sock")

    def start_docker(self) -> Path:
        return self._forward(self._serve(_DOCKER), "docker.sock")

    def forward(self, remote: str, name: str) -> Path:
        """Have a socket `name` here lead to one on the server; returns its path."""
        local = self.sockets / name
        with self._named(), self._channel() as channel:
            channel.request("forward", path=str(local), remote=remote)
        return local

    def _forward(self, remote: str, name: str) -> Path:
        local = self.forward(remote, name)
        self._there[name] = Path(remote)
        return local

    def socket_there(self, name: str) -> Path:
        if name not in self._there:
            {"libvirt.sock": self.start_libvirt, "docker.sock": self.start_docker}[name]()
        return self._there[name]

    def _serve(self, known: Sequence[tuple[str, str, tuple[str, ...]]]) -> str:
        """Have one of the daemons run that are known; returns its socket once it answers.

        That is the server's own, by systemd, or one that runs already, or one of the lab's.
        """
        for _, socket, units in known:
            told = self.run(["sh", "-c", _BY_SYSTEMD, "sh", socket, *units], timeout_s=60)
            if told.ok:
                return self._answering(socket, units[0].partition(".")[0])
            if told.exit_code not in (3, 4):
                raise DaemonFailed(f"{units[0]} does not start: {told.stderr.strip()}", host=self.name,
                                   hint=f"see there: journalctl -u {units[0]}")  # fmt: skip
        for daemon, socket, _ in known:
            if self._answers(socket, 0):
                return socket
            if path := program_on(self, daemon):
                self.start_daemon(daemon, [path])
                return self._answering(socket, daemon)
        first = known[0][0]
        raise PackageMissing(f"{first} is not installed on the server", host=self.name,
                             hint=f"there: sudo apt-get install {SERVER_PACKAGES[first]}")  # fmt: skip

    def _answers(self, socket: str, patience_s: float) -> bool:
        argv = [*self.python, "-I", "-S", "-c", _UNTIL_ANSWERS, socket, str(patience_s)]
        return self.run(argv, timeout_s=patience_s + 30).ok

    def _answering(self, socket: str, daemon: str) -> str:
        deadline = time.monotonic() + _START_S
        while not self._answers(socket, _LOOK_S):
            if self.daemon_exit(daemon) not in (None, NEVER_STARTED):
                raise self._failure(daemon, "has ended")
            if time.monotonic() > deadline:
                raise self._failure(daemon, f"does not answer on {socket}")
        return socket

    def _failure(self, daemon: str, what: str) -> DaemonFailed:
        hint = "`labkit doctor --host` checks what it needs"
        return DaemonFailed(f"{daemon} {what}: {self._last_words(daemon)}", host=self.name, hint=hint)

    def _last_words(self, daemon: str) -> str:
        log = str(self.folder / f"{daemon}.log")
        script = 'tail -n 8 "$1" 2>/dev/null || journalctl -q -n 8 --no-pager -u "$2"'
        return self.run(["sh", "-c", script, "sh", log, daemon]).stdout.strip() or "(its log is empty)"

    def why_libvirt_failed(self) -> DaemonFailed | None:
        for daemon, _, _ in _LIBVIRT:
            if (code := self.daemon_exit(daemon)) not in (None, NEVER_STARTED):
                return self._failure(daemon, f"ended with exit code {code}")
        return None


def _describe(lab: Lab, name: str, login: Login, provider: str, address: str, carrier: Host | None) -> _remotes.Note:
    """All that a supervisor needs, and what other processes find the host by."""
    folder, sockets = lab.folder / "hosts" / name, lab.sockets / name
    control = sockets / "ssh"
    _launch.check_length(control.with_name("ssh" + "x" * 18))  # what ssh makes it under
    known = lab.folder / "known_hosts"
    far: dict[str, Any] = {
        "name": name, "lab": str(lab.folder), "folder": str(folder), "origin": _origin(lab.name), "id": lab.identity(),
        "silence_s": 60.0,
    }  # fmt: skip
    return {
        "name": name, "provider": provider, "address": address, "target": login.target, "folder": str(folder),
        "socket": str(sockets / "ctl"), "lock": str(sockets / "lock"), "reserved": str(sockets / "reserved"),
        "control": str(control), "log": str(folder / "ssh.log"), "lab_socket": str(lab.sockets / "ctl"),
        "argv": login.argv(control, known), "far": far, "daemon": carrier is not None, "stays": carrier is not None,
        "carrier": str(carrier.sockets / "ctl") if carrier else "",
        "connect_s": CONNECT_VM_S if carrier else _CONNECT_S,
    }  # fmt: skip


def _origin(lab: str) -> str:
    """Tells the labs of one user on one computer from all others, without saying who that is."""
    note = _paths.state_home() / ".origin"
    if not note.exists():
        fresh = note.with_name(f".origin-{secrets.token_hex(8)}")
        fresh.write_text(secrets.token_hex(16))
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.link(fresh, note)
        fresh.unlink()
    return f"{note.read_text()}-{_launch.key(lab)}"
