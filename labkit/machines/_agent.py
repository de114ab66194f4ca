"""The QEMU guest agent: commands in a machine without a network.

Source of the protocol: https://qemu.readthedocs.io/en/latest/interop/qemu-ga-ref.html
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any

import libvirt
import libvirt_qemu

from .._progress import check_cancelled
from ..errors import DeadlineExceeded, EngineError, InvalidState, LabError, NotEnoughDisk
from ._console import last_words
from ._libvirt import translate

if TYPE_CHECKING:
    from ..hosts.base import Host

_NOT_YET = {
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
    libvirt.VIR_ERR_AGENT_UNSYNCED,
    getattr(libvirt, "VIR_ERR_AGENT_COMMAND_TIMEOUT", -1),  # since libvirt 9.1
}
_NOT_HERE = {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID}  # so it has not heard the question
_PATIENCE_S = 5.0


class Silence(Enum):
    """Why there was no answer."""

    NOT_YET = auto()  # nobody has answered in time, or is there yet
    CUT_OFF = auto()  # nobody was connected, so the question was not heard
    NOT_HERE = auto()  # the machine is not here, or does not run
    REFUSED = auto()  # the agent or the engine has said why


class Unanswered(Exception):
    """A question to the agent has no answer; the text is what the engine or the agent said."""

    def __init__(self, why: Silence, words: str) -> None:
        super().__init__(words)
        self.why = why


class GuestAgent(ABC):
    """The agent in one machine; when it does not answer, errors quote the console's log."""

    slowest_s = 10.0  # in which a question and its answer come through, whatever they carry
    least_s = 0.0  # which a question is given, however soon a command must have ended
    ping_s = 2.0  # after which somebody who may not be up yet is asked again
    breath = 0.0  # how long a guest is left alone between two questions, in the time that the first one took

    def __init__(self, host: Host, machine: str, console: Path) -> None:
        self._host, self._files = host.name, host.files
        self._machine = machine
        self._console = console

    @abstractmethod
    def ask(self, command: str, timeout_s: float = 10, **arguments: Any) -> Any:
        """Send one command and return its answer; raises `Unanswered`."""

    @abstractmethod
    def _translate(self, error: Unanswered) -> LabError:
        """The labkit error for what the engine said."""

    def _full_disk(self) -> NotEnoughDisk | None:
        """The error for a guest that the engine has stopped because its disk's file could not grow."""
        return None

    def _follow(self, deadline: float) -> bool:
        """Whether the machine is on its way, or has come somewhere else: then it is asked there."""
        return False

    def wait(self, deadline: float) -> None:
        """Wait until the agent answers; `deadline` is on the monotonic clock."""
        while True:
            check_cancelled()
            try:
                self.ask("guest-ping", timeout_s=min(self.ping_s, deadline - time.monotonic()))
                return
            except Unanswered as error:
                if error.why not in (Silence.NOT_YET, Silence.CUT_OFF):
                    raise self._not_up(error) from error
            if time.monotonic() > deadline:
                raise self._too_late(f"the guest did not come up in time; {self._last_words()}")
            time.sleep(0.01)

    def _not_up(self, error: Unanswered) -> LabError:
        """Why the guest will not come up."""
        told = self._full_disk() or self._translate(error)
        if not isinstance(told, InvalidState):
            return told
        return InvalidState(
            f"the guest ended before it was up; {self._last_words()}", host=self._host, machine=self._machine
        )

    def _last_words(self) -> str:
        return f"its console says: {last_words(self._files, self._console)}"

    def run(self, argv: list[str], data: bytes, timeout_s: float) -> tuple[int, bytes, bytes]:
        """Run a command to its end: exit code (negative: signal), stdout, stderr."""
        deadline = time.monotonic() + timeout_s
        arguments: dict[str, Any] = {"path": argv[0], "arg": argv[1:], "capture-output": True}
        if data:
            arguments["input-data"] = base64.b64encode(data).decode()
        try:
            pid = self._start(arguments, deadline)
            status = self._wait_for(pid, deadline)
        except Unanswered as error:
            raise self._explain(error, argv, timeout_s if time.monotonic() > deadline else None) from error
        if status is None:
            with contextlib.suppress(Unanswered):  # the guest may have stopped just now
                self._kill(pid)
            raise self._too_late(f"`{argv[0]}` did not end within {timeout_s:g} s and was killed")
        code = -status["signal"] if "signal" in status else status["exitcode"]
        out, err = (base64.b64decode(status.get(key, "")) for key in ("out-data", "err-data"))
        return code, out, err

    def _patience(self, deadline: float) -> float:
        """How long an answer is waited for: one that comes late may be that of a command which has begun."""
        return max(self.least_s, min(self.slowest_s, deadline - time.monotonic()))

    def _start(self, arguments: dict[str, Any], deadline: float) -> int:
        """Have the guest start a command; an agent that was cut off, by a new libvirt, may come back first."""
        patience = min(deadline, time.monotonic() + _PATIENCE_S)
        while True:
            try:
                pid: int = self.ask("guest-exec", self._patience(deadline), **arguments)["pid"]
                return pid
            except Unanswered as error:
                if error.why is Silence.CUT_OFF and time.monotonic() < patience:
                    time.sleep(0.01)
                elif error.why is not Silence.NOT_HERE or not self._follow(deadline):
                    raise

    def _ask_wherever_it_is(self, command: str, deadline: float, **arguments: Any) -> dict[str, Any]:
        """Ask what may be asked twice, also of a machine that moves to another host meanwhile."""
        while True:
            try:
                answer: dict[str, Any] = self.ask(command, self._patience(deadline), **arguments)
                return answer
            except Unanswered:
                if not self._follow(deadline):
                    raise

    def _wait_for(self, pid: int, deadline: float) -> dict[str, Any] | None:
        pause = 0.001
        while True:
            began = time.monotonic()
            status = self._ask_wherever_it_is("guest-exec-status", deadline, pid=pid)
            if status["exited"]:
                return status
            if (now := time.monotonic()) > deadline:
                return None
            time.sleep(max(pause, self.breath * (now - began)))
            pause = min(pause * 1.5, 0.05)

    def _too_late(self, what: str) -> DeadlineExceeded:
        return DeadlineExceeded(what, hint="give it longer with timeout_s=…", host=self._host, machine=self._machine)

    def _kill(self, pid: int) -> None:
        self.ask("guest-exec", max(self.least_s, 10), path="/bin/kill", arg=["-9", str(pid)])

    def _explain(self, error: Unanswered, argv: list[str], waited_s: float | None) -> LabError:
        if full := self._full_disk():
            return full
        words = str(error)
        if "Failed to execute child process" in words or "guest-exec" in words:
            return EngineError(
                f"the guest cannot run {ascii(argv[0])[:60]}: {words.split(': ', 1)[-1]}",
                hint="is the program in the guest's image?", host=self._host, machine=self._machine,
            )  # fmt: skip
        if error.why in (Silence.NOT_YET, Silence.CUT_OFF) and waited_s:
            return self._too_late(f"the guest did not answer within {waited_s:g} s; {self._last_words()}")
        if error.why in (Silence.NOT_YET, Silence.CUT_OFF):
            return InvalidState(
                f"the guest agent does not answer; {self._last_words()}", host=self._host, machine=self._machine,
                hint="is the guest booted?",
            )  # fmt: skip
        return self._translate(error)


