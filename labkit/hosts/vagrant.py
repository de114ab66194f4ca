"""Virtual machines that Vagrant makes from ``vagrant/hosts.yml``, and takes down again.

Vagrant runs on a host of the lab (the carrier), against that host's own libvirt, so its machines are
part of the lab and end with it; its own files and its notes on machines lie in the lab's state then. Or it
runs on this machine, against the system's libvirt, and the machines are those that ``vagrant`` shows there. ::

    project = VagrantProject("vagrant/", carrier=lab["alpha"])
    project.up("alpha").address
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from .._paths import disk_room, state_home, write_whole
from .._progress import Task, progress, tell
from ..errors import Busy, Cancelled, DaemonFailed, EngineError, InvalidState, LabError, NameInUse, NotFound
from ..storage import box
from . import _vagrant_file, _vagrant_kept, _vagrant_lines, _vagrant_ready
from ._vagrant_kept import Kept
from ._vagrant_run import Here, OnHost, Place, find_vagrant, in_words
from .acceleration import acceleration
from .base import Host

__all__ = ["SshConfig", "VagrantProject", "VagrantState"]

WORKSTATION = "workstation"
_PREFIX = "labkit-"
_UP_S, _DOWN_S, _ASK_S = 1200.0, 300.0, 60.0
# What Vagrant says, and what is shown of it.
_PHASES = {
    "Uploading base box image": "copying the box",
    "Creating domain": "making the machine",
    "Starting domain": "booting",
    "Resuming domain": "resuming",
    "Waiting for machine to boot": "waiting for ssh",
    "Machine booted": "setting up its networks",
    "Running provisioner": "provisioning",
}
# What may become of a machine that outlives the lab, and by which command of virsh.
AT_END = {"suspend": "managedsave", "halt": "shutdown", "keep": "domstate"}
_NEW, _COPY = "new", "copy"  # what is being made
_NO_PROGRAM = 127
_NO_LIBVIRT = (
    "does libvirtd run, and may you use it (group libvirt)? On a host of the lab, the carrier, it does and you may"
)
_FIELDS = re.compile(r"^\s*(\w+) (.+?)\s*$", re.MULTILINE)


class VagrantState(StrEnum):
    """How a machine of Vagrant stands."""

    ABSENT = "absent"
    HALF_MADE = "half made"
    """It is there, but an `up` did not come to its end; the next one goes on."""
    RUNNING = "running"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    """Its memory is on disk."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class SshConfig:
    """How a machine is reached by ssh, from where Vagrant runs.

    Attributes
    ----------
    name
        The machine.
    address, port, user
        Where to, and as whom.
    key
        The file with the private key.
    """

    name: str
    address: str
    port: int
    user: str
    key: Path


