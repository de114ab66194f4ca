"""Running notebooks: what comes out, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from lxml import etree

from labkit.course import Summary, _command, run_notebooks, runner
from labkit.errors import EngineError, InvalidValue, NotFound

NOTEBOOKS = Path(__file__).parent / "notebooks"
DEADLINE_S = 60.0
COMMAND = (
    "import argparse, sys; from labkit.course import _command as c; p = argparse.ArgumentParser();"
    "c.add_arguments(p); sys.exit(c.execute(p.parse_args()))"
)


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of the test's own, on a short path; it must be empty at the end."""
    folder = Path(tempfile.mkdtemp(prefix="lk-", dir="/tmp"))
    monkeypatch.setenv("LABKIT_RUNTIME", str(folder))
    monkeypatch.setenv("LABKIT_PROGRESS", "off")
    yield folder
    left = list(folder.iterdir())
    shutil.rmtree(folder)
    assert not left


@pytest.fixture
def no_labs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labs that a run leaves, told by a stand-in for what ends them in this process."""
    labs: list[str] = []
    monkeypatch.setattr("labkit._listing.end_labs_of_run", lambda run_id: list(labs))
    return labs


def write(folder: Path, name: str, *codes: str, tags: tuple[str, ...] = ()) -> Path:
    """A notebook of code cells; `tags` go to the first one."""
    cells = [nbformat.v4.new_code_cell(code) for code in codes]
    cells[0].metadata.tags = list(tags)
    path = folder / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def wait_until(true: Callable[[], object], what: str) -> None:
    """Wait for a condition, at most `DEADLINE_S`."""
    until = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < until, f"did not happen in time: {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def text_of(executed: Path | None) -> str:
    """All that the cells of an executed notebook printed."""
    assert executed
    cells = nbformat.read(executed, 4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


# -- what comes out ------------------------------------------------------------------------------


def test_passing_notebook_gives_page_and_executed_copy(tmp_path: Path, no_labs: list[str]) -> None:
    """A notebook that passes leaves an executed copy and a page with its outputs."""
    before = (NOTEBOOKS / "ok.ipynb").read_bytes()
    summary = run_notebooks([NOTEBOOKS / "ok.ipynb"], output=tmp_path / "new" / "out")
    (result,) = summary.results
    assert summary.ok and result.ok and result.cells == 3 and result.failed_cell is None
    assert "hello world 3" in text_of(result.executed)
    assert result.html and "<b>bold world</b>" in result.html.read_text()
    assert (NOTEBOOKS / "ok.ipynb").read_bytes() == before


def test_page_needs_no_network_and_runs_no_script(tmp_path: Path, no_labs: list[str]) -> None:
    """A page loads nothing: no script in it, and a policy that forbids all sources."""
    (result,) = run_notebooks([NOTEBOOKS / "ok.ipynb"], output=tmp_path).results
    assert result.html
    tree = etree.HTML(result.html.read_text())
    assert not tree.findall(".//script")
    assert not tree.xpath("//link[@href] | //iframe | //*[starts-with(@src, 'http')]")
    (policy,) = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert "default-src 'none'" in policy and "script-src" not in policy


def test_notebook_runs_in_its_folder_with_this_python(tmp_path: Path, no_labs: list[str]) -> None:
    """The kernel is this interpreter's, its folder the notebook's, and the run has an id."""
    (result,) = run_notebooks([NOTEBOOKS / "ok.ipynb"], output=tmp_path).results
    said = text_of(result.executed)
    assert f"python {sys.executable}\n" in said and f"folder {NOTEBOOKS}\n" in said
    assert re.search(r"^run \w{8,}$", said, re.MULTILINE)


def test_other_python3_kernel_of_the_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_labs: list[str]
) -> None:
    """A kernel called python3 in the user's home does not take the place of this Python."""
    kernel = tmp_path / "data" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": ["/bin/false"], "display_name": "Other", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    assert run_notebooks([NOTEBOOKS / "ok.ipynb"]).ok


