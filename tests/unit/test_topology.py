"""The graph of a lab and its picture: stable, legible, and never taken for HTML, SVG or Mermaid."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import ImageFont

from labkit.machines.spec import NetworkInterface, State
from labkit.networks import _layout, _picture
from labkit.networks.link import Link as Condition
from labkit.networks.topology import HostNode, Link, MachineNode, NetworkNode, Topology, build

NETS = ("lan", "dmz", "mgmt", "store")
SVG = "{http://www.w3.org/2000/svg}"
EVIL = '</title><script>alert(1)</script>" onload="x" <b>&amp;]]> --\x1b\x00`{}\n%% end'


def made_up(count: int, hosts: int = 3, nets: int = 4) -> Topology:
    """A lab of `count` machines, of which some are on several networks and some on none."""
    names = ("alpha", "beta", "gamma", "delta")[:hosts]
    machines, links = [], []
    states = (State.RUNNING, State.RUNNING, State.PAUSED, State.STOPPED, State.FAILED)
    for number in range(count):
        host, engine = names[number * number % hosts], ("kvm", "docker", "lxc")[number % 3]
        node = MachineNode(
            f"{('web', 'database', 'monitoring')[number % 3]}-{number}", host, engine, states[number % 5]
        )
        machines.append(node)
        for step in range((1, 1, 2, 1, 0, 3)[number % 6]):
            net = (number * 7 + step) % nets
            address = f"198.19.{100 + net}.{100 + number}"
            links.append(Link(node.id, f"network/{NETS[net]}", address, "52:54:00:00:00:01", number % 9 != 4))
    return Topology(
        "demo",
        tuple(HostNode(name, f"198.18.0.{n + 2}") for n, name in enumerate(names)),
        tuple(
            NetworkNode(net, "isolated", f"198.19.{100 + n}.0/24", "alpha", f"lab{n + 1}")
            for n, net in enumerate(NETS[:nets])
        ),
        tuple(machines), tuple(links),
    )  # fmt: skip


def without(topology: Topology, machine: str) -> Topology:
    """The same lab before the machine with this id came."""
    return replace(
        topology,
        machines=tuple(each for each in topology.machines if each.id != machine),
        links=tuple(each for each in topology.links if each.machine != machine),
    )


def boxes(topology: Topology, places: dict[str, tuple[int, int]]) -> dict[str, _layout.Box]:
    size = _layout.sizes(topology, places)
    return {key: _layout.Box.at(places[key], size[key]) for key in size}


def text_boxes(image: str) -> list[tuple[str, float, float, float, float]]:
    """What is written where in an SVG: text, left, top, right, bottom, by the widest of the usual fonts."""
    found = []
    for text in ElementTree.fromstring(image).iter(f"{SVG}text"):
        size, x, y = (float(text.get(key, "0")) for key in ("font-size", "x", "y"))
        words = "".join(text.itertext())
        bold = "-Bold" * (text.get("font-weight") == "600")
        wide = ImageFont.truetype(f"DejaVuSans{bold}.ttf", 100).getlength(words) * size / 100
        left = x - wide * {"middle": 0.5, "end": 1.0}.get(text.get("text-anchor", ""), 0.0)
        found.append((words, left, y - 0.78 * size, left + wide, y + 0.24 * size))
    return found


def has_dejavu() -> bool:
    try:
        ImageFont.truetype("DejaVuSans.ttf", 10)
    except OSError:
        return False
    return True


needs_graphviz = pytest.mark.skipif(not _layout.has_graphviz(), reason="there is no Graphviz: apt-get install graphviz")


@pytest.mark.skipif(not has_dejavu(), reason="there is no DejaVu font to measure with")
@pytest.mark.parametrize("count", [5, 20, 50])
def test_no_text_overlaps_another(count: int) -> None:
    """However many machines there are, no two pieces of text share any ground."""
    written = text_boxes(made_up(count).to_svg())
    assert len(written) > 4 * count
    for one, other in combinations(written, 2):
        apart = one[1] >= other[3] or other[1] >= one[3] or one[2] >= other[4] or other[2] >= one[4]
        assert apart, f"{one} over {other}"


@pytest.mark.parametrize("count", [0, 1, 5, 20, 50])
@pytest.mark.parametrize("hosts", [1, 2, 3, 4])
@pytest.mark.parametrize("graphviz", [pytest.param(True, marks=needs_graphviz), False])
def test_nodes_and_regions_stand_apart(count: int, hosts: int, graphviz: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines, networks and regions do not overlap, with Graphviz and without; a region holds its own only."""
    if not graphviz:
        monkeypatch.setattr(_layout, "_PROGRAM", ["no-such-program"])
    topology = made_up(count, hosts)
    places = _layout.lay_out(topology)
    found = boxes(topology, places)
    assert set(places) == {node.id for node in topology.nodes()}
    for (one, box), (other, second) in combinations(found.items(), 2):
        assert not box.overlaps(second), f"{one} over {other}"
    seen = _picture.view(topology, places)
    grounds = dict(zip((host["id"] for host in seen["hosts"]), _picture.regions(seen, places), strict=True))
    for one, second in combinations(grounds.values(), 2):
        assert not one.overlaps(second)
    hosts_of = {machine.id: f"host/{machine.host}" for machine in topology.machines}
    for key, box in found.items():
        assert (
            {name for name, ground in grounds.items() if ground.overlaps(box)} == {hosts_of[key]} & grounds.keys()
            if key in hosts_of
            else not any(ground.overlaps(box) for ground in grounds.values())
        )


