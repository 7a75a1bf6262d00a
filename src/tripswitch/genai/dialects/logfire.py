"""Logfire and Pydantic AI.

Agent runs carry their sums under keys of their own, or in older versions under the plain ones:
either way an agent is no call. Source: pydantic-ai-slim 2.68.0.

Logfire's own instrumentations of OpenAI and Anthropic end a stream's span when its first chunk
comes, and write another one, a log record, when it is over. Source: logfire-sdk 5.4.0.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row

# The provider's own usage.
_RAW = "gen_ai.usage.raw"

LOGFIRE = Dialect(
    "logfire",
    scopes=("pydantic-ai", "logfire"),
    markers=("logfire.msg", "logfire.json_schema"),
    rows=(
        Row("cost_usd", "operation.cost", "number", order=-1),
        Row("cached_tokens", "gen_ai.usage.details.cache_read_tokens", "number"),
        Row("cached_tokens", "gen_ai.usage.details.cached_tokens", "number"),
        Row("tags", "logfire.tags", "list"),
        Row("span_type", "logfire.span_type"),
        Row("output_content", "response_data", "content", order=5),
        Row("route", "agent_name", order=8),
        Row("request_model", "model_name", order=8),
        Row("tool_name", "tool_name", order=8),
        # What somebody or something thought of a span: the value has the key of its name.
        Row("evaluation_name", "logfire.feedback.name"),
        Row("evaluation_sentence", "logfire.msg", "content", own_spans=True),
        Row("cached_tokens", _RAW, "number", member="prompt_tokens_details.cached_tokens", order=5),
        Row("cached_tokens", _RAW, "number", member="input_tokens_details.cached_tokens", order=5),
        Row(
            "reasoning_tokens",
            _RAW,
            "number",
            member="completion_tokens_details.reasoning_tokens",
            order=5,
        ),
        Row(
            "reasoning_tokens",
            _RAW,
            "number",
            member="output_tokens_details.reasoning_tokens",
            order=5,
        ),
    ),
)