def test_no_kernelspec_is_tolerated(tmp_path: Path, no_labs: list[str]) -> None:
    """A notebook without metadata runs in the Python kernel."""
    (result,) = run_notebooks([NOTEBOOKS / "bare.ipynb"], output=tmp_path).results
    assert result.ok and text_of(result.executed) == "42\n"


def test_long_runtime_path_does_not_stop_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_labs: list[str]
) -> None:
    """Where no Unix socket fits, the kernel is reached in another way."""
    monkeypatch.setenv("LABKIT_RUNTIME", str(tmp_path / ("long" * 30)))
    assert run_notebooks([NOTEBOOKS / "bare.ipynb"]).ok


def test_nothing_is_kept_without_an_output_folder(no_labs: list[str]) -> None:
    """Without `output` there is neither page nor executed notebook."""
    (result,) = run_notebooks([NOTEBOOKS / "bare.ipynb"]).results
    assert result.ok and result.html is None and result.executed is None


def test_failing_cell_is_told_with_source_and_error(tmp_path: Path, no_labs: list[str]) -> None:
    """The first failing cell is told by its place in the file, without colour codes."""
    summary = run_notebooks([NOTEBOOKS / "failing.ipynb"], output=tmp_path)
    (result,) = summary.results
    cell = result.failed_cell
    assert not summary.ok and cell
    assert cell.index == 2 and cell.first_line == "# the first line" and result.cells == 2
    assert cell.error.endswith("ValueError: this went wrong") and "\x1b" not in cell.error
    assert "never reached" not in text_of(result.executed)
    assert result.html and "this" in result.html.read_text()
    for shown in (str(summary), summary._repr_mimebundle_()["text/html"]):
        assert "failing.ipynb" in shown and "cell 3: # the first line" in shown


def test_injected_parameters_do_not_shift_the_failing_cell(tmp_path: Path, no_labs: list[str]) -> None:
    """A failing cell keeps the number it has in the file when parameters are given."""
    path = write(tmp_path, "shift", "x = 1", "assert x == 1, x", tags=("parameters",))
    (result,) = run_notebooks([path], parameters={"x": 2}).results
    assert result.failed_cell and result.failed_cell.index == 1


def test_expected_error_does_not_fail(tmp_path: Path, no_labs: list[str]) -> None:
    """An error in a cell tagged raises-exception is part of the lesson."""
    path = write(tmp_path, "lesson", "1 / 0", "print('after')", tags=("raises-exception",))
    (result,) = run_notebooks([path], output=tmp_path / "out").results
    assert result.ok and text_of(result.executed) == "after\n"


def test_hostile_output_is_text(tmp_path: Path, no_labs: list[str]) -> None:
    """What a notebook prints, shows and raises is never markup, in no report."""
    report = tmp_path / "junit.xml"
    summary = run_notebooks([NOTEBOOKS / "hostile.ipynb"], output=tmp_path, junit=report)
    (result,) = summary.results
    assert result.html
    page = result.html.read_text()
    assert "&lt;script&gt;alert('printed')" in page and "&lt;img src=x" in page
    assert not etree.HTML(page).xpath("//script | //img")
    html = summary._repr_mimebundle_()["text/html"]
    assert not etree.HTML(html).findall(".//script") and "\x00" not in str(summary)
    assert "<script>alert('raised')" in str(etree.parse(report).findtext(".//failure"))


def test_summary_says_all_in_order(tmp_path: Path, no_labs: list[str]) -> None:
    """Two at once: results come in the order of the notebooks, files do not clash."""
    other = tmp_path / "other"
    other.mkdir()
    again = Path(shutil.copy(NOTEBOOKS / "bare.ipynb", other))
    paths = [NOTEBOOKS / "failing.ipynb", NOTEBOOKS / "bare.ipynb", again]
    summary = run_notebooks(paths, jobs=2, output=tmp_path / "out")
    assert [result.path for result in summary.results] == paths
    assert [result.ok for result in summary.results] == [False, True, True]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(
        f"{name}.{end}" for name in ("failing", "bare", "bare-2") for end in ("ipynb", "html")
    )
    assert "1 of 3 notebooks failed" in str(summary)


