"""Reading a notebook file and saying what is wrong with it, before anything runs."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidValue, NotFound


def load(path: Path) -> dict[str, Any]:
    """The content of a notebook file.

    Raises
    ------
    NotFound
        If there is no such file.
    InvalidValue
        If it is not a Python notebook of format 4.
    """
    if not path.exists():
        raise NotFound(f"there is no notebook {path}", hint="check the path; see `ls notebooks`")
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidValue(f"{path} is not a notebook: {error}") from None
    if not isinstance(content, dict) or content.get("nbformat") != 4 or not _has_cells(content):
        raise InvalidValue(f"{path} is not a notebook of format 4", hint="open it in JupyterLab and save it again")
    if (language := _language(content)) != "python":
        raise InvalidValue(f"{path} is a notebook in {ascii(language)[:40]}, not in Python")
    return content


def _has_cells(content: Mapping[str, Any]) -> bool:
    cells = content.get("cells")
    return (
        isinstance(cells, list)
        and all(isinstance(cell, dict) and "cell_type" in cell for cell in cells)
        and isinstance(content.get("metadata"), dict)
    )


def _language(content: Mapping[str, Any]) -> object:
    """The language that the notebook names; Python if it names none."""
    metadata = content["metadata"]
    for table, key in (("kernelspec", "language"), ("language_info", "name")):
        named = metadata.get(table)
        if isinstance(named, dict) and named.get(key):
            return named[key]
    return "python"


def source(cell: Mapping[str, Any]) -> str:
    """The text of a cell; a file holds it as a string or as a list of lines."""
    return "".join(cell.get("source", ""))


def parameters(content: Mapping[str, Any]) -> set[str]:
    """The names that the notebook's `parameters` cell defines."""
    for cell in content["cells"]:
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            return _names(source(cell))
    return set()


def _names(code: str) -> set[str]:
    plain = "\n".join(line for line in code.splitlines() if not line.startswith(("%", "!")))
    try:
        statements = ast.parse(plain).body
    except SyntaxError:
        return set()
    targets = (node for statement in statements for node in _targets(statement))
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def _targets(statement: ast.stmt) -> Iterable[ast.expr]:
    match statement:
        case ast.Assign(targets=targets):
            return targets
        case ast.AnnAssign(target=target, value=value) if value is not None:
            return [target]
    return []


def check_parameters(path: Path, content: Mapping[str, Any], given: Mapping[str, object]) -> None:
    """Refuse a parameter that the notebook does not have.

    Raises
    ------
    InvalidValue
        With the names that it has.
    """
    known = parameters(content)
    for name in given:
        if name not in known:
            has = f"it has {', '.join(sorted(known))}" if known else "it has none"
            raise InvalidValue(f"{path.name} has no parameter {ascii(name)[:60]}", hint=has)
