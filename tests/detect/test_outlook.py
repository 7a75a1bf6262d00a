"""The outlook: minutes that hold in the simulation, and advice with numbers that are so."""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest

from tests.detect.stand import CANARY, CONTROL, Behaviour, Stand, Traffic, arm, pages
from tripswitch.config.detect_sections import Detect, EvalScore
from tripswitch.detect.explanation import Explained, Explanation, explain
from tripswitch.detect.outlook import samples_for_mean, samples_for_rate
from tripswitch.detect.signals import CALLS, SIGNALS, Kind, eval_measure
from tripswitch.model.scope import Scope

FAITHFULNESS = eval_measure("faithfulness")


def explained(stand: Stand, most_scopes: int = 50) -> Explained:
    assert stand.decision is not None
    return explain(
        stand.judge,
        stand.findings,
        stand.rows,
        stand.decision,
        stand.config.detect,
        wants=lambda _: True,
        most_scopes=most_scopes,
        is_lossy=False,
    )


def one(stand: Stand, scope: Scope, kind: Kind) -> Explanation:
    """Return the explanation of one kind of one scope."""
    name = stand.verdict(scope, kind).signal
    direction = stand.verdict(scope, kind).direction
    for found, signals in explained(stand).scopes:
        for signal in signals:
            if (found, signal.verdict.signal, signal.verdict.direction) == (scope, name, direction):
                return signal
    raise KeyError(scope)


def rollout(canary: float, control: float, bad: Behaviour) -> list[Traffic]:
    return [Traffic(CONTROL, control), Traffic(CANARY, canary, bad)]


def test_the_rule_of_thumb_is_that_of_the_reference() -> None:
    # minutes ~ 3 * ln(1/alpha_start) * 2*var/drop^2 / (scores per minute): sd 0.26, 9 points.
    samples = samples_for_mean(0.26**2, 0.09, math.log(1e3))
    assert samples == pytest.approx(3 * 6.9 * 2 * 0.0676 / 0.0081, rel=0.01)
    # Measured there: 390 to 405 samples, and 430 to 465 for refusals from 4 to 9 %.
    assert samples is not None
    assert 300 < samples < 450
    refusals = samples_for_rate(0.04, 0.09, math.log(1e3))
    assert refusals is not None
    assert 400 < refusals < 500
    assert samples_for_mean(0.1, 0.0, 7) is None
    assert samples_for_rate(0.2, 0.2, 7) is None
    assert samples_for_rate(0.0, 0.0, 7) is None


@pytest.mark.parametrize(
    ("kind", "bad"),
    [(Kind.EVAL, Behaviour(score=0.81)), (Kind.REFUSAL_UP, Behaviour(refusals=0.14))],
)
@pytest.mark.parametrize("has_control", [True, False])
def test_expected_minutes_are_those_that_a_change_at_the_line_takes(
    kind: Kind, bad: Behaviour, *, has_control: bool
) -> None:
    """Within a factor of two and a half, for the median of five changes.

    Without a control the line is a point lower: a change that is just as large as the line is seen
    to be so only half of the time, by how the baseline happens to lie.
    """
    detect = Detect(eval_score=EvalScore(page_points=9.0 if has_control else 8.0))
    scope, per_minute = (CANARY, 30.0) if has_control else (arm("v1"), 60.0)

    def traffic(behaviour: Behaviour) -> list[Traffic]:
        beside = [Traffic(CONTROL, 120)] if has_control else []
        return [*beside, Traffic(scope, per_minute, behaviour)]

    took: list[float] = []
    expected = 0.0
    for seed in range(5):
        stand = Stand(detect, seed=seed)
        if has_control:
            stand.run(20, [Traffic(CONTROL, 120)])
        if seed == 0 or not has_control:
            stand.run(3 if has_control else 40, traffic(Behaviour()))
            expected = one(stand, scope, kind).outlook.minutes or 0.0
        begun = stand.minute
        name = SIGNALS[kind].name
        while stand.minute - begun < 90:
            if any(found.signal == name for _, found in pages(stand.run(1, traffic(bad)))):
                break
        took.append(stand.minute - begun)
    assert 0.4 < median(took) / expected < 2.5, (took, expected)


