"""The QEMU that Xen boots in: its command line, and what that depends on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .._values import format_size
from ..errors import NotEnoughMemory, PackageMissing
from ..storage._system import BROKEN_FLAGS
from ..storage.xen import Appliance
from ._checks import find_program, install
from .acceleration import SLOW_FLAGS

QEMU = "qemu-system-x86_64"
# An emulated processor without what goes wrong on it, in domain 0 while a PVH machine runs, and what is slow.
EMULATED = ",".join(["max", *(f"{flag}=off" for flag in (*BROKEN_FLAGS, *SLOW_FLAGS))])
_MAC = "52:54:00:00:00:01"  # a copy gets one of its own in domain 0
_MARGIN_BYTES = 256 * 2**20
_XEN = (
    "console=com1 com1=115200,8n1 dom0_mem={dom0},max:{dom0} dom0_max_vcpus={vcpus} bootscrub=0 loglvl=warning"
    " guest_loglvl=warning noreboot spec-ctrl=no xpti=0 tsc=stable:socket"
)
_DOM0 = "console=hvc0 mitigations=off random.trust_cpu=on quiet net.ifnames=0"


@dataclass(frozen=True, slots=True)
class Size:
    """How large a host is: all its memory, what of it is domain 0's, and its processors."""

    memory_bytes: int
    dom0_bytes: int
    vcpus: int

    @property
    def text(self) -> str:
        """For the name of a file."""
        return f"{self.memory_bytes >> 20}-{self.dom0_bytes >> 20}-{self.vcpus}"


@dataclass(frozen=True, slots=True)
class Machine:
    """One QEMU.

    Attributes
    ----------
    appliance, size, kvm
        What it boots, how large it is, whether the processor runs it.
    folder
        Where it writes its process id and its console.
    sockets
        Where it listens: ``qmp`` and ``agent``.
    memory, keeps
        The file with its memory, and whether what it changes is written there.
    disk, disk_format
        What it writes to.
    tap
        Its network device on the host that it runs on.
    waits
        Whether it is to be given a state instead of booting.
    cpu
        QEMU's word for its processor.
    """

    appliance: Appliance
    size: Size
    kvm: bool
    folder: Path
    sockets: Path
    memory: Path
    keeps: bool
    disk: Path
    disk_format: str
    tap: str
    waits: bool
    cpu: str = ""

    @property
    def console(self) -> Path:
        """What Xen and domain 0 print."""
        return self.folder / "console.log"

    @property
    def pid_file(self) -> Path:
        """Holds its process id, as the host knows it that it runs on."""
        return self.folder / "pid"

    @property
    def qmp(self) -> Path:
        """Where QEMU itself answers."""
        return self.sockets / "qmp"

    @property
    def agent(self) -> Path:
        """Where the guest agent answers."""
        return self.sockets / "agent"

    def argv(self) -> list[str]:
        """The command."""
        size, image = self.size, self.appliance
        xen = _XEN.format(dom0=f"{size.dom0_bytes >> 20}M", vcpus=size.vcpus)
        memory = f"memory-backend-file,id=ram0,size={size.memory_bytes},mem-path={_escape(self.memory)},share="
        return [
            QEMU, "-name", "xen", "-accel", "kvm" if self.kvm else "tcg", "-machine", "pc,memory-backend=ram0",
            "-cpu", self.cpu or ("host" if self.kvm else EMULATED), "-smp", str(size.vcpus),
            "-m", f"{size.memory_bytes >> 20}", "-object", memory + ("on" if self.keeps else "off"),
            "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot", "-pidfile", str(self.pid_file),
            "-chardev", f"file,id=console,path={_escape(self.console)}", "-serial", "chardev:console",
            "-qmp", f"unix:{_escape(self.qmp)},server=on,wait=off",
            "-drive", f"if=none,id=root,file={_escape(image.root)},format=raw,readonly=on",
            "-device", "virtio-blk-pci,drive=root",
            "-drive", f"if=none,id=disk,file={_escape(self.disk)},format={self.disk_format},discard=unmap",
            "-device", "virtio-blk-pci,drive=disk",
            "-netdev", f"tap,id=net,ifname={self.tap},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=net,mac={_MAC},romfile=",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=agent,path={_escape(self.agent)},server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
            "-kernel", str(image.hypervisor), "-append", xen,
            "-initrd", f"{_escape(image.kernel)} {_DOM0},{_escape(image.initrd)}",
            *(["-incoming", "defer"] if self.waits else []),
        ]  # fmt: skip

    def made_of(self) -> dict[str, str]:
        """What its state fits together with, by names for people."""
        nowhere = Path()
        plain = replace(self, folder=nowhere, sockets=nowhere, memory=nowhere, keeps=True, disk=nowhere, disk_format="",
                        tap="", waits=False)  # fmt: skip
        return {
            "appliance": self.appliance.digest, "QEMU": _version(), "processor": _processor(),
            "options": " ".join(plain.argv()),
        }  # fmt: skip


def check_memory(size: Size) -> None:
    """Raise `NotEnoughMemory` if this machine has no room for a host of that size."""
    free = available_bytes()
    if free < size.memory_bytes + _MARGIN_BYTES:
        raise NotEnoughMemory(
            f"a Xen host of {format_size(size.memory_bytes)} needs more than the {format_size(free)} that are free",
            hint='end machines or labs, or give it less, such as Xen("xena", memory="1 GiB")',
        )  # fmt: skip


def available_bytes() -> int:
    """The memory of this machine that programs can still have."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _escape(path: Path) -> str:
    """A path within a list of QEMU's options."""
    return str(path).replace(",", ",,")


def _version() -> str:
    path = find_program(QEMU)
    if not path:
        raise PackageMissing(f"{QEMU} is not installed", hint=install(QEMU))
    status = os.stat(os.path.realpath(path))
    return f"{status.st_size}-{status.st_mtime_ns}"


def _processor() -> str:
    """The processor: an emulated one counts its clock's ticks, too."""
    lines = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
    wanted: Sequence[str] = ("vendor_id", "cpu family", "model", "stepping", "flags")
    return "\n".join(line for line in lines if line.startswith(tuple(wanted)))
