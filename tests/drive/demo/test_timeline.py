"""The timeline keeps causes before effects, whoever was asked first."""

from __future__ import annotations

import pytest

from tests.drive.demo.samples import BEGAN_S, EVENTS, call, gateway, incident, regression, take
from tests.drive.demo.samples import event as happened
from tripswitch.drive.demo import story
from tripswitch.drive.demo.timeline import (
    ALERT_RECEIVED,
    ROLLBACK_CALLED,
    ROLLOUT,
    Observed,
    story_seconds,
)


def names(seen: Observed) -> list[str]:
    return [moment["event"] for moment in seen.timeline]


def test_a_call_stands_behind_its_cause_and_before_its_acknowledgement() -> None:
    expected = [
        ROLLOUT,
        "change.seen",
        "incident.opened",
        ALERT_RECEIVED,
        "rollback.planned",
        ROLLBACK_CALLED,
        "rollback.acknowledged",
        "rollback.confirmed",
        "incident.recovered",
    ]
    assert names(regression()) == expected


def test_also_when_everything_is_heard_of_at_once() -> None:
    seen = Observed(story.STORIES["regression"], 1, BEGAN_S)
    take(seen, EVENTS, gateway(), 1680)
    found = names(seen)
    assert found.index("rollback.planned") < found.index(ROLLBACK_CALLED)
    assert found.index(ROLLBACK_CALLED) < found.index("rollback.acknowledged")
    assert found.count(ROLLBACK_CALLED) == found.count(ALERT_RECEIVED) == 1


def test_a_call_waits_for_the_event_that_it_tells_of() -> None:
    seen = Observed(story.STORIES["regression"], 1, BEGAN_S)
    take(seen, EVENTS[:1], gateway(), 655)
    assert names(seen) == [ROLLOUT, "change.seen"]
    take(seen, EVENTS[1:3], gateway(), 660)
    assert names(seen)[2:] == [
        "incident.opened",
        "rollback.planned",
        ALERT_RECEIVED,
        ROLLBACK_CALLED,
    ]


def test_time_never_goes_back_although_the_gateway_plays_ahead() -> None:
    times = [story_seconds(moment["time"]) for moment in regression().timeline]
    assert times == sorted(times)
    called = regression().first(ROLLBACK_CALLED)
    assert called is not None
    assert story_seconds(called["time"]) == 660
    assert called["call"]["story_s"] == 665


def test_an_event_is_not_seen_later_than_its_webhook_arrived() -> None:
    seen = Observed(story.STORIES["regression"], 1, BEGAN_S)
    took = call("alert", "incident.opened", 660, wall_s=BEGAN_S + 6.6)
    seen.take(EVENTS[1:2], gateway(calls=[took]), read_s=660, wall_s=BEGAN_S + 6.9)
    opened, alert = seen.first("incident.opened"), seen.first(ALERT_RECEIVED)
    assert opened is not None
    assert alert is not None
    assert opened["wall_s"] == alert["wall_s"] == pytest.approx(6.6)


def test_a_forged_call_is_shown_at_once_and_called_forged() -> None:
    seen = Observed(story.STORIES["regression"], 1, BEGAN_S)
    forged = call("rollback", "", 10, verified=False, acted=False, status=401, data=None)
    take(seen, [], gateway(calls=[forged], rolled_out_wall_s=None), 10)
    assert names(seen) == [ROLLBACK_CALLED]
    assert "does not verify" in seen.timeline[0]["detail"]


def test_the_acknowledgement_of_one_incident_places_no_call_of_another() -> None:
    seen = Observed(story.STORIES["regression"], 1, BEGAN_S)
    other = [
        happened("rollback.planned", 660, incident(id="inc_2")),
        happened("rollback.acknowledged", 661, incident(id="inc_2")),
    ]
    take(seen, [EVENTS[2], *other], gateway(calls=gateway()["calls"][1:]), 670)
    assert names(seen)[1:] == [
        "rollback.planned",
        "rollback.planned",
        "rollback.acknowledged",
        ROLLBACK_CALLED,
    ]


def test_stages_are_from_step_to_step_in_both_times() -> None:
    stages = {stage.name: stage for stage in regression().stages()}
    assert stages["from rollout to notice"].story_s == 60
    assert stages["from the call to traffic back"].story_s == 120
    assert stages["from traffic back to recovered"].story_s == 900
    assert stages["from rollout to recovered"].story_s == 1080
    assert stages["from rollout to recovered"].wall_s == pytest.approx(10.8)
    assert regression(EVENTS[:1]).stages() == []
