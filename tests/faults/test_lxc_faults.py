"""Containers when something dies: their command, their maker, their monitor, their host, their lab."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from _lab import lab_of
from _wait import until
from _world import VICTIM, alive, first_process, hide, run_apart

from labkit import Lab
from labkit.errors import EngineError
from labkit.hosts.base import Host
from labkit.machines.base import Machine
from labkit.machines.spec import State
from labkit.testing import settle, take_stock

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("lxc faults")]

CREATE = VICTIM + 'alpha.lxc.create("victim", networks=["lan"])'
STEPS = [
    ("labkit.hosts._channel:Channel.request", "after"),
    ("labkit.networks.network:Network.reserve", "after"),
    ("labkit.machines._lxc_files:lay_out", "2"),
    ("labkit.machines._lxc_files:lay_out", "after"),
    ("labkit.networks.network:Network.announce", "after"),
    ("labkit.machines._lxc_start:launch", "1"),
    ("labkit.machines._lxc_start:launch", "5"),
    ("labkit.machines._lxc_start:launch", "10"),
    ("labkit.machines._lxc_start:launch", "after"),
    ("labkit.machines._lxc_files:describe", "after"),
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab whose host is warm, so that each victim comes quickly to where it dies."""
    with lab_of(["alpha"]) as shared:
        shared.networks.create("lan")
        shared["alpha"].lxc.create("warm", networks=["lan"]).destroy()
        yield shared


def traces(host: Host, name: str) -> str:
    """What there is of a container on its host: processes, mounts, cgroups, files."""
    script = (
        'grep -zasH -e "[-]-name=$1" -e "[[]lxc monitor] /var/lib/lxc $1" /proc/[0-9]*/cmdline; '
        'grep "/$1/" /proc/self/mountinfo; find /sys/fs/cgroup /var/lib/lxc -name "*$1*"; exit 0'
    )
    return host.run(["sh", "-c", script, "sh", name]).stdout


@pytest.mark.parametrize(("where", "when"), STEPS)
def test_a_half_made_container_is_taken_back(
    lab: Lab, python: Callable[..., subprocess.Popen[str]], where: str, when: str
) -> None:
    """Killed at any step, a process leaves no container, mount, cgroup or file; name and address are free."""
    alpha = lab["alpha"]
    assert python(CREATE, lab.name, where, when).wait(60) == -signal.SIGKILL
    until(lambda: not (lab.folder / "machines" / "victim").exists(), "the victim's name is free", 30)
    until(lambda: not traces(alpha, "victim"), "nothing of the victim is left", 30)
    assert alpha.lxc.machines() == []
    again = alpha.lxc.create("victim", networks=["lan"])
    try:
        assert again.addresses == ("198.19.1.2",)
        assert again.run(["nslookup", "victim.lab"], check=True).stdout.count("198.19.1.2") == 1
    finally:
        again.destroy()
    assert not traces(alpha, "victim")


def test_a_root_that_was_half_unpacked_is_unpacked_again(
    lab_name: str, python: Callable[..., subprocess.Popen[str]]
) -> None:
    """Killed while the image is unpacked, a process leaves no root that others would take for whole."""
    with Lab(lab_name) as lab:
        lab.networks.create("lan")
        where = "labkit.machines._lxc_files:_unpack"
        assert python(CREATE, lab.name, where, "15").wait(60) == -signal.SIGKILL
        box = lab["alpha"].lxc.create("box")
        assert box.run(["uname"]).ok
        assert [path.name for path in (lab.folder / "roots").iterdir() if path.name != ".lock"] == [box.spec.root]


@pytest.mark.parametrize(
    ("command", "said"),
    [(["sh", "-c", "echo first; echo last words >&2; exit 3"], "last words"), (["no-such-program"], "not found")],
)
def test_a_container_that_dies_at_once_is_quoted(lab: Lab, command: list[str], said: str) -> None:
    """The error has its exit code and its last lines, and nothing of it is left."""
    with pytest.raises(EngineError, match=said) as caught:
        lab["alpha"].lxc.create("dies", command=command)
    assert "exit code" in caught.value.message
    assert caught.value.machine == "dies"
    assert not traces(lab["alpha"], "dies")
    assert lab.machines() == []


def test_liblxc_is_quoted_when_it_cannot_start(lab: Lab) -> None:
    """What liblxc finds wrong with a configuration is in the error, and the machine has failed."""
    box = lab["alpha"].lxc.create("box")
    box.stop()
    config = box.folder / "config"
    whole = config.read_text()
    config.write_text(whole.replace("/run/labkit/init", "/no/init"))
    with pytest.raises(EngineError, match="liblxc"):
        box.start()
    assert box.state is State.FAILED
    assert box.refresh() is State.FAILED  # whoever asks is told so, whatever liblxc says of it
    config.write_text(whole)
    box.start()
    assert box.run(["true"]).ok
    box.destroy()


