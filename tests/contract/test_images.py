"""The image on the real thing: built by an ordinary user, interrupted, refused, shared."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from labkit.storage import images

REPOSITORY = Path(__file__).parents[2]


def _until(condition: Callable[[], bool], what: str, limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"not within {limit_s:g} s: {what}"
        time.sleep(0.05)


def test_programs_run_in_a_container(tmp_path: Path) -> None:
    """The root file system works without its kernel: each program in it finds its libraries."""
    image = images.get("small")
    subprocess.run(["tar", "-xf", str(image.rootfs), "-C", str(tmp_path), "--no-same-owner"], check=True)
    inside = ["unshare", "--user", "--map-root-user", "chroot", str(tmp_path)]
    for argv in (["/usr/sbin/qemu-ga", "--version"], ["/usr/bin/stress", "--version"], ["/usr/bin/ip", "-V"],
                 ["/usr/bin/ss", "-V"], ["/bin/sh", "-c", "id -un | grep root"]):  # fmt: skip
        done = subprocess.run([*inside, *argv], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (argv, done.stderr)


_BUILD = "from labkit.storage import images; print(images.get('small').digest)"


@pytest.fixture(scope="module")
def ordinary() -> Iterator[tuple[list[str], Path]]:
    """How to run a command as an ordinary user, and a folder of that user's."""
    if os.geteuid() != 0:
        with tempfile.TemporaryDirectory(prefix="lk-user-") as folder:
            yield [], Path(folder)
        return
    name = f"lk-{secrets.token_hex(3)}"
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
    try:
        yield ["runuser", "-u", name, "--"], Path(f"/home/{name}")
    finally:
        subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(ordinary: tuple[list[str], Path]) -> Iterator[Start]:
    """Start a Python program as an ordinary user with a cache of its own; what it left is removed."""
    prefix, home = ordinary
    cache = home / "cache"

    def begin(code: str = _BUILD, wrap: Sequence[str] = (), **environment: str) -> subprocess.Popen[str]:
        words = [f"{name}={value}" for name, value in {"LABKIT_CACHE": str(cache), **environment}.items()]
        return subprocess.Popen(
            [*prefix, *wrap, "env", *words, sys.executable, "-c", code], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=REPOSITORY, process_group=0,
        )  # fmt: skip

    yield begin
    shutil.rmtree(cache, ignore_errors=True)


def _left(home: Path) -> list[str]:
    """What lies in the cache, but for the lock."""
    folder = home / "cache/images"
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock") if folder.exists() else []


@pytest.mark.slow
def test_ordinary_user_builds(ordinary: tuple[list[str], Path], start: Start) -> None:
    """An ordinary user builds the image in under 60 s (an idle machine), and it is root's inside."""
    began = time.monotonic()
    out, err = (process := start()).communicate(timeout=300)
    assert process.returncode == 0, err
    print(f"built in {time.monotonic() - began:.1f} s")
    (folder,) = _left(ordinary[1])
    disk = ordinary[1] / "cache/images" / folder / "disk.raw"
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    checked = subprocess.run(["e2fsck", "-fn", str(disk)], capture_output=True, text=True, check=False,
                             env=os.environ | {"PATH": path})  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    listing = subprocess.run(["debugfs", "-R", "ls -l /usr/bin", str(disk)], capture_output=True, text=True,
                             check=True, env=os.environ | {"PATH": path}).stdout  # fmt: skip
    owners = {tuple(line.split()[3:5]) for line in listing.splitlines() if line.strip()}
    assert owners == {("0", "0")}
    assert len(out.strip()) == 64


