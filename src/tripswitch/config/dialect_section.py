"""The section of the configuration in which users describe a dialect of their own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tripswitch.config.section import LIVE, Section

SpanKind = Literal[
    "chat",
    "embedding",
    "rerank",
    "retrieval",
    "agent",
    "workflow",
    "tool",
    "guardrail",
    "evaluator",
    "other",
]


DialectFact = Literal[
    "operation",
    "route",
    "prompt_name",
    "prompt_version",
    "prompt_label",
    "cohort",
    "tags",
    "tenant",
    "session",
    "user",
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
    "cost_input_usd",
    "cost_output_usd",
    "ttft",
    "first_token_at",
    "streaming",
    "finish_reasons",
    "output_content",
    "error_type",
    "error_code",
    "http_status",
    "cache_hit",
    "tool_name",
    "evaluation_name",
    "evaluation_score",
    "evaluation_label",
    "evaluation_target",
    "guardrail_name",
    "guardrail_verdict",
    "guardrail_category",
    "guardrail_stage",
    "service_version",
    "deployment",
]


class DialectRow(Section):
    """One key that may hold a fact."""

    fact: DialectFact = Field(
        "operation",
        description="The fact; operation is what kind of span it is.",
        json_schema_extra=LIVE,
    )
    key: str = Field(
        "",
        description="The attribute; # stands for a number, as in messages.#.finish_reason.",
        examples=["acme.step.kind"],
        json_schema_extra=LIVE,
    )
    member: str | None = Field(
        None,
        description="The member inside the attribute's JSON, names joined by dots: usage.input.",
        json_schema_extra=LIVE,
    )
    scale: float = Field(
        1.0,
        gt=0,
        description="What to multiply a number by: 0.001 for a time in ms.",
        json_schema_extra=LIVE,
    )
    resource: bool = Field(
        False,
        description="Look among the resource attributes too.",
        json_schema_extra=LIVE,
    )


class DialectSection(Section):
    """A dialect of your own."""

    name: str = Field(
        "own",
        min_length=1,
        description="Its name, as calls show it.",
        examples=["acme"],
        json_schema_extra=LIVE,
    )
    scopes: list[str] = Field(
        default_factory=list,
        description="Beginnings of the instrumentation scope names it is recognised by.",
        examples=[["acme.llm"]],
        json_schema_extra=LIVE,
    )
    markers: list[str] = Field(
        default_factory=list,
        description="Attributes that nobody else writes.",
        examples=[["acme.step.kind"]],
        json_schema_extra=LIVE,
    )
    kinds: dict[str, SpanKind] = Field(
        default_factory=dict,
        description="Its words for what a span is.",
        examples=[{"completion": "chat", "step": "workflow"}],
        json_schema_extra=LIVE,
    )
    rows: list[DialectRow] = Field(
        default_factory=list,
        description="Where its facts stand, best first.",
        examples=[
            [
                {"fact": "operation", "key": "acme.step.kind"},
                {"fact": "input_tokens", "key": "acme.usage", "member": "in"},
            ]
        ],
        json_schema_extra=LIVE,
    )
