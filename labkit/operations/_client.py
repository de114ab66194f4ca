"""What a client of a machine notices while the machine moves."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LabError

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..machines.base import Machine

INTERVAL_MS = 5
_LONGEST_S = 3600
_END_S = 5
_PINGER = Path(__file__).with_name("_pinger.py")


@dataclass(frozen=True, slots=True)
class ClientView:
    """What a client saw that asked the machine for an echo at most every 5 ms, on a slow host less often.

    Attributes
    ----------
    host
        The host that the client was on.
    sent, lost
        How many numbered requests it sent, and how many were never answered.
    longest_gap_ms
        The longest time between two answers, or after the last until nothing was asked any more.
    gap_began_s
        When that began: seconds on the monotonic clock.
    answers
        For each answer: its request's number, when that was sent and when the answer came, in seconds on
        the monotonic clock.
    """

    host: str
    sent: int
    lost: int
    longest_gap_ms: float
    gap_began_s: float
    answers: tuple[tuple[int, float, float], ...]


def view(host: str, sent: int, answers: list[tuple[int, float, float]], until_s: float = 0.0) -> ClientView | None:
    """What the answers say to who asked until then; None if there were not two."""
    times = sorted(came for _, _, came in answers)
    if len(times) < 2:
        return None
    if until_s > times[-1]:
        times.append(until_s)
    gap, began = max((late - early, early) for early, late in itertools.pairwise(times))
    return ClientView(host, sent, sent - len(answers), gap * 1000, began, tuple(answers))


class Client:
    """Asks a machine for echoes from its making to `end`, from a host that has an address on its network.

    Attributes
    ----------
    answers
        What has come so far, see `ClientView`.
    why_not
        Why nothing is asked; "" if it is.
    """

    def __init__(self, machine: Machine) -> None:
        self.answers: list[tuple[int, float, float]] = []
        self._sent, self._until_s = 0, 0.0
        self.why_not = "no host has an address on a network of the machine's"
        found = _where(machine)
        if found is None:
            return
        self._host, address = found
        argv = [*self._host.python, "-I", "-S", self._host.program(_PINGER), address, str(INTERVAL_MS), str(_LONGEST_S)]
        theirs, ours = os.pipe(), os.pipe()
        try:
            self._running = self._host.spawn(argv, [theirs[0], ours[1], ours[1]])
        except LabError as error:
            self.why_not = error.message
            for stream in (theirs[1], ours[0]):
                os.close(stream)
            return
        finally:
            for stream in (theirs[0], ours[1]):
                os.close(stream)
        self.why_not = ""
        self._stop = theirs[1]
        self._told = os.fdopen(ours[0])
        self._reader = threading.Thread(target=self._listen, name="labkit-client", daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        with self._told, contextlib.suppress(OSError, ValueError):  # ended in the middle of a line
            for line in self._told:
                words = json.loads(line)
                if isinstance(words, dict):
                    self._sent, self._until_s = words["sent"], words["until"]
                else:
                    self.answers.extend((number, sent, came) for number, sent, came in words)

    def end(self) -> ClientView | None:
        """Send no more, wait a moment for the last answers, and say what was seen."""
        if self.why_not:
            return None
        os.close(self._stop)
        self._reader.join(_END_S)
        self._running.close()
        self._reader.join(_END_S)
        return view(self._host.name, self._sent, self.answers, self._until_s)


def _where(machine: Machine) -> tuple[Host, str] | None:
    """The host from which to ask, and the machine's address that it reaches."""
    lab = machine.host.lab
    for card in machine.spec.interfaces:
        network = lab.networks[card.network]
        for host in lab.networks.living([network.home]):
            if network.gateway:
                return host, card.address
    return None
