"""The kernels against a slow scalar reference, and the properties that make them valid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.detect.kernels import (
    BETS,
    LAMBDAS,
    ODDS,
    mean_one_sample,
    mean_two_sample,
    psi,
    rate_one_sample,
    rate_two_sample,
)
from tripswitch.detect.nulls import events_of
from tripswitch.windows.rings import Floats

badness = st.floats(0, 1)
arm = st.lists(badness, min_size=1, max_size=12)
trials = st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
probability = st.floats(1e-4, 0.999)


def stats_of(values: list[float]) -> tuple[Floats, Floats, Floats]:
    """Return (n, s, q) of values as columns of one row."""
    column = np.array(values)
    return (
        np.array([float(len(values))]),
        np.array([math.fsum(values)]),
        np.array([float((column * column).sum())]),
    )


def column(value: float) -> Floats:
    """Return a column of one row."""
    return np.array([float(value)])


def scalar_psi(x: float) -> float:
    return -math.log(1 - x) - x


def slow_mean_one_sample(values: list[float], m0: float, bet: float) -> float:
    """Return the increment value by value, from the formula of one observation."""
    m0 = max(m0, 0.001)
    stake = min(bet, 0.9 / m0)
    return math.fsum(
        stake * (y - m0) - scalar_psi(stake * m0) / m0**2 * (y - m0) ** 2 for y in values
    )


def slow_mean_two_sample(
    xs: list[float], ys: list[float], centre: float, tolerance: float, bet: float
) -> float:
    """Return the increment value by value, each observation centred, weighted and bounded."""
    nx, ny = len(xs), len(ys)
    ax, ay = ny / (nx + ny), nx / (nx + ny)
    shifted = centre + tolerance
    bound = max(ax * shifted, ay * (1 - centre), 0.001)
    stake = min(bet, 0.9 / bound)
    penalty = scalar_psi(stake * bound) / bound**2
    centred = [ax * (x - shifted) for x in xs] + [-ay * (y - centre) for y in ys]
    return math.fsum(stake * item - penalty * item**2 for item in centred)


def slow_rate_one_sample(n: int, k: int, p0: float, odds: float) -> float:
    shifted = odds * p0 / (1 - p0)
    p1 = min(max(shifted / (1 + shifted), 1e-6), 1 - 1e-6)
    return k * math.log(p1 / p0) + (n - k) * math.log((1 - p1) / (1 - p0))


def slow_rate_two_sample(x: tuple[int, int], y: tuple[int, int], rate: float, odds: float) -> float:
    (nx, kx), (ny, ky) = x, y
    py = min(max(rate, 1e-5), 1 - 1e-5)
    shifted = odds * py / (1 - py)
    px = min(max(shifted / (1 + shifted), 1e-6), 1 - 1e-6)
    pooled = (nx * px + ny * py) / (nx + ny)
    return (
        kx * math.log(px / pooled)
        + (nx - kx) * math.log((1 - px) / (1 - pooled))
        + ky * math.log(py / pooled)
        + (ny - ky) * math.log((1 - py) / (1 - pooled))
    )


@given(arm, badness)
def test_mean_one_sample_is_the_formula(values: list[float], m0: float) -> None:
    found = mean_one_sample(*stats_of(values), column(m0))[0]
    wanted = [slow_mean_one_sample(values, m0, bet) for bet in LAMBDAS]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


@given(arm, arm, badness, st.floats(0, 0.1))
def test_mean_two_sample_is_the_formula(
    xs: list[float], ys: list[float], centre: float, tolerance: float
) -> None:
    centre = min(centre, 1 - tolerance)
    found = mean_two_sample(stats_of(xs), stats_of(ys), column(centre), column(tolerance))[0]
    wanted = [slow_mean_two_sample(xs, ys, centre, tolerance, bet) for bet in LAMBDAS]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


@given(trials, probability)
def test_rate_one_sample_is_the_formula(nk: tuple[int, int], p0: float) -> None:
    found = rate_one_sample(column(nk[0]), column(nk[1]), column(p0))[0]
    wanted = [slow_rate_one_sample(*nk, p0, odds) for odds in ODDS]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@given(trials, trials, probability)
def test_rate_two_sample_is_the_formula(
    x: tuple[int, int], y: tuple[int, int], rate: float
) -> None:
    found = rate_two_sample(column(x[0]), column(x[1]), column(y[0]), column(y[1]), column(rate))[0]
    wanted = [slow_rate_two_sample(x, y, rate, odds) for odds in ODDS]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@given(arm, arm, st.floats(0.01, 0.98), st.integers(2, 50))
def test_copies_of_one_bucket_grow_linearly(
    xs: list[float], ys: list[float], null: float, copies: int
) -> None:
    def times(stats: tuple[Floats, Floats, Floats]) -> tuple[Floats, Floats, Floats]:
        n, s, q = stats
        return n * copies, s * copies, q * copies

    x, y = stats_of(xs), stats_of(ys)
    at, tolerance = column(null), column(0.01)
    for once, many in (
        (mean_one_sample(*x, at), mean_one_sample(*times(x), at)),
        (mean_two_sample(x, y, at, tolerance), mean_two_sample(times(x), times(y), at, tolerance)),
        (rate_one_sample(x[0], x[1], at), rate_one_sample(times(x)[0], times(x)[1], at)),
        (
            rate_two_sample(x[0], x[1], y[0], y[1], at),
            rate_two_sample(times(x)[0], times(x)[1], times(y)[0], times(y)[1], at),
        ),
    ):
        np.testing.assert_allclose(many, copies * once, rtol=1e-7, atol=1e-7)


@given(arm.flatmap(lambda values: st.tuples(st.just(values), st.permutations(values))), arm)
def test_the_order_inside_a_stratum_does_not_matter(
    both: tuple[list[float], list[float]], ys: list[float]
) -> None:
    values, shuffled = both
    for one, other in (
        (
            mean_one_sample(*stats_of(values), column(0.1)),
            mean_one_sample(*stats_of(shuffled), column(0.1)),
        ),
        (
            mean_two_sample(stats_of(values), stats_of(ys), column(0.1), column(0.01)),
            mean_two_sample(stats_of(shuffled), stats_of(ys), column(0.1), column(0.01)),
        ),
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@given(
    st.integers(1, 10**7),
    st.integers(1, 10**7),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(-0.5, 0.5),
)
def test_no_bucket_gives_nan(
    nx: int, ny: int, share_x: float, share_y: float, centre: float, tolerance: float
) -> None:
    x = (column(nx), column(nx * share_x), column(nx * share_x))
    y = (column(ny), column(ny * share_y), column(ny * share_y))
    for increments in (
        mean_one_sample(*x, column(centre)),
        mean_two_sample(x, y, column(centre), column(tolerance)),
        rate_one_sample(x[0], x[1], column(centre)),
        rate_two_sample(x[0], x[1], y[0], y[1], column(centre)),
    ):
        assert np.isfinite(increments).all()


@given(st.floats(0, 0.95))
def test_psi_is_the_formula(x: float) -> None:
    assert psi(column(x))[0] == pytest.approx(scalar_psi(x), abs=1e-12)


@pytest.mark.parametrize("empty", ["suspect", "control", "both"])
def test_an_empty_arm_says_nothing(empty: str) -> None:
    none, some = (column(0),) * 3, (column(20), column(15), column(14))
    x = none if empty in ("suspect", "both") else some
    y = none if empty in ("control", "both") else some
    assert (mean_two_sample(x, y, column(0.1), column(0.01)) == 0).all()
    assert (rate_two_sample(x[0], x[1], y[0], y[1], column(0.1)) == 0).all()


@given(arm)
def test_mirrored_sums_are_the_sums_of_one_minus_y(values: list[float]) -> None:
    n, s, _ = stats_of(values)
    _, wanted, _ = stats_of([1 - value for value in values])
    np.testing.assert_allclose(events_of(n, s, np.array([True])), wanted, atol=1e-12)
    assert events_of(n, s, np.array([False])) == s


@given(trials, trials, probability)
def test_a_fall_is_a_rise_of_the_mirrored_events(
    x: tuple[int, int], y: tuple[int, int], rate: float
) -> None:
    fallen = rate_two_sample(
        column(x[0]), column(x[0] - x[1]), column(y[0]), column(y[0] - y[1]), column(1 - rate)
    )
    nx, kx, ny, ky = map(column, (*x, *y))
    is_turned = np.array([True])
    again = rate_two_sample(
        nx, events_of(nx, kx, is_turned), ny, events_of(ny, ky, is_turned), column(1 - rate)
    )
    np.testing.assert_allclose(fallen, again)


@given(
    st.lists(badness, min_size=2, max_size=5),
    st.integers(1, 4),
    st.integers(1, 4),
    st.floats(0.01, 0.98),
)
def test_a_bet_expects_at_most_one_when_both_arms_share_a_law(
    support: list[float], nx: int, ny: int, centre: float
) -> None:
    """Enumerate every outcome of a small stratum drawn from one law: E[exp(logL)] <= 1."""
    values = np.array(support)
    size = len(values)
    outcomes = np.stack(
        np.meshgrid(*[np.arange(size)] * min(nx + ny, 5), indexing="ij"), axis=-1
    ).reshape(-1, min(nx + ny, 5))
    nx = min(nx, outcomes.shape[1] - 1)
    drawn = values[outcomes]
    x, y = drawn[:, :nx], drawn[:, nx:]

    def stats(part: Floats) -> tuple[Floats, Floats, Floats]:
        n = np.full(len(part), float(part.shape[1]))
        return n, part.sum(axis=1), (part * part).sum(axis=1)

    at = np.full(len(drawn), centre)
    means = mean_two_sample(stats(x), stats(y), at, np.zeros(len(drawn)))
    assert (np.exp(means).mean(axis=0) <= 1 + 1e-9).all()
    ones = (drawn > np.median(values)).astype(float)
    rates = rate_two_sample(*stats(ones[:, :nx])[:2], *stats(ones[:, nx:])[:2], at)
    assert (np.exp(rates).mean(axis=0) <= 1 + 1e-9).all()
    null = np.full(len(drawn), values.mean())
    one = mean_one_sample(*stats(x), null)
    assert (np.exp(one).mean(axis=0) <= 1 + 1e-9).all()


def test_every_kernel_has_as_many_bets() -> None:
    ones = np.ones(3)
    for found in (
        mean_one_sample(ones, ones, ones, ones / 2),
        mean_two_sample((ones, ones, ones), (ones, ones, ones), ones / 2, ones / 100),
        rate_one_sample(ones, ones, ones / 2),
        rate_two_sample(ones, ones, ones, ones, ones / 2),
    ):
        assert found.shape == (3, BETS)
