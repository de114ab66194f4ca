"""Live migration of virtual machines between the hosts of a lab."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from _lab import lab_of
from _vagrant import wanted_hosts
from _wait import patience, until

from labkit import Lab
from labkit.errors import InvalidState, InvalidValue, NotEnough
from labkit.hosts._libvirtd import tls_folder
from labkit.hosts.base import Host
from labkit.machines._kvm_machine import KvmMachine
from labkit.machines.spec import State
from labkit.operations.migration import Migration

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("migration"), pytest.mark.timeout(patience(300))]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user may not use userfaultfd")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with lab_of(wanted_hosts()) as shared:
        shared.networks.create("lan", host="alpha")
        yield shared


@pytest.fixture(scope="module")
def web(lab: Lab) -> KvmMachine:
    """A machine that the tests send to and fro."""
    machine = lab["alpha"].kvm.create("web", networks=["lan"])
    machine.run(["sh", "-c", "echo kept >/root/kept; sync"], check=True)
    return machine


def away(machine: KvmMachine) -> Host:
    """The host that it is not on."""
    lab = machine.host.lab
    return lab["beta"] if machine.host is lab["alpha"] else lab["alpha"]


def copying(move: Migration) -> None:
    """Wait until its memory is being copied, which on hosts that do not share disks is after its disk."""

    def has_begun() -> bool:
        now = move.progress
        return now is not None and now.phase == "copying memory" and now.done_bytes > 2**20

    until(has_begun, "memory is copied", 60)


WAYS: list[dict[str, Any]] = [
    {},
    {"storage": "copy"},
    {"parallel": 2},
    {"compress": True},
    {"auto_converge": True, "max_downtime": "100 ms"},
    {"tls": False},
    {"live": False},
]


@pytest.mark.parametrize("how", WAYS, ids=lambda how: next(iter(how), "live"))
def test_it_goes_on_there(web: KvmMachine, how: dict[str, Any]) -> None:
    """The same object is on the other host: same uptime, memory, disk, address; the source has it no more."""
    lab, source, to = web.host.lab, web.host, away(web)
    web.run(["sh", "-c", "echo in memory >/run/note"], check=True)
    result = web.migrate(to, **how).wait(patience(100))
    assert (result.machine, result.source, result.destination) == ("web", source.name, to.name)
    assert web.host is to
    assert (web.state, web.refresh()) == (State.RUNNING, State.RUNNING)
    assert [domain.name() for domain in source.kvm.connection().listAllDomains() if domain.name() == "web"] == []
    assert lab.machines() == [web]
    assert to.kvm["web"] is web
    assert web.run(["cat", "/run/note", "/root/kept"]).stdout == "in memory\nkept\n"
    assert web.run(["ping", "-c", "1", "-W", "5", "198.19.1.1"]).ok
    assert [name for name in to.files.list(web.folder) if name.endswith(".qcow2")] == [web.disk().name]
    assert 0 < result.downtime_ms < result.total_s * 1000
    assert result.transferred_bytes > 2**20
    client = result.client
    assert client
    assert client.host == "alpha"
    assert 0 <= client.lost < client.sent
    assert client.longest_gap_ms < result.total_s * 1000
    if how.get("live", True):
        assert client.longest_gap_ms < 0.9 * result.total_s * 1000


def test_nothing_is_sent_in_plain_text(web: KvmMachine) -> None:
    """What is in the machine's memory is seen on the wire with tls=False, and not without."""
    mark = secrets.token_hex(20)
    web.run(["sh", "-c", f"for n in $(seq 200); do echo {mark}; done >/run/mark"], check=True)
    seen = {}
    for tls in (True, False):
        to, wire = away(web), f"/run/wire-{tls}"
        script = f"timeout {patience(60):g} tcpdump -Z root -q -i eth0 -w {wire} tcp & echo $! >{wire}.pid; sleep 0.5"
        to.run(["sh", "-c", script], check=True)
        web.migrate(to, tls=tls).wait(patience(100))
        to.run(["sh", "-c", f'kill "$(cat {wire}.pid)"; sleep 0.5'], check=True)
        seen[tls] = to.run(["grep", "-c", mark, wire]).stdout.strip() != "0"
    assert seen == {True: False, False: True}


