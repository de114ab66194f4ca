"""A capture in JupyterLab: its live count, and that it can be cancelled; who reaches whom as a picture."""

from __future__ import annotations

import pytest
from _jupyter import Opener, attach
from playwright.sync_api import Page, expect

from labkit import Lab


@pytest.mark.slow
def test_a_capture_counts_live_and_can_be_cancelled(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """While packets come the bar counts them; Cancel ends it, the table of what has come is shown."""
    box = shared_lab["alpha"].lxc.create("box", networks=["lan"])
    box.run(["sh", "-c", f"ping {shared_lab.networks['lan'].gateway} >/dev/null 2>&1 &"], check=True)
    page.on("dialog", lambda dialog: dialog.accept())

    def cancel() -> None:
        bar = page.get_by_role("status").filter(has_text="capture on lan")
        expect(bar).to_contain_text("4 packets", timeout=60_000)
        expect(bar).to_contain_text("6 packets", timeout=60_000)
        bar.get_by_role("button", name="Cancel").click()

    code = 'capture = lab.networks["lan"].capture(seconds=600, filter="icmp")\ncapture'
    open_notebook(attach(shared_lab.name, code), meanwhile=cancel)
    output = page.locator(".jp-OutputArea").first
    expect(output).to_contain_text("capture on lan: cancelled")
    expect(output).to_contain_text("ended when it was cancelled")
    expect(output.get_by_role("row").filter(has_text="echo request").first).to_be_visible()
    expect(output.get_by_role("row").filter(has_text="echo reply").first).to_be_visible()


@pytest.mark.slow
def test_who_reaches_whom_is_a_picture(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """The matrix has machines as headers, a sign in each field with the figures in its tooltip, and a folded table."""
    for name in ("one", "two"):
        shared_lab["alpha"].lxc.create(name, networks=["lan"])
    open_notebook(attach(shared_lab.name, "lab.connectivity(ports=[22, 81], timeout_s=30)"))
    matrix = page.get_by_role("table", name="who reaches whom: rows reach columns")
    expect(matrix.get_by_role("columnheader", name="two")).to_be_visible()
    cell = matrix.get_by_role("row", name="one").get_by_role("cell").last
    expect(cell).to_have_text("✔✔✖")
    title = cell.get_attribute("title") or ""
    assert title.startswith("one → two: ping: reached by 198.19.")
    assert "TCP 81: connection refused" in title
    details = page.locator("details", has_text="All that was tried (6)")
    expect(details.get_by_role("table")).to_be_hidden()
    details.locator("summary").click()
    expect(details.get_by_role("row")).to_have_count(7)
