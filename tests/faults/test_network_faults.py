"""Networks when something goes behind the library's back, or dies while a machine is connected."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _wait import until
from _world import VICTIM

from labkit import Lab
from labkit.hosts.base import ENGINES
from labkit.machines.base import Machine

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("network faults")]


@pytest.fixture(scope="module", autouse=True)
def dmz(lab: Lab) -> None:
    """A second network, which machines are put on."""
    lab.networks.create("dmz", "isolated")


@pytest.fixture(scope="module", params=ENGINES)
def machine(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Machine]:
    """A machine of each engine on lan."""
    made: Machine = getattr(lab["alpha"], request.param).create("web", networks=["lan"])
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def far(lab: Lab) -> Iterator[Machine]:
    """A container on another host."""
    made = lab["beta"].lxc.create("far", networks=["lan"])
    yield made
    made.destroy()


def reaches(source: Machine, target: str) -> bool:
    return source.run(["ping", "-c", "1", "-W", "2", target]).ok


def test_a_killed_dnsmasq_is_seen_and_mended(lab: Lab, machine: Machine) -> None:
    """When DHCP and DNS have ended, `check` says so in words, and after `repair` names are known again."""
    lan, alpha = lab.networks["lan"], lab["alpha"]
    assert lan.check() == []
    alpha.run(["sh", "-c", 'kill -9 "$(cat /run/libvirt/network/lan.pid)"'], check=True)
    until(lan.check, "it is seen")
    assert "dnsmasq" in lab.networks.check()["lan"][0]
    assert "dnsmasq" in lan._repr_mimebundle_()["text/html"]
    assert lan.repair() == ["lan on alpha: nobody serves DHCP and DNS (dnsmasq has ended)"]
    assert lan.check() == []
    until(lambda: machine.run(["nslookup", "web.lab"]).ok, "names are known again")
    assert lan.repair() == []


def test_a_removed_bridge_is_made_anew(lab: Lab, machine: Machine, far: Machine) -> None:
    """A bridge that was removed by hand comes back with everybody on it, the other host too."""
    lan, alpha = lab.networks["lan"], lab["alpha"]
    assert reaches(machine, "far")
    alpha.run(["ip", "link", "del", lan.bridge], check=True)
    assert any("bridge is not there" in fault for fault in lan.check())
    assert not reaches(machine, far.addresses[0])
    assert lan.repair()
    assert lan.check() == []
    assert reaches(machine, "far")
    assert reaches(far, "web")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["ip", "link", "set", "lab1", "down"], "bridge is down"),
        (["ip", "addr", "flush", "dev", "lab1"], "lost its address"),
        (["ip", "link", "del", "vx1"], "not joined"),
        (["ip", "link", "set", "vx1", "nomaster"], "not joined"),
        (["bridge", "fdb", "del", "00:00:00:00:00:00", "dev", "vx1", "dst", "198.18.0.2"], "not joined"),
        (["virsh", "-q", "-c", "qemu+unix:///system?socket=SOCKET", "net-destroy", "lan"], "not there"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value[1:3]),
)
def test_what_was_done_by_hand_is_mended(lab: Lab, far: Machine, command: list[str], said: str) -> None:
    """Each thing that somebody can take from a network is said, and put back."""
    lan, alpha = lab.networks["lan"], lab["alpha"]
    near = alpha.lxc.create("near", networks=["lan"])
    try:
        socket = str((alpha.sockets / "libvirt.sock").resolve())
        alpha.run([word.replace("SOCKET", socket) for word in command], check=True)
        assert any(said in fault for fault in lan.check()), lan.check()
        lan.repair()
        assert lan.check() == []
        assert reaches(near, "far")
        assert reaches(far, "near")
    finally:
        near.destroy()


def test_a_machine_taken_from_its_bridge(lab: Lab, machine: Machine) -> None:
    """A machine whose link was taken off the bridge is named, and put back."""
    lan = lab.networks["lan"]
    lab["alpha"].run(["ip", "link", "set", machine.host_link("lan"), "nomaster"], check=True)
    assert lan.check() == ["lan on alpha: web is not connected to its bridge"]
    lan.repair()
    assert reaches(machine, lan.gateway)


ATTACH = (
    VICTIM
    + """
machine = next(one for one in alpha.machines() if one.name == "web")
machine.attach("dmz")
"""
)


@pytest.mark.parametrize(
    ("where", "when"),
    [
        pytest.param("labkit.networks.network:Network.reserve", "after", marks=pytest.mark.slow),
        pytest.param("labkit.networks.network:Network.announce", "after", marks=pytest.mark.slow),
        ("CLASS.plug", "after"),
        ("CLASS.connected", "before"),
        pytest.param("CLASS.connected", "after", marks=pytest.mark.slow),
    ],
)
def test_killed_while_it_connects(
    lab: Lab, machine: Machine, python: Callable[..., subprocess.Popen[str]], where: str, when: str
) -> None:
    """Killed at any step of `attach`, a process leaves a machine that can be connected, or taken off, as ever."""
    place = where.replace("CLASS", f"{type(machine).__module__}:{type(machine).__name__}")
    victim = python(ATTACH, lab.name, place, when)
    assert victim.wait(60) == -signal.SIGKILL, victim.communicate()[1]
    victim.communicate()
    alpha, dmz = lab["alpha"], lab.networks["dmz"]
    until(lambda: not list((lab.folder / "machines" / "web").glob("attaching-*")), "what it began is undone", 30)
    again: Any = next(one for one in alpha.machines() if one.name == "web")
    if any(card.network == "dmz" for card in again.spec.interfaces):
        again.detach("dmz")
    dmz.repair()
    assert again.attach("dmz").address == "198.19.2.2"
    assert reaches(again, dmz.gateway)
    again.detach("dmz")
    assert dmz.leases == {}
    assert dmz.check() == []
