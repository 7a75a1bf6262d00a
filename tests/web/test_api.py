"""The API: its JSON, its limits, and who it answers to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.applications import Starlette

from tests.web.asking import ask
from tripswitch.errors import LedgerError
from tripswitch.web.api import LONGEST_LIMIT, api_app


def app(
    status: dict[str, Any] | None = None, *, loopback_only: bool = True, broken: bool = False
) -> Starlette:
    def events(after: int, limit: int) -> list[dict[str, Any]]:
        if broken:
            raise LedgerError("the disk is gone", hint="look at it")
        return [{"after": after, "limit": limit}]

    return api_app(
        lambda: status or {},
        lambda limit: [{"limit": limit}],
        events,
        loopback_only=loopback_only,
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


def test_it_is_read_only() -> None:
    for path in ("/v1/status", "/v1/incidents", "/v1/events"):
        assert ask(app(), path, method="POST").status_code == 405


@pytest.mark.parametrize("host", ["127.0.0.1:8317", "localhost:1", "[::1]:8317"])
def test_this_machine_is_answered(host: str) -> None:
    assert ask(app(), "/v1/status", host=host).status_code == 200


def test_another_name_for_this_machine_is_refused_unless_widened() -> None:
    assert ask(app(), "/v1/status", host="attacker.example").status_code == 400
    widened = app(loopback_only=False)
    assert ask(widened, "/v1/status", host="tripswitch.example").status_code == 200
