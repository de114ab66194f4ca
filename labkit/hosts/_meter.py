"""Reads the counters of a host and of the containers on it; run there as a file, standard library only.

``_meter.py FOLDER``: for each line of JSON that it reads it writes one. What is asked for is named,
``{"host": true, "lxc": true, "docker": false}`` or a part of it: true to read it from cgroups, false to add up
processes. It ends with its standard input. One such process reads for as long as somebody looks on: to start
a command for every reading would cost more than all readings.

Sources: proc(5), https://docs.kernel.org/admin-guide/cgroup-v1/ and cgroup-v2.html,
https://docs.kernel.org/accounting/psi.html
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from typing import Any

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SECTOR = 512
_NO_LIMIT = 1 << 60  # version 1 says so by a number near 2**63
_GROUPS = "/sys/fs/cgroup"
_CARD = re.compile(r"(eth|en|wl)[a-z0-9]+$")
_DISK = re.compile(r"(sd[a-z]+|x?vd[a-z]+|nvme\d+n\d+|mmcblk\d+)$")
_MONITOR = re.compile(r"\[lxc monitor\] \S+ ([a-z0-9][a-z0-9-]*)\0")
_V1_FILES = ("cpuacct.usage", "cpu.cfs_quota_us", "memory.usage_in_bytes", "blkio.throttle.io_service_bytes_recursive")

Values = dict[str, Any]
_v1_places: dict[str, str] = {}
_MOST_KEPT = 400  # open files, of the 1024 that a process may have by default
_stat_files: dict[str, int] = {}


def _read(path: str) -> str:
    """The text of a file; "" if it cannot be read: what it tells of has ended, or is not told here."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 1 << 16).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _number(path: str) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else None


def _table(path: str, separator: str | None = None) -> dict[str, int]:
    """The numbers of a file with a name and a number on each line."""
    found = {}
    for line in _read(path).splitlines():
        name, *words = line.split(separator)
        if words and (word := words[0].split()[0] if words[0].split() else "").isdecimal():
            found[name] = int(word)
    return found


# ── Network, the same everywhere ──────────────────────────────────────────────────────────────


def traffic(pid: str, card: re.Pattern[str] | None = None) -> Values:
    """What has passed the network interfaces that a process sees."""
    received = sent = packets_in = packets_out = drops = 0
    for line in _read(f"/proc/{pid}/net/dev").splitlines()[2:]:
        name, _, numbers = line.partition(":")
        if name.strip() != "lo" and (card is None or card.match(name.strip())):
            words = [int(word) for word in numbers.split()]
            received, packets_in = received + words[0], packets_in + words[1]
            sent, packets_out = sent + words[8], packets_out + words[9]
            drops += words[3] + words[11]
    return {
        "received_bytes": received, "sent_bytes": sent, "received_packets": packets_in, "sent_packets": packets_out,
        "dropped_packets": drops,
    }  # fmt: skip


# ── Cgroups ───────────────────────────────────────────────────────────────────────────────────


def _is_v2() -> bool:
    return os.path.exists(f"{_GROUPS}/cgroup.controllers")


def _v1_place(file: str) -> str:
    """The hierarchy with a file of version 1; "" without."""
    if file not in _v1_places:
        with contextlib.suppress(OSError):
            for name in os.listdir(_GROUPS):
                if os.path.exists(f"{_GROUPS}/{name}/{file}"):
                    _v1_places[file] = f"{_GROUPS}/{name}"
    return _v1_places.get(file, "")


def _top() -> str:
    """Where the cgroups of containers are found, whatever the version."""
    return _GROUPS if _is_v2() else _v1_place("cpuacct.usage")


def group_folders(prefix: str, folder: str = "") -> dict[str, str]:
    """The cgroups below `folder` whose name begins with `prefix`: the rest of it, and the path in its hierarchy."""
    top, found = _top(), {}
    with contextlib.suppress(OSError):
        for name in os.listdir(f"{top}/{folder}") if top else ():
            if name.startswith(prefix) and os.path.isdir(f"{top}/{folder}/{name}"):
                found[name[len(prefix) :]] = f"{folder}/{name}" if folder else name
    return found


