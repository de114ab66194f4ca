"""Whether guests run on KVM here, found out by booting one."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._paths import cache_home
from .._values import format_duration
from ..errors import Busy
from ._checks import Ran, as_root, find_program, install, run
from ._checks_namespaces import AS_USER

if TYPE_CHECKING:
    from ..storage.images import Image
    from .base import Host

QEMU = "qemu-system-x86_64"
# What an emulated processor is better without: QEMU does `rep stosb` byte by byte, and where a processor is said
# to be quick at it (ERMS) a guest's kernel clears each page by it. A boot took a fifth longer. FSRM, which later QEMUs
# have, is not without ERMS on any real processor: Linux 6.1 stands still in its boot then.
SLOW_FLAGS = ("erms", "fsrm")
_DEVICE = "/dev/kvm"
_MARK = "LABKIT-PROBE-OK"
# A guest on KVM says its first word at once and is up within a second; in nested virtualization,
# on a busy machine, it takes twenty times that.
_SILENCE_S, _DEADLINE_S = 10.0, 40.0
# On a host that may itself be an emulated machine on a busy computer, six times as long again.
_SILENCE_THERE_S, _DEADLINE_THERE_S = 30.0, 240.0
_WRAPPERS = ("unshare:", "newuidmap", "newgidmap", "setpriv:", "prlimit:")


@dataclass(frozen=True, slots=True)
class Acceleration:
    """How guests run on this machine.

    Attributes
    ----------
    kind
        ``"kvm"`` (the processor runs them) or ``"tcg"`` (QEMU emulates a processor).
    reason
        In plain words, why KVM is not used, or that it works.
    fix
        The one command that makes KVM work, or "".
    """

    kind: str
    reason: str
    fix: str = ""

    @property
    def is_kvm(self) -> bool:
        """Whether guests run on KVM."""
        return self.kind == "kvm"


def acceleration(*, image: Image | None = None, fresh: bool = False) -> Acceleration:
    """Find out whether a guest boots on KVM, once per boot of this machine.

    The answer is kept per boot, QEMU binary, kernel and user. Of several callers at once one
    boots a guest and the others wait for its answer.

    Parameters
    ----------
    image
        Whose kernel to boot; by default the image ``small``, built if it is missing.
    fresh
        Do not take an answer from before this call.

    Raises
    ------
    Busy
        If another process has been finding out for more than a minute.
    """
    if hindrance := obstacle():
        return hindrance
    if image is None:
        from ..storage import images

        image = images.get("small")
    began = time.time()
    key = _key(image)
    known = None if fresh else _recall(key)
    return known or _decide(image, key, since=began if fresh else 0.0)


def obstacle() -> Acceleration | None:
    """What rules KVM out without booting anything, if something does."""
    try:
        os.close(os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        reason = f"there is no {_DEVICE}: the processor or the kernel has no virtualization here"
        return Acceleration("tcg", reason, _load_module())
    except PermissionError:
        reason = f"{_DEVICE} is there, but closed to this user"
        return Acceleration("tcg", reason, _open_to_all())
    except OSError as error:
        return Acceleration("tcg", f"{_DEVICE} cannot be opened: {error.strerror}")
    if not find_program(QEMU):
        return Acceleration("tcg", f"{QEMU} is not installed", install(QEMU))
    return None


def _open_to_all() -> str:
    # Membership of the group kvm would not do: see _boot.
    return as_root(f"chmod 0666 {_DEVICE}")


def _load_module() -> str:
    """The command that loads KVM where the processor has what it needs."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return ""
    for flag, module in (("vmx", "kvm_intel"), ("svm", "kvm_amd")):
        if flag in flags:
            return as_root(f"modprobe {module}")
    return ""


# ── The answer that is kept ───────────────────────────────────────────────────────────────────


def _key(image: Image) -> str:
    """What the answer depends on."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    qemu = os.path.realpath(find_program(QEMU))
    binary, device = os.stat(qemu), os.stat(_DEVICE)
    # No time of the device: udev touches it whenever a guest begins or ends.
    access = (os.geteuid(), device.st_mode, device.st_uid, device.st_gid, _access_list())
    return repr((boot, qemu, binary.st_mtime_ns, binary.st_size, image.digest, access))


def _access_list() -> bytes:
    """What the device's mode does not tell of who may open it."""
    try:
        return os.getxattr(_DEVICE, "system.posix_acl_access")
    except OSError:
        return b""


def _file() -> Path:
    return cache_home() / "acceleration.json"


def _read() -> dict[str, Any]:
    try:
        known = json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _recall(key: str, since: float = 0.0) -> Acceleration | None:
    """The answer for `key` if it was found after `since`, in seconds since 1970."""
    try:
        entry = _read()[key]
        return Acceleration(**entry["answer"]) if entry["at"] >= since else None
    except (KeyError, TypeError):
        return None


def _keep(key: str, answer: Acceleration) -> None:
    boot = key.split(",", 1)[0]
    known = {other: entry for other, entry in _read().items() if other.startswith(boot)}
    known[key] = {"answer": asdict(answer), "at": time.time()}
    draft = _file().with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(known, indent=1))
    draft.replace(_file())


