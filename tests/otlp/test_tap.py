"""The tap: order, bound, counting, and word of what was lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tripswitch.otlp.tap import ENTRY_BYTES, MAX_GAP_MINUTES, Gap, Tap, Tapped

MINUTE_NS = 60_000_000_000


def test_what_goes_in_comes_out_in_order() -> None:
    tap = Tap(1 << 20)
    for number in range(5):
        assert tap.offer(bytes([number]), number)
    assert [tap.take() for _ in range(6)] == [
        *(Tapped(bytes([number]), number) for number in range(5)),
        None,
    ]
    assert tap.queued_bytes == 0


def test_a_full_tap_drops_the_newest_and_says_which_minute() -> None:
    tap = Tap(2 * (10 + ENTRY_BYTES))
    assert tap.offer(bytes(10), 0)
    assert tap.offer(bytes(10), 1)
    assert not tap.offer(bytes(10), 5 * MINUTE_NS)
    assert not tap.offer(bytes(20), 5 * MINUTE_NS + 1)
    assert (tap.dropped_requests, tap.dropped_bytes, tap.offered_requests) == (2, 30, 4)
    assert tap.take() == Gap(2, 5 * MINUTE_NS)
    assert tap.take() == Tapped(bytes(10), 0)


def test_empty_requests_are_bounded_too() -> None:
    tap = Tap(100 * ENTRY_BYTES)
    accepted = sum(tap.offer(b"", 0) for _ in range(1000))
    assert accepted == 100


def test_gaps_of_many_minutes_stay_bounded_and_lose_no_count() -> None:
    tap = Tap(0)
    for minute in range(MAX_GAP_MINUTES + 50):
        tap.offer(b"", minute * MINUTE_NS)
    gaps = []
    while isinstance(gap := tap.take(), Gap):
        gaps.append(gap)
    assert len(gaps) == MAX_GAP_MINUTES
    assert sum(gap.requests for gap in gaps) == MAX_GAP_MINUTES + 50


def test_given_back_requests_come_first_again() -> None:
    tap = Tap(1 << 20)
    tap.offer(b"a", 1)
    tap.offer(b"b", 2)
    first = tap.take()
    assert first is not None
    tap.give_back(first)
    assert tap.take() == first
    assert tap.oldest_ns == 2


def test_listeners_are_woken_for_what_is_there_and_what_comes() -> None:
    tap = Tap(1 << 20)
    tap.offer(b"a", 1)
    woken: list[int] = []
    tap.listen(lambda: woken.append(1))
    assert len(woken) == 1
    tap.offer(b"b", 1)
    assert len(woken) == 2
    tap.listen(None)
    tap.offer(b"c", 1)
    assert len(woken) == 2


@given(
    st.lists(st.one_of(st.integers(0, 2000), st.none()), max_size=60),
    st.integers(0, 4000),
)
def test_every_request_is_taken_waiting_or_counted(steps: list[int | None], most: int) -> None:
    tap = Tap(most)
    taken = told = 0
    for step in steps:
        if step is not None:
            tap.offer(bytes(step), 0)
            continue
        item = tap.take()
        taken += isinstance(item, Tapped)
        told += item.requests if isinstance(item, Gap) else 0
    assert tap.queued_bytes <= most
    assert tap.offered_requests == taken + len(tap) + tap.dropped_requests
    assert told <= tap.dropped_requests
