"""The disks of Xen machines: files that are block devices in the domain 0 that a machine is on, by NBD.

They lie beside the lab, and one server on the carrier has all of them open, so two hosts that reach the same
disk, as they do while a machine moves, always see the same; or in the domain 0 itself, where that has a disk of
its own. Source of the protocol:
https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EngineError, LabError, LabGone
from ..hosts._xen_line import Monitor, wait_for_socket

if TYPE_CHECKING:
    from ..hosts.base import Host

PORT = 10809  # that of NBD by IANA
_DAEMON = "xen-disks"
_PROGRAM = "qemu-storage-daemon"
_PATIENCE_S = 30.0
_LINKS = Path("/run/labkit-disks")  # in domain 0
# Lets nobody but the domains 0 themselves ask for disks: $1 the server's address, $2 its port.
_GUARD = """
nft list table inet labkit_disks >/dev/null 2>&1 || nft -f - <<END
table inet labkit_disks {
    chain asked { type filter hook input priority 0; ip daddr $1 tcp dport $2 ip saddr != ${1%.*}.0/24 drop; }
    chain passed { type filter hook forward priority 0; ip daddr $1 tcp dport $2 drop; }
}
END
"""
# Connects a device: $1 the link to it, $2 what it is connected with, then the command, whose last word is the device.
_CONNECT = """
link=$1 export=$2
shift 2
mkdir -p "${link%/*}"
exec 9>"${link%/*}/.lock"
flock 9
used() { [ -e "/sys/block/${1##*/}/pid" ]; }
answers() { timeout 20 dd "if=$1" of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null; }
device=$(readlink "$link") || device=
if [ -n "$device" ]; then
    # A device whose server has died is still connected.
    used "$device" && [ "$(cat "$link.export")" = "$export" ] && answers "$device" && exit 0
    nbd-client -d "$device" >/dev/null 2>&1
    rm -f "$link" "$link.export"
