"""What every notifier can be asked, one file a notifier."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from tripswitch.actions.attempt import Attempt, AttemptState, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tripswitch.actions.exchange import Exchange
    from tripswitch.actions.notify.news import News
    from tripswitch.model.outbox import Effect
    from tripswitch.model.threads import Thread

# A key that was rotated, an address that moved: a person mends it and the message is still news.
# 420 is what some services say for 429.
_MENDABLE: Final = (401, 402, 403, 404, 407, 420, 423)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to send: the effect, what it tells, and the thread it belongs to.

    ``remote`` is what the other side answered in this thread before, empty for a new one.
    """

    effect: Effect
    news: News
    remote: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of sending. ``remote`` is to be kept for the thread, None where nothing changed;
    it is kept after a failure too, so that a part that is done is not done again.
    """

    attempt: Attempt
    remote: Mapping[str, str] | None = None


class Notifier(Protocol):
    """One way to reach people."""

    async def send(self, letter: Letter) -> Sent:
        """Send the news under its id; never raises for what the other side does."""


@runtime_checkable
class Keeper(Notifier, Protocol):
    """A notifier whose messages fade unless they are renewed, or that shows a sign of life."""

    @property
    def keep_every_s(self) -> float:
        """Return how often `keep` is to be called."""

    async def keep(self, threads: Sequence[Thread]) -> Attempt:
        """Renew what is open in ``threads``; never raises for what the other side does."""


def judge_message(exchange: Exchange) -> Attempt:
    """Return what an exchange with a notifier amounts to.

    What a person can mend at either end is tried again, as a message that nobody got is worse than
    one that is late.
    """
    attempt = judge(exchange)
    if exchange.status in _MENDABLE:
        detail = f"answered {exchange.status}: is the key or the address still right?"
        return replace(attempt, state=AttemptState.RETRY, detail=detail)
    return attempt


def nothing_to_send(why: str) -> Sent:
    """Return the end of a message that this medium has no place for."""
    return Sent(Attempt(AttemptState.DONE, f"nothing to send: {why}"))
