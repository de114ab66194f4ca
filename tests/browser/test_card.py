"""The card of a machine in JupyterLab: what is pressed happens, and what happens is seen."""

from __future__ import annotations

import pytest
from _jupyter import Opener, attach, wait_until
from playwright.sync_api import Page, expect

from labkit import Lab
from labkit.machines.base import Machine
from labkit.machines.spec import State


@pytest.fixture
def web(shared_lab: Lab) -> Machine:
    return shared_lab["alpha"].kvm.create("web", networks=["lan"])


def test_verbs_reach_the_engine_and_events_reach_the_card(page: Page, open_notebook: Opener, web: Machine) -> None:
    """Pause is clicked and libvirt says paused; what is done behind the back shows on the card."""
    open_notebook(attach(web.host.lab.name, 'lab["alpha"].kvm["web"]'))
    card = page.get_by_role("group", name="machine web, running")
    expect(card).to_contain_text(web.addresses[0])
    card.get_by_role("button", name="pause", exact=True).click()
    wait_until(lambda: web.refresh() is State.PAUSED)
    card = page.get_by_role("group", name="machine web, paused")
    expect(card.get_by_role("button", name="pause", exact=True)).to_have_attribute("aria-disabled", "true")
    card.get_by_role("button", name="resume", exact=True).click()
    wait_until(lambda: web.refresh() is State.RUNNING)

    page.get_by_role("group", name="machine web, running").wait_for()
    web.domain().destroy()  # type: ignore[attr-defined]
    # A second is promised, and is measured in tests/bench; a busy machine gets more here.
    page.get_by_role("group", name="machine web, stopped").wait_for(timeout=3000)


@pytest.mark.slow
def test_a_command_and_its_failure_show_on_the_card(page: Page, open_notebook: Opener, web: Machine) -> None:
    """`run` asks for a command, shows what came of it as text, and says an error in words."""
    open_notebook(attach(web.host.lab.name, 'lab["alpha"].kvm["web"]'))
    card = page.get_by_role("group", name="machine web, running")
    card.get_by_role("button", name="run", exact=True).click()
    card.get_by_label("command").fill("sh -c 'echo \"<b id=evil>$(hostname)</b>\" | tee /run/seen; exit 3'")
    card.get_by_label("command").press("Enter")
    expect(card.locator("pre")).to_have_text("<b id=evil>web</b>\n")
    expect(card).to_contain_text("exit code 3")
    assert page.locator("#evil").count() == 0
    assert web.run(["cat", "/run/seen"]).stdout == "<b id=evil>web</b>\n"

    card.get_by_role("button", name="run", exact=True).click()
    card.get_by_label("command").fill("no-such-program")
    card.get_by_label("command").press("Enter")
    expect(card.get_by_role("alert")).to_contain_text("no-such-program")
    card.get_by_role("button", name="dismiss the error").click()
    expect(card.get_by_role("alert")).to_have_count(0)


