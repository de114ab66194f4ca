"""The dashboard in JupyterLab: drawn, moving, chosen from, and what is left of it without a kernel."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Any

import nbformat
import pytest
from _jupyter import Opener, attach, open_in, wait_until
from playwright.sync_api import CDPSession, Page, expect

from labkit import Lab

SETUP = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from _feed import Feed, machine
from labkit.monitoring import Subject
from labkit.widgets.monitor import Monitor
def made_up(count, **how):
    global monitor
    hosts = [Subject("alpha"), Subject("beta")]
    monitor = Monitor(Feed([*(machine(number) for number in range(count)), *hosts], name="demo"), **how)
    return monitor
"""
LINES = ".lk-plots .scatterlayer .trace path.js-line"
# Contrast of all words in the plots to what is behind them.
POOR = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (text) => rgb(text).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = light(getComputedStyle(document.querySelector(".lk-monitor")).backgroundColor);
  const ratio = (colour) => (Math.max(light(colour), ground) + 0.05) / (Math.min(light(colour), ground) + 0.05);
  const words = [...document.querySelectorAll(".lk-plots text")].filter((el) => el.textContent.trim());
  const lines = [...document.querySelectorAll(".lk-plots path.js-line")];
  return [words.length, lines.length,
    ...words.map((el) => [el.textContent, ratio(getComputedStyle(el).fill)]).filter(([, found]) => found < 4.5),
    ...lines.map((el) => [el.style.stroke, ratio(el.style.stroke)]).filter(([, found]) => found < 3)];
}"""


def paths(page: Page) -> list[str]:
    return [str(line.get_attribute("d")) for line in page.locator(LINES).all()]


def frames(page: Page) -> tuple[CDPSession, list[str], list[str]]:
    """What comes from the server and what is said to it from now on."""
    came: list[str] = []
    went: list[str] = []
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")

    def payload(frame: Any) -> str:
        told = frame["response"]
        binary = told["opcode"] == 2  # those of kernels are
        return base64.b64decode(told["payloadData"]).decode(errors="replace") if binary else str(told["payloadData"])

    client.on("Network.webSocketFrameReceived", lambda frame: came.append(payload(frame)))
    client.on("Network.webSocketFrameSent", lambda frame: went.append(payload(frame)))
    return client, came, went


def test_it_is_drawn_and_moves_by_one_message_a_second(page: Page, open_notebook: Opener) -> None:
    """Twelve lines in four plots move on by themselves; a second has one message, and the page answers none."""
    open_notebook(SETUP, "made_up(3)")
    expect(page.locator(LINES)).to_have_count(12)
    expect(page.locator(".lk-plots .annotation")).to_have_count(4)
    before = paths(page)
    wait_until(lambda: all(now != then for now, then in zip(paths(page), before, strict=True)))
    client, came, went = frames(page)
    page.wait_for_timeout(10_000)
    client.detach()
    updates = [frame for frame in came if '"comm_msg"' in frame]
    print(f"{len(updates)} messages of widgets came in 10 s, {len(went)} went")
    assert 6 <= len(updates) <= 20
    assert went == []


@pytest.mark.slow
def test_a_pause_holds_the_picture(page: Page, open_notebook: Opener) -> None:
    """While it is paused nothing moves, with a sign and a word; resumed, it goes on."""
    open_notebook(SETUP, "made_up(3)")
    expect(page.locator(LINES)).to_have_count(12)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".lk-controls")).to_contain_text("paused")
    page.wait_for_timeout(500)
    before = paths(page)
    page.wait_for_timeout(3000)
    assert paths(page) == before
    page.get_by_role("button", name="Resume").click()
    wait_until(lambda: paths(page) != before)
    expect(page.locator(".lk-controls")).to_contain_text("live")


@pytest.mark.slow
def test_machines_metrics_and_window_can_be_chosen(page: Page, open_notebook: Opener) -> None:
    """The legend hides a machine in all plots; lists choose machines, hosts and metrics; buttons the window."""
    open_notebook(SETUP, "made_up(3)")
    expect(page.locator(LINES)).to_have_count(12)
    page.get_by_role("button", name="web-0").click()
    expect(page.locator(LINES)).to_have_count(8)
    expect(page.get_by_role("button", name="web-0")).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="web-0").click()
    expect(page.locator(LINES)).to_have_count(12)

    page.locator("summary", has_text="Metrics").click()
    page.locator("input[data-metric=drops]").check()
    expect(page.locator(LINES)).to_have_count(15)
    page.locator("input[data-metric=memory]").uncheck()
    expect(page.locator(LINES)).to_have_count(12)
    page.locator("summary", has_text="Machines").click()
    expect(page.locator("input[data-metric=drops]")).to_be_hidden()
    page.locator("input[data-machine='beta/db-1']").uncheck()
    expect(page.locator(LINES)).to_have_count(8)
    page.locator("input[data-machine=alpha]").check()
    expect(page.locator(LINES)).to_have_count(12)
    page.get_by_role("button", name="1 min", exact=True).click()
    expect(page.locator(".lk-plots .xtick text", has_text="30 s").first).to_be_visible()


@pytest.mark.slow
def test_hovering_tells_machine_and_value(page: Page, open_notebook: Opener) -> None:
    """Over a plot each machine has its value with a unit, and when that was."""
    open_notebook(SETUP, "made_up(2, window='1 min')")
    expect(page.locator(LINES)).to_have_count(8)
    page.locator(".lk-plots .nsewdrag").nth(1).hover(position={"x": 120, "y": 60})
    label = page.locator(".lk-plots .hoverlayer")
    expect(label).to_contain_text("web-0")
    expect(label).to_contain_text("MiB")
    expect(label).to_contain_text("s ago")


@pytest.mark.slow
def test_without_its_kernel_the_picture_remains(page: Page, open_notebook: Opener, address: str, folder: Path) -> None:
    """When the kernel has ended the plots stand; opened again, the notebook shows the static picture."""
    open_notebook(SETUP, "made_up(3)", "monitor.say('the last word', 'warning')")
    expect(page.locator(LINES)).to_have_count(12)
    expect(page.locator(".lk-monitor")).to_contain_text("the last word")
    expect(page.locator("[data-lk-twin]")).to_be_hidden()
    [path] = folder.glob("*.ipynb")
    page.keyboard.press("Control+s")
    wait_until(lambda: "the last word" in path.read_text().split("monitor.say", 1)[0])
    page.evaluate("() => window.jupyterapp.commands.execute('kernelmenu:shutdown')")
    expect(page.get_by_text("No Kernel").first).to_be_visible()
    assert len(paths(page)) == 12
    notebook = nbformat.read(path, 4)
    notebook.metadata.pop("widgets", None)
    fresh = path.with_name(f"again-{secrets.token_hex(2)}.ipynb")
    nbformat.write(notebook, fresh)
    open_in(page, address, fresh)
    twin = page.locator("[data-lk-twin]")
    expect(twin).to_be_visible()
    expect(twin.locator("g.lk-panel")).to_have_count(4)
    expect(twin).to_contain_text("the last word")


@pytest.mark.slow
def test_a_page_that_is_loaded_again_goes_on(page: Page, open_notebook: Opener) -> None:
    """Loaded again while the kernel runs, the page has all lines in their colours, and they move."""
    open_notebook(SETUP, "made_up(3)")
    expect(page.locator(LINES)).to_have_count(12)
    colours = {str(line.evaluate("el => el.style.stroke")) for line in page.locator(LINES).all()}
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1000)
    page.reload()
    page.wait_for_selector(".jp-Notebook .jp-InputPrompt", timeout=90_000)
    expect(page.locator(LINES)).to_have_count(12, timeout=60_000)
    assert {str(line.evaluate("el => el.style.stroke")) for line in page.locator(LINES).all()} == colours
    before = paths(page)
    wait_until(lambda: paths(page) != before)


@pytest.mark.slow
def test_a_lab_is_shown(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """A machine that works is a line by itself; when it has been destroyed its line is grey and says so."""
    machine = shared_lab["alpha"].lxc.create("worker")
    open_notebook(attach(shared_lab.name, "lab.monitor(window='1 min')"))
    legend = page.get_by_role("group", name="legend")
    expect(legend).to_contain_text("worker", timeout=60_000)
    expect(page.locator(".lk-monitor")).to_contain_text("live")
    wait_until(lambda: len(paths(page)) >= 2, timeout_s=60)  # processors and memory at least
    before = paths(page)
    wait_until(lambda: paths(page) != before)
    machine.destroy()
    expect(legend).to_contain_text("worker (ended)", timeout=30_000)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
@pytest.mark.parametrize("width", [1400, 900])
def test_it_can_be_read(page: Page, open_notebook: Opener, theme: str, width: int) -> None:
    """In both themes words have a contrast of 4.5 to 1 and lines of 3; nothing is wider than the page."""
    page.set_viewport_size({"width": width, "height": 1000})
    open_notebook(SETUP, "made_up(50)")
    expect(page.locator(LINES)).to_have_count(200)
    if theme.endswith("Dark"):
        page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    words, lines, *poor = page.evaluate(POOR)
    assert (words >= 4 * 7, lines, poor) == (True, 200, [])
    wide = page.evaluate(
        "() => document.querySelector('.lk-monitor').scrollWidth - document.querySelector('.lk-monitor').clientWidth"
    )
    assert wide <= 1
    plot, box = (page.locator(each).bounding_box() for each in (".lk-plots .main-svg >> nth=0", ".lk-monitor"))
    assert plot and box
    assert box["width"] - 60 <= plot["width"] <= box["width"]
