"""Hosts that boot Xen: an appliance in a QEMU on another host of the lab, copied from a template in seconds."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from .._paths import disk_room
from .._progress import progress
from .._values import check_name, format_size, parse_size
from ..errors import (
    Busy,
    DaemonFailed,
    EngineError,
    InvalidValue,
    LabGone,
    NameInUse,
    NotEnough,
)
from ..storage import xen as appliances
from . import _launch, _remotes
from ._boots_xen import BootsXen
from ._channel import Channel
from ._libvirtd import last_lines
from ._login import Login, make_key
from ._xen_line import Monitor
from ._xen_qemu import Machine, Size, check_memory
from ._xen_template import Template, dom0_of, monitor_of
from .acceleration import acceleration
from .namespace import clear
from .vagrant_hosts import CARRIER

if TYPE_CHECKING:
    from ..lab import Lab
    from .base import Host

SUBNET = IPv4Network("198.19.201.0/24")
GATEWAY = str(SUBNET[1])
BRIDGE = "labkit-xen"
_LEAST_BYTES, _LEAST_DOM0_BYTES, _XEN_BYTES = 768 * 2**20, 384 * 2**20, 128 * 2**20
_MOST_VCPUS = 8
_READY_S = 120.0
_CONNECT_S = 60.0  # an emulated processor with other work takes its time for ssh's keys
_LIBVIRT_SOCKET = "/run/libvirt/libvirt-sock"
_HAVE_BRIDGE = f"""
ip link show {BRIDGE} >/dev/null 2>&1 || ip link add {BRIDGE} type bridge forward_delay 0
ip address replace {GATEWAY}/{SUBNET.prefixlen} dev {BRIDGE}
ip link set {BRIDGE} mtu 9000 up
sysctl -qw net.ipv4.ip_forward=1
"""
_PLUG = f'ip link set "$1" mtu 9000 master {BRIDGE} up'
# Of what is taken back later somebody else may have made another meanwhile. Its process id may be just being written.
_END = """
[ -d "$1" ] || exit 0
[ -z "$2" ] || [ "$2" = "$(cat "$1/token")" ] || exit 0
for _ in 1 2 3 4 5; do [ -s "$1/pid" ] && break; sleep 0.1; done
[ -s "$1/pid" ] && kill -9 "$(cat "$1/pid")"
rm -rf "$1"
"""


class XenState(StrEnum):
    """How the virtual machine of a Xen host stands."""

    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Xen:
    """A host that boots Xen, for ``lab.add_host(Xen("xena"))`` or ``Lab.open("demo", hosts=["alpha", Xen("xena")])``.

    It is a virtual machine on a host of the lab, its carrier. The first of a size takes minutes: the
    appliance is built and booted. Those after that are copies of it, ready within seconds.

    Attributes
    ----------
    name
        Its name in the lab.
    memory
        All that it has, in bytes or words such as ``"2 GiB"``: for Xen, domain 0 and the machines.
    dom0_memory
        What of that is domain 0's.
    vcpus
        Its processors. Where KVM does not work it has one, whatever is asked for: emulated ones disturb each other.
    carrier
        The host in namespaces that it runs on; it is made if it is not there. All Xen hosts of a lab have the same.

    Raises
    ------
    InvalidValue, InvalidName
    """

    name: str
    memory: int | str = "1536 MiB"
    dom0_memory: int | str = "512 MiB"
    vcpus: int = 1
    carrier: str = CARRIER

    def __post_init__(self) -> None:
        check_name(self.name, "name of a host")
        check_name(self.carrier, "name of a host")
        if self.carrier == self.name:
            raise InvalidValue(f"{self.name} cannot run on itself", hint="give another carrier=…")
        if isinstance(self.vcpus, bool) or not isinstance(self.vcpus, int) or not 1 <= self.vcpus <= _MOST_VCPUS:
            raise InvalidValue(f"{ascii(self.vcpus)[:40]} processors cannot be", hint=f"give 1 to {_MOST_VCPUS}")
        size = self.size
        if size.dom0_bytes < _LEAST_DOM0_BYTES:
            raise InvalidValue(f"domain 0 does not boot with {format_size(size.dom0_bytes)}",
                               hint=f"give dom0_memory={format_size(_LEAST_DOM0_BYTES)!r} or more")  # fmt: skip
        if size.memory_bytes < max(_LEAST_BYTES, size.dom0_bytes + _XEN_BYTES):
            raise InvalidValue(
                f"{format_size(size.memory_bytes)} do not hold Xen and a domain 0 of {format_size(size.dom0_bytes)}",
                hint=f"give memory={format_size(max(_LEAST_BYTES, size.dom0_bytes + 2 * _XEN_BYTES))!r} or more",
            )  # fmt: skip

    @property
    def size(self) -> Size:
        """How large it is, in whole MiB."""
        whole = [parse_size(value, what) >> 20 << 20 for value, what in
                 ((self.memory, "memory"), (self.dom0_memory, "dom0_memory"))]  # fmt: skip
        return Size(whole[0], whole[1], self.vcpus)

    def names(self) -> tuple[str, ...]:
        """The one host that it is."""
        return (self.name,)

    def start(self, lab: Lab, name: str) -> Host:
        """Make the host; whatever ends this early, nothing is left.

        Raises
        ------
        NotEnoughMemory
            If this machine has too little for it; before anything is started.
        VersionsDoNotFit
            If Xen computes wrongly in the QEMU of this machine.
        DaemonFailed, DeadlineExceeded, NotEnoughDisk, PackageMissing, ImageBuildFailed
        """
        check_memory(self.size)
        carrier = self._carrier(lab)
        image = appliances.get()
        with progress(f"host {name}") as task:
            task.phase("finding out whether KVM works")
            kvm = is_accelerated()
            size = self.size if kvm else replace(self.size, vcpus=1)  # see `cpus` in vagrant/plan.rb
            sockets = lab.sockets / name
            _forget(lab, name)
            sockets.mkdir(mode=0o700, exist_ok=True)
            nowhere = Path()
            kind = Machine(image, size, kvm, nowhere, sockets, nowhere, False, nowhere, "qcow2", "", True)
            template = Template(carrier, kind)
            try:
                template.ensure(sockets)
                task.phase("copying the template")
                try:
                    return _Clone(lab, name, carrier, template, kind).start()
                except DaemonFailed as error:
                    template.renew(sockets, error.message)
                    return _Clone(lab, name, carrier, template, kind).start()
            except BaseException:
                _launch.remove_tree(sockets)
                raise

    def _carrier(self, lab: Lab) -> Host:
        for note in _remotes.notes(lab.folder):
            if (
                note["provider"] == XenHost.provider
                and note["carrier_name"] != self.carrier
                and note["name"] != self.name
            ):
                other = note["carrier_name"]
                raise InvalidValue(f"the Xen hosts of this lab run on {other}", hint=f'give carrier="{other}"')
        carrier = lab.hosts.get(self.carrier)
        if carrier is None or not carrier.is_alive:
            carrier = lab.add_host(self.carrier)
        if carrier.provider != "namespace":
            raise InvalidValue(f"{carrier.name} is a host of {carrier.provider}, which cannot carry Xen",
                               hint="carrier=… names a host in namespaces")  # fmt: skip
        return carrier


class XenHost(BootsXen):
    """A host that boots Xen; what is run on it runs in its domain 0."""

    provider = "xen"

    @property
    def carrier(self) -> Host:
        """The host of the lab that it runs on."""
        return self.lab[self.note["carrier_name"]]

    @property
    def keeper(self) -> Host:
        return self.carrier  # its disks are served from there

    @property
    def _machine_folder(self) -> Path:
        return _folder(self.carrier, self.name)

    def _channel(self) -> Channel:
        self._check_runs()
        return super()._channel()

    def _check_runs(self) -> None:
        """Raise `LabGone` at once if the virtual machine has ended: ssh would wait for it."""
        if (code := self.carrier.daemon_exit(_daemon(self.name))) is not None:
            words = last_lines(self._machine_folder / "console.log")
            raise LabGone(
                f"the virtual machine of the Xen host {self.name} has ended ({code}), with all machines on it;"
                f" its console ends with: {words}", host=self.name, hint=f'lab.add_host("{self.name}", provider="xen")',
            )  # fmt: skip

    def status(self) -> XenState:
        """How its virtual machine stands; asks QEMU."""
        try:
            with Monitor(self.sockets / "qmp", self.name, time.monotonic() + 10) as qemu:
                return XenState.RUNNING if qemu.status() == "running" else XenState.PAUSED
        except LabGone:
            return XenState.ENDED

    def join(self) -> None:
        """Have the lab's other hosts know the way to it, by its carrier."""
        _remotes.show_ways_to_all(self.lab)

    def destroy(self) -> None:
        """End the virtual machine with all machines on it, and remove its files; the lab forgets it."""
        self.close()
        self.leave(give_up=True)
        carrier = self.lab.hosts.get(self.note["carrier_name"])
        if carrier and carrier.is_alive:  # else it has ended with that
            _end(carrier, self.name)
        clear(self.lab, self.name)

    def facts(self) -> list[tuple[str, str]]:
        return [*super().facts(), ("runs on", self.carrier.name)]

    def start_libvirt(self) -> Path:
        # Domain 0's process 1 has it run, and run again should it end.
        return self._forward(self._answering(_LIBVIRT_SOCKET, "libvirtd"), "libvirt.sock")

    def _last_words(self, daemon: str) -> str:
        return self.run(["tail", "-n", "8", f"/var/log/libvirt/{daemon}.log"]).stdout.strip() or "(its log is empty)"


