"""The long tail through apprise, against a service of its own that runs on loopback."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.actions.notify.desk import desk
from tests.actions.receiver import Answer, Receiver
from tests.store.samples import incident
from tripswitch.actions.notify.apprise import AppriseNotify
from tripswitch.actions.notify.jsm import alias_of
from tripswitch.actions.notify.news import News, Verb
from tripswitch.config.message_sections import AppriseNotifier
from tripswitch.errors import ConfigError
from tripswitch.model.incident import IncidentState

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def test_messages_go_out_with_their_kind(tmp_path: Path) -> None:
    with Receiver() as receiver:
        url = receiver.url.replace("http://", "json://")
        with desk(tmp_path, notify=[{"type": "apprise", "url": url}]) as opened:
            opened.tell("incident.opened", why="a <b> & *c*")
            opened.tell("incident.resolved", state=IncidentState.RESOLVED)
            opened.deliver()
            assert set(opened.states().values()) == {"done"}
        told = [post.event for post in receiver.posts]
    assert [one["type"] for one in told] == ["failure", "success"]
    assert told[0]["title"].startswith("PAGE: eval drift on /chat/refund")
    assert "Why: a <b> & *c*" in told[0]["message"]


def test_a_failure_is_tried_again(tmp_path: Path) -> None:
    with Receiver(Answer(500)) as receiver:
        url = receiver.url.replace("http://", "json://")
        with desk(tmp_path, notify=[{"type": "apprise", "url": url}]) as opened:
            opened.tell("incident.opened")
            opened.deliver()
            assert list(opened.states().values()) == ["pending"]
            opened.pass_s(6)
            opened.deliver()
            assert list(opened.states().values()) == ["done"]


def test_pagers_get_the_key_of_the_episode() -> None:
    news = News("k", incident().dedup_key, "e", Verb.UPDATE, 0, "", {}, {}, {}, {}, ())
    key = alias_of(incident().dedup_key)
    for url, wanted in (
        ("pagerduty://A@B", f"pagerduty://A@B?action=map&dedup={key}"),
        ("opsgenie://A?region=eu", f"opsgenie://A?region=eu&action=map&alias={key}"),
        ("json://localhost", "json://localhost"),
    ):
        notifier = AppriseNotify(AppriseNotifier.model_validate({"url": url}), None)  # type: ignore[arg-type]
        assert notifier._url_for(news) == wanted


def test_a_missing_package_and_an_unknown_url_are_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError, match="a URL that apprise knows") as caught:
        AppriseNotify(AppriseNotifier.model_validate({"url": "nothing://secret"}), None)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ConfigError, match="apprise is not installed"):
        AppriseNotify(AppriseNotifier(), None)  # type: ignore[arg-type]
