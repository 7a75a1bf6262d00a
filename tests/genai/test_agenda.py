"""The agenda is held to a heap of everything that was put there."""

from __future__ import annotations

import heapq

from hypothesis import given
from hypothesis import strategies as st

from tripswitch.genai.agenda import Agenda


@given(st.lists(st.tuples(st.integers(0, 5), st.lists(st.integers(1, 5), max_size=6))))
def test_what_is_due_comes_by_time_and_then_by_turn(
    steps: list[tuple[int, list[int]]],
) -> None:
    agenda = Agenda[str]()
    heap: list[tuple[int, int, str]] = []
    now_ns = put = 0

    def add(after_ns: int) -> None:
        nonlocal put
        put += 1
        agenda.put(str(put), now_ns + after_ns)
        heapq.heappush(heap, (now_ns + after_ns, put, str(put)))

    for passed_ns, afters_ns in steps:
        for after_ns in afters_ns:
            add(after_ns)
        now_ns += passed_ns
        for due in agenda.take(now_ns):
            for trace_id in due:
                assert heapq.heappop(heap)[2] == trace_id
                # What is looked at may be due again, later.
                if put % 3 == 0:
                    add(2)
        assert not heap or heap[0][0] > now_ns
