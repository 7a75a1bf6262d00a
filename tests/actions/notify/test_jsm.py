"""Jira Service Management and Opsgenie: one alert an episode, notes for what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.actions.notify.desk import desk
from tests.actions.receiver import Answer, Receiver
from tests.store.samples import incident
from tripswitch.actions.notify.jsm import alias_of
from tripswitch.config.model import Config
from tripswitch.model.incident import IncidentState

if TYPE_CHECKING:
    from pathlib import Path

ALIAS = alias_of(incident().dedup_key)


@pytest.mark.parametrize(
    ("kind", "base"), [("jsm", "/jsm/ops/integration/v2/alerts"), ("opsgenie", "/v2/alerts")]
)
def test_an_episode_is_created_noted_acknowledged_and_closed(
    tmp_path: Path, kind: str, base: str
) -> None:
    with Receiver(then=Answer(202)) as receiver:
        url = receiver.url.replace("/hook", base.removesuffix("/v2/alerts"))
        notify = [{"type": kind, "url": url, "api_key": "K"}]
        with desk(tmp_path, notify=notify) as opened:
            opened.tell("incident.opened", why="w" * 500)
            opened.tell("rollback.acknowledged", "rollback.failed", "incident.acknowledged")
            opened.tell("incident.resolved", state=IncidentState.RESOLVED)
            opened.deliver()
            assert set(opened.states().values()) == {"done"}
    paths = [post.path for post in receiver.posts]
    assert paths == [
        base,
        f"{base}/{ALIAS}/notes?identifierType=alias",
        base,
        f"{base}/{ALIAS}/notes?identifierType=alias",
        f"{base}/{ALIAS}/acknowledge?identifierType=alias",
        f"{base}/{ALIAS}/close?identifierType=alias",
    ]
    created = receiver.posts[0].event
    assert created["alias"] == ALIAS
    assert len(created["message"]) <= 130
    assert (created["priority"], created["source"]) == ("P1", "tripswitch")
    assert created["details"]["dedup_key"] == incident().dedup_key
    assert {post.headers["authorization"] for post in receiver.posts} == {"GenieKey K"}


def test_the_base_address_is_what_tells_the_two_apart() -> None:
    jsm, opsgenie = Config.model_validate(
        {"notify": [{"type": "jsm"}, {"type": "opsgenie"}]}
    ).notify
    assert jsm.model_dump().keys() == opsgenie.model_dump().keys()
    assert "api.atlassian.com" in str(jsm.model_dump()["url"])
    assert "api.opsgenie.com" in str(opsgenie.model_dump()["url"])
