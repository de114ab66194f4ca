"""Lines of a virtual machine: its serial console, and a shell in it over the lab's network."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from typing import TYPE_CHECKING

from ..errors import LabError, NotSupported
from ..hosts._login import make_key
from ._line import HISTORY_BYTES, CommandLine, Line

if TYPE_CHECKING:
    from ._libvirt_machine import LibvirtMachine

_EAGER_S, _LAZY_S, _EAGER_FOR_S = 0.02, 0.2, 10.0
_PIECE = 1 << 16


class SerialLine(Line):
    """The serial console: heard from the log that its host keeps of it, so nothing said before is lost."""

    def __init__(self, machine: LibvirtMachine) -> None:
        super().__init__()
        self._machine = machine
        self._log = machine.log
        self._host, self._console = machine.host, machine.console()
        self._files = machine.host.files
        self._at = 0
        self._ended = threading.Event()
        self._eager_until = 0.0

    def _past(self) -> bytes:
        if not self._at:  # nobody listens yet
            self._files = self._machine.host.files
            with contextlib.suppress(OSError, LabError):
                found = self._files.status(self._log)
                self._at = found.size_bytes if found else 0
        return self._read(max(0, self._at - HISTORY_BYTES), self._at)

    def _keep_up(self) -> None:
        """Go on with another log from its begin if the machine has moved to where it has another."""
        files = self._machine.host.files
        if not files.are_those_of(self._files):
            self._at = 0
        self._files = files

    def _read(self, begin: int, end: int) -> bytes:
        with contextlib.suppress(OSError, LabError):
            return self._files.read(self._log, begin, end - begin)
        return b""

    def _open(self) -> None:
        self._ended = threading.Event()
        threading.Thread(target=self._listen, args=(self._ended,), name="labkit-line", daemon=True).start()

    def _listen(self, ended: threading.Event) -> None:
        """Look at the log's end: often while something is going on, else five times a second."""
        while not ended.is_set():
            with self._lock:
                self._keep_up()
                data = self._read(self._at, self._at + _PIECE)
                self._at += len(data)
                if data:
                    self._say(data)
            now = time.monotonic()
            if data:
                self._eager_until = now + _EAGER_FOR_S
            if len(data) < _PIECE:
                ended.wait(_EAGER_S if now < self._eager_until else _LAZY_S)

    def write(self, data: bytes) -> None:
        self._eager_until = time.monotonic() + _EAGER_FOR_S
        if self._host is not self._machine.host:  # it has moved, and so has its keyboard
            self._console.close()
            self._host, self._console = self._machine.host, self._machine.console()
        self._console.write(data.decode(errors="replace"))

    def resize(self, rows: int, columns: int) -> None:
        """Tell the guest's terminal; a serial port has no other way to say it."""

        def tell() -> None:
            with contextlib.suppress(LabError):  # it is not up, or has no agent: a size is no matter of life
                words = ["stty", "-F", self._machine.tty, "rows", str(rows), "cols", str(columns)]
                self._machine.run(words, timeout_s=5)

        threading.Thread(target=tell, name="labkit-resize", daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self._at = 0
        self._console.close()


def shell(machine: LibvirtMachine) -> CommandLine:
    """A shell in the guest by ssh, from the host that has an address on the guest's network.

    Raises
    ------
    NotSupported
        If the guest has no network.
    """
    lab = machine.host.lab
    if not machine.spec.interfaces:
        raise NotSupported(
            f"{machine.name} has no network to reach a shell over", machine=machine.name, host=machine.host.name,
            hint='use line("console"), or create it with networks=[…]',
        )  # fmt: skip
    card = machine.spec.interfaces[0]
    home = lab[lab.networks[card.network].home]
    key, known = lab.folder / "ssh_ed25519", machine.folder / "known_hosts"
    if not home.files.exists(key):
        make_key(home, key)
    public = home.run(["cat", f"{key}.pub"], check=True).stdout
    authorize = f"authorize {base64.b64encode(public.encode()).decode()}\n"
    machine.run(["/usr/sbin/labkit-identity"], input=authorize, check=True)
    own_key = machine.folder / "ssh_host_ed25519_key"
    host_key = machine.keeper.run(["ssh-keygen", "-y", "-f", str(own_key)], check=True).stdout
    home.files.make_folder(known.parent, there=True)
    home.run(["tee", str(known)], input=f"{card.address} {host_key}", check=True)
    options = [
        f"UserKnownHostsFile={known}",
        "LogLevel=ERROR",
        "StrictHostKeyChecking=yes",
        "ConnectTimeout=10",
        "ConnectionAttempts=15",
    ]  # sshd may just be starting
    flags = [word for option in options for word in ("-o", option)]
    return CommandLine(home, ["ssh", "-tt", "-i", str(key), *flags, f"root@{card.address}"])
