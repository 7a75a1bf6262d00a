"""Laminar, whose SDK writes the conventions and what a span is under a key of its own.

What an application says of a trace stands on the root, session and user on every span. Source:
lmnr 0.8.2 and recorded payloads.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row, bag

_PROPERTIES = "lmnr.association.properties."

LAMINAR = Dialect(
    "laminar",
    scopes=("lmnr.",),
    markers=("lmnr.span.type", "lmnr.span.path"),
    rows=(
        Row("operation", "lmnr.span.type", order=1),
        *bag(_PROPERTIES),
        *bag(f"{_PROPERTIES}metadata."),
        Row("tags", f"{_PROPERTIES}tags", "list"),
    ),
    kinds={"llm": "chat", "default": "other", "executor": "workflow", "human_evaluator": "other"},
)
