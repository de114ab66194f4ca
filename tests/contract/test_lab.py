"""Labs: how they come to be, are found again, and end."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import libvirt
import pytest

from labkit import Lab, labs
from labkit._listing import end_lab, end_labs_of_run
from labkit.errors import InvalidName, LabGone, NameInUse, NotFound
from labkit.hosts import _launch
from labkit.hosts.base import Host
from labkit.testing import take_stock

pytestmark = pytest.mark.core

INTRUDER = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
try:
    s.send(b'{"op": "info"}')
    print(s.recv(99).decode() or "hung up", end="")
except (BrokenPipeError, ConnectionResetError):
    print("hung up", end="")
"""


def test_with_block_leaves_nothing(lab_name: str) -> None:
    """A lab with two hosts, their daemons and a network is gone after the block."""
    before = take_stock(lab_name)
    with Lab(lab_name, hosts=["alpha", "beta"]) as lab:
        lab.networks.create("lan")
        assert lab["beta"].kvm.connection().getHostname() == "beta"
        assert len(take_stock(lab_name).since(before)["processes"]) >= 6
    assert lab.closed
    assert take_stock(lab_name).since(before) == {}


def test_hosts_see_each_other_and_nothing_else(lab_name: str) -> None:
    """A host reaches the other by name, and has no way out of the lab."""
    with Lab(lab_name, hosts=["alpha", "beta"]) as lab:
        # Refused, not lost: beta itself has answered.
        code = "import socket; print(socket.socket().connect_ex(('beta', 9)))"
        assert lab["alpha"].run(["/usr/bin/python3", "-c", code], timeout_s=10).stdout == f"{errno.ECONNREFUSED}\n"
        routes = json.loads(lab["alpha"].run(["ip", "-j", "route"]).stdout)
        assert [route["dst"] for route in routes] == ["198.18.0.0/24"]


def test_open_finds_the_same_lab(lab_name: str) -> None:
    """Opening a name twice gives the same hosts, and adds those that are new."""
    first = Lab.open(lab_name, hosts=["alpha"])
    try:
        first["alpha"].run(["touch", "/run/mark"], check=True)
        second = Lab.open(lab_name, hosts=["alpha", "beta"])
        assert second["alpha"].run(["ls", "/run/mark"]).ok
        assert set(second.hosts) == {"alpha", "beta"}
        with pytest.raises(NameInUse):
            Lab(lab_name)
        with pytest.raises(NameInUse):
            second.add_host("beta")
    finally:
        first.close()


def test_an_opened_lab_outlives_its_process(lab_name: str, python: Callable[..., subprocess.Popen[str]]) -> None:
    """A lab opened by name goes on after its process has been killed."""
    code = "import sys, os, signal; from labkit import Lab; Lab.open(sys.argv[1]); os.kill(os.getpid(), signal.SIGKILL)"
    assert python(code, lab_name).wait(30) == -9
    lab = Lab.open(lab_name)
    assert lab["alpha"].run(["true"]).ok
    lab.close()


