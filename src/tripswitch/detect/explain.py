"""One sentence for each verdict, with the numbers that decided."""

from __future__ import annotations

from typing import Final

from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Finding

_RATES: Final = {"refusal_rate": "refusals", "error_rate": "failed requests"}


def _points(value: float) -> str:
    return f"{100 * value:.1f}"


def _value_text(signal: str, value: float) -> str:
    if signal == "tokens_per_success":
        return f"{value:,.0f} tokens by success"
    if signal == "p99_latency":
        return f"{100 * value:.2f} % slow requests"
    if signal in _RATES:
        return f"{_points(value)} % {_RATES[signal]}"
    return f"{_points(value)} points"


def _distance_text(signal: str, estimate: float, line: float, multiple: float) -> str:
    if signal == "tokens_per_success":
        return f"{1 + estimate:.2f} times (line {1 + line:.2f})"
    if signal == "p99_latency":
        return f"line {100 * line:g} % slower than {multiple:g} times the usual p99"
    if signal == "eval_score":
        return f"down {_points(estimate)} points (line {100 * line:g})"
    turn = "up" if estimate >= 0 else "down"
    return f"{turn} {_points(abs(estimate))} points (line {100 * line:g})"


def _reference_text(comparison: Comparison | None, reference: Scope | None) -> str:
    if comparison is Comparison.CONTROL and reference is not None:
        return f"the control ({reference.cohort or reference.prompt_version or 'same time'})"
    if comparison is Comparison.PREVIOUS and reference is not None:
        return f"the version before ({reference.prompt_version})"
    return "its own past"


def sentence(
    *,
    finding: Finding,
    signal: str,
    rubric: str | None,
    scope: Scope,
    comparison: Comparison | None,
    reference: Scope | None,
    estimate: float,
    line: float,
    multiple: float,
    value: float,
    usual: float,
    samples: int,
    usual_samples: int,
    fewest: int,
    window: str,
    evidence: float,
    is_falling: bool,
    is_common: bool,
) -> str:
    """Return the sentence of one verdict.

    ``value`` and ``usual`` are in the signal's own unit (mean score, share, tokens by success); ``fewest`` is how many
    samples a verdict needs; ``is_falling`` says that a mirrored signal (a rate that fell) is meant.
    """
    what = f"{rubric} ({signal})" if rubric else signal
    where = scope.label()
    if finding is Finding.TELEMETRY_LOST:
        return (
            f"{what} on {where}: part of the telemetry of this minute was lost, so it is not judged"
        )
    if comparison is None:
        return (
            f"{what} on {where}: nothing to compare with yet; {samples} of at least {fewest} samples "
            f"seen, and neither a control cohort, an earlier version nor enough of its own past"
        )
    against = _reference_text(comparison, reference)
    if finding is Finding.INSUFFICIENT:
        return (
            f"{what} on {where}: {samples} samples against {usual_samples} of {against}, at least "
            f"{fewest} each are needed"
        )
    shown = -estimate if is_falling else estimate
    sense = "too much" if finding is Finding.REGRESSED else "within the line or not proven"
    common = ", in every arm at once" if is_common else ""
    return (
        f"{what} on {where} is {_value_text(signal, value)} against {_value_text(signal, usual)} of "
        f"{against}{common}: {_distance_text(signal, shown, line, multiple)} over {window}, {sense}; "
        f"{samples} against {usual_samples} samples, evidence {min(evidence, 1e12):.3g} (acts at 1)"
    )
