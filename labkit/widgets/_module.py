"""The front end's code, sent to the browser once a kernel and shared by all widgets of it.

An anywidget carries its code in each model; a table of sixty machines would send it sixty times.
So the code is in one model, and each widget's own code only fetches it from there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

from .._html import ENGINES, SIGNS, palette
from ._show import Showable, show

STATIC = Path(__file__).with_name("static")

# What a widget of kind `kind` runs; see `modules` below for what it fetches.
_LOADER = """
async function load(model) {{
  const loaded = globalThis.labkitModules ??= new Map();
  const shared = await model.widget_manager.get_model(model.get("module").slice("IPY_MODEL_".length));
  const key = shared.get("digest");
  if (!loaded.has(key)) {{
    const url = URL.createObjectURL(new Blob([shared.get("code")], {{ type: "text/javascript" }}));
    loaded.set(key, import(url).finally(() => URL.revokeObjectURL(url)));
  }}
  return [await loaded.get(key), shared.get("looks")];
}}
export default {{
  async render({{ model, el }}) {{
    const [code, looks] = await load(model);
    return code.{kind}({{ model, el, looks }});
  }},
}};
"""


class Module(anywidget.AnyWidget):
    """One file of the front end."""

    _esm = "export default {};"
    code = traitlets.Unicode().tag(sync=True)
    digest = traitlets.Unicode().tag(sync=True)
    looks = traitlets.Dict().tag(sync=True)


_lock = threading.Lock()
_modules: dict[str, Module] = {}


def module(file: str) -> Module:
    """The model with the front end's `file`; made when it is first needed, or was closed with all widgets."""
    with _lock:
        known = _modules.get(file)
        if known is None or known.comm is None:
            code, digest = _read(file)
            looks = {"signs": SIGNS, "engines": ENGINES, "palette": palette(".lk")}
            known = _modules[file] = Module(code=code, digest=digest, looks=looks)
        return known


@cache
def _read(file: str) -> tuple[str, str]:
    import hashlib

    code = (STATIC / file).read_text()
    return code, hashlib.sha256(code.encode()).hexdigest()[:16]


def tell_anywhere(widget: ipywidgets.Widget) -> None:
    """Have what the front end says to `widget` handled while a cell runs, too."""
    # From 7.4 on, ipykernel hands it to the thread that last told the front end something:
    # a cell that runs would hold up the button that cancels it.
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = lambda _data, subshell: subshell  # noqa: SLF001


class Picture:
    """The static form of a widget that shows nothing but itself."""

    def __init__(self, widget: LabWidget) -> None:
        self._widget = widget

    def __repr__(self) -> str:
        return str(getattr(self._widget, "title", "")) or self._widget.kind

    def _repr_mimebundle_(self) -> dict[str, Any]:
        return {"text/plain": repr(self), "text/html": self._widget.static()}


class LabWidget(anywidget.AnyWidget):
    """What all widgets of labkit share: code from the shared module, requests, an end.

    Parameters
    ----------
    kind
        Which function of the front end's `file` draws it (a class attribute).
    """

    kind = ""
    file = "labkit.js"
    own = traitlets.Unicode().tag(sync=True)  # its model's id, by which the front end finds its connection
    twin = traitlets.Unicode().tag(sync=True)
    module = traitlets.Instance(Module).tag(sync=True, **ipywidgets.widget_serialization)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "kind" in vars(cls):  # anywidget makes subclasses of its own
            cls._esm = _LOADER.format(kind=cls.kind)
        super().__init_subclass__(**kwargs)

    def __init__(self, **traits: Any) -> None:
        self.follower: Callable[..., None] = lambda **_how: None  # the static twin, if it has one
        self._leave: Callable[[], None] = lambda: None
        super().__init__(module=module(self.file), **traits)
        self.own = str(self.model_id)
        self.on_msg(self._on_message)

    def open(self) -> None:
        """Open the connection to the front end (called by ipywidgets)."""
        super().open()
        tell_anywhere(self)

    def close(self) -> None:
        """End the widget; what it shows goes on."""
        leave, self._leave = self._leave, lambda: None  # called again when it is collected
        leave()
        super().close()

    def subject(self) -> Showable:
        """What its static twin shows; by default the widget's own static form, `static`."""
        return Picture(self)

    def static(self) -> str:
        """The static form as HTML, of a widget that is its own subject."""
        return ""

    def _ipython_display_(self) -> None:
        show(self.subject(), lambda: self)

    def _on_message(self, _widget: object, content: Any, _buffers: object) -> None:
        """The front end asks for something: ``{"ask": name, …}`` calls ``asked_<name>(…)``."""
        if not isinstance(content, dict) or self.comm is None:
            return
        words = dict(content)
        if asked := getattr(self, f"asked_{words.pop('ask', '')}", None):
            asked(**words)
