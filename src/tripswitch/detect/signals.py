"""The signals: what each measures, which way is worse, and which rule weighs it.

Badness y is in [0, 1] and larger is worse: ``1 - score`` of a rubric; 1 for a refusal, an error, a
slow one, a leak or a successful injection, else 0; tokens and dollars linearised as
``(min(spent, C) + R * (1 - success)) / (C + R)`` with C the baseline's p99 and R what it spends by
success, so that one enormous request moves the raw ratio but not the evidence. A signal tested in
both directions is two kinds. Whatever treats kinds alike asks for their `Rule`, never for a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

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
    COST = 6
    TTFT = 7
    TOOL_SLOW = 8
    TOOL_ERROR = 9
    REFUSED_WRONGLY = 10
    REFUSED_RIGHTLY = 11
    PII_LEAK = 12
    INJECTION = 13


class Rule(IntEnum):
    """How a kind is weighed: its unit, its nulls (`nulls`) and its point rule (`decision`).

    SCORE: difference of means. RATIO: ratio of sums less one. SLOW: a share, absolute, and twice
    the reference's. RISE, FALL: difference of rates, either way of one signal or one way only.
    ERRORS: difference of rates, and a multiple. LEAKS, SUCCESSES: a rate that must be rare, judged
    without any reference too.
    """

    SCORE = 0
    RATIO = 1
    SLOW = 2
    RISE = 3
    FALL = 4
    ERRORS = 5
    LEAKS = 6
    SUCCESSES = 7


@dataclass(frozen=True, slots=True)
class Signal:
    """What a kind is called, what shape of incident it makes, and how it is weighed."""

    name: str
    shape: Shape
    measure: str
    rule: Rule
    is_security: bool = False

    @property
    def is_rate(self) -> bool:
        """Return whether y is 0 or 1: Bernoulli kernels, and no `sure` is needed."""
        return self.rule not in (Rule.SCORE, Rule.RATIO)

    @property
    def is_mirrored(self) -> bool:
        """Return whether ``1 - y`` is looked at: what fell is worse."""
        return self.rule is Rule.FALL


_GUARDRAIL: Final = Shape.GUARDRAIL_REGRESSION
_SLOWNESS: Final = Shape.LATENCY_SPIKE

SIGNALS: Final[dict[Kind, Signal]] = {
    Kind.EVAL: Signal("eval_score", Shape.EVAL_DRIFT, "eval_score", Rule.SCORE),
    Kind.REFUSAL_UP: Signal("refusal_rate", _GUARDRAIL, "refusal", Rule.RISE),
    Kind.REFUSAL_DOWN: Signal("refusal_rate", _GUARDRAIL, "refusal", Rule.FALL),
    Kind.ERROR: Signal("error_rate", Shape.OUTAGE, "error", Rule.ERRORS),
    Kind.SLOW: Signal("p99_latency", _SLOWNESS, "slow", Rule.SLOW),
    Kind.TOKENS: Signal("tokens_per_success", Shape.COST_SPIKE, "tokens", Rule.RATIO),
    Kind.COST: Signal("cost_per_success", Shape.COST_SPIKE, "cost", Rule.RATIO),
    Kind.TTFT: Signal("ttft_p99", _SLOWNESS, "slow_first_token", Rule.SLOW),
    Kind.TOOL_SLOW: Signal("tool_latency", _SLOWNESS, "slow_tool", Rule.SLOW),
    Kind.TOOL_ERROR: Signal("tool_errors", Shape.OUTAGE, "tool_error", Rule.ERRORS),
    # A fall of wrong refusals and a rise of right ones are no harm.
    Kind.REFUSED_WRONGLY: Signal("refusal_rate", _GUARDRAIL, "wrong_refusal", Rule.RISE),
    Kind.REFUSED_RIGHTLY: Signal("refusal_rate", _GUARDRAIL, "right_refusal", Rule.FALL),
    Kind.PII_LEAK: Signal("pii_leak", _GUARDRAIL, "pii_leak", Rule.LEAKS, is_security=True),
    Kind.INJECTION: Signal(
        "prompt_injection", _GUARDRAIL, "prompt_injection", Rule.SUCCESSES, is_security=True
    ),
}

SECURITY: Final = frozenset(signal.name for signal in SIGNALS.values() if signal.is_security)
"""Signals whose incidents go to a security review, apart from the others of their scope."""

_RULES: Final = np.array([int(SIGNALS[kind].rule) for kind in Kind])


def rules_of(kinds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the `Rule` of each kind."""
    return np.asarray(_RULES[kinds])


