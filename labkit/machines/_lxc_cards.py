"""The network cards of a running container: pairs of veth devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import EngineError
from ._lxc_config import link_name

if TYPE_CHECKING:
    from ..networks.network import Network
    from ._lxc_machine import LxcMachine
    from .spec import NetworkInterface

# NAME LINK BRIDGE MAC ADDRESS/PREFIX; what somebody who died has left is made anew.
_PLUG = """
pid=$(lxc-info "--name=$1" --pid --no-humanize) || exit
ip link del "$2" 2>/dev/null
ip link add "$2" type veth peer name eth%d address "$4" netns "$pid" || exit
ip link set "$2" master "$3" up || exit
read -r index <"/sys/class/net/$2/iflink"
inside() { nsenter --net="/proc/$pid/ns/net" ip "$@"; }
card=$(inside -o link show | awk -F'[:@ ]+' -v index_="$index" '$1 == index_ { print $2 }')
inside addr add "$5" broadcast + dev "$card" && inside link set "$card" up || { ip link del "$2"; exit 1; }
"""
# NAME [GATEWAY]: the way to other networks is by this one now.
_WAY = """
pid=$(lxc-info "--name=$1" --pid --no-humanize) || exit
inside() { nsenter --net="/proc/$pid/ns/net" ip "$@"; }
if [ -n "$2" ]; then inside route replace default via "$2"; else inside route del default 2>/dev/null; exit 0; fi
"""


def plug(machine: LxcMachine, card: NetworkInterface, network: Network) -> None:
    """Give the running container a card."""
    address = f"{card.address}/{network.prefix_length}"
    _run(machine, _PLUG, link_name(machine.name, card), network.bridge, card.mac, address)


def unplug(machine: LxcMachine, card: NetworkInterface) -> None:
    """Take a card from the running container."""
    machine.host.run(["ip", "link", "del", link_name(machine.name, card)])  # it may be gone already


def set_way(machine: LxcMachine) -> None:
    """Have the running container know its way to other networks, with the cards that it has now."""
    networks = machine.host.lab.networks
    card = networks.way_on(machine.spec.interfaces)
    _run(machine, _WAY, networks[card.network].gateway if card else "")


def _run(machine: LxcMachine, script: str, *words: str) -> None:
    done = machine.host.run(["sh", "-c", script, "labkit", machine.name, *words])
    if not done.ok:
        raise EngineError(
            f"the network of {machine.name} could not be changed: {done.stderr.strip()[-300:]}",
            machine=machine.name, host=machine.host.name,
        )  # fmt: skip
