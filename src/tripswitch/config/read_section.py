"""The section of the configuration about how telemetry is read."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from tripswitch.config.dialect_section import DialectSection
from tripswitch.config.quantities import DurationS
from tripswitch.config.section import LIVE, Section

FACTS = (
    "route",
    "prompt_name",
    "prompt_version",
    "prompt_label",
    "cohort",
    "tenant",
    "session",
    "user",
    "provider",
    "request_model",
    "response_model",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
    "ttft",
    "finish_reasons",
    "error_type",
    "response_id",
)


class Read(Section):
    """How GenAI spans are understood."""

    keys: dict[str, list[str]] = Field(
        default_factory=dict,
        description=(
            "Your own attribute keys by fact, tried before the known ones, for instance "
            "prompt_version: [app.prompt.version]. Facts: " + ", ".join(FACTS) + "."
        ),
        examples=[{"prompt_version": ["app.prompt.version"], "cohort": ["app.rollout.arm"]}],
        json_schema_extra={**LIVE, "propertyNames": {"enum": list(FACTS)}},
    )
    content_facts: bool = Field(
        True,
        description=(
            "Read facts that libraries put only inside message content (finish reason of a "
            "stream, a refusal part). The text itself is discarded at once, whatever this says."
        ),
        json_schema_extra=LIVE,
    )
    user_hash_key: SecretStr = Field(
        SecretStr(""),
        description="Secret that user ids are hashed with before they are kept: ${env:NAME}.",
        json_schema_extra=LIVE,
    )
    dialects: list[DialectSection] = Field(
        default_factory=list,
        description=(
            "Dialects of your own: where a library that is not known puts the facts of a call. "
            "Tried after `keys` and before the known dialects."
        ),
        json_schema_extra=LIVE,
    )
    cohort_flags: list[str] = Field(
        default_factory=list,
        description=(
            "Keys of the feature flags whose variant is the cohort, best first. Without any, the "
            "flag of a trace that has only one."
        ),
        examples=[["refund-bot-rollout"]],
        json_schema_extra=LIVE,
    )
    request_hold: DurationS = Field(
        30.0,
        ge=0,
        le=600,
        description=(
            "How long the calls of one trace wait for its root span before they count as a request."
        ),
        json_schema_extra=LIVE,
    )
    request_linger: DurationS = Field(
        5.0,
        ge=0,
        le=60,
        description=(
            "How long a trace waits for its other spans after its root has come: exporters send "
            "every 5 s."
        ),
        json_schema_extra=LIVE,
    )
    max_held_traces: int = Field(
        50_000,
        ge=100,
        le=10_000_000,
        description="Most traces held at once, with at most ten times as many spans.",
    )
    late_scores: DurationS = Field(
        1800.0,
        ge=0,
        le=86_400,
        description="How late a score may come and still find its call.",
    )
    max_remembered_calls: int = Field(
        2_000_000,
        ge=1000,
        le=100_000_000,
        description="Most calls that late scores are looked up among; one takes about 60 bytes.",
    )

    @field_validator("keys")
    @classmethod
    def _known_facts(cls, keys: dict[str, list[str]]) -> dict[str, list[str]]:
        unknown = [fact for fact in keys if fact not in FACTS]
        if unknown:
            raise PydanticCustomError(
                "unknown_names",
                "unknown facts",
                {"unknown": unknown, "known": list(FACTS)},
            )
        return keys
