"""The lab as a table, and the card of a host."""

from __future__ import annotations

import pytest
from _jupyter import Opener, attach, wait_until
from playwright.sync_api import Page, expect

from labkit import Lab
from labkit.machines.spec import State


def test_machines_come_go_and_obey(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """Machines made and removed by another process appear and go; a button in a row reaches libvirt."""
    open_notebook(attach(shared_lab.name, "lab"))
    table = page.get_by_role("table", name=f"machines of {shared_lab.name}")
    expect(table).to_contain_text("0 machines")
    one = shared_lab["alpha"].kvm.create("one", networks=["lan"])
    two = shared_lab["beta"].kvm.create("two")
    row = table.locator("tr[data-machine=one]")
    expect(row).to_contain_text("running")
    expect(row).to_contain_text(one.addresses[0])
    expect(table.locator("tr[data-machine=two]")).to_contain_text("running")

    row.get_by_role("button", name="pause one").click()
    wait_until(lambda: one.refresh() is State.PAUSED)
    expect(row).to_contain_text("paused")
    two.destroy()
    expect(table.locator("tr[data-machine=two]")).to_have_count(0)
    row.get_by_role("button", name="destroy one").click()
    row.get_by_role("button", name="destroy one?").click()
    expect(table.locator("tr[data-machine=one]")).to_have_count(0)
    assert shared_lab.machines() == []


@pytest.mark.slow
def test_rows_are_sorted_and_groups_fold(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """A click on a heading sorts numbers as numbers, once more the other way; a host's machines fold away."""
    for name in ("m2", "m10", "m1"):
        shared_lab["alpha"].kvm.create(name)
    shared_lab["alpha"].kvm["m10"].pause()
    open_notebook(attach(shared_lab.name, "lab"))
    names = page.locator("tr.lk-row")

    def order() -> list[str | None]:
        return [row.get_attribute("data-machine") for row in names.all()]

    wait_until(lambda: order() == ["m1", "m2", "m10"])
    page.get_by_role("columnheader", name="machine").get_by_role("button").click()
    wait_until(lambda: order() == ["m10", "m2", "m1"])
    page.get_by_role("columnheader", name="state").get_by_role("button").click()
    wait_until(lambda: order()[0] == "m10")
    page.get_by_role("button", name="machines of alpha").click()
    expect(names).to_have_count(0)
    page.get_by_role("button", name="machines of alpha").press("Enter")  # by keyboard, too
    expect(names).to_have_count(3)


@pytest.mark.slow
def test_a_host_shows_what_it_has(page: Page, open_notebook: Opener, shared_lab: Lab) -> None:
    """The card of a host has its processors, memory, acceleration and machines."""
    shared_lab["alpha"].kvm.create("one")
    open_notebook(attach(shared_lab.name, 'lab["alpha"]'))
    card = page.get_by_role("group", name="host alpha")
    expect(card).to_contain_text("GiB")
    reason = shared_lab["alpha"].kvm.acceleration().reason
    expect(card).to_contain_text(reason[:40])
    expect(card).to_contain_text("1, 1 running, using")
    expect(card.locator("tr[data-machine=one]")).to_contain_text("running")
