"""The section of the configuration about when a change is worth a look, and when a page."""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from tripswitch.config.quantities import DurationS
from tripswitch.config.section import LIVE, Section
from tripswitch.config.signal_sections import (
    CostPerSuccess,
    ErrorRate,
    EvalScore,
    P99Latency,
    PiiLeak,
    PromptInjection,
    RefusalRate,
    Signals,
    TokensPerSuccess,
    ToolErrors,
    ToolLatency,
    TrafficDrop,
    TtftP99,
)

__all__ = [
    "BadMinutes",
    "CostPerSuccess",
    "Detect",
    "ErrorRate",
    "EvalScore",
    "P99Latency",
    "PiiLeak",
    "PromptInjection",
    "RefusalRate",
    "Signals",
    "TelemetryLost",
    "TokensPerSuccess",
    "ToolErrors",
    "ToolLatency",
    "TrafficDrop",
    "TtftP99",
]


class BadMinutes(Section):
    """How many bad minutes a page must span, whatever the volume; docs/detection.md has why."""

    concurrent_control: int = Field(
        3,
        ge=1,
        le=30,
        description="Against a control cohort that serves at the same time.",
        json_schema_extra=LIVE,
    )
    concurrent_control_look: int = Field(
        1,
        ge=1,
        le=30,
        description="Against a control cohort, before a difference is investigated.",
        json_schema_extra=LIVE,
    )
    previous_version: int = Field(
        3,
        ge=1,
        le=30,
        description="Against the version before, for a version seen from its first span.",
        json_schema_extra=LIVE,
    )
    own_history: int = Field(
        5,
        ge=1,
        le=30,
        description="Against the scope's own past.",
        json_schema_extra=LIVE,
    )


class TelemetryLost(Section):
    """`telemetry_lost`: nothing comes any more, or too much is lost unread. Never acts."""

    page_after: DurationS = Field(
        900.0,
        ge=60,
        le=86_400,
        description="How long it lasts before a person is woken.",
        json_schema_extra=LIVE,
    )


class Detect(Signals):
    """When a change is worth a look and when it wakes a person."""

    tick: DurationS = Field(
        10.0,
        ge=1,
        le=60,
        description="How often everything is judged. Must divide a minute.",
    )
    control_cohorts: list[str] = Field(
        default_factory=lambda: ["control", "stable", "baseline", "incumbent", "production"],
        description="Cohort names that a canary is compared with, first match first.",
        json_schema_extra=LIVE,
    )
    bad_minutes: BadMinutes = Field(
        default_factory=BadMinutes, description="How many bad minutes a page must span."
    )
    alpha_page: float = Field(
        1e-3,
        gt=0,
        lt=1,
        description="False pages tolerated by scope, signal and month.",
        json_schema_extra=LIVE,
    )
    alpha_start: float = Field(
        1e-3,
        gt=0,
        lt=1,
        description="Chance of a false page spent at once when a version or cohort first appears.",
        json_schema_extra=LIVE,
    )
    alpha_investigate: float = Field(
        1e-2,
        gt=0,
        lt=1,
        description="False investigations tolerated by scope, signal and month.",
        json_schema_extra=LIVE,
    )
    alpha_pii: float = Field(
        1e-2,
        gt=0,
        lt=1,
        description="The same of leaks, where a page missed is worse than a false one.",
        json_schema_extra=LIVE,
    )
    min_baseline: int = Field(
        200,
        ge=20,
        le=1_000_000,
        description="Fewest samples a baseline stands on; below it relative rules stay silent.",
        json_schema_extra=LIVE,
    )
    telemetry_lost: TelemetryLost = Field(
        default_factory=TelemetryLost, description="Telemetry that stays away."
    )
    alert_window: DurationS = Field(
        900.0,
        ge=60,
        le=86_400,
        description="How long a slow change must hold, and how long recovery must hold.",
        json_schema_extra=LIVE,
    )
    routes: dict[str, Signals] = Field(
        default_factory=dict,
        description=(
            "Other lines for one route; what a route does not name keeps the defaults, for "
            "instance /chat/refund: {eval_score: {page_points: 4}}."
        ),
        examples=[{"/chat/refund": {"eval_score": {"page_points": 4}}}],
        json_schema_extra=LIVE,
    )

    @field_validator("tick")
    @classmethod
    def _tick_divides_a_minute(cls, tick: float) -> float:
        if abs(60 / tick - round(60 / tick)) > 1e-9:
            raise PydanticCustomError(
                "out_of_range",
                "expected a duration that divides a minute",
                {"wanted": "a duration that divides a minute, such as 5s or 10s"},
            )
        return tick

    def for_route(self, route: str | None) -> Signals:
        """Return the lines that hold on ``route``."""
        return self.routes.get(route or "", self)