class VagrantProject:
    """The machines of one ``hosts.yml``.

    Parameters
    ----------
    folder
        With ``Vagrantfile`` and ``hosts.yml``.
    carrier
        The host whose libvirt runs them; None: this machine's own, as for who types ``vagrant`` in the folder.

    Raises
    ------
    InvalidFile
        If there is a mistake in ``hosts.yml``.
    PackageMissing
        If Vagrant is not installed.
    """

    def __init__(self, folder: Path | str, carrier: Host | None = None) -> None:
        self.folder = Path(folder).absolute()
        self.file = _vagrant_file.read(self.folder / "hosts.yml")
        self.carrier = carrier
        self.vagrant = find_vagrant()
        self._place: Place = OnHost(carrier) if carrier else Here()
        self.state = (carrier.folder if carrier else state_home()) / "vagrant"
        self.state.mkdir(mode=0o700, exist_ok=True)
        self._dot = self.state / "dot" if carrier else self.folder / ".vagrant"

    def __repr__(self) -> str:
        return f"<VagrantProject {self.folder} on {self._place.name}: {', '.join(self.file.hosts)}>"

    # What is asked

    def status(self, name: str) -> VagrantState:
        """How a machine stands; asks libvirt, not Vagrant, which takes a second."""
        return self._state(name, self._facts(name))

    def _state(self, name: str, facts: dict[str, str]) -> VagrantState:
        if not facts:
            return VagrantState.ABSENT
        if self._ready(name) != facts["UUID"]:
            return VagrantState.HALF_MADE
        if facts["State"] == "running":
            return VagrantState.RUNNING
        if facts["State"] == "paused":
            return VagrantState.PAUSED
        return VagrantState.SUSPENDED if facts.get("Managed save") == "yes" else VagrantState.STOPPED

    def ssh_config(self, name: str) -> SshConfig:
        """How the machine is reached by ssh.

        Raises
        ------
        InvalidState
            If it does not run.
        """
        if (state := self.status(name)) is not VagrantState.RUNNING:
            hint = f'make it with up("{name}")' if state is VagrantState.ABSENT else f'up("{name}") has it run'
            raise InvalidState(f"the host {name} is {state}: ssh does not reach it", host=name, hint=hint)
        account = self._vagrant(name, _ASK_S, "ssh-config", name)
        text = next((line.data[-1] for line in account.lines if line.kind == "ssh-config"), "")
        told = dict(_FIELDS.findall(text))
        try:
            key = Path(told["IdentityFile"].strip('"'))
            return SshConfig(name, told["HostName"], int(told["Port"]), told["User"], key)
        except (KeyError, ValueError):
            raise EngineError(f"Vagrant does not say how {name} is reached: {text[-300:]}", host=name) from None

    def identity(self, name: str) -> str:
        """What tells a machine from those that had its name before; "" if it is not there."""
        return self._facts(name).get("UUID", "")

    # What is done

    def up(self, name: str, *, timeout_s: float = _UP_S, kept: bool = False) -> SshConfig:
        """Have a machine run: make it, resume it, or finish what an interrupted `up` has begun.

        Parameters
        ----------
        timeout_s
            How long Vagrant may take.
        kept
            Whether one that is made may begin as a copy of one that was made from the same before, and is kept for
            the next if there is none; only on a host of a lab, from labkit's own box.

        Raises
        ------
        DeadlineExceeded, NotEnoughDisk, NotEnoughMemory, ImageDamaged, Busy, EngineError
            With Vagrant's own last lines. What was begun is `HALF_MADE`; calling it again goes on.
        """
        with progress(f"host {name}") as task, self._alone(name), disk_room(self.state):
            if self.status(name) is VagrantState.RUNNING:
                return self.ssh_config(name)
            self._prepare(name, task)
            facts = self._facts(name)
            whole = bool(facts) and self._ready(name) == facts["UUID"]
            place = self._place_kept(name) if kept and not whole else None
            if not whole:
                self._mark(name).unlink(missing_ok=True)
                self._make_way(name, facts)
            if not (place and self._have_kept(place, task)):
                task.phase("asking Vagrant")
                try:
                    self._vagrant(name, timeout_s, "up", name, *([] if whole else ["--provision"]), task=task)
                except NameInUse:  # by what is not ours
                    self._begun(name).unlink(missing_ok=True)
                    raise
                if place and place.has_room():
                    task.phase("keeping it for the next lab")
                    place.keep(self._notes(name), _vagrant_ready.key(self._home))
            write_whole(self._mark(name), self._facts(name).get("UUID", ""))
            self._begun(name).unlink(missing_ok=True)
            return self.ssh_config(name)

    def _place_kept(self, name: str) -> Kept | None:
        """Where one that was made from the same is kept, or will be; None: it cannot be told what it is made from."""
        made = box.find(self._box(name)) if self._box(name) in box.KINDS else None
        if not self.carrier or name not in self.file.hosts or not made:
            return None
        if os.environ.get("LABKIT_VAGRANT_BOX"):
            return None
        key = _vagrant_kept.key(self.carrier, self.folder, made.digest, acceleration().kind)
        return Kept(self.carrier, name, f"{_PREFIX}{name}", key) if key else None

    def _have_kept(self, place: Kept, task: Task) -> bool:
        """Have a copy of the kept one run, if there is one; of a copy that fails nothing is left."""
        if not place.is_there():
            return False
        task.phase("resuming what was kept")
        self._begun(place.name).write_text(_COPY)
        try:
            place.have(self._notes(place.name), _vagrant_ready.key(self._home).with_suffix(".pub"))
        except Cancelled:
            raise
        except LabError as error:
            tell(f"host {place.name}: the one that was kept is of no use, and it is made anew ({error.message[:200]})")
            place.drop()
            self._clear(place.name)
            return False
        return True

    def provision(self, name: str, *, timeout_s: float = _UP_S) -> list[str]:
        """Provision a running machine again; returns what the scripts say they did or found."""
        self._expect(name, VagrantState.RUNNING, VagrantState.HALF_MADE)
        with progress(f"host {name}") as task, self._alone(name):
            said: list[str] = []
            self._vagrant(name, timeout_s, "provision", name, task=task, also=said.append)
            return [line.removeprefix("labkit: ") for line in said if line.startswith("labkit: ")]

    def suspend(self, name: str, *, timeout_s: float = _DOWN_S) -> None:
        """Write a machine's memory to disk and end it; `up` resumes it."""
        self._take_down(name, "suspend", timeout_s)

    def halt(self, name: str, *, timeout_s: float = _DOWN_S) -> None:
        """Shut a machine down."""
        self._take_down(name, "halt", timeout_s)

    def destroy(self, name: str, *, timeout_s: float = _DOWN_S) -> None:
        """Remove a machine and its disk, whatever state it is in; nothing if it is not there."""
        with progress(f"host {name}") as task, self._alone(name):
            task.phase("removing it")
            self._mark(name).unlink(missing_ok=True)  # first: half removed, it is not listed as good
            if self._is_known(name, self._facts(name)):
                self._vagrant(name, timeout_s, "destroy", "-f", name, task=task)
            self._clear(name)

    def _take_down(self, name: str, verb: str, timeout_s: float) -> None:
        self._expect(name, VagrantState.RUNNING)
        with progress(f"host {name}") as task, self._alone(name):
            task.phase(f"{verb.removesuffix('e')}ing it")
            self._vagrant(name, timeout_s, verb, name, task=task)

    # How

    def _box(self, name: str) -> str:
        """The name of the box that a machine is made from."""
        machine = self.file.hosts.get(name) or self.file.workstation
        return machine.box if machine else ""

    def _prepare(self, name: str, task: Task) -> None:
        """What a machine needs before it is there; its box is built if it is one of labkit's and not there."""
        task.phase("looking for the box")
        with FileLock(self.state / ".lock", timeout=300):
            if self._box(name) not in box.KINDS:
                return
            made = box.get(self._box(name))
            if self.carrier:
                _vagrant_ready.prepare(self.carrier, self._home, made)
            else:
                users = os.environ.get("VAGRANT_HOME") or Path.home() / ".vagrant.d"
                _vagrant_ready.add_box(Path(users), made)

    @property
    def _home(self) -> Path:
        home = self.state / "home"
        home.mkdir(mode=0o700, exist_ok=True)
        return home

    def _environment(self) -> dict[str, str]:
        found = {
            "VAGRANT_CWD": str(self.folder), "VAGRANT_DOTFILE_PATH": str(self._dot),
            "VAGRANT_DEFAULT_PROVIDER": "libvirt", "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_NO_COLOR": "1", "LANG": "C.UTF-8",
            "LABKIT_HOSTS": str(self.file.path), "LABKIT_ACCELERATION": acceleration().kind,
        }  # fmt: skip
        if self.carrier:
            found |= {"HOME": str(self._home), "VAGRANT_HOME": str(self._home)}
        if self.carrier and _vagrant_ready.key(self._home).exists():
            found["LABKIT_SSH_KEY"] = str(_vagrant_ready.key(self._home))
            found["LABKIT_CMDLINE"] = _vagrant_ready.command_line(self._home)
        return found

    def _vagrant(
        self, name: str, timeout_s: float, *words: str, task: Task | None = None,
        also: Callable[[str], object] | None = None,
    ) -> _vagrant_lines.Account:  # fmt: skip
        """Run Vagrant to its end; raises what it failed of, in words."""
        account = _vagrant_lines.Account()

        def heard(text: str) -> None:
            for shown in account.hear(text):
                if task:
                    _show(task, shown)
                if also:
                    also(shown)

        argv = [self.vagrant, *words, "--machine-readable"]
        with in_words(account, f"vagrant {' '.join(words)}", timeout_s, name):
            code = self._place.follow(argv, self._environment(), self.folder, timeout_s, heard)
        if code != 0 or account.error:
            raise _vagrant_lines.failure(account, code, name)
        return account

    def _facts(self, name: str) -> dict[str, str]:
        """What libvirt tells of a machine; empty if there is none."""
        self._check(name)
        if self.carrier and not (self.carrier.sockets / "libvirt.sock").exists():
            return {}
        done = self._place.run(_vagrant_ready.virsh("dominfo", f"{_PREFIX}{name}"))
        if not self.carrier and ("failed to connect" in done.stderr or done.exit_code == _NO_PROGRAM):
            raise DaemonFailed(
                f"this machine has no libvirt that answers: {done.stderr.strip()[-300:]}", host=name, hint=_NO_LIBVIRT
            )
        if not done.ok and "failed to get domain" not in done.stderr:
            raise EngineError(f"libvirt does not tell of {name}: {done.stderr.strip()[-300:]}", host=name)
        pairs = (line.partition(":") for line in done.stdout.splitlines())
        return {key.strip(): value.strip() for key, colon, value in pairs if colon}

    def _make_way(self, name: str, facts: dict[str, str]) -> None:
        """Remove what an interrupted `up` has left, unless it runs: then it has all its parts, and `up` goes on.

        On this machine only what an `up` of labkit's has begun and Vagrant does not know: the rest may be dear to
        somebody.
        """
        begun = self._begun(name)
        how = begun.read_text() if begun.exists() else ""
        known = self._is_known(name, facts)
        if known and facts["State"] == "running" and how != _COPY:
            return
        if self._place.owned or (how and not known):
            self._clear(name)
            facts = {}
        if not facts:
            begun.write_text(_NEW)

    def _is_known(self, name: str, facts: dict[str, str]) -> bool:
        """Whether the machine that libvirt has is the one that Vagrant has noted."""
        try:
            noted = (self._notes(name) / "libvirt" / "id").read_text().strip()
        except OSError:
            return False
        return noted == facts.get("UUID")

    def _clear(self, name: str) -> None:
        """Remove all that there is of a machine, in libvirt and in Vagrant's notes."""
        if self._place.owned or self._begun(name).exists():
            domain = f"{_PREFIX}{name}"
            for words in (["destroy", domain], ["undefine", "--managed-save", "--snapshots-metadata", domain],
                          ["vol-delete", "--pool", _vagrant_ready.POOL, f"{domain}.img"]):  # fmt: skip
                self._place.run(_vagrant_ready.virsh(*words))  # what is not there need not be removed
        shutil.rmtree(self._notes(name), ignore_errors=True)
        self._begun(name).unlink(missing_ok=True)

    def _notes(self, name: str) -> Path:
        return self._dot / "machines" / name

    def _mark(self, name: str) -> Path:
        """The file that holds the UUID of a machine whose `up` came to its end."""
        return self.state / f"{name}.ready"

    def _begun(self, name: str) -> Path:
        """The file that says that a machine is being made, and how; a copy of a kept one may not know the lab's key."""
        return self.state / f"{name}.begun"

    def _ready(self, name: str) -> str:
        try:
            return self._mark(name).read_text()
        except FileNotFoundError:
            return ""

    def _check(self, name: str) -> None:
        if name not in self.file.hosts and not (name == WORKSTATION and self.file.workstation):
            raise NotFound(
                f"{self.file.path} has no host {ascii(name)[:60]}", hint=f"it has {', '.join(self.file.hosts)}"
            )

    def _expect(self, name: str, *states: VagrantState) -> None:
        if (state := self.status(name)) not in states:
            raise InvalidState(f"the host {name} is {state}", host=name, hint=f'up("{name}") has it run')

    def in_use(self, name: str) -> Path:
        """The file that each lab holds a shared lock on that uses the machine; see `_remote`."""
        return self.state / f"{name}.in-use"

    @contextmanager
    def using(self, name: str) -> Iterator[None]:
        """Keep other labs from taking the machine down with themselves."""
        with self.in_use(name).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield

    def at_end(self, name: str, verb: str) -> list[str]:
        """The command that does with a running machine what one of `AT_END` says."""
        return _vagrant_ready.virsh(AT_END[verb], f"{_PREFIX}{name}")

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Be the only one that does something with a machine."""
        self._check(name)
        lock = FileLock(self.state / f"{name}.lock")
        try:
            lock.acquire(timeout=1)
        except Timeout:
            raise Busy(f"somebody else is at the host {name}", host=name, hint="try again in a minute") from None
        try:
            yield
        finally:
            lock.release()


def _show(task: Task, words: str) -> None:
    for start, phase in _PHASES.items():
        if words.startswith(start):
            task.phase(phase)
            return
    task.detail(words[:100])