def test_junit_has_a_case_for_each_notebook(tmp_path: Path, no_labs: list[str]) -> None:
    """JUnit XML names each notebook, its time, and the failing cell with source and error."""
    report = tmp_path / "new" / "junit.xml"
    run_notebooks([NOTEBOOKS / "bare.ipynb", NOTEBOOKS / "failing.ipynb"], junit=report)
    suite = etree.parse(report).find("testsuite")
    assert suite is not None and (suite.get("tests"), suite.get("failures")) == ("2", "1")
    passed, failed = suite.findall("testcase")
    assert passed.get("name") == "bare.ipynb" and float(passed.get("time")) > 0
    assert passed.find("failure") is None
    said = failed.findtext("failure")
    assert 'raise ValueError("this' in said and "ValueError: this went wrong" in said


# -- parameters and bad input --------------------------------------------------------------------


def test_parameters_reach_the_notebook(tmp_path: Path, no_labs: list[str]) -> None:
    """Given values replace those of the parameters cell, also one of several lines."""
    (result,) = run_notebooks(
        [NOTEBOOKS / "ok.ipynb"], parameters={"name": "moon", "sizes": [5, 6]}, output=tmp_path
    ).results
    assert "hello moon 11" in text_of(result.executed)


@pytest.mark.parametrize("name", ["ok", "bare"])
def test_unknown_parameter_is_refused(name: str, tmp_path: Path) -> None:
    """A parameter that a notebook does not define is refused before anything runs."""
    with pytest.raises(InvalidValue, match="'colour'"):
        run_notebooks([NOTEBOOKS / f"{name}.ipynb"], parameters={"colour": 1}, output=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x"])
def test_parameter_that_no_notebook_can_hold_is_refused(value: object) -> None:
    """A parameter must be made of text, numbers, lists and dictionaries."""
    with pytest.raises(InvalidValue, match="cannot be handed"):
        run_notebooks([NOTEBOOKS / "ok.ipynb"], parameters={"name": value})


def test_missing_notebook_is_not_found(tmp_path: Path) -> None:
    """A path that does not exist is told as such."""
    with pytest.raises(NotFound, match="nowhere"):
        run_notebooks([NOTEBOOKS / "bare.ipynb", tmp_path / "nowhere.ipynb"])


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[1]", b'{"nbformat": 3, "worksheets": []}', b"[" * 100_000,
     b'{"nbformat": 4, "metadata": {}, "cells": "x"}',
     b'{"nbformat": 4, "metadata": {"kernelspec": {"language": "R"}}, "cells": []}'],
)  # fmt: skip
def test_what_is_no_python_notebook_is_refused(content: bytes, tmp_path: Path) -> None:
    """A file that is not a Python notebook of format 4 is refused with a sentence."""
    path = tmp_path / "bad.ipynb"
    path.write_bytes(content)
    with pytest.raises(InvalidValue, match="notebook"):
        run_notebooks([path])


@pytest.mark.parametrize("limits", [{"jobs": 0}, {"timeout_s": 0}, {"timeout_s": float("nan")}])
def test_limits_without_sense_are_refused(limits: dict[str, float]) -> None:
    """No notebook at once and no time are refused."""
    with pytest.raises(InvalidValue):
        run_notebooks([NOTEBOOKS / "bare.ipynb"], **limits)  # type: ignore[arg-type]


def test_output_never_replaces_the_notebook(tmp_path: Path) -> None:
    """The folder of the notebooks is refused as the folder for the executed ones."""
    path = write(tmp_path, "mine", "1")
    before = path.read_bytes()
    with pytest.raises(InvalidValue, match="would replace"):
        run_notebooks([path], output=tmp_path)
    assert path.read_bytes() == before


