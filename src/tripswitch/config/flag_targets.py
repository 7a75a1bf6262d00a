"""The rollback targets that flip feature flags."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from tripswitch.config.section import NEEDED, WEB_URL
from tripswitch.config.target_base import NAME, Rung, TargetSection


class FlagSection(TargetSection):
    """What every flag has: a key, and the place of the cohort in its context."""

    serves: ClassVar[tuple[Rung, ...]] = (
        "cohort",
        "prompt_version",
        "tool_breaker",
        "cost_breaker",
        "guardrail",
    )

    cohort_key: str = Field(
        "cohort",
        min_length=1,
        description="The attribute of the evaluation context that holds the cohort.",
    )

    def radius(self, cohort: str | None) -> Literal["cohort", "route", "global"]:
        """Return how much moves: without a cohort, all that read the flag."""
        if cohort is not None:
            return "cohort"
        return "route" if self.routes else "global"


class FlagFileTarget(FlagSection):
    """A flag in an OpenFeature flag file (flagd format, JSON), replaced in one step.

    A variant stands for a version by its name, or by its value.
    """

    type: Literal["openfeature"] = Field("openfeature", description="Kind of target.")
    name: str = Field("flags", pattern=NAME, description="Name, unique.")
    path: str = Field(
        "",
        description="The flag file; tripswitch must be able to write its folder.",
        examples=["/etc/flagd/flags.json"],
        json_schema_extra=NEEDED,
    )
    flag: str = Field(
        "", description="The flag's key; empty means the prompt's name as the spans say it."
    )


class UnleashTarget(FlagSection):
    """A feature in Unleash, whose variants stand for versions, or which gates one version."""

    type: Literal["unleash"] = Field("unleash", description="Kind of target.")
    name: str = Field("unleash", pattern=NAME, description="Name, unique.")
    url: str = Field(
        "",
        description="Address of the server, without /api.",
        examples=["http://unleash:4242"],
        json_schema_extra=NEEDED | WEB_URL,
    )
    token: SecretStr = Field(
        SecretStr(""),
        description="Admin or service account token; write it as ${env:NAME}.",
        examples=["${env:UNLEASH_TOKEN}"],
        json_schema_extra=NEEDED,
    )
    project: str = Field("default", min_length=1, description="The feature's project.")
    environment: str = Field("production", min_length=1, description="The environment to change.")
    feature: str = Field(
        "",
        description=(
            "The feature; {from} in it stands for the bad version, tool or config, which the "
            "feature then gates. Empty means the prompt's name as the spans say it."
        ),
        examples=["refund-bot-{from}"],
    )
