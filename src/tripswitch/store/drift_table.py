"""The ledger's table of drift: one row for a signal of an incident, its series put together.

A row stays below a few ten thousand bytes: `model.drift` bounds the points of a series, and the
engine the signals of an incident.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tripswitch.model.drift import Drift, DriftSignal, joined

if TYPE_CHECKING:
    import sqlite3

    from tripswitch.store.database import Database

MOST_SIGNALS = 16
"""Signals kept of one incident; the engine gives fewer at a time, but not always the same."""


def keep_drift(connection: sqlite3.Connection, drift: Drift) -> None:
    """Put the minutes of ``drift`` to those that are known of its incident."""
    known = {
        row["signal"]: row["record"]
        for row in connection.execute(
            "SELECT signal, record FROM drift WHERE incident_id = ?", (drift.incident_id,)
        )
    }
    for signal in drift.signals:
        name = _storable(signal.name)
        before = known.get(name)
        if before is None and len(known) >= MOST_SIGNALS:
            continue
        # Joined even with nothing before it, so that the bound on points always holds.
        start = signal if before is None else DriftSignal.of_json(json.loads(before))
        record = json.dumps(joined(start, signal).as_json(), separators=(",", ":"))
        known[name] = record
        connection.execute(
            """INSERT INTO drift (incident_id, signal, record) VALUES (?, ?, ?)
               ON CONFLICT (incident_id, signal) DO UPDATE SET record = excluded.record""",
            (drift.incident_id, name, record),
        )


def drift_of(database: Database, incident_id: str) -> list[dict[str, Any]]:
    """Return the JSON of every signal kept of an incident, in the order they came."""
    rows = database.read(
        "SELECT record FROM drift WHERE incident_id = ? ORDER BY rowid", (incident_id,)
    )
    return [json.loads(row["record"]) for row in rows]


def prune_drift(connection: sqlite3.Connection) -> None:
    """Forget the series of incidents that were forgotten."""
    connection.execute("DELETE FROM drift WHERE incident_id NOT IN (SELECT id FROM incidents)")


def _storable(name: str) -> str:
    # SQLite refuses the lone surrogates that the name of a rubric may contain.
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
