"""libvirt's part in moving a QEMU machine: flags, the job, and what is where once it has ended.

Source: https://libvirt.org/migration.html ("managed direct migration"): this process speaks with both
libvirts, and the two QEMUs with each other. No libvirt listens on a network.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakSet
from xml.etree import ElementTree

import libvirt

from ..errors import LabError
from ..machines._libvirt import spoken
from .spec import MigrationOptions, MigrationSample

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..machines._kvm_machine import KvmMachine
    from ..storage.images import Image

_JOB_ENDS_S = 30
_BROKEN = [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED]
_HALF = {
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY),
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED),
    (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY),
    (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY_FAILED),
}
# MACHINE ADDRESS: ends the connections of the machine's QEMU with that address.
_HANG_UP = """
for pid in $(pgrep -f "guest=$1,"); do
    ss -Htnp state established dst "$2" | grep "pid=$pid," | while read -r _ _ here _; do
        ss -HK src "$here" dst "$2"
    done
done
"""
# How long the hosts' kernels go on sending what is not acknowledged, until a connection counts as cut.
_PATIENCE = {"net.ipv4.tcp_syn_retries": 2, "net.ipv4.tcp_retries2": 5}
_impatient: WeakSet[Host] = WeakSet()  # hosts for which this process has done it


def limit_patience(hosts: list[Host]) -> None:
    """Have the hosts' kernels notice within seconds that the other does not answer any more."""
    script = 'for pair; do echo "${pair#*=}" >"/proc/sys/$(echo "${pair%%=*}" | tr . /)"; done'
    words = [f"{name}={value}" for name, value in _PATIENCE.items()]
    for host in hosts:
        if host not in _impatient:
            host.run(["sh", "-euc", script, "sh", *words], check=True)
            _impatient.add(host)


def flags_of(options: MigrationOptions, *, running: bool, copy: bool, whole: bool = False) -> int:
    """libvirt's flags for what is wanted; `whole`: what the disk stands on is copied, too."""
    flags: int = libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    if not running:
        flags |= libvirt.VIR_MIGRATE_OFFLINE
        return flags
    if whole:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_DISK
    else:  # the hosts share the folder with the disks, and one kernel: what one wrote the other reads
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_INC if copy else libvirt.VIR_MIGRATE_UNSAFE
    chosen = {
        libvirt.VIR_MIGRATE_LIVE: options.live, libvirt.VIR_MIGRATE_TLS: options.tls,
        libvirt.VIR_MIGRATE_PARALLEL: bool(options.parallel), libvirt.VIR_MIGRATE_COMPRESSED: options.compress,
        libvirt.VIR_MIGRATE_AUTO_CONVERGE: options.auto_converge, libvirt.VIR_MIGRATE_POSTCOPY: options.postcopy,
    }  # fmt: skip
    for flag, wanted in chosen.items():
        flags |= flag if wanted else 0
    return flags


