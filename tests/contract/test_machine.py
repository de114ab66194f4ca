"""What holds for a machine of every engine; each test runs, unchanged, against the real one."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import _wait
import pytest

from labkit import Lab
from labkit.errors import DeadlineExceeded, EngineError, InvalidState, InvalidValue, NameInUse, NotFound, NotSupported
from labkit.machines._line import Line
from labkit.machines.base import VERBS, Machine
from labkit.machines.spec import State

pytestmark = pytest.mark.core
wait_until = partial(_wait.until, timeout_s=60)


def need(machine: Machine, *verbs: str) -> None:
    """End the test well here if the engine cannot do a verb; `test_what_cannot_be_done…` looks at those."""
    if lacking := set(verbs) - machine.capabilities:
        pytest.skip(f"{machine.engine} here: no {', '.join(sorted(lacking))}")


def test_run_gives_exit_code_and_both_streams(machine: Machine) -> None:
    """A command's exit code, output and errors come back apart from each other."""
    done = machine.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (done.exit_code, done.stdout, done.stderr, done.ok) == (7, "out\n", "err\n", False)


def test_run_passes_input_and_odd_words(machine: Machine) -> None:
    """What is given as input and as words arrives unchanged, whatever a shell would make of it."""
    assert machine.run(["cat"], input="ä\n<b>\0").stdout == "ä\n<b>\0"
    assert machine.run(["printf", "%s", "$HOME; `x` \"'"]).stdout == "$HOME; `x` \"'"


def test_run_carries_much(machine: Machine) -> None:
    """What is more than a pipe holds goes in and comes back whole."""
    text = "0123456789abcde\n" * 8192
    assert machine.run(["cat"], input=text).stdout == text


def test_run_keeps_what_many_write_at_once(machine: Machine) -> None:
    """What the children of a command write at the same moment is there, whole, from all of them."""
    argv = ["sh", "-c", "for n in $(seq 50); do { sleep 1; for m in $(seq 40); do echo $n.$m; done; } & done; wait"]
    for place in (machine, machine.host):
        lines = place.run(argv, check=True).stdout.splitlines()
        assert sorted(lines) == sorted(f"{n}.{m}" for n in range(1, 51) for m in range(1, 41))


def test_run_ends_at_its_time_limit(machine: Machine) -> None:
    """A command that goes on too long is killed inside, and the error says so; also one that has hardly begun."""
    for timeout_s in (0.005, 0.02, 0.5):
        with pytest.raises(DeadlineExceeded, match="sleep"):
            machine.run(["sleep", "4321"], timeout_s=timeout_s)
    wait_until(lambda: "4321" not in machine.run(["ps"]).stdout)


def test_a_program_that_is_not_there_is_named(machine: Machine) -> None:
    """An unknown program gives an error with its name."""
    with pytest.raises(EngineError, match="no-such-program"):
        machine.run(["no-such-program"])


@pytest.mark.parametrize("argv", ["ls -l", [], [1], ["a\0b"]])
def test_what_is_no_command_is_refused(machine: Machine, argv: object) -> None:
    """A shell string or anything else that is not a list of words is refused."""
    with pytest.raises(InvalidValue):
        machine.run(argv)  # type: ignore[arg-type]


def test_pause_stops_time_inside(machine: Machine) -> None:
    """A paused machine does nothing, says so, and goes on where it was."""
    need(machine, "pause", "resume")
    machine.pause()
    assert machine.state is State.PAUSED
    assert machine.refresh() is State.PAUSED
    with pytest.raises(InvalidState, match="paused"):
        machine.run(["true"])
    machine.pause()
    assert machine.refresh() is State.PAUSED
    machine.resume()
    assert machine.refresh() is State.RUNNING
    assert machine.run(["true"]).ok


def test_state_follows_events(lab: Lab, machine: Machine, kind: str) -> None:
    """What another session does to a machine shows in `state` without asking."""
    elsewhere = Lab.attach(lab.name)
    try:
        other = getattr(elsewhere["alpha"], kind)[machine.name]
        assert other is not machine
        other.kill()
        wait_until(lambda: machine.state is State.STOPPED)
        other.start()
        wait_until(lambda: machine.state is State.RUNNING)
    finally:
        elsewhere["alpha"].close()