@pytest.mark.slow
def test_networks_are_plugged_in_and_out(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """A network is chosen and the machine is on it; its cable is taken out and nothing goes through; it goes again."""
    shared_lab.networks.create("dmz", "isolated")
    box = shared_lab["alpha"].lxc.create("box", networks=["lan"])
    try:
        open_notebook(attach(shared_lab.name, 'lab["alpha"].lxc["box"]'))
        card = page.get_by_role("group", name="machine box, running")
        card.get_by_role("button", name="attach", exact=True).click()
        card.get_by_label("network").select_option("dmz")
        card.get_by_label("address").fill("198.19.2.50")
        card.locator("form").get_by_role("button", name="attach").click()
        expect(card).to_contain_text("198.19.2.50")
        assert box.run(["ping", "-c", "1", "-W", "5", "198.19.2.1"]).ok

        card.get_by_role("button", name="link", exact=True).click()
        card.get_by_label("network").select_option("dmz")
        card.get_by_label("cable").fill("out")
        card.locator("form").get_by_role("button", name="link").click()
        expect(card).to_contain_text("down")
        assert not box.run(["ping", "-c", "1", "-W", "1", "198.19.2.1"]).ok

        card.get_by_role("button", name="detach", exact=True).click()
        card.get_by_label("network").select_option("dmz")
        card.locator("form").get_by_role("button", name="detach").click()
        expect(card).not_to_contain_text("198.19.2.50")
        assert shared_lab.networks["dmz"].leases == {}
    finally:
        box.destroy()
        shared_lab.networks.remove("dmz")


@pytest.mark.slow
def test_a_verb_pressed_twice_is_done_once(page: Page, open_notebook: Opener, web: Machine) -> None:
    """While a snapshot is made the card says so, and takes no second verb."""
    open_notebook(attach(web.host.lab.name, 'lab["alpha"].kvm["web"]'))
    card = page.get_by_role("group", name="machine web, running")
    card.get_by_role("button", name="restart", exact=True).dblclick()
    expect(card.get_by_role("status")).to_contain_text("restart")
    expect(card.get_by_role("button", name="pause", exact=True)).to_have_attribute("aria-disabled", "true")
    expect(card.get_by_role("status")).to_have_count(0, timeout=90_000)
    expect(card.get_by_role("alert")).to_have_count(0)
    # The boot of the memory that it was restored from is not in its log.
    wait_until(lambda: "LABKIT-BOOTED" in web.console().history())
    assert web.console().history().count("LABKIT-BOOTED") == 1


@pytest.mark.slow
def test_destroy_asks_and_the_card_stays_as_a_memory(page: Page, open_notebook: Opener, web: Machine) -> None:
    """Destroy is asked for twice; then the machine is gone and its card does nothing any more."""
    lab = web.host.lab
    open_notebook(attach(lab.name, 'lab["alpha"].kvm["web"]'))
    card = page.get_by_role("group", name="machine web")
    card.get_by_role("button", name="destroy", exact=True).click()
    card.get_by_role("button", name="Keep it").click()
    assert [machine.name for machine in lab.machines()] == ["web"]
    card.get_by_role("button", name="destroy", exact=True).click()
    card.get_by_role("button", name="Destroy", exact=True).click()
    expect(card).to_contain_text("it was destroyed")
    expect(card.get_by_role("toolbar")).to_have_count(0)
    wait_until(lambda: lab.machines() == [])


@pytest.mark.slow
def test_a_reload_brings_all_back(page: Page, open_notebook: Opener, web: Machine) -> None:
    """After the page was loaded again the card is there, live."""
    open_notebook(attach(web.host.lab.name, 'lab["alpha"].kvm["web"]'))
    page.get_by_role("group", name="machine web, running").wait_for()
    page.keyboard.press("Control+s")
    page.wait_for_timeout(500)
    page.reload()
    card = page.get_by_role("group", name="machine web, running")
    card.wait_for(timeout=90_000)
    web.pause()
    page.get_by_role("group", name="machine web, paused").wait_for(timeout=3000)


@pytest.mark.slow
def test_a_restarted_kernel_is_said(page: Page, open_notebook: Opener, web: Machine) -> None:
    """A card whose kernel was restarted says so, and its buttons do nothing."""
    open_notebook(attach(web.host.lab.name, 'lab["alpha"].kvm["web"]'))
    card = page.get_by_role("group", name="machine web, running")
    card.wait_for()
    page.get_by_role("button", name="Restart the kernel", exact=True).click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(card).to_contain_text("The kernel was restarted")
    card.get_by_role("button", name="pause", exact=True).click(force=True)
    page.wait_for_timeout(500)
    assert web.refresh() is State.RUNNING


@pytest.mark.slow
def test_the_lab_is_closed_elsewhere(page: Page, open_notebook: Opener, web: Machine) -> None:
    """When another process ends the lab, its cards and tables say so."""
    lab = web.host.lab
    open_notebook(attach(lab.name, "display(lab)\nlab['alpha'].kvm['web']"))
    page.get_by_role("group", name="machine web, running").wait_for()
    lab.close()
    expect(page.get_by_role("group", name="machine web")).to_contain_text("the lab has ended")
    expect(page.get_by_role("table")).to_have_count(0)
