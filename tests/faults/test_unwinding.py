"""An exception or Ctrl-C in the middle of something: all of it is taken back."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import libvirt
import pytest
from _wait import until
from _world import guests_of

from labkit import Lab
from labkit.errors import EngineError, InvalidValue, NameInUse
from labkit.hosts import _launch, _libvirtd
from labkit.hosts.namespace import NamespaceHost
from labkit.machines._kvm_machine import KvmMachine
from labkit.machines._template import Template
from labkit.machines.kvm import KvmEngine
from labkit.testing import take_stock

pytestmark = pytest.mark.core


class Boom(Exception):
    """An error of a user's own."""


def interrupt(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *, after: bool) -> None:
    """Let Ctrl-C come when `owner.name` is called, or at its end."""
    real = getattr(owner, name)

    def interrupted(*arguments: object, **words: object) -> None:
        if after:
            real(*arguments, **words)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, interrupted)


def test_an_exception_in_the_block_removes_all(lab_name: str) -> None:
    """When the body of `with Lab(…)` fails, everything that it had made is gone, and its error comes out."""
    before = take_stock(lab_name)
    with pytest.raises(Boom), Lab(lab_name, hosts=["alpha", "beta"]) as lab:  # noqa: PT012
        lab.networks.create("lan")
        lab["alpha"].kvm.create("web", networks=["lan"])
        raise Boom
    assert take_stock(lab_name).since(before) == {}


def test_a_host_named_twice_leaves_no_lab(lab_name: str) -> None:
    """A lab whose second host cannot be made, for its name is taken, is not made at all."""
    before = take_stock(lab_name)
    for make in (Lab, Lab.open):
        with pytest.raises(NameInUse, match="alpha"):
            make(lab_name, hosts=["alpha", "alpha"])
        assert take_stock(lab_name).since(before) == {}


def test_a_host_that_does_not_start_leaves_no_lab(lab_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a host cannot be set up, the error says what failed, and the lab is not made."""
    before = take_stock(lab_name)
    real = _libvirtd.folders
    # Nothing can be made in /proc/sys: the mounts of beta fail.
    monkeypatch.setattr(
        _libvirtd, "folders", lambda state: real(state) | ({"/proc/sys/x": str(state)} if state.name == "beta" else {})
    )
    for make in (Lab, Lab.open):
        with pytest.raises(EngineError, match="the host did not start: .*proc/sys"):
            make(lab_name, hosts=["alpha", "beta"])
        assert take_stock(lab_name).since(before) == {}


def test_names_too_long_for_sockets_are_refused(lab_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a host's sockets would have too long a path, the error says so before the host is made."""
    before = take_stock(lab_name)
    for length in (80, 120):  # too long for the sockets of a host, and of the lab itself
        deep = tmp_path / ("x" * (length - len(str(tmp_path))))
        monkeypatch.setenv("LABKIT_RUNTIME", str(deep))
        with pytest.raises(InvalidValue, match="longer than 107 bytes") as caught:
            Lab(lab_name, hosts=["a"])
        assert "LABKIT_RUNTIME" in caught.value.hint
        assert take_stock(lab_name).since(before) == {}
        assert list(deep.iterdir()) == []


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (_launch, "_is_ready", False),
        (_launch, "_is_ready", True),
        (_launch, "start", True),
        (NamespaceHost, "start", False),
        (NamespaceHost, "start", True),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_ctrl_c_while_a_lab_is_made(
    lab_name: str, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, after: bool
) -> None:
    """Ctrl-C while a lab is made leaves none of it."""
    before = take_stock(lab_name)
    for make in (Lab, Lab.open):
        with monkeypatch.context() as patch:
            interrupt(patch, owner, name, after=after)
            with pytest.raises(KeyboardInterrupt):
                make(lab_name)
        until(lambda: take_stock(lab_name).since(before) == {}, "nothing of the lab is left", 3)


SIGINT_DURING_LAB = """
import os, signal, sys, threading
from labkit import Lab
name, ms = sys.argv[1], int(sys.argv[2])
try:
    threading.Timer(ms / 1000, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with Lab(name, hosts=["alpha", "beta"]) as lab:
        lab.networks.create("lan")
        signal.pause()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_real_ctrl_c_at_any_time_leaves_no_lab(lab_name: str, python: Callable[..., subprocess.Popen[str]]) -> None:
    """SIGINT at whatever moment of a lab's making ends in KeyboardInterrupt and nothing left."""
    before = take_stock(lab_name)
    for delay_ms in (1, 20, 60, 130, 250, 600):
        program = python(SIGINT_DURING_LAB, lab_name, str(delay_ms))
        said, errors = program.communicate(timeout=60)
        assert said == "interrupted\n", errors
        until(lambda: take_stock(lab_name).since(before) == {}, "nothing of the lab is left", 3)


@pytest.fixture
def lab(lab_name: str) -> Iterator[Lab]:
    with Lab(lab_name) as lab:
        lab.networks.create("lan")
        yield lab


def check_that_nothing_was_made(lab: Lab) -> None:
    assert lab.machines() == []
    assert list((lab.folder / "machines").iterdir()) == []
    assert guests_of(lab["alpha"]) == []
    assert lab.networks.read("lan").leases == {}


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (Template, "stamp", True),
        (libvirt.virConnect, "restoreFlags", True),
        (KvmMachine, "become", False),
        (KvmMachine, "become", True),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_ctrl_c_while_a_machine_is_made(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, after: bool
) -> None:
    """Ctrl-C in the middle of `create` takes all of the machine back before it comes out."""
    with monkeypatch.context() as patch:
        interrupt(patch, owner, name, after=after)
        with pytest.raises(KeyboardInterrupt):
            lab["alpha"].kvm.create("web", networks=["lan"])
    check_that_nothing_was_made(lab)


def test_ctrl_c_twice_while_a_machine_is_made(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """If Ctrl-C comes again while things are taken back, the host takes them back."""
    with monkeypatch.context() as patch:
        interrupt(patch, KvmMachine, "become", after=False)
        interrupt(patch, KvmEngine, "forget", after=False)
        with pytest.raises(KeyboardInterrupt):
            lab["alpha"].kvm.create("web", networks=["lan"])
    until(lambda: guests_of(lab["alpha"]) == [] and lab.machines() == [], "the machine is gone")
    until(lambda: not (lab.folder / "machines" / "web").exists(), "its folder is gone")
    again = lab["alpha"].kvm.create("web", networks=["lan"])
    assert again.addresses == ("198.19.1.2",)
    assert again.run(["hostname"]).stdout == "web\n"


SIGINT_TO_THE_GROUP = """
import os, signal, sys
from labkit import Lab
os.setsid()
with Lab(sys.argv[1]) as lab:
    libvirt = lab["alpha"].kvm.connection()
    try:
        os.killpg(0, signal.SIGINT)
        signal.pause()
    except KeyboardInterrupt:
        print(lab["alpha"].run(["hostname"]).stdout, libvirt.getHostname(), end="")
"""


def test_ctrl_c_does_not_reach_what_runs(lab_name: str, python: Callable[..., subprocess.Popen[str]]) -> None:
    """SIGINT to the group of a notebook's processes, as Jupyter sends it, ends neither lab nor daemons."""
    said, errors = python(SIGINT_TO_THE_GROUP, lab_name).communicate(timeout=60)
    assert said == "alpha\n alpha", errors
