"""What the tests of faults do to the world."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from labkit.hosts.base import Host
from labkit.testing import Stock, take_stock


def first_process(host: Host) -> int:
    """The process id of a host's first process, as seen from here."""
    with host._channel() as channel:  # type: ignore[attr-defined]
        pid: int = channel.peer_pid()
        return pid


def alive(lab: str, before: Stock) -> dict[str, list[str]]:
    """What of a lab the kernel still has: all that `take_stock` counts but files and cgroups."""
    since = take_stock(lab).since(before)
    return {kind: found for kind, found in since.items() if kind not in ("files", "cgroups")}


def guests_of(host: Host) -> list[str]:
    """The names of the QEMU processes of a host."""
    found = host.run(["pgrep", "-af", "qemu-system"]).stdout.splitlines()
    return [word.split(",")[0].removeprefix("guest=") for line in found for word in line.split() if "guest=" in word]


_TOLD = """
from labkit import Lab
from labkit.errors import LabError

def told(make):
    try:
        make()
    except LabError as error:
        return f"{type(error).__name__}: {error}".replace(chr(10), " ")
    return "made"
"""
AS_USER = ["--user", "--map-root-user", "--map-auto"]


def run_apart(script: str, program: str, *words: str, **env: str) -> list[str]:
    """What a Python program writes, line by line, in mounts of its own that a shell script has changed.

    The program has `Lab`, and `told(make)` that names the error which `make()` raises.
    """
    as_user = [] if os.geteuid() == 0 else AS_USER
    shell = ["sh", "-euc", f'{script}\nexec "$@"', "apart"]
    done = subprocess.run(
        ["unshare", *as_user, "--mount", *shell, sys.executable, "-c", _TOLD + program, *words],
        env={**os.environ, "LABKIT_PROGRESS": "off", **env}, cwd=Path(__file__).parents[2],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def hide(*programs: str) -> str:
    """The script for `run_apart` that takes programs away."""
    places = [f"{folder}/{program}" for program in programs for folder in ("/usr/sbin", "/usr/bin", "/usr/local/bin")]
    return "\n".join(f"mount --bind /dev/null {place}" for place in places if os.path.exists(place))


# Kills itself when it comes to the function WHERE: before, after, or so many ms after its start and at its
# end at the latest: later what it makes may be whole.
# A line that makes a machine on `alpha` follows.
VICTIM = """
import importlib, os, signal, sys, threading
from labkit import Lab

lab, where, when = sys.argv[1:4]
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
module, _, path = where.partition(":")
owner = importlib.import_module(module)
*parents, name = path.split(".")
for parent in parents:
    owner = getattr(owner, parent)
real = getattr(owner, name)

def dying(*arguments, **words):
    if where.endswith("Channel.request") and arguments[1] != "begin":
        return real(*arguments, **words)
    if when == "before":
        die()
    if when.isdigit():
        threading.Timer(int(when) / 1000, die).start()
    result = real(*arguments, **words)
    if when != "before":
        die()
    return result

setattr(owner, name, dying)
alpha = Lab.attach(lab)["alpha"]
"""
