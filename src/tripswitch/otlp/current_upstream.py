"""The upstream that requests go to now, and those before it that still have some under way.

Another upstream takes over between two requests: what is under way finishes where it began, and
the one left behind is closed when the last of it has.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tripswitch.otlp.delivery import Delivery
    from tripswitch.otlp.replies import Reply
    from tripswitch.otlp.upstream import Upstream


class CurrentUpstream:
    """An `Upstream` that can be exchanged while it is in use."""

    def __init__(self, upstream: Upstream) -> None:
        self._current = upstream
        self._leaving: set[Upstream] = set()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def endpoint(self) -> str:
        """Return where requests go to now."""
        return self._current.endpoint

    @property
    def in_flight(self) -> int:
        """Return how many requests are under way, those at former upstreams included."""
        return sum(each.in_flight for each in (self._current, *self._leaving))

    def switch(self, upstream: Upstream) -> None:
        """Send to ``upstream`` from now on."""
        left, self._current = self._current, upstream
        self._leaving.add(left)
        self._close_if_done(left)

    async def send(
        self, delivery: Delivery, remaining_s: float | None, patience_s: float | None = None
    ) -> Reply:
        """Send a request; see `Upstream.send`."""
        upstream = self._current
        try:
            return await upstream.send(delivery, remaining_s, patience_s)
        finally:
            if upstream is not self._current:
                self._close_if_done(upstream)

    async def close(self) -> None:
        """Close all; calls under way are cancelled."""
        await asyncio.gather(
            *(each.close() for each in (self._current, *self._leaving)), *self._closing
        )

    def _close_if_done(self, upstream: Upstream) -> None:
        if upstream in self._leaving and not upstream.in_flight:
            self._leaving.discard(upstream)
            task = asyncio.get_running_loop().create_task(upstream.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
