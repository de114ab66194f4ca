"""Keeps `pasta` running for one host as long as that host lives, and not a moment longer.

It is run as a file (``python -I -S _pasta.py JSON``) by the client that opens a way out, outside of
the lab's namespaces, for what leads out needs the machine's own network. The process that was
started answers on its standard output, ``{"up": true}`` or ``{"error": …}``, and ends; what it
leaves behind is a supervisor in a session of its own, which no client and no terminal takes along.

The supervisor holds a connection to the host's first process and hangs on it: when that process
ends, in whatever way, so does pasta; when the supervisor itself is killed, the kernel kills pasta.
It listens on a Unix socket: that it answers there, with the options of pasta, says that the way is
open, that it hangs up says that it no longer is, and ``end`` asks it to close it.

The JSON has ``ctl`` (the control socket of the host's first process), ``socket`` and ``lock`` (what
it makes), ``log``, ``name`` (what pasta is called among processes), ``program``, ``options``,
``deadline_s`` and ``joins`` (whether the host is in a user namespace of its own).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any, NoReturn

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
END, GREETING_BYTES = b"end", 1 << 16
_NOISE = "Failed to send"  # to the system log, of which there may be none
_LAST_LINES = 8

libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """The way could not be opened; the text goes to the client."""


def main() -> None:
    """Start the supervisor and tell what became of it."""
    config = json.loads(sys.argv[1])
    told, tell = os.pipe()
    if os.fork() == 0:
        os.close(told)
        _be_supervisor(config, tell)
    os.close(tell)
    with open(told, "rb") as pipe:
        answer = pipe.read() or b'{"error": "its supervisor was killed"}'
    sys.stdout.buffer.write(answer)


def _be_supervisor(config: dict[str, Any], tell: int) -> NoReturn:
    """In the fork: open the way, tell so, and keep it until the host ends."""
    os.setsid()
    os.chdir("/")
    log = os.open(config["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    null = os.open("/dev/null", os.O_RDWR)
    for stream, source in ((0, null), (1, null), (2, log)):
        os.dup2(source, stream)
    answer: dict[str, Any] = {"up": True}
    way = None
    try:
        if _is_ours(config):
            way = Way(config)
    except (Failed, OSError) as error:
        _note(f"ends: {error}")
        answer = {"error": str(error)}
    try:
        os.write(tell, json.dumps(answer).encode())
        os.close(tell)
        if way:
            way.keep()
    except OSError as error:  # also: whoever asked for the way is gone, and does not know that it has one
        _note(f"ends: {error}")
    finally:
        if way:
            way.close()
        os._exit(0)


def _note(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def _is_ours(config: dict[str, Any]) -> bool:
    """Wait until no other supervisor is at it; False if one has the way open already."""
    lock = os.open(config["lock"], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + config["deadline_s"]
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True  # held as long as this process lives
        if answers(config["socket"]):
            return False
        if time.monotonic() > deadline:
            raise Failed("another supervisor neither opens the way nor ends")
        time.sleep(0.02)


def answers(path: str) -> bool:
    """Whether a supervisor answers on its socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe, contextlib.suppress(OSError):
        probe.connect(path)
        return True
    return False


