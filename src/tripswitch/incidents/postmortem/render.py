"""The postmortem as Markdown and as HTML, from the same document and two templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tripswitch.incidents.markdown import diff_block
from tripswitch.incidents.postmortem.document import Postmortem
from tripswitch.incidents.rendering import Made, render

MARKDOWN: Final = "postmortem.md.j2"
HTML: Final = "postmortem.html.j2"


def as_markdown(document: Postmortem, templates: Mapping[str, str]) -> str:
    """Return the document as Markdown that names its charts' files beside it."""
    diff = document.cause.diff
    block = None if diff is None else Made(diff_block(diff))
    return render(templates, MARKDOWN, "markdown", _values(document) | {"diff": block})


def as_html(document: Postmortem, templates: Mapping[str, str]) -> str:
    """Return the document as one HTML file that needs nothing besides itself."""
    charts = [
        {"svg": Made(chart.svg), "title": chart.title, "description": chart.description}
        for chart in document.charts
    ]
    return render(templates, HTML, "html", _values(document) | {"charts": charts})


def _values(document: Postmortem) -> dict[str, Any]:
    return {"doc": document, "charts": document.charts, "diff": document.cause.diff}
