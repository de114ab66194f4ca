"""Docker's daemon, a host with containers, or the notebook's kernel is killed; a container dies at once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from _lab import lab_of
from _wait import until
from _world import VICTIM, first_process, hide, run_apart

from labkit import Lab
from labkit.errors import DaemonFailed, EngineError, LabGone
from labkit.hosts.base import Host
from labkit.machines._docker_machine import DockerMachine
from labkit.machines.spec import State
from labkit.testing import settle, take_stock

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("docker killed")]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with lab_of(["alpha"]) as shared:
        shared.networks.create("lan")
        yield shared


def kill_docker(host: Host) -> None:
    """Kill dockerd and wait until the host has noticed."""
    with host._channel() as channel:  # type: ignore[attr-defined]
        pid = channel.request("daemons")["daemons"]["dockerd"]["pid"]
    # In a mount namespace of its own it may be the child of what was started.
    host.run(["kill", "-9", str(pid)], check=True)
    until(lambda: host.daemon_exit("dockerd") == -9, "dockerd has ended")


def containers_of(host: Host) -> list[str]:
    """The containers that Docker has, of whoever made them."""
    return sorted(name for one in host.docker.api().containers(all=True) for name in one["Names"])


def test_docker_is_started_again_and_finds_its_containers(lab: Lab) -> None:
    """When dockerd was killed, containers run on, and the next use starts it and has them again."""
    alpha = lab["alpha"]
    web = alpha.docker.create("web", networks=["lan"])
    web.run(["touch", "/run/mark"], check=True)
    kill_docker(alpha)
    until(lambda: web.state is State.UNKNOWN, "the machine's state is known to be unknown")
    assert web.run(["ls", "/run/mark"]).ok
    assert web.refresh() is State.RUNNING
    assert alpha.docker.machines() == [web]
    other = alpha.docker.create("other", networks=["lan"])
    assert other.run(["ping", "-c", "1", "-W", "5", "web"]).ok
    for machine in (web, other):
        machine.stop()
        machine.start()
        machine.destroy()
    assert containers_of(alpha) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_docker_killed_during_create(lab: Lab, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """When dockerd dies in the middle of `create`, the error is typed, and the next use finds nothing half-made."""
    alpha = lab["alpha"]
    real = DockerMachine.start_watched

    def start(machine: DockerMachine, deadline: float) -> None:
        if when == "after":
            real(machine, deadline)
        held = alpha.docker.api()
        kill_docker(alpha)
        monkeypatch.undo()
        held.inspect_container(machine.container)

    monkeypatch.setattr(DockerMachine, "start_watched", start)
    with pytest.raises((DaemonFailed, LabGone)) as caught:
        alpha.docker.create("web", networks=["lan"])
    assert caught.value.hint
    assert alpha.docker.machines() == []
    machine = alpha.docker.create("web", networks=["lan"])
    assert containers_of(alpha) == ["/web"]
    machine.destroy()


def test_a_daemon_that_does_not_start_says_why(lab_name: str) -> None:
    """When dockerd ends at its start, the error has its own last words and names the doctor."""
    with Lab(lab_name) as lab:
        alpha = lab["alpha"]
        (alpha.folder / "docker").write_text("in the way")
        with pytest.raises(DaemonFailed, match="docker") as caught:
            alpha.docker.create("web")
        assert "doctor" in caught.value.hint
        assert lab.machines() == [] if not (alpha.sockets / "docker.sock").exists() else True
        (alpha.folder / "docker").unlink()
        alpha.docker.create("web").destroy()


@pytest.mark.parametrize(
    "command", [["sh", "-c", "echo the-last-words >&2; exit 3"], ["no-such-program"], ["/root"]], ids=str
)
def test_a_container_that_dies_at_once(lab: Lab, command: list[str]) -> None:
    """The error of a command that fails at once has its last lines, or its name, and nothing is left of it."""
    alpha = lab["alpha"]
    with pytest.raises(EngineError, match="the-last-words|no-such-program|root"):
        alpha.docker.create("web", command=command, networks=["lan"])
    assert containers_of(alpha) == []
    assert list((lab.folder / "machines").iterdir()) == []


CREATE = VICTIM + 'alpha.docker.create("victim", networks=["lan"])'


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["create_container", "start"])
def test_the_client_is_killed_during_create(
    lab: Lab, python: Callable[..., subprocess.Popen[str]], what: str, when: str
) -> None:
    """What a killed notebook was making is taken back by the host: container, folder and name."""
    alpha = lab["alpha"]
    victim = python(CREATE, lab.name, f"docker.api.client:APIClient.{what}", when)
    assert victim.wait(120) == -signal.SIGKILL
    victim.communicate()
    until(lambda: not list((lab.folder / "machines").iterdir()), "the folder is gone", 60)
    until(lambda: containers_of(alpha) == [], "the container is gone", 60)
    alpha.docker.create("victim").destroy()


@pytest.mark.slow
def test_a_host_killed_with_ten_containers(lab_name: str) -> None:
    """When a host's first process is killed, none of its containers, shims, daemons and mounts is left."""
    before = take_stock(lab_name)
    with Lab(lab_name) as lab:
        alpha = lab["alpha"]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda n: alpha.docker.create(f"box{n}", command=["sleep", "4711"]), range(10)))
        assert int(alpha.run(["pgrep", "-fc", "sleep 4711"]).stdout) >= 10
        os.kill(first_process(alpha), signal.SIGKILL)
        until(lambda: not alpha.is_alive, "the host has ended")
        mark = str(alpha.sockets)
        until(lambda: not [one for one in take_stock(lab_name).processes if mark in one], "its processes ended", 30)
        assert lab.machines() == []
        assert lab.add_host("alpha").docker.create("box0").run(["true"]).ok
    assert settle(lab_name, before) == {}