@pytest.mark.slow
def test_one_builds_for_all(ordinary: tuple[list[str], Path], start: Start) -> None:
    """Of three processes that ask at once one builds, and all get the same image."""
    processes = [start() for _ in range(3)]
    ends = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ends
    assert len({out for out, _ in ends}) == 1
    assert sum("downloading packages" in err for _, err in ends) == 1
    assert len(_left(ordinary[1])) == 1


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [True, False])
def test_killed_build(ordinary: tuple[list[str], Path], start: Start, whole_group: bool) -> None:
    """A build that is killed leaves nothing that counts, and the next one sweeps up and works."""
    process = start()
    assert process.stderr is not None
    while "unpacking" not in (line := process.stderr.readline()):
        assert line, "the build ended early"
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        for child in _tree(process.pid):
            if b"-c" in child[1] and b"labkit" in child[1]:
                os.kill(child[0], signal.SIGKILL)
    process.communicate(timeout=60)
    assert all(name.startswith(".building-") for name in _left(ordinary[1]))
    assert _left(ordinary[1])
    _until(lambda: not _using(ordinary[1] / "cache"), "the end of mmdebstrap", 30)
    _, err = (process := start()).communicate(timeout=300)
    assert process.returncode == 0, err
    assert [name[:6] for name in _left(ordinary[1])] == ["small-"]


def _commands() -> Iterator[tuple[int, int, bytes]]:
    """Process id, its parent's, and the command line of every process."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                yield int(folder.name), parent, (folder / "cmdline").read_bytes()


def _tree(first: int) -> list[tuple[int, bytes]]:
    """A process and all below it."""
    every = list(_commands())
    found = [(number, command) for number, _, command in every if number == first]
    for number, _ in found:
        found += [(child, command) for child, parent, command in every if parent == number]
    return found


def _using(folder: Path) -> list[bytes]:
    """The processes that have this folder on their command line."""
    return [command for _, _, command in _commands() if str(folder).encode() + b"/" in command]


@pytest.mark.slow
@pytest.mark.parametrize("proxy", ["in the environment", "in apt's settings"])
def test_failing_proxy(ordinary: tuple[list[str], Path], start: Start, proxy: str) -> None:
    """The machine's proxy is used; where none answers the error quotes the last lines, and nothing is left."""
    code = (
        "from labkit.storage import images; from labkit import errors\n"
        "try: images.get()\n"
        "except errors.ImageBuildFailed as e: print(e)\n"
    )
    nowhere = "http://127.0.0.1:9/"
    settings = Path(tempfile.mkdtemp(prefix="lk-apt-")) / "apt.conf"
    settings.parent.chmod(0o755)
    settings.write_text(f'Acquire::http::Proxy "{nowhere}";')
    there = {"http_proxy": nowhere} if proxy == "in the environment" else {"APT_CONFIG": str(settings)}
    out, err = start(code, **there).communicate(timeout=300)
    shutil.rmtree(settings.parent)
    assert "its last lines" in out, err
    assert "127.0.0.1" in out
    assert _left(ordinary[1]) == []


@pytest.mark.slow
def test_full_disk(ordinary: tuple[list[str], Path], start: Start) -> None:
    """A disk that fills up while the image is built is told, and nothing is left."""
    home = ordinary[1]
    code = (
        "import subprocess, os; from labkit.storage import images; from labkit import errors\n"
        "argv = ['mount', '-t', 'tmpfs', '-o', 'size=150m,mode=700', 'none', os.environ['LABKIT_CACHE']]\n"
        "subprocess.run(argv, check=True)\n"
        "images._NEEDED_BYTES = 0\n"
        "try: images.get()\n"
        "except errors.NotEnoughDisk as e: print('told:', e)\n"
        "print('left:', [n for n in os.listdir(os.environ['LABKIT_CACHE'] + '/images') if n != '.lock'])\n"
    )
    wrap = ["sh", "-c", 'mkdir -p "$0"; exec unshare --user --map-root-user --mount "$@"', str(home / "cache")]
    out, err = start(code, wrap).communicate(timeout=300)
    assert "told: there is no room" in out, (out, err)
    assert "left: []" in out


@pytest.mark.slow
def test_rebuilt_by_force(ordinary: tuple[list[str], Path], start: Start) -> None:
    """A damaged image stays damaged until it is rebuilt by force, and is good then."""
    assert start().wait(300) == 0
    (folder,) = _left(ordinary[1])
    kernel = ordinary[1] / "cache/images" / folder / "vmlinuz"
    kernel.chmod(0o600)
    os.truncate(kernel, 5)
    _, err = (process := start()).communicate(timeout=60)
    assert process.returncode != 0
    assert "ImageDamaged" in err
    process = start("from labkit.storage import images; images.build(force=True); images.get()")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert _left(ordinary[1]) == [folder]
