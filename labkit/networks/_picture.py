"""The picture of a topology: what is written where, and its static form as SVG and HTML.

`view` is what both this SVG and the widget's are drawn from, so that they say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring
from zlib import crc32

from .._html import COLOURS, ENGINES, SIGNS, render
from .._values import format_count
from . import _layout
from ._layout import MACHINE_HEIGHT, PORT, ROW, Box
from .topology import HostNode, Link, MachineNode, NetworkNode, Places, Topology

INK, PAPER, SOFT, EDGE = "#212121", "#ffffff", "#f3f3f3", "#c0c0c0"
_MARGIN = 8
_NETS = sum(name.startswith("net") for name in COLOURS)
_NAME, _SMALL = 12, 10.5  # sizes of letters
# Widths of DejaVu Sans, the widest of the usual fonts, in ems.
_WIDTHS = {
    **dict.fromkeys("ABCDEFGHKLNOPQRSTUVXYZ", 0.79), **dict.fromkeys("ijlI'", 0.3), **dict.fromkeys(" .,·|:;/", 0.34),
    **dict.fromkeys("ft()[]-", 0.4), "r": 0.42, **dict.fromkeys("sczJ_", 0.55), **dict.fromkeys("m@%W", 1.0),
    **dict.fromkeys("w&+<=>#^~", 0.84), "M": 0.87,
}  # fmt: skip
_BOLD = 1.12


def width(text: str, size: float) -> float:
    """The room in pixels that `text` needs at most."""
    return size * sum(_WIDTHS.get(char, 0.64 if char.isascii() else 1.05) for char in text)


def plain(text: str) -> str:
    """`text` with a sign for each character that XML cannot hold or nobody can see."""
    return "".join(char if char.isprintable() else "�" for char in text)


def fit(text: str, room: float, size: float) -> str:
    """`text`, plain and cut to `room`."""
    text = plain(text)
    if width(text, size) <= room:
        return text
    while text and width(text + "…", size) > room:
        text = text[:-1]
    return text + "…"


# What is written


def view(topology: Topology, places: Places | None = None, *, ended: bool = False) -> dict[str, Any]:
    """What there is to draw, as plain values.

    Parameters
    ----------
    places
        Where it will be drawn, as far as known.
    ended
        Whether the lab has ended, so that no state is known any more.
    """
    size = _layout.sizes(topology, places)
    rows: dict[str, list[str]] = {machine.id: [] for machine in topology.machines}
    in_lab = {network.id for network in topology.networks if not network.host}
    links = [_link(topology, link, rows[link.machine], in_lab) for link in topology.links]
    return {
        "title": str(topology),
        "hosts": [_host(topology, host) for host in topology.hosts],
        "networks": [_network(network, size[network.id]) for network in topology.networks],
        "machines": [_machine(topology, each, rows[each.id], size[each.id], ended) for each in topology.machines],
        "links": links,
    }


def _host(topology: Topology, host: HostNode) -> dict[str, Any]:
    count = sum(machine.host == host.name for machine in topology.machines)
    words = "has ended" if host.ended else f"{host.address} · {format_count(count, 'machine')}"
    inside = _layout.members(topology, host)
    return {
        "id": host.id, "name": fit(host.name, 120, 13 * _BOLD), "words": fit(words, 170, _SMALL), "ended": host.ended,
        "inside": inside, "title": f"host {host.name}, {words}",
    }  # fmt: skip


def _network(network: NetworkNode, size: tuple[int, int]) -> dict[str, Any]:
    words = f"{network.mode} {network.cidr}".strip()
    name = f"{network.name} · VLAN {network.vlan}" if network.vlan else network.name
    served = f"{' and '.join(network.serves)} on {network.home}" if network.serves else ""
    of = f"Docker's own on {network.host}" if network.host else served
    return {
        "id": network.id, "name": fit(name, size[0] - 16, _NAME * _BOLD),
        "words": fit(words, size[0] - 10, _SMALL),
        "colour": _colour(network), "width": size[0], "height": size[1], "own": bool(network.host),
        "title": ", ".join(filter(None, (f"network {name}", words, of))),
    }  # fmt: skip


def _colour(network: NetworkNode) -> int:
    """Which of the networks' colours it has: the next for the next bridge of the lab, the last two for Docker's own."""
    if network.host:
        return _NETS - 1 - crc32(network.id.encode()) % 2
    digits = network.bridge.removeprefix("lab")
    known = digits.isdecimal() and digits.isascii()
    return (int(digits) - 1 if known else crc32(network.id.encode())) % _NETS


def _machine(
    topology: Topology, machine: MachineNode, rows: list[str], size: tuple[int, int], ended: bool
) -> dict[str, Any]:
    state = "unknown" if ended else machine.state.value
    sign, colour = SIGNS["starting" if machine.doing and not ended else state]
    word = fit(machine.doing if machine.doing and not ended else state, 60, _SMALL)
    room = size[0] - 70 - 100  # for the name and the word, after the engine, the sign and the addresses
    left = room - width(word, _SMALL) - 6
    if width(machine.name, _NAME) > left and state == "running" and not machine.doing:
        word, left = "", room  # the sign says it, too; the title has the word
    label, ground, ink = ENGINES.get(machine.engine, (machine.engine, "#777777", "#fff"))
    where = "; ".join(_where(topology, machine)) or "on no network"
    return {
        "id": machine.id, "name": fit(machine.name, left, _NAME), "sign": sign, "colour": colour, "word": word,
        "state": state, "engine": [fit(label, 42, 9.5), ground, ink], "rows": rows, "width": size[0], "height": size[1],
        "title": f"{machine.name}, {label} machine on {machine.host}, {machine.doing or state}; {where}",
    }  # fmt: skip


def _where(topology: Topology, machine: MachineNode) -> Iterator[str]:
    names = {network.id: network.name for network in topology.networks}
    for link in topology.links:
        if link.machine == machine.id:
            yield f"{names[link.network]} {link.address}{'' if link.up else ' (down)'}".strip()


def _link(topology: Topology, link: Link, rows: list[str], in_lab: set[str]) -> dict[str, Any]:
    row = -1
    if link.network in in_lab:
        row = len(rows)
        rows.append(fit(link.address, 92, _SMALL))
    machine = next(each.name for each in topology.machines if each.id == link.machine)
    network = next(each for each in topology.networks if each.id == link.network)
    words = " ".join(filter(None, (link.address, f"({link.mac})" if link.mac else "")))
    return {
        "machine": link.machine, "network": link.network, "row": row, "up": link.up, "colour": _colour(network),
        "title": f"{machine} – {network.name}{': ' * bool(words)}{words}, {link.note or ('up' if link.up else 'down')}",
    }  # fmt: skip


# Where it is written: the widget's front end (topology.js) has the same rules


def is_on_left(machine: Mapping[str, Any], seen: Mapping[str, Any], places: Places) -> bool:
    """Whether a machine stands left of its networks, on average: its addresses are at its right edge then."""
    own = {network["id"] for network in seen["networks"] if network["own"]}
    mine = [link["network"] for link in seen["links"] if link["machine"] == machine["id"]]
    there = [key for key in mine if key not in own] or [n["id"] for n in seen["networks"] if n["id"] not in own]
    return not there or places[machine["id"]][0] <= sum(places[key][0] for key in there) / len(there)


def paths(seen: Mapping[str, Any], places: Places) -> list[tuple[float, float, float, float, int, int]]:
    """Each link from x, y at its machine to x, y at its network, and to which side it leaves each (-1 or 1)."""
    machines = {each["id"]: each for each in seen["machines"]}
    networks = {each["id"]: each for each in seen["networks"]}
    starts, sides = [], []
    for link in seen["links"]:
        machine, (x, y) = machines[link["machine"]], places[link["machine"]]
        away = 1 if places[link["network"]][0] >= x else -1
        top = y - machine["height"] / 2
        at = y if link["row"] < 0 else top + MACHINE_HEIGHT / 2 + ROW * link["row"]
        starts.append((x + away * machine["width"] / 2, at))
        sides.append(away)
    ends: dict[int, float] = {}
    for key, side in {(link["network"], side) for link, side in zip(seen["links"], sides, strict=True)}:
        here = [n for n, link in enumerate(seen["links"]) if link["network"] == key and sides[n] == side]
        here.sort(key=lambda n: (starts[n][1], n))
        step = min(PORT, (networks[key]["height"] - 12) / max(1, len(here) - 1))
        for order, number in enumerate(here):
            ends[number] = places[key][1] + step * (order - (len(here) - 1) / 2)
    return [
        (
            *starts[n],
            places[link["network"]][0] - sides[n] * networks[link["network"]]["width"] / 2,
            ends[n],
            sides[n],
            -sides[n],
        )
        for n, link in enumerate(seen["links"])
    ]


def regions(seen: Mapping[str, Any], places: Places) -> list[Box]:
    """The region of each host."""
    size = {each["id"]: (each["width"], each["height"]) for each in (*seen["networks"], *seen["machines"])}
    return [_layout.region(host["inside"], size, places, places[host["id"]]) for host in seen["hosts"]]


def extent(seen: Mapping[str, Any], places: Places) -> Box:
    """What the whole picture covers."""
    boxes = [Box.at(places[each["id"]], (each["width"], each["height"])) for each in seen["networks"]]
    held = _layout.around([*boxes, *regions(seen, places)] or [Box(0, 0, 300, 40)])
    return Box(held.left - _MARGIN, held.top - _MARGIN, held.right + _MARGIN, held.bottom + _MARGIN)


# As SVG. Colours are attributes, for what knows no style sheets; the style of the HTML form overrides them.


def svg(seen: Mapping[str, Any], places: Places) -> str:
    """The picture as an SVG element on white ground."""
    box = extent(seen, places)
    across, down = box.right - box.left, box.bottom - box.top
    root = Element(
        "svg", xmlns="http://www.w3.org/2000/svg", viewBox=" ".join(map(_number, (box.left, box.top, across, down))),
        width=_number(across), height=_number(down), role="img",
    )  # fmt: skip
    root.set("aria-label", plain(f"topology of {seen['title']}"))
    root.set("font-family", "system-ui, 'DejaVu Sans', sans-serif")
    _rect(root, box, "back", fill=PAPER)
    for host, ground in zip(seen["hosts"], regions(seen, places), strict=True):
        _draw_host(_group(root, host["title"]), host, ground)
    for link, path in zip(seen["links"], paths(seen, places), strict=True):
        _draw_link(_group(root, link["title"]), link, path)
    for network in seen["networks"]:
        _draw_network(
            _group(root, network["title"]),
            network,
            Box.at(places[network["id"]], (network["width"], network["height"])),
        )
    for machine in seen["machines"]:
        on_left = is_on_left(machine, seen, places)
        ground = Box.at(places[machine["id"]], (machine["width"], machine["height"]))
        _draw_machine(_group(root, machine["title"]), machine, ground, on_left=on_left)
    return tostring(root, encoding="unicode")


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _group(root: Element, title: str) -> Element:
    group = SubElement(root, "g")
    SubElement(group, "title").text = plain(title)
    return group


def _rect(parent: Element, box: Box, kind: str, radius: int = 0, **looks: str) -> Element:
    return SubElement(
        parent, "rect", {"class": f"lk-t-{kind}"}, x=_number(box.left), y=_number(box.top), rx=str(radius),
        width=_number(box.right - box.left), height=_number(box.bottom - box.top), **looks,
    )  # fmt: skip


def _text(parent: Element, text: str, x: float, y: float, size: float, kind: str, colour: str, **looks: str) -> Element:
    made = SubElement(
        parent, "text", {"class": f"lk-t-{kind}", "font-size": _number(size)}, x=_number(x), y=_number(y), fill=colour
    )
    for name, value in looks.items():
        made.set(name.replace("_", "-"), value)
    made.text = plain(text)
    return made


def _draw_host(group: Element, host: Mapping[str, Any], box: Box) -> None:
    ground = _rect(group, box, "region", 8, fill=SOFT, stroke=EDGE)
    if host["ended"]:
        ground.set("stroke-dasharray", "6 4")
    line = _text(group, host["name"], box.left + 12, box.top + 19, 13, "ink", INK, font_weight="600")
    colour = "failed" if host["ended"] else "dim"
    mark = f"{SIGNS['failed'][0]} " if host["ended"] else ""
    words = SubElement(
        line,
        "tspan",
        {"class": f"lk-t-{colour}", "font-size": _number(_SMALL), "font-weight": "400"},
        dx="10",
        fill=COLOURS[colour][0],
    )
    words.text = mark + host["words"]


def _draw_link(group: Element, link: Mapping[str, Any], path: tuple[float, float, float, float, int, int]) -> None:
    x, y, to_x, to_y, side, far = path
    bend = max(24.0, abs(to_x - x) / 2)
    points = map(_number, (x, y, x + side * bend, y, to_x + far * bend, to_y, to_x, to_y))
    curve = "M{} {}C{} {} {} {} {} {}".format(*points)
    line = SubElement(
        group, "path", {"class": f"lk-t-net{link['colour']}", "stroke-width": "1.4"}, d=curve, fill="none"
    )
    line.set("stroke", COLOURS[f"net{link['colour']}"][0])
    if not link["up"]:
        line.attrib |= {"class": "lk-t-down", "stroke": COLOURS["dim"][0], "stroke-dasharray": "4 4"}


def _draw_network(group: Element, network: Mapping[str, Any], box: Box) -> None:
    _rect(
        group, box, f"net{network['colour']} lk-t-card", 12, fill=PAPER, stroke=COLOURS[f"net{network['colour']}"][0]
    ).set("stroke-width", "2")
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    _text(group, network["name"], x, y - 3, _NAME, "ink", INK, text_anchor="middle", font_weight="600")
    _text(group, network["words"], x, y + 12, _SMALL, "dim", COLOURS["dim"][0], text_anchor="middle")


def _draw_machine(group: Element, machine: Mapping[str, Any], box: Box, *, on_left: bool) -> None:
    """Engine, sign, name and word; the addresses where the links are."""
    _rect(group, box, "card", 4, fill=PAPER, stroke=EDGE)
    left = box.left + (4 if on_left else 100)
    y = box.top + MACHINE_HEIGHT / 2
    label, ground, ink = machine["engine"]
    _rect(group, Box(left, y - 7.5, left + 42, y + 7.5), "chip", 3, fill=ground)
    _text(group, label, left + 21, y + 3.5, 9.5, "chip", ink, text_anchor="middle", font_weight="600")
    colour = COLOURS[machine["colour"]][0]
    _text(group, machine["sign"], left + 54, y + 4, 10, machine["colour"], colour, text_anchor="middle")
    _text(group, machine["name"], left + 66, y + 4, _NAME, "ink", INK)
    end = box.right - (100 if on_left else 6)
    _text(group, machine["word"], end, y + 4, _SMALL, machine["colour"], colour, text_anchor="end")
    for number, address in enumerate(machine["rows"]):
        x, anchor = (box.right - 6, "end") if on_left else (box.left + 6, "start")
        _text(group, address, x, y + 4 + ROW * number, _SMALL, "dim", COLOURS["dim"][0], text_anchor=anchor)


# As a mime bundle


def bundle(topology: Topology, places: Places | None = None, note: str = "") -> dict[str, Any]:
    """The picture as SVG and as HTML that follows the notebook's colours, and in words."""
    places = _layout.lay_out(topology, places)
    seen = view(topology, places)
    if not note and not _layout.has_graphviz() and topology.machines:
        note = NO_GRAPHVIZ
    image = svg(seen, places)
    html = render("topology", title=plain(topology.lab), image=image, note=note, colours=COLOURS)
    return {"text/plain": str(topology), "image/svg+xml": image, "text/html": html}


NO_GRAPHVIZ = "Graphviz is not installed, so links cross more often than they need to: apt-get install graphviz"
