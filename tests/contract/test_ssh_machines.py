"""Containers on a server reached by ssh, whose files are its own."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator

import pytest
from _server import SSHD, server
from _wait import until

from labkit import Lab
from labkit.errors import NotSupported
from labkit.hosts.base import Host
from labkit.machines._lxc_console import LxcLine
from labkit.machines.spec import State
from labkit.testing import settle, take_stock

pytestmark = [
    pytest.mark.core,
    pytest.mark.xdist_group("ssh"),
    pytest.mark.skipif(not SSHD, reason="openssh-server is not installed"),
]

# LAB: makes a container, and stops just before it would be whole.
MAKE = """
import sys, time
from labkit import Lab
from labkit.machines import _lxc_files
def wait(*_):
    print("there", flush=True)
    time.sleep(600)
_lxc_files.describe = wait
Lab.attach(sys.argv[1])["gamma"].lxc.create("half")
"""
# LAB MACHINE FROM TO: moves a container slowly, and says when it copies its files.
MOVE = """
import sys, time
from labkit import Lab
name, machine, source, to = sys.argv[1:]
lab = Lab.attach(name)
moving = lab[source].lxc[machine].migrate(lab[to], live=False, bandwidth="1 MiB")
while not (moving.phase == "copying files" and moving.progress and moving.progress.done_bytes > 2**20):
    time.sleep(0.01)
print("copying", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def gamma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A server as a host of a lab that has a namespace host, too; with a folder of its own for containers."""
    name = f"m-{secrets.token_hex(4)}"
    before = take_stock(name)
    with (
        server(tmp_path_factory.mktemp("server"), "400m") as far,
        Lab(name, hosts=["alpha", far.spec()]) as lab,
    ):
        place = 'mkdir -p /run/lxc-of-test && mount --bind /run/lxc-of-test "$1"'
        lab["gamma"].run(["sh", "-euc", place, "sh", "/var/lib/lxc"], check=True)
        yield lab["gamma"]
    left = settle(name, before)
    assert not left, f"the lab left behind: {left}"


def there(host: Host) -> dict[str, list[str]]:
    """What the server has of machines: their folders and the containers that run or are laid out."""
    folders = host.run(["ls", str(host.lab.folder / "machines")]).stdout.split()
    laid_out = host.run(["ls", "/var/lib/lxc"]).stdout.split()
    running = host.run(["pgrep", "-af", r"^\[lxc monitor\]"]).stdout.splitlines()
    return {"folders": folders, "laid out": laid_out, "running": running}


NOTHING: dict[str, list[str]] = {"folders": [], "laid out": [], "running": []}


def test_a_container_lives_on_a_server(gamma: Host) -> None:
    """It is made, keeps snapshots, is cloned, tells its counters; nothing is left, there or here."""
    box = gamma.lxc.create("box")
    assert box.run(["hostname"], check=True).stdout == "box\n"
    box.snapshot("one")
    twin = box.clone("twin")
    assert box.snapshots() == ["one"] and box.stats().cpu_seconds >= 0
    assert {machine.name for machine in gamma.lxc.machines()} == {"box", "twin"}
    for machine in (box, twin):
        machine.destroy()
        assert not machine.notes.exists()
    assert there(gamma) == NOTHING


SLOW = """
folder=$(mktemp -d)
cp /usr/bin/lxc-console "$folder/real"
printf '#!/bin/sh\\nsleep 1\\nexec %s/real "$@"\\n' "$folder" >"$folder/slow"
chmod +x "$folder/slow"
mount --bind "$folder/slow" /usr/bin/lxc-console
echo "$folder"
"""


def test_what_is_typed_at_once_reaches_the_container(gamma: Host) -> None:
    """A server that takes its time to open a console loses nothing of what was typed meanwhile."""
    box = gamma.lxc.create("typed")
    folder = gamma.run(["sh", "-euc", SLOW], check=True).stdout.strip()
    try:
        with box.console() as console:
            console.write("echo $((6*7))-inside\n")
            assert "42-inside" in console.expect("42-inside")
    finally:
        gamma.run(["sh", "-euc", 'umount /usr/bin/lxc-console; rm -r "$1"', "sh", folder], check=True)
        box.destroy()


def test_a_line_whose_command_ends_at_once_says_so(gamma: Host) -> None:
    """What it has said is heard, and that it has ended, though its terminal was never raw."""
    heard: list[bytes] = []
    leave = LxcLine(gamma, ["sh", "-c", "echo no such container; exit 1"]).follow(heard.append)
    until(lambda: heard and heard[-1] == b"", "the line has ended")
    leave()
    assert b"".join(heard) == b"no such container\r\n"


def test_a_server_is_not_joined_to_the_networks_of_a_lab(gamma: Host) -> None:
    """No frame of the lab's goes to a server, and no route of a server's is changed: it is said that this cannot be."""
    networks = gamma.lab.networks
    before = gamma.run(["ip", "route"], check=True).stdout
    networks.create("lan", host="alpha")
    networks.create("behind", mode="routed", host="alpha")
    for name in ("lan", "behind"):
        with pytest.raises(NotSupported, match="gamma") as caught:
            gamma.lxc.create("apart", networks=[name])
        assert "own machines" in caught.value.hint
        networks.remove(name)
    assert gamma.run(["ip", "route"], check=True).stdout == before
    assert there(gamma) == NOTHING


def test_who_dies_while_it_makes_a_container_leaves_nothing(
    gamma: Host, python: Callable[..., subprocess.Popen[str]]
) -> None:
    """The server takes back what was half made, and the name is free there and here."""
    maker = started(python, "there", MAKE, gamma.lab.name)
    assert there(gamma)["folders"] == ["half"]
    maker.kill()
    maker.wait(10)
    until(lambda: there(gamma) == NOTHING, "all is taken back")
    until(lambda: not (gamma.lab.folder / "machines" / "half").exists(), "its name is free")
    gamma.lxc.create("half").destroy()


def test_who_dies_while_it_moves_a_container_leaves_it_where_it_was(
    gamma: Host, python: Callable[..., subprocess.Popen[str]]
) -> None:
    """It runs on where it was; what had come to the other host is gone there, and it can be moved again."""
    alpha = gamma.lab["alpha"]
    machine = alpha.lxc.create("moving")
    machine.run(["sh", "-c", "head -c 20000000 /dev/urandom >/root/much; sha256sum /root/much >/root/sum"], check=True)
    for source, to in ((alpha, gamma), (gamma, alpha)):
        mover = started(python, "copying", MOVE, gamma.lab.name, machine.name, source.name, to.name)
        mover.kill()
        mover.wait(10)
        for note in (machine.notes / "arriving", machine.notes / "migrating"):
            until(lambda note=note: not note.exists(), "it is settled", 60)  # type: ignore[misc]
        until(lambda: machine.refresh() is State.RUNNING, "it runs again", 60)
        assert machine.host is source
        if to is gamma:
            assert there(gamma) == NOTHING
        else:
            assert not (alpha.folder / "var-lib-lxc" / machine.name).exists()
        machine.migrate(to, live=False).wait(200)
        assert machine.host is to and machine.run(["sha256sum", "-c", "/root/sum"]).ok
    machine.destroy()
    assert there(gamma) == NOTHING


def started(python: Callable[..., subprocess.Popen[str]], word: str, *argv: str) -> subprocess.Popen[str]:
    """A process that has said `word`."""
    process = python(*argv)
    assert process.stdout and process.stderr
    said = process.stdout.readline()
    assert said == f"{word}\n", process.stderr.read()
    return process
