"""What every notifier can be asked, one file a notifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tripswitch.actions.attempt import Attempt
    from tripswitch.model.outbox import Effect


class Notifier(Protocol):
    """One way to reach people."""

    async def send(self, effect: Effect) -> Attempt:
        """Send the news of ``effect`` under its id; never raises for what the other side does."""
