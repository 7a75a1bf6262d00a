"""FutureAGI traceAI.

Source: fi-instrumentation-otel 1.1.0, traceai-openai 0.1.10 and recorded payloads.
"""

from __future__ import annotations

from tripswitch.genai.dialects.langchain import LANGCHAIN_ANSWER
from tripswitch.genai.rows import Dialect, Row

TRACEAI = Dialect(
    "traceai",
    # Of Python, of JavaScript, and of what people trace themselves.
    scopes=("traceai_", "@traceai/", "fi_instrumentation"),
    # Others write "gen_ai.span.kind", too.
    markers=(
        "gen_ai.request.parameters",
        "gen_ai.input.messages.0.message.role",
        "gen_ai.output.messages.0.message.role",
        "fi.span.kind",
    ),
    # Anthropic does not count what it has in its cache, and these copy its numbers.
    apart=("traceai_anthropic",),
    rows=(
        Row("operation", "gen_ai.span.kind"),
        Row("operation", "fi.span.kind"),
        Row("cached_tokens", "gen_ai.usage.cache_read_tokens", "number"),
        Row("cached_tokens", "gen_ai.usage.input_tokens.cache_read", "number"),
        Row("cache_write_tokens", "gen_ai.usage.cache_write_tokens", "number"),
        Row("reasoning_tokens", "gen_ai.usage.output_tokens.reasoning", "number"),
        Row("cost_input_usd", "gen_ai.cost.input", "number"),
        Row("cost_output_usd", "gen_ai.cost.output", "number"),
        # It writes the response's model under the request's key and keeps the request here.
        # With an id they are the answer's: its model too.
        Row(
            "request_model",
            "gen_ai.request.parameters",
            member="model",
            order=-1,
            own_spans=True,
            without="id",
        ),
        Row("request_model", "embedding.model_name", order=9, own_spans=True),
        Row("response_model", "gen_ai.request.model", own_spans=True),
        *LANGCHAIN_ANSWER,
        # Anthropic's answers, as they came.
        Row(
            "cached_tokens",
            "output.value",
            "number",
            member="usage.cache_read_input_tokens",
            order=8,
            own_spans=True,
        ),
        Row(
            "cache_write_tokens",
            "output.value",
            "number",
            member="usage.cache_creation_input_tokens",
            order=8,
            own_spans=True,
        ),
        Row("streaming", "gen_ai.request.parameters", "flag", member="stream"),
        # The name may be the template's text: what metadata says comes first.
        Row("prompt_name", "gen_ai.prompt.template.name", order=6),
        Row("prompt_name", "gen_ai.prompt.id", order=7),
        Row("prompt_version", "gen_ai.prompt.template.version"),
        Row("prompt_label", "gen_ai.prompt.template.label"),
        Row("guardrail_name", "gen_ai.guardrail.name"),
        Row("guardrail_verdict", "gen_ai.guardrail.result", "content"),
        Row("guardrail_category", "gen_ai.guardrail.categories", "list"),
        Row("guardrail_category", "gen_ai.guardrail.type", "list"),
    ),
    kinds={"conversation": "workflow", "vector_db": "retrieval"},
)
