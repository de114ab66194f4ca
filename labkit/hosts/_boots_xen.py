"""What all hosts that boot Xen have in common, wherever they run."""

from __future__ import annotations

from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from .._values import format_size
from ..errors import NotSupported
from .remote import RemoteHost

if TYPE_CHECKING:
    from pathlib import Path

    from ..machines.docker import DockerEngine
    from ..machines.kvm import KvmEngine
    from ..machines.lxc import LxcEngine
    from .base import Host


class BootsXen(RemoteHost):
    """A host whose Debian is Xen's domain 0; what is run on it runs there."""

    marks = MappingProxyType({"xen": "libvirt.sock"})
    has_xen = True

    @property
    def keeper(self) -> Host:
        """The host that has the files of its machines, with their disks."""
        return self

    def _refuse(self, what: str) -> NoReturn:
        raise NotSupported(f"{what} does not run on a Xen host: its machines are Xen's", host=self.name,
                           hint=f"{self.name}.xen makes them; a host in namespaces has the other engines")  # fmt: skip

    @cached_property
    def kvm(self) -> KvmEngine:
        """Raises `NotSupported`."""
        self._refuse("KVM")

    @cached_property
    def docker(self) -> DockerEngine:
        """Raises `NotSupported`."""
        self._refuse("Docker")

    @cached_property
    def lxc(self) -> LxcEngine:
        """Raises `NotSupported`."""
        self._refuse("LXC")

    def start_docker(self) -> Path:
        self._refuse("Docker")

    def facts(self) -> list[tuple[str, str]]:
        told = self.run(["sh", "-c", "xl info; cat /proc/sys/kernel/osrelease"], check=True).stdout
        info = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in told.splitlines())}
        total, free = (int(info[key]) * 2**20 for key in ("total_memory", "free_memory"))
        used = ", ".join(engine.kind for engine in self.engines()) or "none yet"
        return [
            ("processors", info["nr_cpus"]), ("memory", f"{format_size(free)} free of {format_size(total)}"),
            ("engines in use", used), ("hypervisor", f"Xen {info['xen_version']}, {info['xen_scheduler']}"),
            ("domain 0", f"Linux {told.strip().splitlines()[-1]}"),
        ]  # fmt: skip
