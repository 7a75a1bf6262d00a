"""Intake: each value once in every scope it belongs to, in the minute it belongs to."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detect.stand import START_NS, Stand, arm
from tripswitch.detect.signals import (
    CALLS,
    ERROR,
    REFUSAL,
    TOKENS_OF_SUCCESS,
    TOKENS_RAW,
    eval_measure,
)
from tripswitch.model.calls import Calls, Score
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.model.scope import Scope
from tripswitch.windows.scopes import Measure

LEAF = arm("v1", "canary", request_model="m", provider="p")
WIDTHS = (
    LEAF,
    LEAF.arm(),
    LEAF._replace(prompt_version=None),
    LEAF.population(),
)


def score(value: float, scope: Scope = LEAF, *, end: int = START_NS, rubric: str = "r") -> Score:
    return Score("", "", scope, None, rubric, value, end)


def held(stand: Stand, scope: Scope, measure: Measure, window: str = "15m") -> tuple[float, float]:
    """Return count and sum of one series."""
    row = stand.scopes.records[scope].series[measure]
    n, s, _ = stand.scopes.rings.window(np.array([row]), window)[0]
    return float(n), float(s)


def take_scores(stand: Stand, *scores: Score) -> None:
    stand.take(scores=scores)


@pytest.mark.parametrize("scope", WIDTHS)
def test_a_score_counts_once_in_each_of_its_scopes(scope: Scope) -> None:
    stand = Stand()
    take_scores(stand, score(0.75))
    n, s = held(stand, scope, eval_measure("r"))
    assert (n, s) == (1, 0.25)
    assert set(stand.scopes.records) == set(WIDTHS)


def test_a_scope_that_is_its_own_arm_counts_once() -> None:
    stand = Stand()
    plain = Scope("/chat")
    take_scores(stand, score(0.5, plain))
    assert held(stand, plain, eval_measure("r"))[0] == 1
    assert set(stand.scopes.records) == {plain}


def take_calls(
    stand: Stand,
    ends: list[int],
    *,
    refusals: list[bool | None] | None = None,
    errors: list[str | None] | None = None,
    is_chat: list[bool] | None = None,
) -> None:
    size = len(ends)
    none: list[str | None] = [None] * size
    calls = Calls(
        trace_id=[""] * size,
        span_id=[""] * size,
        end=np.array(ends, dtype=np.int64),
        route=[LEAF.route] * size,
        prompt_name=[LEAF.prompt_name] * size,
        prompt_version=[LEAF.prompt_version] * size,
        cohort=[LEAF.cohort] * size,
        request_model=none,
        provider=none,
        refusal=refusals or [False] * size,
        error_class=errors or none,  # type: ignore[arg-type]
        is_chat=is_chat or [True] * size,
        request_index=np.zeros(size, dtype=np.int64),
    )
    stand.take(calls=calls)


def test_only_answered_chat_calls_can_refuse() -> None:
    stand = Stand()
    take_calls(
        stand,
        [START_NS] * 4,
        refusals=[True, False, None, True],
        errors=[None, None, "timeout", None],
        is_chat=[True, True, True, False],
    )
    assert held(stand, LEAF.arm(), CALLS)[0] == 3
    assert held(stand, LEAF.arm(), REFUSAL) == (2, 1)


def test_failed_requests_cost_tokens_and_bring_no_success() -> None:
    stand = Stand()
    stand.requests(
        LEAF,
        latency=np.array([1.0, 1.0, 1.0, 1.0]),
        tokens=np.array([100.0, 300.0, np.nan, np.nan]),
        failed=[False, True, True, False],
        refused=[False, False, False, False],
    )
    assert held(stand, LEAF.arm(), ERROR) == (4, 2)
    # A failure that cost nothing counts as a request; a success that did not say counts as none.
    assert held(stand, LEAF.arm(), TOKENS_RAW) == (3, 400)
    assert held(stand, LEAF.arm(), TOKENS_OF_SUCCESS) == (1, 100)
    # How long a failure took says nothing of how slow answers are.
    assert stand.scopes.latencies.total(stand.scopes.records[LEAF.arm()].id) == 2


def test_a_clock_that_is_off_is_counted_and_not_judged() -> None:
    stand = Stand()
    stand.now_ns += 30 * NS_PER_MINUTE
    stand.scopes.rings.advance(stand.now_ns)
    off = [stand.now_ns - 901 * NS_PER_S, stand.now_ns + 901 * NS_PER_S, 0, 2**62]
    take_calls(stand, off)
    take_scores(stand, *[score(0.5, end=end) for end in off])
    # Counted once, as calls.
    assert stand.intake.skewed == 4
    assert stand.scopes.records == {}


def test_a_late_score_goes_to_its_calls_minute_and_an_early_one_to_now() -> None:
    stand = Stand()
    stand.now_ns += 30 * NS_PER_MINUTE
    stand.scopes.rings.advance(stand.now_ns)
    take_scores(
        stand,
        score(0.0, end=stand.now_ns - 6 * NS_PER_MINUTE),
        score(0.0, end=stand.now_ns + 6 * NS_PER_MINUTE),
    )
    row = stand.scopes.records[LEAF].series[eval_measure("r")]
    minutes = stand.scopes.rings.last_minutes(row, 15)[:, 0]
    assert np.flatnonzero(minutes).tolist() == [8, 14]


def test_rubrics_of_a_scope_are_bounded_and_counted() -> None:
    stand = Stand()
    take_scores(stand, *[score(0.5, rubric=f"r{number}") for number in range(100)])
    assert len(stand.scopes.records[LEAF].series) == 32
    assert stand.intake.refused_rubrics == 68 * len(WIDTHS)


def test_absurd_token_counts_are_counted_and_not_judged() -> None:
    stand = Stand()
    stand.requests(
        LEAF,
        latency=np.ones(2),
        tokens=np.array([1e300, 50.0]),
        failed=[False, False],
        refused=[False, False],
    )
    assert held(stand, LEAF.arm(), TOKENS_RAW) == (1, 50)
    assert stand.intake.refused_tokens == len(WIDTHS)


def test_arms_there_from_the_start_are_not_taken_for_rollouts() -> None:
    stand = Stand()
    take_scores(stand, score(0.5, arm("v1")))
    stand.now_ns += 59 * NS_PER_S
    take_scores(stand, score(0.5, arm("v2")))
    stand.now_ns += 2 * NS_PER_S
    take_scores(stand, score(0.5, arm("v3")))
    found = [stand.scopes.records[arm(version)].found_running for version in ("v1", "v2", "v3")]
    assert found == [True, True, False]


def test_batches_do_not_change_what_is_held() -> None:
    values = np.random.default_rng(1).random(50)
    at_once, one_by_one = Stand(), Stand()
    take_scores(at_once, *[score(value) for value in values])
    for value in values:
        take_scores(one_by_one, score(value))
    for name in ("minute", "quarter", "hour", "fresh"):
        one, other = (getattr(stand.scopes.rings, name) for stand in (at_once, one_by_one))
        assert one.tobytes() == other.tobytes()
