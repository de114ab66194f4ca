"""An executed notebook as one HTML page that can be read without a network.

JupyterLab's own look, but no script at all: a policy in the page's head forbids the browser to
run or load anything, whatever an output holds.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import DictLoader, FileSystemBytecodeCache
from nbconvert.exporters.html import HTMLExporter
from traitlets.config import Config

from .._paths import cache_home

if TYPE_CHECKING:
    from nbformat import NotebookNode

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "media-src data:; base-uri 'none'; form-action 'none'"
)
_TEMPLATE = f"""
{{%- extends 'index.html.j2' -%}}
{{%- block html_head_js -%}}
<meta http-equiv="Content-Security-Policy" content="{_POLICY}" />
{{%- endblock -%}}
{{%- block jupyter_widgets -%}}{{%- endblock -%}}
{{%- block html_head_js_mathjax -%}}{{%- endblock -%}}
{{%- block html_head_js_mermaidjs -%}}{{%- endblock -%}}
{{%- block input -%}}
<div class="jp-CodeMirrorEditor jp-Editor jp-InputArea-editor" data-type="inline">
<div class="cm-editor cm-s-jupyter">{{{{ cell.source | highlight_code(metadata=cell.metadata) }}}}</div>
</div>
{{%- endblock -%}}
"""
# nbconvert's other ones are for LaTeX, for taking out cells and for running them.
_NEEDED = [
    "nbconvert.preprocessors.CoalesceStreamsPreprocessor",
    "nbconvert.preprocessors.HighlightMagicsPreprocessor",
]
# What needs no script: a widget shows the static form that it brings along.
_SHOWN = [
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/latex",
    "text/plain",
]


class PageMaker:
    """Makes pages; the first one takes longest, so `warm_up` while there is time."""

    def __init__(self) -> None:
        config = Config(
            {
                "NbConvertBase": {"display_data_priority": _SHOWN},
                "HTMLExporter": {"default_preprocessors": _NEEDED},
            }
        )
        self._exporter = HTMLExporter(
            config=config,
            extra_loaders=[DictLoader({"labkit.html.j2": _TEMPLATE})],
            template_file="labkit.html.j2",
            embed_images=True,
        )
        compiled = cache_home() / "templates"
        compiled.mkdir(exist_ok=True)
        self._exporter.environment.bytecode_cache = FileSystemBytecodeCache(str(compiled))

    def warm_up(self) -> None:
        """Compile the templates."""
        from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

        self.page(new_notebook(cells=[new_code_cell("1"), new_markdown_cell("1")]), "", Path())

    def page(self, notebook: NotebookNode, title: str, folder: Path) -> str:
        """The page of a notebook; `folder` is where the pictures of its texts lie."""
        shown = deepcopy(notebook)
        shown.metadata.pop("widgets", None)
        html, _ = self._exporter.from_notebook_node(shown, resources={"metadata": {"name": title, "path": str(folder)}})
        return str(html)