@pytest.mark.parametrize("count", [6, 20, 50])
def test_one_more_machine_moves_no_other(count: int) -> None:
    """Every machine of the newcomer's host and every network stays; another host moves as a whole, or not at all."""
    whole = made_up(count)
    for newcomer in whole.machines:
        before = without(whole, newcomer.id)
        old = _layout.lay_out(before)
        new = _layout.lay_out(whole, old)
        moved: dict[str, set[tuple[int, int]]] = {}
        for node in before.machines:
            (x, y), (to_x, to_y) = old[node.id], new[node.id]
            moved.setdefault(node.host, set()).add((to_x - x, to_y - y))
        assert moved.get(newcomer.host, {(0, 0)}) == {(0, 0)}
        assert all(len(ways) == 1 for ways in moved.values()), moved
        for node in before.networks:
            assert old[node.id][0] == new[node.id][0]
        found = boxes(whole, new)
        for (one, box), (other, second) in combinations(found.items(), 2):
            assert not box.overlaps(second), f"{one} over {other}"


def test_who_goes_leaves_a_gap_that_is_filled() -> None:
    """Destroying a machine moves nobody; the next one takes its place."""
    whole = made_up(20)
    gone = next(m for m in whole.machines if m.host == "alpha" and sum(k.machine == m.id for k in whole.links) == 1)
    old = _layout.lay_out(whole)
    fewer = without(whole, gone.id)
    now = _layout.lay_out(fewer, old)
    assert {key: old[key] for key in now if not key.startswith("host/")} == {
        key: now[key] for key in now if not key.startswith("host/")
    }
    again = replace(fewer, machines=(*fewer.machines, replace(gone, name="newcomer")))
    place = _layout.lay_out(again, now)["machine/alpha/newcomer"]
    column = sorted(y for key, (x, y) in now.items() if key.startswith("machine/alpha/"))
    assert place[1] <= column[-1] + 60


def test_a_lab_that_grows_one_by_one_stays_legible() -> None:
    """From nothing to fifty machines, each placed when it came: nothing overlaps at any time."""
    whole = made_up(50)
    places: dict[str, tuple[int, int]] = {}
    for count in range(51):
        now = replace(whole, machines=whole.machines[:count])
        there = {machine.id for machine in now.machines}
        now = replace(now, links=tuple(link for link in whole.links if link.machine in there))
        places = _layout.lay_out(now, places)
        found = boxes(now, places)
        for (one, box), (other, second) in combinations(found.items(), 2):
            assert not box.overlaps(second), f"{one} over {other} with {count} machines"
        seen = _picture.view(now, places)
        for one_ground, other_ground in combinations(_picture.regions(seen, places), 2):
            assert not one_ground.overlaps(other_ground), f"regions with {count} machines"


