"""The table of effects: what is to be called, what has been, and with what result.

Every step is a compare-and-set on the row's state, so two executors on one table never both carry
an effect out. Who began an effect holds a lock on a file of its own; the kernel lets go of that
lock when the process dies, however it dies, and `SqliteOutbox.recover` settles what it held. A
lease by time instead would make a crash cost the rollback a whole call time-out.

Of each rollback every send and every answer, of each message its end, goes into the chain of the
audit in the same transaction.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from typing import TYPE_CHECKING, Any

from tripswitch.errors import LedgerError
from tripswitch.model.outbox import (
    LONGEST_REST_NS,
    NEVER_NS,
    RECALLED_NS,
    Effect,
    EffectKind,
    EffectState,
    Lane,
)
from tripswitch.store import chain

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from tripswitch.store.database import Database

# An effect that may be touched: open, and no older notification of its thread (of its subject,
# where it has no thread) still on its way.
_OPEN = """
    o.state IN ('pending', 'unknown') AND NOT EXISTS (
        SELECT 1 FROM outbox e
        WHERE o.kind = 'notify' AND e.kind = 'notify' AND e.target = o.target
          AND e.thread = o.thread AND (o.thread != '' OR e.subject = o.subject)
          AND e.seq < o.seq AND e.state IN ('pending', 'sending')
    )
