"""The ssh connection that the supervisor of a remote host holds; see `_remote`.

It is made when something is asked, and again after it broke. Run by the supervisor, so it uses the
standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from . import _ssh_words
from ._init import Connection
from ._wire import Wire

_GREETING = b"\nlabkit is here\n"
_PING_S, _SILENCE_S = 5.0, 60.0
_RETRY_S = 2.0  # after a failure, how long requests get the same answer at once
_SAID_BYTES = 1 << 14
PR_SET_PDEATHSIG = 1
_HINTS = {"NameInUse": "end it from there, or give the lab another name",
          "NotEnoughDisk": "remove there what is not needed"}  # fmt: skip
Answer = dict[str, Any]
Then = Callable[[Answer], None]

libc = ctypes.CDLL(None, use_errno=True)


class Owner(Protocol):
    """Whose connection it is."""

    config: dict[str, Any]
    selector: selectors.DefaultSelector

    def ended(self, job: int, how: Answer) -> None:
        """A command has ended on the server, and all that it has written is here."""

    def lost(self, failure: Answer) -> None:
        """The connection broke, or did not come about."""


def note(text: str) -> None:
    """Write to the supervisor's log."""
    with contextlib.suppress(OSError):  # the disk is full
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        sys.stderr.flush()


def far_modules() -> dict[str, str]:
    """The texts of the modules that the server is given, by their names, in the order of their imports."""
    folder = Path(__file__).parent
    return {name: (folder / f"{name}.py").read_text() for name in ("_wire", "_far_host", "_far")}


def far_program(config: dict[str, Any]) -> bytes:
    """The text of the Python program that the server is to run; who runs it may have COMPILED the modules' texts."""
    return f"""
import json, sys, types
if sys.version_info < (3, 8):
    sys.exit({_ssh_words.OLD_PYTHON!r})
sys.modules["labkit_far"] = package = types.ModuleType("labkit_far")
package.__path__ = []
for name, text in {far_modules()!r}.items():
    sys.modules["labkit_far." + name] = module = types.ModuleType("labkit_far." + name)
    module.__package__ = "labkit_far"
    code = globals().get("COMPILED", {{}}).get(text) or compile(text, name + ".py", "exec")
    exec(code, module.__dict__)
module.main(json.loads({json.dumps(config)!r}))
""".encode()


def _die_with(parent: int) -> Callable[[], None]:
    """What a child runs so that the kernel ends it with its parent, however that ends."""

    def arrange() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arrange


