"""The section of the configuration about when a change is worth a look, and when a page."""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from tripswitch.config.quantities import DurationS, Share
from tripswitch.config.section import LIVE, Section


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


class EvalScore(Section):
    """`eval_score`: the mean of each rubric, in points (score x 100). Shape eval_drift."""

    investigate_points: float = Field(
        2.0, gt=0, le=100, description="Drop that is worth a look.", json_schema_extra=LIVE
    )
    page_points: float = Field(
        5.0, gt=0, le=100, description="Drop that wakes a person.", json_schema_extra=LIVE
    )
    min_scores: int = Field(
        50,
        ge=5,
        le=1_000_000,
        description="Fewest scores a page stands on; twice that to investigate.",
        json_schema_extra=LIVE,
    )


class TokensPerSuccess(Section):
    """`tokens_per_success`: tokens of all requests by successful request. Shape cost_spike."""

    investigate_ratio: float = Field(
        1.3,
        gt=1,
        le=1000,
        description="Times the baseline that is worth a look.",
        json_schema_extra=LIVE,
    )
    page_ratio: float = Field(
        1.5,
        gt=1,
        le=1000,
        description="Times the baseline that wakes a person.",
        json_schema_extra=LIVE,
    )
    min_requests: int = Field(
        50,
        ge=5,
        le=1_000_000,
        description="Fewest requests a verdict stands on.",
        json_schema_extra=LIVE,
    )


class P99Latency(Section):
    """`p99_latency`: share of requests far slower than the usual p99. Shape latency_spike."""

    page_multiple: float = Field(
        2.0,
        gt=1,
        le=1000,
        description="Slow is this times the baseline's p99.",
        json_schema_extra=LIVE,
    )
    page_share: Share = Field(
        0.01,
        gt=0,
        lt=1,
        description=(
            "Share of slow requests that wakes a person: 1% is the same as p99 at the multiple."
        ),
        json_schema_extra=LIVE,
    )
    min_requests: int = Field(
        100,
        ge=5,
        le=1_000_000,
        description="Fewest requests a verdict stands on.",
        json_schema_extra=LIVE,
    )
    min_slow: int = Field(
        3,
        ge=1,
        le=1_000_000,
        description="Fewest slow requests a verdict stands on.",
        json_schema_extra=LIVE,
    )


class RefusalRate(Section):
    """`refusal_rate`: share of answers that refuse, either way. Shape guardrail_regression."""

    investigate_points: float = Field(
        5.0,
        gt=0,
        le=100,
        description="Shift that is worth a look, up or down.",
        json_schema_extra=LIVE,
    )
    page_points: float = Field(
        10.0,
        gt=0,
        le=100,
        description=(
            "Shift that wakes a person by itself; at the investigate line it pages only when "
            "another signal of the scope has evidence too."
        ),
        json_schema_extra=LIVE,
    )
    min_calls: int = Field(
        30,
        ge=5,
        le=1_000_000,
        description="Fewest calls a verdict stands on.",
        json_schema_extra=LIVE,
    )
    min_refusals: int = Field(
        3,
        ge=1,
        le=1_000_000,
        description="Fewest refusals a rise stands on.",
        json_schema_extra=LIVE,
    )


class ErrorRate(Section):
    """`error_rate`: share of requests that failed after their retries. Shape outage."""

    investigate_points: float = Field(
        2.0, gt=0, le=100, description="Rise that is worth a look.", json_schema_extra=LIVE
    )
    page_points: float = Field(
        2.0,
        gt=0,
        le=100,
        description="Rise that wakes a person, if also the multiple is reached.",
        json_schema_extra=LIVE,
    )
    page_multiple: float = Field(
        2.0,
        gt=1,
        le=1000,
        description="Times the baseline that a page needs as well.",
        json_schema_extra=LIVE,
    )
    min_requests: int = Field(
        30,
        ge=5,
        le=1_000_000,
        description="Fewest requests a verdict stands on.",
        json_schema_extra=LIVE,
    )
    min_errors: int = Field(
        5,
        ge=1,
        le=1_000_000,
        description="Fewest errors a verdict stands on.",
        json_schema_extra=LIVE,
    )


class Signals(Section):
    """The lines of every signal; `detect.routes` can set each for one route."""

    eval_score: EvalScore = Field(default_factory=EvalScore, description="Rubric means.")
    tokens_per_success: TokensPerSuccess = Field(
        default_factory=TokensPerSuccess, description="Tokens by successful request."
    )
    p99_latency: P99Latency = Field(default_factory=P99Latency, description="Tail latency.")
    refusal_rate: RefusalRate = Field(default_factory=RefusalRate, description="Refusals.")
    error_rate: ErrorRate = Field(default_factory=ErrorRate, description="Failed requests.")


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
    min_baseline: int = Field(
        200,
        ge=20,
        le=1_000_000,
        description="Fewest samples a baseline stands on; below it relative rules stay silent.",
        json_schema_extra=LIVE,
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
