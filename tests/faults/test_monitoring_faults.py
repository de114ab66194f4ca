"""Readings while things break: what is gone is missing, the rest goes on, and nothing is made up."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import _wait
import pandas as pd
import pytest

from labkit import Lab
from labkit.monitoring import _sampler

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("monitoring")]
until = partial(_wait.until, timeout_s=90)


@pytest.fixture
def read(lab_name: str) -> Iterator[Lab]:
    """A lab of two hosts with a container on each, that is being read."""
    with Lab(lab_name, hosts=["alpha", "beta"]) as lab:
        lab["alpha"].lxc.create("a")
        lab["beta"].lxc.create("b")
        lab.metrics.start()
        until(lambda: count(lab, "a") > 2 and count(lab, "b") > 2, "both were read")
        yield lab


def table(lab: Lab, name: str, last: float = 300) -> pd.DataFrame:
    """The readings of a machine or host."""
    return lab.metrics.frame(["cpu", "memory", "processors"], [name], last=last)


def count(lab: Lab, name: str, last: float = 300) -> int:
    """How many there are."""
    return len(table(lab, name, last))


def sampler_pid(lab: Lab) -> int:
    """The process id of the lab's sampler."""
    return int((lab.folder / _sampler.LOCK).read_text())


@pytest.mark.slow
def test_the_sampler_is_killed(read: Lab) -> None:
    """Another is started; its readings go on after a gap, and over the gap there is no rate."""
    before = sampler_pid(read)
    os.kill(before, signal.SIGKILL)
    last = table(read, "a")["time_s"].max()
    until(lambda: (table(read, "a")["time_s"] > last + 2).sum() > 2, "it is read again")
    assert sampler_pid(read) != before
    whole = table(read, "a")
    assert whole["identity"].nunique() == 1
    jumps = whole["time_s"].diff() > 5
    assert whole["cpu"][jumps].isna().all()


def test_a_host_is_killed(read: Lab) -> None:
    """Its machines are not read any more, those of the other go on every second; made again, it is read again."""
    window = read.metrics.window(60)
    with read["beta"]._channel() as channel:  # type: ignore[attr-defined]
        os.kill(channel.peer_pid(), signal.SIGKILL)
    until(lambda: not read["beta"].is_alive, "it has ended")
    seen = count(read, "a")
    until(lambda: count(read, "a") > seen + 5, "the other goes on")
    window.advance()
    gone = [subject for subject in window.subjects() if subject.host == "beta"]
    assert {subject.name for subject in gone} == {"b", "beta"}
    assert not any(window.is_current(subject) for subject in gone)
    steps = table(read, "a")["time_s"].diff().dropna()
    assert steps.tail(5).median() == pytest.approx(1, abs=0.2)
    read.add_host("beta")
    until(lambda: count(read, "beta", 3) > 0, "it is read again")


@pytest.mark.slow
def test_a_host_that_hangs_delays_nobody(read: Lab) -> None:
    """What reads one host is stopped in the middle; the other host's readings come each second."""
    reader = _reader_of(read, "beta")
    os.kill(reader, signal.SIGSTOP)
    try:
        seen = count(read, "a")
        until(lambda: count(read, "a") >= seen + 6, "the other goes on")
        steps = table(read, "a")["time_s"].diff().dropna()
        assert steps.tail(5).median() == pytest.approx(1, abs=0.2)
    finally:
        os.kill(reader, signal.SIGCONT)
    until(lambda: count(read, "b", 3) > 1, "it is read again")


def test_what_reads_a_host_is_killed(read: Lab) -> None:
    """It is started again by the next reading."""
    os.kill(_reader_of(read, "beta"), signal.SIGKILL)
    last = table(read, "b")["time_s"].max()
    until(lambda: (table(read, "b")["time_s"] > last + 1).sum() > 2, "it is read again")


def _reader_of(lab: Lab, host: str) -> int:
    """The process on a host that reads it for the sampler; it is in that host's PID namespace."""
    with lab[host]._channel() as channel:  # type: ignore[attr-defined]
        wanted = os.readlink(f"/proc/{channel.peer_pid()}/ns/pid_for_children")
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
                if b"_meter.py" in words and os.readlink(entry / "ns/pid") == wanted:
                    return int(entry.name)
            except OSError:
                continue
    raise AssertionError("nothing reads that host")


