"""What every upstream can do, whichever protocol it speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tripswitch.otlp.delivery import Delivery
    from tripswitch.otlp.replies import Reply


class Upstream(Protocol):
    """One place that telemetry goes to."""

    @property
    def endpoint(self) -> str:
        """Return where that is, for logs; it holds no secret."""
        ...

    @property
    def in_flight(self) -> int:
        """Return how many requests are under way."""
        ...

    async def send(
        self, delivery: Delivery, remaining_s: float | None, patience_s: float | None = None
    ) -> Reply:
        """Send a request and return the answer, in the upstream's protocol or our own.

        ``remaining_s`` is what is left of the client's deadline, None when it set none.
        ``patience_s`` is how long the answer is waited for from when the request leaves, None for
        as long as those two allow: what it takes to unpack a request is not the upstream's time.
        Cancelling cancels the call. Raises nothing else: what goes wrong on this side of the
        upstream is UNAVAILABLE, which clients may retry, and never a code that is final.
        """
        ...

    async def close(self) -> None:
        """Close the connections; calls under way are cancelled."""
        ...


def time_upstream(remaining_s: float) -> float:
    """Return the time the upstream gets, so that its silence is answered before the client leaves.

    A tenth of what is left, at most 100 ms, is kept for the way back.
    """
    return remaining_s - min(0.1, remaining_s / 10)
