"""What holds for a machine of every engine; each test runs against the real one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from labkit import Lab
from labkit.errors import (
    DeadlineExceeded,
    EngineError,
    InvalidState,
    InvalidValue,
    LabError,
    NameInUse,
    NotFound,
    NotSupported,
)
from labkit.machines.base import VERBS, Machine, State

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("machine")]


@pytest.fixture(scope="module")
def machine(lab: Lab) -> Iterator[Machine]:
    made = lab["alpha"].kvm.create("web", networks=["lan"])
    yield made
    made.destroy()
    assert lab.machines() == []


def wait_until(true: object, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)


def test_run_gives_exit_code_and_both_streams(machine: Machine) -> None:
    """A command's exit code, output and errors come back apart from each other."""
    done = machine.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (done.exit_code, done.stdout, done.stderr, done.ok) == (7, "out\n", "err\n", False)


def test_run_passes_input_and_odd_words(machine: Machine) -> None:
    """What is given as input and as words arrives unchanged, whatever a shell would make of it."""
    assert machine.run(["cat"], input="ä\n<b>\0").stdout == "ä\n<b>\0"
    assert machine.run(["printf", "%s", "$HOME; `x` \"'"]).stdout == "$HOME; `x` \"'"


def test_run_ends_at_its_time_limit(machine: Machine) -> None:
    """A command that goes on too long is killed in the guest, and the error says so."""
    with pytest.raises(DeadlineExceeded, match="sleep"):
        machine.run(["sleep", "4321"], timeout_s=0.5)
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


def test_state_follows_events(machine: Machine) -> None:
    """What is done behind the library's back shows in `state` without asking."""
    domain = machine.domain()  # type: ignore[attr-defined]
    domain.suspend()
    wait_until(lambda: machine.state is State.PAUSED)
    domain.resume()
    wait_until(lambda: machine.state is State.RUNNING)


def test_stats_are_counters(machine: Machine) -> None:
    """Processor time and traffic grow with work."""
    before = machine.stats()
    machine.run(["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; ping -c 2 -W 1 198.19.1.1"])
    after = machine.stats()
    assert after.cpu_seconds > before.cpu_seconds
    assert after.time_s > before.time_s
    assert after.sent_bytes > before.sent_bytes
    assert after.memory_bytes > 2**20


def test_console_has_history_and_a_keyboard(machine: Machine) -> None:
    """What is typed on the console has its effect in the guest and is shown."""
    with machine.console() as console:
        console.write("echo $((6*7)) > /run/answer; echo do''ne\n")
        assert "done" in console.expect("done")
    assert machine.run(["cat", "/run/answer"]).stdout == "42\n"
    assert "done" in machine.console().history()
    with pytest.raises(DeadlineExceeded, match="never said"):
        machine.console().expect("never said", timeout_s=0.2)


def test_resize_changes_processors_and_memory(machine: Machine) -> None:
    """Processors and memory of a running machine change, as seen inside."""

    def memory_kib() -> int:
        return int(machine.run(["awk", "/MemTotal/ {print $2}", "/proc/meminfo"]).stdout)

    before = memory_kib()
    machine.resize(vcpus=2)
    wait_until(lambda: machine.run(["nproc"]).stdout == "2\n")
    machine.resize(memory="96 MiB")
    wait_until(lambda: memory_kib() < before - 20_000)
    machine.resize(memory="128 MiB")
    with pytest.raises(NotSupported, match="processors"):
        machine.snapshot("with-two")
    machine.resize(vcpus=1)
    wait_until(lambda: machine.run(["nproc"]).stdout == "1\n")
    machine.restart()
    with pytest.raises(InvalidValue):
        machine.resize(memory="1 GiB")
    with pytest.raises(InvalidValue):
        machine.resize(vcpus=0)


def test_limits_hold_or_are_refused_in_words(machine: Machine) -> None:
    """A limit is in the engine's own books, or asking for one says why it cannot be had."""
    if "limits" not in machine.capabilities:
        with pytest.raises(NotSupported, match="cgroup"):
            machine.limits(cpus=0.5)
        return
    machine.limits(cpus=0.5)
    told = machine.domain().schedulerParameters()  # type: ignore[attr-defined]
    assert told["global_quota"] / told["global_period"] == 0.5
    machine.limits(cpus=None)
    with pytest.raises(InvalidValue):
        machine.limits(cpus=-1)


def test_snapshot_and_revert_bring_back_disk_and_memory(machine: Machine) -> None:
    """After a revert, files and processes are those of the snapshot, and the clock is right."""
    machine.run(["sh", "-c", "echo old > /root/file; echo old > /run/in-memory; sync"], check=True)
    machine.snapshot("before")
    machine.run(["sh", "-c", "echo new > /root/file; echo new > /run/in-memory; sync"], check=True)
    machine.revert("before")
    assert machine.run(["cat", "/root/file", "/run/in-memory"]).stdout == "old\nold\n"
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


def test_a_reboot_from_inside_keeps_name_and_network(machine: Machine) -> None:
    """A guest that reboots by itself comes back with its name and address, without being told again."""
    machine.run(["sh", "-c", "sync; touch /run/before; (sleep 0.3; reboot -f) >/dev/null 2>&1 &"], check=True)

    def is_back() -> bool:
        try:
            told = machine.run(["sh", "-c", "ls /run/before; hostname; ip -4 addr"], timeout_s=10).stdout
        except LabError:
            return False
        return "before" not in told and machine.name in told and machine.addresses[0] in told

    wait_until(is_back, timeout_s=60)


def test_clone_has_the_disk_and_an_identity_of_its_own(machine: Machine) -> None:
    """A clone has the files, but another name, address, machine id and host key."""
    machine.run(["sh", "-c", "echo inherited > /root/inherited; sync"], check=True)
    twin = machine.clone("twin")
    try:
        assert twin.run(["cat", "/root/inherited"]).stdout == "inherited\n"
        assert twin.run(["hostname"]).stdout == "twin\n"
        for path in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key"):
            assert twin.run(["cat", path]).stdout != machine.run(["cat", path]).stdout
        assert set(twin.addresses).isdisjoint(machine.addresses)
        twin.run(["rm", "/root/inherited"], check=True)
        assert machine.run(["cat", "/root/inherited"]).ok
    finally:
        twin.destroy()


def test_what_cannot_be_done_says_why(machine: Machine) -> None:
    """A verb that is not among the capabilities raises with a reason and an alternative."""
    assert machine.capabilities <= VERBS
    for verb in VERBS - machine.capabilities - {"limits"}:
        with pytest.raises(NotSupported) as caught:
            getattr(machine, verb)(machine.host)
        assert caught.value.hint


def test_a_machine_shows_itself(machine: Machine) -> None:
    """The static form names machine, engine, state and address, and runs no script."""
    html = machine._repr_mimebundle_()["text/html"]
    for word in ("web", "KVM", "running", machine.addresses[0], "128 MiB"):
        assert word in html
    assert "<script" not in html


def test_another_process_finds_it(lab: Lab, machine: Machine) -> None:
    """Whoever attaches to the lab sees the machine with all that it was asked to be."""
    found = Lab.attach(lab.name)["alpha"].kvm["web"]
    assert found.spec == machine.spec
    assert found.run(["hostname"]).stdout == "web\n"
