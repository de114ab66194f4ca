"""What the front end is told of machines, hosts and labs: plain values, no I/O."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from .._values import format_size
from ..machines.spec import State

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..machines.base import Machine
    from ._watch import Usage

# In this order on a card. What takes words asks for them: label and what is filled in.
VERBS = ("start", "resume", "pause", "stop", "restart", "kill", "run", "console", "snapshot", "revert", "clone",
         "resize", "limits", "attach", "detach", "link", "stats", "migrate", "destroy")  # fmt: skip
_FITS = {
    "start": (State.STOPPED, State.FAILED),
    "resume": (State.PAUSED,),
    "pause": (State.RUNNING,),
    "stop": (State.RUNNING,),
    "restart": (State.RUNNING,),
    "kill": (State.RUNNING, State.PAUSED, State.FAILED),
    "run": (State.RUNNING,),
    "resize": (State.RUNNING,),
    "limits": (State.RUNNING,),
    "attach": (State.RUNNING, State.STOPPED, State.FAILED),
    "detach": (State.RUNNING, State.STOPPED, State.FAILED),
    "migrate": (State.RUNNING, State.STOPPED),
}


@cache
def fitting(state: State) -> tuple[str, ...]:
    """The verbs that make sense for a machine in `state`."""
    return tuple(verb for verb in VERBS if verb not in _FITS or state in _FITS[verb])


def abilities(machine: Machine) -> dict[str, Any]:
    """What does not change while a machine is: its facts, its verbs, and why others are absent."""
    can = machine.capabilities
    return {
        "name": machine.name,
        "engine": machine.engine,
        "facts": [[label, value] for label, value in machine.facts()],
        "verbs": [verb for verb in VERBS if verb in can],
        "absent": {verb: machine.why_not(verb) for verb in VERBS if verb not in can},
    }


def now(machine: Machine, usage: Usage | None, closed: str = "") -> dict[str, Any]:
    """What changes: where the machine is, what it does, what went wrong."""
    state = machine.state
    activity, error = machine.activity, machine.last_error
    ended = "it was destroyed" if machine.is_gone else closed
    return {
        "host": machine.host.name,
        "state": (State.UNKNOWN if closed else state).value,
        "ended": ended,
        "doing": "" if activity is None else " ".join(filter(None, (activity.verb, activity.phase))),
        "fraction": activity.fraction if activity else None,
        "error": _error(error),
        "fit": [] if ended or activity else list(fitting(state)),
        "cpu": usage.points[-1][0] if _is_on(machine) and usage and usage.points else None,
        "memory": format_size(usage.points[-1][1]) if _is_on(machine) and usage and usage.points else "",
        "addresses": list(machine.addresses),
        "networks": [
            [card.network, card.address, card.mac, str(machine.links[card.network])] for card in machine.spec.interfaces
        ],
    }


def _is_on(machine: Machine) -> bool:
    return not machine.is_gone and machine.state in (State.RUNNING, State.PAUSED)


def _error(error: Exception | None) -> list[str]:
    """The error in words: what happened, and what to do."""
    if error is None:
        return []
    return [getattr(error, "message", str(error)), getattr(error, "hint", "")]


def history(usage: Usage | None) -> list[list[float]]:
    """The readings of the last two minutes: processors in use, and bytes of memory."""
    return [[used, memory] for used, memory in usage.points] if usage else []


def host_facts(host: Host, machines: list[Machine], usage: dict[tuple[str, str], Usage]) -> dict[str, Any]:
    """A host's line: its address, and what its machines use now."""
    used = [usage[key].points[-1] for machine in machines if (key := (host.name, machine.name)) in usage
            and usage[key].points and _is_on(machine)]  # fmt: skip
    return {
        "name": host.name,
        "address": host.address,
        "provider": host.provider,
        "count": len(machines),
        "running": sum(machine.state is State.RUNNING for machine in machines),
        "cpu": round(sum(cpu for cpu, _ in used), 3) if used else None,
        "memory": format_size(sum(memory for _, memory in used)) if used else "",
    }
