"""What the virtual machines of libvirt share, whatever its driver: identity, states, commands, console."""

from __future__ import annotations

import base64
import contextlib
import secrets
import threading
import time
import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import libvirt

from .._run import Completed, check_argv
from .._values import parse_duration, parse_size
from ..errors import DeadlineExceeded, InvalidState, InvalidValue
from ..hosts._login import make_key
from . import _cards, _libvirt
from ._agent import GuestAgent
from ._libvirt import spoken
from ._libvirt_line import SerialLine, shell
from ._serial import SerialConsole
from .base import Machine, verb
from .spec import MachineSpec, State

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ._line import Line

_IDENTITY = "/usr/sbin/labkit-identity"


class LibvirtMachine(Machine):
    """A domain of libvirt with the guest agent in it."""

    tty: ClassVar[str] = "/dev/ttyS0"  # its console, as it calls it
    shutdown_flags: ClassVar[int]  # of libvirt's VIR_DOMAIN_SHUTDOWN_…

    def __init__(self, engine: Any, spec: MachineSpec) -> None:
        super().__init__(engine.host, spec)
        self._engine = engine
        self._state = State.STARTING
        self._serial: SerialLine | None = None
        self._line_lock = threading.Lock()
        self.is_moving = False

    @property
    @abstractmethod
    def log(self) -> Path:
        """The file on its host that keeps what its console says."""

    @property
    def keeper(self) -> Host:
        """The host that has the files in its `folder`."""
        host: Host = self._engine.keeper
        return host

    def domain(self) -> libvirt.virDomain:
        """libvirt's domain, for what labkit has no verb for."""
        with spoken(self.host.name, self.name):
            return self._engine.connection().lookupByName(self.name)

    def refresh(self) -> State:
        if self.is_moving:
            return self._state
        state = self._seen()
        if state is not self._state:
            self.told(state)
        return state

    def _seen(self) -> State:
        """What libvirt says now, also while it moves."""
        with spoken(self.host.name, self.name):
            return _libvirt.state_of(self.domain())

    def xml(self) -> str:
        """The domain's XML as libvirt has it now."""
        with spoken(self.host.name, self.name):
            return str(self.domain().XMLDesc())

    # Moving

    def leaving(self, to: Host) -> None:
        """It begins to move: until it has landed, what the engines tell of it is not believed."""
        self.is_moving, self._state = True, State.MOVING
        super().leaving(to)

    def stand_on(self, host: Host) -> None:
        super().stand_on(host)
        self._engine = getattr(host, self.engine)

    def landed(self, host: Host) -> None:
        super().landed(host)
        self.is_moving = False

    # Its identity

    def become(self, deadline: float) -> None:
        """Wait for the guest's agent and tell the guest who it is."""
        agent = self._agent()
        agent.wait(deadline)
        self._tell_guest(agent, [*self._identity(), *self._cards()], deadline)

    def _tell_guest(self, agent: GuestAgent, told: list[str], deadline: float) -> None:
        lines = "\n".join(told) + "\n"
        code, out, err = agent.run([_IDENTITY], lines.encode(), max(5.0, deadline - time.monotonic()))
        if code != 0:
            said = (err or out).decode(errors="replace").strip()
            raise InvalidState(
                f"the guest could not take on its identity: {said}", machine=self.name, host=self.host.name
            )

    def _identity(self) -> list[str]:
        """What `labkit-identity` in the guest reads, but its network cards."""
        key, machine_id, files = self.folder / "ssh_host_ed25519_key", self.folder / "machine-id", self.keeper.files
        if not files.exists(key):
            make_key(self.keeper, key, self.name)
            files.write(machine_id, uuid.uuid4().hex)
        # The time first: it is read at once, the rest takes the guest a while.
        return [
            f"time {time.time():.9f}",
            f"seed {secrets.token_hex(32)}",
            f"machine-id {files.read_text(machine_id)}",
            f"ssh-key {base64.b64encode(files.read(key)).decode()}",
            "grow",
        ]

    def _cards(self) -> list[str]:
        """What `labkit-identity` reads of its name and its network cards."""
        lines = [f"name {self.name}", f"uuid {self.domain().UUIDString()}"]
        networks = self.host.lab.networks
        way_on = networks.way_on(self.spec.interfaces)
        for number, card in enumerate(self.spec.interfaces):
            network = networks[card.network]
            gateway = network.gateway if card is way_on else "-"
            words = [f"{card.address}/{network.prefix_length}", gateway, network.name_server or "-"]
            lines.append(" ".join(["nic", str(number), card.mac, *words]))
        return lines

    @abstractmethod
    def _agent(self) -> GuestAgent:
        """What speaks with the guest's agent now."""

    # Verbs

    def _do(self, verb: str, needed: State, reached: State, act: Callable[[libvirt.virDomain], object]) -> None:
        """Bring the machine from state `needed` to `reached`; to be there already is as good."""
        domain = self.domain()
        try:
            act(domain)
        except libvirt.libvirtError as error:
            state = self._seen()
            if not self.is_moving:
                self.refresh()
            if state is reached:
                return
            if state is not needed:
                raise InvalidState(
                    f"{self.name} is {state}, so it cannot {verb}", hint=f"it must be {needed}",
                    machine=self.name, host=self.host.name,
                ) from error  # fmt: skip
            raise _libvirt.translate(error, self.host.name, self.name) from error

    @verb
    def start(self, *, timeout_s: float = 120) -> None:
        self.begin(time.monotonic() + timeout_s)

    def begin(self, deadline: float) -> None:
        """Boot it and tell it who it is, also while it moves."""
        self._do("start", State.STOPPED, State.RUNNING, self._boot)
        self.become(deadline)
        self.refresh()
        _cards.restore_links(self)

    def _boot(self, domain: libvirt.virDomain) -> None:
        domain.create()

    @verb
    def stop(self, *, timeout_s: float = 30) -> None:
        self.halt(timeout_s)
        self.refresh()  # its event may still be on its way

    def halt(self, timeout_s: float) -> None:
        """Shut it down and wait for that, also while it moves."""
        deadline = time.monotonic() + timeout_s
        self._do("stop", State.RUNNING, State.STOPPED, lambda domain: domain.shutdownFlags(self.shutdown_flags))
        while self._seen() not in (State.STOPPED, State.FAILED):
            if time.monotonic() > deadline:
                raise DeadlineExceeded(
                    f"{self.name} did not shut down within {timeout_s:g} s", hint="kill() switches it off",
                    machine=self.name, host=self.host.name,
                )  # fmt: skip
            time.sleep(0.02)

    @verb
    def kill(self) -> None:
        self._do("kill", State.RUNNING, State.STOPPED, lambda domain: domain.destroy())
        self._state = State.STOPPED

    @verb
    def pause(self) -> None:
        self._do("pause", State.RUNNING, State.PAUSED, lambda domain: domain.suspend())
        self._state = State.PAUSED

    @verb
    def resume(self) -> None:
        self._do("resume", State.PAUSED, State.RUNNING, lambda domain: domain.resume())
        self._state = State.RUNNING

    def run(
        self, argv: Sequence[str], *, input: str | bytes = b"", timeout_s: float = 60, check: bool = False
    ) -> Completed:
        words = check_argv(argv)
        parse_duration(timeout_s, "time limit")
        began = time.monotonic()
        data = input.encode() if isinstance(input, str) else input
        if self._state not in (State.RUNNING, State.STARTING, State.MOVING) and self.refresh() is not State.RUNNING:
            raise InvalidState(
                f"{self.name} is {self._state}, so it cannot run a command", machine=self.name, host=self.host.name,
                hint="resume() or start() it first",
            )  # fmt: skip
        code, out, err = self._agent().run(words, data, timeout_s)
        done = Completed(
            tuple(words), code, out.decode(errors="replace"), err.decode(errors="replace"),
            time.monotonic() - began, self.name,
        )  # fmt: skip
        return done.check() if check else done

    def console(self) -> SerialConsole:
        return SerialConsole(self.domain(), self.log, self.name, self.host)

    def line(self, kind: str = "console") -> Line:
        if kind != "console":
            return shell(self)
        with self._line_lock:
            if self._serial is None:
                self._serial = SerialLine(self)
            return self._serial

    def _resize_memory(self, memory: int | str) -> None:
        """Give it more or less memory while it runs, at most what it was made with."""
        size, most = parse_size(memory, "memory size"), self.spec.memory_bytes
        if size > most:
            raise InvalidValue(
                f"{self.name} can have at most the memory it was made with", machine=self.name,
                hint=f"give at most {most} bytes",
            )  # fmt: skip
        with spoken(self.host.name, self.name):
            self.domain().setMemoryFlags(size // 1024, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    @contextlib.contextmanager
    @abstractmethod
    def _quiet_disk(self) -> Iterator[None]:
        """While in this context nothing is written to the disk, and all that was is on it."""
        yield

    def resettle(self) -> None:
        self._tell_guest(self._agent(), self._cards(), time.monotonic() + 30)

    @verb
    def destroy(self) -> None:
        self._engine.forget(self.name, [card.network for card in self.spec.interfaces])
        self.host.lab.journal("machine removed", machine=self.name, host=self.host.name)
