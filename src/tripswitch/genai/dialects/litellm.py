"""LiteLLM, as a library and as a proxy.

Its spans mix the conventions with its own keys. The provider's raw answer stands on a child span,
as Python literals under ``llm.<provider>.*``: that child is no call but fills the call's gaps.
Source: litellm 1.106 and 1.109 and recorded payloads.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row, bag

_USAGE = "metadata.usage_object"

LITELLM = Dialect(
    "litellm",
    scopes=("litellm",),
    markers=("litellm.call_id", "litellm.provider.model", "litellm.model_group"),
    rows=(
        Row("operation", "litellm.call_type"),
        # The caller's own metadata says more of the route than the proxy's path.
        *bag("metadata.requester_metadata", json=True, order=-1),
        *bag("litellm.metadata."),
        *bag("metadata.", order=6),
        Row("route", "litellm.request.route", order=7),
        Row("request_model", "litellm.model_group", order=-1),
        Row("tenant", "litellm.team.id", order=6),
        Row("tenant", "metadata.user_api_key_team_id", order=6),
        Row("tenant", "litellm.metadata.user_api_key_org_id", order=6),
        Row("tenant", "metadata.user_api_key_org_id", order=6),
        Row("user", "litellm.end_user.id"),
        Row("user", "llm.user"),
        Row("user", "metadata.user_api_key_end_user_id"),
        Row("cached_tokens", _USAGE, "number", member="prompt_tokens_details.cached_tokens"),
        Row(
            "reasoning_tokens",
            _USAGE,
            "number",
            member="completion_tokens_details.reasoning_tokens",
        ),
        # Where the provider sent no usage, LiteLLM counts the text it has: these two show it.
        Row(
            "counted_text_tokens",
            _USAGE,
            "number",
            member="completion_tokens_details.text_tokens",
        ),
        Row("input_breakdown", _USAGE, "content", member="prompt_tokens_details"),
        Row("cost_usd", "litellm.cost.total", "number"),
        Row("cost_usd", "gen_ai.cost.total_cost", "number"),
        Row("cost_input_usd", "gen_ai.cost.input_cost", "number"),
        Row("cost_output_usd", "gen_ai.cost.output_cost", "number"),
        Row("cache_hit", "litellm.cache_hit", "flag"),
        Row("streaming", "litellm.request.streaming", "flag"),
        Row("error_type", "litellm.provider.error.code", order=5),
        Row("guardrail_name", "litellm.guardrail.name"),
        Row("guardrail_name", "guardrail_name"),
        Row("guardrail_verdict", "litellm.guardrail.status", "content"),
        Row("guardrail_verdict", "guardrail_status", "content"),
        Row("guardrail_category", "litellm.guardrail.violation_categories", "list"),
        Row("guardrail_masked", "litellm.guardrail.masked_entity_count", "number"),
        Row("guardrail_masked", "masked_entity_count", "number"),
        Row("guardrail_stage", "litellm.guardrail.mode"),
        Row("guardrail_stage", "guardrail_mode"),
    ),
    kinds={
        "completion": "chat",
        "acompletion": "chat",
        "responses": "chat",
        "aresponses": "chat",
        "anthropic_messages": "chat",
        "atext_completion": "chat",
        "agenerate_content": "chat",
        "aembedding": "embedding",
        "embedding": "embedding",
        "arerank": "rerank",
        "litellm.moderation": "other",
        "litellm.passthrough": "other",
        "litellm.responses_management": "other",
        "litellm.vector_store_management": "other",
    },
)
