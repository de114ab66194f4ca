"""What a migration would be, found out before anything moves."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from .._values import format_size
from ..errors import InvalidValue, LabError, NotFound
from ..machines import _libvirt
from ..machines.spec import State
from .spec import MigrationOptions, MigrationPlan, Obstacle

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..machines._kvm_machine import KvmMachine
    from ..machines.base import Machine

_USUAL_BYTES_PER_SECOND = 100 * 2**20
_USUAL_EXTRA_S = 0.5
_REACH_S = 3
# Asks for a connection to a port where nobody listens: who is there refuses it at once.
_REACH = 'timeout "$2" bash -c "exec 3<>/dev/tcp/$1/9" 2>&1 | grep -q refused'


def plan(machine: KvmMachine, to: Host, options: MigrationOptions) -> MigrationPlan:
    """See `Machine.migration_plan`; `InvalidValue` for a host that it cannot be meant."""
    check_host(machine, to)
    runs = machine.refresh() in (State.RUNNING, State.PAUSED, State.MOVING)
    obstacles = list(on_the_way(machine, to))
    if not obstacles:
        obstacles = [*_at_the_destination(machine, to, options, runs=runs), *_of_the_machine(machine, options)]
    copies = takes_disk(machine, to, options)
    disk_bytes = _allocated(machine, to) if runs and copies else 0
    memory_bytes = machine.stats().memory_bytes if runs else 0
    memory_bytes = min(memory_bytes, machine.spec.memory_bytes) or (machine.spec.memory_bytes if runs else 0)
    (pace, basis), timed_bytes = speed(machine), memory_bytes + disk_bytes
    if options.bytes_per_second:
        pace, basis = min(pace, options.bytes_per_second), "the bandwidth that is allowed"
        if disk_bytes and not share_files(machine, to):  # libvirt counts what is empty as well
            timed_bytes = memory_bytes + machine.spec.disk_bytes
    expected = _USUAL_EXTRA_S + timed_bytes / pace
    return MigrationPlan(
        machine.name, machine.host.name, to.name, _way(options, runs=runs, copies=copies), memory_bytes, disk_bytes,
        round(expected, 1), basis, tuple(obstacles),
    )  # fmt: skip


def check_host(machine: Machine, to: Host) -> None:
    """Raise `InvalidValue` for a host that it cannot be moved to."""
    if to.lab is not machine.host.lab and to.lab.name != machine.host.lab.name:
        raise InvalidValue(f"{to.name} is a host of another lab", hint="give a host of the machine's lab")
    if to.name == machine.host.name:
        raise InvalidValue(f"{machine.name} is on {to.name} already", hint="give another host", machine=machine.name)


def share_files(machine: Machine, to: Host) -> bool:
    """Whether its host and the other have the same files."""
    return machine.host.files.are_those_of(to.files)


def takes_disk(machine: Machine, to: Host, options: MigrationOptions) -> bool:
    """Whether its disk is copied: because that is wanted, or because the hosts do not share it."""
    return options.storage == "copy" or not share_files(machine, to)


def _way(options: MigrationOptions, *, runs: bool, copies: bool) -> str:
    if not runs:
        return "at rest: only its description moves"
    how = ["live" if options.live else "paused meanwhile"]
    how.append("memory and disk" if copies else "memory")
    how.append("over TLS" if options.tls else "in plain text")
    words = f"{how[0]}, {how[1]} {how[2]}"
    if options.parallel:
        words += f", {options.parallel} connections"
    for wanted, name in (
        (options.compress, "compressed"), (options.auto_converge, "slowed down if need be"),
        (options.postcopy, "post-copy on request"),
    ):  # fmt: skip
        words += f", {name}" if wanted else ""
    return words


def on_the_way(machine: KvmMachine, to: Host) -> Iterator[Obstacle]:
    """Whether the two hosts live and reach each other."""
    if not to.is_alive:
        yield Obstacle(f"{to.name} does not answer", f'lab.add_host("{to.name}") makes it again')
        return
    tried = machine.host.run(["sh", "-c", _REACH, "sh", to.address, str(_REACH_S)], env={"LC_ALL": "C"})
    if not tried.ok:
        yield Obstacle(
            f"{machine.host.name} does not reach {to.name} ({to.address})", "mend the network between the hosts"
        )


def _at_the_destination(machine: KvmMachine, to: Host, options: MigrationOptions, *, runs: bool) -> Iterator[Obstacle]:
    from ..hosts.doctor import require_disk, require_memory

    try:
        to.kvm[machine.name]
        yield Obstacle(f"{to.name} has a machine {machine.name} already", "destroy that one, or give another host")
    except NotFound:
        pass
    try:
        if runs:
            require_memory(machine.spec.memory_bytes, to)
        if takes_disk(machine, to, options):
            require_disk(machine.folder, _allocated(machine, to), to)
    except LabError as error:
        yield Obstacle(f"{to.name} has no room: {error.message}", error.hint)
    if not share_files(machine, to):
        if options.storage == "shared":
            yield Obstacle(f"{to.name} does not see the files of {machine.host.name}", 'leave out storage="shared"')
        if not runs:
            yield Obstacle(
                f"at rest only its description moves, and {to.name} does not see its disk",
                "move(to) copies it; or start() it: while it runs it takes its disk along",
            )
    if not runs or machine.acceleration != "kvm":  # an emulated processor is the same everywhere
        return
    if not to.kvm.acceleration().is_kvm:
        yield Obstacle(f"KVM does not work on {to.name}", to.kvm.acceleration().reason)
    if lacking := _features(machine.host) - _features(to):
        shown = ", ".join(sorted(lacking)[:8])
        yield Obstacle(
            f"the processor of {to.name} lacks what {machine.name} may be using: {shown}",
            "move it at rest: stop() it first",
        )


def _of_the_machine(machine: KvmMachine, options: MigrationOptions) -> Iterator[Obstacle]:
    if names := machine.snapshots():
        yield Obstacle(
            f"{machine.name} has snapshots ({', '.join(names)}), which libvirt does not take along",
            "move(to) stops it, and starts it there with them",
        )
    if options.postcopy:
        if not _may_post_copy(machine.host):
            yield Obstacle(
                "post-copy needs userfaultfd, which this user may not use",
                "sudo sysctl vm.unprivileged_userfaultfd=1, or leave out postcopy=True",
            )
        yield Obstacle(
            "once post-copy has begun, its memory is lost if a host fails before the end, or the network for good",
            "without postcopy=True it can be taken back at any time", stops=False,
        )  # fmt: skip
    if not options.tls:
        yield Obstacle("whoever listens on the way reads the machine's memory", "leave out tls=False", stops=False)


def _may_post_copy(host: Host) -> bool:
    allowed = host.run(["cat", "/proc/sys/vm/unprivileged_userfaultfd"]).stdout.strip()
    return allowed == "1" or host.is_privileged


def _features(host: Host) -> set[str]:
    """The model and the features of a host's processor, as its libvirt knows them."""
    with _libvirt.spoken(host.name):
        root = ElementTree.fromstring(host.kvm.connection().getCapabilities())
    cpu = root.find("host/cpu")
    if cpu is None:
        return set()
    model = cpu.findtext("model", "")
    return {f"model {model}", *(feature.get("name", "") for feature in cpu.iterfind("feature"))} - {"model "}


