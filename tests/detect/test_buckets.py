"""Buckets and calls with the same values: identical rings, identical verdicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detect.plain_intake import held
from tests.detect.stand import CANARY, CONTROL, START_NS, Stand, arm
from tripswitch.detect.buckets import Buckets
from tripswitch.detect.signals import CALLS, ERROR, REFUSAL, eval_measure
from tripswitch.model.calls import Calls, Score
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Verdict
from tripswitch.windows.rings import Floats, Rings

RUBRIC = "faithfulness"
LEAVES = (
    CONTROL._replace(request_model="m", provider="p"),
    CONTROL._replace(request_model="n", provider="p"),
    CANARY._replace(request_model="m", provider="p"),
    Scope("/other"),
)
# Eighths: their sums and the sums of their squares are exact in whatever order they are added.
Minute = dict[Scope, list[tuple[int, bool, bool]]]
"""Of each leaf the calls of one minute: score in eighths, refused, failed."""


def as_calls(stand: Stand, minute: Minute, late_minutes: int) -> None:
    """Let the calls of a minute come one by one, through the intake, as OTLP would bring them."""
    end_ns = stand.now_ns - late_minutes * NS_PER_MINUTE
    rows = [(scope, *call) for scope, calls in minute.items() for call in calls]
    ends = np.full(len(rows), end_ns, dtype=np.int64)
    none = np.zeros(len(rows), dtype=np.int64)
    scopes = [row[0] for row in rows]
    stand.take(
        calls=Calls(
            trace_id=[""] * len(rows),
            end=ends,
            route=[scope.route for scope in scopes],
            prompt_name=[scope.prompt_name for scope in scopes],
            prompt_version=[scope.prompt_version for scope in scopes],
            cohort=[scope.cohort for scope in scopes],
            provider=[scope.provider for scope in scopes],
            request_model=[scope.request_model for scope in scopes],
            error_class=["provider" if row[3] else None for row in rows],
            refusal=[row[2] for row in rows],
            is_chat=[True] * len(rows),
            request_index=none,
        ),
        scores=[
            Score("", "", scope, None, RUBRIC, eighths / 8, end_ns, 0)
            for scope, eighths, _, failed in rows
            if not failed
        ],
        requests=Requests(
            trace_id=[""] * len(rows),
            scope=scopes,
            end=ends,
            error=[row[3] for row in rows],
            success=[not (row[2] or row[3]) for row in rows],
            latency=np.full(len(rows), np.nan),
            tokens=np.full(len(rows), np.nan),
            cost_usd=np.full(len(rows), np.nan),
            request_index=none,
        ),
    )
    # Latencies come in no bucket. A series that begins to be judged looks at every control anew,
    # between minutes too, which only one of the two ways would then do.
    stand.scopes.latencies.counts[:] = 0.0


def bucket(values: list[float]) -> list[float]:
    return [len(values), sum(values), sum(value * value for value in values)]


def as_buckets(stand: Stand, buckets: Buckets, minute: Minute, late_minutes: int) -> None:
    """Let the same minute come as one bucket a leaf and measure."""
    for measure in (CALLS, REFUSAL, eval_measure(RUBRIC), ERROR):
        for scope, calls in minute.items():
            answered = [call for call in calls if not call[2]]
            values = {
                CALLS: [1.0] * len(calls),
                REFUSAL: [float(refused) for _, refused, _ in answered],
                ERROR: [float(failed) for _, _, failed in calls],
                eval_measure(RUBRIC): [1 - eighths / 8 for eighths, _, _ in answered],
            }[measure]
            if not values:
                continue
            place = buckets.place([scope], measure, stand.now_ns, stand.config.detect)
            buckets.add(
                place,
                np.array([bucket(values)]),
                stand.now_ns // NS_PER_MINUTE - late_minutes,
                stand.now_ns,
            )


def drawn(rng: np.random.Generator, scope: Scope, *, is_bad: bool) -> list[tuple[int, bool, bool]]:
    size = int(rng.poisson(40))
    eighths = 8 - rng.binomial(8, 0.35 if is_bad else 0.1, size)
    refused = rng.random(size) < (0.3 if is_bad and scope.cohort == "canary" else 0.04)
    failed = rng.random(size) < 0.01
    columns = zip(eighths.tolist(), refused.tolist(), failed.tolist(), strict=True)
    return [(score, no, bad) for score, no, bad in columns]


def without_tokens(everything: dict[Any, Any]) -> dict[Any, Any]:
    """Return what is held of the measures that both ways bring.

    Rows of tokens and cost hold a failure as a request without any, and when a series was judged
    first says nothing of its values.
    """
    measures = (CALLS, REFUSAL, ERROR, eval_measure(RUBRIC))
    return {
        name: (
            *found[:3],
            {measure: rings for measure, rings in found[6].items() if measure in measures},
        )
        for name, found in everything.items()
        if isinstance(name, Scope)
    }


def of_signals(verdicts: list[Verdict]) -> list[Verdict]:
    others = ("tokens_per_success", "cost_per_success", "p99_latency")
    return [one for one in verdicts if one.signal not in others]


@pytest.mark.parametrize("late_minutes", [0, 1, 3])
def test_calls_and_their_buckets_give_identical_rings_and_verdicts(late_minutes: int) -> None:
    """From nothing known, over a canary that goes bad, to its page; and with late scores."""
    rng = np.random.default_rng(11)
    by_calls, by_buckets = Stand(), Stand()
    buckets = Buckets(by_buckets.intake.leaves)
    found: list[Verdict] = []
    for passed in range(34):
        leaves = LEAVES[:2] if passed < 18 else LEAVES
        minute = {
            scope: drawn(rng, scope, is_bad=passed >= 20 and scope.cohort == "canary")
            for scope in leaves
        }
        as_calls(by_calls, minute, late_minutes)
        as_buckets(by_buckets, buckets, minute, late_minutes)
        held_by_calls = held(by_calls.scopes, by_calls.comparisons)
        held_by_buckets = held(by_buckets.scopes, by_buckets.comparisons)
        assert without_tokens(held_by_buckets) == without_tokens(held_by_calls)
        for _ in range(6):
            verdicts = of_signals(by_calls.tick())
            assert of_signals(by_buckets.tick()) == verdicts
            found += verdicts
    assert {one.signal for one in found} >= {"eval_score", "refusal_rate"}


pair = st.tuples(st.integers(0, 8), st.integers(0, 14))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), pair), min_size=1, max_size=40), st.integers(1, 40))
def test_a_ring_holds_of_buckets_what_it_holds_of_values(
    values: list[tuple[int, tuple[int, int]]], passed: int
) -> None:
    one_by_one, at_once = Rings(capacity=4), Rings(capacity=4)
    for rings in (one_by_one, at_once):
        for row in range(4):
            rings.learn_by_hour(row)
    sums: dict[tuple[int, int], list[float]] = {}
    for rings in (one_by_one, at_once):
        rings.advance(START_NS)
    now = one_by_one.now_minute
    for row, (eighths, ago) in values:
        value = eighths / 8
        one_by_one.add(np.array([row]), np.array([now - ago]), np.array([value]))
        held_sums = sums.setdefault((row, now - ago), [0.0, 0.0, 0.0])
        for column, part in enumerate((1.0, value, value * value)):
            held_sums[column] += part
    rows, minutes = np.array(list(sums), dtype=np.int64).T
    at_once.add_buckets(rows, minutes, np.array(list(sums.values())))
    for rings in (one_by_one, at_once):
        rings.advance(START_NS + passed * NS_PER_MINUTE)
    for name in ("minute", "quarter", "hour", "fresh", "moments", "by_hour"):
        assert (getattr(one_by_one, name) == getattr(at_once, name)).all()


def test_an_empty_bucket_leaves_its_scope_as_it_was() -> None:
    stand = Stand()
    buckets = Buckets(stand.intake.leaves)
    scope = arm("v1")
    place = buckets.place([scope], ERROR, stand.now_ns, stand.config.detect)
    later_ns = stand.now_ns + NS_PER_MINUTE
    buckets.add(place, np.zeros((1, 3)), later_ns // NS_PER_MINUTE, later_ns)
    assert stand.scopes.records[scope].last_seen_ns == stand.now_ns
    filled: Floats = np.array([[2.0, 1.0, 1.0]])
    stand.scopes.rings.advance(later_ns)
    buckets.add(place, filled, later_ns // NS_PER_MINUTE, later_ns)
    for seen in (scope, scope.population()):
        record = stand.scopes.records[seen]
        assert record.last_seen_ns == later_ns
        window = stand.scopes.rings.window(np.array([record.series[ERROR]]), "15m")
        assert window.tolist() == [[2.0, 1.0, 1.0]]
