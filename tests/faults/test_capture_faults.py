"""A capture whose tcpdump, machine, network, lab or own process dies: what had come stays, nothing is left running."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable

import pytest
from _wait import until
from _world import hide, run_apart

from labkit import Lab, _progress
from labkit.errors import Cancelled, NotEnoughDisk
from labkit.machines.base import Machine
from labkit.networks.capture import Capture

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("net watch faults")]


@pytest.fixture(scope="module")
def box(lab: Lab) -> Machine:
    made: Machine = lab["alpha"].lxc.create("box", networks=["lan"])
    return made


def tcpdumps(lab: Lab) -> list[str]:
    return lab["alpha"].run(["pgrep", "tcpdump"]).stdout.split()


def pinged(lab: Lab, box: Machine, capture: Capture) -> None:
    """Wait until two packets of a ping of the gateway have come."""
    before = capture.packets
    box.run(["ping", "-c", "1", lab.networks["lan"].gateway], check=True)
    until(lambda: capture.packets >= before + 2, "the ping was captured")


def test_a_killed_tcpdump_is_said_and_what_came_is_kept(lab: Lab, box: Machine) -> None:
    """When tcpdump is killed, the capture has ended, says how, and has what came before; its file can be read."""
    capture = lab.networks["lan"].capture(filter="icmp")
    pinged(lab, box, capture)
    lab["alpha"].run(["kill", "-9", *tcpdumps(lab)], check=True)
    until(lambda: not capture.is_running, "the capture has ended")
    assert capture.ended == "when tcpdump was killed (signal 9)"
    assert sum(flow.packets for flow in capture.flows) == 2
    assert "killed" in str(capture)
    read = lab["alpha"].run(["tcpdump", "-n", "-Z", "root", "-r", str(capture.pcap)], check=True)
    assert len(read.stdout.splitlines()) == 2
    capture.stop()


def test_a_machine_that_is_destroyed_meanwhile_ends_nothing(lab: Lab, box: Machine) -> None:
    """The bridge is still there, and so is the capture."""
    other = lab["alpha"].lxc.create("other", networks=["lan"])
    with lab.networks["lan"].capture(filter="icmp") as capture:
        other.run(["ping", "-c", "1", lab.networks["lan"].gateway], check=True)
        other.destroy()
        pinged(lab, box, capture)
        assert capture.is_running
    assert capture.packets == 4


def test_a_network_that_vanishes_meanwhile(lab: Lab) -> None:
    """When the bridge goes, the capture ends and says so in tcpdump's words."""
    network = lab.networks.create("brief")
    capture = network.capture()
    lab.networks.remove("brief")
    until(lambda: not capture.is_running, "the capture has ended")
    assert capture.ended.startswith("when tcpdump ended: ")
    assert tcpdumps(lab) == []


def test_nothing_runs_on_when_the_process_dies(lab: Lab, python: Callable[..., subprocess.Popen[str]]) -> None:
    """When the process that captures is killed, its tcpdump is ended by the host."""
    code = (
        "import sys, time\nfrom labkit import Lab\n"
        "capture = Lab.attach(sys.argv[1]).networks['lan'].capture()\nprint('begun', flush=True)\ntime.sleep(600)"
    )
    process = python(code, lab.name)
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    assert len(tcpdumps(lab)) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: tcpdumps(lab) == [], "its tcpdump has ended")


def test_a_lab_that_is_closed_meanwhile(lab_name: str) -> None:
    """When the lab ends, so does the capture; its flows can still be read."""
    with Lab(lab_name) as lab:
        lan = lab.networks.create("lan")
        capture = lan.capture()
        box = lab["alpha"].lxc.create("box", networks=["lan"])
        box.run(["ping", "-c", "1", lan.gateway], check=True)
        until(lambda: any(flow.protocol == "ICMP" for flow in capture.flows), "the ping was captured")
    until(lambda: not capture.is_running, "the capture has ended")
    assert any(flow.protocol == "ICMP" for flow in capture.stop().flows)
    assert "ended when" in str(capture)


def test_what_was_cancelled_has_what_came(lab: Lab, box: Machine) -> None:
    """A capture that somebody cancels ends at once and is returned with what has come."""
    begun, came = threading.Event(), threading.Event()

    def cancel() -> None:
        begun.wait(60)
        box.run(["ping", "-c", "1", lab.networks["lan"].gateway], check=True)
        came.wait(60)
        work[0].cancel()

    work: list[_progress.Work] = []
    real = _progress.Work.detail

    def detail(task: _progress.Work, text: str, fraction: float | None = None) -> None:
        work[:] = [task]
        begun.set()
        if not text.startswith("0 packets"):
            came.set()
        real(task, text, fraction)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_progress.Work, "detail", detail)
        thread = threading.Thread(target=cancel)
        thread.start()
        capture = lab.networks["lan"].capture(seconds=300, filter="icmp")
        thread.join()
    assert capture.ended == "when it was cancelled"
    assert capture.packets >= 1
    assert tcpdumps(lab) == []


def test_a_part_of_cancelled_work_goes_on_raising(lab: Lab) -> None:
    """Inside of other work that is cancelled, the capture ends and the cancelling is not swallowed."""

    def work() -> None:
        with _progress.progress("whole") as whole:
            assert isinstance(whole, _progress.Work)
            threading.Timer(0.5, whole.cancel).start()
            lab.networks["lan"].capture(seconds=300)

    with pytest.raises(Cancelled):
        work()
    until(lambda: tcpdumps(lab) == [], "its tcpdump has ended")


def test_a_full_disk(lab: Lab, box: Machine) -> None:
    """On a full disk the capture does not begin; on one that fills up it ends, with what was still written."""
    lan = lab.networks["lan"]
    before = set(lab.folder.glob("captures/*"))
    with pytest.raises(NotEnoughDisk, match="is full"):
        lan.capture(seconds=1, file="/dev/full")
    assert set(lab.folder.glob("captures/*")) == before
    capture = lan.capture(filter="icmp")
    pinged(lab, box, capture)
    real = capture._tcpdump._file
    capture._tcpdump._file = open("/dev/full", "ab", buffering=0)  # noqa: SIM115 - the capture closes it
    box.run(["ping", "-c", "1", lan.gateway], check=True)
    until(lambda: not capture.is_running, "the capture has ended")
    real.close()
    assert capture.ended == "when its file could not be written: No space left on device"
    assert sum(flow.packets for flow in capture.flows) == 2
    until(lambda: tcpdumps(lab) == [], "its tcpdump has ended")


def test_without_tcpdump(lab_name: str) -> None:
    """Without tcpdump the error names the package."""
    program = (
        "import sys\nwith Lab(sys.argv[1]) as lab:\n"
        "    lan = lab.networks.create('lan')\n    print(told(lambda: lan.capture(seconds=1)))\n"
        "    print(list(lab.folder.glob('captures/*')))"
    )
    came, left = run_apart(hide("tcpdump"), program, lab_name)
    assert came.startswith("PackageMissing: tcpdump is not installed")
    assert "apt-get install --no-install-recommends tcpdump" in came
    assert left == "[]"
