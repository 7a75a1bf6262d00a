"""The time in the data."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tripswitch.drive.data_clock import DataClock

HOUR_NS = 3600 * 10**9
START_NS = 1_795_485_401 * 10**9


def _run(times: list[int | None]) -> list[tuple[int, int]]:
    clock: DataClock[int] = DataClock()
    released = []
    for index, time_ns in enumerate(times):
        released.extend(clock.push(index, time_ns))
    return released + clock.flush()


def test_now_is_the_running_maximum() -> None:
    times: list[int | None] = [START_NS, START_NS + 5, START_NS + 3, START_NS + 9]
    assert [now - START_NS for _, now in _run(times)] == [0, 5, 5, 9]


def test_a_request_without_times_takes_the_time_before_it() -> None:
    times = [START_NS, START_NS + 1, START_NS + 2, None, START_NS + 7]
    assert [now - START_NS for _, now in _run(times)] == [0, 1, 2, 2, 7]


def test_one_far_jump_is_not_believed_and_three_in_a_row_are() -> None:
    near: list[int | None] = [START_NS + index for index in range(4)]
    one = _run([*near, START_NS + 50 * HOUR_NS, START_NS + 10])
    assert [now - START_NS for _, now in one] == [0, 1, 2, 3, 3, 10]
    three = _run([*near, *(START_NS + 50 * HOUR_NS + index for index in range(3))])
    assert [now - START_NS for _, now in three][-1] == 50 * HOUR_NS + 2


def test_a_wrong_first_clock_does_not_set_the_start() -> None:
    times: list[int | None] = [START_NS + 10**17, START_NS, START_NS + 1, START_NS + 2]
    assert [now - START_NS for _, now in _run(times)] == [0, 0, 1, 2]


def test_a_recording_of_one_request_has_its_time() -> None:
    assert _run([START_NS]) == [(0, START_NS)]


def test_a_recording_without_any_time_is_handed_on() -> None:
    assert [index for index, _ in _run([None, None])] == [0, 1]


@given(
    st.lists(
        st.one_of(st.none(), st.integers(min_value=0, max_value=2**62)),
        max_size=40,
    )
)
def test_every_request_is_handed_on_once_in_order_and_time_never_goes_back(
    times: list[int | None],
) -> None:
    released = _run(times)
    assert [index for index, _ in released] == list(range(len(times)))
    nows = [now for _, now in released]
    assert nows == sorted(nows)
