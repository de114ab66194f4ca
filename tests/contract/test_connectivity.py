"""Who reaches whom: machines of every engine, two networks, a port that listens."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import _wait
import pytest

from labkit import Lab
from labkit.errors import InvalidValue, NotFound
from labkit.machines.base import Machine
from labkit.machines.spec import State

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("net watch")]
until = partial(_wait.until, timeout_s=60)

PORT, CLOSED = 8080, 8081


@pytest.fixture(scope="module")
def machines(lab: Lab) -> Iterator[dict[str, Machine]]:
    """On the network lan one of each engine, of which the VM is on *apart*, too; `far` is there only."""
    lab.networks.create("apart", mode="isolated")
    alpha, beta = lab["alpha"], lab["beta"]
    made: dict[str, Machine] = {
        "box": alpha.lxc.create("box", networks=["lan"]),
        "can": beta.docker.create("can", networks=["lan"]),
        "web": alpha.kvm.create("web", networks=["lan", "apart"]),
        "far": alpha.lxc.create("far", networks=["apart"]),
    }
    for name in ("box", "can", "web"):
        made[name].run(["httpd", "-p", str(PORT), "-h", "/srv/www"], check=True)
    yield made
    for machine in lab.machines():
        machine.destroy()
    lab.networks.remove("apart")


@pytest.mark.slow
def test_who_is_on_one_network_reaches_each_other(lab: Lab, machines: dict[str, Machine]) -> None:
    """Across engines and hosts a ping and a listening port are reached, a closed one is refused."""
    found = lab.connectivity(["box", "can", "web"], ports=[PORT, CLOSED], names=True, timeout_s=20)
    for one, other in found.pairs:
        assert found.reaches(one, other), found
        assert found.reaches(one, other, PORT), found
        assert not found.reaches(one, other, CLOSED)
        assert found.knows(one, other), list(found)
        (ping,) = [row for row in found.between(one, other) if row.address in machines[other].addresses[:1]]
        assert ping.rtt_ms is not None
        assert 0 < ping.rtt_ms < 20_000
        refused = found.between(one, other, CLOSED)[0]
        assert (refused.reached, refused.why) == (False, "connection refused")
    assert found.summary.startswith("all 6 pairs reach each other; port 8080 answers in 6 of 6 pairs; port 8081")


@pytest.mark.slow
def test_a_network_apart_does_not_reach(lab: Lab, machines: dict[str, Machine]) -> None:
    """Who is on the other network only is reached by nobody but the machine that is on both, and by which address."""
    found = lab.connectivity(ports=[PORT], timeout_s=4)
    assert found.machines == tuple(machine.name for machine in lab.machines())
    assert not found.reaches("box", "far")
    assert not found.reaches("far", "can")
    assert found.reaches("web", "far")
    assert found.reaches("far", "web")
    by = {row.address for row in found.between("far", "web") if row.reached}
    assert machines["web"].addresses[1] in by
    assert not found.reaches("web", "far", PORT)
    assert found.reaches("far", "web", PORT)
    assert "of 12 pairs do not reach each other" in found.summary
    assert all(row.why for row in found if not row.reached)


def test_who_sleeps_is_not_asked_and_does_not_answer(lab: Lab, machines: dict[str, Machine]) -> None:
    """A paused machine's row says that it was not tried; its column that it did not answer, and that it is paused."""
    machines["web"].pause()
    try:
        found = lab.connectivity(["box", "web"], timeout_s=2)
    finally:
        machines["web"].resume()
    assert {row.why for row in found.between("web", "box")} == {"not tried: web is paused"}
    assert found.verdict("web", "box") is None
    assert found.verdict("box", "web") is False
    whys = [row.why for row in found.between("box", "web")]
    assert all(why.endswith("; it is paused") for why in whys), whys
    assert "1 could not be tried" in found.summary


