"""What a container is made from: checked, kept in its labels, told to Docker."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._run import check_argv
from .._values import check_name, parse_size
from ..errors import InvalidName, InvalidValue, NotSupported
from ._docker_api import LABEL, Api
from .spec import MachineSpec, NetworkInterface

if TYPE_CHECKING:
    from ..hosts.files import HostFiles

RECIPE_LABEL = "labkit.recipe"
_PORT = re.compile(r"(\d{1,5})(?:/(tcp|udp))?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LEAST_MEMORY = 6 * 2**20  # Docker's own
PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class Volume:
    """Files that outlive a container, and where it finds them.

    Attributes
    ----------
    source
        The name of a volume, or the path of a folder on the host.
    target
        A path in the container.
    """

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a container is made from, so that it can be made again from other files.

    Attributes
    ----------
    spec
        The machine.
    reference
        What Docker calls the image.
    command, env
        What it runs; an empty command is the image's own.
    tty
        Whether it has a terminal, on which somebody can type.
    cpus, processes
        The most processors' time and the most processes it may have; 0: as many as it likes.
    ports
        ``{"80/tcp": 8080}``: ports of the container and where the host publishes them.
    volumes, networks
        ``networks`` are Docker's own on this host; those of the lab are in ``spec``.
    privileged, read_only, cap_add, cap_drop, user
        As Docker knows them.
    service
        A DNS name that it shares with others.
    """

    spec: MachineSpec
    reference: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    tty: bool = False
    cpus: float = 0.0
    processes: int = 0
    ports: Mapping[str, int] = field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    networks: tuple[str, ...] = ()
    privileged: bool = False
    read_only: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    user: str = ""
    service: str = ""

    def with_card(self, card: NetworkInterface, *, given_mac: bool = False) -> Recipe:
        """The same with one more connection to a network of the lab; `given_mac`: somebody has chosen it."""
        if self.ports or self.spec.interfaces:
            if given_mac:
                raise no_mac(card.network)
            card = as_docker_does(card)
        return replace(self, spec=replace(self.spec, interfaces=(*self.spec.interfaces, card)))

    def labels(self) -> dict[str, str]:
        """What the container carries, so that every process finds it."""
        return {LABEL: self.spec.name, RECIPE_LABEL: json.dumps(asdict(self))}

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> Recipe:
        """The recipe that a container carries."""
        words = json.loads(labels[RECIPE_LABEL])
        spec = words.pop("spec")
        cards = tuple(NetworkInterface(**card) for card in spec.pop("interfaces"))
        words["volumes"] = tuple(Volume(**volume) for volume in words["volumes"])
        for key in ("command", "networks", "cap_add", "cap_drop"):
            words[key] = tuple(words[key])
        return cls(spec=MachineSpec(**spec, interfaces=cards), **words)

    def host_config(self, api: Api, *, network: str, dns: Sequence[str], runtime: str, init: bool) -> Any:
        """The part of Docker's configuration that is about the host."""
        from docker.types import Mount

        mounts = [
            Mount(volume.target, volume.source, type="bind" if volume.source.startswith("/") else "volume",
                  read_only=volume.read_only) for volume in self.volumes
        ]  # fmt: skip
        limits: dict[str, Any] = {}
        if self.spec.memory_bytes:
            limits |= {"mem_limit": self.spec.memory_bytes, "memswap_limit": self.spec.memory_bytes}
        if self.cpus:
            limits |= {"cpu_period": PERIOD_US, "cpu_quota": round(self.cpus * PERIOD_US)}
        if self.processes:
            limits["pids_limit"] = self.processes
        return api.create_host_config(
            network_mode=network, dns=list(dns) or None, dns_search=["lab"] if dns else None, init=init,
            port_bindings=dict(self.ports), mounts=mounts, privileged=self.privileged, read_only=self.read_only,
            cap_add=list(self.cap_add) or None, cap_drop=list(self.cap_drop) or None, runtime=runtime or None, **limits,
        )  # fmt: skip


def no_mac(network: str) -> NotSupported:
    """The error for a MAC address that Docker cannot give."""
    return NotSupported(
        f"Docker gives a chosen MAC address only on the network that a container is made with, not on {network}",
        hint="leave mac out, or name this network first when it is created",
    )


def as_docker_does(card: NetworkInterface) -> NetworkInterface:
    """The card with the MAC that Docker gives to all but a container's first: it is made from the address."""
    numbers = bytes(map(int, card.address.split("."))).hex(":")
    return replace(card, mac=f"02:42:{numbers}")


