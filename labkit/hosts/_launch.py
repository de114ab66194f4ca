"""Starting and ending the first process of a lab, and clearing what a killed one left."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

from .. import _paths
from ..errors import Busy, DaemonFailed, InvalidValue, LabError, LabGone, PackageMissing
from . import _cgroups, _remotes
from ._channel import Channel

_NAMESPACES = ["--net", "--mount", "--pid", "--ipc", "--uts"]
_START_S = 30
_LEAST_DISK = 16 * 2**20  # for configurations and logs
_SOCKET_BYTES = 107  # see unix(7)
_AS_USER = ["--user", "--map-root-user", "--map-auto"]


def key(name: str) -> str:
    """The name of lab `name` among all labs of this user.

    A headless run has labs of its own: it must neither find nor end what somebody has open in
    JupyterLab under the same name.
    """
    run = os.environ.get("LABKIT_RUN")
    return name if not run or "." in name else f"{name}.{hashlib.sha256(run.encode()).hexdigest()[:6]}"


def folder(name: str) -> Path:
    """Where the state of lab `name` lies."""
    return _paths.state_home() / "labs" / key(name)


def sockets(name: str) -> Path:
    """Where the sockets of lab `name` lie."""
    return _paths.runtime_home() / key(name)


def names() -> list[str]:
    """The labs that have state on this machine, alive or not."""
    home = _paths.state_home() / "labs"
    return sorted(path.name for path in home.glob("[!.]*") if path.is_dir()) if home.is_dir() else []


def channel(name: str) -> Channel:
    """A connection to the lab's first process; `LabGone` if there is none."""
    return Channel(sockets(name) / "ctl", f"lab {name}")


def is_alive(name: str) -> bool:
    """Whether the lab's first process answers."""
    try:
        channel(name).close()
    except LabGone:
        return False
    return True


def check_length(path: Path) -> None:
    """Raise `InvalidValue` if a Unix socket cannot lie at `path`."""
    if len(os.fsencode(path)) > _SOCKET_BYTES:
        raise InvalidValue(
            f"the path of a socket is longer than {_SOCKET_BYTES} bytes: {path}",
            hint="set LABKIT_RUNTIME to a shorter folder, or shorten the names of the lab and its hosts",
        )


def start(name: str, lease_s: float) -> subprocess.Popen[bytes]:
    """Start the first process of a new lab; returns when it answers on its control socket."""
    state, run = folder(name), sockets(name)
    check_length(run / "ctl")
    if shutil.disk_usage(_paths.state_home()).free < _LEAST_DISK:
        raise _paths.disk_full(state)
    for path in (state, run):
        path.mkdir(mode=0o700, parents=True)
    (state / "alive").touch(mode=0o600)
    group = _cgroups.make(key(name))
    config = {
        "name": key(name), "state_dir": str(state), "run_dir": str(run), "socket": str(run / "ctl"),
        "alive": str(state / "alive"), "hosts_file": str(state / "hosts-file"),
        "lease_s": lease_s, "cgroups": _cgroups.usable(), "group": str(group or ""),
    }  # fmt: skip
    told, tell = os.pipe()
    as_root = os.geteuid() == 0
    # In a cgroup namespace it could not leave the cgroup that it removes at its end.
    namespaces = _NAMESPACES if group else [*_NAMESPACES, "--cgroup"]
    argv = [
        "unshare", *([] if as_root else _AS_USER), *namespaces, "--fork", "--kill-child",
        _paths.PYTHON, "-I", "-S", str(Path(__file__).with_name("_init.py")), json.dumps(config), str(tell),
    ]  # fmt: skip
    log = state / "lab.log"
    try:
        with log.open("ab") as out:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=[tell],
                start_new_session=True, cwd="/",
            )  # fmt: skip
    except FileNotFoundError as error:
        raise PackageMissing("`unshare` is not installed", hint="sudo apt-get install util-linux") from error
    finally:
        os.close(tell)
    try:
        with open(told, "rb", buffering=0) as pipe:
            if _is_ready(pipe, process):
                return process
    except BaseException:  # Ctrl-C, too
        _kill(process)
        raise
    _kill(process)
    raise _why_not(log)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End all of its session: a failing `unshare` leaves the helper that writes its id maps."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _is_ready(pipe: io.FileIO, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the first process says that it is ready; False if it ended or says nothing for long."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if select.select([pipe], [], [], 0.02)[0]:
            return pipe.read(5) == b"ready"
        if process.poll() is not None:
            return False
    return False


