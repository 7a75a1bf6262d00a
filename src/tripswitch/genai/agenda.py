"""When which trace is to be looked at."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Agenda:
    """Ids of traces by the time they are due, ns; of one time in the order they were put there.

    The spans of one request come at one time, and so their traces are due at one time: the times
    are in a heap, each once.
    """

    def __init__(self) -> None:
        self._times_ns: list[int] = []
        self._due: dict[int, list[str]] = {}

    def put(self, trace_id: str, due_ns: int) -> None:
        """Have a trace be due at ``due_ns``, besides all that was put for it before."""
        due = self._due.get(due_ns)
        if due is None:
            due = self._due[due_ns] = []
            heapq.heappush(self._times_ns, due_ns)
        due.append(trace_id)

    def take(self, now_ns: int) -> Iterator[str]:
        """Yield what is due up to ``now_ns``, earliest first.

        Meanwhile only what is due later may be put there.
        """
        while self._times_ns and self._times_ns[0] <= now_ns:
            yield from self._due.pop(heapq.heappop(self._times_ns))
