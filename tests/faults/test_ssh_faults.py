"""What can be wrong with a server: each a typed error with what to do, within bounded time, and nothing is left."""

from __future__ import annotations

import os
import pickle
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _lab import lab_of
from _server import SSHD, Server, server
from _wait import until

from labkit import Lab, Ssh
from labkit.errors import (
    InvalidValue,
    LabError,
    LoginRefused,
    NameInUse,
    NotEnoughDisk,
    NotFound,
    PackageMissing,
    ServerChanged,
    Unreachable,
)
from labkit.hosts._checks import find_program
from labkit.hosts._doctor_remote import examine_server
from labkit.hosts.base import Host
from labkit.hosts.remote import RemoteHost
from labkit.testing import take_stock

pytestmark = [
    pytest.mark.core,
    pytest.mark.xdist_group("ssh"),
    pytest.mark.skipif(not SSHD, reason="openssh-server is not installed"),
]
# A busy machine is given ten times what it takes.
BOUND_S = 60


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab for servers that do not work."""
    with lab_of(["alpha"]) as shared:
        yield shared


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Server]:
    """A server of each test's own."""
    with server(tmp_path) as running:
        running.name = f"s{secrets.token_hex(4)}.test"
        yield running


def check_that_it_is_not_added(
    lab: Lab, spec: Ssh, kind: type[LabError], sentence: str, hint: str, carrier: Host | None = None
) -> None:
    """Adding the server fails in those words, and the lab has nothing of it, here or in another process."""
    before = take_stock(lab.name)
    began = time.monotonic()
    with pytest.raises(kind, match=sentence) as caught:
        RemoteHost.start(lab, spec.name, spec.login, carrier=carrier) if carrier else lab.add_host(spec)
    assert time.monotonic() - began < BOUND_S
    assert caught.type is kind
    assert hint in caught.value.hint
    assert caught.value.host == spec.name
    assert spec.name not in lab.hosts
    assert spec.name not in Lab.attach(lab.name).hosts
    # Files apart: the lab has its own.
    until(lambda: not {*take_stock(lab.name).since(before)} - {"files"}, "nothing of it is left")
    assert not [path for path in lab.folder.rglob("*") if spec.name in path.name]


def proxy(words: str) -> dict[str, Any]:
    """Options with which ssh fails as it does when the network does."""
    return {"options": [f"ProxyCommand=sh -c '{words}'"]}


def test_a_name_that_nobody_knows(lab: Lab) -> None:
    """ssh's own answer, on a host of the lab: nobody outside is asked."""
    spec = Ssh("me@nowhere.invalid", name="gamma")
    check_that_it_is_not_added(lab, spec, Unreachable, "is not known", "spelling", lab["alpha"])


@pytest.mark.parametrize(
    ("said", "sentence"),
    [("Connection refused", "does not accept"), ("No route to host", "does not answer"),
     ("Connection timed out", "does not answer"), ("what nobody expects", "what nobody expects")],
)  # fmt: skip
def test_a_server_that_is_not_there(lab: Lab, said: str, sentence: str) -> None:
    """What ssh says when it gets no connection is told in labkit's words, with the server's name."""
    spec = Ssh("me@gone.test", name="gamma", **proxy(f"echo {said} >&2; exit 1"))
    check_that_it_is_not_added(lab, spec, Unreachable, sentence, "")


def test_nobody_listens(lab: Lab) -> None:
    """ssh's own answer for a port on which nobody listens, inside of the lab."""
    spec = Ssh(f"me@{lab['alpha'].address}", name="gamma", port=1)
    check_that_it_is_not_added(lab, spec, Unreachable, "does not accept", "port", lab["alpha"])


def test_a_key_that_is_refused(lab: Lab, far: Server) -> None:
    """A user whose key the server does not have is not let in."""
    far.make_key("user")
    check_that_it_is_not_added(lab, far.spec(), LoginRefused, "does not let this user in", "ssh-copy-id")


def test_a_key_file_that_is_not_there(lab: Lab, far: Server, tmp_path: Path) -> None:
    """It is named, before anything is started."""
    with pytest.raises(NotFound, match="no key file"):
        lab.add_host(far.spec(identity=tmp_path / "none"))


def test_options_that_ssh_does_not_know(lab: Lab, far: Server) -> None:
    """ssh's own words say which."""
    with pytest.raises(InvalidValue, match="(?i)nonsense"):
        lab.add_host(far.spec(options=["Nonsense=yes"]))


