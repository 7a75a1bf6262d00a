"""The outbox's contract: effects are written before they are tried, and tried under one key.

`store` keeps the table, `actions` carries effects out; neither knows the other, both know this.

    pending ──begin──► sending ──finish──► done | failed
       ▲                  │
       └────retry_at──────┤
                          └── unknown ──(read back)──► done | pending | failed

An effect found ``sending`` at start-up was cut off by a crash: it may have arrived, so it becomes
``unknown`` when it is a rollback and ``pending`` when it is a notification (which a receiver
de-duplicates by its id).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class EffectKind(StrEnum):
    """What kind of call an effect is."""

    NOTIFY = "notify"
    ROLLBACK = "rollback"


class EffectState(StrEnum):
    """Where an effect stands."""

    PENDING = "pending"
    SENDING = "sending"
    UNKNOWN = "unknown"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Effect:
    """One call to make. ``key`` is unique and constant across retries: the idempotency key.

    ``target`` names a configured notifier or rollback target; ``body`` is the JSON text of the
    CloudEvents ``data``; ``type`` its CloudEvents type; ``subject`` its subject; ``occurred_ns``
    when the thing it tells of happened. ``attempts`` counts begun tries, ``due_ns`` is the wall
    time of the next one, ``not_after_ns`` the wall time after which it is no longer worth doing.
    """

    key: str
    kind: EffectKind
    target: str
    type: str
    subject: str
    body: str
    occurred_ns: int
    state: EffectState
    attempts: int
    due_ns: int
    not_after_ns: int
    last_result: str = ""


class Outbox(Protocol):
    """The table of effects. Every method is one durable transaction; times are wall clock ns."""

    def put(self, effects: list[Effect]) -> int:
        """Add effects whose key is not there yet; return how many were new."""

    def due(self, now_ns: int, limit: int) -> list[Effect]:
        """Return pending and unknown effects with ``due_ns`` <= ``now_ns``, oldest first.

        Rollbacks come before notifications.
        """

    def next_due_ns(self) -> int | None:
        """Return when the next pending or unknown effect is due, None when there is none."""

    def begin(self, key: str) -> None:
        """Mark a pending effect as sending and count the attempt, before the first byte goes."""

    def finish(self, key: str, state: EffectState, result: str, now_ns: int) -> None:
        """Record the end of an attempt: done, failed or unknown."""

    def retry_at(self, key: str, due_ns: int, result: str) -> None:
        """Put an effect back: pending again (a certain failure) or still unknown, due later."""

    def recover(self, now_ns: int) -> int:
        """Settle effects that a crash left ``sending`` (module text); return how many."""
