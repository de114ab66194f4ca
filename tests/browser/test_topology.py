"""The picture of a lab in JupyterLab: a click opens a card, a drag moves, who comes and goes is seen."""

from __future__ import annotations

import pytest
from _jupyter import Opener, attach, wait_until
from playwright.sync_api import Locator, Page, expect

from labkit import Lab
from labkit.machines.spec import State

WHERE = """(node) => { const box = node.querySelector("rect").getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2, box.width, box.height]; }"""
# Pairs of texts in the picture that share some ground.
OVERLAPS = """() => {
  const texts = [...document.querySelectorAll(".lk-topo text")];
  const all = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
  const meet = (a, b) =>
    a.left < b.right - 0.5 && b.left < a.right - 0.5 && a.top < b.bottom - 0.5 && b.top < a.bottom - 0.5;
  return all.flatMap(([one, a], n) => all.slice(n + 1).filter(([, b]) => meet(a, b)).map(([other]) => [one, other]));
}"""
# Text whose contrast to the ground it stands on is less than 4.5 to 1.
CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).slice(0, 3).map(Number);
  const light = (colour) => rgb(colour).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const rects = [...document.querySelectorAll(".lk-topo rect")].map((rect) => [rect, rect.getBoundingClientRect()]);
  const texts = [...document.querySelectorAll(".lk-topo text, .lk-topo tspan")].filter((text) => text.textContent);
  return texts.flatMap((text) => {
    const box = text.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const under = rects.filter(([, r]) => r.left < x && x < r.right && r.top < y && y < r.bottom).map(([rect]) => rect);
    const [a, b] = [light(getComputedStyle(text).fill), light(getComputedStyle(under.at(-1)).fill)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return ratio < 4.5 ? [`${text.textContent}: ${ratio}`] : [];
  });
}"""


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    """Two containers on one network, on two hosts."""
    shared_lab["alpha"].lxc.create("web", networks=["lan"])
    shared_lab["beta"].lxc.create("db", networks=["lan"])
    return shared_lab


def machine(page: Page, name: str) -> Locator:
    return page.locator(f'.lk-topo [data-machine$="/{name}"]')


def drag(page: Page, node: Locator, across: float, down: float) -> None:
    x, y, *_ = node.evaluate(WHERE)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across / 2, y + down / 2, steps=4)
    page.mouse.move(x + across, y + down, steps=4)
    page.mouse.up()


@pytest.mark.slow
def test_a_click_opens_the_card_whose_buttons_act(page: Page, open_notebook: Opener, lab: Lab) -> None:
    """A click and Enter open a machine's card below; its button reaches the engine, whose event changes the picture."""
    open_notebook(attach(lab.name, "lab.topology()"))
    web = lab["alpha"].lxc["web"]
    expect(machine(page, "web")).to_contain_text(web.addresses[0])
    expect(machine(page, "web")).to_contain_text("running")
    machine(page, "web").click()
    card = page.get_by_role("group", name="machine web, running")
    card.get_by_role("button", name="kill", exact=True).click()
    wait_until(lambda: web.refresh() is State.STOPPED)
    expect(machine(page, "web")).to_contain_text("stopped")
    expect(machine(page, "web")).to_have_attribute("data-state", "stopped")
    page.get_by_role("button", name="close the card").click()
    expect(page.get_by_role("group", name="machine web, stopped")).to_have_count(0)

    machine(page, "web").focus()
    page.keyboard.press("Tab")
    expect(machine(page, "db")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("group", name="machine db, running").wait_for()
    x, *_ = machine(page, "db").evaluate(WHERE)
    page.keyboard.press("ArrowRight")
    wait_until(lambda: machine(page, "db").evaluate(WHERE)[0] > x)
    assert page.locator(".jp-Notebook.jp-mod-editMode").count() == 0


@pytest.mark.slow
def test_machines_come_and_go_by_themselves(page: Page, open_notebook: Opener, lab: Lab) -> None:
    """What another process makes appears with its link, what it destroys goes, a closed lab is said to be closed."""
    open_notebook(attach(lab.name, "lab.topology()"))
    expect(page.locator(".lk-topo [data-machine]")).to_have_count(2)
    lab.networks.create("dmz", mode="isolated")
    box = lab["beta"].lxc.create("box", networks=["lan", "dmz"])
    for address in box.addresses:
        expect(machine(page, "box")).to_contain_text(address)
    expect(page.locator('[data-link^="machine/beta/box "]')).to_have_count(2)
    expect(page.locator('[data-network="network/dmz"]')).to_contain_text(lab.networks["dmz"].cidr)
    lab["beta"].lxc["db"].destroy()
    expect(machine(page, "db")).to_have_count(0)
    assert {each.name for each in lab.machines()} == {"web", "box"}
    assert page.evaluate(OVERLAPS) == []
    lab.close()
    expect(page.get_by_text("the lab has ended")).to_be_visible()
    expect(machine(page, "web")).to_have_attribute("data-state", "unknown")


@pytest.mark.slow
def test_what_is_dragged_stays_where_it_was_put(page: Page, open_notebook: Opener, lab: Lab) -> None:
    """A dragged node and its link move and stay there when others come; the twin is drawn with it; fit shows all."""
    open_notebook(attach(lab.name, "d = lab.topology()\nd"))
    expect(page.locator(".lk-topo [data-machine]")).to_have_count(2)
    link = page.locator('[data-link^="machine/alpha/web "] path').first
    before, path = machine(page, "web").evaluate(WHERE), link.get_attribute("d")
    drag(page, machine(page, "web"), 60, 90)
    wait_until(lambda: link.get_attribute("d") != path)
    left = page.locator('[data-machine$="/web"] rect').first
    wait_until(lambda: machine(page, "web").evaluate(WHERE)[1] > before[1] + 40)
    put = (left.get_attribute("x"), left.get_attribute("y"))
    lab["alpha"].lxc.create("late", networks=["lan"])
    expect(machine(page, "late")).to_have_count(1)
    assert (left.get_attribute("x"), left.get_attribute("y")) == put
    assert page.get_by_role("group", name="machine web").count() == 0  # a drag is no click

    drag(page, page.locator('[data-network="network/lan"]'), 0, -40)
    picture = page.get_by_role("group", name=f"topology of lab {lab.name}")
    whole = picture.get_attribute("viewBox")
    page.get_by_role("button", name="nearer").click()
    wait_until(lambda: picture.get_attribute("viewBox") != whole)
    nearer = picture.get_attribute("viewBox")
    ground = picture.bounding_box()
    assert ground
    page.mouse.move(ground["x"] + 5, ground["y"] + 5)
    page.mouse.down()
    page.mouse.move(ground["x"] + 45, ground["y"] + 25, steps=4)
    page.mouse.up()
    wait_until(lambda: picture.get_attribute("viewBox") != nearer)
    page.get_by_role("button", name="fit").click()
    wait_until(lambda: machine(page, "db").is_visible())
    twin = page.locator("[data-lk-twin] svg").first
    wait_until(lambda: twin.locator(f'rect[x="{put[0]}"][y="{put[1]}"]').count() > 0, 30)


@pytest.mark.slow
def test_fifty_machines_can_be_read(page: Page, open_notebook: Opener) -> None:
    """Of a made-up lab of fifty machines no text overlaps another, in light and dark, wide and narrow."""
    open_notebook(MADE_UP)
    expect(page.locator(".lk-topo [data-machine]")).to_have_count(50)
    heights = page.locator('.lk-topo [data-machine*="/alpha/"]').evaluate_all(
        "(nodes) => nodes.map((node) => node.getBoundingClientRect().y)"
    )
    assert heights == sorted(heights)  # so goes Tab
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        page.wait_for_function(
            "(light) => document.body.dataset.jpThemeLight === light", arg=str("Light" in theme).lower()
        )
        for width in (1400, 900):
            page.set_viewport_size({"width": width, "height": 1000})
            assert page.evaluate(OVERLAPS) == []
        assert page.evaluate(CONTRAST) == []


# Fifty real machines take longer to make than to look at.
MADE_UP = """
from labkit._changes import Changes
from labkit.errors import LabError
from labkit.machines.spec import State
from labkit.networks.topology import *
from labkit.widgets.topology import Diagram

HOSTS, ENGINES = ("alpha", "beta", "gamma"), ("kvm", "docker", "lxc")
machines = [MachineNode(f"monitoring-{n}", HOSTS[n % 3], ENGINES[n * n % 3], list(State)[n % 7]) for n in range(50)]
links = [Link(m.id, f"network/net{(n + k) % 4}", f"198.19.{100 + (n + k) % 4}.{100 + n}", "", n % 7 != 3)
         for n, m in enumerate(machines) for k in range(n % 5 == 0, 2)[:1 + (n % 4 == 0)]]
nets = [NetworkNode(f"net{k}", "isolated", f"198.19.{100 + k}.0/24", "alpha", f"lab{k + 1}") for k in range(4)]
hosts = [HostNode(name, "198.18.0.2") for name in HOSTS]

class Made(Diagram):
    def _ask(self):
        return Topology("made-up", tuple(hosts), tuple(nets), tuple(machines), tuple(links))

class NoLab:
    name, closed, networks, changes = "made-up", False, (), Changes()
    def refresh(self): pass
    def __iter__(self): return iter(())
    @property
    def metrics(self): raise LabError("nobody reads these machines")

Made(NoLab())
"""