def test_a_lab_killed_with_containers(lab_name: str, python: Callable[..., subprocess.Popen[str]]) -> None:
    """When a program with a lab is killed, its containers end with it, and the kernel keeps nothing."""
    before = take_stock(lab_name)
    code = """
import sys, time
from labkit import Lab
lab = Lab(sys.argv[1])
for n in range(3):
    lab["alpha"].docker.create(f"box{n}", memory="64 MiB" if lab.has_cgroups else None)
print("ready", flush=True)
time.sleep(600)
"""
    program = python(code, lab_name)
    assert program.stdout
    assert program.stdout.readline() == "ready\n"
    program.kill()
    program.communicate()
    assert settle(lab_name, before, 30) == {}


@pytest.mark.parametrize("how", ["closed", "host killed", "lab killed"])
def test_what_is_paused_ends_with_its_lab(lab_name: str, how: str) -> None:
    """A paused container, which no signal reaches, ends with its host and its lab all the same."""
    before = take_stock(lab_name)
    with Lab(lab_name) as lab:
        if "pause" not in (machine := lab["alpha"].docker.create("held")).capabilities:
            pytest.skip("nothing can be paused without cgroups")
        machine.pause()
        if how == "host killed":
            os.kill(first_process(lab["alpha"]), signal.SIGKILL)
            until(lambda: not lab["alpha"].is_alive, "the host has ended")
            lab.add_host("alpha")
            assert lab["alpha"].docker.create("held").run(["true"]).ok
        if how == "lab killed":
            with lab.channel() as channel:
                os.kill(channel.peer_pid(), signal.SIGKILL)
    assert settle(lab_name, before, 30) == {}


def test_without_docker_the_doctors_words(lab_name: str) -> None:
    """Where dockerd is not installed, the error names the package, and nothing is begun."""
    program = """
import sys
with Lab(sys.argv[1]) as lab:
    print(told(lambda: lab["alpha"].docker.create("web")))
    print(list((lab.folder / "machines").glob("*")), lab.machines())
"""
    came, left = run_apart(hide("dockerd"), program, lab_name)
    assert came.startswith("PackageMissing: the program dockerd is not installed")
    assert "apt-get install" in came
    assert "docker.io" in came
    assert left == "[] []"
