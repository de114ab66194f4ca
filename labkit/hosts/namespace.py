"""Hosts that are namespaces on this machine: the provider that needs no set-up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _libvirtd
from ._channel import Channel, RequestRefused, run_captured, spawn
from .base import Host
from ..errors import DaemonFailed, DeadlineExceeded, EngineError, LabError

if TYPE_CHECKING:
    from ..lab import Lab


class NamespaceHost(Host):
    """A host in network, mount, PID, UTS and IPC namespaces of its own inside the lab's."""

    provider = "namespace"

    @classmethod
    def start(cls, lab: Lab, name: str) -> NamespaceHost:
        """Have the lab's first process make the host, unless it is there already."""
        folder, sockets = lab.folder / "hosts" / name, lab.sockets / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sockets.mkdir(mode=0o700, exist_ok=True)
        _libvirtd.write_accounts(folder)
        with lab.channel() as channel:
            answer = channel.request(
                "host", name=name, run_dir=str(sockets), state_dir=str(folder),
                folders=_libvirtd.folders(folder), keep=[str(path) for path in lab.kept_folders()],
            )  # fmt: skip
        return cls(lab, name, answer["address"], folder, sockets)

    def _channel(self) -> Channel:
        try:
            return Channel(self.sockets / "ctl", f"host {self.name}")
        except LabError as error:
            error.hint = f'make it again with lab.add_host("{self.name}")'
            raise

    @property
    def is_alive(self) -> bool:
        try:
            self._channel().close()
        except LabError:
            return False
        return True

    def _run(self, argv: list[str], input: bytes, env: dict[str, str], cwd: str, timeout_s: float) -> tuple[int, bytes, bytes]:  # fmt: skip
        with self._channel() as channel:
            try:
                code, out, err, _ = run_captured(
                    channel, argv, input=input, env=env, cwd=cwd, timeout_s=timeout_s
                )
            except DeadlineExceeded as error:
                raise DeadlineExceeded(
                    f"`{argv[0]}` did not end within {timeout_s:g} s and was killed",
                    host=self.name, hint="give it longer with timeout_s=…",
                ) from error  # fmt: skip
            except RequestRefused as error:
                hint = "is the program installed?"
                raise EngineError(error.message, host=self.name, hint=hint) from error
        return code, out, err

    @contextmanager
    def reserve_folder(self, folder: Path, undo: Sequence[Sequence[str]]) -> Iterator[None]:
        with self._channel() as channel:
            try:
                channel.request("begin", folder=str(folder), undo=[list(step) for step in undo])
            except RequestRefused as error:
                if folder.exists():
                    raise FileExistsError(str(folder)) from error
                raise
            try:
                yield
            finally:
                # Alive, so the caller takes back itself what is to be taken back.
                channel.request("commit")

    def start_libvirt(self) -> Path:
        directory = self.sockets / "libvirt"
        with self._channel() as channel:
            for name, path in _libvirtd.daemons().items():
                config = Path(_libvirtd.folders(self.folder)["/etc/libvirt"]) / f"{name}.conf"
                if not config.exists():
                    _libvirtd.configure(self.folder, directory, cgroups=self.lab.has_cgroups)
                log = self.folder / f"{name}.log"
                channel.request(
                    "daemon", name=name, log=str(log),
                    argv=[path, "-f", f"/etc/libvirt/{name}.conf", "-p", f"/run/libvirt/{name}.pid"],
                )  # fmt: skip
            main = next(iter(_libvirtd.daemons()))
            socket = directory / ("libvirt-sock" if main == "libvirtd" else "virtqemud-sock")
            _libvirtd.wait_for_socket(
                socket, lambda: self._exit_code(channel, main), self.folder / f"{main}.log", self.name
            )
        plain = self.sockets / "libvirt.sock"
        with contextlib.suppress(FileExistsError):
            plain.symlink_to(socket)
        return plain

    def why_libvirt_failed(self) -> DaemonFailed | None:
        main = next(iter(_libvirtd.daemons()))
        with self._channel() as channel:
            code = self._exit_code(channel, main)
        if code is None:
            return None
        return _libvirtd.failure(f"ended with exit code {code}", self.folder / f"{main}.log", self.name)

    @staticmethod
    def _exit_code(channel: Channel, daemon: str) -> int | None:
        known: dict[str, Any] = channel.request("daemons")["daemons"]
        code: int | None = known[daemon]["exit"] if daemon in known else -1
        return code

    def spawn(self, argv: Sequence[str], fds: Sequence[int]) -> Any:
        """Start a command with the given standard streams; it ends when the result is closed."""
        return spawn(self._channel(), argv, fds)

    def close(self) -> None:
        _libvirtd.keep_capabilities(self.folder)
        super().close()
