"""PagerDuty: one alert an episode from trigger to resolve, and a change event a rollback."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pagerduty
import pytest
import trustme

from tests.actions.notify.desk import Desk, desk
from tests.actions.notify.pager import Pager
from tests.store.samples import incident, plan
from tripswitch.model.incident import Confirmation, IncidentState, RollbackState, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINK = "https://tripswitch.example.com"
KEY = incident().dedup_key


@pytest.fixture
def pager() -> Iterator[Pager]:
    with Pager() as opened:
        yield opened


def section(pager: Pager, **fields: Any) -> dict[str, Any]:
    return {"type": "pagerduty", "url": pager.url, "routing_key": "R1", **fields}


@pytest.fixture
def open_desk(pager: Pager, tmp_path: Path) -> Iterator[Desk]:
    with desk(
        tmp_path,
        notify=[section(pager)],
        telemetry={"api": {"endpoint": "127.0.0.1:8317", "public_url": LINK}},
    ) as opened:
        yield opened


def actions(pager: Pager) -> list[str]:
    return [event.get("event_action", "change") for _, event in pager.calls]


def test_an_episode_is_one_alert_that_is_acknowledged_and_resolved(
    pager: Pager, open_desk: Desk
) -> None:
    open_desk.tell("incident.opened", rollback=None)
    open_desk.deliver()
    (alert,) = pager.alerts
    assert (alert.routing_key, alert.dedup_key, alert.status) == ("R1", KEY, "triggered")
    payload = alert.payloads[0]
    assert payload["severity"] == "critical"
    assert payload["summary"].startswith("PAGE: eval drift on /chat/refund refund-bot v18")
    assert "faithfulness fell 9 points" in payload["summary"]
    assert payload["custom_details"]["Traces"] == incident().exemplars[0]
    assert alert.links == [{"href": f"{LINK}/incidents/inc-1", "text": "Incident"}]

    taken = Confirmation("acknowledged", "ada", incident().detected_at_ns)
    open_desk.tell("incident.acknowledged", acknowledged=taken)
    open_desk.deliver()
    assert alert.status == "acknowledged"
    open_desk.tell("incident.recovered", state=IncidentState.RECOVERED)
    open_desk.tell("incident.resolved", state=IncidentState.RESOLVED)
    open_desk.deliver()
    assert alert.status == "resolved"
    assert actions(pager) == ["trigger", "acknowledge", "resolve"]
    assert set(open_desk.states().values()) == {"done"}


def test_every_rollback_and_every_undo_is_one_change_event(pager: Pager, open_desk: Desk) -> None:
    done = plan(state=RollbackState.ACKNOWLEDGED)
    open_desk.tell("incident.opened")
    open_desk.tell("rollback.acknowledged", rollback=done)
    open_desk.tell("rollback.confirmed", rollback=plan(state=RollbackState.CONFIRMED))
    open_desk.tell("rollback.undone", rollback=plan(state=RollbackState.UNDONE))
    open_desk.deliver()
    summaries = [change["payload"]["summary"] for change in pager.changes]
    assert len(summaries) == 2
    assert summaries[0].startswith("Rollback answered on /chat/refund")
    assert "v18 → v17 by gateway" in summaries[0]
    assert summaries[1].startswith("Rollback undone on")
    assert len(pager.alerts[0].payloads) == 1, "a quiet update must not page again"


def test_a_rollback_seen_in_the_spans_alone_is_a_change_event_too(
    pager: Pager, open_desk: Desk
) -> None:
    open_desk.tell("incident.opened", "rollback.unknown", "rollback.confirmed")
    open_desk.deliver()
    assert len(pager.changes) == 1


def test_a_change_event_is_not_sent_twice_when_what_follows_it_fails(
    pager: Pager, open_desk: Desk
) -> None:
    open_desk.tell("rollback.acknowledged")
    pager.answer = lambda path: 500 if path == "/v2/enqueue" else None
    open_desk.deliver()
    assert len(pager.changes) == 1
    pager.answer = lambda _: None
    open_desk.pass_s(10)
    open_desk.deliver()
    assert len(pager.changes) == 1
    assert [alert.status for alert in pager.alerts] == ["triggered"]


def test_an_investigation_pages_when_it_is_escalated_and_not_before(
    pager: Pager, open_desk: Desk
) -> None:
    open_desk.tell("incident.opened", severity=Severity.INVESTIGATE)
    open_desk.deliver()
    assert not pager.alerts
    open_desk.tell("incident.escalated")
    open_desk.deliver()
    assert [alert.dedup_key for alert in pager.alerts] == [KEY]


def test_an_open_page_is_resolved_where_it_was_opened_whatever_the_file_says_now(
    pager: Pager, open_desk: Desk
) -> None:
    open_desk.tell("incident.opened")
    open_desk.deliver()
    open_desk.reconfigure(notify=[section(pager, routing_key="R2", routes=["/other"])])
    open_desk.tell("incident.resolved", state=IncidentState.RESOLVED)
    open_desk.deliver()
    assert [(alert.routing_key, alert.status) for alert in pager.alerts] == [("R1", "resolved")]
    open_desk.tell("incident.opened", episode=2, scope=incident().scope._replace(route="/other"))
    open_desk.deliver()
    assert pager.alerts[1].routing_key == "R2"


def test_an_open_page_of_a_notifier_that_left_the_file_is_resolved(
    pager: Pager, open_desk: Desk
) -> None:
    open_desk.tell("incident.opened")
    open_desk.deliver()
    open_desk.reconfigure()
    open_desk.tell("incident.resolved", state=IncidentState.RESOLVED)
    open_desk.deliver()
    assert [alert.status for alert in pager.alerts] == ["resolved"]


def test_a_dedup_key_is_never_too_long_nor_shared(pager: Pager, open_desk: Desk) -> None:
    scope = incident().scope
    for route in ("/" + "x" * 5000, "/" + "x" * 5000 + "y", "a/b", "a", "-", None):
        name = "b/c" if route == "a" else None
        open_desk.tell("incident.opened", scope=scope._replace(route=route, prompt_name=name))
        open_desk.deliver()
        open_desk.pass_s(120)
    assert len({alert.dedup_key for alert in pager.alerts}) == 6


@pytest.mark.parametrize(
    ("status", "wanted"), [(400, "failed"), (401, "pending"), (429, "pending"), (503, "pending")]
)
def test_only_what_is_refused_for_good_is_not_sent_again(
    pager: Pager, open_desk: Desk, status: int, wanted: str
) -> None:
    pager.answer = lambda _: status
    open_desk.tell("incident.opened", rollback=None)
    open_desk.deliver()
    assert list(open_desk.states().values()) == [wanted]


def test_the_official_client_and_ours_drive_the_same_pager_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Pager(context) as pager:
        with desk(tmp_path, notify=[section(pager)]) as ours:
            ours.tell("incident.opened", rollback=None)
            ours.deliver()
            client = pagerduty.EventsApiV2Client("R1", base_url=pager.url)
            assert client.trigger("theirs", "a source", dedup_key="k") == "k"
            client.acknowledge("k")
            client.acknowledge(KEY)
            assert [alert.status for alert in pager.alerts] == ["acknowledged"] * 2
            client.resolve("k")
            ours.tell("incident.resolved", state=IncidentState.RESOLVED)
            ours.deliver()
        assert [alert.status for alert in pager.alerts] == ["resolved"] * 2
        theirs = next(event for _, event in pager.calls if event["dedup_key"] == "k")
        mine = next(event for _, event in pager.calls if event["dedup_key"] == KEY)
        assert theirs.keys() <= mine.keys() | {"client", "links", "images"}
        assert theirs["payload"].keys() <= mine["payload"].keys() | {"custom_details"}
        client.close()
