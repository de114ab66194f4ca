"""Labs on a Debian 12 with systemd, cgroup version 2 alone and a KVM that works: in a virtual machine of its own."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from _debian_vm import USER, Vm, running

from labkit.hosts._cgroups import DELEGATE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("debian-vm"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can unpack a whole Debian with its owners"),
    pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="mmdebstrap is not installed: ./lab install brings it"),
]

# What the programs have that run in the machine.
WORDS = """
import contextlib, json, os, signal, subprocess, sys, time
from pathlib import Path
from labkit import Lab
from labkit.errors import LabError
from labkit.hosts import _checks_resources
from labkit.hosts.acceleration import acceleration
from labkit.testing import settle, take_stock

def groups():
    "Every cgroup that has to do with a lab, and the controllers that those in it have."
    found = [Path(top) for top, _, _ in os.walk("/sys/fs/cgroup") if "labkit" in top]
    return {str(path): (path / "cgroup.subtree_control").read_text().split() for path in found}

def own_group():
    return Path("/proc/self/cgroup").read_text()

def qemu(name):
    "The process id and the words of a machine's QEMU."
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_bytes().decode().split(chr(0))
            if any(word.startswith(f"guest={name},") for word in words):
                return int(path.name), words

def share(pid, seconds=4):
    "How many processors a process has used over some seconds, by the kernel's books."
    def used():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    before, began = used(), time.monotonic()
    time.sleep(seconds)
    return (used() - before) / (time.monotonic() - began)

def limited(machine, cpus):
    machine.limits(cpus=cpus)
    return share(qemu(machine.name)[0])

def kill_first(of):
    with of.channel() if isinstance(of, Lab) else of._channel() as channel:
        os.kill(channel.peer_pid(), signal.SIGKILL)

def labkit(*words):
    done = subprocess.run([sys.executable, "-m", "labkit.cli", *words], capture_output=True, text=True)
    return done.stdout + done.stderr

told, before, home = {}, take_stock("demo"), own_group()
"""
PRINT = """
told |= {"left": settle("demo", before), "groups left": groups(), "home again": own_group() == home}
print(); print(json.dumps(told))
"""
KVM = """
answer = acceleration(fresh=True)
assert answer.is_kvm, answer
with Lab("demo") as lab:
    for name, instant in (("cold", False), ("instant", True)):
        began = time.monotonic()
        machine = lab["alpha"].kvm.create(name, instant=instant)
        took = time.monotonic() - began
        told[name] = {"words": qemu(name)[1], "seconds": took, "kernel": machine.run(["uname", "-r"]).stdout}
    again = time.monotonic()
    lab["alpha"].kvm.create("second")
    told["second"] = time.monotonic() - again
"""
LIMITS = """
told["doctor"] = _checks_resources.cgroups().found
with Lab("demo", hosts=["alpha", "beta"]) as lab:
    machine = lab["alpha"].kvm.create("web")
    machine.run(["sh", "-c", "(while :; do :; done) >/dev/null 2>&1 &"], check=True)
    told["shares"] = [limited(machine, cpus) for cpus in (None, 0.25, None)]
    told["capable"] = "limits" in machine.capabilities
    told["groups"], told["group of QEMU"] = groups(), Path(f"/proc/{qemu('web')[0]}/cgroup").read_text()
    # What an engine that manages cgroups itself would do.
    told["host"] = lab["beta"].run(["sh", "-euc",
        "cat /proc/1/cgroup; cd /sys/fs/cgroup; ls -d */; mkdir -p own/leaf; echo +memory >own/cgroup.subtree_control;"
        "echo 16M >own/leaf/memory.max; cat own/leaf/memory.max"]).stdout.split()
    # A host that has died has its cgroup again when it is made again.
    kill_first(lab["beta"])
    while lab["beta"].is_alive:
        time.sleep(0.01)
    told["host again"] = lab.add_host("beta").run(["sh", "-c", "cd /sys/fs/cgroup; ls -d */"]).stdout.split()
    told["controllers again"] = lab["beta"].run(["cat", "/sys/fs/cgroup/cgroup.subtree_control"]).stdout.split()
"""
NETWORKS = """
from concurrent.futures import ThreadPoolExecutor

def times(machine, address):
    "The shortest of five round trips, in milliseconds."
    told = machine.run(["ping", "-c", "5", "-i", "0.2", address], check=True).stdout
    return float(told.split("min/avg/max = ")[1].split("/")[0])

