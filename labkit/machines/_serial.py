"""The serial console of a virtual machine."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import libvirt

from ._console import Console
from ._libvirt import spoken

if TYPE_CHECKING:
    from ..hosts.base import Host


class SerialConsole(Console):
    """The serial console of a virtual machine.

    What the machine says is read from the log that QEMU keeps of it, so nothing is lost that was
    said before, and several consoles see the same.
    """

    def __init__(self, domain: libvirt.virDomain, log: Path, machine: str, host: Host) -> None:
        super().__init__(machine, host.name)
        self._domain = domain
        self._log, self._files = log, host.files
        self._stream: libvirt.virStream | None = None

    def _read(self) -> str:
        try:
            return self._files.read_text(self._log)
        except FileNotFoundError:
            return ""

    def write(self, text: str) -> None:
        if self._stream is None:
            with spoken(self._host, self._machine):
                stream = self._domain.connect().newStream()
                self._domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
            self._stream = stream
            self._seen = len(self._read())
            threading.Thread(target=_drain, args=(stream,), name="labkit-console", daemon=True).start()
        with spoken(self._host, self._machine):
            self._stream.send(text.encode())

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(libvirt.libvirtError):  # the machine may be gone
                stream.abort()


def _drain(stream: libvirt.virStream) -> None:
    """Read and drop: the log has it already, and a full pipe would stop the guest."""
    with contextlib.suppress(libvirt.libvirtError):
        while stream.recv(65536):
            pass
