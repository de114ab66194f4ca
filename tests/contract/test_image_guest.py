"""The image's guest on the real thing: booted by QEMU without KVM, spoken to through its agent."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labkit.storage import images

BOOT_S = 60.0  # a boundary for a machine under load; an idle one takes 4 s
FIRST = "52:54:00:00:05:02"
Run = tuple[int, str, str]

pytestmark = pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64")


def _until(condition: Callable[[], bool], what: str, limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"not within {limit_s:g} s: {what}"
        time.sleep(0.05)


class Guest:
    """A machine of QEMU's emulator with the image, an overlay on its disk and a guest agent."""

    def __init__(self, image: images.Image, folder: Path, words: str, *extra: str) -> None:
        self.folder = folder
        overlay = folder / "disk.qcow2"
        if not overlay.exists():
            subprocess.run(
                ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.disk), str(overlay), "512M"],
                check=True,
            )  # fmt: skip
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "96", "-display", "none",
             "-nodefaults", "-no-reboot", "-kernel", str(image.kernel), "-initrd", str(image.initrd),
             "-append", f"{image.cmdline} {words}", "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
             "-drive", f"file={overlay},if=virtio,format=qcow2,cache=unsafe",
             "-chardev", f"socket,path={folder}/tty,server=on,wait=off,id=tty,logfile={folder}/console",
             "-serial", "chardev:tty", "-device", "virtio-serial",
             "-chardev", f"socket,path={folder}/agent,server=on,wait=off,id=agent",
             "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
             "-netdev", "user,id=lan,restrict=on", "-device", f"virtio-net,netdev=lan,romfile=,mac={FIRST}", *extra],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.open: list[socket.socket] = []
        self._agent = self._connect("agent")

    def _connect(self, name: str) -> Any:
        _until((self.folder / name).exists, f"QEMU's socket {name}")
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(BOOT_S)
        connection.connect(str(self.folder / name))
        self.open.append(connection)
        return connection.makefile("rwb", buffering=0)

    def ask(self, command: str, **arguments: Any) -> Any:
        """The agent's answer."""
        self._agent.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        answer = json.loads(self._agent.readline())
        assert "return" in answer, answer
        return answer["return"]

    def run(self, *argv: str, stdin: str = "") -> Run:
        """Exit code, standard output and error of a command in the guest."""
        sent = base64.b64encode(stdin.encode()).decode()
        flags = {"input-data": sent, "capture-output": True}
        number = self.ask("guest-exec", path=argv[0], arg=list(argv[1:]), **flags)["pid"]
        end = time.monotonic() + BOOT_S
        while not (state := self.ask("guest-exec-status", pid=number))["exited"]:
            assert time.monotonic() < end, f"{argv} does not end"
            time.sleep(0.02)
        texts = [base64.b64decode(state.get(name, "")).decode() for name in ("out-data", "err-data")]
        return state.get("exitcode", -1), texts[0], texts[1]

    def shell(self, command: str) -> str:
        """The standard output of a shell command."""
        code, out, err = self.run("/bin/sh", "-c", command)
        assert code == 0, (command, out, err)
        return out.strip()

    def identity(self, *lines: str) -> Run:
        """Give the guest an identity."""
        return self.run("/usr/sbin/labkit-identity", stdin="\n".join(lines) + "\n")

    def monitor(self, command: str, **arguments: Any) -> None:
        """A command to QEMU itself."""
        monitor = self._connect("qmp")
        monitor.readline()
        for name, given in (("qmp_capabilities", {}), (command, arguments)):
            monitor.write(json.dumps({"execute": name, "arguments": given}).encode() + b"\n")
            answer: dict[str, Any] = {}
            while not {"return", "error"} & set(answer):
                answer = json.loads(monitor.readline())
            assert "return" in answer, answer
        self.open.pop().close()

    @property
    def console(self) -> str:
        return (self.folder / "console").read_text(errors="replace")

    def close(self) -> None:
        for connection in self.open:
            connection.close()
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def _booted(words: str, *extra: str) -> Iterator[Guest]:
    image = images.get("small")
    with tempfile.TemporaryDirectory(prefix="lk-guest-") as folder:
        guest = Guest(image, Path(folder), words, *extra)
        try:
            guest.ask("guest-ping")
            yield guest
        finally:
            guest.close()


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    """A machine that waits for its identity."""
    with _booted("labkit.identity=agent", "-smp", "1,sockets=2,maxcpus=2") as machine:
        yield machine


def _key(folder: Path) -> tuple[str, str]:
    """A new private key as the guest takes it, and its fingerprint."""
    path = folder / f"key-{secrets.token_hex(4)}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    shown = subprocess.run(["ssh-keygen", "-lf", str(path)], capture_output=True, text=True, check=True).stdout
    return base64.b64encode(path.read_bytes()).decode(), shown.split()[1]


