"""The e-detector: its guarantee over many null streams, its cap, its onset."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tripswitch.detect.evidence import EDetector
from tripswitch.detect.kernels import (
    BETS,
    mean_one_sample,
    mean_two_sample,
    rate_one_sample,
    rate_two_sample,
)
from tripswitch.windows.rings import Floats, Rows

STREAMS = 2_000
MINUTES = 480
# A budget large enough that 2,000 streams can tell a broken detector from a sound one.
BUDGET = 0.04
CEILING = 1e12
INJECT = 0.04 / MINUTES


@dataclass
class Streams:
    """So many detectors side by side, and which of them ever reached 1."""

    detector: EDetector
    rows: Rows
    crossed: Floats

    @classmethod
    def start(cls, budget: float = BUDGET, streams: int = STREAMS) -> Streams:
        detector = EDetector()
        detector.reserve(streams)
        for row in range(streams):
            detector.start(row, budget, 0)
        return cls(detector, np.arange(streams), np.zeros(streams))

    def step(
        self, increments: Floats, *, cap: float = 1e9, minutes: float = 1.0, at: int = 0
    ) -> None:
        size = len(self.rows)
        self.detector.step(
            self.rows,
            increments,
            inject=np.full(size, INJECT),
            cap=np.full(size, cap),
            tick_minutes=minutes,
            now_ns=at,
        )
        self.crossed = np.maximum(self.crossed, self.detector.evidence(self.rows) >= 1)

    def close_minute(self) -> None:
        self.detector.close_minute()

    @property
    def evidence(self) -> Floats:
        return self.detector.evidence(self.rows)


def most_crossings() -> float:
    """Return the budget of one horizon plus three binomial standard deviations, in streams."""
    budget = BUDGET + INJECT * MINUTES
    return STREAMS * budget + 3 * math.sqrt(STREAMS * budget * (1 - budget))


def scores(rng: np.random.Generator, n: int, mean: Floats | float) -> tuple[Floats, ...]:
    """Return (n, s, q) of n draws of badness from {0, 0.4, 1} with the given mean, by stream."""
    mean = np.broadcast_to(np.asarray(mean, dtype=np.float64), STREAMS)
    worst = rng.binomial(n, mean / 3)
    middle = rng.binomial(n - worst, (mean * 2 / 3 / 0.4) / (1 - mean / 3))
    return (
        np.full(STREAMS, float(n)),
        worst + 0.4 * middle,
        worst + 0.16 * middle,
    )


def test_null_scores_cross_no_more_than_their_budget() -> None:
    rng, streams = np.random.default_rng(1), Streams.start()
    for _ in range(MINUTES):
        n, s, q = scores(rng, 12, 0.16)
        streams.step(mean_one_sample(n, s, q, np.full(STREAMS, 0.16)))
        streams.close_minute()
    assert streams.crossed.sum() <= most_crossings()


def test_null_rates_cross_no_more_than_their_budget() -> None:
    rng, streams = np.random.default_rng(2), Streams.start()
    n = np.full(STREAMS, 12.0)
    for _ in range(MINUTES):
        k = rng.binomial(12, 0.04, STREAMS).astype(np.float64)
        streams.step(rate_one_sample(n, k, np.full(STREAMS, 0.04)))
        streams.close_minute()
    assert streams.crossed.sum() <= most_crossings()


@pytest.mark.parametrize("drift", [0.0, 0.06])
def test_null_scores_beside_a_control_cross_no_more_than_their_budget(drift: float) -> None:
    """The drift hits both arms halfway through; a control that shares it makes it invisible."""
    rng, streams = np.random.default_rng(3), Streams.start()
    seen_n, seen_s = np.full(STREAMS, 1.0), np.full(STREAMS, 0.16)
    for minute in range(MINUTES):
        mean = 0.16 + (drift if minute >= MINUTES // 2 else 0.0)
        x, y = scores(rng, 8, mean), scores(rng, 12, mean)
        streams.step(
            mean_two_sample(
                (x[0], x[1], x[2]), (y[0], y[1], y[2]), seen_s / seen_n, np.zeros(STREAMS)
            )
        )
        streams.close_minute()
        seen_n, seen_s = seen_n + y[0], seen_s + y[1]
    assert streams.crossed.sum() <= most_crossings()


@pytest.mark.parametrize("drift", [0.0, 0.06])
def test_null_rates_beside_a_control_cross_no_more_than_their_budget(drift: float) -> None:
    rng, streams = np.random.default_rng(4), Streams.start()
    seen_n, seen_s = np.full(STREAMS, 1.0), np.full(STREAMS, 0.04)
    nx, ny = np.full(STREAMS, 8.0), np.full(STREAMS, 12.0)
    for minute in range(MINUTES):
        rate = 0.04 + (drift if minute >= MINUTES // 2 else 0.0)
        kx = rng.binomial(8, rate, STREAMS).astype(np.float64)
        ky = rng.binomial(12, rate, STREAMS).astype(np.float64)
        streams.step(rate_two_sample(nx, kx, ny, ky, seen_s / seen_n))
        streams.close_minute()
        seen_n, seen_s = seen_n + ny, seen_s + ky
    assert streams.crossed.sum() <= most_crossings()


def test_the_same_drift_in_one_arm_alone_crosses_everywhere() -> None:
    """What the guarantee is worth: the streams above are silent because nothing is wrong."""
    rng, streams = np.random.default_rng(5), Streams.start()
    for _ in range(MINUTES):
        x, y = scores(rng, 8, 0.22), scores(rng, 12, 0.16)
        streams.step(
            mean_two_sample(
                (x[0], x[1], x[2]), (y[0], y[1], y[2]), np.full(STREAMS, 0.16), np.zeros(STREAMS)
            )
        )
        streams.close_minute()
    assert streams.crossed.mean() > 0.99


increments = st.lists(st.floats(-3, 3), min_size=6, max_size=6)


@given(st.lists(increments, min_size=1, max_size=8), st.floats(0.5, 100))
def test_six_ticks_or_one_are_the_same_but_for_the_injection(
    minutes: list[list[float]], cap: float
) -> None:
    """Without injection the two differ in nothing once the minute is over."""
    whole, split = (Streams.start(streams=1) for _ in range(2))
    none = np.zeros(1)
    for parts in minutes:
        # Worst first: a minute that began well is held back further, see the cap's tests.
        pieces_of_six = sorted(parts, reverse=True)
        for detector, pieces in (
            (whole.detector, [math.fsum(parts)]),
            (split.detector, pieces_of_six),
        ):
            for piece in pieces:
                detector.step(
                    np.array([0]),
                    np.full((1, BETS), piece),
                    inject=none,
                    cap=np.array([cap]),
                    tick_minutes=1 / len(pieces),
                    now_ns=0,
                )
                # Evidence is held at a ceiling, and what is cut off there depends on when.
                assume(detector.evidence(np.array([0]))[0] < CEILING)
            detector.close_minute()
    assert split.evidence[0] == pytest.approx(whole.evidence[0], rel=1e-9)


def test_injection_rounding_is_all_that_ticks_change() -> None:
    rng = np.random.default_rng(6)
    whole, split = (Streams.start(streams=50) for _ in range(2))
    for _ in range(60):
        pieces = rng.normal(0.0, 0.2, (6, 50, BETS))
        whole.step(pieces.sum(axis=0))
        for piece in pieces:
            split.step(piece, minutes=1 / 6)
        whole.close_minute()
        split.close_minute()
    ratio = split.evidence / whole.evidence
    assert (np.abs(np.log(ratio)) < 0.5).all()


def bad_minutes_to_cross(streams: Streams, cap: float, ticks: int, huge: float) -> int:
    for minute in range(1, 50):
        for _ in range(ticks):
            streams.step(np.full((1, BETS), huge), cap=cap, minutes=1 / ticks)
        streams.close_minute()
        if streams.crossed[0]:
            return minute
    raise AssertionError("never crossed")


@pytest.mark.parametrize("ticks", [1, 6])
@pytest.mark.parametrize("wanted", [1, 3, 5])
def test_no_volume_crosses_in_fewer_bad_minutes(wanted: int, ticks: int) -> None:
    started = Streams.start(budget=1e-3, streams=1)
    cap = math.log(1 / 1e-3) / wanted
    assert bad_minutes_to_cross(started, cap, ticks, 1e6) == wanted
    running = Streams.start(budget=0.0, streams=1)
    cap = math.log(1 / INJECT) / wanted
    assert wanted <= bad_minutes_to_cross(running, cap, ticks, 1e6) <= wanted + 1


@pytest.mark.parametrize("good_ticks", [1, 3, 5])
def test_a_minute_that_began_well_rises_no_further_than_the_cap(good_ticks: int) -> None:
    """Good ticks before the change lower the sum; the rise after them is capped all the same."""
    streams = Streams.start(budget=0.0, streams=1)
    cap = math.log(1 / INJECT) / 5
    for _ in range(30):
        for _ in range(6):
            streams.step(np.full((1, BETS), -40.0), cap=cap, minutes=1 / 6)
        streams.close_minute()
    for tick in range(6):
        gain = -40.0 if tick < good_ticks else 500.0
        streams.step(np.full((1, BETS), gain), cap=cap, minutes=1 / 6)
        assert streams.evidence[0] <= INJECT * math.exp(cap) * 1.01
    streams.close_minute()
    assert bad_minutes_to_cross(streams, cap, 6, 500.0) >= 4


def test_a_deep_fall_and_a_rise_in_one_minute_stay_finite() -> None:
    streams = Streams.start(streams=1)
    with np.errstate(over="raise", invalid="raise"):
        for gain in (-20_000.0, 20_000.0, -5.0, 90_000.0):
            streams.step(np.full((1, BETS), gain), cap=3.0, minutes=1 / 6)
    assert streams.evidence[0] < 1


def test_good_minutes_count_against() -> None:
    """Increments are clipped from above only: a floor would destroy validity."""
    streams = Streams.start(budget=0.5, streams=1)
    for _ in range(3):
        streams.step(np.full((1, BETS), -30.0), cap=2.0)
        streams.close_minute()
    assert streams.evidence[0] == pytest.approx(INJECT * math.exp(-30.0), rel=1e-6)


@given(st.lists(st.lists(st.floats(-50, 50), min_size=6, max_size=6), min_size=1, max_size=6))
def test_a_capped_stream_is_never_above_the_plain_product(minutes: list[list[float]]) -> None:
    streams, total = Streams.start(budget=1e-6, streams=1), 0.0
    for ticks in minutes:
        for gain in ticks:
            streams.detector.step(
                streams.rows,
                np.full((1, BETS), gain),
                inject=np.zeros(1),
                cap=np.array([2.0]),
                tick_minutes=1 / 6,
                now_ns=0,
            )
            total += gain
            assert streams.evidence[0] <= 1e-6 * math.exp(min(total, 600.0)) * (1 + 1e-9)
        streams.close_minute()


def test_evidence_stays_finite_and_comes_down_again() -> None:
    streams = Streams.start(streams=1)
    for _ in range(100):
        streams.step(np.full((1, BETS), 5.0))
        streams.close_minute()
    assert streams.evidence[0] == 1e12
    for _ in range(20):
        streams.step(np.full((1, BETS), -5.0))
        streams.close_minute()
    assert streams.evidence[0] < 1


def test_onset_is_the_last_low_of_the_best_bet() -> None:
    streams = Streams.start(streams=1)
    for minute in range(1, 31):
        gains = np.full((1, BETS), -0.2 if minute <= 20 else 0.5)
        gains[0, 0] = -1.0
        streams.step(gains, at=minute)
        streams.close_minute()
    assert streams.detector.onset_ns(0) == 20


def test_a_row_begun_anew_remembers_nothing() -> None:
    streams = Streams.start(streams=2)
    streams.step(np.full((2, BETS), 4.0), at=5)
    streams.detector.start(0, 0.25, 7)
    assert streams.evidence[0] == 0.25
    assert streams.evidence[1] > 1
    assert streams.detector.onset_ns(0) == 7
    # Nor does the cap of the running minute.
    streams.step(np.full((2, BETS), 1.0), cap=1.0)
    assert streams.evidence[0] == pytest.approx((0.25 + INJECT) * math.e)


def test_growing_keeps_every_row() -> None:
    streams = Streams.start(streams=3)
    streams.step(np.arange(3.0)[:, None] * np.ones(BETS))
    before = streams.evidence.copy()
    streams.detector.reserve(1_000)
    assert (streams.evidence == before).all()
    assert (streams.detector.evidence(np.array([999])) == 0).all()