def test_stats_are_counters(lab: Lab, machine: Machine) -> None:
    """Processor time and traffic grow with work."""
    gateway = lab.networks["lan"].gateway
    before = machine.stats()
    machine.run(["sh", "-c", f"i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; ping -c 2 -W 1 {gateway}"])
    after = machine.stats()
    assert after.cpu_seconds > before.cpu_seconds
    assert after.time_s > before.time_s
    assert after.sent_bytes > before.sent_bytes
    assert after.memory_bytes > 2**16


def test_samples_have_every_running_machine(machine: Machine, engine: Any) -> None:
    """All counters come in one go, by name, and are those that the machine itself tells."""
    sample = engine.samples()[machine.name]
    assert 0 <= machine.stats().cpu_seconds - sample.cpu_seconds < 60
    assert sample.memory_bytes > 2**16


def test_console_has_history_and_a_keyboard(machine: Machine) -> None:
    """What is typed on the console has its effect inside and is shown."""
    with machine.console() as console:
        console.write("echo $((6*7)) > /run/answer; echo do''ne\n")
        assert "done" in console.expect("done")
    assert machine.run(["cat", "/run/answer"]).stdout == "42\n"
    assert "done" in machine.console().history()
    with pytest.raises(DeadlineExceeded, match="never said"):
        machine.console().expect("never said", timeout_s=0.2)


def line_of(machine: Machine, what: str) -> Line | None:
    """A line to the machine, if it has such a line."""
    try:
        return machine.line(what)
    except NotSupported:
        return None


@pytest.mark.parametrize("what", ["console", "shell"])
def test_a_terminal_line_carries_both_ways(machine: Machine, what: str) -> None:
    """What is typed on a line is done inside, and its answer is heard; once left, nothing of it runs on."""
    if (line := line_of(machine, what)) is None:
        pytest.skip(f"{machine.engine} has no {what} for a terminal")
    heard = bytearray()
    leave = line.follow(heard.extend)
    try:
        line.resize(24, 80)
        line.write(b"echo $((6*7))-from-inside\n")
        wait_until(lambda: b"42-from-inside" in heard)
    finally:
        leave()


def test_resize_changes_processors(machine: Machine) -> None:
    """The processors of a running machine change, as seen inside; what makes no sense is refused."""
    need(machine, "resize")
    if machine.engine in ("docker", "lxc") and len(machine.host.processors) == 1:  # it has those of its host
        with pytest.raises(InvalidValue):
            machine.resize(vcpus=2)
    else:
        machine.resize(vcpus=2)
        wait_until(lambda: machine.run(["nproc"]).stdout == "2\n")
    machine.resize(vcpus=1)
    wait_until(lambda: machine.run(["nproc"]).stdout == "1\n")
    with pytest.raises(InvalidValue):
        machine.resize(vcpus=0)
    with pytest.raises(InvalidValue):
        machine.resize(memory="many")
    machine.restart()  # plugged processors are no part of what a virtual machine's snapshot knows
    assert machine.run(["true"]).ok


def test_limits_make_sense_or_are_refused(machine: Machine) -> None:
    """A limit can be set and lifted; one that makes no sense is refused."""
    need(machine, "limits")
    machine.limits(cpus=0.5)
    assert machine.run(["true"]).ok
    machine.limits(cpus=None)
    with pytest.raises(InvalidValue):
        machine.limits(cpus=-1)


def test_snapshot_and_revert_bring_back_the_files(machine: Machine) -> None:
    """After a revert, files are those of the snapshot, the machine runs, and the clock is right."""
    need(machine, "snapshot", "revert")
    machine.run(["sh", "-c", "echo old > /root/file; sync"], check=True)
    machine.snapshot("before")
    assert "before" in machine.snapshots()  # type: ignore[attr-defined]
    machine.run(["sh", "-c", "echo new > /root/file; sync"], check=True)
    machine.revert("before")
    assert machine.state is State.RUNNING
    assert machine.run(["cat", "/root/file"]).stdout == "old\n"
    assert machine.run(["hostname"]).stdout == f"{machine.name}\n"
    assert abs(float(machine.run(["date", "+%s"]).stdout) - time.time()) < 10
    with pytest.raises(NameInUse):
        machine.snapshot("before")
    with pytest.raises(NotFound, match="before"):
        machine.revert("never")


