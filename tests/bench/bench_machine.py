"""Machines: instant against cold, and a verb against the bare call of libvirt-python."""

from __future__ import annotations

import secrets
import time

from _table import Limit, Row, interleaved, main

from labkit import Lab
from labkit.machines.kvm import KvmEngine


def _create(kvm: KvmEngine, *, instant: bool) -> float:
    """Seconds from the call until the machine has answered to `run`."""
    began = time.perf_counter()
    machine = kvm.create(f"b{secrets.token_hex(3)}", networks=["lan"], instant=instant)
    machine.run(["true"], check=True)
    took = time.perf_counter() - began
    machine.destroy()
    return took


def _many(kvm: KvmEngine, count: int) -> float:
    """Seconds a machine when `count` are made one after the other and stay."""
    began = time.perf_counter()
    machines = [kvm.create(f"b{secrets.token_hex(3)}", networks=["lan"]) for _ in range(count)]
    took = (time.perf_counter() - began) / count
    for machine in machines:
        machine.destroy()
    return took


def rows(n: int) -> list[Row]:
    """Creation with n rounds, verbs with 20 times as many."""
    with Lab(f"bench-{secrets.token_hex(3)}") as lab:
        lab.networks.create("lan")
        kvm = lab["alpha"].kvm
        _create(kvm, instant=True)  # makes the template, if there is none
        created = interleaved(
            {
                "cold boot": lambda: _create(kvm, instant=False),
                "instant": lambda: _create(kvm, instant=True),
                "instant, one of four": lambda: _many(kvm, 4),
            },
            n,
            limits={"instant": Limit(ratio=1 / 3)},
        )
        machine = kvm.create("verbs")
        domain = machine.domain()

        def bare() -> None:
            domain.suspend()
            domain.resume()

        def ours() -> None:
            machine.pause()
            machine.resume()

        verbs = interleaved(
            {"libvirt-python: suspend, resume": bare, "labkit: pause, resume": ours},
            20 * n,
            limits={"labkit: pause, resume": Limit(more_s=0.002)},
        )
        machine.destroy()
    return [*created, *verbs]


if __name__ == "__main__":
    raise SystemExit(main(rows, "machines"))
