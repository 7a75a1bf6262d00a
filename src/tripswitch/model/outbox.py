"""The outbox's contract: effects are written before they are tried, and tried under one key.

`store` keeps the table, `actions` carries effects out; neither knows the other, both know this.

    pending ──begin──► sending ──finish──► done | failed | unknown for good
       ▲                │    ▲
       ├────retry_at────┤    │ begin_read_back
       │                └──retry_at──► unknown
       └──(its target never saw it)───────┘

An effect found ``sending`` whose sender is dead was cut off by a crash. A rollback that was marked
as leaving (`Outbox.mark_leaving`) may have arrived, so it becomes ``unknown``; one that was not,
for instance because the connection was still being made, has not, and is ``pending`` again, like
every notification (which a receiver de-duplicates by its id).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


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
    ``thread`` is the dedup key of the episode that a notification tells of, empty for none.
    ``kept`` is JSON that a rollback target recorded before it wrote, for an undo; empty when it
    wrote nothing.
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
    thread: str = ""
    kept: str = ""


Lane = tuple[EffectKind, str]
"""A kind and a target's name. One effect of a lane goes at a time; no lane waits for another."""

RECALLED_NS = 0
"""``not_after_ns`` of a rollback that was overtaken by a decision: it is not sent any more."""

LONGEST_REST_NS = 600 * 10**9
"""No rollback waits longer for its next try; one that is due later was put off by another clock."""

NEVER_NS = 2**63 - 1
"""``due_ns`` of an effect that nobody is to touch again."""


class Outbox(Protocol):
    """The table of effects. Every method is one durable transaction; times are wall clock ns.

    Several executors may share one table: an effect belongs to whoever began it until that one
    settles it or dies. What others try meanwhile changes nothing and answers False.
    """

    @property
    def instance(self) -> str:
        """Return the name of this state folder, constant for its life."""

    def put(self, effects: Sequence[Effect]) -> int:
        """Add effects whose key is not there yet; return how many were new.

        News for a notifier makes its older, waiting notifications of that thread due as well.
        """

    def due(self, now_ns: int, limit: int, busy: Collection[Lane] = ()) -> list[Effect]:
        """Return the next pending or unknown effect of each lane that is not ``busy``.

        Only those with ``due_ns`` <= ``now_ns``; rollbacks first, then oldest first. A
        notification waits for older ones to the same target of the same thread (on the same
        subject, where it has none), so that nobody hears "resolved" before "opened".
        """

    def next_due_ns(self, busy: Collection[Lane] = ()) -> int | None:
        """Return when the next effect outside ``busy`` is due, None when there is none."""

    def waiting(self) -> dict[EffectKind, int]:
        """Return how many effects have not come to their end, by kind, 0 included."""

    def begin(self, key: str) -> bool:
        """Take a pending effect: sending, one attempt more, before the target is connected to."""

    def begin_read_back(self, key: str) -> bool:
        """Take an unknown effect to ask its target about it; no attempt is counted."""

    def mark_leaving(self, key: str, kept: str = "", sent: str = "") -> bool:
        """Record, before the first byte of a request goes, that it may arrive from now on.

        ``kept``, where there is any, takes the place of what an earlier attempt recorded; ``sent``
        names the requests, without secrets, for the audit.
        """

    def kept(self, key: str) -> str:
        """Return what was recorded for the undo of an effect, empty when nothing was."""

    def finish(self, key: str, state: EffectState, result: str, now_ns: int) -> bool:
        """Record the end: done, failed, or unknown for good."""

    def retry_at(self, key: str, state: EffectState, due_ns: int, result: str) -> bool:
        """Put an effect back, due later: pending (it certainly did not act) or unknown."""

    def hurry(self, target: str, now_ns: int) -> int:
        """Make every notification that waits for ``target`` due now; return how many waited."""

    def recover(self, now_ns: int) -> int:
        """Settle effects left ``sending`` by a process that died (module text); return how many."""
