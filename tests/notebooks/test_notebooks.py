"""The course's notebooks: how they are made, that they run, and what students get of them."""

from __future__ import annotations

import ast
import ipaddress
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _vagrant import needs_vagrant

from labkit.course import student_edition
from labkit.course.results import NotebookResult, Summary
from labkit.course.runner import run_notebooks
from labkit import labs

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
Cell = dict[str, Any]

# The first takes three minutes, and what it does the notebooks before it do one by one; the others boot virtual machines.
LONG = {"14_side_by_side", "11_xen", "20_hosts_with_vagrant"}
TIMES_S = {"11_xen": 3000.0, "20_hosts_with_vagrant": 3000.0}
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def marks(path: Path) -> list[pytest.MarkDecorator]:
    """Those of a test that runs a notebook. All tests that start the labs of one run one after the other."""
    needs = [needs_vagrant] if "vagrant" in path.stem else []
    needs += [pytest.mark.slow] if path.stem in LONG else []
    return [pytest.mark.xdist_group(path.stem), pytest.mark.timeout(2 * TIMES_S.get(path.stem, 300.0)), *needs]


each_alone = [pytest.param(path, id=path.stem, marks=marks(path)) for path in NOTEBOOKS]

NBGRADER_KEYS = {"grade", "grade_id", "locked", "schema_version", "solution", "task"}
LANES = ipaddress.ip_network("198.18.0.0/15")
# Folders that are one person's or one machine's; /proc, /run and the like are everybody's.
PRIVATE_PATH = re.compile(r"(?<![\w.])(/home/|/Users/|/work/|/tmp/|/var/folders/|/root/\.|~/|[A-Z]:\\)")
# Each exercise that is not solved takes 10 to 50 s: those of these in any case, the others with --all.
SHORT = {"00_start_here", "01_first_machine", "13_lxc"}
# What the exercises of a notebook need of the cells before them; None: all.
GROUND: dict[str, list[str] | None] = {
    "00_start_here": None,
    "01_first_machine": ["parameters", "lab", "stopwatch", "create"],
    "10_kvm": ["parameters", "guest", "virsh"],
    "11_xen": ["parameters", "lab"],
    "12_docker": ["parameters", "lab", "build", "bars", "web", "scale", "ask"],
    "13_lxc": ["parameters", "lab", "create"],
    "14_side_by_side": ["parameters", "lab", "serve", "tools", "held", "each"],
    "33_live_migration": ["parameters", "lab", "create"],
    "21_networks": ["parameters", "lab", "hand", "lan", "router"],
    "31_monitoring": ["parameters", "lab", "create"],
}


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def source(cell: Cell) -> str:
    return "".join(cell["source"])


def code_cells(path: Path) -> list[Cell]:
    return [cell for cell in load(path)["cells"] if cell["cell_type"] == "code"]


def graded(cell: Cell) -> Cell:
    words: Cell = cell["metadata"].get("nbgrader", {})
    return words


def exercises(cells: list[Cell]) -> list[tuple[Cell, Cell]]:
    """Each check with the solution before it."""
    pairs, solution = [], None
    for cell in cells:
        if graded(cell).get("solution"):
            solution = cell
        elif graded(cell).get("grade"):
            assert solution is not None, f"{cell['id']} checks what has no solution"
            pairs.append((solution, cell))
    return pairs


