"""The life of an incident through the engine: what people want, the ladder, what proves help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import pytest

from tests.play import TARGET, Played, config, play, story
from tests.traffic import Arm, Behaviour, Tool
from tripswitch.config.rollback_section import Failover
from tripswitch.config.rollback_section import Rollback as RollbackConfig
from tripswitch.drive.session import Session
from tripswitch.incidents.response import MOST_PROPOSALS
from tripswitch.model.incident import Incident, IncidentState, RollbackState
from tripswitch.model.instruction import Act, Instruction, InstructionError, Opening, Trigger
from tripswitch.model.messages import Command, Event, Rollback, RollbackOutcome
from tripswitch.model.scope import Scope

PROPOSING = RollbackConfig(targets=[TARGET.model_copy(update={"mode": "propose"})])
Acts = Callable[[Session, Incident], Iterable[Command]]


def when_open(acts: Mapping[int, Acts]) -> Callable[[Session, float], Iterable[Command]]:
    """Return what makes people act in certain seconds on the one incident that is open then."""

    def on_second(session: Session, second: float) -> Iterable[Command]:
        act = acts.get(int(second))
        opened = list(session.engine.book.open.values())
        return act(session, opened[0].incident) if act is not None and opened else []

    return on_second


def says(act: Act, by: str = "ada", note: str = "", link: str = "") -> Acts:
    """Return a person's instruction about the incident that is open."""
    return lambda session, incident: session.instruct(Instruction(incident.id, act, by, note, link))


def last(played: Played, name: str) -> Incident:
    event = [event for event in played.events if event.name.value == name][-1]
    assert event.incident is not None
    return event.incident


def plan_state(incident: Incident) -> str:
    assert incident.rollback is not None
    return incident.rollback.state.value


def test_an_approved_proposal_is_called_once_and_the_approval_is_used_up() -> None:
    refused: list[str] = []

    def again(session: Session, incident: Incident) -> list[Command]:
        with pytest.raises(InstructionError) as caught:
            session.instruct(Instruction(incident.id, Act.APPROVE, "eve"))
        refused.append(str(caught.value))
        return []

    acts = {14 * 60 + 30: says(Act.APPROVE), 14 * 60 + 35: again}
    played = play(story(), 18, settings=config(rollback=PROPOSING), on_second=when_open(acts))
    assert len(played.rollbacks) == 1
    assert played.rollbacks[0].plan.decided_by == "ada"
    assert plan_state(last(played, "rollback.planned")) == "proposed"
    assert played.names.index("rollback.approved") < played.names.index("rollback.confirmed")
    assert refused == ["nothing to approve: the rollback is acknowledged (answered)"]


@pytest.mark.matrix
def test_what_a_person_rejected_is_not_proposed_again() -> None:
    acts = {14 * 60 + 30: says(Act.REJECT, note="the eval set is wrong")}
    played = play(story(), 40, settings=config(rollback=PROPOSING), on_second=when_open(acts))
    assert played.rollbacks == []
    rejected = last(played, "rollback.rejected")
    assert plan_state(rejected) == "rejected"
    assert played.names.count("rollback.planned") == 1
    restarted = Session(config())
    assert rejected.rollback is not None
    restarted.restore([], [rejected.rollback])
    again = play(story(), 15, session=restarted)
    plan = again.first("rollback.planned").incident
    assert plan is not None
    assert plan_state(plan) == "withheld"
    assert again.rollbacks == []


@pytest.mark.matrix
def test_what_nobody_answers_expires_and_is_proposed_again_a_few_times() -> None:
    settings = PROPOSING.model_copy(update={"proposal_expires": 120.0})
    played = play(story(), 30, settings=config(rollback=settings))
    assert played.rollbacks == []
    assert played.names.count("rollback.expired") == MOST_PROPOSALS
    proposed = [one for one in played.events if one.name.value == "rollback.planned"]
    assert len(proposed) == MOST_PROPOSALS
    assert "(proposed for the 2. time:" in proposed[1].detail
    keys = {one.incident.rollback.key for one in proposed if one.incident and one.incident.rollback}
    assert len(keys) == 1
    assert plan_state(last(played, "rollback.expired")) == "expired"


@pytest.mark.matrix
def test_a_later_proposal_may_be_approved_and_is_carried_out_once() -> None:
    settings = PROPOSING.model_copy(update={"proposal_expires": 120.0})
    acts = {17 * 60: says(Act.APPROVE)}
    played = play(story(), 25, settings=config(rollback=settings), on_second=when_open(acts))
    assert "rollback.expired" in played.names
    assert len(played.rollbacks) == 1
    assert "rollback.expired" not in played.names[played.names.index("rollback.approved") :]


