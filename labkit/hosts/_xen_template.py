"""The template of Xen hosts: an appliance that was booted once, tested, told nothing of who it is, and saved.

Its memory lies in a file that every host maps for itself, so that a host costs what it changes; its disk
is the one that each host's own is a layer on.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._paths import disk_room
from .._progress import Task, progress, tell
from .._values import format_duration
from ..errors import DaemonFailed, DeadlineExceeded, EngineError, LabError, LabGone, VersionsDoNotFit
from ..storage import xen as appliances
from ..storage._workshop import alone, discard, sweep, workshop
from ._launch import check_length
from ._link import far_modules
from ._xen_line import Dom0, Monitor, wait_for_socket
from ._xen_qemu import Machine

if TYPE_CHECKING:
    from ._channel import Running
    from .base import Host

DISK_BYTES = 8 * 2**30
_BOOT_S, _TEST_S, _SAVE_S = 600.0, 400.0, 120.0
_LISTEN_S = 20.0
_CANARY_S = 15
_UNUSED_S = 30 * 86400.0
_TAP = "xen-template"
_PARTS = ("memory", "state", "disk.img")
_TOLD = re.compile(r"rounds=(\d+) wrong=(\d+) sums=(\d+) busy_s=([\d.]+)")
_SURROUNDINGS = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
_KEEP = "/bin/cat >/run/labkit/modules && pkill -f '^/usr/bin/python3 -I -S /usr/lib/labkit/python '"
# Has libvirt's daemon and Python run once, so that what they read is in memory when a copy starts its own.
_WARM = """
/usr/local/bin/python3 -I -S -c pass || exit 1
libvirtd & pid=$!
tries=0
until virsh -q -c xen:///system version >/dev/null 2>&1 || [ $tries -ge 100 ]; do sleep 0.2; tries=$((tries + 1)); done
virsh -c xen:///system version || exit 1
kill $pid
wait $pid
sync
"""


def home() -> Path:
    """The folder of the cache for templates."""
    folder = appliances.home() / "templates"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


class Template:
    """The template for hosts of one appliance and size.

    Parameters
    ----------
    carrier
        The host of a lab that it is booted on if it has to be made.
    kind
        What it is of; its places do not count.
    """

    def __init__(self, carrier: Host, kind: Machine) -> None:
        self._carrier = carrier
        self._kind = kind
        self.folder = home() / f"{kind.appliance.digest[:8]}-{kind.size.text}"

    @property
    def memory(self) -> Path:
        """The file with the memory."""
        return self.folder / "memory"

    @property
    def state(self) -> Path:
        """What `migrate-incoming` loads: everything but the memory."""
        return self.folder / "state"

    @property
    def disk(self) -> Path:
        """The disk as it was at that moment, raw."""
        return self.folder / "disk.img"

    def ensure(self, sockets: Path) -> None:
        """Have the template exist and fit together; one process makes it, others wait.

        Parameters
        ----------
        sockets
            A folder for sockets that are needed meanwhile.

        Raises
        ------
        VersionsDoNotFit
            If it computes wrongly.
        DaemonFailed, DeadlineExceeded
            If it does not boot.
        NotEnoughDisk
        """
        if self.misfit() is not None:
            with alone(home(), "Xen template"):
                if (misfit := self.misfit()) is not None:
                    self._make(sockets, misfit)
        os.utime(self.folder)

    def renew(self, sockets: Path, why: str) -> None:
        """Make it anew, for a host could not be made of it."""
        with alone(home(), "Xen template"):
            self._make(sockets, why)

    def misfit(self) -> str | None:
        """What of it is missing or has changed since it was made, in words ("" if there is none); None: nothing."""
        try:
            made_of = json.loads((self.folder / "about.json").read_text())
            now = self.about(self.folder)
        except FileNotFoundError as error:
            return f"{Path(str(error.filename)).name} is missing" if self.folder.exists() else ""
        except (OSError, ValueError):
            return "about.json is damaged"
        changed = [name for name in now if made_of.get(name) != now[name]]
        return f"another {' and '.join(changed)}" if changed else None

    def about(self, folder: Path) -> dict[str, Any]:
        """What is noted of one whose parts lie in `folder`."""
        parts: dict[str, Any] = {"version of labkit": hashlib.sha256(_modules().encode()).hexdigest()[:16]}
        for name in _PARTS:
            status = (folder / name).stat()
            parts[name] = [status.st_size, status.st_mtime_ns]
        return {**self._kind.made_of(), **parts}

    def _make(self, sockets: Path, misfit: str) -> None:
        sweep(home())
        if misfit:
            tell(f"the Xen template does not fit any more ({misfit}): it is made anew")
        with progress("Xen template") as task, disk_room(home()), workshop(home()) as (work, _):
            made = work / "made"
            made.mkdir(mode=0o700)
            self._boot_and_save(task, work, made, sockets)
            (made / "about.json").write_text(json.dumps(self.about(made), indent=1))
            for old in home().glob("[!.]*-*"):
                if old == self.folder or time.time() - old.stat().st_mtime > _UNUSED_S:
                    discard(old)
            made.rename(self.folder)

    def _boot_and_save(self, task: Task, work: Path, made: Path, sockets: Path) -> None:
        make_disk(made / "disk.img")
        machine = replace(
            self._kind, folder=work, sockets=sockets, memory=made / "memory", keeps=True, disk=made / "disk.img",
            disk_format="raw", tap=_TAP, waits=False,
        )  # fmt: skip
        check_length(machine.agent)
        with running(self._carrier, machine, work / "qemu.log") as qemu_runs:
            task.phase("booting Xen and domain 0", 0.05)
            with dom0_of(machine, "boot", _BOOT_S) as dom0:
                # Its Python, begun anew, has compiled them.
                dom0.check("keep labkit's modules", ["/bin/sh", "-c", _KEEP], input=_modules(), env=_SURROUNDINGS)
                task.phase("trying libvirt", 0.5)
                try_libvirt(dom0)
            task.phase("testing whether it computes rightly", 0.6)
            with dom0_of(machine, "pass its self-test", _TEST_S) as dom0:
                canary = ["/usr/bin/python3", "/usr/lib/labkit/canary", str(_CANARY_S)]
                judge(dom0.check("test itself", canary, env=_SURROUNDINGS))
                dom0.check("write to its disk", ["/bin/sync"])
            task.phase("saving", 0.9)
            with monitor_of(machine, "be saved", _SAVE_S) as qemu:
                _save(qemu, made / "state")
            qemu_runs.wait(_SAVE_S)  # until then its memory is written to
        for name in _PARTS:  # what is renamed into place must be on the disk, or a power cut leaves empty files
            with (made / name).open("rb") as file:
                os.fsync(file.fileno())


def _modules() -> str:
    """What labkit runs in domain 0, as its Python is told of it."""
    return json.dumps(far_modules())


def try_libvirt(dom0: Dom0) -> None:
    """Have libvirt's daemon run until it answers, and end it again."""
    dom0.check("start libvirt", ["/bin/sh", "-c", _WARM], env=_SURROUNDINGS)