def test_a_container_whose_monitor_was_killed_starts_again(lab: Lab) -> None:
    """With its monitor it ends; what the monitor left behind is in nobody's way."""
    box = lab["alpha"].lxc.create("box")
    _starts_after_its_monitor_was_killed(box)


def test_a_start_waits_for_the_last_process_of_a_killed_container(lab: Lab) -> None:
    """A cgroup with a process cannot be removed: one that takes a second to end is waited for."""
    if not lab["alpha"].has_cgroups:
        pytest.skip("this lab has no cgroups")
    box = lab["alpha"].lxc.create("box")
    stays = """
        for there in /sys/fs/cgroup/lxc.payload.box /sys/fs/cgroup/*/lxc.payload.box; do
            [ ! -d $there ] || mkdir $there/inner; [ ! -d $there ] || echo $$ >$there/inner/cgroup.procs
        done
        exec sleep 1.5 >/dev/null 2>&1 &
    """
    box.host.run(["sh", "-ec", stays], check=True)
    _starts_after_its_monitor_was_killed(box)


def _starts_after_its_monitor_was_killed(box: Machine) -> None:
    found = box.host.run(["sh", "-c", "grep -zlsx '.lxc monitor. /var/lib/lxc box' /proc/[0-9]*/cmdline"]).stdout
    box.host.run(["kill", "-9", found.split("/")[2]], check=True)
    until(lambda: box.refresh() is State.STOPPED, "it has ended with its monitor")
    box.start()
    assert box.run(["hostname"]).stdout == "box\n"
    box.destroy()
    assert not traces(box.host, "box")


def test_a_host_killed_with_ten_containers_leaves_nothing(lab_name: str) -> None:
    """No process, link or mount of them outlives the host; made again, it takes their names and addresses."""
    before = take_stock(lab_name)
    with Lab(lab_name, hosts=["alpha", "beta"]) as lab:
        lab.networks.create("lan", host="beta")
        ten = [lab["alpha"].lxc.create(f"c{number}", networks=["lan"]) for number in range(10)]
        far = lab["beta"].lxc.create("far", networks=["lan"])
        os.kill(first_process(lab["alpha"]), signal.SIGKILL)
        mark = f"{lab.sockets}/alpha"
        until(lambda: not [line for line in alive(lab_name, before).get("processes", []) if mark in _mounts(line)],
              "no process of alpha is left", 30)  # fmt: skip
        until(lambda: ten[0].state is State.UNKNOWN, "the loss is told")
        assert [machine.name for machine in lab.machines()] == ["far"]
        assert far.run(["true"]).ok
        alpha = lab.add_host("alpha")
        again = alpha.lxc.create("c0", networks=["lan"])
        assert again.addresses == ("198.19.1.2",)
        assert far.run(["ping", "-c", "1", "-W", "5", "c0"]).ok
    assert not settle(lab_name, before)


def _mounts(line: str) -> str:
    try:
        with open(f"/proc/{line.split(maxsplit=1)[0]}/mountinfo") as file:
            return file.read()
    except OSError:
        return ""


def test_a_killed_lab_leaves_no_container(lab_name: str, python: Callable[..., subprocess.Popen[str]]) -> None:
    """After `kill -9` of the process that holds the lab no process, mount, link or cgroup is there."""
    before = take_stock(lab_name)
    code = (
        "import sys, time; from labkit import Lab\n"
        "lab = Lab(sys.argv[1]); [lab['alpha'].lxc.create(f'c{n}') for n in range(3)]\n"
        "print('there', flush=True); time.sleep(600)"
    )
    holder = python(code, lab_name)
    assert holder.stdout
    assert holder.stdout.readline() == "there\n"
    holder.kill()
    holder.wait(10)
    assert not settle(lab_name, before, 30)


def test_without_lxc_the_error_names_the_package(lab_name: str) -> None:
    """Where LXC is not installed the error says so, with the command that installs it; the lab goes on."""
    program = """
import sys
with Lab(sys.argv[1]) as lab:
    print(told(lambda: lab["alpha"].lxc.create("box")))
    print(told(lab.machines), lab["alpha"].run(["hostname"]).stdout)
"""
    lines = run_apart(hide("lxc-start"), program, lab_name)
    assert lines[0].startswith("PackageMissing: the program lxc-start is not installed")
    assert "install" in lines[0] and "lxc" in lines[0]
    assert lines[1] == "made alpha"