with Lab("demo", hosts=["alpha", "beta"]) as lab:
    lab.networks.create("tagged", "isolated", vlan=42)
    here, there = (lab[host].lxc.create(f"on-{host}", networks=["tagged"]) for host in ("alpha", "beta"))
    address = there.addresses[0]
    listen = ["timeout", "60", "tcpdump", "-Z", "root", "-n", "-e", "-c", "2", "-i", "eth0", "vlan 42 and icmp"]
    with ThreadPoolExecutor(1) as pool:
        wire = pool.submit(lab["alpha"].run, listen, timeout_s=70)
        while not wire.done():
            told["reached"] = here.run(["ping", "-c", "1", "-W", "5", address]).ok
        told["wire"] = wire.result().stdout
    told["faults"] = lab.networks.check()
    told["at first"] = times(here, address)
    here.link("tagged", delay="100 ms", bandwidth="10 Mbit/s")
    told["delayed"] = times(here, address)
    here.restart()
    told["delayed after a restart"] = times(here, address)
    here.link("tagged", delay=0, bandwidth=0, loss=1)
    told["lost"] = not here.run(["ping", "-c", "3", "-i", "0.2", "-W", "1", address]).ok
    here.link("tagged", loss=0)
    told["at last"] = times(here, address)
"""
CELLS = """
def share_of(machine, seconds=4):
    before, began = machine.stats().cpu_seconds, time.monotonic()
    time.sleep(seconds)
    return (machine.stats().cpu_seconds - before) / (time.monotonic() - began)

with Lab("demo") as lab:
    cell = lab["alpha"].lxc.create("cell", memory="64 MiB")
    told["capable"] = sorted(cell.capabilities & {"limits", "pause", "resize"})
    cell.run(["sh", "-c", "(while :; do :; done) >/dev/null 2>&1 &"], check=True)
    told["shares"] = [share_of(cell)]
    for cpus in (0.25, None):
        cell.limits(cpus=cpus)
        told["shares"].append(share_of(cell))
    cell.pause()
    told["paused"] = [str(cell.refresh()), share_of(cell, 2)]
    cell.resume()
    told["memory"] = [path.read_text() for path in Path("/sys/fs/cgroup").rglob("lxc.payload.cell/memory.max")]
    told["eaten"] = cell.run(["sh", "-c", "head -c 200m /dev/zero | tail"], timeout_s=60).exit_code
"""
NO_LIMITS = """
told["doctor"] = str(_checks_resources.cgroups())
with Lab("demo") as lab:
    machine = lab["alpha"].kvm.create("web")
    told["capable"], told["groups"] = "limits" in machine.capabilities, groups()
    try:
        machine.limits(cpus=0.5)
    except LabError as error:
        told["refused"] = str(error)
"""
KILLED = '''
lab = Lab.open("demo")
lab["alpha"].kvm.connection()
told["groups"] = groups()
kill_first(lab)
again = Lab.open("demo")
told["again"] = groups()
kill_first(again)
told["down"] = labkit("down", "demo")
told["after down"] = groups()

# Its maker is killed between any two steps.
DIES = """import os
from labkit import Lab
from labkit.hosts import _cgroups, _launch
dies = lambda *words: (was(*words), os.kill(os.getpid(), 9))"""
for where in ("_cgroups._move", "_cgroups._open_up", "_cgroups.make", "_launch._is_ready"):
    module, name = where.split(".")
    code = f"{DIES}; was, {where} = {where}, dies; Lab.open('demo')"
    ended = subprocess.run([sys.executable, "-c", code]).returncode
    told[where] = {"ended": ended, "groups": groups(), "down": labkit("down", "demo"), "left": groups()}
'''


@pytest.fixture(scope="module")
def vm() -> Iterator[Vm]:
    with running() as machine:
        yield machine


def check_that_nothing_is_left(told: dict[str, Any]) -> None:
    assert told["left"] == {}
    assert told["groups left"] == {}
    assert told["home again"]


def run(vm: Vm, program: str, **how: Any) -> dict[str, Any]:
    told: dict[str, Any] = vm.python(f"{WORDS}{program}{PRINT}", **how)
    check_that_nothing_is_left(told)
    return told


def check_limits(told: dict[str, Any]) -> None:
    """A busy guest gets the quarter of a processor it is limited to, in a host with cgroups of its own."""
    free, quarter, free_again = told["shares"]
    assert free > 0.6
    assert 0.15 < quarter < 0.35
    assert free_again > 0.6
    assert told["capable"]
    assert "/labkit-demo/alpha/machine/" in told["group of QEMU"]
    for host in ("alpha", "beta"):
        [used] = [used for path, used in told["groups"].items() if path.endswith(f"/labkit-demo/{host}")]
        assert {"cpu", "memory", "pids"} <= set(used)
    assert told["host"] == ["0::/init.scope", "init.scope/", str(16 * 2**20)]
    assert told["host again"] == ["init.scope/"]
    assert {"cpu", "memory", "pids"} <= set(told["controllers again"])


def test_machines_run_on_kvm(vm: Vm) -> None:
    """A guest is booted on KVM to find that it works; then machines come up on it, cold and instantly."""
    told = run(vm, KVM)
    for name in ("cold", "instant"):
        assert told[name]["words"][told[name]["words"].index("-accel") + 1] == "kvm"
        assert told[name]["kernel"]
    assert told["second"] < told["cold"]["seconds"]


def test_limits_of_root(vm: Vm) -> None:
    """Root's limits limit, without a scope of its own."""
    told = run(vm, LIMITS)
    check_limits(told)
    assert "/sys/fs/cgroup/labkit-demo" in told["groups"]
    assert "root may use: cpu" in told["doctor"]


