"""What holds for containers of liblxc besides the protocol: limits, layers, rights, networks, archives."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import _wait
import pytest

from labkit import Lab
from labkit.errors import (
    ArchiveRefused,
    DeadlineExceeded,
    EngineError,
    InvalidState,
    InvalidValue,
    LabError,
    NameInUse,
    NotFound,
    NotSupported,
)
from labkit.machines._lxc_config import FIRST_ID, IDS
from labkit.machines._lxc_machine import LxcMachine
from labkit.machines.lxc import LxcEngine
from labkit.machines.spec import State
from labkit.storage.images import get

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("machine-lxc")]
wait_until = partial(_wait.until, timeout_s=60)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs cgroups and user ids that an ordinary user has not")
CGROUPS = "/sys/fs/cgroup"


@pytest.fixture(scope="module")
def lxc(lab: Lab) -> LxcEngine:
    return lab["alpha"].lxc


@pytest.fixture(scope="module")
def box(lxc: LxcEngine) -> Iterator[LxcMachine]:
    """A container with an address, for the tests that leave it as it was."""
    made = lxc.create("box", networks=["lan"])
    yield made
    made.destroy()


@pytest.fixture
def made(lxc: LxcEngine) -> Iterator[Callable[..., LxcMachine]]:
    """Make containers that are destroyed when the test ends."""
    machines: list[LxcMachine] = []

    def make(name: str, **words: object) -> LxcMachine:
        machines.append(lxc.create(name, **words))  # type: ignore[arg-type]
        return machines[-1]

    yield make
    for machine in machines:
        if not machine.is_gone:
            machine.destroy()
    assert {machine.name for machine in lxc.machines()} <= {"box"}


def status(machine: LxcMachine, key: str, pid: str = "self") -> str:
    """A value of /proc/PID/status, as seen inside."""
    lines = machine.run(["cat", f"/proc/{pid}/status"], check=True).stdout.splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(f"{key}:"))


def cgroup(machine: LxcMachine, file: str) -> str:
    controller = file.split(".", maxsplit=1)[0]
    return machine.host.run(["cat", f"{CGROUPS}/{controller}/lxc.payload.{machine.name}/{file}"], check=True).stdout


# ── Limits ────────────────────────────────────────────────────────────────────────────────────


@needs_root
def test_memory_is_limited(made: Callable[..., LxcMachine]) -> None:
    """Who takes more than the limit is killed; who takes less is not; the limit changes live and stays."""
    small = made("small", memory="32 MiB")
    assert small.run(["labkit-load", "memory", "8", "1"]).ok
    assert not small.run(["labkit-load", "memory", "64", "1"]).ok
    small.resize(memory="128 MiB")
    assert small.run(["labkit-load", "memory", "64", "1"]).ok
    assert dict(small.facts())["memory"] == "128 MiB"
    small.restart()
    assert int(cgroup(small, "memory.limit_in_bytes")) == 128 * 2**20


@needs_root
def test_processor_time_is_limited(made: Callable[..., LxcMachine]) -> None:
    """A busy container gets its share and no more, and is told so by the kernel's own count."""
    slow = made("slow", cpus=0.2)
    before = slow.stats()
    assert slow.run(["labkit-load", "cpu", "1", "1"]).ok
    after = slow.stats()
    used = (after.cpu_seconds - before.cpu_seconds) / (after.time_s - before.time_s)
    assert used < 0.2 * 1.5  # the kernel hands it out in slices
    assert int(cgroup(slow, "cpu.stat").split()[3]) > 0
    slow.limits(cpus=None)
    assert int(cgroup(slow, "cpu.cfs_quota_us")) == -1
    assert "lxc.cgroup.cpu" not in slow.config()


@pytest.mark.skipif(os.geteuid() == 0, reason="root has cgroups")
def test_a_limit_that_cannot_be_had_is_refused(lxc: LxcEngine) -> None:
    """Without cgroups a container with a limit is not made, and the error says how to get one."""
    for words in ({"memory": "64 MiB"}, {"cpus": 0.5}):
        with pytest.raises(NotSupported, match="cgroup") as caught:
            lxc.create("limited", **words)  # type: ignore[arg-type]
        assert "root" in caught.value.hint
    with pytest.raises(NotSupported, match="already"):
        lxc.create("limited", unprivileged=True)