@needs_graphviz
def test_fifty_machines_are_laid_out_at_once() -> None:
    """Fifty machines on three hosts and four networks take well under a second, the best of three tries."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        made_up(50).to_svg()
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.5


def hostile() -> Topology:
    """Names that no door lets through, for the renderer's own sake."""
    machine = MachineNode(EVIL, EVIL, "kvm", State.RUNNING, EVIL)
    network, own = NetworkNode(EVIL, EVIL, EVIL, EVIL), NetworkNode(EVIL, EVIL, EVIL, host=EVIL)
    links = (Link(machine.id, network.id, EVIL, EVIL), Link(machine.id, own.id, up=False))
    return Topology(EVIL, (HostNode(EVIL, EVIL), HostNode("b", EVIL, ended=True)), (network, own), (machine,), links)


def test_names_are_text_in_svg_and_html() -> None:
    """A name with markup in it adds no element and no attribute, and the SVG is well-formed."""
    bundle = hostile()._repr_mimebundle_()
    tree = ElementTree.fromstring(bundle["image/svg+xml"])
    assert {each.tag for each in tree.iter()} <= {
        SVG + name for name in ("svg", "g", "title", "rect", "text", "tspan", "path")
    }
    assert not [key for each in tree.iter() for key in each.attrib if key.startswith("on")]
    assert "script" in "".join(tree.itertext())
    for form in (bundle["image/svg+xml"], bundle["text/html"]):
        assert "<script" not in form
        assert "<b>" not in form
        assert "\x1b" not in form
        assert "\x00" not in form


def test_names_are_text_in_mermaid() -> None:
    """A name with quotes, brackets, comments or line ends stays inside its label."""
    text = hostile().to_mermaid()
    assert text.splitlines()[0] == "flowchart LR"
    for line in text.splitlines():
        assert line.count('"') in (0, 2), line
        for word in ("<b>", "<script", "`", "%%", "\x1b", "#27;", "#0;"):
            assert word not in line
    assert text.count("subgraph ") == 2
    assert text.count("\n  end\n") == 2


def test_mermaid_says_what_there_is() -> None:
    """Hosts are subgraphs, machines and networks nodes, links lines with addresses; one that is down is dotted."""
    machine = MachineNode("web", "alpha", "lxc", State.PAUSED)
    links = (
        Link(machine.id, "network/lan", "198.19.1.2", "52:54:00:00:00:01", up=False),
        Link(machine.id, "network/alpha/own"),
    )
    networks = (NetworkNode("lan", "nat", "198.19.1.0/24"), NetworkNode("own", "docker", "", host="alpha"))
    told = Topology("demo", (HostNode("alpha", "198.18.0.2"),), networks, (machine,), links).to_mermaid()
    assert told.splitlines() == [
        "flowchart LR",
        '  subgraph h0["alpha<br/>198.18.0.2"]',
        '    m0["web<br/>LXC, #10074;#10074; paused"]',
        '    n1(["own<br/>docker"])',
        "  end",
        '  n0(["lan<br/>nat 198.19.1.0/24"])',
        '  m0 -.-|"198.19.1.2 down"| n0',
        "  m0 --- n1",
    ]