def judge(told: str) -> None:
    """Raise `VersionsDoNotFit` if the self-test has found a wrong result, or nothing was tried."""
    found = _TOLD.search(told)
    if not found:
        raise EngineError(f"the self-test of the Xen template said nothing of use: {told.strip()[-300:]}")
    rounds, wrong, sums, busy_s = int(found[1]), int(found[2]), int(found[3]), float(found[4])
    if not rounds or busy_s < 1:
        raise EngineError(f"the self-test of the Xen template did not get to run: {found[0]}")
    if wrong or sums != 1:
        raise VersionsDoNotFit(
            f"Xen computes wrongly in this QEMU: of {4 * rounds} hashes {wrong} came out wrong, and three sums of one"
            f" file gave {sums} results. No host is made of that",
            hint="another version of QEMU may do; `labkit doctor` names the one that is installed",
        )  # fmt: skip


@contextmanager
def dom0_of(machine: Machine, what: str, within_s: float) -> Iterator[Dom0]:
    """A connection to the guest agent of domain 0; `what` says what is waited for."""
    deadline = time.monotonic() + within_s
    wait_for_socket(machine.agent, min(deadline, time.monotonic() + _LISTEN_S))
    with _said(machine, what, within_s), Dom0(machine.agent, "the Xen appliance", deadline) as dom0:
        yield dom0


