"""The core of the suite once more, as a user without privileges."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
TUN = Path("/dev/net/tun")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the whole suite runs as an ordinary user already")


@pytest.fixture
def user() -> Iterator[str]:
    """A new user with subordinate ids, who may open /dev/net/tun as udev lets everybody elsewhere."""
    name = f"labkit-{secrets.token_hex(3)}"
    kept = {path: Path(path).read_bytes() for path in ("/etc/subuid", "/etc/subgid") if Path(path).exists()}
    mode = stat.S_IMODE(TUN.stat().st_mode)
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
    if name not in Path("/etc/subuid").read_text():
        subprocess.run(
            ["usermod", "--add-subuids", "700000-765535", "--add-subgids", "700000-765535", name], check=True
        )
    TUN.chmod(0o666)
    yield name
    TUN.chmod(mode)
    end_processes_of(pwd.getpwnam(name).pw_uid)
    subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)
    for path, content in kept.items():
        Path(path).write_bytes(content)
    assert not Path("/home", name).exists()
    shutil.rmtree(f"/tmp/labkit-{name}", ignore_errors=True)


def end_processes_of(uid: int) -> None:
    """End what a failed test of the user left, and wait until it is gone."""
    deadline = time.monotonic() + 20
    while left := [int(path.name) for path in Path("/proc").glob("[0-9]*") if _owner(path) == uid]:
        assert time.monotonic() < deadline, left
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _owner(path: Path) -> int:
    try:
        return path.stat().st_uid if (path / "cmdline").read_bytes() else -1
    except OSError:
        return -1


def as_user(user: str, argv: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run `argv` as `user` in the repository, which is shown to the user at a path all can read."""
    place = f"/srv/{user}"
    script = 'mkdir -p "$1" && mount --bind "$2" "$1" && cd "$1" && shift 2 && exec "$@"'
    environment = {"HOME": f"/home/{user}", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
    words = ["env", "-i", *(f"{key}={value}" for key, value in {**environment, "PYTHONPATH": place}.items())]
    try:
        return subprocess.run(
            ["unshare", "--mount", "sh", "-euc", script, "sh", place, str(REPOSITORY),
             "runuser", "-u", user, "--", *words, *argv],
            capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
    finally:
        Path(place).rmdir()


def test_core_passes_without_privileges(user: str) -> None:
    """What is marked core holds for an ordinary user, from the building of the image on."""
    suite = ["-m", "core and not slow", "-p", "no:cacheprovider", "-q", "tests/contract", "tests/faults"]
    done = as_user(user, [".venv/bin/python", "-m", "pytest", *suite], 1500)
    print(done.stdout[-6000:], done.stderr[-3000:])
    assert done.returncode == 0
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > 50


def test_doctor_says_that_a_lab_can_start(user: str) -> None:
    """The doctor finds all that an ordinary user needs."""
    code = "from labkit.hosts.doctor import examine; report = examine(); print(report); assert report.can_start"
    done = as_user(user, [".venv/bin/python", "-c", code], 120)
    assert done.returncode == 0, done.stdout + done.stderr
