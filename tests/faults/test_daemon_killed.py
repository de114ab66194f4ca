"""A host's daemons are killed while machines run."""

from __future__ import annotations

import json
import os
import resource
import socket
from collections.abc import Iterator

import pytest
from _lab import lab_of
from _wait import until
from _world import first_process, guests_of

from labkit import Lab
from labkit.errors import LabGone
from labkit.hosts.base import Host
from labkit.machines.spec import State

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("daemon killed")]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with lab_of(["alpha"]) as shared:
        shared.networks.create("lan")
        yield shared


def daemons_of(host: Host) -> dict[str, dict[str, int | None]]:
    with host._channel() as channel:  # type: ignore[attr-defined]
        told: dict[str, dict[str, int | None]] = channel.request("daemons")["daemons"]
        return told


def kill_libvirt(host: Host) -> None:
    """Kill libvirt's daemons and wait until the host has noticed."""
    pids = [str(daemon["pid"]) for daemon in daemons_of(host).values()]
    host.run(["kill", "-9", *pids], check=True)
    until(lambda: all(daemon["exit"] == -9 for daemon in daemons_of(host).values()), "the daemons have ended")


def test_libvirt_is_started_again_and_finds_its_machines(lab: Lab) -> None:
    """When libvirt's daemon was killed, machines run on, and the next use starts it and has them again."""
    alpha = lab["alpha"]
    web = alpha.kvm.create("web", networks=["lan"])
    web.run(["touch", "/run/mark"], check=True)
    kill_libvirt(alpha)
    until(lambda: web.state is State.UNKNOWN, "the machine's state is known to be unknown")
    assert guests_of(alpha) == ["web"]
    assert web.run(["ls", "/run/mark"]).ok
    assert web.state is State.RUNNING
    assert alpha.machines() == [web]
    web.pause()
    assert web.refresh() is State.PAUSED
    web.resume()
    other = alpha.kvm.create("other", networks=["lan"])
    assert other.run(["ping", "-c", "1", "-W", "5", "web"]).ok
    assert web.run(["ping", "-c", "1", "-W", "5", "other"]).ok
    for machine in (web, other):
        machine.destroy()
    assert guests_of(alpha) == []


def test_libvirt_killed_during_create(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """When libvirt's daemon dies in the middle of `create`, the error is typed and all is taken back."""
    from labkit.machines._kvm_machine import KvmMachine

    alpha = lab["alpha"]
    real = KvmMachine.become

    def become(machine: KvmMachine, deadline: float) -> None:
        kill_libvirt(alpha)
        monkeypatch.undo()
        domain = machine.domain()
        assert domain.isActive()
        kill_libvirt(alpha)
        domain.suspend()

    monkeypatch.setattr(KvmMachine, "become", become)
    with pytest.raises(LabGone):
        alpha.kvm.create("web", networks=["lan"])
    assert KvmMachine.become is real
    assert alpha.machines() == []
    assert guests_of(alpha) == []
    assert list((lab.folder / "machines").iterdir()) == []


def test_garbage_on_a_control_socket_ends_nothing(lab: Lab) -> None:
    """Whatever is sent to a first process, it answers or hangs up, and goes on."""
    deep = "[" * 50_000
    requests = [{"op": "spawn", "argv": argv} for argv in ([], "", [7], ["a\0b"], [["x"]])]
    requests += [{"op": []}, {"op": "begin"}, {"op": "_reap"}, {"op": "host", "name": {}}, [], "x", 7]
    requests += [{"op": "daemon", "name": 7, "argv": ["true"], "log": "/nonexistent/log"}]
    words = [b"\xff\xfe", deep.encode(), *(json.dumps(request).encode() for request in requests)]
    pids = first_process(lab["alpha"])
    for path in (lab.sockets / "ctl", lab.sockets / "alpha" / "ctl"):
        for word in words:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
                sock.settimeout(5)
                sock.connect(str(path))
                sock.send(word)
                assert b"error" in sock.recv(1 << 17), word
    assert first_process(lab["alpha"]) == pids
    assert lab["alpha"].run(["true"]).ok


def test_more_clients_than_files_may_be_open(lab: Lab) -> None:
    """A first process that can open no more connections goes on once there are fewer."""
    pid = first_process(lab["alpha"])
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (32, limits[1]))
    held = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(60)]
    for sock in held:
        sock.connect(str(lab.sockets / "alpha" / "ctl"))
    until(lambda: len(os.listdir(f"/proc/{pid}/fd")) == 32, "it has no more files to open")
    for sock in held:
        sock.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    assert lab["alpha"].run(["true"]).ok
    assert first_process(lab["alpha"]) == pid
