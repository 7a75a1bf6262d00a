"""An engine that is put into a snapshot and is again from it goes on as if nothing had happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.play import BAD, config, story
from tests.traffic import START_NS, Arm, Behaviour, Plan, requests
from tripswitch.config.detect_sections import (
    BadMinutes,
    Detect,
    ErrorRate,
    EvalScore,
    P99Latency,
    RefusalRate,
    TokensPerSuccess,
)
from tripswitch.config.model import Clock, Config
from tripswitch.drive.session import Arrival, Session
from tripswitch.model.messages import Command, Rollback, RollbackOutcome
from tripswitch.model.snapshot import Snapshot
from tripswitch.store.incident_record import incident_of, incident_record, plan_of, plan_record
from tripswitch.store.snapshot_file import read_snapshot, write_snapshot

STEP_NS = 5 * 10**9

KEEN = Detect(
    eval_score=EvalScore(min_scores=5),
    refusal_rate=RefusalRate(min_calls=5, min_refusals=1),
    error_rate=ErrorRate(min_requests=5, min_errors=1),
    p99_latency=P99Latency(min_requests=5, min_slow=1),
    tokens_per_success=TokensPerSuccess(min_requests=5),
    bad_minutes=BadMinutes(otherwise=1),
    alpha_page=0.5,
    alpha_start=0.5,
    alpha_investigate=0.9,
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
    for names in (one.facts, one.arrays):
        assert names.keys() >= {"scopes.next"} or "rings.minute" in names
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
    plans: tuple[Plan, ...] = (story(), short_rollout, replaced)
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


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from([1, 2]),
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
            running.append((restarted(through, tmp_path / str(step)), len(through.commands)))
        for run in (through, *(run for run, _ in running)):
            run.feed(body, step)
    told = [command.name.value for command in through.commands if hasattr(command, "name")]
    assert "incident.opened" in told
    assert len(running) == 4
    for run, before in running:
        assert in_text(run.commands) == in_text(through.commands[before:])
        assert_same(run.session.snapshot(), through.session.snapshot())
