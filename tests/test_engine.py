"""The engine end to end: OTLP bytes in, events and commands out, no I/O between."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.detect.plain_intake import held
from tests.genai.reading import read_all
from tests.play import BAD, TARGET, Played, config, play, story
from tests.traffic import START_NS, Arm, Behaviour, Plan, requests, rollout
from tripswitch.config.detect_sections import Detect, EvalScore, RefusalRate
from tripswitch.config.model import Clock, Config, Fleet
from tripswitch.config.rollback_section import Rollback as RollbackConfig
from tripswitch.config.target_sections import WebhookTarget
from tripswitch.drive.session import Arrival, Session
from tripswitch.model.instruction import Act, Instruction
from tripswitch.model.messages import Command, Event, Rollback, RollbackOutcome
from tripswitch.model.scope import Scope


@pytest.fixture(scope="module")
def played() -> Played:
    """The story, with a gateway that answers and moves."""
    return play(story(), 34)


def test_story_is_told_in_order(played: Played) -> None:
    told = [name for name in played.names if name != "incident.updated"]
    assert told == [
        "change.seen",
        "incident.opened",
        "incident.escalated",
        "rollback.planned",
        "rollback.acknowledged",
        "rollback.confirmed",
        "incident.recovered",
    ]


def test_the_alarm_comes_within_two_minutes_of_the_rollout_and_the_rollback_in_four(
    played: Played,
) -> None:
    assert 10 < played.minute_of("incident.opened") <= 12
    assert played.minute_of("rollback.planned") == played.minute_of("incident.escalated")
    assert 10 < played.minute_of("rollback.planned") <= 14


def test_incident_names_the_arm_and_the_way_back(played: Played) -> None:
    incident = played.first("rollback.planned").incident
    assert incident is not None
    assert incident.rollback is not None
    assert incident.scope.as_json() == {
        "route": "/chat/refund",
        "prompt_name": "refund-bot",
        "prompt_version": "v18",
        "cohort": "canary",
        "request_model": None,
        "provider": None,
    }
    assert incident.shape.value in ("eval_drift", "guardrail_regression")
    plan = incident.rollback
    assert (plan.path, plan.from_version, plan.to_version) == ("cohort", "v18", "v17")
    assert (plan.blast_radius, plan.mode, plan.state.value) == ("cohort", "auto", "planned")
    assert [change.after for change in incident.changes] == ["v18"]
    assert {tenant for tenant, _ in incident.tenants} <= {"acme", "globex", "initech"}
    assert len(incident.exemplars) == 3


def test_recovery_takes_a_whole_alert_window_after_the_traffic_is_back(played: Played) -> None:
    waited = played.minute_of("incident.recovered") - played.minute_of("rollback.acknowledged")
    assert 15 <= waited <= 21


def test_there_is_one_rollback_and_people_hear_of_every_step(played: Played) -> None:
    assert len(played.rollbacks) == 1
    assert played.notified == [
        "incident.opened",
        "incident.escalated",
        "rollback.planned",
        "rollback.acknowledged",
        "incident.updated",
        "rollback.confirmed",
        "incident.recovered",
    ]


def test_exemplars_are_failing_traces_of_the_bad_arm(played: Played) -> None:
    incident = played.first("incident.opened").incident
    assert incident is not None
    failing = set()
    for body in requests(story(), 12):
        observed = read_all([body], cohort_names=["control", "canary"])
        for row in range(len(observed.calls)):
            is_bad = bool(observed.calls.refusal[row]) or any(
                evaluation.score is not None and evaluation.score < 1
                for evaluation in observed.calls.evals[row]
            )
            if is_bad and observed.calls.prompt_version[row] == "v18":
                failing.add(observed.calls.trace_id[row])
    assert set(incident.exemplars) <= failing


def test_healthy_rollout_fires_nothing() -> None:
    healthy = play(story(Behaviour()), 28, seed=7)
    assert healthy.names == ["change.seen"]
    assert not healthy.rollbacks


def test_same_input_gives_the_same_output_to_the_byte() -> None:
    first, second = (play(story(), 16, seed=11).lines() for _ in range(2))
    assert "rollback.confirmed" in first
    assert first == second


def test_batching_and_repeats_change_nothing() -> None:
    bodies = list(requests(story(), 12.5, seed=5))
    times = [START_NS + (index + 1) * 5_000_000_000 for index in range(len(bodies))]
    arrivals = [Arrival(body, time) for body, time in zip(bodies, times, strict=True)]
    settings = config(clock=Clock(source="wall"))

    def lines(batches: list[list[Arrival]]) -> list[str]:
        session = Session(settings)
        commands: list[Command] = []
        for batch in batches:
            commands.extend(session.feed(batch))
        return [str(event.as_json()) for event in commands if isinstance(event, Event)]

    one_by_one = lines([[arrival] for arrival in arrivals])
    in_sevens = lines([arrivals[at : at + 7] for at in range(0, len(arrivals), 7)])
    repeated = lines([[arrival, arrival] for arrival in arrivals])
    assert any("incident.opened" in line for line in one_by_one)
    assert in_sevens == one_by_one
    assert repeated == one_by_one


def test_batching_changes_nothing_that_is_held() -> None:
    bodies = list(requests(story(), 3, seed=5, step_s=1.0))
    # A clock that now and then goes back a little, and stands still.
    times = [
        START_NS + (index - 2 * (index % 5 == 0)) * 1_000_000_000 for index in range(len(bodies))
    ]
    arrivals = [Arrival(body, time) for body, time in zip(bodies, times, strict=True)]

    def state(size: int) -> tuple[object, ...]:
        session = Session(config(clock=Clock(source="wall")))
        for at in range(0, len(arrivals), size):
            session.feed(arrivals[at : at + size])
        engine = session.engine
        return held(engine.scopes, engine.comparisons), engine.exemplars._arms, session.counters()

    one_by_one = state(1)
    assert one_by_one[1]
    assert state(7) == one_by_one
    assert state(100) == one_by_one


def test_on_the_clock_of_the_data_batching_changes_nothing_either() -> None:
    bodies = list(requests(story(), 3, seed=5, step_s=2.0))
    ahead = next(iter(requests(_flood(), 1, seed=9, start_ns=START_NS + 10**18 // 4)))
    # One sender with a wrong clock, in whose presence others wait; one request without a time.
    for at in (70, 41, 40, 2, 0):
        bodies.insert(at, ahead)
    bodies.insert(50, b"")

    def state(size: int) -> tuple[object, ...]:
        session = Session(config())
        for at in range(0, len(bodies), size):
            session.feed([Arrival(body, 0) for body in bodies[at : at + size]])
        session.finish()
        engine = session.engine
        return held(engine.scopes, engine.comparisons), engine.exemplars._arms, session.counters()

    one_by_one = state(1)
    assert one_by_one[1]
    assert state(4) == one_by_one
    assert state(100) == one_by_one


def test_a_change_in_every_arm_is_a_common_event_and_rolls_nothing_back() -> None:
    def plan(second: float) -> list[Arm]:
        behaviour = Behaviour(errors=0.25) if second >= 40 * 60 else Behaviour()
        return [
            Arm(3.0, "v17", "control", behaviour),
            Arm(2.5, "v18" if second >= 35 * 60 else "v17", "canary", behaviour),
        ]

    common = play(plan, 55)
    opened = [event for event in common.events if event.name.value == "incident.opened"]
    assert len(opened) == 1
    incident = opened[0].incident
    assert incident is not None
    assert (incident.shape.value, incident.scope.route) == ("outage", "/chat/refund")
    assert incident.scope.cohort is None
    assert incident.scope.prompt_version is None
    assert "every arm" in incident.why
    assert not common.rollbacks


def test_a_new_version_without_control_is_compared_with_the_version_before_and_proposed() -> None:
    def plan(second: float) -> list[Arm]:
        bad = second >= 30 * 60
        return [Arm(5.0, "v18" if bad else "v17", None, BAD if bad else Behaviour())]

    replaced = play(plan, 45)
    incident = replaced.first("rollback.planned").incident
    assert incident is not None
    assert incident.rollback is not None
    assert incident.rollback.state.value == "proposed"
    assert incident.rollback.to_version == "v17"
    assert "the version before (v17)" in incident.why
    assert replaced.minute_of("incident.opened") >= 30 + 5
    assert not replaced.rollbacks


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({"fleet": Fleet(single=False)}, "proposed", "fleet.single"),
        (
            {"rollback": RollbackConfig(targets=[TARGET], enabled=False)},
            "withheld",
            "kill switch",
        ),
        (
            {"rollback": RollbackConfig(targets=[TARGET.model_copy(update={"mode": "observe"})])},
            "withheld",
            "only observes",
        ),
        (
            {"rollback": RollbackConfig(targets=[TARGET.model_copy(update={"mode": "propose"})])},
            "proposed",
            "a person approves",
        ),
    ],
)
def test_a_guard_holds_the_rollback_back_and_says_why(
    changes: dict[str, object], state: str, reason: str
) -> None:
    held = play(story(), 15, settings=config(**changes))
    incident = held.first("rollback.planned").incident
    assert incident is not None
    assert incident.rollback is not None
    assert incident.rollback.state.value == state
    assert reason in incident.rollback.reason
    assert not held.rollbacks


def test_no_target_for_the_route_means_a_page_without_plan() -> None:
    other = WebhookTarget(**(TARGET.model_dump() | {"routes": ["/other"]}))
    paged = play(story(), 15, settings=config(rollback=RollbackConfig(targets=[other])))
    assert "incident.opened" in paged.names
    assert "rollback.planned" not in paged.names


def test_a_version_rolled_back_before_is_not_rolled_back_again(played: Played) -> None:
    session = Session(config())
    session.restore([], [played.rollbacks[0].plan])
    again = play(story(), 15, session=session)
    incident = again.first("rollback.planned").incident
    assert incident is not None
    assert incident.rollback is not None
    assert incident.rollback.state.value == "withheld"
    assert "not rolled back twice" in incident.rollback.reason
    assert not again.rollbacks


@pytest.mark.matrix
def test_an_answer_without_effect_is_said_to_have_failed_and_not_called_again() -> None:
    ignored = play(story(), 26, honours=False)
    failed = ignored.first("rollback.failed")
    assert "not called again" in failed.detail
    assert "incident.recovered" not in ignored.names
    assert len(ignored.rollbacks) == 1


def test_an_unknown_outcome_is_settled_by_the_spans() -> None:
    unknown = play(story(), 16, answer="unknown")
    names = unknown.names
    assert names.index("rollback.unknown") < names.index("rollback.confirmed")
    assert len(unknown.rollbacks) == 1


def test_an_incident_goes_on_after_a_restart(played: Played) -> None:
    acknowledged = played.first("rollback.acknowledged").incident
    assert acknowledged is not None
    assert acknowledged.rollback is not None
    session = Session(config())
    session.restore([acknowledged], [acknowledged.rollback])
    after = play(
        rollout(Behaviour(), at_minute=1e9, canary_per_s=6.0, control_per_s=6.5), 8, session=session
    )
    assert "rollback.confirmed" in after.names
    assert "incident.opened" not in after.names


def test_an_outcome_heard_at_once_after_a_restart_has_a_time(played: Played) -> None:
    planned = played.first("rollback.planned").incident
    assert planned is not None
    assert planned.rollback is not None
    session = Session(config())
    session.restore([planned], [planned.rollback])
    outcome = RollbackOutcome(planned.rollback.key, "acknowledged", "answered before the crash")
    told = [event for event in session.outcome(outcome) if isinstance(event, Event)]
    assert [event.name.value for event in told] == ["rollback.acknowledged"]
    assert told[0].time_ns >= planned.detected_at_ns


def test_a_recovered_page_is_resolved_by_three_confirmations() -> None:
    asked: list[str] = []

    def people(session: Session, second: float) -> list[Command]:
        open_now = list(session.engine.book.open.values())
        if not open_now or second != 30 * 60:
            return []
        incident_id = open_now[0].incident.id
        first = session.instruct(
            Instruction(incident_id, Act.FIX_IN_REVIEW, "ada", link="https://fix.test")
        )
        asked.extend(event.name.value for event in first if isinstance(event, Event))
        return [*first, *session.instruct(Instruction(incident_id, Act.COMMS_CLOSED, "ada"))]

    resolved = play(story(), 31, on_second=people)
    assert asked == ["incident.confirmed"]
    assert resolved.names[-1] == "incident.resolved"
    assert not resolved.session.engine.book.open


def test_a_lower_line_takes_effect_at_the_next_tick() -> None:
    mild = Behaviour(refusals=0.10)
    deaf = Detect(
        refusal_rate=RefusalRate(investigate_points=50, page_points=60),
        eval_score=EvalScore(investigate_points=40, page_points=50),
    )
    keen = deaf.model_copy(
        update={"refusal_rate": RefusalRate(investigate_points=2, page_points=3)}
    )
    changed_at_s = 20 * 60

    def edit(session: Session, second: float) -> list[Command]:
        if second == changed_at_s:
            session.reload(config(detect=keen))
        return []

    edited = play(story(mild), 22, settings=config(detect=deaf), on_second=edit)
    assert changed_at_s / 60 <= edited.minute_of("incident.opened") <= changed_at_s / 60 + 0.5


def test_a_clock_ten_years_off_moves_nothing() -> None:
    settings = config(clock=Clock(source="wall"))
    session = Session(settings)
    commands: list[Command] = []
    years_ns = 10 * 365 * 86_400 * 10**9
    for index, body in enumerate(requests(story(), 3, seed=2)):
        now_ns = START_NS + (index + 1) * 5_000_000_000
        commands += session.feed([Arrival(body, now_ns)])
    for sign in (-1, 1):
        for body in requests(_flood(), 1, seed=3, start_ns=START_NS + sign * years_ns):
            commands += session.feed([Arrival(body, START_NS + 200 * 10**9)])
    commands += session.advance(START_NS + 260 * 10**9)
    assert commands == []
    assert session.counters()["reader_skewed_spans_total"] > 0


def test_a_sender_whose_clock_is_off_drives_out_no_exemplars() -> None:
    session = Session(config(clock=Clock(source="wall")))
    for index, body in enumerate(requests(_flood(), 1, seed=3)):
        session.feed([Arrival(body, START_NS + (index + 1) * 5 * 10**9)])
    session.advance(START_NS + 100 * 10**9)
    arm = Scope("/chat/refund", "refund-bot", "v18", "canary")
    exemplars = session.engine.exemplars
    shown = exemplars.pick(arm, ("refusal_rate",), START_NS, 3)
    counted = exemplars.tenants(arm, ("refusal_rate",), START_NS)
    assert len(shown) == 3
    for years in (-10, 10):
        off_ns = START_NS + years * 365 * 86_400 * 10**9
        for body in requests(_flood(), 1, seed=4, start_ns=off_ns):
            session.feed([Arrival(body, START_NS + 100 * 10**9)])
    session.advance(START_NS + 150 * 10**9)
    assert exemplars.pick(arm, ("refusal_rate",), START_NS, 3) == shown
    assert exemplars.tenants(arm, ("refusal_rate",), START_NS) == counted


def test_one_wrong_clock_does_not_move_the_time_of_a_replay() -> None:
    session = Session(config())
    good = list(requests(story(), 3, seed=2))
    ahead = next(iter(requests(_flood(), 1, seed=9, start_ns=START_NS + 10**18 // 4)))
    for index, body in enumerate(good):
        session.feed([Arrival(body, 0)])
        if index % 10 == 5:
            session.feed([Arrival(ahead, 0)])
    session.finish()
    assert session.engine.now_ns < START_NS + 4 * 60 * 10**9
    assert session.counters()["reader_skewed_spans_total"] > 0


def test_minutes_with_lost_telemetry_add_no_evidence() -> None:
    def lose(session: Session, second: float) -> list[Command]:
        if second >= 10 * 60:
            session.lost(5)
        return []

    lossy = play(story(), 20, on_second=lose)
    assert "incident.opened" not in lossy.names
    assert lossy.session.counters()["reader_lost_requests_total"] > 0


def test_scopes_stay_bounded_under_a_flood_of_names() -> None:
    settings = config(windows=Config().windows.model_copy(update={"max_scopes": 50}))
    session = Session(settings)

    def plan(second: float) -> list[Arm]:
        first = int(second)
        return [
            Arm(1.0, f"v{first + index}", "control", route=f"/r{first + index}")
            for index in range(20)
        ]

    for body in requests(plan, 5):
        session.feed([Arrival(body, 0)])
    counts = session.counters()
    assert counts["windows_scopes"] <= 51
    assert counts["windows_folded_values_total"] > 0
    assert counts["windows_evicted_scopes_total"] > 0


def _flood() -> Plan:
    arm = replace(Arm(10.0, "v18", "canary"), behaviour=Behaviour(refusals=1.0, errors=0.0))
    return lambda _: [arm]


def test_every_rollback_has_its_event_and_key(played: Played) -> None:
    rollback: Rollback = played.rollbacks[0]
    assert rollback.key == rollback.plan.key
    assert rollback.event.incident is not None
    assert rollback.event.incident.rollback == rollback.plan


@pytest.mark.matrix
def test_three_calls_a_minute_are_silent_for_hours_and_a_drop_is_found_all_the_same() -> None:
    """From OTLP to the page at the traffic of a small route, on its own past alone."""

    def plan(second: float) -> list[Arm]:
        bad = Behaviour(score=0.75) if second >= 8 * 3600 else Behaviour()
        return [Arm(0.05, "v17", None, bad)]

    slow = play(plan, 11 * 60)
    assert slow.session.counters()["reader_calls_total"] == 11 * 180
    assert slow.names[0] == "incident.opened"
    assert slow.minute_of("incident.opened") > 8 * 60
    assert slow.minute_of("incident.escalated") < 8 * 60 + 125
    assert slow.session.counters()["incidents_paging"] == 1
    incident = slow.first("incident.escalated").incident
    assert incident is not None
    assert incident.shape.value == "eval_drift"
