"""What goes wrong with hosts that boot Xen: each is said in words, and nothing is left."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _lab import lab_of
from _wait import until

from labkit import Lab, Xen
from labkit.errors import LabGone, NotEnoughMemory, Unreachable
from labkit.hosts import _xen_qemu
from labkit.hosts._xen_template import home
from labkit.hosts.xen import XenHost, XenState
from labkit.storage import xen as appliances
from labkit.testing import settle, take_stock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("xen")]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with lab_of(["near"]) as made:
        yield made


@pytest.fixture
def host(lab: Lab) -> Iterator[XenHost]:
    made = lab.add_host("xena", provider="xen")
    assert isinstance(made, XenHost)
    yield made
    made.destroy()


_LIVES = """\
<domain type='xen'><name>lives</name><memory unit='MiB'>96</memory><vcpu>1</vcpu>
<os><type machine='xenpvh'>xenpvh</type><kernel>/boot/vmlinux</kernel><initrd>/usr/lib/labkit/busy.img</initrd></os>
</domain>
"""


def _pid(host: XenHost) -> str:
    return (host.carrier.folder / "xen" / host.name / "pid").read_text().strip()


def test_not_enough_memory(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said before anything starts, and no carrier is made for it."""
    monkeypatch.setattr(_xen_qemu, "available_bytes", lambda: 2**30)
    with pytest.raises(NotEnoughMemory, match="1.5 GiB needs more than the 1 GiB"):
        lab.add_host("xenb", provider="xen")
    assert list(lab.hosts) == ["near"]


def test_the_appliance_is_killed(lab: Lab) -> None:
    """Who uses the host is told at once, the lab goes on, and it can be made again under its name."""
    host = lab.add_host("xenk", provider="xen")
    assert isinstance(host, XenHost)
    host.carrier.run(["kill", "-9", _pid(host)], check=True)
    until(lambda: host.status() is XenState.ENDED, "its QEMU has ended")
    began = time.monotonic()
    with pytest.raises(LabGone, match="xenk has ended") as caught:
        host.run(["true"])
    assert time.monotonic() - began < 10
    assert 'add_host("xenk", provider="xen")' in caught.value.hint
    assert not host.is_alive
    assert lab["near"].run(["true"]).ok
    again = lab.add_host("xenk", provider="xen")
    assert isinstance(again, XenHost)
    assert again.run(["hostname"], check=True).stdout == "xenk\n"
    again.destroy()


def test_a_command_runs_while_the_appliance_is_killed(lab: Lab) -> None:
    """It ends with an error of labkit's, and not with its time limit."""
    from threading import Timer

    from labkit.errors import LabError

    host = lab.add_host("xenr", provider="xen")
    assert isinstance(host, XenHost)
    pid, carrier = _pid(host), host.carrier
    Timer(2, lambda: carrier.run(["kill", "-9", pid])).start()
    began = time.monotonic()
    with pytest.raises(LabError) as caught:
        host.run(["sleep", "500"], timeout_s=400)
    assert time.monotonic() - began < 120, caught.value
    host.destroy()


def test_libvirt_in_domain_0_is_killed(host: XenHost) -> None:
    """It comes again by itself, and a machine that ran goes on."""
    host.start_libvirt()
    host.run(["virsh", "-q", "-c", "xen:///system", "create", "/dev/stdin"], input=_LIVES, timeout_s=100, check=True)
    first = host.run(["pidof", "libvirtd"], check=True).stdout
    host.run(["sh", "-c", "kill -9 $(pidof libvirtd)"], check=True)
    host.start_libvirt()
    told = host.run(["virsh", "-q", "-c", "xen:///system", "list"], timeout_s=100, check=True).stdout
    assert "lives" in told
    assert "lives" in host.run(["xl", "list"], check=True).stdout
    assert host.run(["pidof", "libvirtd"], check=True).stdout != first
    host.run(["xl", "destroy", "lives"], check=True)


def test_sshd_in_domain_0_is_killed(host: XenHost) -> None:
    """It comes again by itself, and with it the connection."""
    with contextlib.suppress(Unreachable):
        host.run(["sh", "-c", "kill -9 $(pidof sshd)"])
    until(lambda: host.is_alive, "it answers again", timeout_s=60)
    assert host.run(["hostname"], check=True).stdout.strip() == host.name


def test_its_maker_is_killed(lab: Lab, python: Callable[..., subprocess.Popen[str]]) -> None:
    """Whatever it had begun is taken back: no QEMU, no files, and the name is free."""
    code = "import sys; from labkit import Lab; Lab.attach(sys.argv[1]).add_host('xenm', provider='xen')"
    maker = python(code, lab.name)
    lab.refresh()
    folder = lab.folder / "hosts" / "carrier" / "xen" / "xenm"
    until((folder / "pid").exists, "its QEMU has started", timeout_s=1200)
    maker.kill()
    maker.communicate()
    until(lambda: not folder.exists(), "its files are gone", timeout_s=30)
    lab.refresh()
    until(lambda: lab["carrier"].daemon_exit("xen-xenm") is not None, "its QEMU has ended")
    made = lab.add_host("xenm", provider="xen")
    assert isinstance(made, XenHost)
    made.destroy()


@pytest.fixture
def small_template() -> Iterator[Path]:
    """The place of a template of a size that nobody else uses."""
    image = appliances.get()
    yield (place := home() / f"{image.digest[:8]}-{_SMALL.size.text}")
    if place.exists():
        from labkit.storage._workshop import discard

        discard(place)


_SMALL = Xen("small", memory="1 GiB", dom0_memory="400 MiB")


def test_two_at_once_build_one_template(
    lab: Lab, small_template: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    """One builds, the other waits for it and says so; what changes in it afterwards is noticed and said."""
    code = (
        "import sys; from labkit import Lab, Xen; name = sys.argv[2];"
        "Lab(name, hosts=[Xen('x', memory='1 GiB', dom0_memory='400 MiB')]).close()"
    )
    names = [f"t-{secrets.token_hex(4)}" for _ in range(2)]
    before = take_stock(names[0])
    both = [python(code, lab.name, name) for name in names]
    said = [process.communicate(timeout=1500)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted("booting Xen" in words for words in said) == [False, True], said
    assert sum("waiting for another process" in words for words in said) == 1
    assert not settle(names[0], before)

    about = json.loads((small_template / "about.json").read_text())
    (small_template / "about.json").write_text(json.dumps(about | {"QEMU": "another"}))
    rebuilt = python(code, lab.name, names[0])
    words = rebuilt.communicate(timeout=1500)[1]
    assert rebuilt.returncode == 0, words
    assert "another QEMU" in words
    assert "made anew" in words
    assert json.loads((small_template / "about.json").read_text())["QEMU"] == about["QEMU"]
    assert not settle(names[0], before)


def test_a_damaged_state_is_made_anew(lab: Lab, small_template: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """QEMU refuses it; the template is built again, that is said, and the host is there."""
    lab.add_host(_SMALL).destroy()  # type: ignore[attr-defined]
    state = small_template / "state"
    times = state.stat()
    state.chmod(0o600)
    state.write_bytes(bytes(times.st_size))
    import os

    os.utime(state, ns=(times.st_atime_ns, times.st_mtime_ns))
    made = lab.add_host(_SMALL)
    assert isinstance(made, XenHost)
    assert "made anew" in capfd.readouterr().err
    assert made.run(["true"]).ok
    made.destroy()
