"""Counters of containers: from their cgroups, or from /proc where the lab has none."""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ._lxc_config import LXC_PATH, LxcSpec, link_name
from .spec import Sample

_LINKS = "/sys/class/net/v????????????/statistics/?x_bytes"
# One command for all containers, so that a reading costs the same for one as for fifty.
FROM_CGROUPS = f"""
grep -sH "" /sys/fs/cgroup/*/lxc.payload.*/cpuacct.usage /sys/fs/cgroup/*/lxc.payload.*/memory.usage_in_bytes \\
    /sys/fs/cgroup/*/lxc.payload.*/blkio.throttle.io_service_bytes_recursive \\
    /sys/fs/cgroup/lxc.payload.*/cpu.stat /sys/fs/cgroup/lxc.payload.*/memory.current \\
    /sys/fs/cgroup/lxc.payload.*/io.stat {_LINKS}
exit 0
"""
FROM_PROC = f"""
grep -zasH '^.lxc monitor. {LXC_PATH} ' /proc/[0-9]*/cmdline | tr '\\000' '\\n'
stat -c %N /proc/[0-9]*/ns/pid 2>/dev/null
cat /proc/[0-9]*/stat 2>/dev/null | sed 's/^/stat /'
grep -sH _bytes: /proc/[0-9]*/io
grep -sH "" {_LINKS}
exit 0
"""
_CGROUP = re.compile(r"/sys/fs/cgroup/(?:[^/]+/)?lxc\.payload\.([^/]+)/([^:]+):(.*)")
_LINK = re.compile(r"/sys/class/net/([^/]+)/statistics/(.)x_bytes:(\d+)")
_MONITOR = re.compile(rf"/proc/(\d+)/cmdline:\[lxc monitor\] {re.escape(LXC_PATH)} (\S+)")
_NAMESPACE = re.compile(r"'/proc/(\d+)/ns/pid' -> 'pid:\[(\d+)\]'")
_IO = re.compile(r"/proc/(\d+)/io:(read|write)_bytes: (\d+)")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class _Counters:
    """What was read of one container."""

    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    disk: dict[str, int] = field(default_factory=lambda: {"read": 0, "write": 0})


def samples(told: str, specs: Iterable[LxcSpec], *, cgroups: bool) -> dict[str, Sample]:
    """The readings of those containers that run, from what the script for `cgroups` or not wrote."""
    now = time.monotonic()
    counters = _from_cgroups(told) if cgroups else _from_proc(told)
    links: dict[str, dict[str, int]] = defaultdict(lambda: {"r": 0, "t": 0})
    for link, direction, count in _LINK.findall(told):
        links[link][direction] = int(count)
    found = {}
    for spec in specs:
        if counted := counters.get(spec.name):
            ends = [links[link_name(spec.name, card)] for card in spec.interfaces]
            found[spec.name] = Sample(
                time_s=now, cpu_seconds=counted.cpu_seconds, memory_bytes=counted.memory_bytes,
                disk_read_bytes=counted.disk["read"], disk_written_bytes=counted.disk["write"],
                # The host's end sends what the container receives.
                received_bytes=sum(end["t"] for end in ends), sent_bytes=sum(end["r"] for end in ends),
            )  # fmt: skip
    return found


def _from_cgroups(told: str) -> dict[str, _Counters]:
    found: dict[str, _Counters] = defaultdict(_Counters)
    for name, file, text in _CGROUP.findall(told):
        counted, words = found[name], text.split()
        if file == "cpuacct.usage":
            counted.cpu_seconds = int(text) / 1e9
        elif file in ("memory.usage_in_bytes", "memory.current"):
            counted.memory_bytes = int(text)
        elif file == "cpu.stat" and words[0] == "usage_usec":
            counted.cpu_seconds = int(words[1]) / 1e6
        elif file.startswith("blkio.") and words[1:2] in (["Read"], ["Write"]):
            counted.disk[words[1].lower()] += int(words[2])
        elif file == "io.stat":
            values = dict(word.split("=", 1) for word in words[1:])
            counted.disk["read"] += int(values.get("rbytes", 0))
            counted.disk["write"] += int(values.get("wbytes", 0))
    return found


def _from_proc(told: str) -> dict[str, _Counters]:
    """Sums over the processes in each container's PID namespace; see proc(5)."""
    monitors: dict[str, str] = dict(_MONITOR.findall(told))
    namespaces: dict[str, str] = dict(_NAMESPACE.findall(told))
    stats = {}
    for line in told.splitlines():
        if line.startswith("stat ") and ") " in line:
            pid, words = line.split()[1], line.rpartition(")")[2].split()
            stats[pid] = words
    # A monitor's child in another PID namespace is process 1 of its container.
    owner = {
        namespaces[pid]: monitors[words[1]] for pid, words in stats.items()
        if words[1] in monitors and namespaces.get(pid) not in (None, namespaces.get(words[1]))
    }  # fmt: skip
    found: dict[str, _Counters] = defaultdict(_Counters)
    for pid, words in stats.items():
        if name := owner.get(namespaces.get(pid, "")):
            # utime, stime, and those of children that were waited for.
            found[name].cpu_seconds += sum(int(word) for word in words[11:15]) * _TICK_S
            found[name].memory_bytes += int(words[21]) * _PAGE
    for pid, direction, count in _IO.findall(told):
        if name := owner.get(namespaces.get(pid, "")):
            found[name].disk[direction] += int(count)
    return found
