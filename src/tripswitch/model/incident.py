"""Incidents, their rollback and the changes around them, as values.

An `Incident` is a snapshot: the engine makes a new one for each step of its life. ``as_json``
gives the fixed JSON of the ``incident`` object that replay, webhooks and the API share.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tripswitch.model.clocktext import rfc3339
from tripswitch.model.scope import Scope

if TYPE_CHECKING:
    from tripswitch.model.triage import Triage

MOST_KEY_CHARS: Final = 255
"""Longest dedup key: what PagerDuty takes."""

_MOST_PART_CHARS: Final = 120


class Shape(StrEnum):
    """The five kinds of incident."""

    EVAL_DRIFT = "eval_drift"
    COST_SPIKE = "cost_spike"
    LATENCY_SPIKE = "latency_spike"
    GUARDRAIL_REGRESSION = "guardrail_regression"
    OUTAGE = "outage"


class Severity(StrEnum):
    """How loud: a note for working hours, or a person woken up."""

    INVESTIGATE = "investigate"
    PAGE = "page"


class IncidentState(StrEnum):
    """Where an incident is in its life."""

    OPEN = "open"
    RECOVERED = "recovered"
    RESOLVED = "resolved"


class RollbackState(StrEnum):
    """What became of the plan.

    ``planned`` is in the outbox; ``proposed`` waits for a person; ``withheld`` was not allowed to
    go (``reason`` says why); ``acknowledged`` means the target answered; ``unknown`` that the call
    may or may not have taken effect; ``failed`` that it certainly did not; ``confirmed`` that the
    spans show the traffic back on the good version. ``rejected`` is a person's no and ``expired``
    a proposal that nobody answered; ``undoing`` is on its way back and ``undone`` is back;
    ``reverted`` means that somebody else put the bad version back; ``released`` that a person let
    it serve again.
    """

    PLANNED = "planned"
    PROPOSED = "proposed"
    WITHHELD = "withheld"
    ACKNOWLEDGED = "acknowledged"
    UNKNOWN = "unknown"
    FAILED = "failed"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNDOING = "undoing"
    UNDONE = "undone"
    REVERTED = "reverted"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """One move of one pointer from a bad version to a good one.

    ``path`` is the rung of the ladder (``cohort``, ``prompt_version``, ``provider_failover``,
    ``tool_breaker``, ``cost_breaker``, ``guardrail``), ``target`` the configured target's name,
    ``pointer`` what it moves (route, prompt and cohort; a provider), ``key`` the idempotency key: a
    hash of target, pointer, bad version, good version and release epoch. ``from_version`` and
    ``to_version`` are prompt versions, or what the rung moves between: providers or models, a tool
    and ``off``, ``full`` and ``limited``. ``planned_at_ns`` is when it was made, ``expires_ns``
    until when a proposal may be approved, ``decided_by`` who approved, rejected or undid it;
    ``undoes`` is the key of the plan that this one takes back, empty for any other; ``proposals``
    counts how often a person was asked; ``by_another`` says that the spans show the move though
    nobody was asked for it here, so that it is not ours to take back.
    """

    key: str
    path: str
    target: str
    pointer: Scope
    from_version: str
    to_version: str
    blast_radius: str
    mode: str
    state: RollbackState
    reason: str = ""
    planned_at_ns: int = 0
    expires_ns: int | None = None
    decided_by: str = ""
    undoes: str = ""
    incident_id: str = ""
    undo_key: str = ""
    state_before_undo: str = ""
    proposals: int = 1
    by_another: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys of the calls that were made for it: there, and the latest way back."""
        return (self.key, self.undo_key) if self.undo_key else (self.key,)

    def as_json(self) -> dict[str, str | None]:
        """Return the fixed ``rollback`` object."""
        return {
            "path": self.path,
            "target": self.target,
            "from": self.from_version,
            "to": self.to_version,
            "blast_radius": self.blast_radius,
            "mode": self.mode,
            "state": self.state.value,
            "reason": self.reason,
            "key": self.key,
            "expires": None if self.expires_ns is None else rfc3339(self.expires_ns),
            "decided_by": self.decided_by or None,
            "undoes": self.undoes or None,
        }


def undo_key(key: str, asked_ns: int) -> str:
    """Return the idempotency key of taking back the rollback that has ``key``.

    One that failed may be asked for again, and is another call then.
    """
    return "rb_" + hashlib.sha256(f"undo {key} {asked_ns}".encode()).hexdigest()[:32]


SIGNAL_BACK: Final = "signal_back"
FIX_IN_REVIEW: Final = "fix_in_review"
COMMS_CLOSED: Final = "comms_closed"

CONFIRMATIONS: Final = {
    SIGNAL_BACK: "the signal back inside its line for a full alert window, proven in the spans",
    FIX_IN_REVIEW: "a fix in review, with its link",
    COMMS_CLOSED: "communication closed",
}
"""What a page needs before it is resolved; a waiver stands in for what is missing."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A person's word on an incident: what, who, when, and where to see it."""

    what: str
    by: str
    at_ns: int
    note: str = ""
    link: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the confirmation with its time as RFC 3339 UTC."""
        return {
            "what": self.what,
            "by": self.by,
            "at": rfc3339(self.at_ns),
            "note": self.note,
            "link": self.link,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed on a route, seen in the telemetry: when, what, from what, to what."""

    kind: str
    time_ns: int
    scope: Scope
    before: str | None
    after: str

    def as_json(self) -> dict[str, Any]:
        """Return the change under fixed names, its time as RFC 3339 UTC."""
        return {
            "kind": self.kind,
            "time": rfc3339(self.time_ns),
            "scope": self.scope.as_json(),
            "from": self.before,
            "to": self.after,
        }


