"""Verbs that a person pressed, done in the background."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._progress import quietly
from ..errors import InvalidValue, LabError
from ..machines.base import VERBS

if TYPE_CHECKING:
    from ..machines.base import Machine

Failed = Callable[[LabError], None]


def act(machine: Machine, verb: str, words: dict[str, Any], failed: Failed, ran: Callable[[Any], None]) -> None:
    """Do `verb` in a thread of its own, unless something is being done to the machine already.

    Parameters
    ----------
    words
        What the front end asked the person for.
    failed
        Called with the error of a verb that keeps none itself, such as ``run``.
    ran
        Called with what a verb returned.
    """
    if machine.activity or machine.is_gone or verb not in VERBS or verb not in machine.capabilities:
        return

    def work() -> None:
        with quietly():
            try:
                ran(_do(machine, verb, words))
            except LabError as error:
                failed(error)

    threading.Thread(target=work, name=f"labkit-{verb}", daemon=True).start()


def _do(machine: Machine, verb: str, words: dict[str, Any]) -> Any:
    match verb:
        case "run":
            return machine.run(_split(words.get("command", "")), timeout_s=60)
        case "snapshot" | "revert" | "clone":
            return getattr(machine, verb)(str(words.get("name", "")))
        case "resize":
            return machine.resize(memory=words.get("memory") or None, vcpus=_whole(words.get("vcpus")))
        case "limits":
            return machine.limits(cpus=_number(words.get("cpus")))
        case "attach":
            return machine.attach(str(words.get("network", "")), address=str(words.get("address", "")).strip())
        case "detach":
            return machine.detach(str(words.get("network", "")))
        case "link":
            return machine.link(
                str(words.get("network", "")), up=words.get("cable") != "out", bandwidth=_rate(words.get("bandwidth"))
            )
        case "migrate":
            return machine.move(machine.host.lab[str(words.get("to", ""))])
        case _:
            return getattr(machine, verb)()


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise InvalidValue(
            f"{ascii(command)[:60]} is not a command: {error}", hint="close the quotation mark"
        ) from error


def _number(text: object) -> float | None:
    if text in (None, ""):
        return None
    try:
        return float(str(text))
    except ValueError as error:
        raise InvalidValue(f"{ascii(text)[:40]} is not a number", hint="write it like 0.5") from error


def _rate(text: object) -> float | str:
    """What was typed as a bandwidth; nothing is no limit."""
    words = str(text or "").strip()
    return 0 if words in ("", "0") else words


def _whole(text: object) -> int | None:
    number = _number(text)
    return None if number is None else int(number)