def _decide(image: Image, key: str, since: float) -> Acceleration:
    """Boot a guest unless another process has done so in the meantime."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(cache_home() / "acceleration.lock", timeout=2 * _DEADLINE_S):
            if known := _recall(key, since):
                return known
            ran = _boot(image)
            if ran.stderr.startswith(_WRAPPERS):  # QEMU was not reached: says nothing to keep
                return Acceleration("tcg", f"KVM could not be tried: {ran.said}")
            answer = _judge(ran)
            _keep(key, answer)
            return answer
    except Timeout as error:
        raise Busy(
            "another process has been trying KVM for more than a minute",
            hint="try again in a minute",
        ) from error


# ── The guest that is booted ──────────────────────────────────────────────────────────────────


def _boot(image: Image) -> Ran:
    """Boot the guest's kernel on KVM, as a lab's libvirt would run QEMU."""
    # In an ordinary user's lab QEMU is root of the user namespace and keeps none of the user's
    # groups: a /dev/kvm that is open only to a group is closed to it.
    as_user = ["unshare", *AS_USER, "setpriv", "--clear-groups"] if os.geteuid() != 0 else []
    return run([*as_user, *_guest(image, find_program(QEMU))], deadline_s=_DEADLINE_S, silence_s=_SILENCE_S)


def _guest(image: Image, qemu: str, cpu_s: float = _DEADLINE_S) -> list[str]:
    """The command that runs the guest."""
    return [
        # Each word runs the next in its own place. QEMU ends when this process is killed, and by
        # its processor time should that have been before the second of them.
        "prlimit", f"--cpu={cpu_s:.0f}", "setpriv", "--pdeathsig", "KILL",
        qemu, "-M", "q35,accel=kvm", "-cpu", "host", "-m", "96", "-smp", "1",
        "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
        "-kernel", str(image.kernel), "-initrd", str(image.initrd),
        # Its first words (level 5) show that it runs; to print all of them takes a nested guest half of its time.
        "-append", "console=ttyS0 loglevel=6 mitigations=off panic=-1 labkit.probe=poweroff",
    ]  # fmt: skip


# ── On a host elsewhere ───────────────────────────────────────────────────────────────────────

# SILENCE DEADLINE COMMAND…, in tenths of a second: ends it when it is silent for too long, or goes on for too long.
_WATCHED = """
silence=$1 deadline=$2 tries=0
shift 2
folder=$(mktemp -d) && cd "$folder" || exit
"$@" >said 2>complained &
while kill -0 $! 2>/dev/null && [ $tries -lt "$deadline" ] && { [ -s said ] || [ $tries -lt "$silence" ]; }; do
    sleep 0.1
    tries=$((tries + 1))
done
kill -9 $! 2>/dev/null && late=124 || late=
wait $!
code=$?
cat said
cat complained >&2
rm -rf "$folder"
exit "${late:-$code}"
"""
_LATE, _NO_PROGRAM = 124, (126, 127)


def note_there(image: Image) -> Path:
    """Where a host elsewhere keeps what was found out about it with this image."""
    return cache_home() / f"acceleration-{image.digest[:12]}.json"


def boot_of(host: Host) -> str:
    """What tells one running of a host's kernel from the next."""
    return host.files.read_text(Path("/proc/sys/kernel/random/boot_id")).strip()


def acceleration_on(host: Host, image: Image) -> Acceleration:
    """Find out whether a guest boots on KVM on a host elsewhere, once per boot of that; `image` lies there."""
    if not host.files.exists(Path(_DEVICE)):
        return Acceleration("tcg", f"there is no {_DEVICE} on {host.name}: it has no virtualization")
    note, boot = note_there(image), boot_of(host)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(host.files.read(note))
        if known.pop("boot") == boot:
            return Acceleration(**known)
    tenths = [str(round(10 * seconds)) for seconds in (_SILENCE_THERE_S, _DEADLINE_THERE_S)]
    argv = ["sh", "-c", _WATCHED, "sh", *tenths, *_guest(image, QEMU, _DEADLINE_THERE_S)]
    done = host.run(argv, timeout_s=3 * _DEADLINE_THERE_S)
    if done.exit_code in _NO_PROGRAM:  # says nothing to keep
        return Acceleration("tcg", f"KVM could not be tried on {host.name}: {done.stderr.strip()[-200:]}")
    code = None if done.exit_code == _LATE else done.exit_code
    answer = _judge(Ran(code, done.stdout, done.stderr, done.duration_s))
    host.files.make_folder(note.parent, there=True)
    host.files.write(note, json.dumps({"boot": boot, **asdict(answer)}), whole=True)
    return answer


# ── What its end says ─────────────────────────────────────────────────────────────────────────


def _judge(ran: Ran) -> Acceleration:
    """What the end of the guest says about KVM."""
    there = f"{_DEVICE} is there, but"
    if _MARK in ran.stdout:
        return Acceleration("kvm", f"KVM works (booted in {format_duration(ran.seconds)})")
    if "KVM kernel module: Permission denied" in ran.stderr:
        reason = f"{there} open only to a group, and QEMU in a lab keeps none of its user's groups"
        return Acceleration("tcg", reason, _open_to_all())
    if ran.code is None:
        reason = f"{there} a guest on it was not up after {ran.seconds:.0f} s"
    elif message := _complaint(ran.stderr):
        return Acceleration("tcg", f"{there} QEMU gives up on it: {message}")
    else:
        reason = f"{there} a guest on it ended before it was up"
    return Acceleration("tcg", f"{reason}; {_last_words(ran.stdout)}")


def _complaint(stderr: str) -> str:
    """QEMU's message, without the warnings that it also gives when all is well."""
    lines = [line for line in stderr.splitlines() if line.strip() and "warning:" not in line]
    wanted = next((line for line in lines if "error" in line.lower()), lines[0] if lines else "")
    return wanted.strip().removeprefix(f"{QEMU}: ").removeprefix("error: ")[:200]


def _last_words(console: str) -> str:
    lines = [line.strip() for line in console.splitlines() if line.strip()]
    shown = "".join(letter for letter in lines[-1] if letter.isprintable())[:160] if lines else ""
    return f"its console ends with: {shown}" if shown else "its console is empty"