@dataclass(frozen=True, slots=True)
class Incident:
    """One episode on one scope. Times are ns since the epoch.

    ``estimate`` and ``baseline`` are in the signal's own unit (scores and rates 0..1, tokens per
    success, share of slow requests), ``samples`` counts what the estimate stands on, ``evidence``
    is the e-value that reached 1. ``signals`` lists every signal that joined, first first.
    ``rollback`` is the plan of now, ``rollbacks`` are those before it, down the ladder.
    ``opened_by`` names the person who opened it, empty where the spans did.
    """

    id: str
    shape: Shape
    signal: str
    rubric: str | None
    severity: Severity
    state: IncidentState
    security: bool
    scope: Scope
    episode: int
    onset_ns: int
    detected_at_ns: int
    estimate: float
    baseline: float
    samples: int
    evidence: float
    why: str
    signals: tuple[str, ...] = ()
    exemplars: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    tenants: tuple[tuple[str, int], ...] = ()
    rollback: RollbackPlan | None = None
    recovered_at_ns: int | None = None
    resolved_at_ns: int | None = None
    rollbacks: tuple[RollbackPlan, ...] = ()
    acknowledged: Confirmation | None = None
    confirmations: tuple[Confirmation, ...] = ()
    waiver: Confirmation | None = None
    triage: Triage | None = None
    opened_by: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Return what it still needs before it is resolved, of `CONFIRMATIONS`."""
        if self.state is IncidentState.RESOLVED or self.waiver is not None:
            return ()
        known = {confirmation.what for confirmation in self.confirmations}
        if self.state is not IncidentState.OPEN:
            known.add(SIGNAL_BACK)
        if self.opened_by:
            # No signal tells whether what a person knows is over.
            known.add(SIGNAL_BACK)
        wanted = CONFIRMATIONS if self.severity is Severity.PAGE else (SIGNAL_BACK,)
        return tuple(what for what in wanted if what not in known)

    @property
    def dedup_key(self) -> str:
        """Return the one key every notifier uses for this episode; a missing dimension is ``-``.

        Printable ASCII of at most 255 characters. Parts are percent-encoded, so that no two scopes
        share a key, whatever their names hold; a long key ends in a hash of the whole.
        """
        parts = [_key_part(part) for part in self.scope]
        kind = "security" if self.security else "standard"
        key = "/".join(["tripswitch", kind, *parts, str(self.episode)])
        if len(key) <= MOST_KEY_CHARS:
            return key
        digest = hashlib.sha256(key.encode()).hexdigest()[:32]
        return f"{key[: MOST_KEY_CHARS - 33]}~{digest}"

    @property
    def traces(self) -> tuple[str, ...]:
        """Return the ids of the traces that tell of it, the contrast last."""
        of_triage = () if self.triage is None else (one.trace_id for one in self.triage.traces)
        return tuple(dict.fromkeys((*self.exemplars, *of_triage)))

    def as_json(self) -> dict[str, Any]:
        """Return the fixed ``incident`` object; times as RFC 3339 UTC."""
        return {
            "id": self.id,
            "shape": self.shape.value,
            "signal": self.signal,
            "rubric": self.rubric,
            "severity": self.severity.value,
            "state": self.state.value,
            "security": self.security,
            "scope": self.scope.as_json(),
            "episode": self.episode,
            "dedup_key": self.dedup_key,
            "onset": rfc3339(self.onset_ns),
            "detected_at": rfc3339(self.detected_at_ns),
            "recovered_at": None if self.recovered_at_ns is None else rfc3339(self.recovered_at_ns),
            "resolved_at": None if self.resolved_at_ns is None else rfc3339(self.resolved_at_ns),
            "estimate": _rounded(self.estimate),
            "baseline": _rounded(self.baseline),
            "samples": self.samples,
            "evidence": _rounded(min(self.evidence, 1e12)),
            "why": self.why,
            "signals": list(self.signals),
            "exemplars": list(self.exemplars),
            "changes": [change.as_json() for change in self.changes],
            "tenants": [{"tenant": name, "calls": count} for name, count in self.tenants],
            "rollback": None if self.rollback is None else self.rollback.as_json(),
            "rollbacks": [plan.as_json() for plan in self.rollbacks],
            "acknowledged": None if self.acknowledged is None else self.acknowledged.as_json(),
            "confirmations": [one.as_json() for one in self.confirmations],
            "missing": list(self.missing),
            "waiver": None if self.waiver is None else self.waiver.as_json(),
            "triage": None if self.triage is None else self.triage.as_json(),
            "opened_by": self.opened_by or None,
        }


def _key_part(part: str | None) -> str:
    if not part:
        return "-"
    if len(part) > _MOST_PART_CHARS:
        digest = hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return f"{_key_part(part[: _MOST_PART_CHARS // 2])}~{digest}"
    # A part that is named "-" is not a missing one.
    return "%2D" if part == "-" else quote(part, safe="", errors="surrogatepass")


def _rounded(value: float) -> float:
    """Return ``value`` to six significant digits, so that equal runs print equal text."""
    return float(f"{value:.6g}")
