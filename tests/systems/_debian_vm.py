"""A Debian 12 with systemd and cgroup v2 as a virtual machine, built from packages and kept in labkit's cache.

It has no network. This checkout and the guest image come to it on a second disk, commands through
a virtio port. QEMU emulates its one processor, with AMD's SVM: in it, KVM works.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _debian_root import USER, built, make_disk

from labkit.hosts._xen_qemu import EMULATED
from labkit.storage import images

REPOSITORY = Path(__file__).parent.parent.parent
RUNTIME = "/run/user/1000"  # of USER, the first that is made
COMMON = {"LANG": "C.UTF-8", "LABKIT_PROGRESS": "off", "PYTHONPATH": "/srv/checkout:/opt/python"}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _make_second_disk(work: Path) -> Path:
    """What changes from run to run: this checkout, and the guest image that its code asks for."""
    folder, disk = work / "srv", work / "srv.raw"
    ignored = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", "out")
    shutil.copytree(REPOSITORY, folder / "checkout", ignore=ignored)
    source = images.get("small").folder
    target = folder / "images" / source.name
    target.mkdir(parents=True)
    for path in source.iterdir():
        subprocess.run(["cp", "--sparse=always", "--preserve=mode,timestamps", path, target], check=True)
    folder.chmod(0o755)
    make_disk(folder, disk, 2**30)
    shutil.rmtree(folder)
    return disk


@dataclass(frozen=True)
class Done:
    """A command that ended in the machine: exit code (None if its time was up), stdout and stderr."""

    code: int | None
    output: str

    def check(self) -> Done:
        assert self.code == 0, f"exit code {self.code}:\n{self.output}"
        return self


class Vm:
    """The running machine."""

    def __init__(self, folder: Path, work: Path) -> None:
        self._work = work
        overlay, port = work / "disk.qcow2", work / "port"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", folder / "disk.raw", overlay], check=True
        )
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-M", "q35", "-accel", "tcg",
             "-cpu", EMULATED, "-m", "3072", "-nodefaults", "-no-user-config", "-display", "none",
             "-nic", "none", "-no-reboot", "-serial", f"file:{work / 'console'}",
             "-kernel", folder / "vmlinuz", "-initrd", folder / "initrd.img",
             "-append", "root=/dev/vda rw console=ttyS0 mitigations=off quiet systemd.unified_cgroup_hierarchy=1",
             "-drive", f"file={overlay},if=virtio,cache=unsafe",
             "-drive", f"file={_make_second_disk(work)},format=raw,if=virtio,readonly=on",
             "-device", "virtio-serial-pci", "-chardev", f"socket,id=port,path={port},server=on,wait=off",
             "-device", "virtserialport,chardev=port,name=labkit", "-device", "virtio-rng-pci"],
            stdin=subprocess.DEVNULL, stdout=(work / "qemu").open("wb"), stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._socket = socket.socket(socket.AF_UNIX)
        self._connect(port)
        self._lines = self._socket.makefile("rb")
        assert self._answer(240).output == "up"
        self._prepare()

    def _prepare(self) -> None:
        """Let both users have the image; it is compared with what was built once for both."""
        self.run(["cp", "-r", "--sparse=always", "/srv/images", "/var/lib/images"]).check()
        for home, owner in (("/root", "root"), (f"/home/{USER}", USER)):
            for folder in (f"{home}/.cache", f"{home}/.cache/labkit"):
                self.run(["install", "-d", "-m", "700", "-o", owner, folder]).check()
            self.run(["ln", "-s", "/var/lib/images", f"{home}/.cache/labkit/images"]).check()
        self.run(["python3", "-c", "from labkit.storage import images; images.find('small').check()"]).check()
        self.run(["chmod", "-R", "a+rX", "/var/lib/images"]).check()

    def _connect(self, port: Path) -> None:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                self._socket.connect(str(port))
                return
            assert self.process.poll() is None, (self._work / "qemu").read_text()
            assert time.monotonic() < deadline, "QEMU did not open its socket"
            time.sleep(0.02)

    def _answer(self, timeout_s: float) -> Done:
        self._socket.settimeout(timeout_s)
        try:
            line = self._lines.readline()
        except TimeoutError:
            line = b""
        console = (self._work / "console").read_text(errors="replace")[-3000:]
        assert line, f"the machine said nothing for {timeout_s:g} s; its console ends with:\n{console}"
        return Done(**json.loads(line))

    def run(self, argv: list[str], *, user: str = "root", input: str = "", timeout_s: float = 120) -> Done:
        """Run a command as a user, with what a login would set in the environment; not in a session of its own."""
        env = COMMON | {"HOME": "/root", "PATH": SYSTEM_PATH, "PYTHONPYCACHEPREFIX": f"/var/tmp/pycache-{user}"}
        as_user: list[str] = []
        if user != "root":
            env |= {"HOME": f"/home/{user}", "XDG_RUNTIME_DIR": RUNTIME, "PATH": "/usr/bin:/bin",
                    "DBUS_SESSION_BUS_ADDRESS": f"unix:path={RUNTIME}/bus"}  # fmt: skip
            as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        words = [*as_user, "env", "-i", *(f"{name}={value}" for name, value in env.items()), *argv]
        request = {"argv": words, "input": input, "timeout_s": timeout_s}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        return self._answer(timeout_s + 30)

    def python(self, code: str, *, before: Sequence[str] = (), user: str = "root", timeout_s: float = 400) -> Any:
        """Run a Python program, perhaps by the words `before` it; returns what it writes as JSON on its last line."""
        done = self.run([*before, "python3", "-c", code], user=user, timeout_s=timeout_s).check()
        return json.loads(done.output.splitlines()[-1])

    def close(self) -> None:
        """Switch it off."""
        self._lines.close()
        self._socket.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running() -> Iterator[Vm]:
    """The machine, freshly booted; nothing of it is kept."""
    folder = built()
    with tempfile.TemporaryDirectory(prefix="labkit-vm-", dir="/var/tmp") as work:
        vm = Vm(folder, Path(work))
        try:
            yield vm
        finally:
            vm.close()
