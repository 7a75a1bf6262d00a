"""A drill runs the engine as it is: what it would do is done, and nothing is called."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from tests.drive.drill.scenarios import ROUTE, configured, rolled_back, scenario, settings
from tripswitch.config.model import Config
from tripswitch.drive.drill.finding import Expected, expected_of, report
from tripswitch.drive.drill.play import Played, play
from tripswitch.drive.drill.scenario import (
    SIZES,
    Cause,
    fallback_of,
    route_of,
)
from tripswitch.errors import ConfigError
from tripswitch.model.incident import RollbackState, Shape
from tripswitch.model.messages import EventName


def names(played: Played) -> list[str]:
    return [event.name.value for event in played.events]


def test_a_release_that_drifts_is_paged_rolled_back_and_recovers() -> None:
    config, played = rolled_back()
    assert names(played)[:4] == [
        "change.seen",
        "incident.opened",
        "rollback.planned",
        "rollback.acknowledged",
    ]
    found = report(config, played)
    assert found["ok"], found["problems"]
    assert found["expected"]["what"] == "propose"
    minutes = found["minutes"]
    steps = ("noticed", "page", "rollback_called", "traffic_back", "recovered", "played")
    times = [minutes[step] for step in steps]
    assert all(time is not None for time in times)
    assert times == sorted(times)
    (incident,) = found["incidents"]
    assert incident["shape"] == "eval_drift"
    assert incident["scope"]["route"] == ROUTE
    assert incident["scope"]["prompt_version"] == "v2"


def test_who_hears_what_is_what_the_roles_and_filters_say() -> None:
    config, played = rolled_back()
    told = {one["notifier"]: one["heard"] for one in report(config, played)["notifications"]}
    assert [news["event"] for news in told["pager"]][:2] == ["incident.opened", "rollback.planned"]
    assert told["evals"]
    assert told["search"] == []


def test_the_literal_request_is_shown_without_secrets_and_sent_to_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, played = rolled_back()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a drill connected to somebody")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    (rollback,) = report(config, played)["rollbacks"]
    assert rollback["state"] == "planned"
    assert rollback["request"]["state"] == "planned"
    text = rollback["request"]["text"]
    assert text.startswith("POST https://gateway.example/rollback\n")
    assert '"from":"v2","to":"v1"' in text
    assert "hidden" not in text
    assert "MfKQ9r8G" not in text


def test_a_target_that_has_to_be_read_first_says_so_instead_of_being_asked() -> None:
    registry = {
        "type": "mlflow",
        "name": "registry",
        "url": "http://127.0.0.1:9",
        "prompt": "drill-prompt",
        "label": "production",
        "cohort_labels": {"canary": "canary"},
    }
    config = configured(rollback={"targets": [registry]})
    _, played = rolled_back()
    plans = [(replace(plan, target="registry"), event) for plan, event in played.rollbacks]
    played = Played(played.scenario, played.events, played.told, plans)
    (rollback,) = report(config, played)["rollbacks"]
    assert rollback["request"]["state"] == "unread"
    assert "check --probe" in rollback["request"]["text"]


def test_what_is_too_small_is_not_noticed_and_it_is_said_what_it_waits_for() -> None:
    config = configured()
    played = play(config, scenario(size=1.0, bad=10.0))
    found = report(config, played)
    assert not found["ok"]
    assert found["problems"] == ["nothing was noticed within 10 min"]
    (quiet,) = found["quiet"]
    assert quiet["signal"] == "eval_score"
    assert quiet["missing"]
    assert found["minutes"]["page"] is None


def test_without_scores_the_reason_is_that_there_are_none() -> None:
    config = configured()
    found = report(config, play(config, scenario(scored=0.0, bad=5.0)))
    assert not found["ok"]
    assert found["quiet"][-1]["missing"] == ["scores: none came"]


def test_a_guard_that_holds_back_is_named_and_is_a_no_where_auto_is_asked() -> None:
    held = settings(fleet={"single": False})
    held["rollback"]["targets"][0]["mode"] = "auto"
    config = Config.model_validate(held)
    played = play(config, scenario(size=20.0, approve_after=2.0))
    found = report(config, played)
    assert found["expected"]["what"] == "auto"
    assert not found["ok"]
    assert "fleet.single is not set" in found["problems"][0]
    (rollback,) = found["rollbacks"]
    assert rollback["state"] == "proposed"
    assert any("fleet.single" in reason for reason in rollback["held_back_by"])
    # A person approves it, and it goes on from there.
    assert report(config, played, expected=Expected.PROPOSE)["ok"]
    minutes = found["minutes"]
    proposed, called = minutes["rollback_proposed_or_called"], minutes["rollback_called"]
    assert proposed + 2.0 <= called <= proposed + 2.5
    assert minutes["recovered"] is not None


def test_a_page_that_nobody_hears_is_a_no() -> None:
    _, played = rolled_back()
    deaf = configured(notify=[])
    found = report(deaf, Played(played.scenario, played.events, [], played.rollbacks))
    assert found["problems"] == ["there is a page and nobody to tell: notify is empty"]


def test_a_provider_that_fails_moves_to_its_fallback_once_approved() -> None:
    failing = settings()
    failing["rollback"]["failover"] = {
        "fallbacks": {"openai": "azure"},
        "verified_on": "2026-11-02",
    }
    config = Config.model_validate(failing)
    assert fallback_of(config, "openai") == "azure"
    played = play(
        config,
        scenario(
            Shape.OUTAGE,
            size=40.0,
            routes=(ROUTE, "/search"),
            fallback="azure",
            approve_after=1.0,
            rate=40.0,
            calm=30.0,
        ),
    )
    found = report(config, played)
    assert found["ok"], found["problems"]
    (rollback,) = found["rollbacks"]
    assert (rollback["path"], rollback["to"]) == ("provider_failover", "azure")
    assert found["minutes"]["recovered"] is not None


def test_the_same_drill_is_the_same_to_the_byte() -> None:
    config = configured()
    short = scenario(Shape.GUARDRAIL_REGRESSION, bad=6.0, calm=5.0)
    first, second = play(config, short), play(config, short)
    assert [event.as_json() for event in first.events] == [
        event.as_json() for event in second.events
    ]
    assert first.events


@pytest.mark.parametrize(
    ("rollback", "expected"),
    [
        ({"targets": []}, Expected.PAGE),
        ({"enabled": False}, Expected.PAGE),
        ({"disabled_routes": [ROUTE]}, Expected.PAGE),
        ({"mode": "observe"}, Expected.PAGE),
        ({"mode": "propose"}, Expected.PROPOSE),
        ({}, Expected.PROPOSE),
        ({"mode": "auto"}, Expected.AUTO),
        ({"routes": ["/elsewhere"]}, Expected.PAGE),
        ({"rungs": ["cost_breaker"]}, Expected.PAGE),
    ],
)
def test_what_is_expected_is_what_the_configuration_asks_for(
    rollback: dict[str, object], expected: Expected
) -> None:
    document = settings()
    target = document["rollback"]["targets"][0]
    own = {"targets", "enabled", "disabled_routes"}
    document["rollback"] |= {name: value for name, value in rollback.items() if name in own}
    target |= {name: value for name, value in rollback.items() if name not in own}
    asked, why = expected_of(Config.model_validate(document), scenario())
    assert asked is expected
    assert why


def test_what_cannot_be_played_is_refused_with_what_would_do() -> None:
    with pytest.raises(ConfigError, match="--size"):
        scenario(size=500.0).check()
    with pytest.raises(ConfigError, match="more than 1,000,000"):
        scenario(rate=90_000.0).check()
    with pytest.raises(ConfigError, match="must differ"):
        scenario(new_version="v1").check()
    for shape, size in SIZES.items():
        assert size.least <= size.usual <= size.most, shape
        scenario(shape).check()


def test_the_route_is_the_first_that_the_configuration_names() -> None:
    assert route_of(configured()) == ROUTE
    assert route_of(configured(rollback={})) == "/search"
    assert route_of(Config()) == "/chat"


def test_a_cost_spike_does_not_change_the_questions() -> None:
    config = configured()
    played = play(config, scenario(Shape.COST_SPIKE, bad=8.0, cause=Cause.RELEASE))
    (plan, _event) = played.rollbacks[0]
    assert plan.state is RollbackState.PLANNED, plan.reason
    assert played.first(EventName.ROLLBACK_ACKNOWLEDGED) is not None
