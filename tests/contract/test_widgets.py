"""Widgets without a browser: what they tell, that they end, and their static twins."""

from __future__ import annotations

import gc
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import _wait
import nbformat
import psutil
import pytest
from nbconvert.exporters.html import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook

from labkit import Lab
from labkit.course.runner import run_notebooks
from labkit.machines.base import Machine
from labkit.machines.spec import State
from labkit.widgets.card import Card
from labkit.widgets.form import Form
from labkit.widgets.table import Table

pytestmark = pytest.mark.xdist_group("widgets")
until = partial(_wait.until, timeout_s=10)


@pytest.fixture(scope="module")
def machine(lab: Lab) -> Iterator[Machine]:
    made = lab["alpha"].kvm.create("web", networks=["lan"])
    yield made
    made.destroy()


def own_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate()
            if thread.name.startswith("labkit-") and thread.name != "labkit-libvirt"}  # fmt: skip


def cards_there() -> list[Card]:
    """The cards in memory."""
    gc.collect()
    return [each for each in gc.get_objects() if issubclass(type(each), Card)]


def test_a_card_follows_events(machine: Machine) -> None:
    """What is done behind the library's back shows on the card without anybody asking."""
    card = machine.card()
    try:
        assert card.now["state"] == "running"
        machine.domain().suspend()  # type: ignore[attr-defined]
        until(lambda: card.now["state"] == "paused")
        assert "resume" in card.now["fit"]
        assert "pause" not in card.now["fit"]
        machine.domain().resume()  # type: ignore[attr-defined]
        until(lambda: card.now["state"] == "running")
        until(lambda: card.usage and card.now["cpu"] is not None)
    finally:
        card.close()


def test_a_button_acts_in_the_background(machine: Machine) -> None:
    """A verb from the front end is done in another thread; while it lasts, a second one is not taken."""
    card = machine.card()
    try:
        card.asked_verb("snapshot", {"name": "from-card"})
        until(lambda: machine.activity is not None)
        card.asked_verb("pause")
        until(lambda: machine.activity is None, timeout_s=60)
        assert "from-card" in machine.snapshots()  # type: ignore[attr-defined]
        assert machine.refresh() is State.RUNNING
        card.asked_verb("snapshot", {"name": "from-card"})
        until(lambda: card.now["error"] and "already" in card.now["error"][0])
        card.asked_dismiss()
        assert card.now["error"] == []
    finally:
        card.close()


@pytest.mark.parametrize(
    ("verb", "words"),
    [("clone", {"name": "../x"}), ("resize", {"memory": "much"}), ("limits", {"cpus": "-"}), ("run", {"command": "'"}),
     ("snapshot", {}), ("revert", {"name": "never"}), ("no-such-verb", {}), ("__init__", {}), ("destroy_all", {})],
)  # fmt: skip
def test_nonsense_from_the_front_end(machine: Machine, verb: str, words: dict[str, str]) -> None:
    """Words that make no sense become an error on the card; verbs that are none are not taken."""
    card = machine.card()
    try:
        card._on_message(card, {"ask": "verb", "verb": verb, "words": words}, [])
        if verb in card.fixed["verbs"]:
            until(lambda: card.now["error"])
        card._on_message(card, {"ask": "no-such-question"}, [])
        card._on_message(card, "no dictionary", [])
        assert machine.refresh() is State.RUNNING
    finally:
        card.close()
        machine.forgive()


def test_500_cards_leave_nothing(machine: Machine) -> None:
    """500 cards made and closed leave threads, objects and memory as they were."""
    until(lambda: not cards_there(), timeout_s=60)  # a thread that ends by itself may still hold one of an earlier test
    others = own_threads()
    for _ in range(20):  # what is loaded once is loaded now
        machine.card().close()
    until(lambda: own_threads() <= others, timeout_s=60)
    gc.collect()
    before = psutil.Process().memory_info().rss
    for _ in range(10):
        cards = [machine.card() for _ in range(50)]
        for card in cards:
            card.close()
    del cards, card
    until(lambda: own_threads() <= others, timeout_s=60)
    assert cards_there() == []
    assert psutil.Process().memory_info().rss - before < 20 * 2**20


def test_a_table_tells_of_all(lab: Lab, machine: Machine) -> None:
    """The table has every machine of every host, with what it can be asked for, and drops one that goes."""
    table = lab.table()
    try:
        assert isinstance(table, Table)
        other = lab["beta"].kvm.create("other")
        until(lambda: {row["name"] for row in table.rows} == {"web", "other"})
        table.asked_verb("beta", "other", "pause")
        until(lambda: {row["name"]: row["state"] for row in table.rows}["other"] == "paused")
        other.destroy()
        until(lambda: [row["name"] for row in table.rows] == ["web"])
        assert [host["count"] for host in table.hosts] == [1, 0]
    finally:
        table.close()


