"""Gateways and model servers, as far as they speak OTLP.

Envoy AI Gateway and Kong write OpenInference or the conventions; headers that the operator maps
to attributes carry tenant, session and cohort. What Cloudflare's is told of a request stands on the
span under its own name. Source: their documentation of 2026; the code of
vLLM 0.29, SGLang and Bifrost.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row, bag

ENVOY = Dialect(
    "envoy",
    scopes=("envoy", "ai-gateway"),
    rows=(
        Row("request_model", "gen_ai.original.model", order=-1),
        Row("session", "agent.session.id", order=6),
    ),
)

KONG = Dialect("kong", scopes=("kong",), markers=("kong.request.id",))

PORTKEY = Dialect(
    "portkey",
    scopes=("portkey",),
    markers=("portkey.trace_id",),
    rows=(
        Row("prompt_name", "portkey.prompt.id", order=6),
        Row("prompt_version", "portkey.prompt.version", order=6),
    ),
)

# Besides the conventions; what it called the parts of usage before these had names.
BIFROST = Dialect(
    "bifrost",
    markers=("bifrost.request.id", "bifrost.provider.name"),
    rows=(
        Row("tenant", "bifrost.customer.id", order=7),
        Row("provider", "bifrost.provider.name", order=6),
        Row(
            "cached_tokens",
            "gen_ai.usage.prompt_token_details.cached_read_tokens",
            "number",
            order=6,
        ),
        Row(
            "cache_write_tokens",
            "gen_ai.usage.prompt_token_details.cached_write_tokens",
            "number",
            order=6,
        ),
        Row(
            "reasoning_tokens",
            "gen_ai.usage.completion_token_details.reasoning_tokens",
            "number",
            order=6,
        ),
    ),
)

CLOUDFLARE = Dialect(
    "cloudflare",
    markers=("gen_ai.model.provider", "gen_ai.prompt_json", "gen_ai.completion_json"),
    rows=(
        Row("provider", "gen_ai.model.provider", order=5),
        Row("output_content", "gen_ai.completion_json", "content"),
    ),
)

_METRIC = "tfy.model.metric."

# The request's span repeats what that of the model, below it, tells.
TRUEFOUNDRY = Dialect(
    "truefoundry",
    markers=("tfy.span_type",),
    rows=(
        Row("operation", "tfy.span_type", order=-1),
        *bag("tfy.request.metadata", json=True),
        *bag("tfy.request.metadata."),
        Row("session", "tfy.request.conversation_id", order=6),
        Row("prompt_version", "tfy.prompt_version_fqn", order=5),
        Row("request_model", "tfy.request.model_name", order=5),
        Row("request_model", "tfy.model.name", order=6),
        Row("input_tokens", f"{_METRIC}input_tokens", "number", order=5),
        Row("output_tokens", f"{_METRIC}output_tokens", "number", order=5),
        Row("cached_tokens", f"{_METRIC}cache_read_input_tokens", "number", order=5),
        Row("cache_write_tokens", f"{_METRIC}cache_creation_input_tokens", "number", order=5),
        Row("cost_usd", f"{_METRIC}cost_in_usd", "number", order=5),
        Row("ttft", f"{_METRIC}time_to_first_token_in_ms", "number", scale=1e-3, order=5),
        Row("streams", f"{_METRIC}time_to_first_token_in_ms", "number", order=5),
        Row("error_type", "tfy.error_type", order=5),
        Row("error_message", "tfy.error_message", "content", order=5),
        Row("output_content", "tfy.output", "content", order=5),
    ),
    kinds={"chatcompletion": "chat", "mcp": "tool", "agentresponse": "agent"},
)

# A server's spans, with times in s. Newer ones name neither what they are nor the model.
VLLM = Dialect(
    "vllm",
    scopes=("vllm", "sglang"),
    markers=("gen_ai.latency.e2e",),
    rows=(Row("ttft", "gen_ai.latency.time_to_first_token", "number"),),
    kinds={"llm_request": "chat"},
    unsaid="chat",
)
