"""OpenLIT. Source: openlit 1.45.0.

Its time to the first token stands on calls that did not stream too, as the whole duration; such a
value is dropped with all others that are not inside the call.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row

OPENLIT = Dialect(
    "openlit",
    scopes=("openlit",),
    markers=("gen_ai.environment", "gen_ai.application_name"),
    # Anthropic does not count what it has in its cache, and this copies its numbers.
    apart=("openlit.instrumentation.anthropic",),
    proofs={
        "openlit.instrumentation.openai": (
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.prompt_tokens_details.cached_tokens",
            "gen_ai.usage.completion_tokens_details.reasoning_tokens",
        ),
    },
    rows=(
        Row("cached_tokens", "gen_ai.usage.prompt_tokens_details.cached_tokens", "number"),
        Row(
            "reasoning_tokens",
            "gen_ai.usage.completion_tokens_details.reasoning_tokens",
            "number",
        ),
        Row("user", "gen_ai.request.user"),
        Row("streaming", "gen_ai.request.is_stream", "flag"),
        Row("guardrail_name", "guard.name"),
        Row("guardrail_verdict", "guard.action", "content"),
        Row("guardrail_verdict", "guard.denied", "content"),
        Row("guardrail_verdict", "guard.verdict", "content"),
        Row("guardrail_category", "guard.classification", "list"),
        Row("guardrail_stage", "guard.phase"),
    ),
    kinds={"vectordb": "retrieval", "framework": "workflow"},
)
