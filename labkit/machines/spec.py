"""What machines are described by, whatever their engine: states, specifications, readings."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """What a machine is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    STARTING = "starting"
    MOVING = "moving"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """A machine's connection to a network.

    Attributes
    ----------
    network
        The network's name.
    mac, address
        ``52:54:00:…`` and an IPv4 address such as ``198.19.1.2``; left empty where a connection is
        asked for, they are chosen.
    """

    network: str
    mac: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What a machine was asked to be; a container's memory and disk of 0 bytes have no limit."""

    name: str
    image: str
    memory_bytes: int
    vcpus: int
    disk_bytes: int
    interfaces: tuple[NetworkInterface, ...] = ()


@dataclass(frozen=True, slots=True)
class KvmSpec(MachineSpec):
    """What a QEMU machine was asked to be; `graphics`: whether it has a graphics card."""

    graphics: bool = False


@dataclass(frozen=True, slots=True)
class XenSpec(MachineSpec):
    """What a Xen machine was asked to be; `kind`: ``"pvh"``, ``"pv"`` or ``"hvm"``."""

    kind: str = "pvh"


@dataclass(frozen=True, slots=True)
class Screenshot:
    """A picture of a machine's screen.

    Attributes
    ----------
    png
        The picture as a PNG file.
    width, height
        In pixels.
    """

    png: bytes = field(repr=False)
    width: int
    height: int

    def _repr_png_(self) -> bytes:
        return self.png


class Sample(NamedTuple):
    """One reading of the counters of a machine, or of a host; counters only grow while it runs.

    What is None is not told here, by this engine or on this host. Of a host it is what its own processes use,
    and how full the whole of it is. Hosts that are namespaces share the machine that they are on: `processors`,
    `busy_seconds`, memory's total and use, pressure and disk are then those of that machine.

    Attributes
    ----------
    time_s
        Seconds on the monotonic clock.
    cpu_seconds
        Processor time used since it started.
    memory_bytes
        Memory of the host that it holds now.
    disk_read_bytes, disk_written_bytes, received_bytes, sent_bytes
        Totals over all its disks and network interfaces since it started.
    cpu_wait_seconds
        Time in which its processors had work but got none of the host's.
    processors
        How many of them it may use at most.
    memory_used_bytes, memory_cached_bytes, memory_total_bytes
        As seen from inside: what its processes need, what could be given back, and what there is.
    swapped_in_bytes, swapped_out_bytes
        Totals since it started.
    disk_requests, disk_seconds
        Reads and writes, and the time that they took, since it started.
    disk_used_bytes, disk_total_bytes
        What its disk takes of the host's now, and what it may take at most.
    received_packets, sent_packets, dropped_packets
        Totals over all network interfaces since it started.
    oom_kills
        Its processes that the kernel has killed because memory ran out.
    busy_seconds
        Of a host: processor time that was used on it, by whatever.
    pressure_cpu_seconds, pressure_memory_seconds, pressure_io_seconds
        Of a host: time in which something waited for it, where the kernel tells (PSI).
    """

    time_s: float
    cpu_seconds: float
    memory_bytes: int
    disk_read_bytes: int
    disk_written_bytes: int
    received_bytes: int
    sent_bytes: int
    cpu_wait_seconds: float | None = None
    processors: float | None = None
    memory_used_bytes: int | None = None
    memory_cached_bytes: int | None = None
    memory_total_bytes: int | None = None
    swapped_in_bytes: int | None = None
    swapped_out_bytes: int | None = None
    disk_requests: int | None = None
    disk_seconds: float | None = None
    disk_used_bytes: int | None = None
    disk_total_bytes: int | None = None
    received_packets: int | None = None
    sent_packets: int | None = None
    dropped_packets: int | None = None
    oom_kills: int | None = None
    busy_seconds: float | None = None
    pressure_cpu_seconds: float | None = None
    pressure_memory_seconds: float | None = None
    pressure_io_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """What is being done to a machine.

    Attributes
    ----------
    verb
        Such as ``start``, or ``create``.
    since_s
        Seconds on the monotonic clock.
    phase, fraction
        What is done now, and which part of the whole (0 to 1) is done, where known.
    """

    verb: str
    since_s: float
    phase: str = ""
    fraction: float | None = None
