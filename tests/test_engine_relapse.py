"""What recovered and is not closed yet pages again when it goes bad again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.play import TARGET, Played, config, play, story
from tests.traffic import Arm, Behaviour
from tripswitch.config.rollback_section import Rollback as RollbackConfig
from tripswitch.incidents.book import Tracked
from tripswitch.model.incident import Confirmation, IncidentState
from tripswitch.model.messages import Command, Event, Notify, Rollback
from tripswitch.model.verdict import Verdict

NOWHERE = RollbackConfig()
BAD = Behaviour(score=0.81, refusals=0.22)


@pytest.fixture
def paged() -> Played:
    """A page on v18's canary that nothing was planned for."""
    return play(story(), 15, settings=config(rollback=NOWHERE))


def open_one(played: Played) -> Tracked:
    (tracked,) = played.session.engine.book.open.values()
    return tracked


def respond(played: Played, verdict: Verdict, rollback: RollbackConfig) -> list[Command]:
    engine = played.session.engine
    return engine.responder.respond(verdict, engine.now_ns, config(rollback=rollback))


def names(commands: list[Command]) -> list[str]:
    return [one.name.value for one in commands if isinstance(one, Event)]


def recovered(tracked: Tracked) -> Verdict:
    """Let the incident have recovered a while ago, with comms closed; return what paged."""
    said = Confirmation("comms_closed", "ada", 1)
    tracked.incident = replace(
        tracked.incident,
        state=IncidentState.RECOVERED,
        recovered_at_ns=tracked.incident.detected_at_ns,
        confirmations=(said, Confirmation("fix_in_review", "ada", 1, link="https://fix.test")),
    )
    return next(one for one in tracked.verdicts.values() if one.severity is not None)


def test_a_page_that_recovered_and_goes_bad_again_is_told_as_loudly(paged: Played) -> None:
    tracked = open_one(paged)
    verdict = recovered(tracked)
    first = tracked.incident
    commands = respond(paged, verdict, NOWHERE)
    assert names(commands) == ["incident.unrecovered"]
    assert any(isinstance(one, Notify) for one in commands)
    (event,) = (one for one in commands if isinstance(one, Event))
    assert event.detail.startswith("bad again ")
    again = tracked.incident
    assert (again.id, again.state, again.recovered_at_ns) == (first.id, IncidentState.OPEN, None)
    # The fix is still in review; the all-clear is none any more.
    assert again.missing == ("signal_back", "comms_closed")
    assert respond(paged, verdict, NOWHERE) == []


def test_it_is_rolled_back_then_where_nothing_was_before(paged: Played) -> None:
    verdict = recovered(open_one(paged))
    commands = respond(paged, verdict, RollbackConfig(targets=[TARGET]))
    assert names(commands) == ["incident.unrecovered", "rollback.planned"]
    assert sum(isinstance(one, Rollback) for one in commands) == 1


def test_a_signal_that_joins_a_page_and_blames_an_arm_is_planned_for(paged: Played) -> None:
    tracked = open_one(paged)
    blaming = next(iter(tracked.verdicts.values()))
    tracked.verdicts.clear()
    tracked.incident = replace(tracked.incident, signals=("p99_latency",))
    commands = respond(paged, blaming, RollbackConfig(targets=[TARGET]))
    assert names(commands) == ["incident.updated", "rollback.planned"]


def test_an_arm_is_not_taken_in_by_a_wider_incident_that_has_recovered(paged: Played) -> None:
    book = paged.session.engine.book
    tracked = open_one(paged)
    verdict = recovered(tracked)
    (subject,) = book.open
    book.open = {subject._replace(scope=subject.scope.family()): tracked}
    assert book.key_of(verdict) == subject


@pytest.mark.matrix
def test_the_second_time_is_heard_of_in_the_traffic() -> None:
    def served(second: float) -> list[Arm]:
        is_bad = 600 <= second < 18 * 60 or second >= 55 * 60
        canary = Arm(3.0, "v18", "canary", BAD if is_bad else Behaviour())
        return [Arm(3.0, "v17", "control"), canary]

    played = play(served, 65, settings=config(rollback=NOWHERE), honours=False)
    told = [name for name in played.notified if name.startswith("incident.")]
    assert told[-2:] == ["incident.recovered", "incident.unrecovered"]
