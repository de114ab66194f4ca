"""The first process of a lab and of each of its namespace hosts.

It runs as process 1 of a PID namespace and is run as a file (``python -I -S _init.py``), so it
uses the standard library only and starts in milliseconds. It reaps what dies, starts commands and
daemons on request, makes hosts, undoes what a dead client left half-made, and ends the lab when
its lease is over. When it ends, in whatever way, the kernel ends everything in its namespaces.

Requests are JSON messages on a ``SOCK_SEQPACKET`` Unix socket, one answer each::

    spawn   argv, env, cwd + three file descriptors   answers {pid}, later {exit, cpu_s}; killed on hang-up
    daemon  name, argv, log                           starts it unless it runs; answers {pid}
    daemons                                           {name: {pid, exit}}
    begin   folder, undo (list of argv) / commit      makes folder, with the host's name in its file
                                                      `host`; undo runs at a hang-up before commit
    host    name, index / drop name                   (lab only) makes or ends a host
    info, touch, lease seconds, tether, close         (lab only)
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_NOSUID_NODEV, MS_NOEXEC = 0x1000, 0x4000, 2 | 4, 8
MESSAGE_BYTES = 1 << 17
BACKBONE = "198.18.0"
_LOOK_S = 0.05
# Named as systemd's: LXC takes it off the path of process 1 to find where it may make cgroups.
LEAF = "init.scope"
DAEMON_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """See unshare(2)."""
    _checked(libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """See mount(2)."""
    words = [word.encode() or None for word in (source, target, kind)]
    result = libc.mount(words[0], words[1], words[2], flags, data.encode() or None)
    _checked(result, f"mount {kind or 'bind'} on {target}")


def _ip(*commands: str) -> None:
    """Run several `ip` commands in one process."""
    subprocess.run(
        ["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True,
        stdout=subprocess.DEVNULL, env={"PATH": DAEMON_PATH},
    )  # fmt: skip


# ── The mounts of a host ──────────────────────────────────────────────────────────────────────

_LAYERS = Path("/run/layers")


def _layer(folder: Path, files: dict[str, str]) -> None:
    """Lay a writable layer over `folder`, in which are copies of `files` (`{name: source}`)."""
    upper, work = (_LAYERS / folder.relative_to("/") / part for part in (".upper", ".work"))
    upper.mkdir(parents=True)
    work.mkdir()
    for name, source in files.items():
        shutil.copyfile(source, upper / name)
    mount("overlay", str(folder), "overlay", data=f"lowerdir={folder},upperdir={upper},workdir={work}")


def _provide(folder: Path) -> None:
    """Make `folder` exist, in a layer over its nearest parent that does."""
    if folder.is_dir():
        return
    parent = next(path for path in folder.parents if path.is_dir())
    if not any((_LAYERS / path.relative_to("/") / ".upper").is_dir() for path in [parent, *parent.parents]):
        _layer(parent, {})
    folder.mkdir(parents=True)


def _mount_run(keep: list[str]) -> None:
    """Give the host a /run of its own in which the lab's own folders stay reachable."""
    inside = sorted(path for path in map(os.path.realpath, keep) if path.startswith("/run/"))
    kept: list[tuple[str, int]] = []
    for path in inside:
        if not kept or not f"{path}/".startswith(f"{kept[-1][0]}/"):  # or it comes with the folder it is in
            kept.append((path, os.open(path, os.O_PATH)))
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID_NODEV, "mode=755")
    for folder in ("lock", "libvirt"):
        os.makedirs(f"/run/{folder}")
    for path, descriptor in kept:
        os.makedirs(path)
        mount(f"/proc/self/fd/{descriptor}", path, flags=MS_BIND | MS_REC)
        os.close(descriptor)


