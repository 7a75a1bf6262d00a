"""The table of threads: who was told of what, under which ids (`tripswitch.model.threads`)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from tripswitch.model.outbox import NEVER_NS, Effect
from tripswitch.model.threads import Thread
from tripswitch.store.outbox import EFFECT_COLUMNS, effect_of, put_effects

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from tripswitch.store.database import Database

_COLUMNS = "notifier, thread, is_open, opened_ns, told_ns, in_group, summary, address, remote"
_UNTRIED = "kind = 'notify' AND state = 'pending' AND attempts = 0"


class SqliteThreads:
    """`tripswitch.model.threads.Threads` on the ledger's database. Raises `LedgerError` only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, notifier: str, key: str) -> Thread | None:
        """Return the thread of an episode at a notifier, None when it was never told of it."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM threads WHERE notifier = ? AND thread = ?",  # noqa: S608 - constants only
            (notifier, key),
        )
        return _thread(rows[0]) if rows else None

    def put(self, thread: Thread) -> None:
        """Keep a thread as it stands now."""
        with self._database.write() as connection:
            _put(connection, thread)

    def hearing(self, key: str) -> set[str]:
        """Return the notifiers that were told of an episode, or are about to be."""
        rows = self._database.read(
            """SELECT notifier FROM threads WHERE thread = ? AND is_open UNION
               SELECT target FROM outbox WHERE thread = ? AND kind = 'notify'
               AND state IN ('pending', 'sending')""",
            (key, key),
        )
        return {row["notifier"] for row in rows}

    def opened_since(self, notifier: str, since_ns: int) -> int:
        """Return how many threads a notifier has opened by themselves from ``since_ns`` on."""
        rows = self._database.read(
            """SELECT COUNT(*) AS opened FROM threads
               WHERE notifier = ? AND opened_ns >= ? AND in_group = ''""",
            (notifier, since_ns),
        )
        return int(rows[0]["opened"])

    def open_threads(self, notifier: str) -> list[Thread]:
        """Return what a notifier has open and tells by itself, groups included, oldest first."""
        return self._select(
            "notifier = ? AND is_open AND in_group = '' ORDER BY opened_ns, thread", (notifier,)
        )

    def open_group(self, notifier: str, prefix: str) -> Thread | None:
        """Return the open thread told last whose key starts with ``prefix``."""
        found = self._select(
            """notifier = ? AND is_open AND substr(thread, 1, ?) = ?
               ORDER BY told_ns DESC LIMIT 1""",
            (notifier, len(prefix), prefix),
        )
        return found[0] if found else None

    def waiting(self, notifier: str, limit: int) -> list[Effect]:
        """Return the notifications that wait for a notifier and were not tried, oldest first."""
        rows = self._database.read(
            f"""SELECT {EFFECT_COLUMNS} FROM outbox WHERE target = ? AND {_UNTRIED}
                ORDER BY seq LIMIT ?""",  # noqa: S608 - constants only
            (notifier, limit),
        )
        return [effect_of(row) for row in rows]

    def next_of(self, effect: Effect) -> Effect | None:
        """Return the oldest younger notification of the same thread that was not tried yet."""
        rows = self._database.read(
            f"""SELECT {EFFECT_COLUMNS} FROM outbox WHERE thread = ? AND target = ? AND {_UNTRIED}
                AND seq > (SELECT seq FROM outbox WHERE key = ?) ORDER BY seq LIMIT 1""",  # noqa: S608 - constants only
            (effect.thread, effect.target, effect.key),
        )
        return effect_of(rows[0]) if rows else None

    def absorb(self, effect: Effect, into: Effect, result: str, now_ns: int) -> bool:
        """Let ``into`` (with its new body) tell what ``effect`` would have; False when taken."""
        with self._database.write() as connection:
            untried = connection.execute(
                f"SELECT COUNT(*) FROM outbox WHERE key IN (?, ?) AND {_UNTRIED}",  # noqa: S608 - constants only
                (effect.key, into.key),
            ).fetchone()[0]
            if untried != 2:
                return False
            connection.execute("UPDATE outbox SET body = ? WHERE key = ?", (into.body, into.key))
            _finish(connection, effect.key, result, now_ns)
            return True

    def fold(
        self,
        group: Thread,
        threads: Sequence[Thread],
        effects: Sequence[Effect],
        now_ns: int,
        tell: Callable[[Sequence[Thread]], Effect],
    ) -> None:
        """Let one message of ``group`` tell what ``effects`` would have."""
        with self._database.write() as connection:
            for effect in effects:
                _finish(connection, effect.key, f"told with others in {group.key}", now_ns)
            for thread in threads:
                _put(connection, thread)
            rows = connection.execute(
                f"""SELECT {_COLUMNS} FROM threads WHERE notifier = ? AND in_group = ?
                    ORDER BY opened_ns, thread""",  # noqa: S608 - constants only
                (group.notifier, group.key),
            )
            message = tell([_thread(row) for row in rows])
            waiting = connection.execute(
                f"""SELECT key, due_ns FROM outbox WHERE thread = ? AND target = ? AND {_UNTRIED}
                    ORDER BY seq DESC LIMIT 1""",  # noqa: S608 - constants only
                (group.key, group.notifier),
            ).fetchone()
            if waiting is None:
                put_effects(connection, [message])
            else:
                connection.execute(
                    "UPDATE outbox SET body = ?, type = ?, due_ns = ? WHERE key = ?",
                    (
                        message.body,
                        message.type,
                        min(message.due_ns, waiting["due_ns"]),
                        waiting["key"],
                    ),
                )
            _put(connection, group)

    def _select(self, condition: str, arguments: Sequence[object]) -> list[Thread]:
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM threads WHERE {condition}",  # noqa: S608 - constants only
            arguments,
        )
        return [_thread(row) for row in rows]


def prune_threads(connection: sqlite3.Connection, before_ns: int) -> int:
    """Forget threads that ended and were last told of before ``before_ns``; return how many."""
    return connection.execute(
        "DELETE FROM threads WHERE NOT is_open AND told_ns < ?", (before_ns,)
    ).rowcount


def _finish(connection: sqlite3.Connection, key: str, result: str, now_ns: int) -> None:
    connection.execute(
        f"""UPDATE outbox SET state = 'done', last_result = ?, finished_ns = ?, due_ns = ?
            WHERE key = ? AND {_UNTRIED}""",  # noqa: S608 - constants only
        (result, now_ns, NEVER_NS, key),
    )


def _put(connection: sqlite3.Connection, thread: Thread) -> None:
    connection.execute(
        f"""INSERT INTO threads ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (notifier, thread) DO UPDATE SET is_open = excluded.is_open,
            opened_ns = excluded.opened_ns, told_ns = excluded.told_ns,
            in_group = excluded.in_group, summary = excluded.summary,
            address = excluded.address, remote = excluded.remote""",  # noqa: S608 - constants only
        (
            thread.notifier,
            thread.key,
            thread.is_open,
            thread.opened_ns,
            thread.told_ns,
            thread.group,
            json.dumps(dict(thread.summary)),
            json.dumps(dict(thread.address)),
            json.dumps(dict(thread.remote)),
        ),
    )


def _thread(row: sqlite3.Row) -> Thread:
    thread = Thread(
        row["notifier"],
        row["thread"],
        row["opened_ns"],
        row["told_ns"],
        bool(row["is_open"]),
        row["in_group"],
    )
    return replace(
        thread,
        summary=json.loads(row["summary"]),
        address=json.loads(row["address"]),
        remote=json.loads(row["remote"]),
    )
