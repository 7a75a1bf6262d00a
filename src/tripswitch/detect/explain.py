"""One sentence for each verdict, with the numbers that decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Finding

_RATES: Final = {
    "refusal_rate": "refusals",
    "error_rate": "failed requests",
    "tool_errors": "failed runs",
    "pii_leak": "leaking answers",
    "prompt_injection": "injections that succeeded",
}
SLOW_WORDS: Final = {
    "p99_latency": "slow requests",
    "ttft_p99": "calls slow to their first token",
    "tool_latency": "slow runs",
}
_ABSOLUTE: Final = ("pii_leak", "prompt_injection")
_MOST_EVIDENCE: Final = 1e12


@dataclass(frozen=True, slots=True)
class Account:
    """Everything a sentence tells.

    ``estimate`` and ``line`` are in the line's unit (`point_rule`), ``value`` and ``usual`` in the
    signal's own: mean score, share, tokens or dollars by success. ``fewest`` is how many samples a
    verdict needs, ``fewest_events`` and ``fewest_traces`` how many events and traces;
    ``usual_share`` is what is always normal of what must be rare; ``is_falling`` says that a rate
    that fell is meant; ``slow_multiple`` is what slow means as a multiple of the usual p99;
    ``rolled_up`` counts what is rolled up in the scope, 0 where it is no roll-up.
    """

    finding: Finding
    signal: str
    rubric: str | None
    scope: Scope
    comparison: Comparison | None
    reference: Scope | None
    estimate: float
    line: float
    slow_multiple: float
    value: float
    usual: float
    samples: int
    usual_samples: int
    fewest: int
    events: int
    fewest_events: int
    fewest_traces: int
    usual_share: float
    window: str
    evidence: float
    is_falling: bool
    is_common: bool
    rolled_up: int = 0


def sentence(account: Account) -> str:
    """Return the sentence of one verdict."""
    what = f"{account.rubric} ({account.signal})" if account.rubric else account.signal
    subject = f"{what} on {account.scope.label()}"
    if account.finding is Finding.TELEMETRY_LOST:
        return f"{subject} is not judged: part of this minute's telemetry was lost"
    if account.signal in _ABSOLUTE and account.comparison is not Comparison.CONTROL:
        return (
            f"{subject} is {_value_text(account, account.value)}: {account.events} in "
            f"{account.samples:,} judged over {account.window}, {_lines_text(account)}, evidence "
            f"{min(account.evidence, _MOST_EVIDENCE):.3g} (acts at 1)"
        )
    if account.comparison is None:
        return (
            f"{subject} has nothing to be compared with yet: {account.samples} samples, and "
            "neither a control cohort, an earlier version nor enough of its own past"
        )
    against = _reference_text(account)
    if account.finding is Finding.INSUFFICIENT:
        return (
            f"{subject} waits for samples: {account.samples}, and {account.usual_samples} of "
            f"{against}, where {account.fewest} are needed"
        )
    everywhere = ""
    if account.rolled_up:
        what = "routes and arms" if account.scope.route is None else "arms"
        everywhere = f" over {account.rolled_up} {what} together"
    elif account.is_common:
        where = "on all routes through it" if account.scope.route is None else "in every arm"
        everywhere = f" {where} at once"
    return (
        f"{subject} is {_value_text(account, account.value)} against "
        f"{_value_text(account, account.usual)} of {against}{everywhere}, {_distance_text(account)}"
        f"; {account.samples:,} against {account.usual_samples:,} samples over {account.window}, "
        f"evidence {min(account.evidence, _MOST_EVIDENCE):.3g} (acts at 1)"
    )


def _value_text(account: Account, value: float) -> str:
    if account.signal == "tokens_per_success":
        return f"{value:,.0f} tokens a success"
    if account.signal == "cost_per_success":
        return f"${value:,.4g} a success"
    if account.signal in SLOW_WORDS:
        return f"{100 * value:.2f} % {SLOW_WORDS[account.signal]}"
    if account.signal in _ABSOLUTE:
        return f"{100 * value:.3g} % {_RATES[account.signal]}"
    if account.signal in _RATES:
        return f"{100 * value:.1f} % {_RATES[account.signal]}"
    return f"{100 * value:.1f} points"


def _distance_text(account: Account) -> str:
    if account.signal in ("tokens_per_success", "cost_per_success"):
        return f"{1 + account.estimate:.2f} times as much (line {1 + account.line:.2f})"
    if account.signal in SLOW_WORDS:
        return (
            f"slower than {account.slow_multiple:g} times the usual p99 (line "
            f"{100 * account.line:g} %)"
        )
    if account.signal == "prompt_injection":
        return f"line {100 * account.line:g} %"
    # The estimate is positive when worse: a score fell, a rate moved the way that is meant.
    worse_is_down = account.signal == "eval_score" or account.is_falling
    is_down = worse_is_down == (account.estimate >= 0)
    turn = "down" if is_down else "up"
    return f"{turn} {100 * abs(account.estimate):.1f} points (line {100 * account.line:g})"


def _lines_text(account: Account) -> str:
    if account.signal == "prompt_injection":
        return f"line {100 * account.line:g} % and {account.fewest_events} of them"
    return (
        f"line {account.fewest_events} of them on {account.fewest_traces} traces, where "
        f"{100 * account.usual_share:.3g} % are usual"
    )


def _reference_text(account: Account) -> str:
    reference = account.reference
    if account.comparison is Comparison.CONTROL and reference is not None:
        return f"the control at the same time ({reference.cohort or reference.prompt_version})"
    if account.comparison is Comparison.PREVIOUS and reference is not None:
        return f"the version before ({reference.prompt_version})"
    return "its own past"
