"""What the tests of the browser share: a notebook in JupyterLab, opened and run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

REPOSITORY = Path(__file__).parent.parent.parent
Opener = Callable[..., None]
ERRORS = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"  # so JupyterLab marks tracebacks


def wait_until(true: Callable[[], object], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.02)


def attach(name: str, rest: str) -> str:
    """A cell that attaches to the lab `name`."""
    return f'from labkit import Lab\nlab = Lab.attach("{name}")\n{rest}'


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
        """() => { const all = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent);
                  return all.length && all.every(text => /\\d/.test(text)) }""",
        timeout=1000 * wait_s,
    )
    errors = page.locator(ERRORS)
    assert errors.count() == 0, errors.all_text_contents()
