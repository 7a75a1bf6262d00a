"""Alertmanager: alerts fire, change, survive restarts and end; against Debian's own server.

Those that need the server are marked ``parts``.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.actions.notify.alertmanager import Alertmanager
from tests.actions.notify.desk import Desk, desk
from tests.actions.receiver import Answer, Receiver
from tests.store.samples import incident
from tripswitch.actions.notify.alertmanager import label_name
from tripswitch.model.incident import IncidentState, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = incident().dedup_key
LINK = "https://tripswitch.example.com"


def section(url: str, **fields: Any) -> dict[str, Any]:
    return {"type": "alertmanager", "url": url, **fields}


def wait_for(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s, "what was waited for did not happen"
        time.sleep(0.02)


def posted(receiver: Receiver, number: int = -1) -> list[dict[str, Any]]:
    """Return the alerts of one post; a renewal that the end of a delivery cut off is none."""
    posts = [post for post in receiver.posts if post.body]
    alerts: list[dict[str, Any]] = posts[number].event
    return alerts


# --- against the real server ----------------------------------------------------------------------


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def server(tmp_path: Path, hook: Receiver) -> Iterator[Alertmanager]:
    with Alertmanager(tmp_path, hook.url) as started:
        yield started


@pytest.fixture
def real_desk(server: Alertmanager, tmp_path: Path) -> Iterator[Desk]:
    notify = [section(server.url, labels={"team.name": "assistants"}, heartbeat="1m")]
    with desk(
        tmp_path,
        notify=notify,
        telemetry={"api": {"endpoint": "127.0.0.1:8317", "public_url": LINK}},
    ) as opened:
        yield opened


@pytest.mark.parts
def test_a_page_fires_and_resolves_through_the_real_server(
    server: Alertmanager, hook: Receiver, real_desk: Desk
) -> None:
    real_desk.tell("incident.opened")
    real_desk.deliver()
    (alert,) = server.alerts()
    labels = alert["labels"]
    assert labels["alertname"] == "TripswitchEvalDrift"
    assert labels["tripswitch_episode"] == KEY
    assert (labels["route"], labels["cohort"]) == ("/chat/refund", "canary")
    assert (labels["severity"], labels["team_name"]) == ("page", "assistants")
    assert "faithfulness fell 9 points" in alert["annotations"]["description"]
    assert alert["generatorURL"] == f"{LINK}/incidents/inc-1"
    assert alert["status"]["state"] in ("active", "unprocessed")
    wait_for(lambda: hook.posts)
    assert hook.posts[0].event["status"] == "firing"

    real_desk.tell("incident.resolved", state=IncidentState.RESOLVED)
    real_desk.deliver()
    wait_for(lambda: [post for post in hook.posts if post.event["status"] == "resolved"])
    ended = hook.posts[-1].event["alerts"]
    assert [one["labels"] for one in ended] == [labels]
    assert server.alerts() == []
    assert set(real_desk.states().values()) == {"done"}


@pytest.mark.parts
def test_an_alert_outlives_a_restart_of_the_server_and_the_heart_beats(
    server: Alertmanager, real_desk: Desk
) -> None:
    real_desk.tell("incident.opened")
    real_desk.deliver()
    server.stop()
    server.start()
    assert server.all_alerts() == [], "Alertmanager keeps no alerts over a restart"
    real_desk.keep("alertmanager")
    names = {alert["labels"]["alertname"]: alert for alert in server.all_alerts()}
    assert names.keys() == {"TripswitchEvalDrift", "TripswitchHeartbeat"}
    assert names["TripswitchHeartbeat"]["labels"]["severity"] == "none"


@pytest.mark.parts
def test_a_severity_that_rises_leaves_one_alert(server: Alertmanager, real_desk: Desk) -> None:
    real_desk.tell("incident.opened", severity=Severity.INVESTIGATE)
    real_desk.deliver()
    real_desk.tell("incident.escalated")
    real_desk.deliver()
    assert [alert["labels"]["severity"] for alert in server.alerts()] == ["page"]


@pytest.mark.parts
def test_hostile_scopes_are_taken_by_the_real_server(server: Alertmanager, real_desk: Desk) -> None:
    hostile = "\x1b[31m<script>\u202e{{ .Labels }}\n\ud800\x00" + "x" * 100_000
    scope = incident().scope._replace(route=hostile, request_model=hostile)
    real_desk.tell("incident.opened", scope=scope, why=hostile, exemplars=(hostile,))
    real_desk.deliver()
    (alert,) = server.alerts()
    assert len(alert["labels"]["route"]) <= 200
    assert alert["labels"]["gen_ai_request_model"].startswith("<script>{{ .Labels }} ")


@pytest.mark.parts
def test_five_hundred_incidents_in_a_minute_are_six_alerts(
    server: Alertmanager, real_desk: Desk
) -> None:
    for number in range(500):
        scope = incident().scope._replace(route=f"/r/{number}")
        real_desk.tell("incident.opened", id=f"inc-{number}", scope=scope)
    real_desk.deliver()
    real_desk.pass_s(31)
    real_desk.deliver()
    alerts = server.alerts()
    assert len(alerts) == 6
    summaries = [alert["annotations"]["summary"] for alert in alerts]
    assert any("495 scopes are affected" in summary for summary in summaries)


# --- what is sent ---------------------------------------------------------------------------------


def test_an_open_alert_is_renewed_to_the_letter_and_a_resolved_one_is_not(tmp_path: Path) -> None:
    with Receiver() as receiver:
        url = receiver.url.removesuffix("/hook")
        with desk(tmp_path, notify=[section(url)]) as opened:
            opened.tell("incident.opened")
            opened.deliver()
            opened.keep("alertmanager")
            first, renewed = posted(receiver, 0), posted(receiver, 1)
            assert [one | {"endsAt": ""} for one in first] == [
                one | {"endsAt": ""} for one in renewed
            ]
            opened.tell("incident.resolved", state=IncidentState.RESOLVED)
            opened.deliver()
            sent = len(receiver.posts)
            opened.keep("alertmanager")
            assert len(receiver.posts) == sent
        assert {post.path for post in receiver.posts} == {"/api/v2/alerts"}


def test_labels_stay_what_they_were_when_the_file_changes(tmp_path: Path) -> None:
    with Receiver() as receiver:
        url = receiver.url.removesuffix("/hook")
        with desk(tmp_path, notify=[section(url, labels={"team": "a"})]) as opened:
            opened.tell("incident.opened")
            opened.deliver()
            opened.reconfigure(notify=[section(url, labels={"team": "b"}, hold="1h")])
            opened.tell("incident.resolved", state=IncidentState.RESOLVED)
            opened.deliver()
        assert posted(receiver, 0)[0]["labels"] == posted(receiver, 1)[0]["labels"]
        assert len(posted(receiver, 1)) == 1


def test_credentials_go_along_and_a_wrong_one_is_tried_again(tmp_path: Path) -> None:
    with Receiver(Answer(401)) as receiver:
        url = receiver.url.removesuffix("/hook")
        fields = section(url, authorization="Bearer secret-token")
        with desk(tmp_path, notify=[fields]) as opened:
            opened.tell("incident.opened")
            opened.deliver()
            assert list(opened.states().values()) == ["pending"]
            assert "secret-token" not in json.dumps(opened.results())
            opened.pass_s(6)
            opened.deliver()
            assert list(opened.states().values()) == ["done"]
        assert receiver.posts[0].headers["authorization"] == "Bearer secret-token"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("gen_ai.request.model", "gen_ai_request_model"), ("1st", "_1st"), ("", "_"), ("é-x", "__x")],
)
def test_label_names_are_what_every_server_takes(text: str, wanted: str) -> None:
    assert label_name(text) == wanted
