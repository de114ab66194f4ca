"""What joins the bridges of a network on several hosts: VXLAN, or a VLAN on the wire between them."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Interface, IPv4Network
from typing import TYPE_CHECKING

from ..errors import EngineError, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..hosts.base import Host
    from ._record import Record

_VXLAN_PORT = "4789"
_WIRE = "eth0"  # a host's link to the others
_EVERYBODY = "00:00:00:00:00:00"


def link_of(record: Record) -> str:
    """The name of the link that leads to the other hosts."""
    return f"{'vlan' if record.vlan else 'vx'}{record.number}"


def taken(host: Host) -> tuple[list[int], list[IPv4Network]]:
    """Numbers of bridges, and ranges, that a host has which other labs may use; nothing of one that is this lab's."""
    if not host.outlives_lab:
        return [], []
    links = json.loads(host.run(["ip", "-j", "addr"], check=True).stdout)
    numbers = [int(link["ifname"][3:]) for link in links if re.fullmatch(r"lab\d+", link["ifname"])]
    addresses = [address for link in links for address in link["addr_info"] if address["family"] == "inet"]
    return numbers, [IPv4Interface(f"{address['local']}/{address['prefixlen']}").network for address in addresses]


def check(record: Record, host: Host, others: list[Host]) -> None:
    """Raise `NotSupported` unless the network can join `host` to the others."""
    if record.vlan and host.provider != "namespace":
        raise NotSupported(
            f"{host.name} is not on the wire of the lab's other hosts, so frames with a tag do not reach it",
            host=host.name, hint="leave vlan out: hosts are joined by VXLAN then",
        )  # fmt: skip
    apart = next((one for one in others if not host.wire or one.wire != host.wire), None)
    if apart:
        raise NotSupported(
            f"{record.name} would join {host.name} and {apart.name}, which no network of the lab's connects",
            host=host.name, hint="each can have a network for its own machines: create(…, host=…)",
        )  # fmt: skip


def join(record: Record, bridge: str, host: Host, others: list[Host]) -> None:
    """Connect the bridge of `host` to those of `others`, and theirs to it."""
    if record.vlan:
        _tag(record, bridge, host)
    elif others:
        for one in [host, *others]:
            _tunnel(record, bridge, one, [other for other in [host, *others] if other is not one])


def _exists(host: Host, link: str) -> bool:
    return host.run(["ip", "link", "show", link]).ok


def _plug(host: Host, link: str, bridge: str) -> None:
    host.run(["ip", "link", "set", link, "master", bridge, "up"], check=True)


def _tag(record: Record, bridge: str, host: Host) -> None:
    """Have frames leave and enter by the wire between hosts with the network's tag (IEEE 802.1Q)."""
    link = link_of(record)
    if not _exists(host, link):
        words = ["ip", "link", "add", "link", _WIRE, "name", link, "type", "vlan", "id", str(record.vlan)]
        done = host.run(words)
        if "Unknown device type" in done.stderr:
            raise NotSupported(
                "this kernel has no VLANs (8021q)", host=host.name,
                hint="leave vlan out: hosts are joined by VXLAN then; or load the module with: modprobe 8021q",
            )  # fmt: skip
        if not done.ok:
            raise EngineError(f"the VLAN {record.vlan} could not be made: {done.stderr.strip()}", host=host.name)
    _plug(host, link, bridge)


def _tunnel(record: Record, bridge: str, host: Host, peers: list[Host]) -> None:
    """Have a VXLAN (RFC 7348) between `host` and its peers, over the backbone."""
    link = link_of(record)
    if not _exists(host, link):
        host.when_leaving(link, ["ip", "link", "del", link])
        host.run(
            ["ip", "link", "add", link, "type", "vxlan", "id", str(record.number), "local", host.address,
             "dstport", _VXLAN_PORT], check=True,
        )  # fmt: skip
    _plug(host, link, bridge)
    for peer in strangers(host, link, peers):  # one flooding entry each: broadcasts reach every host of the network
        host.run(["bridge", "fdb", "append", _EVERYBODY, "dev", link, "dst", peer.address])


def strangers(host: Host, link: str, peers: Iterable[Host]) -> list[Host]:
    """Those of the peers to which the VXLAN `link` of `host` sends no broadcasts."""
    # What it has learned of a peer's machines is there, too, and says nothing of broadcasts.
    known = [line.split() for line in host.run(["bridge", "fdb", "show", "dev", link]).stdout.splitlines()]
    flooded = {words[words.index("dst") + 1] for words in known if words[0] == _EVERYBODY and "dst" in words}
    return [peer for peer in peers if peer.address not in flooded]


def leave(record: Record, host: Host) -> None:
    """Take the link to the other hosts away."""
    host.run(["ip", "link", "del", link_of(record)])
    host.when_leaving(link_of(record))


def lead_to(record: Record, home: Host, others: Iterable[Host]) -> None:
    """Have the other hosts know that a routed network lies behind its home."""
    for host in others:
        if host.wire and host.wire == home.wire:
            host.when_leaving(_route(record), ["ip", "route", "del", record.cidr])
            host.run(["ip", "route", "replace", record.cidr, "via", _next_hop(host, home.address)], check=True)


def _next_hop(host: Host, address: str) -> str:
    """Whom `host` hands over what is for an address: a virtual machine's carrier, or whose it is."""
    words = host.run(["ip", "-oneline", "route", "get", address], check=True).stdout.split()
    return words[words.index("via") + 1] if "via" in words else address


def lead_nowhere(record: Record, others: Iterable[Host]) -> None:
    """Have the other hosts forget the way to a routed network."""
    for host in others:
        if host.wire:
            host.run(["ip", "route", "del", record.cidr])
            host.when_leaving(_route(record))


def _route(record: Record) -> str:
    return f"route-{record.name}"
