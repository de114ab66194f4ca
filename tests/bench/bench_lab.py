"""A lab with two hosts that answer on libvirt, against bare ``unshare`` and libvirtd."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import libvirt
from _table import Limit, Row, interleaved, main

from labkit import Lab
from labkit._paths import cache_home
from labkit.hosts import _libvirtd

libvirt.registerErrorHandler(lambda _context, _error: None, None)

# One host as a script would make it: namespaces, its own /run and folders, libvirtd.
_HOST = """
set -e
mount -t proc proc /proc; mount -t tmpfs tmpfs /run; mkdir /run/libvirt
for folder in /etc/libvirt /var/lib /var/cache /var/log; do mount -t tmpfs tmpfs $folder; done
mount --bind "$1/passwd" /etc/passwd; mount --bind "$1/group" /etc/group
mkdir -p /etc/libvirt/qemu
cp "$1/libvirtd.conf" "$1/qemu.conf" /etc/libvirt
ip link set lo up
exec libvirtd -f /etc/libvirt/libvirtd.conf -p /run/libvirtd.pid 2>/dev/null
"""
_NAMESPACES = ["--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]


def _open(path: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(libvirt.libvirtError):
            libvirt.open(f"qemu+unix:///system?socket={path}").close()
            return
        time.sleep(0.005)
    raise TimeoutError(path)


def _bare() -> float:
    """Two hosts by shell."""
    env = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}  # a user's has no libvirtd
    as_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    with tempfile.TemporaryDirectory(prefix="lk-bare-") as name:
        folders = [Path(name) / host for host in ("a", "b")]
        for folder in folders:
            folder.mkdir()
            _libvirtd.configure(folder, folder / "sockets", cgroups=False)
            _libvirtd.write_accounts(folder)
            for file in Path(_libvirtd.folders(folder)["/etc/libvirt"]).glob("*.conf"):
                shutil.copy(file, folder)
            for kind in ("passwd", "group"):
                shutil.copy(folder / f"etc-{kind}", folder / kind)
        began = time.perf_counter()
        hosts = [
            subprocess.Popen(["unshare", *as_user, *_NAMESPACES, "sh", "-c", _HOST, "sh", str(folder)], env=env)
            for folder in folders
        ]
        with ThreadPoolExecutor() as pool:
            list(pool.map(_open, [folder / "sockets" / "libvirt-sock" for folder in folders]))
        took = time.perf_counter() - began
        for host in hosts:
            host.kill()
            host.wait()
    return took


def _lab(*, probed: bool, cold: bool) -> float:
    """Two hosts by labkit; `probed`: until libvirt has told what QEMU can do."""
    if cold:
        shutil.rmtree(cache_home() / "libvirt-capabilities", ignore_errors=True)
    began = time.perf_counter()
    with Lab(f"bench-{secrets.token_hex(3)}", hosts=["a", "b"]) as lab:
        with ThreadPoolExecutor() as pool:
            connections = list(pool.map(lambda host: host.kvm.connection(), lab))
            if probed:
                list(pool.map(lambda connection: connection.getDomainCapabilities(), connections))
        return time.perf_counter() - began


def rows(n: int) -> list[Row]:
    """Seconds until both hosts answer."""
    return interleaved(
        {
            "unshare + libvirtd by shell": _bare,
            "lab, answers, cold cache": lambda: _lab(probed=False, cold=True),
            "lab, answers, warm cache": lambda: _lab(probed=False, cold=False),
            "lab, QEMU probed, cold cache": lambda: _lab(probed=True, cold=True),
            "lab, QEMU probed, warm cache": lambda: _lab(probed=True, cold=False),
        },
        n,
        limits={
            "lab, answers, cold cache": Limit(seconds=3),
            "lab, answers, warm cache": Limit(seconds=1.5),
            "lab, QEMU probed, cold cache": Limit(seconds=3),
            "lab, QEMU probed, warm cache": Limit(seconds=1.5),
        },
    )


if __name__ == "__main__":
    raise SystemExit(main(rows, "a lab of two hosts"))
