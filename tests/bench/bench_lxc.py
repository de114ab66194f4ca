"""Containers: liblxc's own start against labkit's, twenty at once, and what each verb costs."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from _table import Case, Limit, Row, interleaved, main

from labkit import Lab
from labkit.hosts.base import Host
from labkit.machines.lxc import LxcEngine

# Starts what it is told on a line, on the host, with nothing between it and the kernel.
_STARTER = """
import subprocess, sys, time
for line in sys.stdin:
    began = time.perf_counter()
    subprocess.run(["lxc-start", "--name=" + line.strip()], check=True)
    print(time.perf_counter() - began, flush=True)
"""


@contextlib.contextmanager
def starter(host: Host) -> Iterator[Callable[[str], float]]:
    """A process on the host that calls `lxc-start` for a container and tells how many seconds it took."""
    (asked, ask), (told, tell) = os.pipe(), os.pipe()
    running = host.spawn([sys.executable, "-I", "-S", "-c", _STARTER], [asked, tell, 2])
    os.close(asked)
    os.close(tell)
    with open(ask, "w", buffering=1) as questions, open(told) as answers:

        def start(name: str) -> float:
            questions.write(f"{name}\n")
            return float(answers.readline())

        yield start
    running.close()


def starts(lxc: LxcEngine, n: int) -> list[Row]:
    """The same container started by liblxc alone, through the host, and by labkit."""
    box = lxc.create("box", networks=["lan"])

    def bare() -> float:
        box.kill()
        return by_itself("box")

    def through_host() -> float:
        box.kill()
        began = time.perf_counter()
        box.host.run(["lxc-start", "--name=box"], check=True)
        return time.perf_counter() - began

    def ours() -> float:
        box.kill()
        began = time.perf_counter()
        box.start()
        return time.perf_counter() - began

    with starter(box.host) as by_itself:
        rows = interleaved(
            {"lxc-start, a process of the host": bare, "lxc-start, by host.run": through_host, "labkit: start": ours},
            n, floor="lxc-start, by host.run", limits={"labkit: start": Limit(ratio=1.05)},
        )  # fmt: skip
    box.destroy()
    return rows


def many(lxc: LxcEngine, how_many: int) -> float:
    """Seconds until so many, made at once, answer."""
    began = time.perf_counter()
    with ThreadPoolExecutor(how_many) as pool:
        machines = list(pool.map(lambda number: lxc.create(f"m{number}", networks=["lan"]), range(how_many)))
    for machine in machines:
        machine.run(["true"], check=True)
    took = time.perf_counter() - began
    for machine in machines:
        machine.destroy()
    return took


def _timed(act: Callable[[], object]) -> Case:
    """A case that forgets what `act` returns."""

    def case() -> None:
        act()

    return case


def verbs(lxc: LxcEngine, n: int) -> list[Row]:
    """What each verb costs; the floor is an empty command on the host."""
    box = lxc.create("box", networks=["lan"])
    numbers = count()
    box.snapshot("one")

    def create_and_destroy() -> None:
        lxc.create(f"v{secrets.token_hex(3)}").destroy()

    def clone() -> None:
        box.clone(f"v{secrets.token_hex(3)}").destroy()

    def pause_and_resume() -> None:
        box.pause()
        box.resume()

    cases: dict[str, Case] = {
        "host.run(true)": _timed(lambda: box.host.run(["true"])),
        "lxc-attach, by host.run": _timed(lambda: box.host.run(["lxc-attach", "--name=box", "--", "true"])),
        "run(true)": _timed(lambda: box.run(["true"])),
        "refresh": _timed(box.refresh),
        "stats": _timed(box.stats),
        "create, destroy": create_and_destroy,
        "clone, destroy": clone,
        "snapshot": lambda: box.snapshot(f"s{next(numbers)}"),
        "revert": lambda: box.revert("one"),
        "restart": box.restart,
    }
    if "pause" in box.capabilities:
        cases["pause, resume"] = pause_and_resume
    rows = interleaved(cases, n)
    box.destroy()
    return rows


def rows(n: int) -> list[Row]:
    """Starts with 40 n rounds, the rest with n: one in twenty of a start is less than one differs from the next."""
    with Lab(f"bench-{secrets.token_hex(3)}") as lab:
        lab.networks.create("lan")
        lxc = lab["alpha"].lxc
        started = starts(lxc, 40 * n)
        cases: dict[str, Case] = {
            "one, made and answering": lambda: many(lxc, 1),
            "twenty at once": lambda: many(lxc, 20),
        }
        made = interleaved(cases, n)
        return [*started, *made, *verbs(lxc, n)]


if __name__ == "__main__":
    raise SystemExit(main(rows, "containers"))
