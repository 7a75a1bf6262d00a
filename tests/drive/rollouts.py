"""Rollouts played once, and what the API says of them at their end."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.play import BAD, config, play
from tests.traffic import Arm, Behaviour, Plan, rollout
from tripswitch.config.detect_sections import Detect
from tripswitch.config.rollback_section import Rollback
from tripswitch.drive.explaining import explain_of
from tripswitch.drive.session import Session

ROUTE = "/chat/refund"

Known = tuple[dict[str, Any], dict[str, Any] | None, list[dict[str, Any]]]


def known_of(session: Session, incidents: list[dict[str, Any]]) -> Known:
    explained = explain_of(session.engine, most=1000, scope_is=lambda one: one.route == ROUTE)
    return explained, session.overview.route(ROUTE, "15m"), incidents


@cache
def played(name: str) -> Known:
    """Return what is known at the end of one of a few runs, played once each."""
    plans: dict[str, tuple[Plan, float]] = {
        "good": (rollout(Behaviour(), at_minute=4, canary_per_s=2, control_per_s=2.5), 23),
        "bad": (rollout(BAD, at_minute=4, canary_per_s=2, control_per_s=2), 10),
        "young": (rollout(Behaviour(), at_minute=4, canary_per_s=3, control_per_s=4), 6),
        "alone": (lambda _second: [Arm(1.0, "v18", None)], 20),
    }
    plan, minutes = plans[name]
    observed = config(rollback=Rollback(targets=[]), detect=Detect(tick=30.0))
    run = play(plan, minutes, settings=observed)
    incidents = {
        event.incident.id: event.incident.as_json()
        for event in run.events
        if event.incident is not None
    }
    return known_of(run.session, list(incidents.values()))
