"""The cgroups that a lab's limits are made of: where they can be made, and how they go.

On version 1, with or without a version 2 beside it, root's labs have a cgroup in every hierarchy.

On version 2 a lab's cgroup lies in a *base*, a cgroup that this user may manage::

    base                    the delegated cgroup that labkit runs in; for root without one, the top
      labkit.others         the processes that were in base: a cgroup with controllers holds none
      labkit-NAME           the lab
        init.scope          its first process
        HOST                all that a host sees of cgroups; its own to manage
          init.scope        its first process, daemons and commands
          machine/…         what libvirt makes for machines

Source: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

TOP = Path("/sys/fs/cgroup")
DELEGATE = "systemd-run --user --scope -p Delegate=yes"
_OTHERS = "labkit.others"
_NEEDED = {"cpu", "memory"}


def is_v2() -> bool:
    """Whether there is version 2 alone here."""
    return (TOP / "cgroup.controllers").exists()


def usable() -> bool:
    """Whether labs of this user have cgroups, as far as can be told without making one."""
    return base() is not None if is_v2() else _v1_usable()


def _v1_usable() -> bool:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [line.split()[1] for line in lines if line.split()[2] == "cgroup"]
    return bool(points) and os.geteuid() == 0 and all(os.access(point, os.W_OK) for point in points)


def can_be_delegated() -> bool:
    """Whether this user can ask systemd for a cgroup to manage, by `DELEGATE` before a command."""
    manager = Path(f"/run/user/{os.geteuid()}/systemd/private")
    return is_v2() and os.geteuid() != 0 and manager.exists()


def advice() -> str:
    """What to do in order to have limits in a lab that has none."""
    if not is_v2():
        return "run the lab as root, or in a delegated scope where there is cgroup version 2 alone"
    if os.geteuid() == 0:
        return "run the lab where /sys/fs/cgroup can be written to and has the controllers cpu and memory"
    return f"close the lab, and open it from what is started by `{DELEGATE} ./lab`"


# ── Version 2 ─────────────────────────────────────────────────────────────────────────────────


def base() -> Path | None:
    """The version 2 cgroup in which this user can make those of labs."""
    own = _own()
    if os.geteuid() == 0 and not (own and _is_delegated(own)):
        own = TOP  # what others have not been given, systemd manages; the top is shared by all
    return own if own and _is_manageable(own) else None


def _own() -> Path | None:
    """The cgroup of this process, or None if it is not among those that can be seen."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::")), "/..")
    own = TOP / path.strip("/")
    if ".." in own.parts or not own.is_dir():
        return None
    return own.parent if own.name == _OTHERS else own


def _is_delegated(group: Path) -> bool:
    """Whether systemd has given the cgroup away."""
    for name in ("trusted.delegate", "user.delegate"):
        with contextlib.suppress(OSError):
            return os.getxattr(group, name) == b"1"
    return False


def _is_manageable(group: Path) -> bool:
    files = (group, group / "cgroup.procs", group / "cgroup.subtree_control")
    return all(os.access(file, os.W_OK) for file in files) and controllers(group) >= _NEEDED


def controllers(group: Path) -> set[str]:
    """The controllers that a version 2 cgroup has."""
    with contextlib.suppress(OSError):
        return set((group / "cgroup.controllers").read_text().split())
    return set()


def make(name: str) -> Path | None:
    """Make the version 2 cgroup of a lab; None if there can be none with what limits need."""
    place = base() if is_v2() else None
    if place is None:
        return None
    with _locked(place):
        _open_up(place)
        group = place / _lab(name)
        group.mkdir(exist_ok=True)
        if controllers(group) >= _NEEDED:
            return group
        group.rmdir()
        _give_back(place)
    return None


@contextlib.contextmanager
def _locked(group: Path) -> Iterator[None]:
    descriptor = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_up(place: Path) -> None:
    """Let cgroups in `place` have its controllers; its processes step aside."""
    if (place / "cgroup.type").exists():  # at the hierarchy's very top processes are in nobody's way
        (place / _OTHERS).mkdir(exist_ok=True)
        _move(place, place / _OTHERS)
    for controller in controllers(place):
        with contextlib.suppress(OSError):  # what could not be had, is missed by `make`
            (place / "cgroup.subtree_control").write_text(f"+{controller}")


def _give_back(place: Path) -> None:
    """Bring the processes back once no other cgroup is in `place`."""
    others = place / _OTHERS
    if [path for path in place.iterdir() if path.is_dir()] != [others]:
        return
    for controller in controllers(others):
        with contextlib.suppress(OSError):
            (place / "cgroup.subtree_control").write_text(f"-{controller}")
    _move(others, place)
    with contextlib.suppress(OSError):
        others.rmdir()


def _move(source: Path, target: Path) -> None:
    """Move all processes, those too that are forked meanwhile."""
    tried: set[str] = set()
    # 0 stands for processes of a PID namespace outside: written, it would mean this one.
    while fresh := set((source / "cgroup.procs").read_text().split()) - tried - {"0"}:
        tried |= fresh
        for pid in fresh:
            with contextlib.suppress(OSError):  # it has ended, or may not be moved
                (target / "cgroup.procs").write_text(pid)


# ── Finding and removing ──────────────────────────────────────────────────────────────────────


def _lab(name: str) -> str:
    return f"labkit-{name}"


def find(name: str) -> list[Path]:
    """The cgroups of this user's lab `name`, in every hierarchy."""
    return _named(_lab(name))


def _named(name: str) -> list[Path]:
    # By `os.walk`, which does not mind that others go in between.
    found = [Path(top) / name for top, folders, _ in os.walk(TOP) if name in folders]
    return [path for path in found if _owner(path) == os.geteuid()]


def _owner(path: Path) -> int:
    try:
        return path.stat().st_uid
    except OSError:
        return -1


def remove(name: str, is_alive: Callable[[], bool], timeout_s: float = 5) -> None:
    """Remove the cgroups of a lab that has ended, as soon as the kernel has ended what was in them."""
    deadline = time.monotonic() + timeout_s
    while left := find(name):
        for group in left:
            for path, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
        if time.monotonic() > deadline or is_alive():
            break
        time.sleep(0.005)
    if is_v2():
        for others in _named(_OTHERS):
            with contextlib.suppress(OSError), _locked(others.parent):
                _give_back(others.parent)
