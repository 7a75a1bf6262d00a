"""Gateways and model servers, as far as they speak OTLP.

Envoy AI Gateway and Kong write OpenInference or the conventions; headers that the operator maps
to attributes carry tenant, session and cohort. Source: their documentation of 2026.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row

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

VLLM = Dialect(
    "vllm",
    scopes=("vllm",),
    rows=(Row("ttft", "gen_ai.latency.time_to_first_token", "number"),),
    kinds={"llm_request": "chat"},
)