class Agent(GuestAgent):
    """The agent that libvirt's QEMU driver speaks with."""

    def __init__(
        self, domain: libvirt.virDomain, host: Host, machine: str, console: Path,
        moved: Callable[[], libvirt.virDomain | None] = lambda: None,
    ) -> None:  # fmt: skip
        """`moved` gives the domain anew while the machine moves to another host, or has moved; else None."""
        super().__init__(host, machine, console)
        self._domain = domain
        self._moved = moved

    def ask(self, command: str, timeout_s: float = 10, **arguments: Any) -> Any:
        """Send one command and return its answer; libvirt's timeout counts whole seconds."""
        request = {"execute": command, "arguments": arguments} if arguments else {"execute": command}
        try:
            answer = libvirt_qemu.qemuAgentCommand(self._domain, json.dumps(request), max(1, round(timeout_s)), 0)
        except libvirt.libvirtError as error:
            raise Unanswered(_why(error), error.get_error_message() or str(error)) from error
        return json.loads(answer)["return"]

    def _translate(self, error: Unanswered) -> LabError:
        cause = error.__cause__
        if isinstance(cause, libvirt.libvirtError):
            return translate(cause, self._host, self._machine)
        return EngineError(str(error), host=self._host, machine=self._machine)

    def _follow(self, deadline: float) -> bool:
        time.sleep(0.05)
        with contextlib.suppress(LabError):  # it is just leaving
            domain = self._moved()
            self._domain = domain or self._domain
            return domain is not None and time.monotonic() < deadline
        return time.monotonic() < deadline

    def _full_disk(self) -> NotEnoughDisk | None:
        with contextlib.suppress(libvirt.libvirtError):
            if self._domain.state() == [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR]:
                return NotEnoughDisk(
                    "the guest stands still, for its disk could not be written to",
                    hint="make room on the disk with the lab's state, then resume() it",
                    host=self._host, machine=self._machine,
                )  # fmt: skip
        return None


def _why(error: libvirt.libvirtError) -> Silence:
    if "is not connected" in str(error):
        return Silence.CUT_OFF
    code = error.get_error_code()
    return Silence.NOT_YET if code in _NOT_YET else Silence.NOT_HERE if code in _NOT_HERE else Silence.REFUSED
