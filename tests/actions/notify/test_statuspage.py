"""A Statuspage gets drafts that only its team sees, and never an incident."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.actions.notify.desk import Desk, desk
from tests.actions.receiver import Answer, Receiver
from tests.store.samples import event
from tripswitch.actions.dispatch import effects_of
from tripswitch.model.incident import IncidentState
from tripswitch.model.messages import Notify

if TYPE_CHECKING:
    from pathlib import Path


def draft(opened: Desk, **fields: Any) -> None:
    """Put a drafted update into the outbox, as whoever drafts does."""
    body = {
        "event": "comms.drafted",
        "detail": "a draft",
        "incident": event().as_json()["incident"],
        "draft": fields,
    }
    told = effects_of([Notify("d", event())], opened.config, opened.now_ns())
    drafted = replace(told[0], type="tripswitch.comms.drafted.v1", body=json.dumps(body))
    opened.ledger.outbox.put([drafted])
    opened.deliver()


def test_a_drafted_update_becomes_a_template_that_tells_nobody(tmp_path: Path) -> None:
    with Receiver(then=Answer(201)) as receiver:
        url = receiver.url.removesuffix("/hook")
        notify = [
            {"type": "statuspage", "url": url, "api_key": "K", "page": "p/1", "components": ["c"]}
        ]
        with desk(tmp_path, notify=notify) as opened:
            draft(opened, title="Slow\nanswers", body="We know.\n\x1b[1mNext at 17:00.", status="x")
            opened.tell("incident.resolved", state=IncidentState.RESOLVED)
            opened.pass_s(2)
            opened.deliver()
            assert set(opened.states().values()) == {"done"}
        (post,) = receiver.posts
    assert post.path == "/v1/pages/p%2F1/incident_templates"
    assert post.headers["authorization"] == "OAuth K"
    template = post.event["template"]
    assert template["title"] == "Slow answers"
    assert template["body"] == "We know.\nNext at 17:00."
    assert (template["should_send_notifications"], template["should_tweet"]) == (False, False)
    assert template["update_status"] == "investigating"
    assert template["name"].startswith("DRAFT tripswitch inc-1")
    assert template["component_ids"] == ["c"]


def test_no_other_call_is_ever_made(tmp_path: Path) -> None:
    with Receiver(then=Answer(201)) as receiver:
        url = receiver.url.removesuffix("/hook")
        notify = [{"type": "statuspage", "url": url, "api_key": "K", "page": "p"}]
        with desk(tmp_path, notify=notify) as opened:
            for name in ("incident.opened", "incident.escalated", "rollback.failed"):
                opened.tell(name)
                opened.deliver()
                opened.pass_s(2)
        assert receiver.posts == []


def test_too_many_requests_are_made_later(tmp_path: Path) -> None:
    with Receiver(Answer(420), then=Answer(201)) as receiver:
        url = receiver.url.removesuffix("/hook")
        notify = [{"type": "statuspage", "url": url, "api_key": "K", "page": "p"}]
        with desk(tmp_path, notify=notify) as opened:
            draft(opened, body="b")
            opened.pass_s(6)
            opened.deliver()
            assert set(opened.states().values()) == {"done"}
        assert len(receiver.posts) == 2
