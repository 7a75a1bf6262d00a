"""When what is to be looked at."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Item = TypeVar("Item")


class Agenda(Generic[Item]):
    """Items by the time they are due, ns; of one time in the order they were put there.

    The spans of one request come at one time, and so their traces are due at one time: the times
    are in a heap, each once.
    """

    def __init__(self) -> None:
        self._times_ns: list[int] = []
        self._due: dict[int, list[Item]] = {}

    def put(self, item: Item, due_ns: int) -> None:
        """Have an item be due at ``due_ns``, besides all that was put for it before."""
        due = self._due.get(due_ns)
        if due is None:
            due = self._due[due_ns] = []
            heapq.heappush(self._times_ns, due_ns)
        due.append(item)

    def take(self, now_ns: int) -> Iterator[list[Item]]:
        """Yield what is due up to ``now_ns``, all of one time together, earliest first.

        Meanwhile only what is due later may be put there.
        """
        while self._times_ns and self._times_ns[0] <= now_ns:
            yield self._due.pop(heapq.heappop(self._times_ns))
