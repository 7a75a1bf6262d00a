"""Every signal end to end: OTLP bytes in, an incident of the right shape out, at several sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.play import Played, play
from tests.traffic import Behaviour, Plan, Tool, rollout
from tripswitch.model.incident import Incident, Severity, Shape

GOOD = Behaviour(
    errors=0.005,
    ttft_s=0.3,
    cost_usd=0.002,
    leaks=0.0,
    injections=0.0,
    wrong_refusals=0.2,
    tools=(Tool("search"), Tool("refund", 0.4)),
)
# Answers long enough that a late first token still comes before their end.
LONG = replace(GOOD, latency_s=12.0)
SEARCH, REFUND = GOOD.tools


def release(bad: Behaviour, at_minute: float = 8.0, good: Behaviour = GOOD) -> Plan:
    """Return v18 in the canary from a minute on, beside a control that does it all, too."""
    plan = rollout(bad, at_minute=at_minute, canary_per_s=5.0, control_per_s=6.0)

    def told(second: float) -> list[object]:
        return [
            arm if arm.version == "v18" else replace(arm, behaviour=good) for arm in plan(second)
        ]

    return told  # type: ignore[return-value]


def opened(played: Played) -> list[Incident]:
    """Return the incidents that were opened or raised to a page."""
    return [
        event.incident
        for event in played.events
        if event.name.value in ("incident.opened", "incident.escalated") and event.incident
    ]


def pages(played: Played) -> list[Incident]:
    return [incident for incident in opened(played) if incident.severity is Severity.PAGE]


@pytest.mark.parametrize(
    ("bad", "signal", "shape"),
    [
        (replace(GOOD, score=0.82), "eval_score", Shape.EVAL_DRIFT),
        pytest.param(
            replace(GOOD, score=0.65), "eval_score", Shape.EVAL_DRIFT, marks=pytest.mark.matrix
        ),
        (replace(GOOD, errors=0.06), "error_rate", Shape.OUTAGE),
        pytest.param(
            replace(GOOD, errors=0.25), "error_rate", Shape.OUTAGE, marks=pytest.mark.matrix
        ),
        (replace(GOOD, latency_s=2.0), "p99_latency", Shape.LATENCY_SPIKE),
        pytest.param(
            replace(GOOD, latency_s=8.0),
            "p99_latency",
            Shape.LATENCY_SPIKE,
            marks=pytest.mark.matrix,
        ),
        pytest.param(
            replace(GOOD, tokens=720.0),
            "tokens_per_success",
            Shape.COST_SPIKE,
            marks=pytest.mark.matrix,
        ),
        pytest.param(
            replace(GOOD, tokens=2000.0),
            "tokens_per_success",
            Shape.COST_SPIKE,
            marks=pytest.mark.matrix,
        ),
        (replace(GOOD, refusals=0.18), "refusal_rate", Shape.GUARDRAIL_REGRESSION),
        pytest.param(
            replace(GOOD, refusals=0.28),
            "refusal_rate",
            Shape.GUARDRAIL_REGRESSION,
            marks=pytest.mark.matrix,
        ),
        pytest.param(
            replace(GOOD, cost_usd=0.0034),
            "cost_per_success",
            Shape.COST_SPIKE,
            marks=pytest.mark.matrix,
        ),
        pytest.param(
            replace(GOOD, cost_usd=0.01),
            "cost_per_success",
            Shape.COST_SPIKE,
            marks=pytest.mark.matrix,
        ),
        pytest.param(
            replace(LONG, ttft_s=0.9), "ttft_p99", Shape.LATENCY_SPIKE, marks=pytest.mark.matrix
        ),
        pytest.param(
            replace(LONG, ttft_s=3.0), "ttft_p99", Shape.LATENCY_SPIKE, marks=pytest.mark.matrix
        ),
        pytest.param(
            replace(GOOD, leaks=0.01),
            "pii_leak",
            Shape.GUARDRAIL_REGRESSION,
            marks=pytest.mark.matrix,
        ),
        pytest.param(
            replace(GOOD, leaks=0.2),
            "pii_leak",
            Shape.GUARDRAIL_REGRESSION,
            marks=pytest.mark.matrix,
        ),
        pytest.param(
            replace(GOOD, injections=0.02),
            "prompt_injection",
            Shape.GUARDRAIL_REGRESSION,
            marks=pytest.mark.matrix,
        ),
        pytest.param(
            replace(GOOD, injections=0.3),
            "prompt_injection",
            Shape.GUARDRAIL_REGRESSION,
            marks=pytest.mark.matrix,
        ),
    ],
)
def test_a_release_that_is_bad_in_one_way_is_told_of_as_that(
    bad: Behaviour, signal: str, shape: Shape
) -> None:
    good = LONG if signal == "ttft_p99" else GOOD
    played = play(release(bad, good=good), 16)
    paged = pages(played)
    assert {incident.signal for incident in paged} == {signal}
    assert {incident.shape for incident in paged} == {shape}
    assert {incident.scope.prompt_version for incident in paged} == {"v18"}
    assert all(incident.exemplars for incident in paged)
    assert {incident.security for incident in paged} == {signal in ("pii_leak", "prompt_injection")}
    assert len(played.rollbacks) == 1


@pytest.mark.parametrize(
    ("tools", "signal", "rubric", "shape"),
    [
        ((replace(SEARCH, latency_s=0.7), REFUND), "tool_latency", "search", Shape.LATENCY_SPIKE),
        pytest.param(
            (SEARCH, replace(REFUND, latency_s=4.0)),
            "tool_latency",
            "refund",
            Shape.LATENCY_SPIKE,
            marks=pytest.mark.matrix,
        ),
        pytest.param(
            (replace(SEARCH, errors=0.08), REFUND),
            "tool_errors",
            "search",
            Shape.OUTAGE,
            marks=pytest.mark.matrix,
        ),
        pytest.param(
            (SEARCH, replace(REFUND, errors=0.9)),
            "tool_errors",
            "refund",
            Shape.OUTAGE,
            marks=pytest.mark.matrix,
        ),
    ],
)
def test_a_bad_tool_is_named(
    tools: tuple[Tool, ...], signal: str, rubric: str, shape: Shape
) -> None:
    played = play(release(replace(GOOD, tools=tools)), 14)
    paged = pages(played)
    assert {(incident.signal, incident.rubric) for incident in paged} == {(signal, rubric)}
    assert {incident.shape for incident in paged} == {shape}
    assert all(f"{rubric} ({signal})" in incident.why for incident in paged)


def test_refusals_that_are_wrong_are_told_apart_where_the_whole_is_as_usual() -> None:
    """As many refusals as before, but now of what should have been answered."""
    good = replace(GOOD, refusals=0.25, wrong_refusals=0.1)
    plan = rollout(
        replace(good, wrong_refusals=0.9), at_minute=8.0, canary_per_s=5.0, control_per_s=6.0
    )
    played = play(
        lambda second: [
            arm if arm.version == "v18" else replace(arm, behaviour=good) for arm in plan(second)
        ],
        14,
    )
    found = {(incident.signal, incident.rubric) for incident in pages(played)}
    assert found <= {("refusal_rate", "illegitimate"), ("refusal_rate", "legitimate")}
    assert found


def test_the_first_leak_is_noted_and_wakes_nobody() -> None:
    plan = rollout(GOOD, canary_per_s=5.0, control_per_s=6.0)
    leaking = replace(GOOD, leaks=1.0)

    def one_hit(second: float) -> list[object]:
        arms = [replace(arm, behaviour=GOOD) for arm in plan(second)]
        if second == 60.0:
            arms.append(replace(arms[0], calls_per_s=0.2, behaviour=leaking))
        return arms  # type: ignore[return-value]

    played = play(one_hit, 12)  # type: ignore[arg-type]
    assert played.names.count("leak.noted") == 1
    assert "v17 cohort control" in played.first("leak.noted").detail
    assert not opened(played)
    assert "leak.noted" not in played.notified


def test_a_leak_in_both_arms_pages_and_rolls_nothing_back() -> None:
    leaking = replace(GOOD, leaks=0.01)
    plan = rollout(leaking, at_minute=8.0, canary_per_s=5.0, control_per_s=6.0)
    played = play(lambda second: [replace(arm, behaviour=leaking) for arm in plan(second)], 16)
    assert {incident.signal for incident in pages(played)} == {"pii_leak"}
    assert not played.rollbacks


@pytest.mark.matrix
def test_a_healthy_release_with_everything_told_of_is_quiet() -> None:
    played = play(release(GOOD), 24, seed=3)
    assert not opened(played)


def test_costs_that_nobody_knows_are_counted_and_not_judged() -> None:
    unpriced = replace(GOOD, cost_usd=None)
    plan = rollout(unpriced, canary_per_s=2.0, control_per_s=2.0)

    def served(second: float) -> list[object]:
        return [replace(arm, behaviour=unpriced, model="house-model") for arm in plan(second)]

    played = play(served, 4)  # type: ignore[arg-type]
    engine = played.session.engine
    assert engine.counters()["windows_unpriced_requests_total"] > 500
    assert not any(verdict.signal == "cost_per_success" for verdict in engine.verdicts())
