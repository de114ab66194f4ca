"""Progress, forms, screens, errors and saved notebooks in JupyterLab."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from _jupyter import ERRORS, REPOSITORY, Opener, attach, open_in, wait_until
from playwright.sync_api import Page, expect

from labkit import Lab, labs
from labkit.machines.spec import State

CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (el) => {
    for (; el; el = el.parentElement) {
      const back = rgb(getComputedStyle(el).backgroundColor);
      if (back.length && (back[3] ?? 1) > 0.99) return back;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const el of document.querySelectorAll(".lk *, .labkit *")) {
    if (el.closest(".xterm") || ![...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [light(rgb(getComputedStyle(el).color)), light(behind(el))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const colour = getComputedStyle(el).color;
    if (ratio < 4.5) poor.push(`${el.textContent.trim().slice(0, 30)}: ${ratio}, ${colour} on ${behind(el)}`);
  }
  return poor;
}"""


@pytest.mark.slow
def test_the_form_checks_shows_python_and_creates(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """A wrong field says what is wrong; with all right, the code is shown and the machine is made."""
    open_notebook(attach(shared_lab.name, 'lab["alpha"].kvm.form()'))
    form = page.get_by_role("form", name="a new machine on alpha")
    form.get_by_label("Name").fill("Bad Name")
    expect(form).to_contain_text("cannot be a name of a machine")
    expect(form.get_by_role("button", name="Create")).to_have_attribute("aria-disabled", "true")
    form.get_by_label("Name").fill("from-form")
    form.get_by_label("Memory").fill("96 MiB")
    form.get_by_label("lan").check()
    code = 'from_form = lab["alpha"].kvm.create("from-form", memory="96 MiB", networks=["lan"])'
    expect(form).to_contain_text(code)
    form.get_by_role("button", name="Create").click()
    page.get_by_role("group", name="machine from-form, running").wait_for(timeout=90_000)
    made = shared_lab["alpha"].kvm["from-form"]
    assert (made.spec.memory_bytes, made.spec.interfaces[0].network) == (96 * 2**20, "lan")


@pytest.mark.slow
def test_progress_is_shown_and_can_be_cancelled(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """A creation that takes long has a bar with a phase; Cancel ends it, and nothing of it is left."""
    slow = (
        "from labkit.errors import Cancelled\n"
        "from labkit.machines._agent import Agent, Silence, Unanswered\n"
        "Agent._full_disk = lambda self: None\n"
        "ask = Agent.ask\n"
        "def mute(self, command, *a, **k):\n"
        "    raise Unanswered(Silence.NOT_YET, 'mute')\n"
        "Agent.ask = mute\n"
        "try:\n    lab['alpha'].kvm.create('slow', timeout_s=100)\n"
        "except Cancelled as error:\n    print(error.message)\n"
    )
    page.on("dialog", lambda dialog: dialog.accept())
    shared_lab["alpha"].kvm.create("warm").destroy()  # so that a memory image of its kind is there

    def cancel() -> None:
        bar = page.get_by_role("status").filter(has_text="create slow")
        expect(bar).to_contain_text("waiting for the guest", timeout=60_000)
        bar.get_by_role("button", name="Cancel").click()

    open_notebook(attach(shared_lab.name, slow), meanwhile=cancel)
    expect(page.locator(".jp-OutputArea").first).to_contain_text("create slow: cancelled")
    assert shared_lab.machines() == []
    assert list((shared_lab.folder / "machines").iterdir()) == []


@pytest.mark.slow
def test_the_screen_is_live(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """A machine with graphics has a thumbnail that follows its screen, and grows when it is clicked."""
    machine = shared_lab["alpha"].kvm.create("gfx", graphics=True)
    open_notebook(attach(shared_lab.name, 'lab["alpha"].kvm["gfx"].screen()'))
    picture = page.locator(".lk-screen img")
    before = picture.get_attribute("src")
    small = picture.bounding_box()
    machine.run(["sh", "-c", "for n in 1 2 3 4 5 6; do echo HELLO $n; done >/dev/tty0"], check=True)
    wait_until(lambda: picture.get_attribute("src") != before)
    page.get_by_role("button", name="larger: gfx").click()
    wait_until(lambda: picture.bounding_box()["width"] > small["width"])  # type: ignore[index]


def test_an_error_is_a_sentence(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """An error of labkit shows what, why and what to do; its traceback is folded below."""
    with pytest.raises(AssertionError, match="NotFound"):
        open_notebook(attach(shared_lab.name, 'lab["gamma"]'))
    error = page.locator(ERRORS)
    expect(error).to_contain_text("it has alpha, beta; lab.add_host(…) makes one")
    assert "Traceback" not in (error.text_content() or "")
    details = page.locator("details", has_text="traceback")
    expect(details).to_have_count(1)
    expect(details.locator("pre")).to_be_hidden()
    details.locator("summary").click()
    expect(details.locator("pre")).to_contain_text("labkit/lab.py")


@pytest.mark.slow
def test_a_saved_notebook_shows_the_last_state(
    page: Page, open_notebook: Opener, shared_lab: Lab, address: str, folder: Path
) -> None:
    """Opened again without its kernel, a notebook shows how the machine was last, and no error."""
    machine = shared_lab["alpha"].kvm.create("web", networks=["lan"])
    open_notebook(attach(shared_lab.name, 'lab["alpha"].kvm["web"]'), "lab['alpha'].kvm['web'].pause()")
    page.get_by_role("group", name="machine web, paused").wait_for()
    twin = page.locator("[data-lk-twin]")
    expect(twin).to_be_hidden()
    expect(twin).to_contain_text("paused")
    [path] = folder.glob("*.ipynb")
    page.keyboard.press("Control+s")
    wait_until(lambda: "paused" in path.read_text())
    notebook = nbformat.read(path, 4)
    notebook.metadata.pop("widgets", None)
    fresh = path.with_name(f"again-{secrets.token_hex(2)}.ipynb")
    nbformat.write(notebook, fresh)
    machine.resume()
    open_in(page, address, fresh)
    expect(page.locator("[data-lk-twin]")).to_be_visible()
    expect(page.locator("[data-lk-twin]")).to_contain_text("paused")
    expect(page.get_by_text("model not found")).to_be_hidden()
    assert machine.refresh() is State.RUNNING


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
@pytest.mark.parametrize("width", [1400, 900])
def test_it_can_be_read(page: Page, open_notebook: Opener, shared_lab: Lab, theme: str, width: int) -> None:
    """In both themes every text has a contrast of 4.5 to 1, and nothing is wider than the page."""
    page.set_viewport_size({"width": width, "height": 1000})
    for name in ("web", "db"):
        shared_lab["alpha"].kvm.create(name, networks=["lan"])
    shared_lab["alpha"].kvm["db"].pause()
    cell = 'display(lab, lab["alpha"], lab["alpha"].kvm["web"], lab["alpha"].kvm["db"], lab["alpha"].kvm.form())'
    open_notebook(attach(shared_lab.name, cell))
    page.get_by_role("group", name="machine db, paused").wait_for()
    if theme.endswith("Dark"):
        page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    assert page.evaluate(CONTRAST) == []
    wide = page.evaluate(
        """() => [...document.querySelectorAll('.lk')].filter((el) => el.scrollWidth > el.clientWidth + 1).length"""
    )
    assert wide == 0


@pytest.mark.slow
def test_keys_reach_every_button(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """Tab goes through all buttons of a card, and Enter presses one."""
    machine = shared_lab["alpha"].kvm.create("web")
    open_notebook(attach(shared_lab.name, 'lab["alpha"].kvm["web"]'))
    card = page.get_by_role("group", name="machine web, running")
    card.get_by_role("button", name="start", exact=True).focus()
    seen = []
    for _ in range(len(card.get_by_role("button").all())):
        seen.append(page.evaluate("() => document.activeElement.dataset.verb ?? document.activeElement.className"))
        page.keyboard.press("Tab")
    wanted = [button.get_attribute("data-verb") for button in card.get_by_role("button").all()]
    assert seen[: len(wanted)] == wanted
    card.get_by_role("button", name="pause", exact=True).focus()
    page.keyboard.press("Enter")
    wait_until(lambda: machine.refresh() is State.PAUSED)


@pytest.mark.slow
def test_the_picture_of_the_readme_can_be_made(tmp_path: Path) -> None:
    """The command that README names makes a picture of a real lab in JupyterLab, and leaves no lab."""
    from PIL import Image

    target = tmp_path / "picture.png"
    subprocess.run([sys.executable, Path(__file__).with_name("picture.py"), target], check=True, timeout=300)
    made = Image.open(target).convert("RGB")
    committed = Image.open(REPOSITORY / "notebooks" / "pictures" / "jupyterlab.png")
    assert made.size == committed.size
    assert made.getcolors(2) is None, "the picture is empty"
    assert "office" not in {lab.name for lab in labs()}
