"""What can go wrong with Xen machines: a typed error within bounded time, and nothing is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from subprocess import Popen
from typing import Any

import pytest
from _lab import lab_of
from _wait import until
from _xen import PATIENCE_S

from labkit import Lab, Xen
from labkit.errors import EngineError, LabError, LabGone, NameInUse, NotFound
from labkit.hosts.xen import XenHost
from labkit.machines._xen_machine import XenMachine
from labkit.machines.spec import State

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("xen")]
_CREATE = """
import sys
from labkit import Lab
Lab.attach(sys.argv[1])["xena"].xen.create("half", networks=["lan"], timeout_s=900)
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab with one host that boots Xen."""
    with lab_of([Xen("xena")]) as made:
        made.networks.create("lan", host="xena")
        yield made


@pytest.fixture(scope="module")
def host(lab: Lab) -> XenHost:
    found = lab["xena"]
    assert isinstance(found, XenHost)
    return found


def open_disks(host: XenHost) -> list[str]:
    """The files that the server of disks has open."""
    with host.xen.disks._open() as server:
        return [node["file"] for node in server.ask("query-named-block-nodes", flat=True) if node["drv"] == "qcow2"]


def test_who_dies_while_making_one_leaves_nothing(lab: Lab, host: XenHost, python: Callable[..., Popen[str]]) -> None:
    """A domain, a disk, a device, an address: all of a machine that was only begun is taken back."""
    maker = python(_CREATE, lab.name)
    until(lambda: "half" in host.run(["xl", "list"]).stdout, "the domain begins", timeout_s=PATIENCE_S)
    os.kill(maker.pid, signal.SIGKILL)
    maker.communicate()
    until(lambda: "half" not in host.run(["xl", "list"]).stdout, "the domain has gone", timeout_s=PATIENCE_S)
    until(lambda: not (lab.folder / "machines" / "half").exists(), "its files have gone", timeout_s=PATIENCE_S)
    until(lambda: not host.run(["ls", "/run/labkit-disks"]).stdout, "its device has gone", timeout_s=PATIENCE_S)
    assert "half" not in host.run(["virsh", "list", "--all", "--name"]).stdout
    lab.networks["lan"].release_gone()
    assert lab.networks["lan"].leases == {}
    with pytest.raises(NotFound):
        _ = host.xen["half"]


def test_two_callers_one_machine(lab: Lab, host: XenHost) -> None:
    """Of two who want the same name one gets it, and the other is told so at once."""

    def make(_: int) -> Any:
        try:
            return host.xen.create("one", timeout_s=PATIENCE_S)
        except NameInUse as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        made = sorted(pool.map(make, range(2)), key=lambda found: isinstance(found, NameInUse))
    assert isinstance(made[0], XenMachine)
    assert isinstance(made[1], NameInUse)
    assert made[0].run(["true"]).ok


def test_its_disk_comes_back(host: XenHost) -> None:
    """When what serves the disks is killed, the machine has them again at its next start."""
    machine = host.xen["one"]
    machine.run(["sh", "-c", "echo kept > /root/kept; sync"], check=True)
    pids = host.carrier.run(["pgrep", "-f", "qemu-storage-daemon"], check=True).stdout.split()
    host.carrier.run(["kill", "-9", *pids], check=True)
    machine.kill()
    machine.start(timeout_s=PATIENCE_S)
    assert machine.run(["cat", "/root/kept"]).stdout == "kept\n"


def test_a_memory_that_cannot_be_read_again_is_kept(host: XenHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a snapshot's machine does not go on, the error says that its memory is in the snapshot, and there it is."""
    machine = host.xen["one"]
    machine.run(["sh", "-c", "echo here > /run/in-memory"], check=True)

    def refuse(*_: object, **__: object) -> None:
        raise EngineError("it cannot be restored")

    with monkeypatch.context() as patched:
        patched.setattr(XenMachine, "_restore", refuse)
        with pytest.raises(EngineError, match="cannot be restored") as caught:
            machine.snapshot("kept")
    assert 'revert("kept")' in caught.value.hint
    assert machine.refresh() is State.STOPPED
    machine.revert("kept")
    assert machine.run(["cat", "/run/in-memory"]).stdout == "here\n"
    os.truncate(machine._snapshot("kept") / "memory", 2**20)
    with pytest.raises(EngineError, match="its log says"):
        machine.revert("kept")
    assert machine.refresh() is State.STOPPED


def test_what_is_left_open_is_closed(host: XenHost) -> None:
    """A disk whose machine is gone is not kept open for ever."""
    host.xen["one"].destroy()
    other = host.xen.create("two", timeout_s=PATIENCE_S)
    assert open_disks(host) == [str(other.disk)]


def test_a_host_that_is_killed_takes_its_machines(lab: Lab, host: XenHost) -> None:
    """All on it answers within a moment that it has gone, the lab goes on, and the host can be made again."""
    machine = host.xen["two"]
    pid = host.carrier.run(["cat", str(host._machine_folder / "pid")], check=True).stdout.strip()
    host.carrier.run(["kill", "-9", pid], check=True)
    until(lambda: machine.state is State.UNKNOWN, "the machine's state is not known", timeout_s=120)
    began = time.monotonic()
    with pytest.raises(LabGone):
        machine.run(["true"])
    with pytest.raises(LabError):
        machine.stop()
    assert time.monotonic() - began < 60
    assert host.carrier.run(["true"]).ok
    again = lab.add_host("xena", provider="xen")
    assert again.machines() == []
    assert again.xen.create("two", timeout_s=PATIENCE_S).run(["true"]).ok
