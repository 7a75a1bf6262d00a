"""Langfuse.

Its scores travel by REST and not by OTLP; what is on the spans is read. Source: langfuse 5.0.4,
@langfuse/openai 5.11.1 and recorded payloads.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row, bag

_USAGE = "langfuse.observation.usage_details"

LANGFUSE = Dialect(
    "langfuse",
    scopes=("langfuse",),
    markers=("langfuse.observation.type",),
    rows=(
        Row("operation", "langfuse.observation.type"),
        *bag("langfuse.trace.metadata."),
        *bag("langfuse.observation.metadata."),
        *bag("langfuse.trace.metadata", json=True),
        *bag("langfuse.observation.metadata", json=True),
        Row("route", "langfuse.trace.name", order=9),
        Row("prompt_name", "langfuse.observation.prompt.name"),
        Row("prompt_name", "langfuse.prompt.name"),
        Row("prompt_version", "langfuse.observation.prompt.version"),
        Row("prompt_version", "langfuse.prompt.version"),
        Row("session", "langfuse.session.id"),
        Row("user", "langfuse.user.id"),
        Row("tags", "langfuse.trace.tags", "list"),
        # What the response names when there is one; a failed call has the request's here.
        Row("response_model", "langfuse.observation.model.name"),
        Row("input_tokens", _USAGE, "number", member="prompt_tokens"),
        Row("input_tokens", _USAGE, "number", member="input_tokens"),
        Row("input_tokens", _USAGE, "number", member="input"),
        Row("output_tokens", _USAGE, "number", member="completion_tokens"),
        Row("output_tokens", _USAGE, "number", member="output_tokens"),
        Row("output_tokens", _USAGE, "number", member="output"),
        Row("total_tokens", _USAGE, "number", member="total_tokens"),
        Row("total_tokens", _USAGE, "number", member="total"),
        Row("cached_tokens", _USAGE, "number", member="prompt_tokens_details.cached_tokens"),
        Row("cached_tokens", _USAGE, "number", member="input_tokens_details.cached_tokens"),
        Row("cached_tokens", _USAGE, "number", member="cache_read_input_tokens"),
        Row("cached_tokens", _USAGE, "number", member="input_cached_tokens"),
        # Of LangChain's answers.
        Row("cached_tokens", _USAGE, "number", member="input_cache_read"),
        Row("cache_write_tokens", _USAGE, "number", member="input_cache_creation"),
        Row("cache_write_tokens", _USAGE, "number", member="cache_creation_input_tokens"),
        Row(
            "reasoning_tokens",
            _USAGE,
            "number",
            member="completion_tokens_details.reasoning_tokens",
        ),
        Row("reasoning_tokens", _USAGE, "number", member="output_tokens_details.reasoning_tokens"),
        Row("reasoning_tokens", _USAGE, "number", member="output_reasoning_tokens"),
        Row("reasoning_tokens", _USAGE, "number", member="output_reasoning"),
        Row("cost_usd", "langfuse.observation.cost_details", "number", member="total"),
        Row("cost_input_usd", "langfuse.observation.cost_details", "number", member="input"),
        Row("cost_output_usd", "langfuse.observation.cost_details", "number", member="output"),
        Row("first_token_at", "langfuse.observation.completion_start_time"),
        Row("streaming", "langfuse.observation.model.parameters", "flag", member="stream"),
        Row("finish_reasons", "langfuse.observation.metadata.finish_reason", "list"),
        Row("finish_reasons", "langfuse.observation.metadata", "list", member="finish_reason"),
        # Why an answer of the Responses API is not whole; the status only says that it is not.
        Row(
            "finish_reasons",
            "langfuse.observation.metadata.incomplete_details",
            "list",
            member="reason",
        ),
        Row("response_status", "langfuse.observation.metadata.status"),
        Row("output_content", "langfuse.observation.output", "content"),
        Row("level", "langfuse.observation.level"),
        Row("error_message", "langfuse.observation.status_message", "content"),
    ),
    kinds={
        "generation": "chat",
        "embedding": "embedding",
        "agent": "agent",
        "tool": "tool",
        "chain": "workflow",
        "retriever": "retrieval",
        "evaluator": "evaluator",
        "guardrail": "guardrail",
        "span": "other",
        "event": "other",
    },
)
