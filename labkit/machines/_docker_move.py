"""What carries a container of Docker to another host: its image, its layer, its volumes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from docker import errors

from ..errors import EngineError, LabError, NotSupported
from ..operations._carrier import Carrier
from ..operations._flow import PUT, TAKE
from ..operations.spec import Obstacle
from . import _docker_checkpoint
from ._docker_api import TROUBLE, Api, spoken
from ._docker_machine import CLONES, SNAPSHOTS, has_limits
from ._docker_recipe import Recipe

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..operations._flow import Flow
    from ._docker_machine import DockerMachine

_WHOLE_S = 600
MEMORY = "labkit-move"  # what the checkpoint of a move is called
_CHUNK_BYTES = 1 << 20
_LIMITS = {
    "Memory": "mem_limit", "MemorySwap": "memswap_limit", "CpuPeriod": "cpu_period", "CpuQuota": "cpu_quota",
    "CpusetCpus": "cpuset_cpus",
}  # fmt: skip
# What Docker put there when it made the container or the volume is part of what comes.
_PUT = """
cd "$1"
find . -mindepth 1 -delete
shift
exec "$@"
"""
Told = dict[str, Any]


class DockerCarrier(Carrier):
    """Carries a container's image with its snapshots while it runs, then its layer and volumes."""

    machine: DockerMachine

    def __init__(self, machine: DockerMachine, to: Host) -> None:
        self.machine, self.source, self.to = machine, machine.host, to

    @cached_property
    def _told(self) -> Told:
        """What Docker tells of the container at the source."""
        with spoken(self.source, self.machine.name):
            told: Told = self.source.docker.api().inspect_container(self.machine.container)
        return told

    @cached_property
    def _recipe(self) -> Recipe:
        """What it is made from by now: it may have been reverted, and its connections may have changed."""
        recipe = Recipe.from_labels(self._told["Config"]["Labels"])
        return replace(recipe, spec=replace(recipe.spec, interfaces=self.machine.spec.interfaces))

    @property
    def _volumes(self) -> list[str]:
        """The names of its volumes, without folders of the host."""
        return [volume.source for volume in self.machine.recipe.volumes if not volume.source.startswith("/")]

    # What stands in the way

    def obstacles(self) -> Iterator[Obstacle]:
        name, to = self.machine.name, self.to
        if not self._layer(self._told):
            yield Obstacle(f"Docker keeps the files of {name} by {self._told['GraphDriver']['Name']}", "clone() it")
        for network in self._recipe.networks:
            if network not in to.docker.networks:
                hint = f'lab["{to.name}"].docker.networks.create("{network}")'
                yield Obstacle(f"{to.name} has no network {network} of Docker's own", hint)
        for volume in self._volumes:
            if volume in to.docker.volumes:
                hint = f'lab["{to.name}"].docker.volumes.remove("{volume}"), if nobody needs what is in it'
                yield Obstacle(f"{to.name} has a volume {volume} already", hint)
            if others := self._others_with(volume):
                told = f"the volume {volume} is also {', '.join(others)}'s, which keeps what is in it now"
                yield Obstacle(told, "from then on there are two of it", stops=False)
        for folder in (volume.source for volume in self._recipe.volumes if volume.source.startswith("/")):
            if not to.run(["test", "-e", folder]).ok:
                yield Obstacle(f"{to.name} has no {folder}, which {name} shows inside", "make it there")

    def _others_with(self, volume: str) -> list[str]:
        machines = self.source.docker.machines()
        return [
            machine.name for machine in machines
            if machine.name != self.machine.name and any(one.source == volume for one in machine.recipe.volumes)
        ]  # fmt: skip

    def measure(self) -> int:
        parts = [place for place in (self._layer(self._told), *_volumes_in(self._told).values()) if place]
        told = self.source.run(["du", "-sbxc", *parts], timeout_s=_WHOLE_S)
        lines = told.stdout.splitlines()
        files = int(lines[-1].split()[0]) if lines else 0
        return files + sum(self._missing_images().values())

    @staticmethod
    def _layer(told: Told) -> str:
        """Where what the container has changed of its image's files lies; "" if Docker has no such folder."""
        data = told["GraphDriver"].get("Data") or {}
        return str(data.get("UpperDir", ""))

    # Images

    def _missing_images(self) -> dict[str, int]:
        """What has to come along: images by the names to ask for them, and the size of each in bytes once."""
        with spoken(self.source, self.machine.name):
            wanted = list(self._images(self.source.docker.api()))
        found: dict[str, int] = {}
        with spoken(self.to, self.machine.name):
            there = self.to.docker.api()
            for name, told in wanted:
                if name not in found and not _is_there(there, name):
                    # A name that the destination has given to another image stays that one's.
                    tags = [tag for tag in told["RepoTags"] or () if not _is_there(there, tag)]
                    found |= dict.fromkeys(tags or [name], 0)
                    found[(tags or [name])[0]] = told["Size"]
        return found

    def _images(self, api: Api) -> Iterator[tuple[str, Told]]:
        """The image that it is made from, and its snapshots: what they are called, and what Docker tells of them."""
        yield self._recipe.reference, api.inspect_image(self._recipe.reference)
        mine = f"{SNAPSHOTS}:{self.machine.name}."
        for image in api.images(filters={"reference": [f"{mine}*"]}):
            told = api.inspect_image(image["Id"])
            yield from ((tag, told) for tag in told["RepoTags"] or () if tag.startswith(mine))

    def _bring_images(self, flow: Flow) -> None:
        """Stream them from the one daemon to the other, as `docker save | docker load` does."""
        names = list(self._missing_images())
        if not names:
            return
        with spoken(self.source, self.machine.name):
            here = self.source.docker.api()
            answer = here._get(here._url("/images/get"), params={"names": names}, stream=True)  # noqa: SLF001  docker-py saves one
            here._raise_for_status(answer)  # noqa: SLF001
        with contextlib.closing(answer), spoken(self.to, self.machine.name):
            parts = answer.iter_content(_CHUNK_BYTES)
            try:
                told = list(self.to.docker.api().load_image(flow.through(parts)))
            except TROUBLE as error:
                raise flow.failure or error from error
            for line in told:
                if "error" in line:
                    raise EngineError(f"Docker: {line['error']}", host=self.to.name, machine=self.machine.name)

    # How it goes

    def prepare(self, flow: Flow) -> None:
        self.clear(self.to)  # left there by a move during which two things died
        flow.phase = "copying its image"
        self._bring_images(flow)
        docker = self.to.docker
        with spoken(self.to, self.machine.name):
            for card in self._recipe.spec.interfaces:
                docker.networks.know(self.to.lab.networks[card.network])
            docker.make_container(self._recipe, self.machine.container)
            self._limit(docker.api())

    def _limit(self, api: Api) -> None:
        """Give it the limits that were changed since it was made."""
        has = api.inspect_container(self.machine.container)["HostConfig"]
        wanted = self._told["HostConfig"]
        changes = {word: wanted[key] for key, word in _LIMITS.items() if wanted[key] != has[key]}
        if changes and has_limits(self.to):
            api.update_container(self.machine.container, **changes)

    def copy(self, flow: Flow) -> None:
        with spoken(self.to, self.machine.name):
            there = self.to.docker.api().inspect_container(self.machine.container)
        mine, theirs = _volumes_in(self._told), _volumes_in(there)
        pairs = [(self._layer(self._told), self._layer(there))]
        pairs += [(place, theirs[target]) for target, place in mine.items() if target in theirs]
        for source, target in pairs:
            put = ["sh", "-euc", _PUT, "labkit", target, *PUT]
            flow.copy(self.source, [*TAKE, f"--directory={source}", "."], self.to, put)

    def begin(self, deadline: float) -> None:
        self.machine.start_watched(deadline)

    def ending(self, host: Host) -> list[str]:
        return self._leaving(host, certain=False)

    def _leaving(self, host: Host, *, certain: bool) -> list[str]:
        """The command that removes it; `certain`: nobody is just making it."""
        name = self.machine.name
        more = {
            "volumes": self._volumes, "images": [f"{SNAPSHOTS}:{name}.*", f"{CLONES}:{name}"], "certain": certain,
        }  # fmt: skip
        return host.docker.argv("leave", self.machine.container, json.dumps(more))

    def clear(self, host: Host) -> None:
        with contextlib.suppress(LabError):  # the host may have ended
            host.run(self._leaving(host, certain=True))

    def starting(self, *, frozen: bool) -> list[str]:
        return self.source.docker.argv("start", self.machine.container, *([MEMORY] if frozen else []))

    # Its memory

    def why_not_live(self) -> tuple[str, str] | None:
        if self._recipe.tty:
            return "CRIU does not take a terminal along", "it needs none with create(…, command=[…])"
        for host in (self.source, self.to):
            try:
                _docker_checkpoint.require_criu(host, self.machine.name)
            except NotSupported as error:
                installed = error.hint.partition("; ")[0] if "installed" in error.message else ""
                return f"{error.message.partition(': ')[2]} on {host.name}", installed
            with spoken(host, self.machine.name):
                if not host.docker.api().info()["ExperimentalBuild"]:
                    return f"the dockerd of {host.name} has run since before criu was installed", "open the lab anew"
        return None

    def memory_bytes(self) -> int:
        return self.machine.stats().memory_bytes

    def freeze(self) -> None:
        for host in (self.source, self.to):
            _docker_checkpoint.allow_connections(host)
        self.forget_memory()
        try:
            with spoken(self.source, self.machine.name):
                api = self.source.docker.api()
                _docker_checkpoint.save(api, self.machine.container, MEMORY, leave_running=False)
        except EngineError as error:
            raise _docker_checkpoint.explained(error, self.source) from error

    def copy_memory(self, flow: Flow) -> None:
        places = []
        for host in (self.source, self.to):
            with spoken(host, self.machine.name):
                places.append(str(_docker_checkpoint.folder(host.docker.api(), self.machine.container, MEMORY)))
        put = ["sh", "-euc", 'mkdir -p "$1"; cd "$1"; shift; exec "$@"', "labkit", places[1], *PUT]
        flow.copy(self.source, [*TAKE, f"--directory={places[0]}", "."], self.to, put)

    def thaw(self, deadline: float) -> None:
        self.machine.start_watched(deadline, checkpoint=MEMORY)

    def forget_memory(self) -> None:
        with contextlib.suppress(LabError), spoken(self.machine.host, self.machine.name):
            _docker_checkpoint.forget(self.machine.api(), self.machine.container, MEMORY)


def _is_there(api: Api, name: str) -> bool:
    try:
        api.inspect_image(name)
    except errors.NotFound:
        return False
    return True


def _volumes_in(told: Told) -> dict[str, str]:
    """Where a container's volumes are on its host, by the places where it sees them."""
    return {mount["Destination"]: mount["Source"] for mount in told["Mounts"] if mount["Type"] == "volume"}
