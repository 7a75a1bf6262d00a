"""The OpenAPI document: held to the routes that are there, and to what they really answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.routing import Route

from tests.web.asking import ask
from tests.web.desk import BEARER, taken_up, watched
from tripswitch.web.openapi import OPERATIONS, Operation, document

READ = [one for one in OPERATIONS if one.method == "GET" and one.path != "/v1/stream"]
TOLD = [one for one in OPERATIONS if one.method == "POST"]


def check(content: Any, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": document()["components"]}
    jsonschema.Draft202012Validator(
        whole, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(content)


def path_of(operation: Operation, act: str = "acknowledge") -> str:
    path = operation.path.replace("{incident_id}", watched().incident_id()).replace("{act}", act)
    return f"{path}?name=/chat/refund" if path == "/v1/route" else path


def test_every_route_is_described_and_nothing_else() -> None:
    there = {
        (method, route.path)
        for route in watched().app.routes
        if isinstance(route, Route) and route.path.startswith("/v1/")
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert there == {(one.method, one.path) for one in OPERATIONS}


def test_the_document_is_one_of_version_3_1_with_names_of_their_own() -> None:
    served = watched().get("/v1/openapi.json").json()
    assert served == json.loads(json.dumps(document()))
    assert served["openapi"] == "3.1.0"
    names = [
        operation["operationId"] for path in served["paths"].values() for operation in path.values()
    ]
    assert len(names) == len(set(names)) == len(OPERATIONS)
    for name, schema in served["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert name.isidentifier()


@pytest.mark.parametrize("operation", READ, ids=lambda one: one.path)
def test_what_is_read_is_what_is_described(operation: Operation) -> None:
    answer = watched().get(path_of(operation))
    if 401 in operation.errors:
        assert answer.status_code == 401
        return
    assert answer.status_code == 200, answer.text
    check(answer.json(), operation.answer)


@pytest.mark.parametrize("operation", TOLD, ids=lambda one: one.path)
def test_whatever_changes_something_is_refused_without_a_token(operation: Operation) -> None:
    json_only = {"content-type": "application/json"}
    for headers in (json_only, json_only | {"authorization": "Bearer guess"}):
        path = path_of(operation)
        answer = ask(watched().app, path, method="POST", body=b"{}", headers=headers)
        assert answer.status_code == 401
        check(answer.json(), {"$ref": "#/components/schemas/Error"})
    assert 401 in operation.errors


@pytest.mark.parametrize(
    ("path", "act", "body"),
    [
        ("/v1/incidents/{incident_id}/{act}", "acknowledge", {"by": "ada"}),
        ("/v1/incidents/{incident_id}/{act}", "approve", {"by": "ada", "note": "go"}),
        ("/v1/incidents", "", {"by": "ada", "sentence": "stolen", "trigger": "stolen_keys"}),
        ("/v1/changes", "", {"to": "deploy 7", "route": "/chat/refund"}),
        ("/v1/scores", "", [{"name": "tone", "score": 0.5, "trace_id": "a" * 32}, {}]),
        ("/v1/signin-codes", "", None),
    ],
)
def test_what_is_told_is_answered_as_described(
    path: str, act: str, body: Any, tmp_path: Path
) -> None:
    (operation,) = [one for one in TOLD if one.path == path]
    content = b"" if body is None else json.dumps(body).encode()
    desk = taken_up(tmp_path)
    answer = ask(desk.app, path_of(operation, act), method="POST", body=content, headers=BEARER)
    assert answer.status_code == operation.success, answer.text
    check(answer.json(), operation.answer)