def test_braces_in_a_path_are_just_a_name(tmp_path: Path, no_labs: list[str]) -> None:
    """A notebook called {x} is run, not taken for a template."""
    assert run_notebooks([write(tmp_path, "a{x} é", "1")], output=tmp_path / "{out}").ok


# -- nothing is left -----------------------------------------------------------------------------


@pytest.mark.parametrize("stubborn", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_time_limit_ends_kernel_and_children(stubborn: bool, tmp_path: Path, no_labs: list[str]) -> None:
    """After the time limit neither kernel nor detached child is there, and the cell is told."""
    marker = tmp_path / "pids"
    (result,) = run_notebooks(
        [NOTEBOOKS / "hanging.ipynb"],
        parameters={"marker": str(marker), "stubborn": stubborn},
        timeout_s=10,
        output=tmp_path / "out",
    ).results
    assert result.failed_cell and result.failed_cell.index == 2
    assert "time limit of 10 s" in result.failed_cell.error
    assert not any(alive(int(pid)) for pid in marker.read_text().split())
    assert result.html and "time limit" in result.html.read_text()


def test_what_a_passing_notebook_starts_is_ended(tmp_path: Path, no_labs: list[str]) -> None:
    """A detached process of a notebook that passes does not outlive the run."""
    code = "import subprocess\np = subprocess.Popen(['sleep', '1000'], start_new_session=True, env={})\nprint(p.pid)"
    (result,) = run_notebooks([write(tmp_path, "child", code)], output=tmp_path / "out").results
    assert result.ok and not alive(int(text_of(result.executed)))


def test_kernel_that_dies_is_a_failed_cell(tmp_path: Path, no_labs: list[str]) -> None:
    """When the kernel is killed, the cell that ran is told."""
    path = write(tmp_path, "dies", "x = 1", "import os\nos.kill(os.getpid(), 9)")
    (result,) = run_notebooks([path]).results
    assert result.failed_cell and result.failed_cell.index == 1
    assert "kernel died" in result.failed_cell.error


def test_worker_that_is_killed_is_told(tmp_path: Path, no_labs: list[str]) -> None:
    """When the process that runs the notebook is killed, so is the kernel, and it is told."""
    marker = tmp_path / "pid"
    code = f"import os\nopen({str(marker)!r}, 'w').write(str(os.getpid()))\nos.kill(os.getppid(), 9)\nwhile True: pass"
    (result,) = run_notebooks([write(tmp_path, "orphan", code)]).results
    assert "signal 9" in result.problem and not alive(int(marker.read_text()))


def test_worker_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_labs: list[str]) -> None:
    """A worker that does not keep the time limit is ended from outside, with its kernel."""
    monkeypatch.setattr(runner, "_GRACE_S", 0.5)
    monkeypatch.setattr(runner, "_FAREWELL_S", 0.5)
    marker = tmp_path / "pids"
    code = (
        f"import os, signal\nopen({str(marker)!r}, 'w').write(f'{{os.getppid()}} {{os.getpid()}}')"
        "\nos.kill(os.getppid(), signal.SIGSTOP)\nwhile True: pass"
    )
    (result,) = run_notebooks([write(tmp_path, "stops", code)], timeout_s=10).results
    assert "was killed" in result.problem
    assert not any(alive(int(pid)) for pid in marker.read_text().split())


def test_lab_left_behind_fails_a_passing_notebook(no_labs: list[str]) -> None:
    """A notebook that leaves a lab fails with a sentence that names the lab."""
    no_labs.append("demo")
    (result,) = run_notebooks([NOTEBOOKS / "bare.ipynb"]).results
    assert not result.ok and result.failed_cell is None and result.ended_labs == ("demo",)
    assert "demo" in result.problem and "demo" in str(Summary((result,), 1.0))


