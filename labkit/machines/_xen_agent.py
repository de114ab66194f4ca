"""The guest agent of a Xen machine: on a second console of Xen's, which ends in a socket in domain 0."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import libvirt

from ..errors import DeadlineExceeded, EngineError, InvalidState, LabError, LabGone, NotFound
from ..hosts._xen_line import Line
from ._agent import GuestAgent, Silence, Unanswered

if TYPE_CHECKING:
    from ..hosts.base import Host


_REFUSED_S = 2.0  # a QEMU that does not listen has its hands full: to ask takes time from what it does


class _Wire(Line):
    """One question on the channel, whatever earlier ones have left on it."""

    def ask(self, command: str, **arguments: Any) -> Any:
        mark = secrets.randbits(40)
        request = {"execute": command, "id": mark, **({"arguments": arguments} if arguments else {})}
        self._sock.settimeout(max(0.001, self._deadline - time.monotonic()))
        try:
            # A byte that is no JSON ends what an earlier client has left unfinished. The agent answers that, too, but
            # what it says while a long request still comes in may be lost on this channel.
            self._sock.sendall(b"\xff" + json.dumps(request).encode() + b"\n")
        except TimeoutError as error:
            raise DeadlineExceeded(f"{self._whose} does not listen") from error
        except OSError as error:
            raise LabGone(f"{self._whose} has ended") from error
        # Until the agent has opened its terminal, that echoes the question.
        while (answer := self._heard()).get("id") != mark or "execute" in answer:
            pass
        if "error" in answer:
            raise EngineError(str(answer["error"].get("desc", answer["error"])))
        return answer.get("return")

    def _heard(self) -> dict[str, Any]:
        """The next message; what the console of a guest that is just booting says is none."""
        while True:
            with contextlib.suppress(ValueError):
                if isinstance(heard := self.next(), dict):
                    return heard


class XenAgent(GuestAgent):
    """The agent in one domain.

    Parameters
    ----------
    reach
        Gives the domain and the socket that leads to its agent, both where the machine is now.
    may_move
        Whether the machine is on its way, or has come somewhere else, since this was made.
    """

    # A page of memory carries the channel, and both its ends may be emulated: to ask takes time from what is asked for.
    slowest_s = 120.0
    least_s = 20.0
    ping_s = 10.0
    breath = 2.0

    def __init__(
        self, host: Host, machine: str, console: Path, reach: Callable[[], tuple[libvirt.virDomain, Path]],
        may_move: Callable[[], bool],
    ) -> None:  # fmt: skip
        super().__init__(host, machine, console)
        self._reach = reach
        self._may_move = may_move

    def ask(self, command: str, timeout_s: float = 10, **arguments: Any) -> Any:
        """Send one command and return its answer."""
        try:
            domain, socket = self._reach()
        except NotFound as error:
            raise Unanswered(Silence.NOT_HERE, error.message) from error
        try:
            with _Wire(socket, f"the agent of {self._machine}", time.monotonic() + max(timeout_s, 0.1)) as wire:
                return wire.ask(command, **arguments)
        except EngineError as error:
            raise Unanswered(Silence.REFUSED, error.message) from error
        except (LabGone, DeadlineExceeded) as error:
            runs = True
            with contextlib.suppress(libvirt.libvirtError):
                runs = bool(domain.isActive())
            if not runs:
                raise Unanswered(Silence.NOT_HERE, f"{self._machine} does not run") from error
            if isinstance(error, LabGone):
                time.sleep(_REFUSED_S)
            raise Unanswered(Silence.NOT_YET, error.message) from error

    def _translate(self, error: Unanswered) -> LabError:
        kind = InvalidState if error.why is Silence.NOT_HERE else EngineError
        return kind(str(error), host=self._host, machine=self._machine)

    def _follow(self, deadline: float) -> bool:
        time.sleep(0.05)
        return self._may_move() and time.monotonic() < deadline