def test_probe() -> None:
    """Kernel and initrd alone say that they run, and power off, in a machine with 96 MiB and no disk."""
    image = images.get("small")
    done = subprocess.run(
        ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "96", "-nodefaults", "-display",
         "none", "-serial", "stdio", "-no-reboot", "-kernel", str(image.kernel), "-initrd", str(image.initrd),
         "-append", "console=ttyS0 quiet labkit.probe=poweroff"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=BOOT_S, check=True,
    )  # fmt: skip
    assert "LABKIT-PROBE-OK" in done.stdout


def test_nobody_yet(guest: Guest) -> None:
    """Before it has an identity the guest has no address, no key, no sshd, no machine id."""
    _until(lambda: "LABKIT-BOOTED" in guest.console, "LABKIT-BOOTED on the console")
    assert guest.shell("ip -4 -o addr show dev eth0") == ""
    assert guest.run("/bin/ls", "/etc/ssh/ssh_host_ed25519_key", "/etc/machine-id")[0] != 0
    assert guest.run("/usr/bin/pidof", "sshd")[0] != 0


def test_identity(guest: Guest, tmp_path: Path) -> None:
    """An identity sets name, machine id, key, address, route, names, clock and the disk's size."""
    key, fingerprint = _key(tmp_path)
    soon = time.time() + 5000.25
    done = guest.identity(
        "name web", f"machine-id {'0a' * 16}", f"seed {secrets.token_hex(64)}", f"time {soon:.9f}",
        f"nic 0 {FIRST} 198.18.5.2/24 198.18.5.1 198.18.5.1", f"ssh-key {key}", "grow",
    )  # fmt: skip
    assert done == (0, "", "")
    ahead = float(guest.shell("date +%s")) - time.time()
    assert 4998 < ahead < 5002
    assert guest.shell("hostname; cat /etc/hostname /etc/machine-id").split() == ["web", "web", "0a" * 16]
    assert guest.shell("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key").split()[1] == fingerprint
    assert "198.18.5.2/24" in guest.shell("ip -4 -o addr show dev eth0")
    assert guest.shell("ip route show default").startswith("default via 198.18.5.1 dev eth0")
    assert guest.shell("cat /etc/resolv.conf").split() == ["search", "lab", "nameserver", "198.18.5.1"]
    assert "198.18.5.2\tweb web.lab" in guest.shell("cat /etc/hosts")
    assert int(guest.shell("stat -f -c %b /")) * 4096 > 450 * 2**20
    _until(lambda: ":22 " in guest.shell("netstat -ltn"), "sshd")


def test_identity_again(guest: Guest, tmp_path: Path) -> None:
    """A second identity replaces the first, and the same one twice changes nothing."""
    key, fingerprint = _key(tmp_path)
    line = base64.b64encode(b"ssh-ed25519 AAAA somebody").decode()
    lines = ["name db", f"machine-id {'0b' * 16}", "nic 0 52:54:00:00:05:99 198.18.6.3/16", f"ssh-key {key}",
             f"authorize {line}"]  # fmt: skip
    show = (
        "hostname; cat /etc/machine-id /etc/hosts /root/.ssh/authorized_keys; ip -o addr show dev eth0 scope global;"
        "cat /sys/class/net/eth0/address; ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key; ls -la /root/.ssh"
    )
    assert guest.identity(*lines) == (0, "", "")
    first = guest.shell(show)
    assert guest.identity(*lines) == (0, "", "")
    assert guest.shell(show) == first
    assert "198.18.5.2" not in first
    assert "198.18.6.3/16" in first
    assert "52:54:00:00:05:99" in first
    assert first.count("somebody") == 1
    assert fingerprint in first
    _until(lambda: guest.shell("pidof sshd | wc -w") == "1", "one sshd")


@pytest.mark.parametrize(
    "line", ["colour red", "nic 7 52:54:00:00:00:01 198.18.5.2/24", "time yesterday", "machine-id 12", "ssh-key ***",
             "seed", "seed 0102", "seed " + "xy" * 32],
)  # fmt: skip
def test_identity_refused(guest: Guest, line: str) -> None:
    """A line that cannot be applied ends with an exit code and a sentence."""
    code, _, said = guest.identity(line)
    assert code != 0
    assert "labkit-identity: " in said


def test_load(guest: Guest) -> None:
    """A load of processor or memory ends by itself; without sense it is refused."""
    began = time.monotonic()
    assert guest.run("/usr/sbin/labkit-load", "cpu", "1", "1")[0] == 0
    assert guest.run("/usr/sbin/labkit-load", "memory", "8", "1")[0] == 0
    assert time.monotonic() - began > 1.9
    for words in ([], ["disk"], ["cpu", "many"], ["memory"], ["cpu", "0"]):
        assert guest.run("/usr/sbin/labkit-load", *words)[0] == 2


