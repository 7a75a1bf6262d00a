"""Mastra. It writes the conventions, and what an application says of a request under its own keys.

Source: payloads of @mastra/otel-exporter 1.4.0, which writes the tags on every span. Its
``mastra.completion_start_time`` is left alone: it stands on answers that were not streamed too,
and on every step of a loop it is the first step's.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, bag

MASTRA = Dialect(
    "mastra",
    scopes=("@mastra/",),
    markers=("mastra.span.type",),
    rows=bag("mastra.metadata."),
)
