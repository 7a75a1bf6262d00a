"""What goes into the engine and what comes out of it, besides the calls themselves.

Into the engine: what was sighted in telemetry, ticks, `RollbackOutcome`, and what people decide
(`tripswitch.model.instruction`).
Out of the engine: `Event` (to be recorded, printed, shown), `Drift` (to be kept), `Notify` and
`Rollback` (to be done).
A command carries its idempotency key; doing it twice under one key must be the same as once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from tripswitch.model.clocktext import rfc3339
from tripswitch.model.drift import Drift
from tripswitch.model.incident import (
    Change,
    Incident,
    IncidentState,
    RollbackPlan,
    RollbackState,
)


class EventName(StrEnum):
    """Every event that replay prints and the ledger keeps."""

    CHANGE_SEEN = "change.seen"
    LEAK_NOTED = "leak.noted"
    INCIDENT_OPENED = "incident.opened"
    INCIDENT_UPDATED = "incident.updated"
    INCIDENT_ESCALATED = "incident.escalated"
    INCIDENT_ACKNOWLEDGED = "incident.acknowledged"
    INCIDENT_CONFIRMED = "incident.confirmed"
    INCIDENT_UNRECOVERED = "incident.unrecovered"
    ROLLBACK_PLANNED = "rollback.planned"
    ROLLBACK_ACKNOWLEDGED = "rollback.acknowledged"
    ROLLBACK_UNKNOWN = "rollback.unknown"
    ROLLBACK_FAILED = "rollback.failed"
    ROLLBACK_CONFIRMED = "rollback.confirmed"
    ROLLBACK_APPROVED = "rollback.approved"
    ROLLBACK_REJECTED = "rollback.rejected"
    ROLLBACK_EXPIRED = "rollback.expired"
    ROLLBACK_UNDO_PLANNED = "rollback.undo_planned"
    ROLLBACK_UNDONE = "rollback.undone"
    ROLLBACK_REVERTED = "rollback.reverted"
    ROLLBACK_RELEASED = "rollback.released"
    ROLLBACK_HOLD_OVER = "rollback.hold_over"
    EVIDENCE_SEALED = "evidence.sealed"
    INCIDENT_RECOVERED = "incident.recovered"
    INCIDENT_RESOLVED = "incident.resolved"
    CONFIG_LOADED = "config.loaded"
    ACTION_SENT = "action.sent"
    ACTION_ANSWERED = "action.answered"
    COMMS_DRAFTED = "comms.drafted"
    COMMS_DUE = "comms.due"
    POSTMORTEM_DUE = "postmortem.due"


_UNDER_WAY: Final = (
    RollbackState.PLANNED,
    RollbackState.ACKNOWLEDGED,
    RollbackState.UNKNOWN,
)
_OVERTAKEN: Final[tuple[RollbackState, ...]] = (
    RollbackState.FAILED,
    RollbackState.CONFIRMED,
    RollbackState.UNDOING,
    RollbackState.UNDONE,
    RollbackState.REVERTED,
    RollbackState.RELEASED,
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, with the incident as it stood then (None for a bare change).

    ``detail`` is one sentence for the timeline. ``plan`` is a rollback whose incident is closed,
    and of which something became known. ``draft`` is a status update that was drafted, as JSON.
    """

    name: EventName
    time_ns: int
    incident: Incident | None
    change: Change | None = None
    detail: str = ""
    plan: RollbackPlan | None = None
    draft: Mapping[str, Any] | None = None

    @property
    def overtaken(self) -> tuple[str, ...]:
        """Return the keys of rollbacks that must not be sent from here on, if they still wait.

        Those that were given up for another rung, taken back, released or seen to have happened,
        and those of an incident that is closed. What was never asked for has no call of its own.
        """
        plans = [self.plan]
        states = _OVERTAKEN
        if self.incident is not None:
            plans += [*self.incident.rollbacks, self.incident.rollback]
            if self.incident.state is IncidentState.RESOLVED:
                states = (*_OVERTAKEN, *_UNDER_WAY)
        return tuple(plan.key for plan in plans if plan is not None and plan.state in states)

    def as_json(self) -> dict[str, Any]:
        """Return the fixed JSON of an event; ``draft`` is only in that of a drafted update."""
        drafted = {} if self.draft is None else {"draft": dict(self.draft)}
        return {
            "event": self.name.value,
            "time": rfc3339(self.time_ns),
            "detail": self.detail,
            "incident": None if self.incident is None else self.incident.as_json(),
            "change": None if self.change is None else self.change.as_json(),
            **drafted,
        }


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell people: send ``event`` to every configured notifier."""

    key: str
    event: Event


@dataclass(frozen=True, slots=True)
class Rollback:
    """Call the rollback target of ``plan``. ``event`` carries the incident that asks for it.

    A plan with ``undoes`` asks the target to take back what that other plan did.
    """

    key: str
    plan: RollbackPlan
    event: Event


Command = Event | Notify | Rollback | Drift

OutcomeState = Literal["acknowledged", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class RollbackOutcome:
    """What became of a `Rollback`: the target answered, certainly did not act, or may have."""

    key: str
    state: OutcomeState
    detail: str
