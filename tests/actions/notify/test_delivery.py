"""Delivery: who fails is told of elsewhere, what was sent is not forgotten, lanes stay apart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.actions.notify.desk import Desk, desk
from tests.actions.notify.pager import Pager
from tests.actions.notify.workspace import CHANNEL, TOKEN, Workspace
from tests.actions.receiver import SECRET, Answer, Receiver
from tests.actions.workshop import until
from tests.store.samples import event, incident
from tripswitch.errors import ConfigError, LedgerError
from tripswitch.model.incident import IncidentState
from tripswitch.model.messages import EventName
from tripswitch.model.outbox import EffectState

if TYPE_CHECKING:
    from pathlib import Path

    from tripswitch.model.threads import Thread


def hook(receiver: Receiver, name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "url": receiver.url, "secret": SECRET, **fields}


def notices(receiver: Receiver) -> list[str]:
    return [
        post.event["data"]["event"]
        for post in receiver.posts
        if post.event["data"]["event"].startswith("notifier.")
    ]


def test_a_message_that_is_refused_for_good_is_told_of_elsewhere_at_once(tmp_path: Path) -> None:
    with Receiver(then=Answer(400)) as bad, Receiver() as fine:
        both = [hook(bad, "bad"), hook(fine, "fine")]
        with desk(tmp_path, notify=both) as opened:
            opened.tell("incident.opened")
            opened.deliver()
            opened.deliver()
            assert notices(fine) == ["notifier.failing"]
            detail = fine.posts[-1].event["data"]["detail"]
            assert detail.startswith("notifier bad fails since 0 s")
            opened.tell("rollback.failed")
            opened.deliver()
            assert notices(fine) == ["notifier.failing"], "told once"
            counted = opened.executor.counters
            assert counted["actions_notifier_failures_total", "", "bad", ""] >= 1
            assert counted["actions_notifier_failing", "", "bad", ""] == 2


def test_a_failing_notifier_wakes_nobody_whom_it_need_not(tmp_path: Path) -> None:
    with Receiver(then=Answer(400)) as bad, Receiver() as quiet, Pager() as pager:
        notify = [
            hook(bad, "bad"),
            {"type": "pagerduty", "url": pager.url, "routing_key": "R", "roles": ["on_call"]},
            hook(quiet, "comms", roles=["comms_drafter"]),
        ]
        with desk(tmp_path, notify=notify) as opened:
            opened.tell("incident.opened")
            opened.deliver()
            opened.deliver()
            assert notices(quiet) == []
            shown = [alert.payloads[0]["summary"] for alert in pager.alerts]
            assert any("notifier bad fails" in text for text in shown), "there is no other way"
            assert {alert.payloads[0]["severity"] for alert in pager.alerts} == {
                "critical",
                "warning",
            }


def test_alone_it_fails_in_the_log_and_the_metrics(tmp_path: Path) -> None:
    with Receiver(then=Answer(400)) as bad, desk(tmp_path, notify=[hook(bad, "bad")]) as opened:
        opened.tell("incident.opened")
        opened.deliver()
        assert set(opened.states().values()) == {"failed"}


def test_an_endpoint_that_is_gone_gets_no_more_calls(tmp_path: Path) -> None:
    with Receiver(then=Answer(410)) as gone, desk(tmp_path, notify=[hook(gone, "gone")]) as opened:
        opened.tell("incident.opened", "rollback.failed", "incident.escalated")
        opened.deliver()
        assert len(gone.posts) == 1
        assert set(opened.states().values()) == {"failed"}


def test_a_notifier_that_cannot_be_opened_any_more_is_told_of(tmp_path: Path) -> None:
    with Workspace() as space, Receiver() as fine:
        slack = {"type": "slack", "url": space.url, "token": TOKEN, "channel": CHANNEL}
        with desk(tmp_path, notify=[slack, hook(fine, "fine")]) as opened:
            opened.tell("incident.opened")
            opened.deliver()
            opened.reconfigure(notify=[hook(fine, "fine")])
            opened.pass_s(2)
            opened.tell("incident.resolved", state=IncidentState.RESOLVED)
            opened.deliver()
            opened.deliver()
            assert notices(fine) == ["notifier.failing"]
            assert 'no target named "slack"' in fine.posts[-1].event["data"]["detail"]


def test_what_was_posted_is_written_down_however_long_the_ledger_refuses(tmp_path: Path) -> None:
    with Workspace() as space:
        slack = {"type": "slack", "url": space.url, "token": TOKEN, "channel": CHANNEL}
        with desk(tmp_path, notify=[slack]) as opened:
            put, refusals = opened.ledger.threads.put, [1, 1]

            def refusing(thread: Thread) -> None:
                if refusals:
                    refusals.pop()
                    raise LedgerError("the disk is full")
                put(thread)

            opened.ledger.threads.put = refusing  # type: ignore[method-assign]
            opened.tell("incident.opened")
            opened.deliver()
            opened.tell("rollback.failed")
            opened.pass_s(2)
            opened.deliver()
            assert len(space.messages) == 1
            assert len(space.messages[0].replies) == 1


def test_a_crash_after_sending_does_not_begin_a_second_thread(tmp_path: Path) -> None:
    with Workspace() as space:
        slack = {"type": "slack", "url": space.url, "token": TOKEN, "channel": CHANNEL}
        with desk(tmp_path, notify=[slack]) as opened:
            opened.tell("incident.opened")
            opened.deliver()
            # As a process leaves it that dies between writing the thread and the effect.
            (key,) = opened.states()
            with opened.ledger._database.write() as connection:
                connection.execute("UPDATE outbox SET state = 'pending', due_ns = 0")
            opened.pass_s(2)
            opened.deliver()
            assert opened.states() == {key: EffectState.DONE}
            assert len(space.messages) == 1


def test_five_hundred_incidents_at_a_dead_notifier_delay_no_other(tmp_path: Path) -> None:
    with Receiver(then=Answer(503)) as dead, Receiver() as fine:
        both = [hook(dead, "dead"), hook(fine, "fine")]
        with desk(tmp_path, notify=both) as opened:
            opened.record(
                *(
                    event(
                        EventName.INCIDENT_OPENED,
                        id=f"inc-{number}",
                        scope=incident().scope._replace(route=f"/r/{number}"),
                    )
                    for number in range(500)
                )
            )
            opened.deliver()
            assert len(dead.posts) == 1
            assert len(fine.posts) == 5


def test_every_unusable_notifier_is_listed_at_once(tmp_path: Path) -> None:
    notify = [
        {"name": "a", "url": "nowhere", "secret": SECRET},
        {"name": "b", "url": "http://b/", "secret": "short"},
        {"type": "pagerduty", "name": "c", "url": "c"},
        {"type": "email", "name": "d", "sender": "x"},
    ]
    with pytest.raises(ConfigError) as caught:
        Desk(tmp_path, notify=notify)
    places = [line.partition(":")[0] for line in caught.value.message.splitlines()]
    assert places == ["notify[a].url", "notify[b].secret", "notify[c].url", "notify[d].sender"]


def test_a_keeper_with_a_fault_is_counted_and_goes_on(tmp_path: Path) -> None:
    with Receiver(then=Answer(500)) as server:
        url = server.url.removesuffix("/hook")
        notify = [{"type": "alertmanager", "url": url, "heartbeat": "1s"}]
        with desk(tmp_path, notify=notify) as opened:

            async def story() -> None:
                keeping = asyncio.create_task(opened.executor.delivery.keep())
                key = ("actions_renewals_total", "", "alertmanager", "retry")
                await until(lambda: opened.executor.counters[key])
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)

            asyncio.run(story())
        assert server.posts[0].event[0]["labels"]["alertname"] == "TripswitchHeartbeat"
