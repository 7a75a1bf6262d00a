"""What must stay silent, end to end: every signal is told of, and none may speak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.play import Played, play
from tests.test_engine_signals import GOOD
from tests.traffic import Arm, Behaviour, Plan

CONTROL = Arm(5.0, "v17", "control", GOOD)
CANARY = Arm(4.0, "v18", "canary", GOOD)
ALONE = Arm(5.0, "v3", None, GOOD, route="/alone")
AWFUL = replace(GOOD, score=0.5, refusals=0.3, latency_s=5.0, cost_usd=0.02, ttft_s=2.0)


def told(played: Played) -> list[str]:
    """Return why anything was opened, raised, or rolled back."""
    return [
        f"{event.name.value}: {event.incident.why}"
        for event in played.events
        if event.incident is not None
    ]


def between(first_minute: float, last_minute: float, bad: Behaviour, *routes: str) -> Plan:
    """Return a plan in which these routes behave badly between two minutes."""

    def plan(second: float) -> list[Arm]:
        is_bad = first_minute * 60 <= second < last_minute * 60
        return [
            replace(arm, behaviour=bad) if is_bad and arm.route in routes else arm
            for arm in (CONTROL, ALONE)
        ]

    return plan


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.matrix)])
def test_a_two_minute_spike_on_a_route_without_a_control(seed: int) -> None:
    assert not told(play(between(20, 22, AWFUL, "/alone"), 30, seed=seed))


@pytest.mark.matrix
@pytest.mark.parametrize("seed", [0, 1])
def test_errors_for_one_minute(seed: int) -> None:
    bad = replace(GOOD, errors=0.5)
    assert not told(play(between(20, 21, bad, "/alone", "/chat/refund"), 28, seed=seed))


@pytest.mark.matrix
def test_traffic_that_halves_and_traffic_that_grows_tenfold() -> None:
    def plan(second: float) -> list[Arm]:
        minute = second / 60
        share = 0.5 if minute < 8 else 0.25 if minute < 16 else min(2.5, 0.25 * (minute - 15))
        return [replace(arm, calls_per_s=share * arm.calls_per_s) for arm in (CONTROL, CANARY)]

    assert not told(play(plan, 26))


@pytest.mark.matrix
def test_a_question_mix_that_moves_while_the_canary_grows() -> None:
    """Hard questions come to both arms alike, while ever more of them go to the canary."""

    def plan(second: float) -> list[Arm]:
        share = min(0.9, 0.1 + second / 60 / 30)
        hard = replace(GOOD, score=0.90 - 0.12 * share, refusals=0.04 + 0.06 * share)
        both = [(CONTROL, 1 - share), (CANARY, share)]
        return [replace(arm, calls_per_s=10 * part, behaviour=hard) for arm, part in both]

    assert not told(play(plan, 26))


@pytest.mark.matrix
def test_requests_that_are_enormous_once() -> None:
    enormous = replace(GOOD, tokens=200_000.0, cost_usd=30.0, latency_s=120.0)

    def plan(second: float) -> list[Arm]:
        arms = [CONTROL, ALONE]
        if second == 20 * 60:
            # One call in these five seconds on either route.
            arms += [replace(arm, calls_per_s=0.2, behaviour=enormous) for arm in arms]
        return arms

    assert not told(play(plan, 30))


@pytest.mark.matrix
def test_a_cohort_with_a_call_a_minute_that_is_bad_by_chance() -> None:
    def plan(second: float) -> list[Arm]:
        is_bad = 20 * 60 <= second < 22 * 60
        tiny = replace(CANARY, calls_per_s=1 / 60, behaviour=AWFUL if is_bad else GOOD)
        return [CONTROL, tiny]

    assert not told(play(plan, 40))


def test_one_trace_that_leaks_many_times_is_one_leak() -> None:
    def plan(second: float) -> list[Arm]:
        leaks = replace(GOOD, leaks=1.0)
        hit = [replace(CONTROL, calls_per_s=0.2, behaviour=leaks)] if second == 300.0 else []
        return [CONTROL, CANARY, *hit]

    played = play(plan, 14)
    assert not told(played)
    assert played.names.count("leak.noted") == 1


@pytest.mark.parametrize(
    "mood",
    [
        lambda minute: 1.0 if minute % 3 < 2 else 0.6,
        lambda minute: 1.0 + 0.5 * (minute % 2),
    ],
)
def test_calls_that_come_in_bursts(mood: Callable[[int], float]) -> None:
    def plan(second: float) -> list[Arm]:
        part = mood(int(second // 60))
        return [replace(arm, calls_per_s=part * arm.calls_per_s) for arm in (CONTROL, CANARY)]

    assert not told(play(plan, 20))
