"""A container of liblxc, driven by the `lxc-*` commands on its host."""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._progress import check_cancelled
from .._run import Completed, check_argv
from .._values import check_cpus, check_name, format_size, parse_duration, parse_size
from ..errors import DeadlineExceeded, EngineError, InvalidState, NameInUse, NotFound
from ..hosts import _cgroups
from . import _cards, _lxc_attach, _lxc_cards, _lxc_files, _lxc_start
from ._console import Console, last_words
from ._domain import check_vcpus
from ._line import Line
from ._lxc_config import LXC_PATH, LxcSpec, check_memory, limits, link_name
from ._lxc_console import LxcConsole, LxcLine
from ._lxc_events import STATES
from .base import Machine, verb
from .spec import NetworkInterface, Sample, State

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..operations.migration import Migration
    from ..operations.spec import MigrationPlan
    from .lxc import LxcEngine

_COMMAND_S = 30.0
_ASK_AGAIN_S = 5
_ENDING_S = 3.0
# On cgroup v1 liblxc sleeps a second if the kernel is not done at once: so it is done before.
_FREEZE = """
state=/sys/fs/cgroup/freezer/lxc.payload.$1/freezer.state
tries=0
[ ! -w "$state" ] || echo FROZEN >"$state"
while [ $tries -lt 100 ] && grep -qsx FREEZING "$state"; do
    sleep 0.005
    tries=$((tries + 1))
done
exec lxc-freeze "--name=$1"
"""
_ENDED = (State.STOPPED, State.FAILED)
_NO_CGROUPS = "this lab has no cgroups of its own, which {} made of"
_ANSWER = re.compile(r"State:\s+([A-Z]+)")


