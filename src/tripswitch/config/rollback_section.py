"""What may be rolled back, by whom, how often, and when not."""

from __future__ import annotations

from datetime import date

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from tripswitch.config.quantities import DurationS
from tripswitch.config.section import LIVE, Section
from tripswitch.config.target_sections import Target
from tripswitch.model.clocktext import ns_of


class Freeze(Section):
    """A time in which nothing is rolled back without a person, a migration for instance."""

    begins: str = Field(
        "",
        description="When it begins, RFC 3339.",
        examples=["2026-12-24T00:00:00Z"],
        json_schema_extra=LIVE,
    )
    ends: str = Field(
        "",
        description="When it ends, RFC 3339; empty until it is taken out of the file.",
        examples=["2026-12-27T00:00:00Z"],
        json_schema_extra=LIVE,
    )
    routes: list[str] = Field(
        default_factory=list,
        description="Routes it is for; empty means every route.",
        examples=[["/chat/refund"]],
        json_schema_extra=LIVE,
    )
    reason: str = Field(
        "",
        description="Why, in words for whoever is paged.",
        examples=["schema migration"],
        json_schema_extra=LIVE,
    )

    @field_validator("begins", "ends")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        if text:
            try:
                ns_of(text)
            except ValueError:
                wanted = "a time such as 2026-12-24T00:00:00Z"
                raise PydanticCustomError("format", "expected a time", {"wanted": wanted}) from None
        return text

    def holds(self, route: str | None, now_ns: int) -> bool:
        """Return whether it is for ``route`` and holds now."""
        if self.routes and route is not None and route not in self.routes:
            return False
        has_begun = not self.begins or ns_of(self.begins) <= now_ns
        return has_begun and (not self.ends or now_ns < ns_of(self.ends))


class Failover(Section):
    """Where traffic may go when a provider or a model fails."""

    fallbacks: dict[str, str] = Field(
        default_factory=dict,
        description="By provider or model, the one that takes its traffic.",
        examples=[{"openai": "azure", "gpt-5": "gpt-4.1"}],
        json_schema_extra=LIVE,
    )
    verified_on: str = Field(
        "",
        description=(
            "The day the fallbacks were last tried, such as 2026-11-02; without one, or when it is "
            "90 days ago, a failover is proposed and not made."
        ),
        json_schema_extra=LIVE,
    )
    hold: DurationS = Field(
        1800.0,
        gt=0,
        le=7 * 86_400,
        description="How long a failover or breaker holds before people are asked to take it back.",
        json_schema_extra=LIVE,
    )

    @field_validator("verified_on")
    @classmethod
    def _is_a_day(cls, text: str) -> str:
        if text:
            try:
                date.fromisoformat(text)
            except ValueError:
                wanted = "a day such as 2026-11-02"
                raise PydanticCustomError("format", "expected a day", {"wanted": wanted}) from None
        return text


class Budget(Section):
    """How many rollbacks may go by themselves; beyond it they are proposed."""

    per_hour: int = Field(3, ge=0, le=1000, description="Most in an hour.", json_schema_extra=LIVE)
    per_day: int = Field(10, ge=0, le=10_000, description="Most in a day.", json_schema_extra=LIVE)
    cooldown: DurationS = Field(
        600.0,
        ge=0,
        le=86_400,
        description="How long a target rests between two.",
        json_schema_extra=LIVE,
    )


class Rollback(Section):
    """What may be rolled back, and by whom."""

    enabled: bool = Field(
        True,
        description="The kill switch: false stops every automatic rollback within one tick.",
        json_schema_extra=LIVE,
    )
    disabled_routes: list[str] = Field(
        default_factory=list,
        description="The kill switch for some routes only.",
        examples=[["/chat/refund"]],
        json_schema_extra=LIVE,
    )
    targets: list[Target] = Field(default_factory=list, description="Who is asked to roll back.")
    confirm_within: DurationS = Field(
        600.0,
        gt=0,
        le=86_400,
        description=(
            "How soon after the call the spans must show the bad version gone; otherwise people "
            "are told that the rollback did not take."
        ),
        json_schema_extra=LIVE,
    )
    recover_within: DurationS = Field(
        3600.0,
        gt=0,
        le=7 * 86_400,
        description=(
            "How soon after the traffic moved the signal must stop being bad; otherwise it was the "
            "wrong cause: people are told and the next rung is tried."
        ),
        json_schema_extra=LIVE,
    )
    undo_when_wrong: bool = Field(
        False,
        description="Take a rollback back that brought no recovery in time.",
        json_schema_extra=LIVE,
    )
    not_after: DurationS = Field(
        1800.0,
        gt=0,
        le=7 * 86_400,
        description="A rollback that could not be delivered for this long is given up and paged.",
    )
    proposal_expires: DurationS = Field(
        14_400.0,
        gt=0,
        le=7 * 86_400,
        description="How long a proposed rollback may be approved.",
        json_schema_extra=LIVE,
    )
    fewest_good_calls: int = Field(
        30,
        ge=0,
        le=1_000_000,
        description="Calls of the last day that a version must have served to be gone back to.",
        json_schema_extra=LIVE,
    )
    budget: Budget = Field(default_factory=Budget, description="How many may go by themselves.")
    freezes: list[Freeze] = Field(
        default_factory=list,
        description="Times in which nothing is rolled back without a person.",
        json_schema_extra=LIVE,
    )
    failover: Failover = Field(
        default_factory=Failover, description="Where traffic goes when a provider fails."
    )
