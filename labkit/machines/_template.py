"""Prepared memory images, from which machines come up in a fraction of the time of a boot.

A template is a machine that was booted once, told nothing of who it is, and saved: its memory
(libvirt's save format), its disk as it was at that moment, and an empty overlay on that disk. A
machine made from it gets a copy of the overlay, restores the memory under a name and UUID of its
own, and is told who it is through the guest agent.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import struct
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import libvirt
from filelock import Timeout

from .._paths import cache_home, disk_room
from .._progress import progress
from ..errors import DeadlineExceeded, ImageDamaged, LabError
from ._agent import Agent
from ._domain import Domain, rename
from ._libvirt import spoken
from .spec import NetworkInterface

if TYPE_CHECKING:
    from ..hosts.base import Host

# struct _virQEMUSaveHeader of libvirt's src/qemu/qemu_saveimage.h
_HEADER = struct.Struct("<16s5I56s")
_MAGIC = b"LibvirtQemudSave"
_FORMAT = "2"
_USUAL_BYTES = 1 << 16  # of the header and what libvirt writes before the memory
_PARTS = ("memory.save", "disk.qcow2", "overlay.qcow2")
_PREFIX = "template_"  # no machine's name has an underscore


def is_template(name: str) -> bool:
    """Whether a domain is a template in the making."""
    return name.startswith(_PREFIX)


class Template:
    """The template for machines of one image, size and number of network interfaces."""

    def __init__(self, host: Host, domain: Domain, base: Path) -> None:
        """`domain` is any machine of the kind; `base` is the raw disk that its image has."""
        self._host = host
        self._base = base
        cards = tuple(NetworkInterface("", f"52:54:00:00:00:{n:02x}", "") for n in range(len(domain.spec.interfaces)))
        self._kind = replace(domain, plugged=False, spec=replace(domain.spec, name="template", interfaces=cards))
        self.key = self._key()
        self._files = host.files
        self._home = cache_home() / "templates"
        self.folder = self._home / f"{self.key}.0"

    def _key(self) -> str:
        """A hash of everything that the memory image depends on."""
        nowhere = replace(self._kind, uuid="", disk=Path("disk"), console_log=Path("log"))
        base = self._host.files.status(self._base)
        connection = self._host.kvm.connection()
        parts = [
            _FORMAT, nowhere.xml(), str(cache_home()), *((str(base.size_bytes), str(base.changed_ns)) if base else ()),
            str(connection.getLibVersion()), str(connection.getVersion()), _processor(self._host),
        ]  # fmt: skip
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def overlay(self) -> Path:
        """An empty qcow2 file on the disk as it was when the memory was saved."""
        return self.folder / "overlay.qcow2"

    def ensure(self, deadline: float) -> None:
        """Have the template exist and fit together; one process makes it, others wait."""
        if self._is_there():
            return
        self._files.make_folder(self._home, there=True)
        try:
            with self._lock(self.key, max(1.0, deadline - time.monotonic())), disk_room(self._home):
                if not self._is_there():
                    self._prepare(deadline)
        except Timeout as error:
            raise DeadlineExceeded(
                "somebody else has been preparing instant machines for too long",
                hint="give it longer with timeout_s=…, or instant=False", host=self._host.name,
            ) from error  # fmt: skip

    def _is_there(self) -> bool:
        """Turn to the first folder of this kind that is not damaged; whether it has been made yet.

        A damaged one stays where it is: machines stand on its disk.
        """
        numbers = itertools.count()
        while True:
            self.folder = self._home / f"{self.key}.{next(numbers)}"
            if not self._files.exists(self.folder):
                return False
            if self._fits():
                return True

    def _prepare(self, deadline: float) -> None:
        with progress("instant machines") as task, self._workshop() as workshop:
            if not self.folder.name.endswith(".0"):
                task.phase("what was prepared is damaged, and is made anew")
            self._make(workshop, deadline)
            self._note(workshop)
            self._files.rename(workshop, self.folder)

    def _lock(self, key: str, timeout_s: float) -> AbstractContextManager[object]:
        return self._files.lock(self._home / f"{key}.lock", timeout_s)

    def _fits(self) -> bool:
        """Whether all parts are there and are those that were noted when it was made."""
        try:
            noted = json.loads(self._files.read(self.folder / "parts.json"))
            return bool(noted == self._parts(self.folder))
        except (OSError, ValueError, KeyError):
            return False

    def _note(self, folder: Path) -> None:
        self._files.write(folder / "parts.json", json.dumps(self._parts(folder)))

    def _parts(self, folder: Path) -> dict[str, list[int]]:
        """Size and time of change of each part."""
        found = self._files.list(folder)
        return {name: [found[name].size_bytes, found[name].changed_ns] for name in _PARTS}

    @contextlib.contextmanager
    def _workshop(self) -> Iterator[Path]:
        """A temporary folder; those of makers that died are removed (this one holds the lock)."""
        for name in self._files.list(self._home):
            key, dash, _ = name.removeprefix(".").partition("-")
            if name.startswith(".") and dash:
                with contextlib.suppress(Timeout), contextlib.nullcontext() if key == self.key else self._lock(key, 0):
                    self._remove(self._home / name)
        with self._files.temporary_folder(self._home, f".{self.key}-") as folder:
            yield folder

    def _remove(self, folder: Path) -> None:
        with contextlib.suppress(OSError, LabError):  # the next maker tries again
            self._files.remove_tree(folder)

    def _make(self, workshop: Path, deadline: float) -> None:
        """Boot, wait for the agent, save; the disk's and the overlay's backing files are final."""
        disk = workshop / "disk.qcow2"
        self._host.kvm.make_overlay(disk, self._base, "raw", self._kind.spec.disk_bytes)
        name = f"{_PREFIX}{self.key}"
        kind = replace(self._kind, spec=replace(self._kind.spec, name=name), disk=disk, console_log=workshop / "log")
        connection = self._host.kvm.connection()
        with spoken(self._host.name, name):
            _clear_away(connection, name, deadline)
            domain = connection.createXML(kind.xml(), libvirt.VIR_DOMAIN_START_AUTODESTROY)
            try:
                agent = Agent(domain, self._host, name, kind.console_log)
                agent.wait(deadline)
                agent.run(["/bin/sync"], b"", 20)
                _squeeze(domain, agent)
                domain.save(str(workshop / "memory.save"))
            except BaseException:
                with contextlib.suppress(libvirt.libvirtError):
                    domain.destroy()
                raise
        # The overlay's backing file is where the disk will be once the workshop is renamed.
        self._host.run(
            ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(self.folder / "disk.qcow2"),
             str(workshop / "overlay.qcow2"), str(self._kind.spec.disk_bytes)], check=True,
        )  # fmt: skip

    def stamp(self, domain: Domain, target: Path) -> None:
        """Write to `target` the memory image under the identity of `domain`."""
        memory = self.folder / "memory.save"
        begin = self._files.read(memory, 0, _USUAL_BYTES)
        fields = list(_HEADER.unpack(begin[: _HEADER.size]))
        magic, _version, length, _running, _compressed, cookie_offset = fields[:6]
        if magic != _MAGIC:
            raise ImageDamaged(f"{memory} is not a memory image of libvirt", hint=f"remove {self.folder}")
        end = _HEADER.size + length
        data = (begin if end <= len(begin) else self._files.read(memory, 0, end))[_HEADER.size : end]
        xml, cookie = (data[:cookie_offset], data[cookie_offset:]) if cookie_offset else (data, b"")
        new = rename(xml.rstrip(b"\0").decode(), domain).encode() + b"\0"
        fields[2], fields[5] = len(new) + len(cookie), len(new) if cookie_offset else 0
        with self._files.together() as files:
            files.write(target, _HEADER.pack(*fields) + new + cookie)
            files.append(memory, end, target)


def _clear_away(connection: libvirt.virConnect, name: str, deadline: float) -> None:
    """End the domain that a maker which died has left, also one that is just being saved."""
    while time.monotonic() < deadline:
        try:
            domain = connection.lookupByName(name)
        except libvirt.libvirtError:
            return
        with contextlib.suppress(libvirt.libvirtError):  # it may be ending already, or saving
            domain.destroy()
        time.sleep(0.02)


def _squeeze(domain: libvirt.virDomain, agent: Agent) -> None:
    """Have the guest hand over its free memory and take it back: it reads as zeros, which take no room."""
    _, out, _ = agent.run(["awk", "/MemFree/ {print $2}", "/proc/meminfo"], b"", 20)
    full, free = domain.maxMemory(), int(out)
    for target in (full - free * 9 // 10, full):
        domain.setMemoryFlags(target, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        deadline = time.monotonic() + 5
        while domain.memoryStats()["actual"] != target and time.monotonic() < deadline:
            time.sleep(0.02)


def _processor(host: Host) -> str:
    """The processor's model and features: a memory image fits no other."""
    lines = host.files.read_text(Path("/proc/cpuinfo")).split("\n\n", 1)[0].splitlines()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags")))