@pytest.mark.slow
def test_libvirtd_is_killed(lab_name: str) -> None:
    """A gap, then the counters go on where they would have been: no rate is made up over it."""
    with Lab(lab_name) as lab:
        host = lab["alpha"]
        vm = host.kvm.create("vm")
        box = host.lxc.create("box")
        lab.metrics.start()
        until(lambda: count(lab, "vm") > 3, "it was read")
        host.run(["sh", "-c", 'kill -9 "$(cat /run/libvirt/libvirtd.pid)"'], check=True)
        last = table(lab, "vm")["time_s"].max()
        seen = count(lab, box.name)
        until(lambda: count(lab, box.name) > seen + 3, "the container's readings go on")
        vm.refresh()  # a verb starts it again; a reading does not
        until(lambda: (table(lab, "vm")["time_s"] > last + 1).sum() > 3, "it is read again")
        whole = table(lab, "vm")
        assert whole["identity"].nunique() == 1
        assert whole["cpu"].max() < 8


def test_a_machine_that_hangs_delays_nobody(lab_name: str) -> None:
    """A QEMU that does not answer has what can be told without it; its neighbour is read each second."""
    with Lab(lab_name) as lab:
        host = lab["alpha"]
        hung, well = host.kvm.create("hung"), host.kvm.create("well")
        lab.metrics.start()
        until(lambda: count(lab, "well") > 3, "they were read")
        pid = host.run(["cat", f"/run/libvirt/qemu/{hung.name}.pid"], check=True).stdout.strip()
        host.run(["kill", "-STOP", pid], check=True)
        try:
            seen = count(lab, well.name)
            until(lambda: count(lab, well.name) >= seen + 8, "the other goes on")
            steps = table(lab, well.name)["time_s"].diff().dropna()
            assert steps.tail(6).median() < 3  # once a second, where there is time for it; a wait for QEMU is 30 s
        finally:
            host.run(["kill", "-CONT", pid], check=True)


def test_a_machine_made_again_is_another(read: Lab) -> None:
    """Under the same name, but not the same line: nothing is reckoned from one to the other."""
    read["alpha"].lxc["a"].run(["timeout", "3", "sh", "-c", "while :; do :; done"])
    until(lambda: table(read, "a")["cpu"].max() > 0.2, "its work is seen")
    read["alpha"].lxc["a"].destroy()
    read["alpha"].lxc.create("a")
    until(lambda: table(read, "a")["identity"].nunique() == 2, "the new one is read")
    firsts = table(read, "a").groupby("identity").head(1)
    assert firsts["cpu"].isna().all()
    assert (table(read, "a")["cpu"].dropna() >= 0).all()


@pytest.mark.slow
def test_a_machine_that_restarts_is_the_same(read: Lab) -> None:
    """Its counters begin anew; it is the same machine, and no rate is negative or huge."""
    box = read["alpha"].lxc["a"]
    box.run(["timeout", "3", "sh", "-c", "while :; do :; done"])
    box.stop()
    box.start()
    last = table(read, "a")["time_s"].max()
    until(lambda: (table(read, "a")["time_s"] > last).sum() > 3, "it is read again")
    whole = table(read, "a")
    assert whole["identity"].nunique() == 1
    assert whole["cpu"].dropna().between(0, 8).all()


def test_the_lab_ends_and_so_does_its_sampler(lab_name: str) -> None:
    """Nobody has to stop it: it ends with the lab, also when the lab is killed."""
    with Lab(lab_name) as lab:
        lab.metrics.frame()
        pid = sampler_pid(lab)
        with lab.channel() as channel:
            os.kill(channel.peer_pid(), signal.SIGKILL)
        until(lambda: lab.metrics._process is None or lab.metrics._process.poll() is not None, "it has ended")
        assert not Path(f"/proc/{pid}/cmdline").exists() or b"sampler" not in Path(f"/proc/{pid}/cmdline").read_bytes()
