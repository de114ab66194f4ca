"""Runs one notebook in a process of its own: ``python -m labkit.course._worker FOLDER``.

The folder holds ``job.json``; the outcome goes to standard output as one line of JSON. Then the
process waits: when its standard input closes, because the parent has what it wants or is gone, it
ends everything that belongs to the run. All that the notebook starts, however detached, becomes
its child sooner or later, so nothing escapes.

The kernel is started before papermill and nbconvert are imported, so that both happen at once.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager
    from nbformat import NotebookNode
    from papermill.engines import NotebookExecutionManager

    from ._page import PageMaker

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_MOST_ERROR_TEXT = 20_000
_LONGEST_SOCKET_PATH = 90
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker has to do."""

    run_id: str
    notebook: str
    parameters: dict[str, Any]
    timeout_s: float
    executed: str | None
    page: str | None


@dataclass(slots=True)
class Outcome:
    """What came of it; `index`, `source` and `error` tell of the cell that failed."""

    cells: int = 0
    index: int | None = None
    source: str = ""
    error: str = ""
    problem: str = ""


@dataclass(slots=True)
class _Execution:
    """The notebook on its way through papermill."""

    job: Job
    kernel: AsyncKernelManager
    until: float
    notebook: Any = None  # papermill's, once it has read it
    current: int | None = None
    outcome: Outcome = field(default_factory=Outcome)

    def run(self) -> None:
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
        from papermill.exceptions import PapermillExecutionError
        from papermill.execute import remove_error_markers

        try:
            self._execute()
        except PapermillExecutionError:
            remove_error_markers(self.notebook)
            self._fail(self._flagged())
        except CellTimeoutError:
            self._fail(self.current, f"the time limit of {self.job.timeout_s:g} s was reached")
        except DeadKernelError:
            self._fail(self.current, "the kernel died")
        except Exception as error:
            self.outcome.problem = f"it could not be run: {type(error).__name__}: {error}"
        self.outcome.cells = self._count()

    def _execute(self) -> None:
        from papermill.engines import papermill_engines
        from papermill.execute import execute_notebook

        papermill_engines.register("labkit", _engine(self))
        execute_notebook(
            self.job.notebook.replace("{", "{{").replace("}", "}}"),
            None,
            parameters=self.job.parameters,
            engine_name="labkit",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            request_save_on_cell_execute=False,
            autosave_cell_every=0,
        )

    def on_cell(self, cell: NotebookNode, cell_index: int) -> None:
        self.current = cell_index

    def _flagged(self) -> int | None:
        """The cell that ended the run; an error in a cell tagged raises-exception does not."""
        for index, cell in enumerate(self.notebook.cells):
            if cell.metadata.get("papermill", {}).get("exception"):
                return index
        return None

    def _fail(self, index: int | None, error: str = "") -> None:
        """Note the failed cell; `error` says what happened if the cell itself could not."""
        if index is None or self.notebook is None:
            self.outcome.problem = error
            return
        cell = self.notebook.cells[index]
        if error:
            _show_error(cell, error)
        self.outcome.source = cell.source
        self.outcome.error = _error_text(cell)[-_MOST_ERROR_TEXT:]
        self.outcome.index = self._index_in_file(index)

    def _index_in_file(self, index: int) -> int:
        upto = self.notebook.cells[: index + 1]
        added = sum("injected-parameters" in c.metadata.get("tags", []) for c in upto)
        return max(index - added, 0)

    def _count(self) -> int:
        cells = self.notebook.cells if self.notebook else []
        return sum(c.cell_type == "code" and c.execution_count is not None for c in cells)


def _engine(execution: _Execution) -> type[Any]:
    """A papermill engine that uses the kernel which runs already, and one limit for all cells."""
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine
    from papermill.log import logger

    class Engine(NBClientEngine):  # type: ignore[misc]
        @classmethod
        def execute_managed_notebook(cls, nb_man: NotebookExecutionManager, kernel_name: str, **_: object) -> None:
            execution.notebook = nb_man.nb
            PapermillNotebookClient(
                nb_man,
                km=execution.kernel,
                kernel_name=kernel_name,
                log=logger,
                startup_timeout=max(1, int(execution.until - time.monotonic())),
                timeout_func=lambda _: max(0.1, execution.until - time.monotonic()),
                iopub_timeout=60,
                on_cell_execute=execution.on_cell,
            ).execute(cleanup_kc=True)

    return Engine


