"""A fresh Debian as a root filesystem, entered with namespaces of its own.

Its processes end with the namespace, and it has its own /dev, /run and /tmp.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
HOME = "/srv/my lab"  # of the checkout in the fresh machine: with a space
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
ENTER = """
set -eu
mount --bind "$1" "$1" && cd "$1" && shift
mount -t proc proc proc && mount -t tmpfs tmpfs run && mount -t tmpfs tmpfs tmp && mount -t tmpfs tmpfs dev
for device in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"
done
mkdir dev/shm dev/pts && mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx && ln -s /proc/self/fd dev/fd
exec chroot . "$@"
"""


class Fresh:
    """A machine in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkout = root / HOME[1:]

    @classmethod
    def debian(cls, suite: str, root: Path, packages: str = "git") -> Fresh:
        """A minimal Debian with some packages, this machine's way to the network, and a copy of the repository."""
        subprocess.run(
            # Its mounts are nobody else's: other tests count those of this machine.
            ["unshare", "--mount", "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
             f"--include=ca-certificates,{packages}", suite, root],
            check=True,
        )  # fmt: skip
        for name in ("resolv.conf", "pip.conf", "ssl/certs/ca-certificates.crt"):
            if (source := Path("/etc", name)).exists():
                shutil.copy(source, root / "etc" / name)
        for source in Path("/etc/apt/apt.conf.d").iterdir():
            if "Acquire" in source.read_text():
                shutil.copy(source, root / "etc/apt/apt.conf.d")
        ignored = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", "out")
        shutil.copytree(REPOSITORY, root / HOME[1:], ignore=ignored)
        return cls(root)

    def copy(self, root: Path) -> Fresh:
        subprocess.run(["cp", "-a", "--reflink=auto", self.root, root], check=True)
        return Fresh(root)

    def start(self, script: str) -> subprocess.Popen[str]:
        """Run a shell script in the checkout; killing the process ends all that it started."""
        network = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy") or k.startswith("PIP_")}
        path = {"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        return subprocess.Popen(
            [*NAMESPACES, "sh", "-c", ENTER, "enter", str(self.root), "sh", "-c", f"cd '{HOME}'\n{script}"],
            env=network | path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str, code: int = 0) -> str:
        with self.start(script) as process:
            output, _ = process.communicate(timeout=900)
        assert process.returncode == code, output
        return output

    def cut_off(self, script: str, when: Callable[[], bool]) -> None:
        """Start a script and kill everything of it, at once, when a condition holds."""
        with self.start(script) as process:
            wait_for(lambda: when() or process.poll() is not None)
            assert process.poll() is None, f"it ended before it was cut off: {process.communicate()[0]}"
            process.send_signal(signal.SIGKILL)

    def enabled(self) -> set[str]:
        """The services that would start at boot, by the links that say so."""
        links = [*self.root.glob("etc/systemd/*/*.wants/*"), *self.root.glob("etc/rc[2345].d/S*")]
        own = re.compile(r"(S\d\d)?(getty@|systemd-|remote-fs|dbus|e2scrub|fstrim)")  # of systemd, where it is new
        return {link.name for link in links if not own.match(link.name)}

    def left_behind(self) -> list[str]:
        """What an installation must have taken away again."""
        return [
            str(path)
            for pattern in ("usr/sbin/policy-rc.d*", "var/lib/labkit-packages", f"{HOME[1:]}/.venv/.lab/unfinished")
            for path in self.root.glob(pattern)
        ]


def wait_for(condition: Callable[[], bool], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.01)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder that other users can enter, unlike pytest's."""
    path = Path(tempfile.mkdtemp(prefix="labkit-fresh-", dir="/var/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)
