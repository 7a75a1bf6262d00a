"""The tap: a bounded hand-over of forwarded requests to whoever reads them.

Rules it obeys:

- `Tap.offer` never blocks and never waits for the reader;
- what waits is bounded in bytes, the cost of keeping a request included, so that a flood of empty
  requests is bounded too;
- a full tap drops the newest request, counts it, and remembers the minute it was dropped in: the
  reader is told by a `Gap`, so that the minute is not judged as if it had been seen whole.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from tripswitch.otlp.delivery import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

ENTRY_BYTES = 256
"""What one waiting request costs in memory besides its body; measured on CPython, rounded up."""

MAX_GAP_MINUTES = 1440
"""Most minutes with losses remembered apart; further ones are counted to the latest of them."""

_MINUTE_NS = 60_000_000_000


class Tapped(NamedTuple):
    """One forwarded request: its body as it came, the wall time it came at, and its signal."""

    body: bytes
    received_ns: int
    signal: Signal = Signal.TRACES


class Gap(NamedTuple):
    """``requests`` requests of about ``received_ns`` that the reader will never see."""

    requests: int
    received_ns: int


class Tap:
    """A first-in first-out hand-over of at most ``max_bytes``, and the count of what it lost.

    ``dropped_*`` counts what did not fit, ``lost_requests`` what was handed out and then lost with
    its reader. Not safe across threads: receiver and reader share one event loop.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.queued_bytes = 0
        self.offered_requests = 0
        self.dropped_requests = 0
        self.dropped_bytes = 0
        self.lost_requests = 0
        self._queue: deque[Tapped] = deque()
        self._gaps: dict[int, Gap] = {}
        self._wake: Callable[[], None] | None = None

    def __len__(self) -> int:
        """Return how many requests wait."""
        return len(self._queue)

    def is_empty(self) -> bool:
        """Return whether nothing waits, neither a request nor word of a loss."""
        return not self._queue and not self._gaps

    @property
    def oldest_ns(self) -> int | None:
        """Return when the oldest waiting request came, None when none waits."""
        return self._queue[0].received_ns if self._queue else None

    def listen(self, wake: Callable[[], None] | None) -> None:
        """Have ``wake`` called whenever there is something to take; None stops that."""
        self._wake = wake
        if wake is not None and not self.is_empty():
            wake()

    def offer(self, body: bytes, received_ns: int, signal: Signal = Signal.TRACES) -> bool:
        """Hand a request over; return False, and count it, when there is no room."""
        self.offered_requests += 1
        cost = len(body) + ENTRY_BYTES
        if self.queued_bytes + cost > self.max_bytes:
            self.dropped_requests += 1
            self.dropped_bytes += len(body)
            self._remember(Gap(1, received_ns))
            return False
        self._queue.append(Tapped(body, received_ns, signal))
        self.queued_bytes += cost
        if self._wake is not None:
            self._wake()
        return True

    def take(self) -> Tapped | Gap | None:
        """Return what the reader should see next, None when nothing waits.

        Gaps come first: the sooner a minute is marked, the less of it is judged unmarked.
        """
        if self._gaps:
            return self._gaps.pop(next(iter(self._gaps)))
        if not self._queue:
            return None
        tapped = self._queue.popleft()
        self.queued_bytes -= len(tapped.body) + ENTRY_BYTES
        return tapped

    def give_back(self, untaken: Tapped | Gap) -> None:
        """Put back at the front what was taken and then not passed on."""
        if isinstance(untaken, Gap):
            self._remember(untaken)
            return
        self._queue.appendleft(untaken)
        self.queued_bytes += len(untaken.body) + ENTRY_BYTES

    def lose(self, gap: Gap) -> None:
        """Count requests that a reader took and died with."""
        self.lost_requests += gap.requests
        self._remember(gap)

    def remember(self, gap: Gap) -> None:
        """Tell the reader of a loss that is already counted: the one it was told of died."""
        self._remember(gap)

    def _remember(self, gap: Gap) -> None:
        minute = gap.received_ns // _MINUTE_NS
        if minute not in self._gaps and len(self._gaps) >= MAX_GAP_MINUTES:
            minute = next(reversed(self._gaps))
        known = self._gaps.get(minute)
        self._gaps[minute] = (
            gap if known is None else known._replace(requests=known.requests + gap.requests)
        )
        if self._wake is not None:
            self._wake()
