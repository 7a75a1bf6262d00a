"""Series of an incident: points are sums, stretches join, and the number of points is bounded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.model.drift import DriftPoint, DriftSeries, DriftSignal, joined, thinned
from tripswitch.model.scope import Scope

SCOPE = Scope("/chat/refund", "refund-bot", "v18", "canary")


def point(minute: int, value: float = 0.5, n: float = 10.0) -> DriftPoint:
    return DriftPoint(minute, 1, n, n * value, n * value * value, n)


def of(*points: DriftPoint, usual: float | None = 0.9) -> DriftSignal:
    series = (DriftSeries("arm", SCOPE, points),)
    return DriftSignal("eval_score:x", "score", "down", usual, 0.88, 0.85, series)


def test_a_point_without_parts_has_no_value() -> None:
    assert DriftPoint(1, 1, 0.0, 0.0, 0.0, 0.0).value is None
    assert point(1, 0.25).value == 0.25


def test_standard_error_is_that_of_a_mean() -> None:
    half = DriftPoint(1, 1, 100.0, 50.0, 50.0, 100.0)
    assert half.standard_error == pytest.approx(0.05)
    assert DriftPoint(1, 1, 0.0, 0.0, 0.0, 1.0).standard_error == 0.0


def test_what_was_told_again_replaces_what_was_told_before() -> None:
    before = of(point(1, 0.1), point(2, 0.2), point(3, 0.3))
    after = joined(before, of(point(2, 0.9), point(4, 0.4)))
    assert [(one.minute, one.value) for one in after.series[0].points] == [
        (1, 0.1),
        (2, 0.9),
        (4, 0.4),
    ]


def test_lines_are_kept_where_the_later_stretch_knows_none() -> None:
    assert joined(of(point(1)), of(point(2), usual=None)).usual == 0.9
    assert joined(of(point(1), usual=None), of(point(2))).usual == 0.9


def test_another_scope_is_another_series() -> None:
    other = DriftSignal(
        "eval_score:x",
        "score",
        "down",
        0.9,
        None,
        None,
        (DriftSeries("reference", SCOPE.family(), (point(1),)),),
    )
    assert [one.role for one in joined(of(point(1)), other).series] == ["arm", "reference"]


@given(
    st.lists(st.integers(0, 20_000), min_size=1, max_size=600, unique=True),
    st.integers(20, 240),
)
def test_thinning_holds_the_bound_and_loses_no_value(minutes: list[int], most: int) -> None:
    points = tuple(point(minute, (minute % 7) / 7) for minute in sorted(minutes))
    thinner = thinned(points, most)
    assert len(thinner) <= most
    assert sum(one.n for one in thinner) == pytest.approx(sum(one.n for one in points))
    assert sum(one.total for one in thinner) == pytest.approx(sum(one.total for one in points))
    ends = [one.minute + one.minutes for one in thinner]
    assert all(end <= later.minute for end, later in zip(ends, thinner[1:], strict=False))


def test_the_last_hour_keeps_its_minutes() -> None:
    points = tuple(point(minute) for minute in range(1000))
    thinner = thinned(points)
    assert [one.minutes for one in thinner if one.minute >= 999 - 60] == [1] * 61
    assert thinner[0].minutes > 1


def test_a_long_incident_stays_within_its_bound_stretch_by_stretch() -> None:
    kept = of(point(0))
    for last in range(5, 3000, 5):
        stretch = of(*(point(minute) for minute in range(max(0, last - 13), last + 1)))
        kept = joined(kept, stretch)
        assert len(kept.series[0].points) <= 240
    assert sum(one.n for one in kept.series[0].points) == 10.0 * 2996


def test_json_gives_the_same_back() -> None:
    before = of(point(1, 1 / 3), point(2, 0.1 + 0.2))
    assert DriftSignal.of_json(json.loads(json.dumps(before.as_json()))) == before
