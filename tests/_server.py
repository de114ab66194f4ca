"""A server for tests: OpenSSH's own sshd, in namespaces and on a disk of its own, with pipes as the wire.

`sshd -i` is ssh's ProxyCommand, so that real keys, a real login and a real server side are used, and nothing
listens anywhere.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from labkit import Ssh, _paths
from labkit.hosts._checks import find_program

_AS_USER = ["--user", "--map-root-user", "--map-auto"]
_NAMESPACES = ["--mount", "--pid", "--net", "--uts", "--ipc"]
# What sshd needs to let somebody in: its folder, and no account that is locked.
LET_IN = """
mkdir -p /run/sshd
(umask 077; sed 's/:.*/:*:19000:0:99999:7:::/' /etc/passwd >/run/shadow)
mount --bind /run/shadow /etc/shadow
"""
# The disk with the lab's state and the home folder are its own. It lives until its input ends.
_BE_SERVER = """
hostname far-away
ip link set lo up
mount -t tmpfs tmpfs /run
@let_in@
mount -t tmpfs -o "size=$2" tmpfs "$1"
chmod 700 "$1"
mount -t tmpfs -o mode=700 tmpfs /root
[ ! -d /var/lib/lxc ] || mount -t tmpfs tmpfs /var/lib/lxc
echo ready
exec cat
"""
SSHD = find_program("sshd")


class Server:
    """A server that runs; `spec` describes it."""

    def __init__(self, folder: Path, holder: subprocess.Popen[bytes] | None, enter: Sequence[str]) -> None:
        self.folder = folder
        self.holder = holder
        self.enter = list(enter)
        self.user, self.name = "root", "far-away.test"
        self.make_key("host")
        self.make_key("user")
        shutil.copy(folder / "user.pub", folder / "authorized")
        self.configure()

    def make_key(self, name: str) -> None:
        """Make a key pair, or another one."""
        for path in (self.folder / name, self.folder / f"{name}.pub"):
            path.unlink(missing_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)], check=True, timeout=30
        )

    def configure(self, *lines: str) -> None:
        """Write sshd's configuration, with more lines."""
        words = [
            f"HostKey {self.folder}/host", f"AuthorizedKeysFile {self.folder}/authorized /run/authorized",
            "StrictModes no", "UsePAM no",
            "PermitRootLogin prohibit-password", "PasswordAuthentication no", "PidFile none",
        ]  # fmt: skip
        (self.folder / "sshd_config").write_text("\n".join([*lines, *words]) + "\n")

    def command(self) -> str:
        """What is to ssh the wire to the server."""
        sshd = [SSHD, "-i", "-f", f"{self.folder}/sshd_config", "-E", f"{self.folder}/sshd.log"]
        return shlex.join([*self.enter, *sshd]).replace("%", "%%")

    def spec(self, name: str = "gamma", **changes: Any) -> Ssh:
        """The server as a host of a lab."""
        words: dict[str, Any] = {
            "identity": self.folder / "user",
            "options": [f"ProxyCommand={self.command()}", "GlobalKnownHostsFile=/dev/null", "IdentityAgent=none"],
            **changes,
        }
        target = words.pop("target", f"{self.user}@{self.name}")
        return Ssh(target, name=name, **words)

    def run(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command on the server, past ssh and labkit."""
        return subprocess.run([*self.enter, *argv], capture_output=True, text=True, check=False, timeout=60)

    def processes(self, mark: str) -> list[int]:
        """The processes on the server, by its own numbers, whose command line has `mark`."""
        told = self.run(["pgrep", "-f", "--", mark]).stdout
        return [int(word) for word in told.split()]

    def kill_connections(self) -> None:
        """The connection breaks: what serves it is gone."""
        for pid in self.processes("^sshd: "):
            self.run(["kill", "-9", str(pid)])


@contextlib.contextmanager
def server(folder: Path, size: str = "64m") -> Iterator[Server]:
    """Have a server run, with its state on a disk of `size`."""
    as_user = [] if os.geteuid() == 0 else _AS_USER
    state = str(_paths.state_home())
    holder = subprocess.Popen(
        ["unshare", *as_user, *_NAMESPACES, "--fork", "--mount-proc", "--kill-child", "--",
         "sh", "-euc", _BE_SERVER.replace("@let_in@", LET_IN), "sh", state, size],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip
    try:
        assert holder.stdout
        assert holder.stdout.readline() == b"ready\n"
        yield Server(folder, holder, enter(_child_of(holder.pid)))
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        for stream in (holder.stdin, holder.stdout):
            assert stream
            stream.close()


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def enter(pid: int) -> list[str]:
    """The beginning of a command that runs in the namespaces of process `pid`."""
    as_user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return [find_program("nsenter"), "--target", str(pid), *as_user, *_NAMESPACES, "--"]