def test_a_server_that_has_become_another(lab: Lab, far: Server) -> None:
    """A server with another key than before is not believed, and its key is not replaced."""
    spec = far.spec(target="root@changing.test")
    host = lab.add_host(spec)
    forget(lab, host)
    known = (lab.folder / "known_hosts").read_text()
    assert known
    far.make_key("host")
    check_that_it_is_not_added(lab, spec, ServerChanged, "another key", "-R changing.test")
    assert (lab.folder / "known_hosts").read_text() == known


def forget(lab: Lab, host: Host) -> None:
    """Let the lab go on without a host."""
    host.leave()  # type: ignore[attr-defined]
    lab._hosts.pop(host.name)


def test_a_server_without_python(lab: Lab, far: Server) -> None:
    """It is said which program is missing, and how it comes there."""
    for place in ("/usr/bin/python3", "/usr/local/bin/python3"):
        far.run(["mount", "--bind", "/dev/null", place])
    check_that_it_is_not_added(lab, far.spec(), PackageMissing, "no python3", "apt-get install python3")


def log_in_as_nobody(far: Server) -> None:
    """Let a user without rights in, with a shell."""
    far.user = "nobody"
    far.run(["sh", "-c", "cp /etc/passwd /run/passwd; sed -i 's,^\\(nobody:.*:\\)[^:]*$,\\1/bin/sh,' /run/passwd"])
    assert far.run(["mount", "--bind", "/run/passwd", "/etc/passwd"]).returncode == 0
    # The folder of the test is root's alone.
    assert far.run(["install", "-m", "644", str(far.folder / "authorized"), "/run/authorized"]).returncode == 0


as_nobody = pytest.mark.skipif(os.geteuid() != 0, reason="a server of an ordinary user has no other user to log in")


@as_nobody
def test_a_user_who_may_not_become_root(lab: Lab, far: Server) -> None:
    """Without `sudo -n` nothing can be made there; the line that allows it is told."""
    log_in_as_nobody(far)
    check_that_it_is_not_added(lab, far.spec(), LoginRefused, "may not become root", "nobody ALL=")


# What sudo does for somebody who may: the options are passed over, the rest is run by root.
_SUDO = """
#include <unistd.h>
int main(int count, char **words) {
    if (count < 3 || setgid(0) || setuid(0)) return 1;
    setenv("SUDO_UID", "65534", 1);
    execvp(words[2], words + 2);
    return 127;
}
"""


@as_nobody
@pytest.mark.skipif(not find_program("gcc"), reason="gcc is not installed")
def test_a_user_who_becomes_root(lab: Lab, far: Server) -> None:
    """Who may become root by `sudo -n` does all as root, the doctor's checks too."""
    log_in_as_nobody(far)
    (far.folder / "sudo.c").write_text("#include <stdlib.h>" + _SUDO)
    subprocess.run(["gcc", "-o", str(far.folder / "sudo"), str(far.folder / "sudo.c")], check=True)
    assert far.run(["mount", "-t", "tmpfs", "tmpfs", "/usr/local/bin"]).returncode == 0
    assert far.run(["cp", str(far.folder / "sudo"), "/usr/local/bin/sudo"]).returncode == 0
    assert far.run(["chmod", "4755", "/usr/local/bin/sudo"]).returncode == 0
    host = lab.add_host(far.spec())
    assert host.run(["sh", "-c", "id -u; id -ru; echo $HOME"]).stdout == "0\n0\n/root\n"
    report = examine_server(far.spec().login)
    assert "becomes root" in report.findings[0].found
    assert not [finding for finding in report.findings if finding.fix.startswith("ssh") and "sudo" not in finding.fix]
    forget(lab, host)


def fill(far: Server, lab: Lab) -> None:
    """Leave no room on the server's disk."""
    far.run(["sh", "-c", f"mkdir -p {lab.folder.parent}; cat /dev/zero >{lab.folder.parent}/.full"])


def test_a_server_whose_disk_is_full(lab: Lab, tmp_path: Path) -> None:
    """A server without room is not added; one that runs full later says so, and recovers."""
    with server(tmp_path, "1m") as far:
        far.name = "full.test"
        fill(far, lab)
        check_that_it_is_not_added(lab, far.spec(), NotEnoughDisk, "No space left", "remove there")
        far.run(["rm", f"{lab.folder.parent}/.full"])
        host = lab.add_host(far.spec())
        fill(far, lab)
        (lab.folder / "machines").mkdir(exist_ok=True)
        with pytest.raises(NotEnoughDisk), host.reserve_folder(lab.folder / "machines" / "big", []):
            pytest.fail("there was room")
        assert not (lab.folder / "machines" / "big").exists()
        far.run(["rm", f"{lab.folder.parent}/.full"])
        with host.reserve_folder(lab.folder / "machines" / "big", [["rm", "-rf", f"{lab.folder}/machines/big"]]):
            pass
        until(lambda: not (lab.folder / "machines" / "big").exists(), "it is given back", 20)
        forget(lab, host)