def test_a_tcp_connection_lasts(web: KvmMachine) -> None:
    """A connection from a host to an idle machine is still the same after it has moved; nothing of it is lost."""
    web.run(["sh", "-c", "nc -l -p 7000 -e cat >/dev/null 2>&1 &"], check=True)
    address = web.addresses[0]
    program = (
        "import os, socket, sys, time\n"
        "s = socket.create_connection((sys.argv[1], 7000), 10); s.settimeout(20)\n"
        "n = 0\n"
        "while not os.path.exists('/run/moved'):\n"
        "    s.sendall(b'%06d' % n); got = b''\n"
        "    while len(got) < 6: got += s.recv(6 - len(got)) or sys.exit('closed')\n"
        "    assert got == b'%06d' % n\n"
        "    n += 1; time.sleep(0.02)\n"
        "print('all')\n"
    )
    alpha = web.host.lab["alpha"]
    with ThreadPoolExecutor(1) as pool:
        talk = pool.submit(alpha.run, [*alpha.python, "-c", program, address], timeout_s=patience(100))
        until(lambda: web.run(["sh", "-c", "netstat -tn | grep -q :7000.*ESTAB"]).ok, "they talk", 20)
        web.migrate(away(web)).wait(patience(100))
        alpha.run(["touch", "/run/moved"], check=True)
        done = talk.result()
    assert done.stdout == "all\n", done.stderr


@pytest.mark.slow
def test_no_write_is_lost(web: KvmMachine) -> None:
    """What a machine writes while it moves is in its memory afterwards, also where its processor is emulated."""
    busy = """head -c 20000000 /dev/urandom >/run/from; md5sum </run/from >/run/sum
    (while [ -e /run/from ]; do cat /run/from >/run/to; done) >/dev/null 2>&1 &"""
    web.run(["sh", "-c", busy], check=True)
    for _ in range(3):
        web.migrate(away(web), bandwidth="60 MiB").wait(patience(100))
        assert web.run(["sh", "-c", "md5sum </run/from | cmp - /run/sum"], timeout_s=30).ok
    web.run(["rm", "-f", "/run/from", "/run/to"], check=True)


def test_a_terminal_stays(web: KvmMachine) -> None:
    """A terminal that was open before is one on the same machine afterwards, with what was said meanwhile."""
    heard: list[bytes] = []
    line = web.line()
    leave = line.follow(heard.append)
    web.migrate(away(web)).wait(patience(100))
    line.write(b"echo $((6*7))-there\n")
    until(lambda: b"42-there" in b"".join(heard), "the terminal answers", 20)
    leave()


def test_a_command_goes_on(web: KvmMachine) -> None:
    """A command that runs in the machine while it moves comes to its end, and so does one begun meanwhile."""
    with ThreadPoolExecutor(2) as pool:
        long = pool.submit(web.run, ["sh", "-c", "sleep 4; echo long"])
        until(lambda: web.run(["pidof", "sleep"]).ok, "it runs", 20)
        move = web.migrate(away(web), bandwidth="30 MiB")
        copying(move)
        assert web.state is State.MOVING
        assert web.run(["echo", "short"]).stdout == "short\n"
        move.wait(patience(100))
        assert long.result().stdout == "long\n"


@pytest.mark.slow
@needs_root
def test_post_copy(web: KvmMachine) -> None:
    """It runs at the destination before its memory is there."""
    to = away(web)
    move = web.migrate(to, postcopy=True, bandwidth="8 MiB")
    copying(move)
    move.start_postcopy()
    result = move.wait(patience(100))
    assert web.host is to
    assert any(sample.phase == "running there, memory follows" for sample in move.samples)
    assert 0 < result.downtime_ms < result.total_s * 1000
    assert web.run(["cat", "/root/kept"]).stdout == "kept\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_post_copy_needs_a_permission(web: KvmMachine) -> None:
    """Where post-copy is not allowed, the plan and the error say so, and what to do."""
    plan = web.migration_plan(away(web), postcopy=True)
    assert not plan.possible
    with pytest.raises(InvalidState, match="userfaultfd") as caught:
        web.migrate(away(web), postcopy=True)
    assert "vm.unprivileged_userfaultfd" in caught.value.hint


def test_a_limit_is_changed_meanwhile(web: KvmMachine) -> None:
    """The bandwidth is raised while it moves, and then it is quick."""
    move = web.migrate(away(web), bandwidth="1 MiB", timeout_s=patience(300))
    copying(move)
    slow = move.samples[-1].bytes_per_second
    move.limit(bandwidth="200 MiB", max_downtime="200 ms")
    move.wait(patience(60))
    if move.source.provider == "namespace":  # an emulated host copies hardly more than 1 MiB a second
        assert max(sample.bytes_per_second for sample in move.samples) > 2 * slow
    with pytest.raises(InvalidState, match="has ended"):
        move.limit(bandwidth="1 MiB")