def check_command(command: Sequence[str] | None) -> tuple[str, ...]:
    """A command as a tuple; none is the image's own."""
    return () if command is None else tuple(check_argv(command))


def check_env(env: Mapping[str, str]) -> dict[str, str]:
    """Variables, each with a name that can be one."""
    for name, value in env.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or "\0" in str(value):
            raise InvalidValue(f"{ascii(name)[:60]} cannot be set as a variable", hint='write it like {"PORT": "80"}')
    return {name: str(value) for name, value in env.items()}


def check_ports(ports: Mapping[int | str, int | str]) -> dict[str, int]:
    """``{8080: 80}``, the host's port and the container's, as ``{"80/tcp": 8080}``."""
    found: dict[str, int] = {}
    for outer, inner in ports.items():
        words = [_PORT.fullmatch(str(port)) for port in (outer, inner)]
        if not all(word and 0 < int(word[1]) < 65536 for word in words):
            raise InvalidValue(
                f"{ascii(outer)[:40]}: {ascii(inner)[:40]} is no pair of ports",
                hint="write {8080: 80}: the host's port and the container's; for UDP {53: \"53/udp\"}",
            )
        first, second = (word for word in words if word)
        found[f"{second[1]}/{second[2] or first[2] or 'tcp'}"] = int(first[1])
    if len(found) != len(ports):
        raise InvalidValue("a port of the container is published twice", hint="publish each port once")
    return found


def check_volumes(volumes: Mapping[str, str], files: HostFiles) -> tuple[Volume, ...]:
    """``{"data": "/srv", "/home/me/site": "/srv/www:ro"}`` as volumes; the folders are those of the host."""
    found = []
    for source, place in volumes.items():
        target, _, mode = str(place).partition(":")
        if (
            not os.path.isabs(target)
            or mode not in ("", "ro", "rw")
            or "\0" in target
            or os.path.normpath(target) == "/"
        ):
            raise InvalidValue(
                f"{ascii(place)[:60]} is no place in a container for a volume",
                hint='write an absolute path such as "/srv", or "/srv:ro" if nothing may be written',
            )
        if not str(source).startswith("/"):
            check_volume_name(source)
        elif "\0" in source or not files.exists(Path(source)):
            raise InvalidValue(f"there is no folder {ascii(source)[:100]} to show in a container", hint="make it first")
        found.append(Volume(source, os.path.normpath(target), mode == "ro"))
    return tuple(found)


def check_volume_name(name: str) -> str:
    """Return `name` if it can be that of a volume."""
    if len(check_name(name, "name of a volume")) < 2:
        raise InvalidName(f"{name!a} is too short for the name of a volume", hint="Docker wants two letters or more")
    return name


def check_memory(memory: int | str | None) -> int:
    """Bytes; 0 if there is to be no limit."""
    size = 0 if memory is None else parse_size(memory, "memory size")
    if 0 < size < _LEAST_MEMORY:
        raise InvalidValue(f"{size} bytes of memory are too little for a container", hint='give "6 MiB" or more')
    return size


def check_cpus(cpus: float | None, most: int) -> float:
    """Time of `most` processors; 0.0 if there is to be no limit."""
    if cpus is None:
        return 0.0
    if (
        isinstance(cpus, bool)
        or not isinstance(cpus, int | float)
        or not math.isfinite(cpus)
        or not 0.01 <= cpus <= most
    ):
        raise InvalidValue(
            f"{ascii(cpus)[:40]} is not a limit in processors",
            hint=f"0.5 is half a processor, there are {most}; None lifts it",
        )
    return float(cpus)


def check_processes(processes: int | None) -> int:
    """The most processes; 0 if there is to be no limit."""
    if processes is None:
        return 0
    if isinstance(processes, bool) or not isinstance(processes, int) or not 2 <= processes <= 2**22:
        raise InvalidValue(f"{ascii(processes)[:40]} is not a number of processes", hint="give 2 or more")
    return processes


def check_capabilities(names: Iterable[str]) -> tuple[str, ...]:
    """Names of capabilities, such as ``NET_ADMIN``."""
    found = tuple(str(name).upper().removeprefix("CAP_") for name in ([names] if isinstance(names, str) else names))
    for name in found:
        if not re.fullmatch(r"[A-Z][A-Z_]*", name):
            raise InvalidValue(f"{ascii(name)[:40]} is not a capability", hint='write "NET_ADMIN", or "ALL"')
    return found
