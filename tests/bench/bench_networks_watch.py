"""Who reaches whom, of twenty machines, against one ping; a capture's beginning and end against tcpdump's own."""

from __future__ import annotations

import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

from _table import Limit, Row, interleaved, main

from labkit import Lab
from labkit.machines.base import Machine

MACHINES = 20


def connectivity(lab: Lab, kind: str, n: int) -> list[Row]:
    """All pairs of many containers, with and without two ports."""
    engine = getattr(lab["alpha"], kind)
    count = int(os.environ.get("LABKIT_BENCH_MACHINES", MACHINES))
    with ThreadPoolExecutor(4) as pool:
        made: list[Machine] = list(pool.map(lambda k: engine.create(f"{kind}{k}", networks=["lan"]), range(count)))
    target = made[1].addresses[0]
    pairs = f"{count * (count - 1)} pairs of {count} {kind} machines"

    def one_ping() -> None:
        made[0].run(["ping", "-c", "1", "-W", "5", target], check=True)

    def all_pairs(*ports: int) -> float:
        found = lab.connectivity(made, ports=ports, timeout_s=30)  # all do answer, however late
        missing = [pair for pair in found.pairs if not found.reaches(*pair)]
        assert not missing, [row.why for pair in missing for row in found.between(*pair)]
        return found.took_s

    rows = interleaved(
        {f"one ping, {kind}": one_ping, pairs: all_pairs, f"{pairs}, 2 ports": lambda: all_pairs(8080, 8081)}, n,
        limits={pairs: Limit(seconds=10)},
    )  # fmt: skip
    for machine in made:
        machine.destroy()
    return rows


def capture(lab: Lab, n: int) -> list[Row]:
    """Beginning and end of a capture; the floor is a tcpdump that ends by itself at the first packet."""
    lan, host = lab.networks["lan"], lab["alpha"]
    bare = ["sh", "-c", 'tcpdump -Z root -w /dev/null --immediate-mode -i "$1" & sleep 0.05; kill -INT $!; wait', "x"]

    def ours() -> float:
        began = time.perf_counter()
        with lan.capture():
            pass
        return time.perf_counter() - began

    cases = {"tcpdump for 50 ms": lambda: host.run([*bare, lan.bridge]).duration_s, "with network.capture()": ours}
    return interleaved(cases, n, limits={"with network.capture()": Limit(more_s=0.5)})


def rows(n: int) -> list[Row]:
    with Lab(f"bench-{secrets.token_hex(3)}") as lab:
        lab.networks.create("lan")
        kinds = os.environ.get("LABKIT_BENCH_ENGINES", "lxc").split()
        measured = [row for kind in kinds for row in connectivity(lab, kind, n)]
        return [*measured, *capture(lab, n)]


if __name__ == "__main__":
    raise SystemExit(main(rows, "Who reaches whom, and captures", default_n=5))