def parameters(path: Path) -> dict[str, Any]:
    """What the parameters cell defines."""
    [cell] = [cell for cell in code_cells(path) if "parameters" in cell["metadata"].get("tags", [])]
    statements = ast.parse(source(cell)).body
    assert all(isinstance(statement, ast.Assign) for statement in statements)
    return {
        target.id: ast.literal_eval(statement.value)
        for statement in statements
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def left_labs(path: Path) -> list[str]:
    """The labs of this notebook that there are; those of a headless run have a suffix."""
    return [lab.name for lab in labs() if lab.name.split(".")[0] == parameters(path)["LAB"]]


# ── How they are made ─────────────────────────────────────────────────────────────────────────


@every_notebook
def test_is_committed_as_if_never_run(path: Path) -> None:
    """No cell has an output or an execution count."""
    for cell in code_cells(path):
        assert cell["outputs"] == [], cell["id"]
        assert cell["execution_count"] is None, cell["id"]


@every_notebook
def test_opens_without_a_question(path: Path) -> None:
    """The kernel and the language are named, so that JupyterLab asks for none; every cell has an id of its own."""
    content = load(path)
    kernel = content["metadata"]["kernelspec"]
    assert kernel == {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    assert content["metadata"]["language_info"]["name"] == "python"
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in content["cells"]]
    assert len(set(ids)) == len(ids)


@every_notebook
def test_has_the_size_of_a_lesson(path: Path) -> None:
    """A notebook has 20 to 45 cells; a code cell has at most 15 lines, and half of them at most 5."""
    assert 20 <= len(load(path)["cells"]) <= 45
    lengths = {cell["id"]: source(cell).splitlines() for cell in code_cells(path)}
    assert all(len(lines) <= 15 for lines in lengths.values()), lengths
    assert statistics.median(sum(bool(line.strip()) for line in lines) for lines in lengths.values()) <= 5


@every_notebook
def test_is_explained_before_it_is_done(path: Path) -> None:
    """It begins with a title, and never do more than four code cells follow each other without a word."""
    cells = load(path)["cells"]
    assert source(cells[0]).startswith("# ")
    kinds = "".join(cell["cell_type"][0] for cell in cells)
    assert "c" * 5 not in kinds


@every_notebook
def test_is_plain_python(path: Path) -> None:
    """Each code cell is Python without magics, and no line is too long to be read."""
    for cell in code_cells(path):
        ast.parse(source(cell), filename=cell["id"])
        assert all(len(line) <= 120 for line in source(cell).splitlines()), cell["id"]


@every_notebook
def test_has_a_parameters_cell(path: Path) -> None:
    """One cell is tagged for papermill, and names the lab."""
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,24}", parameters(path)["LAB"])


def test_labs_have_names_of_their_own() -> None:
    """Two notebooks that are open at once do not meet in one lab."""
    names = [parameters(path)["LAB"] for path in NOTEBOOKS]
    assert len(set(names)) == len(names)


@every_notebook
def test_cleans_up_in_the_last_cell(path: Path) -> None:
    """The last cell is code that closes the lab."""
    last = load(path)["cells"][-1]
    assert last["cell_type"] == "code"
    assert "lab.close()" in source(last)


@every_notebook
def test_has_exercises(path: Path) -> None:
    """Two to four exercises, each with a locked text, a marked solution, and a check that hints."""
    cells = load(path)["cells"]
    assert 2 <= len(exercises(cells)) <= 4
    texts = [cell for cell in cells if cell["cell_type"] == "markdown" and graded(cell)]
    assert len(texts) == len(exercises(cells))
    assert all(graded(cell)["locked"] for cell in texts)
    for solution, check in exercises(cells):
        assert source(solution).startswith("### BEGIN SOLUTION\n")
        assert source(solution).endswith("\n### END SOLUTION")
        assert not graded(solution)["grade"]
        assert graded(check)["locked"]
        assert graded(check)["points"] > 0
        assert "with exercise(" in source(check)
        assert "hint=" in source(check)


@every_notebook
def test_nbgrader_knows_the_cells(path: Path) -> None:
    """Each cell of an exercise has all of nbgrader's words and an id of its own."""
    marked = [cell for cell in load(path)["cells"] if graded(cell)]
    for cell in marked:
        assert graded(cell).keys() >= NBGRADER_KEYS, cell["id"]
        assert graded(cell)["schema_version"] == 3
    ids = [graded(cell)["grade_id"] for cell in marked]
    assert len(set(ids)) == len(ids)


@every_notebook
def test_is_at_home_everywhere(path: Path) -> None:
    """No path of one person's machine, and no address outside of the lab's range and loopback."""
    for cell in load(path)["cells"]:
        assert not PRIVATE_PATH.search(source(cell)), cell["id"]
        for text in re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", source(cell)):
            address = ipaddress.ip_address(text)
            assert address in LANES or address.is_loopback, (cell["id"], text)


@every_notebook
def test_links_and_pictures_are_there(path: Path) -> None:
    """What a text shows or leads to lies beside the notebook."""
    text = "\n".join(source(cell) for cell in load(path)["cells"] if cell["cell_type"] == "markdown")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        assert (FOLDER / target).is_file(), target


# ── That they run ─────────────────────────────────────────────────────────────────────────────


def run(path: Path, output: Path | None = None) -> NotebookResult:
    summary: Summary = run_notebooks([path], timeout_s=TIMES_S.get(path.stem, 300), output=output)
    [result] = summary.results
    return result


