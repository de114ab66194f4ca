"""`labkit doctor --host`: the checks on a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from _server import SSHD, Server, server

from labkit.cli import main
from labkit.hosts import _doctor_remote
from labkit.hosts._checks import State
from labkit.hosts._doctor_remote import examine_server

pytestmark = [
    pytest.mark.core,
    pytest.mark.xdist_group("ssh"),
    pytest.mark.skipif(not SSHD, reason="openssh-server is not installed"),
]


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Server]:
    """A server of each test's own."""
    with server(tmp_path, "8g") as running:
        yield running


def words(far: Server) -> list[str]:
    """The arguments that name the server."""
    spec = far.spec()
    options = [word for option in spec.options for word in ("--option", option)]
    return ["doctor", "--json", "--host", spec.target, "--identity", str(spec.identity), *options]


def test_the_checks_run_on_the_server(far: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """What is told is the server's: programs and room there, as a table and as JSON, and nothing stays there."""
    code = main(words(far))
    told = json.loads(capsys.readouterr().out)
    findings = {finding["name"]: finding for finding in told["findings"]}
    assert {"ssh", "operating system", "/dev/kvm", "QEMU", "libvirt daemon", "memory", "disk", "Docker", "LXC"} <= {
        *findings
    }
    assert "namespaces" not in findings
    assert "8 GiB free" in findings["disk"]["found"]
    assert findings["ssh"]["state"] == "ok"
    assert told["verdict"].startswith("Labs ")
    assert "on root@far-away.test" in told["verdict"]
    assert code == (0 if told["can_start"] else 1)
    assert not [finding for finding in findings.values() if "failed itself" in finding["found"]]
    assert far.run(["find", "/tmp", "-maxdepth", "1", "-name", "labkit-doctor-*"]).stdout == ""
    main([word for word in words(far) if word != "--json"])
    assert "operating system" in capsys.readouterr().out


def test_what_the_server_lacks_is_named_with_its_command(far: Server) -> None:
    """A missing program fails, and the command that brings it is one for the server."""
    assert far.run(["sh", "-c", "mount --bind /dev/null $(readlink -f $(command -v qemu-img))"]).returncode == 0
    report = examine_server(far.spec().login)
    (lacking,) = [finding for finding in report.findings if finding.name == "qemu-img"]
    assert lacking.state is State.FAIL
    assert lacking.fix == "ssh root@far-away.test 'apt-get install --no-install-recommends qemu-utils'"
    assert not report.can_start


def test_a_server_that_cannot_be_reached(far: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The one finding says why, and the exit code is 1."""
    far.make_key("user")
    assert main(words(far)) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["name"] == "ssh"
    assert finding["state"] == "fail"
    assert "does not let this user in" in finding["found"]
    assert "ssh-copy-id" in finding["fix"]


def test_a_server_with_an_older_python() -> None:
    """It is looked which programs are there, and said that there is no more."""
    findings = _doctor_remote._by_programs({"old": "3.9.2", "there": ["ip", "dnsmasq"]})
    states = {finding.name: finding.state for finding in findings}
    assert states["ip"] is State.OK
    assert states["qemu-img"] is State.FAIL
    assert states["dockerd"] is State.NOTE
    assert "3.9.2" in findings[0].found


def test_what_is_no_server_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    """A word that ssh would take for an option goes to nobody."""
    assert main(["doctor", "--host=-oProxyCommand=x"]) == 1
    assert "is not a server" in capsys.readouterr().err