@needs_root
def test_what_is_frozen_uses_no_processor(made: Callable[..., LxcMachine]) -> None:
    """The kernel says that it is frozen, and its processor time stands still."""
    busy = made("busy")
    busy.run(["sh", "-c", "while :; do :; done >/dev/null 2>&1 &"], check=True)
    busy.pause()
    assert cgroup(busy, "freezer.state") == "FROZEN\n"
    before = busy.stats().cpu_seconds
    time.sleep(0.3)
    assert busy.stats().cpu_seconds == before
    with pytest.raises(InvalidState, match="paused"):
        busy.stop()
    with pytest.raises(InvalidState, match="paused"):
        busy.start()
    busy.resume()
    wait_until(lambda: busy.stats().cpu_seconds > before)
    busy.pause()
    busy.kill()
    assert busy.state is State.STOPPED


# ── What happens behind the library's back ────────────────────────────────────────────────────


def test_events_tell_what_others_do(made: Callable[..., LxcMachine]) -> None:
    """What the commands of LXC, or the container itself, do shows in `state` without asking."""
    told = made("told")
    told.host.run(["lxc-stop", "--name=told", "--kill"], check=True)
    wait_until(lambda: told.state is State.STOPPED)
    told.host.run(["lxc-start", "--name=told"], check=True)
    wait_until(lambda: told.state is State.RUNNING)
    if "pause" in told.capabilities:
        told.host.run(["lxc-freeze", "--name=told"], check=True)
        wait_until(lambda: told.state is State.PAUSED)
        told.host.run(["lxc-unfreeze", "--name=told"], check=True)
        wait_until(lambda: told.state is State.RUNNING)
    told.run(["sh", "-c", "(sleep 0.1; poweroff) >/dev/null 2>&1 &"], check=True)
    wait_until(lambda: told.state is State.STOPPED)
    assert told.refresh() is State.STOPPED


def test_what_another_process_removes_is_told(lab: Lab, made: Callable[..., LxcMachine]) -> None:
    """A container that somebody else destroys, even a stopped one, is gone here too; so are its name and address."""
    doomed = made("doomed", networks=["lan"])
    doomed.stop()
    elsewhere = Lab.attach(lab.name)
    elsewhere["alpha"].lxc["doomed"].destroy()
    elsewhere["alpha"].close()
    wait_until(lambda: doomed.is_gone)
    again = made("doomed", networks=["lan"])
    doomed.destroy()  # is gone already: the name is another's
    assert again.run(["hostname"]).stdout == "doomed\n"


def test_who_does_not_stop_is_named(made: Callable[..., LxcMachine]) -> None:
    """A container that does not follow raises at the deadline and runs on; it can be killed."""
    deaf = made("deaf", command=["sh", "-c", "trap '' TERM; while :; do sleep 0.2; done"])
    with pytest.raises(DeadlineExceeded, match="deaf") as caught:
        deaf.stop(timeout_s=1)
    assert "kill()" in caught.value.hint
    assert deaf.refresh() is State.RUNNING
    deaf.kill()
    assert deaf.refresh() is State.STOPPED


def test_it_can_be_stopped_as_soon_as_it_was_started(made: Callable[..., LxcMachine]) -> None:
    """However soon `stop` follows on `start`, it is heard."""
    quick = made("quick")
    began = time.monotonic()
    for _ in range(20):
        quick.stop()
        quick.start()
    assert time.monotonic() - began < 60  # one that is not heard takes five seconds and more each time
    assert quick.run(["true"]).ok


def test_lxc_ls_on_the_host_lists_them(box: LxcMachine) -> None:
    """On the host LXC's own commands find the containers without being told where they are."""
    assert box.name in box.host.run(["lxc-ls", "--running"], check=True).stdout.split()


