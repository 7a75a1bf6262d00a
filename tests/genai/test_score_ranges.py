"""Learning which range an evaluation's scores have, and keeping it against what lies outside."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.genai.score_ranges import MAX_NAMES, ScoreRange, ScoreRanges


def learn(*scores: float, is_unit: bool = False) -> ScoreRange | None:
    ranges = ScoreRanges()
    for score in scores:
        ranges.update("r", score, is_unit=is_unit)
    return ranges.get("r")


def bounds(*scores: float) -> tuple[float, float] | None:
    found = learn(*scores)
    return None if found is None else found[:2]


def test_one_fraction_settles_it_and_one_whole_number_does_not() -> None:
    assert learn(0.9) == ScoreRange(0, 1)
    assert learn(-0.2) == ScoreRange(-1, 1)
    assert learn(1) is None
    assert learn(0) is None
    assert learn(4.5) is None
    assert learn(1, is_unit=True) == ScoreRange(0, 1)


def test_zeros_and_ones_settle_it_after_ten_once_both_were_there() -> None:
    assert bounds(*[0, 1, 1] * 3) is None
    assert bounds(*[0, 1, 1] * 3, 1) == (0, 1)
    assert bounds(*[1] * 49) is None
    assert bounds(*[0] * 49) is None


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1], (0, 1)),
        ([0], (0, 1)),
        ([1, 5, 3, 2, 4], (1, 5)),
        ([2, 4], (1, 5)),
        ([1.5, 4.5], (1, 5)),
        ([0, 5], (0, 5)),
        ([7, 8], (0, 10)),
        ([10, 1], (0, 10)),
        ([70, 8], (0, 100)),
        ([-1, 0, 1], (-1, 1)),
        ([700], None),
        ([-3, 3], None),
    ],
)
def test_fifty_whole_numbers_settle_it(
    scores: list[float], expected: tuple[float, float] | None
) -> None:
    many = (scores * 50)[:50]
    assert bounds(*many) == expected
    assert bounds(*many[:49]) is None


def test_once_settled_a_few_outside_or_one_odd_value_change_nothing() -> None:
    assert bounds(0.5, 7, 8) == (0, 1)
    assert bounds(0.5, *[-1] * 200) == (0, 1)
    # Two in fifty, again and again.
    assert bounds(*([0.5] * 48 + [7, 8]) * 20) == (0, 1)


def test_many_different_ones_outside_revise_it() -> None:
    assert learn(0.5, 7, 8, 7) == ScoreRange(0, 10, revision=1)
    assert learn(*[1] * 50, 2, 3, 4) == ScoreRange(1, 5, revision=1)
    assert learn(0.5, 7, 8, 7, 70, 80, 70) == ScoreRange(0, 100, revision=2)
    # No usual range holds these: the one that is known stays.
    assert learn(0.5, 700, 800, 700) == ScoreRange(0, 1)


@given(st.lists(st.floats(-200, 200), min_size=1, max_size=200))
def test_range_holds_every_score_that_counted_and_its_top_never_falls(scores: list[float]) -> None:
    ranges = ScoreRanges()
    counted: list[float] = []
    top = float("-inf")
    for score in scores:
        known = ranges.update("r", score)
        if known is None:
            continue
        assert known.low < known.high
        assert known.high >= top
        top = known.high
        if known.low <= score <= known.high:
            counted.append(score)
        assert all(known.low <= seen <= known.high for seen in counted)


@given(st.lists(st.floats(-200, 200), max_size=120), st.floats(-200, 200))
def test_restored_from_its_state_it_goes_on_as_before(scores: list[float], one: float) -> None:
    ranges = ScoreRanges()
    for score in scores:
        ranges.update("r", score)
    restored = ScoreRanges(ranges.state())
    assert restored.known() == ranges.known()
    assert restored.update("r", one) == ranges.update("r", one)


def test_state_is_plain_and_what_is_none_of_it_is_passed_over() -> None:
    ranges = ScoreRanges()
    ranges.update("r", 0.5)
    state = json.loads(json.dumps(ranges.state()))
    assert ScoreRanges(state).get("r") == ScoreRange(0, 1)
    state |= {"x": {"no_such": 1}, "y": {"low": "a", "high": 2}, "z": [1]}
    assert list(ScoreRanges(state).known()) == ["r"]


def test_names_are_bounded_and_the_first_stay() -> None:
    ranges = ScoreRanges()
    for number in range(5000):
        ranges.update(f"r{number}", 0.5)
    assert len(ranges.state()) == MAX_NAMES
    assert ranges.get("r0") == ScoreRange(0, 1)
    assert ranges.get("r4999") is None
    assert len(ScoreRanges({f"r{n}": {} for n in range(5000)}).state()) == MAX_NAMES
