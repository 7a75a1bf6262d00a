"""LangWatch. Source: the constants of its SDKs for TypeScript and Python, late 2026.

Which prompt was used stands on the spans that fetched and filled it in, and on spans that its SDK
was told to put it on; an id may be written ``handle:version``.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row

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
    ),
    kinds={"rag": "retrieval", "component": "other", "module": "other"},
)
