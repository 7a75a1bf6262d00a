"""Incidents and rollback plans as text and back, without loss.

The JSON that people see (``as_json``) rounds numbers and times; a record does not: integers stay
integers, floats keep every bit, absent stays absent.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from tripswitch.model.incident import (
    Change,
    Confirmation,
    Incident,
    IncidentState,
    RollbackPlan,
    RollbackState,
    Severity,
    Shape,
)
from tripswitch.model.scope import Scope
from tripswitch.model.triage import Cause, RankedChange, TraceFacts, Triage


def json_text(value: Any) -> str:
    """Return strict, compact, ASCII JSON; a number that is not finite becomes null.

    ASCII because SQLite refuses the lone surrogates that an attribute may contain.
    """
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)


def incident_record(incident: Incident) -> str:
    """Return the record of an incident."""
    # asdict turns named tuples into named tuples of copies, which JSON writes as lists.
    return json.dumps(asdict(incident), separators=(",", ":"))


def incident_of(record: str) -> Incident:
    """Return the incident that `incident_record` wrote."""
    fields = json.loads(record)
    plan = fields["rollback"]
    fields |= {
        "shape": Shape(fields["shape"]),
        "severity": Severity(fields["severity"]),
        "state": IncidentState(fields["state"]),
        "scope": Scope(*fields["scope"]),
        "signals": tuple(fields["signals"]),
        "exemplars": tuple(fields["exemplars"]),
        "changes": tuple(map(_change_of, fields["changes"])),
        "tenants": tuple((name, count) for name, count in fields["tenants"]),
        "rollback": None if plan is None else _plan_of(plan),
        "rollbacks": tuple(map(_plan_of, fields.get("rollbacks", ()))),
        "acknowledged": _confirmation_of(fields.get("acknowledged")),
        "confirmations": tuple(
            Confirmation(**confirmation) for confirmation in fields.get("confirmations", ())
        ),
        "waiver": _confirmation_of(fields.get("waiver")),
        "triage": _triage_of(fields.get("triage")),
    }
    return Incident(**fields)


def _change_of(fields: dict[str, Any]) -> Change:
    return Change(**fields | {"scope": Scope(*fields["scope"])})


def _confirmation_of(fields: dict[str, Any] | None) -> Confirmation | None:
    return None if fields is None else Confirmation(**fields)


def _triage_of(fields: dict[str, Any] | None) -> Triage | None:
    if fields is None:
        return None
    fields |= {
        "cause": Cause(fields["cause"]),
        "changes": tuple(
            RankedChange(_change_of(each["change"]), each["fit"], each["why"])
            for each in fields["changes"]
        ),
        "traces": tuple(
            TraceFacts(
                each["trace_id"],
                each["role"],
                tuple((name, value) for name, value in each["facts"]),
            )
            for each in fields["traces"]
        ),
        "duties": tuple(fields["duties"]),
    }
    return Triage(**fields)


def plan_record(plan: RollbackPlan) -> str:
    """Return the record of a rollback plan."""
    return json.dumps(asdict(plan), separators=(",", ":"))


def plan_of(record: str) -> RollbackPlan:
    """Return the plan that `plan_record` wrote."""
    return _plan_of(json.loads(record))


def _plan_of(fields: dict[str, Any]) -> RollbackPlan:
    return RollbackPlan(
        **fields | {"pointer": Scope(*fields["pointer"]), "state": RollbackState(fields["state"])}
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_finite(member) for member in value]
    return value
