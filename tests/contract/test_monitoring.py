"""Readings of a whole lab: of every engine and of hosts, once a second, by one process whoever looks on."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import _wait
import libvirt
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from labkit import Lab
from labkit.errors import InvalidValue, LabGone, NotFound
from labkit.machines.base import Machine
from labkit.machines.spec import Sample
from labkit.monitoring import Finding, Forecast, _sampler
from labkit.monitoring.alerts import AlertEvent

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("monitoring")]
until = partial(_wait.until, timeout_s=60)
BUSY = ["timeout", "6", "sh", "-c", "while :; do :; done"]


@pytest.fixture(scope="module")
def machines(lab: Lab) -> dict[str, Machine]:
    """One machine of each engine, on a network, and a container on the other host."""
    alpha, beta = lab["alpha"], lab["beta"]
    made = [
        alpha.lxc.create("lx", networks=["lan"]),
        beta.lxc.create("far", networks=["lan"]),
        alpha.docker.create("dock", networks=["lan"]),
        alpha.kvm.create("vm", networks=["lan"]),
    ]
    return {machine.name: machine for machine in made}


@pytest.fixture
def busy() -> Iterator[Callable[[Machine, list[str]], None]]:
    """Have a machine do something meanwhile."""
    threads: list[threading.Thread] = []

    def begin(machine: Machine, argv: list[str]) -> None:
        threads.append(threading.Thread(target=machine.run, args=(argv,)))
        threads[-1].start()

    yield begin
    for thread in threads:
        thread.join()


def column(lab: Lab, machine: str, metric: str, last: float = 60) -> pd.Series:
    """A metric of one machine, where it is told."""
    table = lab.metrics.frame([metric], [machine], last=last)
    return table[metric].dropna()


def test_everything_is_read_once_a_second(lab: Lab, machines: dict[str, Machine]) -> None:
    """Every host and every machine of every engine has a reading each second, with what its engine tells."""
    lab.metrics.start()
    names = {*machines, "alpha", "beta"}
    until(lambda: _each_has(lab, names, 8), "each has eight readings")
    table = lab.metrics.frame(last=60)
    assert set(table["engine"]) == {"", "kvm", "docker", "lxc"}
    for name in machines:
        own = table[table["machine"] == name]
        steps = own["time_s"].diff().dropna()
        assert steps.median() == pytest.approx(1, abs=0.1)
        assert own[["cpu", "memory", "network", "disk", "packets"]].iloc[-1].notna().all(), name
        assert (own["memory"] > 1 << 18).all(), name
        assert own["identity"].nunique() == 1
    host = table[(table["host"] == "alpha") & (table["machine"] == "")].iloc[-1]
    assert 0 <= host["busy"] <= host["processors"] * 1.2
    assert host["memory_total"] > host["memory_used"] > 0
    assert host["disk_total"] > host["disk_used"] > 0


def _each_has(lab: Lab, names: set[str], count: int) -> bool:
    table = lab.metrics.frame(["memory"], last=60)
    counts = table["machine"].where(table["machine"] != "", table["host"]).value_counts()
    return all(counts.get(name, 0) >= count for name in names)


@pytest.mark.parametrize("name", ["lx", "dock", "vm"])
def test_a_busy_machine_is_seen(
    lab: Lab, machines: dict[str, Machine], busy: Callable[[Machine, list[str]], None], name: str
) -> None:
    """What a machine's processor does is seen on it, and not on its neighbour on the other host."""
    busy(machines[name], BUSY)
    until(lambda: column(lab, name, "cpu", 4).max() > 0.1, "its processor is seen to be used")
    assert column(lab, "far", "cpu", 4).median() < 0.05


def test_traffic_is_seen_on_both_ends(lab: Lab, machines: dict[str, Machine]) -> None:
    """What one sends, the other receives."""
    lab.metrics.start()
    address = machines["far"].addresses[0]
    machines["lx"].run(["ping", "-c", "30", "-i", "0.1", "-s", "1400", address], check=True)
    until(lambda: column(lab, "lx", "sent").max() > 5000, "it is seen to send")
    until(lambda: column(lab, "far", "received").max() > 5000, "the other is seen to receive")


