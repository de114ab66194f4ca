"""The supervisor of a host that is reached by ssh.

It is to its clients what process 1 of a namespace host is: the same socket, the same requests (see
`_init`). What is asked of it is done by `_far` on the server, over the one ssh connection that it
holds; ``spawn`` with the client's own descriptors, between which and the server it carries bytes. The
connection is a ControlMaster: ``ssh -S …/ssh server`` needs no login of its own.

When the connection breaks it is made again, by the next request. When the lab ends, so does the
supervisor, after it has removed from the server what the lab had made there and, where the note says so
(``after``, ``in_use``) and no other lab uses the server, has run a command. When it is killed, the
kernel ends ssh with it, and `_far` takes back what was half-made.

Requests besides those of `_init`::

    forward  path, remote                 a socket here that leads to one on the server
    ping                                  whether the server answers
    leave    give_up, gone                remove what there is on the server, unless it never came there or the
                                          server is no more; then end
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import shutil
import socket
import stat
import struct
import subprocess
import sys
import termios
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from ._init import Connection, Server
from ._link import Answer, Link, note
from ._wire import Inflow, Outflow

_SIZES_S = 0.3
_LEAVE_S = _AFTER_S = 60.0
_LOCK_S = 20.0
_NULL = os.makedev(1, 3)


class Terminal:
    """A terminal of a client's: its own line discipline is off, for the one on the server does the work."""

    def __init__(self, job: int, descriptor: int) -> None:
        self.job, self.descriptor = job, descriptor
        with contextlib.suppress(termios.error):
            mode = termios.tcgetattr(descriptor)
            mode[0], mode[1], mode[3] = 0, 0, 0
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            termios.tcsetattr(descriptor, termios.TCSANOW, mode)
        self.size = self.look()

    def look(self) -> list[int]:
        """Its rows and columns now."""
        try:
            return list(struct.unpack("HHHH", fcntl.ioctl(self.descriptor, termios.TIOCGWINSZ, bytes(8)))[:2])
        except OSError:
            return [24, 80]


