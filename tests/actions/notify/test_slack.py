"""Slack: one thread an incident, its first message edited in place, the chart in the thread."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.actions.notify.desk import S_NS, Desk, desk
from tests.actions.notify.workspace import CHANNEL, TOKEN, Workspace
from tests.store.samples import event, incident, plan
from tripswitch.actions.notify.slack import escaped
from tripswitch.model.incident import IncidentState, RollbackState
from tripswitch.model.messages import EventName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINK = "https://tripswitch.example.com"


@pytest.fixture
def space() -> Iterator[Workspace]:
    with Workspace() as opened:
        yield opened


def section(space: Workspace, **fields: Any) -> dict[str, Any]:
    return {"type": "slack", "url": space.url, "token": TOKEN, "channel": CHANNEL, **fields}


@pytest.fixture
def chat(space: Workspace, tmp_path: Path) -> Iterator[Desk]:
    sections = {
        "notify": [section(space)],
        "telemetry": {"api": {"endpoint": "127.0.0.1:8317", "public_url": LINK}},
    }
    with desk(tmp_path, **sections) as opened:
        yield opened


def deliver(chat: Desk) -> None:
    """Deliver everything, a second between two messages as Slack wants it."""
    chat.deliver()
    while chat.executor.delivery.resting(chat.now_ns() - 2 * S_NS):
        chat.pass_s(1.1)
        if not chat.is_due():
            return
        chat.deliver()


def test_an_incident_is_one_thread_whose_first_message_shows_how_it_stands(
    space: Workspace, chat: Desk
) -> None:
    chat.tell("incident.opened", rollback=None)
    chat.tell("rollback.planned", rollback=plan(state=RollbackState.PROPOSED))
    chat.tell("incident.recovered", state=IncidentState.RECOVERED)
    chat.tell("incident.resolved", state=IncidentState.RESOLVED)
    deliver(chat)
    (message,) = space.messages
    titles = [text["blocks"][0]["text"]["text"] for text in message.texts]
    assert [title.partition(":")[0] for title in titles] == [
        "PAGE",
        "PAGE",
        "RECOVERED",
        "RESOLVED",
    ]
    assert "faithfulness fell 9 points" in message.shown
    assert len(message.replies) == 3
    assert {reply["channel"] for reply in message.replies} == {CHANNEL}
    (button,) = message.replies[0]["blocks"][-1]["elements"]
    assert button["url"] == f"{LINK}/incidents/inc-1#rollback"
    assert set(chat.states().values()) == {"done"}


def test_the_chart_goes_into_the_thread_at_its_start_and_its_end(
    space: Workspace, chat: Desk
) -> None:
    chat.charts["inc-1"] = b"\x89PNG first"
    chat.tell("incident.opened", "rollback.confirmed")
    deliver(chat)
    chat.charts["inc-1"] = b"\x89PNG last"
    chat.tell("incident.resolved", state=IncidentState.RESOLVED)
    deliver(chat)
    (message,) = space.messages
    assert [space.uploads[name] for name in message.files] == [b"\x89PNG first", b"\x89PNG last"]


def test_a_chart_that_fails_costs_no_message(space: Workspace, chat: Desk) -> None:
    chat.charts["inc-1"] = b"\x89PNG"
    space.refuse = lambda method: "missing_scope" if method.startswith("files.") else None
    chat.tell("incident.opened")
    deliver(chat)
    assert len(space.messages) == 1
    assert "its chart was not: answered ok: false, missing_scope" in chat.results()[0]


def test_ok_false_is_a_failure_and_is_tried_again(space: Workspace, chat: Desk) -> None:
    space.refuse = lambda _: "token_revoked"
    chat.tell("incident.opened")
    chat.deliver()
    assert list(chat.states().values()) == ["pending"]
    assert "token_revoked" in chat.results()[0]
    space.refuse = lambda _: None
    chat.pass_s(6)
    chat.deliver()
    assert len(space.messages) == 1


def test_retry_after_is_honoured(space: Workspace, chat: Desk) -> None:
    space.refuse = lambda _: 429
    chat.tell("incident.opened")
    chat.deliver()
    space.refuse = lambda _: None
    chat.pass_s(25)
    chat.deliver()
    assert not space.messages
    chat.pass_s(6)
    chat.deliver()
    assert len(space.messages) == 1


def test_a_message_that_slack_never_takes_is_given_up(space: Workspace, chat: Desk) -> None:
    space.refuse = lambda _: "invalid_blocks"
    chat.tell("incident.opened")
    chat.deliver()
    assert list(chat.states().values()) == ["failed"]


def test_a_reply_that_fails_is_not_posted_twice_and_the_edit_is_repeated(
    space: Workspace, chat: Desk
) -> None:
    chat.tell("incident.opened")
    deliver(chat)
    space.refuse = lambda method: "ratelimited" if method == "chat.postMessage" else None
    chat.tell("rollback.failed")
    chat.deliver()
    space.refuse = lambda _: None
    chat.pass_s(6)
    chat.deliver()
    (message,) = space.messages
    assert (len(message.texts), len(message.replies)) == (3, 1)


def test_a_thread_that_somebody_deleted_begins_anew(space: Workspace, chat: Desk) -> None:
    chat.tell("incident.opened")
    deliver(chat)
    space.messages.clear()
    chat.tell("rollback.failed")
    deliver(chat)
    chat.pass_s(6)
    deliver(chat)
    assert len(space.messages) == 1
    assert set(chat.states().values()) == {"done"}


def test_the_thread_is_known_after_a_restart_and_in_another_channel(
    space: Workspace, chat: Desk
) -> None:
    chat.tell("incident.opened")
    deliver(chat)
    chat.reconfigure(notify=[section(space, channel="C2")])
    chat.tell("incident.resolved", state=IncidentState.RESOLVED)
    deliver(chat)
    assert len(space.messages[0].replies) == 1
    assert set(chat.states().values()) == {"done"}


def test_a_flood_fits_into_slacks_limits(space: Workspace, chat: Desk) -> None:
    for number in range(100):
        scope = incident().scope._replace(route="/" + "r" * 300 + str(number))
        chat.record(event(EventName.INCIDENT_OPENED, id=f"inc-{number}", scope=scope))
    deliver(chat)
    chat.pass_s(31)
    deliver(chat)
    assert len(space.messages) == 6
    assert set(chat.states().values()) == {"done"}


def test_hostile_text_is_no_markup(space: Workspace, chat: Desk) -> None:
    hostile = "<!channel> <http://evil.example|click> *b* `c` & \u202e\x1b[31m\n@here " + "x" * 9000
    scope = incident().scope._replace(route=hostile, cohort=hostile)
    chat.tell("incident.opened", scope=scope, why=hostile, tenants=((hostile, 1),))
    deliver(chat)
    (message,) = space.messages
    sent = message.texts[0]
    assert "<" not in sent["text"]
    assert (sent["mrkdwn"], sent["parse"], sent["link_names"]) == (False, "none", False)
    kinds = {
        part["type"]
        for block in sent["blocks"]
        for part in [block.get("text"), *(one["text"] for one in block.get("elements", []))]
        if part
    }
    assert kinds == {"plain_text"}
    assert not {"\u202e", "\x1b"} & set(message.shown)


def test_escaping_is_slacks_own() -> None:
    assert escaped("a & b <c> &lt;") == "a &amp; b &lt;c&gt; &amp;lt;"


def test_the_official_client_and_ours_drive_the_same_workspace(
    space: Workspace, chat: Desk
) -> None:
    chat.tell("incident.opened")
    deliver(chat)
    client = WebClient(TOKEN, base_url=space.url + "/")
    root = space.messages[0].ts
    blocks = space.messages[0].texts[0]["blocks"]
    posted = client.chat_postMessage(channel=CHANNEL, text="t", blocks=blocks)
    client.chat_update(channel=CHANNEL, ts=posted["ts"], text="u", blocks=blocks)
    client.chat_postMessage(channel=CHANNEL, thread_ts=root, text="theirs")
    client.files_upload_v2(
        channel=CHANNEL, thread_ts=root, content=b"\x89PNG", filename="a.png", title="a"
    )
    with pytest.raises(SlackApiError, match="thread_not_found"):
        client.chat_postMessage(channel=CHANNEL, thread_ts="1", text="x")
    assert len(space.messages[0].replies) == 1
    assert len(space.messages[0].files) == 1
    chat.charts["inc-1"] = b"\x89PNG"
    chat.tell("rollback.failed")
    deliver(chat)
    assert len(space.messages[0].files) == 2
    theirs = _arguments(space, "files.completeUploadExternal", 0)
    mine = _arguments(space, "files.completeUploadExternal", 1)
    assert theirs.keys() <= mine.keys()
    assert json.dumps(mine["files"])


def _arguments(space: Workspace, method: str, number: int) -> dict[str, Any]:
    return [arguments for name, arguments in space.calls if name == method][number]