def test_what_is_seen_of_a_quiet_canary() -> None:
    stand = Stand()
    stand.run(20, [Traffic(CONTROL, 60)])
    stand.run(10, rollout(30, 60, Behaviour()))
    found = one(stand, CANARY, Kind.EVAL)
    assert found.outlook.per_minute == pytest.approx(30, rel=0.15)
    assert found.outlook.reference_per_minute == pytest.approx(60, rel=0.1)
    assert found.outlook.nats == pytest.approx(math.log(1e3))
    assert found.page_line == 0.05
    assert found.page_control == stand.evidence("page_control", CANARY, Kind.EVAL)
    assert found.page_own == stand.evidence("page_own", CANARY, Kind.EVAL)
    assert [text.partition(":")[0] for text in found.missing] == ["a change", "evidence"]
    assert found.remedies == ()
    # Without a start budget it takes what a month's budget takes.
    long_there = one(stand, CONTROL, Kind.EVAL)
    assert long_there.outlook.nats == pytest.approx(math.log(43_200 / 1e-3))


def test_a_page_waits_for_nothing() -> None:
    stand = Stand()
    stand.run(20, [Traffic(CONTROL, 60)])
    stand.run(15, rollout(60, 60, Behaviour(refusals=0.4)))
    found = one(stand, CANARY, Kind.REFUSAL_UP)
    assert found.verdict.severity is not None
    assert found.missing == ()
    assert found.page_control > 1


def test_thin_traffic_says_what_would_help_and_by_how_much() -> None:
    stand = Stand()
    for _ in range(30):
        stand.run(1, [Traffic(CONTROL, 60)])
        stand.put(CANARY, CALLS, np.ones(20))
        if stand.minute % 4 == 0:
            stand.put(CANARY, FAITHFULNESS, np.array([0.1]))
    stand.run(1, [Traffic(CANARY, 1)])
    found = one(stand, CANARY, Kind.EVAL)
    assert found.verdict.finding.value == "insufficient"
    assert any("of 50 samples" in text for text in found.missing)
    assert found.outlook.minutes is None or found.outlook.minutes > 120
    score_all = next(one for one in found.remedies if one.sentence.startswith("score every call"))
    assert score_all.minutes == pytest.approx(found.outlook.minutes_at(20), rel=0.1)
    assert "1.2 % are scored now" in score_all.sentence
    more = next(one for one in found.remedies if one.sentence.startswith("send it"))
    assert more.minutes is not None
    assert more.minutes <= 60


def test_a_leaf_is_told_what_its_models_together_would_take() -> None:
    stand = Stand()
    small = arm("v1", request_model="small")
    large = arm("v1", request_model="large")
    stand.run(40, [Traffic(small, 1.0), Traffic(large, 20.0)])
    found = one(stand, small, Kind.EVAL)
    rolled = next(one for one in found.remedies if one.sentence.startswith("roll the models up"))
    assert rolled.minutes is not None
    assert found.outlook.minutes is None or rolled.minutes < found.outlook.minutes / 5
    assert "has 20.8 samples a minute" in rolled.sentence


def test_without_a_reference_it_is_said_how_long_until_there_is_one() -> None:
    stand = Stand()
    stand.run(20, [Traffic(arm("v1"), 3.0)])
    found = one(stand, arm("v1"), Kind.EVAL)
    (missing,) = found.missing
    held = round(stand.judge.own.samples[0])
    assert f"holds {held} of 200 samples" in missing
    wait = (200 - held) / 3 + 15
    minutes = int(missing.rpartition("about ")[2].split()[0])
    assert minutes == pytest.approx(wait, rel=0.1)
    assert found.outlook.minutes is not None
    assert found.outlook.minutes > wait


def test_a_rate_that_cannot_fall_so_far_is_said_to_be_so() -> None:
    stand = Stand()
    stand.run(40, [Traffic(arm("v1"), 60.0)])
    found = one(stand, arm("v1"), Kind.REFUSAL_DOWN)
    assert found.outlook.minutes is None
    assert "cannot fall by 10 points" in found.missing[0]
    assert found.remedies == ()


def test_the_worst_come_first_and_the_rest_is_counted() -> None:
    stand = Stand()
    bad = Behaviour(score=0.6, refusals=0.5)
    others = [Traffic(Scope(f"/r{number}", "bot", "v1"), 10.0) for number in range(5)]
    stand.run(20, [Traffic(CONTROL, 60), *others])
    stand.run(8, [*rollout(60, 60, bad), *others])
    found = explained(stand, most_scopes=3)
    assert (found.matched, found.left_out) == (7, 4)
    assert found.scopes[0][0] == CANARY
    levels = [one.verdict.severity is not None for one in found.scopes[0][1]]
    assert levels == sorted(levels, reverse=True)