@pytest.mark.matrix
def test_the_kill_switch_holds_an_approval_back() -> None:
    said: list[str] = []

    def approve(session: Session, incident: Incident) -> list[Command]:
        session.reload(config(rollback=PROPOSING.model_copy(update={"enabled": False})))
        with pytest.raises(InstructionError) as caught:
            session.instruct(Instruction(incident.id, Act.APPROVE, "ada"))
        said.append(str(caught.value))
        return []

    acts = {14 * 60 + 30: approve}
    played = play(story(), 15, settings=config(rollback=PROPOSING), on_second=when_open(acts))
    assert played.rollbacks == []
    assert said == ["the kill switch is on; take it off in the configuration first"]


@pytest.mark.matrix
def test_an_undo_goes_the_way_back_and_the_version_stays_a_persons_matter() -> None:
    played = play(story(), 25, on_second=when_open({20 * 60: says(Act.UNDO, note="not the cause")}))
    there, back = played.rollbacks
    assert back.plan.undoes == there.plan.key
    assert (back.plan.from_version, back.plan.to_version) == ("v17", "v18")
    assert plan_state(last(played, "rollback.undone")) == "undone"
    # play's gateway honours whatever is asked of it, so v18 stays away; nothing is called again.
    assert len(played.rollbacks) == 2


@pytest.mark.matrix
def test_a_released_version_may_be_rolled_back_anew() -> None:
    played = play(story(), 20)
    incident = last(played, "rollback.confirmed")
    released = played.session.instruct(Instruction(incident.id, Act.RELEASE, "ada"))
    events = [command for command in released if isinstance(command, Event)]
    assert [event.name.value for event in events] == ["rollback.released"]
    with pytest.raises(InstructionError, match="holds no version back"):
        played.session.instruct(Instruction(incident.id, Act.RELEASE, "ada"))
    first = played.rollbacks[0].plan
    restarted = Session(config())
    assert events[0].incident is not None
    assert events[0].incident.rollback is not None
    restarted.restore([], [events[0].incident.rollback])
    again = play(story(), 16, session=restarted)
    assert len(again.rollbacks) == 1
    assert again.rollbacks[0].plan.key != first.key


def test_a_waiver_closes_with_a_reason_on_the_record() -> None:
    said: list[str] = []

    def unreasoned(session: Session, incident: Incident) -> list[Command]:
        with pytest.raises(InstructionError) as caught:
            session.instruct(Instruction(incident.id, Act.WAIVE, "ada"))
        said.append(str(caught.value))
        return []

    acts = {16 * 60: unreasoned, 16 * 60 + 5: says(Act.WAIVE, note="a load test of ours")}
    played = play(story(), 17, on_second=when_open(acts))
    resolved = last(played, "incident.resolved")
    assert said == ["a waiver needs a note that says why"]
    assert resolved.waiver is not None
    assert resolved.waiver.note == "a load test of ours"
    assert "without the signal back" in played.first("incident.confirmed").detail


@pytest.fixture(scope="module")
def told() -> Played:
    """The story to just after its rollback."""
    return play(story(), 15)


def test_an_undo_that_failed_is_another_call_when_it_is_asked_for_again() -> None:
    session = Session(config())
    played = play(story(), 15, session=session, answer="acknowledged")
    incident = last(played, "rollback.acknowledged")
    calls = []
    for second in range(2):
        commands = session.instruct(Instruction(incident.id, Act.UNDO, "ada"))
        (call,) = (one for one in commands if isinstance(one, Rollback))
        calls.append(call.key)
        session.outcome(RollbackOutcome(call.key, "failed", "no answer in time"))
        tracked = session.engine.book.by_id(incident.id)
        assert tracked is not None
        assert plan_state(tracked.incident) in ("acknowledged", "confirmed")
        session.advance(session.engine.now_ns + second)
        session.engine.now_ns += 10**9
    assert len(set(calls)) == 2


def test_what_recovered_meanwhile_is_not_rolled_back_by_a_late_approval() -> None:
    session = Session(config(rollback=PROPOSING))
    played = play(story(), 15, session=session)
    tracked = session.engine.book.by_id(last(played, "rollback.planned").id)
    assert tracked is not None
    tracked.incident = replace(tracked.incident, state=IncidentState.RECOVERED)
    with pytest.raises(InstructionError, match="recovered meanwhile"):
        session.instruct(Instruction(tracked.incident.id, Act.APPROVE, "ada"))


def test_a_fix_needs_its_link(told: Played) -> None:
    played = told
    incident = last(played, "rollback.planned")
    with pytest.raises(InstructionError, match="needs its link"):
        played.session.instruct(Instruction(incident.id, Act.FIX_IN_REVIEW, "ada"))
    with pytest.raises(InstructionError, match="by is empty"):
        played.session.instruct(Instruction(incident.id, Act.ACKNOWLEDGE, " "))
    with pytest.raises(InstructionError, match="no open incident"):
        played.session.instruct(Instruction("inc_none", Act.ACKNOWLEDGE, "ada"))


