"""Exercises: what a learner sees, when a run fails, and the student edition."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from lxml import etree

from labkit.course import ExerciseNotDone, exercise, student_edition
from labkit.course.exercises import Missing, Verdict
from labkit.errors import EngineError, InvalidValue, LabError, NotFound

NOTEBOOKS = Path(__file__).parent / "notebooks"


@pytest.fixture
def headless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a run by `labkit run`, even if that was started from a notebook."""
    monkeypatch.setenv("LABKIT_RUN", "x")
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/a.ipynb")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a notebook that a person has open."""
    for name in ("LABKIT_RUN", "NBGRADER_EXECUTION", "NBGRADER_VALIDATING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/a.ipynb")


def test_done_exercise_says_so(headless: None, capsys: pytest.CaptureFixture[str]) -> None:
    """When all conditions are true, done is said and nothing is raised."""
    with exercise("Two and two are four") as check:
        assert check(lambda: 2 + 2 == 4, "they are not")
        assert check([1], "there is nothing")
    assert capsys.readouterr().out == "● done: Two and two are four\n"


def test_headless_run_fails_with_all_that_is_missing(headless: None) -> None:
    """Every condition is evaluated, and the error says each that is not true."""
    with pytest.raises(ExerciseNotDone) as caught, exercise("Much") as check:  # noqa: PT012
        assert not check(False, "the first is missing", hint="try harder")
        check(True, "the second is missing")
        check(lambda: None, "the third is missing")
    assert isinstance(caught.value, LabError)
    assert [one.text for one in caught.value.verdict.missing] == [
        "the first is missing",
        "the third is missing",
    ]
    assert "the first is missing; the third is missing\n→ try harder" in str(caught.value)