def test_a_lab_of_a_process_ends_with_it(lab_name: str, python: Callable[..., subprocess.Popen[str]]) -> None:
    """A lab that was not opened by name is gone once its process was killed."""
    code = "import sys, os, signal; from labkit import Lab; Lab(sys.argv[1]); os.kill(os.getpid(), signal.SIGKILL)"
    assert python(code, lab_name).wait(30) == -9
    deadline = time.monotonic() + 10
    while any(lab.name == lab_name for lab in labs()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_lab_starts_where_the_path_is_relative(lab_name: str) -> None:
    """With `PATH=.venv/bin:…`, Python does not know where it lies from elsewhere: a lab starts none the less."""
    code = (
        f"from labkit import Lab\nwith Lab({lab_name!r}, hosts=['alpha']) as lab: assert lab['alpha'].run(['true']).ok"
    )
    here = Path(sys.executable)
    environment = os.environ | {"PATH": f"{here.parent.name}:{os.environ['PATH']}"}
    subprocess.run([here.name, "-c", code], cwd=here.parent.parent, env=environment, check=True)


def test_the_lease_ends_a_forgotten_lab(lab_name: str) -> None:
    """A lab that nobody uses ends by its lease; one that is used does not."""
    lab = Lab.open(lab_name, lease="2 s")
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        lab._touched = 0.0  # the client renews every 20 s: too seldom for this short lease
        lab["alpha"].run(["true"], check=True)
        time.sleep(0.1)
    deadline = time.monotonic() + 10
    while _launch.is_alive(lab_name) or _launch.folder(lab_name).exists():
        assert time.monotonic() < deadline, "the lab outlived its lease"
        time.sleep(0.05)
    with pytest.raises(LabGone):
        lab["alpha"].run(["true"])


def test_many_openers_at_once_share_one_lab(lab_name: str) -> None:
    """Eight at once open the same name: one lab is made, and all have it."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: Lab.open(lab_name), range(8)))
    pids = {lab.channel().peer_pid() for lab in found}
    found[0].close()
    assert len(pids) == 1


class Slow:
    """A host that is long in the making: meanwhile another lab is opened."""

    def __init__(self, other: str) -> None:
        self.other = other

    def names(self) -> list[str]:
        return ["slow"]

    def start(self, lab: Lab, name: str) -> Host:
        with Lab(self.other) as other:
            assert other["alpha"].run(["true"]).ok
        return lab.add_host("quick")


def test_a_lab_opens_while_another_is_in_the_making(lab_name: str) -> None:
    """Whoever waits for the hosts of a lab holds up nobody with another lab."""
    other = lab_name[:-1] + ("1" if lab_name.endswith("0") else "0")  # which have two locks
    with Lab(lab_name, hosts=Slow(other)) as lab:
        assert lab["quick"].run(["true"]).ok


@pytest.mark.parametrize(
    "name", ["x;reboot", "../../etc", "a\0b", "a" * 300, "</name>", "\u202egnp", "", "-a", "A", "ä", None, 7]
)
def test_bad_names_are_refused_everywhere(name: object, lab_name: str) -> None:
    """A name that could mean something to a shell, a path, XML or a reader's eye is refused."""
    with pytest.raises(InvalidName, match="cannot be a name"):
        Lab(name)  # type: ignore[arg-type]
    with pytest.raises(InvalidName):
        Lab(lab_name, hosts=[name])  # type: ignore[list-item]
    with pytest.raises(InvalidName):
        end_lab(name)  # type: ignore[arg-type]


def test_only_the_owner_can_open_the_control_socket(lab_name: str) -> None:
    """The control sockets are closed to everybody else."""
    with Lab(lab_name) as lab:
        for path in (lab.sockets / "ctl", lab.sockets / "alpha" / "ctl"):
            assert path.stat().st_mode & 0o077 == 0
        assert lab.sockets.stat().st_mode & 0o077 == 0
        if os.geteuid() == 0:
            lab.sockets.chmod(0o777)
            lab.sockets.parent.chmod(0o777)
            (lab.sockets / "ctl").chmod(0o777)
            as_nobody = ["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", INTRUDER]
            done = subprocess.run([*as_nobody, lab.sockets / "ctl"], check=False, capture_output=True)
            lab.sockets.parent.chmod(0o700)
            assert (done.returncode, done.stdout) == (0, b"hung up"), done


def test_labs_of_a_run_are_apart_and_are_ended(lab_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of notebooks has labs of its own beside equal names, and they end by the run's id."""
    with Lab(lab_name) as mine:
        first_process = mine.channel().peer_pid()
        monkeypatch.setenv("LABKIT_RUN", "run-7")
        theirs = Lab.open(lab_name)
        assert theirs.channel().peer_pid() != first_process
        assert Lab.open(lab_name).channel().peer_pid() == theirs.channel().peer_pid()
        monkeypatch.delenv("LABKIT_RUN")
        assert end_labs_of_run("run-8") == []
        [ended] = end_labs_of_run("run-7")
        assert ended.startswith(f"{lab_name}.")
        assert mine["alpha"].run(["true"]).ok
    with pytest.raises(NotFound):
        end_lab(lab_name)


def test_ps_and_down_tell_what_there_is(lab_name: str) -> None:
    """`labkit ps` lists the lab and `labkit down` says what it removed."""
    Lab.open(lab_name, hosts=["alpha", "beta"])
    listed = subprocess.run(
        [sys.executable, "-m", "labkit.cli", "ps", "--json"], capture_output=True, text=True, check=True
    )
    [found] = [lab for lab in json.loads(listed.stdout) if lab["name"] == lab_name]
    assert [host["name"] for host in found["hosts"]] == ["alpha", "beta"]
    ended = subprocess.run(
        [sys.executable, "-m", "labkit.cli", "down", lab_name], capture_output=True, text=True, check=True
    )
    assert "2 host(s): alpha, beta" in ended.stdout
    assert not _launch.is_alive(lab_name)
    again = subprocess.run(
        [sys.executable, "-m", "labkit.cli", "down", lab_name], capture_output=True, text=True, check=False
    )
    assert again.returncode == 1
    assert "there is no lab" in again.stderr


def test_hosts_have_libvirt_of_their_own(lab_name: str) -> None:
    """Each host's libvirt answers under the host's name, also to a plain client on the socket."""
    with Lab(lab_name, hosts=["alpha", "beta"]) as lab:
        for name in ("alpha", "beta"):
            lab[name].start_libvirt()
            connection = libvirt.open(f"qemu+unix:///system?socket={lab.sockets}/{name}/libvirt.sock")
            assert connection.getHostname() == name
            assert connection.listNetworks() == []
            connection.close()


def test_sockets_may_lie_under_run(lab_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where systemd has the user's runtime folder, below a /run that each host has of its own, hosts work too."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="labkit-", dir="/run")
    except PermissionError:
        pytest.skip("this user may not write to /run")
    with folder as path:
        monkeypatch.setenv("LABKIT_RUNTIME", f"{path}/labkit")
        with Lab(lab_name, hosts=["alpha", "beta"]) as lab:
            assert lab["alpha"].run(["ls", f"{path}/labkit/{lab_name}"]).stdout.split() == ["alpha", "beta", "ctl"]
            lab["alpha"].kvm.connection()
            assert lab["alpha"].run(["ls", "/run/user"]).exit_code != 0


def test_a_lab_shows_itself(lab_name: str) -> None:
    """The static form of a lab names hosts and networks, and still shows after its end."""
    with Lab(lab_name, hosts=["alpha"]) as lab:
        lab.networks.create("lan")
        html = lab._repr_mimebundle_()["text/html"]
        assert lab_name in html
        assert "alpha" in html
        assert "198.19.1.0/24" in html
    assert "has ended" in lab._repr_mimebundle_()["text/html"]
