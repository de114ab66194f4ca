"""Virtual machines from ``vagrant/hosts.yml`` as hosts of a lab.

They run in the libvirt of a host of the lab, their carrier, so nothing of this machine's own is touched,
and they end with the lab. Between them and the lab's other hosts there is a way, but none out.
Or they run in this machine's own libvirt, reach each other only, and outlive the lab.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidValue, LabError
from . import _remotes, _vagrant_file, _vagrant_ready
from ._boots_xen import BootsXen
from ._libvirtd import tls_folder
from ._login import Login
from ._remotes import Note
from .acceleration import acceleration
from .remote import CONNECT_VM_S, RemoteHost
from .vagrant import AT_END, SshConfig, VagrantProject, VagrantState

if TYPE_CHECKING:
    from ..lab import Lab
    from .base import Host

CARRIER = "carrier"
# QEMU cannot load the state of an emulated processor that was in a guest of its own when it was saved ("vCPU set in
# guest-mode"). So nobody's guest runs at that moment; the list of those that are to go on is in the saved memory.
_HOLD = """
command -v virsh >/dev/null || exit 0
virsh -q -c "$1" list --name --state-running | grep -v -x -e Domain-0 -e '' | while read -r machine; do
    virsh -q -c "$1" suspend "$machine" && echo "$machine"