def test_a_server_that_is_lost_in_the_middle_of_a_command(lab: Lab, far: Server) -> None:
    """Who waits for a command is told at once; the next command has a connection again."""
    host = lab.add_host(far.spec())
    nowhere = os.open(os.devnull, os.O_RDWR)
    running = host.spawn(["sleep", "1000"], [nowhere] * 3)
    os.close(nowhere)
    far.kill_connections()
    with pytest.raises(Unreachable, match="was lost"):
        running.wait(BOUND_S)
    running.close()
    until(lambda: host.run(["hostname"]).stdout == "far-away\n" if host.is_alive else False, "it is there again", 30)
    forget(lab, host)


def test_a_server_that_is_gone_for_good(lab: Lab, far: Server) -> None:
    """Every use says so in bounded time, the lab goes on without it, and can be closed."""
    host = lab.add_host(far.spec())
    command = far.command
    assert far.holder
    far.holder.send_signal(signal.SIGKILL)
    far.holder.wait()
    began = time.monotonic()
    until(lambda: not host.is_alive, "it is noticed", BOUND_S)
    for _ in range(5):
        with pytest.raises(Unreachable) as caught:
            host.run(["true"])
        assert caught.value.host == "gamma"
    assert time.monotonic() - began < BOUND_S
    assert lab["alpha"].run(["true"]).ok
    assert lab.machines() == []
    assert command
    with pytest.raises(Unreachable):
        lab.add_host("gamma")
    forget(lab, host)


def test_a_server_that_stops_answering_ends_the_supervisors_patience(lab: Lab) -> None:
    """A wire on which nothing is ever said is given up."""
    spec = Ssh("me@silent.test", name="gamma", options=["ProxyCommand=sleep 1000", "ConnectTimeout=2"])
    check_that_it_is_not_added(lab, spec, Unreachable, "does not answer|cannot be reached", "")


def test_the_server_belongs_to_another_lab(lab: Lab, far: Server) -> None:
    """A folder that another computer's lab of this name has there is not touched."""
    mark = f"{lab.folder}/owner.json"
    far.run(["sh", "-c", f"""mkdir -p {lab.folder}; echo '{{"origin": "other", "id": "1"}}' >{mark}"""])
    check_that_it_is_not_added(lab, far.spec(), NameInUse, "another computer", "another name")
    assert "other" in far.run(["cat", mark]).stdout


def test_what_an_earlier_lab_has_left_is_removed(lab: Lab, far: Server) -> None:
    """A lab and its supervisor that were killed at the same moment leave files there; the next of its name clears."""
    host = lab.add_host(far.spec())
    with host._channel() as channel:  # type: ignore[attr-defined]
        supervisor = channel.peer_pid()
    host.start_daemon("sleeper", ["sleep", "7654321"])
    os.kill(supervisor, signal.SIGKILL)
    far.run(["sh", "-c", f'sed -i \'s/"id": "[^"]*"/"id": "earlier"/\' {lab.folder}/owner.json'])
    assert host.run(["true"]).ok
    assert not far.processes("sleep 7654321")
    forget(lab, host)


def test_noise_at_login_is_passed_over(lab: Lab, far: Server) -> None:
    """What a login prints before the command disturbs nothing."""
    far.configure("Banner /etc/os-release", "SetEnv BASH_ENV=/run/noise ENV=/run/noise")
    far.run(["sh", "-c", "echo 'echo noise; echo noise >&2; printf labkit' >/run/noise"])
    host = lab.add_host(far.spec())
    assert host.run(["hostname"]).stdout == "far-away\n"
    forget(lab, host)


def test_an_interrupted_beginning_leaves_nothing(lab: Lab, far: Server) -> None:
    """Ctrl-C while it connects: no supervisor, no note, and it can be added afterwards."""
    slow = far.spec(options=["ProxyCommand=sleep 1000", "ConnectTimeout=100"])
    code = "import sys, pickle; from labkit import Lab; print('begins', flush=True); \
        Lab.attach(sys.argv[1]).add_host(pickle.loads(bytes.fromhex(sys.argv[2])))"
    client = subprocess.Popen(
        [sys.executable, "-c", code, lab.name, pickle.dumps(slow).hex()], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert client.stdout
    assert client.stdout.readline() == "begins\n"
    until((lab.sockets / "gamma" / "ctl").exists, "it connects", 30)
    client.send_signal(signal.SIGINT)
    client.communicate(timeout=BOUND_S)
    until(lambda: not (lab.sockets / "gamma").exists(), "nothing of it is left", 30)
    host = lab.add_host(far.spec())
    assert host.run(["true"]).ok
    forget(lab, host)
