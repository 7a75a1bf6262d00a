"""The API: its JSON, its limits, and who it answers to."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from tests.web.asking import ask
from tests.web.desk import Clock
from tests.web.stub_board import board
from tripswitch.errors import LedgerError
from tripswitch.model.instruction import Act, InstructionError
from tripswitch.web.answering import MAX_POST_BYTES
from tripswitch.web.api import LONGEST_LIMIT, Pages, api_app
from tripswitch.web.guard import Guard
from tripswitch.web.incidents_api import IncidentPages
from tripswitch.web.stream import Stream

JSON = {"content-type": "application/json"}
TOKEN = "a-token-of-the-deploy-script"


def app(
    status: dict[str, Any] | None = None,
    *,
    loopback_only: bool = True,
    broken: bool = False,
    public_url: str = "",
) -> Starlette:
    def events(after: int, limit: int) -> list[dict[str, Any]]:
        if broken:
            raise LedgerError("the disk is gone", hint="look at it")
        return [{"after": after, "limit": limit}]

    def take(document: Any) -> dict[str, Any]:
        if not isinstance(document, list):
            raise ValueError("expected a list")  # noqa: TRY004 - the API knows no other
        return {"accepted": len(document), "refused": []}

    pages = Pages(
        status=lambda: status or {},
        explain=lambda texts, most: {"texts": texts, "most": most},
        events=events,
        post_scores=take,
        post_changes=take,
        of_incidents=of_incidents(broken=broken),
        board=board(public_url=lambda: public_url),
    )
    guard = Guard(admits, Clock(), loopback_only=loopback_only)
    return api_app(pages, guard, Stream(lambda: "1", dict))


def admits(header: str) -> bool:
    return header == f"Bearer {TOKEN}"


def of_incidents(*, broken: bool) -> IncidentPages:
    def instruct(incident_id: str, act: Act, document: Any) -> dict[str, Any]:
        if document == {"by": "nobody"}:
            raise InstructionError("nothing to approve")
        if not isinstance(document, dict):
            raise ValueError("expected a JSON object")  # noqa: TRY004 - the API knows no other
        return {"incident": incident_id, "events": [act.value]}

    def incident(incident_id: str) -> dict[str, Any] | None:
        if broken:
            raise LedgerError("the disk is gone", hint="look at it")
        return {"incident": {"id": incident_id}} if incident_id == "inc_1" else None

    async def dry_run(incident_id: str) -> dict[str, Any]:
        if incident_id != "inc_1":
            raise InstructionError("there is no rollback to rehearse: none was planned")
        return {"target": "gateway", "state": "planned", "text": "POST http://gateway"}

    return IncidentPages(
        incident=incident,
        audit=lambda: {"whole": True},
        decisions=lambda: {"targets": []},
        instruct=instruct,
        open=lambda document: {"incident": document, "events": ["incident.opened"]},
        admits=admits,
        dry_run=dry_run,
    )


def test_a_dry_run_needs_a_token_and_a_rollback() -> None:
    path = "/v1/incidents/inc_1/dry-run"
    assert ask(app(), path).status_code == 401
    assert ask(app(), path, headers=ADMITTED).json()["state"] == "planned"
    assert ask(app(), path.replace("inc_1", "inc_2"), headers=ADMITTED).status_code == 409


ADMITTED = JSON | {"authorization": f"Bearer {TOKEN}"}


def test_one_incident_and_the_audit_are_read_without_a_token() -> None:
    assert ask(app(), "/v1/incidents/inc_1").json() == {"incident": {"id": "inc_1"}}
    assert ask(app(), "/v1/incidents/other").status_code == 404
    assert ask(app(broken=True), "/v1/incidents/inc_1").status_code == 503
    assert ask(app(), "/v1/audit").json() == {"whole": True}
    assert ask(app(), "/v1/decisions").json() == {"targets": []}


@pytest.mark.parametrize("path", ["/v1/incidents", "/v1/incidents/inc_1/approve"])
def test_what_people_want_done_needs_a_token(path: str) -> None:
    for headers in (JSON, JSON | {"authorization": "Bearer other"}):
        answer = ask(app(), path, method="POST", body=b'{"by": "ada"}', headers=headers)
        assert answer.status_code == 401
    answer = ask(app(), path, method="POST", body=b'{"by": "ada"}', headers=ADMITTED)
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("act", "body", "status", "sentence"),
    [
        ("approve", b'{"by": "nobody"}', 409, "nothing to approve"),
        ("approve", b"[]", 400, "expected a JSON object"),
        ("approve", b"{", 400, "not JSON"),
        ("explode", b"{}", 404, "expected one of acknowledge"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(
    act: str, body: bytes, status: int, sentence: str
) -> None:
    path = f"/v1/incidents/inc_1/{act}"
    answer = ask(app(), path, method="POST", body=body, headers=ADMITTED)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]


def test_a_form_of_a_browser_changes_nothing() -> None:
    headers = ADMITTED | {"content-type": "text/plain"}
    path = "/v1/incidents/inc_1/approve"
    assert ask(app(), path, method="POST", body=b"{}", headers=headers).status_code == 415


def post(
    target: Starlette, body: bytes = b"[{}]", headers: dict[str, str] | None = None, **asked: Any
) -> httpx.Response:
    return ask(
        target, "/v1/scores", method="POST", body=body, headers=ADMITTED | (headers or {}), **asked
    )


def test_pages_return_what_the_readers_return() -> None:
    answer = ask(app({"scopes": []}), "/v1/status")
    assert answer.json() == {"scopes": []}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert ask(app(), "/v1/incidents").json() == [{"limit": 100}]
    assert ask(app(), "/v1/incidents?limit=7").json() == [{"limit": 7}]
    assert ask(app(), "/v1/events?after=12&limit=3").json() == [{"after": 12, "limit": 3}]


def test_what_json_cannot_say_is_null() -> None:
    status = {"a": [float("nan"), {"b": float("inf")}, (1, 2.5)]}
    answer = ask(app(status), "/v1/status")
    assert json.loads(answer.text) == {"a": [None, {"b": None}, [1, 2.5]]}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        f"limit={LONGEST_LIMIT + 1}",
        "limit=x",
        "limit=",
        "limit=-1",
        "limit=1e3",
        "limit=\N{ARABIC-INDIC DIGIT ONE}",
        "after=9223372036854775808",
        "after=" + "9" * 5000,
    ],
)
def test_bad_numbers_are_refused_in_words(query: str) -> None:
    answer = ask(app(), f"/v1/events?{query}")
    assert answer.status_code == 400
    assert "expected a whole number" in answer.json()["error"]


def test_a_ledger_that_cannot_be_read_is_503() -> None:
    answer = ask(app(broken=True), "/v1/events")
    assert answer.status_code == 503
    assert "the disk is gone" in answer.json()["error"]


def test_what_is_for_reading_takes_no_posts_and_the_other_way_round() -> None:
    for path in ("/v1/status", "/v1/telemetry", "/v1/audit", "/v1/events", "/v1/stream"):
        assert ask(app(), path, method="POST").status_code == 405
    assert ask(app(), "/v1/scores").status_code == 405


def test_posts_are_taken_and_told_what_became_of_them() -> None:
    for path in ("/v1/scores", "/v1/changes"):
        answer = ask(app(), path, method="POST", body=b"[{}, {}]", headers=ADMITTED)
        assert answer.status_code == 202
        assert answer.json() == {"accepted": 2, "refused": []}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{'secret': 1}", "not JSON at character 1"),
        (b"\xff", "not JSON"),
        (b"", "not JSON at character 0"),
        (b"[" * 100_000, "nested too deep"),
        (b"{}", "expected a list"),
    ],
)
def test_a_post_that_cannot_be_read_is_400_and_quotes_nothing(body: bytes, sentence: str) -> None:
    answer = post(app(), body)
    assert (answer.status_code, answer.json()) == (400, {"error": sentence})


def test_a_post_too_large_is_413() -> None:
    answer = post(app(), b"[" + b" " * MAX_POST_BYTES + b"]")
    assert answer.status_code == 413
    assert "several lists" in answer.json()["error"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_page_of_a_browser_may_send_without_asking_is_refused(kind: str) -> None:
    assert post(app(), headers={"content-type": kind}).status_code == 415


@pytest.mark.parametrize("path", ["/v1/scores", "/v1/changes"])
def test_what_is_told_needs_a_token_too(path: str) -> None:
    for headers in (JSON, JSON | {"authorization": "Bearer another"}):
        answer = ask(app(), path, method="POST", body=b"[]", headers=headers)
        assert answer.status_code == 401
    assert ask(app(), path, method="POST", body=b"[]", headers=ADMITTED).status_code == 202


@pytest.mark.parametrize("path", ["/v1/status", "/v1/overview", "/v1/incidents/inc_1", "/v1/audit"])
def test_beyond_this_machine_reading_needs_a_token_as_well(path: str) -> None:
    widened = app(loopback_only=False)
    assert ask(widened, path).status_code == 401
    assert ask(widened, path, headers=ADMITTED).status_code == 200


def test_beyond_this_machine_a_page_asks_to_sign_in() -> None:
    answer = ask(app(loopback_only=False), "/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin")
    assert ask(app(loopback_only=False), "/signin").status_code == 200
    assert ask(app(loopback_only=False), "/static/app.css").status_code == 200


def test_a_name_of_a_page_for_this_machine_cannot_post() -> None:
    assert post(app(), host="attacker.example").status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8317", "localhost:1", "[::1]:8317"])
def test_this_machine_is_answered(host: str) -> None:
    assert ask(app(), "/v1/status", host=host).status_code == 200


def test_another_name_for_this_machine_is_refused_unless_widened() -> None:
    assert ask(app(), "/v1/status", host="attacker.example").status_code == 400
    widened = app(loopback_only=False)
    assert ask(widened, "/v1/status", host="tripswitch.example").status_code == 401
    public = app(public_url="https://tripswitch.example")
    assert ask(public, "/v1/status", host="tripswitch.example").status_code == 200


def test_explain_is_asked_with_texts_and_a_limit() -> None:
    found = ask(app(), "/v1/explain?scope=route%3D%2Fchat&scope=canary&limit=7").json()
    assert found == {"texts": ["route=/chat", "canary"], "most": 7}
    assert ask(app(), "/v1/explain").json() == {"texts": [], "most": 100}


@pytest.mark.parametrize("query", ["&".join(["scope=x"] * 21), "scope=" + "x" * 2001])
def test_explain_takes_no_more_than_so_much(query: str) -> None:
    answer = ask(app(), f"/v1/explain?{query}")
    assert answer.status_code == 400
    assert "expected at most 20" in answer.json()["error"]
