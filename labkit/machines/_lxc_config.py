"""What a container is made of: its description, and liblxc's configuration file written from it."""

from __future__ import annotations

import ctypes
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._values import format_size
from ..errors import InvalidValue
from .spec import MachineSpec, NetworkInterface

if TYPE_CHECKING:
    from ..networks.network import Networks

LXC_PATH = "/var/lib/lxc"
FIRST_ID = 1_000_000
IDS = 65_536
PERIOD_US = 100_000
_LEAST_MEMORY = 8 * 2**20
_CONSOLE_BYTES = 4 * 2**20  # then the log begins anew: who talks much does not fill the disk
# What liblxc's own templates take away: they reach beyond the container.
DROPPED = ("mac_admin", "mac_override", "sys_module", "sys_rawio", "sys_time")
REFUSED = ("delete_module", "finit_module", "init_module", "kexec_file_load", "kexec_load", "open_by_handle_at")
_CAPABILITIES = frozenset({
    "audit_control", "audit_read", "audit_write", "block_suspend", "bpf", "checkpoint_restore", "chown",
    "dac_override", "dac_read_search", "fowner", "fsetid", "ipc_lock", "ipc_owner", "kill", "lease",
    "linux_immutable", "mac_admin", "mac_override", "mknod", "net_admin", "net_bind_service", "net_broadcast",
    "net_raw", "perfmon", "setfcap", "setgid", "setpcap", "setuid", "sys_admin", "sys_boot", "sys_chroot",
    "sys_module", "sys_nice", "sys_pacct", "sys_ptrace", "sys_rawio", "sys_resource", "sys_time",
    "sys_tty_config", "syslog", "wake_alarm",
})  # fmt: skip
_SYSCALL = re.compile(r"[a-z0-9_]{1,40}", re.ASCII)
_UNKNOWN_SYSCALL = -1


@dataclass(frozen=True, slots=True)
class LxcSpec(MachineSpec):
    """What a container was asked to be.

    Attributes
    ----------
    root
        The folder, among the lab's ``roots``, with what all containers of this image share.
    command
        What it was made to run; empty for a machine to log in to.
    cpus
        Processor time it may use, in processors; None for all there is.
    ephemeral
        Whether it vanishes when it stops.
    dropped, kept
        Capabilities that are taken away, or None; all that it has, or None.
    refused
        System calls that are refused; empty without a filter.
    first_id
        The host's user and group id that its root is, 0 if it has the ids of the host.
    """

    root: str = ""
    command: tuple[str, ...] = ()
    cpus: float | None = None
    ephemeral: bool = False
    dropped: tuple[str, ...] | None = DROPPED
    kept: tuple[str, ...] | None = None
    refused: tuple[str, ...] = REFUSED
    first_id: int = 0

    def to_json(self) -> str:
        """The description as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> LxcSpec:
        """The description from its text."""
        words: dict[str, Any] = json.loads(text)
        cards = tuple(NetworkInterface(**card) for card in words.pop("interfaces"))
        for key in ("command", "dropped", "kept", "refused"):
            words[key] = None if words[key] is None else tuple(words[key])
        return cls(**words, interfaces=cards)


# ── What people ask for, checked ──────────────────────────────────────────────────────────────


def check_capabilities(names: Iterable[str] | None) -> tuple[str, ...] | None:
    """Names of Linux capabilities as liblxc writes them; see capabilities(7)."""
    if names is None:
        return None
    given = [names] if isinstance(names, str) else list(names)
    words = [str(name).lower().removeprefix("cap_") for name in given]
    for name, word in zip(given, words, strict=True):
        if word not in _CAPABILITIES:
            raise InvalidValue(
                f"{ascii(name)[:60]} is not a capability",
                hint='such as "net_raw" or "CAP_SYS_ADMIN"; see capabilities(7)',
            )
    return tuple(sorted(set(words)))


def check_syscalls(names: Iterable[str]) -> tuple[str, ...]:
    """Names of system calls that this kernel's architecture has."""
    given = [names] if isinstance(names, str) else list(names)
    for name in given:
        if not isinstance(name, str) or not _SYSCALL.fullmatch(name) or not _is_syscall(name):
            raise InvalidValue(f"{ascii(name)[:60]} is not a system call", hint='such as "mount"; see syscalls(2)')
    return tuple(sorted(set(given)))


def _is_syscall(name: str) -> bool:
    """Whether libseccomp, which liblxc compiles its filter with, knows the name."""
    try:
        number = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name(name.encode())
    except OSError:  # the host's liblxc has it, this process need not
        return True
    return bool(number != _UNKNOWN_SYSCALL)


def check_memory(size_bytes: int) -> None:
    """Raise `InvalidValue` if not even a shell could run in so little memory."""
    if size_bytes < _LEAST_MEMORY:
        raise InvalidValue(
            f"{format_size(size_bytes)} of memory are too little to start in",
            hint=f"give {format_size(_LEAST_MEMORY)} or more",
        )


# ── liblxc's configuration ────────────────────────────────────────────────────────────────────


def limits(memory_bytes: int, cpus: float | None, processors: Sequence[int], version: int) -> dict[str, str]:
    """The files of a cgroup and what they must hold; 0 bytes and None are no limit, `processors` their numbers.

    See Documentation/admin-guide/cgroup-v1 and cgroup-v2 of the kernel.
    """
    quota = None if cpus is None else round(cpus * PERIOD_US)
    cpuset = {"cpuset.cpus": ",".join(map(str, processors))}
    if version == 2:
        return cpuset | {
            "memory.max": str(memory_bytes or "max"),
            "cpu.max": f"{'max' if quota is None else quota} {PERIOD_US}",
        }
    return cpuset | {
        "memory.limit_in_bytes": str(memory_bytes or -1),
        "cpu.cfs_period_us": str(PERIOD_US),
        "cpu.cfs_quota_us": str(-1 if quota is None else quota),
    }