def _folder(carrier: Host, name: str) -> Path:
    return carrier.folder / "xen" / name


def _daemon(name: str) -> str:
    return f"xen-{name}"


def _end(carrier: Host, name: str) -> None:
    """End a host's QEMU, and wait until it has ended; its files are gone then."""
    carrier.run(["sh", "-c", _END, "sh", str(_folder(carrier, name)), ""])
    deadline = time.monotonic() + 10
    while carrier.daemon_exit(_daemon(name)) is None:
        if time.monotonic() > deadline:
            raise Busy(f"the virtual machine of the Xen host {name} does not end", hint="try again")
        time.sleep(0.02)


def _forget(lab: Lab, name: str) -> None:
    """Remove what a Xen host of that name which has ended has left."""
    for note in _remotes.notes(lab.folder):
        if note["name"] == name and note["provider"] == XenHost.provider:
            XenHost.restore(lab, note).destroy()
    _launch.remove_tree(lab.sockets / name)


class _Clone:
    """A host in the making."""

    def __init__(self, lab: Lab, name: str, carrier: Host, template: Template, kind: Machine) -> None:
        self._lab, self._name, self._carrier, self._template = lab, name, carrier, template
        self._kind = kind

    def start(self) -> XenHost:
        """Make it; what was begun is taken back when this ends early, or this process does."""
        folder = _folder(self._carrier, self._name)
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        _end(self._carrier, self._name)
        token = secrets.token_hex(8)
        undo = [["sh", "-c", _END, "sh", str(folder), token]]
        with disk_room(folder.parent), self._reserved(folder, undo) as commit:
            (folder / "token").write_text(token)
            address = self._take_address(folder)
            machine = self._machine(folder, f"xen{address.rpartition('.')[2]}")
            self._have_running(machine)
            login = self._tell(machine, address)
            more = {"carrier_name": self._carrier.name, "way": self._carrier.address, "subnet": str(SUBNET),
                    "cgroups": True}  # fmt: skip
            host = XenHost.start(self._lab, self._name, login, provider=XenHost.provider, address=address,
                                 carrier=self._carrier, more=more)  # fmt: skip
            try:
                host.join()
                commit()
            except BaseException:
                host.leave(give_up=True)
                raise
        return host

    @contextmanager
    def _reserved(self, folder: Path, undo: list[list[str]]) -> Iterator[Callable[[], object]]:
        try:
            with self._carrier.reserve_folder(folder, undo) as commit:
                yield commit
        except FileExistsError as error:
            raise NameInUse(
                f"somebody else is making a host {self._name}", hint="wait for it, or take another name"
            ) from error

    def _take_address(self, folder: Path) -> str:
        """The first address that no other host has."""
        with FileLock(folder.parent / ".lock", timeout=60):
            used = {path.read_text() for path in folder.parent.glob("*/address")}
            for address in map(str, list(SUBNET.hosts())[1:]):
                if address not in used:
                    (folder / "address").write_text(address)
                    return address
        raise NotEnough(f"all addresses of {SUBNET} are taken", hint="destroy a Xen host")

    def _machine(self, folder: Path, tap: str) -> Machine:
        machine = replace(self._kind, folder=folder, memory=self._template.memory, disk=folder / "disk.qcow2", tap=tap)
        _launch.check_length(machine.agent)
        done = subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(self._template.disk), str(machine.disk)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise EngineError(f"qemu-img could not make a disk: {done.stderr.strip()[-300:]}", host=self._name)
        return machine

    def _have_running(self, machine: Machine) -> None:
        """Start QEMU, load the template's state, and let it go on."""
        log = self._carrier.start_daemon(_daemon(self._name), machine.argv())
        with monitor_of(machine, "take the template's state", _READY_S, log) as qemu:
            self._carrier.run(["sh", "-euc", _HAVE_BRIDGE + _PLUG, "sh", machine.tap], check=True)
            qemu.ignore_shared()
            qemu.ask("migrate-incoming", uri=f"exec:cat {shlex.quote(str(self._template.state))}")
            qemu.until("paused", "running")
            qemu.ask("cont")

    def _tell(self, machine: Machine, address: str) -> Login:
        """Tell the copy who it is; returns how it is reached from now on."""
        ident = uuid.uuid4()
        key, own = machine.folder / "key", machine.folder / "host-key"
        for path in (key, own):
            make_key(self._carrier, path)
        known = machine.folder / "known_hosts"
        known.write_text(f"xen-{ident} {own.with_suffix('.pub').read_text()}")
        number = int(address.rpartition(".")[2])
        words = {
            "name": self._name, "address": address, "gateway": GATEWAY, "mac": f"52:54:00:c6:13:{number:02x}",
            "uuid": str(ident), "machine_id": ident.hex, "seed": secrets.token_hex(64),
            "authorized": key.with_suffix(".pub").read_text().strip(),
        }  # fmt: skip
        with dom0_of(machine, "answer", _READY_S) as dom0:
            words["now"] = f"{time.time():.3f}"
            become = ["/usr/local/bin/python3", "-I", "-S", "/usr/lib/labkit/become"]
            dom0.check("learn who it is", become, input=own.read_text(), env=words)
        own.unlink()
        # Silent for half a minute it may be, as to its libvirt: it may be emulated on a busy computer.
        options = (f"HostKeyAlias=xen-{ident}", f'UserKnownHostsFile="{known}"', "StrictHostKeyChecking=yes",
                   "KexAlgorithms=curve25519-sha256", f"ConnectTimeout={_CONNECT_S:.0f}",
                   "ServerAliveCountMax=6")  # fmt: skip
        return Login(f"root@{address}", None, str(key), options)


def is_accelerated() -> bool:
    """Whether KVM works, and lends its guests what Xen needs for machines of the kinds PVH and HVM."""
    if not acceleration().is_kvm:
        return False
    for path in Path("/sys/module").glob("kvm_*/parameters/nested"):
        with contextlib.suppress(OSError):
            return path.read_text().strip() in ("1", "Y")
    return False
