"""A summary as a table for a terminal, as HTML and as JUnit XML."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from .._values import format_duration

if TYPE_CHECKING:
    from lxml.etree import _Element
    from rich.console import Group, RenderableType

    from .results import NotebookResult, Summary

_LINES_OF_ERROR = 30
_LONGEST_REASON = 60
# XML 1.0 has no way to write these.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

_HTML = """
<style>{{ palette }}</style>
<div class="labkit-report" style="color: var(--jp-ui-font-color1); line-height: 1.4">
<p style="margin: 0 0 .5em">{{ line }}</p>
<table>
<thead><tr><th></th><th style="text-align: left">notebook</th><th>time</th><th>cells</th>
<th style="text-align: left">first failing cell</th></tr></thead>
<tbody>
{%- for r in results %}
<tr>
{%- set sign, colour = signs['running' if r.ok else 'failed'] %}
<td style="color: var(--lk-{{ colour }})">{{ sign }} {{ 'ok' if r.ok else 'failed' }}</td>
<td style="text-align: left" title="{{ r.path }}">{{ r.path.name }}</td>
<td>{{ took(r.duration_s) }}</td><td>{{ r.cells }}</td>
<td style="text-align: left">
{%- if r.failed_cell %}<details><summary>{{ r.reason }}</summary>
<pre>{{ r.failed_cell.error }}</pre></details>{% endif %}
{%- if r.problem %}<div>{{ r.problem }}</div>{% endif %}</td>
</tr>
{%- endfor %}
</tbody></table></div>
"""


def _clean(text: str) -> str:
    """Text that cannot command a terminal or turn its direction."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def headline(summary: Summary) -> str:
    """One sentence about all."""
    total, took = len(summary.results), format_duration(summary.duration_s)
    failed = sum(not result.ok for result in summary.results)
    many = "notebook" if total == 1 else "notebooks"
    said = f"{failed} of {total} {many} failed" if failed else f"{total} {many} passed"
    return f"{said} in {took}" + (", stopped before the end" if summary.interrupted else "")


def table(summary: Summary) -> Group:
    """The table, then each failure with the end of its error."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("", "notebook", "time", "cells"):
        right = column in ("time", "cells")
        rows.add_column(column, no_wrap=True, justify="right" if right else "left")
    rows.add_column("first failing cell")
    for result in summary.results:
        reason = Text(_clean(result.reason).replace("\n", " "))
        reason.truncate(_LONGEST_REASON, overflow="ellipsis")
        rows.add_row(
            Text("● ok", "green") if result.ok else Text("✖ failed", "red"),
            Text(_clean(result.path.name)),
            format_duration(result.duration_s),
            str(result.cells),
            reason,
        )
    parts: list[RenderableType] = [rows]
    for result in summary.results:
        if not result.ok:
            parts += [Text(""), Text(_clean(failure(result)))]
    return Group(*parts, Text(""), Text(headline(summary), "bold"))


def failure(result: NotebookResult) -> str:
    """A failed notebook in words: where, the code, the end of the error, what else."""
    lines = [f"✖ {result.path}" + (f": cell {c.number}" if (c := result.failed_cell) else "")]
    if c:
        lines += [f"  │ {line}" for line in c.source.splitlines()]
        lines += [f"  {line}" for line in c.error.splitlines()[-_LINES_OF_ERROR:]]
    if result.problem:
        lines.append(f"  {result.problem}")
    if result.ended_labs:
        lines.append(f"  ended after it: {', '.join(result.ended_labs)}")
    if result.html:
        lines.append(f"  page: {result.html}")
    return "\n".join(lines)


def text(summary: Summary) -> str:
    """The table without colours, for a log."""
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=100, color_system=None).print(table(summary))
    return out.getvalue()


def html(summary: Summary) -> str:
    """The table as static HTML."""
    from jinja2 import Environment

    from .._html import SIGNS, palette

    template = Environment(autoescape=True).from_string(_HTML)
    words = {"signs": SIGNS, "palette": palette(".labkit-report")}
    return template.render(line=headline(summary), results=summary.results, took=format_duration, **words).strip()


def junit(summary: Summary, path: Path) -> None:
    """Write JUnit XML: one test case a notebook."""
    from lxml import etree

    failed = sum(not result.ok for result in summary.results)
    suite = etree.Element(
        "testsuite",
        name="notebooks",
        tests=str(len(summary.results)),
        failures=str(failed),
        errors="0",
        time=f"{summary.duration_s:.3f}",
    )
    for result in summary.results:
        suite.append(_test_case(result))
    suites = etree.Element("testsuites")
    suites.append(suite)
    etree.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True, pretty_print=True)


def _test_case(result: NotebookResult) -> _Element:
    from lxml import etree

    case = etree.Element(
        "testcase",
        name=_xml(result.path.name),
        classname=_xml(result.path.parent.name),
        file=_xml(str(result.path)),
        time=f"{result.duration_s:.3f}",
    )
    if not result.ok:
        said = etree.SubElement(case, "failure", message=_xml(result.reason))
        said.text = _xml(failure(result))
    return case


def _xml(value: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)
