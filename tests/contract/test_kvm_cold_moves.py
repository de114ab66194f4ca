"""What holds when a QEMU machine moves cold to another host: stopped, described there, started."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from _wait import until

from labkit import Lab
from labkit.errors import InvalidState, NotFound
from labkit.machines._kvm_machine import KvmMachine
from labkit.machines.base import MOVING
from labkit.machines.spec import State

LONG_S = 200

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("machine-kvm")]


@pytest.fixture
def web(lab: Lab) -> Iterator[KvmMachine]:
    """A running machine on alpha with two snapshots: of a file, and of what is in its memory besides."""
    machine = lab["alpha"].kvm.create("web", networks=["lan"])
    for name in ("second", "first"):
        machine.run(["sh", "-c", f"echo {name} >/root/note; echo {name} >/run/note; sync"], check=True)
        machine.snapshot(name)
    yield machine
    machine.destroy()
    assert lab.machines() == []
    assert where(lab) == []


def where(lab: Lab) -> list[tuple[str, str, bool]]:
    """Which hosts' libvirts know which machines, and whether these run; without templates."""
    return [
        (host.name, domain.name(), bool(domain.isActive()))
        for host in lab for domain in host.kvm.connection().listAllDomains() if "template" not in domain.name()
    ]  # fmt: skip


@pytest.mark.slow
def test_with_snapshots_it_moves_cold(lab: Lab, web: KvmMachine) -> None:
    """`move` stops it and starts it there with its files, name, address and snapshots, and back again."""
    plan = web.migration_plan(lab["beta"])
    assert not plan.possible
    assert any("snapshots" in one.what and "move(to)" in one.hint for one in plan.obstacles)
    with pytest.raises(InvalidState, match="snapshots"):
        web.migrate(lab["beta"])
    disk, names = web.disk(), web.snapshots()
    web.run(["sh", "-c", "echo now >/root/note; sync"], check=True)
    for name, left in (("beta", "alpha"), ("alpha", "beta")):
        result = web.move(lab[name], auto_converge=True).wait(LONG_S)
        assert (result.way, result.source, result.destination) == ("cold: stopped, started there", left, name)
        assert result.downtime_ms > 0
        assert where(lab) == [(name, "web", True)]
        assert lab.machines() == [web]
        assert (web.host.name, web.state, web.disk()) == (name, State.RUNNING, disk)
        assert web.run(["sh", "-c", "cat /root/note; hostname"]).stdout == "now\nweb\n"
        assert web.addresses[0] in web.run(["ip", "-o", "-4", "addr"]).stdout
        assert web.snapshots() == names
        assert not (web.notes / MOVING).exists()
        with pytest.raises(NotFound):
            lab[left].kvm["web"]
    web.move(lab["beta"], watch=False).wait(LONG_S)
    for name in names:
        web.revert(name)
        assert web.run(["cat", "/root/note", "/run/note"]).stdout == f"{name}\n{name}\n"
    web.snapshot("third")
    assert web.snapshots()[-1] == "third"


@pytest.mark.slow
def test_at_rest_with_snapshots(lab: Lab, web: KvmMachine) -> None:
    """Stopped, it stays stopped, and starts there with all it had."""
    web.stop()
    moved = web.move(lab["beta"])
    assert moved.plan.way == "cold: at rest, only its description moves"
    assert moved.wait(LONG_S).downtime_ms == 0
    assert where(lab) == [("beta", "web", False)]
    assert web.refresh() is State.STOPPED
    web.start()
    assert web.run(["cat", "/root/note"]).stdout == "first\n"
    web.revert("second")
    assert web.run(["cat", "/run/note"]).stdout == "second\n"


@pytest.mark.slow
def test_the_hosts_do_not_reach_each_other(lab: Lab) -> None:
    """Where memory has no way to go, it is stopped and started there all the same."""
    box = lab["alpha"].kvm.create("box")
    beta = lab["beta"]
    try:
        beta.run(["ip", "link", "set", "eth0", "down"], check=True)
        result = box.move(beta).wait(LONG_S)
        assert result.way == "cold: stopped, started there"
        assert where(lab) == [("beta", "box", True)]
    finally:
        beta.run(["ip", "link", "set", "eth0", "up"], check=True)
        box.destroy()


@pytest.mark.slow
def test_a_paused_one_with_snapshots_stays(lab: Lab, web: KvmMachine) -> None:
    """It would have to be stopped, which a paused one is not: the error is that of the live way."""
    web.pause()
    with pytest.raises(InvalidState, match="snapshots"):
        web.move(lab["beta"])
    web.resume()
    until(lambda: web.refresh() is State.RUNNING, "it runs")
    assert where(lab) == [("alpha", "web", True)]