def test_triage_names_our_change_the_traces_and_what_is_recommended(told: Played) -> None:
    triage = last(told, "incident.escalated").triage
    assert triage is not None
    assert triage.cause.value == "our_change"
    assert "prompt version v18 came" in triage.cause_why
    assert triage.changes[0].change.after == "v18"
    assert triage.changes[0].fit > 0.9
    assert triage.path == "cohort"
    assert "v18 back to v17 through gateway" in triage.advice
    assert [trace.role for trace in triage.traces] == ["bad", "bad", "bad", "contrast"]
    assert dict(triage.traces[0].facts)["version"] == "v18"
    assert dict(triage.traces[-1].facts)["version"] == "v17"


SECOND = TARGET.model_copy(update={"name": "registry"})
LADDER = RollbackConfig(targets=[TARGET, SECOND])


def test_a_target_that_did_not_act_makes_way_for_the_next() -> None:
    """The first target certainly did not act; the second is asked, and helps."""
    session = Session(config(rollback=LADDER))
    asked: list[str] = []
    played = play(story(), 15, session=session, answer=None)
    asked += [rollback.plan.target for rollback in played.rollbacks]
    key = played.rollbacks[0].key
    after = session.outcome(RollbackOutcome(key, "failed", "refused"))
    asked += [one.plan.target for one in after if isinstance(one, Rollback)]
    names = [one.name.value for one in after if isinstance(one, Event)]
    assert asked == ["gateway", "registry"]
    assert names == ["rollback.failed", "rollback.planned"]
    incident = session.engine.book.by_rollback(after[-1].key)  # type: ignore[union-attr]
    assert incident is not None
    assert [plan.target for plan in incident.incident.rollbacks] == ["gateway"]
    late = session.outcome(RollbackOutcome(key, "acknowledged", "it did after all"))
    assert [one.name.value for one in late if isinstance(one, Event)] == ["rollback.acknowledged"]
    assert incident.incident.rollback is not None
    assert incident.incident.rollback.target == "registry"


@pytest.mark.matrix
def test_an_answer_that_the_spans_belie_is_no_recovery_and_climbs_the_ladder() -> None:
    """200 from the target, and v18 serves on as bad as before."""
    settings = config(rollback=LADDER.model_copy(update={"confirm_within": 240.0}))
    played = play(story(), 22, settings=settings, honours=False)
    assert "incident.recovered" not in played.names
    assert "rollback.confirmed" not in played.names
    assert [rollback.plan.target for rollback in played.rollbacks] == ["gateway", "registry"]
    first_failed = played.names.index("rollback.failed")
    assert "incident.opened" in played.names[:first_failed]
    assert "still has" in played.events[first_failed].detail


def still_bad(second: float) -> list[Arm]:
    """The canary is bad from minute 10 on, v18 at first and then v17, which does not help."""
    if second < 600:
        return [Arm(6.5, "v17", "control"), Arm(6.0, "v17", "canary")]
    version = "v17" if second >= 15 * 60 else "v18"
    bad = Behaviour(score=0.81, refusals=0.22)
    return [Arm(6.5, "v17", "control"), Arm(6.0, version, "canary", bad)]


@pytest.mark.matrix
@pytest.mark.parametrize("undoes", [True, False])
def test_a_rollback_that_does_not_help_was_the_wrong_cause(undoes: bool) -> None:
    settings = config(
        rollback=RollbackConfig(targets=[TARGET], recover_within=600.0, undo_when_wrong=undoes)
    )
    played = play(still_bad, 35, settings=settings, honours=False)
    assert "incident.recovered" not in played.names
    assert "wrong cause" in played.first("incident.unrecovered").detail
    undone = [rollback for rollback in played.rollbacks if rollback.plan.undoes]
    assert len(undone) == int(undoes)


@pytest.mark.matrix
def test_somebody_elses_undoing_is_told_and_not_fought() -> None:
    """A colleague, or a GitOps loop, puts v18 back after it was confirmed gone."""

    def served(second: float) -> list[Arm]:
        bad = Behaviour(score=0.81, refusals=0.22)
        is_bad = 600 <= second < 15 * 60 or second >= 22 * 60
        canary = Arm(6.0, "v18", "canary", bad) if is_bad else Arm(6.0, "v17", "canary")
        return [Arm(6.5, "v17", "control"), canary]

    played = play(served, 30, honours=False)
    reverted = played.first("rollback.reverted")
    assert "somebody else put it back" in reverted.detail
    assert len(played.rollbacks) == 1


