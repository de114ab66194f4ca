"""What `diagnose` finds in readings such as the sampler makes: gaps, NaN, restarts, machines that go and come."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from labkit.monitoring import METRICS, RULES, Diagnosis, Finding, diagnose
from labkit.monitoring.rules import Kind, Resource, Rule

MIB, GIB = 2.0**20, 2.0**30
BEGAN, COUNT = 5000.0, 300
TIMES = BEGAN + np.arange(COUNT)
NOW = TIMES[-1]
Told = float | np.ndarray


def rows(host: str, machine: str = "", engine: str = "", identity: str = "", **told: Told) -> pd.DataFrame:
    """Readings of one subject, one a second; what is not told is NaN, and the first has no rates."""
    made = pd.DataFrame({"time_s": TIMES, "host": host, "machine": machine, "engine": engine, "identity": identity})
    for name, metric in METRICS.items():
        made[name] = np.asarray(told.get(name, np.nan), dtype=float) + np.zeros(COUNT)
        if metric.how != "gauge":
            made.loc[0, name] = np.nan
    return made


def host(name: str = "alpha", **told: Told) -> pd.DataFrame:
    """An idle host, but for what is given."""
    idle: dict[str, Told] = {
        "processors": 2, "busy": 0.1, "cpu": 0.1, "memory_used": 1 * GIB, "memory_total": 4 * GIB, "swap": 0,
        "oom_kills": 0, "disk_used": 5 * GIB, "disk_total": 20 * GIB, "disk_latency": 0.001, "drops": 0,
    }  # fmt: skip
    return rows(name, **{**idle, **told})


def machine(name: str, engine: str = "lxc", on: str = "alpha", identity: str = "", **told: Told) -> pd.DataFrame:
    """An idle machine, but for what is given."""
    idle: dict[str, Told] = {
        "processors": 2, "cpu": 0.01, "cpu_wait": 0, "memory": 20 * MIB, "memory_used": 15 * MIB,
        "memory_total": 128 * MIB, "oom_kills": 0, "swap": 0, "disk_latency": 0.001, "disk_used": 10 * MIB,
        "disk_total": 256 * MIB, "drops": 0,
    }  # fmt: skip
    return rows(on, name, engine, identity or f"id-{name}", **{**idle, **told})


def table(*parts: pd.DataFrame) -> pd.DataFrame:
    """Readings in order of time, as the sampler has them."""
    return pd.concat(parts).sort_values("time_s", kind="stable").reset_index(drop=True)


def since(seconds: float, high: float, low: float = 0.0) -> np.ndarray:
    """`high` in the last so many seconds, `low` before."""
    return np.where(NOW - seconds <= TIMES, high, low)


def only(found: Diagnosis) -> Finding:
    assert len(found) == 1, [each.evidence for each in found]
    return found[0]


def test_calm_lab_has_no_findings() -> None:
    """Where nobody is short of anything a diagnosis is false, and says how many were looked at."""
    found = diagnose(table(host(), host("beta", memory_total=8 * GIB), machine("web"), machine("box", "docker")))
    assert not found
    assert list(found) == []
    assert len(found.judged) == 4
    assert found._repr_mimebundle_()["text/plain"].startswith("Nothing is short: 2 machines and 2 hosts looked at\n")


# What is done to a machine or a host, what is found, and words of the evidence and of the advice.
MACHINE_CASES = [
    ("lxc", {"cpu": since(60, 1.9)}, "processor", "utilisation", "uses 1.9 of 2 processors (95 %), for 60 s", "limits"),
    ("kvm", {"cpu_wait": since(60, 0.6)}, "processor", "saturation", "had work for 0.6 processors more", "move("),
    ("kvm", {"memory_used": since(60, 120 * MIB)}, "memory", "utilisation", "120 MiB of 128 MiB (94 %)", "resize("),
    ("docker", {"memory_used": since(60, 120 * MIB)}, "memory", "utilisation", "120 MiB of 128 MiB", "resize("),
    ("docker", {"memory_used": np.nan, "memory": since(60, 120 * MIB)}, "memory", "utilisation", "120 MiB", "resize("),
    ("kvm", {"swap": since(60, 5 * MIB)}, "memory", "saturation", "moves 5 MiB/s between memory and swap", "resize("),
    ("lxc", {"oom_kills": np.where(NOW - 30 == TIMES, 2, 0)}, "memory", "errors", "killed 2 processes", "resize("),
    ("kvm", {"disk_latency": since(60, 0.2)}, "disk", "saturation", "a disk request takes 200 ms", "move("),
    ("kvm", {"disk_used": 250 * MIB}, "disk", "utilisation", "its disk takes 250 MiB of 256 MiB", "create(disk="),
    ("lxc", {"drops": since(20, 7)}, "network", "errors", "packets are dropped, 7/s, for 20 s", "link(bandwidth"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "told", "resource", "kind", "evidence", "advice"), MACHINE_CASES)
def test_machine_is_short(
    engine: str, told: dict[str, Told], resource: str, kind: str, evidence: str, advice: str
) -> None:
    """Each way in which a machine can be short of something is found, once, with numbers, units and advice."""
    found = only(diagnose(table(host(), machine("web", engine, **told), machine("calm", engine))))
    assert (found.subject.name, found.resource, found.kind) == ("web", resource, kind)
    assert found.evidence.startswith("web: ") and evidence in found.evidence
    assert advice in found.advice
    assert found.value >= found.threshold
    assert len(found.times) == len(found.values) > 200


HOST_CASES = [
    ({"busy": since(60, 1.98)}, "processor", "utilisation", "1.98 of 2 processors are busy (99 %), for 60 s"),
    ({"pressure_cpu": since(60, 0.5)}, "processor", "saturation", "waited for a processor 50 % of the time"),
    ({"memory_used": since(60, 3.8 * GIB)}, "memory", "utilisation", "3.8 GiB of 4 GiB is used (95 %)"),
    ({"pressure_memory": since(60, 0.3)}, "memory", "saturation", "waited for memory 30 % of the time"),
    ({"swap": since(60, 9 * MIB)}, "memory", "saturation", "moves 9 MiB/s between memory and swap"),
    ({"oom_kills": np.where(NOW - 30 == TIMES, 1, 0)}, "memory", "errors", "the kernel has killed a process on it"),
    ({"pressure_io": since(60, 0.4)}, "disk", "saturation", "waited for a disk 40 % of the time"),
    ({"disk_latency": since(60, 0.3)}, "disk", "saturation", "a disk request takes 300 ms"),
    ({"disk_used": 19 * GIB}, "disk", "utilisation", "19 GiB of 20 GiB is used (95 %), for at least 5 min"),
    ({"drops": since(60, 40)}, "network", "errors", "packets are dropped, 40/s"),
]


@pytest.mark.parametrize(("told", "resource", "kind", "evidence"), HOST_CASES)
def test_host_is_short(told: dict[str, Told], resource: str, kind: str, evidence: str) -> None:
    """Each way in which a host can be short of something is found, once."""
    found = only(diagnose(table(host(**told), machine("web"))))
    assert (found.subject.name, found.resource, found.kind) == ("alpha", resource, kind)
    assert found.evidence.startswith("alpha: ") and evidence in found.evidence


def test_every_rule_is_tried() -> None:
    """No rule stands in the table that no test has seen find something, and each has another name."""
    frames = [table(host(), machine("web", engine, **told)) for engine, told, *_ in MACHINE_CASES]
    frames += [table(host(**told)) for told, *_ in HOST_CASES]
    seen = {found.rule.name for frame in frames for found in diagnose(frame)}
    assert seen == {rule.name for rule in RULES}
    assert len(seen) == len(RULES)
    assert all({*rule.look, rule.whole or "cpu", rule.culprit or "cpu"} <= set(METRICS) for rule in RULES)


def test_culprit_among_ten() -> None:
    """Of ten machines on a busy host the one that uses most is named, in words and as an object."""
    load = since(60, 1.9, 0.1)
    crowd = [machine(f"m{number}", cpu=0.008) for number in range(9)]
    found = diagnose(table(host(busy=load + 0.09), *crowd, machine("web", "kvm", cpu=load)))
    (whole,) = found.of("alpha")
    assert whole.culprit is not None and whole.culprit.name == "web"
    assert "; web uses most, 1.9 of 2 processors" in whole.evidence
    assert [each.subject.name for each in found] == ["alpha", "web"]


def test_busy_by_others() -> None:
    """Where the lab's machines use little of a busy host, that is said, and none is blamed."""
    (found,) = diagnose(table(host(busy=since(60, 2.0)), machine("web", cpu=0.2)))
    assert found.culprit is None
    assert "not by the lab, whose machines use 0.2 processors; of these web uses most" in found.evidence


