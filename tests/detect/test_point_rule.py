"""The point rule: windows that adapt, estimates that know their own error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.detect.point_rule import (
    WINDOWS,
    Read,
    Reading,
    Reference,
    read_means,
    read_ratios,
    sure_window,
    whole_window,
)
from tripswitch.detect.reader import Reader
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.windows.rings import Floats, Rings, Rows

MINUTE = 29_000_000
NO, YES = np.array([False]), np.array([True])
NO_WHOLE = np.array([-1], dtype=np.int64)
ONE = np.ones(1)


def rings_with(series: dict[int, Floats], minute: int = MINUTE) -> Rings:
    rings = Rings(8)
    rings.advance(minute * NS_PER_MINUTE)
    for row, values in series.items():
        rings.add(np.full(len(values), row), np.full(len(values), minute), values)
    return rings


def against(row: int = -1, mean: float = 0.0, error: float = 0.0, samples: float = 0) -> Reference:
    return Reference(np.array([row]), ONE * mean, ONE * error, ONE * samples)


def reading(estimate: float, error: float, samples: float, usual_samples: float = 0) -> Reading:
    zero = np.zeros(1)
    return Reading(
        ONE * estimate, ONE * error, zero, zero, ONE * samples, zero, ONE * usual_samples
    )


def reader(
    rings: Rings, rows: Rows, control: Rows, fewest: Floats, fewest_events: Floats
) -> Reader:
    """Return what reads plain means, against ``control`` or a large baseline where that is -1."""
    no, one = np.zeros(len(rows), dtype=np.bool_), np.ones(len(rows))
    reference = Reference(control, 0 * one, 0 * one, 10_000 * one)
    return Reader(
        rings,
        series=rows,
        means=reference,
        mirrored=no,
        effect=one,
        is_ratio=no,
        of_ratios=[],
        ratios=reference,
        fewest=fewest,
        fewest_events=fewest_events,
        by_control=control >= 0,
    )


def reads(readings: list[Reading]) -> Read:
    """Return what reads one of ``readings`` by its window; the larger windows are like the last."""

    def read(window: str, at: Rows) -> Reading:
        return readings[min(WINDOWS.index(window), len(readings) - 1)].at(at)

    return read


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=30),
    st.lists(st.floats(0, 1), min_size=2, max_size=30),
    st.floats(1, 20),
)
def test_a_mean_is_read_with_its_error(xs: list[float], ys: list[float], effect: float) -> None:
    x, y = np.array(xs), np.array(ys)
    rings = rings_with({0: x, 1: y})
    found = read_means(rings, "15m", np.array([0]), against(1), NO, ONE * effect)
    assert found.estimate[0] == pytest.approx(x.mean() - y.mean(), abs=1e-9)
    error2 = effect * (x.var() / len(x) + y.var() / len(y))
    assert found.standard_error[0] ** 2 == pytest.approx(error2, abs=1e-9)
    assert (found.samples[0], found.usual_samples[0]) == (len(x), len(y))
    assert found.events[0] == pytest.approx(x.sum(), abs=1e-9)
    base = read_means(
        rings, "15m", np.array([0]), against(mean=0.3, error=0.1, samples=900), NO, ONE
    )
    assert base.estimate[0] == pytest.approx(x.mean() - 0.3, abs=1e-9)
    assert base.standard_error[0] ** 2 == pytest.approx(x.var() / len(x) + 0.01, abs=1e-9)
    assert base.usual_samples[0] == 900


@pytest.mark.parametrize("events", [1, 2, 3, 5])
def test_events_are_as_many_as_there_were(events: int) -> None:
    for size in range(events, 400):
        happened = np.zeros(size)
        happened[:events] = 1.0
        rings = rings_with({0: happened, 1: 1.0 - happened})
        for row, mirrored in ((0, NO), (1, YES)):
            found = read_means(rings, "15m", np.array([row]), against(), mirrored, ONE)
            assert found.events[0] == events


def test_what_is_rare_is_looked_for_alike_in_few_rows_and_in_many() -> None:
    rng = np.random.default_rng(5)
    rings, rows = Rings(2048), np.arange(1200)
    rings.advance(MINUTE * NS_PER_MINUTE)
    for ago in (1100, 250, 50, 5, 0):
        rings.advance((MINUTE + 1200 - ago) * NS_PER_MINUTE)
        n, leaks = rng.integers(1, 30, len(rows)), rng.integers(0, 2, len(rows))
        values = np.zeros(n.sum())
        values[np.cumsum(n)[leaks > 0] - 1] = 1.0
        minutes = np.full(len(values), rings.now_minute)
        rings.add(np.repeat(rows, n), minutes, values)
    fewest = rng.integers(1, 80, len(rows)).astype(np.float64)
    events = rng.integers(0, 4, len(rows)).astype(np.float64)

    def chosen(some: Rows) -> list[list[float]]:
        none = np.full(len(some), -1)
        found = reader(rings, some, none, fewest[some], events[some]).choose()
        return [
            found.window.tolist(),
            found.reading.samples.tolist(),
            found.reading.events.tolist(),
        ]

    pieces = [chosen(some) for some in np.split(rows, 12)]
    together = [[value for piece in pieces for value in piece[column]] for column in range(3)]
    assert chosen(rows) == together
    assert set(together[0]) == {-1, 0, 1, 2, 3}


def test_a_mirrored_rate_is_worse_when_it_falls() -> None:
    rings = rings_with({0: np.array([0.0] * 9 + [1.0])})
    found = read_means(rings, "15m", np.array([0]), against(mean=0.3, samples=900), YES, ONE)
    assert found.estimate[0] == pytest.approx(0.2)
    assert found.value[0] == pytest.approx(0.1)
    assert found.events[0] == pytest.approx(9)


def ratio_of(tokens: Floats, success: Floats) -> float:
    return float(tokens.sum() / success.sum())


def test_the_error_of_a_ratio_is_the_bootstraps() -> None:
    rng = np.random.default_rng(1)
    size = 400
    tokens = np.round(rng.lognormal(6, 0.6, size))
    success = (rng.random(size) < 0.85).astype(np.float64)
    other, other_success = np.round(rng.lognormal(5.8, 0.6, size)), np.ones(size)
    rings = rings_with({0: tokens, 1: tokens[success > 0], 2: other, 3: other[other_success > 0]})
    raw, of_success, control, control_of_success = (np.array([row]) for row in range(4))
    found = read_ratios(rings, "15m", raw, of_success, control, control_of_success, against(2))
    plain = ratio_of(tokens, success) / ratio_of(other, other_success)
    assert found.estimate[0] == pytest.approx(plain - 1)
    draws = []
    for _ in range(2_000):
        pick, pick_other = rng.integers(0, size, size), rng.integers(0, size, size)
        draws.append(
            ratio_of(tokens[pick], success[pick])
            / ratio_of(other[pick_other], other_success[pick_other])
        )
    assert found.standard_error[0] == pytest.approx(np.std(draws), rel=0.1)


def test_a_ratio_without_successes_or_reference_is_no_number_to_fear() -> None:
    rings = rings_with({0: np.array([100.0, 200.0])})
    nothing = np.array([5])
    for reference in (against(5), against(mean=0.0), against(mean=400.0, samples=500)):
        found = read_ratios(rings, "15m", np.array([0]), nothing, nothing, nothing, reference)
        assert np.isfinite(found.estimate).all()
        assert np.isfinite(found.standard_error).all()
        assert found.estimate[0] <= 0


def test_the_smallest_window_with_enough_samples_is_chosen() -> None:
    rings = Rings(4)
    for minute in range(0, 600, 5):
        rings.advance((MINUTE + minute) * NS_PER_MINUTE)
        rings.add(np.array([0, 1, 1]), np.full(3, MINUTE + minute), np.zeros(3))
    for control, fewest, wanted in (
        (-1, 3, 0),
        (-1, 9, 1),
        (-1, 40, 2),
        (-1, 100, 3),
        (-1, 1_000, -1),
        (1, 3, 0),
        # The control holds none at all.
        (2, 3, -1),
    ):
        found = reader(rings, np.array([0]), np.array([control]), ONE * fewest, 0 * ONE).choose()
        assert found.window[0] == wanted, (control, fewest)


@pytest.mark.parametrize(
    ("readings", "wanted"),
    [
        ([reading(0.06, 0.005, 60), reading(0.06, 0.005, 200)], 0),
        # A day is looked at afresh once a day only.
        ([reading(0.06, 0.0105, 200)] * 4, 3),
        ([reading(0.06, 0.0126, 200)] * 4, -1),
        # Over the line, but its own error reaches below 0.7 of it.
        ([reading(0.06, 0.010, 60), reading(0.06, 0.005, 200)], 1),
        ([reading(0.06, 0.010, 60), reading(0.049, 0.001, 200)], -1),
        # Too few samples, however sure.
        ([reading(0.20, 0.001, 49), reading(0.01, 0.001, 200)], -1),
        ([reading(0.035, 0.0, 60), reading(0.0, 0.0, 200)], -1),
    ],
)
def test_sure_needs_line_error_and_samples_in_one_window(
    readings: list[Reading], wanted: int
) -> None:
    _, index = sure_window(reads(readings), ONE * 0.05, ONE * 50, NO, NO_WHOLE)
    assert index[0] == wanted


def test_the_window_of_a_whole_life_is_sure_sooner() -> None:
    """Evidence has been sure of the whole already; parts of it are picked from many."""
    readings = [reading(0.06, 0.012, 200)] * 3 + [reading(0.0, 0.012, 200)]
    for whole, wanted in ((-1, -1), (2, 2), (3, -1)):
        _, index = sure_window(
            reads(readings), ONE * 0.05, ONE * 50, NO, np.array([whole], dtype=np.int64)
        )
        assert index[0] == wanted


def test_windows_that_are_looked_at_anew_more_often_have_to_be_surer() -> None:
    for error, wanted in ((0.007, 0), (0.0075, 1), (0.0095, 2), (0.0105, 3), (0.013, -1)):
        readings = [reading(0.06, error, 200)] * 4
        _, index = sure_window(reads(readings), ONE * 0.05, ONE * 50, NO, NO_WHOLE)
        assert index[0] == wanted


def test_a_whole_is_a_window_of_its_own_after_an_hour_and_for_a_day() -> None:
    ages = np.array([0, 60, 61, 360, 361, 1440, 1441])
    assert whole_window(ages).tolist() == [-1, -1, 2, 2, 3, 3, -1]


def test_sure_needs_samples_of_the_control_too() -> None:
    enough = [reading(0.2, 0.001, 60, usual_samples=60)]
    few = [reading(0.2, 0.001, 60, usual_samples=49)]
    assert sure_window(reads(enough), ONE * 0.05, ONE * 50, YES, NO_WHOLE)[1][0] == 0
    assert sure_window(reads(few), ONE * 0.05, ONE * 50, YES, NO_WHOLE)[1][0] == -1
