"""The rollback targets that flip feature flags."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tripswitch.config.section import NEEDED
from tripswitch.config.target_base import NAME, Rung, TargetSection


class FlagFileTarget(TargetSection):
    """A flag in an OpenFeature flag file (flagd format, JSON), replaced in one step.

    A variant stands for a version by its name, or by its value.
    """

    serves: ClassVar[tuple[Rung, ...]] = ("cohort", "prompt_version", "guardrail", "cost_breaker")

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