def test_hosts_that_share_a_machine() -> None:
    """Hosts that are namespaces of one machine have one finding, which names the machine on whichever of them."""
    shared = {"busy": since(60, 1.95), "cpu": 0.1}
    found = only(diagnose(table(host(**shared), host("beta", **shared), machine("web", on="beta", cpu=since(60, 1.7)))))
    assert found.evidence.startswith("alpha and beta: 1.95 of 2 processors are busy")
    assert "web on beta uses most, 1.7 of 2" in found.evidence
    apart = diagnose(table(host(**shared), host("beta", memory_total=8 * GIB), machine("web", on="beta")))
    assert only(apart).evidence.startswith("alpha: ")


@pytest.mark.parametrize("seconds", [4, 8])
def test_short_loads_are_none(seconds: int) -> None:
    """What lasts for a few seconds, now or earlier, is no bottleneck."""
    burst = np.where((NOW - 150 < TIMES) & (NOW - 150 + seconds >= TIMES), 2.0, 0.0)
    assert not diagnose(table(host(), machine("web", cpu=since(seconds, 2.0)), machine("box", cpu=burst)))
    assert not diagnose(table(host(), machine("web", cpu=np.where(TIMES < NOW - 20, 2.0, 0.0))))


def test_since_when() -> None:
    """It is told from when on it holds, over dips of one reading, over NaN and over gaps; not over long ones."""
    load = since(100, 1.95)
    load[-50:-45] = np.nan
    load[-70] = 1.5
    frame = table(host(), machine("web", cpu=load))
    assert only(diagnose(frame)).since_s == pytest.approx(NOW - 99, abs=1)
    gap = frame[~frame["time_s"].between(NOW - 40, NOW - 15)]
    assert only(diagnose(gap)).since_s == pytest.approx(NOW - 99, abs=1)
    long_gap = table(host(), machine("web", cpu=since(200, 1.95)))
    long_gap = long_gap[~long_gap["time_s"].between(NOW - 120, NOW - 30)]
    assert only(diagnose(long_gap)).since_s == pytest.approx(NOW - 29, abs=1)


