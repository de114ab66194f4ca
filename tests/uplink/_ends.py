"""In the world of _outside.py: what is left of a way out after each kind of end. Writes JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from _internet import GATEWAY
from _seen import frames_until_now, keepers, until

from labkit import Lab
from labkit._changes import Change, What
from labkit.errors import LabError, NotFound
from labkit.hosts.base import Host
from labkit.networks import _uplink

_CLIENT = """
import sys, time
from labkit import Lab
lab = Lab.open(sys.argv[1]) if sys.argv[2] == "open" else Lab(sys.argv[1])
lab.networks.create("out", uplink=True)
print("made", flush=True)
time.sleep(600)
"""


# Kills itself so many ms after it has come to a function on its way to opening the way.
_VICTIM = """
import os, signal, sys, threading, time
from labkit import Lab
from labkit.networks import _uplink
where, seconds = sys.argv[2], int(sys.argv[3]) / 1000
real = getattr(_uplink, where)

def dying(*arguments, **words):
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return real(*arguments, **words)

setattr(_uplink, where, dying)
Lab.attach(sys.argv[1]).networks.create("out", uplink=True)
time.sleep(60)
"""
_WHERE = (("_set_rules", 0), ("_start", 0), ("_start", 30), ("_start", 80), ("_rules_of_routes", 0), ("_watch", 0))


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def first_process(host: Host) -> int:
    with host._channel() as channel:  # type: ignore[attr-defined]
        return int(channel.peer_pid())


def client(name: str, how: str) -> subprocess.Popen[str]:
    """A kernel that has opened a lab with a way out."""
    process = subprocess.Popen([sys.executable, "-c", _CLIENT, name, how], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "made\n"
    return process


def gone(name: str) -> float:
    return until(lambda: not keepers(name), "pasta and its supervisor have ended")


def has_lab(name: str) -> bool:
    try:
        Lab.attach(name)
    except NotFound:
        return False
    return True


def of_lab(name: str) -> dict[str, Any]:
    """`kill -9` of the lab's first process."""
    lab = Lab.open(name)
    lab.networks.create("out", uplink=True)
    before = sorted(keepers(name))
    with lab.channel() as channel:
        kill(channel.peer_pid())
    return {"before": before, "gone_s": gone(name)}


def of_host(name: str) -> dict[str, Any]:
    """`kill -9` of the home host, and the host made again."""
    with Lab(name, hosts=["alpha", "beta"]) as lab:
        lab.networks.create("out", uplink=True)
        before = sorted(keepers(name))
        kill(first_process(lab["alpha"]))
        took = gone(name)
        lab.add_host("alpha")
        return {"before": before, "gone_s": took, "up again": _uplink.uplink_is_up(lab["alpha"])}


def of_kernel(name: str) -> dict[str, Any]:
    """`kill -9` of the kernel: an opened lab and its way stay, a lab of the process goes with its way."""
    process = client(name, "open")
    before = sorted(keepers(name))
    kill(process.pid)
    process.wait()
    lab = Lab.attach(name)
    result: dict[str, Any] = {
        "before": before,
        "stays": sorted(keepers(name)),
        "up": _uplink.uplink_is_up(lab["alpha"]),
    }
    lab.close()
    result["after close"] = sorted(keepers(name))
    process = client(name, "with")
    result["tethered before"] = sorted(keepers(name))
    kill(process.pid)
    process.wait()
    result["gone_s"] = gone(name)
    return result


