"""What may pass between a host and the outside: rules of nftables in its JSON form, and routes.

The rules are of a table of the lab's own. A packet that one table drops is dropped, whatever the tables
of libvirt and Docker let through. See libnftables-json(5). The default route is in a table that only
what comes from a network that leads out is looked up in: should somebody flush the rules of a host,
all else still has no route. See ip-rule(8).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

LINK = "uplink"
NETWORK = IPv4Network("198.18.127.0/29")  # the same on every host, for none sees that of another
GATEWAY, HOST, RESOLVER = (str(NETWORK[number]) for number in (1, 2, 3))
TABLE = "labkit-uplink"
ROUTES = "127"  # the number of the table of routes
_AFTER_MAIN = "40000"  # where the lab's own networks are found, and no default route
# This machine itself, what no router passes on, and the addresses of labs.
_NOWHERE = (
    IPv4Network("0.0.0.0/8"), IPv4Network("127.0.0.0/8"), IPv4Network("169.254.0.0/16"),
    IPv4Network("198.18.0.0/15"), IPv4Network("224.0.0.0/3"),
)  # fmt: skip

_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """Who gets out of a host, and to where.

    Attributes
    ----------
    bridges
        Of the networks that lead out: what comes from others stays.
    gateways
        The host's addresses on them, where their names are resolved.
    machine
        The addresses of the machine that the lab runs on, which are not outside.
    resolves
        Whether names may be asked for outside.
    """

    bridges: tuple[str, ...]
    gateways: tuple[IPv4Address, ...]
    machine: tuple[IPv4Address, ...] = ()
    resolves: bool = True

    def to_json(self) -> str:
        """What ``nft -j -f -`` understands; it takes the place of what there was, in one step."""
        return json.dumps({"nftables": [*removed(), *self._table()]})

    def _table(self) -> Iterable[_Json]:
        yield _add("table", name=TABLE)
        yield _add("set", table=TABLE, name="bridges", type="ifname", elem=list(self.bridges))
        nowhere = [_range(network) for network in _NOWHERE]
        yield _add("set", table=TABLE, name="nowhere", type="ipv4_addr", flags=["interval"], elem=nowhere)
        yield _named("machine", self.machine)
        yield _named("gateways", self.gateways)
        for hook, rules in (("forward", _FORWARD), ("output", self._output()), ("input", _INPUT)):
            yield _add(
                "chain", table=TABLE, name=hook, type="filter", hook=hook, prio=-10, policy="accept"
            )  # fmt: skip
            for rule in rules:
                yield _add("rule", table=TABLE, chain=hook, expr=rule)

    def _output(self) -> list[list[_Json]]:
        """What the host itself sends: no engine of it fetches anything, only names are asked for."""
        ask = [_is(_field("ip", "daddr"), RESOLVER), _is(_field("udp", "dport"), 53), _ACCEPT]
        return [[_is(_meta("oifname"), LINK, "!="), _ACCEPT], *([ask] if self.resolves else []), [_REFUSE]]


def removed() -> list[_Json]:
    """The commands after which there are no rules, whether there were any or not."""
    return [_add("table", name=TABLE), {"delete": {"table": {"family": "inet", "name": TABLE}}}]


def _add(kind: str, **fields: Any) -> _Json:
    empty = [name for name, value in fields.items() if name == "elem" and not value]
    return {"add": {kind: {"family": "inet", **{name: fields[name] for name in fields if name not in empty}}}}


def _named(name: str, addresses: tuple[IPv4Address, ...]) -> _Json:
    elements = sorted({str(address) for address in addresses})
    return _add("set", table=TABLE, name=name, type="ipv4_addr", elem=elements)


def _range(network: IPv4Network) -> _Json:
    return {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}


def _meta(key: str) -> _Json:
    return {"meta": {"key": key}}


def _field(protocol: str, field: str) -> _Json:
    return {"payload": {"protocol": protocol, "field": field}}


def _is(left: _Json, right: Any, op: str = "==") -> _Json:
    return {"match": {"op": op, "left": left, "right": right}}


_ACCEPT: _Json = {"accept": None}
_DROP: _Json = {"drop": None}
# As if there were no route, which is what it was before the way was opened.
_REFUSE: _Json = {"reject": {"type": "icmpx", "expr": "no-route"}}
_ANSWERS = _is({"ct": {"key": "state"}}, ["established", "related"], "in")
_FROM_OUTSIDE = _is(_meta("iifname"), LINK)
_ELSEWHERE = _is(_meta("iifname"), "@bridges", "!=")

_FORWARD: list[list[_Json]] = [
    [_FROM_OUTSIDE, _is(_meta("oifname"), "@bridges"), _ANSWERS, _ACCEPT],
    [_FROM_OUTSIDE, _DROP],
    [_is(_meta("oifname"), LINK, "!="), _ACCEPT],
    [_ELSEWHERE, _REFUSE],
    [_is(_meta("nfproto"), "ipv4", "!="), _REFUSE],
    [_is(_field("ip", "daddr"), "@nowhere"), _REFUSE],
    [_is(_field("ip", "daddr"), "@machine"), _REFUSE],
]
_INPUT: list[list[_Json]] = [
    [_FROM_OUTSIDE, _ANSWERS, _ACCEPT],
    [_FROM_OUTSIDE, _DROP],
    # Who is not on such a network does not get names from outside through it either.
    *(
        [_ELSEWHERE, _is(_field("ip", "daddr"), "@gateways"), _is(_field(protocol, "dport"), 53), _REFUSE]
        for protocol in ("udp", "tcp")
    ),
]


def routing(known: list[_Json], ways: Iterable[tuple[str, IPv4Network]]) -> list[str]:
    """The commands for ``ip -batch`` that lead to the link, given what ``ip -j rule show`` tells of its table.

    Parameters
    ----------
    ways
        The bridges and ranges of the networks that lead out.
    """
    # What has no interface is what the reverse path filter looks up, for answers from outside.
    wanted = {f"from {network} iif {link}" for bridge, network in ways for link in (bridge, "lo")}
    rules = _changes(known, wanted)
    return [
        f"link set {LINK} mtu 65520 up", f"addr replace {HOST}/{NETWORK.prefixlen} dev {LINK}",
        f"route replace default via {GATEWAY} dev {LINK} table {ROUTES}", *rules,
    ]  # fmt: skip


def no_routing(known: list[_Json]) -> list[str]:
    """The commands after which nothing leads to the link."""
    return _changes(known, set())


def _changes(known: list[_Json], wanted: set[str]) -> list[str]:
    there = {f"from {rule['src']}/{rule.get('srclen', 32)} iif {rule.get('iif', 'lo')}" for rule in known}
    tail = f"lookup {ROUTES} priority {_AFTER_MAIN}"
    gone = [f"rule del {rule} {tail}" for rule in sorted(there - wanted)]
    return [*gone, *(f"rule add {rule} {tail}" for rule in sorted(wanted - there))]
