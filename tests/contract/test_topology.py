"""The topology of a real lab: what it says is so, and it follows what anybody changes."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import _wait
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from labkit import Lab
from labkit.course.runner import run_notebooks
from labkit.networks._layout import MACHINE_WIDTH
from labkit.networks.topology import Topology
from labkit.widgets.topology import Diagram

pytestmark = pytest.mark.xdist_group("widgets")
until = partial(_wait.until, timeout_s=20)


@pytest.fixture
def diagram(lab: Lab) -> Iterator[Diagram]:
    made = lab.topology()
    yield made
    made.close()
    for machine in lab.machines():
        machine.destroy()
    for name in ("lan2", "late"):
        if name in lab.networks:
            lab.networks.remove(name)


def states(diagram: Diagram) -> dict[str, str]:
    """What the front end was told last: machines and their states."""
    return {machine["id"]: machine["state"] for machine in diagram.seen["machines"]}


def links(diagram: Diagram) -> set[tuple[str, str]]:
    return {(link["machine"], link["network"]) for link in diagram.seen["links"]}


@pytest.mark.core
def test_it_follows_links(lab: Lab, diagram: Diagram) -> None:
    """A machine that is connected while it runs has a line at once; one whose cable is out is drawn as down."""
    lab.networks.create("lan2", mode="isolated")
    web = lab["alpha"].lxc.create("web", networks=["lan"])
    web.attach("lan2")
    until(lambda: ("machine/alpha/web", "network/lan2") in links(diagram))
    web.link("lan", up=False)
    until(lambda: [link["network"] for link in diagram.seen["links"] if not link["up"]] == ["network/lan"])
    web.detach("lan2")
    until(lambda: links(diagram) == {("machine/alpha/web", "network/lan")})


@pytest.mark.core
def test_what_it_says_is_so(lab: Lab) -> None:
    """Hosts, networks, machines and links are those of the lab; the address on a link is the machine's own."""
    lab.networks.create("lan2", mode="isolated")
    web = lab["alpha"].lxc.create("web", networks=["lan", "lan2"])
    lab["beta"].lxc.create("box")
    try:
        told = Topology.of(lab)
        assert [host.name for host in told.hosts] == ["alpha", "beta"]
        assert {(net.name, net.mode, net.cidr) for net in told.networks} == {
            (net.name, net.mode, net.cidr) for net in lab.networks
        }
        assert [(node.id, node.state.value) for node in told.machines] == [
            ("machine/alpha/web", "running"), ("machine/beta/box", "running"),
        ]  # fmt: skip
        seen = web.run(["ip", "-4", "-o", "addr"]).stdout
        assert [(link.machine, link.network) for link in told.links] == [
            ("machine/alpha/web", "network/lan"), ("machine/alpha/web", "network/lan2"),
        ]  # fmt: skip
        assert all(f" {link.address}/" in seen for link in told.links)
        ElementTree.fromstring(told.to_svg())
        assert json.loads(told.to_json())["lab"] == lab.name
    finally:
        for machine in lab.machines():
            machine.destroy()
        lab.networks.remove("lan2")


@pytest.mark.core
def test_it_follows_machines_and_networks(lab: Lab, diagram: Diagram) -> None:
    """What another process makes, stops and removes shows in the widget, and nobody who is there moves."""
    other = Lab.attach(lab.name)
    web = other["alpha"].lxc.create("web", networks=["lan"])
    until(lambda: states(diagram) == {"machine/alpha/web": "running"})
    assert links(diagram) == {("machine/alpha/web", "network/lan")}
    assert web.addresses[0] in diagram.to_mermaid()
    stood = diagram.standing()
    other.networks.create("late", mode="isolated")
    other["alpha"].lxc.create("box", networks=["late"])
    until(lambda: ("machine/alpha/box", "network/late") in links(diagram))
    now = diagram.standing()
    assert {key: now[key] for key in stood if not key.startswith("host/")} == {
        key: stood[key] for key in stood if not key.startswith("host/")
    }
    web.kill()
    until(lambda: states(diagram)["machine/alpha/web"] == "stopped")
    web.destroy()
    until(lambda: set(states(diagram)) == {"machine/alpha/box"})
    other["alpha"].lxc["box"].destroy()
    other.networks.remove("late")
    until(lambda: [network["id"] for network in diagram.seen["networks"]] == ["network/lan"])


