"""The time in the data: what "now" is in replay and demo.

``now`` is the running maximum of the times that requests carry. One sender with a wrong clock must
not move it: a jump of more than an hour needs three requests in a row that agree, and the start is
only settled once three agree (or the data ends). Requests wait while that is open; they are handed
on in order, each with its ``now``, however they were batched.
"""

from __future__ import annotations

from statistics import median_low
from typing import Final, Generic, TypeVar

from tripswitch.model.clocktext import NS_PER_HOUR

Item = TypeVar("Item")

_AGREEING: Final = 3
_MOST_HELD: Final = 16


class DataClock(Generic[Item]):
    """Pairs items with the time that holds when they are taken."""

    def __init__(self) -> None:
        self.now_ns: int | None = None
        self._held: list[tuple[Item, int | None]] = []

    def push(self, item: Item, time_ns: int | None) -> list[tuple[Item, int]]:
        """Take one request with the latest time it carries (None when it carries none).

        Return the requests that can be handed on now, with their times, in order.
        """
        if self.now_ns is None:
            self._held.append((item, time_ns))
            if self._agreeing() is None and len(self._held) < _MOST_HELD:
                return []
            return self.flush()
        if time_ns is None:
            self._held.append((item, time_ns))
            return [] if any(held is not None for _, held in self._held[:-1]) else self._release()
        self._held.append((item, time_ns))
        if time_ns <= self.now_ns + NS_PER_HOUR:
            return self._release()
        jumped = self._agreeing()
        if jumped is None:
            return []
        self.now_ns = jumped
        return self._release()

    def flush(self) -> list[tuple[Item, int]]:
        """Hand on everything that waits, because the data ends or the start is settled."""
        if self.now_ns is None:
            times = [time_ns for _, time_ns in self._held if time_ns is not None]
            if not times:
                released = [(item, 0) for item, _ in self._held]
                self._held = []
                return released
            agreed = self._agreeing()
            around = median_low(times) if agreed is None else agreed
            near = [time_ns for time_ns in times if abs(time_ns - around) <= NS_PER_HOUR]
            self.now_ns = near[0]
        return self._release()

    def _release(self) -> list[tuple[Item, int]]:
        assert self.now_ns is not None
        released = []
        for item, time_ns in self._held:
            if time_ns is not None and time_ns <= self.now_ns + NS_PER_HOUR:
                self.now_ns = max(self.now_ns, time_ns)
            released.append((item, self.now_ns))
        self._held = []
        return released

    def _agreeing(self) -> int | None:
        """Return the earliest time of the last three timed requests, when they agree."""
        times = [time_ns for _, time_ns in self._held if time_ns is not None][-_AGREEING:]
        if len(times) < _AGREEING or max(times) - min(times) > NS_PER_HOUR:
            return None
        return min(times)