@contextmanager
def monitor_of(machine: Machine, what: str, within_s: float, log: Path | None = None) -> Iterator[Monitor]:
    """A connection to its QEMU, whose own messages are in `log`."""
    deadline = time.monotonic() + within_s
    wait_for_socket(machine.qmp, min(deadline, time.monotonic() + _LISTEN_S))
    with _said(machine, what, within_s, log), Monitor(machine.qmp, "the Xen appliance", deadline) as qemu:
        yield qemu


@contextmanager
def _said(machine: Machine, what: str, within_s: float, log: Path | None = None) -> Iterator[None]:
    """Add the last lines of QEMU's log, or of the console, to an error that says that it has ended or is silent."""
    try:
        yield
    except (LabGone, DeadlineExceeded) as error:
        kind: type[LabError] = DaemonFailed
        how = f"ended before it could {what}"
        if isinstance(error, DeadlineExceeded):
            kind, how = DeadlineExceeded, f"did not {what} within {format_duration(within_s)}"
        lines = next((path.read_text(errors="replace").strip()[-500:] for path in (log, machine.console)
                      if path and path.exists() and path.stat().st_size), "(nothing)")  # fmt: skip
        raise kind(f"the Xen appliance {how}; it last said: {lines}",
                   hint="`labkit doctor` checks what it needs; on a busy machine, try again") from error  # fmt: skip


@contextmanager
def running(carrier: Host, machine: Machine, log: Path) -> Iterator[Running]:
    """Have it run while in this context, and no longer than this process."""
    for path in (machine.qmp, machine.agent):
        path.unlink(missing_ok=True)
    with log.open("wb") as out, open(os.devnull, "rb") as null:
        running = carrier.spawn(machine.argv(), [null.fileno(), out.fileno(), out.fileno()])
    try:
        yield running
    except LabError as error:
        if complaint := log.read_text(errors="replace").strip():
            raise DaemonFailed(f"QEMU says: {complaint[-400:]}", host=carrier.name) from error
        raise
    finally:
        running.close()
        for path in (machine.qmp, machine.agent):
            path.unlink(missing_ok=True)


def _save(qemu: Monitor, state: Path) -> None:
    qemu.ask("stop")
    qemu.ignore_shared()
    qemu.ask("migrate-set-parameters", **{"max-bandwidth": 2**33})
    qemu.ask("migrate", uri=f"exec:cat > {shlex.quote(str(state))}")
    while (told := qemu.ask("query-migrate").get("status")) != "completed":
        if told == "failed":
            raise EngineError("QEMU could not save the Xen template", hint="is there room on the disk with the cache?")
        time.sleep(0.05)
    qemu.ask("quit")


def make_disk(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(DISK_BYTES)
    path_of_programs = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    done = subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-m", "0", "-i", "65536", "-O", "^has_journal",
         "-E", "lazy_itable_init=0,nodiscard", str(path)],
        capture_output=True, text=True, timeout=120, check=False, env=os.environ | {"PATH": path_of_programs},
    )  # fmt: skip
    if done.returncode != 0:
        raise EngineError(f"mkfs.ext4 could not make the disk of the Xen template: {done.stderr.strip()[-300:]}")
