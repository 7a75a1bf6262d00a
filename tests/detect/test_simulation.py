"""The simulator: its traffic is what it says, its bounds are right, its cells run and resume."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from bench.detect import delays, nulls, scores, signals, tables
from bench.detect.__main__ import CELLS, simulated
from bench.detect.bounds import quantile, rate_bound, share_bounds
from bench.detect.cells import Cell, Combo, combos, joined, steadily
from bench.detect.scenes import alone, beside, replaced
from bench.detect.state import State
from bench.detect.traffic import LATE, Spikes, steady

CELL = {cell.name: cell for cell in CELLS}


# --- traffic --------------------------------------------------------------------------------------


def test_scores_have_the_mean_and_the_spread_of_judges() -> None:
    assert scores.WEIGHTS.sum() == pytest.approx(1.0)
    assert pytest.approx(0.845, abs=1e-3) == 1 - scores.MEAN
    variance = scores.WEIGHTS @ scores.ATOMS**2 - scores.MEAN**2
    assert math.sqrt(variance) == pytest.approx(0.26, abs=1e-3)
    assert (scores.WEIGHTS[0], scores.WEIGHTS[-1]) == (0.60, 0.05)


@pytest.mark.parametrize("drop", [-0.1, -0.02, 0.0, 0.05, 0.15, 0.35, 0.6])
def test_a_drop_is_a_law_with_exactly_that_mean(drop: float) -> None:
    weights = scores.weights(np.array([drop]))[0]
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0)
    assert weights @ scores.ATOMS - scores.MEAN == pytest.approx(drop)


def test_buckets_are_sums_of_so_many_scores() -> None:
    rng = np.random.default_rng(1)
    many = np.full(2_000, 50.0)
    n, s, q = scores.buckets(rng, many, np.full(2_000, 0.05), np.full(2_000, 6.0)).T
    assert n.mean() == pytest.approx(50, rel=0.03)
    assert s.sum() / n.sum() == pytest.approx(scores.MEAN + 0.05, abs=0.01)
    assert (q <= s + 1e-9).all()
    assert (n % 6 == 0).all()
    # Six scores that share an outcome spread a bucket's sum as six times fewer would.
    spread = ((s - n * s.sum() / n.sum()) ** 2).sum() / n.sum()
    variance = q.sum() / n.sum() - (s.sum() / n.sum()) ** 2
    assert spread / variance == pytest.approx(6.0, rel=0.15)


def test_slow_requests_are_one_in_a_hundred_at_twice_the_latency() -> None:
    assert signals.slow_share(2.0) == pytest.approx(0.01, abs=1e-4)
    assert signals.slow_share(1.0) < 0.003 < signals.slow_share(1.6)


def test_tokens_come_as_the_judged_and_the_raw_series() -> None:
    rng = np.random.default_rng(2)
    size = np.full(500, 40.0)
    usual, raw, of_success = signals.TOKEN_COUNTS.draw(rng, size, np.zeros(500), np.ones(500))
    more, raw_more, _ = signals.TOKEN_COUNTS.draw(rng, size, np.ones(500), np.ones(500))
    assert raw[:, 0].sum() > of_success[:, 0].sum() > 0.9 * raw[:, 0].sum()
    ratio = raw_more[:, 1].sum() / raw_more[:, 0].sum() * raw[:, 0].sum() / raw[:, 1].sum()
    assert ratio == pytest.approx(2.0, rel=0.1)
    assert more[:, 1].sum() / more[:, 0].sum() > 1.2 * usual[:, 1].sum() / usual[:, 0].sum()


def test_spikes_last_one_to_three_minutes_on_the_scopes_they_hit() -> None:
    spikes = Spikes(np.random.default_rng(3), np.array([True, False]), 30_000)
    hit = np.array([spikes(float(minute)) for minute in range(30_000)])
    assert not hit[:, 1].any()
    assert spikes.count <= (hit[:, 0] > 0).sum() <= 3 * spikes.count
    assert set(np.unique(hit)) == {0.0, 0.35}


# --- bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "runs", "low", "high"),
    [
        (0, 5_000, 0.0, 0.000599),
        (3, 1_000, 0.000619, 0.008742),
        (5, 10, 0.187086, 0.812914),
        (10, 10, 0.741134, 1.0),
    ],
)
def test_bounds_of_a_share_are_those_of_clopper_and_pearson(
    count: int, runs: int, low: float, high: float
) -> None:
    assert share_bounds(count, runs) == pytest.approx((low, high), abs=1e-6)


def test_a_rate_never_seen_is_below_three_by_its_exposure() -> None:
    assert rate_bound(0, 500) == pytest.approx(3 / 500, rel=0.01)
    assert rate_bound(3, 1) == pytest.approx(8.7673, abs=1e-3)


def test_a_median_of_delays_that_mostly_never_came_is_infinite() -> None:
    assert quantile([3.0, None, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, None, None], 0.5) == math.inf


# --- scenes and cells -----------------------------------------------------------------------------


def test_a_scope_alone_a_canary_and_a_new_version_are_found_and_blamed() -> None:
    rng = np.random.default_rng(4)
    size = 4
    plan = steadily(
        np.full(size, 300.0), np.full(size, 0.15), minutes=30, warm_minutes=60,
        control_per_minute=steady(np.full(size, 900.0)),
    )  # fmt: skip
    for scene, may_roll_back in ((alone, False), (beside, True), (replaced, True)):
        outcomes = scene(plan, rng)
        assert all(one.page is not None and one.page <= 20 for one in outcomes)
        assert all((one.rollback == one.page) is may_roll_back for one in outcomes)
        assert not any(one.early for one in outcomes)


def test_a_canary_that_changes_nothing_is_silent_though_its_scores_come_late() -> None:
    one = np.ones(20)
    plan = steadily(
        30 * one, 0 * one, minutes=240, warm_minutes=60, control_per_minute=steady(90 * one),
        lateness=LATE, usual=lambda minute: one * (0.06 if minute > 150 else 0.0),
    )  # fmt: skip
    outcomes = beside(plan, np.random.default_rng(5))
    assert all(found.rollback is None for found in outcomes)


def test_a_chunk_is_simulated_once_and_always_the_same(tmp_path: Path) -> None:
    cell = CELL["rollouts-canary-spike-10-scored-s"]
    first = simulated(State(tmp_path, 0.01), cell, 1, 0.01, "here")
    assert first.combos == cell.run(1, 0.01)
    assert first.combos[0].runs == 5
    broken = Cell(cell.name, 2, lambda *_: pytest.fail("it was run again"))
    assert simulated(State(tmp_path, 0.01), broken, 1, 0.01, "here") == first
    assert State(tmp_path, 0.01).known(cell, 0) is None
    assert State(tmp_path, 0.5).known(cell, 1) is None


def test_null_rollouts_may_take_the_place_of_a_version_at_once() -> None:
    cell = CELL["rollouts-replaced-200-s"]
    (found,) = cell.run(0, 0.004)
    assert (cell.chunks * 500, found.label, found.runs) == (5_000, "replaced 200/s", 2)
    assert found.rollback == [None, None]


def test_the_tables_tell_what_misses() -> None:
    def found(label: str, delay: float | None) -> dict[str, Combo]:
        return {label: Combo(label, [delay] * 20, [delay] * 20, [delay] * 20, 1, 0)}

    good = {
        "history": found(delays.label(30.0, 0.09), 20.0),
        "rollouts-iid-3-min": found("iid 3/min", None),
    }
    shown = tables.Tables(good)
    assert "20" in shown.text()
    assert shown.misses == []
    bad = {
        "months": found(nulls.month_label("mix", 3.0), 5.0),
        "rollouts-iid-3-min": found("iid 3/min", 5.0),
        "rollouts-replaced-3-min": found("replaced 3/min", 5.0),
        "history": found(delays.label(30.0, 0.09), None),
        "start": found(delays.label(30.0, 0.03), 100.0),
    }
    shown = tables.Tables(bad)
    shown.text()
    for words in (
        "false pages", "rollouts: iid 3/min", "rollouts: replaced 3/min", "missed in 20 of 20",
        "three points", "27",
    ):  # fmt: skip
        assert any(words in miss for miss in shown.misses), words


def test_chunks_put_together_are_one_table() -> None:
    parts = [[Combo("a", [1.0], [None], [None], 1, 0)], [Combo("a", [2.0], [3.0], [None], 2, 1)]]
    assert joined(parts)["a"] == Combo("a", [1.0, 2.0], [None, 3.0], [None, None], 3, 1)
    assert parts[0][0].runs == 1


def test_outcomes_are_told_apart_by_their_labels() -> None:
    one = np.ones(4)
    plan = steadily(600 * one, np.array([0.0, 0.0, 0.3, 0.3]), minutes=15, warm_minutes=45)
    good, bad = combos(["good", "bad"], alone(plan, np.random.default_rng(6)), 2)
    assert (good.page, good.look) == ([None, None], [None, None])
    assert all(delay is not None for delay in bad.page)