def test_it_follows_attaching_links_and_detaching(lab: Lab, diagram: Diagram) -> None:
    """A machine's new network, a cable that is pulled and one that is taken away show by themselves."""
    lab.networks.create("late", mode="isolated")
    web = Lab.attach(lab.name)["alpha"].lxc.create("web", networks=["lan"])
    here = lab["alpha"].lxc["web"]
    here.attach("late")
    until(lambda: ("machine/alpha/web", "network/late") in links(diagram))
    here.link("late", up=False)
    until(lambda: {link["network"]: link["up"] for link in diagram.seen["links"]}["network/late"] is False)
    assert "down" in diagram.to_mermaid()
    here.detach("late")
    until(lambda: links(diagram) == {("machine/alpha/web", "network/lan")})
    assert web.run(["ip", "-4", "-o", "addr"]).stdout.count("198.19.") == 1


def test_networks_of_docker_are_those_of_their_host(lab: Lab, diagram: Diagram) -> None:
    """A network that Docker has for itself is drawn in its host's region, as long as a container is on it."""
    docker = lab["beta"].docker
    own = docker.networks.create("own")
    box = docker.create("box", networks=["lan", "own"])
    try:
        until(lambda: ("machine/beta/box", "network/beta/own") in links(diagram))
        [node] = [each for each in diagram.topology.networks if each.host]
        assert (node.name, node.host, node.cidr) == ("own", "beta", own.cidr)
        assert "network/beta/own" in next(host["inside"] for host in diagram.seen["hosts"] if host["id"] == "host/beta")
        box.destroy()
        until(lambda: "network/beta/own" not in diagram.places)
    finally:
        docker.networks.remove("own")


def test_what_is_dragged_stays(lab: Lab, diagram: Diagram) -> None:
    """A place given by hand is kept when others come and go; nonsense moves nothing; `arrange` takes it back."""
    lab["alpha"].lxc.create("web", networks=["lan"])
    until(lambda: "machine/alpha/web" in diagram.places)
    diagram._on_message(diagram, {"ask": "move", "places": {"machine/alpha/web": [-500, 77.4]}}, [])
    assert diagram.places["machine/alpha/web"] == [-500, 77]
    lab["alpha"].lxc.create("box", networks=["lan"])
    until(lambda: "machine/alpha/box" in diagram.places)
    assert diagram.places["machine/alpha/web"] == [-500, 77]
    assert f'x="{-500 - MACHINE_WIDTH // 2}' in diagram.to_svg()  # its left edge
    places = dict(diagram.places)
    diagram._on_message(diagram, {"ask": "move", "places": {"no/such": [1, 2], "machine/alpha/box": [1]}}, [])
    assert diagram.places == places
    diagram._on_message(diagram, {"ask": "arrange"}, [])
    assert diagram.places["machine/alpha/web"] != [-500, 77]


def test_a_card_is_opened_and_closed(lab: Lab, diagram: Diagram) -> None:
    """A machine that is chosen has its card; chosen once more it goes; what is no machine has none."""
    lab["alpha"].lxc.create("web", networks=["lan"])
    until(lambda: "machine/alpha/web" in diagram.places)
    diagram._on_message(diagram, {"ask": "open", "machine": "machine/alpha/web"}, [])
    assert diagram.selected == "machine/alpha/web"
    assert diagram.card
    for other in ("machine/alpha/none", "network/lan", "../x"):
        diagram._on_message(diagram, {"ask": "open", "machine": other}, [])
        assert (diagram.card, diagram.selected) == ("", "")
    diagram._on_message(diagram, {"ask": "open", "machine": "machine/alpha/web"}, [])
    diagram._on_message(diagram, {"ask": "open", "machine": "machine/alpha/web"}, [])
    assert (diagram.card, diagram.selected) == ("", "")


