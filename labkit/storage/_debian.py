"""Debian's packages in a folder, by mmdebstrap: unpacked as any user, or installed with their scripts."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from .._progress import Task
from ..errors import ImageBuildFailed, LabError, NotEnoughDisk, PackageMissing

_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_DEADLINE_S = 1800.0
EPOCH = 1_700_000_000  # the time of all files that are made here
_LINES_KEPT = 12
_OF_THE_MACHINE = re.compile(r'Acquire::https?::(Proxy|Proxy-Auto-Detect|CaInfo|CaPath)(::\S+)? ".+";')
_NO_ROOM = ("No space left on device", "You don't have enough free space")
# What mmdebstrap says, what is shown, and which part of the build is done by then.
_PHASES = {
    "I: running apt-get update": ("reading the package lists", 0.05),
    "I: downloading packages": ("downloading packages", 0.25),
    "I: extracting archives": ("unpacking packages", 0.3),
    "I: installing essential packages": ("setting up the base system", 0.35),
    "I: installing remaining packages": ("installing packages", 0.45),
    "I: running --customize-hook": ("setting up the system", 0.8),
    "I: cleaning package lists": ("cleaning up", 0.85),
}


def check_tools() -> None:
    """Raise `PackageMissing` if what unpacks Debian's packages is not installed."""
    if shutil.which("mmdebstrap") is None:
        raise PackageMissing("mmdebstrap is not installed", hint="apt-get install mmdebstrap")
    if not _KEYS.exists():
        raise PackageMissing(
            "the keys that Debian signs its packages with are not installed",
            hint="apt-get install debian-archive-keyring",
        )


def unpack(suite: str, packages: Sequence[str], target: Path, temporary: Path, lock: int, task: Task) -> None:
    """Unpack packages and what they depend on into the folder `target`.

    Parameters
    ----------
    suite
        The release of Debian.
    packages
        The names of the packages.
    target
        A folder that does not exist yet.
    temporary
        A folder for mmdebstrap's own files.
    lock
        A file descriptor that stays open as long as a process of mmdebstrap lives.
    task
        Is told how far it is.

    Raises
    ------
    PackageMissing, NotEnoughDisk, ImageBuildFailed
    """
    check_tools()
    # Packages are only unpacked, so an ordinary user needs no other user's ids for it.
    mode = "root" if os.geteuid() == 0 else "chrootless"
    words = [f"--mode={mode}", "--variant=extract", f"--include={','.join(packages)}", suite, str(target)]
    _mmdebstrap([], words, target, temporary, lock, task)


def as_system() -> list[str]:
    """The beginning of a command in which this user is root, with the ids and mounts that a system needs."""
    ids = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    return ["unshare", *ids, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def install(
    suite: str, packages: Sequence[str], target: Path, temporary: Path, lock: int, task: Task, *, hook: Path
) -> None:
    """Install packages, with what their scripts do, into the folder `target`: a system that could boot.

    Parameters are those of `unpack`. The files have many owners: an ordinary user reaches them by
    commands that begin with `as_system`.

    Parameters
    ----------
    hook
        A shell script that is run at the end with the folder as its argument.

    Raises
    ------
    PackageMissing, NotEnoughDisk, ImageBuildFailed, NamespacesForbidden
    """
    check_tools()
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")]
    words = ["--mode=root", "--variant=minbase", f"--include={','.join(packages)}", *left_out,
             f'--customize-hook=sh {shlex.quote(str(hook))} "$1"', suite, str(target)]  # fmt: skip
    _mmdebstrap(as_system(), words, target, temporary, lock, task)


def _mmdebstrap(
    around: Sequence[str], words: Sequence[str], target: Path, temporary: Path, lock: int, task: Task
) -> None:
    argv = [*around, "mmdebstrap", f"--keyring={_KEYS}", "--architectures=amd64", "--format=directory",
            f"--aptopt={_settings(temporary)}", *words]  # fmt: skip
    if setpriv := shutil.which("setpriv"):
        argv = [setpriv, "--pdeathsig", "TERM", *argv]
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", cwd=temporary, pass_fds=[lock], process_group=0,
        env=os.environ | {"TMPDIR": str(temporary), "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(EPOCH)},
    )  # fmt: skip
    said = _follow(process, task)
    if process.returncode != 0:
        raise _failure(said, process.returncode, target)


def _settings(folder: Path) -> Path:
    """Write apt's settings for the build: labkit's, and the machine's proxies and certificates.

    mmdebstrap does not look at the machine's own. In a file, for a proxy's address may hold a password.
    """
    lines = ['APT::Install-Recommends "false";', 'Acquire::Languages "none";', 'Acquire::Retries "3";']
    if apt_config := shutil.which("apt-config"):
        done = subprocess.run([apt_config, "dump"], capture_output=True, text=True, timeout=60, check=False)
        lines += [line for line in done.stdout.splitlines() if _OF_THE_MACHINE.fullmatch(line)]
    path = folder / "apt.conf"
    path.write_text("\n".join(lines) + "\n")
    return path


def _follow(process: subprocess.Popen[str], task: Task) -> deque[str]:
    """Show what mmdebstrap is at until it ends; end it if labkit is interrupted or it takes for ever."""
    said: deque[str] = deque(maxlen=_LINES_KEPT)
    watch = threading.Timer(_DEADLINE_S, _end, [process])
    watch.daemon = True
    watch.start()
    try:
        for line in process.stdout or ():
            said.append(line.rstrip())
            for words, (phase, fraction) in _PHASES.items():
                if line.startswith(words):
                    task.phase(phase, fraction)
        process.wait()
    finally:
        watch.cancel()
        if process.poll() is None:
            _end(process)
        if process.stdout:
            process.stdout.close()
    return said


def _end(process: subprocess.Popen[str]) -> None:
    """End mmdebstrap and all that it started."""
    for number, wait_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, number)
            process.wait(wait_s)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _failure(said: deque[str], code: int, target: Path) -> LabError:
    text = "\n".join(said)
    if any(words in text for words in _NO_ROOM):
        return NotEnoughDisk(
            f"there is no room to unpack packages in {target.parent}",
            hint="free 600 MiB there, or set LABKIT_CACHE to a folder on another disk",
        )
    return ImageBuildFailed(
        f"mmdebstrap ended with exit code {code}; its last lines:\n{text}",
        hint="check that `apt-get update` works on this machine, then try again",
    )