def test_break_begins_anew() -> None:
    """After some seconds of rest it counts from then on."""
    load = since(100, 1.95)
    load[-60:-40] = 0
    assert only(diagnose(table(host(), machine("web", cpu=load)))).since_s == pytest.approx(NOW - 39, abs=3)


def test_namesake_is_another() -> None:
    """A machine made anew under a name does not inherit what its predecessor was short of."""
    old, new = machine("web", identity="one", cpu=2.0), machine("web", identity="two", cpu=0.1)
    frame = table(host(), old[old["time_s"] <= NOW - 12], new[new["time_s"] > NOW - 12])
    found = diagnose(frame)
    assert not found
    assert not any("nothing was read of web" in each.why for each in found.unjudged)
    busy = machine("web", identity="two", cpu=2.0)
    assert not diagnose(table(host(), old[old["time_s"] <= NOW - 8], busy[busy["time_s"] > NOW - 8]))
    moved = machine("web", on="beta", cpu=0.1)
    assert not diagnose(table(host(), host("beta"), old[old["time_s"] <= NOW - 5], moved[moved["time_s"] > NOW - 5]))


def test_machine_gone() -> None:
    """A machine that tells nothing any more is not judged by what it was, and that is said."""
    gone = machine("web", cpu=2.0)
    found = diagnose(table(host(), gone[gone["time_s"] <= NOW - 42]))
    assert not found
    assert "nothing was read of web for 42 s" in [each.why for each in found.unjudged]
    assert [each.name for each in found.judged] == ["alpha"]


def test_restart_is_no_break_of_identity() -> None:
    """The NaN of the reading after a restart is a gap like others."""
    load = np.full(COUNT, 1.95)
    load[200] = np.nan
    found = only(diagnose(table(host(), machine("web", cpu=load))))
    assert found.since_s == TIMES[1]
    assert "for at least" in found.evidence


def test_no_limit_is_no_lack() -> None:
    """A container without a limit of memory is neither short nor unjudged."""
    for total in (np.nan, 0.0):
        found = diagnose(table(host(), machine("box", "docker", memory_total=total)))
        assert not found
        assert not any("memory" in each.metric for each in found.unjudged)


