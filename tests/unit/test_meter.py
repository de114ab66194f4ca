"""What reads counters on a host: both versions of cgroups, sums over processes, files that vanish."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import _wait
import pytest

from labkit.hosts import _meter

PROGRAM = Path(_meter.__file__)


def lay(top: Path, files: dict[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is taken for /sys/fs/cgroup."""
    monkeypatch.setattr(_meter, "_GROUPS", str(tmp_path))
    monkeypatch.setattr(_meter, "_v1_places", {})
    return tmp_path


def test_version_2(groups: Path) -> None:
    """Every number comes from its file, devices are added up, and "max" is no limit."""
    place = "lxc.payload.box"
    lay(groups, {
        "cgroup.controllers": "cpu memory io",
        f"{place}/cgroup.procs": "", f"{place}/init.scope/cgroup.procs": f"{os.getpid()}\n",
        f"{place}/cpu.stat": "usage_usec 1500000\nuser_usec 1\nthrottled_usec 250000\n",
        f"{place}/cpu.max": "50000 100000\n", f"{place}/memory.max": "max\n", f"{place}/memory.current": "4096000\n",
        f"{place}/memory.stat": "anon 1\nfile 96000\ninactive_file 90000\n",
        f"{place}/memory.events": "low 0\noom 2\noom_kill 1\n",
        f"{place}/io.stat": "253:0 rbytes=10 wbytes=20 rios=1 wios=2\n253:1 rbytes=1 wbytes=2 rios=1 wios=0\n",
        "lxc.monitor.box/cgroup.procs": "1\n",
    })  # fmt: skip
    found = _meter.lxc(None)
    assert list(found) == ["box"]
    box = found["box"]
    assert (box["cpu_seconds"], box["cpu_wait_seconds"], box["processors"]) == (1.5, 0.25, 0.5)
    assert (box["memory_bytes"], box["memory_used_bytes"], box["memory_cached_bytes"]) == (4096000, 4006000, 96000)
    assert box["memory_total_bytes"] is None
    assert (box["disk_read_bytes"], box["disk_written_bytes"], box["disk_requests"]) == (11, 22, 4)
    assert box["oom_kills"] == 1
    assert box["swapped_in_bytes"] is None
    assert box["received_bytes"] >= 0


def test_containers_of_docker_that_systemd_keeps(groups: Path) -> None:
    """With systemd's cgroup driver, a container is a scope; its id is told without what systemd adds."""
    own = f"{os.getpid()}\n"
    lay(groups, {
        "cgroup.controllers": "cpu", "system.slice/docker.service/cgroup.procs": own,
        "system.slice/docker-0d27.scope/cgroup.procs": own, "system.slice/docker-0d27.scope/cpu.stat": "usage_usec 9\n",
        "docker/77aa/cgroup.procs": own, "docker/77aa/cpu.stat": "usage_usec 8\n",
    })  # fmt: skip
    assert sorted(_meter.docker(None)) == ["0d27", "77aa"]


def test_version_1(groups: Path) -> None:
    """The hierarchies are found by their files, whatever their folders are called; a huge limit is none."""
    place = "docker/0123"
    lay(groups, {
        f"cpu,cpuacct/{place}/cgroup.procs": f"{os.getpid()}\n", "cpu,cpuacct/cpuacct.usage": "9",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1", f"cpu,cpuacct/{place}/cpuacct.usage": "1500000000\n",
        f"cpu,cpuacct/{place}/cpu.cfs_quota_us": "-1\n", f"cpu,cpuacct/{place}/cpu.cfs_period_us": "100000\n",
        f"cpu,cpuacct/{place}/cpu.stat": "nr_periods 1\nthrottled_time 500000000\n",
        "memory/memory.usage_in_bytes": "1", f"memory/{place}/memory.usage_in_bytes": "1000000\n",
        f"memory/{place}/memory.limit_in_bytes": "9223372036854771712\n",
        f"memory/{place}/memory.stat": "cache 5\ntotal_cache 200000\ntotal_inactive_file 100000\n",
        f"memory/{place}/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
        "blkio/blkio.throttle.io_service_bytes_recursive": "Total 0\n",
        f"blkio/{place}/blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Write 20\nTotal 30\n",
        f"blkio/{place}/blkio.throttle.io_serviced_recursive": "8:0 Read 1\n8:0 Write 2\nTotal 3\n",
    })  # fmt: skip
    box = _meter.docker(None)["0123"]
    assert (box["cpu_seconds"], box["cpu_wait_seconds"], box["processors"]) == (1.5, 0.5, None)
    assert (box["memory_bytes"], box["memory_used_bytes"], box["memory_total_bytes"]) == (1000000, 900000, None)
    assert (box["disk_read_bytes"], box["disk_written_bytes"], box["disk_requests"]) == (10, 20, 3)
    assert box["oom_kills"] == 3


def test_a_group_that_has_just_ended_is_left_out(groups: Path) -> None:
    """A folder without processes tells nothing, and is no error."""
    lay(groups, {"cgroup.controllers": "", "lxc.payload.gone/cgroup.procs": "", "lxc.payload.gone/cpu.stat": ""})
    assert _meter.lxc(None) == {}


def test_processes_are_added_up() -> None:
    """A family's processor time holds what its children that have ended have used."""
    busy = (
        "import os, time\nif not os.fork():\n while time.process_time() < 0.3: pass\n os._exit(0)\nos.wait()\ninput()"
    )
    with subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        _wait.until(lambda: _meter.Processes().cpu_s[str(child.pid)] > 0.2, "its child has ended", timeout_s=30)
        processes = _meter.Processes()
        assert str(child.pid) in processes.family(str(os.getpid()))
        told = processes.sums([str(child.pid)], [])
        assert told["memory_bytes"] > 1 << 20
        assert told["cpu_seconds"] > 0.2
        child.communicate(b"\n")


@pytest.mark.parametrize("most", [0, 400])
def test_what_is_kept_open_of_processes(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the most that are kept they are read all the same; one that has ended is let go, in whichever order."""
    monkeypatch.setattr(_meter, "_MOST_KEPT", most)
    monkeypatch.setattr(_meter, "_stat_files", {})
    before = len(os.listdir("/proc/self/fd"))
    mine = str(os.getpid())
    with subprocess.Popen(["sleep", "30"]) as child:
        pid = str(child.pid)
        seen = _meter.Processes()
        assert seen.parent[pid] == mine
        assert seen.cpu_s[mine] > 0
        assert seen.held[mine] > 1 << 20
        child.kill()
    assert _meter._stat(pid) == []
    assert pid not in _meter.Processes().parent
    assert len(_meter._stat_files) <= most
    assert pid not in _meter._stat_files
    for descriptor in _meter._stat_files.values():
        os.close(descriptor)
    assert len(os.listdir("/proc/self/fd")) == before


def test_it_answers_line_by_line_and_ends_with_its_input(tmp_path: Path) -> None:
    """One answer for each question; what it does not understand is an error in words; no input is the end."""
    argv = [sys.executable, "-I", "-S", str(PROGRAM), str(tmp_path)]
    done = subprocess.run(
        argv, input='{"host": false}\nnonsense\n{"host": false}\n', capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    first, second, third = (json.loads(line) for line in done.stdout.splitlines())
    assert first["host"]["processors"] == len(os.sched_getaffinity(0))
    assert first["host"]["memory_total_bytes"] > first["host"]["memory_used_bytes"] > 0
    assert "JSONDecodeError" in second["error"]
    assert third["host"]["busy_seconds"] >= first["host"]["busy_seconds"]
