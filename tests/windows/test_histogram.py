"""The histogram's quantiles against numpy's, within the resolution of its cuts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tripswitch.windows.histogram import LATENCY_CUTS_S, TOKEN_CUTS, Histogram
from tripswitch.windows.rings import Floats


def filled(values: Floats, cuts: Floats = LATENCY_CUTS_S, row: int = 0) -> Histogram:
    histogram = Histogram(cuts, capacity=4)
    histogram.add(np.full(len(values), row), values)
    return histogram


@given(
    st.integers(0, 10**6),
    st.integers(1_000, 5_000),
    st.floats(-5, 2),
    st.floats(0.1, 1.5),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_quantiles_lie_within_one_cut(
    seed: int, size: int, location: float, spread: float, share: float
) -> None:
    values = np.random.default_rng(seed).lognormal(location, spread, size)
    values = np.clip(values, LATENCY_CUTS_S[0] * 1.01, LATENCY_CUTS_S[-2])
    found = filled(values).quantile(0, share)
    assert found is not None
    # The value may be anywhere in the cut that holds the order statistic.
    lower, upper = np.quantile(values, share, method="inverted_cdf") * np.array([1 / 1.25, 1.25])
    assert lower * 0.999 <= found <= upper * 1.001


@given(st.integers(0, 10**6), st.integers(20, 999))
def test_a_tail_of_few_values_is_not_taken_too_low(seed: int, size: int) -> None:
    values = np.random.default_rng(seed).lognormal(0.0, 0.5, size)
    found = filled(values).quantile(0, 0.99)
    assert found is not None
    rank = min(int(np.ceil(0.99 * size + 1)), size) - 1
    assert found >= np.sort(values)[rank] / 1.25
    assert found <= values.max() * 1.25


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99, 1.0])
def test_one_value_repeated_is_its_own_quantile(share: float) -> None:
    found = filled(np.full(2_000, 0.8)).quantile(0, share)
    assert found == pytest.approx(0.8, rel=0.25)


def test_values_beyond_the_cuts_stay_at_the_ends() -> None:
    assert filled(np.array([0.0, 1e-9, -1.0])).quantile(0, 0.5) == LATENCY_CUTS_S[0]
    assert filled(np.full(10, 1e12)).quantile(0, 0.5) == pytest.approx(LATENCY_CUTS_S[-1])
    assert filled(np.full(10, 1e300), TOKEN_CUTS).quantile(0, 0.9) == pytest.approx(TOKEN_CUTS[-1])


def test_cuts_cover_what_is_said_of_them() -> None:
    assert LATENCY_CUTS_S[0] == 0.001
    assert LATENCY_CUTS_S[-1] > 20 * 60
    assert TOKEN_CUTS[0] == 4
    assert TOKEN_CUTS[-1] > 5e6
    assert (np.diff(TOKEN_CUTS) > 0).all()


def test_nothing_has_no_quantile() -> None:
    assert filled(np.array([])).quantile(0, 0.99) is None
    assert filled(np.array([])).total(0) == 0


def test_decay_spares_frozen_rows_and_keeps_quantiles() -> None:
    histogram = filled(np.linspace(0.1, 2.0, 4_000))
    histogram.add(np.full(4_000, 1), np.linspace(0.1, 2.0, 4_000))
    before = histogram.quantile(0, 0.9)
    frozen = np.array([False, True, False, False])
    for _ in range(347):
        histogram.decay(frozen)
    assert histogram.total(0) == pytest.approx(2_000, rel=0.01)
    assert histogram.total(1) == 4_000
    assert histogram.quantile(0, 0.9) == pytest.approx(before)


def test_growing_and_clearing_touch_no_other_row() -> None:
    histogram = filled(np.full(5, 0.5), row=2)
    histogram.reserve(100)
    histogram.add(np.array([99]), np.array([0.7]))
    histogram.clear(2)
    assert histogram.total(2) == 0
    assert histogram.total(99) == 1
    assert len(histogram.counts) >= 100


@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(0.0005, 3_000), max_size=40),
            st.sampled_from((1.0, 0.998, 24.95)),
            st.tuples(st.integers(0, 63), st.integers(0, 63)),
        ),
        min_size=1,
        max_size=6,
    )
)
@example([([0.5] * 100, 10.0, (28, 28)), ([0.0001] * 3, 1.0, (0, 0)), ([9e9], 1.0, (63, 63))])
def test_what_is_surely_within_two_cuts_is(
    rows: list[tuple[list[float], float, tuple[int, int]]],
) -> None:
    histogram = Histogram(LATENCY_CUTS_S, capacity=len(rows))
    for row, (values, weight, _) in enumerate(rows):
        histogram.add(np.full(len(values), row), np.array(values))
        histogram.counts[row] *= weight
    each = np.arange(len(rows))
    lowest, highest = np.sort(np.array([cuts for _, _, cuts in rows]), axis=1).T
    found = histogram.quantiles(each, 0.99)
    surely = histogram.surely_within(each, 0.99, lowest, highest)
    at_least = np.where(lowest > 0, LATENCY_CUTS_S[np.maximum(lowest - 1, 0)], 0.0)
    slack = 1 + 1e-9
    within = (at_least <= found * slack) & (found <= LATENCY_CUTS_S[highest] * slack)
    assert (within | np.isnan(found))[surely].all()
    # And it is said wherever it is plain: with a cut to spare on either side.
    wider = histogram.surely_within(
        each, 0.99, np.maximum(lowest - 1, 0), np.minimum(highest + 1, 63)
    )
    usual = np.abs(histogram.totals(each) - 1000) > 1e-3
    assert wider[(within | np.isnan(found)) & usual].all()


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just("add"),
                st.lists(
                    st.tuples(
                        st.lists(st.integers(-1, 5), min_size=3, max_size=3),
                        st.sampled_from([0.0005, 0.3, 7.0, 1e9, float("nan")]),
                    ),
                    max_size=9,
                ),
            ),
            st.tuples(st.just("add one"), st.tuples(st.integers(0, 5), st.just(0.3))),
            st.tuples(st.just("reserve"), st.integers(6, 40)),
            st.tuples(st.just("clear"), st.integers(0, 5)),
            st.tuples(st.just("decay"), st.integers(0, 5)),
            st.tuples(st.just("pass"), st.integers(1, 3)),
        ),
        max_size=12,
    )
)
def test_what_waits_counts_as_if_it_had_been_counted_at_once(story: list[tuple[str, Any]]) -> None:
    waiting, at_once = Histogram(LATENCY_CUTS_S, capacity=6), Histogram(LATENCY_CUTS_S, capacity=6)
    for what, detail in story:
        if what == "add":
            rows = np.array([some for some, _ in detail], dtype=np.int64).reshape(-1, 3)
            waiting.add_widely(rows, np.array([value for _, value in detail]))
            add_one_by_one(at_once, detail)
            continue
        for histogram in (waiting, at_once):
            if what == "add one":
                histogram.add(np.array([detail[0]]), np.array([detail[1]]))
            elif what == "reserve":
                histogram.reserve(detail)
            elif what == "clear":
                histogram.clear(detail)
            elif what == "decay":
                histogram.decay(np.arange(len(histogram.counts)) == detail)
            else:
                histogram.pass_minutes(detail)
    assert waiting.counts.tobytes() == at_once.counts.tobytes()


def add_one_by_one(histogram: Histogram, wide: list[tuple[list[int], float]]) -> None:
    for rows, value in wide:
        for row in rows if value == value else ():
            if row >= 0:
                before = histogram.counts[row].sum()
                histogram.add(np.array([row]), np.array([value]))
                assert histogram.counts[row].sum() > before
