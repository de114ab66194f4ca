"""A Docker container as a machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from docker import errors

from .._progress import check_cancelled
from .._run import Completed, check_argv
from .._values import check_name, format_count, format_limit, parse_duration
from ..errors import DeadlineExceeded, EngineError, InvalidState, LabError, NameInUse, NotFound
from . import _cards, _docker_cards
from ._console import clean
from ._docker_api import Api, spoken, state_of
from ._docker_checkpoint import require_criu, save, start_from
from ._docker_console import DockerConsole, DockerLine
from ._docker_exec import Inside
from ._docker_recipe import PERIOD_US, Recipe, check_cpus, check_memory, no_mac
from ._domain import check_vcpus
from .base import Machine, verb
from .spec import NetworkInterface, Sample, State

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..operations.migration import Migration
    from ..operations.spec import MigrationPlan
    from .docker import DockerEngine

SNAPSHOTS = "labkit-snapshots"
CLONES = "labkit-clones"
_ENDED = (State.STOPPED, State.FAILED)
_WATCH_S = 0.15  # how long a command of the user's is watched before it is taken to run
_NO_CGROUPS = (
    "Docker has no cgroups here, which limits and pausing are made of",
    "run the lab as root: in a user namespace Docker leaves cgroups to systemd, which a lab has not",
)


def container_name(machine: str) -> str:
    """What Docker calls the container of a machine; it wants two letters at least."""
    return machine if len(machine) > 1 else f"{machine}."


class DockerMachine(Machine):
    """A container; made by ``host.docker.create``.

    Attributes
    ----------
    recipe
        All that it was made from.
    """

    engine = "docker"
    moves = "cold"

    def __init__(self, docker: DockerEngine, recipe: Recipe) -> None:
        super().__init__(docker.host, recipe.spec)
        self._docker = docker
        self.recipe = recipe
        self._state = State.STARTING

    def _reasons(self) -> dict[str, tuple[str, str]]:
        reasons: dict[str, tuple[str, str]] = {}
        if not has_limits(self.host):
            reasons |= dict.fromkeys(("limits", "pause", "resize", "resume"), _NO_CGROUPS)
        return reasons

    @property
    def container(self) -> str:
        """What Docker calls it."""
        return container_name(self.name)

    def api(self) -> Api:
        """The client of the ``docker`` package, for what labkit has no verb for."""
        return self._docker.api()

    def refresh(self) -> State:
        with spoken(self.host, self.name):
            state = state_of(self.api().inspect_container(self.container))
        if state is not self._state:
            self.told(state)
        return state

    def facts(self) -> list[tuple[str, str]]:
        recipe = self.recipe
        share = f", at most {recipe.cpus:g} of their time" if recipe.cpus else ""
        count = format_count(self.spec.vcpus, "processor") + share
        facts = [("processors", count), ("memory", format_limit(self.spec.memory_bytes)), ("image", self.spec.image)]
        if recipe.command:
            facts.append(("command", " ".join(recipe.command)[:80]))
        if recipe.ports:
            facts.append(("ports", ", ".join(f"{outer} → {inner}" for inner, outer in recipe.ports.items())))
        return facts

    # Verbs

    def _do(self, verb: str, needed: State, reached: State, act: Callable[[Api], object]) -> None:
        """Bring the machine from state `needed` to `reached`; to be there already is as good."""
        try:
            with spoken(self.host, self.name):
                act(self.api())
        except LabError as error:
            if not isinstance(error, InvalidState | EngineError):
                raise
            state = self.refresh()
            if state is reached or {state, reached} == set(_ENDED):
                return
            if state is needed or {state, needed} == set(_ENDED):
                raise
            raise InvalidState(
                f"{self.name} is {state}, so it cannot {verb}", hint=f"it must be {needed}",
                machine=self.name, host=self.host.name,
            ) from error  # fmt: skip
        if reached is not State.STOPPED:  # that takes a moment
            self._state = reached

    @verb
    def start(self, *, timeout_s: float = 120) -> None:
        """Start the stopped container; returns when it runs.

        A command that was given with `create` is watched for a moment: if it fails at once, its
        last lines are in the error.
        """
        self.start_watched(time.monotonic() + parse_duration(timeout_s, "time limit"))

    def start_watched(self, deadline: float, *, checkpoint: str = "") -> None:
        """Start it, where it was at a checkpoint if there is one; raise what it said if it fails at once."""

        def act(api: Api) -> None:
            if checkpoint:
                start_from(api, self.host, self.container, checkpoint)
            else:
                api.start(self.container)

        self._do("start", State.STOPPED, State.RUNNING, act)
        until = min(deadline, time.monotonic() + (_WATCH_S if self.recipe.command else 0))
        while self.refresh() is State.RUNNING and time.monotonic() < until:
            check_cancelled()
            time.sleep(0.02)
        if self._state is State.FAILED:
            with spoken(self.host, self.name):
                code = self.api().inspect_container(self.container)["State"]["ExitCode"]
            raise EngineError(
                f"{self.name} ended at once, with exit code {code}; it said: {self._last_words()}",
                hint="run its command by hand in a container of the same image", machine=self.name, host=self.host.name,
            )  # fmt: skip
        if _docker_cards.kept_cards(self.notes) is not None:
            self.resettle()  # Docker writes anew with each start what the container was made with
        _cards.restore_links(self)
        _cards.greet_if_new(self)

    def _last_words(self, lines: int = 8) -> str:
        with spoken(self.host, self.name):
            said = bytes(self.api().logs(self.container, tail=lines)).decode(errors="replace")
        return clean(said).strip() or "(nothing)"

    # Moving

    def migration_plan(self, to: Host, **how: Any) -> MigrationPlan:
        from ..operations._cold import plan
        from ._docker_move import DockerCarrier

        return plan(DockerCarrier(self, to), **how)

    def migrate(self, to: Host, **how: Any) -> Migration:
        from ..operations._cold import ColdMigration
        from ._docker_move import DockerCarrier

        return ColdMigration(DockerCarrier(self, to), **how)

    def move(self, to: Host, **how: Any) -> Migration:
        """Begin to move it to another host: with its memory where CRIU can take that along, else cold.

        See `Machine.move`; the way that was taken is the ``way`` of what `Migration.wait` returns.
        """
        from ..operations._cold import ColdMigration
        from ._docker_move import DockerCarrier

        return ColdMigration(DockerCarrier(self, to), any_way=True, **how)

    def first_process(self) -> str:
        with spoken(self.host, self.name):
            return str(self.api().inspect_container(self.container)["State"]["Pid"] or "")

    def stand_on(self, host: Host) -> None:
        self.host, self._docker = host, host.docker

    # Its end

    @verb
    def stop(self, *, timeout_s: float = 30) -> None:
        self.halt(timeout_s)

    def halt(self, timeout_s: float) -> None:
        """Ask its first process to end, and wait for that."""
        with spoken(self.host, self.name):
            config = self.api().inspect_container(self.container)["Config"]
        signal = config.get("StopSignal") or "SIGTERM"
        self._do("stop", State.RUNNING, State.STOPPED, lambda api: api.kill(self.container, signal))
        self._await_end(parse_duration(timeout_s, "time limit"))

    def _await_end(self, timeout_s: float) -> None:
        """Wait until it does not run any more."""
        deadline, pause = time.monotonic() + timeout_s, 0.005
        while self.refresh() not in _ENDED:
            check_cancelled()
            if time.monotonic() > deadline:
                raise DeadlineExceeded(
                    f"{self.name} did not stop within {timeout_s:g} s", hint="kill() ends it at once",
                    machine=self.name, host=self.host.name,
                )  # fmt: skip
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)

    @verb
    def kill(self) -> None:
        def act(api: Api) -> None:
            if self.refresh() is State.PAUSED:
                self._unpause(api)
            api.kill(self.container, "SIGKILL")

        self._do("kill", State.RUNNING, State.STOPPED, act)
        self._await_end(30)

    @verb
    def pause(self) -> None:
        self._need("pause")
        self._do("pause", State.RUNNING, State.PAUSED, lambda api: api.pause(self.container))

    @verb
    def resume(self) -> None:
        self._need("resume")
        self._do("resume", State.PAUSED, State.RUNNING, self._unpause)

    def _unpause(self, api: Api) -> None:
        try:
            api.unpause(self.container)
        except errors.APIError as error:
            if self._state is not State.PAUSED or "is not paused" not in str(error):
                raise
            # Late news of the last resume have made Docker forget that it holds it.
            api.pause(self.container)
            api.unpause(self.container)

    def run(
        self, argv: Sequence[str], *, input: str | bytes = b"", timeout_s: float = 60, check: bool = False
    ) -> Completed:
        words = check_argv(argv)
        limit = parse_duration(timeout_s, "time limit")
        began = time.monotonic()
        data = input.encode() if isinstance(input, str) else input
        if self._state not in (State.RUNNING, State.STARTING) and self.refresh() is not State.RUNNING:
            raise InvalidState(
                f"{self.name} is {self._state}, so it cannot run a command", machine=self.name, host=self.host.name,
                hint="resume() or start() it first",
            )  # fmt: skip
        with spoken(self.host, self.name):
            inside = Inside(self.host, self.api(), self.container, self.name, self.kill_process)
            code, out, err = inside.run(words, data, limit)
        done = Completed(
            tuple(words), code, out.decode(errors="replace"), err.decode(errors="replace"),
            time.monotonic() - began, self.name,
        )  # fmt: skip
        return done.check() if check else done

    def kill_process(self, pid: int) -> None:
        """End a process of the host, one that was started in the container, and its group."""
        self._docker.inside("kill", str(pid))

    def console(self) -> DockerConsole:
        """What its first process has said; where that has a terminal, a keyboard too."""
        return DockerConsole(self)

    def line(self, kind: str = "console") -> DockerLine:
        return DockerLine(self, kind)

    def logs(self, *, tail: int | None = None, follow: bool = False) -> Iterator[str]:
        """The lines that its first process has said; with `follow`, those to come as they come."""
        with spoken(self.host, self.name):
            stream = self.api().logs(self.container, stream=True, follow=follow, tail="all" if tail is None else tail)
            rest = b""
            for part in stream:
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    yield clean(line.decode(errors="replace"))
            if rest:
                yield clean(rest.decode(errors="replace"))

    def stats(self) -> Sample:
        samples = self._docker.counters(self.name)
        if self.name not in samples:
            raise InvalidState(
                f"{self.name} is {self.refresh()}, so it has no counters", machine=self.name, host=self.host.name,
                hint="start() it first",
            )  # fmt: skip
        return samples[self.name]

    def stats_stream(self, every_s: float = 1.0) -> Iterator[Sample]:
        """Readings of its counters, one every so many seconds, the first at once, as long as it runs."""
        pace = parse_duration(every_s, "time between readings")
        following = time.monotonic()
        while sample := self._docker.counters(self.name).get(self.name):
            yield sample
            following += pace
            check_cancelled()
            time.sleep(max(0.0, following - time.monotonic()))

    @verb
    def resize(self, *, memory: int | str | None = None, vcpus: int | None = None) -> None:
        """Change the memory it may have, or the number of processors it runs on, while it runs."""
        self._need("resize")
        changes: dict[str, object] = {}
        if memory is not None:
            size = check_memory(memory)
            changes |= {"mem_limit": size, "memswap_limit": size}
        if vcpus is not None:
            there = self.host.processors
            check_vcpus(vcpus, len(there))
            changes["cpuset_cpus"] = ",".join(map(str, there[:vcpus]))
        self._update(**changes)

    @verb
    def limits(self, *, cpus: float | None = None) -> None:
        self._need("limits")
        share = check_cpus(cpus, len(self.host.processors))
        self._update(cpu_period=PERIOD_US, cpu_quota=round(share * PERIOD_US) if share else -1)

    def _update(self, **changes: object) -> None:
        with spoken(self.host, self.name):
            self.api().update_container(self.container, **changes)

    # Its files

    @verb
    def snapshot(self, name: str) -> None:
        """Keep its files under a name; what is in memory and in volumes is not kept."""
        check_name(name, "name of a snapshot")
        if name in self.snapshots():
            raise NameInUse(f"{self.name} has a snapshot {name} already", machine=self.name, host=self.host.name)
        self.commit(SNAPSHOTS, f"{self.name}.{name}")

    def commit(self, repository: str, tag: str) -> str:
        """Make an image of its files; returns its id."""
        # Without cgroups it cannot be held for the moment in which its files are read.
        with spoken(self.host, self.name):
            made = self.api().commit(self.container, repository, tag, pause=has_limits(self.host))
        return str(made["Id"])

    def snapshots(self) -> list[str]:
        """The names of its snapshots, oldest first."""
        with spoken(self.host, self.name):
            found = self.api().images(SNAPSHOTS)
        tags = [(image["Created"], tag) for image in found for tag in image["RepoTags"] or ()]
        mine = f"{SNAPSHOTS}:{self.name}."
        return [tag.removeprefix(mine) for _, tag in sorted(tags) if tag.startswith(mine)]

    @verb
    def revert(self, name: str) -> None:
        """Go back to the files of a snapshot: a container with them takes this one's place and starts."""
        check_name(name, "name of a snapshot")
        known = self.snapshots()
        if name not in known:
            raise NotFound(
                f"{self.name} has no snapshot {name}", hint=f"it has: {', '.join(known) or 'none'}",
                machine=self.name, host=self.host.name,
            )  # fmt: skip
        self._docker.replace(self, replace(self.recipe, reference=f"{SNAPSHOTS}:{self.name}.{name}"))
        self.start_watched(time.monotonic() + 60)

    @verb
    def checkpoint(self, name: str, *, leave_running: bool = True) -> None:
        """Keep what is in its memory under a name; needs CRIU.

        Raises
        ------
        NotSupported
            With the reason, where ``criu check`` does not agree.
        """
        check_name(name, "name of a checkpoint")
        require_criu(self.host, self.name)
        with spoken(self.host, self.name):
            save(self.api(), self.container, name, leave_running=leave_running)
        self.refresh()

    @verb
    def restore(self, name: str) -> None:
        """Start it, stopped, where it was at a checkpoint."""
        check_name(name, "name of a checkpoint")
        require_criu(self.host, self.name)
        self._do("restore", State.STOPPED, State.RUNNING, lambda api: start_from(api, self.host, self.container, name))
        self.refresh()

    @verb
    def clone(self, name: str) -> DockerMachine:
        """Make a machine with a copy of this one's files and an identity of its own.

        Volumes are shared with it; the ports that this one publishes stay its own.
        """
        return self._docker.create_like(self, name)

    # Its connections

    def attach(self, network: str, *, address: str = "", mac: str = "") -> NetworkInterface:
        """Connect it to a network of the lab, also while it runs; Docker takes no MAC address then."""
        if mac:
            raise no_mac(network)
        return super().attach(network, address=address)

    def host_link(self, network: str) -> str:
        return _docker_cards.host_link(self, network)

    def plug(self, card: NetworkInterface, *, live: bool) -> NetworkInterface:
        return _docker_cards.plug(self, card)

    def unplug(self, card: NetworkInterface, *, live: bool) -> None:
        _docker_cards.unplug(self, card)

    def unplugging(self, network: str) -> list[list[str]]:
        return [self._docker.disconnecting(self.container, network)]

    def connected(self, interfaces: tuple[NetworkInterface, ...]) -> None:
        _docker_cards.keep_cards(self.notes, interfaces)
        self.spec = replace(self.spec, interfaces=interfaces)
        self.recipe = replace(self.recipe, spec=self.spec)

    def resettle(self) -> None:
        _docker_cards.set_name_servers(self)

    @verb
    def destroy(self) -> None:
        self._docker.forget(self.name, [card.network for card in self.spec.interfaces])
        self.host.lab.journal("machine removed", machine=self.name, host=self.host.name)


def has_limits(host: Host) -> bool:
    """Whether a host's dockerd can limit and pause."""
    return host.has_cgroups and host.is_privileged