def test_what_a_virtual_machine_holds_is_not_what_it_uses() -> None:
    """A KVM machine that has touched all its memory is not short of it; that nothing is told from inside is said."""
    found = diagnose(table(host(), machine("web", "kvm", memory=128 * MIB, memory_used=np.nan)))
    assert not found
    assert "no word of memory used, as seen inside: KVM does not tell (web)" in [each.why for each in found.unjudged]


def test_no_pressure() -> None:
    """A kernel without PSI is named once, for all hosts; with it there is nothing to say."""
    found = diagnose(table(host(), host("beta")))
    assert [each.why for each in found.unjudged] == ["no word of pressure: this kernel has no PSI (alpha and beta)"]
    pressed = {f"pressure_{kind}": 0.0 for kind in ("cpu", "memory", "io")}
    assert diagnose(table(host(**pressed))).unjudged == ()


def test_columns_may_be_missing() -> None:
    """A frame with some metrics only is judged by these, and by no readings at all nothing is."""
    frame = table(host(), machine("web", cpu=2.0))[
        ["time_s", "host", "machine", "engine", "identity", "cpu", "processors"]
    ]
    found = diagnose(frame)
    assert only(found).subject.name == "web"
    assert any(each.metric == "busy" for each in found.unjudged)
    empty = diagnose(frame.iloc[:0])
    assert not empty
    assert empty._repr_mimebundle_()["text/plain"] == "Nothing was read: nothing can be judged"


def test_first_reading_is_not_enough() -> None:
    """Of one reading there are no rates yet, and that is what is said."""
    found = diagnose(table(host(), machine("web")).iloc[:2])
    assert not found
    assert any("there is one reading only" in each.why for each in found.unjudged)


def test_order_of_severity() -> None:
    """Errors come first, then saturation, then utilisation; a host before machines."""
    found = diagnose(
        table(
            host(busy=since(60, 2.0), swap=since(60, 4 * MIB)),
            machine("web", cpu=since(60, 1.9)),
            machine("box", oom_kills=np.where(NOW - 5 == TIMES, 1, 0)),
        )
    )
    kinds = [each.kind for each in found]
    assert kinds == [Kind.ERRORS, Kind.SATURATION, Kind.UTILISATION, Kind.UTILISATION]
    assert [each.subject.name for each in found] == ["box", "alpha", "alpha", "web"]
    assert found[0] is found.findings[0] and found[1:3] == found.findings[1:3]


def test_own_rules() -> None:
    """Another table of rules is judged by instead."""
    strict = Rule(
        "talks", "machine", Resource.NETWORK, Kind.UTILISATION, ("network",), "", 1000, 5, 5, "moves {value}", "hush"
    )
    found = only(diagnose(table(host(), machine("web", cpu=2.0, network=5000)), rules=[strict]))
    assert (found.evidence, found.advice) == ("web: moves 4.88 KiB/s, for at least 5 min", "hush")


def test_shows_itself() -> None:
    """Each finding has a sign, a word, a picture with the threshold dashed and what holds shaded; names stay text."""
    frame = table(host(), machine("web", cpu=since(60, 2.0)), machine("box", oom_kills=since(2, 1)))
    frame.loc[frame["machine"] == "web", "machine"] = "<i>web"
    found = diagnose(frame)
    bundle = found._repr_mimebundle_()
    assert found[1]._repr_mimebundle_()["text/html"].count("<svg") == 1
    assert bundle["text/plain"].startswith("2 bottlenecks: box, <i>web\n✖ memory errors: box: the kernel has killed 3")
    html = bundle["text/html"]
    assert "<i>web" not in html and "<script" not in html
    assert html.count("<svg") == html.count("stroke-dasharray") == 2
    assert "▲</span> processor utilisation" in html and "✖</span> memory errors" in html
    assert "threshold 90 %" in html and "var(--lk-failed" in html
    assert "Not judged" in html and "no PSI" in html


def test_fifty_machines_are_judged_quickly() -> None:
    """Fifty machines with five minutes each take well under a second of processor time (measured: 0.06 s)."""
    frame = table(host(busy=2.0), *[machine(f"m{number}", cpu=0.04) for number in range(49)], machine("web", cpu=1.9))
    began = time.process_time()
    found = diagnose(frame)
    took = time.process_time() - began
    assert {each.subject.name for each in found} == {"alpha", "web"}
    assert took < 1
