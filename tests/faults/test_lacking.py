"""The machine lacks something that labs need: each time an error of its own, in time, and nothing made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _world import AS_USER, hide, run_apart

from labkit import Lab
from labkit.errors import PackageMissing
from labkit.hosts import _libvirtd
from labkit.testing import take_stock

pytestmark = pytest.mark.core

CREATE = """
import os, sys
with Lab(sys.argv[1]) as lab:
    alpha = lab["alpha"]
    print(told(lambda: alpha.kvm.create("web")))
    print(alpha.kvm.is_connected, os.path.exists(lab.folder / "machines"), alpha.run(["hostname"]).stdout, end="")
"""
USE = """
import sys, time
with Lab(sys.argv[1]) as lab:
    alpha = lab["alpha"]
    began = time.monotonic()
    print(told(lambda: alpha.kvm.create("web")))
    print(told(lambda: lab.networks.create("lan")))
    print(time.monotonic() - began)
    print(list(lab.networks), lab["alpha"].run(["hostname"]).stdout, end="")
"""


@pytest.fixture(autouse=True)
def _nothing_is_left(lab_name: str) -> Iterator[None]:
    """No process, link, mount or file of the lab is there once the program has ended."""
    before = take_stock(lab_name)
    yield
    assert take_stock(lab_name).since(before) == {}


def test_no_tun_device(lab_name: str) -> None:
    """Without /dev/net/tun no machine is begun, and the error has the command that brings it."""
    came, left = run_apart("mount -t tmpfs tmpfs /dev/net", CREATE, lab_name)
    assert came.startswith("DeviceMissing: /dev/net/tun: missing.")
    assert "→ sudo " in came or "→ mkdir " in came or "→ mknod " in came or "→ modprobe " in came
    assert left == "False False alpha"


def test_no_qemu(lab_name: str) -> None:
    """Without QEMU no machine is begun, and the error names the package."""
    came, left = run_apart(hide("qemu-system-x86_64"), CREATE, lab_name)
    assert came.startswith("PackageMissing: the program qemu-system-x86_64 is not installed")
    assert "apt-get install" in came
    assert left == "False False alpha"


def test_no_libvirt_daemon(lab_name: str) -> None:
    """Without libvirt's daemon the first use of it names the package; the lab goes on."""
    machine, network, took, left = run_apart(hide("libvirtd", "virtqemud"), USE, lab_name)
    for came in (machine, network):
        assert came.startswith("PackageMissing: libvirt's daemon")
        assert "apt-get install" in came
    assert float(took) < 3
    assert left == "[] alpha"


def test_no_dnsmasq(lab_name: str) -> None:
    """Without dnsmasq a network cannot be made, the error names the package, and no half of it stays."""
    program = USE.replace('alpha.kvm.create("web")', 'lab.networks.create("lan")')
    first, again, _, left = run_apart(hide("dnsmasq"), program, lab_name)
    for came in (first, again):
        assert came.startswith("PackageMissing: the program dnsmasq is not installed")
        assert "apt-get install" in came
    assert left == "[] alpha"


def test_no_ip_command(lab_name: str) -> None:
    """Without `ip` no lab is made, and the error names the package."""
    [came] = run_apart(hide("ip"), "import sys; print(told(lambda: Lab(sys.argv[1])))", lab_name)
    assert came.startswith("PackageMissing: the program ip is not installed")
    assert "apt-get install" in came