def test_stop_and_start_keep_the_disk(machine: Machine) -> None:
    """A machine that was shut down and started again has its disk, name and address."""
    machine.run(["sh", "-c", "echo kept > /root/kept"], check=True)
    machine.stop()
    assert machine.state is State.STOPPED
    with pytest.raises(InvalidState):
        machine.run(["true"])
    machine.stop()
    if "pause" in machine.capabilities:
        with pytest.raises(InvalidState, match="stopped"):
            machine.pause()
    machine.start()
    assert machine.run(["cat", "/root/kept"]).stdout == "kept\n"
    assert machine.run(["hostname"]).stdout == f"{machine.name}\n"
    assert machine.addresses[0] in machine.run(["ip", "-4", "addr"]).stdout


def test_kill_switches_off(machine: Machine) -> None:
    """A machine that was switched off is stopped at once, and starts again."""
    machine.kill()
    assert machine.state is State.STOPPED
    assert machine.refresh() is State.STOPPED
    machine.start()
    assert machine.run(["true"]).ok


def test_clone_has_the_files_and_an_identity_of_its_own(machine: Machine) -> None:
    """A clone has the files, but another name and address, and does not write to the original."""
    need(machine, "clone")
    machine.run(["sh", "-c", "echo inherited > /root/inherited; sync"], check=True)
    twin = machine.clone("twin")
    try:
        assert twin.run(["cat", "/root/inherited"]).stdout == "inherited\n"
        assert twin.run(["hostname"]).stdout == "twin\n"
        assert set(twin.addresses).isdisjoint(machine.addresses)
        assert twin.addresses[0] in twin.run(["ip", "-4", "addr"]).stdout
        twin.run(["rm", "/root/inherited"], check=True)
        assert machine.run(["cat", "/root/inherited"]).ok
    finally:
        twin.destroy()


# What each verb is called with where the machine cannot do it.
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "run": {"argv": ["true"]}, "limits": {"cpus": 0.5}, "resize": {"vcpus": 1}, "snapshot": {"name": "one"},
    "revert": {"name": "one"}, "clone": {"name": "twin"},
}  # fmt: skip


def test_what_cannot_be_done_says_why(lab: Lab, machine: Machine) -> None:
    """A verb that is not among the capabilities raises with a reason and an alternative."""
    assert machine.capabilities <= VERBS
    for verb in VERBS - machine.capabilities:
        with pytest.raises(NotSupported, match=verb) as caught:
            getattr(machine, verb)(**{"to": lab["beta"]} if verb == "migrate" else _ARGUMENTS.get(verb, {}))
        assert caught.value.hint
        assert machine.why_not(verb)


def test_a_machine_shows_itself(machine: Machine) -> None:
    """The static form names machine, engine, state and address, and runs no script."""
    html = machine._repr_mimebundle_()["text/html"]
    for word in ("web", "running", machine.addresses[0], *(value for _, value in machine.facts())):
        assert word in html
    assert machine.engine in html.lower()
    assert "<script" not in html


def test_another_process_finds_it(lab: Lab, machine: Machine, kind: str) -> None:
    """Whoever attaches to the lab sees the machine with all that it was asked to be."""
    elsewhere = Lab.attach(lab.name)
    try:
        found = getattr(elsewhere["alpha"], kind)["web"]
        assert found.spec == machine.spec
        assert found.run(["hostname"]).stdout == "web\n"
        assert [one.name for one in elsewhere.machines()] == ["web"]
    finally:
        elsewhere["alpha"].close()


def test_others_on_the_network_know_its_name(lab: Lab, machine: Machine, engine: Any) -> None:
    """Another machine of the network, on another host, reaches it by its name."""
    other = getattr(lab["beta"], engine.kind).create("other", networks=["lan"])
    try:
        assert other.run(["ping", "-c", "1", "-W", "5", "web"]).ok
        assert machine.run(["ping", "-c", "1", "-W", "5", "other"]).ok
    finally:
        other.destroy()


def test_a_name_is_taken_once_in_a_lab(lab: Lab, machine: Machine, engine: Any) -> None:
    """A second machine of the name is refused, on any host; so is a name that is none."""
    for host in (lab["alpha"], lab["beta"]):
        with pytest.raises(NameInUse, match="web"):
            getattr(host, engine.kind).create("web")
    with pytest.raises(InvalidValue):
        engine.create("../web")
    with pytest.raises(NotFound):
        engine.create("lost", networks=["nowhere"])
    with pytest.raises(NotFound):
        _ = engine["lost"]
    assert machine.run(["true"]).ok
