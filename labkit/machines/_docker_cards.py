"""The connections of a container to the lab's networks that change after it was made.

A container's labels, which say what it was made from, can never be changed: what has changed since
is kept in a file of the machine's.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker import errors

from .._paths import write_whole
from ..errors import EngineError, NotFound
from ._docker_api import spoken
from ._docker_networks import name_in_docker
from ._docker_recipe import as_docker_does
from .spec import NetworkInterface

if TYPE_CHECKING:
    from ._docker_machine import DockerMachine

_FILE = "interfaces.json"
_MODE_NONE = "none"
# PID MAC: the host's end of the container's card with this address.
_LINK = """
index=$(nsenter --net="/proc/$1/ns/net" ip -o link | awk -v mac="$2" '
    $0 ~ mac { split($2, words, /@if|:/); print words[2]; exit }')
[ -n "$index" ] && ip -o link | awk -F'[:@ ]+' -v index_="$index" '$1 == index_ { print $2; exit }'
"""
# FILE LINES: what Docker shows the container as /etc/resolv.conf stays the same file.
_NAME_SERVERS = 'printf "%s\\n" "$2" >"$1"'


def kept_cards(folder: Path) -> tuple[NetworkInterface, ...] | None:
    """The connections that a machine has now; None if they are those it was made with."""
    try:
        words = json.loads((folder / _FILE).read_text())
    except FileNotFoundError:
        return None
    return tuple(NetworkInterface(**card) for card in words)


def keep_cards(folder: Path, cards: tuple[NetworkInterface, ...]) -> None:
    """Keep the connections that a machine has now."""
    write_whole(folder / _FILE, json.dumps([asdict(card) for card in cards]))


def plug(machine: DockerMachine, card: NetworkInterface) -> NetworkInterface:
    """Connect the container, unless it is; returns the card with the MAC that Docker gives it."""
    card = as_docker_does(card)
    network = machine.host.lab.networks[card.network]
    machine.host.docker.networks.know(network)
    with spoken(machine.host, machine.name):
        api = machine.api()
        there: dict[str, Any] = api.inspect_container(machine.container)["NetworkSettings"]["Networks"]
        if name_in_docker(network) in there:
            return card
        if _MODE_NONE in there:  # which Docker lets nothing be beside
            api.disconnect_container_from_network(machine.container, _MODE_NONE)
        api.connect_container_to_network(
            machine.container, name_in_docker(network), ipv4_address=card.address, aliases=[machine.name]
        )
    return card


def unplug(machine: DockerMachine, card: NetworkInterface) -> None:
    """Take the container from the network, if it is on it."""
    with spoken(machine.host, machine.name):
        network = name_in_docker(machine.host.lab.networks[card.network])
        try:
            machine.api().disconnect_container_from_network(machine.container, network, force=True)
        except errors.APIError as error:
            if "is not connected" not in str(error):
                raise


def host_link(machine: DockerMachine, network: str) -> str:
    """The host's end of the pair of veth devices that connects the container."""
    name = name_in_docker(machine.host.lab.networks[network])
    with spoken(machine.host, machine.name):
        told = machine.api().inspect_container(machine.container)
    mac = told["NetworkSettings"]["Networks"].get(name, {}).get("MacAddress", "")
    pid = told["State"]["Pid"]
    if not mac or not pid:
        raise NotFound(
            f"{machine.name} has no link to {network} now", machine=machine.name, host=machine.host.name,
            hint="start() it first",
        )  # fmt: skip
    done = machine.host.run(["sh", "-c", _LINK, "labkit", str(pid), mac])
    if not done.ok:
        raise EngineError(f"the link of {machine.name} to {network} was not found: {done.stderr.strip()}")
    return done.stdout.strip()


def set_name_servers(machine: DockerMachine) -> None:
    """Have the container ask the networks that it is on now for names, before Docker itself."""
    servers = machine.host.docker.networks.gateways(machine.recipe)
    with spoken(machine.host, machine.name):
        path = machine.api().inspect_container(machine.container)["ResolvConfPath"]
    lines = [*(["search lab"] if servers else []), *(f"nameserver {one}" for one in [*servers, "127.0.0.11"])]
    machine.host.run(["sh", "-c", _NAME_SERVERS, "labkit", path, "\n".join(lines)], check=True)
