"""The disk fills up: at once, and at each step of making a machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from _world import run_apart

from labkit import _paths
from labkit.testing import take_stock

pytestmark = pytest.mark.core

# Fills the disk with the state when it comes to each of these functions, and tells what came of it.
PROGRAM = """
import importlib, os, sys

filler = os.path.join(os.environ["FULL"], "filler")
def fill():
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            pass

def state(lab):
    machines = os.listdir(lab.folder / "machines")
    leases = lab.networks.read("lan").leases
    guests = lab["alpha"].run(["pgrep", "-c", "qemu-system"]).stdout.strip()
    return f"{lab.machines()} {machines} {leases} {guests}"

with Lab(sys.argv[1]) as lab:
    lab.networks.create("lan")
    create = lambda **how: lab["alpha"].kvm.create("web", networks=["lan"], timeout_s=60, **how)
    for point in sys.argv[2:]:
        module, _, path = point.partition(":")
        owner = importlib.import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        real = getattr(owner, name)
        def filling(*arguments, **words):
            fill()
            return real(*arguments, **words)
        setattr(owner, name, filling)
        came = told(create)
        setattr(owner, name, real)
        if os.path.exists(filler):
            os.unlink(filler)
        print(f"{point.rpartition('.')[2]}: {came} | {state(lab)}", flush=True)
    print(told(create))
"""
NOTHING = "[] [] {} 0"


def run_on(size: str, variable: str, folder: Path, program: str, *words: str) -> list[str]:
    """Run a program whose folder `variable` is a small disk of its own; the lines that it wrote."""
    folder.mkdir(mode=0o700)
    mount = f"mount -t tmpfs -o mode=700,size={size} tmpfs '{folder}'"
    return run_apart(mount, program, *words, **{variable: str(folder), "FULL": str(folder)})


def test_a_full_disk_during_create_leaves_nothing(lab_name: str, tmp_path: Path) -> None:
    """Whenever the disk fills while a machine is made, the error says so and all of it is taken back."""
    points = [
        "labkit.hosts._channel:Channel.request",
        "labkit.networks.network:Network.reserve",
        "labkit.machines._template:Template.stamp",
        "labkit.machines._agent:Agent.run",
    ]
    before = take_stock(lab_name)
    *lines, last = run_on("400m", "LABKIT_STATE", tmp_path / "state", PROGRAM, lab_name, *points)
    for point, line in zip(points, lines, strict=True):
        came, _, left = line.partition(" | ")
        assert came.startswith(f"{point.rpartition('.')[2]}: NotEnoughDisk: "), line
        assert left == NOTHING, line
    assert last == "made"
    assert take_stock(lab_name).since(before) == {}


TOO_SMALL = """
import os, sys

name, folder = sys.argv[1:]
with Lab(name) as lab:
    print(told(lambda: lab["alpha"].kvm.create("web")))
    print(lab.machines(), os.path.exists(lab.folder / "machines"))
with open(os.path.join(folder, "filler"), "wb", buffering=0) as file:
    try:
        while file.write(bytes(1 << 12)):
            pass
    except OSError:
        pass
print(told(lambda: Lab(name)))
print(told(lambda: Lab.open(name)))
os.unlink(os.path.join(folder, "filler"))
print(os.listdir(os.path.join(folder, "labs")))
"""


def test_a_disk_that_is_too_small_is_told_before_anything_is_made(lab_name: str, tmp_path: Path) -> None:
    """Where a machine has no room, or not even a lab, the error says what is needed and where."""
    state = tmp_path / "state"
    machine, listed, *labs, left = run_on("100m", "LABKIT_STATE", state, TOO_SMALL, lab_name, str(state))
    assert machine.startswith("NotEnoughDisk: 256 MiB are needed in")
    assert "LABKIT_STATE" in machine
    assert listed == "[] False"
    assert len(labs) == 2
    for line in labs:
        assert line.startswith("NotEnoughDisk: ")
        assert str(state) in line
        assert "LABKIT_STATE" in line
    assert re.fullmatch(r"\['\.lock-\d+'\]", left)


NO_ROOM_FOR_A_TEMPLATE = """
import os, sys

name, shared = sys.argv[1:]
cache = os.environ["LABKIT_CACHE"]
for part in ("images", "acceleration.json", "libvirt-capabilities"):
    os.symlink(os.path.join(shared, part), os.path.join(cache, part))
with Lab(name) as lab:
    print(told(lambda: lab["alpha"].kvm.create("web")))
    guests = lab["alpha"].run(["pgrep", "-c", "qemu-system"]).stdout.strip()
    print(lab.machines(), os.listdir(lab.folder / "machines"), guests)
    print([name for name in os.listdir(os.path.join(cache, "templates")) if not name.endswith(".lock")])
"""


@pytest.mark.slow
def test_a_full_cache_while_a_template_is_made_leaves_nothing(lab_name: str, tmp_path: Path) -> None:
    """When the cache fills while a memory image is prepared, the error says so and no part of it stays."""
    shared = str(_paths.cache_home())
    lines = run_on("20m", "LABKIT_CACHE", tmp_path / "cache", NO_ROOM_FOR_A_TEMPLATE, lab_name, shared)
    assert lines[0].startswith("NotEnoughDisk: ")
    assert lines[1:] == ["[] [] 0", "[]"]
