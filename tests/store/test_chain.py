"""What was called and answered is in the chain of the audit, in the step's own transaction."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.samples import NOW_NS, effect, event, notification
from tripswitch.model.clocktext import rfc3339
from tripswitch.model.incident import IncidentState
from tripswitch.model.outbox import EffectState
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

LATER_NS = NOW_NS + 5
WITH_INCIDENT = json.dumps({"incident": {"id": "inc-1"}})


def calls_of(ledger: Ledger) -> list[dict[str, Any]]:
    """Return the rows of the outbox's doing."""
    return [one for one in ledger.events(0, 100) if one["event"].startswith("action.")]


def test_every_send_and_answer_of_a_rollback_is_a_link(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger", lambda: LATER_NS) as ledger:
        ledger.record([event()], [effect("rb", body=WITH_INCIDENT)])
        ledger.outbox.begin("rb")
        ledger.outbox.mark_leaving("rb", "{}", "PUT http://127.0.0.1/alias")
        ledger.outbox.retry_at("rb", EffectState.UNKNOWN, NOW_NS, "no answer")
        ledger.outbox.begin_read_back("rb")
        ledger.outbox.finish("rb", EffectState.DONE, "read back: applied", LATER_NS)
        sent, lost, done = calls_of(ledger)
        assert (sent["event"], lost["event"], done["event"]) == (
            "action.sent",
            "action.answered",
            "action.answered",
        )
        assert sent["action"]["sent"] == "PUT http://127.0.0.1/alias"
        assert sent["action"]["asked_sha256"] == hashlib.sha256(WITH_INCIDENT.encode()).hexdigest()
        assert (lost["action"]["state"], lost["action"]["result"]) == ("unknown", "no answer")
        assert done["detail"] == "rollback by gateway is done: read back: applied (attempt 1)"
        assert {one["time"] for one in (sent, lost, done)} == {rfc3339(LATER_NS)}
        # They stand in the incident's own timeline too, and what was asked is in its first row.
        names = [one["event"] for one in ledger.timeline("inc-1")]
        assert names == ["incident.opened", "action.sent", "action.answered", "action.answered"]
        assert ledger.broken_link() is None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET body = replace(body, 'ok', 'no') WHERE id = 2",
        "DELETE FROM events WHERE id = 2",
        "UPDATE events SET incident_id = 'inc-9' WHERE id = 3",
        "DELETE FROM events WHERE id = 3",
        "DELETE FROM events WHERE id >= 2",
    ],
)
def test_an_answer_that_was_edited_or_removed_shows(tmp_path: Path, change: str) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.record([event()], [effect("rb")])
        ledger.outbox.begin("rb")
        ledger.outbox.finish("rb", EffectState.DONE, "ok", NOW_NS)
        ledger.record([event()], [])
        with closing(sqlite3.connect(tmp_path / "ledger", isolation_level=None)) as other:
            other.execute(change)
        assert ledger.broken_link() in (2, 3)


def test_of_a_message_only_its_end_is_added_and_not_to_the_incident(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.record([event()], [notification("n", body=WITH_INCIDENT)])
        ledger.outbox.begin("n")
        ledger.outbox.retry_at("n", EffectState.PENDING, NOW_NS, "answered 500")
        assert calls_of(ledger) == []
        ledger.outbox.begin("n")
        ledger.outbox.finish("n", EffectState.DONE, "answered 200", NOW_NS)
        (end,) = calls_of(ledger)
        assert (end["action"]["incident"], end["action"]["attempts"]) == ("inc-1", 2)
        assert [one["event"] for one in ledger.timeline("inc-1")] == ["incident.opened"]


def test_a_step_that_is_not_ours_adds_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.record([event()], [effect("rb")])
        assert not ledger.outbox.mark_leaving("rb")
        ledger.outbox.finish("rb", EffectState.FAILED, "kill switch", NOW_NS)
        assert not ledger.outbox.finish("rb", EffectState.DONE, "twice", NOW_NS)
        assert not ledger.outbox.retry_at("rb", EffectState.PENDING, NOW_NS, "twice")
        (refused,) = calls_of(ledger)
        assert refused["detail"] == "rollback by gateway is failed: kill switch (not tried)"


def test_what_a_crash_cut_off_is_added_by_who_settles_it(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        with Ledger(tmp_path / "ledger") as dead:
            dead.outbox.put([effect("rb", body="{no json")])
            dead.outbox.begin("rb")
            dead.outbox.mark_leaving("rb")
        ledger.outbox.recover(NOW_NS)
        assert [one["action"]["state"] for one in calls_of(ledger)] == ["sending", "unknown"]
        assert ledger.broken_link() is None


def test_what_was_removed_at_the_end_shows_also_after_more_was_added(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.record([event(), event()], [])
        with closing(sqlite3.connect(tmp_path / "ledger", isolation_level=None)) as other:
            other.execute("DELETE FROM events WHERE id = 2")
        assert ledger.broken_link() == 2
        ledger.record([event()], [])
        assert ledger.broken_link() == 2


def test_removing_everything_shows_but_for_what_was_pruned(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        resolved = event(state=IncidentState.RESOLVED, resolved_at_ns=NOW_NS)
        ledger.record([resolved, resolved], [])
        ledger.prune(NOW_NS + 1)
        assert ledger.events(0, 9) == []
        assert ledger.broken_link() is None
        ledger.record([event()], [])
        assert ledger.broken_link() is None
        with closing(sqlite3.connect(tmp_path / "ledger", isolation_level=None)) as other:
            other.execute("DELETE FROM events")
        assert ledger.broken_link() == 3
