"""The series of an incident as the engine takes them from its rings."""

from __future__ import annotations

import pytest

from tests.play import Played, play, story
from tests.traffic import START_NS, Arm, Behaviour
from tripswitch.model.drift import Drift, DriftSignal, joined

MINUTE = START_NS // (60 * 10**9)


def signals_of(played: Played) -> dict[str, DriftSignal]:
    """Return every signal of the run's incident, put together as the ledger does."""
    found: dict[str, DriftSignal] = {}
    for command in played.commands:
        if isinstance(command, Drift):
            for one in command.signals:
                found[one.name] = joined(found.get(one.name, one), one)
    return found


@pytest.fixture(scope="module")
def told() -> Played:
    return play(story(), 21)


def test_the_storys_series_show_before_during_and_after(told: Played) -> None:
    signals = signals_of(told)
    refusals = signals["refusal_rate"]
    arm, cohort, control = refusals.series
    assert (arm.role, cohort.role, control.role) == ("arm", "population", "reference")
    assert arm.scope.prompt_version == "v18"
    minutes = [point.minute - MINUTE for point in arm.points]
    assert minutes[0] == 10
    assert len(minutes) < 8
    assert all((point.value or 0) > 0.12 for point in arm.points[:3])
    covered = [point.minute - MINUTE for point in cohort.points]
    assert covered == list(range(covered[0], 20))
    assert covered[0] <= 1
    before = [point.value or 0 for point in cohort.points if point.minute - MINUTE < 10]
    after = [point.value or 0 for point in cohort.points if point.minute - MINUTE > 16]
    assert max(before) < 0.12
    assert max(after) < 0.12
    assert all((point.value or 0) < 0.12 for point in control.points)


def test_scores_are_scores_with_their_lines_below(told: Played) -> None:
    scores = signals_of(told)["eval_score:faithfulness"]
    assert (scores.unit, scores.worse) == ("score", "down")
    control = next(one for one in scores.series if one.role == "reference")
    values = [point.value or 0 for point in control.points]
    assert 0.86 < sum(values) / len(values) < 0.94
    if scores.usual is not None:
        assert scores.investigate == pytest.approx(scores.usual - 0.02)
        assert scores.page == pytest.approx(scores.usual - 0.05)


def test_what_did_not_move_is_kept_beside_it(told: Played) -> None:
    assert {"refusal_rate", "error_rate", "p99_latency"} <= set(signals_of(told))


def test_taken_at_each_step_and_every_few_minutes(told: Played) -> None:
    drifts = [command for command in told.commands if isinstance(command, Drift)]
    minutes = [(drift.time_ns - START_NS) / 60e9 for drift in drifts]
    opened = told.minute_of("incident.opened")
    assert any(opened <= minute <= opened + 0.4 for minute in minutes)
    back = told.minute_of("rollback.confirmed")
    assert any(back <= minute <= back + 0.4 for minute in minutes)
    assert len([minute for minute in minutes if minute % 5 == 0]) >= 2
    assert len(drifts) < 20


def test_cost_is_in_its_own_unit_with_lines_from_the_usual() -> None:
    def plan(second: float) -> list[Arm]:
        bad = second >= 600
        behaviour = Behaviour(tokens=900.0 if bad else 400.0)
        return [
            Arm(3.2, "v17", "control"),
            Arm(3.0, "v18" if bad else "v17", "canary", behaviour),
        ]

    tokens = signals_of(play(plan, 18))["tokens_per_success"]
    assert tokens.unit == "tokens"
    assert tokens.usual is not None
    assert tokens.page == pytest.approx(1.5 * tokens.usual)
    arm = tokens.series[0]
    assert all((point.value or 0) > 1.5 * tokens.usual for point in arm.points)