class Link:
    """The connection to the server: made when something is asked, again after it broke."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._config = owner.config
        self.pid = 0
        self.wire: Wire | None = None
        self.ready = False
        self.hello: dict[str, Any] = {}
        self.failure: Answer | None = None
        self._retry_at = self._pinged_at = self._heard_at = self._began_at = 0.0
        self._calls: dict[int, Then] = {}
        self._waiting: list[tuple[Connection | None, str, Then, dict[str, Any]]] = []
        self._count = 0
        self._greeting, self._said = bytearray(), bytearray()
        self._ends: list[int] = []  # of the pipes to ssh, until they are the wire's
        self._words = -1
        self._refused = False  # by the program on the server, which has said why

    # Asking

    def ask(self, op: str, then: Then, *, whose: Connection | None = None, **fields: Any) -> None:
        """Have the server do something; `then` gets its answer, or why there is none."""
        if self.ready and self.wire:
            self._count += 1
            self._calls[self._count] = then
            self.wire.tell(op, call=self._count, **fields)
            return
        if not self.pid and self.failure and time.monotonic() < self._retry_at:
            then(self.failure)
            return
        self._waiting.append((whose, op, then, fields))
        if not self.pid:
            self._connect()

    def try_again(self) -> None:
        """Let the next request connect, however short a time ago that has failed."""
        self._retry_at = 0.0

    def tell(self, op: str, **fields: Any) -> None:
        """Tell the server something that needs no answer."""
        if self.ready and self.wire:
            self.wire.tell(op, **fields)

    def forget(self, client: Connection) -> None:
        """The client has hung up before its request was sent."""
        dropped = [then for whose, _, then, _ in self._waiting if whose is client]
        self._waiting = [waiting for waiting in self._waiting if waiting[0] is not client]
        for then in dropped:
            then({"error": "it hung up", "kind": "Refused"})

    def stop(self, stream: int, *, sending: bool = False) -> None:
        """End a stream, if there is one; only one that sends, if that is said."""
        if self.wire:
            if flow := self.wire.outflows.get(stream):
                flow.stop()
            if not sending and (inflow := self.wire.inflows.get(stream)):
                inflow.stop()

    def _heard(self, message: dict[str, Any]) -> None:
        self._heard_at = time.monotonic()
        if message["op"] == "answer":
            if then := self._calls.pop(message["call"], None):
                then(message["answer"])
        elif message["op"] == "exit":
            self._owner.ended(message["job"], {"exit": message["exit"], "cpu_s": message["cpu_s"]})

    # Connecting

    def _connect(self) -> None:
        self._began_at = time.monotonic()
        self._said.clear()
        self._greeting.clear()
        with contextlib.suppress(FileNotFoundError):  # of an ssh that was killed: another would do without
            os.unlink(self._config["control"])
        program = far_program(self._config["far"])
        argv = [*self._config["argv"], _ssh_words.remote_command(len(program))]
        (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        ours_err, theirs_err = os.pipe2(os.O_CLOEXEC)
        try:
            child = subprocess.Popen(
                argv, stdin=theirs_in, stdout=theirs_out, stderr=theirs_err, start_new_session=True,
                env={**os.environ, "LC_ALL": "C"}, preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509  one thread
            )  # fmt: skip
        except OSError as error:
            for descriptor in (ours_out, ours_in, ours_err):
                os.close(descriptor)
            self._fail({"error": f"ssh cannot be run: {error.strerror}", "kind": "PackageMissing",
                        "hint": "sudo apt-get install openssh-client"})  # fmt: skip
            return
        finally:
            for descriptor in (theirs_in, theirs_out, theirs_err):
                os.close(descriptor)
        child.returncode = 0  # it is waited for elsewhere
        self.pid, self._ends, self._words = child.pid, [ours_in, ours_out], ours_err
        for descriptor in (ours_in, ours_out, ours_err):
            os.set_blocking(descriptor, False)
        self._owner.selector.register(ours_err, selectors.EVENT_READ, self._hear_words)
        self._owner.selector.register(ours_in, selectors.EVENT_READ, self._hear_greeting)
        self._send_program(memoryview(program))

    def _send_program(self, program: memoryview) -> None:
        """Send the program, as much as there is room for at a time."""
        sink, left = self._ends[1], program

        def send(_: int) -> None:
            nonlocal left
            if sink not in self._ends:  # closed since it was said to be ready
                return
            try:
                left = left[os.write(sink, left) :]
            except BlockingIOError:
                return
            except OSError:  # ssh has ended, and says why
                left = left[:0]
            if not left:
                self._unwatch(sink)

        self._owner.selector.register(sink, selectors.EVENT_WRITE, send)

    def _unwatch(self, descriptor: int) -> None:
        with contextlib.suppress(KeyError):  # it is not watched any more
            self._owner.selector.unregister(descriptor)

    def _hear_words(self, _: int) -> None:
        """What ssh, and what runs on the server, say on standard error."""
        if self._words < 0:
            return
        try:
            data = os.read(self._words, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self._close_words()
            return
        self._said += data
        del self._said[:-_SAID_BYTES]
        note(data.decode(errors="replace").rstrip())

    def _close_words(self) -> None:
        if self._words >= 0:
            self._unwatch(self._words)
            os.close(self._words)
            self._words = -1

    def _hear_greeting(self, _: int) -> None:
        """Pass over what login scripts print, up to the greeting and the line after it."""
        while self._ends:
            try:
                data = os.read(self._ends[0], 1)  # not a byte of what comes after
            except BlockingIOError:
                return
            if not data:
                self._unwatch(self._ends[0])
                return
            self._greeting += data
            noise, greeting, line = self._greeting.partition(_GREETING)
            if greeting and line.endswith(b"\n"):
                self._unwatch(self._ends[0])
                self._greeted(json.loads(line))
                return
            if len(noise) > len(_GREETING) and not greeting:
                del self._greeting[: -len(_GREETING)]

    def _greeted(self, hello: dict[str, Any]) -> None:
        if "error" in hello:
            self._refused = True
            self._fail({"hint": _HINTS.get(hello["kind"], ""), **hello})
            self._kill()
            return
        source, sink = self._ends
        self._unwatch(sink)
        self._ends = []
        self.wire = Wire(self._owner.selector, source, sink, self._heard, self._lost)
        self.hello, self.failure, self.ready = hello, None, True
        self._heard_at = self._pinged_at = time.monotonic()
        note(f"connected: process {hello['pid']} on {hello['hostname']}")
        waiting, self._waiting = self._waiting, []
        for whose, op, then, fields in waiting:
            self.ask(op, then, whose=whose, **fields)

    # Losing it

    def look_after(self) -> None:
        """Ask whether the server is still there, and give up a connection that does not come about."""
        now = time.monotonic()
        if self.ready and now - self._pinged_at > _PING_S:
            self._pinged_at = now
            self.ask("ping", lambda _: None)
        silent = self.ready and now - self._heard_at > _SILENCE_S
        if silent or (self.pid and not self.ready and now - self._began_at > self._config.get("connect_s", 20.0)):
            self._said += b"\nthe server has said nothing for long: timed out"
            self._kill()

    def _lost(self) -> None:
        """The wire was closed: ssh ends, or what ran on the server has."""
        self.ready, self.wire = False, None
        self._kill()

    def _kill(self) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def ssh_ended(self, code: int) -> None:
        """Ssh has ended: what was asked gets no other answer than why."""
        if self._ends and not self._refused:
            self._hear_greeting(0)  # it may have come with the end
        if self._words >= 0:
            self._hear_words(0)
        self.pid = 0
        if self._refused:
            note(f"ssh has ended with {code}")
        else:
            self._explain(code)
        self.hello, self.ready, self._refused = {}, False, False
        if self.wire:
            self.wire.close()
            self.wire = None
        self._let_go()

    def _explain(self, code: int) -> None:
        target = self._config["target"]
        otherwise = f"the connection to {target} was lost" if self.hello else f"{target} cannot be reached"
        said = self._said.decode(errors="replace")
        kind, sentence, hint = _ssh_words.explain(said, target, otherwise)
        note(f"ssh has ended with {code}: {sentence}")
        self.ready = False
        self._fail({"error": sentence, "kind": kind, "hint": hint})

    def _let_go(self) -> None:
        for descriptor in self._ends:
            self._unwatch(descriptor)
            os.close(descriptor)
        self._ends = []
        self._close_words()

    def _fail(self, failure: Answer) -> None:
        self.failure, self._retry_at = failure, time.monotonic() + _RETRY_S
        calls, self._calls = self._calls, {}
        waiting, self._waiting = self._waiting, []
        for then in [*calls.values(), *(then for _, _, then, _ in waiting)]:
            then(failure)
        self._owner.lost(failure)

    def close(self) -> None:
        """End ssh."""
        self._kill()
        if self.pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
