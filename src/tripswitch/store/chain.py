"""The chain of the audit: rows that are only ever added, each linked to the one before it.

A row is the JSON text of something that happened: an event of the engine, or what the outbox did
for it (`called`). Its link is the SHA-256 of the link before it and of its text, so an edit or a
removal in the middle shows (`Ledger.broken_link`). A row is written in the transaction of the step
that it tells of: there is no step without its row. Ids have no gap and SQLite remembers
the last (``sqlite_sequence``), so rows that were removed at the end show as well.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from tripswitch.model.clocktext import rfc3339
from tripswitch.model.messages import EventName
from tripswitch.store.incident_record import json_text

if TYPE_CHECKING:
    import sqlite3

    from tripswitch.store.database import Database

_ROWS_AT_ONCE: Final = 500

ORIGIN: Final = "0" * 64
"""The link before the first row."""


def last_link(connection: sqlite3.Connection) -> str:
    """Return the link that the next row continues."""
    row = connection.execute("SELECT link FROM events ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        row = connection.execute("SELECT value FROM facts WHERE name = 'chain_origin'").fetchone()
    return ORIGIN if row is None else str(row[0])


def link(before: str, body: str) -> str:
    """Return the link of a row that follows ``before``."""
    return hashlib.sha256(f"{before}\n{body}".encode()).hexdigest()


def broken_at(database: Database) -> int | None:
    """Return the id of the first row that was edited or is missing, None when the chain is whole.

    Rows are read a few at a time; what is added or pruned meanwhile breaks nothing.
    """
    while True:
        origin = _origin(database)
        found = _walked(database, *origin)
        if found is None or _origin(database) == origin:
            return found


def _walked(database: Database, before: str, last_id: int | None) -> int | None:
    given = database.read("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
    while rows := database.read(
        "SELECT id, incident_id, body, link FROM events WHERE id > ? ORDER BY id LIMIT ?",
        (last_id or 0, _ROWS_AT_ONCE),
    ):
        for row in rows:
            if last_id is not None and row["id"] != last_id + 1:
                return last_id + 1
            before, last_id = link(before, row["body"]), row["id"]
            if row["link"] != before or not _is_owned(row["body"], row["incident_id"]):
                return int(row["id"])
    if given and last_id is not None and last_id < given[0]["seq"]:
        return last_id + 1
    return None


def _origin(database: Database) -> tuple[str, int | None]:
    """Return the link and the id before the first row; of an id that is not known, None."""
    rows = database.read("SELECT name, value FROM facts WHERE name LIKE 'chain_origin%'")
    facts = {row["name"]: row["value"] for row in rows}
    if "chain_origin" not in facts:
        return ORIGIN, 0
    last_id = facts.get("chain_origin_id")
    return facts["chain_origin"], None if last_id is None else int(last_id)


def _is_owned(body: str, incident_id: str | None) -> bool:
    """Return whether a row is filed under the incident whose story it is part of."""
    # Reading a row takes ten times as long as hashing it, and this shows in the text of most.
    filed = "null" if incident_id is None else f'{{"id":{json.dumps(incident_id)}'
    is_call = body.startswith('{"event":"action.')
    return (not is_call and f'"incident":{filed}' in body) or _owner(body) == incident_id


def _owner(body: str) -> str | None:
    """Return the incident whose story a row is part of."""
    document = json.loads(body)
    action = document.get("action")
    if action is not None:
        return action["incident"] if action["kind"] == "rollback" else None
    incident = document["incident"]
    return None if incident is None else incident["id"]


def append(
    connection: sqlite3.Connection,
    time_ns: int,
    incident_id: str | None,
    document: dict[str, Any],
    link_before: str,
) -> str:
    """Add a row inside the caller's transaction; return its link."""
    body = json_text(document)
    own = link(link_before, body)
    connection.execute(
        "INSERT INTO events (time_ns, incident_id, body, link) VALUES (?, ?, ?, ?)",
        (time_ns, incident_id, body, own),
    )
    return own


def append_sent(connection: sqlite3.Connection, key: str, sent: str, time_ns: int) -> None:
    """Add that the first byte of a call goes: ``sent`` names the requests, empty where unknown."""
    _append_call(connection, EventName.ACTION_SENT, key, time_ns, "is about to be sent", sent)


def append_answered(connection: sqlite3.Connection, key: str, time_ns: int) -> None:
    """Add where an effect stands now, with its last result; of a message only its end is added."""
    _append_call(connection, EventName.ACTION_ANSWERED, key, time_ns, "", "")


def _append_call(
    connection: sqlite3.Connection, name: EventName, key: str, time_ns: int, news: str, sent: str
) -> None:
    row = connection.execute(
        """SELECT kind, target, type, state, attempts, body, last_result FROM outbox
           WHERE key = ?""",
        (key,),
    ).fetchone()
    if row["kind"] == "notify" and row["state"] not in ("done", "failed"):
        return
    incident_id = _incident_of(row["body"])
    news = news or f"is {row['state']}: {row['last_result']}"
    news = f"{news} {sent}" if sent else news
    attempt = f"attempt {row['attempts']}" if row["attempts"] else "not tried"
    action = {
        "key": key,
        "kind": row["kind"],
        "target": row["target"],
        "type": row["type"],
        "state": row["state"],
        "attempts": row["attempts"],
        "incident": incident_id,
        "asked_sha256": hashlib.sha256(row["body"].encode()).hexdigest(),
        "sent": sent,
        "result": row["last_result"],
    }
    document = {
        "event": name.value,
        "time": rfc3339(time_ns),
        "detail": f"{row['kind']} by {row['target']} {news} ({attempt})",
        "incident": None,
        "change": None,
        "action": action,
    }
    # Messages are many and are no part of an incident's story; their rows are in the chain alone.
    owner = incident_id if row["kind"] == "rollback" else None
    append(connection, time_ns, owner, document, last_link(connection))


def _incident_of(body: str) -> str | None:
    try:
        told = json.loads(body)
    except ValueError:
        return None
    incident = told.get("incident") if isinstance(told, dict) else None
    return incident.get("id") if isinstance(incident, dict) else None
