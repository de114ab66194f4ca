"""The script ./lab on a fresh Debian: installed for real, cut off in the middle, repaired.

The machine is a root filesystem with nothing but git, entered with namespaces of its own: its
processes end with the namespace, and it has its own /dev, /run and /tmp.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("fresh"),  # one at a time: each is as heavy as an installation
    pytest.mark.skipif(os.geteuid() != 0, reason="a fresh machine can only be made and entered by root"),
    pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="mmdebstrap is not installed: ./lab install brings it"),
]


class Fresh:
    """A machine in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkout = root / HOME[1:]

    @classmethod
    def debian(cls, suite: str, root: Path) -> Fresh:
        """A minimal Debian with git, this machine's way to the network, and a copy of the repository."""
        subprocess.run(
            ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=git,ca-certificates", suite, root],
            check=True,
        )
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


@pytest.fixture(scope="module")
def bookworm() -> Iterator[Fresh]:
    with folder() as path:
        yield Fresh.debian("bookworm", path / "bookworm")


@pytest.fixture
def machine(bookworm: Fresh) -> Iterator[Fresh]:
    with folder() as path:
        yield bookworm.copy(path / "machine")


@pytest.fixture(scope="module")
def with_packages(bookworm: Fresh) -> Iterator[Fresh]:
    with folder() as path:
        machine = bookworm.copy(path / "packages")
        machine.run("./lab packages")
        yield machine


@pytest.fixture
def packaged(with_packages: Fresh) -> Iterator[Fresh]:
    with folder() as path:
        yield with_packages.copy(path / "machine")


def open_jupyterlab(machine: Fresh) -> float:
    """Seconds from the call of ./lab to an answer over HTTP, with the token that was printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    with machine.start(f"exec ./lab --port {port} --ServerApp.port_retries=0") as process:
        try:
            assert process.stdout is not None
            printed = ""
            while not (address := re.search(rf"http://127\.0\.0\.1:{port}/lab\?token=\w+", printed)):
                line = process.stdout.readline()
                assert line, f"no address was printed: {printed}"
                printed += line
            page = ""
            while not page:
                with contextlib.suppress(urllib.error.URLError):  # it prints the address before it listens
                    page = urllib.request.urlopen(address[0], timeout=30).read().decode()
                assert time.monotonic() < began + 60, "JupyterLab did not answer"
            took = time.monotonic() - began
            assert "JupyterLab" in page
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/contents", timeout=30)
        finally:
            process.kill()
    return took


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_installs_on_a_fresh_machine(suite: str) -> None:
    """From nothing but git to an open JupyterLab, within 2 s the second time, with no service started or enabled."""
    with folder() as path:
        machine = Fresh.debian(suite, path / suite)
        assert "Usage" in machine.run("./lab --help")
        assert not (machine.checkout / ".venv").exists()
        before = machine.enabled()

        output = machine.run("./lab install; code=$?; sleep 1; echo running: /proc/[0-9]*; exit $code")
        assert "lab: ready" in output
        assert output.splitlines()[-1].split() == ["running:", "/proc/1"]
        assert machine.enabled() == before
        assert not machine.left_behind()
        assert not list(machine.root.glob("etc/libvirt/qemu/networks/**/*.xml"))

        began = time.monotonic()
        assert machine.run("./lab install") == "lab: ready: ./lab opens JupyterLab\n"
        assert time.monotonic() - began < 1
        assert min(open_jupyterlab(machine) for _ in range(3)) < 2
        # an ordinary user may use what root installed, and is told why it cannot be changed
        user = "useradd u && exec setpriv --reuid u --regid u --clear-groups env HOME=/tmp"
        assert "ready" in machine.run(f"{user} ./lab install")
        machine.run("echo >>pyproject.toml")
        assert "may not write to it: it belongs to root" in machine.run(f"userdel u; {user} ./lab install", code=1)


@pytest.mark.parametrize("moment", ["unpacked", "configure"])
def test_repairs_packages(machine: Fresh, moment: str) -> None:
    """After a kill -9 of everything in the middle of apt-get the next call finishes the packages."""
    log = machine.root / "var/log/dpkg.log"

    def in_the_middle() -> bool:
        return log.exists() and log.read_text().count(moment) > 40

    log.unlink(missing_ok=True)
    machine.cut_off("./lab packages", in_the_middle)
    assert machine.left_behind()
    output = machine.run("./lab packages && dpkg --audit && ./lab packages")
    assert "finishing an installation that was cut off" in output
    assert output.splitlines()[-1].startswith("lab: system packages installed")  # so dpkg complained of nothing
    assert not machine.left_behind()


def test_keeps_the_policy_of_others(machine: Fresh) -> None:
    """A policy-rc.d that was there is there again after an installation, also after a kill -9 of ./lab alone."""
    policy = machine.root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 104\n")
    policy.chmod(0o755)
    machine.run(
        "./lab packages & lab=$!\n"
        "until grep -qs labkit /usr/sbin/policy-rc.d && grep -qsx dpkg /proc/[0-9]*/comm; do sleep 0.1; done\n"
        "kill -9 $lab; wait $lab\n"
        "test -e /usr/sbin/policy-rc.d.labkit-saved || exit 3\n"  # apt-get goes on, and still starts nothing
        "until ! grep -q labkit /usr/sbin/policy-rc.d; do sleep 0.1; done\n"  # the guard puts things back
        "dpkg --audit"
    )
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert [path.name for path in policy.parent.glob("policy-rc.d*")] == ["policy-rc.d"]
    machine.run("./lab packages")
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert len(machine.left_behind()) == 1


def test_repairs_the_environment(packaged: Fresh) -> None:
    """After a kill -9 of everything in the middle of pip the next call makes .venv afresh, whatever PIP_… says."""
    site = packaged.checkout / ".venv/lib"
    packaged.cut_off("./lab install", lambda: any(site.glob("python3*/site-packages/jupyterlab")))
    assert packaged.left_behind()
    confusing = "export PIP_USER=1 PIP_TARGET=/nowhere PIP_REQUIRE_HASHES=1 PYTHONPATH=/nowhere"
    packaged.run(f"{confusing}; ./lab install && unset PYTHONPATH && .venv/bin/python -c 'import jupyterlab, libvirt'")
    assert not packaged.left_behind()
    assert not list(site.glob("python3*/site-packages/~*"))


def test_two_at_once(packaged: Fresh) -> None:
    """Of two calls at once one installs and the other waits for it; both succeed."""
    output = packaged.run("./lab install & one=$!; ./lab install && wait $one")
    assert output.count("lab: installing labkit") == 1
    assert output.count("waiting for it") >= 1
    assert output.count("lab: ready") == 2


def test_moved(packaged: Fresh) -> None:
    """A checkout that was moved works again in its new place."""
    packaged.run("./lab install && mv '/srv/my lab' /srv/moved && cd /srv/moved && ./lab install")
    assert "/srv/moved" in packaged.run("head -n 2 /srv/moved/.venv/bin/jupyter-lab")