class Way:
    """A way out that is open: pasta, the connection that it hangs on, and the socket that tells of it."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.pasta = 0
        self.clients: list[socket.socket] = []
        self.said: list[str] = []
        self.lines: list[int] = []  # what pasta writes its words to; empty once it has closed it
        self.host = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            self.host.connect(config["ctl"])
            self._start()
            self.listener = self._listen()
        except BaseException:
            self.close()
            raise

    def _namespaces(self) -> tuple[int, int | None]:
        """The host's network namespace and, if it has one of its own, its user namespace."""
        pid = struct.unpack("3i", self.host.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        net = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        user = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC) if self.config["joins"] else None
        if select.select([self.host], [], [], 0)[0]:  # it hung up: the number may be another process's by now
            raise Failed("the host has ended")
        return net, user

    def _start(self) -> None:
        net, user = self._namespaces()
        pids, pid = os.pipe2(os.O_CLOEXEC)
        lines, line = os.pipe2(os.O_CLOEXEC)
        supervisor = os.getpid()
        self.pasta = os.fork()
        if self.pasta == 0:
            self._become_pasta(supervisor, net, user, pid, line)
        for descriptor in (net, pid, line, *([] if user is None else [user])):
            os.close(descriptor)
        self.ended, self.lines = os.pidfd_open(self.pasta), [lines]
        os.set_blocking(lines, False)
        deadline = time.monotonic() + self.config["deadline_s"]
        while pids not in select.select([pids, *self.lines], [], [], 0.1)[0]:
            self._hear()
            if time.monotonic() > deadline:
                raise Failed(f"pasta was not ready within {self.config['deadline_s']:g} s: {self._last_words()}")
        if not os.read(pids, 64):  # it writes its number once it is ready
            os.waitid(os.P_PIDFD, self.ended, os.WEXITED | os.WNOWAIT)
            raise Failed(f"pasta ended with {self._exit_code()}: {self._last_words()}")
        os.close(pids)
        _note(f"pasta has opened the way out, process {self.pasta}")

    def _become_pasta(self, supervisor: int, net: int, user: int | None, pid: int, line: int) -> NoReturn:
        """In the fork. Only its standard streams stay open in every version of pasta, so it finds all there."""
        try:
            if user is not None and libc.setns(user, CLONE_NEWUSER) != 0:
                raise OSError(ctypes.get_errno(), "the host's user namespace cannot be entered")
            for number, descriptor in enumerate((net, pid, line)):
                os.dup2(descriptor, number)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, which an older pasta takes for an error
            # After the change of namespace, which would clear it.
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != supervisor:
                os._exit(1)
            streams = ["--netns", "/proc/self/fd/0", "--pid", "/proc/self/fd/1"]
            # Named after the lab's folder, so that everybody sees whose it is.
            os.execv(self.config["program"], [self.config["name"], *streams, *self.config["options"]])
        except OSError as error:
            os.write(line, f"{error}\n".encode())
        finally:
            os._exit(127)

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.config["socket"])
        os.umask(0o177)
        listener.bind(self.config["socket"])
        listener.listen(16)
        return listener

    def keep(self) -> None:
        """Return when the host or pasta has ended, or somebody asks for the end."""
        while True:
            sources: list[Any] = [self.host, self.ended, self.listener, *self.lines, *self.clients]
            ready = select.select(sources, [], [])[0]
            self._hear()
            if self.host in ready:
                _note("ends: so has the host")
                return
            if self.ended in ready:
                _note(f"ends: pasta has ended with {self._exit_code()}: {self._last_words()}")
                return
            if self.listener in ready:
                self._greet(self.listener.accept()[0])
            for client in [client for client in self.clients if client in ready]:
                if self._asks_for_end(client):
                    _note("ends: asked")
                    return

    def _greet(self, client: socket.socket) -> None:
        """Tell a client how the way was opened."""
        self.clients.append(client)
        with contextlib.suppress(OSError):  # it hung up: noticed when it is read
            client.send(json.dumps(self.config["options"]).encode())

    def _asks_for_end(self, client: socket.socket) -> bool:
        with contextlib.suppress(OSError):
            if asked := client.recv(64):
                return asked == END
        client.close()
        self.clients.remove(client)
        return False

    def _hear(self) -> None:
        """Note what pasta has said, if it has."""
        for descriptor in self.lines:
            with contextlib.suppress(BlockingIOError):
                said = os.read(descriptor, 1 << 16).decode(errors="replace").splitlines()
                self.lines = [descriptor] if said else []
                fresh = [line for line in said if line.strip() and not line.startswith(_NOISE)]
                self.said = [*self.said, *fresh][-_LAST_LINES:]
                for line in fresh:
                    _note(f"pasta: {line}")

    def _last_words(self) -> str:
        self._hear()
        return " / ".join(self.said) or "it said nothing"

    def _exit_code(self) -> str:
        status = os.waitid(os.P_PIDFD, self.ended, os.WEXITED | os.WNOWAIT)
        if status is None or status.si_code == os.CLD_EXITED:
            return f"exit code {status.si_status if status else '?'}"
        return f"signal {status.si_status}"

    def close(self) -> None:
        """End pasta, then let everybody see that the way is closed."""
        if self.pasta:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pasta, signal.SIGKILL)  # not reaped yet: its number still means itself
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pasta, 0)
            self.pasta = 0


if __name__ == "__main__":
    main()
