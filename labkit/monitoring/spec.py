"""What is measured: readings as they come from the engines, and the metrics that are reckoned from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..errors import InvalidValue
from ..machines.spec import Sample


class Subject(NamedTuple):
    """What readings are of.

    Attributes
    ----------
    host
        The host that it is on, or that it is.
    machine
        The machine's name; "" for the host itself.
    engine
        The machine's engine; "" for a host.
    identity
        Tells a machine from another that had its name before.
    """

    host: str
    machine: str = ""
    engine: str = ""
    identity: str = ""

    @property
    def name(self) -> str:
        """The name of the machine, or of the host."""
        return self.machine or self.host


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that is reckoned from readings.

    Attributes
    ----------
    name, title
        Such as ``cpu``, and ``processors used``.
    unit
        ``processors``, ``bytes``, ``bytes/s``, ``seconds``, ``1/s``, or "" for a part of a whole.
    fields
        The fields of a reading that it is reckoned from; several are added up.
    how
        ``gauge``: as it was read; ``rate``: what counters grew by in a second; ``each``: what the first
        counter grew by for each one that the second grew by.
    """

    name: str
    title: str
    unit: str
    fields: tuple[str, ...]
    how: str = "gauge"


_ALL = (
    Metric("cpu", "processors used", "processors", ("cpu_seconds",), "rate"),
    Metric("cpu_wait", "processors waited for", "processors", ("cpu_wait_seconds",), "rate"),
    Metric("processors", "processors there are", "processors", ("processors",)),
    Metric("busy", "processors busy, with everything", "processors", ("busy_seconds",), "rate"),
    Metric("memory", "memory held", "bytes", ("memory_bytes",)),
    Metric("memory_used", "memory used, as seen inside", "bytes", ("memory_used_bytes",)),
    Metric("memory_cached", "memory used for caches", "bytes", ("memory_cached_bytes",)),
    Metric("memory_total", "memory there is", "bytes", ("memory_total_bytes",)),
    Metric("swap", "swapped in and out", "bytes/s", ("swapped_in_bytes", "swapped_out_bytes"), "rate"),
    Metric("disk_read", "read from disk", "bytes/s", ("disk_read_bytes",), "rate"),
    Metric("disk_written", "written to disk", "bytes/s", ("disk_written_bytes",), "rate"),
    Metric("disk", "read from and written to disk", "bytes/s", ("disk_read_bytes", "disk_written_bytes"), "rate"),
    Metric("disk_requests", "disk requests", "1/s", ("disk_requests",), "rate"),
    Metric("disk_latency", "time of a disk request", "seconds", ("disk_seconds", "disk_requests"), "each"),
    Metric("disk_used", "disk used", "bytes", ("disk_used_bytes",)),
    Metric("disk_total", "disk there is", "bytes", ("disk_total_bytes",)),
    Metric("received", "received", "bytes/s", ("received_bytes",), "rate"),
    Metric("sent", "sent", "bytes/s", ("sent_bytes",), "rate"),
    Metric("network", "received and sent", "bytes/s", ("received_bytes", "sent_bytes"), "rate"),
    Metric("packets", "packets", "1/s", ("received_packets", "sent_packets"), "rate"),
    Metric("drops", "packets dropped", "1/s", ("dropped_packets",), "rate"),
    Metric("oom_kills", "processes killed for want of memory", "1/s", ("oom_kills",), "rate"),
    Metric("pressure_cpu", "time in which something waited for a processor", "", ("pressure_cpu_seconds",), "rate"),
    Metric("pressure_memory", "time in which something waited for memory", "", ("pressure_memory_seconds",), "rate"),
    Metric("pressure_io", "time in which something waited for a disk", "", ("pressure_io_seconds",), "rate"),
)
METRICS = {metric.name: metric for metric in _ALL}
FIELDS = tuple(name for name in Sample._fields if name != "time_s")


def check_metric(name: str) -> str:
    """`name`, if it is a metric's; raises `InvalidValue` if not."""
    if name not in METRICS:
        raise InvalidValue(f"there is no metric {ascii(name)[:60]}", hint=f"there are {', '.join(METRICS)}")
    return name


__all__ = ["FIELDS", "METRICS", "Metric", "Sample", "Subject", "check_metric"]
