"""Live widgets; the only place that imports ipywidgets and anywidget.

`show` displays a machine, a host or a lab in a notebook twice: as a widget, where somebody looks,
and as a static picture (its twin), which is what a saved, converted or headless notebook shows.
"""

from __future__ import annotations

from ._show import show

__all__ = ["show"]
