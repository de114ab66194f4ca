"""What runs on a server while a supervisor (see `_remote`) is connected to it.

Its text and those of `_far_host` and `_wire` come over ssh; it uses the standard library only, and of it what Python
3.8 has. It is to the supervisor what process 1 of a namespace host is to its clients. When the wire
is lost, it ends what runs for clients and undoes what they left half-made, then itself; daemons go on,
each with a process that waits for it and notes how it ended.

Requests are messages with a number `call`, answered by ``answer``::

    spawn   client, job, argv, env, cwd, streams     answers {pid}; later ``exit``; ends with its client
    size    job, rows, columns                        of its terminal
    dial    job, path                                 connects to a Unix socket: streams 4 * job and + 1
    daemon  name, argv, log, env / daemons            as in `_init`
    begin   client, folder, undo / commit             as in `_init`
    bye     client                                    it has hung up; answered once all is undone
    ping / clear                                      removes what this lab has made here
"""

from __future__ import annotations

import contextlib
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
import termios
import time
from typing import Any

from ._far_host import PATH, Refused, clear, exit_code, keep_daemon, read_daemon, remember_undo, settle, start
from ._wire import Inflow, Outflow, Wire

GREETING = b"\nlabkit is here\n"


class Client:
    """One client of the supervisor: what it has running here, what is to be undone if it goes."""

    def __init__(self) -> None:
        self.jobs: set[int] = set()
        self.undo: list[list[str]] = []
        self.folder = ""


class Job:
    """A command that runs, or has ended and is still being listened to."""

    def __init__(self, number: int, client: int, pid: int) -> None:
        self.number, self.client, self.pid = number, client, pid
        self.ended: dict[str, Any] | None = None
        self.flows: list[Outflow] = []
        self.files: dict[int, int] = {}  # streams that are sent once it has ended
        self.terminal = -1


