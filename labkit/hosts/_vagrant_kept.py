"""Machines of Vagrant's as they were when they had just been made, kept so that the next are had without a boot.

After a host's first `up` its memory, its disk and Vagrant's notes on it are saved in the cache, under a key over
all that it was made from. A host with the same key, in whatever lab of this user, begins as a copy of that: it is
told the lab's own key, and asks for its address anew. Nothing that a lab does to its host gets in here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from .._paths import cache_home
from .._run import Completed
from ..errors import DeadlineExceeded, ImageDamaged, NameInUse
from ..storage import _manifest
from ..storage._workshop import discard, sweep, workshop
from . import _vagrant_ready
from .base import Host

_FORMAT = "1"
_PREFIX = "host-"
_PARTS = ("domain.xml", "facts.json", "memory", "disk.img", "notes.tar")
_UNUSED_S, _MOST = 30 * 86400.0, 6
_MOST_BYTES = 16 * 2**20
_LEASE_S, _SAVE_S = 90.0, 300.0
_SSH = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes",
        "-o", "BatchMode=yes", "-o", "ConnectTimeout=60", "-o", "LogLevel=ERROR")  # fmt: skip
_OF_ONE_LAB = ("--exclude=index_uuid", "--exclude=vagrant_cwd", "--exclude=*.lock")  # Vagrant writes them again
# The one who may log in, and randomness that no other copy has. Its address it asks for again, so that libvirt, and
# with it Vagrant, knows it; of its own it would in half an hour.
_TELL = """\
set -e
read -r key
cat >/dev/urandom
echo "$key" >.ssh/new
mv .ssh/new .ssh/authorized_keys
sudo networkctl renew eth0
"""


def home() -> Path:
    """Where they lie."""
    folder = cache_home() / "vagrant"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def key(carrier: Host, project: Path, digest: str, acceleration: str) -> str:
    """Twelve hexadecimal digits over all that a host is made from; "" if that cannot be told.

    Parameters
    ----------
    carrier
        Whose libvirt and QEMU run it.
    project
        The folder with Vagrantfile, hosts.yml and provisioning; each file in it counts.
    digest
        The box's.
    acceleration
        ``kvm`` or ``tcg``.
    """
    total = hashlib.sha256("\n".join([_FORMAT, digest, acceleration, str(cache_home()), _processor()]).encode())
    total.update(_vagrant_ready.network_xml().encode())
    total.update(carrier.run(_vagrant_ready.virsh("version"), check=True).stdout.encode())
    room = _MOST_BYTES
    for path in _files(project):
        room -= path.stat().st_size
        if room < 0:
            return ""
        total.update(f"\n{path.relative_to(project)}\n".encode() + path.read_bytes())
    return total.hexdigest()[:12]


def _files(project: Path) -> Iterator[Path]:
    for top, folders, names in os.walk(project):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(top, name) for name in sorted(names) if Path(top, name).is_file())


def _processor() -> str:
    """The processor's model and features: a memory image fits no other."""
    lines = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags")))


