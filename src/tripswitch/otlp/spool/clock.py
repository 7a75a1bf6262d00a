"""The time of the spool, so that a test can hand in its own."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Protocol


class Clock(Protocol):
    """What time it is, and waiting."""

    def now_ns(self) -> int:
        """Return the wall time; ages are counted with it."""
        ...

    def monotonic_s(self) -> float:
        """Return a time that never goes back; waits are counted with it."""
        ...

    def jitter(self) -> float:
        """Return a factor from 0.5 to 1.5 for a wait, so that many do not come back at once."""
        ...

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> None:
        """Return when ``event`` is set or ``timeout_s`` has passed; None waits for the event."""
        ...


class SystemClock:
    """The time of this machine."""

    def now_ns(self) -> int:
        """See `Clock`."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def jitter(self) -> float:
        """See `Clock`."""
        return random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, guards nothing

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> None:
        """See `Clock`."""
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return