def parameters_of(options: MigrationOptions, to: Host, *, running: bool) -> dict[str, Any]:
    """libvirt's parameters for what is wanted; QEMU listens on the destination's backbone address alone."""
    if not running:
        return {}
    given: dict[str, Any] = {
        libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{to.address}",
        libvirt.VIR_MIGRATE_PARAM_LISTEN_ADDRESS: to.address,
    }
    if options.tls:
        given[libvirt.VIR_MIGRATE_PARAM_TLS_DESTINATION] = to.name
    if options.bytes_per_second:
        given[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = options.bytes_per_second // 2**20
        if options.postcopy:
            given[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY] = options.bytes_per_second // 2**20
    if options.parallel:
        given[libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS] = options.parallel
    if options.compress:
        given[libvirt.VIR_MIGRATE_PARAM_COMPRESSION] = "xbzrle"
    return given


def with_disk(domain: libvirt.virDomain, path: str, image: Image | None = None) -> dict[str, Any]:
    """The parameters with which the copied disk becomes `path` there; `image` is where its own lies there."""

    def xml(flags: int) -> str:
        root = ElementTree.fromstring(domain.XMLDesc(flags))
        for source in root.iterfind("devices/disk/source"):
            source.set("file", path)
        for name in ("kernel", "initrd") if image else ():
            if (boot := root.find(f"os/{name}")) is not None:
                boot.text = str(getattr(image, name))
        return ElementTree.tostring(root, encoding="unicode")

    migratable = libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE
    return {
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: xml(migratable),
        libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: xml(migratable | libvirt.VIR_DOMAIN_XML_INACTIVE),
        libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS: ["vda"],
    }


def sample(domain: libvirt.virDomain, *, postcopy: bool) -> MigrationSample | None:
    """How far the job is; None if there is none."""
    told = domain.jobStats()
    if told.get("type", libvirt.VIR_DOMAIN_JOB_NONE) == libvirt.VIR_DOMAIN_JOB_NONE:
        return None
    words = {key: int(told.get(key, 0)) for key in _COUNTERS}
    if words["disk_remaining"] and not words["memory_processed"]:
        phase = "copying the disk"
    elif postcopy:
        phase = "running there, memory follows"
    else:
        phase = "copying memory" if words["memory_total"] else "preparing"
    return MigrationSample(
        time_s=time.monotonic(), phase=phase, total_bytes=words["data_total"], done_bytes=words["data_processed"],
        remaining_bytes=words["data_remaining"], bytes_per_second=words["memory_bps"] or words["disk_bps"],
        dirty_bytes_per_second=words["memory_dirty_rate"] * words["memory_page_size"], round=words["memory_iteration"],
        throttled=words["auto_converge_throttle"] / 100,
    )  # fmt: skip


_COUNTERS = (
    "data_total", "data_processed", "data_remaining", "memory_total", "memory_processed", "memory_bps",
    "memory_dirty_rate", "memory_page_size", "memory_iteration", "disk_remaining", "disk_bps",
    "auto_converge_throttle",
)  # fmt: skip


def finished(domain: libvirt.virDomain) -> dict[str, int]:
    """What libvirt noted of the migration by which `domain` came."""
    with contextlib.suppress(libvirt.libvirtError):
        told: dict[str, int] = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
        return told
    return {}


def is_interrupted(domain: libvirt.virDomain, destination: Host) -> bool:
    """Whether `domain` is half here and half at the destination, and the network between has failed: it can go on."""
    with contextlib.suppress(libvirt.libvirtError, LabError):
        there = destination.kvm.connection().lookupByName(domain.name())
        return bool(there.isActive()) and list(domain.state()) == _BROKEN
    return False


def hang_up(name: str, source: Host, destination: Host) -> None:
    """Have the half at the destination notice that the connection is cut: one that only listens does not by itself."""
    with contextlib.suppress(LabError):
        destination.run(["sh", "-uc", _HANG_UP, "labkit", name, source.address])


def give_up(name: str, destination: Host) -> None:
    """End the half at the destination: its QEMU may be waiting for memory that does not come, and hear nobody."""
    if there := _domain(destination, name):
        _remove(there)


def is_half(domain: libvirt.virDomain) -> bool:
    """Whether a domain is in post-copy, one half of its memory here and the other there."""
    try:
        return tuple(domain.state()) in _HALF
    except libvirt.libvirtError:
        return False


# ── What is where ─────────────────────────────────────────────────────────────────────────────


def settle(machine: KvmMachine, source: Host, destination: Host, *, ran: bool) -> Host | None:
    """After a migration that may have failed anywhere: have the machine on one of the two hosts, and run if it `ran`.

    Returns the host that has it; None if neither has.
    """
    there = _domain(destination, machine.name)
    here = _domain(source, machine.name)
    with spoken(machine.host.name, machine.name):
        if there is not None and (_is_whole(there) or here is None):
            if here is not None:
                _remove(here)
            there = _domain(destination, machine.name)
            if there is not None and ran:
                _go_on(there)
            return destination if there is not None else None
        if there is not None:
            _remove(there)
        if here is None:
            return None
        _until_no_job(here)
        if is_half(here):  # the other half is lost
            here.destroy()
        elif ran:
            _go_on(here)
    return source


def has_ended(machine: KvmMachine, host: Host) -> bool:
    """Whether `host` has the machine, and it does not run there."""
    domain = _domain(host, machine.name)
    with contextlib.suppress(libvirt.libvirtError):
        return domain is not None and not domain.isActive()
    return False


def last_words(machine: KvmMachine, host: Host) -> str:
    """The last lines of its QEMU's log on `host`, or a word saying that there is none."""
    with contextlib.suppress(LabError):
        log = f"/var/log/libvirt/qemu/{machine.name}.log"
        if said := host.run(["tail", "-n", "3", log]).stdout.strip():
            return said
    return "(its log is empty)"


def _go_on(domain: libvirt.virDomain) -> None:
    if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()


def _domain(host: Host, name: str) -> libvirt.virDomain | None:
    with contextlib.suppress(LabError, libvirt.libvirtError):
        return host.kvm.connection().lookupByName(name)
    return None


def _is_whole(domain: libvirt.virDomain) -> bool:
    """Whether a domain at the destination has all it needs: until then libvirt does not make it last."""
    _until_no_job(domain)
    try:
        return bool(domain.isPersistent()) and not is_half(domain)
    except libvirt.libvirtError:  # it was still being made, and has gone
        return False


def _until_no_job(domain: libvirt.virDomain) -> None:
    deadline = time.monotonic() + _JOB_ENDS_S
    while time.monotonic() < deadline:
        try:
            if domain.jobInfo()[0] == libvirt.VIR_DOMAIN_JOB_NONE:
                return
        except libvirt.libvirtError:
            return
        time.sleep(0.05)


def _remove(domain: libvirt.virDomain) -> None:
    for act in (domain.destroy, domain.undefine):
        with contextlib.suppress(libvirt.libvirtError):  # not running, or not lasting
            act()


# The same by a shell on the source, for when the process that moved the machine has died: $1 is the
# machine, $2 its notes, $3 and $4 the names of the hosts, then comes the command for each libvirt.
SETTLE = r"""
name=$1 notes=$2 here=$3 there=$4
src() { virsh -q -c "qemu+unix:///system?socket=$source" "$@" "$name" 2>/dev/null; }
dst() { virsh -q -c "qemu+unix:///system?socket=$destination" "$@" "$name" 2>/dev/null; }
source=$5 destination=$6 ran=$7 tries=0
while [ $tries -lt 200 ] && { src domjobinfo; dst domjobinfo; } | grep -q 'Job type: *[BU]'; do
    [ $tries -lt 30 ] || src domjobabort  # by then libvirt should have noticed that nobody waits for it
    sleep 0.1
    tries=$((tries + 1))
done
if dst dominfo | grep -q 'Persistent: *yes'; then
    src destroy
    src undefine
    [ "$ran" = no ] || [ "$(dst domstate)" != paused ] || dst resume
    host=$there
else
    dst destroy
    [ "$ran" = no ] || [ "$(src domstate)" != paused ] || src resume
    host=$here
fi
printf %s "$host" >"$notes/.host" && mv "$notes/.host" "$notes/host"
mkdir -p "$8"
echo "the move of $name from $here to $there was interrupted: it is on $host" >"$8/migration-of-$name"
rm -rf "$notes/migrating"
"""
