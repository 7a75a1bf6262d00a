"""DeepEval, by Confident AI: what its integrations put beside others' keys, and people by hand.

Of a trace it keeps the request's own facts under keys of their own, on any span.
Source: deepeval 4.3.1, its ``ConfidentAttr``, and payloads of it.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row, bag

DEEPEVAL = Dialect(
    "deepeval",
    markers=("confident.span.type", "confident.llm.model"),
    rows=(
        Row("operation", "confident.span.type", order=5),
        Row("provider", "confident.span.provider", order=5),
        # One name for both.
        Row("response_model", "confident.llm.model", order=5),
        Row("only_model", "confident.llm.model", order=5),
        Row("input_tokens", "confident.llm.input_token_count", "number", order=5),
        Row("output_tokens", "confident.llm.output_token_count", "number", order=5),
        Row("output_content", "confident.span.output", "content", order=5),
        Row("prompt_name", "confident.span.prompt_alias"),
        Row("prompt_name", "confident.span.prompt", member="alias"),
        Row("prompt_version", "confident.span.prompt_version"),
        Row("prompt_version", "confident.span.prompt", member="version"),
        # What stands for a prompt that was never given a version.
        Row("prompt_version", "confident.span.prompt_commit_hash", order=5),
        Row("prompt_label", "confident.span.prompt_label"),
        *bag("confident.span.metadata", json=True),
        *bag("confident.trace.metadata", json=True),
        Row("session", "confident.trace.thread_id"),
        Row("user", "confident.trace.user_id"),
        Row("tags", "confident.trace.tags", "list"),
        Row("route", "confident.agent.name", order=8),
        Row("route", "confident.trace.name", order=9),
        Row("tool_name", "confident.tool.name"),
    ),
    kinds={
        "llm": "chat",
        "agent": "agent",
        "tool": "tool",
        "retriever": "retrieval",
        "custom": "other",
    },
)
