"""The lines of every kind: the thresholds that a person set, on one route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tripswitch.config.signal_sections import (
    CostPerSuccess,
    ErrorRate,
    P99Latency,
    Signals,
    TokensPerSuccess,
    ToolErrors,
    ToolLatency,
    TtftP99,
)
from tripswitch.detect.signals import Kind

_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one kind on one route, in the unit of its estimate (see `point_rule`).

    ``traces`` is the fewest traces that events come from, ``usual`` the share that is always
    normal for what must be rare.
    """

    investigate: float
    page: float
    page_multiple: float
    samples: int
    samples_investigate: int
    events: int
    traces: int = 0
    usual: float = 0.0


def lines_of(kind: Kind, signals: Signals) -> Lines:
    """Return the configured lines of ``kind``; a line that does not exist is infinite."""
    match kind:
        case Kind.EVAL:
            rubric = signals.eval_score
            return Lines(
                rubric.investigate_points / 100,
                rubric.page_points / 100,
                1.0,
                rubric.min_scores,
                2 * rubric.min_scores,
                0,
            )
        case Kind.REFUSAL_UP | Kind.REFUSAL_DOWN | Kind.REFUSED_WRONGLY | Kind.REFUSED_RIGHTLY:
            refusal = signals.refusal_rate
            return Lines(
                refusal.investigate_points / 100,
                refusal.page_points / 100,
                1.0,
                refusal.min_calls,
                refusal.min_calls,
                refusal.min_refusals,
            )
        case Kind.ERROR:
            return _of_errors(signals.error_rate, signals.error_rate.min_requests)
        case Kind.TOOL_ERROR:
            return _of_errors(signals.tool_errors, signals.tool_errors.min_runs)
        case Kind.SLOW:
            return _of_slow(signals.p99_latency, signals.p99_latency.min_requests)
        case Kind.TTFT:
            return _of_slow(signals.ttft_p99, signals.ttft_p99.min_calls)
        case Kind.TOOL_SLOW:
            return _of_slow(signals.tool_latency, signals.tool_latency.min_runs)
        case Kind.TOKENS:
            return _of_spent(signals.tokens_per_success)
        case Kind.COST:
            return _of_spent(signals.cost_per_success)
        case Kind.PII_LEAK:
            leak = signals.pii_leak
            return Lines(_NEVER, 0.0, 1.0, 1, 1, leak.page_hits, leak.page_traces, leak.usual_share)
        case Kind.INJECTION:
            injection = signals.prompt_injection
            return Lines(
                _NEVER,
                injection.page_share,
                1.0,
                injection.min_calls,
                injection.min_calls,
                injection.min_successes,
                usual=injection.usual_share,
            )


def _of_errors(errors: ErrorRate | ToolErrors, fewest: int) -> Lines:
    return Lines(
        errors.investigate_points / 100,
        errors.page_points / 100,
        errors.page_multiple,
        fewest,
        fewest,
        errors.min_errors,
    )


def _of_slow(slow: P99Latency | TtftP99 | ToolLatency, fewest: int) -> Lines:
    return Lines(_NEVER, slow.page_share, slow.page_multiple, fewest, fewest, slow.min_slow)


def _of_spent(spent: TokensPerSuccess | CostPerSuccess) -> Lines:
    fewest = spent.min_requests
    return Lines(spent.investigate_ratio - 1, spent.page_ratio - 1, 1.0, fewest, fewest, 0)
