"""What carries a QEMU machine at rest to another host: its description, its snapshots, and its disk if need be."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import libvirt

from ..errors import LabError, LabGone, NotFound
from ..operations._carrier import Carrier
from ..operations._flow import PUT, TAKE
from ..operations.spec import Obstacle
from ..storage.images import Image
from ..storage.images import get as get_image
from ._kvm_machine import IDENTITY
from ._libvirt import spoken

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..operations._flow import Flow
    from ._kvm_machine import KvmMachine

_SECURE = libvirt.VIR_DOMAIN_XML_SECURE
# MACHINE DISK VIRSH…: also what libvirt is just about to start, or to describe.
_END = """
name=$1 disk=$2 tries=0
shift 2
while [ $tries -lt 100 ]; do
    "$@" destroy "$name" 2>/dev/null
    "$@" undefine "$name" --snapshots-metadata 2>/dev/null
    [ $tries -lt 2 ] || "$@" domstate "$name" >/dev/null 2>&1 || break
    sleep 0.1
    tries=$((tries + 1))
done
[ -z "$disk" ] || rm -f -- "$disk"
"""
# MACHINE VIRSH…
_REST = """
name=$1 tries=0
shift
while [ $tries -lt 60 ] && [ "$("$@" domstate "$name")" = running ]; do
    [ $((tries % 20)) -ne 0 ] || "$@" shutdown "$name"
    sleep 0.5
    tries=$((tries + 1))
done
"""


class KvmCarrier(Carrier):
    """Carries what libvirt knows of a machine; its disk only to a host that does not see it where it is."""

    machine: KvmMachine

    def __init__(self, machine: KvmMachine, to: Host) -> None:
        self.machine, self.source, self.to = machine, machine.host, to
        self._disk = machine.disk()
        self._shared = self.source.files.are_those_of(to.files)
        self._image: Image | None = None

    def obstacles(self) -> Iterator[Obstacle]:
        from ..hosts.doctor import require_memory

        name, to = self.machine.name, self.to
        with contextlib.suppress(NotFound):
            to.kvm[name]
            yield Obstacle(f"{to.name} has a machine {name} already", "destroy that one, or give another host")
        try:
            require_memory(self.machine.spec.memory_bytes, to)
        except LabError as error:
            yield Obstacle(f"{to.name} has no room: {error.message}", error.hint)
        if self.machine.acceleration == "kvm" and not to.kvm.acceleration().is_kvm:
            yield Obstacle(f"KVM does not work on {to.name}", to.kvm.acceleration().reason)

    def why_not_live(self) -> None:
        """libvirt moves its memory, see `KvmMigration`."""

    def measure(self) -> int:
        if self._shared:
            return 0
        found = self.source.files.status(self._disk)
        return found.taken_bytes if found else 0

    def prepare(self, flow: Flow) -> None:
        self.clear(self.to)  # left there by a move during which two things died
        if self._shared:
            return
        flow.phase = "copying its image"
        self._image = self.to.kvm.brought(get_image(self.machine.spec.image))
        self.to.files.make_folder(self.machine.folder, there=True)

    def copy(self, flow: Flow) -> None:
        if not self._shared:
            self._copy_files(flow)
        with spoken(self.source.name, self.machine.name):
            domain = self.source.kvm.connection().lookupByName(self.machine.name)
            texts = [(self._there(domain.XMLDesc(_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE)))]
            snapshots = domain.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)
            kept = [(self._there(one.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)), one.isCurrent())
                    for one in snapshots]  # fmt: skip
        with spoken(self.to.name, self.machine.name):
            copy = self.to.kvm.connection().defineXML(texts[0])
            for text, is_current in kept:
                current = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT if is_current else 0
                copy.snapshotCreateXML(text, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | current)

    def _there(self, xml: str) -> str:
        """The description with the paths that hold at the destination."""
        if self._image is None:
            return xml
        root = ElementTree.fromstring(xml)
        for boot in root.iter("os"):
            for name in ("kernel", "initrd"):
                if (path := boot.find(name)) is not None:
                    path.text = str(getattr(self._image, name))
        return ElementTree.tostring(root, encoding="unicode")

    def _copy_files(self, flow: Flow) -> None:
        folder, files = self.machine.folder, self.source.files
        names = [name for name in (self._disk.name, "console.log", *IDENTITY) if files.exists(folder / name)]
        flow.copy(self.source, [*TAKE, f"--directory={folder}", *names], self.to, [*PUT, f"--directory={folder}"])
        backing = self._backing()
        if backing and self._image:
            base = ["qemu-img", "rebase", "-u", "-F", "raw", "-b", str(self._image.disk), str(self._disk)]
            self.to.run(base, check=True)

    def _backing(self) -> bool:
        """Whether its disk stands on its image's; after a live move that took it along it stands on nothing."""
        told = self.source.run(["qemu-img", "info", "-U", "--output=json", str(self._disk)], check=True).stdout
        return '"backing-filename"' in told

    def begin(self, deadline: float) -> None:
        self.machine.begin(deadline)

    def ending(self, host: Host) -> list[str]:
        disk = "" if self._shared else str(self._disk)
        return ["sh", "-uc", _END, "labkit", self.machine.name, disk, *host.kvm.virsh()]

    def clear(self, host: Host) -> None:
        with contextlib.suppress(LabError, LabGone):  # the host may have ended
            host.run(self.ending(host))

    def starting(self, *, frozen: bool) -> list[str]:
        """Let it come to its stop, and stay so: whoever starts it has to tell the guest who it is."""
        return ["sh", "-uc", _REST, "labkit", self.machine.name, *self.source.kvm.virsh()]