def _cgroup_mounts() -> list[tuple[str, str]]:
    """The v1 hierarchies mounted here, as (controllers, mount point)."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, options = line.split()[:4]
        if kind == "cgroup":
            known = [
                word for word in options.split(",") if word not in ("rw", "ro", "relatime", "nosuid", "nodev", "noexec")
            ]
            found.append((",".join(known), point))
    return found


def _mount_sys(cgroups: bool, group: str) -> None:
    """Show the host's own network in /sys and, where it has them, its own cgroups."""
    hierarchies = _cgroup_mounts()
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    mount("sysfs", "/sys", "sysfs", MS_NOSUID_NODEV | MS_NOEXEC)
    if unified:
        with contextlib.nullcontext() if group else contextlib.suppress(OSError):  # a sight, without cgroups of its own
            mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID_NODEV | MS_NOEXEC)
        if group:
            _settle(Path("/sys/fs/cgroup"))
    elif cgroups:
        mount("tmpfs", "/sys/fs/cgroup", "tmpfs", MS_NOSUID_NODEV | MS_NOEXEC, "mode=755")
        for controllers, point in hierarchies:
            os.makedirs(point, exist_ok=True)
            mount("cgroup", point, "cgroup", MS_NOSUID_NODEV | MS_NOEXEC, controllers)


def _enter_host(host: dict[str, Any]) -> None:
    """Turn this process, process 1 of a new PID namespace, into the host `host`."""
    if host["group"]:  # which the new namespace takes for the top of all cgroups
        os.mkdir(host["group"])
        Path(host["group"], "cgroup.procs").write_text("0")
    unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP)
    socket.sethostname(host["name"])
    mount("proc", "/proc", "proc", MS_NOSUID_NODEV | MS_NOEXEC)
    _mount_run([host["run_dir"], host["state_dir"], host["lab_dir"], *host["keep"]])
    _mount_sys(host["cgroups"], host["group"])
    # Not mounted over the system's: such a mount is gone when somebody replaces the file below it.
    files = {Path(inside).name: outside for inside, outside in host["files"].items()}
    _layer(Path("/etc"), {**files, "hosts": host["hosts_file"]})
    mount(host["hosts_file"], "/etc/hosts", flags=MS_BIND)  # it changes when hosts come and go
    for inside, outside in host["folders"].items():
        os.makedirs(outside, exist_ok=True)
        _provide(Path(inside))
        mount(outside, inside, flags=MS_BIND)
    _ip("link set lo up")


# ── cgroups of the lab; see _cgroups.py ───────────────────────────────────────────────────────


def _settle(group: Path) -> None:
    """Go into a leaf of a version 2 cgroup, so that it can have controllers for cgroups beside the leaf."""
    (group / LEAF).mkdir()
    (group / LEAF / "cgroup.procs").write_text("0")
    for controller in (group / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):  # one that cannot be had is no reason to go without the others
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _enter_cgroup(name: str) -> list[Path]:
    """Put this process into a cgroup of its own in each v1 hierarchy; returns what was made."""
    made = []
    for controllers, point in _cgroup_mounts():
        folder = Path(point + _own_cgroup(controllers)) / f"labkit-{name}"
        folder.mkdir(exist_ok=True)
        if controllers == "cpuset":
            for knob in ("cpuset.cpus", "cpuset.mems"):
                (folder / knob).write_text((folder.parent / knob).read_text())
            (folder / "cgroup.clone_children").write_text("1")
        (folder / "cgroup.procs").write_text(str(os.getpid()))
        made.append(folder)
    return made


def _own_cgroup(controllers: str) -> str:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if names and set(names.split(",")) <= set(controllers.split(",")):
            return "" if path == "/" else path
    return ""


def _remove_cgroups(folders: list[Path]) -> None:
    """Leave the lab's cgroups and remove them, those of its hosts and machines first."""
    for folder in folders:
        for refuge in (folder.parent / "labkit.others", folder.parent):
            with contextlib.suppress(OSError):
                (refuge / "cgroup.procs").write_text(str(os.getpid()))
                break
        _remove_cgroup(folder)


