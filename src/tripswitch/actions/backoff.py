"""When to try again, as pure functions: the attempt number and a random share in, seconds out.

Attempts are counted in the outbox and survive a restart, which the retry loops of libraries do not.
"""

from __future__ import annotations

from dataclasses import dataclass

# A page is worth nothing hours late, so a notifier that is down is asked every five minutes whether
# it is back; all that waits for it rests meanwhile, so this is one call at a time.
NOTIFY_WAITS_S = (5.0, 15.0, 60.0, 120.0, 300.0)

MAX_RETRY_AFTER_S = 300.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the executor goes. All in seconds.

    ``rollback_first`` doubles with each attempt up to ``rollback_cap``: a rollback matters now.
    ``notify_waits`` are the waits between attempts, the last one repeated. ``ledger_retry`` is the
    pause after the ledger refused, ``idle`` the longest sleep between looks at the outbox.
    """

    rollback_first_s: float = 1.0
    rollback_cap_s: float = 60.0
    notify_waits_s: tuple[float, ...] = NOTIFY_WAITS_S
    ledger_retry_s: float = 5.0
    idle_s: float = 15.0

    def rollback_wait_s(self, attempt: int, share: float) -> float:
        """Return the wait after the ``attempt``-th try (from 1); ``share`` is random, 0 to 1.

        Between half and all of the exponential step, so that retries of a fleet spread out.
        """
        # 2 ** 63 s is beyond any cap; the bound keeps the power finite.
        step = min(self.rollback_cap_s, self.rollback_first_s * 2.0 ** min(attempt - 1, 63))
        return step * (0.5 + 0.5 * share)

    def notify_wait_s(self, attempt: int, share: float) -> float:
        """Return the wait after the ``attempt``-th try (from 1): scheduled, and up to 20 % more."""
        wait_s = self.notify_waits_s[min(attempt, len(self.notify_waits_s)) - 1]
        return wait_s * (1.0 + 0.2 * share)
