"""One incident, its rollback and effects, to be varied by each test."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tripswitch.model.incident import (
    Change,
    Incident,
    IncidentState,
    RollbackPlan,
    RollbackState,
    Severity,
    Shape,
)
from tripswitch.model.messages import Event, EventName
from tripswitch.model.outbox import Effect, EffectKind, EffectState
from tripswitch.model.scope import Scope

NOW_NS = 1_795_485_401_647_041_178
SCOPE = Scope("/chat/refund", "refund-bot", "v18", "canary")


def plan(**changes: Any) -> RollbackPlan:
    """Return the plan that puts the canary back on v17."""
    base = RollbackPlan(
        key="rb-1",
        path="cohort",
        target="gateway",
        pointer=SCOPE._replace(prompt_version=None),
        from_version="v18",
        to_version="v17",
        blast_radius="cohort",
        mode="auto",
        state=RollbackState.PLANNED,
    )
    return replace(base, **changes)


def incident(**changes: Any) -> Incident:
    """Return an open incident on v18 with a planned rollback."""
    base = Incident(
        id="inc-1",
        shape=Shape.EVAL_DRIFT,
        signal="eval_score",
        rubric="faithfulness",
        severity=Severity.PAGE,
        state=IncidentState.OPEN,
        security=False,
        scope=SCOPE,
        episode=1,
        onset_ns=NOW_NS - 120 * 10**9,
        detected_at_ns=NOW_NS,
        estimate=0.81,
        baseline=0.9,
        samples=140,
        evidence=1543.2,
        why="faithfulness fell 9 points against the control",
        signals=("eval_score", "refusal_rate"),
        exemplars=("4bf92f3577b34da6a3ce929d0e0e4736",),
        changes=(Change("prompt_version", NOW_NS - 240 * 10**9, SCOPE, "v17", "v18"),),
        tenants=(("acme", 7),),
        rollback=plan(),
    )
    return replace(base, **changes)


def event(name: EventName = EventName.INCIDENT_OPENED, **changes: Any) -> Event:
    """Return one event with the incident as changed."""
    return Event(name, NOW_NS, incident(**changes), detail="it happened")


def effect(key: str = "rb-1", **changes: Any) -> Effect:
    """Return a pending rollback of the gateway, due now."""
    body = {"action_id": key, "rollback": plan(key=key).as_json(), "scope": SCOPE.as_json()}
    base = Effect(
        key=key,
        kind=EffectKind.ROLLBACK,
        target="gateway",
        type="tripswitch.rollback.requested.v1",
        subject="/chat/refund/v18/canary",
        body=json.dumps(body),
        occurred_ns=NOW_NS,
        state=EffectState.PENDING,
        attempts=0,
        due_ns=NOW_NS,
        not_after_ns=2**62,
    )
    return replace(base, **changes)


def notification(key: str, **changes: Any) -> Effect:
    """Return a pending notification to the notifier ``pager``, due now."""
    fields: dict[str, Any] = {
        "kind": EffectKind.NOTIFY,
        "target": "pager",
        "type": "tripswitch.incident.opened.v1",
    }
    return effect(key, **(fields | changes))