def group(path: str) -> Values:
    """The counters of a cgroup."""
    return _v2(f"{_GROUPS}/{path}") if _is_v2() else _v1(path)


def _v2(place: str) -> Values:
    cpu, memory, events = (_table(f"{place}/{file}") for file in ("cpu.stat", "memory.stat", "memory.events"))
    read = written = requests = 0
    for line in _read(f"{place}/io.stat").splitlines():
        values = dict(word.split("=", 1) for word in line.split()[1:] if "=" in word)
        read, written = read + int(values.get("rbytes", 0)), written + int(values.get("wbytes", 0))
        requests += int(values.get("rios", 0)) + int(values.get("wios", 0))
    quota, period = (_read(f"{place}/cpu.max").split() or ["max", "1"])[:2]
    held = _number(f"{place}/memory.current") or 0
    return {
        "cpu_seconds": cpu.get("usage_usec", 0) / 1e6, "cpu_wait_seconds": cpu.get("throttled_usec", 0) / 1e6,
        "processors": None if quota == "max" else int(quota) / int(period),
        "memory_bytes": held, "memory_used_bytes": max(0, held - memory.get("inactive_file", 0)),
        "memory_cached_bytes": memory.get("file"), "memory_total_bytes": _number(f"{place}/memory.max"),
        "swapped_in_bytes": _pages(memory, "pswpin"), "swapped_out_bytes": _pages(memory, "pswpout"),
        "disk_read_bytes": read, "disk_written_bytes": written, "disk_requests": requests,
        "oom_kills": events.get("oom_kill"),
    }  # fmt: skip


def _pages(memory: dict[str, int], name: str) -> int | None:
    return memory[name] * _PAGE if name in memory else None


