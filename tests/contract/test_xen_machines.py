"""Xen machines on a real Xen: a paravirtual one and a PVH one beside each other, seen from both sides."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import _wait
import pytest
from _lab import lab_of
from _xen import PATIENCE_S

from labkit import Lab, Xen
from labkit.errors import InvalidState, InvalidValue, LabError, NameInUse, NotEnoughMemory, NotFound, NotSupported
from labkit.machines._xen_machine import XenMachine
from labkit.machines.spec import State

pytestmark = [pytest.mark.timeout(2400), pytest.mark.xdist_group("xen")]
wait_until = partial(_wait.until, timeout_s=120)
REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab with a host that boots Xen, beside one in namespaces."""
    with lab_of(["near", Xen("xena")]) as made:
        made.networks.create("lan", host="xena")
        yield made


@pytest.fixture(scope="module")
def pvh(lab: Lab) -> XenMachine:
    return lab["xena"].xen.create("web", networks=["lan"], timeout_s=PATIENCE_S)


@pytest.fixture(scope="module")
def pv(lab: Lab) -> XenMachine:
    return lab["xena"].xen.create("old", kind="pv", memory="112 MiB", networks=["lan"], timeout_s=PATIENCE_S)


def xl(lab: Lab, *words: str) -> str:
    """What Xen's own tool says in domain 0."""
    return lab["xena"].run(["xl", *words], check=True).stdout


def test_each_kind_is_what_it_says(lab: Lab, pvh: XenMachine, pv: XenMachine) -> None:
    """The guests know what they are, run the image's root file system, and Xen lists them beside domain 0."""
    for machine, kind in ((pvh, "PVH"), (pv, "PV")):
        told = machine.run(["cat", "/sys/hypervisor/type", "/sys/hypervisor/guest_type", "/etc/hostname"], check=True)
        assert told.stdout.split() == ["xen", kind, machine.name]
        assert machine.state is State.RUNNING
    listed = {line.split()[0]: line.split()[2] for line in xl(lab, "list").splitlines()[1:]}
    assert listed.keys() == {"Domain-0", "web", "old"}
    assert abs(int(listed["web"]) - 128) <= 1
    assert [machine.name for machine in lab.machines()] == ["old", "web"]


def test_they_meet_on_a_network(pvh: XenMachine, pv: XenMachine) -> None:
    """Each reaches the other by its name."""
    assert pvh.run(["ping", "-c", "1", "-W", "10", "old"]).ok
    assert pv.run(["ping", "-c", "1", "-W", "10", "web"]).ok


@pytest.mark.parametrize("name", ["web", "old"])
def test_pause_stops_it_and_xen_knows(lab: Lab, pvh: XenMachine, pv: XenMachine, name: str) -> None:
    """A paused machine is paused for Xen, too, refuses commands, and goes on."""
    machine = {"web": pvh, "old": pv}[name]
    machine.pause()
    assert machine.refresh() is State.PAUSED
    assert xl(lab, "list", name).splitlines()[1].split()[4][2] == "p"
    with pytest.raises(InvalidState, match="paused"):
        machine.run(["true"])
    machine.resume()
    assert machine.run(["true"]).ok


def test_the_scheduler_gets_weight_and_cap(pvh: XenMachine) -> None:
    """Limits are those of Xen's scheduler; what makes no sense is refused."""
    pvh.limits(cpus=0.5, weight=512)
    assert pvh.scheduling() == {"weight": 512, "cap": 50}
    pvh.limits()
    assert pvh.scheduling() == {"weight": 512, "cap": 0}
    for wrong in ({"cpus": -1}, {"weight": 0}, {"weight": True}, {"weight": 70_000}):
        with pytest.raises(InvalidValue):
            pvh.limits(**wrong)  # type: ignore[arg-type]


@pytest.mark.slow
def test_memory_and_processors_change_live(lab: Lab, pvh: XenMachine) -> None:
    """The guest gives memory back, and sees a second processor come and go."""
    pvh.resize(memory="100 MiB")
    wait_until(lambda: int(xl(lab, "list", "web").splitlines()[1].split()[2]) <= 101)
    pvh.resize(memory="128 MiB")
    wait_until(lambda: int(xl(lab, "list", "web").splitlines()[1].split()[2]) >= 127)
    for count in (2, 1):
        pvh.resize(vcpus=count)
        wait_until(lambda count=count: pvh.run(["nproc"]).stdout == f"{count}\n")
    with pytest.raises(InvalidValue):
        pvh.resize(memory="1 GiB")
    with pytest.raises(InvalidValue):
        pvh.resize(vcpus=0)