def test_lab_of_a_failing_notebook_is_told(no_labs: list[str]) -> None:
    """What a failing notebook left is listed, and the failing cell stays the reason."""
    no_labs.append("demo")
    (result,) = run_notebooks([NOTEBOOKS / "failing.ipynb"]).results
    assert result.ended_labs == ("demo",) and not result.problem
    assert "ended after it: demo" in str(Summary((result,), 1.0))


def test_lab_that_cannot_be_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while ending labs becomes part of the result."""

    def fails(run_id: str) -> list[str]:
        raise EngineError("the lab does not answer")

    monkeypatch.setattr("labkit._listing.end_labs_of_run", fails)
    (result,) = run_notebooks([NOTEBOOKS / "bare.ipynb"]).results
    assert not result.ok and "the lab does not answer" in result.problem


def hanging_command(folder: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """``labkit run`` with two notebooks that hang and one that waits, and the hanging pids."""
    copies = [Path(shutil.copy(NOTEBOOKS / "hanging.ipynb", folder / f"h{n}.ipynb")) for n in "ab"]
    for copy in copies:
        copy.write_text(copy.read_text().replace("/dev/null", str(copy.with_suffix(".pids"))))
    options = ["-j", "2", "--output", str(folder / "out"), "--timeout", "300"]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *options, *map(str, copies), str(NOTEBOOKS / "bare.ipynb")],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"COLUMNS": "200"},
    )
    pids = []
    for marker in (copy.with_suffix(".pids") for copy in copies):
        wait_until(marker.exists, f"{marker} is written")
        pids += [int(pid) for pid in marker.read_text().split()]
    assert len(pids) == 6 and all(alive(pid) for pid in pids)
    return process, pids


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_everything_and_prints_the_summary(number: signal.Signals, tmp_path: Path) -> None:
    """On Ctrl-C and on SIGTERM all processes end, and the summary tells of all notebooks."""
    process, pids = hanging_command(tmp_path)
    process.send_signal(number)
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert not any(alive(pid) for pid in pids)
    assert "ha.ipynb" in out and "hb.ipynb" in out and "stopped while it ran" in out
    assert "bare.ipynb" in out and "stopped before it ran" in out


def test_kill_of_the_command_ends_everything(tmp_path: Path) -> None:
    """When ``labkit run`` is killed, its workers end their kernels and what these started."""
    process, pids = hanging_command(tmp_path)
    process.kill()
    process.wait()
    assert process.stdout
    process.stdout.close()
    wait_until(lambda: not any(alive(pid) for pid in pids), "the processes end")
    wait_until(lambda: not list(Path(os.environ["LABKIT_RUNTIME"]).glob("run-*")), "the folders go")


# -- the command ---------------------------------------------------------------------------------


def test_importing_the_command_loads_no_notebook_library() -> None:
    """`labkit --help` must not wait for papermill."""
    code = (
        "import sys, labkit.course._command, labkit.course.exercises, labkit.course.runner\n"
        "heavy = {'papermill', 'nbformat', 'nbconvert', 'IPython', 'jinja2', 'rich', 'lxml'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("-1.5", -1.5), ("1e3", 1000.0), ("True", True), ("None", None),
     ("128 MiB", "128 MiB"), ("nan", "nan"), ("", ""), ("0x10", "0x10")],
)  # fmt: skip
def test_values_of_the_command_line(text: str, value: object) -> None:
    """Numbers, True, False and None are what they look like; all else is text."""
    got = _command._value(text)
    assert got == value and type(got) is type(value)


def test_course_of_the_working_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without names, the notebooks are those beside labkit, or else in ./notebooks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_command, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(NotFound):
        _command.course_notebooks()
    (tmp_path / "notebooks").mkdir()
    write(tmp_path / "notebooks", "02_b", "1")
    write(tmp_path / "notebooks", "01_a", "1")
    assert [path.name for path in _command.course_notebooks()] == ["01_a.ipynb", "02_b.ipynb"]
