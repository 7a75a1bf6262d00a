"""Floods are grouped, numbers wait, and nothing that matters is lost by either."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.actions.notify.desk import Desk, desk
from tests.actions.notify.pager import Pager
from tests.actions.receiver import SECRET, Answer, Receiver
from tests.store.samples import event, incident, plan
from tripswitch.actions.dispatch import MAX_BODY_BYTES
from tripswitch.model.incident import Confirmation, IncidentState, RollbackState, Severity
from tripswitch.model.messages import EventName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUMBERS = "incident.updated"


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def chat(hook: Receiver, tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path, notify=[{"name": "chat", "url": hook.url, "secret": SECRET}]) as opened:
        yield opened


def of(number: int, **changes: Any) -> dict[str, Any]:
    """Return what makes an incident the ``number``-th one."""
    scope = incident().scope._replace(route=f"/r/{number}")
    return {"id": f"inc-{number}", "scope": scope, **changes}


def bodies(hook: Receiver) -> list[dict[str, Any]]:
    return [post.event["data"] for post in hook.posts]


def events(hook: Receiver) -> list[str]:
    return [body["event"] for body in bodies(hook)]


# --- floods ---------------------------------------------------------------------------------------


def test_five_hundred_incidents_in_a_minute_are_a_readable_number(
    chat: Desk, hook: Receiver
) -> None:
    for number in range(500):
        chat.record(event(EventName.INCIDENT_OPENED, **of(number)))
        if number % 100 == 99:
            chat.deliver()
            chat.pass_s(12)
    chat.pass_s(31)
    chat.deliver()
    assert events(hook)[:5] == ["incident.opened"] * 5
    grouped = bodies(hook)[5:]
    assert len(grouped) <= 3
    assert {body["dedup_key"] for body in grouped} == {grouped[0]["dedup_key"]}
    chat.pass_s(61)
    chat.deliver()
    last = bodies(hook)[-1]["group"]
    assert (last["count"], last["pages"], last["states"]) == (495, 495, {"open": 495})
    assert last["title"] == "495 scopes are affected (495 at page level)"
    assert len(last["incidents"]) >= 60
    assert all(len(post.body) <= MAX_BODY_BYTES for post in hook.posts)
    assert set(chat.states().values()) == {"done"}
    assert len(hook.posts) <= 9


def test_a_group_follows_its_members_to_the_end(chat: Desk, hook: Receiver) -> None:
    for number in range(20):
        chat.record(event(EventName.INCIDENT_OPENED, **of(number)))
    chat.deliver()
    chat.pass_s(31)
    chat.deliver()
    assert events(hook)[5:] == ["incidents.grouped"]
    proposed = plan(state=RollbackState.PROPOSED)
    taken = Confirmation("acknowledged", "ada", 1)
    for number in range(5, 20):
        chat.record(event(EventName.ROLLBACK_PLANNED, **of(number, rollback=proposed)))
    chat.record(
        event(EventName.INCIDENT_ACKNOWLEDGED, **of(7, acknowledged=taken, rollback=proposed))
    )
    chat.deliver()
    assert events(hook)[6:] == [], "a group that was just told is told again after a while"
    chat.pass_s(300)
    chat.deliver()
    told = bodies(hook)[6]
    assert told["event"] == "incidents.group_updated"
    assert told["group"]["rollbacks"] == {"proposed": 15}
    assert told["group"]["states"] == {"acknowledged": 1, "open": 14}
    for number in range(20):
        changes = of(number, state=IncidentState.RESOLVED)
        chat.record(event(EventName.INCIDENT_RESOLVED, **changes))
    chat.deliver()
    ends = sorted(events(hook)[7:])
    assert ends == ["incident.resolved"] * 5 + ["incidents.group_resolved"]
    chat.pass_s(3600)
    chat.record(event(EventName.INCIDENT_OPENED, **of(99)))
    chat.deliver()
    assert events(hook)[-1] == "incident.opened", "the flood is over"


def test_a_group_is_one_alert_at_a_pager_and_is_resolved(tmp_path: Path) -> None:
    with (
        Pager() as pager,
        desk(
            tmp_path, notify=[{"type": "pagerduty", "url": pager.url, "routing_key": "R"}]
        ) as opened,
    ):
        for number in range(40):
            opened.record(event(EventName.INCIDENT_OPENED, **of(number)))
        opened.deliver()
        opened.pass_s(31)
        opened.deliver()
        assert len(pager.alerts) == 6
        group = pager.alerts[-1]
        assert "35 scopes are affected" in group.payloads[0]["summary"]
        assert len(group.payloads[0]["custom_details"]["Incidents"]) == 35
        for number in range(40):
            changes = of(number, state=IncidentState.RESOLVED)
            opened.record(event(EventName.INCIDENT_RESOLVED, **changes))
        opened.deliver()
        assert Counter(alert.status for alert in pager.alerts) == {"resolved": 6}


def test_a_flood_of_one_notifier_is_none_of_another(tmp_path: Path, hook: Receiver) -> None:
    with Receiver() as other:
        notify = [
            {"name": "all", "url": hook.url, "secret": SECRET},
            {"name": "some", "url": other.url, "secret": SECRET, "routes": ["/r/1", "/r/2"]},
        ]
        with desk(tmp_path, notify=notify) as opened:
            for number in range(30):
                opened.record(event(EventName.INCIDENT_OPENED, **of(number)))
            opened.deliver()
            assert len(hook.posts) == 5
            assert events(other) == ["incident.opened"] * 2


def test_pages_stand_first_in_a_group(chat: Desk, hook: Receiver) -> None:
    for number in range(30):
        quiet = {"severity": Severity.INVESTIGATE} if number < 29 else {}
        chat.record(event(EventName.INCIDENT_OPENED, **of(number, **quiet)))
    chat.deliver()
    chat.pass_s(31)
    chat.deliver()
    group = bodies(hook)[-1]["group"]
    assert group["severity"] == "page"
    assert group["incidents"][0]["id"] == "inc-29"


# --- numbers --------------------------------------------------------------------------------------


def test_new_numbers_wait_and_new_states_do_not(chat: Desk, hook: Receiver) -> None:
    chat.tell("incident.opened", NUMBERS)
    chat.deliver()
    assert events(hook) == ["incident.opened"]
    chat.pass_s(299)
    chat.deliver()
    assert len(hook.posts) == 1
    chat.pass_s(2)
    chat.deliver()
    assert events(hook)[1:] == [NUMBERS]
    chat.tell(NUMBERS, "rollback.failed")
    chat.deliver()
    assert events(hook)[2:] == ["rollback.failed"]
    assert bodies(hook)[-1]["earlier"] == ["it happened"]
    assert set(chat.states().values()) == {"done"}


def test_many_updates_become_one_that_tells_them_all(chat: Desk, hook: Receiver) -> None:
    chat.tell("incident.opened")
    chat.deliver()
    for number in range(30):
        told = event(EventName.INCIDENT_UPDATED)
        chat.record(replace(told, detail=f"joined {number}"))
    chat.deliver()
    assert len(hook.posts) == 1
    chat.pass_s(301)
    chat.deliver()
    (update,) = bodies(hook)[1:]
    assert update["detail"] == "joined 29"
    assert update["earlier"] == [f"joined {number}" for number in range(9, 29)]


def test_what_waits_with_one_incident_holds_up_no_other(chat: Desk, hook: Receiver) -> None:
    chat.tell("incident.opened", NUMBERS)
    chat.deliver()
    chat.tell("incident.opened", security=True)
    chat.deliver()
    assert [body["incident"]["security"] for body in bodies(hook)] == [False, True]


# --- the order of things --------------------------------------------------------------------------


def test_an_end_that_was_never_begun_here_is_not_told(chat: Desk, hook: Receiver) -> None:
    chat.tell("incident.recovered", "incident.resolved")
    chat.deliver()
    assert hook.posts == []
    assert set(chat.states().values()) == {"done"}


def test_an_episode_that_opens_again_is_told_again(chat: Desk, hook: Receiver) -> None:
    chat.tell("incident.opened")
    chat.tell("incident.resolved", state=IncidentState.RESOLVED)
    chat.deliver()
    chat.tell("incident.opened", id="inc-2")
    chat.deliver()
    assert events(hook) == ["incident.opened", "incident.resolved", "incident.opened"]


def test_a_notifier_that_was_down_for_an_hour_gets_all_once_and_in_order(tmp_path: Path) -> None:
    life = ["incident.opened", "rollback.planned", "rollback.acknowledged", "incident.recovered"]
    with Receiver(then=Answer(503)) as down, Receiver() as fine:
        notify = [
            {"name": "down", "url": down.url, "secret": SECRET},
            {"name": "fine", "url": fine.url, "secret": SECRET},
        ]
        with desk(tmp_path, notify=notify) as opened:
            for name in life:
                for number in range(3):
                    opened.record(event(EventName(name), **of(number)))
                for _ in range(4):
                    opened.deliver()
                    opened.pass_s(225)
            tried = len(down.posts)
            assert tried < 30, "a dead notifier is asked seldom, whatever waits for it"
            told = [body["incident"]["id"] for body in bodies(fine) if body["incident"]]
            assert told == ["inc-0", "inc-1", "inc-2"] * 4
            down.posts.clear()
            down._then = Answer(200)
            opened.pass_s(300)
            opened.deliver()
            told = [(body["incident"] or {}).get("id") for body in bodies(down)]
            assert [
                one["event"] for one in bodies(down) if one["incident"]["id"] == "inc-1"
            ] == life
            assert len(told) == 12
            assert len({post.id for post in down.posts}) == 12
            assert set(opened.states().values()) == {"done"}
            notices = [body["event"] for body in bodies(fine) if not body["incident"]]
            assert notices == ["notifier.failing", "notifier.back"]


def test_what_is_sent_is_the_same_for_the_same_events(tmp_path: Path) -> None:
    seen = []
    for folder in ("a", "b"):
        with Receiver() as receiver:
            notify = [{"name": "chat", "url": receiver.url, "secret": SECRET}]
            with desk(tmp_path / folder, notify=notify) as opened:
                for number in range(20):
                    opened.record(event(EventName.INCIDENT_OPENED, **of(number)))
                opened.deliver()
                opened.pass_s(31)
                opened.deliver()
            last = bodies(receiver)[-1]
            seen.append((last["dedup_key"], json.dumps(last["group"])))
    assert seen[0] == seen[1]