"""

EFFECT_COLUMNS = (
    "key, kind, target, type, subject, body, occurred_ns, state, attempts, due_ns, not_after_ns, "
    "last_result, thread, kept"
)

# An effect is mine to settle unless it is settled already, or somebody else is sending it.
_MINE = "key = ? AND (state IN ('pending', 'unknown') OR (state = 'sending' AND sender = ?))"


class SqliteOutbox:
    """`tripswitch.model.outbox.Outbox` on the ledger's database. Raises `LedgerError` only."""

    def __init__(self, database: Database, instance: str, now_ns: Callable[[], int]) -> None:
        self._database = database
        self._instance = instance
        self._now_ns = now_ns
        self._sender = uuid.uuid4().hex
        self._sender_lock: int | None = None

    @property
    def instance(self) -> str:
        """Return the name of this state folder, constant for its life."""
        return self._instance

    def put(self, effects: Sequence[Effect]) -> int:
        """Add effects whose key is not there yet; return how many were new."""
        with self._database.write() as connection:
            return put_effects(connection, effects)

    def due(self, now_ns: int, limit: int, busy: Collection[Lane] = ()) -> list[Effect]:
        """Return the next due effect of each lane that is not busy, rollbacks first."""
        rows = self._database.read(
            f"""SELECT {EFFECT_COLUMNS} FROM outbox WHERE seq IN (
                SELECT MIN(o.seq) FROM outbox o WHERE {_OPEN} AND (o.due_ns <= ?
                    OR (o.kind = 'rollback' AND o.due_ns > ? AND o.due_ns < ?))
                GROUP BY o.kind, o.target
            ) ORDER BY kind = 'rollback' DESC, seq""",  # noqa: S608 - constants only
            (now_ns, min(now_ns + LONGEST_REST_NS, NEVER_NS), NEVER_NS),
        )
        effects = [effect_of(row) for row in rows]
        return [effect for effect in effects if (effect.kind, effect.target) not in busy][:limit]

    def next_due_ns(self, busy: Collection[Lane] = ()) -> int | None:
        """Return when the next effect outside ``busy`` is due, None when there is none."""
        rows = self._database.read(
            f"""SELECT o.kind, o.target, MIN(o.due_ns) AS due_ns FROM outbox o
                WHERE o.due_ns < ? AND {_OPEN} GROUP BY o.kind, o.target""",  # noqa: S608 - constants only
            (NEVER_NS,),
        )
        return min(
            (
                int(row["due_ns"])
                for row in rows
                if (EffectKind(row["kind"]), row["target"]) not in busy
            ),
            default=None,
        )

    def waiting(self) -> dict[EffectKind, int]:
        """Return how many effects have not come to their end, by kind, 0 included."""
        rows = self._database.read(
            """SELECT kind, COUNT(*) AS number FROM outbox
               WHERE state IN ('pending', 'sending', 'unknown') AND due_ns < ? GROUP BY kind""",
            (NEVER_NS,),
        )
        counted = {EffectKind(row["kind"]): int(row["number"]) for row in rows}
        return {kind: counted.get(kind, 0) for kind in EffectKind}

    def begin(self, key: str) -> bool:
        """Take a pending effect and count the attempt; False when it is not there to take."""
        return self._take(key, "pending", 1)

    def begin_read_back(self, key: str) -> bool:
        """Take an unknown effect to ask about it; False when it is not there to take."""
        return self._take(key, "unknown", 0)

    def mark_leaving(self, key: str, kept: str = "", sent: str = "") -> bool:
        """Record that the first byte is about to go; False when the effect is not ours."""
        with self._database.write() as connection:
            is_ours = connection.execute(
                """UPDATE outbox SET is_leaving = 1, kept = CASE WHEN ? = '' THEN kept ELSE ? END
                   WHERE key = ? AND state = 'sending' AND sender = ?""",
                (_storable(kept), _storable(kept), key, self._sender),
            ).rowcount
            if is_ours:
                chain.append_sent(connection, key, _storable(sent), self._now_ns())
            return bool(is_ours)

    def kept(self, key: str) -> str:
        """Return what was recorded for the undo of an effect, empty when nothing was."""
        rows = self._database.read("SELECT kept FROM outbox WHERE key = ?", (key,))
        return str(rows[0]["kept"]) if rows else ""

    def finish(self, key: str, state: EffectState, result: str, now_ns: int) -> bool:
        """Record the end: done, failed, or unknown for good; False when it is not ours to end."""
        with self._database.write() as connection:
            is_ours = connection.execute(
                f"""UPDATE outbox SET state = ?, last_result = ?, finished_ns = ?, due_ns = ?,
                    sender = NULL WHERE {_MINE}""",  # noqa: S608 - constants only
                (state.value, _storable(result), now_ns, NEVER_NS, key, self._sender),
            ).rowcount
            if is_ours:
                chain.append_answered(connection, key, now_ns)
            return bool(is_ours)

    def retry_at(self, key: str, state: EffectState, due_ns: int, result: str) -> bool:
        """Put an effect back, pending or unknown; False when it is not ours to put back."""
        with self._database.write() as connection:
            is_ours = connection.execute(
                f"""UPDATE outbox SET state = ?, last_result = ?, due_ns = ?, sender = NULL
                    WHERE {_MINE}""",  # noqa: S608 - constants only
                (state.value, _storable(result), due_ns, key, self._sender),
            ).rowcount
            if is_ours:
                chain.append_answered(connection, key, self._now_ns())
            return bool(is_ours)

    def hurry(self, target: str, now_ns: int) -> int:
        """Make what waits for a notifier due now; return how many waited."""
        with self._database.write() as connection:
            return connection.execute(
                """UPDATE outbox SET due_ns = ? WHERE kind = 'notify' AND state = 'pending'
                   AND target = ? AND due_ns > ?""",
                (now_ns, target, now_ns),
            ).rowcount

    def recover(self, now_ns: int) -> int:
        """Settle what dead senders left, due at once: unknown what may have gone, else pending."""
        settled = 0
        with self._database.write() as connection:
            senders = [row["id"] for row in connection.execute("SELECT id FROM senders")]
            dead = [one for one in senders if one != self._sender and self._is_dead(one)]
            for sender in dead:
                held = connection.execute(
                    """SELECT key FROM outbox WHERE state = 'sending' AND sender = ?
                       AND kind = 'rollback' ORDER BY seq""",
                    (sender,),
                ).fetchall()
                settled += connection.execute(
                    """UPDATE outbox SET due_ns = ?, sender = NULL,
                       last_result = 'the process ended before an answer was recorded',
                       state = CASE WHEN kind = 'rollback' AND is_leaving THEN 'unknown'
                                    ELSE 'pending' END
                       WHERE state = 'sending' AND sender = ?""",
                    (now_ns, sender),
                ).rowcount
                for row in held:
                    chain.append_answered(connection, row["key"], now_ns)
                connection.execute("DELETE FROM senders WHERE id = ?", (sender,))
                self._lock_path(sender).unlink(missing_ok=True)
        return settled

    def close(self) -> None:
        """Let go of the sender's lock: whatever it was still sending counts as cut off."""
        if self._sender_lock is not None:
            os.close(self._sender_lock)
            self._sender_lock = None

    def _take(self, key: str, state: str, attempts: int) -> bool:
        self._announce()
        return self._change(
            # Asking about an effect does not undo that it may have gone.
            """UPDATE outbox SET state = 'sending', attempts = attempts + ?, sender = ?,
               is_leaving = (state = 'unknown') WHERE key = ? AND state = ?""",
            (attempts, self._sender, key, state),
        )

    def _change(self, sql: str, arguments: Sequence[Any]) -> bool:
        with self._database.write() as connection:
            return connection.execute(sql, arguments).rowcount == 1

    def _announce(self) -> None:
        """Lock this sender's file, then write its name: a name without a lock is a dead one."""
        if self._sender_lock is not None:
            return
        try:
            descriptor = os.open(self._lock_path(self._sender), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise LedgerError(
                f"cannot lock {self._lock_path(self._sender)}: {error.strerror}",
                hint="storage.directory must be writable and on a file system that has locks",
            ) from error
        try:
            with self._database.write() as connection:
                connection.execute("INSERT INTO senders (id) VALUES (?)", (self._sender,))
        except LedgerError:
            os.close(descriptor)
            raise
        self._sender_lock = descriptor

    def _is_dead(self, sender: str) -> bool:
        try:
            descriptor = os.open(self._lock_path(sender), os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _lock_path(self, sender: str) -> Path:
        return self._database.path.with_name(f"{self._database.path.name}.sender-{sender}")


def put_effects(connection: sqlite3.Connection, effects: Sequence[Effect]) -> int:
    """Add effects whose key is new, inside the caller's transaction; return how many were."""
    added = 0
    for effect in effects:
        new = connection.execute(
            f"""INSERT INTO outbox ({EFFECT_COLUMNS})
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (key) DO NOTHING""",  # noqa: S608 - constants only
            (
                effect.key,
                effect.kind.value,
                effect.target,
                effect.type,
                _storable(effect.subject),
                _storable(effect.body),
                effect.occurred_ns,
                effect.state.value,
                effect.attempts,
                effect.due_ns,
                effect.not_after_ns,
                _storable(effect.last_result),
                effect.thread,
                _storable(effect.kept),
            ),
        ).rowcount
        added += new
        if new and effect.kind is EffectKind.NOTIFY:
            connection.execute(
                """UPDATE outbox SET due_ns = ? WHERE kind = 'notify' AND state = 'pending'
                   AND target = ? AND thread = ? AND (thread != '' OR subject = ?)
                   AND due_ns > ?""",
                (
                    effect.due_ns,
                    effect.target,
                    effect.thread,
                    _storable(effect.subject),
                    effect.due_ns,
                ),
            )
    return added


def recall(connection: sqlite3.Connection, key: str) -> None:
    """Let a rollback that is not settled never be sent again, inside the caller's transaction.

    One that is being sent right now cannot be called back; it is not tried a second time.
    """
    connection.execute(
        """UPDATE outbox SET not_after_ns = ? WHERE key = ? AND kind = 'rollback'
           AND state IN ('pending', 'sending', 'unknown')""",
        (RECALLED_NS, key),
    )


def effect_of(row: sqlite3.Row) -> Effect:
    """Return the effect of a row of `EFFECT_COLUMNS`."""
    fields = dict(row)
    return Effect(
        **fields | {"kind": EffectKind(fields["kind"]), "state": EffectState(fields["state"])}
    )


def _storable(text: str) -> str:
    """Replace lone surrogates, which SQLite cannot store."""
    return text.encode("utf-8", "replace").decode("utf-8")
