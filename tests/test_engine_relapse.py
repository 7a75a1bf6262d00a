"""What recovered and is not closed yet pages again when it goes bad again."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from tests.play import TARGET, Played, config, play, story
from tests.traffic import Arm, Behaviour
from tripswitch.config.rollback_section import Rollback as RollbackConfig
from tripswitch.incidents.book import Tracked
from tripswitch.model.incident import Confirmation, IncidentState, RollbackState
from tripswitch.model.instruction import Act, Instruction, InstructionError
from tripswitch.model.messages import Command, Event, Notify, Rollback, RollbackOutcome
from tripswitch.model.verdict import Verdict

NOWHERE = RollbackConfig()
BAD = Behaviour(score=0.81, refusals=0.22)


@pytest.fixture(scope="module")
def story_so_far() -> Played:
    return play(story(), 15, settings=config(rollback=NOWHERE))


@pytest.fixture
def paged(story_so_far: Played) -> Played:
    """A page on v18's canary that nothing was planned for."""
    return Played(copy.deepcopy(story_so_far.session))


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
        acknowledged=Confirmation("acknowledged", "ada", 1),
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
    assert again.acknowledged is None
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


def test_one_move_proposed_in_two_incidents_is_decided_on_once(paged: Played) -> None:
    """The standard incident of an arm and its security sibling may propose the very same move."""
    session = paged.session
    proposing = RollbackConfig(targets=[TARGET.model_copy(update={"mode": "propose"})])
    session.reload(config(rollback=proposing))
    book, engine = session.engine.book, session.engine
    first = open_one(paged)
    verdict = next(iter(first.verdicts.values()))
    engine.responder._carry(
        first, engine.responder._triage(first, verdict, engine.now_ns, engine.config), engine.now_ns
    )
    (subject,) = book.open
    second = replace(first, incident=replace(first.incident, id="inc_sibling", security=True))
    book.open[subject._replace(security=True)] = second
    session.instruct(Instruction(first.incident.id, Act.REJECT, "ada"))
    with pytest.raises(InstructionError, match=f"decided on in {first.incident.id}, where it is"):
        session.instruct(Instruction("inc_sibling", Act.APPROVE, "eve"))


def test_a_release_lets_go_of_every_rung_of_the_incident(paged: Played) -> None:
    session = paged.session
    second = TARGET.model_copy(update={"name": "registry"})
    session.reload(config(rollback=RollbackConfig(targets=[TARGET, second])))
    engine, tracked = session.engine, open_one(paged)
    verdict = next(iter(tracked.verdicts.values()))
    plan = engine.responder._triage(tracked, verdict, engine.now_ns, engine.config)
    engine.responder._carry(tracked, plan, engine.now_ns)
    assert plan is not None
    session.outcome(RollbackOutcome(plan.key, "failed", "refused"))
    assert tracked.incident.rollback is not None
    assert tracked.incident.rollback.target == "registry"
    session.instruct(Instruction(tracked.incident.id, Act.RELEASE, "ada"))
    states = {one.state.value for one in engine.book.past_rollbacks.values()}
    assert states == {"released"}
    with pytest.raises(InstructionError, match="holds no version back"):
        session.instruct(Instruction(tracked.incident.id, Act.RELEASE, "ada"))


def test_a_proposal_that_nothing_holds_back_any_more_is_asked_again_and_does_not_go(
    paged: Played,
) -> None:
    """It waited because its target rested; nobody answered, and the rest is over."""
    engine, tracked = paged.session.engine, open_one(paged)
    proposing = config(
        rollback=RollbackConfig(targets=[TARGET.model_copy(update={"mode": "propose"})])
    )
    verdict = next(iter(tracked.verdicts.values()))
    plan = engine.responder._triage(tracked, verdict, engine.now_ns, proposing)
    engine.responder._carry(tracked, plan, engine.now_ns)
    assert tracked.incident.rollback is not None
    expired = replace(tracked.incident.rollback, state=RollbackState.EXPIRED)
    tracked.incident = replace(tracked.incident, rollback=expired)
    tracked.recovery = None
    free = config(rollback=RollbackConfig(targets=[TARGET]))
    commands = engine.responder.propose_again(tracked, engine.now_ns, free)
    assert names(commands) == ["rollback.planned"]
    again = tracked.incident.rollback
    assert again is not None
    assert (again.state, again.proposals) == (RollbackState.PROPOSED, 2)
    assert again.expires_ns is not None
    assert not any(isinstance(one, Rollback) for one in commands)


