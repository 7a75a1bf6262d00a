"""The OpenAPI 3.1 document of the API, served at ``/v1/openapi.json``.

`OPERATIONS` describes every operation once: what it takes, what it answers, whether it changes
something. A test holds it to the routes that are really there.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from tripswitch.model.instruction import Act
from tripswitch.web.answering import MAX_POST_BYTES
from tripswitch.web.schemas import SCHEMAS, array, ref

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query or a path."""

    name: str
    about: str
    schema: Schema
    where: str = "query"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. ``answer`` is the schema of its success, ``body`` that of what it takes."""

    method: str
    path: str
    about: str
    answer: Schema
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    success: int = 200
    errors: tuple[int, ...] = ()
    media_type: str = "application/json"


_LIMIT: Final = Parameter(
    "limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
)
_WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
_SCOPES: Final[Schema] = {**array({"type": "string", "maxLength": 100}), "maxItems": 20}
_ID: Final = Parameter(
    "incident_id", "Id of an incident.", {"type": "string", "minLength": 1}, where="path"
)
_CHANGED: Final[Schema] = {
    "type": "object",
    "properties": {
        "incident": {"anyOf": [ref("Incident"), {"type": "null"}]},
        "events": array({"type": "string"}),
    },
    "required": ["incident", "events"],
}

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation("GET", "/v1/overview", "How everything stands.", ref("Overview"), errors=(503,)),
    Operation("GET", "/v1/status", "Every scope and signal with its verdict.", ref("Status")),
    Operation(
        "GET",
        "/v1/routes",
        "The routes, worst first; those at the top with their versions and cohorts.",
        ref("Routes"),
        (
            Parameter("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 50}),
            Parameter("offset", "How many to skip.", {**_WHOLE, "maximum": 1_000_000}),
            Parameter("q", "Words that must be in it.", {"type": "string", "maxLength": 200}),
        ),
        errors=(400,),
    ),
    Operation(
        "GET",
        "/v1/route",
        "One route whole: versions and cohorts over time, evidence, outlook.",
        ref("RouteWhole"),
        (
            Parameter("name", "The route; empty for calls without one.", {"type": "string"}),
            Parameter("span", "How far back.", {"type": "string", "enum": ["15m", "6h", "24h"]}),
        ),
        errors=(400, 404),
    ),
    Operation(
        "GET",
        "/v1/explain",
        "Why scopes are judged as they are, the worst first.",
        ref("Explained"),
        (
            Parameter("scope", "Which scopes; may be repeated.", _SCOPES),
            _LIMIT,
        ),
        errors=(400,),
    ),
    Operation("GET", "/v1/telemetry", "What is read, and what is missing.", ref("Telemetry")),
    Operation("GET", "/v1/config", "What is in force, with secrets hidden.", ref("Config")),
    Operation(
        "GET",
        "/v1/incidents",
        "The latest incidents, newest first.",
        array(ref("Incident")),
        (_LIMIT,),
        errors=(400, 503),
    ),
    Operation(
        "POST",
        "/v1/incidents",
        "Open an incident by hand.",
        _CHANGED,
        body=ref("Opening"),
        success=202,
        errors=(400, 401, 409, 413, 415, 503),
    ),
    Operation(
        "GET",
        "/v1/incidents/{incident_id}",
        "One incident with its timeline and what was called for it.",
        ref("IncidentFile"),
        (_ID,),
        errors=(404, 503),
    ),
    Operation(
        "GET",
        "/v1/incidents/{incident_id}/updates",
        "Status updates of an incident, drafted from what is known now.",
        array(ref("Update")),
        (_ID,),
        errors=(404, 503),
    ),
    Operation(
        "GET",
        "/v1/incidents/{incident_id}/dry-run",
        "The literal requests that an incident's rollback would send now; its target is read.",
        ref("DryRun"),
        (_ID,),
        errors=(401, 409, 503),
    ),
    Operation(
        "POST",
        "/v1/incidents/{incident_id}/{act}",
        "Say what is wanted of an incident.",
        _CHANGED,
        (
            _ID,
            Parameter(
                "act", "What.", {"type": "string", "enum": [act.value for act in Act]}, where="path"
            ),
        ),
        body=ref("Instruction"),
        success=202,
        errors=(400, 401, 404, 409, 413, 415, 503),
    ),
    Operation(
        "GET", "/v1/audit", "Whether the timeline's chain is whole.", ref("Audit"), errors=(503,)
    ),
    Operation(
        "GET",
        "/v1/decisions",
        "What became of the rollbacks that were decided on, also those only proposed.",
        ref("Decisions"),
        errors=(503,),
    ),
    Operation(
        "GET",
        "/v1/events",
        "Events with an id above one, in order.",
        array(ref("Event")),
        (
            Parameter("after", "The id.", {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}),
            _LIMIT,
        ),
        errors=(400, 503),
    ),
    Operation(
        "GET",
        "/v1/changes",
        "What changed in the last day, newest first.",
        array(ref("Change")),
        (_LIMIT,),
        errors=(400,),
    ),
    Operation(
        "POST",
        "/v1/changes",
        "Tell of a change, or of several.",
        ref("Taken"),
        body={"anyOf": [ref("PostedChange"), array(ref("PostedChange"))]},
        success=202,
        errors=(400, 401, 413, 415),
    ),
    Operation(
        "POST",
        "/v1/scores",
        "Give scores of calls, up to 30 minutes late.",
        ref("Taken"),
        body=array(ref("PostedScore")),
        success=202,
        errors=(400, 401, 413, 415),
    ),
    Operation(
        "POST",
        "/v1/signin-codes",
        "Make a code that signs a browser in, once, within ten minutes.",
        {
            "type": "object",
            "properties": {"code": {"type": "string"}},
            "required": ["code"],
        },
        success=201,
        errors=(401, 429),
    ),
    Operation(
        "GET",
        "/v1/stream",
        "Server-sent events: a message whenever something changed.",
        {"type": "string"},
        errors=(503,),
        media_type="text/event-stream",
    ),
    Operation("GET", "/v1/openapi.json", "This document.", {"type": "object"}),
)

_REASONS: Final = {
    400: "It cannot be read; the sentence says why.",
    401: "A bearer token is needed.",
    404: "There is no such thing.",
    409: "It cannot be done now; the sentence says why.",
    413: f"More than {MAX_POST_BYTES} bytes.",
    415: "Send application/json.",
    429: "Too many failed tries.",
    503: "The ledger cannot be read, or too many ask.",
}


def document() -> dict[str, Any]:
    """Return the document as plain JSON values."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tripswitch",
            "version": version("tripswitch"),
            "description": (
                "What a running tripswitch sees and does. Reading needs no token on the machine "
                "it runs on; whatever changes something needs one: one of telemetry.api.auth, or "
                "the one in the file api-token of the state folder."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _name(operation),
        "summary": operation.about,
        "responses": {
            str(operation.success): {
                "description": "Done." if operation.method == "POST" else "Found.",
                "content": {operation.media_type: {"schema": operation.answer}},
            },
            **{str(status): _error(status) for status in operation.errors},
        },
    }
    if operation.parameters:
        described["parameters"] = [
            {
                "name": one.name,
                "in": one.where,
                "required": one.where == "path",
                "description": one.about,
                "schema": one.schema,
            }
            for one in operation.parameters
        ]
    if operation.body is not None:
        content = {"application/json": {"schema": operation.body}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.method == "POST":
        described["security"] = [{"token": []}]
    return described


def _error(status: int) -> dict[str, Any]:
    content = {"application/json": {"schema": ref("Error")}}
    return {"description": _REASONS[status], "content": content}


def _name(operation: Operation) -> str:
    words = [
        word for word in operation.path.removeprefix("/v1/").split("/") if not word.startswith("{")
    ]
    place = "_one" if operation.path.endswith("_id}") else ""
    verb = "act_on" if operation.path.endswith("{act}") else operation.method.lower()
    return f"{verb}_{'_'.join(words).replace('.', '_').replace('-', '_')}{place}"
