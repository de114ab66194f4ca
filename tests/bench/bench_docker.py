"""Docker: starting, making and using containers against bare calls of the docker package, in turn."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from _table import Limit, Row, interleaved, main

from labkit import Lab
from labkit.machines.docker import DockerEngine

MANY = 20
AT_ONCE = 4


def fresh() -> str:
    return f"b{secrets.token_hex(3)}"


def bare_create(docker: DockerEngine, name: str) -> None:
    """What `create` asks of Docker, and nothing else."""
    api = docker.api()
    made = api.create_container(
        "small", name=name, hostname=name, detach=True, tty=True, stdin_open=True, stop_signal="SIGHUP",
        host_config=api.create_host_config(init=True, network_mode="none"),
    )  # fmt: skip
    api.start(made["Id"])


def timed(act: Callable[[], object], undo: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    took = time.perf_counter() - began
    undo()
    return took


def many(make: Callable[[str], object], remove: Callable[[str], object]) -> float:
    """Seconds for twenty, four at a time."""
    names = [fresh() for _ in range(MANY)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        took = timed(lambda: list(pool.map(make, names)), lambda: None)
        list(pool.map(remove, names))
    return took


def starts(docker: DockerEngine, n: int) -> list[Row]:
    """Starting one that was made before: on a network of the lab, and alone."""
    found = []
    for what, networks in (("on a lab network", ["lan"]), ("alone", [])):
        one, two = (docker.create(fresh(), networks=networks) for _ in range(2))
        for machine in (one, two):
            machine.kill()
        bare, ours = f"docker package: start, {what}", f"labkit: start, {what}"
        found += interleaved(
            {
                bare: partial(timed, partial(docker.api().start, one.container), one.kill),
                ours: partial(timed, two.start, two.kill),
            },
            5 * n,
            limits={ours: Limit(ratio=1.05)},
        )
        for machine in (one, two):
            machine.destroy()
    return found


def creates(docker: DockerEngine, n: int) -> list[Row]:
    """Making and starting: one, and twenty."""
    api = docker.api()

    def remove(name: str) -> None:
        api.remove_container(name, force=True)

    def one_bare() -> float:
        name = fresh()
        return timed(lambda: bare_create(docker, name), lambda: remove(name))

    def one_ours(**what: Any) -> float:
        name = fresh()
        return timed(partial(docker.create, name, **what), lambda: docker[name].destroy())  # noqa: PLW0108  not there yet

    one = interleaved(
        {
            "docker package: create and start": one_bare,
            "labkit: create": one_ours,
            "labkit: create, a command that is watched": lambda: one_ours(command=["sleep", "999"]),
            "labkit: create, on a lab network": lambda: one_ours(networks=["lan"]),
        },
        3 * n,
    )
    twenty = interleaved(
        {
            f"docker package: {MANY}, {AT_ONCE} at a time": lambda: many(
                lambda name: bare_create(docker, name), remove
            ),
            f"labkit: {MANY}, {AT_ONCE} at a time": lambda: many(docker.create, lambda name: docker[name].destroy()),
        },
        max(1, n // 2),
    )
    return [*one, *twenty]


def verbs(docker: DockerEngine, n: int) -> list[Row]:
    """What a verb costs above the bare call."""
    machine = docker.create(fresh(), networks=["lan"])
    api = docker.api()

    def bare_run() -> None:
        made = api.exec_create(machine.container, ["true"])
        api.exec_start(made["Id"])
        api.exec_inspect(made["Id"])

    found = interleaved(
        {"docker package: exec": bare_run, "labkit: run": lambda: machine.run(["true"]) and None}, 5 * n
    )
    found += interleaved(
        {
            "docker package: stats, one shot": lambda: (
                api.stats(machine.container, stream=False, one_shot=True) and None
            ),
            "labkit: stats": lambda: machine.stats() and None,
        },
        5 * n,
    )

    machine.destroy()
    return found


def rows(n: int) -> list[Row]:
    """Starts with five times n rounds, creation with three times n, twenty at once with half of n."""
    with Lab(f"bench-{secrets.token_hex(3)}") as lab:
        lab.networks.create("lan")
        docker = lab["alpha"].docker
        docker.create(fresh(), networks=["lan"]).destroy()  # brings the image in
        return [*starts(docker, n), *creates(docker, n), *verbs(docker, n)]


if __name__ == "__main__":
    raise SystemExit(main(rows, "Docker"))
