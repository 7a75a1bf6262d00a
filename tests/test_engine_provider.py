"""The provider rule end to end: what all who share a provider show is one event, no canary's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.play import Played, play
from tests.traffic import Arm, Behaviour, Plan
from tripswitch.model.incident import Incident, Severity

GOOD = Behaviour()
BAD_MINUTE = 30.0


def served(arms: list[Arm], bad: Behaviour, *, hit: tuple[str, ...]) -> Plan:
    """Return a plan in which the models of ``hit`` go bad, everywhere at once."""

    def plan(second: float) -> list[Arm]:
        if second < 60 * BAD_MINUTE:
            return arms
        return [replace(arm, behaviour=bad) if arm.model in hit else arm for arm in arms]

    return plan


ROUTES = [
    Arm(4.0, "v17", "control", GOOD),
    Arm(4.0, "v18", "canary", GOOD),
    Arm(4.0, "v3", None, GOOD, route="/chat/kb-search"),
    Arm(4.0, "v9", None, GOOD, route="/summary"),
]


def incidents(played: Played) -> list[Incident]:
    return [
        event.incident
        for event in played.events
        if event.name.value == "incident.opened" and event.incident is not None
    ]


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, errors=0.2),
        pytest.param(replace(GOOD, score=0.70), marks=pytest.mark.matrix),
        pytest.param(replace(GOOD, latency_s=6.0), marks=pytest.mark.matrix),
    ],
)
@pytest.mark.matrix
def test_what_every_route_shows_is_one_event_of_their_provider(bad: Behaviour) -> None:
    played = play(served(ROUTES, bad, hit=("gpt-4o-mini",)), BAD_MINUTE + 22)
    found = incidents(played)
    assert len(found) == 1
    assert found[0].scope._asdict() == {
        "route": None,
        "prompt_name": None,
        "prompt_version": None,
        "cohort": None,
        "request_model": "gpt-4o-mini",
        "provider": "openai",
    }
    assert "on all routes through it at once" in found[0].why
    assert not played.rollbacks


@pytest.mark.matrix
def test_a_provider_that_is_well_again_ends_its_incident() -> None:
    plan = served(ROUTES, replace(GOOD, errors=0.2), hit=("gpt-4o-mini",))
    played = play(lambda second: plan(second) if second < 60 * 40 else ROUTES, 80)
    assert len(incidents(played)) == 1
    assert "incident.recovered" in played.names


@pytest.mark.matrix
def test_one_route_that_is_bad_is_no_event_of_its_provider() -> None:
    bad = replace(GOOD, errors=0.2)

    def plan(second: float) -> list[Arm]:
        if second < 60 * BAD_MINUTE:
            return ROUTES
        return [replace(arm, behaviour=bad) if arm.route == "/summary" else arm for arm in ROUTES]

    found = incidents(play(plan, BAD_MINUTE + 8))
    assert [incident.scope.route for incident in found] == ["/summary"]
    assert found[0].severity is Severity.PAGE


@pytest.mark.matrix
def test_other_models_that_are_well_are_left_out() -> None:
    arms = [*ROUTES, Arm(4.0, "v1", None, GOOD, route="/other", model="gpt-4o")]
    played = play(served(arms, replace(GOOD, errors=0.2), hit=("gpt-4o-mini",)), BAD_MINUTE + 10)
    found = incidents(played)
    assert [(one.scope.route, one.scope.request_model) for one in found] == [(None, "gpt-4o-mini")]
