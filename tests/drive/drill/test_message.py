"""A drill's test message is real, marked, closed at once, and touches no real incident."""

from __future__ import annotations

import json

from tests.actions.receiver import Answer, Receiver
from tests.drive.drill.scenarios import configured, notifier, rolled_back, settings
from tripswitch.actions.notify.news import news_of
from tripswitch.actions.notify.wording import message_of
from tripswitch.drive.drill.message import send_test
from tripswitch.model.messages import Event


def paged() -> Event:
    event = rolled_back()[1].paged
    assert event is not None
    return event


def test_everybody_who_would_have_heard_is_sent_one_alert_that_is_closed_again() -> None:
    with Receiver() as pager, Receiver() as search:
        config = configured(
            notify=[
                notifier("pager", pager.url, roles=["on_call"]),
                notifier("search", search.url, routes=["/search"]),
            ]
        )
        said = send_test(config, paged())
    assert [(one["notifier"], one["event"], one["state"]) for one in said] == [
        ("pager", "incident.opened", "done"),
        ("pager", "incident.resolved", "done"),
    ]
    assert search.posts == []
    opened, resolved = pager.posts
    for post in (opened, resolved):
        post.verify()
        data = post.event["data"]
        assert data["drill"] is True
        assert data["detail"].startswith("DRILL, nobody need act")
        assert data["incident"]["why"].startswith("DRILL, nobody need act")
        assert data["incident"]["scope"]["route"].startswith("DRILL ")
        assert data["incident"]["rollback"] is None
        assert data["incident"]["id"].startswith("drill_")
        assert post.event["subject"].startswith("DRILL/")
    assert opened.event["type"] == "tripswitch.incident.opened.v1"
    assert resolved.event["type"] == "tripswitch.incident.resolved.v1"


def test_its_dedup_key_can_be_no_real_incidents() -> None:
    event = paged()
    assert event.incident is not None
    with Receiver() as pager:
        send_test(configured(notify=[notifier("pager", pager.url)]), event)
        send_test(configured(notify=[notifier("pager", pager.url)]), event)
    keys = [post.event["data"]["dedup_key"] for post in pager.posts]
    assert all(key.startswith("tripswitch/drill/") for key in keys)
    assert event.incident.dedup_key not in keys
    assert len(set(keys)) == 2
    assert len({post.id for post in pager.posts}) == 4


def test_a_notifier_that_fails_is_told_of_and_tried_once() -> None:
    with Receiver(then=Answer(500)) as pager:
        said = send_test(configured(notify=[notifier("pager", pager.url)]), paged())
    assert said[0]["state"] == "retry"
    assert "500" in said[0]["detail"]
    assert len([post for post in pager.posts if "opened" in post.event["type"]]) == 1


def test_what_the_public_reads_is_left_out() -> None:
    page = {
        "type": "statuspage",
        "name": "public",
        "url": "http://127.0.0.1:9",
        "page": "abc",
        "api_key": "secret",
    }
    config = configured(notify=[page], detect=settings()["detect"])
    said = send_test(config, paged())
    assert [(one["notifier"], one["state"]) for one in said] == [("public", "left out")]


def test_it_says_drill_first_in_the_words_of_every_medium() -> None:
    from tripswitch.actions.dispatch import effects_of
    from tripswitch.drive.drill.message import marked_as_drill
    from tripswitch.model.messages import EventName, Notify

    event = paged()
    (effect,) = effects_of(
        [Notify("n", event)], configured(notify=[notifier("pager")]), event.time_ns
    )
    marked = marked_as_drill(effect, EventName.INCIDENT_OPENED, event.time_ns)
    assert json.loads(marked.body)["incident"]["tenants"] == []
    message = message_of(news_of(marked, is_first=True))
    assert "DRILL /chat/refund" in message.title
    assert "DRILL, nobody need act" in message.text(4000)