def among(*wanted: Rule) -> npt.NDArray[np.bool_]:
    """Return by rule whether it is one of ``wanted``.

    To be looked up with a column of rules: comparing one with a member of an enumeration takes
    several times as long.
    """
    return np.array([rule in wanted for rule in Rule])


TELEMETRY_LOST: Final = "telemetry_lost"
TRAFFIC_DROP: Final = "traffic_drop"
BY_ARRIVAL: Final = frozenset({TELEMETRY_LOST, TRAFFIC_DROP})
"""Signals of what comes at all (`arrivals`, `traffic`); no row judges them."""

ABSOLUTE: Final = (Rule.LEAKS, Rule.SUCCESSES)
"""The rules that need no reference to page."""

CALLS: Final = Measure("calls")
"""Every chat call, whatever became of it: only its count is used."""
REFUSAL: Final = Measure("refusal")
WRONG_REFUSAL: Final = Measure("wrong_refusal", "illegitimate")
"""Refusals that an evaluation calls illegitimate, of the answers whose kind is known."""
RIGHT_REFUSAL: Final = Measure("right_refusal", "legitimate")
ERROR: Final = Measure("error")
SLOW: Final = Measure("slow")
TTFT: Final = Measure("slow_first_token")
TOKENS: Final = Measure("tokens")
TOKENS_RAW: Final = Measure("tokens_raw")
"""Per request its tokens: n requests, sum and sum of squares of tokens."""
TOKENS_OF_SUCCESS: Final = Measure("tokens_of_success")
"""Per successful request its tokens: n successes, sum of their tokens."""
COST: Final = Measure("cost")
COST_RAW: Final = Measure("cost_raw")
"""Per request its dollars, as `TOKENS_RAW`."""
COST_OF_SUCCESS: Final = Measure("cost_of_success")
LEAK_TRACE: Final = Measure("leak_trace")
"""One for the first leak of each trace: what tells one trace of many leaks from many traces."""

FIXED: Final = (
    CALLS,
    REFUSAL,
    WRONG_REFUSAL,
    RIGHT_REFUSAL,
    TTFT,
    ERROR,
    SLOW,
    TOKENS_RAW,
    TOKENS_OF_SUCCESS,
    TOKENS,
    COST_RAW,
    COST_OF_SUCCESS,
    COST,
)
"""Every measure but those by name: rubrics, tools, and what evaluations watch for.

First those of calls, then those of requests; what is spent has the same three in the same order.
"""

RATIOS: Final = {TOKENS: (TOKENS_RAW, TOKENS_OF_SUCCESS), COST: (COST_RAW, COST_OF_SUCCESS)}
"""The raw companions of what is spent by success: of all requests, and of the successful."""

TOOL_SLOW: Final = "slow_tool"
TOOL_ERROR: Final = "tool_error"
SCORED: Final = frozenset({"eval_score", "pii_leak", "prompt_injection"})
"""Measures whose values come as scores, one a judgement of a call."""


def eval_measure(rubric: str) -> Measure:
    """Return the measure of one rubric."""
    return Measure("eval_score", rubric)


def tool_measures(tool: str) -> tuple[Measure, Measure]:
    """Return the measures of one tool: its errors and its slow runs."""
    return Measure(TOOL_ERROR, tool), Measure(TOOL_SLOW, tool)


def is_by_yardstick(measure: Measure) -> bool:
    """Return whether y of a measure depends on a yardstick (`yardsticks`)."""
    return measure in RATIOS or measure in (SLOW, TTFT) or measure.name == TOOL_SLOW


def kinds_of(measure: Measure) -> tuple[Kind, ...]:
    """Return the kinds that judge a measure; none for the raw companions of a ratio."""
    return _KINDS_OF.get(measure.name, ())


_KINDS_OF: Final[dict[str, tuple[Kind, ...]]] = {
    signal.measure: tuple(kind for kind in Kind if SIGNALS[kind].measure == signal.measure)
    for signal in SIGNALS.values()
}


def kind_of(signal: str, rubric: str | None, direction: str) -> Kind:
    """Return the kind that a verdict of ``signal`` speaks of; raises KeyError for none.

    ``direction`` is ``up`` or ``down``. Refusals of one sort have kinds of their own.
    """
    sort = {"legitimate": RIGHT_REFUSAL, "illegitimate": WRONG_REFUSAL}.get(rubric or "")
    for kind, known in SIGNALS.items():
        if known.name != signal or known.is_mirrored != (direction == "down"):
            continue
        if signal == "refusal_rate" and known.measure != (sort or REFUSAL).name:
            continue
        return kind
    raise KeyError(f"no kind for signal {signal} {direction}")