done >>/run/labkit-held
"""
_GO_ON = """
[ -s /run/labkit-held ] || exit 0
while read -r machine; do virsh -q -c "$1" resume "$machine" || true; done </run/labkit-held
rm /run/labkit-held
"""
_HOLD_S = 120.0
_CERTIFICATES = 'mkdir -p /etc/pki && ln -sfn "$1" /etc/pki/qemu'


@dataclass(frozen=True, slots=True)
class Vagrant:
    """The hosts of a ``hosts.yml``, for ``Lab.open("class", hosts=Vagrant("vagrant/"))``.

    Attributes
    ----------
    folder
        With ``Vagrantfile`` and ``hosts.yml``.
    only
        The names of some of its hosts; by default all.
    carrier
        The host of the lab that they run on; it is made if it is not there. None: they run in this machine's own
        libvirt, are those that ``vagrant`` in the folder shows, and outlive the lab.
    at_end
        Without a carrier: what becomes of them when the last lab that uses them ends. ``"suspend"``, with their
        memory written to disk, ``"halt"``, or ``"keep"``, running.
    kept
        Whether the first of each description is kept in the cache when it has just been made, and others begin as
        its copies, in a fraction of the time; only on a carrier.
    """

    folder: Path | str = "vagrant"
    only: tuple[str, ...] = ()
    carrier: str | None = CARRIER
    kept: bool = False
    at_end: str = "suspend"

    def __post_init__(self) -> None:
        if self.at_end not in AT_END:
            raise InvalidValue(f"{ascii(self.at_end)[:40]} is not what can become of a host",
                               hint=f"give at_end one of {', '.join(AT_END)}")  # fmt: skip

    def names(self) -> tuple[str, ...]:
        """The hosts that it describes; raises `InvalidFile` for a mistake in ``hosts.yml``."""
        return tuple(self.only) or tuple(_vagrant_file.read(Path(self.folder) / "hosts.yml").hosts)

    def start(self, lab: Lab, name: str) -> Host:
        """Bring a host up, or find it, and connect to it; see `VagrantProject.up` for what is raised."""
        carrier = self._carrier(lab)
        project = VagrantProject(self.folder, carrier)
        with project.using(name):
            config = project.up(name, kept=self.kept)
            more: dict[str, Any] = {
                "project": str(project.folder), "engines": list(project.file.hosts[name].engines),
            }  # fmt: skip
            if carrier:
                more |= {"carrier_name": carrier.name, "way": carrier.address, "subnet": str(_vagrant_ready.SUBNET)}
            else:
                more |= {"wire": VagrantHost.provider, "in_use": str(project.in_use(name)),
                         "after": project.at_end(name, self.at_end), "connect_s": CONNECT_VM_S}  # fmt: skip
            host = _kind(more).start(
                lab, name, _login(config, project.identity(name)), provider=VagrantHost.provider,
                address=config.address, carrier=carrier, more=more,
            )  # fmt: skip
            host.join()
        return host

    def _carrier(self, lab: Lab) -> Host | None:
        if self.carrier is None:
            return None
        carrier = lab.hosts.get(self.carrier)
        return carrier if carrier and carrier.is_alive else lab.add_host(self.carrier)


class VagrantHost(RemoteHost):
    """A host that is a virtual machine of Vagrant's, on another host of the lab or on this machine."""

    provider = "vagrant"

    @classmethod
    def restore(cls, lab: Lab, note: Note) -> VagrantHost:
        return _kind(note)(lab, note)

    @property
    def carrier(self) -> Host | None:
        """The host of the lab that it runs on; None: this machine."""
        name = self.note.get("carrier_name")
        return self.lab[name] if name else None

    @property
    def project(self) -> VagrantProject:
        """What Vagrant is asked with."""
        return VagrantProject(self.note["project"], self.carrier)

    def status(self) -> VagrantState:
        """How the virtual machine stands; asks libvirt."""
        return self.project.status(self.name)

    def suspend(self) -> None:
        """Write its memory to disk and end it, with all machines on it; `resume` goes on from there."""
        holds = not acceleration().is_kvm and self.status() is VagrantState.RUNNING
        try:
            if holds:
                self._tell_libvirt(_HOLD)
            self.close()
            self.project.suspend(self.name)
        except LabError:
            if holds:
                with contextlib.suppress(LabError):
                    self._tell_libvirt(_GO_ON)
            raise

    def _tell_libvirt(self, script: str) -> None:
        """Run a script on the host; its first argument is the name of libvirt's driver there."""
        driver = "xen:///system" if self.has_xen else "qemu:///system"
        self.run(["sh", "-uc", script, "sh", driver], timeout_s=_HOLD_S, check=True)

    def resume(self) -> None:
        """Have it run again, suspended or halted."""
        self.project.up(self.name)
        self.check()
        self.join()
        self._tell_libvirt(_GO_ON)

    def join(self) -> None:
        """Have it know what time it is and, by its carrier, the way to the lab's other hosts, and they to it."""
        if carrier := self.carrier:
            carrier.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
            backbone = carrier.address.rpartition(".")[0] + ".0/24"
            self.run(["ip", "route", "replace", backbone, "via", _vagrant_ready.GATEWAY], check=True)
        self.run(["date", "-s", f"@{time.time():.3f}"], check=True)  # in memory on a disk none passes
        # Where QEMU looks for the certificates with which machines move.
        self.run(["sh", "-euc", _CERTIFICATES, "sh", str(tls_folder(self.folder))], check=True)
        _remotes.show_ways_to_all(self.lab)

    def halt(self) -> None:
        """Shut it down; `resume` boots it."""
        self.close()
        self.project.halt(self.name)

    def destroy(self) -> None:
        """Remove the virtual machine and its disk, with all machines on it; the lab forgets it."""
        self.close()
        self.project.destroy(self.name)
        self.leave(gone=True)


class VagrantXenHost(BootsXen, VagrantHost):
    """A virtual machine of Vagrant's that boots Xen."""


def _kind(note: Mapping[str, Any]) -> type[VagrantHost]:
    return VagrantXenHost if "xen" in note.get("engines", ()) else VagrantHost


def _login(config: SshConfig, identity: str) -> Login:
    # One that was made anew has another key at the same address.
    options = (f"HostKeyAlias=vagrant-{identity}", "ConnectTimeout=60")
    return Login(f"{config.user}@{config.address}", config.port, str(config.key), options)
