"""Connections of machines to networks, for machines of every engine: made, changed and taken away while they run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import _wait
import pytest

from labkit import Lab
from labkit.errors import InvalidValue, NameInUse, NotEnough, NotFound, NotSupported
from labkit.machines.base import Machine
from labkit.machines.spec import NetworkInterface
from labkit.networks.network import Network

pytestmark = pytest.mark.core
until = partial(_wait.until, timeout_s=20)


@pytest.fixture(scope="module")
def dmz(lab: Lab, machine: Machine) -> Iterator[Network]:
    """A second network, with somebody on it who answers."""
    network = lab.networks.create("dmz", mode="isolated")
    peer = lab["alpha"].lxc.create("peer", networks=["dmz"])
    yield network
    peer.destroy()
    lab.networks.remove("dmz")


def reaches(machine: Machine, whom: str) -> bool:
    return machine.run(["ping", "-c", "1", "-W", "2", whom]).ok


def cards_inside(machine: Machine) -> set[str]:
    """The MAC addresses that the machine itself has, but that of its loopback."""
    told = machine.run(["sh", "-c", "cat /sys/class/net/*/address"], check=True).stdout.split()
    return set(told) - {"00:00:00:00:00:00"}


def test_attached_while_it_runs_it_is_there(machine: Machine, engine: Any, dmz: Network) -> None:
    """A running machine gets an address on a second network, reaches it by name, and goes again without a trace."""
    before = cards_inside(machine)
    assert not reaches(machine, "198.19.2.2")
    card = machine.attach("dmz")
    assert card.network == "dmz"
    assert machine.addresses == ("198.19.1.2", card.address)
    assert dmz.leases[machine.name] == card.address
    assert cards_inside(machine) == before | {card.mac}
    assert reaches(machine, "peer")
    assert dmz.check() == []
    assert engine[machine.name].spec.interfaces == machine.spec.interfaces
    with pytest.raises(NameInUse, match="already"):
        machine.attach("dmz")
    machine.detach("dmz")
    assert machine.addresses == ("198.19.1.2",)
    assert cards_inside(machine) == before
    assert machine.name not in dmz.leases
    assert not reaches(machine, "198.19.2.2")
    assert reaches(machine, "198.19.1.1")
    with pytest.raises(NotFound, match="not on"):
        machine.detach("dmz")
    assert dmz.check() == []


def test_a_chosen_address(machine: Machine, dmz: Network) -> None:
    """An address that is asked for is given; one that is taken, outside or the gateway's is refused without a trace."""
    card = machine.attach("dmz", address="198.19.2.77")
    try:
        assert card.address == "198.19.2.77"
        assert "198.19.2.77/24" in machine.run(["ip", "-4", "addr"]).stdout
    finally:
        machine.detach("dmz")
    for address, error in [
        ("198.19.2.2", NameInUse), ("198.19.2.1", InvalidValue), ("198.19.2.200", InvalidValue),
        ("198.19.3.5", InvalidValue), ("rubbish", InvalidValue), ("198.19.2.0", InvalidValue),
    ]:  # fmt: skip
        with pytest.raises(error) as caught:
            machine.attach("dmz", address=address)
        assert caught.value.hint
    assert machine.addresses == ("198.19.1.2",)
    assert list(dmz.leases) == ["peer"]


def test_a_chosen_mac(machine: Machine, dmz: Network) -> None:
    """A MAC address that is asked for is the card's, or the error says why this engine gives none."""
    mac = "52:54:00:c0:ff:ee"
    if machine.engine == "docker":
        with pytest.raises(NotSupported, match="MAC"):
            machine.attach("dmz", mac=mac)
    else:
        assert machine.attach("dmz", mac=mac).mac == mac
        assert mac in cards_inside(machine)
        machine.detach("dmz")
    for bad in ("53:54:00:c0:ff:ee", "52:54:00", "x", "00:00:00:00:00:00", "52:54:00:c0:ff:zz"):
        with pytest.raises((InvalidValue, NotSupported)):
            machine.attach("dmz", mac=bad)
    assert list(dmz.leases) == ["peer"]


@pytest.mark.slow
def test_what_is_attached_stays_when_it_starts_again(machine: Machine, engine: Any, dmz: Network) -> None:
    """A connection that was made live, or while it stood still, is there after a start; one that was taken is not."""
    machine.attach("dmz")
    machine.restart()
    assert reaches(machine, "peer")
    assert reaches(machine, "198.19.1.1")
    machine.stop()
    machine.detach("dmz")
    assert engine[machine.name].addresses == ("198.19.1.2",)
    machine.start()
    assert not reaches(machine, "198.19.2.2")
    machine.stop()
    machine.attach("dmz")
    machine.start()
    assert reaches(machine, "peer")
    machine.detach("dmz")


@pytest.mark.slow
def test_one_made_alone_is_connected_later(machine: Machine, engine: Any, dmz: Network) -> None:
    """A machine that was made without a network gets one, is known by name there, and asks there for names."""
    alone = engine.create("alone")
    try:
        alone.attach("dmz")
        assert alone.run(["nslookup", "peer.lab"]).stdout.count(dmz.leases["peer"]) == 1
        assert reaches(dmz_peer := engine.host.lab["alpha"].lxc["peer"], "alone"), dmz_peer
        alone.restart()
        assert reaches(alone, "peer")
    finally:
        alone.destroy()
    assert list(dmz.leases) == ["peer"]


