"""Ranges, addresses and links, without a lab."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest

from labkit._values import format_rate, parse_rate
from labkit.errors import InvalidValue, NameInUse, NotEnough
from labkit.networks import _routes
from labkit.networks._record import Record, Records
from labkit.networks.link import Link

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t000013C6\t00000000\t0001\t0\t0\t0\t00FCFFFF\t0\t0\t0
"""


def record(name: str = "lan", cidr: str = "", **more: Any) -> Record:
    return Record(name, "nat", cidr, 0, "alpha", **more)


def test_the_machines_own_ranges_are_read(tmp_path: Path) -> None:
    """The ranges that the machine has routes to are known, but not the way to everywhere."""
    table = tmp_path / "route"
    table.write_text(ROUTES)
    assert [str(net) for net in _routes.of_this_machine(table)] == ["192.168.2.0/24", "198.19.0.0/22"]
    assert _routes.of_this_machine(tmp_path / "none") == []


def test_no_range_of_the_machine_is_given_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first free range is beyond those of the machine; one inside of them is refused in words."""
    monkeypatch.setattr(_routes, "of_this_machine", lambda: [ipaddress.IPv4Network("198.19.0.0/22")])
    records = Records(tmp_path / "networks")
    assert records.add(record(), None).cidr == "198.19.4.0/24"
    with pytest.raises(InvalidValue, match="this machine has a route"):
        records.add(record("other"), "198.19.2.0/24")
    assert records.names() == ["lan"]


def test_numbers_and_ranges_are_the_same_each_time(tmp_path: Path) -> None:
    """What is made in the same order has the same ranges, numbers, addresses and MACs in every lab of a name."""

    def made(place: str) -> list[tuple[Any, ...]]:
        records = Records(tmp_path / place)
        several = [records.add(record(name), None) for name in ("one", "two", "three")]
        return [(each.cidr, each.number, each.allot("demo")) for each in several]

    assert made("a") == made("b")
    assert len({lease["mac"] for _, _, lease in made("c")}) == 3


def test_without_dhcp_all_of_the_range_is_for_machines() -> None:
    """Without DHCP no half is kept for who asks by it."""
    assert len(list(record(cidr="198.19.1.0/28", dhcp=False).machines_addresses())) == 13
    assert len(list(record(cidr="198.19.1.0/28").machines_addresses())) == 6


def test_a_full_range_and_what_is_taken() -> None:
    """When all addresses are given out the error says so; an address or a MAC that another has is refused."""
    lan = record(cidr="198.19.1.0/28")
    for number in range(6):
        lan.leases[f"m{number}"] = lan.allot("demo")
    with pytest.raises(NotEnough, match="no address left"):
        lan.allot("demo")
    with pytest.raises(NameInUse, match="m0"):
        lan.allot("demo", "198.19.1.2")
    del lan.leases["m5"]
    with pytest.raises(NameInUse, match="m0"):
        lan.allot("demo", mac=lan.leases["m0"]["mac"].upper())
    assert lan.allot("demo", mac="52:54:00:AA:BB:CC")["mac"] == "52:54:00:aa:bb:cc"


@pytest.mark.parametrize(
    ("words", "rate"),
    [
        ("10 Mbit/s", 10_000_000), ("1.5Gbit", 1_500_000_000), ("64 kbps", None), ("64 kbit", 64_000), (8000, 8000),
        (7999, None), ("fast", None), (True, None), ("-1 Mbit/s", None), (float("nan"), None),
    ],
)  # fmt: skip
def test_rates(words: Any, rate: int | None) -> None:
    """Bits per second in words or as a number; what is none is refused."""
    if rate is None:
        with pytest.raises(InvalidValue):
            parse_rate(words)
    else:
        assert parse_rate(words) == rate


def test_rates_in_words() -> None:
    """Three digits and a unit."""
    assert [format_rate(rate) for rate in (800, 64_000, 94_123_000, 6.93e9)] == [
        "800 bit/s", "64 kbit/s", "94.1 Mbit/s", "6.93 Gbit/s",
    ]  # fmt: skip


def test_links_change_by_what_is_given() -> None:
    """What is not given stays; 0 lifts; what is none is refused."""
    link = Link().changed(bandwidth="10 Mbit/s", delay="20 ms", loss=0.05)
    assert str(link) == "up, 10 Mbit/s, delay 20 ms, loss 5 %"
    assert str(link.changed(up=False, delay=0)) == "down, 10 Mbit/s, loss 5 %"
    assert link.changed(bandwidth=0, delay=0, loss=0) == Link()
    for bad in ({"loss": 1.1}, {"loss": True}, {"delay": "1 h"}, {"delay": -1}, {"bandwidth": "x"}):
        with pytest.raises(InvalidValue):
            link.changed(**bad)  # type: ignore[arg-type]
