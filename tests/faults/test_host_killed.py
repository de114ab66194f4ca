"""One host's first process is killed; the lab and its other hosts go on."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterator

import pytest
from _wait import until
from _world import first_process, guests_of

from labkit import Lab
from labkit.errors import LabError, LabGone, NotFound
from labkit.testing import take_stock

pytestmark = pytest.mark.core


@pytest.fixture
def lab(lab_name: str) -> Iterator[Lab]:
    """A lab of two hosts with a network whose home is alpha."""
    with Lab(lab_name, hosts=["alpha", "beta"]) as lab:
        lab.networks.create("lan", host="alpha")
        yield lab


def kill(lab: Lab, name: str) -> None:
    """Kill a host's first process, and wait until the lab knows."""
    host = lab[name]
    os.kill(first_process(host), signal.SIGKILL)
    until(lambda: not host.is_alive, f"{name} has ended")


def processes_of(lab: Lab, host: str) -> list[str]:
    mark = str(lab.sockets / host)
    everything = take_stock(lab.name).processes
    return [line for line in everything if mark in mounts_of(line)]


def mounts_of(line: str) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{line.split(maxsplit=1)[0]}/mountinfo") as file:
        return file.read()
    return ""


def test_its_machines_and_daemons_end_and_the_other_host_goes_on(lab: Lab) -> None:
    """With a host end its machines, daemons and link; the machines of the other host run on."""
    web = lab["alpha"].kvm.create("web", networks=["lan"])
    far = lab["beta"].kvm.create("far", networks=["lan"])
    kill(lab, "alpha")
    until(lambda: not processes_of(lab, "alpha"), "no process of alpha is left", 3)
    assert far.run(["true"]).ok
    assert guests_of(lab["beta"]) == ["far"]
    assert [machine.name for machine in lab.machines()] == ["far"]
    for use in (web.refresh, web.pause, lambda: web.run(["true"]), web.snapshots, web.start, web.stop):
        began = time.monotonic()
        with pytest.raises(LabGone, match="alpha has ended") as caught:
            use()
        assert 'lab.add_host("alpha")' in caught.value.hint
        assert time.monotonic() - began < 15
    assert web.state == "unknown"


def test_a_host_that_ended_is_made_again(lab: Lab) -> None:
    """A host made again is empty, has its old address, and takes machines of the old names."""
    address = lab["alpha"].address
    lab["alpha"].kvm.create("web", networks=["lan"])
    kill(lab, "alpha")
    alpha = lab.add_host("alpha")
    assert alpha.address == address
    assert alpha.machines() == []
    assert not (lab.folder / "machines" / "web").exists()
    code = "import socket; print(socket.socket().connect_ex(('alpha', 9)))"  # refused: alpha itself answers
    assert lab["beta"].run(["/usr/bin/python3", "-c", code], timeout_s=10).stdout == f"{errno.ECONNREFUSED}\n"
    with pytest.raises(NotFound):
        alpha.kvm["web"]
    web = alpha.kvm.create("web", networks=["lan"])
    assert web.addresses == ("198.19.1.2",)
    assert web.run(["hostname"]).stdout == "web\n"


@pytest.mark.slow
def test_networks_work_again_when_their_home_is_made_again(lab: Lab) -> None:
    """A network whose home was killed has DHCP, DNS and its segment again once the home is back."""
    far = lab["beta"].kvm.create("far", networks=["lan"])
    kill(lab, "alpha")
    with pytest.raises(LabGone, match="alpha"):
        lab["beta"].kvm.create("lost", networks=["lan"])
    assert [machine.name for machine in lab.machines()] == ["far"]
    lab.add_host("alpha")
    far.run(["ping", "-c", "1", "-W", "5", "198.19.1.1"], check=True)
    assert "198.19.1.2" in far.run(["nslookup", "far.lab", "198.19.1.1"], check=True).stdout
    leased = far.run(["udhcpc", "-i", "eth0", "-n", "-q", "-s", "/bin/true"], timeout_s=30, check=True)
    assert "198.19.1.2" in leased.stdout + leased.stderr
    web = lab["alpha"].kvm.create("web", networks=["lan"])
    assert web.run(["ping", "-c", "1", "-W", "5", "far"]).ok
    assert far.run(["ping", "-c", "1", "-W", "5", "web"]).ok


@pytest.mark.slow
def test_a_network_reaches_a_guest_host_that_is_made_again(lab: Lab) -> None:
    """A host that was joined to a network is joined again when it is made again."""
    web = lab["alpha"].kvm.create("web", networks=["lan"])
    lab["beta"].kvm.create("far", networks=["lan"])
    kill(lab, "beta")
    lab.add_host("beta")
    far = lab["beta"].kvm.create("far", networks=["lan"])
    assert far.run(["ping", "-c", "1", "-W", "5", "web"]).ok
    assert web.run(["ping", "-c", "1", "-W", "5", "far"]).ok


def test_opening_the_lab_makes_its_dead_host_again(lab: Lab) -> None:
    """`Lab.open` with the name of a host that ended makes it again."""
    kill(lab, "alpha")
    found = Lab.open(lab.name)
    assert list(found.hosts) == ["beta"]
    found = Lab.open(lab.name, hosts=["alpha", "beta"])
    assert found["alpha"].run(["hostname"]).stdout == "alpha\n"


def test_a_host_that_dies_during_create_leaves_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the host ends in the middle of `create`, the error says so and the name and address are free."""
    from labkit.machines._kvm_machine import KvmMachine

    monkeypatch.setattr(KvmMachine, "become", lambda *_: kill(lab, "beta"))
    with pytest.raises(LabError, match="beta"):
        lab["beta"].kvm.create("far", networks=["lan"])
    monkeypatch.undo()
    assert not (lab.folder / "machines" / "far").exists()
    far = lab["alpha"].kvm.create("far", networks=["lan"])
    assert far.addresses == ("198.19.1.2",)
