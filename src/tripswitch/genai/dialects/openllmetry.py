"""OpenLLMetry, by Traceloop.

Source: opentelemetry-semantic-conventions-ai 0.5.1, traceloop-sdk 0.62.4, its instrumentations
of OpenAI and Bedrock 0.62.4, and recorded payloads.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row, bag

OPENLLMETRY = Dialect(
    "openllmetry",
    scopes=("traceloop.", "@traceloop/"),
    apart=("opentelemetry.instrumentation.bedrock",),
    markers=(
        "traceloop.span.kind",
        "traceloop.workflow.name",
        "traceloop.entity.path",
        "gen_ai.is_streaming",
    ),
    rows=(
        Row("operation", "traceloop.span.kind"),
        Row("operation", "llm.request.type"),
        Row("route", "traceloop.workflow.name", order=7),
        *bag("traceloop.association.properties."),
        Row("prompt_name", "traceloop.prompt.key"),
        Row("prompt_version", "traceloop.prompt.version"),
        Row("prompt_version", "traceloop.prompt.version_hash"),
        Row("prompt_version", "traceloop.prompt.version_name"),
        Row("user", "llm.user"),
        Row("total_tokens", "llm.usage.total_tokens", "number"),
        Row("input_tokens", "llm.usage.prompt_tokens", "number"),
        Row("output_tokens", "llm.usage.completion_tokens", "number"),
        Row("reasoning_tokens", "llm.usage.reasoning_tokens", "number"),
        # In Go.
        Row("provider", "llm.vendor"),
        Row("response_model", "llm.response.model"),
        Row("request_model", "llm.request.model"),
        Row("finish_reasons", "llm.response.finish_reason", "list"),
        Row("finish_reasons", "llm.response.stop_reason", "list"),
        Row("finish_reasons", "gen_ai.completion.#.finish_reason", "list"),
        Row("streaming", "llm.is_streaming", "flag"),
        Row("output_content", "traceloop.entity.output", "content", order=5),
        Row("guardrail_name", "gen_ai.guardrail.name"),
        Row("guardrail_verdict", "gen_ai.guardrail.status", "content"),
        # Of Azure's and of Bedrock's own filters.
        Row("filtered_input", "gen_ai.prompt.prompt_filter_results", "content"),
        Row("filtered_input", "gen_ai.bedrock.guardrail.input_filter", "content"),
        Row("filtered_output", "gen_ai.completion.#.content_filter_results", "content"),
        Row("filtered_output", "gen_ai.bedrock.guardrail.output_filter", "content"),
        Row("tool_name", "traceloop.entity.name", order=8),
    ),
    kinds={
        "completion": "chat",
        "workflow": "workflow",
        "task": "workflow",
        "guardrail.run": "guardrail",
        "guard": "guardrail",
        "unknown": "other",
    },
)