def test_a_command_that_fails_later_is_told(made: Callable[..., LxcMachine]) -> None:
    """A container whose command ends well is stopped, one whose command fails has failed, and starts again."""
    well = made("well", command=["sleep", "0.5"])
    ill = made("ill", command=["sh", "-c", "sleep 0.5; echo 'no\n\"luck\"'; exit 3"])
    wait_until(lambda: well.state is State.STOPPED)
    wait_until(lambda: ill.state is State.FAILED)
    assert 'no\n"luck"' in ill.console().history()
    ill.start()
    assert ill.refresh() is State.RUNNING


def test_a_reboot_from_inside_keeps_name_and_network(box: LxcMachine) -> None:
    """A container that reboots by itself comes back with its name and address."""
    box.run(["sh", "-c", "touch /run/before; (sleep 0.2; reboot) >/dev/null 2>&1 &"], check=True)

    def is_back() -> bool:
        try:
            told = box.run(["sh", "-c", "ls /run; hostname; ip -4 addr"], timeout_s=10).stdout
        except LabError:
            return False
        return "before" not in told and box.name in told and box.addresses[0] in told

    wait_until(is_back)


# ── Layers ────────────────────────────────────────────────────────────────────────────────────


def test_containers_share_a_root_and_not_what_they_write(
    box: LxcMachine, made: Callable[..., LxcMachine], lab: Lab
) -> None:
    """The image is unpacked once; what one container writes or removes, no other sees."""
    other = made("other")
    other.run(["sh", "-c", "echo mine > /root/mine; rm /etc/shells"], check=True)
    assert not box.run(["cat", "/root/mine"]).ok
    assert box.run(["cat", "/etc/shells"]).ok
    assert [path.name for path in (lab.folder / "roots").glob("[!.]*") if "-" not in path.name] == [box.spec.root]


def test_others_than_root_can_use_it(made: Callable[..., LxcMachine]) -> None:
    """Whatever the umask of who makes it, its root and its names are open to every user inside."""
    before = os.umask(0o077)
    try:
        strict = made("strict")
    finally:
        os.umask(before)
    told = strict.run(["stat", "-c", "%a", "/", "/etc/hosts", "/etc/resolv.conf", "/tmp"], check=True).stdout
    assert told == "755\n644\n644\n1777\n"


def test_snapshots_keep_what_was_removed(made: Callable[..., LxcMachine]) -> None:
    """Files and folders that were removed or replaced before a snapshot are so after a revert."""
    kept = made("kept")
    script = "rm /etc/shells; rm -r /usr/share/udhcpc; mkdir /usr/share/udhcpc; echo new > /usr/share/udhcpc/only"
    kept.run(["sh", "-c", script], check=True)
    kept.snapshot("one")
    kept.run(["sh", "-c", "echo back > /etc/shells; rm -r /usr/share/udhcpc; echo > /root/later"], check=True)
    kept.snapshot("two")
    assert kept.snapshots() == ["one", "two"]
    kept.revert("one")
    assert not kept.run(["cat", "/etc/shells"]).ok
    assert kept.run(["ls", "/usr/share/udhcpc"], check=True).stdout == "only\n"
    assert kept.run(["ls", "/root"], check=True).stdout == ""
    kept.stop()
    kept.revert("two")
    assert kept.state is State.STOPPED
    kept.start()
    assert kept.run(["cat", "/etc/shells"], check=True).stdout == "back\n"
    assert kept.run(["hostname"]).stdout == "kept\n"
    with pytest.raises(NameInUse):
        kept.snapshot("one")
    with pytest.raises(NotFound, match="one, two"):
        kept.revert("three")


def answers_ssh(machine: LxcMachine) -> bool:
    """Whether the server, which starts when the machine is already ready, greets."""
    return machine.run(["nc", "-w", "2", machine.addresses[0], "22"]).stdout.startswith("SSH-2.0-")


