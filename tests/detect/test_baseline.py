"""Baselines from moments against direct formulas, and the nulls built on them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.detect.baseline import (
    Baseline,
    from_moments,
    of_version_before,
    own_history,
)
from tripswitch.detect.nulls import null_means
from tripswitch.detect.signals import Kind
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.windows.rings import Floats, Rings

START_MINUTE = 29_925_600

blocks_of = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=8), min_size=1, max_size=20)


def moments(blocks: list[list[float]]) -> Floats:
    """Return the six moment columns of blocks of values, as one row."""
    total = np.zeros(6)
    for block in blocks:
        n, s = float(len(block)), math.fsum(block)
        total += [n, s, math.fsum(value * value for value in block), s * s, s * n, n * n]
    return total[None, :]


@given(blocks_of)
def test_a_baseline_is_the_direct_formula(blocks: list[list[float]]) -> None:
    values = np.array([value for block in blocks for value in block])
    mean, variance = values.mean(), values.var()
    between = sum((math.fsum(block) - len(block) * mean) ** 2 for block in blocks)
    found = from_moments(moments(blocks))
    assert found.samples[0] == len(values)
    assert found.mean[0] == pytest.approx(mean)
    assert found.variance[0] == pytest.approx(variance, abs=1e-9)
    wanted = max(math.sqrt(between) / len(values), math.sqrt(variance / len(values)))
    assert found.standard_error[0] == pytest.approx(wanted, abs=1e-6)


def test_sessions_raise_the_standard_error_and_the_design_effect() -> None:
    rng = np.random.default_rng(1)
    alone = [rng.integers(0, 2, 12).astype(float).tolist() for _ in range(300)]
    sessions = [np.repeat(rng.integers(0, 2, 2), 6).astype(float).tolist() for _ in range(300)]
    independent, clustered = from_moments(moments(alone)), from_moments(moments(sessions))
    assert independent.design_effect[0] == pytest.approx(1.0, abs=0.3)
    assert clustered.design_effect[0] == pytest.approx(6.0, rel=0.25)
    ratio = clustered.standard_error[0] / independent.standard_error[0]
    assert ratio == pytest.approx(math.sqrt(6), rel=0.2)


def test_the_design_effect_is_bounded_and_needs_blocks() -> None:
    swinging = [[0.0] * 100, [1.0] * 100] * 10
    assert from_moments(moments(swinging)).design_effect[0] == 20
    assert from_moments(moments(swinging[:4])).design_effect[0] == 1


def test_nothing_is_no_baseline() -> None:
    found = from_moments(np.zeros((2, 6)))
    assert (found.samples == 0).all()
    assert np.isfinite(found.standard_error).all()
    assert (found.design_effect == 1).all()


def test_the_same_hour_counts_once_the_table_is_known() -> None:
    rings = Rings(2)
    rings.learn_by_hour(0)
    night, day = 3, 14
    for hour, mean, count in ((night, 0.3, 600), (day, 0.1, 2_400)):
        rings.hours_of(0)[hour] = [
            count,
            mean * count,
            mean * count,
            (mean * count) ** 2,
            mean * count * count,
            count * count,
        ]
    row = np.array([0])
    at_night = own_history(rings, row, 24 * 1_000 + night, 200)
    by_day = own_history(rings, row, 24 * 1_000 + day, 200)
    elsewhen = own_history(rings, row, 24 * 1_000 + 20, 200)
    whole = (0.3 * 600 + 0.1 * 2_400) / 3_000
    assert elsewhen.mean[0] == pytest.approx(whole)
    assert at_night.mean[0] == pytest.approx((180 + 200 * whole) / 800)
    assert by_day.mean[0] == pytest.approx((240 + 200 * whole) / 2_600)
    # Before that, the moments of the last hours.
    young = own_history(rings, np.array([1]), night, 200)
    assert young.samples[0] == 0


def test_an_hour_counts_as_far_as_hours_differ_by_more_than_chance() -> None:
    """Else each would bring an error of its own, which no window's standard error knows of."""
    rng = np.random.default_rng(12)
    hours, count, usual, swing = 24, 1_800, 0.15, 0.014
    found = {}
    for name, apart, each in (("alike", 0.0, 1), ("sessions", 0.0, 6), ("apart", swing, 1)):
        rings = Rings(40)
        means = usual + apart * math.sqrt(2) * np.sin(2 * np.pi * np.arange(hours) / hours)
        for row in range(40):
            rings.learn_by_hour(row)
            events = rng.binomial(count // each, means).astype(np.float64) * each
            n = np.full(hours, float(count))
            columns = [n, events, events, events * events, events * n, n * n]
            rings.hours_of(row)[:] = np.stack(columns, axis=-1)
            # Of minutes, which say how values hang together.
            blocks = rng.binomial(30 // each, usual, 300).astype(np.float64) * each
            rings.moments[row] = [
                30 * 300, blocks.sum(), blocks.sum(),
                (blocks**2).sum(), 30 * blocks.sum(), 900 * 300,
            ]  # fmt: skip
        rows = np.arange(40)
        errors = [own_history(rings, rows, hour, 200).mean - means[hour] for hour in range(hours)]
        found[name] = float(np.sqrt(np.mean(np.square(errors))))
    chance = math.sqrt(usual * (1 - usual) / count)
    # Of the whole it is a fifth, 1 / sqrt(24).
    assert found["alike"] < 0.45 * chance
    assert found["sessions"] < 0.45 * math.sqrt(6) * chance
    # Where they do differ an hour is nearer to its own truth than the whole is, and than alone.
    assert found["apart"] < chance < swing


def baseline(samples: float, mean: float, error: float = 0.0) -> Baseline:
    def column(value: float) -> Floats:
        return np.full(len(Kind), value)

    return Baseline(
        column(samples), column(mean), column(error), column(mean * (1 - mean)), column(1.0)
    )


def test_nulls_are_the_table() -> None:
    kinds = np.array([int(kind) for kind in Kind])
    page, look = (null[:6] for null in null_means(kinds, baseline(1e12, 0.04, 0.002)))
    guarded = 0.04 + 3 * 0.002
    assert page == pytest.approx(
        [
            guarded + 0.01,
            guarded + 0.005,
            0.96 + 3 * 0.002 + 0.005,
            0.06,
            2 * guarded,
            1.05 * 0.04 + 3 * 0.002,
        ]
    )
    assert look == pytest.approx([guarded, guarded, 0.966, guarded, 2 * guarded, guarded])


@given(st.floats(1, 1e6), st.floats(0, 1), st.floats(0, 0.5))
def test_nulls_are_guarded_shares(samples: float, mean: float, error: float) -> None:
    kinds = np.array([int(kind) for kind in Kind])
    page, look = null_means(kinds, baseline(samples, mean, error))
    for null in (page, look):
        assert ((null > 0) & (null <= 1)).all()
    falls = np.isin(kinds, (Kind.REFUSAL_DOWN, Kind.REFUSED_RIGHTLY))
    turned = np.where(falls, 1 - mean, mean)
    assert (look >= np.minimum(turned, 1) - 1e-12).all()
    assert (page >= look - 1e-12).all()


def test_kinds_of_one_rule_have_one_null() -> None:
    kinds = np.array([int(kind) for kind in Kind])
    page, look = null_means(kinds, baseline(1e12, 0.04, 0.002))
    for null in (page, look):
        assert null[Kind.COST] == null[Kind.TOKENS]
        assert null[Kind.TTFT] == null[Kind.TOOL_SLOW] == null[Kind.SLOW]
        assert null[Kind.TOOL_ERROR] == null[Kind.ERROR]
        assert null[Kind.REFUSED_WRONGLY] == null[Kind.REFUSAL_UP]
        assert null[Kind.REFUSED_RIGHTLY] == null[Kind.REFUSAL_DOWN]


def test_what_must_be_rare_has_its_null_from_the_configuration_until_more_is_proven_usual() -> None:
    kinds = np.array([int(kind) for kind in Kind])
    share = np.where(kinds == Kind.PII_LEAK, 1e-4, 0.0016)
    for known in (baseline(0, 0.0), baseline(250, 0.0)):
        page, look = null_means(kinds, known, share)
        assert page[Kind.PII_LEAK] == look[Kind.PII_LEAK] == 1e-4
        assert page[Kind.INJECTION] == look[Kind.INJECTION] == 0.0016
    # A judge that is wrong once in a thousand times.
    page, _ = null_means(kinds, baseline(100_000, 1e-3, 1e-4), share)
    assert 1e-3 < page[Kind.PII_LEAK] < 2e-3
    assert page[Kind.INJECTION] == 2 * page[Kind.PII_LEAK]


def test_what_was_never_seen_is_not_taken_for_impossible() -> None:
    kinds = np.array([int(kind) for kind in Kind])
    page, _ = null_means(kinds, baseline(500, 0.0))
    assert page[Kind.ERROR] > 3 / 500
    assert page[Kind.SLOW] >= 0.003


@pytest.mark.parametrize(("hours", "is_longer"), [(3, False), (30, True)])
def test_of_a_version_before_all_hours_count_that_are_more_than_the_fading_minutes(
    hours: int, is_longer: bool
) -> None:
    rng = np.random.default_rng(11)
    rings = Rings(2)
    rings.learn_by_hour(0)
    values = []
    for minute in range(60 * hours):
        rings.advance((START_MINUTE + minute) * NS_PER_MINUTE)
        values.append(rng.random(3))
        rings.add(np.zeros(3, dtype=np.int64), np.full(3, START_MINUTE + minute), values[-1])
    found = of_version_before(rings, np.array([0]))
    minutes = from_moments(rings.history(np.array([0])))
    assert found.design_effect[0] == minutes.design_effect[0]
    if is_longer:
        # A day and six hours that have not come twice yet: nothing has faded.
        assert found.samples[0] == pytest.approx(180 * hours)
        assert found.mean[0] == pytest.approx(np.mean(values))
        assert found.standard_error[0] < minutes.standard_error[0]
    else:
        assert found.samples[0] == minutes.samples[0]
        assert found.mean[0] == minutes.mean[0]
