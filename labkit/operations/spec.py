"""What migrations are described by: how it is to be done, what stands in the way, how far it is, what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._values import parse_duration, parse_size
from ..errors import InvalidValue

if TYPE_CHECKING:
    from ._client import ClientView

_BY_LIBVIRT = ("live", "paused")  # so begins the way of what libvirt moves while it runs
STORAGE = ("auto", "shared", "copy")
MOST_CHANNELS = 16


@dataclass(frozen=True, slots=True)
class MigrationOptions:
    """How a machine is to be moved; see `Machine.migrate`.

    Attributes
    ----------
    bytes_per_second
        The most that it may use of the network; 0: as much as can.
    downtime_s
        How long it may stand still at the switch; 0: as QEMU has it, 0.3 s.
    """

    live: bool = True
    storage: str = "auto"
    tls: bool = True
    parallel: int = 0
    compress: bool = False
    auto_converge: bool = False
    postcopy: bool = False
    bytes_per_second: int = 0
    downtime_s: float = 0.0
    watch: bool = True
    timeout_s: float = 300.0

    @classmethod
    def checked(
        cls, *, bandwidth: int | str | None = None, max_downtime: float | str | None = None, parallel: int = 0,
        storage: str = "auto", timeout_s: float = 300, **switches: bool,
    ) -> MigrationOptions:  # fmt: skip
        """From what a person gives, or `InvalidValue`."""
        if storage not in STORAGE:
            raise InvalidValue(
                f"{ascii(storage)[:40]} is not a way with storage", hint=f"use one of {', '.join(STORAGE)}"
            )
        if isinstance(parallel, bool) or not isinstance(parallel, int) or not 0 <= parallel <= MOST_CHANNELS:
            raise InvalidValue(f"{ascii(parallel)[:40]} is not a number of channels", hint=f"give 0 to {MOST_CHANNELS}")
        if switches.get("postcopy") and parallel:
            raise InvalidValue("post-copy goes through one channel", hint="leave out parallel=…")
        if switches.get("compress") and parallel:
            raise InvalidValue("the compression (XBZRLE) goes through one channel", hint="leave out parallel=…")
        speed = 0 if bandwidth is None else parse_size(bandwidth, "bandwidth a second")
        if 0 < speed < 2**20:
            raise InvalidValue(f"{speed} bytes a second are less than libvirt counts in", hint='give "1 MiB" or more')
        return cls(
            storage=storage, parallel=parallel, bytes_per_second=speed,
            downtime_s=0.0 if max_downtime is None else parse_duration(max_downtime, "downtime"),
            timeout_s=parse_duration(timeout_s, "time limit"), **switches,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that stands in the way of a migration.

    Attributes
    ----------
    what, hint
        A sentence, and what to do about it.
    stops
        Whether the machine cannot be moved so; else it can, and should be known.
    """

    what: str
    hint: str
    stops: bool = True


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """What a migration would be, found out before anything moves.

    Attributes
    ----------
    machine, source, destination
        Their names.
    way
        In words: ``live, memory over TLS``, …
    memory_bytes, disk_bytes
        What has to be copied, at least once.
    expected_s, basis
        How long it may take, and what that is taken from.
    obstacles
        What stands in the way, and what should be known.
    """

    machine: str
    source: str
    destination: str
    way: str
    memory_bytes: int
    disk_bytes: int
    expected_s: float
    basis: str
    obstacles: tuple[Obstacle, ...] = ()

    @property
    def possible(self) -> bool:
        """Whether nothing stops it."""
        return not any(obstacle.stops for obstacle in self.obstacles)

    @property
    def by_libvirt(self) -> bool:
        """Whether libvirt moves it while it runs, and so says how long it stood still."""
        return self.way.startswith(_BY_LIBVIRT)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html_migration import plan_bundle

        return plan_bundle(self)


@dataclass(frozen=True, slots=True)
class MigrationSample:
    """How far a migration is.

    Attributes
    ----------
    time_s
        Seconds on the monotonic clock.
    phase
        Such as ``copying memory``.
    total_bytes, done_bytes, remaining_bytes
        Of memory and disk; what is written meanwhile is copied again, so more may be done than there is.
    bytes_per_second
        How fast it goes.
    dirty_bytes_per_second
        How fast the machine writes to its memory; 0 until QEMU has measured it.
    round
        How often its memory has been gone through.
    throttled
        The part of its processor time that auto-converge has taken from it, 0 to 1.
    """

    time_s: float
    phase: str
    total_bytes: int = 0
    done_bytes: int = 0
    remaining_bytes: int = 0
    bytes_per_second: int = 0
    dirty_bytes_per_second: int = 0
    round: int = 0
    throttled: float = 0.0

    @property
    def fraction(self) -> float | None:
        """Which part is done, 0 to 1; None while that is not known."""
        return max(0.0, 1 - self.remaining_bytes / self.total_bytes) if self.total_bytes else None


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """What came of a migration.

    Attributes
    ----------
    machine, source, destination, way
        As in `MigrationPlan`.
    total_s
        From the call to the end.
    downtime_ms
        How long it stood still, as libvirt reports it; for a cold move from its stop to its answer.
    transferred_bytes
        What went over the network.
    rounds
        How often its memory was gone through.
    client
        What a client saw meanwhile; None where there was none, and then `no_client` says why.
    """

    machine: str
    source: str
    destination: str
    way: str
    total_s: float
    downtime_ms: float
    transferred_bytes: int = 0
    rounds: int = 0
    client: ClientView | None = None
    no_client: str = ""

    @property
    def by_libvirt(self) -> bool:
        """Whether `downtime_ms` is libvirt's figure."""
        return self.way.startswith(_BY_LIBVIRT)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html_migration import result_bundle

        return result_bundle(self)
