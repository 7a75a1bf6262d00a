"""The signals: what each measures, which way is worse, and which kernel weighs it.

Badness y is in [0, 1] and larger is worse: ``1 - score`` of a rubric; 1 for a refusal, an error or
a slow request, else 0; tokens linearised as ``(min(tokens, C) + R * (1 - success)) / (C + R)``
with C the baseline's p99 and R its tokens per success, so that one enormous request moves the raw
ratio but not the evidence. A signal tested in both directions is two kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tripswitch.config.detect_sections import Signals
from tripswitch.model.incident import Shape
from tripswitch.windows.scopes import Measure


class Kind(IntEnum):
    """One direction of one signal."""

    EVAL = 0
    REFUSAL_UP = 1
    REFUSAL_DOWN = 2
    ERROR = 3
    SLOW = 4
    TOKENS = 5


@dataclass(frozen=True, slots=True)
class Signal:
    """What a kind is called, what shape of incident it makes, and how it is weighed.

    ``is_rate`` kinds use the Bernoulli kernels and need no `sure`; ``is_mirrored`` kinds look at
    ``1 - y``.
    """

    name: str
    shape: Shape
    measure: str
    is_rate: bool
    is_mirrored: bool = False


SIGNALS: Final[dict[Kind, Signal]] = {
    Kind.EVAL: Signal("eval_score", Shape.EVAL_DRIFT, "eval_score", is_rate=False),
    Kind.REFUSAL_UP: Signal("refusal_rate", Shape.GUARDRAIL_REGRESSION, "refusal", is_rate=True),
    Kind.REFUSAL_DOWN: Signal(
        "refusal_rate", Shape.GUARDRAIL_REGRESSION, "refusal", is_rate=True, is_mirrored=True
    ),
    Kind.ERROR: Signal("error_rate", Shape.OUTAGE, "error", is_rate=True),
    Kind.SLOW: Signal("p99_latency", Shape.LATENCY_SPIKE, "slow", is_rate=True),
    Kind.TOKENS: Signal("tokens_per_success", Shape.COST_SPIKE, "tokens", is_rate=False),
}

CALLS: Final = Measure("calls")
"""Every chat call, whatever became of it: only its count is used."""
REFUSAL: Final = Measure("refusal")
ERROR: Final = Measure("error")
SLOW: Final = Measure("slow")
TOKENS: Final = Measure("tokens")
TOKENS_RAW: Final = Measure("tokens_raw")
"""Per request its tokens: n requests, sum and sum of squares of tokens."""
TOKENS_OF_SUCCESS: Final = Measure("tokens_of_success")
"""Per successful request its tokens: n successes, sum of their tokens."""

FIXED: Final = (CALLS, REFUSAL, ERROR, SLOW, TOKENS_RAW, TOKENS_OF_SUCCESS, TOKENS)
"""Every measure but the rubrics of `eval_score`, which the traffic names."""


def eval_measure(rubric: str) -> Measure:
    """Return the measure of one rubric."""
    return Measure("eval_score", rubric)


def kinds_of(measure: Measure) -> tuple[Kind, ...]:
    """Return the kinds that judge a measure; none for the raw companions of a ratio."""
    return tuple(kind for kind, signal in SIGNALS.items() if signal.measure == measure.name)


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one kind on one route, in the unit of its estimate (see `point_rule`)."""

    investigate: float
    page: float
    page_multiple: float
    samples: int
    samples_investigate: int
    events: int


def lines_of(kind: Kind, signals: Signals) -> Lines:
    """Return the configured lines of ``kind``; a line that does not exist is infinite."""
    never = float("inf")
    if kind is Kind.EVAL:
        rubric = signals.eval_score
        return Lines(
            rubric.investigate_points / 100,
            rubric.page_points / 100,
            1.0,
            rubric.min_scores,
            2 * rubric.min_scores,
            0,
        )
    if kind in (Kind.REFUSAL_UP, Kind.REFUSAL_DOWN):
        refusal = signals.refusal_rate
        return Lines(
            refusal.investigate_points / 100,
            refusal.page_points / 100,
            1.0,
            refusal.min_calls,
            refusal.min_calls,
            refusal.min_refusals,
        )
    if kind is Kind.ERROR:
        error = signals.error_rate
        return Lines(
            error.investigate_points / 100,
            error.page_points / 100,
            error.page_multiple,
            error.min_requests,
            error.min_requests,
            error.min_errors,
        )
    if kind is Kind.SLOW:
        latency = signals.p99_latency
        return Lines(
            never,
            latency.page_share,
            latency.page_multiple,
            latency.min_requests,
            latency.min_requests,
            latency.min_slow,
        )
    tokens = signals.tokens_per_success
    return Lines(
        tokens.investigate_ratio - 1,
        tokens.page_ratio - 1,
        1.0,
        tokens.min_requests,
        tokens.min_requests,
        0,
    )
