"""A lab's metrics: what its sampler has read, as tables, live windows, trends, alerts, and for Prometheus."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .._values import parse_duration, parse_size
from ..errors import DeadlineExceeded, InvalidValue, LabGone, NotFound
from ._sampler import EVERY_S, KEEP, LOCK, LOG, LOOKERS, STORE, is_held
from ._store import Store
from .alerts import Alert, AlertEvent, Alerts
from .series import Window
from .spec import METRICS, Subject, check_metric

if TYPE_CHECKING:
    import pandas as pd

    from ..lab import Lab
    from ..machines.base import Machine
    from .bottleneck import Diagnosis
    from .changes import ChangeList
    from .forecast import Forecast
    from .prometheus import Exporter

_FIRST_S = 20.0  # for the first reading: a sampler that is just starting on a busy machine
_LONGEST_S = 7 * 86400.0
_LOOK_S = 0.05
_RECENT_S = 5.0

Row = tuple[int, Subject, float, list[float | None]]


class Metrics:
    """The metrics of a lab; ``lab.metrics``.

    The lab's sampler, a process of its own, reads every host once a second for as long as somebody looks on.
    It is started by whatever needs it, and started again if it dies.

    Parameters
    ----------
    lab
        The lab.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.RLock()
        self._lookers = -1
        self._pinned = False  # somebody wants readings also while nothing shows them
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._store: Store | None = None
        self._alerts = Alerts(lab)
        self._exporters: list[Exporter] = []

    # The sampler

    def start(self, *, keep: float | str = "") -> None:
        """Have the lab read once a second; whatever needs readings calls it.

        Parameters
        ----------
        keep
            How long readings are kept, in seconds or words such as ``"8 h"``, at most a week; as it is by default,
            which is an hour at first.

        Raises
        ------
        LabGone, InvalidValue
        """
        self._alive()
        if keep:
            seconds = parse_duration(keep, "time that readings are kept")
            if seconds > _LONGEST_S:
                raise InvalidValue("readings are kept for at most a week", hint="save them to a file")
            (self._lab.folder / KEEP).write_text(f"{seconds}\n")
        self._pinned = True
        self._look()

    def _alive(self) -> None:
        if not self._lab.is_alive:
            raise LabGone(
                f"lab {self._lab.name} has ended, so nothing in it can be read",
                hint=f'Lab.open("{self._lab.name}") makes it anew',
            )

    def _look(self) -> None:
        """Look on, and see that there is a sampler."""
        with self._lock:
            if self._lookers < 0:
                self._lookers = os.open(self._lab.folder / LOOKERS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._lookers, fcntl.LOCK_SH)
                self._ended = threading.Event()
                args = (self._ended,)
                threading.Thread(target=self._attend, args=args, name="labkit-metrics", daemon=True).start()
            self._have_sampler()

    def release(self) -> None:
        """Look on no more if only widgets did, and the last of them was closed."""
        if not self._pinned:
            self.stop()

    def stop(self) -> None:
        """Look on no more: alerts and what serves Prometheus end; the sampler does if nobody else looks on."""
        with self._lock:
            self._pinned = False
            self._ended.set()
            for exporter in self._exporters:
                exporter.close()
            self._exporters.clear()
            self._alerts.clear()
            if self._lookers >= 0:
                os.close(self._lookers)
                self._lookers = -1
            if self._store:
                self._store.close()
                self._store = None

    def close(self) -> None:
        """The lab has ended: so has its sampler, or it is about to."""
        self.stop()
        with self._lock:
            process, self._process = self._process, None
        if process:
            process.wait(_FIRST_S)

    @property
    def lab_name(self) -> str:
        """The name of the lab."""
        return self._lab.name

    @property
    def is_running(self) -> bool:
        """Whether the lab's sampler runs, started by whomever."""
        return is_held(self._lab.folder / LOCK)

    def _have_sampler(self) -> None:
        """Start the sampler unless there is one; of two that are started at once, one ends again."""
        started = self._process is not None and self._process.poll() is None
        if not started and not self.is_running:
            with (self._lab.folder / LOG).open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "labkit.monitoring._sampler", self._lab.name], stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, cwd=Path(__file__).parents[2], start_new_session=True,
                )  # fmt: skip

    def _attend(self, ended: threading.Event) -> None:
        """Once a second, see that there is a sampler, and whether an alert begins or ends."""
        while not ended.wait(EVERY_S):
            with contextlib.suppress(OSError, sqlite3.Error):
                if not self._lab.folder.exists():
                    return
                with self._lock:
                    if not ended.is_set():
                        self._have_sampler()
                self._alerts.look(self)

    # What was read

    def rows(self, after: int, since_s: float | None = None) -> list[Row]:
        """Readings after the one with number `after`: their number, whose, when, and `FIELDS` as they were read.

        There may be none yet. `since_s` is the time of the oldest that is wanted.
        """
        self._alive()
        with self._lock:
            self._look()
            try:
                store = self._store = self._store or Store(self._lab.folder / STORE)
                return [(row[0], store.subject(row[1]), row[2], row[3]) for row in store.read(after, since_s)]
            except sqlite3.OperationalError:  # it is just being made
                return []

    def window(self, seconds: float | str, step_s: float = 1.0) -> Window:
        """The last seconds as a live window for plots; it is brought up to date by its `advance`."""
        self.start()
        return Window(self, parse_duration(seconds, "window"), step_s)

    def frame(
        self, metrics: Iterable[str] | str | None = None, machines: Iterable[Machine | str] | None = None,
        last: float | str = "10 min",
    ) -> pd.DataFrame:  # fmt: skip
        """Metrics as a table: a row for each reading, in the order of time.

        Waits for the first two readings if the lab is read for the first time: a rate is made of two.

        Parameters
        ----------
        metrics
            Names such as ``["cpu", "memory"]``; all of `METRICS` by default.
        machines
            Machines or hosts, or their names; all by default.
        last
            How far back, in seconds or words such as ``"10 min"``.

        Returns
        -------
        pandas.DataFrame
            Columns ``time`` (UTC), ``time_s`` (monotonic seconds), ``host``, ``machine`` ("" for the host
            itself), ``engine``, ``identity``, and one for each metric: floats, nan where nothing is told.
            ``frame.attrs["units"]`` has their units.

        Raises
        ------
        InvalidValue, LabGone, DeadlineExceeded
        """
        from ._frame import frame

        wanted = _checked(metrics)
        self.start()
        seconds = parse_duration(last, "time to look back")
        # With what comes before, for the first rates.
        rows = self._first_rows(time.monotonic() - seconds - 2 * EVERY_S)
        return frame(rows, wanted, _names(machines), time.monotonic() - seconds)

    def wait(self) -> None:
        """Wait until the lab has been read twice within the last seconds."""
        self.start()
        self._first_rows(time.monotonic() - _RECENT_S)

    def _first_rows(self, since_s: float) -> list[Row]:
        deadline = time.monotonic() + _FIRST_S
        while not (rows := self.rows(0, since_s)) or rows[-1][2] - rows[0][2] < EVERY_S / 2:
            if time.monotonic() > deadline:
                raise DeadlineExceeded(
                    f"lab {self._lab.name} was not read within {_FIRST_S:g} s: {self._last_words()}",
                    hint="it may be very busy: try again",
                )
            time.sleep(_LOOK_S)
        return rows

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return (self._lab.folder / LOG).read_text()[-300:].strip() or "the sampler says nothing"
        return "there is no sampler"

    # What it means

    def diagnose(self, last: float | str = "1 min") -> Diagnosis:
        """Who is short of what; see `Lab.diagnose`."""
        from .bottleneck import diagnose

        return diagnose(self.frame(last=last))

    def forecast(
        self, metric: str, machine: Machine | str, *, limit: float | str | None = None, last: float | str = "10 min",
        horizon: float | str = "1 h",
    ) -> Forecast:  # fmt: skip
        """When a machine's memory, disk or processor will be full, with an interval; or why that cannot be said.

        Parameters
        ----------
        metric, machine
            Such as ``"memory"``, and a machine or host.
        limit
            When it is full, in the metric's unit, or words such as ``"64 MiB"``; by default where the machine ends.
        last
            How far back readings are taken into account.
        horizon
            What is further away is not told.

        Raises
        ------
        InvalidValue, NotFound
        """
        from .forecast import LIMITS, forecast

        check_metric(metric)
        end = LIMITS.get(metric, "")
        subject, own = self._of_one([metric, end] if end else [metric], machine, last)
        if limit is not None:
            most = float(parse_size(limit, "limit")) if isinstance(limit, str) else float(limit)
        else:
            ends = own[end or metric].dropna()
            if not end or ends.empty:
                raise InvalidValue(
                    f"nothing says where the {METRICS[metric].title} of {subject.name} ends", hint="give a limit=…"
                )
            most = float(ends.iloc[-1])
        found = forecast(own["time_s"], own[metric], most, horizon_s=parse_duration(horizon, "horizon"))
        return replace(found, metric=metric, subject=subject)

    def changes(self, metric: str, machine: Machine | str, *, last: float | str = "10 min") -> ChangeList:
        """Where the behaviour of a machine or host shifted.

        Raises
        ------
        InvalidValue, NotFound
        """
        from .changes import changes

        subject, own = self._of_one([check_metric(metric)], machine, last)
        return changes(own["time_s"], own[metric]).of(metric, subject)

    def _of_one(self, metrics: list[str], machine: Machine | str, last: float | str) -> tuple[Subject, pd.DataFrame]:
        """The readings of one machine or host: of those that had its name, the one that was read last."""
        table = self.frame(metrics, [machine], last=last)
        if table.empty:
            name = machine if isinstance(machine, str) else machine.name
            raise NotFound(f"nothing was read of {ascii(name)[:60]}", hint="lab.metrics.frame() has what was read")
        subject = Subject(*table[["host", "machine", "engine", "identity"]].iloc[-1])
        return subject, table[(table["identity"] == subject.identity) & (table["host"] == subject.host)]

    def save(self, path: str | Path, last: float | str = "") -> Path:
        """Write what was read to a file that pandas reads.

        Parameters
        ----------
        path
            ``….sqlite``: all counters as they were read, in the view ``samples``; ``….csv`` or ``….parquet``
            (which needs pyarrow): the table of `frame`.
        last
            How far back, for a table; all that is kept by default.

        Raises
        ------
        InvalidValue
        """
        target = Path(path)
        if target.suffix not in (".sqlite", ".csv", ".parquet"):
            raise InvalidValue(f"{target.name} is no name for a file of readings", hint="end it in .sqlite or .csv")
        if target.suffix == ".sqlite":
            self.wait()
            target.unlink(missing_ok=True)
            with contextlib.closing(Store(self._lab.folder / STORE)) as store:
                store.copy(target)
            return target
        table = self.frame(last=last or _LONGEST_S)
        if target.suffix == ".csv":
            table.to_csv(target, index=False)
            return target
        try:
            table.to_parquet(target, index=False)
        except ImportError as error:
            raise InvalidValue("Parquet needs a package that is missing", hint="pip install pyarrow") from error
        return target

    # Alerts, Prometheus

    def alert(
        self, metric: str, *, above: float | None = None, below: float | None = None, of: str = "",
        for_s: float = 5, machines: Iterable[Machine | str] | None = None,
        call: Callable[[AlertEvent], object] | None = None, name: str = "",
    ) -> Alert:  # fmt: skip
        """Be told when a metric is out of bounds: once when that begins, once when it has ended.

        What happens goes into the lab's journal, is shown in the notebook, and kept in the alert's `events`.

        Parameters
        ----------
        metric, of
            Names from `METRICS`; with `of` it is the part of that: ``alert("cpu", of="processors", above=0.9)``.
        above, below
            The bound, in the metric's unit; one of them.
        for_s
            For how many seconds it must be out of bounds.
        machines
            Machines or hosts, or their names; every machine by default.
        call
            Called with each `AlertEvent`, in a thread; what it raises is kept in the alert's `errors`.
        name
            What the alert is called; by default it is made from the rest.

        Raises
        ------
        InvalidValue
        """
        made = self._alerts.add(metric, above, below, of, for_s, _names(machines), call, name)
        self.start()
        return made

    @property
    def alerts(self) -> list[Alert]:
        """The alerts of this process."""
        return self._alerts.all()

    def on_alert(self, told: Callable[[AlertEvent], object]) -> Callable[[], None]:
        """Have `told` called with what happens to any alert; returns what ends that."""
        return self._alerts.subscribe(told)

    def prometheus(self) -> str:
        """The last readings in Prometheus' text format."""
        from .prometheus import text

        return text(self)

    def serve(self, *, port: int = 0, socket: str | Path = "") -> Exporter:
        """Let Prometheus read the lab, until the result is closed.

        Parameters
        ----------
        port
            On 127.0.0.1; a free one is chosen by default.
        socket
            Instead, the path of a Unix socket.

        Raises
        ------
        InvalidValue
            If it is taken.
        """
        from .prometheus import Exporter

        self.start()
        exporter = Exporter(self, port, socket)
        self._exporters.append(exporter)
        return exporter

    def __repr__(self) -> str:
        return f"<Metrics of lab {self._lab.name}: {'read' if self.is_running else 'not read now'}>"


def _checked(metrics: Iterable[str] | str | None) -> list[str]:
    names = list(METRICS) if metrics is None else [metrics] if isinstance(metrics, str) else list(metrics)
    for name in names:
        check_metric(name)
    return names


def _names(machines: Iterable[Machine | str] | None) -> frozenset[str] | None:
    if machines is None:
        return None
    given = [machines] if isinstance(machines, str) or hasattr(machines, "name") else list(machines)
    return frozenset(one if isinstance(one, str) else one.name for one in given)
