"""Telemetry that stays away: told after a while, never of what pauses by itself."""

from __future__ import annotations

import pytest

from tripswitch.detect.arrivals import Arrivals
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.incident import Severity
from tripswitch.model.verdict import Finding, Verdict

AFTER_S = 900.0
NOW_NS = 10_000 * NS_PER_MINUTE


def after(arrivals: Arrivals, minutes: int, *, taken: int = 0, lost: int = 0) -> Verdict | None:
    for _ in range(minutes):
        arrivals.pass_minute(taken, lost, is_lossy=lost > 0.01 * (taken + lost))
    return arrivals.verdict(NOW_NS, AFTER_S)


def test_silence_after_a_steady_hour_wakes_a_person_after_the_set_time() -> None:
    arrivals = Arrivals()
    assert after(arrivals, 60, taken=12) is None
    assert after(arrivals, 14) is None
    verdict = after(arrivals, 1)
    assert verdict is not None
    assert (verdict.finding, verdict.severity) == (Finding.TELEMETRY_LOST, Severity.PAGE)
    assert verdict.comparison is None
    assert verdict.onset_ns == NOW_NS - 15 * NS_PER_MINUTE
    assert "no telemetry for 15 min" in verdict.why
    assert "12 OTLP requests a minute" in verdict.why
    # It goes on being told of, and is over with the first that comes.
    assert after(arrivals, 200) is not None
    assert after(arrivals, 1, taken=1) is None
    assert arrivals.good_minutes == 1


@pytest.mark.parametrize("known_minutes", [0, 1, 30, 56])
def test_silence_after_less_than_an_hour_says_nothing(known_minutes: int) -> None:
    arrivals = Arrivals()
    after(arrivals, known_minutes, taken=5)
    assert after(arrivals, 120) is None


def test_what_pauses_by_itself_may_pause_again() -> None:
    arrivals = Arrivals()
    for _ in range(40):
        after(arrivals, 3, taken=5)
        assert after(arrivals, 2) is None
    assert after(arrivals, 120) is None


def test_losing_too_much_for_long_wakes_a_person_too() -> None:
    arrivals = Arrivals()
    assert after(arrivals, 14, taken=90, lost=10) is None
    verdict = after(arrivals, 1, taken=90, lost=10)
    assert verdict is not None
    assert "150 OTLP requests" in verdict.why
    assert after(arrivals, 1, taken=100) is None
    # A little that is lost is none of this.
    assert after(arrivals, 60, taken=1000, lost=1) is None