def test_limits_in_a_delegated_scope(vm: Vm) -> None:
    """An ordinary user's limits limit in a scope that systemd delegates; afterwards it is as it was."""
    told = run(vm, LIMITS, user=USER, before=DELEGATE.split())
    check_limits(told)
    assert "this user may use: cpu, memory, pids" in told["doctor"]


@pytest.mark.parametrize("user", ["root", USER])
def test_vlans_and_delays(vm: Vm, user: str) -> None:
    """With VLANs and NETEM in the kernel hosts are joined by tagged frames, and links delay and lose, both ways."""
    told = run(vm, NETWORKS, user=user)
    assert told["reached"]
    assert "vlan 42" in told["wire"]
    assert told["faults"] == {}
    for slow in ("delayed", "delayed after a restart"):
        assert 200 <= told[slow] < 200 + told["at first"] + 100
    assert told["lost"]
    assert told["at last"] < 100


@pytest.mark.parametrize("user", ["root", USER])
def test_containers_of_lxc_keep_to_their_limits(vm: Vm, user: str) -> None:
    """On cgroup v2 a container gets the processor time and the memory that it is limited to, and can be paused."""
    told = run(vm, CELLS, user=user, before=DELEGATE.split() if user == USER else [])
    assert told["capable"] == ["limits", "pause", "resize"]
    free, quarter, free_again = told["shares"]
    assert free > 0.6
    assert 0.1 < quarter < 0.4
    assert free_again > 0.6
    assert told["paused"][0] == "paused"
    assert told["paused"][1] < 0.05
    assert told["memory"] == [f"{64 * 2**20}\n"]
    assert told["eaten"] != 0


def test_no_limits_without_delegation(vm: Vm) -> None:
    """Without a scope the machine cannot be limited, and the reason names the one command that gets one."""
    told = run(vm, NO_LIMITS, user=USER)
    assert not told["capable"]
    assert told["groups"] == {}
    assert f"{DELEGATE} ./lab" in told["refused"]
    assert f"{DELEGATE} ./lab" in told["doctor"]


@pytest.mark.parametrize("user", ["root", USER])
def test_a_killed_lab_leaves_no_cgroup(vm: Vm, user: str) -> None:
    """Whatever is killed and when, the next Lab.open or `labkit down` leaves no cgroup of it."""
    told = run(vm, KILLED, user=user, before=DELEGATE.split() if user == USER else [])
    for moment in ("groups", "again"):
        assert any(path.endswith("/labkit-demo/alpha") for path in told[moment])
    assert "removed the files of a lab that was killed" in told["down"]
    assert told["after down"] == {}
    for where in ("_cgroups._move", "_cgroups._open_up", "_cgroups.make", "_launch._is_ready"):
        if where == "_cgroups._move" and user == "root":
            continue  # at the top of all cgroups nothing has to step aside
        assert told[where]["ended"] == -signal.SIGKILL, told[where]
        assert told[where]["left"] == {}, told[where]
