"""LangWatch.

Source: the constants of its SDKs for TypeScript and Python, late 2026, and payloads of the latter
(1.4.0).

Which prompt was used stands on the spans that fetched and filled it in, and on spans that its SDK
was told to put it on; an id may be written ``handle:version``.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row

_METRICS = "langwatch.metrics"

LANGWATCH = Dialect(
    "langwatch",
    scopes=("langwatch",),
    markers=("langwatch.span.type",),
    rows=(
        Row("operation", "langwatch.span.type"),
        Row("prompt_name", "langwatch.prompt.handle"),
        Row("prompt_name", "langwatch.prompt.id", order=7),
        Row("prompt_version", "langwatch.prompt.version.number"),
        Row("prompt_version", "langwatch.prompt.version.id", order=7),
        Row("session", "langwatch.thread.id", order=5),
        Row("user", "langwatch.user.id", order=5),
        Row("tenant", "langwatch.customer.id", order=7),
        Row("streaming", "langwatch.gen_ai.streaming", "flag"),
        Row("streaming", "langwatch.params", "flag", member="stream", order=5),
        Row("first_token_at", "langwatch.timestamps", member="first_token_at"),
        Row("input_tokens", _METRICS, "number", member="prompt_tokens"),
        Row("output_tokens", _METRICS, "number", member="completion_tokens"),
        Row("reasoning_tokens", _METRICS, "number", member="reasoning_tokens"),
        Row("cost_usd", _METRICS, "number", member="cost"),
        Row("output_content", "langwatch.output", "content"),
    ),
    kinds={"rag": "retrieval", "component": "other", "module": "other"},
)
