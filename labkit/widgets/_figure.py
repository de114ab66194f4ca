"""A plotly figure that keeps quiet: one message an update, and none from the front end.

A `FigureWidget` sends four messages an update (two counters, the update, and None), and the front end answers
with all that it has reckoned itself, which is sent back once more. Here counters and update are one message,
the answers are left out, and plotly's code is sent once a kernel, not with every figure.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import ipywidgets
import plotly.basewidget
import plotly.graph_objects as go
import traitlets
from plotly.basedatatypes import Undefined

from ._module import Module, module, tell_anywhere

_BUNDLE = pathlib.Path(plotly.basewidget.__file__).parent / "package_data" / "widgetbundle.js"
# It tells the kernel once that it is drawn: what was sent while plotly's code was on its way was not heard.
_LOADER = """
const kept = (globalThis.labkitPlotly ??= new Map());
const QUIET = ["_sendTraceDeltas", "_sendLayoutDelta", "_send_points_callback_message",
  "handle_plotly_restyle", "handle_plotly_relayout", "handle_plotly_update"];
function quiet({ default: make, FigureView }) {
  const { perform_render, do_update, remove } = FigureView.prototype;
  for (const name of QUIET) FigureView.prototype[name] = () => {};
  // Plotly takes its height from the element when the width changes.
  FigureView.prototype.fit = function () {
    this.el.style.height = `${this.model.get("_widget_layout").height}px`;
  };
  FigureView.prototype.perform_render = function () {
    this.fit();
    perform_render.call(this);
    let before = this.el.clientWidth;
    this.room = new ResizeObserver(() => {
      const now = this.el.clientWidth;
      if (now && now !== before && this.el.layout) {
        delete this.el.layout.width; // it stands still since the height was told
        this.autosizeFigure();
      }
      before = now || before;
    });
    this.room.observe(this.el);
  };
  FigureView.prototype.do_update = function () {
    if (!this.gone && this.model.get("_py2js_update")) {
      this.fit();
      do_update.call(this);
    }
  };
  FigureView.prototype.remove = function () {
    this.gone = true; // its model goes on telling it
    this.room?.disconnect();
    remove.call(this);
  };
  return make;
}
async function load(model) {
  const shared = await model.widget_manager.get_model(model.get("module").slice("IPY_MODEL_".length));
  const key = shared.get("digest");
  if (!kept.has(key)) {
    const url = URL.createObjectURL(new Blob([shared.get("code")], { type: "text/javascript" }));
    kept.set(key, import(url).then(quiet).finally(() => URL.revokeObjectURL(url)));
  }
  return (await kept.get(key))();
}
export default () => {
  let figure;
  return {
    initialize({ model }) {
      figure = load(model).then((made) => { made.initialize({ model }); return made; });
    },
    async render({ model, el }) {
      const made = await figure;
      const end = made.render({ model, el });
      model.send({ drawn: true });
      return end;
    },
  };
};
"""


class Figure(go.FigureWidget):  # type: ignore[misc]
    """A `FigureWidget` that is updated often.

    Parameters
    ----------
    traces, layout
        What it shows at first, as plotly's words.
    """

    _esm = _LOADER
    _edits = 0
    _set_trace_uid = False  # those that are given stay: the page's style sheet knows them
    module = traitlets.Instance(Module).tag(sync=True, **ipywidgets.widget_serialization)

    def __init__(self, traces: list[dict[str, Any]], layout: dict[str, Any]) -> None:
        super().__init__(traces, layout)
        self._config = {"displayModeBar": False, "doubleClick": False, "showTips": False}
        self._view_count = None  # nobody asks

    @traitlets.default("module")
    def _plotly(self) -> Module:
        return module(str(_BUNDLE))

    def open(self) -> None:
        """Open the connection to the front end (called by ipywidgets)."""
        super().open()
        tell_anywhere(self)

    def redraw(self, traces: Mapping[int, Mapping[str, Any]], layout: Mapping[str, Any]) -> None:
        """Change what is given of each trace and of the layout: one message, or none if nothing is given.

        It is what `batch_update` ends in, without the checks that would look through each array once more, and
        what the figure has already is sent, too: a page may not have it.
        """
        if not traces and not layout:
            return
        numbers = sorted(traces)
        names = sorted({name for each in traces.values() for name in each})
        style = {name: [traces[number].get(name, Undefined) for number in numbers] for name in names}
        self._perform_plotly_update(style, dict(layout), numbers)
        self._send_update_msg(style, dict(layout), numbers)

    def _send_update_msg(
        self, restyle_data: dict[str, Any], relayout_data: dict[str, Any], trace_indexes: Any = None,
        source_view_id: str | None = None,
    ) -> None:  # fmt: skip
        self._edits += 1
        number = self._edits
        with self.hold_sync():
            self._last_trace_edit_id = self._last_layout_edit_id = number
            self._py2js_update = {
                "style_data": restyle_data, "layout_data": relayout_data,
                "style_traces": self._normalize_trace_indexes(trace_indexes),
                "trace_edit_id": number, "layout_edit_id": number, "source_view_id": source_view_id,
            }  # fmt: skip

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """Its state; a page that is loaded anew gets the figure as it is now, not as it was made."""
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        if key is None and getattr(self, "_layout_obj", None) is not None:
            as_json = self.trait_metadata("_widget_data", "to_json")
            state |= {"_widget_data": as_json(self._data, self), "_widget_layout": as_json(self._layout, self)}
            state["_py2js_update"] = None
        return state
