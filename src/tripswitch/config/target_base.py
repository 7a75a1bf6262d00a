"""What every rollback target of the file has, and what a target can be asked for."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import Field

from tripswitch.config.quantities import DurationS
from tripswitch.config.section import Section

NAME: Final = r"^[a-z0-9][a-z0-9_-]*$"
"""What a target may be called."""

COHORT: Final = "cohort"
PROMPT_VERSION: Final = "prompt_version"
PROVIDER_FAILOVER: Final = "provider_failover"
TOOL_BREAKER: Final = "tool_breaker"
COST_BREAKER: Final = "cost_breaker"
GUARDRAIL: Final = "guardrail"

Rung = Literal[
    "cohort", "prompt_version", "provider_failover", "tool_breaker", "cost_breaker", "guardrail"
]
"""A rung of the ladder: what a target can be asked to move."""


class TargetSection(Section):
    """What every rollback target has.

    ``serves`` are the rungs that a kind can be asked for. ``is_verified`` says that its calls are
    held to a real server or an official client in the tests; one that is not never acts by itself.
    """

    serves: ClassVar[tuple[Rung, ...]] = ()
    is_verified: ClassVar[bool] = True

    type: str = Field(description="Kind of target.")
    name: str = Field("target", pattern=NAME, description="Name, unique.")
    timeout: DurationS = Field(15.0, gt=0, le=60, description="Longest wait for an answer.")
    routes: list[str] = Field(
        default_factory=list,
        description="Routes this target serves; empty means every route.",
        examples=[["/chat/refund"]],
    )
    rungs: list[Rung] = Field(
        default_factory=list,
        description="What it may be asked for; empty means all that its kind can do.",
        examples=[["cohort", "prompt_version"]],
    )
    mode: Literal["observe", "propose", "auto"] | None = Field(
        None,
        description=(
            "auto acts, propose asks a person, observe only records. Unset: auto where one "
            "cohort is moved, propose where a whole route is."
        ),
    )

    def does(self, rung: str) -> bool:
        """Return whether it may be asked for a rung of the ladder."""
        return rung in self.serves and (not self.rungs or rung in self.rungs)

    def radius(self, cohort: str | None) -> Literal["cohort", "route", "global"]:
        """Return how much moves when it is asked to move ``cohort`` (None: every cohort)."""
        return "route" if cohort is None else "cohort"