class LxcMachine(Machine):
    """A container; made by ``host.lxc.create``."""

    engine = "lxc"
    moves = "cold"
    spec: LxcSpec

    def __init__(self, lxc: LxcEngine, spec: LxcSpec) -> None:
        super().__init__(lxc.host, spec)
        self._lxc = lxc
        self._state = State.STARTING
        self._told_at = 0.0
        # Without cgroups nobody else counts what `run` has used.
        self._attached = 0
        self._attached_s = 0.0
        self._counted_s = 0.0

    def _reasons(self) -> dict[str, tuple[str, str]]:
        reasons: dict[str, tuple[str, str]] = {}
        if not self.host.has_cgroups:
            freezer, limit = ((_NO_CGROUPS.format(what), _cgroups.advice()) for what in ("a freezer is", "limits are"))
            reasons |= {"pause": freezer, "resume": freezer, "limits": limit, "resize": limit}
        return reasons

    @property
    def folder(self) -> Path:
        return _lxc_files.place(self.host, self.name)

    @property
    def _log(self) -> Path:
        return self.folder / "console.log"

    def facts(self) -> list[tuple[str, str]]:
        spec = self.spec
        memory = format_size(spec.memory_bytes) if spec.memory_bytes else "no limit"
        cpus = "no limit" if spec.cpus is None else f"{spec.cpus:g} processors at most"
        root = f"id {spec.first_id} on the host" if spec.first_id else "root of the lab"
        facts = [("memory", memory), ("processor time", cpus), ("image", spec.image), ("its root is", root)]
        if spec.command:
            facts.append(("runs", " ".join(spec.command)[:60]))
        return [*facts, ("stops and vanishes", "yes")] if spec.ephemeral else facts

    def config(self) -> str:
        """liblxc's configuration file, as it is now."""
        return self.host.files.read_text(self.folder / "config")

    def _command(self, program: str, *words: str, timeout_s: float = _COMMAND_S) -> Completed:
        """Run one of the `lxc-*` commands on this container."""
        return self.host.run([program, f"--name={self.name}", *words], timeout_s=timeout_s)

    # Its state

    def told(self, state: State) -> None:
        self._told_at = time.monotonic()
        super().told(state)

    def heard(self, state: State) -> None:
        """liblxc says that it changed; a verb may know better, for what is heard comes a little late."""
        if state is State.STOPPED:
            state = self._ended()
        if state is self._state:
            return
        if time.monotonic() - self._told_at < 1.0 and self._activity is None:
            self.refresh()
        elif self._activity is None or state is not State.STARTING:
            self.told(state)

    def _ended(self) -> State:
        """What a container that ended has come to."""
        return State.FAILED if _lxc_files.has_failed(self.host, self.name) else State.STOPPED

    def refresh(self) -> State:
        told = self._command("lxc-info", "--state")
        found = _ANSWER.search(told.stdout)
        state = STATES.get(found[1], State.UNKNOWN) if found else State.STOPPED
        if state is State.STOPPED:
            state = self._ended()
        if not found and not self.host.files.exists(self.folder):
            self._lxc.vanished(self)
        elif state is not self._state:
            self.told(state)
        return state

    def _done(self, verb: str, needed: State, reached: State, done: Completed) -> None:
        """See that a command has brought the container from `needed` to `reached`; to be there already is as good."""
        if done.ok:
            self.told(reached)
            return
        state = self.refresh()
        if state is reached or (reached is State.STOPPED and state in _ENDED):
            return
        if state is not needed:
            raise self._unfit(verb, state, needed)
        raise EngineError(f"{verb}: {_said(done)}", machine=self.name, host=self.host.name)

    def _unfit(self, verb: str, state: State, needed: State = State.RUNNING) -> InvalidState:
        return InvalidState(
            f"{self.name} is {state}, so it cannot {verb}", hint=f"it must be {needed}",
            machine=self.name, host=self.host.name,
        )  # fmt: skip

    # Verbs

    @verb
    def start(self, *, timeout_s: float = 120) -> None:
        self.begin(time.monotonic() + parse_duration(timeout_s, "time limit"))

    def begin(self, deadline: float) -> None:
        """Start it and wait until it answers to `run`; a command must have gone on for a moment."""
        _lxc_files.forget_state(self.host, self.name)
        launched = _lxc_start.launch(self.host, self.name, deadline)
        if launched.was_in_the_way and self.refresh() in _ENDED:
            _lxc_files.sweep_cgroups(self.host, self.name)
            for card in self.spec.interfaces:
                _lxc_cards.unplug(self, card)
            launched = _lxc_start.launch(self.host, self.name, deadline)
        if not launched.ok:
            state = self.refresh()
            if state is State.PAUSED:
                raise self._unfit("start", state, State.STOPPED)
            if state in (State.RUNNING, State.STARTING) and launched.ran_already:
                return
            fault = launched.fault or "it says nothing"
            _lxc_files.note_fault(self.host, self.name, fault)  # before liblxc's own word of its end is heard
            raise self._died(f"liblxc could not start it: {fault}")
        self._attached_s = self._counted_s = 0.0
        if self.spec.command and (code := _lxc_start.wait_for_command(self.host, self.name, deadline)):
            self._wait_until_ended()
            raise self._died(f"its command ended at once with exit code {code}")
        self.told(State.RUNNING)
        _cards.restore_links(self)
        _cards.greet_if_new(self)

    def _wait_until_ended(self) -> None:
        """Its command has ended: wait until liblxc has noted that, and all that it said before."""
        deadline = time.monotonic() + _ENDING_S
        while self.refresh() not in _ENDED and time.monotonic() < deadline:
            time.sleep(0.01)

    def _died(self, why: str) -> EngineError:
        self.told(State.FAILED)
        return EngineError(
            f"{self.name} did not stay up: {why}; it said: {last_words(self.host.files, self._log)}",
            hint="its command must go on in the foreground" if self.spec.command else "its lxc.log says more",
            machine=self.name, host=self.host.name,
        )  # fmt: skip

    # Moving

    def migration_plan(self, to: Host, **how: Any) -> MigrationPlan:
        from ..operations._cold import plan
        from ._lxc_move import LxcCarrier

        return plan(LxcCarrier(self, to), **how)

    def migrate(self, to: Host, **how: Any) -> Migration:
        from ..operations._cold import ColdMigration
        from ._lxc_move import LxcCarrier

        return ColdMigration(LxcCarrier(self, to), **how)

    def first_process(self) -> str:
        return self._command("lxc-info", "--pid", "--no-humanize").stdout.strip()

    def stand_on(self, host: Host) -> None:
        self.host, self._lxc = host, host.lxc

    # Its end

    @verb
    def stop(self, *, timeout_s: float = 30) -> None:
        self.halt(timeout_s)

    def halt(self, timeout_s: float) -> None:
        """Shut it down, and wait for that."""
        deadline = time.monotonic() + timeout_s
        state = self.refresh()
        if state in _ENDED:
            return
        if state is State.PAUSED:
            raise self._unfit("stop", state)
        _lxc_start.wait_until_ready(self.host, self.name, deadline)
        while self.refresh() not in _ENDED:
            left = deadline - time.monotonic()
            if left <= 0:
                raise DeadlineExceeded(
                    f"{self.name} did not shut down within {timeout_s:g} s", hint="kill() switches it off",
                    machine=self.name, host=self.host.name,
                )  # fmt: skip
            # Asked again from time to time: one that is just rebooting has not heard it.
            whole = str(max(1, min(_ASK_AGAIN_S, math.ceil(left))))
            self._command("lxc-stop", "--nokill", f"--timeout={whole}", timeout_s=_COMMAND_S)
            check_cancelled()
        self.wait_until_gone()

    @verb
    def kill(self) -> None:
        _lxc_files.forget_state(self.host, self.name)
        self._done("kill", State.RUNNING, State.STOPPED, self._command("lxc-stop", "--kill"))
        self.wait_until_gone()

    def wait_until_gone(self) -> None:
        """An ephemeral container that has stopped removes itself: wait for it."""
        deadline = time.monotonic() + _COMMAND_S
        folders, files = (self.folder, self.notes), self.host.files
        while self.spec.ephemeral and any(files.exists(folder) for folder in folders):
            if time.monotonic() > deadline:
                return
            time.sleep(0.005)
        if self.spec.ephemeral:
            self._lxc.vanished(self)

    def _freeze(self) -> Completed:
        return self.host.run(["sh", "-c", _FREEZE, "labkit", self.name], timeout_s=_COMMAND_S)

    @verb
    def pause(self) -> None:
        self._need("pause")
        self._done("pause", State.RUNNING, State.PAUSED, self._freeze())

    @verb
    def resume(self) -> None:
        self._need("resume")
        self._done("resume", State.PAUSED, State.RUNNING, self._command("lxc-unfreeze"))

    def run(
        self, argv: Sequence[str], *, input: str | bytes = b"", timeout_s: float = 60, check: bool = False
    ) -> Completed:
        words = check_argv(argv)
        limit_s = parse_duration(timeout_s, "time limit")
        if self._state not in (State.RUNNING, State.STARTING) and self.refresh() is not State.RUNNING:
            raise self._unfit("run a command", self._state)
        data = input.encode() if isinstance(input, str) else input
        self._attached += 1
        try:
            done, used_s = _lxc_attach.run(self.host, self.name, words, data, limit_s)
            self._attached_s += used_s
        except _lxc_attach.NotAttached as error:
            if (state := self.refresh()) is not State.RUNNING:
                raise self._unfit("run a command", state) from error
            raise EngineError(f"lxc-attach: {error}", machine=self.name, host=self.host.name) from error
        finally:
            self._attached -= 1
        return done.check() if check else done

    def console(self) -> Console:
        return LxcConsole(self._console_line(), self._log, self.name, self.host)

    def line(self, kind: str = "console") -> Line:
        if kind not in ("console", "shell"):
            return super().line(kind)
        if self._state is not State.RUNNING and self.refresh() is not State.RUNNING:
            raise self._unfit("answer on a terminal", self._state)
        return self._console_line() if kind == "console" else LxcLine(self.host, self._shell())

    def _console_line(self) -> LxcLine:
        return LxcLine(self.host, ["lxc-console", f"--name={self.name}", "--tty=0", "--escape=@"], self._log)

    def _shell(self) -> list[str]:
        return _lxc_attach.command(self.name, ["sh", "-l"], "xterm-256color")

    def stats(self) -> Sample:
        found = self._lxc.samples()
        if self.name not in found:
            raise self._unfit("tell its counters", self.refresh())
        return found[self.name]

    def counted(self, sample: Sample) -> Sample:
        """The reading with what no process in it knows of any more; it never falls."""
        if self.host.has_cgroups:
            return sample
        used_s = sample.cpu_seconds + self._attached_s
        if used_s < self._counted_s and not self._attached:  # what somebody else had run in it has ended
            self._attached_s += self._counted_s - used_s
        self._counted_s = max(self._counted_s, used_s)
        return sample._replace(cpu_seconds=self._counted_s)

    @verb
    def resize(self, *, memory: int | str | None = None, vcpus: int | None = None) -> None:
        """Change the memory that it may use, or the number of processors that it runs on, live."""
        self._need("resize")
        if memory is not None:
            size = parse_size(memory, "memory size")
            check_memory(size)
            self._limit(replace(self.spec, memory_bytes=size))
        if vcpus is not None:
            check_vcpus(vcpus, len(self.host.processors))
            self._limit(replace(self.spec, vcpus=vcpus))

    @verb
    def limits(self, *, cpus: float | None = None) -> None:
        self._need("limits")
        self._limit(replace(self.spec, cpus=check_cpus(cpus)))

    def _limit(self, spec: LxcSpec) -> None:
        """Have the running container, and its configuration, keep to the limits of `spec`."""
        version = self._lxc.cgroup_version()
        if self.refresh() not in _ENDED:
            old, new = (
                limits(one.memory_bytes, one.cpus, self.host.processors[: one.vcpus], version)
                for one in (self.spec, spec)
            )
            for file, value in new.items():
                if value != old[file]:  # a scope that was delegated may have no cpuset
                    self._set_cgroup(file, value)
        _lxc_files.write(self.host, spec, version)
        _lxc_files.describe(self.host, spec)
        self.spec = spec
        self.tell()

    def _set_cgroup(self, file: str, value: str) -> None:
        done = self._command("lxc-cgroup", "--", file, value)
        if not done.ok:
            raise EngineError(
                f"the kernel refuses {file} = {value}: {_said(done)}", machine=self.name, host=self.host.name,
                hint="it may use more already",
            )  # fmt: skip

    # Its files

    @verb
    def snapshot(self, name: str) -> None:
        """Keep its files (not its memory) under a name."""
        check_name(name, "name of a snapshot")
        if name in self.snapshots():
            raise NameInUse(f"{self.name} has a snapshot {name} already", machine=self.name, host=self.host.name)
        with self._quiet():
            _lxc_files.copy_layer(self.host, self.name, self._kept(name))

    def snapshots(self) -> list[str]:
        """The names of its snapshots, oldest first."""
        with contextlib.suppress(FileNotFoundError):
            found = self.host.files.list(self.folder / "snapshots")
            return sorted((name for name in found if not name.endswith(".new")), key=lambda name: found[name].told_ns)
        return []

    def _kept(self, snapshot: str) -> str:
        return f"{LXC_PATH}/{self.name}/snapshots/{snapshot}"

    @verb
    def revert(self, name: str) -> None:
        """Go back to a snapshot's files; a container that ran starts anew with them."""
        check_name(name, "name of a snapshot")
        if name not in self.snapshots():
            known = ", ".join(self.snapshots()) or "none"
            raise NotFound(
                f"{self.name} has no snapshot {name}", hint=f"it has: {known}", machine=self.name, host=self.host.name
            )
        ran = self.refresh() not in _ENDED
        if ran:
            self._done("revert", State.RUNNING, State.STOPPED, self._command("lxc-stop", "--kill"))
        _lxc_files.change_layer(self.host, self.name, self._kept(name))
        if ran:
            self.begin(time.monotonic() + 60)

    @verb
    def clone(self, name: str, *, ephemeral: bool = False) -> LxcMachine:
        """Make a container with a copy of this one's files and an identity of its own.

        Parameters
        ----------
        ephemeral
            Whether the copy vanishes when it stops.
        """
        spec = replace(self.spec, name=name, interfaces=(), ephemeral=ephemeral)
        names = [card.network for card in self.spec.interfaces]
        with self._quiet():
            return self._lxc.create_like(spec, names, f"{LXC_PATH}/{self.name}/upper")

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        """While in this context none of its processes writes, where the lab can freeze them."""
        if not self.host.has_cgroups or self.refresh() is not State.RUNNING:
            yield
            return
        self._done("freeze", State.RUNNING, State.PAUSED, self._freeze())
        try:
            yield
        finally:
            self._done("go on", State.PAUSED, State.RUNNING, self._command("lxc-unfreeze"))

    # Its connections

    def host_link(self, network: str) -> str:
        return link_name(self.name, NetworkInterface(network))

    def plug(self, card: NetworkInterface, *, live: bool) -> NetworkInterface:
        if live:
            _lxc_cards.plug(self, card, self.host.lab.networks[card.network])
        return card

    def unplug(self, card: NetworkInterface, *, live: bool) -> None:
        if live:
            _lxc_cards.unplug(self, card)

    def unplugging(self, network: str) -> list[list[str]]:
        return [["ip", "link", "del", self.host_link(network)]]

    def connected(self, interfaces: tuple[NetworkInterface, ...]) -> None:
        spec = replace(self.spec, interfaces=interfaces)
        _lxc_files.write(self.host, spec, self._lxc.cgroup_version())
        _lxc_files.rename(self.host, spec)
        _lxc_files.describe(self.host, spec)
        self.spec = spec

    def resettle(self) -> None:
        _lxc_cards.set_way(self)

    @verb
    def destroy(self) -> None:
        if self._gone:  # its name may be another's by now
            return
        self._lxc.forget(self.name, [card.network for card in self.spec.interfaces])
        self.host.lab.journal("machine removed", machine=self.name, host=self.host.name)


def _said(done: Completed) -> str:
    """The last line that a command of LXC has written, without where in its source."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or [f"exit code {done.exit_code}"]
    return re.sub(r"^lxc-\w+: [^:]+: \S+: \w+: \d+ ", "", lines[-1])
