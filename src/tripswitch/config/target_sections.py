"""The rollback targets of the file: the signed webhook, and every kind there is as one type."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr, Tag

from tripswitch.config.flag_targets import FlagFileTarget, UnleashTarget
from tripswitch.config.gateway_targets import ArgoRolloutsTarget, LitellmFileTarget, LitellmTarget
from tripswitch.config.registry_targets import (
    BraintrustTarget,
    FutureagiTarget,
    HeliconeTarget,
    LangfuseTarget,
    LangsmithTarget,
    MlflowTarget,
    PhoenixTarget,
)
from tripswitch.config.section import NEEDED, SIGNING_SECRET, WEB_URL
from tripswitch.config.target_base import (
    COHORT,
    COST_BREAKER,
    GUARDRAIL,
    NAME,
    PROMPT_VERSION,
    PROVIDER_FAILOVER,
    TOOL_BREAKER,
    Rung,
    TargetSection,
)
from tripswitch.config.variants import kinds

__all__ = [
    "COHORT",
    "COST_BREAKER",
    "GUARDRAIL",
    "PROMPT_VERSION",
    "PROVIDER_FAILOVER",
    "TOOL_BREAKER",
    "Rung",
    "Target",
    "TargetSection",
    "WebhookTarget",
]


class WebhookTarget(TargetSection):
    """A rollback target that is asked by a signed webhook to put a cohort back."""

    serves: ClassVar[tuple[Rung, ...]] = (
        "cohort",
        "prompt_version",
        "provider_failover",
        "tool_breaker",
        "cost_breaker",
        "guardrail",
    )

    type: Literal["webhook"] = Field("webhook", description="Kind of target.")
    name: str = Field("gateway", pattern=NAME, description="Name, unique.")
    url: str = Field(
        "",
        description="Where to POST the request to roll back.",
        examples=["https://gateway.example.com/tripswitch/rollback"],
        json_schema_extra=NEEDED | WEB_URL,
    )
    status_url: str = Field(
        "",
        description=(
            "Optional: where to GET what became of a request after a time-out; it is called "
            'with ?action_id=... and answers {"state": "applied" or "unknown"}.'
        ),
        examples=["https://gateway.example.com/tripswitch/rollback"],
        json_schema_extra=WEB_URL,
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="Signing secret, whsec_...; write it as ${env:NAME}.",
        examples=["${env:TRIPSWITCH_WEBHOOK_SECRET}"],
        json_schema_extra=NEEDED | SIGNING_SECRET,
    )


Target = Annotated[
    Annotated[WebhookTarget, Tag("webhook")]
    | Annotated[FlagFileTarget, Tag("openfeature")]
    | Annotated[UnleashTarget, Tag("unleash")]
    | Annotated[LitellmTarget, Tag("litellm")]
    | Annotated[LitellmFileTarget, Tag("litellm_file")]
    | Annotated[ArgoRolloutsTarget, Tag("argo_rollouts")]
    | Annotated[MlflowTarget, Tag("mlflow")]
    | Annotated[PhoenixTarget, Tag("phoenix")]
    | Annotated[LangfuseTarget, Tag("langfuse")]
    | Annotated[LangsmithTarget, Tag("langsmith")]
    | Annotated[BraintrustTarget, Tag("braintrust")]
    | Annotated[HeliconeTarget, Tag("helicone")]
    | Annotated[FutureagiTarget, Tag("futureagi")],
    kinds("webhook"),
]
"""One entry of ``rollback.targets``."""