def _show_error(cell: NotebookNode, error: str) -> None:
    from nbformat.v4 import new_output

    cell.outputs.append(new_output("error", ename="labkit", evalue=error, traceback=[error]))


def _error_text(cell: NotebookNode) -> str:
    for output in reversed(cell.outputs):
        if output.output_type == "error":
            text = "\n".join(output.traceback) or f"{output.ename}: {output.evalue}"
            return _COLOUR.sub("", text)
    return "the cell failed and said nothing"


def start_kernel(folder: Path) -> AsyncKernelManager:
    """Start an IPython kernel of this interpreter, whatever kernels the user has installed."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import run_sync

    class ThisPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    # A socket in a private folder: nobody else can reach it, and runs at once share no ports.
    connection = folder / "kernel.json"
    kernel = AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=ThisPython(),
        connection_file=str(connection),
        transport="ipc" if len(str(connection)) < _LONGEST_SOCKET_PATH else "tcp",
    )
    memory_only = ["--HistoryManager.hist_file=:memory:"]
    run_sync(kernel.start_kernel)(extra_arguments=memory_only)
    return kernel


def work(job: Job, folder: Path, kernels: list[AsyncKernelManager]) -> Outcome:
    """Run `job` and note its kernel in `kernels`."""
    until = time.monotonic() + job.timeout_s
    # jsonschema compiles a grammar for international addresses at import, if it finds this
    # module; that takes longer than everything else here and no notebook has such a field.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    kernels.append(start_kernel(folder))
    import papermill.execute

    execution = _Execution(job, kernels[0], until)
    maker = _page_maker() if job.page else None
    execution.run()
    if execution.notebook is not None:
        if job.executed:
            papermill.execute.write_ipynb(execution.notebook, job.executed)
        if maker and job.page:
            _write_page(maker, execution, job.page)
    return execution.outcome


def _page_maker() -> PageMaker:
    from ._page import PageMaker

    maker = PageMaker()
    maker.warm_up()
    return maker


def _write_page(maker: PageMaker, execution: _Execution, target: str) -> None:
    source = Path(execution.job.notebook)
    try:
        page = maker.page(execution.notebook, source.stem, source.parent)
    except Exception as error:
        execution.outcome.problem = f"its page could not be made: {type(error).__name__}: {error}"
    else:
        Path(target).write_text(page, "utf-8")


def _end_all_when_dismissed(run_id: str, folder: Path, kernels: list[AsyncKernelManager]) -> threading.Thread:
    """Wait in a thread for the end of standard input, then end the run and this process."""
    from .._listing import end_labs_of_run
    from ._processes import end_processes, processes_of

    def watch() -> None:
        while os.read(0, 1):
            pass
        dying = processes_of(run_id)
        try:
            for kernel in kernels:
                if group := getattr(kernel.provisioner, "pgid", None):
                    with suppress(ProcessLookupError):
                        os.killpg(group, signal.SIGKILL)
            end_labs_of_run(run_id)
        finally:
            end_processes(run_id, dying=dying)
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(0)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def main() -> None:
    """Run the job of the folder that the command line names."""
    answer = os.dup(1)  # for this process alone: the kernel inherits the log as its output
    os.dup2(2, 1)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    folder = Path(sys.argv[1])
    job = Job(**json.loads((folder / "job.json").read_text()))
    kernels: list[AsyncKernelManager] = []
    dismissed = _end_all_when_dismissed(job.run_id, folder, kernels)
    try:
        outcome = work(job, folder, kernels)
    except Exception as error:
        traceback.print_exc()
        outcome = Outcome(problem=f"it could not be run: {type(error).__name__}: {error}")
    with suppress(BrokenPipeError):  # the parent is gone, and the thread is at work already
        os.write(answer, json.dumps(asdict(outcome)).encode() + b"\n")
    os.close(answer)
    dismissed.join()


if __name__ == "__main__":
    main()
