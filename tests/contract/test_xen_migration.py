"""Machines of Xen's that move between two Xens: one while it runs, one that cannot, and one that stands still."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from _lab import lab_of
from _xen import PATIENCE_S

from labkit import Lab, Xen
from labkit.errors import InvalidState
from labkit.machines._xen_machine import XenMachine
from labkit.machines.spec import State

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("xen")]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Two hosts that boot Xen, and a network that is homed on neither."""
    with lab_of(["near", Xen("xena"), Xen("xenb")]) as made:
        made.networks.create("lan", host="near")
        yield made


@pytest.fixture(scope="module")
def fixed(lab: Lab) -> XenMachine:
    """A paravirtual machine, which a moved one must still reach."""
    return lab["xena"].xen.create("fixed", kind="pv", memory="112 MiB", networks=["lan"], timeout_s=PATIENCE_S)


def on(lab: Lab, host: str) -> set[str]:
    listed = lab[host].run(["xl", "list"], check=True).stdout.splitlines()[2:]
    return {line.split()[0] for line in listed}


def test_a_pvh_machine_moves_while_it_runs(lab: Lab, fixed: XenMachine) -> None:
    """Its memory, its disk and its address come along, there and back, and Xen has it on one host at a time."""
    web = lab["xena"].xen.create("web", networks=["lan"], timeout_s=PATIENCE_S)
    web.run(["sh", "-c", "echo in memory >/run/note; echo on disk >/root/note"], check=True)
    for source, target in (("xena", "xenb"), ("xenb", "xena")):
        assert web.migration_plan(lab[target]).possible
        move = web.migrate(lab[target], timeout_s=PATIENCE_S)
        move.wait()
        assert (web.host.name, web.refresh()) == (target, State.RUNNING)
        assert "web" in on(lab, target)
        assert "web" not in on(lab, source)
        assert web.run(["cat", "/run/note", "/root/note"]).stdout == "in memory\non disk\n"
        assert web.run(["ping", "-c", "1", "-W", "10", "fixed"]).ok
    web.destroy()


def test_a_pv_machine_moves_only_while_it_stands_still(lab: Lab, fixed: XenMachine) -> None:
    """The plan says so; paused, it goes with its memory."""
    plan = fixed.migration_plan(lab["xenb"])
    assert not plan.possible
    assert "live=False" in f"{plan.obstacles[0].what} {plan.obstacles[0].hint}"
    with pytest.raises(InvalidState, match="paravirtual"):
        fixed.migrate(lab["xenb"])
    fixed.run(["sh", "-c", "echo in memory >/run/note"], check=True)
    fixed.migrate(lab["xenb"], live=False, timeout_s=PATIENCE_S).wait()
    assert on(lab, "xenb") == {"fixed"}
    assert fixed.run(["cat", "/run/note"]).stdout == "in memory\n"


def test_one_that_is_switched_off_moves_too(lab: Lab, fixed: XenMachine) -> None:
    """Nothing of it is copied, for both hosts reach its disk; it starts over there."""
    fixed.run(["sh", "-c", "echo on disk >/root/note; sync"], check=True)
    fixed.stop(timeout_s=PATIENCE_S)
    fixed.migrate(lab["xena"], timeout_s=PATIENCE_S).wait()
    fixed.start(timeout_s=PATIENCE_S)
    assert on(lab, "xena") == {"fixed"}
    assert fixed.run(["cat", "/root/note"]).stdout == "on disk\n"
