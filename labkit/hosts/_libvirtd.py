"""libvirt's daemon in a namespace host: its configuration, its start, its capability cache."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .._paths import cache_home, write_whole
from ..errors import DaemonFailed, LabError, PackageMissing

if TYPE_CHECKING:
    from .files import HostFiles

FOLDERS = ("/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt")
_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


_USERS = {"/etc/passwd": "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin",
          "/etc/group": "libvirt-qemu:x:64055:"}  # fmt: skip


def folders(state: Path) -> dict[str, str]:
    """What is mounted where in a host: ``{inside: outside}``."""
    return {inside: str(state / inside.strip("/").replace("/", "-")) for inside in FOLDERS}


def tls_folder(state: Path) -> Path:
    """Where QEMU looks for the certificates of its host when a machine moves; empty until one does."""
    return state / "tls"


def write_accounts(state: Path) -> dict[str, str]:
    """Write what the host has as its accounts, ``{inside: outside}``.

    Among them is the user that libvirt is compiled for, which only a system package makes.
    """
    written = {}
    for path, user in _USERS.items():
        lines = Path(path).read_text().splitlines()
        if not any(line.startswith("libvirt-qemu:") for line in lines):
            lines.append(user)
        written[path] = state / path.strip("/").replace("/", "-")
        written[path].write_text("\n".join(lines) + "\n")
    return {inside: str(outside) for inside, outside in written.items()}


def daemons() -> dict[str, str]:
    """The daemons to start, by name: ``libvirtd``, or the modular ones where it is not there."""
    for names in (["libvirtd"], ["virtqemud", "virtnetworkd"]):
        found = {name: shutil.which(name, path=_PATH) for name in names}
        if all(found.values()):
            return {name: path for name, path in found.items() if path}
    raise PackageMissing(
        "libvirt's daemon (libvirtd or virtqemud) is not installed",
        hint="sudo apt-get install --no-install-recommends libvirt-daemon libvirt-daemon-driver-qemu",
    )


def configure(state: Path, sockets: Path, *, cgroups: bool) -> None:
    """Unless that was done, write the configuration of libvirt's daemons and lend them the capability cache."""
    config = Path(folders(state)["/etc/libvirt"])
    if (config / "qemu.conf").exists():  # the last that is written
        return
    (config / "qemu").mkdir(parents=True, exist_ok=True)
    sockets.mkdir(mode=0o700, exist_ok=True)
    tls_folder(state).mkdir(mode=0o700, exist_ok=True)
    common = ['auth_unix_rw = "none"', 'unix_sock_rw_perms = "0700"', f'host_uuid = "{uuid.uuid4()}"']
    own = [f'unix_sock_dir = "{sockets}"']
    _write(config / "libvirtd.conf", [*common, *own, "listen_tls = 0", "listen_tcp = 0"])
    _write(config / "virtqemud.conf", [*common, *own])
    _write(config / "virtnetworkd.conf", common)
    qemu = ['user = "root"', 'group = "root"', 'stdio_handler = "file"', "remember_owner = 0",
            "namespaces = [ ]", 'security_driver = "none"', "max_core = 0",
            f'migrate_tls_x509_cert_dir = "{tls_folder(state)}"', "migrate_tls_x509_verify = 1"]  # fmt: skip
    with contextlib.suppress(OSError):  # a cache: there may be none yet
        cache = Path(folders(state)["/var/cache/libvirt"])
        shutil.copytree(_kept_capabilities(), cache / "qemu" / "capabilities", dirs_exist_ok=True)
    _write(config / "qemu.conf", qemu if cgroups else [*qemu, "cgroup_controllers = [ ]"])


def _write(path: Path, lines: list[str]) -> None:
    write_whole(path, "\n".join(lines) + "\n")


# QEMU's capabilities take libvirt seconds to find out. It checks itself whether what it finds in
# its cache still fits the QEMU on this machine.


def _kept_capabilities() -> Path:
    return cache_home() / "libvirt-capabilities"


def keep_capabilities(state: Path) -> None:
    """Keep for other hosts what this host's libvirt has found out about QEMU."""
    found = Path(folders(state)["/var/cache/libvirt"]) / "qemu" / "capabilities"
    for source in found.glob("*.xml"):
        target = _kept_capabilities() / source.name
        with contextlib.suppress(OSError):  # a cache: without it the next start is slower
            if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
                continue
            target.parent.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as copy:
                copy.write(source.read_bytes())
            shutil.copystat(source, copy.name)
            os.replace(copy.name, target)


def answers(path: Path) -> bool:
    """Whether a daemon accepts connections to its Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(path))
        return True
    return False


def wait_for_socket(
    path: Path, ended: Callable[[], int | None], log: Path, host: str, timeout_s: float = 30,
    daemon: str = "libvirt's daemon", files: HostFiles | None = None,
) -> None:  # fmt: skip
    """Wait until a daemon accepts connections on `path`.

    Raises
    ------
    DaemonFailed
        If it ends or the deadline passes first; quotes the last lines of its log.
    """
    deadline = time.monotonic() + timeout_s
    pause = 0.002
    while time.monotonic() < deadline:
        if answers(path):
            return
        code = ended()
        if code is not None:
            raise failure(f"ended with exit code {code}", log, host, daemon, files)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.03)
    raise failure(f"did not answer within {timeout_s:g} s", log, host, daemon, files)


def failure(
    what: str, log: Path, host: str, daemon: str = "libvirt's daemon", files: HostFiles | None = None
) -> DaemonFailed:
    """The error that says what became of a daemon, with the last lines of its log, one of `files` if they are given."""
    return DaemonFailed(
        f"{daemon} {what}: {last_lines(log, files=files)}",
        host=host, hint="`labkit doctor` checks what it needs",
    )  # fmt: skip


def last_lines(log: Path, count: int = 8, files: HostFiles | None = None) -> str:
    """The end of a log, of this machine or one of `files`, or a word saying that there is none."""
    with contextlib.suppress(OSError, LabError):
        text = files.read_text(log) if files else log.read_text(errors="replace")
        if lines := text.splitlines()[-count:]:
            return "\n".join(lines)
    return "(its log is empty)"
