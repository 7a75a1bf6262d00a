"""Waits grow, stay within their caps, and spread."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tripswitch.actions.backoff import NOTIFY_WAITS_S, Pace

SHARE = st.floats(0, 1)


def test_rollback_waits_double_from_one_second_to_the_cap() -> None:
    assert [Pace().rollback_wait_s(n, 1.0) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


@given(st.integers(1, 10**9), SHARE)
def test_rollback_waits_stay_within_half_and_all_of_their_step(attempt: int, share: float) -> None:
    full = Pace().rollback_wait_s(attempt, 1.0)
    assert full / 2 <= Pace().rollback_wait_s(attempt, share) <= full <= 60


@given(st.integers(1, 10**9), SHARE)
def test_notifications_follow_the_schedule_and_stay_at_its_end(attempt: int, share: float) -> None:
    planned = NOTIFY_WAITS_S[min(attempt, len(NOTIFY_WAITS_S)) - 1]
    assert planned <= Pace().notify_wait_s(attempt, share) <= planned * 1.2 + 1e-9