@pytest.mark.slow
def test_a_stopped_machine_moves_at_rest(lab: Lab) -> None:
    """Only its description moves; it starts there, at its address, with its limits on its link."""
    box = lab["alpha"].kvm.create("rest", networks=["lan"])
    box.link("lan", bandwidth="10 Mbit/s")
    box.stop()
    plan = box.migration_plan(lab["beta"])
    assert (plan.possible, plan.memory_bytes) == (True, 0)
    box.migrate(lab["beta"]).wait(patience(60))
    assert (box.host, box.refresh()) == (lab["beta"], State.STOPPED)
    box.start()
    assert box.run(["hostname"]).stdout == "rest\n"
    assert "tbf" in lab["beta"].run(["tc", "qdisc", "show", "dev", box.host_link("lan")]).stdout
    box.migrate(lab["alpha"]).wait(patience(60))
    assert "tbf" in lab["alpha"].run(["tc", "qdisc", "show", "dev", box.host_link("lan")]).stdout
    box.destroy()


@pytest.mark.slow
def test_at_rest_nothing_is_copied(lab: Lab) -> None:
    """A stopped machine that is to take its disk along keeps it where both hosts have it, with all that is on it."""
    box = lab["alpha"].kvm.create("rest")
    box.run(["sh", "-c", "echo kept >/root/kept; sync"], check=True)
    box.stop()
    assert box.migration_plan(lab["beta"], storage="copy").disk_bytes == 0
    box.migrate(lab["beta"], storage="copy").wait(patience(60))
    box.start()
    assert box.run(["cat", "/root/kept"]).stdout == "kept\n"
    box.destroy()


def test_a_plan_says_what_is_in_the_way(web: KvmMachine, lab: Lab) -> None:
    """Each obstacle comes with what to do; nothing moves, and what should be known does not stop it."""
    to = away(web)
    plan = web.migration_plan(to, tls=False)
    assert plan.possible
    assert any("reads the machine's memory" in obstacle.what for obstacle in plan.obstacles)
    assert plan.memory_bytes > 2**20
    assert 0 < plan.expected_s < patience(60)
    web.snapshot("before")
    try:
        plan = web.migration_plan(to)
        assert not plan.possible
        assert all(obstacle.hint for obstacle in plan.obstacles)
        with pytest.raises(InvalidState, match="snapshots"):
            web.migrate(to)
        assert web.refresh() is State.RUNNING
    finally:
        web.domain().snapshotLookupByName("before").delete()


@pytest.mark.parametrize(
    "how",
    [
        {"storage": "carried"}, {"parallel": 99}, {"parallel": True}, {"bandwidth": "10 KiB"}, {"timeout_s": -1},
        {"postcopy": True, "parallel": 2}, {"compress": True, "parallel": 2}, {"max_downtime": "soon"},
    ],
)  # fmt: skip
def test_nonsense_is_refused(web: KvmMachine, how: dict[str, Any]) -> None:
    """What makes no sense is refused at once, and the machine stays."""
    before = web.host
    with pytest.raises(InvalidValue) as caught:
        web.migrate(away(web), **how)
    assert caught.value.hint
    with pytest.raises(InvalidValue, match="is on"):
        web.migrate(before)
    assert web.host is before


def test_keys_are_the_users_alone(web: KvmMachine, lab: Lab) -> None:
    """Keys lie in folders that nobody else may enter, each host has its own, and the lab's authority its own."""
    assert (lab.folder / "tls").stat().st_mode & 0o77 == 0
    keys = set()
    for host in (lab["alpha"], lab["beta"]):
        status = host.files.status(tls_folder(host.folder))
        assert status
        assert status.mode & 0o77 == 0
        keys.add(host.files.read_text(tls_folder(host.folder) / "server-key.pem"))
    assert len(keys) == 2


def test_evacuation(lab: Lab, web: KvmMachine) -> None:
    """Everything moves off, several at once; what cannot is told with its reason."""
    host = web.host
    extra = [host.kvm.create("more-0"), host.lxc.create("more-1", ephemeral=True)]
    done = host.evacuate(at_once=3, timeout_s=patience(300))
    assert list(done.stayed) == ["more-1"], done.stayed
    assert sorted(move.machine for move in done.moved) == ["more-0", "web"]
    assert "ephemeral" in done.stayed["more-1"].message
    assert not done.complete
    assert [machine.name for machine in host.machines()] == ["more-1"]
    assert "more-1 stayed" in done._repr_mimebundle_()["text/html"]
    for machine in extra:
        machine.destroy()
    assert host.evacuate().complete
    with pytest.raises(InvalidValue):
        host.evacuate(at_once=0)


def test_evacuation_needs_another_host(lab_name: str) -> None:
    """A lab of one host says so."""
    with Lab(lab_name) as lonely, pytest.raises(NotEnough, match="no other host"):
        lonely["alpha"].evacuate()