def of_keeper(name: str, which: str) -> dict[str, Any]:
    """`kill -9` of pasta or of its supervisor: the other goes, it is told, and the next use opens the way again."""
    told = threading.Event()

    def hear(change: Change) -> None:
        if change.what is What.NETWORKS:
            told.set()

    with Lab(name) as lab:
        alpha = lab["alpha"]
        lan = lab.networks.create("out", uplink=True)
        before = keepers(name)
        lab.changes.subscribe(hear)
        kill(before[which])
        result: dict[str, Any] = {"before": sorted(before), "gone_s": gone(name)}
        result["told"] = told.wait(20)
        result["up"] = _uplink.uplink_is_up(alpha)
        result["noted"] = "uplink ended" in (lab.folder / "journal.jsonl").read_text()
        result["why"] = _uplink.why_closed(alpha)
        result["card says"] = lan._repr_mimebundle_()["text/html"]
        result["repaired"] = lan.repair()
        result["up after repair"] = _uplink.uplink_is_up(alpha)
        for pid in keepers(name).values():
            kill(pid)
        gone(name)
        lan.ensure_on(alpha)
        result["up again"] = _uplink.uplink_is_up(alpha)
        again = keepers(name)
        result["another"] = sorted(kind for kind in again if again[kind] != before[kind])
    result["after the lab"] = sorted(keepers(name))
    return result


def of_opener(name: str) -> dict[str, Any]:
    """A kernel is killed while it opens a way, at each step: the next use has it open, and nothing is left."""
    result: dict[str, Any] = {}
    with Lab(name) as lab:
        alpha = lab["alpha"]
        for where, ms in _WHERE:
            victim = subprocess.run([sys.executable, "-c", _VICTIM, name, where, str(ms)], check=False, timeout=120)
            lab.networks["out"].ensure_on(alpha)
            steps = [victim.returncode, lab.networks["out"].check(), sorted(keepers(name))]
            lab.networks.remove("out")
            result[f"{where} {ms}"] = [*steps, sorted(keepers(name)), _uplink.uplink_is_up(alpha)]
    result["left"] = sorted(keepers(name))
    return result


def by_two(name: str) -> dict[str, Any]:
    """The way of two networks stays until the last of them goes, and is shared by those who open it at once."""
    with Lab(name) as lab:
        alpha = lab["alpha"]
        for network in ("one", "two"):
            lab.networks.create(network, uplink=True)
        first = keepers(name)
        kill(first["supervisor"])
        gone(name)
        threads = [threading.Thread(target=_uplink.ensure, args=(alpha,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        again = sorted(keepers(name))
        lab.networks.remove("one")
        stays = _uplink.uplink_is_up(alpha)
        lab.networks.remove("two")
        return {"again": again, "stays": stays, "up": _uplink.uplink_is_up(alpha), "left": sorted(keepers(name))}


def without(name: str) -> dict[str, Any]:
    """What is said where pasta is missing, the machine has no way out, or one of its networks is where labs are."""
    pasta = os.path.realpath("/usr/bin/pasta")
    result: dict[str, Any] = {}
    with Lab(name) as lab:
        for what, change, undo in (
            ("pasta", ["mount", "--bind", "/dev/null", pasta], ["umount", pasta]),
            ("route", ["ip", "route", "add", "198.18.5.0/24", "dev", "out0"],
             ["ip", "route", "del", "198.18.5.0/24", "dev", "out0"]),
            ("default", ["ip", "route", "del", "default"], ["ip", "route", "add", "default", "via", GATEWAY]),
        ):  # fmt: skip
            subprocess.run(change, check=True)
            try:
                lab.networks.create("out", uplink=True)
                result[what] = "made"
            except LabError as error:
                result[what] = f"{type(error).__name__}: {error}"
            subprocess.run(undo, check=True)
        result["networks"] = [network.name for network in lab.networks]
        result["left"] = sorted(keepers(name))
    return result


KINDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "lab": of_lab, "host": of_host, "kernel": of_kernel, "two": by_two, "without": without,
    "opener": of_opener,
    "pasta": lambda name: of_keeper(name, "pasta"), "supervisor": lambda name: of_keeper(name, "supervisor"),
}  # fmt: skip


def main() -> None:
    name, kinds = sys.argv[1], sys.argv[2].split(",")
    result: dict[str, Any] = {}
    for kind in kinds:
        result[kind] = KINDS[kind](name)
        if kind == "lab":  # what the others had is gone with their labs
            Lab.open(name).close()
        until(lambda: not has_lab(name), "the lab of a process that was killed has ended")
    result["frames"] = frames_until_now()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