def test_no_unshare_command(lab_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `unshare` no lab is made, and the error names the package."""
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nonexistent")
        with pytest.raises(PackageMissing, match="unshare") as caught:
            Lab(lab_name)
    assert "util-linux" in caught.value.hint


def test_a_daemon_that_ends_at_once(lab_name: str, tmp_path: Path) -> None:
    """When libvirt's daemon ends as it starts, the error quotes its last words and comes within seconds."""
    daemon = next(iter(_libvirtd.daemons().values()))
    fake = tmp_path / "daemon"
    fake.write_text("#!/bin/sh\necho first words\nseq 50\necho 'the seal is broken' >&2\nexit 3\n")
    fake.chmod(0o755)
    machine, network, took, left = run_apart(f"mount --bind '{fake}' '{daemon}'", USE, lab_name)
    for came in (machine, network):
        assert came.startswith("DaemonFailed: libvirt's daemon ended with exit code 3: ")
        assert "the seal is broken" in came
        assert "first words" not in came
        assert "`labkit doctor`" in came
    assert float(took) < 3
    assert left == "[] alpha"


@pytest.mark.slow
def test_a_daemon_that_never_answers(lab_name: str, tmp_path: Path) -> None:
    """When libvirt's daemon runs but never answers, the error says so at its deadline."""
    daemon = next(iter(_libvirtd.daemons().values()))
    fake = tmp_path / "daemon"
    fake.write_text("#!/bin/sh\necho 'waiting for the moon' >&2\nexec sleep 300\n")
    fake.chmod(0o755)
    machine, _, took, left = run_apart(f"mount --bind '{fake}' '{daemon}'", USE, lab_name)
    assert machine.startswith("DaemonFailed: libvirt's daemon did not answer within 30 s: waiting for the moon")
    assert float(took) < 65
    assert left == "[] alpha"


# ── No namespaces ─────────────────────────────────────────────────────────────────────────────

ORDINARY = 65534  # nobody
FORBIDDEN = f"""
mount -t tmpfs -o mode=700,uid={ORDINARY} tmpfs "$LABKIT_STATE"
mount -t tmpfs -o mode=700,uid={ORDINARY} tmpfs "$LABKIT_RUNTIME"
for file in /etc/subuid /etc/subgid; do mount --bind "$0" $file; done
echo "$1" >/proc/sys/user/max_user_namespaces
shift
exec setpriv --reuid {ORDINARY} --regid {ORDINARY} --clear-groups "$@"
"""
LEND_IDS = 'mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && exec "$@"'
OPEN = """
import sys, time
from labkit import Lab
from labkit.errors import NamespacesForbidden
from labkit.testing import settle, take_stock
before = take_stock(sys.argv[1])
for make in (Lab, Lab.open):
    began = time.monotonic()
    try:
        make(sys.argv[1])
    except NamespacesForbidden as error:
        print(str(error).replace(chr(10), " "))
    assert time.monotonic() - began < 20
    assert settle(sys.argv[1], before) == {}
"""


def as_nobody(subordinate_ids: str, most_namespaces: int, name: str, folder: Path) -> list[str]:
    """What the user nobody gets to read who opens a lab under these conditions."""
    (folder / "root").write_text("root:1000000:65536\n")
    (folder / "nobody").write_text(subordinate_ids)
    folder.chmod(0o755)
    lent = ["unshare", "--mount", "sh", "-euc", LEND_IDS, str(folder / "root")] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*lent, "unshare", *AS_USER, "--mount", "sh", "-euc", FORBIDDEN, str(folder / "nobody"),
         str(most_namespaces), sys.executable, "-c", OPEN, name],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_user_namespaces_are_forbidden(lab_name: str, tmp_path: Path) -> None:
    """Where no user namespace may be made, the error has the command that allows them; nothing is left."""
    lines = as_nobody("nobody:10000:50000\n", 0, lab_name, tmp_path)
    assert len(lines) == 2
    for line in lines:
        assert "user.max_user_namespaces is 0" in line
        assert "sysctl -w user.max_user_namespaces=" in line


def test_no_subordinate_ids(lab_name: str, tmp_path: Path) -> None:
    """A user without lines in /etc/subuid and /etc/subgid is told the command that adds them."""
    lines = as_nobody("", 1000, lab_name, tmp_path)
    assert len(lines) == 2
    for line in lines:
        assert "/etc/subuid" in line
        assert "usermod --add-subuids" in line
