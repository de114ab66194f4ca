"""The way out, in what is pure: rules, routes, resolvers, options, XML."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree.ElementTree import fromstring, tostring

import pytest

from labkit.errors import InvalidValue
from labkit.networks import _record, _uplink
from labkit.networks._uplink_rules import GATEWAY, HOST, NETWORK, RESOLVER, TABLE, Rules, no_routing, removed, routing

ONE = Rules(("lab2",), (IPv4Address("198.19.2.1"),), (IPv4Address("192.0.2.2"),))


def commands(rules: Rules) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(rules.to_json())["nftables"]
    return found


def rules_of(rules: Rules, chain: str) -> list[list[dict[str, Any]]]:
    added = [command["add"]["rule"] for command in commands(rules) if "rule" in command.get("add", {})]
    return [rule["expr"] for rule in added if rule["chain"] == chain]


def sets_of(rules: Rules) -> dict[str, Any]:
    added = [command["add"]["set"] for command in commands(rules) if "set" in command.get("add", {})]
    return {each["name"]: each.get("elem", []) for each in added}


def test_rules_take_the_place_of_what_there_was() -> None:
    """The table is made and deleted before it is made anew, in one transaction, so there is never a moment without."""
    first, second, third = commands(ONE)[:3]
    assert [first, second] == removed()
    assert first == third == {"add": {"table": {"family": "inet", "name": TABLE}}}
    assert "delete" in second


def test_rules_name_bridges_and_addresses_as_elements() -> None:
    """What differs between labs is in sets; without elements a set is empty, and so lets nobody out."""
    assert sets_of(ONE)["bridges"] == ["lab2"]
    assert sets_of(ONE)["gateways"] == ["198.19.2.1"]
    assert sets_of(ONE)["machine"] == ["192.0.2.2"]
    assert sets_of(Rules((), ()))["bridges"] == []
    assert {"prefix": {"addr": "127.0.0.0", "len": 8}} in sets_of(ONE)["nowhere"]


def test_only_names_are_asked_for_by_the_host() -> None:
    """The host itself sends nothing but questions for names, and not even these where nobody answers them."""
    with_names, without = rules_of(ONE, "output"), rules_of(Rules(("lab2",), (), resolves=False), "output")
    assert len(with_names) == 3
    assert RESOLVER in json.dumps(with_names[1])
    assert without == [with_names[0], with_names[2]]
    assert "reject" in without[-1][-1]


def test_the_link_lies_where_labs_are_and_nothing_else_is() -> None:
    """The addresses of the link are a lab's, and no network can be made over them."""
    assert NETWORK.subnet_of(IPv4Network("198.18.0.0/15"))
    assert all(IPv4Address(address) in NETWORK for address in (GATEWAY, HOST, RESOLVER))
    with pytest.raises(InvalidValue, match="overlaps"):
        _record._choose_range("198.18.127.0/24", [])


def test_only_what_comes_from_a_network_that_leads_out_has_a_route() -> None:
    """Rules of routes that lack are added, those of networks that are gone are taken away, others stay."""
    known = [
        {"priority": 40000, "src": "198.19.2.0", "srclen": 24, "iif": "lab2", "iif_detached": None, "table": "127"},
        {"priority": 40000, "src": "198.19.9.0", "srclen": 24, "iif": "lo", "table": "127"},
    ]
    commands = routing(known, [("lab2", IPv4Network("198.19.2.0/24"))])
    assert commands[-2:] == [
        "rule del from 198.19.9.0/24 iif lo lookup 127 priority 40000",
        "rule add from 198.19.2.0/24 iif lo lookup 127 priority 40000",
    ]
    assert [command for command in commands if "default" in command] == [
        f"route replace default via {GATEWAY} dev uplink table 127"
    ]
    assert len(no_routing(known)) == 2
    assert no_routing([]) == []


def test_routes_tell_what_the_machine_is() -> None:
    """Local addresses, networks and the default route are told apart; a blackhole is no way out."""
    told = [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"type": "local", "dst": "192.0.2.2", "dev": "eth0", "table": "local"},
        {"type": "local", "dst": "127.0.0.0/8", "dev": "lo", "table": "local"},
        {"type": "broadcast", "dst": "192.0.2.255", "dev": "eth0", "table": "local"},
    ]
    machine = _uplink.read_routes(told)
    assert machine.addresses == (IPv4Address("192.0.2.2"),)
    assert IPv4Network("192.0.2.0/24") in machine.networks
    assert machine.has_default
    assert not _uplink.read_routes(told[1:]).has_default
    assert not _uplink.read_routes([{"type": "blackhole", "dst": "default"}]).has_default
    assert _uplink.read_routes([{"dst": "rubbish"}, {}]).networks == ()


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("nameserver 192.0.2.53\n", True), ("search lab\nnameserver 127.0.0.53\noptions edns0\n", True),
        ("nameserver 2001:db8::53\n", False), ("# nameserver 192.0.2.53\n", False), ("nameserver\n", False),
        ("nameserver \n", False), ("", False), ("nameserver fe80::1%eth0\nnameserver 192.0.2.53\n", True),
    ],
)  # fmt: skip
def test_a_resolver_is_one_that_pasta_can_ask(tmp_path: Path, text: str, there: bool) -> None:
    """A line of resolv.conf counts if it names an IPv4 address."""
    (tmp_path / "resolv.conf").write_text(text)
    assert _uplink.has_resolver(tmp_path / "resolv.conf") is there
    assert not _uplink.has_resolver(tmp_path / "missing")


@pytest.mark.parametrize("mode", ["isolated", "routed", "bridge"])
def test_only_nat_leads_out(mode: str) -> None:
    """A way out needs translated addresses."""
    _uplink.check_mode("nat", uplink=True)
    _uplink.check_mode(mode, uplink=False)
    with pytest.raises(InvalidValue, match=mode):
        _uplink.check_mode(mode, uplink=True)


@pytest.mark.parametrize("xml", ["<network/>", "<network><dns><host ip='198.19.1.2'/></dns></network>"])
def test_names_are_asked_for_beside_what_dns_has_already(xml: str) -> None:
    """libvirt's description gets one forwarder, in the one element that it has for names."""
    network = fromstring(xml)
    _uplink.lead_names_out(network)
    assert len(network.findall("dns")) == 1
    assert tostring(network, encoding="unicode").count(f'<forwarder addr="{RESOLVER}"') == 1


@pytest.mark.parametrize(("uid", "help_text"), [(0, "--stderr"), (1000, "")])
def test_pasta_lets_nothing_in(monkeypatch: pytest.MonkeyPatch, uid: int, help_text: str) -> None:
    """No port is forwarded either way and the machine is not mapped; root stays root, old versions log to stderr."""
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setattr("labkit.hosts._checks.run", lambda argv: SimpleNamespace(stdout="", stderr=help_text))
    words = _uplink.options("pasta", names=False)
    for option in ("--tcp-ports", "--udp-ports", "--tcp-ns", "--udp-ns"):
        assert words[words.index(option) + 1] == "none"
    assert {"--no-map-gw", "--ipv4-only", "--foreground"} <= set(words)
    assert "--config-net" not in words
    assert "--dns-forward" not in words
    assert ("--runas" in words) == (uid == 0)
    assert ("--stderr" in words) == bool(help_text)
