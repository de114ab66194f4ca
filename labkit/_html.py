"""The static form of what labkit shows: small pieces of HTML without scripts.

Colours come from JupyterLab's CSS variables, so light and dark follow; states have a sign and a
word besides their colour. Everything is escaped by Jinja.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

# Sign of each state, everywhere alike, and the name of its colour.
SIGNS = {
    "running": ("●", "running"),
    "paused": ("❚❚", "paused"),
    "stopped": ("■", "dim"),
    "starting": ("◌", "busy"),
    "moving": ("◌", "busy"),
    "failed": ("✖", "failed"),
    "unknown": ("?", "dim"),
}
# Colours on light and on dark ground, each with a contrast of 4.5 to 1 to JupyterLab's grounds.
COLOURS = {
    "running": ("#1b7a34", "#5fd07f"),
    "paused": ("#9a5700", "#f0b35a"),
    "busy": ("#0067a3", "#7cc3f2"),
    "failed": ("#b3261e", "#ffa199"),
    "dim": ("#5e5e5e", "#bdbdbd"),
    # Of networks and the links to them, in turn; none is an engine's or a state's.
    "net0": ("#8a4fa3", "#c79be0"),
    "net1": ("#8f6a00", "#e0b84d"),
    "net2": ("#b0307a", "#f08fc0"),
    "net3": ("#4a6278", "#a9bfd3"),
    "net4": ("#7a4a2b", "#d3a27f"),
    "net5": ("#5b5fc7", "#aeb1f5"),
}
# The engines' labels, their colours, from the palette of Okabe and Ito (2008), and what can be read on these.
ENGINES = {
    "kvm": ("KVM", "#0072B2", "#fff"),
    "xen": ("Xen", "#D55E00", "#000"),
    "docker": ("Docker", "#56B4E9", "#000"),
    "lxc": ("LXC", "#009E73", "#000"),
}


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("labkit"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def render(template: str, **words: Any) -> str:
    """The HTML of ``templates/<template>.html`` with `words` filled in and escaped."""
    html = _environment().get_template(f"{template}.html")
    return html.render(signs=SIGNS, engines=ENGINES, palette=palette(".labkit"), **words).strip()


@cache
def palette(selector: str) -> str:
    """CSS that gives what `selector` selects the colours as variables, in light and in dark."""
    light, dark = (
        "; ".join(f"--lk-{name}: {pair[index]}" for name, pair in COLOURS.items()) for index in (0, 1)
    )  # fmt: skip
    night = f'body[data-jp-theme-light="false"] {selector}, .vscode-dark {selector}'
    return f"{selector} {{ {light} }}\n{night} {{ {dark} }}"
