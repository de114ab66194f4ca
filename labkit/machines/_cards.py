"""The network cards of a machine: what is the same for every engine in connecting and limiting them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._changes import What
from .._paths import write_whole
from ..errors import Busy, InvalidState, LabError, NameInUse, NotFound
from ..hosts.base import drop_reserved
from ..networks.link import Link, check, shape
from .spec import NetworkInterface, State

if TYPE_CHECKING:
    from ..networks.network import Network
    from .base import Machine

CAME_AT_REST = "came-at-rest"  # a file among a machine's notes from its coming, stopped, to its start
_LINKS = "links.json"
_GREETING = Path(__file__).with_name("_greeting.py")
_STILL = (State.STOPPED, State.FAILED)


def attach(machine: Machine, wanted: NetworkInterface) -> NetworkInterface:
    """Connect a machine to a network: all or nothing, whatever dies meanwhile."""
    network = machine.host.lab.networks[wanted.network]
    if any(card.network == network.name for card in machine.spec.interfaces):
        raise NameInUse(
            f"{machine.name} is on the network {network.name} already", host=machine.host.name, machine=machine.name,
            hint=f'detach("{network.name}") takes it off',
        )  # fmt: skip
    live = _is_live(machine, "be connected")
    pending = f"attaching-{network.name}"
    folder = machine.notes / pending
    if network.has_settled(machine.name):  # left by one who died at the very end
        drop_reserved(machine.host, folder)
    undo = [*machine.unplugging(network.name), ["rm", "-rf", "--", str(folder)]]
    try:
        with machine.host.reserve_folder(folder, undo) as commit:

            def finish() -> None:
                commit()
                drop_reserved(machine.host, folder)

            try:
                card = _connect(machine, network, wanted, pending, live=live, finish=finish)
            except BaseException:  # what is to be undone was undone here
                with contextlib.suppress(LabError):
                    finish()
                raise
    except FileExistsError as error:
        raise Busy(
            f"{machine.name} is being connected to {network.name} already", host=machine.host.name, machine=machine.name
        ) from error
    _tell(machine, "attached", network.name)
    return card


def _connect(
    machine: Machine, network: Network, wanted: NetworkInterface, pending: str, *, live: bool,
    finish: Callable[[], object],
) -> NetworkInterface:  # fmt: skip
    dhcp = machine.asks_dhcp
    card = network.reserve(machine.name, dhcp=dhcp, address=wanted.address, mac=wanted.mac, pending=pending)
    before = machine.spec.interfaces
    try:
        network.ensure_on(machine.host)
        with ThreadPoolExecutor(1) as pool:  # libvirt takes its time to tell DHCP
            told = pool.submit(network.announce, machine.name, card, dhcp=dhcp)
            card = machine.plug(card, live=live)
            told.result()
        network.settle(machine.name)
        finish()  # who dies from here on leaves a card that `attach` finds, or `repair` takes away
        machine.connected((*before, card))
        if live:
            machine.resettle()
    except BaseException:
        with contextlib.suppress(LabError):
            if machine.spec.interfaces != before:
                machine.connected(before)
        with contextlib.suppress(LabError):
            machine.unplug(card, live=live)
        with contextlib.suppress(LabError):
            network.release(machine.name)
        raise
    return card


def detach(machine: Machine, network: str) -> None:
    """Take a machine from a network."""
    card = card_on(machine, network)
    live = _is_live(machine, "be disconnected")
    if live and machine.links[network] != Link():
        with contextlib.suppress(LabError):  # the link may be gone already
            shape(machine.host, machine.host_link(network), Link())
    left = tuple(other for other in machine.spec.interfaces if other is not card)
    machine.connected(left)
    try:
        machine.unplug(card, live=live)
    except BaseException:
        machine.connected((*left, card))
        raise
    _keep_links(machine, {name: link for name, link in kept_links(machine).items() if name != network})
    with ThreadPoolExecutor(1) as pool:
        released = pool.submit(machine.host.lab.networks[network].release, machine.name)
        if live:
            machine.resettle()
        released.result()
    _tell(machine, "detached", network)


def change_link(machine: Machine, network: str, **changes: Any) -> Link:
    """Change a link of a machine, now if it runs, and keep it for when it starts again."""
    card_on(machine, network)
    old = machine.links[network]
    new = old.changed(**changes)
    if machine.refresh() is State.RUNNING:
        _apply(machine, network, new, old)
    else:
        check(machine.host, new)
    _keep_links(machine, {**kept_links(machine), network: new})
    machine.tell()
    return new


def restore_links(machine: Machine) -> None:
    """After a start: have the links of a machine be again what they were."""
    for network, link in machine.links.items():
        if link != Link():
            _apply(machine, network, link, Link())


def greet(machine: Machine) -> None:
    """Have the switches learn where a container is: it need not say anything by itself."""
    cards = [word for card in machine.spec.interfaces for word in (card.mac, card.address)]
    if cards and (pid := machine.first_process()):
        python = [*machine.host.python, "-I", "-S", machine.host.program(_GREETING), *cards]
        machine.host.run(["nsenter", f"--net=/proc/{pid}/ns/net", "--", *python])


def greet_if_new(machine: Machine) -> None:
    """After a start: if it came to this host since it last ran, have the switches learn that."""
    mark = machine.notes / CAME_AT_REST
    if mark.exists():
        mark.unlink(missing_ok=True)
        greet(machine)


def _apply(machine: Machine, network: str, new: Link, old: Link) -> None:
    if (new.bits_per_second, new.delay_s, new.loss) != (old.bits_per_second, old.delay_s, old.loss):
        shape(machine.host, machine.host_link(network), new)
    if new.up is not old.up:
        machine.set_carrier(network, up=new.up)


def kept_links(machine: Machine) -> dict[str, Link]:
    """What was noted of a machine's links: those that are not as they come."""
    try:
        words = json.loads((machine.notes / _LINKS).read_text())
    except FileNotFoundError:
        return {}
    return {network: Link(**link) for network, link in words.items()}


def _keep_links(machine: Machine, links: dict[str, Link]) -> None:
    changed = {network: link for network, link in links.items() if link != Link()}
    write_whole(machine.notes / _LINKS, json.dumps({network: asdict(link) for network, link in changed.items()}))
    machine.note_links(changed)


def card_on(machine: Machine, network: str) -> NetworkInterface:
    """The machine's connection to a network; `NotFound` if it has none."""
    for card in machine.spec.interfaces:
        if card.network == network:
            return card
    known = ", ".join(card.network for card in machine.spec.interfaces) or "none"
    raise NotFound(
        f"{machine.name} is not on a network {ascii(network)[:60]}", host=machine.host.name, machine=machine.name,
        hint=f'it is on: {known}; attach("…") connects it',
    )  # fmt: skip


def _is_live(machine: Machine, what: str) -> bool:
    """Whether it runs; raises if it neither runs nor stands still."""
    state = machine.refresh()
    if state is not State.RUNNING and state not in _STILL:
        raise InvalidState(
            f"{machine.name} is {state}, so it cannot {what}", host=machine.host.name, machine=machine.name,
            hint="it must run, or be stopped",
        )  # fmt: skip
    return state is State.RUNNING


def _tell(machine: Machine, what: str, network: str) -> None:
    machine.host.lab.journal(what, machine=machine.name, network=network)
    machine.tell()
    machine.host.lab.changes.tell(What.NETWORKS, machine.host)
