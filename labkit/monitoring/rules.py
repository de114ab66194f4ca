"""What counts as being short of something, after Brendan Gregg's USE method: utilisation, saturation, errors.

A machine or host is short of a resource when most of it is used (utilisation), when work waits for it
(saturation), or when something fails for want of it (errors). What a rule looks at is a metric or a part of a
whole (``look / whole``), as its mean over `over_s` seconds, so that one reading makes no finding. Where the whole
is 0 or not told there is no limit. How full a network is cannot be told, as links need not have a limit; what it
drops can.

The words may have ``{value}``, ``{total}`` (the whole), ``{part}`` (in percent), and ``{count}`` and ``{over}``
(how many within what time), all with their units. Of hosts, who uses most is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is looked at of a resource."""

    ERRORS = "errors"
    SATURATION = "saturation"
    UTILISATION = "utilisation"


class Resource(StrEnum):
    """What one can be short of."""

    PROCESSOR = "processor"
    MEMORY = "memory"
    DISK = "disk"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table.

    Attributes
    ----------
    name
        Tells it from the others.
    of_whom
        ``machine`` or ``host``.
    resource, kind
        What one is short of, and how that shows.
    look
        The metric; the first one of several that is told counts.
    whole
        The metric of which it is a part; "" if it is taken as it is.
    threshold
        Holds from that value on.
    hold_s
        For so many seconds it must have held.
    over_s
        The seconds that each value is the mean of; the sum, if `counted`.
    evidence, advice
        What is seen, and what would help.
    engines
        Of which machines; empty: all.
    unlimited
        Whether it is fine that the whole is not told: there is no limit then.
    counted
        Whether what happened within `over_s` is counted.
    culprit
        The metric of machines that tells who uses most.
    """

    name: str
    of_whom: str
    resource: Resource
    kind: Kind
    look: tuple[str, ...]
    whole: str
    threshold: float
    hold_s: float
    over_s: float
    evidence: str
    advice: str
    engines: tuple[str, ...] = ()
    unlimited: bool = False
    counted: bool = False
    culprit: str = ""


_MACHINE, _HOST = "machine", "host"
_P, _M, _D, _N = Resource.PROCESSOR, Resource.MEMORY, Resource.DISK, Resource.NETWORK
_U, _S, _E = Kind.UTILISATION, Kind.SATURATION, Kind.ERRORS
_GUESTS = ("kvm", "xen")
_BOXES = ("docker", "lxc")  # what a virtual machine holds of its host says nothing of how full it is inside
_MIB = 2.0**20

# fmt: off
RULES: tuple[Rule, ...] = (
    # name, of whom, resource, kind, look, whole, threshold, hold_s, over_s, then evidence and advice
    Rule("machine processor", _MACHINE, _P, _U, ("cpu",), "processors", 0.9, 10, 5,
         "uses {value} of {total} ({part})",
         "give it more processors: resize(vcpus=…), or raise limits(cpus=…); or run less on it"),
    Rule("machine waits", _MACHINE, _P, _S, ("cpu_wait",), "", 0.25, 10, 5,
         "had work for {value} more than it got",
         "raise its limits(cpus=…), limit who uses most of the host, or move(…) it to another host"),
    Rule("machine memory", _MACHINE, _M, _U, ("memory_used",), "memory_total", 0.9, 10, 5,
         "uses {value} of {total} ({part})",
         "give it more memory: resize(memory=…); if it only grows, look for a leak with forecast",
         engines=_GUESTS, unlimited=True),
    Rule("container memory", _MACHINE, _M, _U, ("memory_used", "memory"), "memory_total", 0.9, 10, 5,
         "uses {value} of {total} ({part})",
         "give it more memory: resize(memory=…); if it only grows, look for a leak with forecast",
         engines=_BOXES, unlimited=True),
    Rule("machine swaps", _MACHINE, _M, _S, ("swap",), "", _MIB, 10, 5,
         "moves {value} between memory and swap",
         "give it more memory: resize(memory=…)"),
    Rule("machine kills", _MACHINE, _M, _E, ("oom_kills",), "", 1, 0, 60,
         "the kernel has killed {count} in it for want of memory within {over}",
         "give it more memory: resize(memory=…)", counted=True),
    Rule("machine disk is slow", _MACHINE, _D, _S, ("disk_latency",), "", 0.05, 10, 5,
         "a disk request takes {value}",
         "let others on the host write less, or move(…) it to a host with a faster disk"),
    Rule("machine disk", _MACHINE, _D, _U, ("disk_used",), "disk_total", 0.9, 10, 5,
         "its disk takes {value} of {total} ({part})",
         "delete what it does not need, or create(disk=…) it anew with a larger disk",
         unlimited=True),
    Rule("machine drops", _MACHINE, _N, _E, ("drops",), "", 1.0, 5, 5,
         "packets are dropped, {value}",
         "raise the limit of its link(bandwidth=…), or let it send less"),
    Rule("host processor", _HOST, _P, _U, ("busy",), "processors", 0.9, 10, 5,
         "{value} of {total} are busy ({part})",
         "limits(cpus=…) for who uses most, or move(…) it to another host", culprit="cpu"),
    Rule("host processor pressure", _HOST, _P, _S, ("pressure_cpu",), "", 0.2, 10, 5,
         "something waited for a processor {part} of the time",
         "limits(cpus=…) for who uses most, or move(…) it to another host", culprit="cpu"),
    Rule("host memory", _HOST, _M, _U, ("memory_used",), "memory_total", 0.9, 10, 5,
         "{value} of {total} is used ({part})",
         "move(…) a machine to another host, stop one, or resize(memory=…) who uses most", culprit="memory"),
    Rule("host memory pressure", _HOST, _M, _S, ("pressure_memory",), "", 0.1, 10, 5,
         "something waited for memory {part} of the time",
         "move(…) a machine to another host, stop one, or resize(memory=…) who uses most", culprit="memory"),
    Rule("host swaps", _HOST, _M, _S, ("swap",), "", _MIB, 10, 5,
         "moves {value} between memory and swap",
         "move(…) a machine to another host, stop one, or resize(memory=…) who uses most", culprit="memory"),
    Rule("host kills", _HOST, _M, _E, ("oom_kills",), "", 1, 0, 60,
         "the kernel has killed {count} on it for want of memory within {over}",
         "move(…) a machine to another host, stop one, or resize(memory=…) who uses most",
         counted=True, culprit="memory"),
    Rule("host disk pressure", _HOST, _D, _S, ("pressure_io",), "", 0.2, 10, 5,
         "something waited for a disk {part} of the time",
         "move(…) who reads and writes most to another host, or let it do so less", culprit="disk"),
    Rule("host disk is slow", _HOST, _D, _S, ("disk_latency",), "", 0.05, 10, 5,
         "a disk request takes {value}",
         "move(…) who reads and writes most to another host, or let it do so less", culprit="disk"),
    Rule("host disk", _HOST, _D, _U, ("disk_used",), "disk_total", 0.9, 10, 5,
         "{value} of {total} is used ({part})",
         "destroy() machines and images that nobody needs, or move(…) one to another host", culprit="disk_used"),
    Rule("host drops", _HOST, _N, _E, ("drops",), "", 1.0, 5, 5,
         "packets are dropped, {value}",
         "limit who sends most with link(bandwidth=…)", culprit="network"),
)
# fmt: on
SEVERITY = (Kind.ERRORS, Kind.SATURATION, Kind.UTILISATION)  # most severe first
LONGEST_GAP_S = 60.0  # over longer gaps nothing is said to have held
SILENT_S = 15.0  # who has told nothing for so long is not judged
