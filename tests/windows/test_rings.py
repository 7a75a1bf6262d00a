"""The rings against a dict of minutes, whatever the order of arrivals and gaps."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.windows.rings import HOURS, MINUTES, STRATA, Floats, Rings

START_MINUTE = 29_000_007

SPANS = {"5m": (1, 5), "15m": (1, 15), "1h": (15, 4), "6h": (15, 24), "24h": (60, 24)}
"""By window: the width of its slots in minutes, and how many slots it sums."""


@dataclass
class Reference:
    """Every value by series and minute, and the rule of each window."""

    values: dict[int, dict[int, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def window(self, row: int, name: str, now: int) -> tuple[float, float, float]:
        width, slots = SPANS[name]
        newest = now // width
        inside = [
            value
            for minute, values in self.values[row].items()
            for value in values
            if newest - slots < minute // width <= newest
        ]
        return (len(inside), sum(inside), sum(value * value for value in inside))


@dataclass
class Step:
    """Let minutes pass, then add values so many minutes late."""

    passed: int
    arrivals: list[tuple[int, int, float]]


steps = st.lists(
    st.builds(
        Step,
        passed=st.one_of(
            st.integers(0, 3), st.integers(0, 90), st.integers(300, 1500), st.integers(1400, 9000)
        ),
        arrivals=st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, MINUTES - 1), st.floats(0, 1)), max_size=6
        ),
    ),
    min_size=1,
    max_size=10,
)


def begun(minute: int = START_MINUTE, capacity: int = 4) -> Rings:
    rings = Rings(capacity)
    for row in range(capacity):
        rings.learn_by_hour(row)
    rings.advance(minute * NS_PER_MINUTE)
    return rings


def add(rings: Rings, row: int, minute: int, *values: float) -> None:
    size = len(values)
    rings.add(np.full(size, row), np.full(size, minute), np.array(values, dtype=np.float64))


@settings(max_examples=60, deadline=None)
@given(steps)
def test_every_window_is_the_sum_of_its_minutes(story: list[Step]) -> None:
    rings, reference, now = begun(), Reference(), START_MINUTE
    for step in story:
        now += step.passed
        rings.advance(now * NS_PER_MINUTE + 31)
        for row, late, value in step.arrivals:
            add(rings, row, now - late, value)
            reference.values[row][now - late].append(value)
        for name in SPANS:
            found = rings.window(np.arange(3), name)
            for row in range(3):
                assert found[row] == pytest.approx(reference.window(row, name, now), abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.floats(0, 1)), max_size=40))
def test_sums_do_not_depend_on_batching(arrivals: list[tuple[int, int, float]]) -> None:
    one_by_one, at_once = begun(), begun()
    for row, late, value in arrivals:
        add(one_by_one, row, START_MINUTE - late, value)
    if arrivals:
        rows, lags, values = (np.array(column) for column in zip(*arrivals, strict=True))
        at_once.add(rows, START_MINUTE - lags, values)
    for name in ("minute", "quarter", "hour", "fresh"):
        assert getattr(one_by_one, name).tobytes() == getattr(at_once, name).tobytes()


def test_the_clock_ignores_steps_back_and_tells_of_minutes() -> None:
    rings = begun()
    assert not rings.advance((START_MINUTE - 3) * NS_PER_MINUTE)
    assert rings.now_minute == START_MINUTE
    assert not rings.advance((START_MINUTE + 1) * NS_PER_MINUTE - 1)
    assert rings.advance((START_MINUTE + 1) * NS_PER_MINUTE)


def test_last_minutes_are_oldest_first() -> None:
    rings = begun()
    for minute in range(4):
        rings.advance((START_MINUTE + minute) * NS_PER_MINUTE)
        add(rings, 0, START_MINUTE + minute, *[0.5] * (minute + 1))
    assert rings.last_minutes(0, 3)[:, 0].tolist() == [2, 3, 4]


def test_growing_keeps_what_is_there_and_clearing_leaves_the_others() -> None:
    rings = begun(capacity=2)
    add(rings, 0, START_MINUTE, 0.25)
    add(rings, 1, START_MINUTE, 0.75)
    rings.reserve(5)
    assert rings.capacity >= 5
    add(rings, 4, START_MINUTE, 1.0)
    assert rings.window(np.array([0, 1, 4]), "24h")[:, 1].tolist() == [0.25, 0.75, 1.0]
    rings.frozen[1] = True
    rings.clear(1)
    assert rings.window(np.array([0, 1, 4]), "15m")[:, 1].tolist() == [0.25, 0.0, 1.0]
    assert not rings.frozen[1]
    assert rings.take_fresh()[1].sum() == 0


def test_bytes_per_series_do_not_depend_on_the_number_of_series() -> None:
    assert Rings(64).bytes_per_series == pytest.approx(Rings(4096).bytes_per_series, abs=1)
    assert Rings(64).bytes_per_series < 4096


# --- what arrived since the last tick -------------------------------------------------------------


def test_fresh_values_are_taken_once() -> None:
    rings = begun()
    add(rings, 0, START_MINUTE, 0.5, 0.25)
    assert rings.take_fresh()[0].sum(axis=0).tolist() == [2, 0.75, 0.3125]
    assert rings.take_fresh().sum() == 0


@pytest.mark.parametrize("late", range(MINUTES))
def test_a_stratum_holds_one_minute_only(late: int) -> None:
    """Open minutes have a slot of their own; what is later than those goes to the carry.

    The slot of the minute about to open must stay empty: the tick at its boundary takes what came
    before it.
    """
    rings = begun()
    add(rings, 0, START_MINUTE - late, 0.5)
    rings.advance((START_MINUTE + 1) * NS_PER_MINUTE)
    fresh = rings.take_fresh()[0, :, 0]
    opening = (START_MINUTE + 1) % STRATA
    expected = (START_MINUTE - late) % STRATA if late < STRATA - 1 else STRATA
    assert fresh[expected] == 1
    assert fresh[opening] == 0


# --- what a baseline is learnt from ---------------------------------------------------------------


def moments_of(rings: Rings, row: int = 0) -> Floats:
    return np.asarray(rings.moments[row])


def test_a_minute_teaches_when_it_leaves_the_ring() -> None:
    rings = begun()
    add(rings, 0, START_MINUTE, 1.0, 0.5)
    for passed in range(1, MINUTES):
        rings.advance((START_MINUTE + passed) * NS_PER_MINUTE)
        assert moments_of(rings).sum() == 0
    # The history includes what is still in the ring.
    assert rings.history(np.array([0]))[0].tolist() == [2, 1.5, 1.25, 2.25, 3, 4]
    rings.advance((START_MINUTE + MINUTES) * NS_PER_MINUTE)
    np.testing.assert_allclose(moments_of(rings), [2, 1.5, 1.25, 2.25, 3, 4])


def test_moments_are_sums_over_minutes_that_fade() -> None:
    rings, rng = begun(), np.random.default_rng(1)
    expected = np.zeros(6)
    blocks: list[Floats] = []
    for passed in range(100):
        now = START_MINUTE + passed
        rings.advance(now * NS_PER_MINUTE)
        values = rng.random(int(rng.integers(0, 5)))
        add(rings, 0, now, *values)
        n, s, q = float(len(values)), float(values.sum()), float((values * values).sum())
        blocks.append(np.array([n, s, q, s * s, s * n, n * n]))
        if passed >= 1:
            expected = expected * 0.998
        if passed >= MINUTES:
            expected = expected + blocks[passed - MINUTES]
        np.testing.assert_allclose(moments_of(rings), expected, atol=1e-9)


def test_a_frozen_series_neither_learns_nor_forgets() -> None:
    rings = begun()
    add(rings, 0, START_MINUTE, 1.0, 0.5)
    rings.advance((START_MINUTE + MINUTES) * NS_PER_MINUTE)
    before = moments_of(rings).copy()
    rings.frozen[0] = True
    add(rings, 0, START_MINUTE + MINUTES, 0.1, 0.1, 0.1)
    rings.advance((START_MINUTE + 10 * MINUTES) * NS_PER_MINUTE)
    assert moments_of(rings).tolist() == before.tolist()


def hour_table(rings: Rings, row: int = 0) -> dict[int, float]:
    """Return the samples by hour of day where there are any."""
    counts = rings.hours_of(row)[:, 0]
    return {int(hour): float(counts[hour]) for hour in np.flatnonzero(counts)}


def test_an_hour_is_learnt_a_day_after_it_began() -> None:
    hour = 480_000
    rings = begun(hour * 60)
    add(rings, 0, hour * 60, 1.0, 0.5)
    rings.advance((hour + 24) * 60 * NS_PER_MINUTE - 1)
    assert hour_table(rings) == {}
    rings.advance((hour + 24) * 60 * NS_PER_MINUTE)
    assert hour_table(rings) == {hour % 24: 2.0}
    # A day later the entry has lost a seventh.
    rings.advance((hour + 48) * 60 * NS_PER_MINUTE)
    assert hour_table(rings) == {hour % 24: pytest.approx(2 * 6 / 7)}


def test_all_that_is_known_of_hours_has_each_once_and_none_that_was_suspect() -> None:
    hour = 480_000
    rings = begun(hour * 60)
    for passed in range(30):
        for minute in range(0, 60, 20):
            rings.advance(((hour + passed) * 60 + minute) * NS_PER_MINUTE)
            rings.frozen[0] = passed == 20
            add(rings, 0, (hour + passed) * 60 + minute, 0.5)
        known = rings.known_hours(np.array([0]))[0]
        # Whether it is in the ring still or learnt, an hour counts once.
        assert known[0] == pytest.approx(3 * (passed + 1 - (passed >= 20)))
        assert known[5] == pytest.approx(9 * (passed + 1 - (passed >= 20)))


def test_an_hour_that_was_frozen_at_any_time_teaches_nothing() -> None:
    """An incident that is over by the time its hour would be learnt was still not normal."""
    hour = 480_000
    rings = begun(hour * 60)
    for minute in range(60):
        rings.advance((hour * 60 + minute) * NS_PER_MINUTE)
        rings.frozen[0] = 10 <= minute < 30
        add(rings, 0, hour * 60 + minute, 0.9)
        add(rings, 1, hour * 60 + minute, 0.9)
    rings.advance((hour + 24) * 60 * NS_PER_MINUTE)
    assert hour_table(rings, 0) == {}
    assert hour_table(rings, 1) == {hour % 24: 60.0}
    # The same hour of the next day is well again and counts.
    add(rings, 0, (hour + 24) * 60, 0.1)
    rings.advance((hour + 48) * 60 * NS_PER_MINUTE)
    assert hour_table(rings, 0) == {hour % 24: 1.0}


@pytest.mark.parametrize("gap_hours", [3, 23, 25, 30, 49, 24 * 9])
def test_a_gap_is_learnt_from_once(gap_hours: int) -> None:
    """What was there before a gap of any length is in the table once, and fades by the day."""
    hour = 480_000
    rings = begun(hour * 60)
    for passed in range(6):
        rings.advance((hour + passed) * 60 * NS_PER_MINUTE)
        add(rings, 0, (hour + passed) * 60, 0.5)
    rings.advance((hour + 5 + gap_hours) * 60 * NS_PER_MINUTE)
    known = rings.known_hours(np.array([0]))[0, 0]
    days = (5 + gap_hours) // 24
    assert 6 * (6 / 7) ** days <= known <= 6 * (6 / 7) ** max(days - 1, 0)
    table = hour_table(rings)
    assert set(table) == {
        (hour + passed) % 24 for passed in range(6) if gap_hours + 5 - passed >= 24
    }
    for count in table.values():
        assert (6 / 7) ** (days + 1) <= count <= (6 / 7) ** max(days - 1, 0)
    # By the minute: each block has faded since it left the minute ring.
    left = (5 + gap_hours) * 60 - MINUTES - 60 * np.arange(6)
    assert moments_of(rings)[0] == pytest.approx((0.998**left).sum(), rel=1e-9)


def test_a_gap_longer_than_every_ring_is_passed_in_bounded_steps() -> None:
    rings = begun()
    add(rings, 0, START_MINUTE, 0.5)
    calls = 0
    original = rings._open_minute

    def counting(minute: int) -> None:
        nonlocal calls
        calls += 1
        original(minute)

    rings._open_minute = counting  # type: ignore[method-assign]
    rings.advance((START_MINUTE + 400 * 24 * 60) * NS_PER_MINUTE)
    assert calls <= HOURS * 60 + MINUTES + 1
    assert rings.window(np.array([0]), "24h").sum() == 0
    add(rings, 0, rings.now_minute, 0.25)
    assert rings.window(np.array([0]), "24h")[0].tolist() == [1, 0.25, 0.0625]


@pytest.mark.parametrize("name", ["5m", "15m", "1h", "6h", "24h"])
def test_windows_of_many_rows_are_those_of_each_to_the_byte(name: str) -> None:
    rng = np.random.default_rng(3)
    rings = Rings(3000)
    rings.advance(START_MINUTE * NS_PER_MINUTE)
    for ring in (rings.minute, rings.quarter, rings.hour):
        ring[:] = rng.random(ring.shape)
    rows = rng.permutation(3000)[:2500]
    together = rings.window(rows, name)
    for row, sums in zip(rows.tolist(), together, strict=True):
        # Else it is what was summed for all of them.
        rings._sums.clear()
        alone = rings.window(np.array([row]), name)
        assert alone[0].tobytes() == sums.tobytes()
        assert rings.counts(np.array([row]), name)[0] == sums[0]
    for some in (rows, rows[:1]):
        rings._sums.clear()
        columns = rings.window(some, name).T
        assert columns.T.tobytes() == together[: len(some)].tobytes()
    # One after the other, in the order of the slots.
    row = int(rows[0])
    in_order = {
        "5m": [rings.minute[row, (START_MINUTE - back) % 15] for back in range(5)],
        "15m": list(rings.minute[row]),
        "1h": [rings.quarter[row, (START_MINUTE // 15 - back) % 24] for back in range(4)],
        "6h": list(rings.quarter[row]),
        "24h": list(rings.hour[row]),
    }[name]
    expected = in_order[0].copy()
    for slot in in_order[1:]:
        expected = expected + slot
    assert expected.tobytes() == together[0].tobytes()
