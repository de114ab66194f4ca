"""The doctor's checks of the system, memory, folders and cgroups."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .._paths import cache_home, runtime_home, state_home
from .._values import format_size
from . import _cgroups
from ._checks import Finding, fail, note, ok, read
from ._checks_namespaces import inside

_MIB, _GIB = 2**20, 2**30
# A lab with one host and one small machine on TCG uses about 300 MiB.
_LEAST_MEMORY, _ENOUGH_MEMORY = 384 * _MIB, 2 * _GIB
_LEAST_STATE, _ENOUGH_DISK = 512 * _MIB, 4 * _GIB
# A socket's path holds 107 bytes: room for lab, host and the daemon's own names.
_LONGEST_RUNTIME = 60


def system() -> Finding:
    """The operating system and its kernel."""
    name = "operating system"
    kernel = os.uname().release
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    title = release.get("PRETTY_NAME", "an unknown Linux")
    found = f"{title}, Linux {kernel}, {platform.machine()}"
    if platform.system() != "Linux":
        return fail(name, platform.system(), "Labs are made of Linux namespaces.")
    if platform.machine() != "x86_64":
        return fail(name, found, "The guests are made for x86_64 processors.")
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if not family & {"debian", "ubuntu"}:
        return note(name, found, "Labs may work. Tried and tested are Debian 12 and Ubuntu.")
    return ok(name, found, "This is a system that labs are made for.")


# ── Memory ────────────────────────────────────────────────────────────────────────────────────


def memory_available() -> int:
    """Bytes that can still be used, by the kernel's count and the limits of our cgroups."""
    lines = dict(line.split(":", 1) for line in read("/proc/meminfo").splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    return max(0, min([free, *_left_in_cgroups()]))


def _left_in_cgroups() -> Iterator[int]:
    """Bytes left under each memory limit from our cgroup upwards."""
    for top, path, is_v2 in _memory_cgroups():
        names = ("memory.max", "memory.current") if is_v2 else (
            "memory.limit_in_bytes", "memory.usage_in_bytes",
        )  # fmt: skip
        folder = top / path.lstrip("/")
        while folder.is_relative_to(top):
            limit, used = (read(f"{folder}/{name}") for name in names)
            if limit.isdecimal() and used.isdecimal():
                yield int(limit) - int(used) + _reclaimable(folder)
            folder = folder.parent


def _memory_cgroups() -> Iterator[tuple[Path, str, bool]]:
    """Mount point of each hierarchy that limits memory, our path in it, whether it is v2."""
    for line in read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
                if Path(top, "cgroup.controllers").exists():
                    yield Path(top), path, True
        elif "memory" in controllers.split(","):
            yield Path("/sys/fs/cgroup/memory"), path, False


def _reclaimable(folder: Path) -> int:
    """Bytes of cached files, which the kernel drops when memory is needed."""
    for line in read(f"{folder}/memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def memory() -> Finding:
    """Memory that labs can still use."""
    available = memory_available()
    found = f"{format_size(available)} available"
    if available < _LEAST_MEMORY:
        meaning = f"A lab with one machine needs {format_size(_LEAST_MEMORY)}. Close something."
        return fail("memory", found, meaning)
    machines = (available - 256 * _MIB) // (256 * _MIB)
    if available < _ENOUGH_MEMORY:
        return note("memory", found, f"Enough for {max(1, machines)} small machines, not for more.")
    return ok("memory", found, f"Enough for about {min(machines, 100)} small machines.")


# ── Folders ───────────────────────────────────────────────────────────────────────────────────


def disk_available(path: Path) -> int:
    """Bytes that this user can still write at `path`, or where it will be made."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def state_folder() -> Finding:
    """Disks of machines, files of daemons: room, and files with the owners that these need."""
    name, folder = "state folder", state_home()
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as trial:
        problem = _foreign_owner(trial)
    if not problem:
        return _room(name, folder, "LABKIT_STATE", _LEAST_STATE, "Disks and logs of labs fit.")
    found = f"{folder} ({_kind(folder)}): {problem}"
    meaning = "Machines cannot keep their files here. Choose a folder on a local disk."
    return fail(name, found, meaning, _move("LABKIT_STATE"))


def _foreign_owner(trial: str) -> str:
    """Why a program in `trial` cannot belong to another user of the lab, or ""."""
    # Removed inside: the user outside may not remove what belongs to another of the lab's users.
    # The first line removes what a killed doctor left.
    ran = inside(
        'find "$1/.." -maxdepth 1 -name ".doctor-*" -mmin +1 -exec rm -rf {} +; '
        'cd "$1" && printf "#!/bin/sh\n" > program && chmod 755 program && chown 1:1 program && '
        "./program; code=$?; rm -f program; exit $code",
        trial,
    )
    # Where namespaces are forbidden there is a finding of its own.
    return "" if ran.ok or "unshare:" in ran.stderr or "uidmap" in ran.stderr else ran.said


def cache_folder() -> Finding:
    """Images and templates."""
    from ..storage import images

    # An image is built with 600 MiB (see images.build); what is built already only has to stay.
    least = 64 * _MIB if images.find("small") else 600 * _MIB
    fits = "Images and templates fit."
    return _room("cache folder", cache_home(), "LABKIT_CACHE", least, fits)


def _room(name: str, folder: Path, variable: str, least: int, fits: str) -> Finding:
    """Whether there is room in a folder that `variable` moves."""
    free = disk_available(folder)
    found = f"{folder} ({_kind(folder)}), {format_size(free)} free"
    if free < least:
        meaning = f"labkit needs {format_size(least)} here. Make room or choose another folder."
        return fail(name, found, meaning, _move(variable))
    if free < _ENOUGH_DISK:
        return note(name, found, f"{fits} There is not room for much more.", _move(variable))
    return ok(name, found, fits)


def _move(variable: str) -> str:
    return f"export {variable}=/a/folder/on/a/larger/local/disk"


def _kind(folder: Path) -> str:
    """The type of the file system that `folder` lies on."""
    device = os.stat(folder).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in read("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == number:
            return after.split()[0]
    return "unknown file system"


def _socket_trouble(folder: Path) -> str:
    """Why a socket cannot be made in `folder`, or ""."""
    place = tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder)
    with place as trial, socket.socket(socket.AF_UNIX) as end:
        try:
            end.bind(f"{trial}/s")
        except OSError as error:
            return f"no socket can be made: {error.strerror}"
    return ""


def runtime_folder() -> Finding:
    """Sockets: their paths must be short."""
    name, folder = "runtime folder", runtime_home()
    length = len(os.fsencode(folder))
    fix = f"export LABKIT_RUNTIME=/tmp/labkit-{os.geteuid()}"
    if length > _LONGEST_RUNTIME:
        meaning = f"Paths of sockets hold 107 bytes, so this folder's may have {_LONGEST_RUNTIME}."
        return fail(name, f"{folder}, {length} bytes long", meaning, fix)
    problem = _socket_trouble(folder)
    if problem:
        return fail(name, f"{folder}: {problem}", "Daemons of a lab cannot be reached.", fix)
    return ok(name, str(folder), "Sockets of labs fit.")


# ── cgroups ───────────────────────────────────────────────────────────────────────────────────

_LIMITS = ("cpu", "cpuset", "memory", "pids", "io", "blkio", "freezer", "devices")


def cgroups() -> Finding:
    """Which limits a lab can set on its machines."""
    version, usable = _usable_controllers()
    who = "root" if os.geteuid() == 0 else "this user"
    if not usable:
        meaning = (
            "Labs work, but their machines cannot be limited: what `limits` sets is kept by cgroups. Virtual "
            "machines keep to the memory and processors that they were made with."
        )
        fix = f"{_cgroups.DELEGATE} ./lab" if _cgroups.can_be_delegated() else ""
        return note("cgroups", f"{version}, not handed to {who}", meaning, fix)
    found = f"{version}, {who} may use: {', '.join(usable)}"
    if {"cpu", "memory"} <= set(usable):
        return ok("cgroups", found, "Machines can be limited and measured.")
    return note("cgroups", found, "Labs work. Some limits on machines cannot be set.")


def _usable_controllers() -> tuple[str, list[str]]:
    """Version of the cgroups here and the controllers that labs of this user have."""
    if _cgroups.is_v2():
        base = _cgroups.base()
        usable = _cgroups.controllers(base) if base and _can_make_group(base) else set()
        return "version 2", sorted(usable.intersection(_LIMITS))
    version = "version 1 and 2" if (_cgroups.TOP / "unified").is_dir() else "version 1"
    return version, sorted(_usable_v1()) if _cgroups.usable() else []


def _usable_v1() -> Iterator[str]:
    for line in read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        folder = _cgroups.TOP / controllers / path.lstrip("/")
        folder = folder if folder.is_dir() else _cgroups.TOP / controllers
        known = [name for name in controllers.split(",") if name in _LIMITS]
        if known and _can_make_group(folder):
            yield from known


def _can_make_group(folder: Path) -> bool:
    """Make a cgroup and remove it again."""
    trial = folder / f"labkit-doctor-{os.getpid()}"
    try:
        trial.mkdir()
    except OSError:
        return False
    trial.rmdir()
    return True
