"""What the tests of the browser share: a notebook in JupyterLab, opened and run."""

from __future__ import annotations

import os
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Page, expect, sync_playwright

expect.set_options(timeout=30_000)  # a busy machine is slow

REPOSITORY = Path(__file__).parent.parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Nothing is asked of a network: the page comes from this machine.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
Opener = Callable[..., None]
ERRORS = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"  # so JupyterLab marks tracebacks


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """JupyterLab as `./lab` starts it; its address. What the tests set in it lies in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # A person's JupyterLab: progress as a person sees it.
    environment = {key: value for key, value in os.environ.items() if key != "LABKIT_PROGRESS"}
    for kind in ("SETTINGS", "WORKSPACES"):
        environment[f"JUPYTERLAB_{kind}_DIR"] = str(folder / kind.lower())
    # All cells are in the page, also those that are out of sight.
    tracker = folder / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text('{"windowingMode": "none"}')
    argv = [REPOSITORY / "lab", "--no-browser", f"--port={port}", "--LabApp.expose_app_in_browser=True"]
    server = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, cwd="/", env=environment
    )
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


def wait_until(true: Callable[[], object], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.02)


def attach(name: str, rest: str) -> str:
    """A cell that attaches to the lab `name`."""
    return f'from labkit import Lab\nlab = Lab.attach("{name}")\n{rest}'


@contextmanager
def notebook_in_browser(cells: list[str], width: int = 1400, height: int = 1000) -> Iterator[tuple[Page, Path]]:
    """The page of a new notebook with these cells, run in a JupyterLab of its own, and the notebook's folder."""
    folder = REPOSITORY / "notebooks" / f"browser-{secrets.token_hex(3)}"
    folder.mkdir()
    path = folder / "notebook.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=KERNEL), path)
    try:
        with (
            tempfile.TemporaryDirectory() as settings,
            jupyterlab(Path(settings)) as address,
            sync_playwright() as play,
        ):
            browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": width, "height": height})
            open_in(page, address, path)
            run_all(page)
            yield page, folder
            browser.close()
    finally:
        shutil.rmtree(folder)


def open_in(page: Page, address: str, path: Path) -> None:
    """Open the notebook file at `path` and wait until its kernel answers."""
    base, query = address.split("/lab?", 1)
    page.goto(f"{base}/lab/tree/{path.relative_to(REPOSITORY / 'notebooks')}?{query}&reset")
    page.wait_for_selector(".jp-Notebook .jp-InputPrompt", timeout=90_000)
    page.get_by_text("| Idle").wait_for(timeout=90_000)


def run_all(page: Page, wait_s: float = 120, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Run all cells, call `meanwhile`, and fail with the error of the first that fails."""
    page.click("text=Run >> nth=0")
    page.click("li[role=menuitem]:has-text('Run All Cells')")
    meanwhile()
    page.wait_for_function(
        """(errors) => {
             const prompts = document.querySelectorAll('.jp-CodeCell .jp-InputPrompt');
             const all = [...prompts].map((el) => el.textContent.trim());
             if (document.querySelector(errors)) return true;
             return all.length > 0 && all.every((text) => text === '' || /[0-9]/.test(text)); // a folded cell has none
           }""",
        arg=ERRORS,
        timeout=1000 * wait_s,
    )
    errors = page.locator(ERRORS)
    assert errors.count() == 0, errors.all_text_contents()
