"""Cases for the tests of what is written about an incident: the ledger's JSON, to be varied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.store.samples import NOW_NS, SCOPE, incident, plan
from tripswitch.incidents.case import Case, case_of
from tripswitch.model.drift import DriftPoint, DriftSeries, DriftSignal, Unit
from tripswitch.model.incident import IncidentState, RollbackState, Severity
from tripswitch.model.messages import Event, EventName
from tripswitch.model.scope import Scope

MINUTE_NS = 60 * 10**9
NOW_MINUTE = NOW_NS // MINUTE_NS

TRACES = ("4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c")


def points(
    first: int, values: Sequence[float | None], n: float = 200.0, sd: float = 0.25
) -> tuple[DriftPoint, ...]:
    """Return one point a minute with ``values``; None leaves the minute out."""
    return tuple(
        DriftPoint(first + at, 1, n, n * value, n * (value * value + sd * sd), n)
        for at, value in enumerate(values)
        if value is not None
    )


def signal(
    name: str = "eval_score:faithfulness",
    *,
    unit: Unit = "score",
    usual: float | None = 0.9,
    bad: float = 0.81,
    good: float = 0.9,
    bad_minutes: int = 5,
    scope: Scope = SCOPE,
    n: float = 200.0,
    after: int = 16,
) -> DriftSignal:
    """Return the series of the story: ten good minutes, some bad ones, good ones after that."""
    first = NOW_MINUTE - 13
    arm = [None] * 10 + [bad] * bad_minutes
    all_of_cohort = [good] * 10 + [bad] * bad_minutes + [good] * after
    control = [good + 0.004 * (at % 3 - 1) for at in range(10 + bad_minutes + after)]
    falls = unit == "score"
    sign = -1 if falls else 1
    return DriftSignal(
        name,
        unit,
        "down" if falls else "up",
        usual,
        None if usual is None else usual + sign * 0.02,
        None if usual is None else usual + sign * 0.05,
        (
            DriftSeries("arm", scope, points(first, arm, n)),
            DriftSeries("population", scope.population(), points(first, all_of_cohort, n)),
            DriftSeries(
                "reference",
                scope._replace(prompt_version="v17", cohort="control"),
                points(first, control, n),
            ),
        ),
    )


def document(*signals: DriftSignal, **changes: Any) -> dict[str, Any]:
    """Return the ledger's JSON of a recovered incident; ``changes`` are fields of `Incident`."""
    confirmed = plan(state=RollbackState.CONFIRMED, reason="traffic is back on v17")
    settings: dict[str, Any] = {
        "state": IncidentState.RECOVERED,
        "recovered_at_ns": NOW_NS + 15 * MINUTE_NS,
        "exemplars": TRACES,
        "rollback": confirmed,
    }
    settings |= changes
    steps = [
        (EventName.INCIDENT_OPENED, 0, settings | {"severity": Severity.INVESTIGATE}),
        (EventName.INCIDENT_ESCALATED, 10, settings),
        (EventName.ROLLBACK_PLANNED, 10, settings),
        (EventName.ROLLBACK_ACKNOWLEDGED, 12, settings),
        (EventName.ROLLBACK_CONFIRMED, 120, settings),
        (EventName.INCIDENT_RECOVERED, 900, settings),
    ]
    events = [
        Event(name, NOW_NS + after_s * 10**9, incident(**fields), detail=f"{name.value} happened")
        for name, after_s, fields in steps
    ]
    return {
        "incident": incident(**settings).as_json(),
        "events": [{"id": at, **event.as_json()} for at, event in enumerate(events)],
        "drift": [
            one.as_json()
            for one in signals
            or (signal(), signal("refusal_rate", unit="share", usual=0.04, good=0.04, bad=0.22))
        ],
        "calls": [
            {
                "kind": "rollback",
                "target": "gateway",
                "state": "done",
                "attempts": 1,
                "last_result": "200 OK",
            }
        ],
    }


def case(*signals: DriftSignal, **changes: Any) -> Case:
    """Return the case of `document`."""
    return case_of(document(*signals, **changes))
