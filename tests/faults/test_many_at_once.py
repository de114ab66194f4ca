"""Several threads and processes at one lab."""

from __future__ import annotations

import contextlib
import ipaddress
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import pytest
from _wait import until
from _world import guests_of

from labkit import Lab
from labkit.errors import LabError, NameInUse
from labkit.machines._kvm_machine import KvmMachine
from labkit.machines._template import Template
from labkit.machines.base import Machine
from labkit.testing import take_stock

pytestmark = pytest.mark.core


@pytest.fixture
def lab(lab_name: str) -> Iterator[Lab]:
    with Lab(lab_name, hosts=["alpha", "beta"]) as lab:
        lab.networks.create("lan")
        yield lab


@pytest.mark.slow
def test_six_at_once_of_which_two_have_one_name(lab: Lab) -> None:
    """Of two machines with one name one is made and the other refused; all others come, each with an address."""

    def make(host: str, name: str) -> Machine | LabError:
        try:
            return lab[host].kvm.create(name, networks=["lan"])
        except LabError as error:
            return error

    with ThreadPoolExecutor(6) as pool:
        came = list(pool.map(make, ["alpha", "beta"] * 3, ["one", "two", "same", "same", "three", "four"]))
    [refused] = [one for one in came if isinstance(one, LabError)]
    assert type(refused) is NameInUse
    assert "same" in str(refused)
    made = [one for one in came if not isinstance(one, LabError)]
    assert sorted(machine.name for machine in lab.machines()) == ["four", "one", "same", "three", "two"]
    assert len({machine.addresses for machine in made}) == 5
    for machine in made:
        assert machine.run(["hostname"]).stdout == f"{machine.name}\n"
    one = next(machine for machine in made if machine.name == "one")
    assert one.run(["ping", "-c", "1", "-W", "5", "same"]).ok


def test_threads_that_want_one_name(lab: Lab) -> None:
    """Of many threads that ask for one name at once, one gets it and the others hear that it is taken."""

    def make(number: int) -> type:
        try:
            return type(lab["alpha" if number % 2 else "beta"].kvm.create("web", networks=["lan"]))
        except LabError as error:
            return type(error)

    with ThreadPoolExecutor(8) as pool:
        came = list(pool.map(make, range(8)))
    assert came.count(NameInUse) == 7
    assert came.count(KvmMachine) == 1
    assert len(lab.networks.read("lan").leases) == 1


NETWORKS = """
import sys
from labkit import Lab
from labkit.errors import NameInUse
lab = Lab.attach(sys.argv[1])
for number in range(3):
    lab.networks.create(f"{sys.argv[2]}{number}", host=sys.argv[3])
try:
    lab.networks.create("both")
    print("made")
except NameInUse:
    print("in use")
"""


@pytest.mark.slow
def test_two_processes_make_networks(lab: Lab, python: Callable[..., subprocess.Popen[str]]) -> None:
    """Networks made by two processes at once never share a range, a number or a name."""
    programs = [python(NETWORKS, lab.name, prefix, host) for prefix, host in (("a", "alpha"), ("b", "beta"))]
    said = sorted(program.communicate(timeout=60)[0] for program in programs)
    assert said == ["in use\n", "made\n"]
    networks = list(lab.networks)
    assert len(networks) == 1 + 3 + 3 + 1
    ranges = [ipaddress.ip_network(network.cidr) for network in networks]
    assert not any(one.overlaps(other) for one, other in combinations(ranges, 2))
    assert len({network.bridge for network in networks}) == len(networks)
    for network in networks:
        if network.name != "lan":
            lab.networks.remove(network.name)
    assert [network.name for network in lab.networks] == ["lan"]


def test_machines_come_and_go_at_once(lab: Lab) -> None:
    """While one machine is made another is destroyed, and the books are right."""
    alpha = lab["alpha"]
    machine = alpha.kvm.create("even", networks=["lan"])
    with ThreadPoolExecutor(2) as pool:
        for name in ("odd", "even"):
            gone, come = pool.submit(machine.destroy), pool.submit(alpha.kvm.create, name, networks=["lan"])
            gone.result()
            machine = come.result()
            assert machine.run(["hostname"]).stdout == f"{name}\n"
            assert lab.machines() == [machine]
            assert list(lab.networks.read("lan").leases) == [name]
            assert guests_of(alpha) == [name]


@pytest.mark.parametrize("where", ["stamp", "become"])
def test_a_lab_is_closed_while_a_machine_is_made(lab_name: str, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Closing a lab in the middle of a `create` of another thread ends both: a typed error there, nothing left."""
    before = take_stock(lab_name)
    there, closed = threading.Event(), threading.Event()
    owner: type = Template if where == "stamp" else KvmMachine
    real = getattr(owner, where)

    def slow(*arguments: object) -> None:
        there.set()
        assert closed.wait(30)
        real(*arguments)

    monkeypatch.setattr(owner, where, slow)
    lab = Lab.open(lab_name)
    lab.networks.create("lan")
    with ThreadPoolExecutor(1) as pool:
        creation = pool.submit(lab["alpha"].kvm.create, "web", networks=["lan"])
        assert there.wait(60)
        lab.close()
        closed.set()
        with pytest.raises(LabError, match="closed|ended|does not answer"):
            creation.result(30)
    assert take_stock(lab_name).since(before) == {}


def test_a_lab_is_closed_at_any_time(lab_name: str) -> None:
    """Whenever a lab is closed while machines are made, they end in typed errors, and nothing is left."""
    before = take_stock(lab_name)
    for pause_s in (0.05, 0.2, 0.45, 0.7):
        lab = Lab.open(lab_name)
        lab.networks.create("lan")
        with ThreadPoolExecutor(2) as pool:
            creations = [pool.submit(lab["alpha"].kvm.create, name, networks=["lan"]) for name in ("one", "two")]
            with contextlib.suppress(TimeoutError):
                creations[0].result(pause_s)
            lab.close()
            for creation in creations:
                error = creation.exception(30)
                assert error is None or isinstance(error, LabError), error
        until(lambda: take_stock(lab_name).since(before) == {}, "nothing of the lab is left", 3)


def test_one_lab_is_closed_twice_at_once(lab_name: str) -> None:
    """Two processes that end one lab at once both come through."""
    lab = Lab.open(lab_name)
    lab["alpha"].kvm.connection()
    other = Lab.attach(lab_name)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(lab.close), pool.submit(other.close)]:
            done.result(20)
