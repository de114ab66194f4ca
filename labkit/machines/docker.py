"""Docker containers on a host, by a dockerd of the host's own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker import errors

from .._progress import progress
from .._values import check_name, parse_duration
from ..errors import DaemonFailed, InvalidValue, LabError, LabGone, NotFound, NotSupported
from ..hosts import _dockerd
from ..hosts._checks import program_on
from ..hosts._libvirtd import answers
from ..hosts._runc import lacking
from . import _docker_api
from ._cards import CAME_AT_REST
from ._docker_api import LABEL, TROUBLE, Api, spoken, state_in_list, state_of
from ._docker_cards import kept_cards
from ._docker_images import DockerImages
from ._docker_machine import CLONES, SNAPSHOTS, DockerMachine, container_name, has_limits
from ._docker_networks import DockerNetworks, DockerVolumes, name_in_docker
from ._docker_recipe import (
    Recipe,
    check_capabilities,
    check_command,
    check_cpus,
    check_env,
    check_memory,
    check_ports,
    check_processes,
    check_volumes,
)
from ._docker_service import DockerService, scale
from .base import machine_folder
from .engine import Engine, Field, NetworksWanted
from .spec import MachineSpec, NetworkInterface, Sample

if TYPE_CHECKING:
    from ..hosts.base import Host

_ASIDE = Path(__file__).with_name("_docker_inside.py")
_SHELLS = ("sh", "ash", "dash", "bash", "zsh", "busybox")


class DockerEngine(Engine[DockerMachine]):
    """The containers of a host: ``host.docker``."""

    kind = "docker"
    asks_dhcp = False

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._api: Api = None
        self._events: Any = None
        self._names: dict[str, str] = {}  # of containers that were seen running, by their ids

    # The connection

    def api(self) -> Api:
        """The client of the ``docker`` package; starts the host's dockerd if it does not run."""
        self.host.lab.touch()
        with self._lock:
            if self._api is None:
                self._api = self._connect()
            return self._api

    def _connect(self) -> Api:
        socket = self.host.start_docker()
        with spoken(self.host):
            api = _docker_api.connect(socket)
            self._events = _docker_api.follow(api, self._on_event, lambda: self._hung_up(api))
            for entry in api.containers(all=True, filters={"label": LABEL}):
                self._told(entry["Labels"][LABEL], state_in_list(entry))
        return api

    def _on_event(self, name: str, what: str) -> None:
        """Docker says (in a thread of its own) that something happened to a container."""
        api = self._api
        if api is None:
            return
        try:
            # Not from the list, which may know later than the event tells.
            self._told(name, state_of(api.inspect_container(container_name(name))))
        except errors.NotFound:
            machine = self._machines.get(name)
            if what == "destroy" and (machine is None or machine.host is self.host):
                self._told_gone(name)

    def _hung_up(self, api: Api) -> None:
        with self._lock:
            if self._api is not api:
                return
            self._api = None
        self._lost()

    def drop(self) -> None:
        """Docker has hung up: the next use connects anew, to a daemon that is started again if it ended."""
        if api := self._api:
            self._hung_up(api)

    def close(self) -> None:
        with self._lock:
            api, self._api = self._api, None
            events, self._events = self._events, None
        if events is not None:
            with contextlib.suppress(*TROUBLE):  # the daemon may have ended
                events.close()
        if api is not None:
            api.close()

    # What it has besides machines

    @cached_property
    def images(self) -> DockerImages:
        """The images on this host: made, built, pulled."""
        return DockerImages(self)

    @cached_property
    def networks(self) -> DockerNetworks:
        """Docker's own networks on this host."""
        return DockerNetworks(self)

    @cached_property
    def volumes(self) -> DockerVolumes:
        """The volumes on this host."""
        return DockerVolumes(self)

    # Machines

    def create(
        self, name: str, *, image: str = "small", command: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None, memory: int | str | None = None, cpus: float | None = None,
        processes: int | None = None, networks: NetworksWanted = (), ports: Mapping[int | str, int | str] | None = None,
        volumes: Mapping[str, str] | None = None, privileged: bool = False, read_only: bool = False,
        cap_add: Iterable[str] = (), cap_drop: Iterable[str] = (), user: str = "", tty: bool | None = None,
        service: str = "", timeout_s: float = 180,
    ) -> DockerMachine:  # fmt: skip
        """Make a container and return when it runs.

        Parameters
        ----------
        name
            Unique in the lab.
        image
            ``"small"``, the lab's own, or one of ``host.docker.images``.
        command
            What it runs: argv. By default what the image says; ``small`` runs a shell on a terminal.
        env
            Variables of the command.
        memory, cpus, processes
            The most it may have: bytes or words such as ``"64 MiB"``; processors' time such as 0.5;
            a number of processes.
        networks
            Names of the lab's networks or of ``host.docker.networks``; without one it is alone.
        ports
            ``{8080: 80}``: the host's port 8080 leads to its port 80.
        volumes
            ``{"data": "/srv"}``: a volume, or a folder of the host by its path; ``"/srv:ro"`` to read only.
        privileged, read_only, cap_add, cap_drop, user
            As Docker knows them: all rights, files that cannot be changed, capabilities, a user.
        tty
            Whether it has a terminal; by default if no command is given.
        service
            A DNS name that it shares with others; `scale` makes several.
        timeout_s
            Seconds for all of it.

        Raises
        ------
        InvalidName, InvalidValue, NameInUse, NotFound, NotSupported, Busy, NotEnoughDisk, PackageMissing,
        DaemonFailed, EngineError
        """
        deadline = time.monotonic() + parse_duration(timeout_s, "time limit")
        in_lab, own = self._sort_networks(name, networks)
        words = check_command(command)
        spec = MachineSpec(name, image, check_memory(memory), len(self.host.processors), 0)
        recipe = Recipe(
            spec, "", words, check_env(env or {}), not words if tty is None else tty,
            check_cpus(cpus, len(self.host.processors)), check_processes(processes), check_ports(ports or {}),
            check_volumes(volumes or {}, self.host.files), tuple(own),
            privileged, read_only, check_capabilities(cap_add), check_capabilities(cap_drop), user,
            check_name(service, "name of a service") if service else "",
        )  # fmt: skip
        self._check_limits(recipe)
        return self.make(recipe, in_lab, deadline)

    def _sort_networks(self, name: str, networks: NetworksWanted) -> tuple[list[NetworkInterface], list[str]]:
        """The connections to the lab's networks among those given, and the names of Docker's own."""
        given = [networks] if isinstance(networks, str | NetworkInterface) else list(networks)
        lab = self.host.lab.networks
        own = [check_name(one, "name of a network") for one in given if isinstance(one, str) and one not in lab]
        in_lab = self._check_names(name, [one for one in given if one not in own])
        if len(set(own)) != len(own):
            raise InvalidValue("a network is given twice", hint="name each network once")
        return in_lab, [self.networks[network].name for network in own]

    def _check_limits(self, recipe: Recipe) -> None:
        if has_limits(self.host) or not (recipe.spec.memory_bytes or recipe.cpus or recipe.processes):
            return
        reason, instead = DockerMachine(self, recipe)._reasons()["limits"]  # noqa: SLF001
        raise NotSupported(f"limits are not possible: {reason}", hint=instead, host=self.host.name)

    def make(self, recipe: Recipe, cards: Sequence[NetworkInterface], deadline: float) -> DockerMachine:
        """Reserve, make, start: all or nothing."""
        name = recipe.spec.name
        with progress(f"create {name}", quiet_s=1.0):
            self.api()  # before an image is made for nothing
            recipe = recipe if recipe.reference else replace(recipe, reference=self.images.resolve(recipe.spec.image))
            with self._reserved(recipe.spec, self._undo(name)) as made:
                for card in cards:
                    made.append(card.network)
                    recipe = recipe.with_card(self._join(name, card), given_mac=bool(card.mac))
                    self.networks.know(self.host.lab.networks[card.network])
                machine = self._machines[name] = DockerMachine(self, recipe)
                # DNS is told while Docker starts the container.
                with machine.acting("create") as task, self._announced(recipe.spec), spoken(self.host, name):
                    task.phase("making the container")
                    self.make_container(recipe, container_name(name))
                    task.phase("starting it")
                    machine.start_watched(deadline)
                self.host.lab.journal("machine", machine=name, host=self.host.name, engine="docker")
            return machine

    def make_container(self, recipe: Recipe, container: str) -> None:
        """Have Docker make the container, connected to all that it is to be on."""
        api = self.api()
        ends = self.networks.endpoints(recipe)
        first = next(iter(ends), "none")
        runtime = _dockerd.STRIPPED_RUNTIME if recipe.privileged and lacking() else ""
        config = recipe.host_config(
            api, network=first, dns=self.networks.gateways(recipe), runtime=runtime,
            init=bool(program_on(self.host, "docker-init")),
        )  # fmt: skip
        api.create_container(
            recipe.reference, list(recipe.command) or None, name=container, hostname=recipe.spec.name, detach=True,
            tty=recipe.tty, stdin_open=recipe.tty, environment=dict(recipe.env), labels=recipe.labels(),
            user=recipe.user or None, ports=[tuple(port.split("/")) for port in recipe.ports], host_config=config,
            networking_config={"EndpointsConfig": {first: ends[first]}} if ends else None,
            mac_address=ends[first].get("MacAddress") if ends else None,
            stop_signal="SIGHUP" if self._runs_a_shell(recipe) else None,  # on a terminal it minds no other
        )  # fmt: skip
        for network, end in list(ends.items())[1:]:
            api.connect_container_to_network(
                container, network, aliases=end.get("Aliases"),
                ipv4_address=end.get("IPAMConfig", {}).get("IPv4Address"),
            )  # fmt: skip

    def _runs_a_shell(self, recipe: Recipe) -> bool:
        """Whether a container will run a shell on a terminal: only the image knows, if it was given no command."""
        if recipe.command or not recipe.tty:
            return False
        config = self.api().inspect_image(recipe.reference)["Config"]
        words = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
        # `sh -c …` is what the shell form of CMD becomes: some other program.
        return bool(words) and Path(words[0]).name in _SHELLS and "-c" not in words

    def create_like(self, machine: DockerMachine, name: str) -> DockerMachine:
        """Make a machine with the files of another."""
        recipe = machine.recipe
        cards = self._check_names(name, [card.network for card in recipe.spec.interfaces])
        reference = machine.commit(CLONES, name)
        spec = replace(recipe.spec, name=name, interfaces=())
        try:
            return self.make(replace(recipe, spec=spec, reference=reference, ports={}), cards, time.monotonic() + 180)
        except BaseException:
            self._remove_images(f"{CLONES}:{name}")
            raise

    def replace(self, machine: DockerMachine, recipe: Recipe) -> None:
        """Put a container made by `recipe` into the place of a machine's."""
        fresh, old = (f"{machine.name}.{word}" for word in ("next", "old"))
        with spoken(self.host, machine.name):
            api = self.api()
            for left in (fresh, old):
                with contextlib.suppress(errors.NotFound):  # a call that was cut off may have left it
                    api.remove_container(left, force=True)
            # Addresses are taken when it starts, so both can be there.
            self.make_container(recipe, fresh)
            api.rename(machine.container, old)
            api.rename(fresh, machine.container)
            api.remove_container(old, force=True)

    def _undo(self, name: str) -> list[list[str]]:
        """What the host does should this process die while it makes a machine."""
        return [self.argv("remove", container_name(name)), ["rm", "-rf", "--", str(machine_folder(self.host, name))]]

    def disconnecting(self, container: str, network: str) -> list[str]:
        """What the host does to take a container from a network of the lab: argv."""
        name = name_in_docker(self.host.lab.networks[network])
        return self.argv("disconnect", container, name)

    def argv(self, what: str, *words: str) -> list[str]:
        """What the host does beside its dockerd, which it asks by itself; see `_docker_inside`."""
        return self._aside(what, str(self.host.socket_there("docker.sock")), *words)

    def inside(self, what: str, *words: str) -> str:
        """Have something done on the host itself; see `_docker_inside`."""
        return self.host.run(self._aside(what, *words), check=True).stdout

    def _aside(self, what: str, *words: str) -> list[str]:
        return [*self.host.python, "-I", "-S", self.host.program(_ASIDE), what, *words]

    def forget(self, name: str, networks: Iterable[str]) -> None:
        try:
            self._remove(name)
        except (DaemonFailed, LabGone):  # it is started again, and then knows what it had
            with contextlib.suppress(LabError):
                self._remove(name)
        except LabError:
            if self.host.is_alive and program_on(self.host, _dockerd.DAEMON):
                raise
        self._release(name, networks)
        self._remove_folder(name)
        self._told_gone(name)

    def _remove(self, name: str) -> None:
        with spoken(self.host, name):
            api = self.api()
            for entry in api.containers(all=True, filters={"label": f"{LABEL}={name}"}):
                try:
                    api.remove_container(entry["Id"], force=True, v=True)
                except errors.APIError as error:
                    if error.status_code not in (404, 409):  # those: somebody else is removing it, too
                        raise
            self._remove_images(f"{SNAPSHOTS}:{name}.*", f"{CLONES}:{name}")

    def _remove_images(self, *references: str) -> None:
        api = self.api()
        for image in api.images(filters={"reference": list(references)}):
            for tag in image["RepoTags"] or ():
                with contextlib.suppress(errors.APIError):  # a clone of it may be in use: then its files stay
                    api.remove_image(tag)

    def scale(self, name: str, count: int, **what: Any) -> DockerService:
        """Have `count` containers ``name-1``, ``name-2``, … that share the DNS name `name`.

        Containers of this host that are on one of their networks know the shared name; the name of
        each is known on all of a lab network, as with every machine.

        Parameters
        ----------
        name
            The service's name.
        count
            How many there are to be; 0 ends it. Those that are there already stay.
        what
            As for `create`, when the first are made; later ones are like the first.
        """
        return scale(self, name, count, what)

    def __getitem__(self, name: str) -> DockerMachine:
        check_name(name, "name of a machine")
        for machine in self._listed({"label": f"{LABEL}={name}"}):
            return machine
        raise NotFound(
            f"there is no container {name}", host=self.host.name, hint="lab.machines() lists those there are"
        )

    def machines(self) -> list[DockerMachine]:
        return sorted(self._listed({"label": LABEL}), key=lambda machine: machine.name)

    def _listed(self, filters: dict[str, str]) -> list[DockerMachine]:
        with spoken(self.host):
            told = self.api().containers(all=True, filters=filters)
        return [self._known(entry) for entry in told if self._counts(entry)]

    def _counts(self, entry: dict[str, Any]) -> bool:
        """Whether it is a machine of this host, and not one that is being made here."""
        name = entry["Labels"][LABEL]
        # What has never run is only being made, unless it has come at rest.
        made = entry["State"] != "created" or (machine_folder(self.host, name) / CAME_AT_REST).exists()
        return made and self._has(name)

    def _known(self, entry: dict[str, Any]) -> DockerMachine:
        """One object a machine, so that events reach the one that is held."""
        recipe = Recipe.from_labels(entry["Labels"])
        if (cards := kept_cards(machine_folder(self.host, recipe.spec.name))) is not None:
            recipe = replace(recipe, spec=replace(recipe.spec, interfaces=cards))
        machine = self._machines.get(recipe.spec.name)
        if machine is None or machine.spec != recipe.spec:
            machine = self._machines[recipe.spec.name] = DockerMachine(self, recipe)
            machine.told(state_in_list(entry))
        return machine

    @property
    def by_cgroups(self) -> bool | None:
        return has_limits(self.host)

    def samples(self, told: dict[str, Any] | None = None) -> dict[str, Sample]:
        return {} if self._api is None else self.counters(told=told)  # a reading starts no daemon

    def look(self) -> None:
        if self._api is None and answers(self.host.sockets / "docker.sock"):
            self.api()

    def form_fields(self) -> list[Field]:
        image = Field("image", "Image", "text", "small", help="of the lab, or one that was built or loaded here")
        limits = (
            self._limit_fields(check_memory, lambda cpus: check_cpus(cpus, len(self.host.processors)))
            if has_limits(self.host)
            else []
        )
        privileged = Field("privileged", "Privileged", "check", False, help="all rights that the lab itself has")
        return [self._name_field("box"), image, *limits, self._networks_field(), privileged]

    def counters(self, name: str = "", told: dict[str, Any] | None = None) -> dict[str, Sample]:
        """The counters of running machines, of all or of one, read on the host in one go."""
        if told is None:
            told = self._metered()
        now = time.monotonic()
        if told.keys() - self._names.keys():
            with spoken(self.host):
                found = self.api().containers(filters={"label": LABEL})
            self._names = {entry["Id"]: entry["Labels"][LABEL] for entry in found}
        named = {self._names[key]: values for key, values in told.items() if key in self._names}
        return {each: Sample(time_s=now, **values) for each, values in named.items() if not name or each == name}

    def __repr__(self) -> str:
        return f"<Docker on {self.host.name}>"