def test_web(guest: Guest) -> None:
    """The web server says the machine's name, also after it was given a new one."""
    assert guest.run("/usr/sbin/labkit-web")[0] == 0
    assert guest.run("/usr/sbin/labkit-web")[0] == 0
    for name in ("first", "second"):
        assert guest.identity(f"name {name}")[0] == 0
        _until(lambda name=name: name in guest.shell("wget -qO- http://127.0.0.1/"), "the page")  # type: ignore[misc]


def test_vlan(guest: Guest) -> None:
    """A guest can put a tag on its frames, whatever the kernel of the host can do."""
    guest.shell("modprobe 8021q && ip link add link eth0 name eth0.10 type vlan id 10")
    assert "VID: 10" in guest.shell("cat /proc/net/vlan/eth0.10")
    guest.shell("ip link delete eth0.10")


def test_console_is_a_shell(guest: Guest) -> None:
    """The console is a shell of root's without a login."""
    tty = guest._connect("tty")
    tty.write(b"\necho $((6 * 7)) $(id -u)-$(tty)\n")
    _until(lambda: "42 0-/dev/ttyS0" in guest.console, "the shell's answer")


def test_processor_plugged_in(guest: Guest) -> None:
    """A processor that is plugged in is used at once."""
    kind = {"driver": "max-x86_64-cpu", "socket-id": 1, "core-id": 0, "thread-id": 0}
    guest.monitor("device_add", id="cpu1", **kind)
    _until(lambda: guest.shell("nproc") == "2", "two processors")


def test_agent_comes_back(guest: Guest) -> None:
    """A guest agent that is ended comes back."""
    before = guest.shell("pidof qemu-ga")
    guest.ask("guest-exec", path="/bin/sh", arg=["-c", "sleep 0.2; kill $(pidof qemu-ga)"])
    time.sleep(1)
    assert guest.shell("pidof qemu-ga") != before


@pytest.mark.slow
def test_own_network() -> None:
    """Without an agent's identity the guest gets an address, a name, a key and an sshd by itself."""
    with _booted("labkit.name=solo") as machine:
        _until(lambda: "10.0.2.15" in machine.shell("ip -4 -o addr show dev eth0"), "an address")
        _until(lambda: ":22 " in machine.shell("netstat -ltn"), "sshd")
        assert machine.shell("hostname") == "solo"
        assert len(machine.shell("cat /etc/machine-id")) == 32
        assert "ED25519" in machine.shell("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key")


@pytest.mark.parametrize("how", ["power button", pytest.param("ctrl-alt-del", marks=pytest.mark.slow)])
def test_asked_to_end(how: str) -> None:
    """The power button turns the machine off, ctrl-alt-del restarts it, and what was written is kept."""
    with _booted("labkit.identity=agent") as machine:
        machine.shell("echo kept >/root/kept")
        _until(lambda: machine.run("/usr/bin/pidof", "acpid")[0] == 0, "acpid")
        time.sleep(1)
        if how == "power button":
            machine.monitor("system_powerdown")
        else:
            keys = [{"type": "qcode", "data": key} for key in ("ctrl", "alt", "delete")]
            machine.monitor("send-key", keys=keys)
        assert machine.process.wait(BOOT_S) == 0


@pytest.mark.slow
def test_clones_differ(tmp_path: Path) -> None:
    """Two machines restored from one memory image draw other random numbers once they are seeded."""
    state, drawn = tmp_path / "state", []
    image = images.get("small")
    with _booted("labkit.identity=agent") as machine:
        time.sleep(1)
        machine.monitor("stop")
        machine.monitor("migrate", uri=f"exec:cat > {state}")
        _until(lambda: state.exists() and state.stat().st_size > 2**20, "the memory image")
        time.sleep(2)
        shutil.copy(machine.folder / "disk.qcow2", tmp_path / "disk.qcow2")
    for name in ("one", "two"):
        folder = Path(tempfile.mkdtemp(prefix="lk-clone-"))
        shutil.copy(tmp_path / "disk.qcow2", folder)
        clone = Guest(image, folder, "labkit.identity=agent", "-incoming", f"exec:cat {state}")
        try:
            time.sleep(1)
            clone.monitor("cont")
            assert clone.identity(f"name {name}", f"seed {secrets.token_hex(64)}")[0] == 0
            drawn.append(clone.shell("head -c 32 /dev/urandom | xxd -p -c 64"))
            assert clone.shell("hostname") == name
        finally:
            clone.close()
            shutil.rmtree(folder)
    assert drawn[0] != drawn[1]
