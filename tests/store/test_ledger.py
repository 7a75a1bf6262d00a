"""The ledger keeps all that it was told or nothing, and says what is wrong when it cannot."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.store.samples import NOW_NS, SCOPE, effect, event, incident, notification, plan
from tripswitch.errors import LedgerError
from tripswitch.model.incident import Change, IncidentState, RollbackState
from tripswitch.model.messages import Event, EventName, Rollback, RollbackOutcome
from tripswitch.model.outbox import EffectState
from tripswitch.store.ledger import Ledger
from tripswitch.store.schema import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as opened:
        yield opened


def test_everything_recorded_is_there_after_reopening(path: Path) -> None:
    opened = event()
    change = Event(EventName.CHANGE_SEEN, NOW_NS, None, Change("model", NOW_NS, SCOPE, None, "m2"))
    with Ledger(path) as first:
        first.record([change, opened], [effect()])
        instance = first.instance
    with Ledger(path) as second:
        assert second.open_incidents() == [incident()]
        assert second.events(0, 10) == [
            {"id": 1, **change.as_json()},
            {"id": 2, **opened.as_json()},
        ]
        assert second.incidents(10) == [incident().as_json()]
        assert second.outbox.due(NOW_NS, 10) == [effect()]
        assert second.instance == instance


def test_the_last_snapshot_of_an_incident_stays(ledger: Ledger) -> None:
    recovered = incident(state=IncidentState.RECOVERED, recovered_at_ns=NOW_NS + 1)
    ledger.record([event()], [])
    ledger.record([event(), Event(EventName.INCIDENT_RECOVERED, NOW_NS + 1, recovered)], [])
    assert ledger.open_incidents() == [recovered]


def test_resolved_incident_is_no_longer_open_but_its_rollback_is_remembered(ledger: Ledger) -> None:
    confirmed = plan(state=RollbackState.CONFIRMED)
    ledger.record([event(), Rollback("rb-1", plan(), event())], [])
    ledger.record(
        [event(state=IncidentState.RESOLVED, resolved_at_ns=NOW_NS, rollback=confirmed)], []
    )
    assert ledger.open_incidents() == []
    assert ledger.past_rollbacks() == [confirmed]
    assert ledger.incidents(1)[0]["state"] == "resolved"


def test_incidents_come_newest_first_and_no_more_than_asked(ledger: Ledger) -> None:
    for number in range(3):
        ledger.record([event(id=f"inc-{number}", detected_at_ns=NOW_NS + number)], [])
    assert [one["id"] for one in ledger.incidents(2)] == ["inc-2", "inc-1"]


def test_events_are_paged_by_id(ledger: Ledger) -> None:
    ledger.record([event() for _ in range(5)], [])
    page = ledger.events(2, 2)
    assert [one["id"] for one in page] == [3, 4]
    assert page[0]["incident"]["rollback"]["to"] == "v17"


def test_a_step_that_fails_half_way_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(LedgerError):
        ledger.record([event()], [replace(effect(), target=None)])  # type: ignore[arg-type]
    assert ledger.events(0, 10) == []
    assert ledger.open_incidents() == []
    ledger.record([event()], [effect()])
    assert len(ledger.outbox.due(NOW_NS, 10)) == 1


def test_settled_rollbacks_are_given_again_and_open_ones_are_not(ledger: Ledger) -> None:
    keys = ["done", "failed", "unknown", "asked", "pending"]
    ledger.record([], [effect(key) for key in keys])
    ledger.record([], [notification("note")])
    for key in keys[:4]:
        assert ledger.outbox.begin(key)
    ledger.outbox.finish("done", EffectState.DONE, "ok", NOW_NS)
    ledger.outbox.finish("failed", EffectState.FAILED, "no", NOW_NS)
    ledger.outbox.finish("unknown", EffectState.UNKNOWN, "?", NOW_NS)
    ledger.outbox.retry_at("asked", EffectState.UNKNOWN, NOW_NS + 1, "?")
    ledger.outbox.finish("note", EffectState.DONE, "ok", NOW_NS)
    assert ledger.settled_rollbacks([*keys, "note", "never heard of"]) == [
        RollbackOutcome("done", "acknowledged", "ok"),
        RollbackOutcome("failed", "failed", "no"),
        RollbackOutcome("unknown", "unknown", "?"),
    ]


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE events SET body = replace(body, 'v17', 'v16') WHERE id = 2",
        "DELETE FROM events WHERE id = 1",
        "UPDATE events SET link = 'x' WHERE id = 2",
    ],
)
def test_an_edited_timeline_shows_where_it_was_edited(path: Path, tampering: str) -> None:
    with Ledger(path) as ledger:
        ledger.record([event(), event(), event()], [])
        assert ledger.broken_link() is None
        other = sqlite3.connect(path)
        other.execute(tampering)
        other.commit()
        other.close()
        assert ledger.broken_link() == (1 if tampering.startswith("DELETE") else 2)


def test_prune_keeps_what_is_open_or_young_and_the_chain_whole(ledger: Ledger) -> None:
    old, young = NOW_NS - 10, NOW_NS + 10
    resolved = IncidentState.RESOLVED
    ledger.record([event(id="old", state=resolved, resolved_at_ns=old, rollback=None)], [])
    ledger.record([replace(event(id="old2", state=resolved, resolved_at_ns=old), time_ns=old)], [])
    ledger.record([replace(event(id="open"), time_ns=old)], [effect("kept"), effect("gone")])
    ledger.record(
        [replace(event(id="late", state=resolved, resolved_at_ns=young), time_ns=old)], []
    )
    ledger.outbox.finish("gone", EffectState.DONE, "ok", old)
    # The first event is young, so nothing of the timeline goes although its incident does.
    assert ledger.prune(NOW_NS) == 3
    assert [one["id"] for one in ledger.events(0, 10)] == [1, 2, 3, 4, 5]
    assert ledger.prune(NOW_NS + 1) == 2
    assert [one["id"] for one in ledger.events(0, 10)] == [3, 4, 5]
    assert {one["id"] for one in ledger.incidents(10)} == {"open", "late"}
    assert [one.key for one in ledger.outbox.due(NOW_NS, 10)] == ["kept"]
    assert len(ledger.past_rollbacks()) == 1
    ledger.record([event(id="next")], [])
    assert ledger.broken_link() is None


def test_chain_goes_on_after_everything_was_pruned(ledger: Ledger) -> None:
    ledger.record([event(state=IncidentState.RESOLVED, resolved_at_ns=NOW_NS)], [])
    ledger.prune(NOW_NS + 1)
    assert ledger.events(0, 10) == []
    ledger.record([event()], [])
    assert ledger.broken_link() is None


def test_files_are_for_their_owner_only(path: Path, ledger: Ledger) -> None:
    ledger.record([event()], [effect()])
    ledger.outbox.begin("rb-1")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = list(path.parent.iterdir())
    assert len(files) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_file_that_is_no_ledger_is_named_with_a_way_out(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(LedgerError) as caught:
        Ledger(path)
    assert str(path) in caught.value.message
    assert "move the file" in caught.value.hint
    assert path.read_bytes().startswith(b"this is not")


def test_a_damaged_page_is_named_with_a_way_out(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.record([event() for _ in range(50)], [])
    whole = bytearray(path.read_bytes())
    whole[8192 : 8192 + 4096 * 4] = b"\xff" * 4096 * 4
    path.write_bytes(whole)
    with pytest.raises(LedgerError) as caught:
        Ledger(path)
    assert "move the file" in caught.value.hint


def test_a_ledger_of_a_newer_version_is_left_alone(path: Path) -> None:
    with Ledger(path):
        pass
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    other.close()
    with pytest.raises(LedgerError, match="knows versions up to"):
        Ledger(path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError) as caught:
        Ledger(tmp_path / "file" / "ledger.sqlite")
    assert "storage.directory" in caught.value.hint


def test_a_full_disk_refuses_the_step_and_the_next_one_works(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.record([event()], [])
        database = ledger._database
        pages = database.read("PRAGMA page_count")[0][0]
        database.read(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(LedgerError) as caught:
            ledger.record([event() for _ in range(100)], [effect()])
        assert "space" in caught.value.hint
        assert len(ledger.events(0, 1000)) == 1
        database.read("PRAGMA max_page_count = 1000000")
        ledger.record([event()], [effect()])
        assert len(ledger.events(0, 1000)) == 2
        assert ledger.broken_link() is None