def link_name(machine: str, card: NetworkInterface) -> str:
    """The host's end of a container's network card; the kernel takes 15 bytes."""
    return "v" + hashlib.sha256(f"{machine}/{card.network}".encode()).hexdigest()[:12]


def configuration(spec: LxcSpec, networks: Networks, processors: Sequence[int], cgroup_version: int) -> str:
    """The file ``config`` of a container on a host with these processors; `cgroup_version` is 0 without limits."""
    lines: list[tuple[str, object]] = [
        *_basics(spec), *_mounts(spec), *_rights(spec), *_cards(spec, networks),
        *_cgroups(spec, processors, cgroup_version),
    ]  # fmt: skip
    for key, value in lines:
        if "\n" in f"{key}{value}":
            raise InvalidValue(f"{ascii(value)[:60]} cannot be in LXC's configuration", hint="take out the newline")
    return "".join(f"{key} = {value}\n" for key, value in lines)


def _basics(spec: LxcSpec) -> Iterator[tuple[str, object]]:
    place = f"{LXC_PATH}/{spec.name}"
    yield "lxc.uts.name", spec.name
    yield "lxc.rootfs.path", f"dir:{place}/rootfs"
    yield "lxc.init.cmd", "/run/labkit/init"
    yield "lxc.console.logfile", f"{place}/console.log"
    yield "lxc.console.size", _CONSOLE_BYTES
    yield "lxc.tty.max", 0
    yield "lxc.pty.max", 1024
    yield "lxc.apparmor.profile", "unconfined"  # a profile cannot be entered from a user namespace
    if spec.ephemeral:
        yield "lxc.hook.version", 1
        yield "lxc.hook.post-stop", f"{LXC_PATH}/.labkit/lxc-gone"


def _mounts(spec: LxcSpec) -> Iterator[tuple[str, object]]:
    own = f"{LXC_PATH}/{spec.name}/own"
    yield "lxc.mount.auto", "proc:mixed sys:mixed"
    for target, options in (
        ("run", "mode=0755,nosuid,nodev"), ("tmp", "mode=1777,nosuid,nodev,create=dir"),
        ("dev/shm", "mode=1777,nosuid,nodev,create=dir"),
    ):  # fmt: skip
        yield "lxc.mount.entry", f"tmpfs {target} tmpfs {options} 0 0"
    yield "lxc.mount.entry", f"{own} run/labkit none bind,ro,create=dir 0 0"
    yield "lxc.mount.entry", f"{own}/state run/labkit/state none bind 0 0"
    # Files of its own identity, so that neither a clone nor a snapshot carries them.
    for name in IDENTITY:
        yield "lxc.mount.entry", f"{own}/{Path(name).name} {name} none bind,create=file 0 0"


IDENTITY = (
    "etc/hostname", "etc/hosts", "etc/machine-id", "etc/resolv.conf", "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
)  # fmt: skip


def _rights(spec: LxcSpec) -> Iterator[tuple[str, object]]:
    if spec.kept is not None:
        yield "lxc.cap.keep", " ".join(spec.kept) or "none"
    elif spec.dropped:
        yield "lxc.cap.drop", " ".join(spec.dropped)
    if spec.refused:
        yield "lxc.seccomp.profile", f"{LXC_PATH}/{spec.name}/seccomp"
    if spec.first_id:
        for kind in "ug":
            yield "lxc.idmap", f"{kind} 0 {spec.first_id} {IDS}"


def seccomp(refused: Sequence[str]) -> str:
    """The profile that answers these system calls with EPERM, and mounts that force an unmount too."""
    return "\n".join(["2", "denylist", "reject_force_umount", "[all]", *(f"{name} errno 1" for name in refused)]) + "\n"


def _cards(spec: LxcSpec, networks: Networks) -> Iterator[tuple[str, object]]:
    if not spec.interfaces:
        yield "lxc.net.0.type", "empty"
        return
    way_on = networks.way_on(spec.interfaces)
    for number, card in enumerate(spec.interfaces):
        network = networks[card.network]
        key = f"lxc.net.{number}"
        yield f"{key}.type", "veth"
        yield f"{key}.link", network.bridge
        yield f"{key}.veth.pair", link_name(spec.name, card)
        yield f"{key}.name", f"eth{number}"
        yield f"{key}.flags", "up"
        yield f"{key}.hwaddr", card.mac
        yield f"{key}.ipv4.address", f"{card.address}/{network.prefix_length}"
        if card is way_on:
            yield f"{key}.ipv4.gateway", network.gateway


def _cgroups(spec: LxcSpec, processors: Sequence[int], version: int) -> Iterator[tuple[str, object]]:
    # Named here, for liblxc numbers those it names itself: each kill would leave another.
    yield "lxc.cgroup.dir.container", f"lxc.payload.{spec.name}"
    yield "lxc.cgroup.dir.monitor", f"lxc.monitor.{spec.name}"
    yield "lxc.cgroup.dir.monitor.pivot", "lxc.pivot"
    if not version:
        return
    prefix = "lxc.cgroup2" if version == 2 else "lxc.cgroup"
    unlimited = limits(0, None, processors, version)
    for key, value in limits(spec.memory_bytes, spec.cpus, processors[: spec.vcpus], version).items():
        if value != unlimited[key]:
            yield f"{prefix}.{key}", value