def test_one_that_hangs_delays_only_its_own_row(lab: Lab, machines: dict[str, Machine]) -> None:
    """A machine whose shell never ends is given up at its deadline; all others have answered."""
    can, box = machines["can"], machines["box"]
    # A shell that never ends, found before the real one.
    script = "mkdir -p /usr/local/bin && printf '#!/bin/busybox ash\\nexec sleep 654\\n' >/usr/local/bin/sh"
    box.run(["sh", "-c", f"{script} && chmod 755 /usr/local/bin/sh"], check=True)
    try:
        began = time.monotonic()
        found = lab.connectivity(["box", "can", "web"], timeout_s=3)
        took = time.monotonic() - began
    finally:
        box.run(["rm", "/usr/local/bin/sh"], check=True)
    assert took > 7
    assert {row.reached for row in found.between("box", "can")} == {None}
    assert "did not end within 8 s" in found.between("box", "can")[0].why
    assert found.reaches("can", "web")
    assert found.reaches("can", "box")
    assert can.run(["true"]).ok
    left = lab["alpha"].run(["pgrep", "-f", "sleep 654"])
    assert left.stdout == ""


def test_machines_without_the_tools_say_so(lab: Lab, machines: dict[str, Machine], tmp_path: Path) -> None:
    """Where the image has no ping, no nc, or not even a shell, the row says so; the machine is reached all the same."""
    docker = lab["beta"].docker
    for path in ("/bin/dash", "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"):
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / path[1:])
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY . /\nCMD ["/bin/dash"]\n')
    docker.images.build("shell-less", folder=tmp_path)
    (tmp_path / "Dockerfile").write_text('FROM shell-less\nCOPY bin/dash /bin/sh\nCMD ["/bin/sh"]\n')
    docker.images.build("bare", folder=tmp_path)
    made = [docker.create(name, image=name, networks=["lan"]) for name in ("bare", "shell-less")]
    try:
        found = lab.connectivity([*made, machines["can"]], ports=[PORT], timeout_s=20)
    finally:
        for machine in made:
            machine.destroy()
        for image in ("bare", "shell-less"):
            docker.images.remove(image)
    assert found.between("bare", "can")[0].why == "not tried: there is no ping in bare"
    assert found.between("bare", "can", PORT)[0].why == "not tried: there is no nc in bare"
    assert "`sh` could not be run" in found.between("shell-less", "can")[0].why
    assert found.verdict("shell-less", "can") is found.verdict("bare", "can", PORT) is None
    assert found.reaches("can", "bare")
    assert found.reaches("can", "shell-less")


def test_a_machine_without_a_network_has_no_address(lab: Lab, machines: dict[str, Machine]) -> None:
    """One that is on no network is shown, too: it cannot be tried."""
    alone = lab["alpha"].lxc.create("alone")
    try:
        found = lab.connectivity([alone, "box"], timeout_s=2)
    finally:
        alone.destroy()
    assert found.between("box", "alone")[0].why == "not tried: alone has no address"
    assert found.verdict("alone", "box") is False


def test_one_that_is_destroyed_meanwhile(lab: Lab, machines: dict[str, Machine]) -> None:
    """A machine that vanishes while it is asked has a row that says what happened; nothing is raised."""
    gone = lab["alpha"].lxc.create("gone", networks=["lan"])
    chosen = [machines["can"], gone]
    real = gone.run

    def run(*words: object, **more: object) -> object:
        gone.destroy()
        return real(*words, **more)  # type: ignore[arg-type]

    lab["alpha"].lxc["gone"].run = run  # type: ignore[method-assign]
    found = lab.connectivity(chosen, timeout_s=2)
    until(lambda: "gone" not in [machine.name for machine in lab.machines()])
    assert found.verdict("gone", "can") is None
    assert found.between("gone", "can")[0].why.startswith("not tried: ")


def test_bad_questions_are_refused(lab: Lab, machines: dict[str, Machine]) -> None:
    """Unknown machines, machines twice and bad ports raise typed errors before anybody is asked."""
    with pytest.raises(NotFound, match="nobody"):
        lab.connectivity(["box", "nobody"])
    with pytest.raises(InvalidValue, match="twice"):
        lab.connectivity(["box", machines["box"]])
    for port in (0, 65536, "x"):
        with pytest.raises(InvalidValue, match="port"):
            lab.connectivity(["box"], ports=[port])  # type: ignore[list-item]
    assert machines["box"].refresh() is State.RUNNING