def _remove_cgroup(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def _thaw(folders: list[Path], *, dying_only: bool) -> None:
    """Let go on what is frozen below `folders`: on cgroup v1 it cannot even be killed."""
    for folder in folders:
        for path, _, files in os.walk(folder):
            if "freezer.state" in files:
                with contextlib.suppress(OSError):  # it may go in between
                    state = Path(path, "freezer.state")
                    if state.read_text() != "THAWED\n" and (not dying_only or _is_dying(Path(path))):
                        state.write_text("THAWED")


def _is_dying(cgroup: Path) -> bool:
    """Whether a process of a cgroup has a SIGKILL that it does not get to."""
    for pid in (cgroup / "cgroup.procs").read_text().split():
        status = Path("/proc", pid, "status").read_text()
        pending = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd:", "ShdPnd:"))]
        if any(mask >> (signal.SIGKILL - 1) & 1 for mask in pending):
            return True
    return False


# ── The server ────────────────────────────────────────────────────────────────────────────────


class Refused(Exception):
    """A request that cannot be met; the text goes to the client."""


class Connection:
    """One client, what it has running here and what is to be undone if it goes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.children: set[int] = set()
        self.undo: list[list[str]] = []
        self.tether = False

    def send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # it hung up: noticed when its socket is read
            self.sock.send(json.dumps(message).encode())


class Server:
    """Process 1: the loop over clients, children and the clock."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.selector = selectors.DefaultSelector()
        self.children: dict[int, Connection | str] = {}
        self.daemons: dict[str, dict[str, Any]] = {}
        self.ending = ""
        self.owner = os.geteuid()  # 0 in a lab's namespaces, which is the user who owns the lab
        self._listen()
        self._catch_signals()

    def _listen(self) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        before = os.umask(0o177)
        self.listener.bind(self.path)
        os.umask(before)
        self.listener.listen(64)
        self.selector.register(self.listener, selectors.EVENT_READ)

    def _catch_signals(self) -> None:
        self.wakeup, wake = socket.socketpair()
        wake.setblocking(False)
        self.wakeup.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._wake = wake
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "ending", "SIGTERM"))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.selector.register(self.wakeup, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer until the end is asked for."""
        while not self.ending:
            for key, events in self.selector.select(self.patience()):
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj is self.wakeup:
                    self.wakeup.recv(4096)
                elif isinstance(key.data, str):
                    self.ends(key.data, key.fd)
                elif callable(key.data):
                    key.data(events)
                else:
                    self._read(key.data)
            self._reap()
            self.look_after()

    def look_after(self) -> None:
        """Do what is due, with a request or without."""

    def ends(self, name: str, descriptor: int) -> None:
        """What is called `name` has let go of the other end of a pipe."""

    def patience(self) -> float | None:
        """Seconds until something is to be looked at without being asked."""
        return None

    def _accept(self) -> None:
        try:
            sock, _ = self.listener.accept()
        except OSError:  # it hung up already, or there are too many
            return
        _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != self.owner:
            sock.close()
            return
        self.selector.register(sock, selectors.EVENT_READ, Connection(sock))

    def _read(self, client: Connection) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(client.sock, MESSAGE_BYTES, 3)
        except OSError:
            data, fds = b"", []
        if not data:
            self._hang_up(client)
            return
        try:
            request = json.loads(data)
            answer = getattr(self, f"do_{request.pop('op')}")(client, fds, **request)
        except (Refused, OSError, subprocess.SubprocessError) as error:
            answer = {"error": str(error), "kind": type(error).__name__}
        except Exception as error:  # whatever a client sends, the others go on
            answer = {"error": f"not understood: {error!r}", "kind": "Refused"}
        finally:
            for descriptor in fds:
                os.close(descriptor)
        if answer is not None:  # else it comes later
            client.send(answer)

    def _hang_up(self, client: Connection) -> None:
        self.selector.unregister(client.sock)
        client.sock.close()
        for pid in client.children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        if client.undo:
            self._undo(client.undo)
        if client.tether:
            self.ending = "its owner is gone"

    def _undo(self, steps: list[list[str]]) -> None:
        """Take back, in the background and in order, what a client left half-made."""
        if (pid := os.fork()) == 0:
            try:
                self._become_child()
                for argv in steps:
                    with contextlib.suppress(OSError):
                        subprocess.run(argv, env={"PATH": DAEMON_PATH}, check=False)
            finally:
                os._exit(0)
        self.children[pid] = "undo"

    def _reap(self) -> None:
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.gone(pid, os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime)

    def gone(self, pid: int, code: int, cpu_s: float) -> None:
        """Child `pid` has ended with `code`, having used `cpu_s` seconds of processors."""
        owner = self.children.pop(pid, None)
        if isinstance(owner, Connection):
            owner.children.discard(pid)
            owner.send({"exit": code, "cpu_s": cpu_s})
        elif owner in self.daemons and self.daemons[owner]["pid"] == pid:
            self.daemons[owner]["exit"] = code

    def _become_child(self) -> None:
        """In a fork: drop what belongs to the server."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)

    def _start(self, argv: list[str], fds: list[int], env: dict[str, str], cwd: str) -> int:
        """Start `argv` in a session of its own with `fds` as its standard streams."""
        words = {"PATH": DAEMON_PATH, "HOME": "/root", "LANG": "C.UTF-8", **env}
        if cwd == os.getcwd() and (path := shutil.which(argv[0], path=words["PATH"])):
            # A third of the time of a fork, which copies what this process has mapped.
            return self._spawn(path, argv, fds, words)
        told, tell = os.pipe2(os.O_CLOEXEC)
        if (pid := os.fork()) == 0:
            try:
                self._become_child()
                os.setsid()
                for number, descriptor in enumerate(fds):
                    os.dup2(descriptor, number)
                os.chdir(cwd)
                os.execvpe(argv[0], argv, words)
            except BaseException as error:
                os.write(tell, f"{' '.join(map(str, argv[:1]))}: {getattr(error, 'strerror', None) or error}".encode())
            finally:  # whatever happens, no second server is left
                os._exit(127)
        os.close(tell)
        with open(told, "rb") as pipe:
            if failure := pipe.read():
                raise Refused(failure.decode())
        return pid

    @staticmethod
    def _spawn(path: str, argv: list[str], fds: list[int], words: dict[str, str]) -> int:
        actions = [(os.POSIX_SPAWN_DUP2, descriptor, number) for number, descriptor in enumerate(fds)]
        try:
            return os.posix_spawn(
                path, argv, words, file_actions=actions, setsid=True,
                setsigdef=[signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE],
            )  # fmt: skip
        except OSError as error:
            raise Refused(f"{argv[0]}: {error.strerror}") from error

    # Requests

    def do_spawn(
        self, client: Connection, fds: list[int], argv: list[str],
        env: dict[str, str] | None = None, cwd: str = "/",
    ) -> dict[str, Any]:  # fmt: skip
        pid = self._start(argv, fds, env or {}, cwd)
        self.children[pid] = client
        client.children.add(pid)
        return {"pid": pid}

    def do_daemon(
        self, client: Connection, fds: list[int], name: str, argv: list[str], log: str,
        env: dict[str, str] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        known = self.daemons.get(name)
        if known and known["exit"] is None:
            return {"pid": known["pid"], "started": False}
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        try:
            pid = self._start(argv, [null, out, out], env or {}, "/")
        finally:
            os.close(out)
            os.close(null)
        self.children[pid] = name
        self.daemons[name] = {"pid": pid, "exit": None}
        return {"pid": pid, "started": True}

    def do_daemons(self, client: Connection, fds: list[int]) -> dict[str, Any]:
        return {"daemons": self.daemons}

    def do_begin(self, client: Connection, fds: list[int], undo: list[list[str]], folder: str) -> dict[str, Any]:
        # One step for the client: either the folder is its own and will be undone, or neither.
        os.mkdir(folder, 0o700)
        try:
            Path(folder, "host").write_text(socket.gethostname())
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        client.undo = undo
        return {}

    def do_commit(self, client: Connection, fds: list[int]) -> dict[str, Any]:
        client.undo = []
        return {}


class LabServer(Server):
    """Process 1 of a lab: hosts and the lease besides."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.hosts: dict[str, dict[str, Any]] = {}
        self.dying: set[str] = set()  # their first process has ended, what is frozen in them has not
        self.lease_s = float(config["lease_s"])
        self.touched = time.monotonic()
        self.cgroups = [Path(config["group"])] if config["group"] else []
        if config["group"]:
            _settle(self.cgroups[0])
        elif config["cgroups"]:
            self.cgroups = _enter_cgroup(config["name"])
        mount("proc", "/proc", "proc", MS_NOSUID_NODEV | MS_NOEXEC)
        _ip(
            "link set lo up",
            "link add backbone type bridge forward_delay 0",
            f"addr add {BACKBONE}.254/24 dev backbone",
            "link set backbone mtu 9000 up",
        )
        Path(config["hosts_file"]).write_text("127.0.0.1 localhost\n")
        super().__init__(config["socket"])

    def patience(self) -> float | None:
        left = self.touched + self.lease_s - time.monotonic()
        if left <= 0:
            self.ending = "its lease is over"
        return max(min(left, _LOOK_S) if self.dying else left, 0.0)

    def ends(self, name: str, descriptor: int) -> None:
        self.selector.unregister(descriptor)
        os.close(descriptor)
        if self.cgroups and name in self.hosts:
            self.dying.add(name)

    def look_after(self) -> None:
        if self.dying:
            _thaw(self.cgroups, dying_only=True)
            self.dying = {name for name in self.dying if name in self.hosts and self.hosts[name]["exit"] is None}

    def do_info(self, client: Connection, fds: list[int]) -> dict[str, Any]:
        left = self.touched + self.lease_s - time.monotonic()
        return {
            "hosts": self.hosts, "lease_left_s": left, "lease_s": self.lease_s, "cgroups": bool(self.cgroups),
        }  # fmt: skip

    def do_touch(self, client: Connection, fds: list[int]) -> dict[str, Any]:
        self.touched = time.monotonic()
        return {}

    def do_lease(self, client: Connection, fds: list[int], seconds: float) -> dict[str, Any]:
        self.lease_s, self.touched = float(seconds), time.monotonic()
        return {}

    def do_tether(self, client: Connection, fds: list[int]) -> dict[str, Any]:
        client.tether = True
        return {}

    def do_close(self, client: Connection, fds: list[int]) -> dict[str, Any]:
        self.ending = "asked"
        return {}

    def do_drop(self, client: Connection, fds: list[int], name: str) -> dict[str, Any]:
        host = self.hosts.pop(name, None)
        if host is None:
            raise Refused(f"no host {name}")
        with contextlib.suppress(ProcessLookupError):
            os.kill(host["pid"], signal.SIGKILL)
        self._write_names()
        return {}

    def do_host(
        self, client: Connection, fds: list[int], name: str, run_dir: str, state_dir: str,
        folders: dict[str, str], files: dict[str, str], keep: list[str],
    ) -> dict[str, Any]:  # fmt: skip
        if name in self.hosts and self.hosts[name]["exit"] is None:
            return {"started": False, **self.hosts[name]}
        host = {
            "name": name, "index": self._index(name), "run_dir": run_dir, "state_dir": state_dir,
            "folders": folders, "files": files, "keep": keep, "cgroups": bool(self.cgroups), "group": self._group(name),
            "lab_dir": self.config["state_dir"], "hosts_file": self.config["hosts_file"],
        }  # fmt: skip
        if host["group"]:
            _remove_cgroup(Path(host["group"]))  # of one that did not come to be
        pid = self._fork_host(host, run_dir)
        self.hosts[name] = {
            "pid": pid, "index": host["index"], "address": f"{BACKBONE}.{host['index']}", "exit": None,
        }  # fmt: skip
        self.children[pid] = f"host {name}"
        self._write_names()
        return {"started": True, **self.hosts[name]}

    def _group(self, name: str) -> str:
        """The version 2 cgroup of a host, or ""."""
        return os.path.join(self.config["group"], name) if self.config["group"] else ""

    def _index(self, name: str) -> int:
        """The number of a host's link and address: a host made again keeps what others know of it."""
        if name in self.hosts:
            index: int = self.hosts[name]["index"]
            # The kernel takes its time to remove the link of a host that ended.
            subprocess.run(
                ["ip", "link", "del", f"h{index}"], check=False, stderr=subprocess.DEVNULL, env={"PATH": DAEMON_PATH}
            )
            return index
        taken = {host["index"] for host in self.hosts.values()}
        return next(number for number in range(1, 254) if number not in taken)

    def _write_names(self) -> None:
        """Tell all hosts each other's names (one file, mounted as /etc/hosts in each)."""
        lines = [f"{host['address']} {name}\n" for name, host in self.hosts.items()]
        Path(self.config["hosts_file"]).write_text("127.0.0.1 localhost\n" + "".join(lines))

    def _fork_host(self, host: dict[str, Any], run_dir: str) -> int:
        """Fork process 1 of a host and plug it into the backbone; returns when it answers."""
        ours = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        told, tell = os.pipe2(os.O_CLOEXEC)
        wait, go = os.pipe2(os.O_CLOEXEC)
        ended, lives = os.pipe2(os.O_CLOEXEC)
        unshare(CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            os.close(go)
            os.close(told)
            self._run_host(host, tell, wait, lives)
        os.close(lives)
        self.selector.register(ended, selectors.EVENT_READ, str(host["name"]))
        _checked(libc.setns(ours, CLONE_NEWPID), "setns")
        for descriptor in (ours, tell, wait):
            os.close(descriptor)
        with open(told, "rb", buffering=0) as pipe, open(go, "wb", buffering=0) as starter:
            try:
                self._expect(pipe, b"mounted")
                link, address = f"h{host['index']}", f"{BACKBONE}.{host['index']}"
                # A host made again has the MAC that its neighbours remember.
                mac = f"02:00:00:00:00:{host['index']:02x}"
                _ip(f"link add {link} mtu 9000 type veth peer name eth0 address {mac} mtu 9000 netns {pid}",
                    f"link set {link} master backbone up")  # fmt: skip
                starter.write(f"{address}\n".encode())
                self._expect(pipe, b"ready")
            except BaseException:
                os.kill(pid, signal.SIGKILL)
                raise
        return pid

    @staticmethod
    def _expect(pipe: Any, word: bytes) -> None:
        said = pipe.read(4096)
        if said != word:
            raise Refused(f"the host did not start: {said.decode() or 'it ended'}")

    def _run_host(self, host: dict[str, Any], tell: int, wait: int, lives: int) -> None:
        """In the fork: become the host and serve it until it ends. Never returns."""
        try:
            self._become_child()
            self.selector.close()
            for client in [self.listener, self.wakeup, self._wake]:
                client.close()
            keep = {tell, wait, lives, 0, 1, 2}
            for name in os.listdir("/proc/self/fd"):
                if int(name) not in keep:
                    with contextlib.suppress(OSError):
                        os.close(int(name))
            _enter_host(host)
            os.write(tell, b"mounted")
            address = os.read(wait, 64).decode().strip()
            _ip(f"addr add {address}/24 dev eth0", "link set eth0 up")
            server = Server(os.path.join(host["run_dir"], "ctl"))
            os.write(tell, b"ready")
            os.close(tell)
            server.serve()
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.write(tell, f"{type(error).__name__}: {error}".encode())
            os._exit(1)
        os._exit(0)

    def gone(self, pid: int, code: int, cpu_s: float) -> None:
        owner = self.children.get(pid)
        if isinstance(owner, str) and owner.startswith("host ") and self.config["group"]:
            _remove_cgroup(Path(self._group(owner.removeprefix("host "))))
        for host in self.hosts.values():
            if host["pid"] == pid:
                host["exit"] = code
        super().gone(pid, code, cpu_s)

    def end(self) -> None:
        """End the hosts, then remove every file of the lab."""
        for host in self.hosts.values():
            if host["exit"] is None:
                os.kill(host["pid"], signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.kill(-1, signal.SIGKILL)
        _thaw(self.cgroups, dying_only=False)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()
        _remove_cgroups(self.cgroups)  # before the files, by which others know that there is something to clear
        for folder in (self.config["run_dir"], self.config["state_dir"]):
            # Renamed first: a new lab of this name may be made while the rest is removed.
            ended = os.path.join(os.path.dirname(folder), f".ended-{time.time_ns()}")
            with contextlib.suppress(OSError):
                os.rename(folder, ended)
            shutil.rmtree(ended, ignore_errors=True)


def main() -> None:
    """Be the first process of the lab described by the JSON in argv[1]; argv[2] is a pipe."""
    os.umask(0o022)  # daemons drop their rights and must still read what belongs to the host
    config, ready = json.loads(sys.argv[1]), int(sys.argv[2])
    alive = os.open(config["alive"], os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(alive, fcntl.LOCK_EX)  # held while the lab lives, so that no one sweeps it
    server = LabServer(config)
    os.write(ready, b"ready")
    os.close(ready)
    try:
        server.serve()
    finally:
        print(f"lab {config['name']} ends: {server.ending or 'an error'}", file=sys.stderr, flush=True)
        server.end()


if __name__ == "__main__":
    main()