fi
for folder in /sys/block/nbd*; do
    device=/dev/${folder##*/}
    used "$device" && continue
    if said=$("$@" "$device" 2>&1 9>&-); then
        printf %s "$export" >"$link.export"
        ln -s "$device" "$link"
        exit 0
    fi
done
echo "${said:-no device is free}" >&2
exit 1
"""
# Lets a device go: $1 the link to it. Who serves it in the same domain 0 ends then, when all is written.
LET_GO = """
device=$(readlink "$1") || exit 0
read -r pid <"/sys/block/${device##*/}/pid" || pid=
nbd-client -d "$device" >/dev/null 2>&1
rm -f "$1" "$1.export"
tries=0
while [ -n "$pid" ] && [ -e "/proc/$pid" ] && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
"""


class Disks(ABC):
    """Where the disks of a host's machines lie, and how they get into domain 0."""

    @abstractmethod
    def connect(self, host: Host, name: str, file: Path, form: str) -> Path:
        """Have a file be a block device in a domain 0; returns its path there, which is the same on every host.

        Parameters
        ----------
        form
            ``qcow2`` or ``raw``.
        """

    @abstractmethod
    def withdraw(self, file: Path) -> None:
        """Have a file closed that no domain 0 has any more, with all that was written to it."""

    @staticmethod
    def let_go(host: Host, name: str) -> None:
        """Have a domain 0 forget a disk."""
        with contextlib.suppress(LabError):  # it has ended
            host.run(["sh", "-uc", LET_GO, "sh", str(link_of(name))])


class ServedDisks(Disks):
    """Disks on a carrier; its server is started as it is needed.

    Parameters
    ----------
    carrier
        The host that has the files.
    address
        Where its Xen hosts reach it.
    """

    def __init__(self, carrier: Host, address: str) -> None:
        self._carrier = carrier
        self._address = address

    @property
    def _socket(self) -> Path:
        return self._carrier.sockets / _DAEMON

    def _open(self) -> Monitor:
        """A line to the server; starts it unless it runs."""
        deadline = time.monotonic() + _PATIENCE_S
        with contextlib.suppress(LabGone):
            return Monitor(self._socket, self._carrier.name, deadline)
        self._carrier.run(["sh", "-euc", _GUARD, "sh", self._address, str(PORT)], check=True)
        log = self._carrier.start_daemon(
            _DAEMON,
            [_PROGRAM, "--chardev", f"socket,id=qmp,path={self._socket},server=on,wait=off", "--monitor", "chardev=qmp",
             "--nbd-server", f"addr.type=inet,addr.host={self._address},addr.port={PORT},max-connections=0"],
        )  # fmt: skip
        wait_for_socket(self._socket, deadline)
        try:
            return Monitor(self._socket, self._carrier.name, deadline)
        except LabGone as error:
            with contextlib.suppress(OSError):
                error.message += f"; its log says: {log.read_text()[-400:].strip()}"
            raise

    def serve(self, file: Path, form: str) -> str:
        """Have a file of the carrier's served, unless it is: returns the name of the export.

        Parameters
        ----------
        form
            ``qcow2`` or ``raw``.
        """
        name = _export(file)
        with self._open() as server:
            self._sweep(server)
            if name in _served(server):
                return name
            node = {"node-name": name, "driver": form, "discard": "unmap", "read-only": False}
            below = {"driver": "file", "filename": str(file), "discard": "unmap"}
            with contextlib.suppress(EngineError):  # one who died has left it without an export
                server.ask("blockdev-del", **{"node-name": name})
            server.ask("blockdev-add", **node, file=below)
            server.ask("block-export-add", type="nbd", id=name, name=name, writable=True, **{"node-name": name})
        return name

    def withdraw(self, file: Path) -> None:
        with contextlib.suppress(LabGone), Monitor(
            self._socket, self._carrier.name, time.monotonic() + _PATIENCE_S
        ) as server:  # fmt: skip
            _close(server, _export(file))

    def _sweep(self, server: Monitor) -> None:
        """Close what is open of machines that are no more."""
        for node in server.ask("query-named-block-nodes", flat=True):
            name, file = node["node-name"], Path(node["file"])
            if name.startswith("d-") and file.is_absolute() and not self._carrier.files.exists(file):
                _close(server, name)

    # On a Xen host

    def connect(self, host: Host, name: str, file: Path, form: str) -> Path:
        export, link = self.serve(file, form), link_of(name)
        host.run(["sh", "-euc", _GUARD, "sh", self._address, str(PORT)], check=True)
        _connect(host, link, export, ["nbd-client", "-N", export, self._address, str(PORT)])
        return link


class OwnDisks(Disks):
    """Disks that lie in the domain 0 of the machines: only those on this host can have them."""

    def connect(self, host: Host, name: str, file: Path, form: str) -> Path:
        link = link_of(name)
        _connect(host, link, str(file), ["qemu-nbd", "-f", form, "--discard=unmap", str(file), "-c"])
        return link

    def withdraw(self, file: Path) -> None:
        pass  # who let it go has closed it


def _connect(host: Host, link: Path, export: str, command: list[str]) -> None:
    done = host.run(["sh", "-uc", _CONNECT, "sh", str(link), export, *command], timeout_s=90)
    if not done.ok:
        raise EngineError(
            f"the disk {link.name} could not be connected: {done.stderr.strip()[-300:]}", host=host.name,
            machine=link.name, hint="the host's domain 0 needs nbd-client and the module nbd",
        )  # fmt: skip


def link_of(name: str) -> Path:
    """The path of a machine's disk in domain 0."""
    return _LINKS / name


def _export(file: Path) -> str:
    """A name for a file that QEMU takes: it is short."""
    return "d-" + hashlib.sha256(str(file).encode()).hexdigest()[:20]


def _served(server: Monitor) -> list[str]:
    return [export["id"] for export in server.ask("query-block-exports")]


def _close(server: Monitor, name: str) -> None:
    with contextlib.suppress(EngineError):  # it is not served
        server.ask("block-export-del", id=name, mode="hard")
    deadline = time.monotonic() + 10
    while name in _served(server) and time.monotonic() < deadline:
        time.sleep(0.02)
    with contextlib.suppress(EngineError):  # it is not open
        server.ask("blockdev-del", **{"node-name": name})