def test_a_busy_lab_gives_few_messages(lab: Lab, diagram: Diagram) -> None:
    """Some hundred changes a second become a handful of messages, and the last state is told."""
    box = lab["beta"].lxc.create("box")
    until(lambda: states(diagram) == {"machine/beta/box": "running"})
    sent: list[float] = []
    send_state = diagram.send_state
    diagram.send_state = lambda key=None: (sent.append(time.monotonic()), send_state(key))[1]
    began = time.monotonic()
    for number in range(300):
        box._state = type(box.state)("paused" if number % 2 else "running")
        box.tell()
        time.sleep(0.01)
    took = time.monotonic() - began
    assert 1 <= len(sent) <= 2 * took + 2
    box.refresh()
    box.tell()
    until(lambda: states(diagram)["machine/beta/box"] == "running", timeout_s=5)


def test_a_closed_lab_says_so_and_leaves_no_thread(lab_name: str) -> None:
    """When its lab is closed the picture stays, its states unknown, and says why; closed itself, no thread is left."""
    with Lab(lab_name) as lab:
        lab["alpha"].lxc.create("web")
        diagram = lab.topology()
        until(lambda: diagram.seen["machines"])
    try:
        until(lambda: diagram.ended)
        assert states(diagram) == {"machine/alpha/web": "unknown"}
        assert "machine/alpha/web" in diagram.to_json()
        diagram._on_message(diagram, {"ask": "open", "machine": "machine/alpha/web"}, [])
        assert diagram._card is None or diagram._card.now["ended"]
        diagram.refresh()
        assert states(diagram) == {"machine/alpha/web": "unknown"}
    finally:
        diagram.close()
    until(
        lambda: not [thread for thread in threading.enumerate() if thread.name in ("labkit-topology", "labkit-watch")]
    )


def test_hosts_come_and_end(lab: Lab, diagram: Diagram) -> None:
    """A host made by another process appears; one that ends stays and is said to have ended."""
    other = Lab.attach(lab.name)
    other.add_host("gamma")
    other["gamma"].lxc.create("far", networks=["lan"])
    until(lambda: "machine/gamma/far" in states(diagram))
    assert diagram.topology.hosts[-1].name == "gamma"
    with other.channel() as channel:
        [pid] = [host["pid"] for name, host in channel.request("info")["hosts"].items() if name == "gamma"]
        lab_process = channel.peer_pid()
    _kill_inside(lab_process, pid)
    until(lambda: diagram.seen["hosts"][-1]["ended"], timeout_s=30)
    assert "machine/gamma/far" not in states(diagram)
    assert "has ended" in diagram.to_svg()


def _kill_inside(first: int, pid: int) -> None:
    """End the process that has the number `pid` in the lab of the process `first`."""
    import psutil

    for child in psutil.Process(first).children():
        line = next(
            line for line in Path(f"/proc/{child.pid}/status").read_text().splitlines() if line.startswith("NSpid:")
        )
        numbers = [int(word) for word in line.split()[1:]]
        if (numbers[1] if len(numbers) > 1 else numbers[0]) == pid:
            child.kill()
            return
    raise AssertionError(f"there is no process {pid} in the lab")


def test_a_headless_run_has_the_picture(tmp_path: Path, lab_name: str) -> None:
    """Run by papermill, a notebook has the last picture as SVG, without a widget or a script."""
    cells = [
        f'from labkit import Lab\nlab = Lab.open("{lab_name}")\nlab.networks.create("lan")\nlab.topology()',
        'web = lab["alpha"].lxc.create("web", networks=["lan"])',
        "web.kill()",
        "lab.close()",
    ]
    path = tmp_path / "topo.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
    summary = run_notebooks([path], output=tmp_path / "out")
    assert summary.results[0].ok, summary.results[0].reason
    [run] = (tmp_path / "out").glob("**/topo.ipynb")
    [output] = [each for each in nbformat.read(run, 4).cells[0].outputs if "image/svg+xml" in each.get("data", {})]
    for form in ("image/svg+xml", "text/html"):
        text = "".join(output["data"][form])
        assert re.search(r">web<.*>stopped<.*>198\.19\.", text, re.DOTALL)
        assert "<script" not in text
    assert "application/vnd.jupyter.widget-view+json" not in run.read_text()
