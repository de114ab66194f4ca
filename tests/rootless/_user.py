"""A user without privileges, for tests that run as root."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock

REPOSITORY = Path(__file__).parent.parent.parent
TUN = Path("/dev/net/tun")
_TUN_MODE = Path("/run/labkit-tests-tun")  # what it was before the first test with a user
_ALONE = FileLock("/run/labkit-tests-users.lock", timeout=60)


@contextlib.contextmanager
def ordinary_user() -> Iterator[str]:
    """A new user with subordinate ids, who may open /dev/net/tun as udev lets everybody elsewhere."""
    name = f"labkit-{secrets.token_hex(3)}"
    with _ALONE:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
        if name not in Path("/etc/subuid").read_text():
            subprocess.run(
                ["usermod", "--add-subuids", "700000-765535", "--add-subgids", "700000-765535", name], check=True
            )
        if not _TUN_MODE.exists():  # else tests with another user are under way
            _TUN_MODE.write_text(oct(stat.S_IMODE(TUN.stat().st_mode)))
        TUN.chmod(0o666)
    try:
        yield name
    finally:
        end_processes_of(pwd.getpwnam(name).pw_uid)
        with _ALONE:
            _remove(name)
        assert not Path("/home", name).exists()
        shutil.rmtree(f"/tmp/labkit-{name}", ignore_errors=True)


def _remove(name: str) -> None:
    """Remove a user and no trace of others, whom other tests may need."""
    subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)
    for path in (Path("/etc/subuid"), Path("/etc/subgid")):
        lines = path.read_text().splitlines(keepends=True)
        if any(line.startswith(f"{name}:") for line in lines):
            path.write_text("".join(line for line in lines if not line.startswith(f"{name}:")))
    if not any(user.pw_name.startswith("labkit-") for user in pwd.getpwall()) and _TUN_MODE.exists():
        TUN.chmod(int(_TUN_MODE.read_text(), 8))
        _TUN_MODE.unlink()


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


def as_user(
    user: str, argv: list[str], timeout_s: float, around: Sequence[str] = (), namespaces: Sequence[str] = ("--mount",)
) -> subprocess.CompletedProcess[str]:
    """Run `argv` as `user` in the repository, which is shown to the user at a path all can read.

    It is run by `around`, the words of a command that root runs, in new namespaces.
    """
    place = f"/srv/{user}"
    script = 'mkdir -p "$1" && mount --bind "$2" "$1" && cd "$1" && shift 2 && exec "$@"'
    environment = {"HOME": f"/home/{user}", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
    words = ["env", *(f"{key}={value}" for key, value in {**environment, "PYTHONPATH": place}.items())]
    clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    try:
        return subprocess.run(
            ["unshare", *namespaces, *clean, "sh", "-euc", script, "sh", place, str(REPOSITORY), *around,
             "runuser", "-u", user, "--", *words, *argv],
            capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
    finally:
        Path(place).rmdir()