@pytest.mark.slow
def test_a_form_checks_and_creates(lab: Lab, machine: Machine) -> None:
    """The form refuses what `create` would refuse, shows the call, and makes the machine it shows."""
    form = lab["alpha"].kvm.form()
    assert isinstance(form, Form)
    try:
        for name, value in (("name", "web"), ("memory", "1 MiB"), ("vcpus", "99"), ("disk", "x")):
            form.asked_change(name, value)
            assert name in form.errors, name
        form.asked_create()
        assert not form.busy
        for name, value in (("name", "f-1"), ("memory", "96 MiB"), ("vcpus", "1"), ("disk", "256 MiB")):
            form.asked_change(name, value)
        assert form.errors == {}
        assert form.code == 'f_1 = lab["alpha"].kvm.create("f-1", memory="96 MiB")'
        form.asked_create()
        until(lambda: not form.busy, timeout_s=90)
        assert form.failed == []
        assert lab["alpha"].kvm["f-1"].spec.memory_bytes == 96 * 2**20
        lab["alpha"].kvm["f-1"].destroy()
    finally:
        form.close()


@pytest.mark.slow
def test_a_headless_run_has_the_twins(tmp_path: Path) -> None:
    """Run by papermill and converted to HTML, a notebook shows the last state of lab, host and machine."""
    cells = [
        'from labkit import Lab\nlab = Lab.open("twins")\nlab.networks.create("lan")\nlab',
        'web = lab["alpha"].kvm.create("web", networks=["lan"])\nweb',
        'lab["alpha"]',
        "web.pause()",
        "lab.close()",
    ]
    path = tmp_path / "twins.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
    summary = run_notebooks([path], output=tmp_path / "out")
    assert summary.results[0].ok, summary.results[0].reason
    [run] = (tmp_path / "out").glob("**/twins.ipynb")
    page, _ = HTMLExporter().from_notebook_node(nbformat.read(run, 4))
    twins = re.findall(r"<div data-lk-twin=.*?</div>\s*</div>\s*</div>", page, re.DOTALL)
    assert len(twins) == 3
    assert all("❚❚" in twin and "paused" in twin for twin in twins)  # also the lab's, shown before there was a machine
    assert "application/vnd.jupyter.widget-view+json" not in run.read_text()
    [own] = (tmp_path / "out").glob("**/twins.html")
    assert own.read_text().count('data-lk-twin="') == 3


def test_a_headless_run_has_the_picture_of_a_move(tmp_path: Path) -> None:
    """Shown when it began, a migration's picture is that of its end: with both downtimes, and no script."""
    cells = [
        'from labkit import Lab\nlab = Lab.open("moves", hosts=["alpha", "beta"])\nlab.networks.create("lan")',
        'web = lab["alpha"].kvm.create("web", networks=["lan"])\nmove = web.migrate(lab["beta"])\nmove',
        "move.wait()\nlab.close()",
    ]
    path = tmp_path / "moves.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
    summary = run_notebooks([path], output=tmp_path / "out")
    assert summary.results[0].ok, summary.results[0].reason
    [run] = (tmp_path / "out").glob("**/moves.ipynb")
    [shown] = [each for each in nbformat.read(run, 4).cells[1].outputs if "image/svg+xml" in each.get("data", {})]
    assert "libvirt's downtime: " in shown.data["image/svg+xml"]
    assert "the client's longest gap: " in shown.data["image/svg+xml"]
    assert "as libvirt reports it" in shown.data["text/html"]
    assert "<script" not in shown.data["text/html"]


def test_an_error_keeps_its_traceback_in_a_headless_run(tmp_path: Path) -> None:
    """Where nobody can click, the traceback is shown as always, and the summary quotes it."""
    path = tmp_path / "failing.ipynb"
    cell = "from labkit.errors import NotFound\nraise NotFound('there is no such thing', hint='look elsewhere')"
    nbformat.write(new_notebook(cells=[new_code_cell(cell)]), path)
    [result] = run_notebooks([path]).results
    assert result.failed_cell
    for words in ("Traceback", "NotFound: there is no such thing", "→ look elsewhere", "raise NotFound"):
        assert words in result.failed_cell.error
    assert "Unexpected exception" not in result.failed_cell.error


def test_a_table_sees_hosts_come_and_go(lab: Lab, machine: Machine) -> None:
    """A host that another process makes appears in the table; one that is killed is said to have ended."""
    table = lab.table()
    try:
        other = Lab.attach(lab.name)
        gamma = other.add_host("gamma")
        gamma.lxc.create("box")
        until(lambda: "box" in {row["name"] for row in table.rows}, timeout_s=20)
        with other.channel() as channel:
            pid = next(host["pid"] for name, host in channel.request("info")["hosts"].items() if name == "gamma")
        children = psutil.Process(channel_pid(other)).children()
        [process] = [each for each in children if namespaced_pid(each.pid) == pid]
        process.kill()
        until(lambda: {host["name"]: host["ended"] for host in table.hosts}["gamma"], timeout_s=20)
        assert "box" not in {row["name"] for row in table.rows}
    finally:
        table.close()


def channel_pid(lab: Lab) -> int:
    with lab.channel() as channel:
        return channel.peer_pid()


def namespaced_pid(pid: int) -> int:
    """The number that a process has in its lab."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("NSpid:"))
    numbers = [int(word) for word in line.split()[1:]]
    return numbers[1] if len(numbers) > 1 else numbers[0]