def test_json_has_its_documented_shape() -> None:
    """The JSON text says everything in plain values, and each link's ends are among the nodes."""
    topology = made_up(20)
    told = json.loads(topology.to_json())
    assert told == topology.as_dict()
    assert set(told) == {"labkit_topology", "lab", "hosts", "networks", "machines", "links"}
    assert told["labkit_topology"] == 1
    assert told["machines"][2] == {
        "id": "machine/beta/monitoring-2", "name": "monitoring-2", "host": "beta", "engine": "lxc", "state": "paused",
        "doing": "",
    }  # fmt: skip
    assert set(told["hosts"][0]) == {"id", "name", "address", "provider", "ended"}
    assert set(told["networks"][0]) == {"id", "name", "mode", "cidr", "home", "bridge", "host", "vlan", "serves"}
    ids = {each["id"] for kind in ("machines", "networks") for each in told[kind]}
    for link in told["links"]:
        assert set(link) == {"machine", "network", "address", "mac", "up", "note"}
        assert {link["machine"], link["network"]} <= ids


def fake_lab(**changes: Any) -> Any:
    """As much of a lab as the graph asks for."""

    class Hosts(SimpleNamespace):
        def __iter__(self) -> Any:
            return iter(self.hosts)

    host = SimpleNamespace(name="alpha", address="198.18.0.2", provider="namespace")
    host.docker = SimpleNamespace(networks={"own": SimpleNamespace(cidr="198.18.129.0/24")})
    net = SimpleNamespace(name="lan", mode="nat", cidr="198.19.1.0/24", home="alpha", bridge="lab1", vlan=20)
    net.serves = ("DNS",)
    return Hosts(name="demo", hosts=[host], networks=[net], **changes)


def test_links_to_networks_that_are_gone_and_machines_that_are_gone_are_left_out() -> None:
    """A machine whose network was removed stays, without that link; one that was destroyed does not."""
    lab = fake_lab()
    [host] = lab.hosts
    cards = (
        NetworkInterface("lan", "52:54:00:00:00:01", "198.19.1.2"),
        NetworkInterface("old", "52:54:00:00:00:02", "198.19.2.2"),
    )
    links = {"lan": Condition(up=False, bits_per_second=10_000_000)}  # detached from the other meanwhile
    common = {"host": host, "engine": "docker", "state": State.RUNNING, "activity": None, "links": links}
    web = SimpleNamespace(
        name="web",
        is_gone=False,
        spec=SimpleNamespace(interfaces=cards),
        recipe=SimpleNamespace(networks=("own",)),
        **common,
    )
    gone = SimpleNamespace(name="gone", is_gone=True, spec=SimpleNamespace(interfaces=cards), **common)
    told = build(lab, {"alpha": [web, gone]})  # type: ignore[list-item]
    assert [machine.name for machine in told.machines] == ["web"]
    assert {link.network for link in told.links} == {"network/lan", "network/alpha/own"}
    assert [link.up for link in told.links] == [False, True]
    image = told.to_svg()
    assert "(52:54:00:00:00:01), down, 10 Mbit/s" in image
    assert "network lan · VLAN 20, nat 198.19.1.0/24, DNS on alpha" in image
    assert told.networks[-1] == NetworkNode("own", "docker", "198.18.129.0/24", host="alpha")
    places = _layout.lay_out(told)
    left, right = sorted((places["machine/alpha/web"], places["network/lan"]))
    assert places["network/alpha/own"][0] < left[0] < right[0]


def test_a_host_that_has_ended_is_there_and_says_so() -> None:
    """A host without an answer stays in the picture, without machines."""
    told = build(fake_lab(), {})
    assert told.hosts[0].ended
    assert "has ended" in told.to_svg()
    assert "has ended" in told.to_mermaid()


def test_a_link_that_is_down_is_dashed_and_grey() -> None:
    """Up and down differ by line, colour and word."""
    topology = made_up(5, 2, 2)
    links = tuple(replace(link, up=number != 0) for number, link in enumerate(topology.links))
    tree = ElementTree.fromstring(replace(topology, links=links).to_svg())
    dashed = [each for each in tree.iter(f"{SVG}path") if each.get("stroke-dasharray")]
    assert [each.get("class") for each in dashed] == ["lk-t-down"]
    assert sum(title.text.endswith(", down") for title in tree.iter(f"{SVG}title") if title.text) == 1