def test_made_with_chosen_addresses(machine: Machine, engine: Any, dmz: Network) -> None:
    """`create` takes an address for each network, and gives all back if one cannot be had."""
    chosen = NetworkInterface("lan", address="198.19.1.40")
    made = engine.create("chosen", networks=[chosen, "dmz"])
    try:
        assert made.addresses == ("198.19.1.40", dmz.leases["chosen"])
        assert "198.19.1.40/24" in made.run(["ip", "-4", "addr"]).stdout
        assert reaches(made, "peer")
        with pytest.raises(NameInUse):
            engine.create("second", networks=["dmz", chosen])
    finally:
        made.destroy()
    assert list(dmz.leases) == ["peer"]


def test_a_link_goes_down_and_up(machine: Machine) -> None:
    """A link that is down carries nothing, says so, also after a start, and carries again when it is up."""
    assert str(machine.link("lan", up=False)) == "down"
    assert not machine.links["lan"].up
    until(lambda: not reaches(machine, "198.19.1.1"), "nothing goes through")
    machine.restart()
    assert not reaches(machine, "198.19.1.1")
    machine.link("lan", up=True)
    until(lambda: reaches(machine, "198.19.1.1"), "it goes through again")
    assert machine.links["lan"].up


SERVE = """
[ ! -e /tmp/www ] || exit 0
mkdir /tmp/www && dd if=/dev/zero of=/tmp/www/big bs=1M count=2 && httpd -p 5001 -h /tmp/www
"""
FETCH = """
read -r began _ </proc/uptime
wget -q -O - "http://$1:5001/big" | wc -c
read -r ended _ </proc/uptime
echo $began $ended
"""


def seconds_for_2_mib(source: Machine, target: Machine) -> float:
    """How long 2 MiB take from one to the other, by the receiver's clock."""
    source.run(["sh", "-c", SERVE], check=True)
    told = target.run(["sh", "-c", FETCH, "sh", source.addresses[0]], check=True).stdout.split()
    assert told[0] == str(2 * 2**20)
    return float(told[2]) - float(told[1])


def test_a_bandwidth_is_kept_to_in_both_directions(machine: Machine, engine: Any) -> None:
    """2 MiB at 8 Mbit/s take two seconds, sent and received; without the limit far less."""
    peer = engine.host.lxc.create("sink", networks=["lan"])
    try:
        assert str(machine.link("lan", bandwidth="8 Mbit/s")) == "up, 8 Mbit/s"
        for source, target in ((machine, peer), (peer, machine)):
            assert 1.6 < seconds_for_2_mib(source, target) < 4
        machine.link("lan", bandwidth=0)
        assert seconds_for_2_mib(peer, machine) < 1.2
        links = json.loads(engine.host.run(["ip", "-j", "link"]).stdout)
        assert not [link["ifname"] for link in links if link["ifname"].startswith("ifb")]
    finally:
        peer.destroy()


@pytest.mark.slow
def test_delay_or_its_reason(machine: Machine) -> None:
    """Where the kernel has NETEM a delay is seen twice in each round trip; where not, the error says so."""
    if not machine.host.run(["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "0ms"]).ok:
        with pytest.raises(NotSupported, match="NETEM"):
            machine.link("lan", delay="30 ms")
        machine.stop()
        with pytest.raises(NotSupported, match="NETEM"):
            machine.link("lan", delay="30 ms")
        machine.start()
        assert machine.links["lan"].delay_s == 0
        return
    machine.link("lan", delay="30 ms")
    told = machine.run(["ping", "-c", "3", "198.19.1.1"], check=True).stdout
    assert float(told.split("min/avg/max = ")[1].split("/")[0]) > 55
    machine.link("lan", delay=0)


@pytest.mark.parametrize(
    "bad", [{"bandwidth": "fast"}, {"bandwidth": -1}, {"delay": "long"}, {"loss": 2}, {"loss": "x"}]
)
def test_bad_links_are_refused(machine: Machine, bad: dict[str, Any]) -> None:
    """What is no limit is refused in words and changes nothing."""
    with pytest.raises(InvalidValue):
        machine.link("lan", **bad)
    with pytest.raises(NotFound):
        machine.link("nowhere", up=True)
    assert str(machine.links["lan"]) == "up"


def test_a_full_range(lab: Lab, machine: Machine) -> None:
    """When no address is left the error says so, and who asked is as before."""
    tiny = lab.networks.create("tiny", cidr="198.19.77.0/28", dhcp=False)
    owners = [lab.folder / "machines" / f"m{number}" for number in range(2, 15)]
    try:
        for owner in owners:
            owner.mkdir()
            tiny.reserve(owner.name)
        with pytest.raises(NotEnough, match="no address left"):
            machine.attach("tiny")
        assert machine.addresses == ("198.19.1.2",)
    finally:
        for owner in owners:
            owner.rmdir()
    lab.networks.remove("tiny")