def test_counters_of_all_come_together(lab: Lab, pvh: XenMachine, pv: XenMachine) -> None:
    """A reading has every machine, and disk and network count."""
    pvh.run(["sh", "-c", "dd if=/dev/urandom of=/root/data bs=64k count=4 conv=fsync; ping -c 1 old"], check=True)
    sample = pvh.stats()
    assert sample.cpu_seconds > 0
    assert sample.disk_written_bytes >= 256 * 1024
    assert sample.sent_bytes > 0
    found: dict[str, object] = {}
    wait_until(lambda: found.update(lab["xena"].xen.samples()) or found.keys() == {"web", "old"})


@pytest.mark.slow
def test_the_console_has_history_and_a_keyboard(pv: XenMachine) -> None:
    """What is typed on Xen's console is done inside."""
    with pv.console() as console:
        console.write("echo $((6*7))-here\n")
        assert "42-here" in console.expect("42-here", timeout_s=120)


def test_what_cannot_be_is_refused(lab: Lab, pvh: XenMachine) -> None:
    """Bad input, a name that is taken, too much memory, a host without Xen: each has its error."""
    xen = lab["xena"].xen
    with pytest.raises(InvalidValue):
        xen.create("x", kind="kvm")
    with pytest.raises(InvalidValue):
        xen.create("x", vcpus=0)
    with pytest.raises(InvalidValue, match="too little"):
        xen.create("x", memory="8 MiB")
    with pytest.raises(NotEnoughMemory, match="free"):
        xen.create("x", memory="64 GiB")
    with pytest.raises(NameInUse):
        xen.create("web")
    with pytest.raises(NotFound):
        xen.create("x", networks=["nowhere"])
    with pytest.raises(NotFound):
        _ = xen["Domain-0".lower()]
    with pytest.raises(NotSupported, match="does not boot Xen"):
        _ = lab["near"].xen
    plan = pvh.migration_plan(lab["near"])
    assert not plan.possible
    assert "does not boot Xen" in plan.obstacles[0].what
    assert pvh.run(["true"]).ok


@pytest.mark.slow
def test_one_that_rebooted_by_itself_is_not_saved(pvh: XenMachine) -> None:
    """Its disk might not come back, so it is refused before anything is done; begun by labkit it has snapshots."""
    boot = ["cat", "/proc/sys/kernel/random/boot_id"]
    before = pvh.run(boot, check=True).stdout
    pvh.run(["sh", "-c", "(sleep 1; reboot -f) >/dev/null 2>&1 &"], check=True)

    def is_up_again() -> bool:
        with contextlib.suppress(LabError):
            return pvh.run(boot, timeout_s=30, check=True).stdout != before
        return False

    wait_until(is_up_again, "it has rebooted", timeout_s=PATIENCE_S)
    with pytest.raises(NotSupported, match="rebooted by itself") as refused:
        pvh.snapshot("now")
    assert "start()" in refused.value.hint
    pvh.stop(timeout_s=PATIENCE_S)
    pvh.start(timeout_s=PATIENCE_S)
    pvh.snapshot("now")
    pvh.run(["sh", "-c", "echo written > /root/file && sync && grep written /root/file"], timeout_s=120, check=True)
    assert pvh.snapshots() == ["now"]


@pytest.mark.slow
def test_a_whole_pc_boots_too(lab: Lab, pv: XenMachine) -> None:
    """An HVM machine boots, knows what it is, and goes as it came."""
    pv.stop(timeout_s=PATIENCE_S)
    whole = lab["xena"].xen.create("pc", kind="hvm", networks=["lan"], timeout_s=PATIENCE_S)
    try:
        assert whole.run(["cat", "/sys/hypervisor/guest_type"]).stdout == "HVM\n"
        assert whole.run(["ping", "-c", "1", "-W", "10", "web"]).ok
    finally:
        whole.destroy()
    pv.start(timeout_s=PATIENCE_S)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_contract_suite_passes() -> None:
    """All that holds for machines of every engine holds for Xen's."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/contract/test_machine.py"],
        env=os.environ | {"LABKIT_TEST_HOSTS": "xen"}, cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
