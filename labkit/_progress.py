"""Progress of what takes longer than a second: one mechanism for every part of labkit.

A notebook shows a bar with phase, time and a button to cancel; a terminal one by rich; anything
else gets a line a phase. What is done inside another piece of work shows as phases of that. ::

    with progress("image small") as task:
        task.phase("downloading packages")      # 0 … 1 where known
        task.update(0.4)

Whoever waits in a loop calls `check_cancelled` in it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from ._values import format_duration
from .errors import Cancelled

Follower = Callable[[str, float | None], None]


class Task(Protocol):
    """What a piece of work tells about itself."""

    def phase(self, text: str, fraction: float | None = None) -> None:
        """Say what is done now and, where known, which part of the whole (0 to 1) is done."""

    def update(self, fraction: float) -> None:
        """Say which part of the whole (0 to 1) is done."""

    def detail(self, text: str, fraction: float | None = None) -> None:
        """Say how far the phase is, in words that change all the time: a log leaves them out."""


class Sink(Protocol):
    """A place where progress is shown; what is not `live` leaves out what changes all the time."""

    live: bool

    def show(self, phase: str, fraction: float | None) -> None:
        """Show what is done now and, where known, which part of the whole (0 to 1) is done."""

    def end(self, how: str) -> None:
        """Show how it ended, such as ``done in 3.2 s``."""


class _Later:
    """Calls that are due at a time: one thread waits for all of them, for one for each verb costs more than most verbs.

    Each call has a thread of its own, so that none holds up the others.
    """

    _IDLE_S = 10.0  # so long the thread waits for more to do

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[object, tuple[float, Callable[[], None]]] = {}
        self._wakes_at = 0.0  # when the thread looks again by itself
        self._pid = 0  # of the process that has the thread: one that was forked has none

    def call(self, at: float, key: object, what: Callable[[], None]) -> None:
        """Have `what` called at the time `at` of the monotonic clock, unless `key` is forgotten before."""
        with self._changed:
            self._due[key] = at, what
            if self._pid != os.getpid():
                threading.Thread(target=self._serve, name="labkit later", daemon=True).start()
                self._pid = os.getpid()
            elif at < self._wakes_at:
                self._changed.notify()

    def forget(self, key: object) -> None:
        """Do not make the call that was asked for with `key`."""
        with self._changed:
            self._due.pop(key, None)

    def _serve(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                ready = [what for at, what in self._due.values() if at <= now]
                self._due = {key: call for key, call in self._due.items() if call[0] > now}
                if not ready:
                    self._wakes_at = min((at for at, _what in self._due.values()), default=now + self._IDLE_S)
                    woken = self._changed.wait(self._wakes_at - now)
                    if not woken and not self._due:
                        self._pid = 0
                        return
            for what in ready:
                threading.Thread(target=what, daemon=True).start()


_later = _Later()


class Work:
    """A piece of work: what it tells about itself, and whether somebody has asked it to stop.

    Attributes
    ----------
    title
        What is done, such as ``image small``.
    began
        When, on the monotonic clock.
    """

    def __init__(self, title: str, quiet_s: float, sink: Callable[[Work], Sink], follower: Follower | None) -> None:
        self.title = title
        self.began = time.monotonic()
        self._make_sink = sink
        self._sink: Sink | None = None
        self._follower = follower
        self._phase = ""
        self._detail = ""
        self._fraction: float | None = None
        self._lock = threading.RLock()
        self._owner = threading.current_thread()
        self._cancelled = False
        self._ended = False
        self._is_quiet = bool(quiet_s)
        if quiet_s:
            _later.call(self.began + quiet_s, self, self.show)

    def phase(self, text: str, fraction: float | None = None) -> None:
        """Say what is done now and, where known, which part of the whole (0 to 1) is done."""
        self.check()
        self._phase, self._detail, self._fraction = text, "", fraction
        self._tell()

    def detail(self, text: str, fraction: float | None = None) -> None:
        """Say how far the phase is, in words that change all the time: a log leaves them out."""
        self.check()
        self._detail, self._fraction = text, fraction
        self._tell()

    def update(self, fraction: float) -> None:
        """Say which part of the whole (0 to 1) is done."""
        self.check()
        self._fraction = fraction
        self._tell()

    def _tell(self) -> None:
        if self._follower:
            self._follower(self._phase, self._fraction)
        if not self._is_quiet or self._sink:
            self.show()

    def show(self) -> None:
        """Show it; called as well once it has taken long enough to be worth it."""
        with self._lock:
            if self._ended:
                return
            if self._sink is None:
                self._sink = self._make_sink(self)
            words = [self._phase, self._detail if self._sink.live else ""]
            self._sink.show(": ".join(filter(None, words)), self._fraction)

    @property
    def cancelled(self) -> bool:
        """Whether somebody has asked it to stop."""
        return self._cancelled

    def cancel(self) -> None:
        """Ask it to stop (from another thread): it raises `Cancelled` where it next looks."""
        with self._lock:
            if self._ended or self._cancelled:
                return
            self._cancelled = True
            if self._owner is threading.main_thread():  # it may be waiting for something that does not look
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def check(self) -> None:
        """Raise `Cancelled` if somebody has asked it to stop."""
        if self._cancelled:
            raise Cancelled(f"{self.title}: cancelled", hint="nothing of it is left; call it again to have it done")

    def end(self, how: str) -> None:
        """Show how it ended; nothing is shown if it was quicker than it would have been worth."""
        with self._lock:
            self._ended = True
            if self._is_quiet:
                _later.forget(self)
            if self._sink:
                self._sink.end(how)


class _Part:
    """A piece of work inside another one: its phases are phases of that."""

    def __init__(self, title: str, whole: Work, follower: Follower | None) -> None:
        self._title = "" if title == whole.title else f"{title}: "
        self._whole = whole
        self._follower = follower
        self._text = ""

    def phase(self, text: str, fraction: float | None = None) -> None:
        self._text = text
        if self._follower:
            self._follower(text, fraction)
        self._whole.phase(f"{self._title}{text}", fraction)

    def update(self, fraction: float) -> None:
        self.phase(self._text, fraction)

    def detail(self, text: str, fraction: float | None = None) -> None:
        self._whole.detail(text, fraction)


def tell(line: str) -> None:
    """Write a line for whoever runs this."""
    # What goes to stderr is red in a notebook, as if something were wrong.
    print(line, file=sys.stdout if in_kernel() else sys.stderr, flush=True)


class _Lines:
    """A line a phase, for logs."""

    live = False

    def __init__(self, task: Work) -> None:
        self._title = task.title
        self._said = ""

    def show(self, phase: str, fraction: float | None) -> None:
        if phase and phase != self._said:
            self._said = phase
            tell(f"{self._title}: {phase} …")

    def end(self, how: str) -> None:
        tell(f"{self._title}: {how}")


class _Bar:
    """A bar by rich."""

    live = True

    def __init__(self, task: Work) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._title = task.title
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[phase]}"),
            TimeElapsedColumn(), transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task(task.title, total=None, phase="")
        self._progress.start()

    def show(self, phase: str, fraction: float | None) -> None:
        total = None if fraction is None else 1.0
        self._progress.update(self._task, phase=phase, total=total, completed=fraction or 0)

    def end(self, how: str) -> None:
        self._progress.stop()
        tell(f"{self._title}: {how}")


class _Silent:
    live = True

    def __init__(self, task: Work) -> None:
        pass

    def show(self, phase: str, fraction: float | None) -> None:
        pass

    def end(self, how: str) -> None:
        pass


def in_kernel() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


def in_notebook() -> bool:
    """Whether a person may be looking at a notebook of this process."""
    return in_kernel() and not os.environ.get("LABKIT_RUN")


def _sink(task: Work) -> Sink:
    mode = os.environ.get("LABKIT_PROGRESS") or ("bar" if sys.stderr.isatty() or in_notebook() else "lines")
    if mode == "bar" and in_notebook():
        from .widgets.progress import Progress

        return Progress(task)
    kinds: dict[str, Callable[[Work], Sink]] = {"off": _Silent, "bar": _Bar}
    return kinds.get(mode, _Lines)(task)


_current: ContextVar[Work | None] = ContextVar("labkit_task", default=None)
_quietly: ContextVar[bool] = ContextVar("labkit_quietly", default=False)


def check_cancelled() -> None:
    """Raise `Cancelled` if somebody has asked the piece of work of this thread to stop."""
    if task := _current.get():
        task.check()


@contextmanager
def quietly() -> Iterator[None]:
    """While in this context nothing is shown but what followers are told: a widget shows it already."""
    token = _quietly.set(True)
    try:
        yield
    finally:
        _quietly.reset(token)


@contextmanager
def progress(title: str, *, quiet_s: float = 0.0, follower: Follower | None = None) -> Iterator[Task]:
    """Show the progress of a piece of work; ``LABKIT_PROGRESS=off|lines|bar`` overrides the guess.

    Parameters
    ----------
    title
        What is done.
    quiet_s
        Show nothing if it takes less than this.
    follower
        Called with each phase and fraction as well.

    Raises
    ------
    Cancelled
        If the work was cancelled.
    """
    if whole := _current.get():
        yield _Part(title, whole, follower)
        return
    task = Work(title, quiet_s, _Silent if _quietly.get() else _sink, follower)
    token = _current.set(task)
    how = "failed"
    try:
        yield task
        how = f"done in {format_duration(time.monotonic() - task.began)}"
    except KeyboardInterrupt:
        how = "cancelled"
        task.check()
        raise
    except Cancelled:
        how = "cancelled"
        raise
    finally:
        _current.reset(token)
        with contextlib.suppress(KeyboardInterrupt):  # cancelled in the moment in which it ended
            task.end(how)