def test_what_a_message_says_of_going_on_is_true_when_it_is_read(paged: Played) -> None:
    tracked = open_one(paged)
    assert tracked.incident.triage is not None
    assert tracked.incident.triage.is_real.endswith("still going on")
    paged.session.instruct(Instruction(tracked.incident.id, Act.WAIVE, "ada", note="a load test"))
    assert tracked.incident.triage.is_real.endswith("not proven over when it was closed")


def confirmed(paged: Played, before: RollbackState, rollback: RollbackConfig) -> Tracked:
    """Let the page have a plan in the state ``before``, and the spans show the traffic moved."""
    engine, tracked = paged.session.engine, open_one(paged)
    paged.session.reload(config(rollback=rollback))
    verdict = next(iter(tracked.verdicts.values()))
    plan = engine.responder._triage(tracked, verdict, engine.now_ns, engine.config)
    engine.responder._carry(tracked, plan, engine.now_ns)
    assert tracked.incident.rollback is not None
    moved = replace(tracked.incident.rollback, state=before)
    tracked.incident = replace(tracked.incident, rollback=moved)
    engine.follower._confirmed(tracked, engine.now_ns, "traffic is back on v17")
    return tracked


def test_what_somebody_else_moved_is_not_taken_back_here(paged: Played) -> None:
    """A person moved the pointer by hand while the proposal waited; a receiver told to undo an
    action that it never saw might put the bad version back.
    """
    proposing = RollbackConfig(targets=[TARGET.model_copy(update={"mode": "propose"})])
    tracked = confirmed(paged, RollbackState.PROPOSED, proposing)
    engine = paged.session.engine
    assert engine.instructor.undo_by_policy(tracked, engine.now_ns) == []
    with pytest.raises(InstructionError, match="somebody else moved v18 to v17"):
        paged.session.instruct(Instruction(tracked.incident.id, Act.UNDO, "ada"))


@pytest.mark.parametrize("undone", [False, True])
def test_no_other_lever_moves_a_version_that_was_gone_without_help(
    paged: Played, undone: bool
) -> None:
    ladder = RollbackConfig(targets=[TARGET, TARGET.model_copy(update={"name": "registry"})])
    tracked = confirmed(paged, RollbackState.ACKNOWLEDGED, ladder)
    engine = paged.session.engine
    if undone:
        assert engine.instructor.undo_by_policy(tracked, engine.now_ns)
    assert engine.responder.climb(tracked, engine.now_ns, engine.config) == []


def test_the_ladder_goes_on_after_a_restart_without_a_snapshot(paged: Played) -> None:
    engine, tracked = paged.session.engine, open_one(paged)
    ladder = RollbackConfig(targets=[TARGET, TARGET.model_copy(update={"name": "registry"})])
    paged.session.reload(config(rollback=ladder))
    verdict = next(iter(tracked.verdicts.values()))
    plan = engine.responder._triage(tracked, verdict, engine.now_ns, engine.config)
    engine.responder._carry(tracked, plan, engine.now_ns)
    assert plan is not None
    # As the ledger gives it back: the incident, and nothing that it stands on.
    tracked.blaming = None
    tracked.verdicts.clear()
    assert respond(paged, verdict, ladder) == []
    paged.session.outcome(RollbackOutcome(plan.key, "failed", "refused"))
    assert tracked.incident.rollback is not None
    assert tracked.incident.rollback.target == "registry"
