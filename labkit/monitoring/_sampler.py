"""A lab's sampler: a process that reads every host once a second; run as ``python -m``.

There is one for a lab, whoever looks on: it holds the lock of the file ``sampler.lock``. Who looks on holds
``lookers.lock`` shared; when nobody has for a while, or the lab ends, the sampler ends too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import LabError
from ..hosts.base import Host
from ..lab import Lab, watching
from ..machines.base import machine_folder
from ._store import Store
from .spec import Sample, Subject

EVERY_S = 1.0
_KEEP_S = 3600.0
_DEADLINE_S = 0.8  # of a tick for all hosts: who is later comes with a later tick, and the others are not held up
# Reading a host that is a computer of its own may take a part of its time: one that is slow to answer is read less
# often, and has time to work. On this machine's own hosts who is slow only waits for a machine that hangs.
_MOST_OF_TIME, _LONGEST_REST_S = 0.2, 10.0
_IDLE_S = 30.0
_TRIES = 10
_LOOK_EVERY = 2  # ticks after which new hosts are looked for

# In the lab's folder; `KEEP` has the seconds that readings are kept, if somebody has said so.
STORE, KEEP, LOCK, LOOKERS, LOG = "metrics.sqlite", "metrics.keep", "sampler.lock", "lookers.lock", "sampler.log"
Readings = list[tuple[Subject, Sample]]


class HostReader:
    """Reads one host, in a thread of its own: one that hangs delays nobody."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._wanted, self._done = threading.Event(), threading.Event()
        self._found: Readings = []
        self._ended = False
        self._not_before_s = 0.0
        threading.Thread(target=self._run, name=f"labkit-reader-{host.name}", daemon=True).start()

    def begin(self) -> bool:
        """Begin a reading, unless one is under way or it is too early for one; whether it was begun."""
        if self._wanted.is_set() or time.monotonic() < self._not_before_s:
            return False
        self._wanted.set()
        return True

    def take(self, until_s: float) -> Readings:
        """What was read, if that is done by then; else it can be taken later."""
        if not self._done.wait(max(0.0, until_s - time.monotonic())):
            return []
        self._done.clear()
        return self._found

    def close(self) -> None:
        """Stop reading."""
        self._ended = True
        self._wanted.set()

    def _run(self) -> None:
        with watching():
            while self._wanted.wait() and not self._ended:
                began = time.monotonic()
                self._found = list(self._read())
                ended = time.monotonic()
                if not self.host.shares_files:
                    self._not_before_s = ended + min((ended - began) * (1 / _MOST_OF_TIME - 1), _LONGEST_REST_S)
                self._done.set()
                self._wanted.clear()

    def _read(self) -> Iterator[tuple[Subject, Sample]]:
        """The host and its machines; what is just ending, or coming, is missing."""
        host = self.host
        engines = host.engines()
        told = {}
        with contextlib.suppress(LabError, OSError):
            asked = {each.kind: each.by_cgroups for each in engines if each.by_cgroups is not None}
            told = host.meter.read(host=host.has_cgroups, **asked)
            yield Subject(host.name), host.sample(told["host"])
        folder = str(machine_folder(host, ""))
        for engine in engines:
            with contextlib.suppress(LabError, OSError):
                engine.look()
                for name, sample in engine.samples(told.get(engine.kind)).items():
                    yield Subject(host.name, name, engine.kind, _identity(f"{folder}/{name}/host")), sample


def _identity(note: str) -> str:
    """Tells a machine from an earlier one of its name: when its folder was made, on this host."""
    try:
        return str(os.stat(note).st_mtime_ns)
    except OSError:
        return ""


class Sampler:
    """The readings of one lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._store = Store(lab.folder / STORE, write=True)
        self._readers: dict[str, HostReader] = {}
        self._keep_s = _KEEP_S

    def run(self) -> None:
        """Read until nobody looks on any more."""
        looked_at = time.monotonic()
        # In the middle of a second, so that no reading falls into the one before or after.
        begun, tick = (looked_at // EVERY_S - 0.5) * EVERY_S, 0
        lookers = os.open(self._lab.folder / LOOKERS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while time.monotonic() - looked_at < _IDLE_S:
            if tick % _LOOK_EVERY == 0:
                self._look_around()
            self.read_once(begun + tick * EVERY_S)
            if _is_looked_at(lookers):
                looked_at = time.monotonic()
            behind = time.monotonic() - begun
            tick = max(tick + 1, int(behind / EVERY_S) + 1)  # what was missed is missing
            time.sleep(max(0.0, begun + tick * EVERY_S - time.monotonic()))
        # From here on nobody may count on this sampler: who looks now waits, and then starts another.
        fcntl.flock(lookers, fcntl.LOCK_EX)

    def read_once(self, now_s: float) -> None:
        """Read all hosts at the same time, and write down what has come."""
        readers = list(self._readers.values())
        found = [reading for reader in readers for reading in reader.take(0)]  # what came too late for the last tick
        asked = [reader for reader in readers if reader.begin()]
        until = max(now_s, time.monotonic()) + _DEADLINE_S
        found += [reading for reader in asked for reading in reader.take(until)]
        try:
            self._store.write(found, self._keep_s)
        except sqlite3.Error as error:  # the disk is full: a gap, and the next second is another
            print(f"{time.strftime('%H:%M:%S')} not written: {error}", flush=True)

    def _look_around(self) -> None:
        """Hosts that were made meanwhile, or made again."""
        with contextlib.suppress(LabError):
            self._lab.refresh()
        with contextlib.suppress(OSError, ValueError):
            self._keep_s = float((self._lab.folder / KEEP).read_text())
        hosts = self._lab.hosts
        for name, reader in list(self._readers.items()):
            if hosts.get(name) is not reader.host:
                self._readers.pop(name).close()
        for name, host in hosts.items():
            if name not in self._readers:
                self._readers[name] = HostReader(host)


def _is_looked_at(lookers: int) -> bool:
    try:
        fcntl.flock(lookers, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(lookers, fcntl.LOCK_UN)
    return False


def is_held(lock: Path) -> bool:
    """Whether a process holds the lock of this file."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return _is_looked_at(descriptor)
    finally:
        os.close(descriptor)


def _end_with(lab: Lab) -> None:
    """End this process as soon as the lab has ended."""

    def wait() -> None:
        with contextlib.suppress(LabError), watching(), lab.channel() as channel:
            channel.receive(None)
        os._exit(0)

    threading.Thread(target=wait, name="labkit-end", daemon=True).start()


def _taken(lock: int) -> bool:
    """Take the sampler's lock; who only asks whether it is held has it for a moment, too."""
    for _ in range(_TRIES):
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.05)
    return False


def main() -> None:
    """Be the sampler of the lab that is named."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is meant for who looks on
    with watching(), contextlib.suppress(LabError, FileNotFoundError):
        lab = Lab.attach(sys.argv[1])
        lock = os.open(lab.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _taken(lock):
            return  # there is one
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        _end_with(lab)
        Sampler(lab).run()


if __name__ == "__main__":
    main()
