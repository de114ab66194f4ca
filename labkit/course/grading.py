"""The student edition: the notebooks without their solutions, made by nbgrader."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DeadlineExceeded, InvalidValue, LabError, NotFound, PackageMissing
from . import _notebook

_ASSIGNMENT = "course"
_DEADLINE_S = 300


def student_edition(source_folder: Path | str, target_folder: Path | str) -> list[Path]:
    """Write the notebooks that have exercises, without solutions, into `target_folder`.

    What stands between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` becomes a place to write;
    checks stay and are locked; outputs are cleared. Files of equal name are replaced. The folder
    ``pictures``, which the texts show, comes along.

    Parameters
    ----------
    source_folder
        The folder with the notebooks, whose exercise cells carry nbgrader's metadata.
    target_folder
        Where the student edition goes; it is made if it is missing.

    Returns
    -------
    list of Path
        The written files, sorted by name.

    Raises
    ------
    NotFound
        If no notebook in `source_folder` has an exercise.
    InvalidValue
        If the two folders are the same, or nbgrader refuses a notebook.
    PackageMissing
        If nbgrader is not installed.
    """
    source, target = Path(source_folder).resolve(), Path(target_folder).resolve()
    if source == target:
        raise InvalidValue(f"{target} holds the notebooks themselves", hint="name another folder")
    notebooks = [p for p in sorted(source.glob("*.ipynb")) if _has_exercise(_notebook.load(p))]
    if not notebooks:
        raise NotFound(f"no notebook in {source} has an exercise")
    with tempfile.TemporaryDirectory(prefix="labkit-student-") as course:
        work = Path(course) / "source" / _ASSIGNMENT
        work.mkdir(parents=True)
        for notebook in notebooks:
            shutil.copy(notebook, work)
        _generate(Path(course))
        written = _release(Path(course) / "release" / _ASSIGNMENT, target)
    if (source / "pictures").is_dir():
        shutil.copytree(source / "pictures", target / "pictures", dirs_exist_ok=True)
    return written


def _has_exercise(content: Mapping[str, Any]) -> bool:
    return any("nbgrader" in cell.get("metadata", {}) for cell in content["cells"])


def _generate(course: Path) -> None:
    """Let nbgrader do it, without the user's own settings."""
    command = [sys.executable, "-P", "-m", "nbgrader", "generate_assignment", _ASSIGNMENT]
    try:
        done = subprocess.run(
            [*command, "--no-db", f"--CourseDirectory.root={course}"],
            cwd=course,
            env=os.environ | {"JUPYTER_CONFIG_DIR": str(course)},
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DeadlineExceeded(f"nbgrader took longer than {_DEADLINE_S} s") from None
    if "No module named nbgrader" in done.stderr:
        raise PackageMissing("nbgrader is not installed", hint="pip install 'labkit[course]'")
    if done.returncode:
        said = done.stderr.strip()[-1500:]
        raise InvalidValue(f"nbgrader makes no student edition of these notebooks: {said}")


def _release(made: Path, target: Path) -> list[Path]:
    try:
        target.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(path, target)) for path in sorted(made.glob("*.ipynb"))]
    except OSError as error:
        raise LabError(f"{target} cannot be written: {error.strerror}") from error
