"""The script ./lab on machines that are faked by the commands in its PATH. Installs nothing."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
# fmt: off
NEEDED = (
    "sh", "basename", "cat", "chmod", "date", "dirname", "env", "find", "flock", "grep", "head", "id", "ls", "mkdir",
    "mv", "readlink", "rm", "sed", "sha256sum", "sort", "stat", "tail", "touch",
)
PROGRAMS = (
    "libvirtd", "virsh", "qemu-system-x86_64", "qemu-img", "gcc", "newuidmap", "mmdebstrap", "dnsmasq", "ip",
    "mkfs.ext4", "iptables", "nft", "ssh", "modprobe", "cpio", "zstd", "unshare",
    "dockerd", "docker-registry", "lxc-start", "tcpdump", "dot", "pasta",
)
# fmt: on
ECHO = '#!/bin/sh\nprintf "%s" "${0##*/}"; for a; do printf " <%s>" "$a"; done; echo\n'
JUPYTERLAB = """
import sys

def main():
    assert sys.modules["rfc3987_syntax"] is None  # it would cost two seconds
    print(sys.argv[0], *(f"<{argument}>" for argument in sys.argv[1:]))
"""


class Machine:
    """A checkout in a folder with a space, and a PATH of which every command is known."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "my lab"
        self.venv = self.checkout / ".venv"
        self.bin = folder / "bin"
        self.log = folder / "called"
        (self.checkout / "notebooks").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(REPOSITORY / "lab", self.checkout)
        (self.checkout / "pyproject.toml").write_text("[project]\n")
        for name in NEEDED:
            (self.bin / name).symlink_to(shutil.which(name) or name)

    def command(self, name: str, script: str = "", folder: Path | None = None) -> None:
        """Give the machine a command; it writes down that it was called."""
        file = (folder or self.bin) / name
        file.unlink(missing_ok=True)
        file.write_text(script or f'#!/bin/sh\necho "{name} $*" >>"{self.log}"\nexit 1\n')
        file.chmod(0o755)

    def debian(self, installed: bool) -> None:
        """Make it a Debian, with all packages or with none."""
        known = 'shift 3; for p; do printf "%s=installed " "$p"; done' if installed else "exit 1"
        self.command("dpkg-query", f"#!/bin/sh\n{known}\n")
        self.command("apt-get")
        self.command("apt-cache")

    def complete(self, stamp: str | None = None) -> None:
        """An environment as ./lab leaves it, with programs that only say how they were called."""
        (self.venv / "bin").mkdir(parents=True)
        (self.venv / "bin/python3").symlink_to("/usr/bin/python3")
        for name in ("labkit", "ruff", "mypy", "pytest"):
            self.command(name, ECHO, self.venv / "bin")
        self.command("jupyter-lab", f"#!{self.venv}/bin/python3\n", self.venv / "bin")
        (self.venv / "pyvenv.cfg").write_text("home = /usr/bin\n")
        minor = Path("/usr/bin/python3").resolve().name
        jupyterlab = self.venv / "lib" / minor / "site-packages/jupyterlab"
        jupyterlab.mkdir(parents=True)
        (jupyterlab / "labapp.py").write_text(JUPYTERLAB)
        (self.venv / ".lab").mkdir()
        for name in ("course", "test", "image", "lock"):
            (self.venv / ".lab" / name).write_text(self.stamp() if stamp is None else stamp)

    def stamp(self) -> str:
        digest = hashlib.sha256((self.checkout / "pyproject.toml").read_bytes()).hexdigest()
        return f"1 {digest}  - {Path('/usr/bin/python3').resolve()}\n"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.checkout / "lab"), *arguments],
            env={"PATH": str(self.bin), "LC_ALL": "C.UTF-8"} | environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def lab(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Call ./lab from another folder; its exit code and all that it printed."""
        process = self.start(*arguments, **environment)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output

    def called(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def ready(machine: Machine) -> Machine:
    machine.debian(installed=True)
    machine.complete()
    return machine


@pytest.fixture
def by_user(machine: Machine) -> Machine:
    machine.command("id", '#!/bin/sh\n[ "$1" = -un ] && echo alice || echo 1000\n')
    return machine


def test_is_posix_sh() -> None:
    """The script starts with /bin/sh and holds nothing that only bash knows."""
    text = (REPOSITORY / "lab").read_text()
    assert text.startswith("#!/bin/sh\n")
    for shell in filter(shutil.which, ("sh", "dash", "busybox")):
        argv = ["busybox", "sh"] if shell == "busybox" else [shell]
        subprocess.run([*argv, "-n", str(REPOSITORY / "lab")], check=True)


def test_names_no_server() -> None:
    """Where packages come from is the machine's business: the script names no address."""
    assert "://" not in (REPOSITORY / "lab").read_text()


@pytest.mark.parametrize("option", ["--help", "-h", "help"])
def test_help_needs_nothing(machine: Machine, option: str) -> None:
    """--help explains every command on a machine where nothing is installed, and installs nothing."""
    code, output = machine.lab(option)
    assert code == 0
    for word in ("run", "test", "doctor", "ps", "down", "image", "install", "packages"):
        assert f"{word} " in output
    assert not machine.venv.exists()


def test_unknown_command(machine: Machine) -> None:
    """A word that is no command and no file ends with code 2 before anything is installed."""
    machine.debian(installed=False)
    code, output = machine.lab("tset")
    assert code == 2
    assert "'tset'" in output
    assert "--help" in output
    assert not machine.called()


def test_unknown_distribution(machine: Machine) -> None:
    """Without apt-get the missing packages are named, also as other distributions call them, with code 2."""
    code, output = machine.lab()
    assert code == 2
    for word in ("qemu-system-x86", "mmdebstrap", "Fedora", "Arch"):
        assert word in output
    assert not machine.venv.exists()


def test_unknown_distribution_with_everything(machine: Machine) -> None:
    """Where all that is needed is there, no packages are asked for, whatever the distribution is called."""
    for name in PROGRAMS:
        machine.command(name)
    machine.command("pkg-config", "#!/bin/sh\nexit 0\n")
    machine.complete()
    code, output = machine.lab("run", "x.ipynb")
    missing_here = [line for line in output.splitlines() if "libvirt-daemon-driver" in line or "-dev" in line]
    if missing_here:
        pytest.skip(f"this machine itself lacks packages: {missing_here}")
    assert (code, output) == (0, "labkit <run> <x.ipynb>\n")


def test_without_sudo(by_user: Machine) -> None:
    """A user without sudo gets the names of the packages and what to ask an administrator for."""
    by_user.debian(installed=False)
    code, output = by_user.lab("install")
    assert code == 1
    assert "no sudo" in output
    assert "qemu-system-x86" in output
    assert f"sh '{by_user.checkout}/lab' packages course" in output
    assert "apt-get" not in by_user.called()
    assert not by_user.venv.exists()


def test_sudo_that_refuses(by_user: Machine) -> None:
    """A user whom sudo refuses gets the same advice, and sudo is asked for this script alone."""
    by_user.debian(installed=False)
    by_user.command("sudo")
    code, output = by_user.lab("install")
    assert code == 1
    assert "ask an administrator" in output
    assert by_user.called().splitlines()[-1] == f"sudo env sh {by_user.checkout}/lab packages course"


def test_packages_need_root(by_user: Machine) -> None:
    """`./lab packages` without root says how to call it."""
    by_user.debian(installed=False)
    code, output = by_user.lab("packages")
    assert code == 1
    assert f"sudo sh '{by_user.checkout}/lab' packages" in output


@pytest.mark.parametrize("command", ["run", "doctor", "ps", "down", "image"])
def test_passes_on_to_labkit(ready: Machine, command: str) -> None:
    """The commands of labkit get their arguments as they were typed."""
    assert ready.lab(command, "a b", "--all", "") == (0, f"labkit <{command}> <a b> <--all> <>\n")


def test_down_works_without_packages(ready: Machine) -> None:
    """Labs can be ended also after a package was removed."""
    ready.debian(installed=False)
    assert ready.lab("down", "--all") == (0, "labkit <down> <--all>\n")
    assert not ready.called()


def test_opens_jupyterlab(ready: Machine) -> None:
    """JupyterLab opens on notebooks/, quiet but for its address, without a browser where there is no display."""
    code, output = ready.lab("--port", "9000")
    assert code == 0
    called = output.splitlines()[-1]
    assert called.startswith("jupyter-lab ")
    assert f"<--ServerApp.root_dir={ready.checkout}/notebooks>" in called
    assert "<--no-browser>" in called
    assert "<--log-level=WARN>" in called
    assert called.endswith("<--port> <9000>")
    assert ("<--allow-root>" in called) == (os.geteuid() == 0)


def test_opens_a_browser(ready: Machine) -> None:
    """With a display the browser is left to JupyterLab."""
    assert "--no-browser" not in ready.lab(DISPLAY=":0")[1]
    assert "--no-browser" not in ready.lab(WAYLAND_DISPLAY="wayland-0")[1]


@pytest.mark.parametrize(
    ("option", "not_set"),
    [
        ("--log-level=INFO", "WARN"),
        ("--debug", "WARN"),
        ("--notebook-dir=/tmp", "notebooks"),
        ("--ServerApp.root_dir=/tmp", "notebooks"),
    ],
)
def test_own_options_win(ready: Machine, option: str, not_set: str) -> None:
    """What the user sets is not set a second time, which JupyterLab refuses."""
    output = ready.lab(option)[1]
    assert f"<{option}>" in output
    assert not_set not in output


@pytest.mark.parametrize(("arguments", "marker"), [((), " <-m> <not slow>"), (("--all",), "")])
def test_test_runs_all_checks(ready: Machine, arguments: tuple[str, ...], marker: str) -> None:
    """`test` runs both linters, the type checker and then pytest, whose last line is the last line."""
    ready.command("chromium")
    code, output = ready.lab("test", *arguments, "tests/unit")
    assert code == 0
    assert output.splitlines() == [
        "lab: ruff check: ok",
        "lab: ruff format: ok",
        "lab: mypy: ok",
        f"pytest <-n> <3> <--dist> <loadgroup> <--no-loadscope-reorder>{marker} <tests/unit>",
    ]


@pytest.mark.parametrize("broken", ["ruff", "mypy", "pytest"])
def test_test_fails_if_any_fails(ready: Machine, broken: str) -> None:
    """One failing check makes the whole fail and shows its words, and the others run all the same."""
    ready.command(broken, "#!/bin/sh\necho what is wrong\nexit 3\n", ready.venv / "bin")
    code, output = ready.lab("test")
    assert code == (3 if broken == "pytest" else 1)
    assert "what is wrong" in output
    assert output.splitlines()[-1].startswith("what is wrong" if broken == "pytest" else "pytest ")
    assert ("lab: mypy: ok" in output) == (broken != "mypy")


def test_waits_for_another(ready: Machine) -> None:
    """A second ./lab says that it waits while a first one installs, then goes on with what that one made."""
    stamp = ready.venv / ".lab/course"
    stamp.unlink()
    with (ready.venv / ".lab/lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = ready.start("run")
        assert process.stdout is not None
        assert process.stdout.readline() == "lab: another ./lab is installing; waiting for it\n"
        stamp.write_text(ready.stamp())
    assert process.communicate(timeout=60)[0] == "labkit <run>\n"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda machine: (machine.checkout / "pyproject.toml").write_text("[project]\nname = 'x'\n"),
        lambda machine: (machine.venv / ".lab/course").unlink(),
        lambda machine: (machine.venv / "bin/jupyter-lab").write_text("#!/elsewhere/.venv/bin/python3\n"),
    ],
    ids=["changed pyproject", "cut off", "moved"],
)
def test_installs_again(ready: Machine, spoil: Callable[[Machine], object]) -> None:
    """An environment that was cut off, moved, or made from another pyproject.toml is not used as it is."""
    spoil(ready)
    broken = ready.checkout / "pyproject.toml"
    broken.write_text(broken.read_text() + "not toml\n")  # so that pip stops before it asks for anything
    code, output = ready.lab("run", PIP_NO_INDEX="1")
    assert code == 1
    assert "installing labkit and JupyterLab in .venv" in output
    assert "call ./lab again" in output
    assert (ready.venv / ".lab/unfinished").exists()
    assert "labkit <run>" not in output


def test_venv_that_is_a_file(machine: Machine) -> None:
    """A file in the place of .venv is not deleted but complained about."""
    machine.debian(installed=True)
    machine.venv.write_text("precious")
    code, output = machine.lab("install")
    assert code == 1
    assert "is not a folder" in output
    assert machine.venv.read_text() == "precious"


def test_ci_does_nothing_cleverer() -> None:
    """.ci/run only changes to the repository and calls ./lab test."""
    lines = (REPOSITORY / ".ci/run").read_text().splitlines()
    assert lines == ["#!/usr/bin/env bash", 'cd "$(dirname "$0")/.." && exec ./lab test']
    assert os.access(REPOSITORY / ".ci/run", os.X_OK)
