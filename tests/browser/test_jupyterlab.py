"""A learner's way: `./lab`, a browser, a notebook run from top to bottom."""

from __future__ import annotations

import shutil
from pathlib import Path

from _jupyter import REPOSITORY, open_in, run_all
from playwright.sync_api import Page

from labkit import labs


def test_first_machine_runs_in_jupyterlab(address: str, page: Page, folder: Path) -> None:
    """Notebook 01 runs to its end in JupyterLab without an error, shows its cards, and leaves no lab."""
    notebook = folder / "01_first_machine.ipynb"
    shutil.copy(REPOSITORY / "notebooks" / notebook.name, notebook)
    shutil.copytree(REPOSITORY / "notebooks" / "pictures", folder / "pictures")
    open_in(page, address, notebook)
    run_all(page, 240)
    page.get_by_role("group", name="machine web, it was destroyed").first.wait_for()
    assert labs() == []
