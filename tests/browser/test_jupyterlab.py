"""A learner's way: `./lab`, a browser, a notebook run from top to bottom."""

from __future__ import annotations

import os
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, sync_playwright

from labkit import labs

REPOSITORY = Path(__file__).parent.parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Nothing is asked of a network: the page comes from this machine.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to test with (on Ubuntu it is a snap)"),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address that `./lab` prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [REPOSITORY / "lab", "--no-browser", f"--port={port}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True, cwd="/",
    )  # fmt: skip
    try:
        yield _printed_address(server, port)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def _printed_address(server: subprocess.Popen[bytes], port: int) -> str:
    deadline, said = time.monotonic() + 180, b""
    assert server.stdout
    while time.monotonic() < deadline:
        if select.select([server.stdout], [], [], 1)[0]:
            more = os.read(server.stdout.fileno(), 65536)
            assert more, f"./lab ended: {said.decode()}"
            said += more
            if found := re.search(rf"http://(?:localhost|127\.0\.0\.1):{port}/lab\S*token=\w+\s".encode(), said):
                return found[0].decode().strip()
    raise AssertionError(f"./lab printed no address: {said.decode()}")


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": 1400, "height": 1000})
        browser.close()


@pytest.fixture
def notebook() -> Iterator[str]:
    """A copy of the notebook, for JupyterLab saves what was run; relative to the server's root."""
    folder = REPOSITORY / "notebooks" / f"browser-{secrets.token_hex(3)}"
    folder.mkdir()
    shutil.copy(REPOSITORY / "notebooks" / "01_first_machine.ipynb", folder)
    shutil.copytree(REPOSITORY / "notebooks" / "pictures", folder / "pictures")
    yield f"{folder.name}/01_first_machine.ipynb"
    shutil.rmtree(folder)


def test_first_machine_runs_in_jupyterlab(address: str, page: Page, notebook: str) -> None:
    """Notebook 01 runs to its end in JupyterLab without an error, shows its cards, and leaves no lab."""
    base, query = address.split("/lab?", 1)
    page.goto(f"{base}/lab/tree/{notebook}?{query}&reset")
    page.wait_for_selector(".jp-Notebook .jp-InputPrompt", timeout=90_000)
    # Before its kernel answers, a notebook asks which one to take.
    page.get_by_text("| Idle").wait_for(timeout=90_000)
    page.click("text=Run >> nth=0")
    page.click("li[role=menuitem]:has-text('Run All Cells')")
    _wait_until_ran(page, notebook, time.monotonic() + 240)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert labs() == []


def _wait_until_ran(page: Page, notebook: str, deadline: float) -> None:
    """Wait until the saved notebook has every code cell executed, or one that failed."""
    path = REPOSITORY / "notebooks" / notebook
    while time.monotonic() < deadline:
        page.keyboard.press("Control+s")
        page.wait_for_timeout(1000)
        try:
            cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        except nbformat.reader.NotJSONError:
            continue  # it is just being written
        failed = [output for cell in cells for output in cell.outputs if output.output_type == "error"]
        assert not failed, failed[0].traceback
        if cells[-1].execution_count:
            return
    raise AssertionError("the notebook did not come to its end in time")
