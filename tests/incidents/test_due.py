"""What is overdue: updates of a page at the cadence, the all-clear, the postmortem's dates."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.store.samples import NOW_NS, incident
from tripswitch.config.model import Config
from tripswitch.incidents.book import Book, Subject, Tracked
from tripswitch.incidents.due import MOST_AWAITED, Reminders
from tripswitch.incidents.instructions import Instructor
from tripswitch.model.incident import Confirmation, Incident, IncidentState, Severity
from tripswitch.model.instruction import Act, Instruction, InstructionError
from tripswitch.model.messages import Event, EventName

MINUTE_NS = 60 * 10**9
DAY_NS = 24 * 60 * MINUTE_NS
CONFIG = Config.model_validate({"comms": {"cadence": "30m"}})


def reminders(of: Incident | None = None) -> Reminders:
    book = Book()
    if of is not None:
        book.open[Subject(of.scope.arm(), of.security)] = Tracked(of)
    made = Reminders(book)
    book.on_resolved = made.take_resolved
    return made


def run(made: Reminders, first_minute: int, last_minute: int, step: int = 1) -> list[Event]:
    return [
        command
        for minute in range(first_minute, last_minute + 1, step)
        for command in made.follow(NOW_NS + minute * MINUTE_NS, CONFIG)
        if isinstance(command, Event)
    ]


def say(made: Reminders, *acts: Act, minute: int = 0) -> None:
    """Have a person say on the one open incident what was written or closed."""
    at_ns = NOW_NS + minute * MINUTE_NS
    (tracked,) = made.book.open.values()
    said = tuple(Confirmation(act.value, "eval-owner", at_ns) for act in acts)
    confirmations = (*tracked.incident.confirmations, *said)
    tracked.incident = replace(tracked.incident, confirmations=confirmations)
    made.note(tracked.incident, at_ns, CONFIG)


def minutes(events: list[Event], name: EventName = EventName.COMMS_DUE) -> list[int]:
    return [(one.time_ns - NOW_NS) // MINUTE_NS for one in events if one.name is name]


def test_an_update_is_due_one_cadence_after_the_page_and_again() -> None:
    made = reminders(incident())
    events = run(made, 0, 100)
    assert minutes(events) == [30, 60, 90]
    assert events[0].detail.startswith("a status update is due: 30 min since the page")
    assert "tripswitch comms inc-1" in events[0].detail


def test_an_update_that_was_posted_starts_anew() -> None:
    made = reminders(incident())
    run(made, 0, 40)
    say(made, Act.UPDATE_POSTED, minute=41)
    events = run(made, 41, 80)
    assert minutes(events) == [71]
    assert "30 min since the last update" in events[0].detail


def test_what_did_not_page_owes_nothing() -> None:
    assert run(reminders(incident(severity=Severity.INVESTIGATE)), 0, 100) == []


def test_reminders_that_nobody_heeds_become_rare() -> None:
    made = reminders(incident())
    events = run(made, 0, 14 * 24 * 60, step=5)
    assert minutes(events)[:8] == [30 * (at + 1) for at in range(8)]
    gaps = [b - a for a, b in zip(minutes(events), minutes(events)[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert max(gaps) == 24 * 60
    assert len(events) < 30


def test_after_the_recovery_the_all_clear_is_due_until_comms_are_closed() -> None:
    recovered = incident(state=IncidentState.RECOVERED, recovered_at_ns=NOW_NS)
    made = reminders(recovered)
    assert "the all-clear is due" in run(made, 0, 31)[0].detail
    say(made, Act.COMMS_CLOSED)
    assert run(made, 32, 200) == []


def test_a_postmortems_dates_count_from_the_recovery_also_when_it_is_resolved() -> None:
    recovered = incident(state=IncidentState.RECOVERED, recovered_at_ns=NOW_NS)
    made = reminders(recovered)
    say(made, Act.COMMS_CLOSED)
    run(made, 0, 1)
    resolved = replace(recovered, state=IncidentState.RESOLVED, resolved_at_ns=NOW_NS + MINUTE_NS)
    key = next(iter(made.book.open))
    made.book.open[key].incident = resolved
    made.book.close(key, NOW_NS + MINUTE_NS, CONFIG.incidents)
    events = run(made, 2, 9 * 24 * 60, step=60)
    due = minutes(events, EventName.POSTMORTEM_DUE)
    assert [round(minute / 60 / 24, 1) for minute in due] == [2.0, 7.0]
    assert events[0].incident == resolved
    assert "was to be drafted by 2026-11-26" in events[0].detail
    assert not made.awaited
    assert not made.book.owed


def test_a_draft_that_is_there_is_not_asked_for() -> None:
    recovered = incident(state=IncidentState.RECOVERED, recovered_at_ns=NOW_NS)
    made = reminders(recovered)
    run(made, 0, 1)
    say(made, Act.COMMS_CLOSED, Act.POSTMORTEM_DRAFTED, Act.POSTMORTEM_PUBLISHED)
    assert run(made, 2, 10 * 24 * 60, step=60) == []


def test_the_outlook_names_what_is_owed_soonest_first() -> None:
    recovered = incident(state=IncidentState.RECOVERED, recovered_at_ns=NOW_NS)
    made = reminders(recovered)
    run(made, 0, 0)
    assert made.outlook(CONFIG) == [
        {"incident": "inc-1", "what": "all-clear", "due": "2026-11-24T02:26:41.647Z"},
        {"incident": "inc-1", "what": "postmortem draft", "due": "2026-11-26T01:56:41.647Z"},
        {"incident": "inc-1", "what": "postmortem published", "due": "2026-12-01T01:56:41.647Z"},
    ]


def test_what_is_awaited_is_bounded() -> None:
    made = reminders()
    for number in range(MOST_AWAITED + 10):
        made.take_resolved(incident(id=f"inc-{number}", state=IncidentState.RESOLVED))
    assert len(made.awaited) == MOST_AWAITED
    assert "inc-0" not in made.awaited
    made.take_resolved(incident(id="quiet", severity=Severity.INVESTIGATE))
    assert "quiet" not in made.awaited


def test_a_restart_without_a_snapshot_knows_the_last_update() -> None:
    made = reminders(incident())
    say(made, Act.UPDATE_POSTED, minute=10)
    again = reminders(next(iter(made.book.open.values())).incident)
    assert minutes(run(again, 12, 60)) == [40]


def test_what_was_written_is_an_instruction_of_open_and_of_resolved_incidents() -> None:
    made = reminders(incident())
    follower = SimpleNamespace(reminders=made)
    instructor = Instructor(made.book, follower)  # type: ignore[arg-type]
    run(made, 0, 40)
    at_ns = NOW_NS + 41 * MINUTE_NS
    posted = Instruction("inc-1", Act.UPDATE_POSTED, "eval-owner", link="https://status.example/1")
    event, *_ = instructor.instruct(posted, at_ns, CONFIG)
    assert isinstance(event, Event)
    assert event.name is EventName.INCIDENT_UPDATED
    assert event.detail == "update posted, says eval-owner (https://status.example/1)"
    assert minutes(run(made, 41, 80)) == [71]

    over = incident(
        id="inc-2",
        state=IncidentState.RESOLVED,
        recovered_at_ns=NOW_NS,
        resolved_at_ns=NOW_NS + MINUTE_NS,
    )
    made.take_resolved(over)
    drafted = Instruction("inc-2", Act.POSTMORTEM_DRAFTED, "eval-owner")
    event, *_ = instructor.instruct(drafted, at_ns, CONFIG)
    assert isinstance(event, Event)
    assert event.incident is not None
    assert [one.what for one in event.incident.confirmations] == ["postmortem_drafted"]
    due = run(made, 2 * 24 * 60, 8 * 24 * 60, step=60)
    names = [one.detail for one in due if one.name is EventName.POSTMORTEM_DUE]
    assert len(names) == 1
    assert "published" in names[0]
    with pytest.raises(InstructionError, match="inc-3"):
        instructor.instruct(Instruction("inc-3", Act.UPDATE_POSTED, "eval-owner"), at_ns, CONFIG)
