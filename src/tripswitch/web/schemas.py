"""The JSON Schemas of what the API takes and answers, by the names the document gives them.

Objects may grow: a reader skips members that it does not know.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """Return a reference to a schema of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def _object(required: Schema, optional: Schema | None = None, **more: Any) -> Schema:
    """Return the schema of an object with these members, which may have others too."""
    members = {**required, **(optional or {})}
    return {"type": "object", "properties": members, "required": list(required), **more}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT: Final[Schema] = {"type": "string"}
_TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
_NUMBER: Final[Schema] = {"type": "number"}
_NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_FLAG: Final[Schema] = {"type": "boolean"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_NAME_OR_NULL: Final[Schema] = {"type": ["string", "null"], "minLength": 1, "maxLength": 200}
_ANY: Final[Schema] = {"type": "object"}
_SCOPE_FIELDS: Final = (
    "route",
    "prompt_name",
    "prompt_version",
    "cohort",
    "request_model",
    "provider",
)
_SEVERITY: Final[Schema] = {"enum": ["investigate", "page", None]}
_FINDING: Final[Schema] = {"enum": ["regressed", "healthy", "insufficient", "telemetry_lost"]}
_SHAPE: Final[Schema] = {
    "enum": ["eval_drift", "cost_spike", "latency_spike", "guardrail_regression", "outage"]
}
_SIGNAL_NAMES: Final[Schema] = {"signal": _TEXT, "rubric": _TEXT_OR_NULL, "direction": _TEXT}
_POINTS: Final = array(_NUMBER_OR_NULL)


def _text(most: int, least: int = 0) -> Schema:
    return {"type": "string", "minLength": least, "maxLength": most}


SCHEMAS: Final[dict[str, Schema]] = {
    "Error": _object({"error": _TEXT}),
    "Scope": _object(dict.fromkeys(_SCOPE_FIELDS, _TEXT_OR_NULL)),
    "Confirmation": _object(
        {"what": _TEXT, "by": _TEXT, "at": _TIME, "note": _TEXT, "link": _TEXT}
    ),
    "Change": _object(
        {
            "kind": _TEXT,
            "time": _TIME,
            "scope": ref("Scope"),
            "from": _TEXT_OR_NULL,
            "to": _TEXT,
        },
        {"fit": _NUMBER, "why": _TEXT},
    ),
    "Rollback": _object(
        {
            "path": _TEXT,
            "target": _TEXT,
            "from": _TEXT,
            "to": _TEXT,
            "blast_radius": _TEXT,
            "mode": _TEXT,
            "state": _TEXT,
            "reason": _TEXT,
            "key": _TEXT,
            "expires": _TIME_OR_NULL,
            "decided_by": _TEXT_OR_NULL,
            "undoes": _TEXT_OR_NULL,
        }
    ),
    "Triage": _object(
        {
            "is_real": _TEXT,
            "cause": {"enum": ["our_change", "provider", "judge", "unknown"]},
            "sentence": _TEXT,
            "changes": array(ref("Change")),
            "traces": array(
                _object(
                    {
                        "trace_id": _TEXT,
                        "role": {"enum": ["bad", "contrast"]},
                        "facts": {"type": "object", "additionalProperties": _TEXT},
                    }
                )
            ),
            "recommended": _object({"path": _TEXT, "why": _TEXT}),
            "duties": array(_TEXT),
        }
    ),
    "Incident": _object(
        {
            "id": _TEXT,
            "shape": _SHAPE,
            "signal": _TEXT,
            "rubric": _TEXT_OR_NULL,
            "severity": {"enum": ["investigate", "page"]},
            "state": {"enum": ["open", "recovered", "resolved"]},
            "security": _FLAG,
            "scope": ref("Scope"),
            "episode": {"type": "integer"},
            "dedup_key": _TEXT,
            "onset": _TIME,
            "detected_at": _TIME,
            "recovered_at": _TIME_OR_NULL,
            "resolved_at": _TIME_OR_NULL,
            "estimate": _NUMBER_OR_NULL,
            "baseline": _NUMBER_OR_NULL,
            "samples": _COUNT,
            "evidence": _NUMBER_OR_NULL,
            "why": _TEXT,
            "signals": array(_TEXT),
            "exemplars": array(_TEXT),
            "changes": array(ref("Change")),
            "tenants": array(_object({"tenant": _TEXT, "calls": _COUNT})),
            "rollback": _or_null(ref("Rollback")),
            "rollbacks": array(ref("Rollback")),
            "acknowledged": _or_null(ref("Confirmation")),
            "confirmations": array(ref("Confirmation")),
            "missing": array(_TEXT),
            "waiver": _or_null(ref("Confirmation")),
            "triage": _or_null(ref("Triage")),
            "opened_by": _TEXT_OR_NULL,
        }
    ),
    "IncidentFile": _object(
        {
            "incident": ref("Incident"),
            "timeline": array(
                _object({"id": _COUNT, "event": _TEXT, "time": _TIME, "detail": _TEXT})
            ),
            "actions": array(
                _object({"target": _TEXT, "state": _TEXT, "attempts": _COUNT}),
            ),
        }
    ),
    "Update": _object({"audience": _TEXT, "title": _TEXT, "text": _TEXT, "holds": array(_TEXT)}),
    "Event": _object(
        {
            "id": _COUNT,
            "event": _TEXT,
            "time": _TIME,
            "detail": _TEXT,
            "incident": _or_null(ref("Incident")),
            "change": _or_null(ref("Change")),
        }
    ),
    "Audit": _object(
        {
            "whole": _FLAG,
            "broken_at": {"type": ["integer", "null"]},
            "events": _COUNT,
            "last_event": {"type": ["integer", "null"]},
            "tip": _TEXT_OR_NULL,
        }
    ),
    "Decisions": _object(
        {
            "targets": array(
                _object(
                    {
                        "target": _TEXT,
                        "decisions": _COUNT,
                        "by_itself": _COUNT,
                        "ends": ref("Findings"),
                        "right_share": _NUMBER_OR_NULL,
                        "sentence": _TEXT,
                    }
                )
            )
        }
    ),
    "DryRun": _object(
        {
            "target": _TEXT,
            "state": {"enum": ["planned", "done", "failed", "retry", "unknown"]},
            "text": _TEXT,
        }
    ),
    "Findings": {"type": "object", "additionalProperties": _COUNT},
    "Overview": _object(
        {
            "now": _TIME_OR_NULL,
            "status": {"enum": ["fine", "watch", "bad", "unknown"]},
            "sentence": _TEXT,
            "is_lossy": _FLAG,
            "scopes": _COUNT,
            "routes": _COUNT,
            "signals": _COUNT,
            "findings": ref("Findings"),
            "kill_switch": _FLAG,
            "disabled_routes": array(_TEXT),
            "incidents": array(ref("Incident")),
        }
    ),
    "Status": _object({"now": _TIME_OR_NULL, "scopes": array(_ANY), "incidents": array(_ANY)}),
    "Cell": _object(
        {
            **_SIGNAL_NAMES,
            "unit": {"enum": ["score", "share", "tokens", "usd"]},
            "finding": _FINDING,
            "severity": _SEVERITY,
            "comparison": {"enum": ["control", "previous", "history", None]},
            "value": _NUMBER_OR_NULL,
            "usual": _NUMBER_OR_NULL,
            "line": _NUMBER_OR_NULL,
            "is_over": _FLAG,
            "samples": _COUNT,
            "evidence": _NUMBER_OR_NULL,
            "why": _TEXT,
            "points": _POINTS,
        }
    ),
    "Arm": _object(
        {
            "scope": ref("Scope"),
            "label": _TEXT,
            "calls_15m": _COUNT,
            "is_rollup": _FLAG,
            "share": _NUMBER_OR_NULL,
            "first_seen": _TIME_OR_NULL,
            "last_seen": _TIME_OR_NULL,
            "found_running": _FLAG,
            "against": _TEXT_OR_NULL,
            "p99_s": _NUMBER_OR_NULL,
            "traffic": array(_NUMBER),
            "signals": array(ref("Cell")),
        },
        {"course": _ANY},
    ),
    "Route": _object(
        {
            "route": _TEXT_OR_NULL,
            "title": _TEXT,
            "severity": _SEVERITY,
            "calls_15m": _COUNT,
            "scopes": _COUNT,
        },
        {"arms": array(ref("Arm")), "more_arms": _COUNT, "findings": ref("Findings")},
    ),
    "Routes": _object(
        {"now": _TIME_OR_NULL, "total": _COUNT, "offset": _COUNT, "routes": array(ref("Route"))}
    ),
    "RouteWhole": _object(
        {
            "route": _TEXT_OR_NULL,
            "title": _TEXT,
            "now": _TIME,
            "severity": _SEVERITY,
            "calls_15m": _COUNT,
            "scopes": _COUNT,
            "span": {"enum": ["15m", "6h", "24h"]},
            "slot_minutes": _COUNT,
            "until": _TIME,
            "arms": array(ref("Arm")),
            "more_arms": _COUNT,
            "leaves": array(ref("Arm")),
            "explained": array(_ANY),
        }
    ),
    "Explained": _object(
        {
            "now": _TIME_OR_NULL,
            "matched_scopes": _COUNT,
            "left_out_scopes": _COUNT,
            "routes": array(_TEXT),
            "scopes": array(_ANY),
        }
    ),
    "Telemetry": _object(
        {"census": _ANY, "counts": _ANY, "score_ranges": _ANY, "wire": _FLAG, "tiles": array(_ANY)}
    ),
    "Config": _object(
        {"files": array(_TEXT), "reload": _ANY, "warnings": array(_TEXT), "values": array(_ANY)}
    ),
    "Taken": _object(
        {"accepted": _COUNT, "refused": array(_object({"index": _COUNT, "error": _TEXT}))}
    ),
    "Instruction": _object(
        {"by": _text(200, 1)},
        {"note": _text(2000), "link": {**_text(2000), "pattern": "^(https?://.*)?$"}},
        additionalProperties=False,
    ),
    "PostedScope": _object(
        {},
        dict.fromkeys(_SCOPE_FIELDS, _NAME_OR_NULL),
        additionalProperties=False,
    ),
    "Opening": _object(
        {"by": _text(200, 1), "sentence": _text(2000, 1)},
        {
            "scope": ref("PostedScope"),
            "trigger": {
                "enum": [
                    "injection",
                    "pii_leak",
                    "stolen_keys",
                    "tool_exfiltration",
                    "supply_chain",
                    None,
                ]
            },
            "shape": _SHAPE,
            "traces": {
                **array({"type": "string", "pattern": "^[0-9a-fA-F]{32}$"}),
                "maxItems": 20,
            },
        },
        additionalProperties=False,
    ),
    "PostedChange": _object(
        {"to": _text(200, 1)},
        {
            "kind": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"},
            "from": _NAME_OR_NULL,
            "time": _TIME_OR_NULL,
            "route": _NAME_OR_NULL,
            "prompt_name": _NAME_OR_NULL,
            "cohort": _NAME_OR_NULL,
        },
        additionalProperties=False,
    ),
    "PostedScore": _object(
        {"name": _text(200, 1)},
        {
            "score": {"type": ["number", "boolean", "null"]},
            "label": _TEXT_OR_NULL,
            "source": _TEXT_OR_NULL,
            "version": _TEXT_OR_NULL,
            "trace_id": {"type": ["string", "null"], "pattern": "^[0-9a-fA-F]{32}$"},
            "span_id": {"type": ["string", "null"], "pattern": "^[0-9a-fA-F]{16}$"},
            "response_id": _TEXT_OR_NULL,
        },
        additionalProperties=False,
    ),
}
