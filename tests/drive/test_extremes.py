"""Extremes: how often a line would be reached, fitted to the highest of each block."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.samples import incident
from tripswitch.detect.signals import ERROR, Kind
from tripswitch.drive.extremes import Extremes, _fitted, _leave_out, lowest_line
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.scope import Scope

KEY = (Scope("/chat", "bot", "v1"), ERROR, Kind.ERROR)


def test_a_line_is_reached_as_often_as_longer_traffic_reaches_it() -> None:
    """Fitted to two days of minutes, held against a hundred: rather too often than too seldom."""
    rng = np.random.default_rng(3)
    minutes = rng.normal(0.0, 0.01, 100 * 1440)
    fitted = _fitted(KEY, minutes[: 2 * 1440].copy(), 60)
    assert fitted is not None
    assert fitted.blocks == 48
    assert fitted.blocks_a_month == pytest.approx(720)
    highest = minutes.reshape(-1, 60).max(axis=1)
    for line in (0.025, 0.03, 0.035):
        found = float((highest >= line).mean()) * 720
        assert 0.7 < fitted.times_a_month(line) / found < 3, line


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 2), st.floats(0, 2))
def test_a_higher_line_is_never_reached_more_often(
    location: float, scale: float, line: float, other: float
) -> None:
    one = Extremes(KEY, location, scale, 10, 720.0)
    low, high = sorted((line, other))
    assert 0 <= one.times_a_month(high) <= one.times_a_month(low) <= 720


def test_what_never_strays_reaches_only_what_is_below_it() -> None:
    calm = _fitted(KEY, np.full(300, 0.02), 60)
    assert calm is not None
    assert calm.times_a_month(0.03) == 0
    assert calm.times_a_month(0.02) == 720


def test_few_blocks_say_nothing_and_gaps_make_a_row_rarer() -> None:
    assert _fitted(KEY, np.zeros(3 * 60), 60) is None
    gappy = np.full(600, np.nan)
    gappy[:300] = np.random.default_rng(1).random(300)
    half = _fitted(KEY, gappy, 60)
    assert half is not None
    assert (half.blocks, half.blocks_a_month) == (5, 360)


def test_the_lowest_line_that_keeps_the_promise_is_taken() -> None:
    rows = [Extremes(KEY, 0.01, 0.005, 48, 720.0), Extremes(KEY, 0.02, 0.002, 48, 720.0)]
    grid = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07]
    line = lowest_line(rows, 1.0, grid)
    assert sum(row.times_a_month(line) for row in rows) <= 1.0
    below = grid[grid.index(line) - 1]
    assert sum(row.times_a_month(below) for row in rows) > 1.0
    assert lowest_line(rows, 1e-9, grid) == 0.07


def test_the_minutes_of_an_incident_of_the_same_prompt_are_left_out() -> None:
    found = incident()
    first = found.onset_ns // NS_PER_MINUTE - 10
    borne = np.zeros(60)
    _leave_out(borne, found.scope._replace(prompt_version="other", cohort=None), found, first)
    assert math.isnan(borne[9])
    assert np.isnan(borne[9:]).all()
    assert not np.isnan(borne[:9]).any()
    other = np.zeros(60)
    _leave_out(other, Scope("/another"), found, first)
    assert not np.isnan(other).any()