class Kept:
    """A host as it was just after it had been made, or the place for one.

    Parameters
    ----------
    carrier
        The host of a lab that runs it.
    name, domain
        What the host is called, and what libvirt calls it.
    key
        See `key`.
    """

    def __init__(self, carrier: Host, name: str, domain: str, key: str) -> None:
        self.carrier, self.name, self.domain = carrier, name, domain
        self.folder = home() / f"{_PREFIX}{name}-{key}"

    def is_there(self) -> bool:
        """Whether it is there and whole; what is damaged is removed."""
        if not self.folder.is_dir():
            return False
        try:
            _manifest.check(self.folder, _manifest.read(self.folder))
        except ImageDamaged:
            discard(self.folder)
            return False
        os.utime(self.folder)
        return True

    def drop(self) -> None:
        """Remove it."""
        with contextlib.suppress(OSError):  # somebody else has
            discard(self.folder)

    def has_room(self) -> bool:
        """Whether the cache's disk holds one more: its memory at most, and what its disk has beyond the box."""
        told = self._virsh("dominfo", self.domain).stdout
        memory = next(int(line.split()[2]) * 1024 for line in told.splitlines() if line.startswith("Max memory"))
        disk = int(self.carrier.run(["stat", "-c", "%b", str(self._disk)], check=True).stdout) * 512
        return shutil.disk_usage(home()).free > memory + disk + 2**30

    # Keeping one

    def keep(self, notes: Path, private: Path) -> None:
        """Save the running machine, and have it go on.

        Whatever ends this early, it is not listed. The machine may then be off.

        Parameters
        ----------
        notes
            Vagrant's, on this machine.
        private
            The file with the key that opens it.
        """
        sweep(home())
        with workshop(home()) as (work, _):
            made = work / "made"
            made.mkdir(mode=0o700)
            self._describe(made)
            self.carrier.run(["tar", "-C", str(notes), *_OF_ONE_LAB, "-cf", str(made / "notes.tar"), "."], check=True)
            (made / "key").touch(mode=0o600)
            (made / "key").write_bytes(private.read_bytes())
            try:
                self._virsh("save", self.domain, str(made / "memory"), timeout_s=_SAVE_S)
                self._copy(self._disk, made / "disk.img")
            finally:
                if (made / "memory").exists():
                    self._virsh("restore", str(made / "memory"), timeout_s=_SAVE_S)
            self._own(made)
            _manifest.write(made, {"name": self.name}, _PARTS)
            with contextlib.suppress(OSError):  # somebody else was faster
                made.rename(self.folder)
        self._drop_old()

    def _describe(self, made: Path) -> None:
        xml = self._virsh("dumpxml", "--inactive", "--security-info", self.domain).stdout
        (made / "domain.xml").write_text(xml)
        networks, macs = [], {}
        for card in ElementTree.fromstring(xml).iter("interface"):
            network, mac = card.find("source").get("network"), card.find("mac").get("address")  # type: ignore[union-attr]
            macs[network] = mac
            if network != _vagrant_ready.NETWORK:
                networks.append(self._virsh("net-dumpxml", "--inactive", str(network)).stdout)
        mac = macs[_vagrant_ready.NETWORK]
        facts = {"mac": mac, "address": self._address(str(mac)), "networks": networks}
        (made / "facts.json").write_text(json.dumps(facts))

    def _own(self, made: Path) -> None:
        """What libvirt has written belongs to root there: who keeps it may read it, and none else."""
        for name in ("memory", "disk.img"):
            self.carrier.run(["chown", "root:root", str(made / name)], check=True)
            self.carrier.run(["chmod", "0400", str(made / name)], check=True)

    def _drop_old(self) -> None:
        by_age = sorted(home().glob(f"{_PREFIX}*"), key=lambda path: -path.stat().st_mtime)
        for number, path in enumerate(by_age):
            if number >= _MOST or time.time() - path.stat().st_mtime > _UNUSED_S:
                with contextlib.suppress(OSError):  # somebody else is at it
                    discard(path)

    # Having one

    def have(self, notes: Path, public: Path) -> None:
        """Have a copy of it run.

        Parameters
        ----------
        notes
            Where Vagrant looks for its own, on this machine.
        public
            The file with the key that may log in from now on.

        Raises
        ------
        CommandFailed, DeadlineExceeded, NameInUse
            Then something of it may be there.
        """
        facts = json.loads((self.folder / "facts.json").read_text())
        self._reserve(facts["mac"], facts["address"])
        for network in facts["networks"]:
            self._have_network(network)
        self._copy(self.folder / "disk.img", self._disk)
        self.carrier.run(["chmod", "0600", str(self._disk)], check=True)
        self._virsh("pool-refresh", _vagrant_ready.POOL)
        self._virsh("define", str(self.folder / "domain.xml"))
        notes.mkdir(parents=True, exist_ok=True)
        self.carrier.run(["tar", "-C", str(notes), "-xf", str(self.folder / "notes.tar")], check=True)
        self._virsh("restore", str(self.folder / "memory"), timeout_s=_SAVE_S)
        self._tell(facts["address"], public.read_text().strip())
        self._wait(lambda: self._address(facts["mac"]) == facts["address"], "no address")

    def _reserve(self, mac: str, address: str) -> None:
        """Have no other machine get the address that it believes to have."""
        for lease in self._virsh("net-dhcp-leases", _vagrant_ready.NETWORK).stdout.splitlines():
            if f" {address}/" in lease and mac not in lease:
                raise NameInUse(f"another machine has the address {address}", hint="it is made anew")
        words = ("net-update", _vagrant_ready.NETWORK, "add", "ip-dhcp-host", f"<host mac='{mac}' ip='{address}'/>",
                 "--live", "--config")  # fmt: skip
        if not (done := self.carrier.run(_vagrant_ready.virsh(*words))).ok and "existing dhcp host" not in done.stderr:
            done.check()

    def _have_network(self, xml: str) -> None:
        name = ElementTree.fromstring(xml).findtext("name", "")
        if not self.carrier.run(_vagrant_ready.virsh("net-info", name)).ok:
            self.carrier.run(_vagrant_ready.virsh("net-define", "/dev/stdin"), input=xml, check=True)
        if "Active:         yes" not in self._virsh("net-info", name).stdout:
            self._virsh("net-start", name)

    def _tell(self, address: str, public: str) -> None:
        argv = ["ssh", "-i", str(self.folder / "key"), *_SSH, f"vagrant@{address}", _TELL]
        told = f"{public}\n{os.urandom(256).hex()}\n"
        self.carrier.run(argv, input=told, timeout_s=_LEASE_S, check=True)

    # How

    @property
    def _disk(self) -> Path:
        return Path(_vagrant_ready.POOL_FOLDER, f"{self.domain}.img")

    def _copy(self, source: Path, target: Path) -> None:
        argv = ["cp", "--sparse=always", "--reflink=auto", str(source), str(target)]
        self.carrier.run(argv, timeout_s=_SAVE_S, check=True)

    def _address(self, mac: str) -> str:
        told = self._virsh("net-dhcp-leases", _vagrant_ready.NETWORK, mac).stdout.split()
        return next((word.partition("/")[0] for word in told if "/" in word), "")

    def _wait(self, look: Callable[[], bool], lack: str) -> None:
        deadline = time.monotonic() + _LEASE_S
        while not look():
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"the host {self.name}, begun as a copy, has {lack} after {_LEASE_S:g} s")
            time.sleep(0.1)

    def _virsh(self, *words: str, timeout_s: float = 60) -> Completed:
        return self.carrier.run(_vagrant_ready.virsh(*words), timeout_s=timeout_s, check=True)
