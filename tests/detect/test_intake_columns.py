"""The intake by columns holds the same, to the byte, as one row after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.detect.plain_intake import PlainIntake, held
from tests.detect.stand import START_NS
from tripswitch.config.model import Config, Windows
from tripswitch.detect import leaves
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.intake import Intake
from tripswitch.detect.roster import Roster
from tripswitch.detect.signals import COST, SLOW, TOKENS
from tripswitch.detect.yardsticks import Yardstick
from tripswitch.model.calls import Calls, Score
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope
from tripswitch.model.scores import Scores
from tripswitch.windows.scopes import Measure, Scopes

LEAVES = (
    Scope("/a", "bot", "v1", "control", "m", "p"),
    Scope("/a", "bot", "v1", "control", "n", "p"),
    Scope("/a", "bot", "v2", "canary", "m", "p"),
    Scope("/a", "bot", "v2", "canary"),
    Scope("/b"),
    Scope(),
    Scope("/b", "bot", None, "canary", "m", None),
)
YARDSTICKS: tuple[dict[Measure, Yardstick], ...] = (
    {},
    {SLOW: Yardstick(1.0, 2.0)},
    {SLOW: Yardstick(1.0, 2.0), TOKENS: Yardstick(333.0, 900.0), COST: Yardstick(0.01, 0.05)},
)

scopes = st.sampled_from(LEAVES)
# In seconds from the time of the request: within reach mostly, at its edges, and beyond.
ends = st.one_of(
    st.integers(-899, 0), st.sampled_from([-3600, -901, -900, -840, 1, 59, 900, 901, 3600])
)
flags = st.booleans()
call = st.tuples(scopes, ends, flags, st.sampled_from([None, True, False]), flags)
score = st.tuples(scopes, ends, st.integers(0, 6), st.floats(0, 1))
closed = st.tuples(
    scopes,
    ends,
    flags,
    flags,
    st.one_of(st.floats(0, 20), st.just(2.0)),
    st.one_of(st.just(float("nan")), st.integers(0, 2000).map(float), st.just(2e8)),
    st.one_of(st.just(float("nan")), st.floats(0, 0.2)),
)
requests = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.lists(call, max_size=6),
        st.lists(score, max_size=6),
        st.lists(closed, max_size=6),
    ),
    max_size=6,
)


@dataclass
class Batch:
    """What came with some OTLP requests, as the intake takes it."""

    calls: Calls
    scores: list[Score]
    closed: Requests
    now_ns: list[int]


def batch(parts: list[Any], now_ns: int) -> Batch:
    calls, scores, closed = [], [], []
    times = []
    for index, (later_s, some_calls, some_scores, some_closed) in enumerate(parts):
        now_ns += later_s * NS_PER_S
        times.append(now_ns)
        calls += [(index, now_ns, *item) for item in some_calls]
        scores += [
            Score("", "", scope, None, f"r{rubric}", value, now_ns + end_s * NS_PER_S, index)
            for scope, end_s, rubric, value in some_scores
        ]
        closed += [(index, now_ns, *item) for item in some_closed]
    return Batch(_calls(calls), scores, _closed(closed), times)


def _calls(rows: list[Any]) -> Calls:
    return Calls(
        trace_id=[""] * len(rows),
        end=_ends(rows),
        route=[row[2].route for row in rows],
        prompt_name=[row[2].prompt_name for row in rows],
        prompt_version=[row[2].prompt_version for row in rows],
        cohort=[row[2].cohort for row in rows],
        provider=[row[2].provider for row in rows],
        request_model=[row[2].request_model for row in rows],
        error_class=["provider" if row[4] else None for row in rows],
        refusal=[row[5] for row in rows],
        is_chat=[row[6] for row in rows],
        request_index=np.array([row[0] for row in rows], dtype=np.int64),
    )


def _closed(rows: list[Any]) -> Requests:
    return Requests(
        trace_id=[""] * len(rows),
        scope=[row[2] for row in rows],
        end=_ends(rows),
        error=[row[4] for row in rows],
        success=[row[5] and not row[4] for row in rows],
        latency=np.array([row[6] for row in rows], dtype=np.float64),
        tokens=np.array([row[7] for row in rows], dtype=np.float64),
        cost_usd=np.array([row[8] for row in rows], dtype=np.float64),
        request_index=np.array([row[0] for row in rows], dtype=np.int64),
    )


def _ends(rows: list[Any]) -> Any:
    return np.array([row[1] + row[3] * NS_PER_S for row in rows], dtype=np.int64)


@given(
    st.lists(requests, min_size=1, max_size=3),
    st.integers(2, 30),
    st.sampled_from(YARDSTICKS),
)
def test_columns_hold_what_rows_would(
    batches: list[list[Any]], max_scopes: int, yardsticks: dict[Measure, Yardstick]
) -> None:
    with patch.dict(leaves._MOST, {"eval_score": 4}):
        _compare(batches, max_scopes, yardsticks)


def _compare(
    batches: list[list[Any]], max_scopes: int, yardsticks: dict[Measure, Yardstick]
) -> None:
    # Folding needs fewer scopes than a configuration may ask for.
    config = Config(windows=Windows.model_construct(max_scopes=max_scopes, max_skew=900.0))
    plain = PlainIntake(config)
    wide_scopes = Scopes(max_scopes)
    wide_comparisons = Comparisons(wide_scopes, Roster())
    wide = Intake(wide_scopes, wide_comparisons)
    now_ns = START_NS
    for parts in batches:
        for comparisons in (plain.comparisons, wide_comparisons):
            comparisons.scopes.rings.advance(now_ns)
            for family in comparisons.families.values():
                family.yardsticks = yardsticks
        arrived = batch(parts, now_ns)
        plain.add(arrived.calls, arrived.scores, arrived.closed, arrived.now_ns)
        wide.add(
            config,
            np.array(arrived.now_ns, dtype=np.int64),
            calls=arrived.calls,
            scores=Scores.of(arrived.scores),
            requests=arrived.closed,
        )
        assert held(wide_scopes, wide_comparisons) == held(plain.scopes, plain.comparisons)
        for name in ("skewed", "refused_rubrics", "refused_tokens", "unpriced_requests"):
            assert getattr(wide, name) == getattr(plain, name)
        now_ns = max(arrived.now_ns, default=now_ns) + NS_PER_MINUTE
