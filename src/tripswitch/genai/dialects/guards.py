"""Guardrail engines: NeMo Guardrails, Guardrails AI.

Source: nemoguardrails 0.24.1, guardrails-ai 0.11.0.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row

NEMO = Dialect(
    "nemo_guardrails",
    scopes=("nemo_guardrails",),
    markers=("rail.type", "rail.name"),
    rows=(
        Row("guardrail_name", "rail.name"),
        Row("guardrail_blocked", "rail.stop", "flag"),
        Row("guardrail_stage", "rail.type"),
        Row("cache_hit", "llm.cache.hit", "flag"),
    ),
)

GUARDRAILS_AI = Dialect(
    "guardrails_ai",
    scopes=("guardrails-ai",),
    markers=("validator.name", "validation_passed"),
    rows=(
        Row("operation", "type", own_spans=True),
        Row("request_model", "llm.invocation_parameters", member="model", own_spans=True),
        # Where its own keys are missing: it could make nothing of the answer.
        Row("response_id", "output.value", member="id", order=8, own_spans=True),
        Row("response_model", "output.value", member="model", order=8, own_spans=True),
        *(
            Row(fact, "output.value", "number", member=f"usage.{member}", order=8, own_spans=True)
            for fact, member in (
                ("input_tokens", "prompt_tokens"),
                ("output_tokens", "completion_tokens"),
                ("cached_tokens", "prompt_tokens_details.cached_tokens"),
                ("reasoning_tokens", "completion_tokens_details.reasoning_tokens"),
            )
        ),
        Row("guardrail_name", "validator.name"),
        Row("guardrail_name", "guard.name", order=5),
        Row("guardrail_passed", "validation_passed", "flag"),
        Row("guardrail_on_fail", "validator.on_fail"),
    ),
    kinds={
        "guardrails/guard": "workflow",
        "guardrails/guard/step": "workflow",
        "guardrails/guard/step/call": "chat",
        "guardrails/guard/step/validator": "guardrail",
    },
)
