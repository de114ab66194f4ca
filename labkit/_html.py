"""The static form of what labkit shows: small pieces of HTML without scripts.

Colours come from JupyterLab's CSS variables, so light and dark follow; states have a sign and a
word besides their colour. Everything is escaped by Jinja.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

# Sign and colour of each state, everywhere alike.
SIGNS = {
    "running": ("●", "var(--jp-success-color0, #1b7a34)"),
    "paused": ("❚❚", "var(--jp-warn-color0, #a15c00)"),
    "stopped": ("■", "var(--jp-ui-font-color2, #616161)"),
    "starting": ("◌", "var(--jp-info-color0, #0072b2)"),
    "moving": ("◌", "var(--jp-info-color0, #0072b2)"),
    "failed": ("✖", "var(--jp-error-color0, #b3261e)"),
    "unknown": ("?", "var(--jp-ui-font-color2, #616161)"),
}
# The engines' labels and colours, from the palette of Okabe and Ito (2008).
ENGINES = {
    "kvm": ("KVM", "#0072B2"),
    "xen": ("Xen", "#D55E00"),
    "docker": ("Docker", "#56B4E9"),
    "lxc": ("LXC", "#009E73"),
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
    return html.render(signs=SIGNS, engines=ENGINES, **words).strip()
