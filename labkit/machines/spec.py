"""What machines are described by, whatever their engine: states, specifications, readings."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of a machine's counters; counters only grow while it runs.

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
    """

    time_s: float
    cpu_seconds: float
    memory_bytes: int
    disk_read_bytes: int
    disk_written_bytes: int
    received_bytes: int
    sent_bytes: int


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
