"""Live migration of an idle 128 MiB machine, against `virsh migrate` with the same flags."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from _table import Limit, Row, interleaved, main

from labkit import Lab
from labkit.hosts.base import Host
from labkit.machines._kvm_machine import KvmMachine
from labkit.operations import _kvm, _tls


def away(machine: KvmMachine) -> Host:
    lab = machine.host.lab
    return lab["beta"] if machine.host is lab["alpha"] else lab["alpha"]


def virsh(machine: KvmMachine) -> float:
    """One move by virsh; returns libvirt's downtime in seconds."""
    to = away(machine)
    source, there = (f"qemu+unix:///system?socket={host.kvm.connection_path()}" for host in (machine.host, to))
    machine.host.run(
        ["virsh", "-q", "-c", source, "migrate", "--live", "--unsafe", "--persistent", "--undefinesource",
         "--tls", "--tls-destination", to.name, "--migrateuri", f"tcp://{to.address}",
         "--listen-address", to.address, machine.name, there],
        check=True, timeout_s=120,
    )  # fmt: skip
    (machine.notes / "host").write_text(to.name)
    machine.leaving(to)
    machine.landed(to)
    return _kvm.finished(machine.domain())["downtime"] / 1000


def by_labkit(machine: KvmMachine, *, watch: bool) -> float:
    """One move by labkit; returns libvirt's downtime in seconds."""
    return machine.migrate(away(machine), watch=watch).wait(120).downtime_ms / 1000


def rows(n: int) -> list[Row]:
    with Lab(f"bench-{secrets.token_hex(3)}", hosts=["alpha", "beta"]) as lab:
        lab.networks.create("lan")
        machine = lab["alpha"].kvm.create("web", networks=["lan"])
        lab.networks["lan"].ensure_on(lab["beta"])
        _tls.ensure(lab, list(lab))
        downtimes: dict[str, list[float]] = {}
        gaps: list[float] = []

        def case(name: str, move: Callable[[], float]) -> Callable[[], None]:
            def moved() -> None:
                downtimes.setdefault(name, []).append(move())

            return moved

        def watched() -> float:
            result = machine.migrate(away(machine)).wait(120)
            gaps.append(result.client.longest_gap_ms / 1000 if result.client else 0.0)
            return result.downtime_ms / 1000

        cases = {
            "virsh migrate": case("virsh migrate", lambda: virsh(machine)),
            "migrate": case("migrate", lambda: by_labkit(machine, watch=False)),
            "migrate, with a client": case("migrate, with a client", watched),
        }
        found = interleaved(cases, n, limits={"migrate": Limit(ratio=1.05)})
        medians = {name: sorted(times[1:])[len(times) // 2 - 1] for name, times in downtimes.items()}
        floor = medians["virsh migrate"]
        stood = [
            Row(f"{name}: stood still", medians[name], min(times[1:]), max(times[1:]), floor)
            for name, times in downtimes.items()
        ]
        gap = sorted(gaps[1:])[len(gaps) // 2 - 1]
        return [*found, *stood, Row("longest gap of the client", gap, min(gaps[1:]), max(gaps[1:]), floor)]


if __name__ == "__main__":
    # Fewer rounds do not tell: one move takes 1 to 4 s, by how much the guest writes.
    raise SystemExit(main(rows, "Live migration, 128 MiB, idle, over TLS", default_n=20))
