"""The lines of every signal: when its change is worth a look, and when it wakes a person."""

from __future__ import annotations

from pydantic import Field

from tripswitch.config.quantities import Share
from tripswitch.config.section import LIVE, Section


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


class _PerSuccess(Section):
    """Something spent on all requests, by successful request."""

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


class TokensPerSuccess(_PerSuccess):
    """`tokens_per_success`: tokens of all requests by successful request. Shape cost_spike."""


class CostPerSuccess(_PerSuccess):
    """`cost_per_success`: dollars of all requests by successful request. Shape cost_spike.

    A request whose cost is neither reported nor priced is left out and counted.
    """


class _SlowShare(Section):
    """A share of far too slow ones, which says the same of a p99 but can be counted."""

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
            "Share of slow ones that wakes a person: 1% is the same as p99 at the multiple."
        ),
        json_schema_extra=LIVE,
    )
    min_slow: int = Field(
        3,
        ge=1,
        le=1_000_000,
        description="Fewest slow ones a verdict stands on.",
        json_schema_extra=LIVE,
    )


class P99Latency(_SlowShare):
    """`p99_latency`: share of requests far slower than the usual p99. Shape latency_spike."""

    min_requests: int = Field(
        100,
        ge=5,
        le=1_000_000,
        description="Fewest requests a verdict stands on.",
        json_schema_extra=LIVE,
    )


class TtftP99(_SlowShare):
    """`ttft_p99`: the same of the time to the first token of calls. Shape latency_spike."""

    min_calls: int = Field(
        100,
        ge=5,
        le=1_000_000,
        description="Fewest calls a verdict stands on.",
        json_schema_extra=LIVE,
    )


class ToolLatency(_SlowShare):
    """`tool_latency`: the same of each tool by its name. Shape latency_spike."""

    min_runs: int = Field(
        100,
        ge=5,
        le=1_000_000,
        description="Fewest runs of the tool a verdict stands on.",
        json_schema_extra=LIVE,
    )


class RefusalRate(Section):
    """`refusal_rate`: share of answers that refuse, either way. Shape guardrail_regression.

    Where evaluations tell them apart, refusals that were wrong (a rise) and refusals that were
    right (a fall) are judged by themselves too, by the same lines.
    """

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


class _ErrorRise(Section):
    """A share of failures that rose."""

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
    min_errors: int = Field(
        5,
        ge=1,
        le=1_000_000,
        description="Fewest errors a verdict stands on.",
        json_schema_extra=LIVE,
    )


class ErrorRate(_ErrorRise):
    """`error_rate`: share of requests that failed after their retries. Shape outage."""

    min_requests: int = Field(
        30,
        ge=5,
        le=1_000_000,
        description="Fewest requests a verdict stands on.",
        json_schema_extra=LIVE,
    )


class ToolErrors(_ErrorRise):
    """`tool_errors`: share of failed runs of each tool by its name. Shape outage."""

    min_runs: int = Field(
        30,
        ge=5,
        le=1_000_000,
        description="Fewest runs of the tool a verdict stands on.",
        json_schema_extra=LIVE,
    )


class PiiLeak(Section):
    """`pii_leak`: answers that an evaluation or guardrail found leaking. Shape
    guardrail_regression, security.

    The first hit of an arm is noted on the timeline and wakes nobody.
    """

    usual_share: Share = Field(
        1e-4,
        ge=1e-5,
        le=0.1,
        description=(
            "Share of hits that is the evaluator's own error; what the version before or the past "
            "shows counts where it is more."
        ),
        json_schema_extra=LIVE,
    )
    page_hits: int = Field(
        3,
        ge=1,
        le=1_000_000,
        description="Fewest hits that wake a person, if they are more than the usual share.",
        json_schema_extra=LIVE,
    )
    page_traces: int = Field(
        2,
        ge=1,
        le=1_000_000,
        description="Fewest traces that these hits come from.",
        json_schema_extra=LIVE,
    )


class PromptInjection(Section):
    """`prompt_injection`: share of judged calls in which an injection succeeded. Shape
    guardrail_regression, security."""

    page_share: Share = Field(
        0.005,
        gt=0,
        lt=1,
        description="Share of successes that wakes a person.",
        json_schema_extra=LIVE,
    )
    usual_share: Share = Field(
        0.0016,
        ge=1e-5,
        le=0.1,
        description="Share that is always normal; else twice the baseline's.",
        json_schema_extra=LIVE,
    )
    min_calls: int = Field(
        100,
        ge=5,
        le=1_000_000,
        description="Fewest judged calls a verdict stands on.",
        json_schema_extra=LIVE,
    )
    min_successes: int = Field(
        3,
        ge=1,
        le=1_000_000,
        description="Fewest successes a verdict stands on.",
        json_schema_extra=LIVE,
    )


class TrafficDrop(Section):
    """`traffic_drop`: calls of a route against the same time of earlier weeks. Shape outage.

    Nothing is claimed before two weeks are known.
    """

    page_share: Share = Field(
        0.5,
        gt=0,
        lt=0.65,
        description="Share of the expected calls below which a person is woken.",
        json_schema_extra=LIVE,
    )
    min_expected: int = Field(
        30,
        ge=5,
        le=1_000_000,
        description="Fewest calls expected within 15 minutes, else an hour, for a verdict.",
        json_schema_extra=LIVE,
    )


class Signals(Section):
    """The lines of every signal; `detect.routes` can set each for one route."""

    eval_score: EvalScore = Field(default_factory=EvalScore, description="Rubric means.")
    tokens_per_success: TokensPerSuccess = Field(
        default_factory=TokensPerSuccess, description="Tokens by successful request."
    )
    cost_per_success: CostPerSuccess = Field(
        default_factory=CostPerSuccess, description="Dollars by successful request."
    )
    p99_latency: P99Latency = Field(default_factory=P99Latency, description="Tail latency.")
    ttft_p99: TtftP99 = Field(default_factory=TtftP99, description="Time to the first token.")
    tool_latency: ToolLatency = Field(
        default_factory=ToolLatency, description="Tail latency of each tool."
    )
    tool_errors: ToolErrors = Field(
        default_factory=ToolErrors, description="Failed runs of each tool."
    )
    refusal_rate: RefusalRate = Field(default_factory=RefusalRate, description="Refusals.")
    error_rate: ErrorRate = Field(default_factory=ErrorRate, description="Failed requests.")
    pii_leak: PiiLeak = Field(default_factory=PiiLeak, description="Leaks of personal data.")
    prompt_injection: PromptInjection = Field(
        default_factory=PromptInjection, description="Prompt injections that succeeded."
    )
    traffic_drop: TrafficDrop = Field(
        default_factory=TrafficDrop, description="Calls that stay away."
    )