class Far:
    """The loop over the wire, children and the clock."""

    def __init__(self, config: dict[str, Any], source: int, sink: int) -> None:
        self.config = config
        self.folder: str = config["folder"]
        self.clients: dict[int, Client] = {}
        self.jobs: dict[int, Job] = {}
        self.pids: dict[int, Job] = {}
        self.byes: dict[int, int] = {}  # processes that undo something: the call to answer then
        self.ending = False
        self.heard_at = time.monotonic()
        self.selector = selectors.DefaultSelector()
        self._catch_signals()
        self.wire = Wire(self.selector, source, sink, self.heard, self.lost)

    def _catch_signals(self) -> None:
        self._wakeup, wake = socket.socketpair()
        for end in (self._wakeup, wake):
            end.setblocking(False)
        self._wake = wake
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        # Functions, not SIG_IGN, which commands would inherit. It ends when the wire does.
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self.selector.register(self._wakeup, selectors.EVENT_READ, lambda _: self._wakeup.recv(4096))

    def serve(self) -> None:
        """Answer until the wire is lost or nothing was heard on it for long."""
        while not self.ending:
            for key, events in self.selector.select(self.config["silence_s"] / 4):
                key.data(events)
            self.reap()
            if time.monotonic() - self.heard_at > self.config["silence_s"]:
                break
        self.end()

    def heard(self, message: dict[str, Any]) -> None:
        """Answer a request."""
        self.heard_at = time.monotonic()
        call = message.pop("call", 0)
        try:
            answer = getattr(self, "do_" + message.pop("op"))(call=call, **message)
        except Exception as error:  # whatever is asked, the others go on
            known = isinstance(error, (Refused, OSError))
            words = str(error) if known else f"not understood: {error!r}"
            full = isinstance(error, OSError) and error.errno in (28, 122)
            answer = {"error": words, "kind": "NotEnoughDisk" if full else type(error).__name__ if known else "Refused"}
        if answer is not None and call:
            self.wire.tell("answer", call=call, answer=answer)

    def lost(self) -> None:
        """The supervisor, or the connection to it, has ended."""
        self.ending = True

    def end(self) -> None:
        """End what runs for clients, and take back what they left half-made."""
        self.wire.close()
        for number in self.clients:
            self._kill(number)
        for client in self.clients.values():
            _undo(client)

    # Commands

    def do_spawn(
        self, call: int, client: int, job: int, argv: list[str], env: dict[str, str], cwd: str, streams: list[str],
        size: list[int],
    ) -> None:  # fmt: skip
        owner = self.clients.setdefault(client, Client())
        ours, theirs = _streams(streams, size)
        try:
            pid = start(argv, theirs, env, cwd)
        except BaseException:
            for descriptor in ours.values():
                os.close(descriptor)
            raise
        finally:
            for descriptor in set(theirs):
                os.close(descriptor)
        made = Job(job, client, pid)
        self.jobs[job] = self.pids[pid] = made
        owner.jobs.add(job)
        # Before its output: the answer comes first.
        self.wire.tell("answer", call=call, answer={"pid": pid})
        self._connect(made, streams, ours)

    def _connect(self, job: Job, streams: list[str], ours: dict[int, int]) -> None:
        """Join the command's streams to those of the wire."""
        base = 4 * job.number
        if streams[0] == "terminal":
            job.terminal = os.dup(ours[0])
            Inflow(self.wire, base, ours[0])
            job.flows.append(Outflow(self.wire, base + 1, ours[0], lambda: self._tell_end(job)))
        for number, kind in enumerate(streams):
            if kind == "pipe" and number == 0:
                Inflow(self.wire, base, ours[0])
            elif kind == "pipe":
                job.flows.append(Outflow(self.wire, base + number, ours[number], lambda: self._tell_end(job)))
            elif kind == "file":
                job.files[number] = os.dup(ours[number])
        for descriptor in ours.values():
            os.close(descriptor)

    def reap(self) -> None:
        """Note which children have ended."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.byes:
                self.wire.tell("answer", call=self.byes.pop(pid), answer={})
            job = self.pids.pop(pid, None)
            if job:
                job.ended = {"exit": exit_code(status), "cpu_s": used.ru_utime + used.ru_stime}
                self._send_rest(job)

    def _send_rest(self, job: Job) -> None:
        """The command has ended: send what it has written, then how it ended."""
        for number, descriptor in job.files.items():
            os.lseek(descriptor, 0, os.SEEK_SET)
            job.flows.append(Outflow(self.wire, 4 * job.number + number, descriptor, lambda: self._tell_end(job)))
            os.close(descriptor)
        job.files.clear()
        for flow in job.flows:
            flow.drain()
        self._tell_end(job)

    def _tell_end(self, job: Job) -> None:
        if job.ended is None or job.files or not all(flow.drained for flow in job.flows):
            return
        self.wire.tell("exit", job=job.number, **job.ended)
        job.ended = None
        if client := self.clients.get(job.client):
            client.jobs.discard(job.number)
            client.jobs.add(-job.number)  # it may have left something behind that still writes

    def do_size(self, call: int, job: int, rows: int, columns: int) -> None:
        known = self.jobs.get(job)
        if known and known.terminal >= 0:
            fcntl.ioctl(known.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def do_dial(self, call: int, job: int, path: str) -> dict[str, Any]:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with sock:
            sock.settimeout(5)
            try:
                sock.connect(path)
            except OSError as error:
                raise Refused(f"{path}: {error.strerror or error}") from error
            sock.setblocking(False)
            Inflow(self.wire, 4 * job, sock.fileno())
            Outflow(self.wire, 4 * job + 1, sock.fileno())
        return {}

    def do_bye(self, call: int, client: int) -> dict[str, Any] | None:
        gone = self.clients.get(client)
        if gone is None:
            return {}
        self._kill(client)
        del self.clients[client]
        if not gone.undo:
            return {}
        # In the background: it may take its time, and the others go on.
        pid = os.fork()
        if pid == 0:
            try:
                _undo(gone)
            finally:
                os._exit(0)
        self.byes[pid] = call
        return None

    def _kill(self, client: int) -> None:
        for number in self.clients[client].jobs:
            job = self.jobs.pop(abs(number))
            if job.ended is None and number > 0:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(job.pid, signal.SIGKILL)
            for flow in job.flows:
                flow.cut()
            for descriptor in (*job.files.values(), *([job.terminal] if job.terminal >= 0 else [])):
                os.close(descriptor)
            if inflow := self.wire.inflows.get(4 * job.number):
                inflow.stop()
            job.files, job.flows, job.client = {}, [], -1

    # Daemons

    def _daemons(self) -> str:
        return os.path.join(self.folder, "daemons")

    def do_daemon(self, call: int, name: str, argv: list[str], log: str, env: dict[str, str]) -> dict[str, Any]:
        known = read_daemon(os.path.join(self._daemons(), name))
        if known and known["exit"] is None:
            return {"pid": known["pid"], "started": False}
        os.makedirs(self._daemons(), mode=0o700, exist_ok=True)
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                if os.fork() == 0:  # so that nobody but process 1 waits for who waits for the daemon
                    keep_daemon(os.path.join(self._daemons(), name), argv, log, env, tell)
            finally:
                os._exit(0)
        os.close(tell)
        with open(told, "rb") as pipe:
            said = json.loads(pipe.read() or b'{"error": "what was to wait for it was killed"}')
        if "error" in said:
            raise Refused(said["error"])
        return {"pid": said["pid"], "started": True}

    def do_daemons(self, call: int) -> dict[str, Any]:
        folder = self._daemons()
        names = [name for name in os.listdir(folder) if not name.startswith(".")] if os.path.isdir(folder) else []
        return {"daemons": {name: read_daemon(os.path.join(folder, name)) for name in names}}

    # What comes and goes as a whole

    def do_begin(self, call: int, client: int, folder: str, undo: list[list[str]]) -> dict[str, Any]:
        os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
        os.mkdir(folder, 0o700)
        try:
            with open(os.path.join(folder, "host"), "w") as note:
                note.write(self.config["name"])
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        owner = self.clients.setdefault(client, Client())
        owner.undo, owner.folder = undo, folder
        remember_undo(self.folder, os.path.basename(folder), undo)
        return {}

    def do_commit(self, call: int, client: int) -> dict[str, Any]:
        if client not in self.clients:
            raise Refused("the connection was lost meanwhile, so what was made has been taken back")
        self.clients[client].undo = []
        return {}

    def do_ping(self, call: int) -> dict[str, Any]:
        return {}

    def do_clear(self, call: int) -> dict[str, Any]:
        clear(self.config)
        return {}


def _undo(client: Client) -> None:
    for argv in client.undo:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(argv, env={"PATH": PATH}, check=False, timeout=60, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    if client.undo and client.folder:
        shutil.rmtree(client.folder, ignore_errors=True)


def _streams(kinds: list[str], size: list[int]) -> tuple[dict[int, int], list[int]]:
    """For each standard stream our end, if there is one, and the command's."""
    if kinds[0] == "terminal":
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[0], size[1], 0, 0))
        os.set_blocking(ours, False)
        return {0: ours}, [theirs] * 3
    here, there = {}, []
    for number, kind in enumerate(kinds):
        if kind == "null":
            there.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
        elif kind == "file":
            here[number] = os.memfd_create("stream", os.MFD_CLOEXEC)
            fcntl.fcntl(here[number], fcntl.F_SETFL, os.O_APPEND)
            there.append(os.dup(here[number]))
        else:
            source, sink = os.pipe2(os.O_CLOEXEC)
            here[number], end = (sink, source) if number == 0 else (source, sink)
            os.set_blocking(here[number], False)
            there.append(end)
    return here, there


def main(config: dict[str, Any]) -> None:
    """Be the far end of a supervisor's wire, on the standard streams."""
    os.umask(0o022)
    os.chdir("/")
    source, sink = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)  # nothing that is printed by mistake may come between frames
    os.write(sink, GREETING)
    try:
        settle(config)
    except (Refused, OSError) as error:
        full = isinstance(error, OSError) and error.errno in (28, 122)
        kind = "NotEnoughDisk" if full else "NameInUse" if isinstance(error, Refused) else "EngineError"
        os.write(sink, json.dumps({"error": str(error), "kind": kind}).encode() + b"\n")
        sys.exit(1)
    hello = {"pid": os.getpid(), "python": sys.version.split()[0], "hostname": socket.gethostname()}
    os.write(sink, json.dumps(hello).encode() + b"\n")
    Far(config, source, sink).serve()
