"""JupyterLab as `./lab` starts it, and a browser to look at it with."""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))  # for `_jupyter`, which no package holds

from _jupyter import CHROMIUM, FLAGS, KERNEL, REPOSITORY, Opener, jupyterlab, open_in, run_all

from labkit import Lab
from labkit.testing import settle, take_stock


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser the tests of this folder are skipped with a reason."""
    for item in items:
        if "/browser/" in item.nodeid and CHROMIUM is None:
            item.add_marker(pytest.mark.skip(reason="there is no Chromium to test with (on Ubuntu it is a snap)"))


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that `./lab` prints; settings that the tests change are not the user's."""
    with jupyterlab(tmp_path_factory.mktemp("jupyter")) as printed:
        yield printed


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder below the root of the server."""
    path = REPOSITORY / "notebooks" / f"browser-{secrets.token_hex(3)}"
    path.mkdir()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def shared_lab() -> Iterator[Lab]:
    """A lab that this process and the notebook in the browser both have hold of."""
    name = f"b-{secrets.token_hex(4)}"
    before = take_stock(name)
    lab = Lab.open(name, hosts=["alpha", "beta"])
    lab.networks.create("lan")
    yield lab
    lab.close()
    left = settle(name, before)
    assert not left, f"the lab left behind: {left}"


@pytest.fixture
def open_notebook(page: Page, address: str, folder: Path) -> Iterator[Opener]:
    """Make a notebook of cells, open it in the page and run it to its end."""

    def run(*cells: str, wait_s: float = 120, meanwhile: Callable[[], None] = lambda: None) -> None:
        path = folder / f"n{secrets.token_hex(2)}.ipynb"
        nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=KERNEL), path)
        open_in(page, address, path)
        run_all(page, wait_s, meanwhile)

    yield run
    # The kernel, and what it has open, goes with its session.
    page.evaluate(
        """async () => {
          const base = JSON.parse(document.getElementById("jupyter-config-data").textContent);
          const headers = { Authorization: `token ${base.token}` };
          const told = await fetch(`${base.baseUrl}api/sessions`, { headers });
          for (const session of await told.json())
            await fetch(`${base.baseUrl}api/sessions/${session.id}`, { method: "DELETE", headers });
        }"""
    )