@pytest.mark.parametrize("path", each_alone)
def test_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    """Every cell runs without an error, no lab is left, and the page shows it all."""
    result = run(path, tmp_path)
    assert result.ok, f"{result.reason}\n{result.failed_cell}"
    assert result.cells == len(code_cells(path))
    assert left_labs(path) == []
    assert result.html
    check_page(result.html.read_text("utf-8"), load(path)["cells"])


def check_page(page: str, cells: list[Cell]) -> None:
    """In a page all exercises are done, pictures are inside, and nothing is a bare Python object."""
    texts = "\n".join(source(cell) for cell in cells if cell["cell_type"] == "markdown")
    assert len(re.findall(r">●(?:</span>)? done", page)) == len(exercises(cells))
    assert len(re.findall(r'<img alt="[^"]+" src="data:image/svg', page)) == texts.count("![")
    assert " object at 0x" not in page


@pytest.mark.xdist_group("00_start_here")
def test_second_run_says_the_same(tmp_path: Path) -> None:
    """Where the output of 00_start_here cannot vary, a second run (by nbval) has the output of the first."""
    # The others show times, addresses and process numbers in nearly every cell: nothing to compare.
    path = FOLDER / "00_start_here.ipynb"
    first = run(path, tmp_path).executed
    assert first
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider", "-c", "/dev/null", "-q", str(first)],
        capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert left_labs(path) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", each_alone)
def test_runs_again_in_the_lab_that_was_left(path: Path, tmp_path: Path) -> None:
    """A learner who starts over without having cleaned up comes to the end all the same."""
    content = load(path)
    again = [cell | {"id": f"again-{cell['id']}"[:64]} for cell in content["cells"]]
    content["cells"] = content["cells"][:-1] + again
    twice = tmp_path / path.name
    twice.write_text(json.dumps(content))
    result = run(twice)
    assert result.ok, f"{result.reason}\n{result.failed_cell}"


# ── What students get ─────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the student edition."""
    folder = tmp_path_factory.mktemp("students")
    written = student_edition(FOLDER, folder)
    assert [path.name for path in written] == [path.name for path in NOTEBOOKS]
    return folder


@every_notebook
def test_students_get_no_solutions(edition: Path, path: Path) -> None:
    """The edition has a place to write for each solution, no word of it, and everything else as it was."""
    given = load(edition / path.name)["cells"]
    ours = load(path)["cells"]
    assert len(given) == len(ours)
    for theirs, cell in zip(given, ours, strict=True):
        if graded(cell).get("solution"):
            assert source(theirs) == "# YOUR CODE HERE\nraise NotImplementedError()"
        else:
            assert source(theirs).strip() == source(cell).strip()
    text = (edition / path.name).read_text("utf-8")
    assert "SOLUTION" not in text
    for picture in re.findall(r"\]\((pictures/[^)]+)\)", text):
        assert (edition / picture).is_file()


def unsolved() -> Iterator[Any]:
    """Every exercise of every notebook that says what its exercises stand on."""
    for path in NOTEBOOKS:
        if path.stem in GROUND:
            for solution, check in exercises(load(path)["cells"]):
                marks = [pytest.mark.xdist_group(path.stem), *([] if path.stem in SHORT else [pytest.mark.slow])]
                yield pytest.param(path, solution["id"], check["id"], id=f"{path.stem}-{check['id']}", marks=marks)


@pytest.mark.parametrize(("path", "solution", "check"), list(unsolved()))
def test_an_empty_answer_does_not_pass(path: Path, solution: str, check: str, tmp_path: Path) -> None:
    """Where one exercise was not solved and all others were, its check fails, and says what is missing."""
    content = load(path)
    cells: list[Cell] = content["cells"]
    ground, first = GROUND[path.stem], next(n for n, cell in enumerate(cells) if graded(cell))
    if ground is not None:
        cells = [cell for n, cell in enumerate(cells) if n >= first or cell["id"] in ground]
    upto = next(n for n, cell in enumerate(cells) if cell["id"] == check)
    for cell in cells:
        if cell["id"] == solution:
            cell["source"] = "pass"
    content["cells"] = [*cells[: upto + 1], cells[-1]]
    mine = tmp_path / path.name
    mine.write_text(json.dumps(content))
    result = run(mine)
    assert result.failed_cell, "the check passed"
    assert result.failed_cell.index == upto, result.failed_cell.error
    assert "is not done" in result.failed_cell.error
