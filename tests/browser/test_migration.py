"""A migration in JupyterLab: seen while it goes on, taken back by its button, whole at its end; begun from a card."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from _jupyter import Opener, attach, open_in, wait_until
from playwright.sync_api import Locator, Page, expect

from labkit import Lab
from labkit.machines.kvm import KvmMachine
from labkit.machines.spec import State

# Texts of the picture that stand out of it, that share ground with another, or whose contrast is less than 4.5 to 1.
WRONG = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).slice(0, 3).map(Number);
  const light = (colour) => rgb(colour).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const svg = document.querySelector(".lk-picture svg");
  const whole = svg.getBoundingClientRect();
  const paper = light(getComputedStyle(svg.querySelector("rect")).fill);
  const texts = [...svg.querySelectorAll("text")].map((text) => [text, text.getBoundingClientRect()]);
  const out = (b) => b.left < whole.left - 1 || b.right > whole.right + 1 || b.bottom > whole.bottom + 1;
  const meet = (a, b) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3;
  const faint = (text) => {
    const ink = light(getComputedStyle(text).fill);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05) < 4.5;
  };
  return [
    ...texts.filter(([, box]) => out(box)).map(([text]) => `${text.textContent} stands out`),
    ...texts.filter(([text]) => faint(text)).map(([text]) => `${text.textContent} is faint`),
    ...texts.flatMap(([one, a], n) => texts.slice(n + 1).filter(([, b]) => meet(a, b))
      .map(([other]) => `${one.textContent} over ${other.textContent}`)),
  ];
}"""


@pytest.fixture
def web(shared_lab: Lab) -> KvmMachine:
    """A running machine on host alpha."""
    return shared_lab["alpha"].kvm.create("web", networks=["lan"])


def moving(page: Page, how: str) -> Locator:
    return page.get_by_role("group", name=f"migration of web, {how}")


def spans(shown: Locator) -> list[str]:
    return shown.locator(".lk-picture g:has(> .lk-span) > text").all_text_contents()


@pytest.mark.slow
def test_a_move_can_be_taken_back_while_it_is_seen(page: Page, open_notebook: Opener, web: KvmMachine) -> None:
    """Phase, percent and the picture grow, the card says so, too; Cancel leaves the machine where it was."""
    lab = web.host.lab
    cells = 'web = lab["alpha"].kvm["web"]\nweb'
    open_notebook(attach(lab.name, cells), 'move = web.migrate(lab["beta"], bandwidth="1 MiB")\nmove')
    shown = moving(page, "moving")
    status = shown.get_by_role("status")
    expect(status).to_contain_text("copying memory", timeout=30_000)
    expect(status).to_contain_text(" %")
    card = page.get_by_role("group", name="machine web, moving")
    expect(card.get_by_role("status")).to_contain_text("migrate copying memory")
    expect(card.get_by_role("button", name="kill", exact=True)).to_have_attribute("aria-disabled", "true")
    line = shown.locator(".lk-picture path[stroke-linejoin]").first
    before = line.get_attribute("d") or ""
    wait_until(lambda: len(line.get_attribute("d") or "") > len(before), 30)
    status.get_by_role("button", name="Cancel").click()
    ended = moving(page, "cancelled")
    expect(ended).to_contain_text("the move of web was cancelled; it is on alpha as before", timeout=60_000)
    expect(ended.get_by_role("button", name="Cancel")).to_have_count(0)
    assert web.refresh() is State.RUNNING
    assert web.run(["hostname"]).stdout.strip() == "web"
    expect(page.get_by_role("group", name="machine web, running")).to_contain_text("on alpha")


@pytest.mark.slow
def test_at_its_end_the_picture_is_whole_and_stays(
    page: Page, open_notebook: Opener, web: KvmMachine, address: str, folder: Path
) -> None:
    """Both downtimes are on the time line and side by side below, legible in each width and theme; so has the twin."""
    lab = web.host.lab
    open_notebook(attach(lab.name, 'move = lab["alpha"].kvm["web"].migrate(lab["beta"])\nmove'))
    shown = moving(page, "moved")
    expect(shown).to_contain_text("as libvirt reports it", timeout=60_000)
    expect(shown).to_contain_text("as a client saw it")
    words = " ".join(spans(shown))
    assert "libvirt's downtime: " in words
    assert "the client's longest gap: " in words
    assert shown.locator(".lk-mark").count() == 2
    spans_count = shown.locator(".lk-span").count()
    twin = page.locator("[data-lk-twin]")
    expect(twin).to_be_hidden()
    expect(twin).to_contain_text("as a client saw it")
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        page.wait_for_function(
            "(light) => document.body.dataset.jpThemeLight === light", arg=str("Light" in theme).lower()
        )
        for width in (1400, 900):
            page.set_viewport_size({"width": width, "height": 1000})
            wait_until(lambda: fits(shown))
            assert page.evaluate(WRONG) == []
    open_in(page, address, saved_without_widgets(page, folder))
    expect(twin).to_be_visible()
    expect(twin.locator("svg .lk-span")).to_have_count(spans_count)
    expect(twin).to_contain_text("as libvirt reports it")


def saved_without_widgets(page: Page, folder: Path) -> Path:
    """Save the notebook; a copy of it without what widgets save of themselves, as a code host shows it."""
    [path] = folder.glob("*.ipynb")
    page.keyboard.press("Control+s")
    wait_until(lambda: "as libvirt reports it" in path.read_text())
    notebook = nbformat.read(path, 4)
    notebook.metadata.pop("widgets", None)
    copy = path.with_name("again.ipynb")
    nbformat.write(notebook, copy)
    return copy


def fits(shown: Locator) -> bool:
    """Whether the picture has been drawn for the room that it has now."""
    room = shown.locator(".lk-picture").evaluate("(each) => each.clientWidth")
    drawn = float((shown.locator(".lk-picture svg").get_attribute("viewBox") or "").split()[2])
    return 0 <= room - drawn < 40


def ask_to_move(card: Locator) -> None:
    card.get_by_role("button", name="migrate", exact=True).first.click()
    choice = card.get_by_role("combobox", name="to host")
    expect(choice.get_by_role("option")).to_have_text(["beta"])
    card.locator("form").get_by_role("button", name="migrate").click()


@pytest.mark.slow
def test_a_card_moves_its_machine(page: Page, open_notebook: Opener, web: KvmMachine) -> None:
    """The button asks for the host, offering those where the machine is not; Cancel takes it back; the card follows."""
    web.domain().migrateSetMaxSpeed(1)
    open_notebook(attach(web.host.lab.name, 'lab["alpha"].kvm["web"]'))
    card = page.get_by_role("group", name="machine web,")
    ask_to_move(card)
    expect(card.get_by_role("status")).to_contain_text("copying memory", timeout=30_000)
    card.get_by_role("status").get_by_role("button", name="Cancel").click()
    expect(card.get_by_role("alert")).to_contain_text("it is on alpha as before", timeout=60_000)
    expect(page.get_by_role("group", name="machine web, running")).to_be_visible()

    web.domain().migrateSetMaxSpeed(1000)
    ask_to_move(card)
    expect(card).to_contain_text("on beta", timeout=60_000)
    expect(page.get_by_role("group", name="machine web, running")).to_be_visible(timeout=60_000)
    expect(card.get_by_role("status")).to_have_count(0)
    assert web.host.lab["beta"].kvm["web"].refresh() is State.RUNNING