def test_reader_gets_the_message_and_no_error(watched: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A person who has the notebook open sees what is missing, and the next cell can run."""
    with exercise("Much") as check:
        check(False, "the first is missing", hint="try harder")
    assert capsys.readouterr().out == ("◌ not yet: Much\n  – the first is missing\n    hint: try harder\n")


@pytest.mark.parametrize("name", ["LABKIT_RUN", "NBGRADER_EXECUTION", "NBGRADER_VALIDATING"])
def test_headless_wins_over_an_open_notebook(name: str, watched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run started from an open notebook, and nbgrader's, fail all the same."""
    monkeypatch.setenv(name, "1")
    with pytest.raises(ExerciseNotDone), exercise("Much") as check:
        check(False, "all is missing")


def test_unknown_surroundings_fail(watched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing says that a person reads, as under plain papermill, the run fails."""
    monkeypatch.delenv("JPY_SESSION_NAME")
    monkeypatch.delenv("VSCODE_PID", raising=False)
    with pytest.raises(ExerciseNotDone), exercise("Much") as check:
        check(False, "all is missing")


def test_error_of_labkit_counts_as_missing(headless: None) -> None:
    """A condition that raises one of labkit's errors is missing, with its sentence and hint."""

    def asks() -> bool:
        raise EngineError("the machine does not answer", hint="start it")

    with pytest.raises(ExerciseNotDone) as caught, exercise("It answers") as check:  # noqa: PT012
        check(asks, "no answer")
        check(lambda: undefined.state, "it has no state")  # type: ignore[name-defined]  # noqa: F821
        check(lambda: "".state, "it is no machine")  # type: ignore[attr-defined]
    assert caught.value.verdict.missing == (
        Missing("no answer (the machine does not answer)", "start it"),
        Missing("it has no state (undefined is not defined yet)"),
        Missing("it is no machine (AttributeError: 'str' object has no attribute 'state')"),
    )


def test_condition_that_is_no_function_may_raise_too(headless: None) -> None:
    """An error of labkit and a missing name in the block itself count as missing."""
    with pytest.raises(ExerciseNotDone, match="undefined is not defined yet"), exercise("It runs") as check:
        check(undefined.runs, "it does not run")  # type: ignore[name-defined]  # noqa: F821
    with pytest.raises(ExerciseNotDone, match="it is gone"), exercise("It runs"):
        raise EngineError("it is gone")


def test_mistake_in_the_notebook_is_not_hidden(watched: None) -> None:
    """Another error in the block is a mistake of the notebook, and an empty check is one."""
    with pytest.raises(ZeroDivisionError), exercise("It runs") as check:
        check(1 / 0, "never")
    with pytest.raises(InvalidValue, match="checks nothing"), exercise("It runs"):
        pass


def test_shown_text_is_escaped() -> None:
    """Titles, sentences and hints are text, whatever a machine's name holds."""
    evil = "<script>alert(1)</script>"
    verdict = Verdict(evil, (Missing(f"{evil} two", f"{evil} three"),))
    tree = etree.HTML(verdict._repr_mimebundle_()["text/html"])
    assert not tree.findall(".//script")
    text = "".join(tree.itertext())
    assert text.count(evil) == 3 and "not yet" in text
    (hint,) = tree.findall(".//details")
    assert f"{evil} three" in "".join(hint.itertext())


def test_error_in_a_notebook_has_no_traceback(tmp_path: Path) -> None:
    """In an executed notebook the error is the sentence alone, and the page shows the hint."""
    from labkit.course import run_notebooks

    notebook = nbformat.read(NOTEBOOKS / "exercise.ipynb", 4)
    notebook.cells[1].source = "answer = 41"
    nbformat.write(notebook, tmp_path / "wrong.ipynb")
    (result,) = run_notebooks([tmp_path / "wrong.ipynb"], output=tmp_path / "out").results
    assert result.failed_cell and result.failed_cell.index == 2
    assert result.failed_cell.error == (
        "ExerciseNotDone: the exercise “The answer is known” is not done: `answer` is not the answer\n→ It is 42."
    )
    assert result.html
    page = etree.HTML(result.html.read_text())
    assert page.xpath("//details[summary='Hint'][contains(., 'It is 42.')]")


# -- the student edition -------------------------------------------------------------------------


def test_student_edition_has_no_solution(tmp_path: Path) -> None:
    """Notebooks with exercises are released without solutions; checks stay and are locked."""
    (released,) = student_edition(NOTEBOOKS, tmp_path / "new" / "students")
    assert released == tmp_path / "new" / "students" / "exercise.ipynb"
    text = released.read_text()
    assert "SOLUTION" not in text and "answer = 42" not in text
    solve, check = nbformat.read(released, 4).cells[1:]
    assert "YOUR CODE HERE" in solve.source and solve.metadata.nbgrader.solution
    assert "with exercise(" in check.source and check.metadata.editable is False


@pytest.mark.slow
def test_student_edition_fails_until_it_is_solved(tmp_path: Path) -> None:
    """nbgrader's own validation refuses the student edition and accepts a solved one."""
    (released,) = student_edition(NOTEBOOKS, tmp_path)

    def validate() -> str:
        command = [sys.executable, "-m", "nbgrader", "validate", str(released)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return done.stdout + done.stderr

    assert "VALIDATION FAILED ON 1 CELL" in validate()
    notebook = nbformat.read(released, 4)
    notebook.cells[1].source = "answer = 42"
    nbformat.write(notebook, released)
    assert "Success" in validate()


def test_folder_without_exercises_is_told(tmp_path: Path) -> None:
    """There is nothing to release where no notebook has an exercise."""
    shutil.copy(NOTEBOOKS / "ok.ipynb", tmp_path)
    with pytest.raises(NotFound, match="no notebook"):
        student_edition(tmp_path, tmp_path / "students")
    with pytest.raises(NotFound):
        student_edition(tmp_path / "nowhere", tmp_path / "students")
    assert not (tmp_path / "students").exists()


def test_student_edition_never_replaces_the_course(tmp_path: Path) -> None:
    """The folder of the notebooks themselves is refused as the target."""
    shutil.copy(NOTEBOOKS / "exercise.ipynb", tmp_path)
    before = (tmp_path / "exercise.ipynb").read_bytes()
    with pytest.raises(InvalidValue, match="themselves"):
        student_edition(tmp_path, tmp_path / "x" / "..")
    assert (tmp_path / "exercise.ipynb").read_bytes() == before


def test_unmarked_solution_is_refused(tmp_path: Path) -> None:
    """A solution in a cell that is not marked as one would get out, so nbgrader refuses it."""
    content = json.loads((NOTEBOOKS / "exercise.ipynb").read_text())
    del content["cells"][1]["metadata"]["nbgrader"]
    (tmp_path / "leak.ipynb").write_text(json.dumps(content))
    with pytest.raises(InvalidValue, match="nbgrader"):
        student_edition(tmp_path, tmp_path / "students")
    assert not (tmp_path / "students").exists()