def _v1(path: str) -> Values:
    usage, cfs, memory_of, blkio = (f"{_v1_place(file)}/{path}" for file in _V1_FILES)
    memory = _table(f"{memory_of}/memory.stat")
    held, limit = (_number(f"{memory_of}/memory.{name}_in_bytes") for name in ("usage", "limit"))
    quota, period = (_read(f"{cfs}/cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    moved = _v1_disk(f"{blkio}/blkio.throttle.io_service_bytes_recursive")
    asked = _v1_disk(f"{blkio}/blkio.throttle.io_serviced_recursive")
    return {
        "cpu_seconds": (_number(f"{usage}/cpuacct.usage") or 0) / 1e9,
        "cpu_wait_seconds": _table(f"{cfs}/cpu.stat").get("throttled_time", 0) / 1e9,
        "processors": int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else None,
        "memory_bytes": held or 0, "memory_used_bytes": max(0, (held or 0) - memory.get("total_inactive_file", 0)),
        "memory_cached_bytes": memory.get("total_cache"),
        "memory_total_bytes": limit if limit and limit < _NO_LIMIT else None,
        "disk_read_bytes": moved["Read"], "disk_written_bytes": moved["Write"],
        "disk_requests": asked["Read"] + asked["Write"],
        "oom_kills": _table(f"{memory_of}/memory.oom_control").get("oom_kill"),
    }  # fmt: skip


def _v1_disk(path: str) -> dict[str, int]:
    found = {"Read": 0, "Write": 0}
    for line in _read(path).splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in found:
            found[words[1]] += int(words[2])
    return found


# ── Processes, where there are no cgroups ─────────────────────────────────────────────────────


def _stat(pid: str) -> list[str]:
    """What proc(5) tells in ``stat`` after the command's name, up to the memory held; [] of what has ended.

    The files are kept open: to find one by its name takes longer than to read it.
    """
    for _ in range(2):
        if (file := _stat_files.get(pid)) is None:
            if len(_stat_files) >= _MOST_KEPT:
                return _words(_read(f"/proc/{pid}/stat"))
            try:
                file = _stat_files[pid] = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
            except OSError:
                return []
        try:
            return _words(os.pread(file, 4096, 0).decode(errors="replace"))
        except OSError:  # it has ended, and another may have its number
            os.close(_stat_files.pop(pid))
    return []


def _words(stat: str) -> list[str]:
    return stat.rpartition(")")[2].split(None, 22)


class Processes:
    """What runs on the host now: each process's parent, processor time and memory; see proc(5)."""

    def __init__(self) -> None:
        self.parent: dict[str, str] = {}
        self.cpu_s: dict[str, float] = {}
        self.held: dict[str, int] = {}
        self.children: dict[str, list[str]] = {}
        self._commands: dict[str, str] = {}
        there = [pid for pid in os.listdir("/proc") if pid.isdigit()]
        for pid in _stat_files.keys() - there:
            os.close(_stat_files.pop(pid))
        for pid in there:
            if words := _stat(pid):
                self.parent[pid] = words[1]
                # With those of its children that have ended.
                self.cpu_s[pid] = sum(map(int, words[11:15])) * _TICK_S
                self.held[pid] = int(words[21]) * _PAGE
                self.children.setdefault(words[1], []).append(pid)

    def command(self, pid: str) -> str:
        """A process's command line, its words ended by NUL; read once, whoever looks for containers in it."""
        if pid not in self._commands:
            self._commands[pid] = _read(f"/proc/{pid}/cmdline")
        return self._commands[pid]

    def family(self, pid: str) -> list[str]:
        """A process's descendants."""
        found = list(self.children.get(pid, ()))
        for each in found:
            found += self.children.get(each, ())
        return found

    def sums(self, pids: list[str], besides: list[str]) -> Values:
        """The counters of processes; those `besides` count for what the ended children of theirs have used."""
        disk = [_table(f"/proc/{pid}/io", ":") for pid in [*besides, *pids]]
        held = sum(_table(f"/proc/{pid}/smaps_rollup", ":").get("Pss", 0) for pid in pids) * 1024
        return {
            "cpu_seconds": sum(self.cpu_s.get(pid, 0.0) for pid in [*besides, *pids]), "memory_bytes": held,
            "disk_read_bytes": sum(each.get("read_bytes", 0) for each in disk),
            "disk_written_bytes": sum(each.get("write_bytes", 0) for each in disk),
        }  # fmt: skip


def _shims(processes: Processes) -> dict[str, str]:
    """The containers and the process ids of containerd's shims: the parents of containers."""
    found = {}
    for pid in processes.parent:
        words = processes.command(pid).split("\0")
        if "containerd-shim" in words[0] and "-id" in words:
            found[words[words.index("-id") + 1]] = pid
    return found


def _namespace(pid: str) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return ""


# ── Containers ────────────────────────────────────────────────────────────────────────────────


def docker(processes: Processes | None) -> dict[str, Values]:
    """The counters of Docker's containers by their ids."""
    if processes is None:
        # By its own cgroup driver, or by systemd's.
        scopes = group_folders("docker-", "system.slice").items()
        groups = group_folders("", "docker") | {name.removesuffix(".scope"): path for name, path in scopes}
        return {name: told for name, path in groups.items() if (told := _of_group(path))}
    found = {}
    for container, shim in _shims(processes).items():
        if family := processes.family(shim):
            # The shim has what those used that it has reaped: such as were started by `docker exec`.
            found[container] = {**processes.sums(family, [shim]), **traffic(family[0])}
    return found


def lxc(processes: Processes | None) -> dict[str, Values]:
    """The counters of LXC's containers by their names."""
    if processes is None:
        return {name: told for name, path in group_folders("lxc.payload.").items() if (told := _of_group(path))}
    inits, spaces = {}, {pid: _namespace(pid) for pid in processes.parent}
    for pid in processes.parent:
        if said := _MONITOR.match(processes.command(pid)):
            for child in processes.children.get(pid, ()):  # the one in another PID namespace is its process 1
                if spaces[child] not in ("", spaces[pid]):
                    inits[spaces[child]] = said[1], child
    inside: dict[str, list[str]] = {}
    for pid, space in spaces.items():
        if space in inits:
            inside.setdefault(space, []).append(pid)
    return {
        name: {**processes.sums(inside[space], []), **traffic(init)} for space, (name, init) in inits.items()
    }  # fmt: skip


def _of_group(path: str) -> Values:
    if first := _first_process(f"{_top()}/{path}"):
        return {**group(path), **traffic(first)}
    return {}


def _first_process(place: str) -> str:
    """A process of a cgroup or of those in it; a container's own may hold none."""
    if words := _read(f"{place}/cgroup.procs").split(None, 1):
        return words[0]
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(place)):
            if os.path.isdir(f"{place}/{name}") and (found := _first_process(f"{place}/{name}")):
                return found
    return ""


# ── The host ──────────────────────────────────────────────────────────────────────────────────


def host(folder: str, processes: Processes | None) -> Values:
    """The counters of the host: of its own processes, and of the whole that it is or shares."""
    memory = {name: size * 1024 for name, size in _table("/proc/meminfo", ":").items()}
    ticks = [int(word) for word in _read("/proc/stat").split("\n", 1)[0].split()[1:]]
    paging, room = _table("/proc/vmstat"), os.statvfs(folder)
    if processes is None:
        whole = group("")
        own = {name: whole[name] for name in ("cpu_seconds", "memory_bytes")}
    else:
        own = {"cpu_seconds": sum(processes.cpu_s.values()), "memory_bytes": sum(processes.held.values())}
    return {
        **own, **_disks(), **traffic("self", _CARD), **_pressure(), "processors": len(os.sched_getaffinity(0)),
        "busy_seconds": sum(ticks[at] for at in (0, 1, 2, 5, 6, 7)) * _TICK_S,
        "memory_total_bytes": memory["MemTotal"], "memory_used_bytes": memory["MemTotal"] - memory["MemAvailable"],
        "memory_cached_bytes": memory["Cached"], "swapped_in_bytes": paging.get("pswpin", 0) * _PAGE,
        "swapped_out_bytes": paging.get("pswpout", 0) * _PAGE, "oom_kills": paging.get("oom_kill"),
        "disk_total_bytes": room.f_blocks * room.f_frsize,
        "disk_used_bytes": (room.f_blocks - room.f_bavail) * room.f_frsize,
    }  # fmt: skip


def _disks() -> Values:
    read = written = requests = took_ms = 0
    for line in _read("/proc/diskstats").splitlines():
        words = line.split()
        if _DISK.match(words[2]):
            numbers = [int(word) for word in words[3:11]]
            read, written = read + numbers[2] * _SECTOR, written + numbers[6] * _SECTOR
            requests, took_ms = requests + numbers[0] + numbers[4], took_ms + numbers[3] + numbers[7]
    return {
        "disk_read_bytes": read, "disk_written_bytes": written, "disk_requests": requests,
        "disk_seconds": took_ms / 1000,
    }  # fmt: skip


def _pressure() -> Values:
    found = {}
    for kind in ("cpu", "memory", "io"):
        if said := re.match(r"some .* total=(\d+)", _read(f"/proc/pressure/{kind}")):
            found[f"pressure_{kind}_seconds"] = int(said[1]) / 1e6
    return found


def answer(folder: str, asked: Values) -> Values:
    """What is told when it is asked."""
    if asked.get("host") and not _is_v2():  # version 1 has no cgroup for a host
        asked = {**asked, "host": False}
    processes = None if all(asked.values()) else Processes()
    told: Values = {}
    if "host" in asked:
        told["host"] = host(folder, None if asked["host"] else processes)
    for kind, read in (("docker", docker), ("lxc", lxc)):
        if kind in asked:
            told[kind] = read(None if asked[kind] else processes)
            for values in told[kind].values():
                values["processors"] = values.get("processors") or len(os.sched_getaffinity(0))
    return told


def main() -> None:
    """Answer until nobody asks any more."""
    for line in sys.stdin:
        try:
            told = answer(sys.argv[1], json.loads(line))
        except (OSError, ValueError, KeyError, IndexError) as error:  # something ended while it was read
            told = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