def outage(second: float) -> list[Arm]:
    """Two routes go through one provider that fails from minute 20; a third through another."""
    down = Behaviour(errors=0.9) if second >= 20 * 60 else Behaviour()
    through = "azure" if second >= 32 * 60 else "openai"
    on_refund = Behaviour() if second >= 32 * 60 else down
    return [
        Arm(3.0, "v1", None, on_refund, "/chat/refund", "m1", through),
        Arm(3.0, "v1", None, on_refund, "/kb-search", "m1", through),
        Arm(3.0, "v1", None, Behaviour(), "/other", "m1", "azure"),
    ]


@pytest.mark.matrix
def test_an_outage_is_one_failover_that_is_confirmed_recovers_and_is_asked_back() -> None:
    failing = RollbackConfig(
        targets=[TARGET.model_copy(update={"mode": "auto"})],
        failover=Failover(fallbacks={"openai": "azure"}, verified_on="2026-11-01", hold=20 * 60.0),
    )
    played = play(outage, 60, settings=config(rollback=failing), honours=False)
    assert [rollback.plan.path for rollback in played.rollbacks] == ["provider_failover"]
    plan = played.rollbacks[0].plan
    assert (plan.from_version, plan.to_version) == ("openai", "azure")
    triage = last(played, "incident.opened").triage
    assert triage is not None
    assert triage.cause.value == "provider"
    assert "traffic is back on azure" in played.first("rollback.confirmed").detail
    assert "incident.recovered" in played.names
    assert "look whether it can go back" in played.first("rollback.hold_over").detail


def spreading(second: float) -> list[Arm]:
    """One route of a provider fails at minute 20, the two others three minutes later."""
    first = Behaviour(errors=0.9) if second >= 20 * 60 else Behaviour()
    rest = Behaviour(errors=0.9) if second >= 27 * 60 else Behaviour()
    return [
        Arm(3.0, "v1", None, first, "/chat/refund", "m1"),
        Arm(3.0, "v1", None, rest, "/kb-search", "m1"),
        Arm(3.0, "v1", None, rest, "/other", "m1"),
    ]


@pytest.mark.matrix
def test_a_routes_incident_becomes_part_of_its_providers() -> None:
    played = play(spreading, 40, honours=False)
    opened = [event.incident for event in played.events if event.name.value == "incident.opened"]
    assert [incident.scope.route for incident in opened if incident] == ["/chat/refund", None]
    resolved = last(played, "incident.resolved")
    assert resolved.scope.route == "/chat/refund"
    assert resolved.waiver is not None
    assert opened[1] is not None
    assert opened[1].id in resolved.waiver.note


def slow_tool(second: float) -> list[Arm]:
    """Every call runs one tool, which is slow on all arms from minute 20 until it is off."""
    if second >= 32 * 60:
        tools: tuple[Tool, ...] = ()
    else:
        tools = (Tool("search", 6.0 if second >= 20 * 60 else 0.2),)
    return [
        Arm(4.0, "v1", None, Behaviour(tools=tools), "/chat/refund"),
        Arm(4.0, "v1", None, Behaviour(tools=tools), "/kb-search"),
    ]


@pytest.mark.matrix
def test_a_slow_tool_is_one_breaker_a_route() -> None:
    settings = config(rollback=RollbackConfig(targets=[TARGET.model_copy(update={"mode": "auto"})]))
    played = play(slow_tool, 60, settings=settings, honours=False)
    paths = [(one.plan.path, one.plan.from_version) for one in played.rollbacks]
    assert paths == [("tool_breaker", "search")] * len(paths)
    assert len({one.plan.pointer for one in played.rollbacks}) == len(paths) >= 1
    assert "has been off for" in played.first("incident.recovered").detail


def test_an_incident_opened_by_hand_is_securitys_and_closes_on_two_words() -> None:
    played = play(story(), 1)
    opening = Opening(Scope(provider="openai"), "key is public", "ada", Trigger.STOLEN_KEYS)
    commands = played.session.open_by_hand(opening)
    opened = next(one for one in commands if isinstance(one, Event)).incident
    assert opened is not None
    assert opened.security
    assert opened.triage is not None
    assert any("72 hours" in duty for duty in opened.triage.duties)
    assert opened.missing == ("fix_in_review", "comms_closed")
    with pytest.raises(InstructionError, match="open already"):
        played.session.open_by_hand(opening)
    fix = Instruction(opened.id, Act.FIX_IN_REVIEW, "ada", link="https://fix.test")
    played.session.instruct(fix)
    closing = played.session.instruct(Instruction(opened.id, Act.COMMS_CLOSED, "ada"))
    names = [one.name.value for one in closing if isinstance(one, Event)]
    assert names == ["incident.confirmed", "incident.resolved"]


def test_states_of_a_plan_survive_the_ledgers_record(told: Played) -> None:
    from tripswitch.store.incident_record import incident_of, incident_record

    incident = last(told, "rollback.acknowledged")
    assert plan_state(incident) == RollbackState.ACKNOWLEDGED.value
    assert incident_of(incident_record(incident)) == incident
