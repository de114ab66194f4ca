"""A service: as many containers of a kind as are wanted, behind one name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .._progress import progress
from .._values import check_name
from ..errors import InvalidValue, NotFound
from .spec import NetworkInterface

if TYPE_CHECKING:
    from ._docker_machine import DockerMachine
    from .docker import DockerEngine

_MOST = 200
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class DockerService:
    """Containers that share a DNS name on the networks they are on.

    Attributes
    ----------
    name
        The name that they share.
    machines
        ``name-1``, ``name-2``, …
    """

    docker: DockerEngine
    name: str
    machines: tuple[DockerMachine, ...]

    def scale(self, count: int) -> DockerService:
        """The service with `count` containers."""
        return scale(self.docker, self.name, count, {})

    def destroy(self) -> None:
        """End all of them."""
        self.scale(0)

    def __len__(self) -> int:
        return len(self.machines)

    def __iter__(self) -> Iterator[DockerMachine]:
        return iter(self.machines)

    def __repr__(self) -> str:
        return f"<service {self.name} on {self.docker.host.name}: {len(self)} containers>"


def members(docker: DockerEngine, name: str) -> list[DockerMachine]:
    """The containers of a service, by number."""
    found = [machine for machine in docker.machines() if machine.recipe.service == name]
    return sorted(found, key=lambda machine: int(machine.name.rpartition("-")[2]))


def scale(docker: DockerEngine, name: str, count: int, what: dict[str, Any]) -> DockerService:
    """See `DockerEngine.scale`."""
    check_name(name, "name of a service")
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MOST:
        raise InvalidValue(f"{ascii(count)[:40]} is not a number of containers", hint=f"give 0 to {_MOST}")
    there = members(docker, name)
    if not there and not what and count:
        raise NotFound(f"there is no service {name}", host=docker.host.name,
                       hint=f'scale("{name}", {count}, image=…, networks=[…]) makes it')  # fmt: skip
    if what.get("ports") and count > 1:
        raise InvalidValue("several containers cannot publish the same port",
                           hint="reach them by the service's name on a network")  # fmt: skip
    wanted = {f"{name}-{number}" for number in range(1, count + 1)}
    surplus = [machine for machine in there if machine.name not in wanted]
    missing = sorted(wanted - {machine.name for machine in there}, key=lambda one: (len(one), one))
    with progress(f"scale {name} to {count}", quiet_s=1.0), ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda machine: machine.destroy(), surplus))
        if missing and not there:
            docker.create(missing.pop(0), service=name, **what)
            there = members(docker, name)
        list(pool.map(lambda one: _another(docker, there[0], one), missing))
    return DockerService(docker, name, tuple(members(docker, name)))


def _another(docker: DockerEngine, like: DockerMachine, name: str) -> DockerMachine:
    """One more of a service, like one that it has."""
    spec = replace(like.spec, name=name, interfaces=())
    cards = [NetworkInterface(card.network) for card in like.spec.interfaces]
    return docker.make(replace(like.recipe, spec=spec), cards, time.monotonic() + 180)
