"""The tables of the ledger, one migration a schema version, applied in order and never edited.

``PRAGMA user_version`` holds how many have been applied. No statement needs more than SQLite 3.24,
which the oldest supported systems ship.
"""

from __future__ import annotations

_FIRST = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        time_ns INTEGER NOT NULL,
        incident_id TEXT,
        body TEXT NOT NULL,
        link TEXT NOT NULL
    )""",
    "CREATE INDEX events_by_incident ON events (incident_id)",
    """CREATE TABLE incidents (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        detected_at_ns INTEGER NOT NULL,
        resolved_at_ns INTEGER,
        record TEXT NOT NULL
    )""",
    "CREATE INDEX incidents_by_time ON incidents (detected_at_ns)",
    """CREATE TABLE rollbacks (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        record TEXT NOT NULL
    )""",
    """CREATE TABLE senders (
        id TEXT PRIMARY KEY
    )""",
    """CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        target TEXT NOT NULL,
        type TEXT NOT NULL,
        subject TEXT NOT NULL,
        body TEXT NOT NULL,
        occurred_ns INTEGER NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        due_ns INTEGER NOT NULL,
        not_after_ns INTEGER NOT NULL,
        last_result TEXT NOT NULL,
        sender TEXT REFERENCES senders (id),
        is_leaving INTEGER NOT NULL DEFAULT 0,
        finished_ns INTEGER
    )""",
    "CREATE INDEX outbox_by_state ON outbox (state, due_ns)",
    "CREATE INDEX outbox_by_subject ON outbox (target, subject, seq)",
)

_THREADS = (
    "ALTER TABLE outbox ADD COLUMN thread TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX outbox_by_thread ON outbox (thread, target, seq)",
    """CREATE TABLE threads (
        notifier TEXT NOT NULL,
        thread TEXT NOT NULL,
        is_open INTEGER NOT NULL,
        opened_ns INTEGER NOT NULL,
        told_ns INTEGER NOT NULL,
        in_group TEXT NOT NULL,
        summary TEXT NOT NULL,
        address TEXT NOT NULL,
        remote TEXT NOT NULL,
        PRIMARY KEY (notifier, thread)
    )""",
    "CREATE INDEX threads_by_group ON threads (notifier, in_group)",
)

# What a rollback target recorded before it wrote, for an undo.
_KEPT = ("ALTER TABLE outbox ADD COLUMN kept TEXT NOT NULL DEFAULT ''",)

# What the signals around an incident measured.
_DRIFT = (
    """CREATE TABLE drift (
        incident_id TEXT NOT NULL,
        signal TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (incident_id, signal)
    )""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _THREADS, _KEPT, _DRIFT)