def _why_not(log: Path) -> LabError:
    from .doctor import explain_namespaces, require_program

    said = log.read_text(errors="replace").strip()[-2000:]
    if "Traceback" not in said:
        return explain_namespaces(said)
    require_program("ip")
    return DaemonFailed(
        f"the lab's first process failed: {said.splitlines()[-1]}", hint="`labkit doctor` checks what it needs"
    )


def end(name: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Ask the lab to end and wait until all of it is gone, its files too."""
    ending = _supervisors(name)
    # While the lab has its files, with which a lost connection is made again.
    _remotes.wait(_remotes.leave(folder(name)))
    with contextlib.suppress(LabError), channel(name) as connection:
        ending += _with_parent(connection.peer_pid())
        connection.request("close")
    clear(name)
    for descriptor in ending:
        select.select([descriptor], [], [], 10)
        os.close(descriptor)
    if process:
        process.wait(timeout=10)


def _supervisors(name: str) -> list[int]:
    """Descriptors that tell when what keeps ways out of a lab open, outside of it, has ended; see networks._pasta."""
    found = []
    for path in sockets(name).glob("*/uplink"):
        with contextlib.suppress(LabError, OSError), Channel(path, "the way out") as way:
            found.append(os.pidfd_open(way.peer_pid()))
    return found


def _with_parent(pid: int) -> list[int]:
    """Descriptors that tell when a lab's first process, and the `unshare` that waits for it, have ended."""
    found = []
    with contextlib.suppress(OSError):
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(os.pidfd_open(pid))
        if Path(f"/proc/{parent}/comm").read_text() == "unshare\n":  # or it was killed, and another adopted its child
            found.append(os.pidfd_open(parent))
    return found


def clear(name: str) -> int:
    """Remove the files and cgroups that an ended lab left; returns the number of files.

    Raises
    ------
    Busy
        If the lab still lives after 10 s.
    """
    state = folder(name)
    _thaw(name)
    _wait_until_dead(state / "alive", name)
    # Before the files, by which `names` knows that there is something to clear.
    _cgroups.remove(key(name), lambda: is_alive(name))
    left = [path for path in (sockets(name), state) if path.exists()]
    ended = [*state.parent.glob(".ended-*"), *_paths.runtime_home().glob(".ended-*")]
    count = sum(len(files) for path in [*left, *ended] for _, _, files in os.walk(path))
    for path in left:
        remove_tree(path)
    for path in ended:
        with contextlib.suppress(LabError):  # another lab may just be removing it
            remove_tree(path)
    return count


def _thaw(name: str) -> None:
    """Let go on what is frozen in a lab whose first process was killed: frozen, it cannot end."""
    for path in _cgroups.find(key(name)):
        for group, _, files in os.walk(path):  # it passes over groups that end meanwhile
            if "freezer.state" in files:
                with contextlib.suppress(OSError):  # it may be ending by itself
                    Path(group, "freezer.state").write_text("THAWED")


def _wait_until_dead(alive: Path, name: str) -> None:
    deadline = time.monotonic() + 10
    try:
        descriptor = os.open(alive, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if time.monotonic() > deadline:
                raise Busy(f"lab {name} does not end", hint="try `labkit down` again, or see its lab.log")
            time.sleep(0.005)
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a folder, also what daemons in a user namespace made under subordinate ids."""
    shutil.rmtree(path, ignore_errors=True)
    if path.exists() and os.geteuid() != 0:
        subprocess.run(["unshare", *_AS_USER, "rm", "-rf", "--", str(path)], check=False, capture_output=True)
    if path.exists():
        raise LabError(f"{path} cannot be removed", hint=f"remove it yourself: sudo rm -rf '{path}'")