class RemoteServer(Server):
    """The loop over clients, the connection and the clock."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.link = Link(self)
        self.numbers: dict[Connection, int] = {}
        self.folders: dict[Connection, str] = {}  # that are reserved and not yet whole
        self.jobs: dict[int, Connection] = {}
        self.terminals: dict[int, Terminal] = {}
        self.forwards: dict[str, str] = {}
        self.count = 0
        self.leaving_until = 0.0
        self.in_use = _use(config["in_use"]) if config.get("in_use") else -1
        super().__init__(config["socket"])
        self._take_back_half_made()
        self._watch_lab()

    def _take_back_half_made(self) -> None:
        """An earlier supervisor was killed with these reserved; the server has taken back its part."""
        reserved = Path(self.config["reserved"])
        reserved.mkdir(mode=0o700, exist_ok=True)
        for left in reserved.iterdir():
            shutil.rmtree(left.read_text(), ignore_errors=True)
            left.unlink()

    def _watch_lab(self) -> None:
        """Hang on the lab's first process: when it ends, in whatever way, it hangs up."""
        self.lab = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self.lab.connect(self.config["lab_socket"])  # or the lab has ended already, and so does this
        self.selector.register(self.lab, selectors.EVENT_READ, self._lab_ended)

    def _lab_ended(self, _: int) -> None:
        self.selector.unregister(self.lab)
        self.lab.close()
        self.leave("the lab has ended")

    def leave(self, why: str) -> None:
        """Remove from the server what there is of the host, then end; no longer than a minute."""
        if self.config["stays"]:  # the server ends with the lab, or is found again by another
            self.ending = why
        elif not self.leaving_until:
            self.leaving_until = time.monotonic() + _LEAVE_S
            self.link.try_again()
            self.link.ask("clear", lambda answer: setattr(self, "ending", why + _but(answer)))

    # The clock

    def patience(self) -> float:
        return _SIZES_S if self.terminals else 1.0

    def look_after(self) -> None:
        self.link.look_after()
        for terminal in self.terminals.values():
            if (size := terminal.look()) != terminal.size:
                terminal.size = size
                self.link.tell("size", job=terminal.job, rows=size[0], columns=size[1])
        if self.leaving_until and time.monotonic() > self.leaving_until:
            self.ending = "the server did not answer in time"

    def gone(self, pid: int, code: int, cpu_s: float) -> None:
        if pid == self.link.pid:
            self.link.ssh_ended(code)

    # Clients

    def _number(self, client: Connection) -> int:
        if client not in self.numbers:
            self.count += 1
            self.numbers[client] = self.count
        return self.numbers[client]

    def pass_on(self, client: Connection, op: str, **fields: Any) -> None:
        """Ask the server, and tell the client its answer."""
        self.link.ask(op, client.send, **fields)

    def _hang_up(self, client: Connection) -> None:
        super()._hang_up(client)
        number = self.numbers.pop(client, 0)
        for job in [job for job, owner in self.jobs.items() if owner is client]:
            self._forget(job)
            for stream in range(4 * job, 4 * job + 3):
                self.link.stop(stream)
        folder = self.folders.pop(client, "")
        if number and self.link.ready:
            self.link.ask("bye", lambda _: self._give_back(folder), client=number)
        else:
            self.link.forget(client)
            self._give_back(folder)

    def _give_back(self, folder: str) -> None:
        """What was reserved and not made whole is free again."""
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
            self._reservation(folder).unlink(missing_ok=True)

    def _reservation(self, folder: str) -> Path:
        return Path(self.config["reserved"], Path(folder).name)

    def _forget(self, job: int) -> None:
        self.jobs.pop(job, None)
        if terminal := self.terminals.pop(job, None):
            os.close(terminal.descriptor)

    # Requests

    def do_spawn(  # type: ignore[override]
        self, client: Connection, fds: list[int], argv: list[str],
        env: dict[str, str] | None = None, cwd: str = "/",
    ) -> None:  # fmt: skip
        self.count += 1
        job, kept = self.count, [os.dup(descriptor) for descriptor in fds]
        kinds = kinds_of(kept)
        terminal = Terminal(job, os.dup(kept[0])) if kinds[0] == "terminal" else None

        def answered(answer: Answer) -> None:
            if "error" not in answer and client in self.numbers:
                self.jobs[job] = client
                if terminal:
                    self.terminals[job] = terminal
                self._connect(job, kinds, kept)
            elif terminal:
                os.close(terminal.descriptor)
            for descriptor in kept:
                os.close(descriptor)
            client.send(answer)

        self.link.ask(
            "spawn", answered, client=self._number(client), job=job, argv=argv, env=env or {}, cwd=cwd, streams=kinds,
            size=terminal.size if terminal else [0, 0], whose=client,
        )  # fmt: skip

    def _connect(self, job: int, kinds: list[str], fds: list[int]) -> None:
        wire = self.link.wire
        if wire is None:
            return
        if kinds[0] == "terminal":
            Inflow(wire, 4 * job + 1, fds[0])
            Outflow(wire, 4 * job, fds[0])
            return
        for number, descriptor in enumerate(fds):
            if number and kinds[number] != "null":
                Inflow(wire, 4 * job + number, descriptor)
        if kinds[0] != "null":
            Outflow(wire, 4 * job, fds[0])

    def ended(self, job: int, how: Answer) -> None:
        client = self.jobs.get(job)
        self.link.stop(4 * job, sending=True)
        self._forget(job)
        if client:
            client.send(how)

    def lost(self, failure: Answer) -> None:
        for job in list(self.jobs):
            self.ended(job, failure)

    def do_daemon(  # type: ignore[override]
        self, client: Connection, fds: list[int], name: str, argv: list[str], log: str,
        env: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.pass_on(client, "daemon", name=name, argv=argv, log=log, env=env or {})

    def do_daemons(self, client: Connection, fds: list[int]) -> None:  # type: ignore[override]
        self.pass_on(client, "daemons")

    def do_begin(  # type: ignore[override]
        self, client: Connection, fds: list[int], undo: list[list[str]], folder: str
    ) -> None:
        """Reserve the name here, where all hosts of the lab see it, then make the folder on the server."""
        os.mkdir(folder, 0o700)
        self.folders[client] = folder  # given back when the client hangs up, whatever fails until then
        self._reservation(folder).write_text(folder)
        Path(folder, "host").write_text(self.config["name"])

        def answered(answer: Answer) -> None:
            if "error" in answer:
                self.folders.pop(client, None)
                self._give_back(folder)
            client.send(answer)

        self.link.ask("begin", answered, client=self._number(client), undo=undo, folder=folder, whose=client)

    def do_commit(self, client: Connection, fds: list[int]) -> None:  # type: ignore[override]
        def answered(answer: Answer) -> None:
            if "error" not in answer and (folder := self.folders.pop(client, "")):
                self._reservation(folder).unlink(missing_ok=True)
            client.send(answer)

        self.link.ask("commit", answered, client=self._number(client), whose=client)

    def do_ping(self, client: Connection, fds: list[int]) -> None:
        self.pass_on(client, "ping")

    def do_info(self, client: Connection, fds: list[int]) -> dict[str, Any]:
        return {"ssh": self.link.pid, "ready": self.link.ready, "server": self.link.hello, "failure": self.link.failure}

    def do_leave(
        self, client: Connection, fds: list[int], *, give_up: bool = False, gone: bool = False
    ) -> dict[str, Any]:
        if gone:
            self.ending = "the server is no more"
        elif give_up and not self.link.ready:
            self.ending = "it has not come to the server"
        else:
            self.leave("asked")
        return {}

    def do_forward(self, client: Connection, fds: list[int], path: str, remote: str) -> dict[str, Any]:
        known, self.forwards[path] = self.forwards.get(path), remote
        if known is None:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            before = os.umask(0o177)
            listener.bind(path)
            os.umask(before)
            listener.listen(64)
            self.selector.register(listener, selectors.EVENT_READ, lambda _: self._dial(listener, path))
        return {}

    def _dial(self, listener: socket.socket, path: str) -> None:
        with contextlib.suppress(OSError):
            sock, _ = listener.accept()
            sock.setblocking(False)
            self.count += 1
            job = self.count

            def answered(answer: Answer) -> None:
                if "error" not in answer and self.link.wire:
                    Inflow(self.link.wire, 4 * job + 1, sock.fileno())
                    Outflow(self.link.wire, 4 * job, sock.fileno())
                sock.close()

            self.link.ask("dial", answered, job=job, path=self.forwards[path])

    def end(self) -> None:
        """End ssh, and let everybody see that there is no supervisor any more."""
        self.link.close()
        for path in [self.path, *self.forwards]:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def afterwards(self) -> None:
        """Once what the lab had there is removed: do what is to be done when no lab uses the server any more."""
        if not self.leaving_until or self.in_use < 0:
            return
        with contextlib.suppress(BlockingIOError):  # another lab uses it
            fcntl.flock(self.in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            argv = self.config["after"]
            try:
                done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                      timeout=_AFTER_S, check=False)  # fmt: skip
                note(f"{' '.join(argv)}: {done.returncode} {done.stderr.strip()}")
            except (OSError, subprocess.TimeoutExpired) as error:
                note(f"{' '.join(argv)}: {error}")


def _use(path: str) -> int:
    """Hold the lock that each lab holds that uses the server."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def _but(answer: Answer) -> str:
    return f", but not all is removed: {answer['error']}" if "error" in answer else ""


def kinds_of(fds: list[int]) -> list[str]:
    """What a command's standard streams are to be on the server.

    ``terminal``: a terminal there; ``null``: /dev/null; ``file``: a file in memory, sent when the command has
    ended, so that nobody waits for what it leaves behind; ``pipe``: bytes as they come.
    """
    if len({os.fstat(descriptor).st_rdev for descriptor in fds}) == 1 and all(map(os.isatty, fds)):
        return ["terminal"] * 3
    return [_kind(number, descriptor) for number, descriptor in enumerate(fds)]


def _kind(number: int, descriptor: int) -> str:
    status = os.fstat(descriptor)
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL:
        return "null"
    if number == 0 and stat.S_ISREG(status.st_mode) and not status.st_size:
        return "null"
    if number and os.readlink(f"/proc/self/fd/{descriptor}").startswith("/memfd:"):
        return "file"
    return "pipe"


def _lock(path: str) -> bool:
    """Become the only supervisor of the host; False if there is another, and it answers."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_S
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True  # held as long as this process lives
        if _answers(f"{os.path.dirname(path)}/ctl") or time.monotonic() > deadline:
            return False
        time.sleep(0.02)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe, contextlib.suppress(OSError):
        probe.connect(path)
        return True
    return False


def _supervise(config: dict[str, Any], tell: int) -> NoReturn:
    """Be the supervisor until the lab ends; in a fork, unless it is a carrier's daemon."""
    if not config["daemon"]:
        os.setsid()
    os.chdir("/")
    log = os.open(config["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    null = os.open(os.devnull, os.O_RDWR)
    for stream, source in ((0, null), (1, null), (2, log)):
        os.dup2(source, stream)
    server, said = None, b"ready"
    try:
        if _lock(config["lock"]):
            server = RemoteServer(config)
    except BaseException as error:
        said = f"{type(error).__name__}: {error}".encode()
        note(said.decode())
    with contextlib.suppress(OSError):  # nobody may listen
        os.write(tell, said)
    os.close(tell)
    try:
        if server:
            server.serve()
            note(f"ends: {server.ending}")
    except BaseException:
        note(f"ends: {traceback.format_exc()}")
    finally:
        if server:
            server.end()
            server.afterwards()
        os._exit(0)


def main() -> None:
    """Start the supervisor that the JSON in argv[1] describes; return when it answers."""
    config = json.loads(sys.argv[1])
    told, tell = os.pipe()
    if config["daemon"] or os.fork() == 0:
        os.close(told)
        _supervise(config, tell)
    os.close(tell)
    with open(told, "rb") as pipe:
        answer = pipe.read() or b"it was killed"
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main()
