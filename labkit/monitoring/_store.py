"""Where readings are kept: a ring in an SQLite file, written by a lab's sampler and read by whoever looks on."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from .spec import FIELDS, Sample, Subject

# Counters as they were read: rates are reckoned by who reads, so nothing is lost by how they are reckoned.
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS subjects (
    id INTEGER PRIMARY KEY, host TEXT, machine TEXT, engine TEXT, identity TEXT,
    UNIQUE (host, machine, engine, identity)
);
CREATE TABLE IF NOT EXISTS readings (
    seq INTEGER PRIMARY KEY, subject INTEGER, time_s REAL, {", ".join(f"{name} REAL" for name in FIELDS)}
);
CREATE VIEW IF NOT EXISTS samples AS
    SELECT host, machine, engine, identity, readings.* FROM readings JOIN subjects ON subjects.id = subject;
"""  # noqa: S608
_WAIT_S = 5.0
_LATE_S = 60.0  # a reading may be written so much later than those that were made after it

Row = tuple[int, int, float, list[float | None]]


class Store:
    """The file with a lab's readings.

    Parameters
    ----------
    path
        The file.
    write
        Make it if it is not there, and write to it: one process does.
    """

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.path = path
        mode = "rwc" if write else "ro"
        self._file = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_WAIT_S, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        self._ids: dict[Subject, int] = {}
        self._subjects: dict[int, Subject] = {}
        self._ticks: deque[tuple[float, int]] = deque()
        if write:
            self._file.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_SCHEMA}")
            self._ids = {subject: number for number, subject in self._read_subjects().items()}
            self._ticks.extend(self._file.execute("SELECT time_s, max(seq) FROM readings GROUP BY time_s ORDER BY 2"))

    def _read_subjects(self) -> dict[int, Subject]:
        return {number: Subject(*words) for number, *words in self._file.execute("SELECT * FROM subjects")}

    # Written by the sampler

    def write(self, readings: Iterable[tuple[Subject, Sample]], keep_s: float) -> None:
        """Add what was read in one go, and forget what is older than `keep_s` seconds; all or nothing."""
        made = list(readings)
        if not made:
            return
        now = max(sample.time_s for _, sample in made)
        rows = [(self._id(subject), *sample) for subject, sample in made]
        marks = ", ".join("?" * (len(Sample._fields) + 1))
        self._file.execute("BEGIN IMMEDIATE")
        try:
            self._file.executemany(
                f"INSERT INTO readings (subject, {', '.join(Sample._fields)}) VALUES ({marks})", rows,  # noqa: S608
            )  # fmt: skip
            last = self._file.execute("SELECT max(seq) FROM readings").fetchone()[0]
            self._ticks.append((now, last))
            old = 0
            while self._ticks and self._ticks[0][0] < now - keep_s:
                old = self._ticks.popleft()[1]
            if old:
                self._file.execute("DELETE FROM readings WHERE seq <= ?", (old,))
            self._file.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._file.execute("ROLLBACK")
            raise

    def _id(self, subject: Subject) -> int:
        if subject not in self._ids:
            self._file.execute(
                "INSERT OR IGNORE INTO subjects (host, machine, engine, identity) VALUES (?, ?, ?, ?)", subject
            )
            found = self._file.execute(
                "SELECT id FROM subjects WHERE (host, machine, engine, identity) = (?, ?, ?, ?)", subject
            )
            self._ids[subject] = found.fetchone()[0]
        return self._ids[subject]

    # Read by everybody

    def subject(self, number: int) -> Subject:
        """Whose readings have this number."""
        if number not in self._subjects:
            self._subjects = self._read_subjects()
        return self._subjects[number]

    def read(self, after: int = 0, since_s: float | None = None) -> list[Row]:
        """Readings in the order in which they were made: their number, whose, when, and their fields.

        Parameters
        ----------
        after
            The number of the last one that is known.
        since_s
            The time of the oldest that is wanted.
        """
        if since_s is not None:  # what is wanted is at the end: from there the search goes back
            after = max(after, self._last_before(since_s - _LATE_S))
        since = "AND time_s >= ?" if since_s is not None else ""
        query = f"SELECT seq, subject, time_s, {', '.join(FIELDS)} FROM readings WHERE seq > ? {since} ORDER BY seq"  # noqa: S608
        found = self._file.execute(query, (after, since_s) if since_s is not None else (after,))
        return [(seq, subject, time_s, values) for seq, subject, time_s, *values in found]

    def _last_before(self, time_s: float) -> int:
        """The number of a reading after which all are younger, up to those that were written late."""
        query = "SELECT seq FROM readings WHERE time_s < ? ORDER BY seq DESC LIMIT 1"
        found = self._file.execute(query, (time_s,)).fetchone()
        return found[0] if found else 0

    def copy(self, path: Path) -> None:
        """Write all that is kept to another file."""
        with contextlib.closing(sqlite3.connect(path)) as other:
            self._file.backup(other)
            other.execute("PRAGMA journal_mode = DELETE")

    def close(self) -> None:
        """Let the file go."""
        self._file.close()
