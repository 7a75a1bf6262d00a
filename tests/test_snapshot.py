"""An engine that is put into a snapshot and is again from it goes on as if nothing had happened."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.genai.spans import CHAT, SpanOf, request_of, span_hex, trace_hex
from tests.genai.spans import START_NS as SPANS_NS
from tests.play import BAD, config, story
from tests.traffic import START_NS, Arm, Behaviour, Plan, Tool, requests
from tripswitch.config.detect_sections import (
    BadMinutes,
    Detect,
)
from tripswitch.config.evaluations_section import EvaluationRule
from tripswitch.config.model import Clock, Config
from tripswitch.config.read_section import Read
from tripswitch.config.signal_sections import (
    CostPerSuccess,
    ErrorRate,
    EvalScore,
    P99Latency,
    PiiLeak,
    PromptInjection,
    RefusalRate,
    TokensPerSuccess,
    ToolErrors,
    ToolLatency,
    TtftP99,
)
from tripswitch.detect.signals import (
    CALLS,
    COST,
    ERROR,
    REFUSAL,
    SLOW,
    TOKENS,
    TTFT,
    Kind,
    tool_measures,
)
from tripswitch.detect.validity import Kept
from tripswitch.drive.posted import read_scores
from tripswitch.drive.session import Arrival, Session
from tripswitch.engine import Engine
from tripswitch.genai import call_index, novelties
from tripswitch.genai.sightings import Evaluation
from tripswitch.incidents import exemplars
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S
from tripswitch.model.incident import IncidentState
from tripswitch.model.messages import Command, Event, EventName, Rollback, RollbackOutcome
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot, SnapshotMismatch
from tripswitch.store.incident_record import incident_of, incident_record, plan_of, plan_record
from tripswitch.store.snapshot_file import read_snapshot, write_snapshot
from tripswitch.windows.scopes import Measure, ScopeRecord

STEP_NS = 5 * 10**9

KEEN = Detect(
    eval_score=EvalScore(min_scores=5),
    refusal_rate=RefusalRate(min_calls=5, min_refusals=1),
    error_rate=ErrorRate(min_requests=5, min_errors=1),
    p99_latency=P99Latency(min_requests=5, min_slow=1),
    tokens_per_success=TokensPerSuccess(min_requests=5),
    cost_per_success=CostPerSuccess(min_requests=5),
    ttft_p99=TtftP99(min_calls=5, min_slow=1),
    tool_latency=ToolLatency(min_runs=5, min_slow=1),
    tool_errors=ToolErrors(min_runs=5, min_errors=1),
    pii_leak=PiiLeak(page_hits=2, page_traces=2),
    prompt_injection=PromptInjection(min_calls=5, min_successes=1),
    bad_minutes=BadMinutes(**dict.fromkeys(BadMinutes.model_fields, 1)),
    alpha_page=0.5,
    alpha_start=0.5,
    alpha_investigate=0.9,
    alpha_pii=0.5,
    min_baseline=20,
    alert_window="1m",
)
"""So jumpy that a few minutes of traffic open, escalate, roll back and recover."""


@dataclass
class Run:
    """A session on wall time, with a gateway that acknowledges, and all that came out of it."""

    settings: Config
    session: Session = field(init=False)
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session = Session(self.settings)

    def feed(self, body: bytes, step: int) -> None:
        self._take(self.session.feed([Arrival(body, START_NS + (step + 1) * STEP_NS)]))

    def settle(self) -> None:
        """Settle what is held: seconds of traffic that a restart would lose."""
        self._take(self.session.engine.flush())

    def _take(self, commands: list[Command]) -> None:
        for command in commands:
            self.commands.append(command)
            if isinstance(command, Rollback):
                outcome = RollbackOutcome(command.key, "acknowledged", "answered")
                self._take(self.session.outcome(outcome))


def restarted(run: Run, path: Path, now_ns: int | None = None) -> Run:
    """Return what goes on in another process: from the file, and from what a ledger holds."""
    write_snapshot(path, run.session.snapshot())
    snapshot = read_snapshot(path)
    again = Run(run.settings)
    again.session.resume(snapshot, snapshot.taken_ns if now_ns is None else now_ns)
    open_ones = [tracked.incident for tracked in run.session.engine.book.open.values()]
    records = [incident_record(incident) for incident in sorted(open_ones, key=lambda one: one.id)]
    plans = [plan_record(command.plan) for command in run.commands if isinstance(command, Rollback)]
    again.session.restore(
        [incident_of(text) for text in records], [plan_of(text) for text in plans]
    )
    return again


def assert_same(one: Snapshot, other: Snapshot) -> None:
    """Check that two engines know the same, to the bit, but for where calls are filed."""
    assert one.taken_ns == other.taken_ns
    assert one.scopes == other.scopes
    for name in one.facts.keys() | other.facts.keys():
        if name != "call_index":
            # As text: a number that is none is not equal to itself.
            assert repr(one.facts[name]) == repr(other.facts[name]), name
    for name in one.arrays.keys() | other.arrays.keys():
        if not name.startswith(("call_index", "seen")):
            assert one.arrays[name].tobytes() == other.arrays[name].tobytes(), name


def in_text(commands: list[Command]) -> list[str]:
    return [repr(command) for command in commands]


@cache
def bodies(kind: int, minutes: float, seed: int) -> tuple[bytes, ...]:
    plans: tuple[Plan, ...] = (story(), short_rollout, replaced, with_every_signal)
    return tuple(requests(plans[kind], minutes, seed=seed))


def short_rollout(second: float) -> list[Arm]:
    """A bad canary from the second minute on, beside a control, of two models."""
    bad = Behaviour(score=0.6, refusals=0.4, errors=0.1, latency_s=2.0, tokens=900.0)
    is_bad = second >= 90
    return [
        Arm(1.6, "v17", "control"),
        Arm(0.8, "v17", "control", model="gpt-4o"),
        Arm(1.0, "v18" if is_bad else "v17", "canary", bad if is_bad else Behaviour()),
        Arm(0.6, "v18" if is_bad else "v17", "canary", Behaviour(), model="gpt-4o"),
    ]


def replaced(second: float) -> list[Arm]:
    """A version that takes the place of another for everybody, and is worse."""
    is_bad = second >= 100
    return [Arm(2.5, "v18" if is_bad else "v17", None, BAD if is_bad else Behaviour())]


def with_every_signal(second: float) -> list[Arm]:
    """A version that takes the place of another and is worse in all that can be told of a call."""
    before = Behaviour(
        latency_s=6.0,
        ttft_s=0.3,
        cost_usd=0.01,
        leaks=0.0,
        injections=0.0,
        wrong_refusals=0.2,
        refusals=0.1,
        tools=(Tool("search"),),
    )
    after = replace(
        before,
        ttft_s=1.5,
        cost_usd=0.05,
        leaks=0.3,
        injections=0.3,
        wrong_refusals=0.9,
        refusals=0.5,
        tools=(Tool("search", latency_s=2.0, errors=0.4), Tool("pay")),
    )
    is_bad = second >= 130
    return [
        Arm(0.8, "v18" if is_bad else "v17", None, after if is_bad else before),
        Arm(0.4, "v18" if is_bad else "v17", None, before, model="gpt-4o"),
    ]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from([1, 2, 3]),
    seed=st.integers(1, 4),
    cut=st.integers(1, 58),
    offset_ns=st.sampled_from([0, 1, 3_000_000_000]),
)
def test_nobody_can_tell_that_there_was_a_restart(
    tmp_path_factory: pytest.TempPathFactory, kind: int, seed: int, cut: int, offset_ns: int
) -> None:
    """Commands afterwards are the same to the byte, and so is everything that is known."""
    path = tmp_path_factory.mktemp("state") / "snapshot"
    through = Run(config(detect=KEEN, clock=Clock(source="wall")))
    traffic = bodies(kind, 5, seed)
    for step, body in enumerate(traffic[:cut]):
        through.feed(body, step)
    through.settle()
    through._take(through.session.advance(START_NS + cut * STEP_NS + offset_ns))
    again = restarted(through, path)
    assert_same(again.session.snapshot(), through.session.snapshot())
    before = len(through.commands)
    for step, body in enumerate(traffic[cut:], cut):
        through.feed(body, step)
        again.feed(body, step)
    assert in_text(again.commands) == in_text(through.commands[before:])
    assert_same(again.session.snapshot(), through.session.snapshot())


def test_streams_of_that_property_open_and_recover_incidents() -> None:
    names = set()
    for kind in (1, 2):
        run = Run(config(detect=KEEN, clock=Clock(source="wall")))
        for step, body in enumerate(bodies(kind, 5, 1)):
            run.feed(body, step)
        names |= {getattr(command, "name", None) for command in run.commands}
    assert {"incident.opened", "rollback.planned", "rollback.acknowledged"} <= names


def test_streams_of_that_property_reach_every_signal() -> None:
    run = Run(config(detect=KEEN, clock=Clock(source="wall")))
    for step, body in enumerate(bodies(3, 5, 1)):
        run.feed(body, step)
    engine = run.session.engine
    assert {kind for _, _, kind in engine.roster.by_key} == set(Kind)
    (family,) = engine.comparisons.families.values()
    tool_slow = tool_measures("search")[1]
    assert {SLOW, TTFT, TOKENS, COST, tool_slow} <= family.yardsticks.keys()
    assert family.tells_refusals_apart
    opened = [tracked.incident for tracked in engine.book.open.values()]
    assert {incident.security for incident in opened} == {True, False}
    told = {command.name for command in run.commands if isinstance(command, Event)}
    assert EventName.LEAK_NOTED in told
    snapshot = run.session.snapshot()
    for name in ("first_tokens", "costs", "tool_latencies"):
        assert snapshot.arrays[f"scopes.{name}"].any()
    assert snapshot.facts["leaks.traces"]
    assert snapshot.facts["upstreams.of"]
    assert snapshot.facts["coming.arrivals"]["full"] == [1] * 5
    assert snapshot.arrays["traffic.state"].any()


def test_the_story_goes_on_from_any_of_its_moments(tmp_path: Path) -> None:
    """In the rollout, after the page, between call and traffic, in the proof of recovery."""
    traffic = bodies(0, 13, 3)
    cuts = [round(minute * 12) + extra for minute, extra in ((9, 1), (10.5, 0), (11.5, 1), (12, 2))]
    through = Run(config(clock=Clock(source="wall")))
    running: list[tuple[Run, int]] = []
    for step, body in enumerate(traffic):
        if step in cuts:
            for run in (through, *(run for run, _ in running)):
                run.settle()
            again = restarted(through, tmp_path / str(step))
            assert_same(again.session.snapshot(), through.session.snapshot())
            running.append((again, len(through.commands)))
        for run in (through, *(run for run, _ in running)):
            run.feed(body, step)
    told = [command.name.value for command in through.commands if hasattr(command, "name")]
    assert "incident.opened" in told
    assert len(running) == 4
    for run, before in running:
        assert in_text(run.commands) == in_text(through.commands[before:])
        assert_same(run.session.snapshot(), through.session.snapshot())


# --- what has changed in between ------------------------------------------------------------------

EVERYBODY = Scope("/chat/refund", "refund-bot", "v17")


def watched(minutes: float, *, settings: Config | None = None) -> Run:
    """Return a run of healthy traffic with nothing held back."""
    run = Run(settings or config(detect=KEEN, clock=Clock(source="wall")))
    for step, body in enumerate(requests(lambda _: [Arm(1.0, "v17", None)], minutes, seed=3)):
        run.feed(body, step)
    run.settle()
    return run


def resumed(run: Run, now_ns: int, settings: Config | None = None) -> tuple[Engine, Kept]:
    engine = Engine(settings or run.settings)
    return engine, engine.resume(run.session.snapshot(), now_ns)


def spend(run: Run, scope: Scope, kind: Kind, measure: Measure, bets: float) -> int:
    """Give a row evidence, and return it."""
    row = run.session.engine.roster.by_key[scope, measure, kind]
    for detector in run.session.engine.roster.detectors.values():
        detector.bets[row] = bets
    run.session.engine.roster.held_half[row] = run.session.engine.roster.held_look[row] = 7
    return row


def test_the_minutes_in_between_are_lost_and_not_silent() -> None:
    run = watched(20)
    row = spend(run, EVERYBODY, Kind.REFUSAL_UP, REFUSAL, 0.5)
    then_ns = run.session.engine.now_ns
    now_ns = then_ns + 7 * NS_PER_MINUTE + 20 * NS_PER_S
    engine, kept = resumed(run, now_ns)
    assert kept.rows > 0
    assert engine.now_ns == now_ns
    assert engine.scopes.rings.now_minute == now_ns // NS_PER_MINUTE
    calls = engine.scopes.records[EVERYBODY].series[CALLS]
    assert engine.scopes.rings.last_minutes(calls, 7)[:, 0].sum() == 0
    assert engine.scopes.rings.window(np.array([calls]), "15m")[0, 0] > 300
    assert engine.scopes.rings.history(np.array([calls]))[0, 0] > 1000
    assert engine.roster.detectors["page_own"].bets[row, 0] == 0.5
    # A tick in the minute that was seen in part neither judges nor acts.
    engine.advance(now_ns + 10 * NS_PER_S)
    assert engine.is_lossy
    engine.advance(now_ns + NS_PER_MINUTE)
    assert not engine.is_lossy


def test_a_start_within_the_tick_has_missed_nothing() -> None:
    run = watched(3)
    engine, _ = resumed(run, run.session.engine.now_ns + NS_PER_S)
    assert engine.now_ns == run.session.engine.now_ns
    engine.advance(engine.now_ns + 10 * NS_PER_S)
    assert not engine.is_lossy


def test_evidence_of_more_than_a_day_ago_goes_and_baselines_stay() -> None:
    run = watched(20)
    spend(run, EVERYBODY, Kind.REFUSAL_UP, REFUSAL, 0.5)
    engine, kept = resumed(run, run.session.engine.now_ns + 25 * NS_PER_HOUR)
    assert kept.rows == 0
    assert any("more than a day old" in reason for reason in kept.dropped)
    for detector in engine.roster.detectors.values():
        assert not detector.bets.any()
    refusals = np.array([engine.scopes.records[EVERYBODY].series[REFUSAL]])
    assert (
        engine.scopes.rings.learnt(refusals)[0, 0] + engine.scopes.rings.history(refusals)[0, 0]
        > 50
    )


@pytest.mark.parametrize(("gap_minutes", "is_start_seen"), [(5, True), (90, False)])
def test_a_version_that_shows_itself_after_a_long_gap_may_have_begun_in_it(
    gap_minutes: int, *, is_start_seen: bool
) -> None:
    run = watched(5)
    now_ns = run.session.engine.now_ns + gap_minutes * NS_PER_MINUTE
    session = Session(run.settings)
    session.resume(run.session.snapshot(), now_ns)
    first = next(iter(requests(lambda _: [Arm(3.0, "v18", None)], 1, start_ns=now_ns)))
    session.feed([Arrival(first, now_ns + STEP_NS)])
    session.advance(now_ns + 40 * NS_PER_S)
    record = session.engine.scopes.records[EVERYBODY._replace(prompt_version="v18")]
    assert record.found_running is not is_start_seen


def test_a_snapshot_of_another_clock_or_of_the_future_is_not_taken_up() -> None:
    run = watched(1)
    now_ns = run.session.engine.now_ns
    with pytest.raises(SnapshotMismatch, match="clock wall"):
        resumed(run, now_ns, config(detect=KEEN))
    with pytest.raises(SnapshotMismatch, match="later than now"):
        resumed(run, now_ns - 2 * NS_PER_MINUTE)


def test_an_incident_that_ended_after_the_snapshot_leaves_no_evidence() -> None:
    run = Run(config(detect=KEEN, clock=Clock(source="wall")))
    for step, body in enumerate(bodies(1, 5, 1)):
        run.feed(body, step)
        if run.session.engine.book.open:
            break
    (tracked,) = run.session.engine.book.open.values()
    over = replace(tracked.incident, state=IncidentState.RECOVERED)
    for incidents in ([], [over]):
        engine, _ = resumed(run, run.session.engine.now_ns)
        rows = np.array(engine.roster.by_scope[tracked.incident.scope])
        assert any(found.evidence(rows).any() for found in engine.roster.detectors.values())
        engine.restore(incidents, [])
        assert not any(found.evidence(rows).any() for found in engine.roster.detectors.values())
        assert len(engine.book.open) == len(incidents)


# --- what another version wrote -------------------------------------------------------------------


def test_a_column_that_did_not_exist_then_has_its_default_and_the_rest_is_kept() -> None:
    run = watched(20)
    row = spend(run, EVERYBODY, Kind.ERROR, ERROR, 0.25)
    snapshot = run.session.snapshot()
    for name in ("held_half", "control", "seen_start", "look_control.path"):
        del snapshot.arrays[f"roster.columns.{name}"]
    del snapshot.arrays["rings.tainted"]
    engine = Engine(run.settings)
    engine.resume(snapshot, snapshot.taken_ns)
    assert engine.roster.held_half[row] == 0
    assert engine.roster.control[row] == -1
    assert engine.roster.held_look[row] == 7
    assert engine.roster.detectors["page_own"].bets[row, 0] == 0.25
    # One column of a detector says nothing without the others.
    assert not engine.roster.detectors["look_control"].bets[row].any()


def test_kinds_and_measures_are_known_by_name_and_unknown_ones_are_left_out() -> None:
    run = watched(20)
    row = spend(run, EVERYBODY, Kind.ERROR, ERROR, 0.25)
    snapshot = run.session.snapshot()
    kinds = snapshot.facts["roster.kinds"]
    kinds[kinds.index("REFUSAL_DOWN")] = "SOMETHING_LATER"
    # Numbers of kinds are of no meaning.
    snapshot.arrays["roster.columns.kind"][:] = 77
    engine = Engine(run.settings)
    kept = engine.resume(snapshot, snapshot.taken_ns)
    assert any("kinds that are not judged" in reason for reason in kept.dropped)
    assert engine.roster.by_key[EVERYBODY, ERROR, Kind.ERROR] == row
    assert engine.roster.kind[row] == Kind.ERROR
    assert engine.roster.detectors["page_own"].bets[row, 0] == 0.25
    # The kind that the snapshot did not know is judged all the same, from nothing.
    new = engine.roster.by_key[EVERYBODY, REFUSAL, Kind.REFUSAL_DOWN]
    assert engine.roster.used[new]
    assert not engine.roster.detectors["page_own"].bets[new].any()
    engine.advance(snapshot.taken_ns + 2 * NS_PER_MINUTE)
    assert len({*engine.roster.by_key.values()}) == len(engine.roster.rows())
    verdicts = [one for one in engine.verdicts() if one.signal == "refusal_rate"]
    assert {one.direction for one in verdicts} == {"up", "down"}


def test_evidence_is_never_of_another_kind_although_rows_are_made_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = watched(20)
    up = spend(run, EVERYBODY, Kind.REFUSAL_UP, REFUSAL, 0.25)
    down = spend(run, EVERYBODY, Kind.REFUSAL_DOWN, REFUSAL, 0.75)
    engine = Engine(run.settings)
    make = engine.comparisons.judge_series

    def make_no_rise(record: ScopeRecord, measure: Measure, detect: Detect) -> None:
        """Make rows as a version would that looks for a rise only where somebody asks for it."""
        key = (record.scope, measure, Kind.REFUSAL_UP)
        if measure == REFUSAL:
            engine.roster.by_key[key] = -1
        make(record, measure, detect)
        if measure == REFUSAL:
            del engine.roster.by_key[key]

    monkeypatch.setattr(engine.comparisons, "judge_series", make_no_rise)
    kept = engine.resume(run.session.snapshot(), run.session.engine.now_ns)
    assert any("kinds that are not judged" in reason for reason in kept.dropped)
    row = engine.roster.by_key[EVERYBODY, REFUSAL, Kind.REFUSAL_DOWN]
    assert row in (up, down)
    assert engine.roster.detectors["page_own"].bets[row, 0] == 0
    assert engine.roster.kind[row] == Kind.REFUSAL_DOWN


def test_a_kind_that_is_weighed_otherwise_now_begins_anew() -> None:
    run = watched(20)
    row = spend(run, EVERYBODY, Kind.ERROR, ERROR, 0.25)
    snapshot = run.session.snapshot()
    snapshot.arrays["roster.columns.is_rate"][row] = False
    engine = Engine(run.settings)
    engine.resume(snapshot, snapshot.taken_ns)
    assert not engine.roster.detectors["page_own"].bets[row].any()


def test_nothing_that_people_wrote_is_in_a_snapshot(tmp_path: Path) -> None:
    spans = [
        SpanOf(
            {
                **CHAT,
                "gen_ai.input.messages": '[{"role": "user", "content": "my secret ailment"}]',
                "gen_ai.output.messages": '[{"role": "assistant", "content": "my secret cure"}]',
                "user.id": "somebody@example.com",
            },
            parent=0,
        )
    ]
    run = Run(config(clock=Clock(source="wall")))
    run.session.feed([Arrival(request_of(*spans), SPANS_NS + 2 * NS_PER_S)])
    run.settle()
    assert run.session.counters()["reader_calls_total"] == 1
    write_snapshot(tmp_path / "snapshot", run.session.snapshot())
    content = (tmp_path / "snapshot").read_bytes()
    assert b"gpt-4o-mini" in content
    for text in (b"secret", b"ailment", b"cure", b"somebody"):
        assert text not in content


# --- other settings -------------------------------------------------------------------------------


def edited(run: Run, **changes: Any) -> Config:
    detect = KEEN.model_copy(update=changes.pop("detect", {}))
    return config(**({"detect": detect, "clock": Clock(source="wall")} | changes))


def test_a_higher_line_forgets_how_long_the_lower_one_was_held_and_keeps_the_evidence() -> None:
    run = watched(20)
    row = spend(run, EVERYBODY, Kind.REFUSAL_UP, REFUSAL, 0.5)
    other = spend(run, EVERYBODY, Kind.ERROR, ERROR, 0.5)
    refusal = RefusalRate(min_calls=5, min_refusals=1, investigate_points=4, page_points=12)
    kept = run.session.reload(edited(run, detect={"refusal_rate": refusal}))
    roster = run.session.engine.roster
    assert roster.held_half[row] == 0
    # The lower investigate line was held all the more.
    assert roster.held_look[row] == 7
    assert roster.held_half[other] == 7
    assert roster.detectors["page_own"].bets[row, 0] == 0.5
    (reason,) = kept.dropped
    assert "a line that is higher now" in reason


def test_a_smaller_budget_lowers_the_evidence_and_a_larger_one_leaves_it() -> None:
    run = watched(20)
    row = spend(run, EVERYBODY, Kind.ERROR, ERROR, 0.5)
    detectors = run.session.engine.roster.detectors
    run.session.reload(edited(run, detect={"alpha_page": 0.05}))
    assert detectors["page_own"].bets[row, 0] == pytest.approx(0.05)
    assert detectors["look_own"].bets[row, 0] == 0.5
    kept = run.session.reload(edited(run, detect={"alpha_page": 0.6}))
    assert detectors["page_own"].bets[row, 0] == pytest.approx(0.05)
    assert kept.dropped == []


def test_what_slow_means_is_counted_anew_when_its_multiple_moves() -> None:
    run = watched(25)
    row = spend(run, EVERYBODY, Kind.SLOW, SLOW, 0.5)
    other = spend(run, EVERYBODY, Kind.ERROR, ERROR, 0.5)
    engine = run.session.engine
    family = engine.comparisons.families[EVERYBODY.family()]
    usual_s = family.yardsticks[SLOW].usual
    slow = P99Latency(min_requests=5, min_slow=1, page_multiple=3)
    kept = run.session.reload(edited(run, detect={"p99_latency": slow}))
    assert family.yardsticks[SLOW].limit == pytest.approx(3 * usual_s)
    assert not engine.roster.detectors["page_own"].bets[row].any()
    assert engine.roster.detectors["page_own"].bets[other, 0] == 0.5
    series = engine.scopes.records[EVERYBODY].series[SLOW]
    assert engine.scopes.rings.window(np.array([series]), "24h")[0, 0] == 0
    assert any("page_multiple" in reason for reason in kept.dropped)


@pytest.mark.parametrize(
    ("changes", "gone", "stays"),
    [
        ({"evaluations": [EvaluationRule(name="faith*", better="lower")]}, ["EVAL"], ["ERROR"]),
        ({"evaluations": [EvaluationRule(name="other", low=1, high=5)]}, [], ["EVAL", "ERROR"]),
        ({"read": Read(keys={"input_tokens": ["app.tokens"]})}, ["TOKENS"], ["EVAL", "ERROR"]),
        ({"read": Read(keys={"route": ["app.route"]})}, [], ["EVAL", "TOKENS"]),
        ({"read": Read(content_facts=False)}, ["EVAL", "TOKENS", "REFUSAL_UP"], []),
    ],
)
def test_what_means_something_else_now_is_dropped_and_the_rest_is_kept(
    changes: dict[str, Any], gone: list[str], stays: list[str]
) -> None:
    """At a reload and, the same, at a start with an edited file."""
    run = watched(25)
    roster = run.session.engine.roster
    for row in roster.rows().tolist():
        roster.detectors["page_own"].bets[row] = 0.5
    engine, kept = resumed(run, run.session.engine.now_ns, edited(run, **changes))
    for found in (engine, run.session.engine):
        if found is not engine:
            kept = run.session.reload(edited(run, **changes))
        bets = {
            kind.name: found.roster.detectors["page_own"].bets[row, 0]
            for (scope, _, kind), row in found.roster.by_key.items()
            if scope == EVERYBODY
        }
        assert {name for name in (*gone, *stays) if bets[name] == 0} == set(gone)
        assert bool(kept.dropped) == bool(gone)


def test_every_multiple_of_slow_and_the_budget_of_leaks_are_taken_into_account() -> None:
    run = Run(config(detect=KEEN, clock=Clock(source="wall")))
    for step, body in enumerate(bodies(3, 5, 1)):
        run.feed(body, step)
    engine = run.session.engine
    (family,) = engine.comparisons.families.values()
    before = dict(family.yardsticks)
    bets = engine.roster.detectors["page_own"].bets
    for row in engine.roster.rows().tolist():
        bets[row] = 0.5
    changes = {
        "ttft_p99": TtftP99(min_calls=5, min_slow=1, page_multiple=3),
        "tool_latency": ToolLatency(min_runs=5, min_slow=1, page_multiple=4),
        "alpha_pii": 0.05,
    }
    kept = run.session.reload(edited(run, detect=changes))
    search = tool_measures("search")[1]
    assert family.yardsticks[TTFT].limit == pytest.approx(3 * before[TTFT].usual)
    assert family.yardsticks[search].limit == pytest.approx(4 * before[search].usual)
    assert family.yardsticks[SLOW] == before[SLOW]
    for (_, measure, kind), row in engine.roster.by_key.items():
        lowered = {TTFT: 0.0, search: 0.0}.get(measure, 0.5)
        assert bets[row, 0] == pytest.approx(0.05 if kind is Kind.PII_LEAK else lowered), measure
    assert {"tool_latency", "ttft_p99", "leak"} <= {
        name
        for reason in kept.dropped
        for name in ("tool_latency", "ttft_p99", "leak")
        if name in reason
    }


def test_a_gap_teaches_and_proves_nothing_of_what_comes() -> None:
    run = watched(5)
    now_ns = run.session.engine.now_ns + 90 * NS_PER_MINUTE
    engine, _ = resumed(run, now_ns)
    engine.advance(now_ns + 2 * NS_PER_MINUTE)
    arrivals, traffic = engine.coming.arrivals, engine.coming.traffic
    assert (arrivals.silent_minutes, arrivals.lossy_minutes) == (1, 0)
    (row,) = traffic.rows.values()
    # The quarter of an hour that was begun had too little to say anything of its week.
    assert traffic.table[row].sum() == traffic.weeks[row].sum() == 0
    assert engine.snapshot().arrays["traffic.recent"].sum() == 0


def test_another_version_of_an_evaluator_is_another_one_after_a_restart_too() -> None:
    first = Evaluation("faithfulness", 0.5, None, "telemetry", "1", None, None, None, 0)
    second = first._replace(version="2")
    engine = Engine(config())
    names = [engine.traces.appraiser.of_call([one]).rubrics[0][0] for one in (first, second)]
    again = Engine(config())
    again.resume(engine.snapshot(), 0)
    assert [
        again.traces.appraiser.of_call([one]).rubrics[0][0] for one in (second, first)
    ] == names[::-1]
    assert len(set(names)) == 2


def test_what_there_is_no_room_for_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    run = watched(5)
    assert run.session.snapshot().left_out == {"calls": 0, "routes": 0, "exemplars": 0}
    calls = run.session.counters()["reader_remembered_calls"]
    monkeypatch.setattr(call_index, "MAX_SAVED", 10)
    monkeypatch.setattr(novelties, "_MAX_SAVED_VALUES", 0)
    monkeypatch.setattr(exemplars, "MAX_SAVED", 1)
    snapshot = run.session.snapshot()
    assert snapshot.left_out["calls"] == calls
    assert snapshot.left_out["routes"] == 1
    assert snapshot.left_out["exemplars"] > 1
    engine = Engine(run.settings)
    engine.resume(snapshot, snapshot.taken_ns)
    assert len(engine.traces.index) == 0


def test_late_scores_find_their_calls_after_a_restart() -> None:
    run = Run(config(clock=Clock(source="wall")))
    now_ns = SPANS_NS + 2 * NS_PER_S
    run.session.feed([Arrival(request_of(SpanOf(CHAT, parent=0)), now_ns)])
    run.settle()
    session = Session(run.settings)
    session.resume(run.session.snapshot(), now_ns)
    document = [{"trace_id": trace_hex(1), "span_id": span_hex(1), "name": "faith", "score": 0.5}]
    scores, refused = read_scores(document, now_ns)
    assert not refused
    session.scores([score.evaluation(now_ns) for score in scores], now_ns)
    session.advance(now_ns + 20 * NS_PER_S)
    assert session.counters()["reader_late_scores_total"] == 1
    assert session.counters()["reader_unjoined_scores_total"] == 0
    # What was counted before is not counted again.
    session.feed([Arrival(request_of(SpanOf(CHAT, parent=0)), now_ns + 21 * NS_PER_S)])
    assert session.counters()["reader_repeated_spans_total"] == 1
