"""The script ./lab on a fresh Debian: installed for real, cut off in the middle, repaired.

The machine is a root filesystem with nothing but git; see `_fresh`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from _fresh import Fresh, folder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("fresh"),  # one at a time: each is as heavy as an installation
    pytest.mark.skipif(os.geteuid() != 0, reason="a fresh machine can only be made and entered by root"),
    pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="mmdebstrap is not installed: ./lab install brings it"),
]


@pytest.fixture(scope="module")
def bookworm() -> Iterator[Fresh]:
    with folder() as path:
        yield Fresh.debian("bookworm", path / "bookworm")


@pytest.fixture
def machine(bookworm: Fresh) -> Iterator[Fresh]:
    with folder() as path:
        yield bookworm.copy(path / "machine")


@pytest.fixture(scope="module")
def with_packages(bookworm: Fresh) -> Iterator[Fresh]:
    with folder() as path:
        machine = bookworm.copy(path / "packages")
        machine.run("./lab packages")
        yield machine


@pytest.fixture
def packaged(with_packages: Fresh) -> Iterator[Fresh]:
    with folder() as path:
        yield with_packages.copy(path / "machine")


def open_jupyterlab(machine: Fresh) -> float:
    """Seconds from the call of ./lab to an answer over HTTP, with the token that was printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    with machine.start(f"exec ./lab --port {port} --ServerApp.port_retries=0") as process:
        try:
            assert process.stdout is not None
            printed = ""
            while not (address := re.search(rf"http://127\.0\.0\.1:{port}/lab\?token=\w+", printed)):
                line = process.stdout.readline()
                assert line, f"no address was printed: {printed}"
                printed += line
            page = ""
            while not page:
                with contextlib.suppress(urllib.error.URLError):  # it prints the address before it listens
                    page = urllib.request.urlopen(address[0], timeout=30).read().decode()
                assert time.monotonic() < began + 60, "JupyterLab did not answer"
            took = time.monotonic() - began
            assert "JupyterLab" in page
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/contents", timeout=30)
        finally:
            process.kill()
    return took


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_installs_on_a_fresh_machine(suite: str) -> None:
    """From nothing but git to an open JupyterLab, within 2 s the second time, with no service started or enabled."""
    with folder() as path:
        machine = Fresh.debian(suite, path / suite)
        assert "Usage" in machine.run("./lab --help")
        assert not (machine.checkout / ".venv").exists()
        before = machine.enabled()

        output = machine.run("./lab install; code=$?; sleep 1; echo running: /proc/[0-9]*; exit $code")
        assert "lab: ready" in output
        assert output.splitlines()[-1].split() == ["running:", "/proc/1"]
        assert machine.enabled() == before
        assert not machine.left_behind()
        assert not list(machine.root.glob("etc/libvirt/qemu/networks/**/*.xml"))

        began = time.monotonic()
        assert machine.run("./lab install") == "lab: ready: ./lab opens JupyterLab\n"
        assert time.monotonic() - began < 5
        # Two seconds are promised on an idle machine; a busy one gets more here.
        took = min(open_jupyterlab(machine) for _ in range(3))
        print(f"JupyterLab answers {took:.2f} s after ./lab")
        assert took < 10
        # an ordinary user may use what root installed, and is told why it cannot be changed
        user = "useradd u && exec setpriv --reuid u --regid u --clear-groups env HOME=/tmp"
        assert "ready" in machine.run(f"{user} ./lab install")
        machine.run("echo >>pyproject.toml")
        assert "may not write to it: it belongs to root" in machine.run(f"userdel u; {user} ./lab install", code=1)


@pytest.mark.parametrize("moment", ["unpacked", "half-installed", "configure"])
def test_repairs_packages(machine: Fresh, moment: str) -> None:
    """After a kill -9 of everything in the middle of apt-get the next call finishes the packages."""
    log = machine.root / "var/log/dpkg.log"

    def in_the_middle() -> bool:
        return log.exists() and log.read_text().count(moment) > 40

    log.unlink(missing_ok=True)
    machine.cut_off("./lab packages", in_the_middle)
    assert machine.left_behind()
    if moment == "half-installed":  # a moment that is hard to meet: one was being replaced
        status = machine.root / "var/lib/dpkg/status"
        told = status.read_text()
        assert "\nStatus: install ok unpacked\n" in told
        status.write_text(told.replace("install ok unpacked", "install reinstreq half-installed", 1))
    output = machine.run("./lab packages && echo audit && dpkg --audit && echo whole && ./lab packages")
    assert "finishing an installation that was cut off" in output
    assert output.splitlines()[-2:] == ["audit", "whole"]  # dpkg complains of nothing, and there is nothing to do
    assert not machine.left_behind()


def test_keeps_the_policy_of_others(machine: Fresh) -> None:
    """A policy-rc.d that was there is there again after an installation, also after a kill -9 of ./lab alone."""
    policy = machine.root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 104\n")
    policy.chmod(0o755)
    machine.run(
        "./lab packages & lab=$!\n"
        "until grep -qs labkit /usr/sbin/policy-rc.d && grep -qsx dpkg /proc/[0-9]*/comm; do sleep 0.1; done\n"
        "kill -9 $lab; wait $lab\n"
        "test -e /usr/sbin/policy-rc.d.labkit-saved || exit 3\n"  # apt-get goes on, and still starts nothing
        "until ! grep -q labkit /usr/sbin/policy-rc.d; do sleep 0.1; done\n"  # the guard puts things back
        "dpkg --audit"
    )
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert [path.name for path in policy.parent.glob("policy-rc.d*")] == ["policy-rc.d"]
    machine.run("./lab packages")
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert len(machine.left_behind()) == 1


def test_repairs_the_environment(packaged: Fresh) -> None:
    """After a kill -9 of everything in the middle of pip the next call makes .venv afresh, whatever PIP_… says."""
    site = packaged.checkout / ".venv/lib"
    packaged.cut_off("./lab install", lambda: any(site.glob("python3*/site-packages/jupyterlab")))
    assert packaged.left_behind()
    confusing = "export PIP_USER=1 PIP_TARGET=/nowhere PIP_REQUIRE_HASHES=1 PYTHONPATH=/nowhere"
    packaged.run(f"{confusing}; ./lab install && unset PYTHONPATH && .venv/bin/python -c 'import jupyterlab, libvirt'")
    assert not packaged.left_behind()
    assert not list(site.glob("python3*/site-packages/~*"))


def test_two_at_once(packaged: Fresh) -> None:
    """Of two calls at once one installs and the other waits for it; both succeed."""
    output = packaged.run("./lab install & one=$!; ./lab install && wait $one")
    assert output.count("lab: installing labkit") == 1
    assert output.count("waiting for it") >= 1
    assert output.count("lab: ready") == 2


def test_moved(packaged: Fresh) -> None:
    """A checkout that was moved works again in its new place."""
    packaged.run("./lab install && mv '/srv/my lab' /srv/moved && cd /srv/moved && ./lab install")
    assert "/srv/moved" in packaged.run("head -n 2 /srv/moved/.venv/bin/jupyter-lab")
