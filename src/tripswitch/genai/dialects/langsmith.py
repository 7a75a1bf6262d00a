"""LangSmith. Its feedback travels by REST and not by OTLP. Source: langsmith 0.15.0, and 0.12.0
for JavaScript."""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row, bag

LANGSMITH = Dialect(
    "langsmith",
    scopes=("langsmith",),
    markers=("langsmith.span.kind", "langsmith.trace.name"),
    rows=(
        Row("operation", "langsmith.span.kind"),
        *bag("langsmith.metadata."),
        Row("prompt_name", "langsmith.metadata.lc_hub_repo", order=6),
        Row("prompt_version", "langsmith.metadata.lc_hub_commit_hash", order=6),
        Row("tags", "langsmith.span.tags", "list"),
        Row("cached_tokens", "gen_ai.usage.input_token_details", "number", member="cache_read"),
        Row(
            "cache_write_tokens",
            "gen_ai.usage.input_token_details",
            "number",
            member="cache_creation",
        ),
        Row("reasoning_tokens", "gen_ai.usage.output_token_details", "number", member="reasoning"),
        Row("streaming", "langsmith.request.streaming", "flag"),
        # The call as JavaScript's wrapper of OpenAI's client was given it.
        Row("streaming", "gen_ai.prompt", "flag", member="args.0.stream", order=8, own_spans=True),
        Row("response_model", "gen_ai.completion", member="model", order=8, own_spans=True),
        Row("output_content", "gen_ai.completion", "content", order=8),
    ),
    kinds={"llm": "chat", "chain": "workflow", "retriever": "retrieval", "parser": "other"},
)
