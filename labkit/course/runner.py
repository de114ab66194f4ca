"""Running notebooks headless through papermill, each in a process of its own."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from .. import _listing
from .._paths import runtime_home
from .._progress import Task, progress
from ..errors import InvalidValue
from . import _notebook
from ._processes import MARK, end_processes
from ._worker import Job, Outcome
from .results import FailedCell, NotebookResult, Summary

__all__ = ["FailedCell", "NotebookResult", "Summary", "run_notebooks"]

# The worker keeps the time limit itself, so that it can tell which cell was running; this is how
# much longer it may take to end the kernel and write its files before it is killed.
_GRACE_S = 30.0
# How long a worker may take to end the labs and processes that are left.
_FAREWELL_S = 30.0
_CHARACTERS_OF_LOG = 2000


def run_notebooks(
    paths: Sequence[Path | str],
    *,
    parameters: Mapping[str, Any] | None = None,
    jobs: int = 1,
    timeout_s: float = 600.0,
    output: Path | str | None = None,
    junit: Path | str | None = None,
    html: bool = True,
) -> Summary:
    """Run notebooks from top to bottom and tell how each of them ended.

    Each runs in its own folder as working directory, with the kernel of this Python. Whatever it
    leaves behind is ended: processes, and labs (which makes it fail). Ctrl-C stops all of them
    and returns the summary of what was done till then.

    Parameters
    ----------
    paths
        The notebooks. They are not changed.
    parameters
        New values for names that the `parameters` cell of each notebook defines.
    jobs
        How many run at once.
    timeout_s
        The time limit for each notebook, in seconds.
    output
        A folder for the executed notebooks and their pages; None keeps neither.
    junit
        A file for the results as JUnit XML.
    html
        Whether each notebook also becomes an HTML page in `output`.

    Raises
    ------
    NotFound
        If a notebook does not exist.
    InvalidValue
        If one is not a notebook or lacks a parameter, or a limit makes no sense.
    """
    _check_limits(jobs, timeout_s)
    given = dict(parameters or {})
    notebooks = [Path(path).resolve() for path in paths]
    for notebook in notebooks:
        _notebook.check_parameters(notebook, _notebook.load(notebook), given)
    _check_values(given)
    targets = _targets(notebooks, None if output is None else Path(output).resolve())
    report = _prepared_file(junit)
    runs = [_Run(notebook, given, timeout_s, target, html) for notebook, target in zip(notebooks, targets, strict=True)]
    summary = _run_all(runs, jobs)
    if report:
        from ._report import junit as write_junit

        write_junit(summary, report)
    return summary


def _check_limits(jobs: int, timeout_s: float) -> None:
    if jobs < 1:
        raise InvalidValue(f"{jobs} notebooks at once makes no sense", hint="give 1 or more")
    if not 0 < timeout_s < float("inf"):
        raise InvalidValue(f"{timeout_s} is not a time limit", hint="give seconds, such as 600")


def _check_values(parameters: Mapping[str, Any]) -> None:
    try:
        json.dumps(parameters)
    except (TypeError, ValueError) as error:
        raise InvalidValue(
            f"a parameter cannot be handed to a notebook: {error}",
            hint="use text, numbers, True, False, None, lists and dictionaries of these",
        ) from None


def _targets(notebooks: Iterable[Path], folder: Path | None) -> list[Path | None]:
    """Where each executed notebook goes; equal names get a number."""
    sources = list(notebooks)
    if folder is None:
        return [None] * len(sources)
    _make_folder(folder)
    targets: list[Path | None] = []
    for source in sources:
        names = (f"{source.stem}{end}.ipynb" for end in ("", *(f"-{n}" for n in range(2, 10**6))))
        target = next(folder / name for name in names if folder / name not in targets)
        if target.resolve() in sources:
            raise InvalidValue(f"the executed notebook would replace {target}", hint="choose another folder")
        targets.append(target)
    return targets


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidValue(f"the folder {folder} cannot be made: {error.strerror}") from None


def _prepared_file(path: Path | str | None) -> Path | None:
    if path is None:
        return None
    file = Path(path).resolve()
    _make_folder(file.parent)
    if file.is_dir():
        raise InvalidValue(f"{file} is a folder, not a file for the report")
    return file


def _run_all(runs: Sequence[_Run], jobs: int) -> Summary:
    began = time.monotonic()
    interrupted = False
    try:
        with progress("notebooks") as task, ThreadPoolExecutor(jobs) as pool:
            _wait(pool, runs, _Teller(task, len(runs)))
    except KeyboardInterrupt:
        interrupted = True
    return Summary(tuple(run.result for run in runs), time.monotonic() - began, interrupted)


def _wait(pool: ThreadPoolExecutor, runs: Sequence[_Run], tell: _Teller) -> None:
    """Run all and wait for them; whatever interrupts that stops them first."""
    try:
        for future in [pool.submit(run, tell) for run in runs]:
            future.result()
    except BaseException:
        for run in runs:
            run.stop()
        for run in runs:
            run.wait_for_end()
        raise


class _Teller:
    """Tells how far the whole is, from several threads."""

    def __init__(self, task: Task, total: int) -> None:
        self._task, self._total, self._ended, self._lock = task, total, 0, threading.Lock()

    def begins(self, name: str) -> None:
        with self._lock:
            self._task.phase(f"{name} runs", self._ended / self._total)

    def ends(self, name: str, ok: bool) -> None:
        with self._lock:
            self._ended += 1
            word = "ok" if ok else "failed"
            text = f"{self._ended} of {self._total} done, {name} {word}"
            self._task.phase(text, self._ended / self._total)


@dataclass(slots=True)
class _Run:
    """One notebook: its process, and what must be ended after it."""

    notebook: Path
    parameters: dict[str, Any]
    timeout_s: float
    target: Path | None
    html: bool
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    stopped: threading.Event = field(default_factory=threading.Event)
    process: subprocess.Popen[bytes] | None = None
    result: NotebookResult = field(init=False)

    def __post_init__(self) -> None:
        self.result = NotebookResult(self.notebook, False, 0.0, 0, problem="stopped before it ran")

    @property
    def page(self) -> Path | None:
        """Where the HTML page goes."""
        return self.target.with_suffix(".html") if self.target and self.html else None

    def stop(self) -> None:
        """Ask it to end, from another thread; its `result` then tells how far it came."""
        self.stopped.set()
        if self.process:
            _ask_to_end(self.process)

    def wait_for_end(self) -> None:
        """Kill it if it does not end when asked."""
        if self.process:
            _dismiss(self.process)

    def __call__(self, tell: _Teller) -> None:
        if self.stopped.is_set():
            return
        tell.begins(self.notebook.name)
        self._forget_earlier_files()
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=runtime_home()))
        try:
            self.result = self._run(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        tell.ends(self.notebook.name, self.result.ok)

    def _forget_earlier_files(self) -> None:
        for file in (self.target, self.page):
            if file:
                file.unlink(missing_ok=True)

    def _run(self, folder: Path) -> NotebookResult:
        began = time.monotonic()
        try:
            outcome = self._outcome(folder)
        finally:
            duration_s = time.monotonic() - began
            labs, trouble = self._clean_up()
        return self._result(outcome, duration_s, labs, trouble)

    def _outcome(self, folder: Path) -> Outcome:
        """Let the worker run and read what it says, or say why it says nothing."""
        job = Job(
            self.id,
            str(self.notebook),
            self.parameters,
            self.timeout_s,
            str(self.target) if self.target else None,
            str(self.page) if self.page else None,
        )
        (folder / "job.json").write_text(json.dumps(asdict(job)))
        with (folder / "log").open("wb") as log:
            self.process = _start(folder, self.notebook.parent, self.id, log.fileno())
        if self.stopped.is_set():
            _dismiss(self.process)
        answer = _answer(self.process, self.timeout_s + _GRACE_S)
        if answer:
            return Outcome(**json.loads(answer))
        if self.stopped.is_set():
            return Outcome(problem="stopped while it ran")
        if answer is None:
            return Outcome(problem=f"it did not end within {self.timeout_s:g} s and was killed")
        return Outcome(problem=_last_words(folder, self.process.wait()))

    def _clean_up(self) -> tuple[tuple[str, ...], str]:
        """End what is left; return the labs among it and what could not be ended."""
        try:
            labs = tuple(_listing.end_labs_of_run(self.id))
            if self.process:
                _dismiss(self.process)
            end_processes(self.id)
        except Exception as error:  # the other notebooks go on, and this one says it
            return (), f"not all that it left behind could be ended: {error}"
        return labs, ""

    def _result(self, outcome: Outcome, duration_s: float, labs: tuple[str, ...], trouble: str) -> NotebookResult:
        cell = None
        if outcome.index is not None:
            cell = FailedCell(outcome.index, outcome.source, outcome.error)
        passed = cell is None and not outcome.problem
        left = f"it left behind: {', '.join(labs)}; close it in the last cell" if labs and passed else ""
        problem = "; ".join(filter(None, (outcome.problem, left, trouble)))
        return NotebookResult(
            self.notebook,
            ok=cell is None and not problem,
            duration_s=duration_s,
            cells=outcome.cells,
            failed_cell=cell,
            problem=problem,
            ended_labs=labs,
            html=_if_there(self.page),
            executed=_if_there(self.target),
        )


def _start(folder: Path, cwd: Path, run_id: str, log: int) -> subprocess.Popen[bytes]:
    """The worker, in a session of its own: Ctrl-C in the terminal does not reach it."""
    headless = {"LABKIT_PROGRESS": os.environ.get("LABKIT_PROGRESS", "lines"), MARK: run_id}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "labkit.course._worker", str(folder)],
        cwd=cwd,
        env=os.environ | headless,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )


def _answer(process: subprocess.Popen[bytes], limit_s: float) -> bytes | None:
    """The line that the worker says; empty if it ended without, None if it is not in time."""
    with cast("IO[bytes]", process.stdout) as pipe:
        ready, _, _ = select.select([pipe], [], [], limit_s)
        if ready:
            return pipe.readline()
    _dismiss(process)
    return None


def _ask_to_end(process: subprocess.Popen[bytes]) -> None:
    cast("IO[bytes]", process.stdin).close()


def _dismiss(process: subprocess.Popen[bytes]) -> None:
    """Let the worker end all that it started and itself; kill it if it does not."""
    _ask_to_end(process)
    try:
        process.wait(_FAREWELL_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(folder: Path, exit_code: int) -> str:
    """A sentence about a worker that ended without an answer."""
    ended = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    said = (folder / "log").read_text(errors="replace").strip()[-_CHARACTERS_OF_LOG:]
    return f"the process that ran it ended with {ended}: {said or 'no message'}"


def _if_there(path: Path | None) -> Path | None:
    return path if path and path.exists() else None
