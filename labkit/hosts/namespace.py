"""Hosts that are namespaces on this machine: the provider that needs no set-up."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from .._paths import PYTHON, disk_room
from ..errors import Busy, DaemonFailed, LabError
from . import _dockerd, _launch, _libvirtd
from ._channel import Channel
from ._served import ServedHost

if TYPE_CHECKING:
    from ..lab import Lab

_LONGEST_SOCKET = "virtnetworkd-admin-sock"
_UNTIL_THERE = 'until [ -S "$1" ]; do sleep 0.02; done'


class NamespaceHost(ServedHost):
    """A host in network, mount, PID, UTS and IPC namespaces of its own inside the lab's."""

    provider = "namespace"
    python = (PYTHON,)
    shares_files = True

    @classmethod
    def start(cls, lab: Lab, name: str) -> NamespaceHost:
        """Have the lab's first process make the host, unless it is there already."""
        folder, sockets = lab.folder / "hosts" / name, lab.sockets / name
        _launch.check_length(sockets / "libvirt" / _LONGEST_SOCKET)
        with lab.channel() as channel, FileLock(lab.folder / "hosts.lock", timeout=60):
            if _has_ended(channel, name, sockets):
                clear(lab, name)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sockets.mkdir(mode=0o700, exist_ok=True)
            answer = channel.request(
                "host", name=name, run_dir=str(sockets), state_dir=str(folder),
                folders=_folders(folder), files=_libvirtd.write_accounts(folder),
                keep=[str(path) for path in lab.kept_folders()],
            )  # fmt: skip
        return cls(lab, name, answer["address"], folder, sockets)

    def _channel(self) -> Channel:
        try:
            return Channel(self.sockets / "ctl", f"host {self.name}")
        except LabError as error:
            error.hint = f'make it again with lab.add_host("{self.name}")'
            raise

    @property
    def has_cgroups(self) -> bool:
        return self.lab.has_cgroups

    @property
    def processors(self) -> tuple[int, ...]:
        return tuple(sorted(os.sched_getaffinity(0)))

    @property
    def is_privileged(self) -> bool:
        return os.geteuid() == 0

    def start_libvirt(self) -> Path:
        directory = self.sockets / "libvirt"
        with disk_room(self.folder), self._channel() as channel:
            _libvirtd.configure(self.folder, directory, cgroups=self.has_cgroups)
            for name, path in _libvirtd.daemons().items():
                log = self.folder / f"{name}.log"
                channel.request(
                    "daemon", name=name, log=str(log),
                    argv=[path, "-f", f"/etc/libvirt/{name}.conf", "-p", f"/run/libvirt/{name}.pid"],
                )  # fmt: skip
            main, *others = _libvirtd.daemons()
            socket = directory / ("libvirt-sock" if main == "libvirtd" else "virtqemud-sock")
            _libvirtd.wait_for_socket(
                socket, lambda: self._exit_code(channel, main), self.folder / f"{main}.log", self.name
            )
        for name in others:  # virtqemud answers before those which it needs, inside of the host
            self.run(["sh", "-c", _UNTIL_THERE, "sh", f"/run/libvirt/{name}-sock"], timeout_s=30, check=True)
        plain = self.sockets / "libvirt.sock"
        with contextlib.suppress(FileExistsError):
            plain.symlink_to(socket)
        return plain

    def why_libvirt_failed(self) -> DaemonFailed | None:
        main = next(iter(_libvirtd.daemons()))
        deadline = time.monotonic() + 1  # one that is about to end has hung up before it has ended
        with self._channel() as channel:
            while (code := self._exit_code(channel, main)) is None and time.monotonic() < deadline:
                time.sleep(0.01)
        if code is None:
            return None
        return _libvirtd.failure(f"ended with exit code {code}", self.folder / f"{main}.log", self.name)

    def close(self) -> None:
        _libvirtd.keep_capabilities(self.folder)
        super().close()


def _folders(state: Path) -> dict[str, str]:
    """What is mounted where in a host, for its daemons and engines: ``{inside: outside}``."""
    return {**_libvirtd.folders(state), **_dockerd.folders(state), "/var/lib/lxc": str(state / "var-lib-lxc")}


def _has_ended(lab: Channel, name: str, sockets: Path, timeout_s: float = 10) -> bool:
    """Whether the lab had a host `name` that is no more; waits for one that is about to end."""
    deadline = time.monotonic() + timeout_s
    while (known := lab.request("info")["hosts"].get(name)) and known["exit"] is None:
        with contextlib.suppress(LabError):
            Channel(sockets / "ctl", f"host {name}").close()
            return False
        if time.monotonic() > deadline:
            raise Busy(f"what ran on host {name} does not end", hint="try again, or end the lab")
        time.sleep(0.005)
    return known is not None


def clear(lab: Lab, name: str) -> None:
    """Remove what a host that ended has left: its files, its machines and their addresses."""
    for note in lab.folder.glob("machines/*/host"):
        if note.read_text() == name:
            for network in lab.networks:
                network.release(note.parent.name)
            _launch.remove_tree(note.parent)
    for folder in (lab.folder / "hosts" / name, lab.sockets / name):
        _launch.remove_tree(folder)