def test_a_clone_is_somebody_else(box: LxcMachine, made: Callable[..., LxcMachine]) -> None:
    """A clone has a machine id, ssh host key and addresses of its own, whatever its layer holds."""
    box.run(["sh", "-c", "echo inherited > /root/inherited; ln -sf /etc/shadow /root/link"], check=True)
    twin = box.clone("twin")
    try:
        for path in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key", "/etc/hostname", "/etc/hosts"):
            assert twin.run(["cat", path], check=True).stdout != box.run(["cat", path], check=True).stdout
        assert twin.run(["cat", "/root/inherited"]).stdout == "inherited\n"
        wait_until(lambda: answers_ssh(twin))
        assert twin.spec.root == box.spec.root
    finally:
        twin.destroy()
        box.run(["rm", "/root/inherited", "/root/link"], check=True)


def test_an_ephemeral_container_vanishes_when_it_stops(lab: Lab, lxc: LxcEngine) -> None:
    """Stopped by whom ever, it is gone with files and address, and was told to be; its name is free."""
    brief = lxc.create("brief", networks=["lan"], ephemeral=True)
    folders = brief.folder, lab.folder / "machines" / "brief"
    brief.run(["sh", "-c", "(sleep 0.1; poweroff) >/dev/null 2>&1 &"], check=True)
    wait_until(lambda: brief.is_gone)
    assert not any(folder.exists() for folder in folders)
    assert "brief" not in [machine.name for machine in lab.machines()]
    again = lxc.create("brief", networks=["lan"])
    assert again.addresses == brief.addresses
    copy = again.clone("copy", ephemeral=True)
    copy.stop()
    assert copy.is_gone
    again.destroy()
    assert lab["alpha"].run(["sh", "-c", "grep -c /brief/ /proc/self/mountinfo"]).stdout == "0\n"


# ── Rights ────────────────────────────────────────────────────────────────────────────────────


@needs_root
def test_root_of_an_unprivileged_container_is_nobody_outside(made: Callable[..., LxcMachine], lab: Lab) -> None:
    """Its ids are mapped: root inside owns its files, and is another on the host."""
    plain = made("plain", unprivileged=True, networks=["lan"])
    assert plain.run(["cat", "/proc/self/uid_map"]).stdout.split() == ["0", str(FIRST_ID), str(IDS)]
    assert plain.run(["stat", "-c", "%u %g", "/etc/passwd", "/root"]).stdout == "0 0\n0 0\n"
    plain.run(["sh", "-c", "echo x > /root/mine; sleep 1234 >/dev/null 2>&1 &"], check=True)
    assert (plain.folder / "upper" / "root" / "mine").stat().st_uid == FIRST_ID
    found = lab["alpha"].run(["pgrep", "-u", str(FIRST_ID), "-f", "sleep 1234"])
    assert found.ok
    wait_until(lambda: answers_ssh(plain))
    twin = plain.clone("twin")
    assert twin.run(["cat", "/root/mine"], check=True).stdout == "x\n"
    twin.destroy()


def test_capabilities_are_what_was_asked_for(made: Callable[..., LxcMachine], box: LxcMachine) -> None:
    """The kernel's masks, of process 1 and of what `run` starts, have what was kept and not what was dropped."""
    net_raw, sys_boot, sys_time = 1 << 13, 1 << 22, 1 << 25
    assert not int(status(box, "CapBnd", "1"), 16) & sys_time
    assert int(status(box, "CapEff"), 16) & net_raw
    quiet = made("quiet", capabilities_dropped=["CAP_NET_RAW"])
    few = made("few", capabilities_kept=["sys_boot", "kill"])
    for pid in ("1", "self"):
        assert not int(status(quiet, "CapBnd", pid), 16) & (net_raw | sys_time)
        assert int(status(few, "CapEff", pid), 16) == sys_boot | 1 << 5
    assert not quiet.run(["ping", "-c", "1", "-W", "1", "127.0.0.1"]).ok
    few.stop()
    assert few.state is State.STOPPED


