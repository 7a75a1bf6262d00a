"""The ledger: what happened, how each incident stands, and what is still to be done.

One SQLite file in ``storage.directory``. `Ledger.record` writes the events of a step, the
incidents as they stand after it and the effects it asks for in one transaction, before anything
is tried: after a crash either all of it is known or none of it happened. The timeline is
append-only and hash-chained (`chain`), with what the outbox called among it.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any, Self

from tripswitch.model.clocktext import rfc3339
from tripswitch.model.drift import Drift
from tripswitch.model.incident import Incident, IncidentState, RollbackPlan
from tripswitch.model.messages import Command, Event, OutcomeState, Rollback, RollbackOutcome
from tripswitch.model.outbox import NEVER_NS, Effect, EffectState
from tripswitch.store import chain
from tripswitch.store.database import Database
from tripswitch.store.drift_table import drift_of, keep_drift, prune_drift
from tripswitch.store.incident_record import (
    incident_of,
    incident_record,
    plan_of,
    plan_record,
)
from tripswitch.store.outbox import SqliteOutbox, put_effects, recall
from tripswitch.store.threads import SqliteThreads, prune_threads

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

# A budget of rollbacks a day makes this several years; a plan is about half a kilobyte.
_ROLLBACKS_KEPT = 10_000

# An incident makes about a hundred; more is a stream that somebody feeds.
_MOST_EVENTS = 5_000

_OUTCOMES: dict[EffectState, OutcomeState] = {
    EffectState.DONE: "acknowledged",
    EffectState.FAILED: "failed",
    EffectState.UNKNOWN: "unknown",
}


class Ledger:
    """The state on disk. Every method is one transaction and raises `LedgerError` only.

    Several processes may open the same file. ``path`` is the file; its folder is made when
    missing. ``instance`` names this state for life and is part of every webhook's source.
    ``now_ns`` is the wall clock, for when the outbox's steps were taken.
    """

    def __init__(self, path: Path, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = Database(path)
        try:
            self.instance = self._named_instance()
        except BaseException:
            self._database.close()
            raise
        self.outbox = SqliteOutbox(self._database, self.instance, now_ns)
        self.threads = SqliteThreads(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; effects that this process was still sending count as cut off."""
        self.outbox.close()
        self._database.close()

    def record(self, commands: Sequence[Command], effects: Sequence[Effect]) -> None:
        """Write one step of the engine: its events, its incidents and the effects it asks for.

        Events go to the timeline in the order given; of an incident that occurs more than once the
        last snapshot stays. Effects whose key is known already are left as they are. A rollback
        that waits to be sent and was overtaken (`Event.overtaken`) is not sent any more.
        """
        if not commands and not effects:
            return
        with self._database.write() as connection:
            link = chain.last_link(connection)
            for command in commands:
                if isinstance(command, Event):
                    link = _append(connection, command, link)
                    if command.incident is not None:
                        _keep_incident(connection, command.incident)
                    if command.plan is not None:
                        _keep_plan(connection, command.plan)
                    for key in command.overtaken:
                        recall(connection, key)
                elif isinstance(command, Rollback):
                    _keep_plan(connection, command.plan)
                elif isinstance(command, Drift):
                    keep_drift(connection, command)
            put_effects(connection, effects)

    def open_incidents(self) -> list[Incident]:
        """Return every incident that is open, or recovered but not resolved, oldest first."""
        rows = self._database.read(
            "SELECT record FROM incidents WHERE state != ? ORDER BY detected_at_ns, id",
            (IncidentState.RESOLVED.value,),
        )
        return [incident_of(row["record"]) for row in rows]

    def resolved_pages(self, after_ns: int, limit: int) -> list[Incident]:
        """Return the latest ``limit`` incidents that were resolved after a time, oldest first.

        They are given to the engine again after a restart, because postmortems are still due.
        """
        rows = self._database.read(
            """SELECT record FROM incidents WHERE state = ? AND resolved_at_ns > ?
               ORDER BY resolved_at_ns DESC, id LIMIT ?""",
            (IncidentState.RESOLVED.value, after_ns, limit),
        )
        return [incident_of(row["record"]) for row in reversed(rows)]

    def past_rollbacks(self) -> list[RollbackPlan]:
        """Return every plan that was ever made, in the state last recorded, oldest first.

        Plans outlive their incident here, so that "one automatic rollback for a target and a bad
        version" holds across restarts.
        """
        rows = self._database.read("SELECT record FROM rollbacks ORDER BY seq")
        return [plan_of(row["record"]) for row in rows]

    def settled_rollbacks(self, keys: Sequence[str]) -> list[RollbackOutcome]:
        """Return what became of those rollbacks among ``keys`` that the outbox has settled.

        After a crash an outcome may stand in the outbox that the engine never took in; giving it
        again changes nothing where it had been taken in.
        """
        outcomes = []
        for key in keys:
            for row in self._database.read(
                """SELECT state, last_result FROM outbox
                   WHERE key = ? AND kind = 'rollback' AND due_ns = ? AND state != 'sending'""",
                (key, NEVER_NS),
            ):
                state = _OUTCOMES[EffectState(row["state"])]
                outcomes.append(RollbackOutcome(key, state, row["last_result"]))
        return outcomes

    def incidents(self, limit: int) -> list[dict[str, Any]]:
        """Return the JSON of the latest ``limit`` incidents, newest first."""
        return [one.as_json() for one in self.known_incidents(limit)]

    def known_incidents(self, limit: int) -> list[Incident]:
        """Return the latest ``limit`` incidents, newest first."""
        rows = self._database.read(
            "SELECT record FROM incidents ORDER BY detected_at_ns DESC, id LIMIT ?", (limit,)
        )
        return [incident_of(row["record"]) for row in rows]

    def incident(self, incident_id: str) -> dict[str, Any] | None:
        """Return the JSON of one incident as it stands, None where there is none."""
        known = self.known_incident(incident_id)
        return None if known is None else known.as_json()

    def known_incident(self, incident_id: str) -> Incident | None:
        """Return one incident as it stands, None where there is none."""
        rows = self._database.read("SELECT record FROM incidents WHERE id = ?", (incident_id,))
        return incident_of(rows[0]["record"]) if rows else None

    def timeline(self, incident_id: str) -> list[dict[str, Any]]:
        """Return the events of one incident in order, each without the incident, with its link."""
        rows = self._database.read(
            "SELECT id, body, link FROM events WHERE incident_id = ? ORDER BY id LIMIT ?",
            (incident_id, _MOST_EVENTS),
        )
        found = []
        for row in rows:
            event = json.loads(row["body"])
            severity = (event["incident"] or {}).get("severity")
            event = {name: event[name] for name in ("event", "time", "detail")}
            found.append({"id": row["id"], **event, "severity": severity, "link": row["link"]})
        return found

    def actions(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Return what was called under those keys, in order: target, state, attempts, result."""
        found = []
        for key in keys:
            for row in self._database.read(
                """SELECT key, kind, target, type, state, attempts, last_result, occurred_ns,
                   finished_ns FROM outbox WHERE key = ?""",
                (key,),
            ):
                action = dict(row)
                for name in ("occurred", "finished"):
                    moment_ns = action.pop(f"{name}_ns")
                    action[name] = None if moment_ns is None else rfc3339(moment_ns)
                found.append(action)
        return found

    def incident_file(self, incident_id: str) -> dict[str, Any] | None:
        """Return all that is known of one incident: it, its timeline, what was called for it."""
        known = self.known_incident(incident_id)
        if known is None:
            return None
        plans = (*known.rollbacks, known.rollback)
        keys = [key for plan in plans if plan is not None for key in plan.keys]
        return {
            "incident": known.as_json(),
            "timeline": self.timeline(incident_id),
            "actions": self.actions(keys),
        }

    def audit(self) -> dict[str, Any]:
        """Return whether the chain is whole, how long it is, and where it breaks."""
        broken_at = self.broken_link()
        row = self._database.read("SELECT COUNT(*) AS n, MAX(id) AS last FROM events")[0]
        tip = self._database.read("SELECT link FROM events ORDER BY id DESC LIMIT 1")
        return {
            "whole": broken_at is None,
            "broken_at": broken_at,
            "events": row["n"],
            "last_event": row["last"],
            "tip": tip[0]["link"] if tip else None,
        }

    def events(self, after_id: int, limit: int) -> list[dict[str, Any]]:
        """Return up to ``limit`` events with an id above ``after_id``, in the order recorded.

        Each is the JSON of the event, with the incident as it stood then, and its ``id``.
        """
        rows = self._database.read(
            "SELECT id, body FROM events WHERE id > ? ORDER BY id LIMIT ?", (after_id, limit)
        )
        return [{"id": row["id"], **json.loads(row["body"])} for row in rows]

    def case(self, incident_id: str) -> dict[str, Any] | None:
        """Return all that is known of one incident, None for an unknown one.

        ``incident`` is its JSON, ``events`` its timeline in order (the first `_MOST_EVENTS`),
        ``drift`` its signals by minute as `DriftSignal.as_json` gives them, ``calls`` the calls
        of its rollbacks, as `actions` returns them.
        """
        rows = self._database.read("SELECT record FROM incidents WHERE id = ?", (incident_id,))
        if not rows:
            return None
        incident = incident_of(rows[0]["record"])
        events = self._database.read(
            "SELECT id, body FROM events WHERE incident_id = ? ORDER BY id LIMIT ?",
            (incident_id, _MOST_EVENTS),
        )
        plans = [plan for plan in (*incident.rollbacks, incident.rollback) if plan is not None]
        return {
            "incident": incident.as_json(),
            "events": [{"id": row["id"], **json.loads(row["body"])} for row in events],
            "drift": drift_of(self._database, incident_id),
            "calls": self.actions([plan.key for plan in plans]),
        }

    def broken_link(self) -> int | None:
        """Return the id of the first event that does not fit the chain, None when all do."""
        return chain.broken_at(self._database)

    def prune(self, before_ns: int) -> int:
        """Forget what ended before ``before_ns``; return how many rows went.

        Incidents and events are judged by the times they carry, effects by the wall clock.
        Resolved incidents go, settled effects go, and of the timeline everything that is older
        than the first event still needed: one of an unresolved incident, or a younger one. What
        goes is always the chain's beginning, so the rest still verifies. The newest ten thousand
        rollback plans stay.
        """
        with self._database.write() as connection:
            gone = connection.execute(
                "DELETE FROM incidents WHERE state = 'resolved' AND resolved_at_ns < ?",
                (before_ns,),
            ).rowcount
            gone += connection.execute(
                "DELETE FROM outbox WHERE state IN ('done', 'failed', 'unknown') "
                "AND due_ns = ? AND finished_ns < ?",
                (NEVER_NS, before_ns),
            ).rowcount
            gone += connection.execute(
                "DELETE FROM rollbacks WHERE seq <= (SELECT MAX(seq) FROM rollbacks) - ?",
                (_ROLLBACKS_KEPT,),
            ).rowcount
            gone += prune_threads(connection, before_ns)
            prune_drift(connection)
            return gone + _prune_timeline(connection, before_ns)

    def _named_instance(self) -> str:
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO facts VALUES ('instance', ?) ON CONFLICT (name) DO NOTHING",
                (uuid.uuid4().hex[:12],),
            )
        return self._fact("instance")

    def _fact(self, name: str) -> str:
        rows = self._database.read("SELECT value FROM facts WHERE name = ?", (name,))
        return str(rows[0]["value"]) if rows else ""


def _append(connection: sqlite3.Connection, event: Event, link_before: str) -> str:
    incident_id = None if event.incident is None else event.incident.id
    return chain.append(connection, event.time_ns, incident_id, event.as_json(), link_before)


def _keep_incident(connection: sqlite3.Connection, incident: Incident) -> None:
    connection.execute(
        """INSERT INTO incidents (id, state, detected_at_ns, resolved_at_ns, record)
           VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state,
           detected_at_ns = excluded.detected_at_ns, resolved_at_ns = excluded.resolved_at_ns,
           record = excluded.record""",
        (
            incident.id,
            incident.state.value,
            incident.detected_at_ns,
            incident.resolved_at_ns,
            incident_record(incident),
        ),
    )
    for plan in (*incident.rollbacks, incident.rollback):
        if plan is not None:
            _keep_plan(connection, plan)


def _keep_plan(connection: sqlite3.Connection, plan: RollbackPlan) -> None:
    connection.execute(
        """INSERT INTO rollbacks (key, record) VALUES (?, ?)
           ON CONFLICT (key) DO UPDATE SET record = excluded.record""",
        (plan.key, plan_record(plan)),
    )


def _prune_timeline(connection: sqlite3.Connection, before_ns: int) -> int:
    needed = connection.execute(
        """SELECT MIN(id) FROM events WHERE time_ns >= ?
           OR incident_id IN (SELECT id FROM incidents WHERE state != 'resolved')""",
        (before_ns,),
    ).fetchone()[0]
    last = connection.execute(
        "SELECT id, link FROM events WHERE ? IS NULL OR id < ? ORDER BY id DESC LIMIT 1",
        (needed, needed),
    ).fetchone()
    if last is None:
        return 0
    connection.executemany(
        """INSERT INTO facts VALUES (?, ?)
           ON CONFLICT (name) DO UPDATE SET value = excluded.value""",
        (("chain_origin", last["link"]), ("chain_origin_id", str(last["id"]))),
    )
    return connection.execute("DELETE FROM events WHERE id <= ?", (last["id"],)).rowcount