def test_a_machine_that_stands_still_is_not_asked_again(
    lab: Lab, machines: dict[str, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paused machine's counters are those that it told before; once it has run again it is asked again."""
    kvm, vm = lab["alpha"].kvm, machines["vm"]
    asked: list[str] = []
    really = libvirt.virConnect.domainListGetStats

    def ask(connection: libvirt.virConnect, domains: list[libvirt.virDomain], *how: int) -> object:
        asked.extend(domain.name() for domain in domains)
        return really(connection, domains, *how)

    monkeypatch.setattr(libvirt.virConnect, "domainListGetStats", ask)

    def read() -> tuple[Sample, bool]:
        asked.clear()
        sample = kvm.samples()[vm.name]
        return sample, vm.name in asked

    vm.pause()
    until(lambda: read()[1] is False, "it was asked once more, and is believed")
    still, was_asked = read()
    assert not was_asked
    assert still.disk_read_bytes == vm.stats().disk_read_bytes > 0
    assert still.memory_bytes > 0
    vm.resume()
    vm.run(["sh", "-c", "echo 3 >/proc/sys/vm/drop_caches; cat /usr/bin/* >/dev/null"], check=True)
    vm.pause()
    until(lambda: read()[0].disk_read_bytes > still.disk_read_bytes, "what it read meanwhile is seen")
    vm.resume()
    until(lambda: read()[1], "it is asked again")


def test_what_a_guest_tells_of_its_memory(lab: Lab, machines: dict[str, Machine]) -> None:
    """A virtual machine's memory as it is used inside grows with a file in it, and what is cached is told."""
    until(lambda: len(column(lab, "vm", "memory_used")) > 2, "the guest has told")
    before = column(lab, "vm", "memory_used").iloc[-1]
    machines["vm"].run(["dd", "if=/dev/zero", "of=/run/much", "bs=1M", "count=30"], check=True)
    until(lambda: column(lab, "vm", "memory_used", 5).max() > before + 20 * 2**20, "the guest has told of the file")
    machines["vm"].run(["rm", "/run/much"])
    assert column(lab, "vm", "memory_total").iloc[-1] < 128 * 2**20
    assert column(lab, "vm", "memory_cached").iloc[-1] > 0
    assert column(lab, "vm", "disk_total").iloc[-1] == machines["vm"].spec.disk_bytes


def test_one_sampler_for_all_who_look(
    lab: Lab, machines: dict[str, Machine], python: Callable[..., subprocess.Popen[str]]
) -> None:
    """Another process sees the readings from before it came, and starts no second sampler."""
    until(lambda: len(column(lab, "lx", "cpu")) > 2, "there are readings")
    pid = (lab.folder / _sampler.LOCK).read_text()
    code = """
import sys
from labkit import Lab
table = Lab.attach(sys.argv[1]).metrics.frame(["cpu"], ["lx"], last=600)
print(table["time_s"].min())
"""
    other = python(code, lab.name)
    out, err = other.communicate(timeout=120)
    assert other.returncode == 0, err
    assert float(out) <= column(lab, "lx", "cpu").index.size + lab.metrics.frame(last=600)["time_s"].min() + 1
    assert (lab.folder / _sampler.LOCK).read_text() == pid
    assert len(machines) == 4


def test_an_alert_begins_and_ends_once(
    lab: Lab, machines: dict[str, Machine], busy: Callable[[Machine, list[str]], None]
) -> None:
    """It tells once while it holds, once when it ends, in the journal too; what its function raises stops nothing."""
    heard: list[AlertEvent] = []

    def call(event: AlertEvent) -> None:
        heard.append(event)
        raise RuntimeError("not mine")

    alert = lab.metrics.alert("cpu", above=0.05, for_s=2, machines=["lx"], call=call, name="hot")
    busy(machines["lx"], BUSY)
    until(lambda: len(heard) == 2, "it began and ended")
    assert [event.begins for event in heard] == [True, False]
    assert heard[0].value is not None
    assert heard[0].value > 0.05
    assert list(alert.events) == heard
    assert [str(error) for error in alert.errors] == ["not mine"] * 2
    noted = [json.loads(line) for line in (lab.folder / "journal.jsonl").read_text().splitlines()]
    assert [line["what"] for line in noted if line.get("name") == "hot"] == ["alert", "alert-ended"]
    alert.cancel()
    assert alert not in lab.metrics.alerts


@pytest.mark.parametrize(
    "words",
    [{"metric": "cpus", "above": 1}, {"metric": "cpu"}, {"metric": "cpu", "above": 1, "below": 0},
     {"metric": "cpu", "above": "much"}, {"metric": "cpu", "above": 1, "call": 5},
     {"metric": "cpu", "above": 1, "for_s": -1}],
)  # fmt: skip
def test_an_alert_that_cannot_be(lab: Lab, words: dict[str, object]) -> None:
    """It is refused at once, in words, and there is no such alert."""
    with pytest.raises(InvalidValue):
        lab.metrics.alert(**words)  # type: ignore[arg-type]
    assert lab.metrics.alerts == []


def test_prometheus_reads_a_lab(lab: Lab, machines: dict[str, Machine], tmp_path: Path) -> None:
    """By TCP on this machine alone, or by a Unix socket: counters with labels that Prometheus' own parser takes."""
    until(lambda: _each_has(lab, {*machines}, 1), "all were read")
    with lab.metrics.serve() as exporter:
        assert exporter.address.startswith("127.0.0.1:")
        with urllib.request.urlopen(f"http://{exporter.address}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        with pytest.raises(InvalidValue, match="choose another"):
            lab.metrics.serve(port=int(exporter.address.partition(":")[2]))
    families = {family.name: family for family in text_string_to_metric_families(text)}
    told = {sample.labels["machine"]: sample for sample in families["labkit_cpu_seconds"].samples}
    assert told.keys() == {"", *machines}
    assert told["vm"].labels == {"lab": lab.name, "host": "alpha", "machine": "vm", "engine": "kvm"}
    assert told["vm"].value > 0.1
    assert families["labkit_memory_bytes"].type == "gauge"
    path = tmp_path / "p.sock"
    with lab.metrics.serve(socket=path):
        done = subprocess.run(
            ["curl", "-s", "--unix-socket", str(path), "http://lab/metrics"], capture_output=True, text=True, check=True
        )
        assert "labkit_memory_bytes{" in done.stdout
    assert not path.exists()


def test_readings_go_into_files_that_pandas_reads(lab: Lab, machines: dict[str, Machine], tmp_path: Path) -> None:
    """The counters as SQLite, the metrics as a table; a name that says neither is refused."""
    until(lambda: _each_has(lab, {*machines}, 3), "all were read")
    with sqlite3.connect(lab.metrics.save(tmp_path / "all.sqlite")) as file:
        read = pd.read_sql("SELECT * FROM samples", file)
    assert set(machines) <= set(read["machine"])
    assert read[read["machine"] == "vm"]["cpu_seconds"].is_monotonic_increasing
    table = pd.read_csv(lab.metrics.save(tmp_path / "all.csv"), parse_dates=["time"])
    assert set(machines) <= set(table["machine"])
    with pytest.raises(InvalidValue, match="sqlite"):
        lab.metrics.save(tmp_path / "all.txt")


def test_what_is_not_there_is_said() -> None:
    """A lab that has ended has no metrics."""
    from labkit.monitoring.metrics import Metrics

    lab = Lab.__new__(Lab)
    lab._prepare("never-was", (), 60)
    with pytest.raises(LabGone):
        Metrics(lab).frame()


def test_reading_is_no_use_of_a_lab(lab: Lab, machines: dict[str, Machine]) -> None:
    """The lease runs on while the sampler reads."""
    lab.metrics.start()
    assert len(machines) == 4
    left = lab.lease_left_s()
    time.sleep(3)
    assert lab.lease_left_s() < left - 2.5


@pytest.mark.slow
def test_a_busy_machine_is_diagnosed(
    lab: Lab, machines: dict[str, Machine], busy: Callable[[Machine, list[str]], None]
) -> None:
    """A processor is found to be short: the machine's, or the host's if others keep that from it; in numbers."""
    busy(machines["vm"], ["timeout", "25", "sh", "-c", "while :; do :; done"])

    def short() -> list[Finding]:
        found = [finding for finding in lab.diagnose("15 s") if finding.resource == "processor"]
        return [finding for finding in found if finding.subject.name in ("vm", "alpha", "beta")]

    until(short, "a processor is found to be short")
    for found in short():
        assert found.value >= found.threshold
        assert found.advice
        assert found.evidence


@pytest.mark.slow
def test_a_leak_is_forecast_and_its_beginning_found(lab: Lab, machines: dict[str, Machine]) -> None:
    """From the readings of half a minute: when the memory is full, by a container that grows by 1 MB a second."""
    box = machines["lx"]
    box.run(["sh", "-c", "(sleep 15; x=; while :; do x=$x$(yes | head -c 1000000); sleep 1; done) >/dev/null 2>&1 &"])

    def outlook() -> Forecast:
        return lab.metrics.forecast("memory", box, limit="400 MiB", last="2 min")

    until(lambda: outlook().full_in_s, "it is forecast", timeout_s=120)
    found = outlook()
    assert found.earliest_s is not None
    assert 100 < found.earliest_s < 1000
    until(lambda: lab.metrics.changes("memory", "lx", last="2 min"), "its beginning is found")
    box.restart()
    assert not lab.metrics.forecast("memory", "far", limit="400 MiB").full_in_s


def test_a_limit_that_nobody_knows(lab: Lab, machines: dict[str, Machine]) -> None:
    """Without a limit there is no forecast, but an error that asks for one; nor is there one of nobody."""
    until(lambda: _each_has(lab, {*machines}, 1), "all were read")
    with pytest.raises(InvalidValue, match="give a limit"):
        lab.metrics.forecast("network", "lx")
    with pytest.raises(NotFound):
        lab.metrics.changes("cpu", "nobody")


@pytest.mark.slow
def test_the_sampler_ends_when_nobody_looks(lab_name: str, python: Callable[..., subprocess.Popen[str]]) -> None:
    """Half a minute after the last who looked on has gone; then whoever looks has another."""
    code = "import sys; from labkit import Lab; print(len(Lab.open(sys.argv[1]).metrics.frame()))"
    assert python(code, lab_name).wait(60) == 0
    lab = Lab.attach(lab_name)
    try:
        assert lab.metrics.is_running
        until(lambda: not lab.metrics.is_running, "it has ended", timeout_s=90)
        before = (lab.folder / _sampler.LOCK).read_text()
        lab.metrics.start()
        until(lambda: (lab.folder / _sampler.LOCK).read_text() != before, "there is another")
        until(lambda: len(lab.metrics.frame(["cpu"], ["alpha"], last=3)) > 1, "it is read again")
    finally:
        lab.close()
    assert os.path.basename(str(lab.folder)) == lab_name


def test_a_monitor_says_what_alerts_do(lab: Lab, machines: dict[str, Machine]) -> None:
    """The line above its plots, live and in the static form."""
    monitor = lab.monitor()
    alert = lab.metrics.alert("memory", above=1, for_s=0, machines=["lx"])
    until(lambda: monitor.said[1] == "warning", "it is said")
    assert monitor.said[0].startswith("lx: memory held")
    assert "lx: memory held" in monitor._repr_mimebundle_()["text/html"]
    alert.cancel()
    assert len(machines) == 4