def test_refused_system_calls_fail(made: Callable[..., LxcMachine], box: LxcMachine) -> None:
    """The filter is there (mode 2 of prctl(2)) unless it was switched off, and answers EPERM."""
    assert status(box, "Seccomp", "1") == status(box, "Seccomp") == "2"
    strict = made("strict", syscalls_refused=["symlink", "symlinkat"])
    refused = strict.run(["ln", "-s", "a", "/tmp/b"])
    assert not refused.ok
    assert "not permitted" in refused.stderr
    assert box.run(["ln", "-sf", "a", "/tmp/b"]).ok
    assert status(made("open", seccomp=False), "Seccomp", "1") == "0"


@pytest.mark.parametrize(
    "words",
    [
        {"capabilities_dropped": ["flying"]}, {"capabilities_kept": ["net_raw\nlxc.x = y"]},
        {"capabilities_kept": ["kill"], "capabilities_dropped": ["net_raw"]}, {"syscalls_refused": ["no_such_call"]},
        {"syscalls_refused": ["mount"], "seccomp": False}, {"memory": "1 MiB"}, {"memory": "much"}, {"cpus": 0},
        {"cpus": "two"}, {"command": "ls -l"}, {"command": []}, {"networks": ["lan", "lan"]}, {"timeout_s": 0},
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_is_refused(lxc: LxcEngine, lab: Lab, words: dict[str, object]) -> None:
    """A value that makes no sense is refused before anything is made."""
    with pytest.raises(InvalidValue):
        lxc.create("nonsense", **words)  # type: ignore[arg-type]
    assert not (lab.folder / "machines" / "nonsense").exists()


# ── Networks ──────────────────────────────────────────────────────────────────────────────────


def test_a_container_and_a_virtual_machine_know_each_other(lab: Lab, box: LxcMachine) -> None:
    """By name, in both directions and between hosts; the web server of one answers the other."""
    far = lab["beta"].kvm.create("far", networks=["lan"])
    try:
        assert box.run(["ping", "-c", "1", "-W", "5", "far"]).ok
        assert far.run(["ping", "-c", "1", "-W", "5", "box.lab"]).ok
        box.run(["labkit-web"], check=True)
        assert "<h1>box</h1>" in far.run(["wget", "-qO-", "http://box/"], check=True).stdout
    finally:
        far.destroy()


def test_without_networks_there_is_only_loopback(made: Callable[..., LxcMachine]) -> None:
    """A container without networks has no link but lo."""
    assert made("lonely").run(["ls", "/sys/class/net"], check=True).stdout == "lo\n"


def test_two_networks_give_two_cards(lab: Lab, made: Callable[..., LxcMachine]) -> None:
    """Each network is a card with the address and MAC that the lab allots."""
    lab.networks.create("inner", mode="isolated")
    both = made("both", networks=["lan", "inner"])
    for number, card in enumerate(both.spec.interfaces):
        told = both.run(["ip", "addr", "show", f"eth{number}"], check=True).stdout
        assert card.mac in told and f"{card.address}/24" in told
    assert both.stats().received_bytes >= 0
    both.destroy()
    lab.networks.remove("inner")


# ── What is left ──────────────────────────────────────────────────────────────────────────────


def test_starts_leave_nothing(made: Callable[..., LxcMachine], box: LxcMachine) -> None:
    """However often it starts and is killed, there is one cgroup of it, one mount, and no link too many."""

    def counted() -> str:
        script = "find /sys/fs/cgroup -name 'lxc.*' | sort; ls /sys/class/net; grep -c var/lib/lxc /proc/self/mountinfo"
        return box.host.run(["sh", "-c", script], check=True).stdout

    before = counted()
    often = made("often", networks=["lan"])
    for _ in range(5):
        often.kill()
        often.start()
    often.destroy()
    assert counted() == before
    assert "often" not in before


def test_who_talks_much_does_not_fill_the_disk(made: Callable[..., LxcMachine]) -> None:
    """The log of the console stays below 4 MiB, and has the last words."""
    loud = made(
        "loud", command=["sh", "-c", "dd if=/dev/zero bs=64k count=160 | tr '\\0' x; echo; echo last; sleep 1000"]
    )
    wait_until(lambda: "last" in loud.console().history(2))
    assert (loud.folder / "console.log").stat().st_size <= 4 * 2**20


def test_what_a_container_says_of_itself_is_only_words(made: Callable[..., LxcMachine]) -> None:
    """What it puts where its exit code is noted is neither followed nor believed."""
    sly = made("sly", command=["sleep", "1000"])
    sly.run(["ln", "-sf", "/etc/shadow", "/run/labkit/state/exit"], check=True)
    assert sly.refresh() is State.RUNNING
    sly.host.run(["lxc-stop", "--name=sly", "--kill"], check=True)
    wait_until(lambda: sly.state is State.STOPPED)
    sly.start()
    assert sly.run(["true"]).ok


# ── Archives ──────────────────────────────────────────────────────────────────────────────────


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size, made.mode = kind, link, size, 0o755
    return made


EVIL = {
    "parent": [entry("../escaped")],
    "absolute": [entry("/tmp/escaped")],
    "link out": [entry("bin", tarfile.SYMTYPE, "../../../..")],
    "through a link": [entry("d", tarfile.SYMTYPE, "/tmp"), entry("d/escaped")],
    "hard link out": [entry("passwd", tarfile.LNKTYPE, "../../etc/passwd")],
    "device": [entry("dev/sda", tarfile.BLKTYPE)],
    "bomb": [entry("zeros", size=2**41)],
}


@pytest.mark.parametrize("evil", EVIL, ids=str)
def test_an_archive_that_would_do_harm_is_refused(lxc: LxcEngine, lab: Lab, tmp_path: Path, evil: str) -> None:
    """Nothing of it is unpacked, no container is listed, and the error names what is wrong."""
    path = tmp_path / "evil.tar"
    with path.open("wb") as file:
        for member in EVIL[evil]:
            file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(1024))
    roots = {found.name for found in (lab.folder / "roots").iterdir()}
    with pytest.raises(ArchiveRefused, match=r"evil\.tar"):
        lxc.create("harm", image=path)
    assert {found.name for found in (lab.folder / "roots").iterdir()} == roots
    assert not Path("/tmp/escaped").exists()
    assert "harm" not in [machine.name for machine in lxc.machines()]


def test_what_is_no_root_file_system_is_refused(lxc: LxcEngine, tmp_path: Path) -> None:
    """A file that is no archive, one that is not there, and an archive without a shell are errors with a hint."""
    text, empty = tmp_path / "text.tar", tmp_path / "empty.tar"
    text.write_text("not a tar")
    with tarfile.open(empty, "w") as archive:
        archive.addfile(entry("etc/motd", size=3), io.BytesIO(b"hi\n"))
    for path, kind in ((text, ArchiveRefused), (empty, InvalidValue), (tmp_path / "gone.tar", NotFound)):
        with pytest.raises(kind) as caught:
            lxc.create("nothing", image=path)
        assert caught.value.hint
    with pytest.raises(NotFound, match="marvellous"):
        lxc.create("nothing", image="marvellous")


def test_a_root_file_system_of_ones_own(made: Callable[..., LxcMachine], tmp_path: Path) -> None:
    """A container comes from a tar file that somebody has made, with only busybox in it."""
    path = tmp_path / "tiny.tar.gz"
    wanted = {"./usr/bin/busybox", "./usr/bin/sh", "./usr/bin/sleep", "./usr/bin/cat", "./bin", "./usr/bin", "./usr"}
    with tarfile.open(get().rootfs) as whole, tarfile.open(path, "w:gz") as archive:
        for member in whole:
            if member.name in wanted:
                archive.addfile(member, whole.extractfile(member) if member.isreg() else None)
    tiny = made("tiny", image=path, command=["sleep", "1000"])
    assert tiny.run(["cat", "/etc/hostname"], check=True).stdout == "tiny\n"
    assert dict(tiny.facts())["image"] == "tiny"
    with pytest.raises(EngineError, match="ls"):
        tiny.run(["ls"])