def _allocated(machine: KvmMachine, to: Host) -> int:
    """What its disk takes on the disk of its host, in bytes; with what it stands on if that has to come along."""
    disk = machine.disk()
    if not share_files(machine, to):
        info = ["qemu-img", "info", "-U", "--backing-chain", "--output=json", str(disk)]
        told = machine.host.run(info, check=True).stdout
        return sum(int(part["actual-size"]) for part in json.loads(told))
    with contextlib.suppress(OSError):
        found = machine.host.files.status(disk)
        return found.taken_bytes if found else 0
    return 0


def speed(machine: Machine) -> tuple[float, str]:
    """How many bytes a second of such machines went over between hosts of this lab, and how that is known."""
    speeds = []
    try:
        for line in (machine.host.lab.folder / "journal.jsonl").read_text().splitlines():
            words = json.loads(line)
            alike = words["what"] == "migrated" and words.get("engine") == machine.engine
            if alike and words["seconds"] > _USUAL_EXTRA_S:
                speeds.append(words["bytes"] / (words["seconds"] - _USUAL_EXTRA_S))
    except OSError:
        pass
    speeds = [speed for speed in speeds if speed > 2**20]
    if not speeds:
        return _USUAL_BYTES_PER_SECOND, f"a usual {format_size(_USUAL_BYTES_PER_SECOND)}/s: nothing has moved here yet"
    mean = math.exp(sum(map(math.log, speeds)) / len(speeds))
    return mean, f"{len(speeds)} moves in this lab, {format_size(mean)}/s"
