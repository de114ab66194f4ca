"""What the doctor's checks are made of: findings, programs, commands that leave nothing behind."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Host

# An ordinary user's PATH often lacks the folders for system programs.
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"

# Program: the Debian packages that bring it.
PACKAGES = {
    "containerd": "containerd",
    "criu": "criu",
    "dnsmasq": "dnsmasq-base",
    "docker": "docker.io",
    "docker-registry": "docker-registry",
    "dockerd": "docker.io",
    "dot": "graphviz",
    "ip": "iproute2",
    "iptables": "iptables",
    "libvirtd": "libvirt-daemon libvirt-daemon-driver-qemu",
    "lxc-start": "lxc",
    "mkfs.ext4": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "newgidmap": "uidmap",
    "newuidmap": "uidmap",
    "nft": "nftables",
    "nsenter": "util-linux",
    "pasta": "passt",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "runc": "runc",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "tcpdump": "tcpdump",
    "unshare": "util-linux",
    "vagrant": "vagrant vagrant-libvirt",
    "virtnetworkd": "libvirt-daemon-driver-network",
    "virtqemud": "libvirt-daemon-driver-qemu",
}
# A server's libvirt is the system's own.
SERVER_PACKAGES = PACKAGES | {"libvirtd": "libvirt-daemon-system"}


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Labs work, with less."""
    FAIL = "fail"
    """A lab cannot start, or the machines in it cannot work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw.

    Attributes
    ----------
    name
        What was looked at.
    state
        How it stands.
    found
        What was seen.
    meaning
        What that means for labs.
    fix
        The one command that fixes it, or "".
    """

    name: str
    state: State
    found: str
    meaning: str
    fix: str = ""


def ok(name: str, found: str, meaning: str) -> Finding:
    """A finding that all is well."""
    return Finding(name, State.OK, found, meaning)


def note(name: str, found: str, meaning: str, fix: str = "") -> Finding:
    """A finding that labs work with less."""
    return Finding(name, State.NOTE, found, meaning, fix)


def fail(name: str, found: str, meaning: str, fix: str = "") -> Finding:
    """A finding that labs do not work."""
    return Finding(name, State.FAIL, found, meaning, fix)


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended; `code` is None if it had to be ended at its deadline."""

    code: int | None
    stdout: str
    stderr: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the exit code is 0."""
        return self.code == 0

    @property
    def said(self) -> str:
        """Its last line, from stderr if there is one."""
        if self.code is None:
            return f"no answer within {self.seconds:.0f} s"
        lines = [line for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit code {self.code}"


def run(argv: Sequence[str], *, deadline_s: float = 10.0, silence_s: float | None = None) -> Ran:
    """Run a command to its end or its deadline; then nothing that it started is left.

    With `silence_s` it is also ended when it has written nothing to its stdout in that time.
    """
    environment = os.environ | {"LC_ALL": "C", "PATH": search_path()}
    began = time.monotonic()
    # Files, for a pipe stays open as long as any process has it: a failing `unshare --map-auto`
    # leaves one behind.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, cwd="/",
            start_new_session=True,
        )  # fmt: skip
        try:
            ended = silence_s is None or _wait(
                process.pid, began + silence_s, or_until=lambda: os.fstat(out.fileno()).st_size > 0
            )
            ended = ended and _wait(process.pid, began + deadline_s)
        finally:
            # Not reaped yet: its number still means this process group and no other.
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        took = time.monotonic() - began
        texts = [_content(file) for file in (out, err)]
    return Ran(code if ended else None, texts[0], texts[1], took)


def _wait(pid: int, deadline: float, or_until: Callable[[], bool] = lambda: False) -> bool:
    """Wait for a child to end, without reaping it, or for a condition; False if time is up."""
    pause = 0.001
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if or_until():
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.01)
    return True


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def search_path() -> str:
    """PATH and the folders for system programs."""
    return ":".join(filter(None, (os.environ.get("PATH"), SYSTEM_FOLDERS)))


def find_program(name: str) -> str:
    """The path of a program, or "" if it is not installed."""
    return shutil.which(name, path=search_path()) or ""


_FIND = 'PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; command -v "$1"'


def program_on(host: Host, name: str) -> str:
    """The path of a program on a host, or "" if it is not installed there."""
    return find_program(name) if host.files.are_here else host.run(["sh", "-c", _FIND, "sh", name]).stdout.strip()


def user_name() -> str:
    """The name of this user, or the number if there is no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def as_root(command: str) -> str:
    """A command as this user has to type it to run it as root."""
    return command if os.geteuid() == 0 else f"sudo {command}"


def install(program: str) -> str:
    """The command that installs a program; without apt-get, words that name its package."""
    packages = PACKAGES[program]
    if not find_program("apt-get"):
        return f"install what Debian calls {packages.replace(' ', ' and ')}"
    return as_root(f"apt-get install --no-install-recommends {packages}")


def read(path: str) -> str:
    """A small file's text without the spaces around it, or "" if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def own_status(key: str) -> str:
    """A value from /proc/self/status."""
    lines = read("/proc/self/status").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{key}:")), "")
