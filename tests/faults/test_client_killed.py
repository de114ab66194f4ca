"""The notebook's kernel is killed in the middle of `create`, at every step of it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _lab import lab_of
from _wait import until
from _world import VICTIM, guests_of

from labkit import Lab, _paths
from labkit.hosts.base import Host

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("client killed")]

CREATE = VICTIM + 'alpha.kvm.create("victim", networks=["lan"], instant=sys.argv[4] == "instant")'
Victim = Callable[..., subprocess.Popen[str]]


def slow(where: str, when: str) -> Any:
    return pytest.param(where, when, marks=pytest.mark.slow)


INSTANT = [
    slow("labkit.hosts._channel:Channel.request", "before"),
    slow("labkit.hosts._channel:Channel.request", "after"),
    slow("labkit.networks.network:Network.reserve", "before"),
    slow("labkit.networks.network:Network.reserve", "after"),
    ("labkit.networks.network:Network.announce", "after"),
    slow("labkit.machines._template:Template.stamp", "after"),
    slow("libvirt:virConnect.restoreFlags", "before"),
    slow("libvirt:virConnect.restoreFlags", "2"),
    ("libvirt:virConnect.restoreFlags", "20"),
    slow("libvirt:virConnect.restoreFlags", "100"),
    slow("libvirt:virConnect.restoreFlags", "after"),
    slow("libvirt:virConnect.defineXML", "after"),
    slow("labkit.machines._kvm_machine:KvmMachine.become", "50"),
    ("labkit.machines._kvm_machine:KvmMachine.become", "after"),
]
COLD = [
    slow("labkit.machines.kvm:KvmEngine.make_overlay", "after"),
    slow("libvirt:virConnect.defineXML", "after"),
    slow("libvirt:virDomain.create", "5"),
    slow("libvirt:virDomain.create", "60"),
    slow("libvirt:virDomain.create", "after"),
    ("labkit.machines._kvm_machine:KvmMachine.become", "500"),
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab whose host is warm, so that each victim comes quickly to where it dies."""
    with lab_of(["alpha"]) as shared:
        shared.networks.create("lan")
        shared["alpha"].kvm.create("warm", networks=["lan"]).destroy()
        yield shared


def nothing_of(victim: str, host: Host) -> bool:
    connection = host.kvm.connection()
    return (
        not (host.lab.folder / "machines" / victim).exists()
        and victim not in [domain.name() for domain in connection.listAllDomains()]
        and victim not in guests_of(host)
    )


def check_that_nothing_is_left(lab: Lab) -> None:
    """Nothing of the victim is there within seconds, and stays so."""
    alpha = lab["alpha"]
    until(lambda: nothing_of("victim", alpha), "nothing of the half-made machine is left")
    until(lambda: not alpha.run(["pgrep", "virsh"]).ok, "the host is done with taking back")
    assert nothing_of("victim", alpha)
    assert alpha.machines() == []


@pytest.mark.parametrize(("where", "when"), INSTANT)
def test_a_half_made_instant_machine_is_taken_back(lab: Lab, python: Victim, where: str, when: str) -> None:
    """Killed at any step, a process leaves no domain, process or file; name and address are free."""
    assert python(CREATE, lab.name, where, when, "instant").wait(60) == -signal.SIGKILL
    check_that_nothing_is_left(lab)
    # Another name takes the address, and the name another address, whatever DNS had heard of.
    machine = lab["alpha"].kvm.create("other", networks=["lan"])
    try:
        assert machine.addresses == ("198.19.1.2",)
        assert machine.run(["nslookup", "other.lab"], check=True).stdout.count("198.19.1.2") == 1
        assert not machine.run(["nslookup", "victim.lab"]).ok
    finally:
        machine.destroy()


@pytest.mark.parametrize(("where", "when"), COLD)
def test_a_half_made_cold_machine_is_taken_back(lab: Lab, python: Victim, where: str, when: str) -> None:
    """The same for a machine that boots, and the name can be used again."""
    assert python(CREATE, lab.name, where, when, "cold").wait(60) == -signal.SIGKILL
    check_that_nothing_is_left(lab)
    machine = lab["alpha"].kvm.create("victim", networks=["lan"])
    assert machine.addresses == ("198.19.1.2",)
    machine.destroy()


# ── While the memory image is prepared ────────────────────────────────────────────────────────

TEMPLATE = "labkit.machines._template:"


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test alone, with the user's images and without templates."""
    shared, cache = _paths.cache_home(), tmp_path / "cache"
    cache.mkdir(mode=0o700)
    (cache / "images").symlink_to(shared / "images")
    for name in ("acceleration.json", "libvirt-capabilities"):
        (cache / name).symlink_to(shared / name)
    monkeypatch.setenv("LABKIT_CACHE", str(cache))
    return cache


def templates_in(cache: Path) -> list[str]:
    """The folders of templates and of their makers."""
    return sorted(path.name for path in (cache / "templates").iterdir() if path.is_dir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "when"),
    [
        ("libvirt:virConnect.createXML", "40"),
        (f"{TEMPLATE}Agent.wait", "300"),
        ("libvirt:virDomain.save", "100"),
        ("libvirt:virDomain.save", "after"),
        (f"{TEMPLATE}Template._note", "after"),
    ],
)
def test_a_killed_maker_of_a_template_spoils_nothing(
    lab_name: str, own_cache: Path, python: Victim, where: str, when: str
) -> None:
    """Killed while the memory image is prepared, a process leaves none; the next one makes it whole."""
    with Lab(lab_name) as lab:
        lab.networks.create("lan")
        assert python(CREATE, lab.name, where, when, "instant").wait(60) == -signal.SIGKILL
        check_that_nothing_is_left(lab)
        until(lambda: not guests_of(lab["alpha"]), "the template's own guest has ended")
        assert not [name for name in templates_in(own_cache) if not name.startswith(".")]
        machine = lab["alpha"].kvm.create("victim", networks=["lan"])
        assert machine.run(["hostname"]).stdout == "victim\n"
        [made] = templates_in(own_cache)
        assert made.endswith(".0")
